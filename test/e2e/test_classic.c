/*  test_classic.c - who else speaks the wire format

    The six fields of the first Python package, in and out, and our seven, as
    any ZeroMQ program sees them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

#include <regex.h>

//  Starts the script, a PUB socket, and lets it go once its probe has come
//  through to the sink, which listens to that level.
static void
classic_run (const broker_t *broker, int count, const char *level,
             const sink_t *sink)
{
    double probes = sink_total_so_far (sink, "classic", "classic.probe").sum;
    process_t *self = process_start (
      LIST ("/usr/bin/python3",
            text_new ("%s/test/programs/classic_pub.py",
                      harness_path ("ZB_SOURCE")),
            broker_endpoint (broker, 0), text_new ("%d", count), level),
      NULL);
    sink_await (sink, "classic", "classic.probe", 0, probes + 1);
    process_send (self, "go\n");
    process_await (self, "sent");
    assert_int_equal (process_wait (self), 0);
}

static void
a_python_publisher_is_understood (void)
{
    enum { N = 2000 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    classic_run (broker, N, "info", &sink);
    sink_await (&sink, "classic", "classic.counter", 0, N);
    sink_await (&sink, "classic", "classic.timer", N, 0);
    sink_await (&sink, "classic", "classic.gauge", N, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, "classic", "classic.counter", N);
    sink_check_count (&sink, "classic", "classic.timer", N);
    sink_check_sum (&sink, "classic", "classic.timer", 0.25 * N);
    sink_check_count (&sink, "classic", "classic.gauge", N);
    sink_check_sum (&sink, "classic", "classic.gauge", N * (N - 1) / 2);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
    assert_int_equal (process_lines (sink.worker, "event=rejected"), 0);
}

//  The subscription is the level with its bar: "err|" is no part of "error|".
static void
err_does_not_receive_error (void)
{
    broker_t *broker = broker_start ();
    sink_t err = sink_stdout (broker, LIST ("--levels", "err"));
    sink_t error = sink_stdout (broker, LIST ("--levels", "error"));
    classic_run (broker, 100, "error", &error);
    sink_await (&error, "classic", "classic.counter", 0, 100);
    classic_run (broker, 50, "err", &err);
    sink_await (&err, "classic", "classic.counter", 0, 50);
    sink_stop (&err);
    sink_stop (&error);
    sink_check_sum (&err, "classic", "classic.counter", 50);
    sink_check_sum (&error, "classic", "classic.counter", 100);
}

//  The same for zibrato.h, which holds what nobody wants.
static void
a_program_sends_only_the_levels_wanted (void)
{
    broker_t *broker = broker_start ();
    sink_t err = sink_stdout (broker, LIST ("--levels", "err"));
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        broker_environment (broker));
    process_send (measure, "count\terr\tfirst\t1\ts\nflush\t20000\n");
    process_await (measure, "flush 0");
    process_send (measure, "count\terror\tother\t7\ts\nflush\t0\n");
    process_await (measure, "flush -1");
    process_send (measure, "count\terr\tlast\t1\ts\nstats\n");
    const char *stats = process_await (measure, "\"held\":");
    assert_null (strstr (stats, "\"held\":0,"));
    sink_await (&err, "s", "last", 0, 1);
    sink_stop (&err);
    sink_check_count (&err, "s", "other", 0);
}

//  --------------------------------------------------------------------------
//  A plain SUB socket on the upper port

#define NUMBER "-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?"
#define ID     "[0-9a-f]+-[0-9a-f]{16}"

//  design of the wire, in regular expressions: one each for a level's line
static const struct {
    const char *name, *seven, *six;
} s_wire[] = {
  {"requests",
   "^info\\|Counter\\|requests\\|5\\|" NUMBER "\\|q1\\|" ID ":[0-9]+:[0-9]+:5$",
   "^info\\|Counter\\|requests\\|5\\|" NUMBER "\\|q1$"},
  {"latency",
   "^info\\|Timer\\|latency\\|0\\.25\\|" NUMBER "\\|q1\\|" ID
   ":[0-9]+:[0-9]+:1:0\\.25:0\\.0625:0\\.25:0\\.25:-65=1$",
   "^info\\|Timer\\|latency\\|0\\.25\\|" NUMBER "\\|q1$"},
  {"depth",
   "^info\\|Gauge\\|depth\\|-1\\.5\\|" NUMBER "\\|q1\\|" ID ":[0-9]+:[0-9]+$",
   "^info\\|Gauge\\|depth\\|-1\\.5\\|" NUMBER "\\|q1$"},
};

enum { LINES = sizeof s_wire / sizeof *s_wire };

static bool
s_matches (const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal (regcomp (&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool rc = regexec (&regex, text, 0, NULL, 0) == 0;
    regfree (&regex);
    return rc;
}

//  Checks a line by its name. Returns which it is, as a bit.
static int
s_check_line (const char *line, bool classic)
{
    for (int i = 0; i < LINES; i++) {
        const char *pattern = classic ? s_wire[i].six : s_wire[i].seven;
        if (!strstr (line, text_new ("|%s|", s_wire[i].name)))
            continue;
        //  a state again, for those who missed it
        if (!classic
            && s_matches (line, "^info\\|(Counter|Timer)\\|[^|]*\\|0\\|"))
            return 0;
        if (!s_matches (line, pattern))
            fail_msg ("%s does not match %s", line, pattern);
        return 1 << i;
    }
    return 0;
}

static void
s_check_wire (bool classic)
{
    broker_t *broker = broker_start ();
    void *sub = socket_new (ZMQ_SUB);
    zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "info|", 5);
    assert_int_equal (zmq_connect (sub, broker_endpoint (broker, 1)), 0);
    process_t *measure = process_start (
      LIST (program_path ("measure"), classic ? "--classic" : NULL),
      broker_environment (broker));
    process_send (measure, "count\tinfo\trequests\t5\tq1\n"
                           "time\tinfo\tlatency\t0.25\tq1\n"
                           "gauge\tinfo\tdepth\t-1.5\tq1\n"
                           "flush\t20000\n");
    process_await (measure, "flush 0");
    for (int seen = 0; seen != (1 << LINES) - 1;) {
        char *message = socket_receive (sub), *line;
        if (classic)
            assert_null (strchr (message, '\n'));
        assert_true (strlen (message) <= 64 * 1024);
        while ((line = strsep (&message, "\n")))
            seen |= s_check_line (line, classic);
    }
}

static void
a_subscriber_reads_seven_fields (void)
{
    s_check_wire (false);
}

static void
a_classic_program_sends_six_fields (void)
{
    s_check_wire (true);
}

//  What a program sends the classic way, a worker adds up just the same.
static void
a_classic_program_arrives (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *measure =
      process_start (LIST (program_path ("measure"), "--classic"),
                     broker_environment (broker));
    for (int i = 0; i < 3; i++) {
        process_send (measure, "count\tinfo\trequests\t5\tq1\n"
                               "gauge\tinfo\tdepth\t-1.5\tq1\n"
                               "time\tinfo\tlatency\t0.25\tq1\n"
                               "flush\t20000\n");
        process_await_nth (measure, "flush 0", (size_t) i + 1);
    }
    sink_await (&sink, "q1", "requests", 0, 15);
    sink_await (&sink, "q1", "depth", 3, -1e9);
    sink_await (&sink, "q1", "latency", 3, 0.75);
    sink_stop (&sink);
    sink_check_sum (&sink, "q1", "requests", 15);
    sink_check_sum (&sink, "q1", "depth", -4.5);
    sink_check_sum (&sink, "q1", "latency", 0.75);
    sink_check_count (&sink, "q1", "depth", 3);
    sink_check_count (&sink, "q1", "latency", 3);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

//  --------------------------------------------------------------------------
//  Input is taken as it comes

static void
types_may_be_in_any_case_and_plural (void)
{
    static const char *const types[] = {"Counter", "counter",  "COUNTER",
                                        "cOuNtEr", "Counters", "COUNTERS"};
    enum { TYPES = sizeof types / sizeof *types };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < TYPES; i++)
        publisher_send (publisher,
                        text_new ("info|%s|n|1|1700000000|counted", types[i]));
    publisher_send (publisher, "info|timers|n|1|1700000000.75|timed\n"
                               "info|TIMER|n|2|1700000000|timed\n"
                               "info|gAuGeS|n|+3|1700000000|read\n"
                               "info|gauge|n|4e0|1700000000|read\n");
    sink_await (&sink, "counted", "n", 0, TYPES);
    sink_await (&sink, "timed", "n", 2, 3);
    sink_await (&sink, "read", "n", 2, 7);
    sink_stop (&sink);
    sink_check_sum (&sink, "counted", "n", TYPES);
    sink_check_sum (&sink, "timed", "n", 3);
    sink_check_sum (&sink, "read", "n", 7);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

static const struct CMUnitTest tests[] = {
  TEST (a_python_publisher_is_understood),
  TEST (err_does_not_receive_error),
  TEST (a_program_sends_only_the_levels_wanted),
  TEST (a_subscriber_reads_seven_fields),
  TEST (a_classic_program_sends_six_fields),
  TEST (a_classic_program_arrives),
  TEST (types_may_be_in_any_case_and_plural),
};

HARNESS_MAIN (tests)
