/*  rest - an I/O thread that is not woken for each message. The contract is in
    rest.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "rest.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

static atomic_bool s_allowed;

void
rest_allow (void)
{
    atomic_store_explicit (&s_allowed, true, memory_order_relaxed);
}

//  As libzmq names them (4.3, ctx.cpp, thread_ctx_t::start_thread): others that call
//  epoll_wait, an HTTP server's, answer somebody who waits.
static bool
s_is_zeromq (void)
{
    static const char name[] = "ZMQbg/IO/";
    char ours[16];
    return prctl (PR_GET_NAME, ours) == 0
           && strncmp (ours, name, sizeof name - 1) == 0;
}

bool
rest_allowed (void)
{
    static _Thread_local enum { UNKNOWN, ZEROMQ, OTHER } thread;
    if (!atomic_load_explicit (&s_allowed, memory_order_relaxed))
        return false;
    if (thread == UNKNOWN)
        thread = s_is_zeromq () ? ZEROMQ : OTHER;
    return thread == ZEROMQ;
}

void
rest_turn (rest_t *self)
{
    self->turns++;
}

bool
rest_now (rest_t *self, int64_t now_us)
{
    if (self->rested && self->turns > REST_TURNS)
        self->not_us = now_us + REST_NOT_US;
    self->turns = 0;
    self->rested = self->wakes >= REST_WAKES && now_us >= self->not_us;
    return self->rested;
}

void
rest_woken (rest_t *self, int64_t waited_us)
{
    self->wakes = waited_us < REST_US ? self->wakes + 1 : 0;
}
