/*  bench_memory.c - what a series takes in a program's memory

    usage: bench_memory

    Counters, and timers whose samples fall into eight octaves, are measured in
    a first thread, which makes the series, and then in a second one, which adds
    its own share of each. What the process has grown by (resident pages, and
    not what malloc believes) is compared with what is asked of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../zibrato.h"

enum { SERIES = 20000, OCTAVES = 8, COUNTER_MAX = 192, TIMER_MAX = 4096 };
enum { WAIT_MS = 60000 };

typedef struct {
    zb_t *instance;
    bool timer;
    double bytes;  //  a series
} share_t;

static double
resident (void)
{
    unsigned long size, pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    BENCH_CHECK (file && fscanf (file, "%lu %lu", &size, &pages) == 2);
    fclose (file);
    return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

static void *
measure (void *argument)
{
    share_t *self = argument;
    double before = resident ();
    for (int i = 0; i < SERIES; i++) {
        char name[64];
        snprintf (name, sizeof name, "bench.series.%07d", i);
        for (int j = 0; j < OCTAVES && self->timer; j++)
            zb_time ("info", name, 1e-6 * (1 << j), .to = self->instance);
        if (!self->timer)
            zb_count ("info", name, .to = self->instance);
    }
    self->bytes = (resident () - before) / SERIES;
    return NULL;
}

//  In this thread and in another one.
static void
compare (bool timer, const char *name, double most)
{
    share_t first = {NULL, timer, 0}, second;
    char figure[64];
    pthread_t thread;
    first.instance = zb_open (.endpoint = "tcp://127.0.0.1:9",
                              .max_series = SERIES + 10, .linger_ms = 0);
    BENCH_CHECK (first.instance);
    //  now the pump has opened ZeroMQ: 3 MiB that are nobody's series
    BENCH_CHECK (zb_flush (first.instance, WAIT_MS) == 0);
    second = first;
    measure (&first);
    BENCH_CHECK (pthread_create (&thread, NULL, measure, &second) == 0);
    pthread_join (thread, NULL);
    zb_close (&first.instance);
    snprintf (figure, sizeof figure, "memory.%s.thread", name);
    bench_figure (figure, second.bytes, most);
    snprintf (figure, sizeof figure, "memory.%s.series", name);
    bench_figure (figure, first.bytes, most);
}

//  In a process of its own, so that it finds no memory that is free.
static void
compare_apart (bool timer, const char *name, double most)
{
    pid_t child = fork ();
    int status = 0;
    BENCH_CHECK (child != -1);
    if (child == 0) {
        compare (timer, name, most);
        _exit (0);
    }
    BENCH_CHECK (waitpid (child, &status, 0) == child && status == 0);
}

int
main (void)
{
    compare_apart (false, "counter", COUNTER_MAX);
    compare_apart (true, "timer", TIMER_MAX);
    return 0;
}
