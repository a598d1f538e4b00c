/*  edge.c - what threads do to instances, and small places to measure from

    usage: edge COMMAND [NUMBER]

    Instances are closed while others use them, threads are cancelled inside of
    the header, or have hardly any stack. test_edges.c says what must come of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <malloc.h>

//  --------------------------------------------------------------------------
//  Threads that meet it first

enum { MEETING_MAX = 64 };

static pthread_barrier_t s_meeting;

//  Each way in is the first one of some thread's.
static void *
s_meet_it (void *argument)
{
    int way = *(int *) argument;
    zb_stats_t stats;
    pthread_barrier_wait (&s_meeting);
    if (way == 0)
        zb_stats (NULL, &stats);
    else if (way == 1)
        zb_flush (NULL, 0);
    else if (way == 2) {
        ZB_TIME_ME ("info", "meeting.time");
    }
    zb_count ("info", "meeting.count");
    ZB_COUNT_ME ("info", "meeting.count", .source = "meeting");
    return NULL;
}

//  NUMBER threads, and none that has done so before, measure at the same time.
static int
s_meet (void)
{
    pthread_t threads[MEETING_MAX];
    int ways[MEETING_MAX];
    if (s_number > MEETING_MAX)
        return 1;
    pthread_barrier_init (&s_meeting, NULL, (unsigned) s_number);
    for (int i = 0; i < s_number; i++) {
        ways[i] = i % 4;
        threads[i] = s_thread_new (NULL, s_meet_it, &ways[i]);
    }
    for (int i = 0; i < s_number; i++)
        s_thread_join (threads[i]);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  Closing while others use it

static atomic_int s_tid;      //  of a thread that will wait
static atomic_int s_started;  //  threads so far

static void *
s_close (void *argument)
{
    zb_t *zb = argument;
    s_started++;
    zb_close (&zb);
    return NULL;
}

//  Main returns NUMBER microseconds after another thread began to close.
static int
s_closing (void)
{
    zb_t *zb = zb_open ();
    if (!zb)
        return 1;
    zb_count ("info", "closing.count");
    pthread_detach (s_thread_new (NULL, s_close, zb));
    while (s_started == 0)
        sched_yield ();
    s_nap (s_number);
    return s_leave ();
}

//  Two threads close the same instance, NUMBER times.
static int
s_closing_twice (void)
{
    mallopt (M_PERTURB, 0xa5);
    for (long i = 0; i < s_number; i++) {
        zb_t *zb = zb_open (.linger_ms = PATIENCE_MS);
        if (!zb)
            return 1;
        zb_count ("info", "twice.count", .to = zb);
        pthread_t first = s_thread_new (NULL, s_close, zb),
                  second = s_thread_new (NULL, s_close, zb);
        s_thread_join (first);
        s_thread_join (second);
    }
    printf ("closed=%ld\n", s_number);
    return s_leave ();
}

typedef struct {
    zb_t *zb;
    int rc;
} flush_t;

static void *
s_flush (void *argument)
{
    flush_t *self = argument;
    s_tid = gettid ();
    self->rc = zb_flush (self->zb, 60000);
    return NULL;
}

//  A thread flushes for a minute what another one closes, NUMBER times.
static int
s_flush_closed (void)
{
    int64_t longest_ms = 0;
    long failed = 0;
    mallopt (M_PERTURB, 0xa5);
    for (long i = 0; i < s_number; i++) {
        zb_t *zb = zb_open (.linger_ms = 20);
        flush_t flush = {zb, 0};
        if (!zb)
            return 1;
        zb_count ("info", "flush.count", .to = zb);
        s_tid = 0;
        pthread_t thread = s_thread_new (NULL, s_flush, &flush);
        s_await_sleep (&s_tid);
        int64_t closed_ms = s_now_ms ();
        zb_close (&zb);
        s_thread_join (thread);
        if (longest_ms < s_now_ms () - closed_ms)
            longest_ms = s_now_ms () - closed_ms;
        failed += flush.rc == -1;
    }
    printf ("failed=%ld ms=%" PRId64 "\n", failed, longest_ms);
    return s_leave ();
}

static _Atomic (zb_t *) s_zb;
static atomic_bool s_stop;
static _Atomic long s_strange;

static bool
s_adds_up (const zb_stats_t *stats)
{
    return stats->measured == stats->sent + stats->held + stats->dropped
           && stats->measured <= 1 && stats->bytes < 65536;
}

static void *
s_ask (void *argument)
{
    zb_stats_t stats;
    (void) argument;
    s_started++;
    while (!s_stop) {
        if (zb_stats (s_zb, &stats) == 0 && !s_adds_up (&stats))
            s_strange++;
        if (zb_stats (NULL, &stats) == 0 && !s_adds_up (&stats))
            s_strange++;
        zb_flush (s_zb, 0);
    }
    return NULL;
}

//  Two threads ask how an instance is that is closed and opened again for NUMBER
//  milliseconds. Memory that is free is full of nonsense, which must not come back.
static int
s_stats_closed (void)
{
    mallopt (M_PERTURB, 0xa5);
    pthread_t threads[2] = {s_thread_new (NULL, s_ask, NULL),
                            s_thread_new (NULL, s_ask, NULL)};
    while (s_started < 2)
        sched_yield ();
    int64_t until_ms = s_now_ms () + s_number;
    long closed = 0;
    for (; s_now_ms () < until_ms; closed++) {
        zb_t *zb = zb_open (.linger_ms = 0);
        if (!zb)
            return 1;
        zb_count ("info", "asked.count", .to = zb);
        s_zb = zb;
        s_nap (closed % 4 * 500);
        zb_close (&zb);
    }
    s_stop = true;
    for (int i = 0; i < 2; i++)
        s_thread_join (threads[i]);
    printf ("closed=%ld strange=%ld\n", closed, s_strange);
    return s_leave ();
}

static void *
s_flush_default (void *argument)
{
    (void) argument;
    s_tid = gettid ();
    zb_flush (NULL, (int) s_number);
    return NULL;
}

//  Main returns while a thread flushes for NUMBER milliseconds.
static int
s_flush_exit (void)
{
    zb_count ("info", "flush.count");
    pthread_detach (s_thread_new (NULL, s_flush_default, NULL));
    s_await_sleep (&s_tid);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  Cancellation

static void *
s_count_100 (void *argument)
{
    (void) argument;
    s_count ("info", "cancel.count", 100);
    return NULL;
}

//  A thread is cancelled in zb_flush. The others go on, until input ends.
static int
s_cancel_flush (void)
{
    zb_stats_t stats;
    void *result;
    s_number = 60000;
    s_count ("info", "cancel.count", 100);
    pthread_t thread = s_thread_new (NULL, s_flush_default, NULL);
    s_await_sleep (&s_tid);
    int64_t began_ms = s_now_ms ();
    if (pthread_cancel (thread) != 0 || pthread_join (thread, &result) != 0)
        return 1;
    int64_t ms = s_now_ms () - began_ms;
    s_thread_join (s_thread_new (NULL, s_count_100, NULL));
    s_count ("info", "cancel.count", 100);
    int rc = zb_flush (NULL, 50);
    zb_stats (NULL, &stats);
    printf ("canceled=%d ms=%" PRId64 " flush=%d held=%" PRIu64 "\n",
            result == PTHREAD_CANCELED, ms, rc, stats.held);
    zb_t *zb = zb_open (.source = "own", .linger_ms = 0);
    zb_count ("info", "cancel.own", .to = zb);
    zb_close (&zb);
    s_say ("going on");
    s_await_input ();
    return s_leave ();
}

static void *
s_measure_cancelled (void *argument)
{
    int before;
    (void) argument;
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &before);
    pthread_cancel (pthread_self ());
    pthread_setcancelstate (PTHREAD_CANCEL_ENABLE, &before);
    zb_count ("info", "cancel.count");
    for (int i = 0; i < 99; i++) {
        ZB_COUNT_ME ("info", "cancel.count");
    }
    s_started = 1;
    pthread_testcancel ();
    s_started = 2;
    return NULL;
}

//  The process's first measurement is made by a thread that ends at the next
//  point of cancellation, which must be one of its own.
static int
s_cancel_first (void)
{
    void *result;
    pthread_t thread = s_thread_new (NULL, s_measure_cancelled, NULL);
    if (pthread_join (thread, &result) != 0)
        return 1;
    printf ("canceled=%d reached=%d\n", result == PTHREAD_CANCELED,
            (int) s_started);
    fflush (stdout);
    s_thread_join (s_thread_new (NULL, s_count_100, NULL));
    s_count ("info", "cancel.count", 100);
    printf ("flush=%d\n", zb_flush (NULL, PATIENCE_MS));
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  Small stacks

static void *
s_small_counter (void *argument)
{
    (void) argument;
    for (int i = 0; i < 100; i++) {
        ZB_COUNT_ME ("info", "small.count");
    }
    return NULL;
}

static void *
s_small_timer (void *argument)
{
    (void) argument;
    for (int i = 0; i < 100; i++) {
        ZB_TIME_ME ("info", "small.time");
    }
    return NULL;
}

static void *
s_small_gauge (void *argument)
{
    (void) argument;
    for (int i = 0; i < 100; i++)
        ZB_GAUGE ("info", "small.gauge", 1);
    return NULL;
}

static void *
s_small_name (void *argument)
{
    (void) argument;
    for (int i = 0; i < 100; i++) {
        zb_count ("info", "small.count");
        zb_time ("info", "small.time", 0.001);
        zb_gauge ("info", "small.gauge", 1);
    }
    return NULL;
}

static void *
s_small_open (void *argument)
{
    zb_stats_t stats;
    zb_t *zb = zb_open (.source = "small", .linger_ms = PATIENCE_MS);
    (void) argument;
    s_small_name (NULL);
    zb_flush (zb, PATIENCE_MS);
    zb_stats (zb, &stats);
    zb_close (&zb);
    return NULL;
}

//  A thread with NUMBER KiB of stack, or as few as there may be, measures first.
static int
s_small (void *(*run) (void *) )
{
    pthread_attr_t attributes;
    long least = sysconf (_SC_THREAD_STACK_MIN), size = s_number * 1024;
    pthread_attr_init (&attributes);
    if (pthread_attr_setstacksize (&attributes,
                                   (size_t) (size < least ? least : size))
        != 0)
        return 1;
    s_thread_join (s_thread_new (&attributes, run, NULL));
    zb_flush (NULL, PATIENCE_MS);
    return s_leave ();
}

static int
s_run_small_counter (void)
{
    return s_small (s_small_counter);
}

static int
s_run_small_timer (void)
{
    return s_small (s_small_timer);
}

static int
s_run_small_gauge (void)
{
    return s_small (s_small_gauge);
}

static int
s_run_small_name (void)
{
    return s_small (s_small_name);
}

static int
s_run_small_open (void)
{
    return s_small (s_small_open);
}

//  --------------------------------------------------------------------------
//  Flushing, and what cannot be

//  Measures at two levels and flushes for NUMBER milliseconds. Goes on until
//  input ends, so that what has arrived until then was sent by the flush.
static int
s_flush_two_levels (void)
{
    zb_stats_t stats;
    s_count ("info", "two.wanted", 10);
    s_count ("other", "two.unwanted", 10);
    int64_t began_ms = s_now_ms ();
    int rc = zb_flush (NULL, (int) s_number);
    int64_t ms = s_now_ms () - began_ms;
    zb_stats (NULL, &stats);
    printf ("flush=%d ms=%" PRId64 " measured=%" PRIu64 " sent=%" PRIu64
            " held=%" PRIu64 " dropped=%" PRIu64 " error=%d\n",
            rc, ms, stats.measured, stats.sent, stats.held, stats.dropped,
            stats.error);
    s_say ("flushed");
    s_await_input ();
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  What is left

//  Opens so many instances at the same time, measures, and closes them.
static bool
s_instances_live (int count)
{
    zb_t *zb[3];
    bool fine = true;
    for (int i = 0; i < count; i++) {
        zb[i] = zb_open (.source = "instance", .linger_ms = PATIENCE_MS);
        fine &= zb[i] != NULL;
        zb_count ("info", "instance.count", .to = zb[i]);
    }
    for (int i = 0; i < count; i++)
        zb_close (&zb[i]);
    return fine;
}

static void *
s_do_nothing (void *argument)
{
    return argument;
}

//  Instances one after the other, and at the same time, NUMBER times. Threads may
//  take a moment to be gone. With the first thread of a process, a sanitizer
//  begins one of its own, which stays: so that comes before the count.
static int
s_instances (void)
{
    s_thread_join (s_thread_new (NULL, s_do_nothing, NULL));
    long descriptors = -s_entries ("/proc/self/fd"),
         tasks = -s_entries ("/proc/self/task");
    for (long i = 0; i < s_number; i++)
        if (!s_instances_live (1) || !s_instances_live (1)
            || !s_instances_live (1) || !s_instances_live (3))
            return 1;
    for (int i = 0; i < 500 && s_entries ("/proc/self/task") + tasks > 0; i++)
        s_nap (10000);
    printf ("descriptors=%ld tasks=%ld\n",
            s_entries ("/proc/self/fd") + descriptors,
            s_entries ("/proc/self/task") + tasks);
    return s_leave ();
}

typedef struct {
    sigset_t mask;
    struct sched_param param;
    cpu_set_t cpus;
    int policy, error, cancel_state, cancel_type, priority;
} thread_state_t;

static void
s_state_read (thread_state_t *self)
{
    int error = errno;
    memset (self, 0, sizeof *self);
    self->error = error;
    pthread_sigmask (SIG_SETMASK, NULL, &self->mask);
    pthread_getschedparam (pthread_self (), &self->policy, &self->param);
    pthread_getaffinity_np (pthread_self (), sizeof self->cpus, &self->cpus);
    pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &self->cancel_state);
    pthread_setcancelstate (self->cancel_state, &error);
    pthread_setcanceltype (PTHREAD_CANCEL_DEFERRED, &self->cancel_type);
    pthread_setcanceltype (self->cancel_type, &error);
    self->priority = (int) syscall (SYS_getpriority, 0, gettid ());
    errno = self->error;
}

//  How many of the steps changed something about the thread.
static void *
s_measure_unchanged (void *argument)
{
    long *changed = argument;
    thread_state_t before, after;
    sigset_t mask;
    zb_t *zb = NULL;
    zb_stats_t stats;
    sigemptyset (&mask);
    sigaddset (&mask, SIGUSR1);
    pthread_sigmask (SIG_BLOCK, &mask, NULL);
    syscall (SYS_setpriority, 0, gettid (), 5);
    errno = EDOM;
    s_state_read (&before);
    for (int step = 0; step < 6; step++) {
        if (step == 0)
            zb_count ("info", "unchanged.count");
        else if (step == 1)
            zb_gauge ("info", "unchanged.gauge", 1);
        else if (step == 2)
            zb = zb_open (.source = "unchanged", .linger_ms = 0);
        else if (step == 3)
            zb_flush (zb, 10);
        else if (step == 4)
            zb_stats (zb, &stats);
        else
            zb_close (&zb);
        s_state_read (&after);
        *changed += memcmp (&before, &after, sizeof before) != 0;
    }
    return NULL;
}

static int
s_unchanged (void)
{
    long changed = 0;
    s_thread_join (s_thread_new (NULL, s_measure_unchanged, &changed));
    printf ("changed=%ld\n", changed);
    return s_leave ();
}

//  --------------------------------------------------------------------------
//  The command line

static const command_t s_commands[] = {{"meet", s_meet},
                                       {"closing", s_closing},
                                       {"closing-twice", s_closing_twice},
                                       {"flush-closed", s_flush_closed},
                                       {"stats-closed", s_stats_closed},
                                       {"flush-exit", s_flush_exit},
                                       {"cancel-flush", s_cancel_flush},
                                       {"cancel-first", s_cancel_first},
                                       {"small-counter", s_run_small_counter},
                                       {"small-timer", s_run_small_timer},
                                       {"small-gauge", s_run_small_gauge},
                                       {"small-name", s_run_small_name},
                                       {"small-open", s_run_small_open},
                                       {"flush", s_flush_two_levels},
                                       {"instances", s_instances},
                                       {"unchanged", s_unchanged}};

EDGE_MAIN (s_commands)
