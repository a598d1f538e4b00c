/*  test_store.c - what is written is read, once, also after a restart

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clock.h"
#include "stored.h"

static int64_t
s_now_s (void)
{
    return wall_us () / 1000000;
}

//  Equal seconds add up; the name's case is nothing.
static void
test_adds_up (void **state)
{
    static stored_t stored;
    store_stats_t stats;
    int64_t at = s_now_s () - 100;
    store_row_t rows[] = {stored_row ("requests", "web", at, 4),
                          stored_row ("Requests", "web", at, 7),
                          stored_row ("requests", "db", at, 1),
                          stored_row ("requests", "web", at + 1, 2.5)};
    (void) state;
    stored_new (&stored);
    assert_int_equal (stored_write (&stored, rows, 4, NULL, NULL),
                      BATCH_STORED);
    assert_int_equal (stored_write (&stored, rows, 1, NULL, NULL),
                      BATCH_STORED);
    for (int again = 0; again < 2; again++) {
        assert_int_equal (
          stored_ask (&stored, "REQUESTS", "web", at, at + 10, 1), 1);
        assert_int_equal (stored.count, 2);
        assert_int_equal (stored.said[0].time_s, at);
        assert_int_equal (stored.said[0].n, 3);
        assert_true (stored.said[0].sum == 15 && stored.said[0].min == 4);
        assert_true (stored.said[0].max == 7);
        assert_true (stored.said[0].sum_squares == 16 + 49 + 16);
        assert_true (stored.said[1].sum == 2.5 && stored.said[1].n == 1);
        stored_ask (&stored, "requests", "db", at, at + 1, 1);
        assert_int_equal (stored.count, 1);
        store_stats (stored.store, &stats);
        assert_int_equal (stats.newest_s, at + 1);
        stored_stop (&stored);
        stored_start (&stored);
    }
    stored_end (&stored);
}

//  A store of the first version: its inbox has two columns for a key, a request's key
//  knows no refusals, and of gauges nobody knows who has sent them.
static void
test_first_version (void **state)
{
    static const char older[] =
      "CREATE TABLE older (time INTEGER NOT NULL, series INTEGER NOT NULL,"
      " sum REAL NOT NULL, n INTEGER, min REAL, max REAL, sum_squares REAL,"
      " last REAL, buckets BLOB, PRIMARY KEY (time, series))"
      " WITHOUT ROWID, STRICT;"
      "INSERT INTO older SELECT id >> 31, id & 0x7fffffff, sum, n, min, max,"
      " sum_squares, last, buckets FROM inbox;"
      "DROP TABLE inbox; ALTER TABLE older RENAME TO inbox;"
      "ALTER TABLE metric DROP COLUMN posted;"
      "ALTER TABLE request DROP COLUMN refused;"
      "DROP TABLE annotations; DROP TRIGGER annotation_new;"
      "DROP TRIGGER annotation_changed; DROP TRIGGER annotation_gone;"
      "PRAGMA user_version = 7";
    static stored_t stored;
    int64_t at = s_now_s () - 100;
    store_row_t rows[] = {stored_row ("a", "web", at, 4),
                          stored_row ("b", "web", at, 7),
                          stored_row ("b", "web", at + 1, 9)};
    char path[128];
    sqlite3 *db;
    (void) state;
    stored_new (&stored);
    stored_write (&stored, rows, 3, NULL, NULL);
    stored_write (&stored, rows, 3, "k", NULL);
    stored_stop (&stored);
    snprintf (path, sizeof path, "%s/store.db", stored.folder);
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, older, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close (db);
    stored_start (&stored);
    assert_int_equal (stored_write (&stored, rows, 3, "k", NULL),
                      BATCH_REPEATED);
    rows[0].type = METRIC_INCREMENT;
    stored_write (&stored, rows, 3, NULL, NULL);
    stored_ask (&stored, "b", "web", at, at + 10, 1);
    assert_int_equal (stored.count, 2);
    assert_true (stored.said[0].n == 3 && stored.said[0].sum == 21);
    assert_true (stored.said[1].time_s == at + 1 && stored.said[1].sum == 27);
    stored_ask (&stored, "a", "web", at, at + 10, 1);
    assert_true (stored.count == 1 && stored.said[0].sum_squares == 48);
    stored_end (&stored);
}

static void
test_buckets (void **state)
{
    static stored_t stored;
    static const zb_bucket_t first[] = {{-957, 1}, {5, 2}}, second[] = {{5, 3}};
    int64_t at = s_now_s () - 100;
    store_row_t row = stored_row ("latency", NULL, at, 4);
    (void) state;
    stored_new (&stored);
    row.type = METRIC_TIMER;
    row.point.n = 3;
    row.point.buckets = first;
    row.point.bucket_count = 2;
    stored_write (&stored, &row, 1, NULL, NULL);
    row.point.buckets = second;
    row.point.bucket_count = 1;
    stored_write (&stored, &row, 1, NULL, NULL);
    stored_ask (&stored, "latency", "", at, at + 1, 1);
    assert_int_equal (stored.count, 1);
    assert_int_equal (stored.said[0].n, 6);
    assert_int_equal (stored.said[0].bucket_count, 2);
    assert_int_equal (stored.said[0].buckets[0].index, -957);
    assert_int_equal (stored.said[0].buckets[1].count, 5);
    stored_end (&stored);
}

//  A key is kept with its rows, and only with them.
static void
test_keys (void **state)
{
    static stored_t stored;
    int64_t at = s_now_s ();
    store_row_t row = stored_row ("a", NULL, at, 1);
    store_row_t rows[] = {row, stored_row ("b", NULL, 1, 1)};
    unsigned char refused[2] = {0};
    batch_t batch = {.rows = rows,
                     .count = 2,
                     .key = "k",
                     .key_size = 1,
                     .digest = 7,
                     .whole = true,
                     .refused = refused};
    (void) state;
    stored_new (&stored);
    stored.options.max_age_s = 1000;
    stored_stop (&stored);
    stored_start (&stored);
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_REFUSED);
    assert_int_equal (batch.refused_count, 1);
    assert_int_equal (refused[0], ROW_TAKEN);
    assert_int_equal (refused[1], ROW_OLD);
    assert_int_equal (stored_ask (&stored, "a", "", at, at + 1, 1), 1);
    assert_int_equal (stored.count, 0);
    batch.count = 1;
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_STORED);
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_REPEATED);
    batch.digest = 8;
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_CONFLICT);
    stored_ask (&stored, "a", "", at, at + 1, 1);
    assert_true (stored.count == 1 && stored.said[0].n == 1);
    stored_end (&stored);
}

//  A request that comes again is told the same, also of rows that were refused, and
//  after a restart.
static void
test_repeated (void **state)
{
    enum { ROWS = 700 };
    static stored_t stored;
    static store_row_t rows[ROWS];
    static unsigned char first[ROWS], again[ROWS];
    batch_t batch = {
      .rows = rows, .count = ROWS, .key = "k", .key_size = 1, .refused = first};
    (void) state;
    stored_new (&stored);
    for (int i = 0; i < ROWS; i++) {
        rows[i] = stored_row ("a", NULL, s_now_s (), 1);
        rows[i].point.n = i > 400 && s_any () % 3 ? 0 : 1;
        rows[i].type = s_any () % 7 || !i ? METRIC_GAUGE : METRIC_TIMER;
    }
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_STORED);
    assert_true (batch.refused_count > 200);
    for (int restarted = 0; restarted < 2; restarted++) {
        size_t count = batch.refused_count;
        batch.refused = again;
        batch.refused_count = 0;
        memset (again, restarted ? ROW_LONG : ROW_TAKEN, ROWS);
        store_write (stored.store, &batch);
        assert_int_equal (batch.result, BATCH_REPEATED);
        assert_int_equal (batch.refused_count, count);
        assert_memory_equal (again, first, ROWS);
        stored_stop (&stored);
        stored_start (&stored);
    }
    stored_end (&stored);
}

static void
test_refusals (void **state)
{
    static stored_t stored;
    int64_t at = s_now_s ();
    store_row_t rows[] = {
      stored_row ("a", NULL, at, 1),         stored_row ("A", NULL, at, 1),
      stored_row ("a", NULL, at, INFINITY),  stored_row ("a", NULL, at, 5),
      stored_row ("a", NULL, at + 90000, 1), stored_row ("b", NULL, at, 1),
      stored_row ("c", NULL, at, 1),         stored_row ("", NULL, at, 1)};
    static const unsigned char expected[] = {ROW_TAKEN,  ROW_TYPE,  ROW_NUMBER,
                                             ROW_TAKEN,  ROW_AHEAD, ROW_TAKEN,
                                             ROW_SERIES, ROW_LONG};
    unsigned char refused[8] = {0};
    store_stats_t stats;
    (void) state;
    stored_new (&stored);
    stored_stop (&stored);
    stored.options.max_series = 2;
    stored_start (&stored);
    rows[1].type = METRIC_TIMER;
    assert_int_equal (stored_write (&stored, rows, 8, NULL, refused),
                      BATCH_STORED);
    assert_memory_equal (refused, expected, 8);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.received, 8);
    assert_int_equal (stats.stored, 3);
    assert_int_equal (stats.refused, 5);
    assert_int_equal (stats.series, 2);
    assert_int_equal (stats.newest_s, at);
    stored_end (&stored);
}

//  What is posted is a counter of Librato's or is not; a program's type is one of four.
static void
test_types_that_fit (void **state)
{
    static const struct {
        metric_type_t kept, row;
        bool posted;
        row_result_t result;
    } cases[] = {{METRIC_INCREMENT, METRIC_GAUGE, true, ROW_TAKEN},
                 {METRIC_TIMER, METRIC_GAUGE, true, ROW_TAKEN},
                 {METRIC_GAUGE, METRIC_TIMER, true, ROW_TAKEN},
                 {METRIC_COUNTER, METRIC_COUNTER, true, ROW_TAKEN},
                 {METRIC_COUNTER, METRIC_GAUGE, true, ROW_TYPE},
                 {METRIC_COUNTER, METRIC_TIMER, true, ROW_TYPE},
                 {METRIC_INCREMENT, METRIC_COUNTER, true, ROW_TYPE},
                 {METRIC_TIMER, METRIC_COUNTER, true, ROW_TYPE},
                 {METRIC_INCREMENT, METRIC_GAUGE, false, ROW_TYPE},
                 {METRIC_TIMER, METRIC_GAUGE, false, ROW_TYPE}};
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static stored_t stored;
        int64_t at = s_now_s ();
        store_row_t row = stored_row ("a", NULL, at, 5);
        unsigned char refused = 0;
        bool taken = cases[i].result == ROW_TAKEN;
        stored_new (&stored);
        row.type = cases[i].kept;
        stored_write (&stored, &row, 1, NULL, NULL);
        row.type = cases[i].row;
        row.posted = cases[i].posted;
        stored_write (&stored, &row, 1, NULL, &refused);
        assert_int_equal (refused, cases[i].result);
        stored_ask (&stored, "a", "", at, at + 1, 1);
        assert_true (stored.said[0].sum == (taken ? 10 : 5));
        stored_end (&stored);
    }
}

//  What was only posted is what the first program says, which then holds, also after a
//  restart; what is refused as a whole settles nothing.
static void
test_program_settles (void **state)
{
    static const metric_type_t types[] = {METRIC_INCREMENT, METRIC_TIMER,
                                          METRIC_GAUGE};
    (void) state;
    for (int i = 0; i < 6; i++) {
        static stored_t stored;
        int64_t at = s_now_s ();
        metric_type_t type = types[i % 3], other = types[(i + 1) % 3];
        store_row_t rows[] = {stored_row ("a", i / 3 ? "x" : NULL, at, 5),
                              stored_row ("a", "y", at, 1)};
        unsigned char refused[2] = {0};
        batch_t batch = {
          .rows = rows, .count = 2, .whole = true, .refused = refused};
        metric_t metric;
        stored_new (&stored);
        rows[0].posted = true;
        stored_write (&stored, rows, 1, NULL, NULL);
        rows[0].posted = false;
        rows[0].type = type;
        rows[1].type = other;
        store_write (stored.store, &batch);
        assert_int_equal (batch.result, BATCH_REFUSED);
        assert_int_equal (reader_metric (stored.reader, "a", &metric), 1);
        assert_int_equal (metric.type, METRIC_GAUGE);
        memset (refused, 0, sizeof refused);
        stored_write (&stored, rows, 2, NULL, refused);
        assert_int_equal (refused[0], ROW_TAKEN);
        assert_int_equal (refused[1], ROW_TYPE);
        stored_stop (&stored);
        stored_start (&stored);
        stored_write (&stored, rows, 2, NULL, refused);
        assert_int_equal (refused[0], ROW_TAKEN);
        assert_int_equal (refused[1], ROW_TYPE);
        assert_int_equal (reader_metric (stored.reader, "a", &metric), 1);
        assert_int_equal (metric.type, type);
        stored_ask (&stored, "a", i / 3 ? "x" : "", at, at + 1, 1);
        assert_true (stored.count == 1 && stored.said[0].sum == 15);
        stored_end (&stored);
    }
}

//  What a worker sends again without those that are refused is counted when it comes.
static void
test_rows_are_counted_once (void **state)
{
    static stored_t stored;
    int64_t at = s_now_s ();
    store_row_t rows[] = {stored_row ("a", NULL, at, 1),
                          stored_row ("b", NULL, at, 1),
                          stored_row ("b", NULL, 1, 1)};
    unsigned char refused[3] = {0};
    batch_t batch = {.rows = rows,
                     .count = 3,
                     .whole = true,
                     .comes_again = true,
                     .refused = refused};
    store_stats_t stats;
    (void) state;
    stored_new (&stored);
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_REFUSED);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.received, 1);
    assert_int_equal (stats.refused, 1);
    batch.count = 2;
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_STORED);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.received, 3);
    assert_int_equal (stats.stored, 2);
    assert_int_equal (stats.refused, 1);
    stored_end (&stored);
}

//  What a refused batch would have made is not there.
static void
test_refused_makes_nothing (void **state)
{
    static stored_t stored;
    int64_t at = s_now_s ();
    store_row_t rows[] = {stored_row ("a", NULL, at, 1),
                          stored_row ("a", "x", at, 1)};
    unsigned char refused[2] = {0};
    batch_t batch = {
      .rows = rows, .count = 2, .whole = true, .refused = refused};
    metric_t metric;
    store_stats_t stats;
    (void) state;
    stored_new (&stored);
    rows[1].type = METRIC_COUNTER;
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_REFUSED);
    assert_int_equal (reader_metric (stored.reader, "a", &metric), 0);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.metrics, 0);
    assert_int_equal (stats.series, 0);
    rows[1].type = METRIC_GAUGE;
    store_write (stored.store, &batch);
    assert_int_equal (batch.result, BATCH_STORED);
    assert_int_equal (reader_metric (stored.reader, "a", &metric), 1);
    assert_int_equal (metric.last_s, at);
    stored_end (&stored);
}

static int
s_name (void *argument, const metric_t *metric)
{
    strcat ((char *) argument, metric->name);
    strcat ((char *) argument, " ");
    return 0;
}

static void
test_metrics (void **state)
{
    static stored_t stored;
    static const char *const names[] = {"web.requests", "Web.errors",
                                        "db_requests", "db.100%"};
    char said[256] = "";
    store_row_t row;
    metric_t metric;
    (void) state;
    stored_new (&stored);
    for (int i = 0; i < 4; i++) {
        row = stored_row (names[i], NULL, s_now_s (), 1);
        stored_write (&stored, &row, 1, NULL, NULL);
    }
    assert_int_equal (reader_metrics (stored.reader, "", 1, 2, s_name, said),
                      4);
    assert_string_equal (said, "db_requests Web.errors ");
    *said = 0;
    assert_int_equal (
      reader_metrics (stored.reader, " quest  WEB", 0, 9, s_name, said), 1);
    assert_string_equal (said, "web.requests ");
    *said = 0;
    assert_int_equal (reader_metrics (stored.reader, "_", 0, 9, s_name, said),
                      1);
    assert_int_equal (reader_metrics (stored.reader, "%", 0, 9, s_name, said),
                      1);
    assert_string_equal (said, "db_requests db.100% ");
    //  Made and ended by themselves
    assert_int_equal (store_metric_new (stored.store, "n", METRIC_TIMER), 1);
    assert_int_equal (store_metric_new (stored.store, "N", METRIC_GAUGE), 0);
    assert_int_equal (reader_metric (stored.reader, "n", &metric), 1);
    assert_int_equal (metric.type, METRIC_TIMER);
    assert_string_equal (metric.name, "n");
    assert_null (metric.display_name);
    assert_int_equal (reader_metric (stored.reader, "web.requests", &metric),
                      1);
    assert_int_equal (store_metrics_end (stored.store, &metric.id, 1), 0);
    assert_int_equal (reader_metric (stored.reader, "web.requests", &metric),
                      0);
    row = stored_row ("web.requests", NULL, s_now_s (), 1);
    row.type = METRIC_COUNTER;
    assert_int_equal (stored_write (&stored, &row, 1, NULL, NULL),
                      BATCH_STORED);
    stored_ask (&stored, "web.requests", "", 0, s_now_s () + 1, 60);
    assert_int_equal (stored.count, 1);
    stored_end (&stored);
}

//  The second one would not know of the first one's series.
static void
test_one_writer (void **state)
{
    static stored_t stored;
    const char *why = NULL;
    (void) state;
    stored_new (&stored);
    assert_null (store_open (&stored.options, &why));
    assert_string_equal (why, "another process has the store");
    stored_end (&stored);
}

//  Many metrics end at once, in more than one transaction; the others stay.
static int
s_note_metric (void *argument, const metric_t *metric)
{
    int64_t **at = (int64_t **) argument;
    if (metric->name[1] != '7')
        *(*at)++ = metric->id;
    return 0;
}

static void
test_many_end (void **state)
{
    enum { METRICS = 5000 };
    static stored_t stored;
    static store_row_t rows[METRICS * 2];
    static char names[METRICS][16];
    static int64_t ids[METRICS];
    int64_t *at = ids, now_s = s_now_s ();
    store_stats_t stats;
    size_t ended;
    (void) state;
    stored_new (&stored);
    for (int i = 0; i < METRICS; i++) {
        snprintf (names[i], sizeof *names, "m%d", i);
        rows[2 * i] = stored_row (names[i], "a", now_s, 1);
        rows[2 * i + 1] = stored_row (names[i], "b", now_s, 1);
    }
    stored_write (&stored, rows, METRICS * 2, NULL, NULL);
    reader_metrics (stored.reader, "", 0, METRICS, s_note_metric, &at);
    ended = (size_t) (at - ids);
    assert_in_range (ended, METRICS / 2, METRICS - 1);
    assert_int_equal (store_metrics_end (stored.store, ids, ended), 0);
    store_stats (stored.store, &stats);
    assert_int_equal (stats.metrics, METRICS - ended);
    assert_int_equal (stats.series, 2 * (METRICS - ended));
    stored_ask (&stored, "m7", "b", now_s, now_s + 1, 1);
    assert_int_equal (stored.count, 1);
    stored_ask (&stored, "m8", "b", now_s, now_s + 1, 1);
    assert_int_equal (stored.count, 0);
    stored_end (&stored);
}

//  What cannot be read is not taken for what is not there.
static int
s_interrupt (void *argument, const series_t *series)
{
    (void) series;
    sqlite3_interrupt (reader_db ((reader_t *) argument));
    return 0;
}

static void
test_unreadable (void **state)
{
    static stored_t stored;
    store_row_t rows[] = {stored_row ("m", "a", s_now_s (), 1),
                          stored_row ("m", "b", s_now_s (), 1)};
    metric_t metric;
    (void) state;
    stored_new (&stored);
    stored_write (&stored, rows, 2, NULL, NULL);
    assert_int_equal (reader_metric (stored.reader, "m", &metric), 1);
    assert_int_equal (
      reader_series (stored.reader, metric.id, s_interrupt, stored.reader), -1);
    sqlite3_exec (reader_db (stored.reader), "BEGIN", NULL, NULL, NULL);
    assert_int_equal (reader_metric (stored.reader, "m", &metric), -1);
    sqlite3_exec (reader_db (stored.reader), "COMMIT", NULL, NULL, NULL);
    assert_int_equal (reader_metric (stored.reader, "n", &metric), 0);
    stored_end (&stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_adds_up),
      cmocka_unit_test (test_first_version),
      cmocka_unit_test (test_buckets),
      cmocka_unit_test (test_keys),
      cmocka_unit_test (test_repeated),
      cmocka_unit_test (test_refusals),
      cmocka_unit_test (test_types_that_fit),
      cmocka_unit_test (test_program_settles),
      cmocka_unit_test (test_rows_are_counted_once),
      cmocka_unit_test (test_refused_makes_nothing),
      cmocka_unit_test (test_metrics),
      cmocka_unit_test (test_one_writer),
      cmocka_unit_test (test_many_end),
      cmocka_unit_test (test_unreadable),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
