/*  bench_hot.c - what a pass costs: counter, timer and gauge against the least
    that could do in their place

    Each setup is a process of its own, for the default instance is opened once.
    Loops of ours and of the limit take turns, a slice of a millisecond each; the
    figure is the median slice of each, in nanoseconds of the thread's own
    processor time.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"
#include "hot.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include <zmq.h>

enum { SLICES = 51, THREADS_MAX = 2 };

//  What is compared, and how many passes a slice has. Those of a gauge are
//  fewer than wake the pump.
typedef struct {
    const char *figure, *ours, *limit;
    long passes;
} pair_t;

typedef struct {
    const char *name;  //  ends the figure's
    int threads, series, heard, shared, disabled;
    pair_t pairs[5];  //  up to one without a figure
} setup_t;

//  --------------------------------------------------------------------------
//  Setups

// clang-format off
#define COUNT {"count", "counter", "limit", 200000}
#define TURNS {"turns", "counters", "limits", 200000}
#define TIME  {"time", "timer", "clock", 40000}
#define GAUGE {"gauge", "gauge", "store", 1500}

static const setup_t s_setups[] = {
  //  threads, series, heard, shared, disabled
  {"1.1.alone", 1, 1, 0, 0, 0, {COUNT}},
  {"1.1.heard", 1, 1, 1, 0, 0, {COUNT, TURNS, TIME, GAUGE}},
  {"1.1000.alone", 1, 1000, 0, 0, 0, {COUNT}},
  {"1.1000.heard", 1, 1000, 1, 0, 0, {COUNT}},
  {"1.10000.alone", 1, 10000, 0, 0, 0, {COUNT}},
  {"1.10000.heard", 1, 10000, 1, 0, 0, {COUNT}},
  {"2.1.alone", 2, 1, 0, 0, 0, {COUNT}},
  {"2.1.heard", 2, 1, 1, 0, 0, {COUNT, TURNS, TIME, GAUGE}},
  {"2.1000.alone", 2, 1000, 0, 0, 0, {COUNT}},
  {"2.1000.heard", 2, 1000, 1, 0, 0, {COUNT}},
  {"2.10000.alone", 2, 10000, 0, 0, 0, {COUNT}},
  {"2.10000.heard", 2, 10000, 1, 0, 0, {COUNT}},
  {"shared", 1, 1, 1, 1, 0, {COUNT, TURNS, TIME, GAUGE}},
  {"off", 1, 1, 0, 0, 1,
   {COUNT, TURNS, {"time", "timer", "limit", 40000},
    {"gauge", "gauge", "limit", 40000}}},
  {"unheard", 1, 1, 1, 0, 0,
   {{"count", "counter.unheard", "limit", 200000},
    {"time", "timer.unheard", "clock", 40000},
    {"gauge", "gauge.unheard", "store", 1500}}},
};
// clang-format on

//  --------------------------------------------------------------------------
//  A listener: a process that takes in what level info has to say

//  Fills in the endpoint that it listens at. It ends with its parent.
static void
s_listener_start (char *endpoint, size_t size)
{
    int pipes[2];
    ssize_t got;
    BENCH_CHECK (pipe (pipes) == 0);
    if (fork () == 0) {
        void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_SUB);
        char text[65536];
        size_t text_size = sizeof text;
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        BENCH_CHECK (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "info|", 5) == 0);
        BENCH_CHECK (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
        BENCH_CHECK (
          zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, text, &text_size) == 0);
        BENCH_CHECK (write (pipes[1], text, text_size) != -1);
        while (zmq_recv (socket, text, sizeof text, 0) != -1) {
        }
        _exit (0);
    }
    close (pipes[1]);
    got = read (pipes[0], endpoint, size - 1);
    BENCH_CHECK (got > 0);
    endpoint[got] = 0;
    close (pipes[0]);
}

//  --------------------------------------------------------------------------
//  Threads that measure

typedef struct {
    const hot_t *hot;
    const setup_t *setup;
    pthread_barrier_t *together;
    int core;
    double ours[5], limit[5];  //  of each pair, nanoseconds a pass
} worker_t;

static void (*s_find (const hot_t *side, const char *name)) (long)
{
    const hot_loop_t *loop;
    for (loop = side->loops; loop->name && strcmp (loop->name, name) != 0;)
        loop++;
    BENCH_CHECK (loop->name);
    return loop->run;
}

static double
s_slice (worker_t *self, void (*run) (long), long passes)
{
    uint64_t start;
    pthread_barrier_wait (self->together);
    run (100);  //  caches
    start = bench_thread_ns ();
    run (passes);
    return (double) (bench_thread_ns () - start) / (double) passes;
}

static void *
s_measure (void *argument)
{
    worker_t *self = (worker_t *) argument;
    const pair_t *pair = self->setup->pairs;
    double ours[SLICES], limit[SLICES];
    int i, j;
    bench_pin (self->core);
    for (i = 0; pair[i].figure; i++) {
        void (*run) (long) = s_find (self->hot, pair[i].ours);
        void (*run_limit) (long) = s_find (self->hot, pair[i].limit);
        for (j = 0; j < SLICES; j++) {
            limit[j] = s_slice (self, run_limit, pair[i].passes);
            ours[j] = s_slice (self, run, pair[i].passes);
            if (pair[i].passes < 2000)
                self->hot->rest ();
        }
        self->ours[i] = bench_median (ours, SLICES);
        self->limit[i] = bench_median (limit, SLICES);
    }
    return NULL;
}

static void
s_setup_run (const setup_t *setup, const hot_t *side)
{
    pthread_barrier_t together;
    pthread_t thread[THREADS_MAX];
    worker_t worker[THREADS_MAX];
    char name[64];
    int i, j;
    side->prepare (setup->series - 1, setup->heard);
    pthread_barrier_init (&together, NULL, (unsigned) setup->threads);
    for (i = 0; i < setup->threads; i++) {
        worker[i] = (worker_t){side, setup, &together, i, {0}, {0}};
        BENCH_CHECK (pthread_create (&thread[i], NULL, s_measure, &worker[i])
                     == 0);
    }
    for (i = 0; i < setup->threads; i++)
        pthread_join (thread[i], NULL);
    for (j = 0; setup->pairs[j].figure; j++) {
        double ours = 0, limit = 0;
        for (i = 0; i < setup->threads; i++) {
            ours += worker[i].ours[j] / setup->threads;
            limit += worker[i].limit[j] / setup->threads;
        }
        snprintf (name, sizeof name, "%s.%s", setup->pairs[j].figure,
                  setup->name);
        bench_figure (name, ours, limit);
    }
}

//  --------------------------------------------------------------------------
//  A process each

static const hot_t *
s_side (int shared)
{
    char path[4096];
    void *library, *side;
    ssize_t size;
    if (!shared)
        return &hot;
    size = readlink ("/proc/self/exe", path, sizeof path - 1);
    BENCH_CHECK (size > 0);
    path[size] = 0;
    strcpy (strrchr (path, '/'), "/libhot.so");
    library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
    BENCH_CHECK (library);
    side = dlsym (library, "hot");
    BENCH_CHECK (side);
    return (const hot_t *) side;
}

static void
s_child (const setup_t *setup)
{
    char endpoint[256] = "tcp://127.0.0.1:1";  //  where nobody is
    if (setup->heard)
        s_listener_start (endpoint, sizeof endpoint);
    setenv ("ZIBRATO_ENDPOINT", endpoint, 1);
    setenv ("ZIBRATO_MAX_SERIES", "20000", 1);
    setenv ("ZIBRATO_DISABLE", setup->disabled ? "1" : "0", 1);
    s_setup_run (setup, s_side (setup->shared));
    fflush (stdout);
    _exit (0);
}

//  With a word, only the setups whose name holds it.
int
main (int argc, char **argv)
{
    size_t i;
    for (i = 0; i < sizeof s_setups / sizeof *s_setups; i++) {
        int status;
        pid_t pid;
        if (argc > 1 && !strstr (s_setups[i].name, argv[1]))
            continue;
        pid = fork ();
        if (pid == 0)
            s_child (&s_setups[i]);
        BENCH_CHECK (pid != -1 && waitpid (pid, &status, 0) == pid);
        BENCH_CHECK (status == 0);
    }
    return 0;
}
