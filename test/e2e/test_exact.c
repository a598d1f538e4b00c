/*  test_exact.c - what a real program counts is what arrives, to the digit

    The indexer of contrib/examples walks a tree and counts by itself too. All
    of it goes through a broker and `zibrato librato` into the stand-in, which
    refuses what the service would have refused. Counters and timers must be
    equal whatever happens in between, and so must gauges where the worker lives
    on: what never comes is counted.

    ZB_TREE is the tree of the first test; with ZB_QUICK set, or built with a
    sanitizer, it is a smaller one than /usr/share. The other tests make a tree
    of their own, so that the program runs for about as long everywhere.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "indexer.h"

#include <netinet/tcp.h>
#include <sys/stat.h>

static const char *
s_tree (void)
{
    const char *tree = getenv ("ZB_TREE");
    const char *small = "/usr/include";
    return tree                               ? tree
           : SANITIZED || getenv ("ZB_QUICK") ? small
                                              : "/usr/share";
}

//  Of the levels in the list, or NULL for all: each series is equal; of the
//  other levels nothing came.
static void
s_check_equal (const cJSON *program, const sink_t *sink, const char *level,
               int what)
{
    cJSON *rows = sink_rows (sink);
    const cJSON *series;
    cJSON_ArrayForEach (series, program)
    {
        const char *name = cJSON_GetObjectItem (series, "name")->valuestring;
        total_t came = rows_total (
          rows, cJSON_GetObjectItem (series, "source")->valuestring, name);
        if (row_is (series, "level", level))
            indexer_check_series (series, came, what);
        else if (came.rows > 0)
            fail_msg ("%s came, and is not of level %s", name, level);
    }
    cJSON_Delete (rows);
}

//  Waits until the counters and timers are there.
static void
s_await_equal (const cJSON *program, const sink_t *sink, const char *level)
{
    const cJSON *series;
    cJSON_ArrayForEach (series,
                        program) if (row_is (series, "level", level)
                                     && !row_is (series, "type", "gauge"))
      sink_await (
        sink, cJSON_GetObjectItem (series, "source")->valuestring,
        cJSON_GetObjectItem (series, "name")->valuestring,
        row_is (series, "type", "timer") ? row_number (series, "count") : 0,
        row_number (series, "total"));
}

//  No row refused, by the worker's log and by the stand-in's; nothing put into
//  the queue that did not come out.
static void
s_check_accepted (const sink_t *sink)
{
    assert_int_equal (process_lines (sink->worker, "event=rejected"), 0);
    assert_int_equal (process_lines (sink->worker, "event=malformed"), 0);
    assert_int_equal (process_lines (sink->worker, "event=collision"), 0);
    assert_int_equal (standin_requests (sink->standin, 200),
                      standin_requests (sink->standin, -1));
}

//  Ends program and worker, and compares. The comparison is made before, to
//  wait, and after, when nothing can be added any more.
static void
s_check_all (process_t *indexer, const sink_t *sink, int what)
{
    cJSON *program = indexer_totals (indexer);
    s_await_equal (program, sink, NULL);
    sink_stop (sink);
    s_check_equal (program, sink, NULL, what);
    s_check_accepted (sink);
    cJSON_Delete (program);
}

static void
a_tree_of_files_is_counted_exactly (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    process_t *indexer = indexer_start (broker, s_tree (), 1, 0);
    s_check_all (indexer, &sink, EVERYTHING);
    assert_string_equal (process_err (indexer), "");
    broker_stop (broker);
}

//  Does the kernel hold bytes that the broker has not read from a program? A
//  line of /proc/net/tcp and tcp6 has, in columns 2, 4 and 5: the local address,
//  of which the last 32 bits are IPv4's, the state, and both queues.
static bool
broker_is_behind (const broker_t *broker)
{
    char *text = text_new ("%s%s", file_read ("/proc/net/tcp", NULL),
                           file_read ("/proc/net/tcp6", NULL));
    const char *mine =
      text_new ("%08X:%04X", inet_addr (broker->host), (unsigned) broker->port);
    char local[64], *line;
    bool behind = false;
    while ((line = strsep (&text, "\n"))) {
        unsigned state, receiving;
        if (sscanf (line, "%*s %63s %*s %x %*x:%x", local, &state, &receiving)
            == 3)
            behind |=
              strstr (local, mine) && state == TCP_ESTABLISHED && receiving > 0;
    }
    return behind;
}

//  Kills the broker with a report in its hands, which is lost, so that what is
//  right in the end has been healed. Then starts it again.
static void
broker_lose_reports (broker_t *broker)
{
    int64_t until = now_ms () + WAIT_MS;
    process_signal (broker->process, SIGSTOP);
    while (!broker_is_behind (broker)) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    broker_kill (broker);
    broker_launch (broker);
}

//  Each kill comes when something has arrived since the last start, while the
//  program still runs.
static void
a_broker_killed_twice_changes_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    const char *tree = tree_new ();
    process_t *indexer = indexer_start_lasting (broker, tree);
    for (int kills = 0; kills < 2; kills++) {
        double words =
          sink_total_so_far (&sink, "counters", "indexer.words").sum;
        sink_await (&sink, "counters", "indexer.words", 0, words + 1);
        broker_lose_reports (broker);
    }
    tree_empty (tree);
    s_check_all (indexer, &sink, NO_GAUGES);
}

//  The broker's death takes readings with it, and they are sent again.
static void
readings_heal_when_the_broker_is_killed (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    const char *tree = tree_new ();
    process_t *indexer = indexer_start_lasting (broker, tree);
    sink_await (&sink, "walker", "indexer.queue", 1, 0);
    broker_lose_reports (broker);
    tree_empty (tree);
    cJSON *program = indexer_totals (indexer);
    const cJSON *series;
    double measured = 0;
    cJSON_ArrayForEach (series, program) if (row_is (series, "type", "gauge"))
      measured += row_number (series, "count");
    s_await_equal (program, &sink, NULL);
    sink_stop (&sink);
    double came = sink_total (&sink, "walker", "indexer.queue").count
                  + sink_total (&sink, "hashers", "indexer.file_size").count;
    double lost = sink_total (&sink, NULL, "zibrato.lost").sum;
    double dropped = sink_total (&sink, NULL, "zibrato.dropped").sum;
    if (lost != 0 || came + dropped != measured)
        fail_msg ("%g readings, %g came, %g lost, %g dropped", measured, came,
                  lost, dropped);
    cJSON_Delete (program);
}

//  Readings of two streams, of which some are lost: of one that is younger than
//  the worker, 3 comes when it is sent again and 7 never does; of one that was
//  there before, what is sent again was for an earlier worker.
static void
readings_that_never_come_are_counted (void)
{
    static const int young[][2] = {{0, 0}, {1, 0}, {2, 0}, {4, 4},
                                   {5, 4}, {6, 4}, {8, 8}, {2, 9},
                                   {3, 9}, {4, 9}, {9, 9}};
    static const int old[][2] = {{4, 6}, {5, 6}, {6, 6}, {8, 8}};
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    void *publisher = publisher_new (broker, "");
    unsigned long long ms = (unsigned long long) time (NULL) * 1000;
    for (size_t i = 0; i < sizeof young / sizeof *young; i++)
        publisher_send (publisher,
                        text_new ("info|Gauge|young|%d|%ld|test|"
                                  "%llx-0123456789abcdef:%d:%d",
                                  1 << young[i][0], (long) time (NULL),
                                  ms + 999, young[i][0], young[i][1]));
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        publisher_send (publisher,
                        text_new ("info|Gauge|old|%d|%ld|test|"
                                  "%llx-fedcba9876543210:%d:%d",
                                  1 << old[i][0], (long) time (NULL),
                                  ms - 86400000, old[i][0], old[i][1]));
    sink_await (&sink, "test", "young", 9, 0x37f);
    sink_await (&sink, "test", "old", 2, 0x140);
    sink_stop (&sink);
    sink_check_count (&sink, "test", "young", 9);
    sink_check_sum (&sink, "test", "young", 0x37f);
    sink_check_count (&sink, "test", "old", 2);
    sink_check_sum (&sink, "test", "old", 0x140);
    sink_check_sum (&sink, NULL, "zibrato.lost", 2);
    sink_check_sum (&sink, NULL, "zibrato.duplicate", 4);
}

//  A program of which nothing came but its end: what is missing is all that there
//  is to tell, and a stop tells it.
static void
what_only_the_end_speaks_of_is_counted (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_stdout (broker, LIST ("--levels", "info", "--flush", flush_far ()));
    void *publisher = publisher_new (broker, "info|");
    publisher_send (publisher,
                    text_new ("info|Stream|%llx-0123456789abcdef|0\n"
                              "info|End|%llx-0123456789abcdef|0|0|5",
                              time (NULL) * 1000ll, time (NULL) * 1000ll));
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "zibrato.lost", 5);
}

//  The program has opened its instance as soon as it has the threads of one:
//  its own five, the pump, and ZeroMQ's.
static void
a_worker_may_come_late (void)
{
    broker_t *broker = broker_start ();
    const char *tree = tree_new ();
    process_t *indexer = indexer_start_lasting (broker, tree);
    while (process_status (indexer, "Threads:") < 6)
        poll_pause ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    tree_empty (tree);
    s_check_all (indexer, &sink, NO_GAUGES);
}

static void
two_workers_share_the_levels (void)
{
    broker_t *broker = broker_start ();
    sink_t info = sink_librato (broker, NULL, LIST ("--levels", "info"));
    sink_t debug = sink_librato (broker, NULL, LIST ("--levels", "debug"));
    cJSON *program =
      indexer_totals (indexer_start (broker, tree_new (), 20, 0));
    s_await_equal (program, &info, "info");
    s_await_equal (program, &debug, "debug");
    sink_stop (&info);
    sink_stop (&debug);
    s_check_equal (program, &info, "info", EVERYTHING);
    s_check_equal (program, &debug, "debug", EVERYTHING);
    s_check_accepted (&info);
    s_check_accepted (&debug);
    cJSON_Delete (program);
}

//  Lines of one stream, some twice, one too late, one never.
static void
repeated_and_late_messages_count_once (void)
{
    static const struct {
        const char *measurement, *state;
    } lines[] = {
      {"Counter|n|5", ":1:1:5"},
      {"Counter|n|5", ":1:1:5"},
      {"Counter|n|9", ":3:1:21"},
      {"Counter|n|7", ":2:1:12"},
      {"Counter|n|9", ":3:1:21"},
      {"Counter|n|0", ":5:1:21"},
      {"Gauge|g|1", ":0"},
      {"Gauge|g|1", ":0"},
      {"Gauge|g|100", ":2"},
      {"Gauge|g|10", ":1"},
      {"Gauge|g|10", ":1"},
      {"Gauge|g|1000", ":4"},
      {"Timer|t|1", ":6:6:2:1:0.5:0.25:0.75:-64=1,-14=1"},
      {"Timer|t|1", ":6:6:2:1:0.5:0.25:0.75:-64=1,-14=1"},
      {"Timer|t|2", ":9:6:4:4:2.5:1:1:-64=1,-14=1,-1=2"},
    };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    void *publisher = publisher_new (broker, "");
    const char *id = text_new ("%llx-0123456789abcdef",
                               (unsigned long long) time (NULL) * 1000 + 999);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        publisher_send (publisher,
                        text_new ("info|%s|%ld|test|%s%s", lines[i].measurement,
                                  (long) time (NULL), id, lines[i].state));
    sink_await (&sink, "test", "n", 0, 21);
    sink_await (&sink, "test", "g", 4, 1111);
    sink_await (&sink, "test", "t", 4, 4);
    sink_stop (&sink);
    sink_check_sum (&sink, "test", "n", 21);
    sink_check_sum (&sink, "test", "g", 1111);
    sink_check_count (&sink, "test", "g", 4);
    sink_check_sum (&sink, "test", "t", 4);
    sink_check_count (&sink, "test", "t", 4);
    sink_check_sum (&sink, NULL, "zibrato.lost", 1);
    sink_check_sum (&sink, NULL, "zibrato.duplicate", 6);
}

static const struct CMUnitTest tests[] = {
  TEST (a_tree_of_files_is_counted_exactly),
  TEST (a_broker_killed_twice_changes_nothing),
  TEST (readings_heal_when_the_broker_is_killed),
  TEST (readings_that_never_come_are_counted),
  TEST (what_only_the_end_speaks_of_is_counted),
  TEST (a_worker_may_come_late),
  TEST (two_workers_share_the_levels),
  TEST (repeated_and_late_messages_count_once),
};

HARNESS_MAIN (tests)
