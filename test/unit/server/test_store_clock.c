/*  test_store_clock.c - clocks that are wrong, and rows of times that are not kept:
    what was stored stays, what comes is seen, and what would go at once is refused

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clocked.h"
#include "kept.h"
#include "stored.h"

#include <sys/mman.h>

enum { DAY_S = 24 * HOUR_S, YEARS_S = 3 * 365 * DAY_S };

static stored_t s_stored;

static int64_t
s_now_s (void)
{
    return wall_us () / 1000000;
}

//  As a server has it that nobody has told otherwise.
static void
s_init (void)
{
    stored_init (&s_stored);
    clocked_ahead_s = 0;
    s_stored.options.wall_us = clocked_wall_us;
    s_stored.options.keep_raw_s = 2 * DAY_S;
    s_stored.options.keep_60_s = 31 * DAY_S;
    s_stored.options.keep_900_s = 365 * DAY_S;
    s_stored.options.keep_3600_s = 558 * DAY_S;
}

static void
s_write (const char *name, int64_t time_s)
{
    store_row_t row = stored_row (name, NULL, time_s, 1);
    assert_int_equal (stored_write (&s_stored, &row, 1, NULL, NULL),
                      BATCH_STORED);
}

static size_t
s_count (const char *name, int64_t from_s, int64_t to_s)
{
    stored_ask (&s_stored, name, "", from_s, to_s, 1);
    return s_stored.count;
}

//  The clock is years ahead for a while, and right again.
static void
s_be_ahead (void)
{
    clocked_ahead_s = YEARS_S;
    store_run (s_stored.store, clocked_tend, NULL);
    clocked_ahead_s = 0;
    store_run (s_stored.store, clocked_tend, NULL);
}

static void
test_ahead (void **state)
{
    enum { ROWS = 30 };
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    for (int i = 0; i < ROWS; i++)
        s_write ("a", now_s - i * HOUR_S);
    s_be_ahead ();
    assert_int_equal (s_count ("a", now_s - 2 * DAY_S, now_s + 1), ROWS);
    s_write ("a", now_s - 1);
    store_run (s_stored.store, clocked_tend, NULL);
    assert_int_equal (s_count ("a", now_s - 2 * DAY_S, now_s + 1), ROWS + 1);
    stored_end (&s_stored);
}

//  Rows come that have their time from a clock that is years ahead, and the server is
//  started again, before the clock is set right: all that was stored stays, what comes
//  then is seen, and what had a key is not taken twice.
static batch_result_t
s_write_keyed (const char *key, int64_t time_s)
{
    store_row_t row = stored_row ("keyed", NULL, time_s, 1);
    return stored_write (&s_stored, &row, 1, key, NULL);
}

static int
s_age_keys (store_t *store, void *argument)
{
    (void) argument;
    for (int i = 0; i < 3; i++) {
        store->trim.keys_at_s = 0;
        while (store_tend (store) == 0) {
        }
    }
    return 0;
}

static void
test_rows_ahead (void **state)
{
    enum { ROWS = 30 };
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    for (int i = 0; i < ROWS; i++)
        s_write ("a", now_s - i * HOUR_S);
    assert_int_equal (s_write_keyed ("before", now_s), BATCH_STORED);
    for (int ahead = 1; ahead >= 0; ahead--) {
        clocked_ahead_s = ahead ? YEARS_S : 0;
        store_run (s_stored.store, clocked_tend, NULL);
        if (ahead) {
            for (int i = 0; i < 5; i++)
                s_write ("b", now_s + YEARS_S - i * HOUR_S);
            assert_int_equal (s_write_keyed ("ahead", now_s + YEARS_S),
                              BATCH_STORED);
        }
        for (int i = 0; i < 2; i++) {
            store_run (s_stored.store, clocked_tend, NULL);
            store_run (s_stored.store, s_age_keys, NULL);
            assert_int_equal (s_count ("a", now_s - 2 * DAY_S, now_s + 1),
                              ROWS);
            assert_int_equal (s_write_keyed ("before", now_s), BATCH_REPEATED);
            assert_int_equal (s_write_keyed ("ahead", now_s), BATCH_REPEATED);
            stored_stop (&s_stored);
            stored_start (&s_stored);
        }
    }
    s_write ("a", now_s - 1);
    store_run (s_stored.store, clocked_tend, NULL);
    assert_int_equal (s_count ("a", now_s - 2 * DAY_S, now_s + 1), ROWS + 1);
    assert_int_equal (
      s_count ("b", now_s + YEARS_S - DAY_S, now_s + YEARS_S + 1), 5);
    stored_end (&s_stored);
}

//  Keys that were kept while the clock was years behind are young when it is right.
static void
test_keys_behind (void **state)
{
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    for (int i = 0; i < 30; i++)
        s_write ("a", now_s - i * HOUR_S);
    store_run (s_stored.store, clocked_tend, NULL);
    clocked_ahead_s = -DAY_S * 10;
    store_run (s_stored.store, clocked_tend, NULL);
    assert_int_equal (s_write_keyed ("k", now_s - 10 * DAY_S), BATCH_STORED);
    clocked_ahead_s = 0;
    store_run (s_stored.store, clocked_tend, NULL);
    store_run (s_stored.store, s_age_keys, NULL);
    assert_int_equal (s_write_keyed ("k", now_s), BATCH_REPEATED);
    stored_end (&s_stored);
}

//  As time goes on, rows and keys do end.
static void
test_time_ends (void **state)
{
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    assert_int_equal (s_write_keyed ("k", now_s), BATCH_STORED);
    for (int day = 0; day < 40; day++) {
        clocked_ahead_s = day * DAY_S;
        store_run (s_stored.store, clocked_tend, NULL);
        s_write ("a", now_s + clocked_ahead_s);
        store_run (s_stored.store, s_age_keys, NULL);
    }
    assert_int_equal (s_count ("a", now_s - 900, now_s + 40 * DAY_S), 40);
    assert_int_equal (
      stored_ask (&s_stored, "a", "", now_s - 900, now_s + 40 * DAY_S, 1), 900);
    assert_int_equal (s_write_keyed ("k", now_s + clocked_ahead_s),
                      BATCH_STORED);
    stored_end (&s_stored);
}

//  A store that is opened while the clock is ahead.
static void
test_open_ahead (void **state)
{
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    for (int i = 0; i < 10; i++)
        s_write ("a", now_s - i * HOUR_S);
    stored_stop (&s_stored);
    clocked_ahead_s = YEARS_S;
    stored_start (&s_stored);
    store_run (s_stored.store, clocked_tend, NULL);
    stored_stop (&s_stored);
    clocked_ahead_s = 0;
    stored_start (&s_stored);
    assert_int_equal (s_count ("a", now_s - DAY_S, now_s + 1), 10);
    stored_end (&s_stored);
}

//  What is said when the clock is set, there and back.
static int s_stderr, s_log;

static void
s_listen (void)
{
    fflush (stderr);
    s_stderr = dup (STDERR_FILENO);
    s_log = memfd_create ("log", MFD_CLOEXEC);
    assert_true (s_stderr != -1 && s_log != -1);
    dup2 (s_log, STDERR_FILENO);
}

static void
s_heard_moves (void)
{
    static char said[1 << 16];
    const char *ahead;
    fflush (stderr);
    dup2 (s_stderr, STDERR_FILENO);
    close (s_stderr);
    assert_true (pread (s_log, said, sizeof said - 1, 0) > 0);
    close (s_log);
    ahead = strstr (said, "event=clock_moved by=");
    assert_non_null (ahead);
    assert_non_null (strstr (ahead, "event=clock_moved by=-"));
}

//  What was put off until a time that has not come is due.
static int
s_nothing_waits (store_t *store, void *argument)
{
    int64_t latest_s = store->now_s + HOUR_S + 120;
    (void) argument;
    return store->pack_at_s <= latest_s && store->trim.check_at_s <= latest_s
           && store->trim.keys_at_s <= latest_s
           && store->trim.day_s <= store->now_s + DAY_S;
}

static void
test_due (void **state)
{
    (void) state;
    s_init ();
    stored_start (&s_stored);
    s_write ("a", s_now_s ());
    s_listen ();
    s_be_ahead ();
    s_heard_moves ();
    assert_int_equal (store_run (s_stored.store, s_nothing_waits, NULL), 1);
    stored_end (&s_stored);
}

//  Levels that are kept since a time that has not come, as older servers left them.
static void
s_leave_since (int64_t since_s)
{
    char path[128], text[128];
    sqlite3 *db;
    snprintf (path, sizeof path, "%s/store.db", s_stored.folder);
    snprintf (text, sizeof text, "UPDATE level SET since = %lld",
              (long long) since_s);
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close (db);
}

static void
test_since_ahead (void **state)
{
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    stored_start (&s_stored);
    stored_stop (&s_stored);
    s_leave_since (now_s + YEARS_S);
    stored_start (&s_stored);
    s_write ("a", now_s);
    store_run (s_stored.store, clocked_tend, NULL);
    assert_int_equal (s_count ("a", now_s - DAY_S, now_s + 1), 1);
    stored_end (&s_stored);
}

//  Rows that no level keeps are refused, and said to be.
static void
test_too_old (void **state)
{
    int64_t now_s = s_now_s ();
    store_row_t rows[2];
    unsigned char refused[2] = {0};
    (void) state;
    s_init ();
    s_stored.options.keep_900_s = s_stored.options.keep_3600_s = 40 * DAY_S;
    rows[0] = stored_row ("a", NULL, now_s - 41 * DAY_S, 1);
    rows[1] = stored_row ("a", NULL, now_s - 39 * DAY_S, 1);
    stored_start (&s_stored);
    assert_int_equal (stored_write (&s_stored, rows, 2, NULL, refused),
                      BATCH_STORED);
    assert_int_equal (refused[0], ROW_OLD);
    assert_int_equal (refused[1], ROW_TAKEN);
    stored_stop (&s_stored);
    s_leave_since (now_s - 38 * DAY_S);
    stored_start (&s_stored);
    s_write ("a", now_s);
    refused[1] = 0;
    stored_write (&s_stored, rows, 2, NULL, refused);
    assert_int_equal (refused[1], ROW_OLD);
    stored_end (&s_stored);
}

//  When --max-bytes ends what there is, the present stays: what comes is seen.
static int
s_end_all (store_t *store, void *argument)
{
    (void) argument;
    pack_begin (store, INT64_MAX);
    while (pack_slice (store) == 1) {
    }
    for (int i = 0; i < 200; i++)
        trim_slice (store);
    for (int level = 0; level < LEVELS; level++)
        if (store->since_s[level] > store->now_s)
            return -1;
    return 0;
}

static void
test_present_stays (void **state)
{
    int64_t now_s = s_now_s ();
    (void) state;
    s_init ();
    s_stored.options.max_bytes = 1;
    stored_start (&s_stored);
    for (int i = 0; i < 100; i++)
        s_write ("a", now_s - i * HOUR_S);
    assert_int_equal (store_run (s_stored.store, s_end_all, NULL), 0);
    s_write ("a", now_s + 1);
    assert_int_equal (store_run (s_stored.store, s_end_all, NULL), 0);
    stored_ask (&s_stored, "a", "", now_s - HOUR_S, now_s + 2, 3600);
    assert_true (s_stored.count >= 1
                 && s_stored.said[s_stored.count - 1].time_s
                      >= time_floor (now_s, HOUR_S));
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_rows_ahead),
      cmocka_unit_test (test_keys_behind),
      cmocka_unit_test (test_time_ends),
      cmocka_unit_test (test_ahead),
      cmocka_unit_test (test_open_ahead),
      cmocka_unit_test (test_due),
      cmocka_unit_test (test_since_ahead),
      cmocka_unit_test (test_too_old),
      cmocka_unit_test (test_present_stays),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
