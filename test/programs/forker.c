/*  forker.c - a server that forks, in every way a server may

    usage: forker [CHILDREN] [EACH]

    Counts forker.count with source "parent" by itself, before, between and
    after the forks, while a second thread counts too. Of 50 children half are
    forked by main, half by the second thread; each counts 1000 as "child" and
    returns from main. One more forks a child of its own and leaves at once;
    the grandchild counts as much as "grandchild". One forks and one vforks
    only to become /bin/true. The parent waits for them all, and prints

        parent=N child=N grandchild=N

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _DEFAULT_SOURCE  //  vfork

#include "zibrato.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWN = 1000 };  //  that the parent's threads count between two forks

static long s_children = 50, s_each = 1000;
static _Atomic long s_own;

static void
s_count (const char *source, long passes)
{
    while (passes-- > 0) {
        ZB_COUNT_ME ("info", "forker.count", .source = source);
    }
}

static void
s_count_own (void)
{
    s_count ("parent", OWN);
    s_own += OWN;
}

//  A child that hangs is ended after a minute, even if nobody else does.
static pid_t
s_fork (void)
{
    pid_t pid = fork ();
    if (pid == -1)
        exit (1);
    if (pid == 0)
        alarm (60);
    return pid;
}

//  exit, not _exit: what a child has measured leaves it on its way out.
static void
s_fork_children (long count)
{
    s_count_own ();
    while (count-- > 0) {
        if (s_fork () == 0) {
            s_count ("child", s_each);
            exit (0);
        }
        s_count_own ();
    }
}

static void *
s_thread (void *argument)
{
    s_fork_children (*(long *) argument);
    return NULL;
}

//  The grandchild is nobody's to wait for: the pipe closes when it has ended.
static void
s_fork_twice (void)
{
    int ends[2];
    char byte;
    if (pipe (ends) == -1)
        exit (1);
    if (s_fork () == 0) {
        if (s_fork () == 0) {
            s_count ("grandchild", s_each);
            exit (0);
        }
        _exit (0);
    }
    close (ends[1]);
    while (read (ends[0], &byte, 1) > 0) {
    }
    close (ends[0]);
}

static void
s_fork_others (void)
{
    char *arguments[] = {"true", NULL};
    if (s_fork () == 0) {
        execv ("/bin/true", arguments);
        _exit (1);
    }
    pid_t pid = vfork ();
    if (pid == 0) {
        execv ("/bin/true", arguments);
        _exit (1);
    }
    if (pid == -1)
        exit (1);
}

int
main (int argc, char *argv[])
{
    pthread_t thread;
    int status;
    if (argc > 1)
        s_children = strtol (argv[1], NULL, 10);
    if (argc > 2)
        s_each = strtol (argv[2], NULL, 10);

    long half = s_children / 2;
    if (pthread_create (&thread, NULL, s_thread, &half) != 0)
        return 1;
    s_fork_children (s_children - half);
    pthread_join (thread, NULL);
    s_fork_others ();
    s_fork_twice ();
    s_count_own ();
    while (wait (&status) > 0)
        if (status != 0) {
            fprintf (stderr, "forker: a child ended with %d\n", status);
            return 1;
        }
    printf ("parent=%ld child=%ld grandchild=%ld\n", (long) s_own,
            s_children * s_each, s_each);
    return 0;
}
