/*  test_clock.c - is a duration as long as CLOCK_MONOTONIC says?

    Over ten seconds, across fork, for a process that was stopped and a thread
    that moves between cores; and with a time-stamp counter that a test can
    bend, or a CPU that says it has none that serves.

    Each test is a process of its own, since there is one clock a process.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - it knows no fork of threads

#define _GNU_SOURCE

#ifdef __x86_64__
#include <cpuid.h>
#include <x86intrin.h>

//  The header's CPU: what CPUID says, and a counter that runs ahead by so many
//  parts of a million since a moment, and is so many ticks off, too.
static int s_not_invariant;
static double s_ppm;
static unsigned long long s_bent_at;
static long long s_offset;

static int
s_get_cpuid (unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    int rc = __get_cpuid (leaf, a, b, c, d);
    if (leaf == 0x80000007 && s_not_invariant)
        *d &= ~(1u << 8);
    return rc;
}

static unsigned long long
s_rdtsc (void)
{
    unsigned long long ticks = __rdtsc ();
    double ahead = (double) (ticks - s_bent_at) * s_ppm * 1e-6;
    return ticks + (unsigned long long) ((long long) ahead + s_offset);
}

#define __get_cpuid            s_get_cpuid
#define __builtin_ia32_rdtsc() s_rdtsc ()
#endif

#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <sys/wait.h>

#include "../../jobs.h"

static void
s_sleep_ms (int64_t ms)
{
    int64_t until = zb_clock_ms_ () + ms;
    while (zb_clock_ms_ () < until)
        poll (NULL, 0, (int) (until - zb_clock_ms_ ()));
}

//  Runs a test where no clock has been used yet. Its asserts are its exit
//  status, for cmocka is the parent's.
static void
s_alone (int (*test) (void))
{
    int status;
    pid_t pid;
    fflush (stdout);
    pid = fork ();
    if (pid == 0) {
        //  where nobody is: the clock does not need a broker
        zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 50,
                 .linger_ms = 0);
        _exit (test ());
    }
    assert_int_equal (waitpid (pid, &status, 0), pid);
    assert_int_equal (status, 0);
}

#define S_CHECK(condition)                                                     \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf (stderr, "%d: failed: %s\n", __LINE__, #condition);        \
            return 1;                                                          \
        }                                                                      \
    } while (0)

static int
s_on (void)
{
    return __atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE);
}

//  Waits until the counter is used, or is not; returns whether it is.
static int
s_await (int on)
{
    int64_t until = zb_clock_ms_ () + 10000;
    while (s_on () != on && zb_clock_ms_ () < until)
        s_sleep_ms (5);
    return s_on ();
}

//  --------------------------------------------------------------------------
//  Ten seconds

enum { LONG_MS = 10000 };

//  Our clock and CLOCK_MONOTONIC, read as one: the tightest of some tries.
typedef struct {
    uint64_t ours, ns;
} moment_t;

static moment_t
s_moment (void)
{
    moment_t best = {0, 0};
    uint64_t width = UINT64_MAX;
    int i;
    for (i = 0; i < 100; i++) {
        uint64_t before = zb_clock_ns_ (), ours = zb_ticks_ ();
        uint64_t after = zb_clock_ns_ ();
        if (after - before < width) {
            width = after - before;
            best.ours = ours;
            best.ns = before + width / 2;
        }
    }
    return best;
}

//  Both what a timer makes of it, and what a gauge's time is made of.
static int
s_check_since (moment_t start)
{
    moment_t end = s_moment ();
    double took = (double) (end.ns - start.ns);
    double timed =
      (double) zb_elapsed_ (start.ours) - (double) (zb_clock_ns_ () - end.ns);
    double read =
      (double) (zb_ticks_ns_ (end.ours) - zb_ticks_ns_ (start.ours));
    fprintf (stderr, "%s: %+.2f ppm, %+.2f ppm of %.1f s\n",
             s_on () ? "counter" : "clock", (timed / took - 1) * 1e6,
             (read / took - 1) * 1e6, took * 1e-9);
    S_CHECK (fabs (timed / took - 1) < 100e-6);
    S_CHECK (fabs (read / took - 1) < 100e-6);
    return 0;
}

//  Moves on every 20 ms.
static void *
s_migrate (void *argument)
{
    static int failed;
    int64_t until = zb_clock_ms_ () + LONG_MS;
    moment_t start = s_moment ();
    cpu_set_t all, one;
    size_t core;
    (void) argument;
    sched_getaffinity (0, sizeof all, &all);
    for (core = 0; zb_clock_ms_ () < until; core = (core + 1) % CPU_SETSIZE)
        if (CPU_ISSET (core, &all)) {
            CPU_ZERO (&one);
            CPU_SET (core, &one);
            sched_setaffinity (0, sizeof one, &one);
            poll (NULL, 0, 20);
        }
    failed = s_check_since (start);
    return &failed;
}

//  A child of a process that has a clock: it goes on with that.
static pid_t
s_fork (void)
{
    moment_t start = s_moment ();
    pid_t pid = fork ();
    if (pid == 0) {
        zb_count ("info", "n");  //  starts the child's pump
        s_sleep_ms (LONG_MS);
        _exit (s_check_since (start));
    }
    return pid;
}

static int
s_ten_seconds (void)
{
    int used = s_await (1), status;
    pid_t child = s_fork (), stopped = s_fork ();
    moment_t start = s_moment ();
    pthread_t thread;
    void *failed;
    S_CHECK (pthread_create (&thread, NULL, s_migrate, NULL) == 0);
    s_sleep_ms (1000);
    kill (stopped, SIGSTOP);
    s_sleep_ms (LONG_MS / 2);
    kill (stopped, SIGCONT);
    s_sleep_ms (LONG_MS / 2 - 1000);
    S_CHECK (s_check_since (start) == 0);
    S_CHECK (pthread_join (thread, &failed) == 0 && *(int *) failed == 0);
    S_CHECK (waitpid (child, &status, 0) == child && status == 0);
    S_CHECK (waitpid (stopped, &status, 0) == stopped && status == 0);
    S_CHECK (s_on () == used);
    return 0;
}

//  --------------------------------------------------------------------------
//  A counter that does not serve

#ifdef __x86_64__

static int
s_has_counter (void)
{
    return zb_tsc_invariant_ ();
}

static int
s_no_invariant (void)
{
    moment_t start = s_moment ();
    s_sleep_ms (1500);
    S_CHECK (!s_on ());
    S_CHECK (s_check_since (start) == 0);
    return 0;
}

static int
s_drifts (void)
{
    moment_t start;
    S_CHECK (s_await (1));
    //  as little as CLOCK_MONOTONIC itself may be slewed
    s_bent_at = __rdtsc ();
    s_ppm = 50;
    s_sleep_ms (2500);
    S_CHECK (s_on ());
    s_offset = (long long) (s_rdtsc () - __rdtsc ());
    s_bent_at = __rdtsc ();
    s_ppm = 300;
    start = s_moment ();
    S_CHECK (!s_await (0));
    S_CHECK (zb_clock_ns_ () - start.ns < 5000000000u);
    //  a scope that began by the counter ends by the clock, and no worse
    S_CHECK (fabs ((double) zb_elapsed_ (start.ours)
                     / (double) (zb_clock_ns_ () - start.ns)
                   - 1)
             < 1e-3);
    start = s_moment ();
    s_sleep_ms (1000);
    S_CHECK (s_check_since (start) == 0 && !s_on ());
    return 0;
}

//  Makes a counter that is used be so for 30 days already, at its rate.
static void
s_make_old (void)
{
    uint64_t days_ns = (uint64_t) 30 * 24 * 3600 * 1000000000, ticks;
    pthread_mutex_lock (&zb_tsc_lock_);
    ticks = (uint64_t) (((zb_u128_) days_ns << 32) / zb_tsc_.rate);
    zb_tsc_.base_ns -= zb_tsc_ns_ (ticks);
    zb_tsc_.base_ticks -= ticks;
    pthread_mutex_unlock (&zb_tsc_lock_);
}

//  What a counter may be off grows neither with its age nor with that of the
//  machine: one whose rate changes late is given up as soon as one whose rate
//  changes at once. Durations across that moment are right.
static int
s_bends_late (double ppm)
{
    moment_t start;
    double timed, took;
    S_CHECK (s_await (1));
    s_make_old ();
    s_sleep_ms (1500);
    S_CHECK (s_on ());
    s_bent_at = __rdtsc ();
    s_ppm = ppm;
    start = s_moment ();
    S_CHECK (!s_await (0));
    S_CHECK (zb_clock_ns_ () - start.ns < 5000000000u);
    timed = (double) zb_elapsed_ (start.ours);
    took = (double) (zb_clock_ns_ () - start.ns);
    S_CHECK (fabs (timed - took) < took * 1e-3 + 1000000);
    start = s_moment ();
    s_sleep_ms (1000);
    S_CHECK (s_check_since (start) == 0 && !s_on ());
    return 0;
}

static int
s_speeds_up_late (void)
{
    return s_bends_late (500000);
}

static int
s_slows_down_late (void)
{
    return s_bends_late (-500000);
}

//  Ahead by an hour, or back: given up, and until then no duration is negative.
static int
s_jumps (long long offset)
{
    uint64_t start;
    S_CHECK (s_await (1));
    start = zb_ticks_ ();
    __atomic_store_n (&s_offset, s_offset + offset, __ATOMIC_RELEASE);
    S_CHECK (zb_elapsed_ (start) < (uint64_t) 24 * 3600 * 1000000000);
    S_CHECK (!s_await (0));
    S_CHECK (zb_elapsed_ (zb_ticks_ ()) < 1000000000);
    return 0;
}

static int
s_jumps_ahead (void)
{
    return s_jumps (10000000000000);
}

static int
s_jumps_back (void)
{
    return s_jumps (-10000000000000);
}

//  Larger than the mark of a reading of the other clock allows.
static int
s_is_large (void)
{
    s_sleep_ms (1000);
    S_CHECK (!s_on ());
    S_CHECK (zb_elapsed_ (zb_ticks_ ()) < 1000000000);
    return 0;
}

#endif

//  A scope that begins by the clock may end by the counter.
static int
s_changes (void)
{
    moment_t start = s_moment ();
    int was = s_on ();
    s_await (1);
    fprintf (stderr, "from %s: ", was ? "counter" : "clock");
    return s_check_since (start);
}

//  --------------------------------------------------------------------------
//  Opening: the rate is measured later, by the pump

static int
s_opening (void)
{
    enum { TIMES = 9 };
    uint64_t least = UINT64_MAX;
    int i;
    for (i = 0; i < TIMES; i++) {
        uint64_t before = zb_clock_read_ (CLOCK_THREAD_CPUTIME_ID), took;
        zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = 0);
        took = zb_clock_read_ (CLOCK_THREAD_CPUTIME_ID) - before;
        S_CHECK (zb);
        zb_close (&zb);
        if (took < least)
            least = took;
    }
    fprintf (stderr, "opening: %.0f us of processor time\n",
             (double) least * 1e-3);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    S_CHECK (least < 1000000);
#endif
    return 0;
}

//  --------------------------------------------------------------------------

static void
test_ten_seconds (void **state)
{
    (void) state;
    s_alone (s_ten_seconds);
}

static void
test_change (void **state)
{
    (void) state;
    s_alone (s_changes);
}

static void
test_opening (void **state)
{
    (void) state;
    s_alone (s_opening);
}

#ifdef __x86_64__

static void
test_not_invariant (void **state)
{
    (void) state;
    s_not_invariant = 1;
    s_alone (s_no_invariant);
    s_not_invariant = 0;
}

static void
test_astray (void **state)
{
    (void) state;
    if (!s_has_counter ())
        skip ();
    s_alone (s_drifts);
    s_alone (s_jumps_ahead);
    //  far from zero, however short the machine is up
    s_offset = 20000000000000;
    s_alone (s_jumps_back);
    s_offset = INT64_MAX / 2 + 1;
    s_alone (s_is_large);
    s_offset = INT64_MIN;
    s_alone (s_is_large);
    s_offset = 0;
}

static void
test_astray_late (void **state)
{
    (void) state;
    if (!s_has_counter ())
        skip ();
    //  what is taken away for the age is there
    s_offset = INT64_MAX / 8;
    s_alone (s_speeds_up_late);
    s_alone (s_slows_down_late);
    s_offset = 0;
}

#endif

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_ten_seconds),   cmocka_unit_test (test_change),
      cmocka_unit_test (test_opening),
#ifdef __x86_64__
      cmocka_unit_test (test_not_invariant), cmocka_unit_test (test_astray),
      cmocka_unit_test (test_astray_late),
#endif
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, NULL);
}
