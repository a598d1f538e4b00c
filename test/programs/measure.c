/*  measure.c - measures what it is told to, line by line

    usage: measure [--classic]

    A command is a line of input, its words separated by tabs, so that labels
    may hold anything else. A word that is missing is an option left out.

        count  LEVEL NAME [VALUE [SOURCE [TAGS]]]
        time   LEVEL NAME SECONDS [SOURCE [TAGS [COUNT]]]
        gauge  LEVEL NAME VALUE [SOURCE [TAGS [TIME]]]
        flush  MS        says "flush" and the result of zb_flush
        stats            says zb_stats, as JSON
        many   N         counts 1 in each of "many.0" ... "many.N-1", level info
        values N         counts 1 in "values" at one site, with so many values of
                         the tag "user"; another tag has two
        open             opens the default instance
        close            closes it
        fork             the child says "forked" and takes the commands that
                         follow; when it has ended, the parent says "child" and
                         its exit status
        _exit  STATUS    ends at once

    --classic opens it so that it publishes six-field lines.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _DEFAULT_SOURCE  //  strsep, getline

#include "zibrato.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 7 };

static zb_t *s_opened;  //  or NULL

static void
s_count (char **word)
{
    if (!word[3])
        zb_count (word[1], word[2]);
    else
        zb_count (word[1], word[2], .value = strtod (word[3], NULL),
                  .source = word[4], .tags = word[5]);
}

static void
s_time (char **word)
{
    zb_time (word[1], word[2], strtod (word[3], NULL), .source = word[4],
             .tags = word[5], .count = word[6] ? atoll (word[6]) : 1);
}

static void
s_gauge (char **word)
{
    if (word[6])
        zb_gauge (word[1], word[2], strtod (word[3], NULL), .source = word[4],
                  .tags = word[5], .time = strtod (word[6], NULL));
    else
        zb_gauge (word[1], word[2], strtod (word[3], NULL), .source = word[4],
                  .tags = word[5]);
}

static void
s_flush (char **word)
{
    printf ("flush %d\n", zb_flush (NULL, atoi (word[1])));
}

static void
s_stats (char **word)
{
    zb_stats_t stats;
    (void) word;
    if (zb_stats (NULL, &stats) == -1)
        exit (1);
    printf ("{\"measured\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"held\":%" PRIu64
            ",\"dropped\":%" PRIu64 ",\"dropped_series\":%" PRIu64
            ",\"refused\":%" PRIu64 ",\"series\":%" PRIu64
            ",\"listening\":%d,\"connected\":%d,\"denied\":%" PRIu64 "}\n",
            stats.measured, stats.sent, stats.held, stats.dropped,
            stats.dropped_series, stats.refused, stats.series, stats.listening,
            stats.connected, stats.denied);
}

static void
s_many (char **word)
{
    char name[32];
    for (int i = 0; i < atoi (word[1]); i++) {
        snprintf (name, sizeof name, "many.%d", i);
        zb_count ("info", name);
    }
}

static void
s_values (char **word)
{
    char tags[64];
    for (int i = 0; i < atoi (word[1]); i++) {
        snprintf (tags, sizeof tags, "user=%d;half=%d", i, i % 2);
        ZB_COUNT_ME ("info", "values", .tags = tags);
    }
}

static void
s_open (char **word)
{
    (void) word;
    s_opened = zb_open ();
}

static void
s_close (char **word)
{
    (void) word;
    zb_close (&s_opened);
}

static void
s_fork (char **word)
{
    int status;
    pid_t pid = fork ();
    (void) word;
    if (pid == 0)
        printf ("forked\n");
    else if (waitpid (pid, &status, 0) == pid)
        printf ("child %d\n", WEXITSTATUS (status));
}

static void
s_exit (char **word)
{
    _exit (atoi (word[1]));
}

static const struct {
    const char *name;
    int words;  //  at least
    void (*run) (char **word);
} s_commands[] = {
  {"count", 3, s_count},   {"time", 4, s_time},   {"gauge", 4, s_gauge},
  {"flush", 2, s_flush},   {"stats", 1, s_stats}, {"many", 2, s_many},
  {"values", 2, s_values}, {"open", 1, s_open},   {"close", 1, s_close},
  {"fork", 1, s_fork},     {"_exit", 2, s_exit}};

static int
s_run (char *line)
{
    char *word[WORDS + 1] = {NULL};
    int count = 0;
    line[strcspn (line, "\n")] = 0;
    while (count < WORDS && (word[count] = strsep (&line, "\t")))
        count++;
    for (size_t i = 0; i < sizeof s_commands / sizeof *s_commands; i++)
        if (!strcmp (word[0], s_commands[i].name)
            && count >= s_commands[i].words) {
            s_commands[i].run (word);
            fflush (stdout);
            return 0;
        }
    return -1;
}

int
main (int argc, char *argv[])
{
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    if (argc > 1 && !strcmp (argv[1], "--classic"))
        s_opened = zb_open (.classic = 1);
    while (rc == 0 && getline (&line, &size, stdin) > 0)
        rc = s_run (line);
    free (line);
    zb_close (&s_opened);
    return rc ? 2 : 0;
}
