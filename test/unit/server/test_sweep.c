/*  test_sweep.c - do names go when nothing is left of what they name, and before points
    have to?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clocked.h"
#include "documents.h"
#include "kept.h"
#include "stored.h"

enum { DAY_S = 24 * HOUR_S, CHURN = 3000 };

static stored_t s_stored;

static int64_t
s_now_s (void)
{
    return clocked_wall_us () / 1000000;
}

static void
s_write (const char *name, const char *source)
{
    store_row_t row = stored_row (name, source, s_now_s (), 1);
    assert_int_equal (stored_write (&s_stored, &row, 1, NULL, NULL),
                      BATCH_STORED);
}

static void
s_document (document_kind_t kind, const char *name, const char *body)
{
    document_t document = {
      .kind = kind, .name = strdup (name), .body = cJSON_Parse (body)};
    assert_non_null (document.body);
    assert_int_equal (documents_new (s_stored.store, &document), DOCUMENT_DONE);
    document_clear (&document);
}

static int
s_describe (sqlite3 *db, void *argument)
{
    (void) argument;
    return sqlite3_exec (db,
                         "UPDATE metric SET display_name = 'x'"
                         " WHERE name = 'described'",
                         NULL, NULL, NULL)
               == SQLITE_OK
             ? 0
             : -1;
}

//  Days go by, in each of which one series has a row.
static void
s_days (int count)
{
    for (int day = 0; day < count; day++) {
        clocked_ahead_s += DAY_S;
        store_run (s_stored.store, clocked_tend, NULL);
        s_write ("churn", "alive");
    }
    store_run (s_stored.store, clocked_tend, NULL);
}

static bool
s_is_there (const char *name)
{
    metric_t metric;
    int rc = reader_metric (s_stored.reader, name, &metric);
    assert_true (rc >= 0);
    return rc == 1;
}

static void
s_begin (void)
{
    stored_init (&s_stored);
    clocked_ahead_s = 0;
    s_stored.options.wall_us = clocked_wall_us;
    s_stored.options.keep_raw_s = 6 * HOUR_S;
    s_stored.options.keep_60_s = 12 * HOUR_S;
    s_stored.options.keep_900_s = DAY_S;
    s_stored.options.keep_3600_s = 5 * DAY_S;
    stored_start (&s_stored);
}

static void
s_write_churn (void)
{
    static store_row_t rows[CHURN];
    static char sources[CHURN][16];
    for (int i = 0; i < CHURN; i++) {
        snprintf (sources[i], sizeof *sources, "pod-%d", i);
        rows[i] = stored_row ("churn", sources[i], s_now_s (), 1);
    }
    assert_int_equal (stored_write (&s_stored, rows, CHURN, NULL, NULL),
                      BATCH_STORED);
}

//  What a user has described, or a chart or an alert names, in any case.
static const char *const s_named[] = {"described", "Charted", "composed",
                                      "alerted", "made"};

enum { NAMED = sizeof s_named / sizeof *s_named };

static void
s_name_some (void)
{
    for (int i = 0; i < NAMED - 1; i++)
        s_write (s_named[i], "a");
    assert_int_equal (store_metric_new (s_stored.store, "made", METRIC_GAUGE),
                      1);
    assert_int_equal (store_change (s_stored.store, s_describe, NULL), 0);
    s_document (DOCUMENT_CHART, "one",
                "{\"streams\":[{\"metric\":\"charted\"}]}");
    s_document (
      DOCUMENT_CHART, "two",
      "{\"streams\":[{\"composite\":\"s(\\\"composed\\\",\\\"*\\\")\"}]}");
    s_document (DOCUMENT_ALERT, "three",
                "{\"conditions\":[{\"metric_name\":\"alerted\"}]}");
}

static void
s_check_left (void)
{
    store_stats_t stats;
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.series, 1);
    assert_int_equal (stats.metrics, NAMED + 1);
    for (int i = 0; i < NAMED; i++)
        assert_true (s_is_there (s_named[i]));
    assert_false (s_is_there ("plain"));
    assert_false (s_is_there ("chart"));
    assert_int_equal (stored_series (&s_stored, "churn", "pod-7"), 0);
    assert_true (stored_series (&s_stored, "churn", "alive") > 0);
}

static void
test_names_go (void **state)
{
    store_row_t row;
    unsigned char refused = 0;
    int64_t began_s, old_id, new_id;
    (void) state;
    s_begin ();
    began_s = s_now_s ();
    s_write ("plain", "a");
    s_write ("chart", "a");
    s_name_some ();
    s_write_churn ();
    s_days (4);
    old_id = stored_series (&s_stored, "churn", "pod-7");
    assert_true (old_id > 0 && s_is_there ("plain"));
    s_days (12);
    s_check_left ();
    stored_stop (&s_stored);
    s_stored.options.max_series = 2;
    stored_start (&s_stored);
    store_run (s_stored.store, clocked_tend, NULL);
    s_check_left ();
    //  There is room for one, which has an ID that nobody had, and none of those points.
    s_write ("churn", "pod-7");
    new_id = stored_series (&s_stored, "churn", "pod-7");
    assert_true (new_id > old_id + CHURN - 8);
    stored_ask (&s_stored, "churn", "pod-7", began_s - DAY_S, s_now_s () + 1,
                1);
    assert_int_equal (s_stored.count, 1);
    row = stored_row ("churn", "pod-8", s_now_s (), 1);
    stored_write (&s_stored, &row, 1, NULL, &refused);
    assert_int_equal (refused, ROW_SERIES);
    stored_end (&s_stored);
}

//  A reader that is inside meanwhile sees what there was.
static void
test_beside_a_reader (void **state)
{
    int64_t id;
    (void) state;
    s_begin ();
    s_write_churn ();
    id = stored_series (&s_stored, "churn", "pod-7");
    clocked_ahead_s = 11 * DAY_S;
    s_write ("churn", "alive");
    assert_int_equal (reader_begin (s_stored.reader), 0);
    s_days (2);
    assert_int_equal (stored_series (&s_stored, "churn", "pod-7"), id);
    reader_end (s_stored.reader);
    assert_int_equal (stored_series (&s_stored, "churn", "pod-7"), 0);
    stored_end (&s_stored);
}

//  --------------------------------------------------------------------------
//  Events

enum { EVENTS = 1200 };  //  more than go at once

//  All begin now. The last one ends a month later.
static int
s_add_events (sqlite3 *db, void *argument)
{
    int64_t now_s = s_now_s ();
    char text[512];
    (void) argument;
    snprintf (text, sizeof text,
              "WITH RECURSIVE n (i) AS"
              " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
              " INSERT INTO document (kind, parent, time, changed, name, body)"
              " SELECT %d, 1, %lld, %lld, 'x', iif (i = %d,"
              " '{\"end_time\":%lld}', '{}') FROM n",
              EVENTS, DOCUMENT_EVENT, (long long) now_s, (long long) now_s,
              EVENTS, (long long) now_s + 30 * DAY_S);
    return sqlite3_exec (db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static void
s_count (void *argument, const document_t *document)
{
    (void) document;
    ++*(int *) argument;
}

static int
s_events (void)
{
    documents_query_t query = {
      .kind = DOCUMENT_EVENT, .parent = 1, .name = "", .length = EVENTS};
    int count = 0;
    documents_each (s_stored.reader, &query, s_count, &count);
    return count;
}

static void
test_events_go (void **state)
{
    (void) state;
    s_begin ();
    assert_int_equal (store_change (s_stored.store, s_add_events, NULL), 0);
    s_days (4);
    assert_int_equal (s_events (), EVENTS);
    s_days (12);
    assert_int_equal (s_events (), 1);
    s_days (24);
    assert_int_equal (s_events (), 0);
    stored_end (&s_stored);
}

//  --------------------------------------------------------------------------
//  Too many keys of requests

enum { KEYS = 40000, MOST = 8 << 20 };

//  One a second, the oldest first.
static int
s_add_keys (sqlite3 *db, void *argument)
{
    char text[512];
    snprintf (text, sizeof text,
              "WITH RECURSIVE n (i) AS"
              " (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
              " INSERT INTO request (key, digest, time)"
              " SELECT randomblob (204), 0, %lld - %d + i FROM n",
              KEYS - 1, (long long) *(int64_t *) argument, KEYS);
    return sqlite3_exec (db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static int64_t
s_number (const char *text)
{
    sqlite3_stmt *row;
    int64_t number;
    assert_int_equal (
      sqlite3_prepare_v2 (reader_db (s_stored.reader), text, -1, &row, NULL),
      SQLITE_OK);
    assert_int_equal (sqlite3_step (row), SQLITE_ROW);
    number = sqlite3_column_int64 (row, 0);
    sqlite3_finalize (row);
    return number;
}

//  They end before points do, the oldest of them.
static void
test_keys_end_first (void **state)
{
    int64_t now_s;
    store_stats_t stats;
    (void) state;
    stored_init (&s_stored);
    clocked_ahead_s = 0;
    s_stored.options.wall_us = clocked_wall_us;
    s_stored.options.max_bytes = MOST;
    stored_start (&s_stored);
    now_s = s_now_s ();
    for (int i = 1; i < 5; i++) {
        clocked_ahead_s = -i * HOUR_S;
        s_write_churn ();
    }
    clocked_ahead_s = 0;
    assert_int_equal (store_change (s_stored.store, s_add_keys, &now_s), 0);
    store_run (s_stored.store, clocked_tend, NULL);
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.dropped, 0);
    assert_true (stats.bytes <= MOST);
    assert_in_range (s_number ("SELECT count (*) FROM request"), KEYS / 20,
                     KEYS / 5);
    assert_true (s_number ("SELECT max (time) FROM request") >= now_s - 1);
    assert_true (s_number ("SELECT min (time) FROM request")
                 > now_s - KEYS / 5);
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_names_go),
      cmocka_unit_test (test_events_go),
      cmocka_unit_test (test_beside_a_reader),
      cmocka_unit_test (test_keys_end_first),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
