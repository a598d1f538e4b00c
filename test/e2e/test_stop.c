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

static const struct CMUnitTest tests[] = {
  TEST (stopped_at_once_nothing_is_lost),
  TEST (a_program_that_stays_does_not_keep_the_broker),
};

HARNESS_MAIN (tests)
