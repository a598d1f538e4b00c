/*  test_trace.c - are the points those that were asked for?

    Behind trace.c and traces.c is a store of five points a series.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#define reader_points fake_points
#define reader_series fake_series

#include "../../../contrib/server/store.h"

static int s_reads;  //  calls of reader_points

int64_t
fake_points (reader_t *self, int64_t series, int64_t from_s, int64_t to_s,
             int64_t resolution_s, point_fn *each, void *argument)
{
    static const int64_t times[] = {1000, 1060, 1061, 500000, 1000000};
    fold_t fold = {.hist.size = 0};
    bool ended = false;
    (void) self;
    s_reads++;
    for (int i = 0; i < 5 && !ended;) {
        int64_t begin = times[i] - times[i] % resolution_s;
        fold_begin (&fold, begin);
        for (; i < 5 && times[i] - times[i] % resolution_s == begin; i++) {
            double value = (double) (series * 10 + i);
            fold_add (&fold, &(point_t){.n = 1,
                                        .sum = value,
                                        .min = value,
                                        .max = value,
                                        .first = value,
                                        .last = value});
        }
        if (begin >= from_s && begin < to_s)
            ended = each (argument, fold_point (&fold)) != 0;
    }
    fold_clear (&fold);
    return resolution_s;
}

int64_t
fake_series (reader_t *self, int64_t metric, series_fn *each, void *argument)
{
    static const series_t series[] = {{.id = 1, .source = "b", .tags = ""},
                                      {.id = 2, .source = "a", .tags = "x=2"},
                                      {.id = 3, .source = "a", .tags = "x=1"}};
    (void) self, (void) metric;
    for (int i = 0; i < 3; i++)
        each (argument, &series[i]);
    return 3;
}

#include "../../../contrib/server/trace.c"
#define s_compare s_compare_series
#include "../../../contrib/server/traces.c"

//  The times of a trace, and its sums.
static void
s_check (const trace_t *trace, size_t count, const int64_t *times,
         const double *sums)
{
    assert_int_equal (trace->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal (trace->item[i].point.time_s, times[i]);
        assert_true (trace->item[i].point.sum == sums[i]);
    }
}

#define CHECK_TRACE(trace, count, times, sums)                                 \
    s_check (trace, count, (const int64_t[]) times, (const double[]) sums)
#define LIST(...)                                                              \
    {                                                                          \
        __VA_ARGS__                                                            \
    }

static void
test_first (void **state)
{
    trace_t trace = {.item = NULL};
    range_t range = {.from_s = 1060, .to_s = 1000000, .resolution_s = 1};
    (void) state;
    range.most = 100;
    assert_int_equal (trace_read (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 3, LIST (1060, 1061, 500000), LIST (11, 12, 13));
    trace.count = 0;
    range.most = 2;
    assert_int_equal (trace_read (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 2, LIST (1060, 1061), LIST (11, 12));
    trace.count = 0;
    range.resolution_s = 60;
    range.from_s = 1020;
    assert_int_equal (trace_read (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 2, LIST (1020, 499980), LIST (23, 13));
    assert_int_equal (trace.resolution_s, 60);
    trace_clear (&trace);
}

static void
test_last (void **state)
{
    trace_t trace = {.item = NULL};
    range_t range = {
      .from_s = 0, .to_s = 1000001, .resolution_s = 1, .most = 1};
    (void) state;
    s_reads = 0;
    assert_int_equal (trace_read_last (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 1, LIST (1000000), LIST (14));
    assert_int_equal (s_reads, 1);
    //  half a million seconds back: in ten steps
    trace.count = 0;
    range.most = 2;
    assert_int_equal (trace_read_last (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 2, LIST (500000, 1000000), LIST (13, 14));
    assert_true (s_reads < 20);
    trace.count = 0;
    range.most = 3;
    assert_int_equal (trace_read_last (&trace, NULL, 1, &range), 0);
    CHECK_TRACE (&trace, 3, LIST (1061, 500000, 1000000), LIST (12, 13, 14));
    //  fewer than were asked for, and not before the time
    trace.count = 0;
    range.most = 100;
    assert_int_equal (trace_read_last (&trace, NULL, 1, &range), 0);
    assert_int_equal (trace.count, 5);
    trace.count = 0;
    range.from_s = 1061;
    assert_int_equal (trace_read_last (&trace, NULL, 1, &range), 0);
    assert_int_equal (trace.count, 3);
    trace_clear (&trace);
}

static void
test_one_of_many (void **state)
{
    trace_t trace = {.item = NULL}, other = {.item = NULL},
            all = {.item = NULL};
    range_t range = {.from_s = 0, .to_s = 2000, .resolution_s = 1, .most = 100};
    (void) state;
    assert_int_equal (trace_read (&trace, NULL, 1, &range), 0);
    range.to_s = 1061;
    assert_int_equal (trace_read (&other, NULL, 2, &range), 0);
    trace_append (&all, &other, 1);
    trace_append (&all, &trace, 0);
    trace_sort (&all);
    CHECK_TRACE (&all, 5, LIST (1000, 1000, 1060, 1060, 1061),
                 LIST (10, 20, 11, 21, 12));
    assert_int_equal (all.item[1].series, 1);
    trace_fold (&all);
    CHECK_TRACE (&all, 3, LIST (1000, 1060, 1061), LIST (30, 32, 12));
    trace_cut (&all, 1060);
    assert_int_equal (all.count, 1);
    trace_clear (&trace);
    trace_clear (&other);
    trace_clear (&all);
}

static void
test_deltas (void **state)
{
    static const double readings[] = {5, 7, 7, 2, 10};
    trace_t trace = {.item = NULL};
    (void) state;
    for (int i = 0; i < 5; i++)
        s_add (&trace,
               &(point_t){.time_s = i,
                          .n = 2,
                          .sum = 2 * readings[i],
                          .first = readings[i],
                          .last = readings[i]},
               0);
    trace_deltas (&trace, true, NAN);
    CHECK_TRACE (&trace, 4, LIST (1, 2, 3, 4), LIST (2, 0, 2, 8));
    trace.count = 0;
    trace_deltas (&trace, true, NAN);
    assert_int_equal (trace.count, 0);
    for (int i = 0; i < 5; i++)
        s_add (&trace, &(point_t){.time_s = i, .n = 2, .sum = 2 * readings[i]},
               0);
    trace_deltas (&trace, false, NAN);
    CHECK_TRACE (&trace, 4, LIST (1, 2, 3, 4), LIST (2, 0, -5, 8));
    trace_clear (&trace);
}

static bool
s_not_third (void *argument, const series_t *series)
{
    (void) argument;
    return series->id != 3;
}

static bool
s_all (void *argument, const series_t *series)
{
    (void) argument, (void) series;
    return true;
}

static void
test_traces (void **state)
{
    traces_t traces = {.item = NULL};
    range_t range = {.from_s = 1060, .to_s = 2000, .resolution_s = 1};
    (void) state;
    assert_int_equal (traces_list (&traces, NULL, 1, s_all, NULL), 0);
    assert_int_equal (traces.count, 3);
    assert_int_equal (traces.item[0].series.id, 3);
    assert_int_equal (traces.item[1].series.id, 2);
    assert_int_equal (traces.item[2].series.id, 1);
    traces_clear (&traces);
    assert_int_equal (traces_list (&traces, NULL, 1, s_not_third, NULL), 0);
    assert_int_equal (traces_read (&traces, NULL, &range), 0);
    assert_int_equal (traces.next_s, 0);
    CHECK_TRACE (&traces.item[0].trace, 2, LIST (1060, 1061), LIST (21, 22));
    //  the difference to the point before the time
    assert_int_equal (traces_deltas (&traces, NULL, &range, true), 0);
    CHECK_TRACE (&traces.item[0].trace, 2, LIST (1060, 1061), LIST (1, 1));
    traces_clear (&traces);
    assert_int_equal (traces_list (&traces, NULL, 1, s_all, NULL), 0);
    range =
      (range_t){.from_s = 0, .to_s = 1000001, .resolution_s = 1, .most = 2};
    assert_int_equal (traces_read_count (&traces, NULL, &range, true), 0);
    CHECK_TRACE (&traces.item[2].trace, 2, LIST (500000, 1000000),
                 LIST (13, 14));
    traces_clear (&traces);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_first),       cmocka_unit_test (test_last),
      cmocka_unit_test (test_one_of_many), cmocka_unit_test (test_deltas),
      cmocka_unit_test (test_traces),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
