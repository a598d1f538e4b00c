/*  test_lives.c - programs that come, fork, go, or are not listened to

    The lives of programs are short, or end where nobody expects it. What they
    measured until then arrives, once; where it cannot, they say nothing, wait
    no longer than they promised, and can tell what is left.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

enum {
    MILLION = 1000000,
    LINGER_MS = 500,                   //  the default
    GRACE_MS = SANITIZED ? 3000 : 300  //  to start and to end a process
};

//  Runs burst, which must live no longer than this; where the machine was busy,
//  again. Returns the last life, and how many there were unless runs is NULL.
static process_t *
s_burst_within (int64_t ms, const char *option, const char *const *env,
                int *runs)
{
    int64_t until = now_ms () + WAIT_MS;
    for (int run = 1; now_ms () < until; run++) {
        process_t *self =
          process_run (LIST (program_path ("burst"), option), env);
        if (runs)
            *runs = run;
        if (self->ended_ms - self->started_ms <= ms)
            return self;
    }
    fail_msg ("burst lives longer than %d ms", (int) ms);
    return NULL;
}

//  A program's variables: the broker, and more time to leave than by default,
//  which it takes only if all is slow.
static const char *const *
s_environment (const broker_t *broker, const char *more)
{
    const char *const *broker_env = broker_environment (broker);
    const char **env = harness_keep (calloc (6, sizeof *env));
    int count = 0;
    env[count++] = broker_env[0];
    env[count++] = broker_env[1];
    env[count++] = "ZIBRATO_LINGER_MS=10000";
    if (more)
        env[count++] = more;
    return env;
}

//  In less time than a program takes to leave by default.
static void
ten_milliseconds_deliver_a_million (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    int runs;
    process_t *burst = s_burst_within (SANITIZED ? GRACE_MS : LINGER_MS, NULL,
                                       s_environment (broker, NULL), &runs);
    assert_string_equal (process_out (burst), "");
    assert_string_equal (process_err (burst), "");
    sink_end_with_sum (&sink, "not_specified", "burst.count",
                       (double) runs * MILLION);
}

static void
twenty_short_lives_add_up (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    for (int life = 0; life < 20; life++)
        process_run (LIST (program_path ("burst")),
                     s_environment (broker, NULL));
    sink_end_with_sum (&sink, "not_specified", "burst.count", 20 * MILLION);
}

//  A port that nobody listens at: of a broker that has ended.
static const char *const *
s_nobody (const char *more)
{
    broker_t *broker = broker_start ();
    broker_stop (broker);
    const char *const *broker_env = broker_environment (broker);
    const char **env = harness_keep (calloc (4, sizeof *env));
    env[0] = broker_env[0];
    env[1] = broker_env[1];
    env[2] = more;
    return env;
}

static void
without_a_broker_it_ends_in_time_and_says_nothing (void)
{
    process_t *burst =
      s_burst_within (LINGER_MS + GRACE_MS, NULL, s_nobody (NULL), NULL);
    assert_string_equal (process_out (burst), "");
    assert_string_equal (process_err (burst), "");
    s_burst_within (GRACE_MS, NULL, s_nobody ("ZIBRATO_LINGER_MS=0"), NULL);
}

static void
without_a_broker_stats_tell_what_is_held (void)
{
    process_t *burst =
      process_run (LIST (program_path ("burst"), "-s"), s_nobody (NULL));
    const char *stats = process_out (burst);
    assert_true (json_number (stats, "held") > 0);
    assert_true (json_number (stats, "sent") == 0);
    assert_true (json_number (stats, "dropped") == 0);
    assert_true (json_number (stats, "listening") == 0);
    assert_true (json_number (stats, "measured")
                 == json_number (stats, "held"));
}

//  With a broker but no worker, nobody listens either.
static void
without_a_worker_nothing_is_sent (void)
{
    broker_t *broker = broker_start ();
    process_t *burst = s_burst_within (LINGER_MS + GRACE_MS, "-s",
                                       broker_environment (broker), NULL);
    assert_true (json_number (process_out (burst), "held") > 0);
    assert_true (json_number (process_out (burst), "sent") == 0);
}

//  A listener that comes while the program lives gets all of it.
static void
what_was_held_goes_to_a_late_worker (void)
{
    broker_t *broker = broker_start ();
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        s_environment (broker, NULL));
    process_send (measure, "count\tinfo\tlate\t7\ts\nflush\t0\n");
    process_await (measure, "flush -1");
    sink_t sink = sink_stdout (broker, NULL);
    sink_await (&sink, "s", "late", 0, 7);
    process_send (measure, "count\tinfo\tlate\t1\ts\nflush\t20000\n");
    process_await (measure, "flush 0");
    sink_end_with_sum (&sink, "s", "late", 8);
}

//  Not under sanitizers: in the child of a program with threads, ASan of gcc 12
//  may wait for a lock of its allocator that a thread held which is no more
//  there, and TSan ends a child that starts threads.
__attribute__ ((unused)) static void
forks_are_counted_once (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *forker =
      process_run (LIST (program_path ("forker"), "50", "1000"),
                   LIST ("ZIBRATO_LINGER_MS=20000",
                         text_new ("ZIBRATO_HOST=%s", broker->host),
                         text_new ("ZIBRATO_PORT=%d", broker->port)));
    long parent, child, grandchild;
    assert_int_equal (sscanf (process_out (forker),
                              "parent=%ld child=%ld grandchild=%ld", &parent,
                              &child, &grandchild),
                      3);
    assert_true (parent > 0);
    assert_int_equal (child, 50000);
    sink_await (&sink, "parent", "forker.count", 0, (double) parent);
    sink_await (&sink, "child", "forker.count", 0, 50000);
    sink_await (&sink, "grandchild", "forker.count", 0, 1000);
    sink_stop (&sink);
    sink_check_sum (&sink, "parent", "forker.count", (double) parent);
    sink_check_sum (&sink, "child", "forker.count", 50000);
    sink_check_sum (&sink, "grandchild", "forker.count", 1000);
}

//  Starts a program that reports only when it is told to, or closed.
static process_t *
s_measure (const broker_t *broker, const char *more)
{
    const char *const *env = s_environment (broker, more);
    return process_start (
      LIST (program_path ("measure")),
      LIST ("ZIBRATO_INTERVAL_MS=3600000", env[0], env[1], env[2], env[3]));
}

//  It has reported 5, and has measured 7 since.
static process_t *
s_half_reported (const broker_t *broker, const sink_t *sink)
{
    process_t *measure = s_measure (broker, NULL);
    process_send (measure, "count\tinfo\thalf\t5\ts\ntime\tinfo\tspan\t1\ts\n"
                           "gauge\tinfo\tlevel\t1\ts\nflush\t20000\n");
    process_await (measure, "flush 0");
    sink_await (sink, "s", "half", 0, 5);
    sink_await (sink, "s", "level", 1, 0);
    process_send (measure, "count\tinfo\thalf\t7\ts\ntime\tinfo\tspan\t2\ts\n"
                           "gauge\tinfo\tlevel\t2\ts\nstats\n");
    process_await (measure, "\"held\":3,");
    return measure;
}

//  What it had reported is there once, and nothing else.
static void
s_check_half (const sink_t *sink)
{
    sink_stop (sink);
    sink_check_sum (sink, "s", "half", 5);
    sink_check_count (sink, "s", "span", 1);
    sink_check_sum (sink, "s", "span", 1);
    sink_check_count (sink, "s", "level", 1);
}

static void
a_kill_takes_only_what_was_not_reported (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *measure = s_half_reported (broker, &sink);
    assert_int_equal (process_stop (measure, SIGKILL), 128 + SIGKILL);
    s_check_half (&sink);
}

static void
exit_at_once_takes_only_what_was_not_reported (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *measure = s_half_reported (broker, &sink);
    process_send (measure, "_exit\t3\n");
    assert_int_equal (process_wait (measure), 3);
    s_check_half (&sink);
}

//  zb_flush would not do: it hands over to a thread of ZeroMQ, which ends with
//  the process. zb_close waits until that has sent all.
static void
closed_before_exit_at_once_delivers_all (void)
{
    enum { LIVES = 50 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    for (int life = 0; life < LIVES; life++) {
        process_t *measure = s_measure (broker, "ZIBRATO_LINGER_MS=20000");
        process_send (measure, "open\ncount\tinfo\tclosed\t7\ts\n"
                               "gauge\tinfo\tlevel\t1\ts\nclose\n_exit\t3\n");
        assert_int_equal (process_wait (measure), 3);
    }
    sink_end_with_sum (&sink, "s", "closed", 7 * LIVES);
    sink_check_count (&sink, "s", "level", LIVES);
}

//  A child inherits the instance, and closes it for itself.
__attribute__ ((unused)) static void
a_child_closed_before_exit_at_once_delivers_all (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *measure = s_measure (broker, "ZIBRATO_LINGER_MS=20000");
    process_send (measure, "open\ncount\tinfo\tkin\t1\tparent\nfork\n");
    process_await (measure, "forked");
    process_send (measure, "count\tinfo\tkin\t5\tchild\nclose\n_exit\t3\n");
    process_await (measure, "child 3");
    process_send (measure, "count\tinfo\tkin\t2\tparent\n");
    process_close_input (measure);
    assert_int_equal (process_wait (measure), 0);
    sink_await (&sink, "child", "kin", 0, 5);
    sink_await (&sink, "parent", "kin", 0, 3);
    sink_stop (&sink);
    sink_check_sum (&sink, "child", "kin", 5);
    sink_check_sum (&sink, "parent", "kin", 3);
}

static void
instances_close_and_open_under_load (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *reopen =
      process_run (LIST (program_path ("reopen"), SANITIZED ? "10" : "50"),
                   broker_environment (broker));
    long counted, lives, racing;
    assert_int_equal (sscanf (process_out (reopen),
                              "default=%ld lives=%ld racing=%ld", &counted,
                              &lives, &racing),
                      3);
    sink_await (&sink, "mine", "reopen.default", 0, (double) counted);
    sink_await (&sink, "other", "reopen.life", 0, (double) lives);
    sink_stop (&sink);
    sink_check_sum (&sink, "mine", "reopen.default", (double) counted);
    sink_check_sum (&sink, "other", "reopen.life", (double) lives);
    total_t total = sink_total (&sink, "other", "reopen.racing");
    //  at least one in each life, of which main counts ten
    assert_true (total.sum >= (double) lives / 10
                 && total.sum <= (double) racing);
    assert_string_equal (process_err (reopen), "");
}

static void
disabled_sends_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    s_burst_within (GRACE_MS, NULL,
                    LIST (text_new ("ZIBRATO_HOST=%s", broker->host),
                          text_new ("ZIBRATO_PORT=%d", broker->port),
                          "ZIBRATO_DISABLE=1", "ZIBRATO_SOURCE=disabled"),
                    NULL);
    process_run (LIST (program_path ("burst")),
                 s_environment (broker, "ZIBRATO_SOURCE=enabled"));
    sink_await (&sink, "enabled", "burst.count", 0, MILLION);
    sink_stop (&sink);
    sink_check_sum (&sink, "disabled", "burst.count", 0);
}

//  The endpoint stands in place of host and port, which point nowhere here.
static void
variables_take_effect (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_run (LIST (program_path ("burst"), "-n", "1000"),
                 s_environment (broker, "ZIBRATO_SOURCE=by host and port"));
    process_run (
      LIST (program_path ("burst"), "-n", "2000"),
      LIST ("ZIBRATO_HOST=127.0.0.1", "ZIBRATO_PORT=1",
            text_new ("ZIBRATO_ENDPOINT=%s", broker_endpoint (broker, 0)),
            "ZIBRATO_LINGER_MS=20000", "ZIBRATO_SOURCE=by endpoint"));
    sink_await (&sink, "by host and port", "burst.count", 0, 1000);
    sink_await (&sink, "by endpoint", "burst.count", 0, 2000);
    sink_stop (&sink);
    sink_check_sum (&sink, "by host and port", "burst.count", 1000);
    sink_check_sum (&sink, "by endpoint", "burst.count", 2000);
}

//  Beyond max_series passes are dropped and reported; what fits is exact.
static void
more_series_than_max_are_reported (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *measure =
      process_start (LIST (program_path ("measure")),
                     s_environment (broker, "ZIBRATO_MAX_SERIES=100"));
    process_send (measure, "many\t150\nmany\t150\nflush\t20000\nstats\n");
    process_await (measure, "flush 0");
    const char *stats = process_await (measure, "dropped_series");
    assert_true (json_number (stats, "series") <= 101);
    double dropped = json_number (stats, "dropped_series");
    total_t total = {0};
    cJSON *rows;
    sink_await (&sink, NULL, "zibrato.dropped", 0, dropped);
    sink_stop (&sink);
    rows = sink_rows (&sink);
    for (int i = 0; i < 150; i++)
        total.sum +=
          rows_total (rows, "not_specified", text_new ("many.%d", i)).sum;
    assert_true (rows_total (rows, NULL, "many.0").sum == 2);
    assert_true (rows_total (rows, NULL, "zibrato.dropped").sum == dropped);
    cJSON_Delete (rows);
    assert_true (dropped >= 100);
    assert_true (total.sum + dropped == 300);
}

static void
what_is_no_measurement_is_refused (void)
{
    static const char *const bad[] = {
      "gauge\tinfo\tg\tnan\ts",  "gauge\tinfo\tg\tinf\ts",
      "gauge\tinfo\tg\t-inf\ts", "count\tinfo\tc\tnan\ts",
      "time\tinfo\tt\tnan\ts",   "time\tinfo\tt\tinf\ts",
      "count\tinfo\ta|b\t1\ts",  "count\tin|fo\tc\t1\ts",
      "count\tinfo\tc\t1\ts|t",  "count\tinfo\t\t1\ts",
      "count\t\tc\t1\ts",        "count\tinfo\tc\001d\t1\ts",
      "count\tinfo\tc\177\t1\ts"};
    enum { BAD = sizeof bad / sizeof *bad };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        s_environment (broker, NULL));
    char long_name[257] = "";
    memset (long_name, 'n', 256);
    for (int i = 0; i < BAD; i++) {
        process_send (measure, text_new ("%s\n", bad[i]));
        process_send (measure, "count\tinfo\tgood\t1\ts\n");
    }
    process_send (measure, text_new ("count\tinfo\t%s\t1\ts\n", long_name));
    process_send (measure, text_new ("count\tinfo\t%s\t1\ts\n", long_name + 1));
    process_send (measure, "flush\t20000\nstats\n");
    process_await (measure, "flush 0");
    const char *stats = process_await (measure, "refused");
    if (json_number (stats, "refused") != BAD + 1)
        fail_msg ("refused are not %d but %s", BAD + 1, stats);
    sink_await (&sink, "s", "good", 0, BAD);
    sink_await (&sink, "s", long_name + 1, 0, 1);
    sink_stop (&sink);
    sink_check_sum (&sink, "s", "good", BAD);
    sink_check_count (&sink, "s", "g", 0);
    sink_check_count (&sink, "s", "c", 0);
    sink_check_count (&sink, "s", "t", 0);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

static const struct CMUnitTest tests[] = {
  TEST (ten_milliseconds_deliver_a_million),
  TEST (twenty_short_lives_add_up),
  TEST (without_a_broker_it_ends_in_time_and_says_nothing),
  TEST (without_a_broker_stats_tell_what_is_held),
  TEST (without_a_worker_nothing_is_sent),
  TEST (what_was_held_goes_to_a_late_worker),
#if !SANITIZED
  TEST (forks_are_counted_once),
  TEST (a_child_closed_before_exit_at_once_delivers_all),
#endif
  TEST (a_kill_takes_only_what_was_not_reported),
  TEST (exit_at_once_takes_only_what_was_not_reported),
  TEST (closed_before_exit_at_once_delivers_all),
  TEST (instances_close_and_open_under_load),
  TEST (disabled_sends_nothing),
  TEST (variables_take_effect),
  TEST (more_series_than_max_are_reported),
  TEST (what_is_no_measurement_is_refused),
};

HARNESS_MAIN (tests)
