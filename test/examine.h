/*  examine.h - what a process is doing that a test has waited for in vain

    For each of its threads what /proc says, and where it is if there is a
    debugger. Include it with _GNU_SOURCE.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef EXAMINE_H
#define EXAMINE_H

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

//  Copies a file of /proc to stderr.
static void
examine_file (const char *folder, const char *name)
{
    char path[128], line[512];
    snprintf (path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen (path, "r");
    while (file && fgets (line, sizeof line, file))
        fprintf (stderr, "    %s: %s%s", name, line,
                 strchr (line, '\n') ? "" : "\n");
    if (file)
        fclose (file);
}

//  It takes some time of a second.
static void
examine_debug (pid_t pid)
{
    char command[256];
    snprintf (command, sizeof command,
              "command -v gdb > /dev/null && timeout 20 gdb -nx -batch "
              "-iex 'set debuginfod enabled off' "
              "-ex 'thread apply all backtrace 24' -p %d 2> /dev/null "
              "| grep -E '^(Thread|#)' >&2",
              (int) pid);
    if (system (command) == -1)
        perror ("examine");
}

static void
examine_process (pid_t pid)
{
    static const char *const files[] = {"comm", "wchan", "syscall", "stack"};
    char pattern[64];
    glob_t threads;
    snprintf (pattern, sizeof pattern, "/proc/%d/task/*", (int) pid);
    if (glob (pattern, 0, NULL, &threads) != 0)
        return;
    for (size_t i = 0; i < threads.gl_pathc; i++) {
        fprintf (stderr, "  %s\n", threads.gl_pathv[i]);
        for (size_t j = 0; j < sizeof files / sizeof *files; j++)
            examine_file (threads.gl_pathv[i], files[j]);
    }
    globfree (&threads);
    examine_debug (pid);
}

#endif
