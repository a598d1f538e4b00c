/*  test_stop.c - all are stopped at the same moment, as a container platform
    does it: what programs have counted arrives

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

enum { ROUNDS = SANITIZED ? 5 : 20, PROGRAMS = 2, STEP_MS = 37 };

//  It ends its threads' passes first, which takes up to a tenth of a second.
static process_t *
program_start (const broker_t *broker)
{
    return process_start (LIST (program_path ("load"), "50", "100000"),
                          broker_environment (broker));
}

//  What the program says that it has measured.
static double
program_said (const process_t *self, const char *key)
{
    const char *found = strstr (process_out (self), key);
    if (!found)
        fail_msg ("%s: does not say %s", process_out (self), key);
    return strtod (found + strlen (key), NULL);
}

static void
round_run (int round)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *program[PROGRAMS];
    double count = 0, times = 0, gauges = 0;
    for (int i = 0; i < PROGRAMS; i++)
        program[i] = program_start (broker);
    sink_await (&sink, NULL, "load.count", 0, 1);
    //  the moments differ, and nothing is awaited
    nanosleep (&(struct timespec){0, round * STEP_MS % 1000 * 1000000}, NULL);
    process_t *all[] = {program[0], broker->process, sink.worker, program[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        process_signal (all[(i + (size_t) round) % 4], SIGTERM);
    for (int i = 0; i < PROGRAMS; i++) {
        assert_int_equal (process_wait (program[i]), 0);
        count += program_said (program[i], "count=");
        times += program_said (program[i], "times=");
        gauges += program_said (program[i], "gauges=");
    }
    assert_int_equal (process_wait (broker->process), 0);
    assert_int_equal (process_wait (sink.worker), 0);
    sink_check_sum (&sink, NULL, "load.count", count);
    sink_check_count (&sink, NULL, "load.time", times);
    sink_check_count (&sink, NULL, "load.gauge", gauges);
    assert_true (sink_total (&sink, NULL, "zibrato.missed").sum <= 0);
}

static void
stopped_at_once_nothing_is_lost (void)
{
    for (int round = 0; round < ROUNDS; round++)
        round_run (round);
}

//  Nobody waits for programs that stay: not for long, and not at all after a
//  second signal.
static void
a_program_that_stays_does_not_keep_the_broker (void)
{
    enum { LONG_MS = 10000 };
    for (int signals = 1; signals <= 2; signals++) {
        broker_t *broker = broker_start ();
        sink_t sink = sink_stdout (broker, NULL);
        program_start (broker);
        sink_await (&sink, NULL, "load.count", 0, 1);
        process_signal (broker->process, SIGTERM);
        process_await (broker->process, "event=stopping");
        if (signals == 2)
            process_signal (broker->process, SIGTERM);
        assert_int_equal (process_wait (broker->process), 0);
        assert_true (broker->process->ended_ms - broker->process->started_ms
                     < LONG_MS);
        sink_stop (&sink);
    }
}

//  --------------------------------------------------------------------------
//  A worker without a spool is replaced, again and again, while programs measure

enum { RESTARTS = SANITIZED ? 5 : 20, BUSY = 6 };

static const char *
busy_source (int number)
{
    return text_new ("busy%d", number);
}

//  One that reports at its own pace, and measures all the time.
static process_t *
busy_start (const char *const *env, int number)
{
    static const int intervals_ms[BUSY] = {10, 20, 50, 100, 250, 1000};
    return process_start (
      LIST (program_path ("load"), "2", text_new ("%d", 300 + 700 * number)),
      LIST (env[0], env[1], "ZIBRATO_LINGER_MS=60000",
            text_new ("ZIBRATO_SOURCE=%s", busy_source (number)),
            text_new ("ZIBRATO_INTERVAL_MS=%d", intervals_ms[number])));
}

static double
sinks_sum (const sink_t *sinks, size_t count, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += sink_total (&sinks[i], NULL, name).sum;
    return sum;
}

static double
sinks_count (const sink_t *sinks, size_t count, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += sink_total (&sinks[i], NULL, name).count;
    return sum;
}

static void
check_equal (const char *what, double taken, double stored)
{
    if (llround (taken) != llround (stored))
        fail_msg ("%s: %.0f taken, %.0f stored or counted as lost", what, taken,
                  stored);
}

//  What the programs have measured is what all these workers together have
//  stored, or have counted as lost.
static void
check_all (const sink_t *sinks, size_t size, process_t *const *program)
{
    double count = 0, times = 0, gauges = 0;
    for (int i = 0; i < BUSY; i++) {
        count += program_said (program[i], "count=");
        times += program_said (program[i], "times=");
        gauges += program_said (program[i], "gauges=");
    }
    check_equal ("counts", count, sinks_sum (sinks, size, "load.count"));
    check_equal ("timings", times, sinks_count (sinks, size, "load.time"));
    check_equal ("readings", gauges,
                 sinks_count (sinks, size, "load.gauge")
                   + sinks_sum (sinks, size, "zibrato.lost")
                   + sinks_sum (sinks, size, "zibrato.dropped"));
    check_equal ("missed", 0, sinks_sum (sinks, size, "zibrato.missed"));
}

static void
replaced_in_order_nothing_is_lost (void)
{
    broker_t *broker = broker_start ();
    const char *const *env = broker_environment (broker);
    sink_t sinks[RESTARTS + 1];
    process_t *program[BUSY];
    size_t size = 0;
    sinks[size++] = sink_stdout (broker, NULL);
    for (int i = 0; i < BUSY; i++)
        program[i] = busy_start (env, i);
    for (int restart = 0; restart < RESTARTS; restart++) {
        if (restart % 3 == 0)
            sink_await (&sinks[size - 1], NULL, "load.count", 0, 1);
        nanosleep (&(struct timespec){0, restart * STEP_MS % 1000 * 1000000},
                   NULL);
        sink_stop (&sinks[size - 1]);
        sinks[size++] = sink_stdout (broker, NULL);
    }
    //  one that ended before it has heard of the last worker would keep its own
    for (int i = 0; i < BUSY; i++)
        sink_await (&sinks[size - 1], busy_source (i), "load.count", 0, 1);
    for (int i = 0; i < BUSY; i++)
        process_close_input (program[i]);
    for (int i = 0; i < BUSY; i++)
        assert_int_equal (process_wait (program[i]), 0);
    broker_stop (broker);
    sink_stop (&sinks[size - 1]);
    check_all (sinks, size, program);
}

static const struct CMUnitTest tests[] = {
  TEST (stopped_at_once_nothing_is_lost),
  TEST (a_program_that_stays_does_not_keep_the_broker),
  TEST (replaced_in_order_nothing_is_lost),
};

HARNESS_MAIN (tests)
