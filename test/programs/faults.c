/*  faults.c - a host where things fail

    usage: faults COMMAND [FIRST]

    The linker puts the functions below in place of those that zibrato.h calls;
    ZeroMQ goes on with the real ones.

      memory, thread, descriptor, value   the first allocation, thread ...
                            fails, then in another child the second, and so on
                            until one child needs no more; prints how many
      clock                 the wall clock and the time-stamp counter go astray
      resolver              a name server does not answer

    wrap: malloc calloc realloc aligned_alloc pthread_create eventfd
    wrap: pthread_setspecific clock_gettime

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE

#include "zibrato.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

enum { NOTHING, MEMORY, THREAD, DESCRIPTOR, VALUE };

static long s_first = 1;     //  of the command line
static int s_kind;           //  of what fails
static _Atomic long s_left;  //  calls until one fails
static _Atomic long s_failed;

static bool
s_fails (int kind, int error)
{
    if (kind != s_kind || --s_left != 0)
        return false;
    s_failed++;
    errno = error;
    return true;
}

//  --------------------------------------------------------------------------
//  In place of the C library's

void *__real_malloc (size_t size);
void *__real_calloc (size_t count, size_t size);
void *__real_realloc (void *memory, size_t size);
void *__real_aligned_alloc (size_t alignment, size_t size);
int __real_pthread_create (pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run) (void *), void *argument);
int __real_eventfd (unsigned count, int flags);
int __real_pthread_setspecific (pthread_key_t key, const void *value);
int __real_clock_gettime (clockid_t id, struct timespec *time);

void *__wrap_malloc (size_t size);
void *__wrap_calloc (size_t count, size_t size);
void *__wrap_realloc (void *memory, size_t size);
void *__wrap_aligned_alloc (size_t alignment, size_t size);
int __wrap_pthread_create (pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run) (void *), void *argument);
int __wrap_eventfd (unsigned count, int flags);
int __wrap_pthread_setspecific (pthread_key_t key, const void *value);
int __wrap_clock_gettime (clockid_t id, struct timespec *time);

void *
__wrap_malloc (size_t size)
{
    return s_fails (MEMORY, ENOMEM) ? NULL : __real_malloc (size);
}

void *
__wrap_calloc (size_t count, size_t size)
{
    return s_fails (MEMORY, ENOMEM) ? NULL : __real_calloc (count, size);
}

void *
__wrap_realloc (void *memory, size_t size)
{
    return s_fails (MEMORY, ENOMEM) ? NULL : __real_realloc (memory, size);
}

void *
__wrap_aligned_alloc (size_t alignment, size_t size)
{
    return s_fails (MEMORY, ENOMEM) ? NULL
                                    : __real_aligned_alloc (alignment, size);
}

int
__wrap_pthread_create (pthread_t *thread, const pthread_attr_t *attributes,
                       void *(*run) (void *), void *argument)
{
    return s_fails (THREAD, EAGAIN)
             ? EAGAIN
             : __real_pthread_create (thread, attributes, run, argument);
}

int
__wrap_eventfd (unsigned count, int flags)
{
    return s_fails (DESCRIPTOR, EMFILE) ? -1 : __real_eventfd (count, flags);
}

int
__wrap_pthread_setspecific (pthread_key_t key, const void *value)
{
    return s_fails (VALUE, ENOMEM) ? ENOMEM
                                   : __real_pthread_setspecific (key, value);
}

static _Atomic int64_t s_step_s;    //  of the wall clock
static _Atomic int64_t s_crawl_ns;  //  CLOCK_MONOTONIC goes at half its pace
                                    //  since then; 0: not
int
__wrap_clock_gettime (clockid_t id, struct timespec *time)
{
    int rc = __real_clock_gettime (id, time);
    int64_t since = s_crawl_ns;
    if (id == CLOCK_REALTIME)
        time->tv_sec += s_step_s;
    if (id == CLOCK_MONOTONIC && since) {
        int64_t ns = (int64_t) time->tv_sec * 1000000000 + time->tv_nsec;
        ns = since + (ns - since) / 2;
        time->tv_sec = ns / 1000000000;
        time->tv_nsec = ns % 1000000000;
    }
    return rc;
}

//  ZeroMQ finds this one too.
static bool s_silent;

int
getaddrinfo (const char *restrict node, const char *restrict service,
             const struct addrinfo *restrict hints,
             struct addrinfo **restrict result)
{
    int (*real) (const char *, const char *, const struct addrinfo *,
                 struct addrinfo **);
    while (s_silent)
        pause ();
    *(void **) &real = dlsym (RTLD_NEXT, "getaddrinfo");
    return real (node, service, hints, result);
}

//  --------------------------------------------------------------------------
//  One failure at a time

//  A pass of everything must leave errno alone.
static void
s_measure (zb_t *to)
{
    errno = EDOM;
    for (int i = 0; i < 3; i++) {
        ZB_COUNT_ME ("info", "faults.count", .to = to);
        ZB_TIME_ME ("info", "faults.time", .to = to);
        ZB_COUNT_ME ("info", "faults.source", .source = "own", .to = to);
    }
    ZB_GAUGE ("info", "faults.gauge", 1, .to = to);
    zb_count ("level", "faults.name", .to = to);
    zb_count ("le|vel", "faults.name", .to = to);
    zb_time ("level", "faults.name", 3600, .to = to);
    zb_time ("level", "faults.name", -1, .to = to);
    zb_gauge ("level", "faults.name", 1, .to = to);
    if (errno != EDOM)
        abort ();
}

static void *
s_run (void *argument)
{
    s_measure (argument);
    return NULL;
}

//  All that a program does, once, from the first measurement on.
static void
s_live (long nth)
{
    pthread_t thread;
    zb_stats_t stats;
    char name[32];
    zb_t *own;
    s_left = nth;
    s_measure (NULL);
    zb_flush (NULL, 0);
    if (__real_pthread_create (&thread, NULL, s_run, NULL) != 0)
        abort ();
    pthread_join (thread, NULL);
    errno = 0;
    own = zb_open (.source = "own", .linger_ms = 0,
                   .endpoint = "tcp://127.0.0.1:1,ipc:///nowhere");
    if (!own && errno != ENOMEM && errno != EAGAIN && errno != EMFILE)
        abort ();
    s_measure (own);
    for (int i = 0; i < 70; i++) {
        snprintf (name, sizeof name, "faults.%d", i);
        zb_count ("info", name, .to = own);
    }
    zb_flush (own, 0);
    zb_close (&own);
    s_measure (NULL);
    errno = EDOM;
    zb_flush (NULL, 10);
    zb_stats (NULL, &stats);
    if (errno != EDOM
        || stats.measured != stats.sent + stats.held + stats.dropped)
        abort ();
}

static int
s_walk (int kind)
{
    long nth = s_first - 1;
    int status;
    do {
        pid_t child = fork ();
        nth++;
        if (child == 0) {
            alarm (60);
            s_kind = kind;
            s_live (nth);
            exit (s_failed ? 1 : 0);
        }
        if (waitpid (child, &status, 0) != child || !WIFEXITED (status)
            || WEXITSTATUS (status) > 1) {
            printf ("at=%ld status=%x\n", nth, (unsigned) status);
            return 1;
        }
    } while (WEXITSTATUS (status) == 1);
    printf ("survived=%ld\n", nth - 1);
    return 0;
}

static int
s_memory (void)
{
    return s_walk (MEMORY);
}

static int
s_thread (void)
{
    return s_walk (THREAD);
}

static int
s_descriptor (void)
{
    return s_walk (DESCRIPTOR);
}

static int
s_value (void)
{
    return s_walk (VALUE);
}

//  --------------------------------------------------------------------------
//  Clocks and name servers

static int64_t
s_now_ms (void)
{
    struct timespec now;
    __real_clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
s_nap (void)
{
    ZB_TIME_ME ("info", "clock.time");
    ZB_COUNT_ME ("info", "clock.count");
    ZB_GAUGE ("info", "clock.gauge", 1);
    nanosleep (&(struct timespec){0, 1000000}, NULL);
}

//  First the wall clock steps a day back and forth, then the time-stamp
//  counter seems to run at twice its rate.
static int
s_clock (void)
{
    static const int64_t steps[] = {-86400, 86400, 0};
    int64_t until;
    long naps = 0;
    for (int i = 0; i < 3; i++) {
        s_step_s = steps[i];
        for (int j = 0; j < 100; j++, naps++)
            s_nap ();
        if (zb_flush (NULL, PATIENCE_MS) == -1)
            return 1;
    }
    int used = __atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE);
    struct timespec now;
    __real_clock_gettime (CLOCK_MONOTONIC, &now);
    s_crawl_ns = (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
    until = s_now_ms () + PATIENCE_MS;
    while (__atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE)
           && s_now_ms () < until) {
        s_nap ();
        naps++;
    }
    for (int j = 0; j < 100; j++, naps++)
        s_nap ();
    if (zb_flush (NULL, PATIENCE_MS) == -1)
        return 1;
    printf ("naps=%ld used=%d left=%d\n", naps, used,
            __atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE));
    return 0;
}

//  Neither zb_close nor exit waits for the name.
static int
s_resolver (void)
{
    s_silent = true;
    zb_t *zb = zb_open (.host = "broker.example", .linger_ms = 100);
    zb_count ("info", "resolver.count", .to = zb);
    zb_flush (zb, 10);
    zb_close (&zb);
    zb_count ("info", "resolver.count");
    zb = zb_open (.host = "broker.example", .linger_ms = 100);
    zb_flush (zb, 10);
    printf ("done\n");
    return 0;
}

static const struct {
    const char *name;
    int (*run) (void);
} s_commands[] = {{"memory", s_memory},         {"thread", s_thread},
                  {"descriptor", s_descriptor}, {"value", s_value},
                  {"clock", s_clock},           {"resolver", s_resolver}};

int
main (int argc, char *argv[])
{
    if (argc > 2)
        s_first = strtol (argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof s_commands / sizeof *s_commands; i++)
        if (argc > 1 && !strcmp (argv[1], s_commands[i].name))
            return s_commands[i].run ();
    return 2;
}
