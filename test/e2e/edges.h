/*  edges.h - runs the programs that stand on test/programs/edge.h

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef EDGES_H
#define EDGES_H

#include "harness.h"

enum { RUNS_MAX = 20 };

//  Returns the number behind a key in what the program said.
static int64_t
edge_number (const process_t *self, const char *key)
{
    const char *found = strstr (process_out (self), key);
    if (!found)
        fail_msg ("no %s in: %s", key, process_out (self));
    return strtoll (found + strlen (key), NULL, 10);
}

//  Variables of a list, and then of another or NULL.
static const char *const *
edge_environment (const char *const *list, const char *const *more)
{
    const char **env = harness_keep (calloc (32, sizeof *env));
    size_t count = 0;
    while (*list)
        env[count++] = *list++;
    while (more && *more)
        env[count++] = *more++;
    assert_true (count < 32);
    return env;
}

//  The broker's variables, and so much time to leave that all is delivered.
static const char *const *
edge_delivers (const broker_t *broker)
{
    return edge_environment (broker_environment (broker),
                             LIST ("ZIBRATO_LINGER_MS=20000"));
}

static process_t *
edge_start (const char *program, const char *command, long number,
            const char *const *env)
{
    return process_start (
      LIST (program_path (program), command, text_new ("%ld", number)), env);
}

//  It ends by itself, with 0, and says nothing on stderr.
static void
edge_end (process_t *self)
{
    int status = process_wait (self);
    if (status != 0)
        fail_msg ("status %d (128 and the signal)", status);
    assert_string_equal (process_err (self), "");
}

static process_t *
edge_run (const char *program, const char *command, long number,
          const char *const *env)
{
    process_t *self = edge_start (program, command, number, env);
    edge_end (self);
    return self;
}

//  How long it took from main's return to the end of the process.
static int64_t
edge_leaving_ms (const process_t *self)
{
    return self->ended_ms - edge_number (self, "left=");
}

//  An address that takes connections in and never says a word on them: neither
//  refused nor connected. Returns the variables; fd_p closes it.
static const char *const *
edge_silent (broker_t *broker, int *fd_p)
{
    broker_give_host (broker);
    *fd_p = port_listen (broker->host, 0);
    broker->port = port_of (*fd_p);
    return broker_environment (broker);
}

//  An address at which nobody listens: who connects is refused.
static const char *const *
edge_refused (int *fd_p)
{
    broker_t broker;
    broker_give_host (&broker);
    *fd_p = port_take (broker.host, 0);
    broker.port = port_of (*fd_p);
    return broker_environment (&broker);
}

static int
s_edge_compare (const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

//  Runs a program so many times. Returns the median of its times to leave.
static int64_t
edge_median_leaving_ms (const char *program, const char *command, long number,
                        const char *const *env, size_t runs)
{
    int64_t ms[RUNS_MAX];
    assert_true (runs <= RUNS_MAX);
    for (size_t i = 0; i < runs; i++)
        ms[i] = edge_leaving_ms (edge_run (program, command, number, env));
    qsort (ms, runs, sizeof *ms, s_edge_compare);
    return ms[runs / 2];
}

#endif
