/*  test_graphite.c - what `zibrato graphite` stores in carbon

    Real servers: carbon, whose files are read; carbon-c-relay, which writes down
    what it reads; and VictoriaMetrics, which knows tags.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "carbon.h"
#include "stores.h"

#include <ctype.h>

static store_t
s_carbon (server_t *server, const char *flush)
{
    return (store_t){
      .server = server,
      .mode = "graphite",
      .rows = carbon_rows,
      .settle = carbon_settle,
      .options = s_list_keep (LIST (
        "--flush", flush, "--to", text_new ("127.0.0.1:%d", server->port[0])))};
}

static void
carbon_has_the_programs_totals_after_kills (void)
{
    store_t store = s_carbon (server_start (&server_carbon), "1");
    store_survives_kills (&store, NULL);
}

//  It was read, and the connection broke before it was closed: the same comes again.
static void
what_was_read_and_comes_again_changes_nothing (void)
{
    enum { LOST = 3, SUM = 200 };
    server_t *server = server_shared (&server_carbon);
    cutter_t *cutter = cutter_start (server->port[0]);
    broker_t *broker = broker_start ();
    store_t store = {.server = server,
                     .mode = "graphite",
                     .rows = carbon_rows,
                     .options =
                       LIST ("--flush", "1", "--worker", "again", "--to",
                             text_new ("127.0.0.1:%d", cutter->port))};
    store_work (&store, broker, NULL);
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < SUM; i++) {
        if (i % (SUM / LOST) == 1)
            cutter->to_cut++;
        publisher_send (publisher, store_counter_line ("lost", 1, "again"));
        poll_pause ();
    }
    store_await (&store, "again", "lost", SUM);
    store_end (&store);
    store_check (&store, "again", "lost", SUM);
    assert_true (cutter->cuts > 0 && cutter->to_cut == 0);
    assert_true (process_lines (store.worker, "event=retry") > 0);
    cutter_end (cutter);
}

//  Does the kernel hold bytes that a server at this port has not read?
static bool
s_is_behind (int port)
{
    char *text = text_new ("%s", file_read ("/proc/net/tcp", NULL)), *line;
    const char *mine =
      text_new ("%08X:%04X", inet_addr ("127.0.0.1"), (unsigned) port);
    bool behind = false;
    while ((line = strsep (&text, "\n"))) {
        char local[64];
        unsigned receiving;
        if (sscanf (line, "%*s %63s %*s %*x %*x:%x", local, &receiving) == 2)
            behind |= strcmp (local, mine) == 0 && receiving > 1;
    }
    return behind;
}

//  The relay has a request in its hands that it has not read.
static void
a_server_that_dies_with_a_request_unread_gets_it_again (void)
{
    int64_t until = now_ms () + WAIT_MS;
    server_t *server = server_start (&server_relay);
    broker_t *broker = broker_start ();
    process_t *worker =
      worker_start (broker, "graphite",
                    LIST ("--flush", "1", "--worker", "w", "--to",
                          text_new ("127.0.0.1:%d", server->port[0])),
                    NULL);
    void *publisher = publisher_new (broker, "");
    process_signal (server->process, SIGSTOP);
    publisher_send (publisher, store_counter_line ("unread", 5, "s"));
    while (!s_is_behind (server->port[0])) {
        poll_pause ();
        assert_true (now_ms () < until);
    }
    process_stop (server->process, SIGKILL);
    server_launch (server);
    while (!strstr (file_read (server_path (server, "lines"), NULL),
                    "w.s.unread.")) {
        poll_pause ();
        assert_true (now_ms () < until);
    }
    assert_non_null (strstr (file_read (server_path (server, "lines"), NULL),
                             "w.s.unread.value 5 "));
    assert_int_equal (process_stop (worker, SIGTERM), 0);
}

//  Carbon keeps one value for four seconds. A worker that is stopped and started
//  between two flushes gives out more than one; none takes another's place.
static void
stops_between_flushes_overwrite_nothing (void)
{
    enum { STOPS = 8, EACH = 7 };
    s_carbon_retentions = "4s:1h";
    store_t store = s_carbon (server_start (&server_carbon), "4");
    broker_t *broker = broker_start ();
    const char *spool = temporary_path ("spool");
    for (int i = 0; i < STOPS; i++) {
        store_work (&store, broker, LIST ("--spool", spool));
        void *publisher = publisher_new (broker, "");
        publisher_send (publisher, store_counter_line ("stopped", EACH, "s"));
        store_end (&store);
    }
    store_await (&store, "s", "stopped", STOPS * EACH);
    store_check (&store, "s", "stopped", STOPS * EACH);
}

//  What contrib/docs/graphite.md says that becomes of a byte within a node.
static char
s_stored_as (int byte)
{
    return byte < 0x80 && (isalnum (byte) || strchr ("_-", byte)) ? (char) byte
                                                                  : '_';
}

//  Each byte that a name, a tag's value and a source may have.
static void
s_send_bytes (void *publisher)
{
    for (int byte = 0x20; byte <= 0xff; byte++)
        if (byte != '|' && byte != 0x7f)
            publisher_send (publisher, byte == ';'
                                         ? store_counter_line ("n;e", 1, "s;e")
                                         : store_counter_line (
                                           text_new ("n%ce;k=t%ce", byte, byte),
                                           1, text_new ("s%ce", byte)));
    publisher_send (publisher, store_counter_line ("last", 1, "s"));
}

//  How many bytes become the same.
static double
s_same (char stored)
{
    double same = 0;
    for (int byte = 0x20; byte <= 0xff; byte++)
        same += byte != '|' && byte != 0x7f && byte != '.' && byte != ';'
                && s_stored_as (byte) == stored;
    return same;
}

static void
every_byte_is_stored_as_the_handbook_says (void)
{
    server_t *server = server_shared (&server_carbon);
    broker_t *broker = broker_start ();
    store_t store = s_carbon (server, "1");
    store_work (&store, broker, LIST ("--worker", "bytes"));
    void *publisher = publisher_new (broker, "");
    s_send_bytes (publisher);
    store_await (&store, "s", "last", 1);
    store_end (&store);
    assert_int_equal (process_lines (store.worker, "event=malformed"), 0);
    for (int byte = 0x20; byte <= 0xff; byte++) {
        char c = s_stored_as (byte);
        if (byte != '|' && byte != 0x7f && byte != '.' && byte != ';')
            store_check (&store, text_new ("s%ce", c),
                         text_new ("n%ce.k.t%ce", c, c), s_same (c));
    }
    store_check (&store, "s_e", "n.e.k.t_e", 1);
    store_check (&store, "s_e", "n_e", 1);
}

//  As tags, at a server that knows them.
static void
every_tag_is_stored_as_the_handbook_says (void)
{
    server_t *server = server_shared (&server_victoriametrics);
    broker_t *broker = broker_start ();
    store_t store = {
      .server = server,
      .mode = "graphite",
      .rows = victoriametrics_rows,
      .options = LIST ("--flush", "1", "--tagged", "--worker", "me", "--to",
                       text_new ("127.0.0.1:%d", server->port[1]))};
    store_work (&store, broker, NULL);
    void *publisher = publisher_new (broker, "");
    s_send_bytes (publisher);
    publisher_send (publisher,
                    store_counter_line ("last_one;source=x", 1, "s"));
    store_await (&store, "s", "last_one", 1);
    store_end (&store);
    cJSON *rows = store.rows (server, NULL);
    const cJSON *row;
    double came = 0;
    cJSON_ArrayForEach (row, rows)
    {
        const cJSON *tag = cJSON_GetObjectItem (row, "k");
        assert_true (row_is (row, "worker", "me"));
        if (tag && strcmp (tag->valuestring, "t_e") == 0
            && row_is (row, "source", "s_e"))
            came += row_number (row, "value");
        if (row_is (row, "name", "last_one"))
            assert_true (row_is (row, "source_", "x"));
    }
    cJSON_Delete (rows);
    assert_true (came == s_same ('_') + 1);
}

//  The block of storage-aggregation.conf in the handbook.
static const char *
s_handbook_aggregation (void)
{
    char *text =
      text_new ("%s", file_read (text_new ("%s/contrib/docs/graphite.md",
                                           harness_path ("ZB_SOURCE")),
                                 NULL));
    char *begin = strstr (text, "```ini\n"), *end;
    assert_non_null (begin);
    begin += strlen ("```ini\n");
    end = strstr (begin, "```");
    assert_non_null (end);
    *end = 0;
    return begin;
}

//  What whisper-fetch says of a file's last points: the second archive, since the
//  first one is shorter than that.
static double
s_fetched (const server_t *server, const char *path, bool adds)
{
    double total = 0, second, value;
    process_t *fetch = process_run (
      LIST ("whisper-fetch",
            server_path (server, text_new ("whisper/w/s/%s.wsp", path)),
            text_new ("--from=%ld", (long) time (NULL) - 120)),
      NULL);
    const char *line = process_out (fetch);
    for (; line && *line; line = strchr (line, '\n'), line += line != NULL)
        if (sscanf (line, "%lf %lf", &second, &value) == 2)
            total = adds ? total + value : value > total ? value : total;
    return total;
}

//  With what the handbook says, increments add up in longer archives.
static void
what_is_rolled_up_is_right (void)
{
    enum { FLUSHES = 4 };
    s_carbon_retentions = "1s:60s,20s:1h";
    s_carbon_aggregation = s_handbook_aggregation ();
    server_t *server = server_start (&server_carbon);
    store_t store = s_carbon (server, "1");
    broker_t *broker = broker_start ();
    store_work (&store, broker, LIST ("--worker", "w", "--percentiles", "99"));
    void *publisher = publisher_new (broker, "");
    for (int i = 1; i <= FLUSHES; i++) {
        long now = (long) time (NULL);
        publisher_send (publisher, text_new ("info|Counter|c|%d|%ld|s\n"
                                             "info|Timer|t|%d|%ld|s\n"
                                             "info|Gauge|g|%d|%ld|s\n",
                                             i, now, i, now, i, now));
        store_await (&store, "s", "c", i * (i + 1) / 2);
    }
    store_end (&store);
    assert_true (s_fetched (server, "c/value", true) == 10);
    assert_true (s_fetched (server, "t/count", true) == FLUSHES);
    assert_true (s_fetched (server, "t/sum", true) == 10);
    assert_true (s_fetched (server, "t/max", false) == FLUSHES);
    assert_true (s_fetched (server, "t/p99", false) == FLUSHES);
}

//  Of all names of a source.
static double
s_sum_of (const store_t *store, const char *source)
{
    cJSON *rows = store->rows (store->server, NULL);
    const cJSON *row;
    double sum = 0;
    cJSON_ArrayForEach (row, rows) if (row_is (row, "source", source)) sum +=
      row_number (row, "value");
    cJSON_Delete (rows);
    return sum;
}

//  A file of that name could not be made: it is cut, and the others are not harmed.
static void
one_long_name_among_300_takes_none_with_it (void)
{
    enum { GOOD = 299, SUM = GOOD * (GOOD + 1) / 2, NODE = 250, LONG = 255 };
    int64_t until = now_ms () + WAIT_MS;
    broker_t *broker = broker_start ();
    store_t store = s_carbon (server_shared (&server_carbon), "1");
    char name[LONG + 1];
    memset (name, 'a', LONG);
    name[LONG] = 0;
    char *lines = text_new ("%s", store_counter_line (name, 7, "long"));
    for (int i = 0; i < GOOD; i++)
        lines = text_new (
          "%s%s", lines,
          store_counter_line (text_new ("good.%d", i), i + 1, "long"));
    store_work (&store, broker, LIST ("--worker", "w"));
    publisher_send (publisher_new (broker, ""), lines);
    while (s_sum_of (&store, "long") < SUM + 7 && now_ms () < until)
        poll_pause ();
    store_end (&store);
    assert_true (s_sum_of (&store, "long") == SUM + 7);
    name[NODE] = 0;
    store_check (&store, "long", name, 7);
    assert_int_equal (process_lines (store.worker, "event=retry"), 0);
}

static void
percentiles_are_within_a_percent (void)
{
    store_t store = s_carbon (server_shared (&server_carbon), "1");
    store_check_percentiles (&store);
}

//  A worker's reason for trying again, when the one at this port does not answer.
static void
s_await_reason (int fd, bool resets, const char *why)
{
    broker_t *broker = broker_start ();
    const char *to = text_new ("127.0.0.1:%d", port_of (fd));
    process_t *worker = worker_start (
      broker, "graphite",
      LIST ("--to", to, "--flush", "1", "--timeout", "1", "--worker", "w"),
      NULL);
    publisher_send (publisher_new (broker, ""),
                    store_counter_line ("c", 1, "s"));
    if (resets) {
        struct linger at_once = {1, 0};
        char byte;
        int peer = accept (fd, NULL, NULL);
        assert_int_equal (recv (peer, &byte, 1, 0), 1);
        setsockopt (peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close (peer);
    }
    process_await (worker, text_new ("reason=\"%s: %s\"", to, why));
    close (fd);
    process_stop (worker, SIGKILL);
}

//  Who reads why a request comes again reads to whom it went, and what failed.
static void
reasons_say_where_and_what (void)
{
    s_await_reason (port_take ("127.0.0.1", 0), false,
                    "connect: Connection refused");
    s_await_reason (port_listen ("127.0.0.1", 0), false,
                    "the other side's close: timed out");
    s_await_reason (port_listen ("127.0.0.1", 0), true,
                    "the other side's close: Connection reset by peer");
}

static void
options_must_say_where_and_how (void)
{
    zibrato_dies (LIST ("graphite"), "expected --to");
    zibrato_dies (LIST ("graphite", "--to", "host"), "HOST:PORT");
    zibrato_dies (LIST ("graphite", "--to", "::1:2003"), "HOST:PORT");
    zibrato_dies (LIST ("graphite", "--to", "h:1", "--path", "{name}"),
                  "{source}");
    zibrato_dies (LIST ("graphite", "--to", "h:1", "--path", "{source}{name}"),
                  "dots");
    zibrato_dies (LIST ("graphite", "--to", "h:1", "--path", "a b.{name}"),
                  "letters");
}

static const struct CMUnitTest tests[] = {
  TEST (carbon_has_the_programs_totals_after_kills),
  TEST (stops_between_flushes_overwrite_nothing),
  TEST (what_is_rolled_up_is_right),
  TEST (what_was_read_and_comes_again_changes_nothing),
  TEST (a_server_that_dies_with_a_request_unread_gets_it_again),
  TEST (every_byte_is_stored_as_the_handbook_says),
  TEST (every_tag_is_stored_as_the_handbook_says),
  TEST (one_long_name_among_300_takes_none_with_it),
  TEST (percentiles_are_within_a_percent),
  TEST (reasons_say_where_and_what),
  TEST (options_must_say_where_and_how),
};

SERVERS_MAIN (tests, &server_carbon, &server_victoriametrics)
