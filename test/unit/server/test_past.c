/*  test_past.c - does the store know what it had counted some time ago?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clocked.h"
#include "stored.h"

//  Each look has its number as what was stored.
static void
s_note (past_t *past, int64_t number, int64_t time_s)
{
    store_stats_t stats = {.stored = (uint64_t) number};
    past_note (past, time_s, &stats);
}

static void
s_check (const past_t *past, int64_t time_s, int64_t number, int64_t of_s)
{
    const past_look_t *look = past_find (past, time_s);
    assert_int_equal (look->stats.stored, number);
    assert_int_equal (look->time_s, of_s);
}

static void
test_looks (void **state)
{
    enum { BEGIN = 1000000, MORE = 5 };
    past_t past = {.count = 0};
    int64_t last = PAST_LOOKS + MORE, last_s = BEGIN + last * PAST_STEP_S;
    (void) state;
    for (int64_t i = 0; i <= last; i++) {
        s_note (&past, i, BEGIN + i * PAST_STEP_S);
        s_note (&past, -1, BEGIN + i * PAST_STEP_S + PAST_STEP_S - 1);
    }
    s_check (&past, last_s + 1000, last, last_s);
    s_check (&past, last_s, last, last_s);
    s_check (&past, last_s - 1, last - 1, last_s - PAST_STEP_S);
    //  the oldest that is left
    s_check (&past, 0, MORE + 1, BEGIN + (MORE + 1) * PAST_STEP_S);
    //  the clock is set back
    s_note (&past, last + 1, BEGIN);
    s_check (&past, BEGIN, last + 1, BEGIN);
    past_clear (&past);
}

static void
s_write (stored_t *stored, const char *source)
{
    store_row_t row = stored_row ("a", source, clocked_wall_us () / 1000000, 1);
    assert_int_equal (stored_write (stored, &row, 1, NULL, NULL), BATCH_STORED);
}

static void
test_store (void **state)
{
    static stored_t stored;
    store_stats_t stats;
    int64_t began_s, then_s;
    (void) state;
    stored_init (&stored);
    stored.options.wall_us = clocked_wall_us;
    began_s = clocked_wall_us () / 1000000;
    stored_start (&stored);
    s_write (&stored, "one");
    s_write (&stored, "two");
    clocked_ahead_s = 2 * PAST_STEP_S;
    store_run (stored.store, clocked_tend, NULL);
    s_write (&stored, "three");
    then_s = store_stats_then (stored.store, INT64_MAX, &stats);
    assert_int_equal (stats.stored, 2);
    assert_true (then_s >= began_s + 2 * PAST_STEP_S);
    then_s = store_stats_then (stored.store, began_s - 1000, &stats);
    assert_int_equal (stats.stored, 0);
    assert_true (then_s >= began_s && then_s < began_s + PAST_STEP_S);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.stored, 3);
    stored_end (&stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_looks),
                                       cmocka_unit_test (test_store)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
