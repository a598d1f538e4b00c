/*  jobs.h - a process for each test of a table, several at once

    Tests of programs that talk to each other wait nearly all of their time.
    Include it behind cmocka.h, with _GNU_SOURCE.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef JOBS_H
#define JOBS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS = 4 };

typedef struct {
    const char *name;
    pid_t pid;
    FILE *said;
    int64_t started_ms;
} job_t;

static int64_t
job_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  Runs those whose names match, one after the other.
static int
tests_run (const struct CMUnitTest *tests, size_t count,
           CMFixtureFunction setup, const char *pattern)
{
    cmocka_set_test_filter (pattern);
    return _cmocka_run_group_tests ("tests", tests, count, setup, NULL);
}

//  Starts one function. It dies with us, and all that it starts with it.
static void
job_start (job_t *self, const struct CMUnitTest *tests, size_t count,
           CMFixtureFunction setup, const char *name)
{
    self->name = name;
    self->said = fdopen (memfd_create (name, MFD_CLOEXEC), "r+");
    self->started_ms = job_now_ms ();
    fflush (NULL);
    self->pid = self->said ? fork () : -1;
    if (self->pid == -1)
        abort ();
    if (self->pid > 0)
        return;
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    dup2 (fileno (self->said), STDOUT_FILENO);
    dup2 (fileno (self->said), STDERR_FILENO);
    exit (tests_run (tests, count, setup, name));
}

//  Waits for one to end, and prints what it said. Returns whether it passed.
static bool
job_end (job_t *jobs)
{
    char data[4096];
    size_t got;
    int status = 0, i = 0;
    pid_t pid = waitpid (-1, &status, 0);
    if (pid == -1)
        abort ();
    while (jobs[i].pid != pid)
        i++;
    rewind (jobs[i].said);
    while ((got = fread (data, 1, sizeof data, jobs[i].said)) > 0)
        fwrite (data, 1, got, stdout);
    fclose (jobs[i].said);
    printf ("%s: %s, %.1f s\n", jobs[i].name, status ? "FAILED" : "passed",
            (double) (job_now_ms () - jobs[i].started_ms) * 1e-3);
    fflush (stdout);  //  for who kills us when another one hangs
    jobs[i].pid = 0;
    return status == 0;
}

//  Runs all tests, or those that ZB_TEST matches, one after the other. The setup,
//  or NULL, comes before each. Returns main's status.
__attribute__ ((unused)) static int
jobs_run (const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup)
{
    job_t jobs[JOBS] = {{NULL, 0, NULL, 0}};
    bool passed = true;
    size_t begun = 0, ended = 0;
    if (getenv ("ZB_TEST"))
        return tests_run (tests, count, setup, getenv ("ZB_TEST"));
    for (; ended < count; ended++) {
        for (int i = 0; i < JOBS && begun < count; i++)
            if (jobs[i].pid == 0)
                job_start (&jobs[i], tests, count, setup, tests[begun++].name);
        passed &= job_end (jobs);
    }
    return passed ? 0 : 1;
}

#endif
