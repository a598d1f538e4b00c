/*  test_influx.c - what `zibrato influx` stores in InfluxDB and VictoriaMetrics

    Real servers; what is compared is read back by their own query API.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "stores.h"

#include "zibrato_backend.h"

//  The database of InfluxDB that has the test's name, and the worker's options.
static store_t
s_influxdb (server_t *server, const char *database, int port)
{
    influxdb_create (server, database);
    return (store_t){.server = server,
                     .mode = "influx",
                     .rows = influxdb_rows,
                     .database = database,
                     .options = s_list_keep (LIST (
                       "--flush", "1", "--url",
                       text_new ("http://127.0.0.1:%d/write?db=%s",
                                 port ? port : server->port[0], database)))};
}

static void
influxdb_has_the_programs_totals_after_kills (void)
{
    store_t store = s_influxdb (server_start (&server_influxdb), "kills", 0);
    store_survives_kills (&store, NULL);
}

//  Version 2's path, which VictoriaMetrics takes.
static void
victoriametrics_has_the_programs_totals_after_kills (void)
{
    server_t *server = server_start (&server_victoriametrics);
    store_t store = {.server = server,
                     .mode = "influx",
                     .rows = victoriametrics_rows,
                     .options = s_list_keep (LIST (
                       "--flush", "1", "--url",
                       server_url (server, "/api/v2/write?org=o&bucket=b")))};
    store_survives_kills (&store, NULL);
}

//  The request was taken in, and its answer is lost: it comes again, and nothing is
//  there twice.
static void
s_loses_answers (store_t *store, int server_port)
{
    enum { LOST = 3, SUM = 200 };
    cutter_t *cutter = cutter_start (server_port);
    broker_t *broker = broker_start ();
    const char *url = text_new ("%s", store->options[1]);
    store->options = s_list_keep (
      LIST ("--url", text_new ("http://127.0.0.1:%d%s", cutter->port, url),
            "--flush", "1"));
    store_work (store, broker, NULL);
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < SUM; i++) {
        if (i % (SUM / LOST) == 1)
            cutter->to_cut++;
        publisher_send (publisher, store_counter_line ("lost", 1, "s"));
        poll_pause ();
    }
    store_await (store, "s", "lost", SUM);
    store_end (store);
    store_check (store, "s", "lost", SUM);
    assert_true (cutter->cuts > 0 && cutter->to_cut == 0);
    assert_true (process_lines (store->worker, "event=retry") > 0);
    cutter_end (cutter);
}

static void
a_lost_answer_changes_nothing_at_influxdb (void)
{
    server_t *server = server_shared (&server_influxdb);
    store_t store = s_influxdb (server, "answers", 0);
    store.options = LIST ("--url", "/write?db=answers");
    s_loses_answers (&store, server->port[0]);
}

static void
a_lost_answer_changes_nothing_at_victoriametrics (void)
{
    server_t *server = server_shared (&server_victoriametrics);
    store_t store = {.server = server,
                     .mode = "influx",
                     .rows = victoriametrics_rows,
                     .options = LIST ("--url", "/write?db=")};
    s_loses_answers (&store, server->port[0]);
}

//  A field that was an integer once takes no float.
static void
one_bad_row_among_300_takes_none_with_it (void)
{
    enum { GOOD = 299, REQUESTS = 6 };
    server_t *server = server_shared (&server_influxdb);
    cutter_t *cutter = cutter_start (server->port[0]);
    store_t store = s_influxdb (server, "bad", cutter->port);
    broker_t *broker = broker_start ();
    char *text =
      http (server_url (server, "/write?db=bad"), "bad,source=other value=1i");
    free (text);
    assert_non_null (text);
    store_work (&store, broker, LIST ("--spool", temporary_path ("spool")));
    void *publisher = publisher_new (broker, "");
    char *lines = text_new ("%s", store_counter_line ("bad", 7, "s"));
    for (int i = 0; i < GOOD; i++)
        lines =
          text_new ("%s%s", lines,
                    store_counter_line (text_new ("good.%d", i), i + 1, "s"));
    publisher_send (publisher, lines);
    process_await (store.worker, "event=rejected");
    store_await (&store, "s", text_new ("good.%d", GOOD - 1), GOOD);
    int answers = cutter->answers;
    store_end (&store);
    for (int i = 0; i < GOOD; i++)
        store_check (&store, "s", text_new ("good.%d", i), i + 1);
    store_check (&store, "other", "bad", 1);
    assert_int_equal (process_lines (store.worker, "event=rejected"), 1);
    process_await (store.worker, "already exists as type integer");
    spool_check_set_aside (temporary_path ("spool"), "bad|s|");
    if (answers > REQUESTS)
        fail_msg ("%d requests", answers);
    cutter_end (cutter);
}

extern const zb_backend_t zb_influx_backend;

//  Of rows that are older than what is kept those are named, at once.
static void
rows_that_are_too_old_are_known_by_one_answer (void)
{
    enum { ROWS = 300 };
    server_t *server = server_shared (&server_influxdb);
    store_t store = s_influxdb (server, "old", 0);
    zb_row_t rows[ROWS];
    zb_reply_t reply = {.at_fault = harness_keep (calloc (1, ROWS))};
    int64_t now = time (NULL);
    free (
      http (server_url (server, "/query"),
            text_new ("q=%s", url_escape ("create retention policy hour on old "
                                          "duration 1h replication 1 shard "
                                          "duration 1h default"))));
    for (int i = 0; i < ROWS; i++)
        rows[i] =
          (zb_row_t){.type = ZB_TYPE_COUNTER,
                     .name = text_new ("row.%d", i),
                     .source = "s",
                     .time_ns = (now - (i % 3 ? 0 : 10800 + i)) * 1000000000,
                     .value = 1,
                     .count = 1};
    *zb_influx_backend.options[0].text = store.options[3];
    assert_null (zb_influx_backend.check ());
    assert_int_equal (zb_influx_backend.deliver (rows, ROWS, &reply),
                      ZB_REFUSED);
    assert_non_null (strstr (reply.reason, "beyond retention policy"));
    for (int i = 0; i < ROWS; i++)
        assert_int_equal (reply.at_fault[i], i % 3 == 0);
    zb_influx_backend.close ();
    for (int i = 0; i < ROWS; i += 50)
        store_check (&store, "s", text_new ("row.%d", i), i % 3 ? 1 : 0);
}

//  What contrib/docs/influx.md says that becomes of a byte in a name's midst.
static char
s_stored_as (int byte)
{
    return (char) (byte >= 0x80 ? '_' : byte);
}

//  Each byte that a name, a tag's value and a source may have: in their midst, and
//  where what follows makes an escape of a backslash.
static void
s_send_bytes (void *publisher)
{
    for (int byte = 0x20; byte <= 0xff; byte++) {
        if (byte == '|' || byte == 0x7f)
            continue;
        publisher_send (publisher, byte == ';'
                                     ? store_counter_line ("n;e", 1, "s;e")
                                     : store_counter_line (
                                       text_new ("n%ce;k=t%ce", byte, byte), 1,
                                       text_new ("s%ce", byte)));
        publisher_send (publisher,
                        store_counter_line (text_new ("%c,%c", byte, byte), 1,
                                            text_new ("%c %c", byte, byte)));
    }
}

static double
s_stored (const cJSON *rows, const char *name, const char *source,
          const char *tag)
{
    const cJSON *row;
    double sum = 0;
    cJSON_ArrayForEach (row, rows) if (row_is (row, "name", name)
                                       && row_is (row, "source", source)
                                       && row_is (row, "k", tag)) sum +=
      row_number (row, "value");
    return sum;
}

//  Bytes that are no UTF-8 are one name, and so are '_' and, in front, '#' and a
//  backslash: it stands before a comma.
static void
s_check_bytes (const cJSON *rows)
{
    for (int byte = 0x20; byte <= 0xff; byte++) {
        char c = s_stored_as (byte);
        double same = c == '_' ? 0x80 + 1 : 1;
        if (byte == '|' || byte == 0x7f)
            continue;
        double came = byte == ';'
                        ? s_stored (rows, "n;e", "s;e", NULL)
                        : s_stored (rows, text_new ("n%ce", c),
                                    text_new ("s%ce", c), text_new ("t%ce", c));
        if (came != same)
            fail_msg ("byte %02x: %g stored, expected %g", (unsigned) byte,
                      came, same);
    }
    assert_true (s_stored (rows, "_,_", "_ _", NULL) == 0x80 + 2);
    assert_true (s_stored (rows, "_,#", "# #", NULL) == 1);
    assert_true (s_stored (rows, "\",\"", "\" \"", NULL) == 1);
}

static void
s_takes_every_byte (store_t *store)
{
    broker_t *broker = broker_start ();
    store_work (store, broker, NULL);
    void *publisher = publisher_new (broker, "");
    s_send_bytes (publisher);
    publisher_send (publisher, store_counter_line ("last", 1, "s"));
    store_await (store, "s", "last", 1);
    store_end (store);
    assert_int_equal (process_lines (store->worker, "event=rejected"), 0);
    assert_int_equal (process_lines (store->worker, "event=malformed"), 0);
    cJSON *rows = store->rows (store->server, store->database);
    s_check_bytes (rows);
    cJSON_Delete (rows);
}

static void
every_byte_is_stored_as_the_handbook_says_at_influxdb (void)
{
    store_t store = s_influxdb (server_shared (&server_influxdb), "bytes", 0);
    s_takes_every_byte (&store);
}

static void
every_byte_is_stored_as_the_handbook_says_at_victoriametrics (void)
{
    server_t *server = server_start (&server_victoriametrics);
    store_t store = {
      .server = server,
      .mode = "influx",
      .rows = victoriametrics_rows,
      .options = LIST ("--flush", "1", "--url",
                       server_url (server, "/api/v2/write?org=o&bucket=b"))};
    s_takes_every_byte (&store);
}

//  It would be the last one for a year. It has the time at which it came.
static void
a_reading_of_next_year_is_of_now (void)
{
    enum { YEAR_S = 365 * 24 * 3600, MINUTE_MS = 60000 };
    store_t store = s_influxdb (server_shared (&server_influxdb), "year", 0);
    broker_t *broker = broker_start ();
    double now_s = (double) time (NULL);
    store_work (&store, broker, NULL);
    publisher_send (
      publisher_new (broker, ""),
      text_new ("info|Gauge|ahead|3|%ld|s", (long) time (NULL) + YEAR_S));
    store_await (&store, "s", "ahead", 3);
    store_end (&store);
    if (!(fabs (store_field (&store, "ahead", "time") - now_s * 1e3)
          < MINUTE_MS))
        fail_msg ("%.17g", store_field (&store, "ahead", "time"));
}

static void
percentiles_are_within_a_percent (void)
{
    store_t store =
      s_influxdb (server_shared (&server_influxdb), "percentiles", 0);
    store_check_percentiles (&store);
}

//  Of one name, source and second: what tells their points apart is the worker.
static void
two_workers_overwrite_nothing (void)
{
    enum { SUM = 100 };
    server_t *server = server_shared (&server_influxdb);
    broker_t *brokers[2];
    store_t stores[2];
    for (int i = 0; i < 2; i++) {
        brokers[i] = broker_start ();
        stores[i] = s_influxdb (server, "two", 0);
        store_work (&stores[i], brokers[i],
                    LIST ("--worker", text_new ("host%d", i)));
    }
    void *publishers[] = {publisher_new (brokers[0], ""),
                          publisher_new (brokers[1], "")};
    for (int i = 0; i < SUM; i++) {
        publisher_send (publishers[i % 2], store_counter_line ("both", 1, "s"));
        poll_pause ();
    }
    store_await (&stores[0], "s", "both", SUM);
    store_end (&stores[0]);
    store_end (&stores[1]);
    store_check (&stores[0], "s", "both", SUM);
}

//  There is no such database; when it has been made, SIGHUP ends the wait.
static void
a_database_may_come_late (void)
{
    server_t *server = server_shared (&server_influxdb);
    broker_t *broker = broker_start ();
    store_t store = s_influxdb (server, "late", 0);
    char *text = http (server_url (server, "/query"), "q=drop database late");
    free (text);
    store_work (&store, broker, NULL);
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher, store_counter_line ("late", 5, "s"));
    process_await (store.worker, "event=held");
    process_await (store.worker, "database not found");
    influxdb_create (server, "late");
    process_signal (store.worker, SIGHUP);
    store_await (&store, "s", "late", 5);
    store_end (&store);
    store_check (&store, "s", "late", 5);
}

static void
a_url_must_say_where_it_goes (void)
{
    zibrato_dies (LIST ("influx"), "expected --url");
    zibrato_dies (LIST ("influx", "--url", "http://h"), "/write?db=NAME");
    zibrato_dies (LIST ("influx", "--url", "http://h/write"), "/write?db=NAME");
    zibrato_dies (LIST ("influx", "--url", "http://h/api/v2/write?org=o"),
                  "bucket=BUCKET");
    zibrato_dies (LIST ("influx", "--url", "http://h/write?db=d&precision=xx"),
                  "precision=ms");
}

static const struct CMUnitTest tests[] = {
  TEST (influxdb_has_the_programs_totals_after_kills),
  TEST (victoriametrics_has_the_programs_totals_after_kills),
  TEST (a_lost_answer_changes_nothing_at_influxdb),
  TEST (a_lost_answer_changes_nothing_at_victoriametrics),
  TEST (one_bad_row_among_300_takes_none_with_it),
  TEST (rows_that_are_too_old_are_known_by_one_answer),
  TEST (every_byte_is_stored_as_the_handbook_says_at_influxdb),
  TEST (every_byte_is_stored_as_the_handbook_says_at_victoriametrics),
  TEST (a_reading_of_next_year_is_of_now),
  TEST (percentiles_are_within_a_percent),
  TEST (two_workers_overwrite_nothing),
  TEST (a_database_may_come_late),
  TEST (a_url_must_say_where_it_goes),
};

SERVERS_MAIN (tests, &server_influxdb, &server_victoriametrics)
