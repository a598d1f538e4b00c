/*  hangup - connections that break while they are not read. The contract is in
    hangup.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "hangup.h"

#include "rest.h"

#include <czmq.h>
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

//  In the data of a descriptor that is only written. libzmq has a pointer there,
//  whose upper bytes are zero.
static const uint64_t s_unread = UINT64_C (0x7a62) << 48;
static const uint64_t s_unread_mask = UINT64_C (0xffff) << 48;

const int hangup_is_linked = 1;

static int
s_control (int epoll, int what, int fd, struct epoll_event *event)
{
    return (int) syscall (SYS_epoll_ctl, epoll, what, fd, event);
}

//  One that is neither read nor written is not in the kernel's set.
static int
s_remove (int epoll, int fd)
{
    struct epoll_event unused = {0};
    int rc = s_control (epoll, EPOLL_CTL_DEL, fd, &unused);
    return rc == -1 && errno == ENOENT ? 0 : rc;
}

static int
s_change (int epoll, int fd, struct epoll_event event)
{
    int rc;
    if (event.events == 0)
        return s_remove (epoll, fd);
    if (event.events == EPOLLOUT)
        event.data.u64 |= s_unread;
    rc = s_control (epoll, EPOLL_CTL_MOD, fd, &event);
    return rc == -1 && errno == ENOENT
             ? s_control (epoll, EPOLL_CTL_ADD, fd, &event)
             : rc;
}

int
epoll_ctl (int epoll, int what, int fd, struct epoll_event *event)
{
    if (what == EPOLL_CTL_DEL)
        return s_remove (epoll, fd);
    if (what == EPOLL_CTL_MOD)
        return s_change (epoll, fd, *event);
    return s_control (epoll, what, fd, event);
}

//  Reading and writing tell of what is wrong as well. libzmq would read twice if
//  it heard of both, although the first time may be enough for a while.
static void
s_hide (struct epoll_event *event)
{
    if ((event->data.u64 & s_unread_mask) == s_unread) {
        event->data.u64 &= ~s_unread_mask;
        event->events = EPOLLOUT;
    }
    else if (event->events & EPOLLIN)
        event->events &= ~(uint32_t) (EPOLLERR | EPOLLHUP);
}

static int
s_wait (int epoll, struct epoll_event *events, int size, int timeout_ms)
{
    int i, count = (int) syscall (SYS_epoll_pwait, epoll, events, size,
                                  timeout_ms, NULL, (size_t) 0);
    for (i = 0; i < count; i++)
        s_hide (&events[i]);
    return count;
}

//  Of a thread that may rest before it waits.
static int
s_wait_rested (int epoll, struct epoll_event *events, int size, int timeout_ms)
{
    static _Thread_local rest_t rest;
    int count = s_wait (epoll, events, size, 0);
    int64_t began_us = zclock_usecs ();
    if (count != 0) {
        rest_turn (&rest);
        return count;
    }
    if (rest_now (&rest, began_us)) {
        usleep (REST_US);
        began_us = zclock_usecs ();
    }
    count = s_wait (epoll, events, size, timeout_ms);
    rest_woken (&rest, zclock_usecs () - began_us);
    return count;
}

int
epoll_wait (int epoll, struct epoll_event *events, int size, int timeout_ms)
{
    return timeout_ms && rest_allowed ()
             ? s_wait_rested (epoll, events, size, timeout_ms)
             : s_wait (epoll, events, size, timeout_ms);
}
