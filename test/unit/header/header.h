/*  header.h - what the tests of zibrato.h share

    The body of the header, with its statics; a peer; and a default instance
    that is connected to one.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef HEADER_H
#define HEADER_H

#define _GNU_SOURCE  //  newlocale, strtod_l, sched_yield

#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../jobs.h"
#include "../../sanitized.h"

//  No test file uses all of it
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

#include "peer.h"

enum { THREADS = 8 };

//  --------------------------------------------------------------------------
//  A default instance and a peer that wants everything

typedef struct {
    peer_t peer;
    zb_t *zb;
} fixture_t;

static int
s_open (void **state)
{
    fixture_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    peer_open (&self->peer, "");
    self->zb = zb_open (.endpoint = self->peer.endpoint, .source = "host",
                        .interval_ms = 20, .linger_ms = 5000);
    assert_non_null (self->zb);
    *state = self;
    return 0;
}

static int
s_close (void **state)
{
    fixture_t *self = *state;
    zb_close (&self->zb);
    assert_null (self->zb);
    peer_await_ends (&self->peer);
    peer_close (&self->peer);
    free (self);
    return 0;
}

static pthread_t
s_thread (void *(*run) (void *), void *argument)
{
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, run, argument), 0);
    return thread;
}

static double
s_unix_time (void)
{
    return (double) zb_clock_read_ (CLOCK_REALTIME) * 1e-9;
}

static int
s_is_heard (zb_t *zb, const char *name)
{
    zb_level_ *level;
    int heard = 0;
    pthread_mutex_lock (&zb->lock);
    for (level = zb->levels; level; level = level->next)
        if (strcmp (level->name, name) == 0)
            heard = level->has_listener;
    pthread_mutex_unlock (&zb->lock);
    return heard;
}

static void
s_await_heard (zb_t *zb, const char *name, int heard)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    while (s_is_heard (zb, name) != heard) {
        assert_true (zb_clock_ms_ () < until);
        zb_flush (zb, 5);
    }
}

//  Waits until a line and the end come, then for what may come behind that.
static void
s_await_close (peer_t *peer, zb_t **zb, const char *name)
{
    zb_close (zb);
    peer_await_lines (peer, name, 1);
    peer_await_ends (peer);
    peer_drain (peer, 50);
    peer_await_ends (peer);
}

static void *
s_close_in_thread (void *argument)
{
    zb_close (argument);
    return NULL;
}

//  What a process needs before its test.
static int
s_begin (void **state)
{
    (void) state;
    s_c_locale = newlocale (LC_ALL_MASK, "C", (locale_t) 0);
    s_parent = getpid ();
    return 0;
}

#pragma GCC diagnostic pop

#endif
