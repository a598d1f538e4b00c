/*  bench.h - what the benchmarks share: a clock, cores, and one line a figure

    A figure is a pair, measured one right behind the other in one process on
    the same core: what Zibrato takes, and what its limit or peer takes. The
    program prints one line of it for each repetition that it makes,

        figure NAME ZIBRATO OTHER

    and test/bench/run makes ratios, medians and tables of them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BENCH_H
#define ZB_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t
bench_clock_ns (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

//  Nanoseconds of a clock that never steps.
static inline uint64_t
bench_ns (void)
{
    return bench_clock_ns (CLOCK_MONOTONIC);
}

//  Nanoseconds of processor time that this process has taken.
static inline uint64_t
bench_cpu_ns (void)
{
    return bench_clock_ns (CLOCK_PROCESS_CPUTIME_ID);
}

//  Nanoseconds of processor time that the calling thread has taken: what other
//  threads and programs take is not in it.
static inline uint64_t
bench_thread_ns (void)
{
    return bench_clock_ns (CLOCK_THREAD_CPUTIME_ID);
}

static inline int
bench_compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

//  Sorts the values.
static inline double
bench_median (double *values, int size)
{
    qsort (values, (size_t) size, sizeof *values, bench_compare);
    return size % 2 ? values[size / 2]
                    : (values[size / 2 - 1] + values[size / 2]) / 2;
}

//  Does the user want figures soon rather than good ones? (run --quick)
static inline int
bench_quick (void)
{
    return getenv ("BENCH_QUICK") != NULL;
}

//  The calling thread stays on this core. Cores beyond those that there are
//  count from 0 again.
static inline void
bench_pin (int core)
{
    cpu_set_t all, one;
    size_t i;
    int left;
    CPU_ZERO (&one);
    if (sched_getaffinity (0, sizeof all, &all) == -1)
        return;
    left = core % CPU_COUNT (&all);
    for (i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET (i, &all) && left-- == 0)
            CPU_SET (i, &one);
    sched_setaffinity (0, sizeof one, &one);
}

static inline void
bench_figure (const char *name, double zibrato, double other)
{
    printf ("figure %s %.9g %.9g\n", name, zibrato, other);
    fflush (stdout);
}

//  Ends the program, with what went wrong on stderr.
#define BENCH_CHECK(condition)                                                 \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf (stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__,        \
                     #condition);                                              \
            exit (1);                                                          \
        }                                                                      \
    } while (0)

#endif
