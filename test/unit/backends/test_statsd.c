/*  test_statsd.c - lines of StatsD: whatever a row has, what comes is a line, and
    says as much as the row

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "buffer.h"
#include "fitted.h"
#include "hist.h"
#include "samples.h"
#include "statsd_line.h"
#include "zibrato_backend.h"

#include "../../../contrib/backends/statsd.c"

static const char *
s_lines (const zb_row_t *row, bool dog, size_t samples)
{
    static buffer_t text;
    text.size = 0;
    if (dog)
        dogstatsd_add (&text, row, "w", samples);
    else
        statsd_add (&text, row, samples);
    buffer_add (&text, "", 1);
    return text.text;
}

static void
test_lines (void **state)
{
    static const zb_tag_t tags[] = {{"code", "200"}, {"route", "/a"}};
    static const zb_bucket_t buckets[] = {{-64, 2}};
    zb_row_t counter = {.type = ZB_TYPE_COUNTER,
                        .name = "n",
                        .source = "s",
                        .tags = tags,
                        .tag_count = 2,
                        .time_ns = INT64_C (60000000000),
                        .count = 1,
                        .value = -2.5};
    zb_row_t gauge = {.type = ZB_TYPE_GAUGE,
                      .name = "g",
                      .source = "s",
                      .count = 2,
                      .value = 9,
                      .last = 7,
                      .last_ns = INT64_C (61500000000)};
    zb_row_t timer = {.type = ZB_TYPE_TIMER,
                      .name = "t",
                      .source = "s",
                      .count = 2,
                      .sum = 0.5,
                      .min = 0.25,
                      .max = 0.25,
                      .buckets = buckets,
                      .bucket_count = 1};
    (void) state;
    assert_string_equal (s_lines (&counter, false, 1), "s.n:-2.5|c\n");
    assert_string_equal (s_lines (&counter, true, 1),
                         "n:-2.5|c|T60|#source:s,worker:w,code:200,route:/a\n");
    assert_string_equal (s_lines (&gauge, false, 1), "s.g:7|g\n");
    assert_string_equal (s_lines (&gauge, true, 1),
                         "g:7|g|T61|#source:s,worker:w\n");
    gauge.last = -7;
    assert_string_equal (s_lines (&gauge, false, 1), "s.g:0|g\ns.g:-7|g\n");
    assert_string_equal (s_lines (&gauge, true, 1),
                         "g:-7|g|T61|#source:s,worker:w\n");
    assert_string_equal (s_lines (&timer, false, 9),
                         "s.t:250|ms\ns.t:250|ms\n");
    assert_string_equal (s_lines (&timer, false, 1),
                         "s.t:250|ms|@0.500000000000000\n");
    assert_string_equal (s_lines (&timer, true, 9),
                         "t:250:250|d|#source:s,worker:w\n");
}

static void
test_fit (void **state)
{
    static const struct {
        const char *text, *plain, *dog;
    } cases[] = {{"n.x-y_z", "n.x-y_z", "n.x-y_z"},
                 {"a b|c:d@e#f", "a_b_c_d_e_f", "a_b_c_d_e_f"},
                 {"n;code=200;route=/a,b", "n.code.200.route._a_b",
                  "n;code=200;route=/a_b"},
                 {"n;b=1;a=2", "n_b_1_a_2", "n_b_1_a_2"}};
    char fitted[ZB_NAME_MAX + 1];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        statsd_fit (cases[i].text, 0, fitted);
        assert_string_equal (fitted, cases[i].plain);
        dogstatsd_fit (cases[i].text, 0, fitted);
        assert_string_equal (fitted, cases[i].dog);
    }
    assert_int_equal (statsd_fit ("web.1", 1, fitted), 1);
    assert_string_equal (fitted, "web_1");
    dogstatsd_fit_worker ("web-1.b: a|b,c", fitted);
    assert_string_equal (fitted, "web-1.b:_a_b_c");
    fitted_forget ();
}

//  --------------------------------------------------------------------------
//  Samples

enum { SAMPLES = 20000 };

static int
s_compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

//  Durations around a millisecond, a few of them a hundred times as long.
static double
s_duration (void)
{
    double sum = 0;
    int i;
    for (i = 0; i < 12; i++)
        sum += (double) (s_any () >> 11) / 9007199254740992.0;
    return 1e-3 * exp ((sum - 6) * (s_any () % 50 ? 0.5 : 1.5));
}

//  What was measured, and its row.
static void
s_measure (double *duration, size_t count, hist_t *hist, zb_row_t *row)
{
    size_t i;
    *row = (zb_row_t){.type = ZB_TYPE_TIMER, .count = count};
    for (i = 0; i < count; i++) {
        duration[i] = s_duration ();
        row->sum += duration[i];
        hist_at (hist, hist_bucket ((uint64_t) (duration[i] * 1e9)))->count++;
    }
    qsort (duration, count, sizeof *duration, s_compare);
    row->min = duration[0];
    row->max = duration[count - 1];
    row->buckets = hist->bucket;
    row->bucket_count = hist->size;
}

//  Mean and percentiles of the samples are those of what was measured, but for a
//  bucket's width, and for that of a share.
static void
test_samples (void **state)
{
    static double duration[SAMPLES], sample[SAMPLES_MAX];
    static const double shares[] = {0.1, 0.5, 0.9, 0.95};
    size_t counts[] = {1, 2, 7, 999, 1000, 1001, SAMPLES}, i, j;
    (void) state;
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        hist_t hist = {NULL, 0, 0};
        zb_row_t row;
        size_t count;
        double sum = 0;
        s_measure (duration, counts[i], &hist, &row);
        count = samples_of (&row, SAMPLES_MAX, sample);
        assert_int_equal (count,
                          counts[i] < SAMPLES_MAX ? counts[i] : SAMPLES_MAX);
        for (j = 0; j < count; j++) {
            sum += sample[j];
            assert_true (j == 0 || sample[j] >= sample[j - 1]);
        }
        assert_true (
          fabs (sum / (double) count * (double) counts[i] / row.sum - 1)
          < 1e-9);
        for (j = 0; j < sizeof shares / sizeof *shares && counts[i] > 900;
             j++) {
            double right = duration[(size_t) (shares[j] * (double) counts[i])];
            double got = sample[(size_t) (shares[j] * (double) count)];
            if (fabs (got / right - 1) > 0.03)
                fail_msg ("%zu, %g: %g, expected %g", counts[i], shares[j], got,
                          right);
        }
        free (hist.bucket);
    }
}

//  --------------------------------------------------------------------------
//  Datagrams

//  Whole lines, as many as there is room for; the two of a gauge are together.
static void
test_datagrams (void **state)
{
    buffer_t text = {.text = NULL};
    size_t at, size, lines = 0, i;
    (void) state;
    for (i = 0; i < 2000; i++)
        if (s_any () % 3)
            buffer_printf (&text, "s.n%zu:%zu|c\n", i, (size_t) s_any ());
        else
            buffer_printf (&text, "s.g%zu:0|g\ns.g%zu:-%zu|g\n", i, i,
                           (size_t) s_any ());
    for (i = 0; i < 3000; i++)
        buffer_add (&text, i < 2999 ? "x" : "\n", 1);
    for (at = 0; at < text.size; at += size) {
        const char *begin = text.text + at;
        size = s_datagram (begin, text.size - at);
        assert_true (size > 0);
        assert_true (size <= DATAGRAM_MAX || !memchr (begin, '\n', size - 1));
        assert_int_equal (begin[size - 1], '\n');
        if (size > 5)
            assert_memory_not_equal (begin + size - 5, ":0|g\n", 5);
        for (i = 0; i < size; i++)
            lines += begin[i] == '\n';
    }
    assert_true (lines > 2000);
    buffer_clear (&text);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_lines), cmocka_unit_test (test_fit),
      cmocka_unit_test (test_samples), cmocka_unit_test (test_datagrams)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
