/*  hot_measure.c - two loops in turns, and a listener

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"
#include "hot.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zmq.h>

enum { SLICES = 51, THREADS_MAX = 2, MANY = 2000 };

typedef struct {
    void (*run) (long n);
    long passes;
} side_t;

typedef struct {
    side_t side[2];
    void (*rest) (void);
    pthread_barrier_t *together;
    int core;
    double median[2];  //  nanoseconds a pass
} worker_t;

static double
s_slice (worker_t *self, const side_t *side)
{
    uint64_t start;
    pthread_barrier_wait (self->together);
    side->run (side->passes < 100 ? side->passes : 100);  //  caches
    start = bench_thread_ns ();
    side->run (side->passes);
    return (double) (bench_thread_ns () - start) / (double) side->passes;
}

static void *
s_measure (void *argument)
{
    worker_t *self = (worker_t *) argument;
    double slice[2][SLICES];
    int i, j;
    bench_pin (self->core);
    for (i = 0; i < SLICES; i++) {
        for (j = 1; j >= 0; j--)
            slice[j][i] = s_slice (self, &self->side[j]);
        if (self->rest && self->side[0].passes < MANY)
            self->rest ();
    }
    for (j = 0; j < 2; j++)
        self->median[j] = bench_median (slice[j], SLICES);
    return NULL;
}

void
hot_compare (const char *name, int threads, void (*ours) (long), long passes,
             void (*other) (long), long other_passes, void (*rest) (void))
{
    pthread_barrier_t together;
    pthread_t thread[THREADS_MAX];
    worker_t worker[THREADS_MAX];
    double sum[2] = {0, 0};
    int i;
    BENCH_CHECK (threads <= THREADS_MAX);
    pthread_barrier_init (&together, NULL, (unsigned) threads);
    for (i = 0; i < threads; i++) {
        worker[i] = (worker_t){
          {{ours, passes}, {other, other_passes}}, rest, &together, i, {0, 0}};
        BENCH_CHECK (pthread_create (&thread[i], NULL, s_measure, &worker[i])
                     == 0);
    }
    for (i = 0; i < threads; i++) {
        pthread_join (thread[i], NULL);
        sum[0] += worker[i].median[0];
        sum[1] += worker[i].median[1];
    }
    pthread_barrier_destroy (&together);
    bench_figure (name, sum[0] / threads, sum[1] / threads);
}

void
hot_listener (char *endpoint, size_t size)
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
