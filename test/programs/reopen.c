/*  reopen.c - closes and opens an instance while four threads measure into it

    usage: reopen [TIMES]

    The default instance stays open, the other is closed and opened again 50
    times. Four threads measure into both all the while, whether the other is
    there at the moment or not, by macros and by the functions for run-time
    names. In each life of the other one, main counts reopen.life 10 times
    into it, which must arrive, and waits until a thread has measured into it,
    too. At the end it prints

        default=N lives=N racing=N

    what was counted as reopen.default, as reopen.life, and at most as
    reopen.racing: of that, what went to a closed instance is nowhere.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, LIFE = 10 };

static _Atomic (zb_t *) s_other;
static atomic_bool s_stop;

typedef struct {
    pthread_t thread;
    _Atomic long counted;
} counter_t;

static void *
s_run (void *argument)
{
    counter_t *self = argument;
    while (!s_stop) {
        zb_t *other = s_other;
        ZB_COUNT_ME ("info", "reopen.default");
        ZB_TIME_ME ("info", "reopen.time", .to = other);
        ZB_COUNT_ME ("info", "reopen.racing", .to = other);
        ZB_GAUGE ("nobody", "reopen.gauge", 1, .to = other);
        zb_count ("nobody", "reopen.name", .to = other);
        self->counted++;
    }
    return NULL;
}

//  A thread may be in the midst of a pass. The next one begins from now on, and
//  what its scopes count is there when the one after that has come as far.
static void
s_await_pass (counter_t *counter)
{
    long before = counter->counted;
    while (counter->counted < before + 3)
        sched_yield ();
}

int
main (int argc, char *argv[])
{
    long times = argc > 1 ? strtol (argv[1], NULL, 10) : 50;
    counter_t counters[THREADS] = {0};
    long counted = 0;
    zb_t *mine = zb_open (.source = "mine", .linger_ms = 10000);
    s_other = zb_open (.source = "other", .linger_ms = 10000);
    if (!mine || !s_other)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create (&counters[i].thread, NULL, s_run, &counters[i]))
            return 1;
    for (long life = 0; life < times; life++) {
        zb_t *old = s_other;
        for (int i = 0; i < LIFE; i++) {
            ZB_COUNT_ME ("info", "reopen.life", .to = old);
        }
        s_await_pass (&counters[life % THREADS]);
        zb_close (&old);
        s_other = zb_open (.source = "other", .linger_ms = 10000);
        if (!s_other)
            return 1;
    }
    s_stop = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join (counters[i].thread, NULL);
        counted += counters[i].counted;
    }
    zb_t *last = s_other;
    zb_close (&last);
    zb_close (&mine);
    printf ("default=%ld lives=%ld racing=%ld\n", counted, times * LIFE,
            counted);
    return 0;
}
