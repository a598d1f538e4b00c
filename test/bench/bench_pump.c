/*  bench_pump.c - what the background thread of a program takes

    usage: bench_pump [--growth]

    A listener in this process takes in all that the pump sends. For so many
    counters, and for timers of 8 octaves, all of which change between two
    rounds, this compares processor time of the pump with that of a thread that
    is woken as often, and reads once what the pump has to read (64 bytes a
    counter; a timer's set and its pages) and to say (the text that went out).
    Where nothing changes, there is no text.

    Everything is on one core, so that both find the same caches.

    --growth prints points for 10 to 1,000,000 series instead, and what
    ZB_COUNT_ME costs beside so many.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

//  How often the pump woke because an interval was over.
static uint64_t s_rounds;

static int
counting_wait (int fd, struct epoll_event *events, int size, int timeout)
{
    int rc = epoll_wait (fd, events, size, timeout);
    if (rc == 0)
        __atomic_add_fetch (&s_rounds, 1, __ATOMIC_RELAXED);
    return rc;
}

#define epoll_wait counting_wait
#define ZIBRATO_IMPLEMENTATION
#include "../../zibrato.h"
#undef epoll_wait

enum { FAST_MS = 20, USUAL_MS = 250, OCTAVES = 8, WAIT_S = 60 };

typedef struct {
    zb_t *instance;
    zb_type_t type;
    size_t size;      //  series
    zb_slot_ **slot;  //  in the order in which they were made
    char *text;       //  as many bytes as a round says
    size_t text_size;
} subject_t;

static void *s_context;
static char s_endpoint[64];

//  --------------------------------------------------------------------------
//  The listener

static void *
listener_run (void *argument)
{
    zmq_msg_t message;
    zmq_msg_init (&message);
    while (zmq_msg_recv (&message, argument, 0) != -1) {
    }
    zmq_msg_close (&message);
    zmq_close (argument);
    return NULL;
}

static void
listener_start (pthread_t *thread)
{
    size_t size = sizeof s_endpoint;
    void *socket;
    s_context = zmq_ctx_new ();
    socket = zmq_socket (s_context, ZMQ_SUB);
    BENCH_CHECK (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
    zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "", 0);
    zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, s_endpoint, &size);
    BENCH_CHECK (pthread_create (thread, NULL, listener_run, socket) == 0);
}

//  --------------------------------------------------------------------------
//  The subject: an instance with so many series, and their slots

static void
subject_name (const subject_t *self)
{
    char name[64];
    size_t i;
    zb_slot_ *slot;
    for (i = 0; i < self->size; i++) {
        snprintf (name, sizeof name, "bench.series.%07zu", i);
        if (self->type == ZB_TYPE_COUNTER)
            zb_count ("info", name, .to = self->instance);
        else
            zb_time ("info", name, 1e-6, .to = self->instance);
    }
    for (slot = zb_self_->shares->slots, i = self->size; i;
         slot = slot->sibling)
        self->slot[--i] = slot;
}

//  All change.
static void
subject_touch (const subject_t *self, uint64_t ns)
{
    size_t i, j;
    for (i = 0; i < self->size; i++)
        if (self->type == ZB_TYPE_COUNTER)
            zb_slot_add_ (self->slot[i], 1);
        else
            for (j = 0; j < OCTAVES; j++)
                zb_slot_time_ (self->slot[i], ns << j);
}

static void
subject_new (subject_t *self, zb_type_t type, size_t size)
{
    memset (self, 0, sizeof *self);
    self->type = type;
    self->size = size;
    self->slot = calloc (size, sizeof *self->slot);
    self->instance = zb_open (.endpoint = s_endpoint, .interval_ms = FAST_MS,
                              .max_series = (int) size + 10, .linger_ms = 0);
    BENCH_CHECK (self->slot && self->instance);
    subject_name (self);
}

static void
subject_destroy (subject_t *self)
{
    zb_close (&self->instance);
    free (self->slot);
    free (self->text);
}

static void
pause_us (long us)
{
    nanosleep (&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

//  Waits until so many lines were sent, and sent again.
static void
subject_await (const subject_t *self, uint64_t sent, uint64_t repeated)
{
    uint64_t until = bench_ns () + WAIT_S * 1000000000ull;
    while (zb_get_ (&self->instance->stats.sent) < sent
           || zb_get_ (&self->instance->stats.repeated) < repeated) {
        BENCH_CHECK (bench_ns () < until);
        pause_us (500);
    }
}

//  --------------------------------------------------------------------------
//  The limit: a thread that is woken and reads the same bytes once

typedef struct {
    const subject_t *subject;
    pthread_t thread;
    int wake[2];  //  a pipe
    bool text;
    uint64_t wakes, ns;
} reader_t;

static uint64_t
read_words (const void *from, size_t size)
{
    const uint64_t *word = from;
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < size / sizeof *word; i++)
        sum += word[i];
    return sum;
}

static uint64_t
reader_read (const subject_t *subject, bool text)
{
    uint64_t sum = 0;
    size_t i, j;
    for (i = 0; i < subject->size; i++) {
        const zb_slot_ *slot = subject->slot[i];
        const zb_timer_ *timer = slot->by_kind.timer;
        sum += read_words (subject->slot[i], 64);
        if (slot->kind != ZB_TYPE_TIMER)
            continue;
        sum += read_words (timer, offsetof (zb_timer_, page_at));
        for (j = 0; j < ZB_PAGES_ && text; j++)
            if (timer->page_at[j])
                sum += read_words (
                  zb_timer_place_ (timer, (unsigned) j * ZB_PAGE_SIZE_),
                  ZB_PAGE_SIZE_ * sizeof (uint32_t));
    }
    if (text)
        sum += read_words (subject->text, subject->text_size);
    return sum;
}

//  Sleeps as the pump does, and reads when the interval is over.
static void *
reader_run (void *argument)
{
    reader_t *self = argument;
    char byte;
    while (read (self->wake[0], &byte, 1) == 1) {
        uint64_t before = bench_thread_ns (), sum;
        poll (NULL, 0, FAST_MS);
        sum = reader_read (self->subject, self->text);
        __asm__ volatile("" : : "r"(sum));
        self->ns = bench_thread_ns () - before;
        __atomic_add_fetch (&self->wakes, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void
reader_new (reader_t *self, const subject_t *subject)
{
    memset (self, 0, sizeof *self);
    self->subject = subject;
    BENCH_CHECK (pipe (self->wake) == 0);
    BENCH_CHECK (pthread_create (&self->thread, NULL, reader_run, self) == 0);
}

static void
reader_destroy (reader_t *self)
{
    close (self->wake[1]);
    pthread_join (self->thread, NULL);
    close (self->wake[0]);
}

static uint64_t
thread_cpu_ns (pthread_t thread)
{
    struct timespec now;
    clockid_t id;
    BENCH_CHECK (pthread_getcpuclockid (thread, &id) == 0);
    clock_gettime (id, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

//  Processor time of one time.
static double
reader_ns (reader_t *self, bool text)
{
    uint64_t wakes = self->wakes;
    self->text = text;
    BENCH_CHECK (write (self->wake[1], "", 1) == 1);
    while (__atomic_load_n (&self->wakes, __ATOMIC_ACQUIRE) == wakes)
        pause_us (500);
    return (double) self->ns;
}

//  --------------------------------------------------------------------------
//  Measurements

//  Processor time of a report of all, and of reading: nanoseconds.
static void
measure_active (subject_t *self, reader_t *reader, double *pump, double *limit)
{
    enum { MOST = 32 };
    double pumps[MOST], limits[MOST];
    int rounds = self->size > 20000 ? 3 : MOST, i;
    for (i = -2; i < rounds; i++) {
        uint64_t sent = zb_get_ (&self->instance->stats.sent), cpu;
        uint64_t bytes = zb_get_ (&self->instance->stats.bytes);
        subject_touch (self, 1000);
        cpu = thread_cpu_ns (self->instance->pump);
        subject_await (self, sent + self->size, 0);
        if (i == -2) {
            self->text_size = zb_get_ (&self->instance->stats.bytes) - bytes;
            self->text = malloc (self->text_size);
            memset (self->text, 'x', self->text_size);
        }
        pumps[i < 0 ? 0 : i] =
          (double) (thread_cpu_ns (self->instance->pump) - cpu);
        limits[i < 0 ? 0 : i] = reader_ns (reader, true);
    }
    *pump = bench_median (pumps, rounds);
    *limit = bench_median (limits, rounds);
}

//  Times that a thread of this process, but the one that asks, has slept.
static uint64_t
wake_ups (void)
{
    DIR *folder = opendir ("/proc/self/task");
    struct dirent *entry;
    uint64_t sum = 0, one;
    BENCH_CHECK (folder);
    while ((entry = readdir (folder))) {
        char path[300], line[256];
        FILE *file;
        snprintf (path, sizeof path, "/proc/self/task/%s/status",
                  entry->d_name);
        if (atoi (entry->d_name) == (int) getpid ()
            || !(file = fopen (path, "r")))
            continue;
        while (fgets (line, sizeof line, file))
            if (sscanf (line, "voluntary_ctxt_switches: %lu", &one) == 1)
                sum += one;
        fclose (file);
    }
    closedir (folder);
    return sum;
}

//  Waits until each was repeated once, and nothing is left to say.
static void
idle_await (subject_t *self)
{
    uint64_t repeated = zb_get_ (&self->instance->stats.repeated);
    subject_await (self, 0, repeated + self->size);
    self->instance->interval_ms = FAST_MS;
    pause_us (3 * FAST_MS * 1000);
}

//  The same where nothing changes, a round.
static void
measure_idle (subject_t *self, reader_t *reader, double *pump, double *limit)
{
    double limits[16];
    uint64_t rounds = zb_get_ (&s_rounds),
             cpu = thread_cpu_ns (self->instance->pump);
    int i;
    //  as often awake as while the other is waited for: a core that sleeps
    //  long wakes up slowly
    for (i = bench_quick () ? 400 : 1200; i; i--)
        pause_us (500);
    *pump = (double) (thread_cpu_ns (self->instance->pump) - cpu)
            / (double) (zb_get_ (&s_rounds) - rounds);
    for (i = 0; i < 16; i++)
        limits[i] = reader_ns (reader, false);
    *limit = bench_median (limits, 16);
}

//  Nothing changes, and the interval is the usual one.
static void
measure_rest (subject_t *self, const char *name)
{
    char figure[64];
    uint64_t messages, wakes, cpu, ns;
    self->instance->interval_ms = USUAL_MS;
    pause_us (2 * USUAL_MS * 1000);
    messages = zb_get_ (&self->instance->stats.messages);
    wakes = wake_ups ();
    cpu = bench_cpu_ns ();
    ns = bench_ns ();
    pause_us (bench_quick () ? 1000000 : 2000000);
    ns = bench_ns () - ns;
    cpu = bench_cpu_ns () - cpu;
    wakes = wake_ups () - wakes;
    messages = zb_get_ (&self->instance->stats.messages) - messages;
    snprintf (figure, sizeof figure, "%s.core", name);
    bench_figure (figure, (double) cpu, (double) ns);
    snprintf (figure, sizeof figure, "%s.wakeups", name);
    bench_figure (figure, (double) wakes, (double) ns * 1e-9);
    snprintf (figure, sizeof figure, "%s.messages", name);
    bench_figure (figure, (double) messages, (double) ns * 1e-9);
}

static void
compare_sizes (zb_type_t type, const char *kind, size_t size)
{
    subject_t subject;
    reader_t reader;
    char name[32], figure[64];
    double pump, limit;
    snprintf (name, sizeof name, "pump.%s.%zu", kind, size);
    subject_new (&subject, type, size);
    reader_new (&reader, &subject);
    subject_await (&subject, size, 0);
    measure_active (&subject, &reader, &pump, &limit);
    snprintf (figure, sizeof figure, "%s.active", name);
    bench_figure (figure, pump * 1e-3, limit * 1e-3);
    idle_await (&subject);
    measure_idle (&subject, &reader, &pump, &limit);
    snprintf (figure, sizeof figure, "%s.idle", name);
    bench_figure (figure, pump * 1e-3, limit * 1e-3);
    measure_rest (&subject, name);
    reader_destroy (&reader);
    subject_destroy (&subject);
}

//  --------------------------------------------------------------------------
//  Growth

//  Nanoseconds of one pass of a call site.
static double
count_ns (void)
{
    enum { PASSES = 2000000 };
    uint64_t before = bench_thread_ns ();
    int i;
    for (i = 0; i < PASSES; i++) {
        ZB_COUNT_ME ("info", "bench.growth");
    }
    return (double) (bench_thread_ns () - before) / PASSES;
}

static void
growth_points (size_t size)
{
    subject_t subject;
    reader_t reader;
    double pump, limit;
    subject_new (&subject, ZB_TYPE_COUNTER, size);
    reader_new (&reader, &subject);
    subject_await (&subject, size, 0);
    measure_active (&subject, &reader, &pump, &limit);
    printf ("point growth.pump active %zu %g\n", size, pump * 1e-3);
    printf ("point growth.pump active:limit %zu %g\n", size, limit * 1e-3);
    idle_await (&subject);
    measure_idle (&subject, &reader, &pump, &limit);
    printf ("point growth.pump idle %zu %g\n", size, pump * 1e-3);
    printf ("point growth.pump idle:limit %zu %g\n", size, limit * 1e-3);
    printf ("point growth.count ZB_COUNT_ME %zu %g\n", size, count_ns ());
    fflush (stdout);
    reader_destroy (&reader);
    subject_destroy (&subject);
}

int
main (int argc, char *argv[])
{
    pthread_t listener;
    bool growth = argc > 1 && strcmp (argv[1], "--growth") == 0;
    size_t size;
    bench_pin (0);
    listener_start (&listener);
    if (growth)
        for (size = 10; size <= (bench_quick () ? 100000 : 1000000); size *= 10)
            growth_points (size);
    else {
        compare_sizes (ZB_TYPE_COUNTER, "counter", 1000);
        compare_sizes (ZB_TYPE_COUNTER, "counter", 10000);
        compare_sizes (ZB_TYPE_TIMER, "timer", 1000);
    }
    zmq_ctx_term (s_context);
    pthread_join (listener, NULL);
    return 0;
}
