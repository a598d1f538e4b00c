/*  hangup - ZeroMQ hears that a connection broke when it reads it

    libzmq stops reading a connection when nobody takes what came: it takes
    EPOLLIN from the descriptor. The kernel reports errors and hangups all the
    same. libzmq then marks the connection as broken, and from then on a
    heartbeat ends the process, be it a timer of its own or a PING of the peer
    that was read before ("Assertion failed: !_io_error", libzmq issue 4364, in
    all versions that have heartbeats). Any peer could do that to a broker: a few
    messages, a PING and a reset are enough.

    So the executable has functions epoll_ctl and epoll_wait of its own, which
    libzmq calls in place of libc's. By them a descriptor that is not read does
    not report hangups either. Nothing is lost by that: when libzmq reads again,
    it gets what came, and the error behind it.

    Nobody needs to call them by name. A program that has only zibrato.h has not
    got them, so no heartbeats go between programs and brokers (ports.c).

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HANGUP_H
#define ZB_HANGUP_H

#include <sys/epoll.h>

//  By this the linker takes them from the archive (CMakeLists.txt), also where a
//  sanitizer has functions of the same names.
extern const int hangup_is_linked;

#define HANGUP_PUBLIC __attribute__ ((visibility ("default")))

//  As in epoll_ctl(2), but for a descriptor whose events are changed to
//  something without EPOLLIN: it reports no errors then, only EPOLLOUT if it is
//  asked for.
HANGUP_PUBLIC int
epoll_ctl (int epoll, int what, int fd, struct epoll_event *event);

//  As in epoll_wait(2), but no cancellation point. ZeroMQ's threads may rest before
//  they wait (rest.h).
HANGUP_PUBLIC int
epoll_wait (int epoll, struct epoll_event *events, int size, int timeout_ms);

#endif
