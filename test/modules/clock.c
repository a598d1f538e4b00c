/*  clock.c - to be loaded before a program: it has clocks of its own

    What ZB_CLOCK says, words separated by commas:

        wall=SECONDS      the wall clock is so far ahead, or behind if negative
        slew=PPM          and gains so many millionths, or loses them
        step=AT:SECONDS   and jumps by so much, AT seconds from the start; up to
                          eight of them
        steady=PPM        the clocks that never step (monotonic, boottime) gain
                          so many millionths
        since=SECONDS     of the true boottime: the start from which all this
                          counts; the process's own if left out. Processes of
                          one host have it in common

    Only what is read goes wrong. Waits last as long as they are asked to by true
    time, for a wait on a condition until a time of these clocks is translated;
    other waits until a time (timerfd, clock_nanosleep) are not.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  RTLD_NEXT, dlvsym

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 8 };

#define SECOND INT64_C (1000000000)
//  No host has been up for so long, and no wall clock stands before it.
#define WALL_FROM (1000000000 * SECOND)

typedef struct {
    int64_t at, by;
} step_t;

static int64_t s_wall, s_slew, s_steady, s_since;
static int64_t s_real, s_monotonic;  //  minus boottime, in truth
static step_t s_steps[STEPS_MAX];
static int s_step_count;

//  Past our own, which is what everybody else gets.
static int64_t
s_true (clockid_t id)
{
    struct timespec now = {0, 0};
    syscall (SYS_clock_gettime, id, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

//  time * by / in, in steps that never go back, and without an overflow.
static int64_t
s_scale (int64_t time, int64_t by, int64_t in)
{
    return time / in * by + time % in * by / in;
}

static int64_t
s_seconds (const char *text, char **end)
{
    return (int64_t) (strtod (text, end) * (double) SECOND);
}

static void
s_take (const char *word)
{
    const char *value = strchr (word, '=');
    char *rest = NULL;
    if (!value++)
        return;
    if (strncmp (word, "wall=", 5) == 0)
        s_wall = s_seconds (value, &rest);
    else if (strncmp (word, "slew=", 5) == 0)
        s_slew = strtoll (value, NULL, 10);
    else if (strncmp (word, "steady=", 7) == 0)
        s_steady = strtoll (value, NULL, 10);
    else if (strncmp (word, "since=", 6) == 0)
        s_since = s_seconds (value, &rest);
    else if (strncmp (word, "step=", 5) == 0 && s_step_count < STEPS_MAX) {
        step_t *step = &s_steps[s_step_count++];
        step->at = s_seconds (value, &rest);
        step->by = *rest == ':' ? s_seconds (rest + 1, &rest) : 0;
    }
}

__attribute__ ((constructor)) static void
s_start (void)
{
    const char *word = getenv ("ZB_CLOCK");
    s_since = s_true (CLOCK_BOOTTIME);
    s_real = s_true (CLOCK_REALTIME) - s_since;
    s_monotonic = s_true (CLOCK_MONOTONIC) - s_since;
    while (word) {
        s_take (word);
        word = strchr (word, ',');
        word = word ? word + 1 : NULL;
    }
}

static int
s_is_wall (clockid_t id)
{
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE
           || id == CLOCK_TAI;
}

static int
s_is_steady (clockid_t id)
{
    return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE
           || id == CLOCK_MONOTONIC_RAW || id == CLOCK_BOOTTIME;
}

//  What this process reads. One reading of a true clock gives all others, or two
//  of them in a row would not ascend.
static int64_t
s_false (clockid_t id)
{
    int64_t now = s_true (CLOCK_BOOTTIME), since = now - s_since;
    int i;
    if (s_is_steady (id))
        return now + s_scale (since, s_steady, 1000000)
               + (id == CLOCK_BOOTTIME ? 0 : s_monotonic);
    now += s_real + s_wall + s_scale (since, s_slew, 1000000);
    for (i = 0; i < s_step_count; i++)
        now += since >= s_steps[i].at ? s_steps[i].by : 0;
    return now;
}

int
clock_gettime (clockid_t id, struct timespec *now)
{
    int64_t time;
    if (!s_is_wall (id) && !s_is_steady (id))
        return (int) syscall (SYS_clock_gettime, id, now);
    time = s_false (id);
    now->tv_sec = time / SECOND;
    now->tv_nsec = time % SECOND;
    return 0;
}

int
gettimeofday (struct timeval *restrict now, void *restrict zone)
{
    int64_t time = s_false (CLOCK_REALTIME);
    (void) zone;
    now->tv_sec = time / SECOND;
    now->tv_usec = time % SECOND / 1000;
    return 0;
}

time_t
time (time_t *now_p)
{
    time_t now = s_false (CLOCK_REALTIME) / SECOND;
    if (now_p)
        *now_p = now;
    return now;
}

//  Which clock a condition has cannot be asked, but a time shows it.
int
pthread_cond_timedwait (pthread_cond_t *restrict cond,
                        pthread_mutex_t *restrict lock,
                        const struct timespec *restrict until)
{
    static _Atomic (void *) found;
    int (*real) (pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    void *function = found;
    int64_t time = until->tv_sec * SECOND + until->tv_nsec;
    clockid_t id = time >= WALL_FROM ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    int64_t ppm = 1000000 + (id == CLOCK_REALTIME ? s_slew : s_steady);
    struct timespec real_until;
    if (!function) {
        //  another of that name is for conditions of twenty years ago
        function = dlvsym (RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
        if (!function)
            function = dlsym (RTLD_NEXT, "pthread_cond_timedwait");
        found = function;
    }
    time = s_true (id) + s_scale (time - s_false (id), 1000000, ppm) + 1;
    real_until.tv_sec = time > 0 ? time / SECOND : 0;
    real_until.tv_nsec = time > 0 ? time % SECOND : 0;
    *(void **) &real = function;
    return real (cond, lock, &real_until);
}
