/*  load.c - a program under load, until its standard input ends or
    SIGTERM comes

    usage: load [THREADS] [PAUSE_US]

    Each thread (4) counts 3, times 1000 ns, and takes a reading, at level
    info, again and again with a pause in between (2000), once at least. At the
    end it prints what it measured,

        count=N times=N time_ns=N gauges=N dropped=N

    where dropped is what zb_stats says.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  ppoll

#include "zibrato.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, VALUE = 3, NS = 1000 };

static atomic_bool s_stop;
static atomic_long s_passes;
static long s_pause_us = 2000;

static void *
s_run (void *argument)
{
    long passes = 0;
    (void) argument;
    do {
        struct timespec pause = {0, s_pause_us * 1000};
        {
            ZB_COUNT_ME ("info", "load.count", .value = VALUE);
        }
        zb_time ("info", "load.time", NS * 1e-9);
        ZB_GAUGE ("info", "load.gauge", (double) passes);
        passes++;
        nanosleep (&pause, NULL);
    } while (!s_stop);
    s_passes += passes;
    return NULL;
}

//  Ends the wait for input.
static void
s_stop_handle (int number)
{
    (void) number;
}

//  Returns when the input ends, or SIGTERM comes, which is blocked everywhere but
//  here: one that comes before we wait must not be lost.
static void
s_wait (void)
{
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    sigset_t none;
    char byte;
    sigemptyset (&none);
    while (ppoll (&input, 1, NULL, &none) == 1
           && read (STDIN_FILENO, &byte, 1) == 1) {
    }
}

int
main (int argc, char *argv[])
{
    long threads = argc > 1 ? strtol (argv[1], NULL, 10) : 4;
    pthread_t thread[THREADS_MAX];
    zb_stats_t stats;
    struct sigaction action = {.sa_handler = s_stop_handle};
    sigset_t stop;
    s_pause_us = argc > 2 ? strtol (argv[2], NULL, 10) : s_pause_us;
    if (threads < 1 || threads > THREADS_MAX || s_pause_us < 1
        || s_pause_us > 999999)
        return 2;
    sigemptyset (&stop);
    sigaddset (&stop, SIGTERM);
    pthread_sigmask (SIG_BLOCK, &stop, NULL);
    for (long i = 0; i < threads; i++)
        if (pthread_create (&thread[i], NULL, s_run, NULL) != 0)
            return 1;
    sigaction (SIGTERM, &action, NULL);
    s_wait ();
    s_stop = true;
    for (long i = 0; i < threads; i++)
        pthread_join (thread[i], NULL);
    zb_flush (NULL, 20000);
    if (zb_stats (NULL, &stats) == -1)
        return 1;
    printf ("count=%ld times=%ld time_ns=%ld gauges=%ld dropped=%" PRIu64 "\n",
            s_passes * VALUE, s_passes, s_passes * NS, s_passes, stats.dropped);
    return 0;
}
