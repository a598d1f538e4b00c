/*  edge.h - what host, loader and the programs at the edge stand on

    Most are a table of commands, take a NUMBER, and print key=value.
    One that hangs is ended by SIGALRM after a while, even if nobody else does.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef EDGE_H
#define EDGE_H

#define _GNU_SOURCE  //  gettid, _Fork, affinity

#include "zibrato.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

//  No program uses all of it
#pragma GCC diagnostic ignored "-Wunused-function"

enum { PATIENCE_MS = 20000, ALARM_S = 60 };

typedef struct {
    const char *name;
    int (*run) (void);
} command_t;

static long s_number;  //  of the command line

static int64_t
s_clock_us (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t
s_now_us (void)
{
    return s_clock_us (CLOCK_MONOTONIC);
}

static int64_t
s_now_ms (void)
{
    return s_now_us () / 1000;
}

static void
s_nap (long us)
{
    nanosleep (&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

//  Says something at once, for the test to act upon.
static void
s_say (const char *text)
{
    puts (text);
    fflush (stdout);
}

//  Says when main has returned, or nearly so. Returns main's exit status.
static int
s_leave (void)
{
    printf ("left=%" PRId64 "\n", s_now_ms ());
    fflush (stdout);
    return 0;
}

//  Waits until standard input comes to its end.
static void
s_await_input (void)
{
    char byte;
    while (read (STDIN_FILENO, &byte, 1) > 0) {
    }
}

static void
s_count (const char *level, const char *name, long passes)
{
    while (passes-- > 0)
        zb_count (level, name);
}

//  Waits until somebody listens.
static bool
s_listening (zb_t *zb)
{
    int64_t until = s_now_ms () + PATIENCE_MS;
    zb_stats_t stats;
    do {
        zb_flush (zb, 1);
        zb_stats (zb, &stats);
    } while (!stats.listening && s_now_ms () < until);
    return stats.listening;
}

//  How many entries a folder of /proc/self has.
static long
s_entries (const char *path)
{
    DIR *folder = opendir (path);
    long count = 0;
    while (folder && readdir (folder))
        count++;
    if (folder)
        closedir (folder);
    return count;
}

static long
s_resident_kib (void)
{
    long size, resident = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    if (file && fscanf (file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose (file);
    return resident * (sysconf (_SC_PAGESIZE) / 1024);
}

static pthread_t
s_thread_new (const pthread_attr_t *attributes, void *(*run) (void *),
              void *argument)
{
    pthread_t thread;
    if (pthread_create (&thread, attributes, run, argument) != 0)
        exit (3);
    return thread;
}

static void
s_thread_join (pthread_t thread)
{
    if (pthread_join (thread, NULL) != 0)
        exit (4);
}

//  Waits until the thread waits for something.
static void
s_await_sleep (const atomic_int *tid)
{
    char path[64], text[512];
    char state = 0;
    while (*tid == 0)
        s_nap (1000);
    snprintf (path, sizeof path, "/proc/self/task/%d/stat", *tid);
    while (state != 'S') {
        FILE *file = fopen (path, "r");
        size_t size = file ? fread (text, 1, sizeof text - 1, file) : 0;
        text[size] = 0;
        if (file)
            fclose (file);
        if (strrchr (text, ')'))
            state = strrchr (text, ')')[2];
        s_nap (20000);
    }
}

static int
s_compare (const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

static int64_t
s_median (int64_t *values, size_t count)
{
    qsort (values, count, sizeof *values, s_compare);
    return values[count / 2];
}

static int
s_command (const command_t *commands, size_t count, int argc, char *argv[])
{
    s_number = argc > 2 ? strtol (argv[2], NULL, 10) : 0;
    alarm (ALARM_S);
    for (size_t i = 0; i < count; i++)
        if (argc > 1 && !strcmp (argv[1], commands[i].name))
            return commands[i].run ();
    return 2;
}

#define EDGE_MAIN(commands)                                                    \
    int main (int argc, char *argv[])                                          \
    {                                                                          \
        return s_command (commands, sizeof commands / sizeof *commands, argc,  \
                          argv);                                               \
    }

#endif
