/*  stress.c - does everything at once, at random

    usage: stress SECONDS SEED MODULE TALLIES

    Eight threads open and close instances which the others use at the same
    moment, measure, flush, look at statistics, make short threads and cancel
    some of them, fork children that measure, and one at a time loads and
    unloads MODULE. A pointer to an instance may be used after somebody has
    closed it: then what is measured goes nowhere.

    What goes into the first instance, which stays open to the end, is tallied,
    and so is what children and the module deliver. TALLIES is a file that gets
    an array of tally_t: who reads it when the process has ended knows what must
    have arrived. With an even SEED all threads are joined and all instances
    closed before main returns; with an odd one main returns while they go on.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  pthread_cancel's signals, ftruncate

#include "zibrato.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, SLOTS = 6, SOURCES = 12, PATIENCE_MS = 20000 };

//  Sanitizers know no threads in the child of a program with threads, nor does
//  the allocator of AddressSanitizer let go of its locks there (gcc 12). And
//  ThreadSanitizer calls what a library gave to atexit when it is long gone.
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define FORKS 0
#else
#define FORKS 1
#endif
#ifdef __SANITIZE_THREAD__
#define UNLOADS 0
#else
#define UNLOADS 1
#endif

static atomic_bool s_stop;
static atomic_bool s_leaving;  //  main returns while threads go on

__attribute__ ((noreturn)) static void
s_die (const char *what)
{
    fprintf (stderr, "stress: %s: %s\n", what, strerror (errno));
    abort ();
}

//  --------------------------------------------------------------------------
//  Tallies: what must arrive, in memory that outlives us

//  What was begun and what was done. They are equal unless a thread was ended
//  in between. `settled` was done when main began to return.
typedef struct {
    _Atomic uint64_t begun, done, settled;
} tally_t;

enum { KEPT, TIMED, CHILD, MODULE, TALLIES };

static tally_t *s_tallies;

static void
s_begin (int kind, unsigned value)
{
    atomic_fetch_add (&s_tallies[kind].begun, value);
}

static void
s_done (int kind, unsigned value)
{
    atomic_fetch_add (&s_tallies[kind].done, value);
}

static void
s_settle (void)
{
    for (int kind = 0; kind < TALLIES; kind++)
        s_tallies[kind].settled = s_tallies[kind].done;
}

static void
s_map_tallies (const char *path)
{
    size_t size = TALLIES * sizeof *s_tallies;
    int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1 || ftruncate (fd, (off_t) size) == -1)
        s_die (path);
    s_tallies = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s_tallies == MAP_FAILED)
        s_die ("mmap");
    close (fd);
}

//  --------------------------------------------------------------------------
//  Random numbers, of each thread its own (splitmix64, public domain, S. Vigna)

typedef struct {
    uint64_t state;
} random_t;

static uint64_t
s_any (random_t *self)
{
    uint64_t z = self->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

//  Returns 0..limit - 1.
static unsigned
s_below (random_t *self, unsigned limit)
{
    return (unsigned) (s_any (self) % limit);
}

static void
s_nap_us (unsigned us)
{
    nanosleep (&(struct timespec){0, (long) us * 1000}, NULL);
}

//  --------------------------------------------------------------------------
//  Instances: one that is kept, and a table of those that come and go

static zb_t *s_kept;
static _Atomic (zb_t *) s_slots[SLOTS];

static zb_t *
s_look (random_t *random)
{
    return s_slots[s_below (random, SLOTS)];
}

//  Half of them have a broker, the others are refused or find no socket.
static zb_t *
s_open (random_t *random)
{
    int interval_ms = 1 + (int) s_below (random, 20);
    int linger_ms = (int) s_below (random, 51);
    switch (s_below (random, 4)) {
        case 0:
            return zb_open (.endpoint = "tcp://127.0.0.1:1",
                            .interval_ms = interval_ms, .linger_ms = linger_ms);
        case 1:
            return zb_open (.endpoint = "ipc:///nowhere,tcp://127.0.0.1:1",
                            .interval_ms = interval_ms, .linger_ms = linger_ms,
                            .max_series = 4);
        default:
            return zb_open (.source = "guest", .interval_ms = interval_ms,
                            .linger_ms = linger_ms);
    }
}

//  Fills a place that is free, or else closes what it has.
static void
s_replace (random_t *random)
{
    unsigned i = s_below (random, SLOTS);
    zb_t *old = atomic_exchange (&s_slots[i], NULL), *none = NULL;
    if (old) {
        zb_close (&old);
        return;
    }
    zb_t *opened = s_open (random);
    if (opened && !atomic_compare_exchange_strong (&s_slots[i], &none, opened))
        zb_close (&opened);
}

//  Closes an instance that others may close at the same moment: only one does.
static void
s_close_too (random_t *random)
{
    zb_t *copy = s_look (random);
    zb_close (&copy);
}

static void
s_close_all (void)
{
    for (int i = 0; i < SLOTS; i++) {
        zb_t *left = atomic_exchange (&s_slots[i], NULL);
        zb_close (&left);
    }
}

//  --------------------------------------------------------------------------
//  Measuring

static const char *
s_source (random_t *random, char text[16])
{
    unsigned n = s_below (random, 2 * SOURCES);
    snprintf (text, 16, "s%u", n);
    return n < SOURCES ? text : NULL;
}

//  What arrives, each time it is measured.
static void
s_measure_kept (random_t *random)
{
    char text[16];
    const char *source = s_source (random, text);
    unsigned value = 1 + s_below (random, 3);
    s_begin (KEPT, value);
    if (s_below (random, 2))
        zb_count ("info", "stress.kept", .value = value, .source = source,
                  .to = s_kept);
    else {
        ZB_COUNT_ME ("info", "stress.kept", .value = value, .source = source,
                     .to = s_kept);
    }
    s_done (KEPT, value);
    s_begin (TIMED, 1);
    {
        ZB_TIME_ME ("info", "stress.timed", .source = source, .to = s_kept);
    }
    s_done (TIMED, 1);
}

//  What may arrive, or go nowhere: the instance may be closed by now.
static void
s_measure_guest (random_t *random)
{
    char text[16];
    const char *source = s_source (random, text);
    zb_t *to = s_look (random);
    ZB_TIME_ME ("info", "stress.time", .source = source, .to = to);
    ZB_COUNT_ME ("info", "stress.count", .to = to);
    ZB_GAUGE ("nobody", "stress.gauge", s_below (random, 100), .to = to);
    zb_count ("nobody", source ? source : "stress.name", .to = to);
    if (s_below (random, 16) == 0)
        zb_gauge ("info", "stress.reading", 1, .source = source, .to = to);
}

static void
s_measure (random_t *random)
{
    for (unsigned left = 1 + s_below (random, 50); left > 0; left--) {
        s_measure_kept (random);
        s_measure_guest (random);
    }
}

static void
s_flush (random_t *random)
{
    zb_t *to = s_below (random, 4) ? s_look (random) : s_kept;
    int rc = zb_flush (to, (int) s_below (random, 20));
    if (rc != 0 && rc != -1)
        s_die ("zb_flush");
}

static void
s_look_at_stats (random_t *random)
{
    zb_stats_t stats;
    zb_t *of = s_below (random, 4) ? s_look (random) : s_kept;
    int rc = zb_stats (of, &stats);
    if (rc != 0 && rc != -1)
        s_die ("zb_stats");
    if (rc == 0 && stats.measured != stats.sent + stats.held + stats.dropped)
        s_die ("the statistics do not add up");
}

//  --------------------------------------------------------------------------
//  Short threads

//  May be cancelled, and is, in zb_flush: nothing else here is a place for it,
//  while the request may come anywhere.
static void *
s_short (void *argument)
{
    random_t random = {(uintptr_t) argument};
    for (unsigned left = s_below (&random, 20); left > 0; left--)
        switch (s_below (&random, 4)) {
            case 0:
                s_flush (&random);
                break;
            case 1:
                s_look_at_stats (&random);
                break;
            case 2:
                if (s_below (&random, 4) == 0)
                    s_close_too (&random);
                break;
            default:
                s_measure (&random);
        }
    return NULL;
}

static void
s_make_threads (random_t *random)
{
    pthread_t threads[3];
    unsigned count = 1 + s_below (random, 3);
    for (unsigned i = 0; i < count; i++) {
        void *seed = (void *) (uintptr_t) s_any (random);
        if (pthread_create (&threads[i], NULL, s_short, seed) != 0)
            s_die ("pthread_create");
    }
    for (unsigned i = 0; i < count; i++) {
        if (s_below (random, 3)) {
            s_nap_us (s_below (random, 3000));
            pthread_cancel (threads[i]);
        }
        pthread_join (threads[i], NULL);
    }
}

//  --------------------------------------------------------------------------
//  Children and modules
//
//  The C library allows neither fork during dlopen or dlclose, nor any of them
//  beside exit. Whoever does one holds this; main never gives it back.

static pthread_mutex_t s_loading = PTHREAD_MUTEX_INITIALIZER;

//  Returns false if there is to be no more of it.
static bool
s_loading_begin (void)
{
    while (pthread_mutex_trylock (&s_loading) != 0) {
        if (s_stop || s_leaving)
            return false;
        s_nap_us (500);
    }
    return true;
}

//  What the child has measured arrives, unless it becomes another program.
__attribute__ ((noreturn)) static void
s_be_child (random_t *random)
{
    unsigned value = 1 + s_below (random, 3), way = s_below (random, 3);
    if (way == 2) {
        zb_count ("info", "stress.lost", .to = s_kept);
        execl ("/bin/true", "true", (char *) NULL);
        _exit (1);
    }
    s_begin (CHILD, value);
    for (unsigned i = 0; i < value; i++) {
        ZB_COUNT_ME ("info", "stress.child", .to = s_kept);
        ZB_TIME_ME ("info", "stress.childs", .to = s_look (random));
    }
    if (way == 1) {
        zb_close (&s_kept);
        s_done (CHILD, value);
        _exit (0);
    }
    s_done (CHILD, value);
    exit (0);
}

static void
s_fork (random_t *random)
{
    int status;
    if (!s_loading_begin ())
        return;
    pid_t child = fork ();
    if (child == 0)
        s_be_child (random);
    pthread_mutex_unlock (&s_loading);
    if (child == -1 || waitpid (child, &status, 0) != child)
        s_die ("fork");
    if (status != 0) {
        fprintf (stderr, "stress: a child ended with %x\n", (unsigned) status);
        abort ();
    }
}

static const char *s_module;
static atomic_bool s_module_busy;

//  By one thread at a time.
static void
s_load (random_t *random)
{
    void (*run) (long);
    unsigned passes = 1 + s_below (random, 20);
    if (atomic_exchange (&s_module_busy, true))
        return;
    if (s_loading_begin ()) {
        void *library = dlopen (s_module, RTLD_NOW | RTLD_LOCAL);
        pthread_mutex_unlock (&s_loading);
        if (!library)
            s_die (dlerror ());
        *(void **) &run = dlsym (library, "measured_run");
        s_begin (MODULE, passes);
        run (passes);
        s_done (MODULE, passes);
        if (UNLOADS && s_loading_begin ()) {
            dlclose (library);
            pthread_mutex_unlock (&s_loading);
        }
    }
    s_module_busy = false;
}

//  --------------------------------------------------------------------------

//  One thing in some hundreds is rare, but costs more than the others.
static void *
s_run (void *argument)
{
    random_t random = {(uintptr_t) argument};
    while (!s_stop) {
        unsigned what = s_below (&random, 256);
        if (what < 40)
            s_replace (&random);
        else if (what < 44)
            s_close_too (&random);
        else if (what < 90)
            s_flush (&random);
        else if (what < 110)
            s_look_at_stats (&random);
        else if (what < 140)
            s_make_threads (&random);
        else if (what < 146 && FORKS)
            s_fork (&random);
        else if (what < 150)
            s_load (&random);
        else
            s_measure (&random);
    }
    return NULL;
}

#ifdef __SANITIZE_THREAD__
//  ThreadSanitizer asks for it: who returns from main while threads go on may
//  leave some that have ended and were not joined yet.
const char *__tsan_default_options (void);

const char *
__tsan_default_options (void)
{
    return "report_thread_leaks=0";
}
#endif

int
main (int argc, char *argv[])
{
    if (argc != 5)
        return 2;
    pthread_t threads[THREADS];
    long seconds = strtol (argv[1], NULL, 10);
    uint64_t seed = strtoull (argv[2], NULL, 10);
    random_t random = {seed};
    s_module = argv[3];
    s_map_tallies (argv[4]);
    s_kept =
      zb_open (.source = "kept", .interval_ms = 20, .linger_ms = PATIENCE_MS);
    if (!s_kept)
        s_die ("zb_open");
    for (int i = 0; i < THREADS; i++) {
        void *own = (void *) (uintptr_t) s_any (&random);
        if (pthread_create (&threads[i], NULL, s_run, own) != 0)
            s_die ("pthread_create");
    }
    nanosleep (&(struct timespec){seconds, 0}, NULL);
    if (seed % 2) {
        s_leaving = true;
        pthread_mutex_lock (&s_loading);
        s_settle ();
        return 0;
    }
    s_stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join (threads[i], NULL);
    s_settle ();
    s_close_all ();
    zb_close (&s_kept);
    return 0;
}
