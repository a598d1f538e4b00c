/*  host.c - a program that minds its own affairs

    usage: host COMMAND [NUMBER]

    Each command does what some program does to itself, measures all the while,
    and prints what it has found afterwards. test_manners.c says what must come
    of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <grp.h>
#include <locale.h>
#include <sys/resource.h>

//  Has standard input come to its end?
static bool
s_input_ends (int ms)
{
    struct pollfd item = {STDIN_FILENO, POLLIN, 0};
    char byte;
    return poll (&item, 1, ms) > 0 && read (STDIN_FILENO, &byte, 1) <= 0;
}

//  Measures and returns.
static int
s_plain (void)
{
    for (int i = 0; i < 1000; i++) {
        ZB_COUNT_ME ("info", "plain.count");
        ZB_TIME_ME ("info", "plain.time");
        ZB_GAUGE ("info", "plain.gauge", i);
    }
    zb_flush (NULL, PATIENCE_MS);
    return 0;
}

//  Measures so much that something is always being sent, until input ends.
static int
s_busy (void)
{
    char source[32];
    long counted = 0;
    signal (SIGPIPE, SIG_DFL);
    s_say ("busy");
    while (!s_input_ends (0))
        for (int i = 0; i < 500; i++, counted++) {
            snprintf (source, sizeof source, "%d", i);
            ZB_COUNT_ME ("info", "busy.count", .source = source);
            ZB_TIME_ME ("info", "busy.time", .source = source);
            ZB_GAUGE ("busy", "busy.gauge", i);
        }
    printf ("counted=%ld\n", counted);
    return 0;
}

static atomic_bool s_stop;

static void *
s_change_locale (void *argument)
{
    (void) argument;
    while (!s_stop)
        if (!setlocale (LC_ALL, "C") || !setlocale (LC_ALL, "de_DE.UTF-8"))
            exit (3);
    return NULL;
}

//  Measures halves while a thread changes the locale.
static int
s_locale (void)
{
    pthread_t thread;
    double sum = 0;
    if (!setlocale (LC_ALL, "de_DE.UTF-8")
        || pthread_create (&thread, NULL, s_change_locale, NULL) != 0)
        return 1;
    for (int i = 0; i < 2000; i++, sum += i + 0.125) {
        ZB_GAUGE ("info", "locale.gauge", i + 1.125);
        ZB_COUNT_ME ("info", "locale.count", .value = i + 1.125);
        if (i % 20 == 0)
            zb_flush (NULL, 20);
    }
    s_stop = true;
    pthread_join (thread, NULL);
    printf ("sum=%.17g point=%s\n", sum, localeconv ()->decimal_point);
    return 0;
}

//  Draws random numbers while connections come and go.
static int
s_random (void)
{
    static char state[128];
    struct random_data data = {0};
    long drawn = 0, strange = 0;
    int32_t expected;
    srandom (7);
    initstate_r (7, state, sizeof state, &data);
    {
        ZB_COUNT_ME ("info", "random.count");
    }
    s_say ("drawing");
    for (; !s_input_ends (1); drawn++) {
        random_r (&data, &expected);
        strange += random () != expected;
    }
    printf ("drawn=%ld strange=%ld\n", drawn, strange);
    return 0;
}

//  --------------------------------------------------------------------------
//  Descriptors

//  Descriptors that a program would inherit, beyond the standard ones.
static long
s_inheritable (void)
{
    long count = 0;
    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl (fd, F_GETFD);
        count += flags != -1 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

static int
s_descriptors (void)
{
    long before = s_inheritable (), open = 0, leaked = 0, inherited;
    zb_t *zb = zb_open (.source = "one");
    zb_count ("info", "descriptors.count");
    if (!zb || !s_listening (zb))
        return 1;
    inherited = s_inheritable () - before;
    s_say ("as inherited:");
    if (system ("ls -l /proc/self/fd") != 0)
        return 1;
    zb_close (&zb);
    open = s_entries ("/proc/self/fd");
    for (long i = 0; i < s_number; i++) {
        zb = zb_open (.source = "more", .linger_ms = PATIENCE_MS);
        if (!zb)
            return 1;
        zb_count ("info", "descriptors.cycles", .to = zb);
        if (i % 4 == 0 && !s_listening (zb))
            return 1;
        zb_close (&zb);
    }
    leaked = s_entries ("/proc/self/fd") - open;
    printf ("inherited=%ld leaked=%ld tasks=%ld\n", inherited, leaked,
            s_entries ("/proc/self/task") - 2);
    return 0;
}

//  Leaves `spare` descriptors to be opened. Returns the limit before.
static rlim_t
s_limit_descriptors (long spare)
{
    struct rlimit limit;
    rlim_t before;
    getrlimit (RLIMIT_NOFILE, &limit);
    before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t) (spare + STDERR_FILENO + 1);
    setrlimit (RLIMIT_NOFILE, &limit);
    return before;
}

static void
s_unlimit_descriptors (rlim_t before)
{
    struct rlimit limit;
    getrlimit (RLIMIT_NOFILE, &limit);
    limit.rlim_cur = before;
    setrlimit (RLIMIT_NOFILE, &limit);
}

//  Measures until all of it has gone.
static bool
s_deliver (const char *name, long *counted)
{
    int64_t until = s_now_ms () + PATIENCE_MS;
    int rc;
    do {
        zb_count ("info", name);
        ++*counted;
        rc = zb_flush (NULL, 100);
    } while (rc == -1 && s_now_ms () < until);
    return rc == 0;
}

//  A child whose parent's descriptors are still there.
static int
s_exhausted_child (void)
{
    rlim_t before =
      s_limit_descriptors (s_entries ("/proc/self/fd") + s_number);
    long counted = 0;
    zb_count ("info", "exhausted.child");
    s_unlimit_descriptors (before);
    return s_deliver ("exhausted.child", &counted) ? 0 : 1;
}

//  First the program itself finds too few, and then enough; then its child; and
//  at last zb_open.
static int
s_exhausted (void)
{
    rlim_t before = s_limit_descriptors (s_number);
    long counted = 0;
    int status;
    for (int i = 0; i < 100; i++, counted++)
        zb_count ("info", "exhausted.parent");
    s_unlimit_descriptors (before);
    if (!s_deliver ("exhausted.parent", &counted))
        return 1;
    pid_t child = fork ();
    if (child == 0)
        exit (s_exhausted_child ());
    if (waitpid (child, &status, 0) != child || status != 0)
        return 1;
    before = s_limit_descriptors (s_entries ("/proc/self/fd") + s_number);
    errno = 0;
    zb_t *zb = zb_open (.source = "own", .linger_ms = 0);
    int error = errno;
    s_unlimit_descriptors (before);
    printf ("opened=%d errno=%d counted=%ld\n", zb != NULL, error, counted);
    zb_close (&zb);
    return 0;
}

//  Once connected, the limit is set to a number below all that are open.
static int
s_starved (void)
{
    rlim_t before;
    long counted = 1;
    zb_count ("info", "starved.count");
    if (!s_listening (NULL))
        return 1;
    before = s_limit_descriptors (s_number - STDERR_FILENO - 1);
    s_say ("starved");
    while (!s_input_ends (1)) {
        zb_count ("info", "starved.count");
        counted++;
    }
    s_unlimit_descriptors (before);
    if (!s_deliver ("starved.count", &counted))
        return 1;
    printf ("counted=%ld\n", counted);
    return 0;
}

//  --------------------------------------------------------------------------
//  Threads

//  Becomes a user who may have so many threads. The limit does not bind root.
static int
s_few_threads (void)
{
    struct rlimit limit = {(rlim_t) s_number, (rlim_t) s_number};
    long counted = 0;
    zb_t *zb;
    if (geteuid () == 0
        && (setgroups (0, NULL) != 0 || setgid (54321) != 0
            || setuid (54321) != 0))
        return 1;
    if (setrlimit (RLIMIT_NPROC, &limit) != 0)
        return 1;
    for (int i = 0; i < 100; i++, counted++)
        zb_count ("info", "few.count");
    errno = 0;
    zb = zb_open (.source = "own", .linger_ms = 0);
    printf ("opened=%d errno=%d counted=%ld\n", zb != NULL, zb ? 0 : errno,
            counted);
    zb_close (&zb);
    return 0;
}

static void *
s_live (void *argument)
{
    (void) argument;
    ZB_COUNT_ME ("info", "threads.count");
    ZB_TIME_ME ("info", "threads.time");
    ZB_GAUGE ("nobody", "threads.gauge", 1);
    return NULL;
}

static long
s_lines (const char *path)
{
    FILE *file = fopen (path, "r");
    long lines = 0;
    int c;
    while (file && (c = getc (file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose (file);
    return lines;
}

static int
s_threads (void)
{
    enum { AT_ONCE = 4 };
    pthread_t thread[AT_ONCE];
    long kib = 0, descriptors = 0, mappings = 0;
    for (long i = 0; i < s_number / AT_ONCE; i++) {
        if (i == s_number / AT_ONCE / 5) {
            kib = s_resident_kib ();
            descriptors = s_entries ("/proc/self/fd");
            mappings = s_lines ("/proc/self/maps");
        }
        for (int j = 0; j < AT_ONCE; j++)
            if (pthread_create (&thread[j], NULL, s_live, NULL) != 0)
                return 1;
        for (int j = 0; j < AT_ONCE; j++)
            pthread_join (thread[j], NULL);
    }
    printf ("kib=%ld descriptors=%ld mappings=%ld\n", s_resident_kib () - kib,
            s_entries ("/proc/self/fd") - descriptors,
            s_lines ("/proc/self/maps") - mappings);
    return 0;
}

//  All of the process' keys are the program's own.
static int
s_keys (void)
{
    enum { KEYS_MAX = 4096 };
    static pthread_key_t keys[KEYS_MAX];
    long made = 0, strange = 0;
    zb_stats_t stats;
    while (made < KEYS_MAX && pthread_key_create (&keys[made], NULL) == 0)
        pthread_setspecific (keys[made], &keys[made]), made++;
    for (int i = 0; i < 100; i++) {
        ZB_COUNT_ME ("info", "keys.count");
        ZB_TIME_ME ("info", "keys.time");
        ZB_GAUGE ("info", "keys.gauge", i);
    }
    for (long i = 0; i < made; i++)
        strange += pthread_getspecific (keys[i]) != &keys[i];
    zb_stats (NULL, &stats);
    printf ("made=%ld strange=%ld dropped=%" PRIu64 "\n", made, strange,
            stats.dropped);
    return 0;
}

//  --------------------------------------------------------------------------
//  Signal handlers

static _Atomic long s_signals;

//  What is known, and what is not: a name that is new each time.
static void
s_handle (int number)
{
    int keep = errno;
    long nth = s_signals++;
    char name[] = "handler.0000";
    (void) number;
    errno = EDOM;
    for (int i = 11; i > 7; i--, nth /= 10)
        name[i] = (char) ('0' + nth % 10);
    ZB_COUNT_ME ("info", "handler.count");
    ZB_GAUGE ("info", "handler.gauge", 1);
    zb_count ("info", name);
    if (errno != EDOM)
        abort ();
    errno = keep;
}

static void *
s_bother (void *argument)
{
    pthread_t main_thread = *(pthread_t *) argument;
    int64_t until = s_now_ms () + PATIENCE_MS;
    for (long sent = s_signals; sent < s_number && s_now_ms () < until;
         sent++) {
        pthread_kill (main_thread, SIGUSR1);
        //  the next one only when this one has come
        while (s_signals <= sent)
            sched_yield ();
    }
    s_stop = true;
    return NULL;
}

//  The main thread is in the slow path, in a ring, in zb_stats ... each time
//  another one sends it a signal.
static int
s_handlers (void)
{
    struct sigaction action = {.sa_handler = s_handle};
    pthread_t main_thread = pthread_self (), thread;
    long passes = 0, readings = 0;
    zb_stats_t stats;
    char source[32];
    zb_t *zb = zb_open (.linger_ms = PATIENCE_MS);
    sigaction (SIGUSR1, &action, NULL);
    raise (SIGUSR1);  //  one that interrupts nothing
    if (!zb || pthread_create (&thread, NULL, s_bother, &main_thread) != 0)
        return 1;
    while (!s_stop) {
        snprintf (source, sizeof source, "%ld", passes++ % 1000);
        ZB_COUNT_ME ("info", "handled.count", .source = source);
        ZB_TIME_ME ("info", "handled.time");
        ZB_GAUGE ("info", "handled.gauge", 1);
        readings++;
        zb_stats (NULL, &stats);
        //  what a program does otherwise, where a handler may do all it wants
        for (volatile int i = 0; i < 10000; i++) {
        }
        if (passes % 100 == 0) {
            zb_t *other = zb_open (.source = "other", .linger_ms = 0);
            zb_count ("info", "handled.other", .to = other);
            zb_close (&other);
            zb_flush (NULL, 50);
        }
    }
    pthread_join (thread, NULL);
    zb_flush (NULL, PATIENCE_MS);
    zb_stats (NULL, &stats);
    printf ("signals=%ld passes=%ld readings=%ld dropped=%" PRIu64
            " async=%" PRIu64 "\n",
            (long) s_signals, passes, readings, stats.dropped,
            stats.dropped_async);
    return 0;
}

//  --------------------------------------------------------------------------
//  The command line

static const command_t s_commands[] = {{"plain", s_plain},
                                       {"busy", s_busy},
                                       {"locale", s_locale},
                                       {"random", s_random},
                                       {"descriptors", s_descriptors},
                                       {"exhausted", s_exhausted},
                                       {"starved", s_starved},
                                       {"few-threads", s_few_threads},
                                       {"threads", s_threads},
                                       {"keys", s_keys},
                                       {"handlers", s_handlers}};

int
main (int argc, char *argv[])
{
    s_number = argc > 2 ? strtol (argv[2], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof s_commands / sizeof *s_commands; i++)
        if (argc > 1 && !strcmp (argv[1], s_commands[i].name))
            return s_commands[i].run ();
    return 2;
}
