/*  test_rises.c - is the total of readings that rise the same in any resolution?

    Readings that begin anew now and then come at random, late ones, too, and are packed
    at random moments. What a series rose by in a time is a fold over all that was sent,
    whatever the interval of the question, and whether the page or the API asks.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "../unit.h"

#include "clock.h"
#include "groups.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"
#include "survey.h"
#include "traces.h"

enum { HOURS = 12, TIMES = HOURS * HOUR_S, SERIES = 3 };

static stored_t s_stored;
static int64_t s_begin_s;

//  What each series reads in each second, NaN where it does not; and whether that was
//  sent.
static double s_reading[SERIES][TIMES];
static bool s_sent[SERIES][TIMES];

static const char *const s_sources[SERIES] = {"a", "b", "c"};

//  Series differ in how often they are read. One in 200 readings begins anew.
static void
s_make (void)
{
    static const int steps[SERIES] = {1, 20, 60};
    for (int i = 0; i < SERIES; i++) {
        double reading = 1000;
        for (int at = 0; at < TIMES; at++) {
            bool read = at % steps[i] == 0 && s_any () % 4;
            s_sent[i][at] = false;
            if (read)
                reading =
                  s_any () % 200 ? reading + (double) (s_any () % 100) : 3;
            s_reading[i][at] = read ? reading : NAN;
        }
    }
}

//  Sends some of a part of the time, the rest of which comes late.
static void
s_send (int begin, int end, unsigned in)
{
    static store_row_t rows[SERIES * TIMES];
    size_t count = 0;
    for (int i = 0; i < SERIES; i++)
        for (int at = begin; at < end; at++) {
            if (isnan (s_reading[i][at]) || s_sent[i][at] || s_any () % in)
                continue;
            s_sent[i][at] = true;
            rows[count] = stored_row ("rises", s_sources[i], s_begin_s + at,
                                      s_reading[i][at]);
            rows[count++].type = METRIC_COUNTER;
        }
    if (count)
        assert_int_equal (stored_write (&s_stored, rows, count, NULL, NULL),
                          BATCH_STORED);
}

//  What a series rose by from one hour to another, by the definition.
static double
s_expected (int series, int from, int to)
{
    double total = 0, before = NAN;
    for (int at = 0; at < to; at++) {
        double now = s_reading[series][at];
        if (isnan (now) || !s_sent[series][at])
            continue;
        if (at >= from && !isnan (before))
            total += now < before ? now : now - before;
        before = now;
    }
    return total;
}

//  What the page's lines add up to.
static double
s_of_page (int64_t series, int64_t from_s, int64_t to_s, int64_t step_s)
{
    groups_t groups = {.type = METRIC_COUNTER,
                       .from_s = from_s,
                       .step_s = step_s,
                       .intervals = (size_t) ((to_s - from_s) / step_s)};
    double total = 0;
    groups_add (&groups, series, "");
    assert_int_equal (
      groups_read (&groups, 0, OVER_SUM, s_stored.reader, series), 0);
    for (size_t i = 0; i < groups.intervals; i++) {
        double value = cell_value (&groups.group->cell[i], OVER_SUM);
        total += isnan (value) ? 0 : value;
    }
    groups_clear (&groups);
    return total;
}

static bool
s_is_wanted (void *argument, const series_t *series)
{
    return series->id == *(const int64_t *) argument;
}

//  What the API's differences add up to.
static double
s_of_api (int64_t series, int64_t from_s, int64_t to_s, int64_t step_s)
{
    traces_t traces = {.item = NULL};
    range_t range = {.from_s = from_s, .to_s = to_s, .resolution_s = step_s};
    metric_t metric;
    double total = 0;
    assert_int_equal (reader_metric (s_stored.reader, "rises", &metric), 1);
    traces_list (&traces, s_stored.reader, metric.id, s_is_wanted, &series);
    assert_int_equal (traces.count, 1);
    assert_int_equal (traces_read (&traces, s_stored.reader, &range), 0);
    assert_int_equal (traces_deltas (&traces, s_stored.reader, &range, true),
                      0);
    for (size_t i = 0; i < traces.item->trace.count; i++)
        total += traces.item->trace.item[i].point.sum;
    traces_clear (&traces);
    return total;
}

static void
s_check (int64_t least_s)
{
    static const int64_t steps[] = {1, 10, 60, 300, 900, 3600, 7200};
    for (int i = 0; i < SERIES; i++) {
        int64_t id = stored_series (&s_stored, "rises", s_sources[i]);
        int from = (int) (s_any () % (HOURS / 2)) / 2 * 2 * HOUR_S;
        int to = TIMES - (int) (s_any () % (HOURS / 2)) / 2 * 2 * HOUR_S;
        for (size_t j = 0; id && j < sizeof steps / sizeof *steps; j++) {
            double should = s_expected (i, from, to);
            if (steps[j] < least_s)
                continue;
            assert_true (
              s_of_page (id, s_begin_s + from, s_begin_s + to, steps[j])
              == should);
            assert_true (
              s_of_api (id, s_begin_s + from, s_begin_s + to, steps[j])
              == should);
        }
    }
}

static int
s_pack_some (store_t *store, void *argument)
{
    bool all = *(bool *) argument;
    pack_begin (store, INT64_MAX);
    while (pack_slice (store) == 1 && (all || s_any () % 3)) {
    }
    store->packer.active = false;
    return 0;
}

static void
s_pack (bool all)
{
    store_run (s_stored.store, s_pack_some, &all);
}

static void
test_totals (void **state)
{
    enum { ROUNDS = SANITIZED ? 8 : 24 };
    int64_t now_s = wall_us () / 1000000;
    (void) state;
    stored_new (&s_stored);
    s_begin_s = time_floor (now_s, 2 * HOUR_S) - TIMES;
    s_make ();
    for (int i = 0; i < ROUNDS; i++) {
        int begin = (int) (s_any () % HOURS) * HOUR_S;
        s_send (begin, begin + HOUR_S, 1 + (unsigned) (s_any () % 3));
        s_pack (s_any () % 2);
        s_check (1);
    }
    s_send (0, TIMES, 2);
    s_check (1);
    s_pack (true);
    s_check (1);
}

//  What is before a time is not kept any more, up to a level.
static void
s_end_levels (int level, int64_t since_s)
{
    char path[128], text[128];
    sqlite3 *db;
    stored_stop (&s_stored);
    snprintf (path, sizeof path, "%s/store.db", s_stored.folder);
    snprintf (text, sizeof text,
              "UPDATE level SET since = %lld WHERE level <= %d",
              (long long) since_s, level);
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close (db);
    stored_start (&s_stored);
}

//  When raw points have gone, and minutes, totals are the same.
static void
test_of_rollups (void **state)
{
    static const int64_t steps[] = {60, 900, 3600};
    (void) state;
    for (int i = 0; i < 3; i++) {
        s_end_levels (i, s_begin_s + TIMES);
        s_check (steps[i]);
    }
    stored_end (&s_stored);
}

//  A total of three minutes, of which there are rollups only.
static void
s_late (const double readings[3], double late, double total)
{
    static int number;
    char name[16];
    store_row_t rows[3], row;
    int64_t hour_s = time_floor (wall_us () / 1000000, HOUR_S) - 4 * HOUR_S;
    snprintf (name, sizeof name, "late%d", number++);
    for (int i = 0; i < 3; i++) {
        rows[i] = stored_row (name, "a", hour_s + 10 + 10 * i, readings[i]);
        rows[i].type = METRIC_COUNTER;
    }
    stored_write (&s_stored, rows, 3, NULL, NULL);
    s_pack (true);
    s_end_levels (LEVEL_RAW, hour_s + HOUR_S);
    row = stored_row (name, "a", hour_s + 15, late);
    row.type = METRIC_COUNTER;
    stored_write (&s_stored, &row, 1, NULL, NULL);
    for (int packed = 0; packed < 2; packed++) {
        int64_t id = stored_series (&s_stored, name, "a");
        assert_true (s_of_page (id, hour_s, hour_s + 60, 60) == total);
        assert_true (s_of_page (id, hour_s, hour_s + HOUR_S, 3600) == total);
        s_pack (true);
    }
    s_end_levels (LEVEL_RAW, 0);
}

//  In what there is only a rollup of, a late reading is taken to lie between the others.
static void
test_late (void **state)
{
    (void) state;
    stored_new (&s_stored);
    s_late ((const double[]){100, 110, 120}, 105, 20);
    s_late ((const double[]){100, 110, 120}, 125, 25);
    s_late ((const double[]){100, 110, 5}, 105, 15);
    s_late ((const double[]){100, 3, 5}, 110, 5);
    stored_end (&s_stored);
}

//  Readings of one second: the last to come holds, in the inbox and packed.
static void
test_one_second (void **state)
{
    int64_t hour_s = time_floor (wall_us () / 1000000, HOUR_S) - 4 * HOUR_S;
    static const double readings[] = {990, 1000, 5, 8};
    (void) state;
    stored_new (&s_stored);
    for (int i = 0; i < 4; i++) {
        store_row_t row =
          stored_row ("second", "a", hour_s + (i + 1) / 2, readings[i]);
        row.type = METRIC_COUNTER;
        stored_write (&s_stored, &row, 1, NULL, NULL);
        if (i == 1)
            s_pack (true);
    }
    for (int packed = 0; packed < 2; packed++) {
        int64_t id = stored_series (&s_stored, "second", "a");
        for (int64_t step_s = 1; step_s <= 3600; step_s *= 60)
            assert_true (s_of_page (id, hour_s, hour_s + HOUR_S, step_s) == 8);
        s_pack (true);
    }
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_totals),
      cmocka_unit_test (test_of_rollups),
      cmocka_unit_test (test_late),
      cmocka_unit_test (test_one_second),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
