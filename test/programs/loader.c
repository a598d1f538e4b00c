/*  loader.c - loads a library that measures, and unloads it, again and again

    usage: loader LIBRARY TIMES

    Two threads run a function of the library, one of them ends before it is
    unloaded, the other one goes on; and so does the program itself. It also
    forks with and without the library. At the end it prints what is left, of
    threads, descriptors and keys, since the second time:

        passes=N tasks=N descriptors=N keys=N

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <dlfcn.h>

enum { PASSES = 10 };

typedef void run_t (long passes);

static run_t *s_run;
static pthread_barrier_t s_barrier;
static atomic_bool s_stop;

static void *
s_short (void *argument)
{
    (void) argument;
    s_run (PASSES);
    return NULL;
}

//  Lives as long as the program.
static void *
s_long (void *argument)
{
    (void) argument;
    for (;;) {
        pthread_barrier_wait (&s_barrier);
        if (s_stop)
            return NULL;
        s_run (PASSES);
        pthread_barrier_wait (&s_barrier);
    }
}

static int
s_fork (void)
{
    int status;
    pid_t child = fork ();
    if (child == 0)
        _exit (0);
    return waitpid (child, &status, 0) == child && status == 0 ? 0 : -1;
}

static int
s_cycle (const char *path)
{
    void *library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
    pthread_t thread;
    if (!library) {
        fprintf (stderr, "%s\n", dlerror ());
        return -1;
    }
    *(void **) &s_run = dlsym (library, "measured_run");
    if (!s_run || pthread_create (&thread, NULL, s_short, NULL) != 0)
        return -1;
    pthread_barrier_wait (&s_barrier);
    s_run (PASSES);
    pthread_barrier_wait (&s_barrier);
    pthread_join (thread, NULL);
    if (s_fork () == -1 || dlclose (library) != 0)
        return -1;
    //  its fork handlers are gone, too
    return dlopen (path, RTLD_NOW | RTLD_NOLOAD) ? -1 : s_fork ();
}

int
main (int argc, char *argv[])
{
    long times = argc > 2 ? strtol (argv[2], NULL, 10) : 0;
    long tasks = 0, descriptors = 0;
    pthread_key_t first = 0, last = 0;
    pthread_t thread;
    pthread_barrier_init (&s_barrier, NULL, 2);
    if (pthread_create (&thread, NULL, s_long, NULL) != 0)
        return 1;
    for (long i = 0; i < times; i++) {
        if (s_cycle (argv[1]) == -1)
            return 1;
        if (i == 1) {
            tasks = s_entries ("/proc/self/task");
            descriptors = s_entries ("/proc/self/fd");
            if (pthread_key_create (&first, NULL) == 0)
                pthread_key_delete (first);
        }
    }
    tasks = s_entries ("/proc/self/task") - tasks;
    descriptors = s_entries ("/proc/self/fd") - descriptors;
    if (pthread_key_create (&last, NULL) == 0)
        pthread_key_delete (last);
    s_stop = true;
    pthread_barrier_wait (&s_barrier);
    pthread_join (thread, NULL);
    printf ("passes=%ld tasks=%ld descriptors=%ld keys=%ld\n",
            3 * PASSES * times, tasks, descriptors, (long) last - (long) first);
    return 0;
}
