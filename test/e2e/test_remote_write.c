/*  test_remote_write.c - what Prometheus and VictoriaMetrics have of
    `zibrato remote-write`

    Real servers: a Prometheus that takes what comes in order only, one that takes what
    is up to ten minutes late and native histograms, and VictoriaMetrics. What is
    compared is read back by their own query API.

    Sections: totals, what comes again, lives, what is refused, names.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "prometheus.h"

#include "http.h"
#include "write_request.h"

//  A worker that writes to the server, or to what stands before it at a port.
static store_t
s_written (server_t *server, int port)
{
    return (store_t){.server = server,
                     .mode = "remote-write",
                     .rows = prometheus_rows,
                     .options = s_list_keep (
                       LIST ("--flush", "1", "--url",
                             text_new ("http://127.0.0.1:%d/api/v1/write",
                                       port ? port : server->port[0])))};
}

//  --------------------------------------------------------------------------
//  Totals

static void
prometheus_has_the_programs_totals_after_kills (void)
{
    server_t *server = server_start (&server_prometheus);
    store_t store = s_written (server, 0);
    store_survives_kills (&store, NULL);
    prometheus_check_increase (server);
}

static void
native_histograms_are_exact_after_kills (void)
{
    server_t *server = server_start (&server_prometheus_native);
    store_t store = s_written (server, 0);
    store_survives_kills (&store, LIST ("--native-histograms"));
    prometheus_check_increase (server);
}

static void
victoriametrics_has_the_programs_totals_after_kills (void)
{
    server_t *server = server_start (&server_victoriametrics);
    store_t store = s_written (server, 0);
    store_survives_kills (&store, NULL);
    prometheus_check_increase (server);
}

static void
percentiles_of_native_histograms_are_within_a_percent (void)
{
    server_t *server = server_shared (&server_prometheus_native);
    broker_t *broker = broker_start ();
    store_t store = s_written (server, 0);
    store_work (&store, broker, LIST ("--native-histograms", "--worker", "p"));
    publisher_send (publisher_new (broker, ""), durations_of ("wait"));
    prometheus_await (server, "histogram_count(wait_seconds{worker=\"p\"})",
                      1000);
    prometheus_await (server, "histogram_sum(wait_seconds{worker=\"p\"})",
                      500.5);
    for (int i = 5; i < 100; i += 5) {
        double q = i / 100.0;
        percentile_check (
          prometheus_number (
            server, text_new ("histogram_quantile(%g,wait_seconds{worker="
                              "\"p\"})",
                              q)),
          q);
    }
    store_end (&store);
}

//  --------------------------------------------------------------------------
//  What comes again

//  The request was taken in, and its answer is lost: it comes again, and nothing is
//  counted twice, nor refused. With a new series, whose 0 is older by then, in each.
static void
s_loses_answers (server_t *server, const char *worker)
{
    enum { LOST = 3 };
    cutter_t *cutter = cutter_start (server->port[0]);
    broker_t *broker = broker_start ();
    store_t store = s_written (server, cutter->port);
    store_work (&store, broker, LIST ("--worker", worker));
    void *publisher = publisher_new (broker, "");
    for (int i = 1; i <= LOST; i++) {
        cutter->to_cut++;
        publisher_send (publisher,
                        text_new ("info|Counter|lost|5|%ld|s\n"
                                  "info|Counter|new.%d|3|%ld|s",
                                  (long) time (NULL), i, (long) time (NULL)));
        prometheus_await (
          server, text_new ("new_%d_total{worker=\"%s\"}", i, worker), 3);
        prometheus_await (
          server, text_new ("lost_total{worker=\"%s\"}", worker), 5 * i);
    }
    store_end (&store);
    assert_true (cutter->cuts == LOST);
    assert_int_equal (process_lines (store.worker, "event=rejected"), 0);
    process_await (store.worker, "rejected=0 overflowed=0");
    cutter_end (cutter);
}

static void
a_lost_answer_changes_nothing_at_prometheus (void)
{
    s_loses_answers (server_shared (&server_prometheus), "answers");
}

static void
a_lost_answer_changes_nothing_where_late_ones_are_taken (void)
{
    s_loses_answers (server_shared (&server_prometheus_native), "answers");
}

static void
a_lost_answer_changes_nothing_at_victoriametrics (void)
{
    s_loses_answers (server_shared (&server_victoriametrics), "answers");
}

//  --------------------------------------------------------------------------
//  Lives

//  A series that rests is sent again and again; then it ends, at once; and when it
//  comes back it begins at 0.
static void
a_series_rests_ends_and_begins_at_zero (void)
{
    server_t *server = server_shared (&server_prometheus);
    broker_t *broker = broker_start ();
    store_t store = s_written (server, 0);
    const char *series = "short_total{worker=\"lives\"}";
    const char *line = "info|Counter|short|%d|%ld|s";
    int64_t until = now_ms () + WAIT_MS;
    store_work (&store, broker, LIST ("--stale", "3", "--worker", "lives"));
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher, text_new (line, 7, (long) time (NULL)));
    prometheus_await (server, series, 7);
    while (!isnan (prometheus_number (server, series))) {
        poll_pause ();
        assert_true (now_ms () < until);
    }
    //  its 0, and one sample a flush
    assert_true (
      prometheus_number (server, text_new ("count_over_time(%s[1h])", series))
      >= 4);
    publisher_send (publisher, text_new (line, 2, (long) time (NULL)));
    prometheus_await (server, series, 2);
    prometheus_await (server, text_new ("resets(%s[1h])", series), 1);
    double sum =
      prometheus_number (server, text_new ("sum(increase(%s[1h]))", series));
    if (sum < 9 || sum > 10.5)
        fail_msg ("%g in all", sum);
    store_end (&store);
}

//  --------------------------------------------------------------------------
//  What is refused

extern const zb_backend_t zb_remote_write_backend;

//  Without a worker around it.
static void
s_connect (const server_t *server)
{
    zb_reply_t reply = {.at_fault = NULL};
    *zb_remote_write_backend.options[0].text =
      server_url (server, "/api/v1/write");
    assert_null (zb_remote_write_backend.check ());
    assert_int_equal (zb_remote_write_backend.connect (&reply), ZB_DELIVERED);
}

//  The server gets a reading of a gauge that is of a time to come. A block of snappy
//  may be all literals: the size, and how many of them there are.
static void
s_write_later (const server_t *server, const char *name)
{
    http_config_t config = {.url = server_url (server, "/api/v1/write"),
                            .type = "application/x-protobuf",
                            .timeout = 30};
    zb_row_t row = {.type = ZB_TYPE_GAUGE,
                    .name = name,
                    .source = "s",
                    .time_ns = ((int64_t) time (NULL) + 300) * 1000000000,
                    .last = 1};
    buffer_t body = {.size = 0}, block = {.size = 0};
    zb_reply_t reply = {.at_fault = NULL};
    http_t *client = http_new (&config);
    write_request_add (&body, &(write_form_t){.worker = name}, &row);
    assert_true (body.size > 60 && body.size < 128);
    buffer_room (&block, body.size + 3);
    block.text[block.size++] = (char) body.size;
    block.text[block.size++] = (char) (60 << 2);
    block.text[block.size++] = (char) (body.size - 1);
    memcpy (block.text + block.size, body.text, body.size);
    block.size += body.size;
    http_header (client, "Content-Encoding: snappy");
    assert_int_equal (http_send (client, block.text, block.size, &reply), 204);
    http_destroy (&client);
    buffer_clear (&body);
    buffer_clear (&block);
}

//  A reading that the server has a later one of; it takes none of a request then.
static void
one_bad_row_among_300_takes_none_with_it (void)
{
    enum { GOOD = 299, REQUESTS = 40 };
    server_t *server = server_shared (&server_prometheus);
    cutter_t *cutter = cutter_start (server->port[0]);
    broker_t *broker = broker_start ();
    store_t store = s_written (server, cutter->port);
    s_write_later (server, "bad");
    store_work (&store, broker,
                LIST ("--spool", temporary_path ("spool"), "--worker", "bad"));
    void *publisher = publisher_new (broker, "");
    char *lines = text_new ("info|Gauge|bad|1|%ld|s\n", (long) time (NULL));
    for (int i = 0; i < GOOD; i++)
        lines = text_new ("%sinfo|Counter|good.%d|%d|%ld|s\n", lines, i, i + 1,
                          (long) time (NULL));
    publisher_send (publisher, lines);
    process_await (store.worker, "event=rejected");
    int answers = cutter->answers;
    for (int i = 0; i < GOOD; i++)
        prometheus_await (server, text_new ("good_%d_total{worker=\"bad\"}", i),
                          i + 1);
    store_end (&store);
    assert_int_equal (process_lines (store.worker, "event=rejected"), 1);
    process_await (store.worker, "out of order sample");
    spool_check_set_aside (temporary_path ("spool"), "bad|s|");
    if (answers > REQUESTS)
        fail_msg ("%d requests", answers);
    cutter_end (cutter);
}

enum { ROWS = 40 };

//  Delivers rows of such a type and time.
static zb_outcome_t
s_deliver (zb_type_t type, size_t count, int64_t second, zb_reply_t *reply)
{
    static const zb_total_t total = {.start_ns = 1, .value = 5};
    zb_row_t rows[ROWS];
    *reply = (zb_reply_t){.at_fault = harness_keep (calloc (1, ROWS))};
    for (size_t i = 0; i < count; i++)
        rows[i] = (zb_row_t){
          .type = type,
          .name = text_new ("%s%zu", type == ZB_TYPE_GAUGE ? "g" : "c", i),
          .source = "direct",
          .start_ns = (second - 1) * 1000000000,
          .time_ns = second * 1000000000,
          .count = 1,
          .last = 5,
          .total = type == ZB_TYPE_GAUGE ? NULL : &total};
    return zb_remote_write_backend.deliver (rows, count, reply);
}

//  Totals that are behind later ones are no loss; a reading is one. Those that are too
//  old are known by one answer.
static void
what_comes_too_late_is_superseded (void)
{
    server_t *server = server_shared (&server_prometheus);
    int64_t now = time (NULL);
    zb_reply_t reply = {.at_fault = NULL};
    s_connect (server);
    assert_int_equal (s_deliver (ZB_TYPE_COUNTER, ROWS, now, &reply),
                      ZB_DELIVERED);
    assert_int_equal (s_deliver (ZB_TYPE_COUNTER, ROWS, now, &reply),
                      ZB_DELIVERED);
    assert_int_equal (reply.superseded, 0);
    assert_int_equal (s_deliver (ZB_TYPE_COUNTER, ROWS, now - 9, &reply),
                      ZB_REFUSED);
    assert_int_equal (s_deliver (ZB_TYPE_COUNTER, 1, now - 9, &reply),
                      ZB_DELIVERED);
    assert_int_equal (reply.superseded, 1);
    assert_int_equal (s_deliver (ZB_TYPE_COUNTER, ROWS, now - 9999, &reply),
                      ZB_DELIVERED);
    assert_int_equal (reply.superseded, ROWS);
    assert_int_equal (s_deliver (ZB_TYPE_GAUGE, ROWS, now, &reply),
                      ZB_DELIVERED);
    assert_int_equal (reply.refused, 0);
    assert_int_equal (s_deliver (ZB_TYPE_GAUGE, ROWS, now - 9999, &reply),
                      ZB_DELIVERED);
    assert_int_equal (reply.refused, ROWS);
    assert_int_equal (s_deliver (ZB_TYPE_GAUGE, 2, now + 900, &reply),
                      ZB_REFUSED);
    assert_int_equal (reply.at_fault[0] + reply.at_fault[1], 2);
    zb_remote_write_backend.close ();
}

//  A server that has a sample of next year takes none of now: so it gets none.
static void
a_reading_of_next_year_harms_no_other (void)
{
    enum { YEAR_S = 365 * 24 * 3600 };
    server_t *server = server_shared (&server_prometheus);
    broker_t *broker = broker_start ();
    store_t store = s_written (server, 0);
    long now = (long) time (NULL);
    store_work (&store, broker, LIST ("--worker", "year"));
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher,
                    text_new ("info|Gauge|ahead|3|%ld|s", now + YEAR_S));
    prometheus_await (server, "ahead{worker=\"year\"}", 3);
    publisher_send (publisher, text_new ("info|Gauge|after|5|%ld|s", now));
    prometheus_await (server, "after{worker=\"year\"}", 5);
    store_end (&store);
    assert_int_equal (process_lines (store.worker, "event=rejected"), 0);
}

static void
options_that_cannot_be_end_it_with_one_line (void)
{
    zibrato_dies (LIST ("remote-write", "--flush", "241"),
                  "--flush: expected at most 240");
    zibrato_dies (LIST ("remote-write", "--gzip"), "--gzip");
}

//  --------------------------------------------------------------------------
//  Names

static void
each_byte_is_stored_under_the_name_that_the_handbook_says (void)
{
    store_t store = s_written (server_shared (&server_prometheus), 0);
    prometheus_check_bytes (&store);
    store_end (&store);
    assert_int_equal (process_lines (store.worker, "event=rejected"), 0);
}

static const struct CMUnitTest tests[] = {
  TEST (prometheus_has_the_programs_totals_after_kills),
  TEST (native_histograms_are_exact_after_kills),
  TEST (victoriametrics_has_the_programs_totals_after_kills),
  TEST (percentiles_of_native_histograms_are_within_a_percent),
  TEST (a_lost_answer_changes_nothing_at_prometheus),
  TEST (a_lost_answer_changes_nothing_where_late_ones_are_taken),
  TEST (a_lost_answer_changes_nothing_at_victoriametrics),
  TEST (a_series_rests_ends_and_begins_at_zero),
  TEST (one_bad_row_among_300_takes_none_with_it),
  TEST (what_comes_too_late_is_superseded),
  TEST (a_reading_of_next_year_harms_no_other),
  TEST (options_that_cannot_be_end_it_with_one_line),
  TEST (each_byte_is_stored_under_the_name_that_the_handbook_says)};

SERVERS_MAIN (tests, &server_prometheus, &server_prometheus_native,
              &server_victoriametrics)
