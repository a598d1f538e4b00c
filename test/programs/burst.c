/*  burst.c - counts to a million in the blink of an eye, and is gone

    usage: burst [-t THREADS] [-n TOTAL] [-w] [-s]

    Each of 8 threads passes burst.count its share of 1,000,000 times, then the
    program returns from main. It never mentions an instance: what happens to
    the count is what happens in a program whose author did nothing about it.

      -w   waits for a line of input before main returns
      -s   at the end, zb_flush without waiting, and prints zb_stats as JSON

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

static void *
s_count (void *argument)
{
    long passes = *(long *) argument;
    while (passes-- > 0) {
        ZB_COUNT_ME ("info", "burst.count");
    }
    return NULL;
}

static void
s_print_stats (void)
{
    zb_stats_t stats;
    zb_flush (NULL, 0);
    if (zb_stats (NULL, &stats) == -1)
        exit (1);
    printf ("{\"measured\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"held\":%" PRIu64
            ",\"dropped\":%" PRIu64 ",\"listening\":%d}\n",
            stats.measured, stats.sent, stats.held, stats.dropped,
            stats.listening);
}

int
main (int argc, char *argv[])
{
    long threads = 8, total = 1000000;
    bool waits = false, tells = false;
    int option;
    while ((option = getopt (argc, argv, "t:n:ws")) != -1)
        if (option == 't')
            threads = strtol (optarg, NULL, 10);
        else if (option == 'n')
            total = strtol (optarg, NULL, 10);
        else if (option == 'w')
            waits = true;
        else if (option == 's')
            tells = true;
        else
            return 2;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;

    pthread_t thread[THREADS_MAX];
    long share = total / threads;
    for (long i = 0; i < threads; i++)
        if (pthread_create (&thread[i], NULL, s_count, &share) != 0)
            return 1;
    for (long i = 0; i < threads; i++)
        pthread_join (thread[i], NULL);
    if (waits)
        getchar ();
    if (tells)
        s_print_stats ();
    return 0;
}
