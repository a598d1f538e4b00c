/*  test_broker_kills.c - the broker killed fifty times under load

    A program counts, times and reads gauges all the while. The broker is
    killed at moments that nobody has chosen, some of them before it is
    properly up, and started again at the same port. What counters and timers
    come to at the sink is what the program was told, to the digit; of the
    gauges each reading is there, or reported as lost, or was dropped by the
    program, since nobody listened for so long.

    ZB_SEED makes the same moments again; the seed is printed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

enum { KILLS = SANITIZED ? 15 : 50, KILL_MS = 800, DEFAULT_SEED = 20261124 };

//  What the program has been told, line by line, by a thread of its own.
typedef struct {
    process_t *program;
    _Atomic int stop;
    double counted, timed, read;  //  lines of each kind
} load_t;

static void *
load_run (void *argument)
{
    load_t *self = argument;
    static const char lines[] = "count\tinfo\tkills.count\t3\n"
                                "time\tdebug\tkills.time\t0.5\n"
                                "gauge\tinfo\tkills.gauge\t7\n";
    while (!self->stop) {
        for (int i = 0; i < 20; i++) {
            if (write (self->program->input, lines, sizeof lines - 1)
                != sizeof lines - 1)
                return NULL;
            self->counted++;
            self->timed++;
            self->read++;
        }
        poll_pause ();
    }
    return self;
}

//  Numbers that are the same for a seed (Marsaglia, "Xorshift RNGs", 2003).
static uint32_t
s_random (uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

//  Random moments are what is tested, so this pause awaits nothing.
static void
s_pause (uint32_t ms)
{
    nanosleep (&(struct timespec){ms / 1000, (long) (ms % 1000) * 1000000},
               NULL);
}

static void
fifty_kills_change_no_total (void)
{
    const char *seed = getenv ("ZB_SEED");
    uint32_t random = seed ? (uint32_t) strtoul (seed, NULL, 10) : DEFAULT_SEED;
    print_message ("    ZB_SEED=%" PRIu32 "\n", random);
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, LIST ("--levels", "info,debug"));
    load_t load = {.program = process_start (LIST (program_path ("measure")),
                                             broker_environment (broker))};
    pthread_t thread;
    void *wrote;
    assert_int_equal (pthread_create (&thread, NULL, load_run, &load), 0);
    for (int i = 0; i < KILLS; i++) {
        s_pause (s_random (&random) % KILL_MS);
        broker_kill (broker);
        broker_launch (broker);
    }
    load.stop = 1;
    pthread_join (thread, &wrote);
    assert_non_null (wrote);
    sink_await (&sink, NULL, "kills.count", 0, 3 * load.counted);
    sink_await (&sink, NULL, "kills.time", load.timed, 0);
    //  a gap is seen by what comes after it; and a flush waits for a listener only
    //  where one is known to be
    process_send (load.program, "gauge\tinfo\tkills.last\t7\n");
    sink_await (&sink, NULL, "kills.last", 1, 0);
    process_send (load.program, "flush\t20000\nstats\n");
    process_await (load.program, "flush 0");
    double dropped =
      stats_dropped (process_await (load.program, "\"measured\""));
    close (load.program->input);
    load.program->input = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal (process_wait (load.program), 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "kills.count", 3 * load.counted);
    sink_check_count (&sink, NULL, "kills.time", load.timed);
    sink_check_sum (&sink, NULL, "kills.time", 0.5 * load.timed);
    double stored = sink_total (&sink, NULL, "kills.gauge").count;
    double lost = sink_total (&sink, NULL, "zibrato.lost").sum;
    print_message ("    %g readings: %g stored, %g lost, %g dropped\n",
                   load.read, stored, lost, dropped);
    if (stored + lost + dropped != load.read)
        fail_msg ("%g readings are not accounted for",
                  load.read - stored - lost - dropped);
    broker_stop (broker);
}

//  A program waits for a listener, not for all that there were: of two workers
//  the one that is back has all of it, the other what it got before.
static void
a_program_that_ends_waits_for_one_worker (void)
{
    broker_t *broker = broker_start ();
    sink_t back = sink_stdout (broker, LIST ("--levels", "info")),
           late = sink_stdout (broker, LIST ("--levels", "info"));
    const char *const *env = broker_environment (broker);
    process_t *program =
      process_start (LIST (program_path ("measure")),
                     LIST (env[0], env[1], "ZIBRATO_LINGER_MS=20000"));
    process_send (program, "count\tinfo\tkills.count\t3\n");
    sink_await (&back, NULL, "kills.count", 0, 3);
    sink_await (&late, NULL, "kills.count", 0, 3);
    process_signal (late.worker, SIGSTOP);
    broker_kill (broker);
    broker_launch (broker);
    process_await (back.worker, "event=connected");
    process_send (program, "count\tinfo\tkills.count\t4\n");
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_await (&back, NULL, "kills.count", 0, 7);
    process_signal (late.worker, SIGCONT);
    process_await (late.worker, "event=connected");
    sink_stop (&back);
    sink_stop (&late);
    sink_check_sum (&back, NULL, "kills.count", 7);
    sink_check_sum (&late, NULL, "kills.count", 3);
    //  and it says so
    assert_true (sink_total (&late, NULL, "zibrato.missed").sum > 0);
    assert_true (sink_total (&back, NULL, "zibrato.missed").sum <= 0);
    broker_stop (broker);
}

static const struct CMUnitTest tests[] = {
  TEST (fifty_kills_change_no_total),
  TEST (a_program_that_ends_waits_for_one_worker),
};

HARNESS_MAIN (tests)
