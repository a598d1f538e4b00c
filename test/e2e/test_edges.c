/*  test_edges.c - whatever threads do, the program goes on, and counts exactly

    Instances are closed while others use them, threads are cancelled inside of
    the header, measure first from hardly any stack, and main returns meanwhile.
    test/programs/edge.c is such a program.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600

#include "edges.h"

enum { LINGER_MS = 500, TRIES = 3 };

//  --------------------------------------------------------------------------
//  Threads that meet it first

static void
threads_that_measure_first_at_the_same_time_add_up (void)
{
    enum { LIVES = 10, THREADS = 16 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    for (int i = 0; i < LIVES; i++)
        edge_run ("edge", "meet", THREADS, edge_delivers (broker));
    sink_end_with_sum (&sink, NULL, "meeting.count", 2 * LIVES * THREADS);
    sink_check_sum (&sink, "meeting", "meeting.count", LIVES * THREADS);
}

//  --------------------------------------------------------------------------
//  Closing while others use it

//  Twenty times, with a little more time in between each time.
static void
s_check_closing (const char *const *env)
{
    for (long i = 0; i < 20; i++)
        edge_run ("edge", "closing", i * i * 50, env);
}

static void
main_may_return_while_a_thread_closes (void)
{
    broker_t silent;
    int fds[2];
    s_check_closing (edge_environment (edge_silent (&silent, &fds[0]),
                                       LIST ("ZIBRATO_LINGER_MS=300")));
    s_check_closing (edge_refused (&fds[1]));
    close (fds[0]);
    close (fds[1]);
}

static void
what_is_being_closed_when_main_returns_arrives (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    s_check_closing (edge_delivers (broker));
    sink_end_with_sum (&sink, NULL, "closing.count", 20);
}

static void
two_threads_may_close_the_same_instance (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *edge =
      edge_run ("edge", "closing-twice", 50, broker_environment (broker));
    assert_int_equal (edge_number (edge, "closed="), 50);
    sink_end_with_sum (&sink, NULL, "twice.count", 50);
}

//  A minute's flush ends with the instance, and says that something was held.
static void
closing_ends_a_flush (void)
{
    broker_t silent;
    int fd;
    process_t *edge =
      edge_run ("edge", "flush-closed", 20, edge_silent (&silent, &fd));
    assert_int_equal (edge_number (edge, "failed="), 20);
    assert_true (edge_number (edge, "ms=") < 10000);
    close (fd);
}

static void
stats_of_what_is_being_closed_add_up (void)
{
    broker_t silent;
    int fd;
    process_t *edge =
      edge_run ("edge", "stats-closed", 3000, edge_silent (&silent, &fd));
    print_message ("    closed %d times\n",
                   (int) edge_number (edge, "closed="));
    assert_true (edge_number (edge, "closed=") > 0);
    assert_int_equal (edge_number (edge, "strange="), 0);
    close (fd);
}

//  It takes .linger_ms, not the eight seconds of the flush.
static void
a_flush_that_goes_on_delays_no_exit (void)
{
    broker_t silent;
    int fd;
    const char *const *env = edge_silent (&silent, &fd);
    int64_t least_ms = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        int64_t ms =
          edge_leaving_ms (edge_run ("edge", "flush-exit", 8000, env));
        least_ms = ms < least_ms ? ms : least_ms;
    }
    assert_in_range (least_ms, LINGER_MS - 100, LINGER_MS + 2500);
    close (fd);
}

//  --------------------------------------------------------------------------
//  Cancellation

//  The broker comes only afterwards, at the same address.
static void
a_thread_may_be_cancelled_in_a_flush (void)
{
    broker_t broker;
    int fd;
    edge_silent (&broker, &fd);
    process_t *edge =
      edge_start ("edge", "cancel-flush", 0, edge_delivers (&broker));
    process_await (edge, "going on");
    assert_int_equal (edge_number (edge, "canceled="), 1);
    assert_true (edge_number (edge, "ms=") < 10000);
    assert_int_equal (edge_number (edge, "flush="), -1);
    assert_int_equal (edge_number (edge, "held="), 1);
    close (fd);
    broker_launch (&broker);
    sink_t sink = sink_stdout (&broker, NULL);
    sink_await (&sink, NULL, "cancel.count", 0, 300);
    process_close_input (edge);
    edge_end (edge);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "cancel.count", 300);
}

//  Measuring is no point of cancellation, not even for the first time.
static void
a_thread_is_not_cancelled_while_it_measures (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *edge =
      edge_run ("edge", "cancel-first", 0, edge_delivers (broker));
    assert_int_equal (edge_number (edge, "canceled="), 1);
    assert_int_equal (edge_number (edge, "reached="), 1);
    assert_int_equal (edge_number (edge, "flush="), 0);
    sink_end_with_sum (&sink, NULL, "cancel.count", 300);
}

//  --------------------------------------------------------------------------
//  Small stacks

//  What each command measures: so many counts, timings and readings.
static const struct {
    const char *command;
    double counts, timings, readings;
} s_small[] = {{"small-counter", 100, 0, 0},
               {"small-timer", 0, 100, 0},
               {"small-gauge", 0, 0, 100},
               {"small-name", 100, 100, 100},
               {"small-open", 100, 100, 100}};

//  The first measurement of the process, from as little stack as there may be.
//  Not under sanitizers, which need more.
__attribute__ ((unused)) static void
a_thread_of_hardly_any_stack_may_measure_first (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    double counts = 0, timings = 0, readings = 0;
    for (size_t i = 0; i < sizeof s_small / sizeof *s_small; i++)
        for (long kib = 16; kib <= 20; kib += 4) {
            edge_run ("edge", s_small[i].command, kib, edge_delivers (broker));
            counts += s_small[i].counts;
            timings += s_small[i].timings;
            readings += s_small[i].readings;
        }
    sink_await (&sink, NULL, "small.count", 0, counts);
    sink_await (&sink, NULL, "small.time", timings, 0);
    sink_await (&sink, NULL, "small.gauge", readings, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "small.count", counts);
    sink_check_count (&sink, NULL, "small.time", timings);
    sink_check_sum (&sink, NULL, "small.gauge", readings);
}

//  --------------------------------------------------------------------------
//  Flushing

//  Runs a flush of five seconds until it took less than half of that, TRIES
//  times at most. Returns the last, which still runs.
static process_t *
s_flush_soon (const broker_t *broker)
{
    for (int i = 0; i < TRIES; i++) {
        process_t *edge = edge_start (
          "edge", "flush", 5000,
          edge_environment (edge_delivers (broker),
                            LIST (text_new ("ZIBRATO_SOURCE=try-%d", i))));
        process_await (edge, "flushed");
        assert_int_equal (edge_number (edge, "flush="), 0);
        if (edge_number (edge, "ms=") < 2500)
            return edge;
        process_close_input (edge);
        process_wait (edge);
    }
    fail_msg ("zb_flush waits for what nobody wants");
    return NULL;
}

static void
a_flush_does_not_wait_for_what_nobody_wants (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *edge = s_flush_soon (broker);
    assert_int_equal (edge_number (edge, "sent="), 1);
    assert_int_equal (edge_number (edge, "held="), 1);
    sink_await (&sink, NULL, "two.wanted", 0, 10);
    process_close_input (edge);
    edge_end (edge);
}

static void
a_flush_with_no_listener_at_all_returns_soon (void)
{
    process_t *edge = s_flush_soon (broker_start ());
    assert_int_equal (edge_number (edge, "sent="), 0);
    assert_int_equal (edge_number (edge, "held="), 2);
    process_close_input (edge);
    edge_end (edge);
}

//  Without a broker nobody knows what is wanted.
static void
a_flush_without_a_broker_says_that_something_is_held (void)
{
    broker_t silent;
    int fd;
    process_t *edge =
      edge_start ("edge", "flush", 300, edge_silent (&silent, &fd));
    process_await (edge, "flushed");
    assert_int_equal (edge_number (edge, "flush="), -1);
    assert_int_equal (edge_number (edge, "held="), 2);
    assert_int_equal (edge_number (edge, "error="), 0);
    assert_true (edge_number (edge, "ms=") >= 290);
    process_close_input (edge);
    edge_end (edge);
    close (fd);
}

//  --------------------------------------------------------------------------
//  What the environment says

//  Nothing can be sent: what was measured is held, zb_flush fails at once, and
//  zb_stats says why. The program goes on, and ends in time.
static void
s_check_useless (const char *const *env, int error)
{
    process_t *edge = edge_start ("edge", "flush", 30000, env);
    process_await (edge, "flushed");
    process_close_input (edge);
    edge_end (edge);
    assert_int_equal (edge_number (edge, "flush="), -1);
    assert_int_equal (edge_number (edge, "sent="), 0);
    assert_int_equal (edge_number (edge, "held=")
                        + edge_number (edge, "dropped="),
                      edge_number (edge, "measured="));
    assert_true (edge_number (edge, "measured=") > 0);
    assert_int_equal (edge_number (edge, "error="), error);
    assert_true (edge_number (edge, "ms=") < 15000);
    assert_true (edge_leaving_ms (edge) < 10000);
}

static void
an_endpoint_that_is_none_is_said (void)
{
    s_check_useless (LIST ("ZIBRATO_ENDPOINT=nonsense"), EINVAL);
    s_check_useless (LIST ("ZIBRATO_ENDPOINT=tcp://127.0.0.1:99999"), EINVAL);
    s_check_useless (LIST ("ZIBRATO_HOST=a b"), EINVAL);
}

static void
a_certificate_that_cannot_be_read_is_said (void)
{
    s_check_useless (
      LIST (
        "ZIBRATO_CURVE_CERT=/nonexistent",
        "ZIBRATO_CURVE_SERVER_KEY=rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"),
      ENOENT);
}

//  As it is written in an endpoint, and as it is written otherwise.
static void
the_host_may_be_ipv6_with_brackets_or_without (void)
{
    broker_t broker = {.host = "::1"};
    broker_launch (&broker);
    sink_t sink = sink_stdout (&broker, NULL);
    const char *hosts[] = {"ZIBRATO_HOST=::1", "ZIBRATO_HOST=[::1]"};
    for (int i = 0; i < 2; i++) {
        process_t *edge = edge_start (
          "edge", "flush", 20000,
          LIST (hosts[i], text_new ("ZIBRATO_PORT=%d", broker.port)));
        process_await (edge, "flushed");
        assert_int_equal (edge_number (edge, "flush="), 0);
        sink_await (&sink, NULL, "two.wanted", 0, 10 * (i + 1));
        process_close_input (edge);
        edge_end (edge);
    }
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "two.wanted", 20);
}

//  --------------------------------------------------------------------------
//  What is left

//  At most one descriptor, of the process, stays.
static void
instances_leave_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *edge =
      edge_run ("edge", "instances", 5, broker_environment (broker));
    assert_in_range (edge_number (edge, "descriptors="), 0, 1);
    assert_int_equal (edge_number (edge, "tasks="), 0);
    sink_end_with_sum (&sink, NULL, "instance.count", 30);
}

static void
a_thread_that_measures_stays_as_it_was (void)
{
    broker_t silent;
    int fd;
    process_t *edge =
      edge_run ("edge", "unchanged", 0, edge_silent (&silent, &fd));
    assert_int_equal (edge_number (edge, "changed="), 0);
    close (fd);
}

static const struct CMUnitTest tests[] = {
  TEST (threads_that_measure_first_at_the_same_time_add_up),
  TEST (main_may_return_while_a_thread_closes),
  TEST (what_is_being_closed_when_main_returns_arrives),
  TEST (two_threads_may_close_the_same_instance),
  TEST (closing_ends_a_flush),
  TEST (stats_of_what_is_being_closed_add_up),
  TEST (a_flush_that_goes_on_delays_no_exit),
  TEST (a_thread_may_be_cancelled_in_a_flush),
  TEST (a_thread_is_not_cancelled_while_it_measures),
#if !SANITIZED
  TEST (a_thread_of_hardly_any_stack_may_measure_first),
#endif
  TEST (a_flush_does_not_wait_for_what_nobody_wants),
  TEST (a_flush_with_no_listener_at_all_returns_soon),
  TEST (a_flush_without_a_broker_says_that_something_is_held),
  TEST (an_endpoint_that_is_none_is_said),
  TEST (a_certificate_that_cannot_be_read_is_said),
  TEST (the_host_may_be_ipv6_with_brackets_or_without),
  TEST (instances_leave_nothing),
  TEST (a_thread_that_measures_stays_as_it_was),
};

HARNESS_MAIN (tests)
