/*  test_store_versions.c - databases of other versions: an older one is brought forward
    with all that it has, a newer one is refused and stays as it is

    golden/store-7.sql is what sqlite3's .dump says of a database of version 7, with the
    rows of s_fill in it: a gauge, a counter of Librato's, increments and a timer, every
    ten seconds for two hours that were packed, and for a quarter of an hour that was not.

    With ZB_STORE=FOLDER a store with these rows is left there, to make another such
    file.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "kept.h"
#include "sql.h"
#include "store_own.h"
#include "stored.h"

#include <stdio.h>
#include <sys/stat.h>

enum {
    PACKED_S = 2 * HOUR_S,
    SPAN_S = PACKED_S + HOUR_S / 4,
    STEP_S = 10,
    POINTS = SPAN_S / STEP_S
};

//  At an hour.
static const int64_t s_begin_s = INT64_C (1789999200);

static stored_t s_stored;
static char s_key[] = "a request";

//  Twenty minutes past the last hour, so that the two before it are packed.
static int64_t
s_wall_us (void)
{
    return (s_begin_s + PACKED_S + 20 * 60) * 1000000;
}

//  The i-th row of each series.
static void
s_rows (int i, store_row_t row[4])
{
    static const zb_bucket_t buckets[] = {{-200, 2}, {-100, 1}};
    int64_t at = s_begin_s + (int64_t) i * STEP_S;
    row[0] = stored_row ("load", "a", at, i % 100 + 0.25);
    row[1] = stored_row ("bytes", "a", at, i % 250 * 1000);
    row[2] = stored_row ("requests", NULL, at, 3);
    row[3] = stored_row ("latency", "b", at, 0.03);
    row[1].type = METRIC_COUNTER;
    row[2].type = METRIC_INCREMENT;
    row[3].type = METRIC_TIMER;
    row[3].point.n = 3;
    row[3].point.min = row[3].point.max = 0.01;
    row[3].point.buckets = buckets;
    row[3].point.bucket_count = 2;
}

static void
s_init (void)
{
    stored_init (&s_stored);
    s_stored.options.wall_us = s_wall_us;
}

//  A connection of our own, which the caller closes.
static sqlite3 *
s_database (void)
{
    char path[sizeof s_stored.folder + 16];
    sqlite3 *db;
    snprintf (path, sizeof path, "%s/store.db", s_stored.folder);
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    return db;
}

static void
s_fill (void)
{
    store_row_t row[4];
    sqlite3 *db;
    for (int i = 0; i < POINTS; i++) {
        s_rows (i, row);
        assert_int_equal (
          stored_write (&s_stored, row, 4, i ? NULL : s_key, NULL),
          BATCH_STORED);
    }
    //  a start packs
    stored_stop (&s_stored);
    stored_start (&s_stored);
    db = s_database ();
    while (sql_number (db, "SELECT count (*) FROM inbox")
           > 4 * (POINTS - PACKED_S / STEP_S))
        usleep (10000);
    sqlite3_close (db);
}

//  Makes the database that the golden file has.
static void
s_restore (const char *name)
{
    char path[4096];
    sqlite3 *db = s_database ();
    struct stat status;
    char *text;
    FILE *file;
    snprintf (path, sizeof path, "%s/test/unit/server/golden/%s",
              getenv ("ZB_SOURCE"), name);
    assert_int_equal (stat (path, &status), 0);
    text = (char *) calloc (1, (size_t) status.st_size + 1);
    file = fopen (path, "r");
    assert_non_null (file);
    assert_int_equal (fread (text, 1, (size_t) status.st_size, file),
                      status.st_size);
    fclose (file);
    assert_int_equal (sql_run (db, text), 0);
    sqlite3_close (db);
    free (text);
}

//  The sum of a series at a resolution, and of how many samples.
static double
s_sum (const char *name, const char *source, int64_t resolution_s, double *n)
{
    double sum = *n = 0;
    stored_ask (&s_stored, name, source, s_begin_s, s_begin_s + SPAN_S,
                resolution_s);
    for (size_t i = 0; i < s_stored.count; i++) {
        sum += s_stored.said[i].sum;
        *n += (double) s_stored.said[i].n;
    }
    return sum;
}

//  What was written comes back at all resolutions; seconds as they were.
static void
s_check (void)
{
    static const int64_t resolutions[] = {1, 60, 900};
    store_row_t row[4];
    double load = 0, n;
    for (int i = 0; i < POINTS; i++) {
        s_rows (i, row);
        load += row[0].point.sum;
    }
    for (int i = 0; i < 3; i++) {
        assert_true (s_sum ("load", "a", resolutions[i], &n) == load);
        assert_true (n == POINTS);
        assert_true (s_sum ("requests", "", resolutions[i], &n) == 3 * POINTS);
        assert_true (
          fabs (s_sum ("latency", "b", resolutions[i], &n) - 0.03 * POINTS)
          < 1e-9);
        assert_true (n == 3 * POINTS);
    }
    s_sum ("bytes", "a", 1, &n);
    assert_int_equal (s_stored.count, POINTS);
    for (int i = 0; i < POINTS; i++) {
        assert_int_equal (s_stored.said[i].time_s, s_begin_s + i * STEP_S);
        assert_true (s_stored.said[i].last == i % 250 * 1000);
    }
}

//  All of a database's tables and indices.
static char *
s_schema (void)
{
    sqlite3 *db = s_database ();
    sqlite3_stmt *row = sql_prepare (
      db, "SELECT group_concat (sql, char (10)) FROM (SELECT sql FROM "
          "sqlite_master WHERE sql NOT NULL ORDER BY name)");
    char *schema;
    assert_int_equal (sqlite3_step (row), SQLITE_ROW);
    schema = strdup (sql_text (row, 0));
    sqlite3_finalize (row);
    sqlite3_close (db);
    return schema;
}

//  What a statement says of the database.
static int64_t
s_number (const char *text)
{
    sqlite3 *db = s_database ();
    int64_t number = sql_number (db, text);
    sqlite3_close (db);
    return number;
}

static int64_t
s_version (void)
{
    return s_number ("PRAGMA user_version");
}

//  Annotations of before there was a bound of them.
static void
s_annotate (void)
{
    sqlite3 *db = s_database ();
    assert_int_equal (
      sql_run (
        db,
        "INSERT INTO document (kind, parent, time, changed, name, body)"
        " VALUES (1, 0, 1790000000, 0, 'deploys', '{}'),"
        " (2, 1, 1790000000, 0, 'v\u00e9', '{\"a\":1}'), (3, 0, 1790000000, 0, 's', '{}')"),
      0);
    sqlite3_close (db);
}

//  What the store says that annotations take.
static int64_t
s_annotations (void)
{
    return s_number ("SELECT bytes FROM annotations");
}

static void
test_an_older_one_is_brought_forward (void **state)
{
    char *fresh, *forward;
    int64_t version;
    store_row_t row[4];
    (void) state;
    s_init ();
    stored_start (&s_stored);
    stored_stop (&s_stored);
    fresh = s_schema ();
    version = s_version ();
    folder_remove (s_stored.folder);

    s_init ();
    s_restore ("store-7.sql");
    assert_int_equal (s_version (), 7);
    s_annotate ();
    for (int again = 0; again < 2; again++) {
        stored_start (&s_stored);
        s_check ();
        s_rows (0, row);
        assert_int_equal (stored_write (&s_stored, row, 4, s_key, NULL),
                          BATCH_REPEATED);
        row[0].point.time_s = s_begin_s + SPAN_S + again;
        assert_int_equal (stored_write (&s_stored, row, 1, NULL, NULL),
                          BATCH_STORED);
        stored_stop (&s_stored);
    }
    assert_int_equal (s_annotations (), 100 + 2 * 7 + 2 + 100 + 2 * 3 + 7);
    forward = s_schema ();
    assert_string_equal (forward, fresh);
    assert_int_equal (s_version (), version);
    folder_remove (s_stored.folder);
    free (forward);
    free (fresh);
}

static void
test_a_newer_one_is_refused (void **state)
{
    const char *why = NULL;
    char *before, *after;
    sqlite3 *db;
    (void) state;
    s_init ();
    db = s_database ();
    assert_int_equal (sql_run (db, "CREATE TABLE later (a);"
                                   "PRAGMA user_version = 1000"),
                      0);
    sqlite3_close (db);
    before = s_schema ();
    assert_null (store_open (&s_stored.options, &why));
    assert_string_equal (why, "store.db: is of a later version of zibrato");
    after = s_schema ();
    assert_string_equal (before, after);
    assert_int_equal (s_version (), 1000);
    folder_remove (s_stored.folder);
    free (before);
    free (after);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_an_older_one_is_brought_forward),
      cmocka_unit_test (test_a_newer_one_is_refused)};
    if (getenv ("ZB_STORE")) {
        s_init ();
        folder_remove (s_stored.folder);
        snprintf (s_stored.folder, sizeof s_stored.folder, "%s",
                  getenv ("ZB_STORE"));
        stored_start (&s_stored);
        s_fill ();
        stored_stop (&s_stored);
        return 0;
    }
    return cmocka_run_group_tests (tests, NULL, NULL);
}
