/*  test_hangup.c - connections that break while nobody takes what they sent

    The socket is one of ZeroMQ's, and reads two messages ahead. A peer sends
    more, a heartbeat among them, and resets the connection; only then the test
    begins to read. Without hangup.c ZeroMQ ends the process.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "hangup.h"
#include "peer.h"
#include "sockets.h"

#include <czmq.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { MESSAGES = 100, BEAT_MS = 50 };

typedef struct {
    zsock_t *socket;
    int peer;
} pair_t;

static pair_t
pair_new (void)
{
    pair_t self = {.socket = sockets_new (ZMQ_XSUB)};
    zsock_set_rcvhwm (self.socket, 2);
    zsock_set_heartbeat_ivl (self.socket, BEAT_MS);
    //  which the peer does not answer
    zsock_set_heartbeat_timeout (self.socket, 60000);
    self.peer = peer_new (zsock_bind (self.socket, "tcp://127.0.0.1:*"));
    return self;
}

static void
pair_send (const pair_t *self)
{
    static const char ping[] = "\4\7\4PING\0";
    char frames[MESSAGES * 4 + sizeof ping], *at = frames;
    int i;
    for (i = 0; i < MESSAGES; i++) {
        *at++ = 0;
        *at++ = 2;
        *at++ = 'a';
        *at++ = (char) i;
        if (i == MESSAGES / 2)
            at = (char *) memcpy (at, ping, sizeof ping) + sizeof ping;
    }
    assert_int_equal (write (self->peer, frames, sizeof frames), at - frames);
}

//  When it returns the other side knows, and a heartbeat would have been due.
static void
pair_reset (pair_t *self)
{
    static const struct linger now = {1, 0};
    int waiting = 1;
    while (waiting) {
        zclock_sleep (BEAT_MS * 2);
        ioctl (self->peer, SIOCOUTQ, &waiting);
    }
    setsockopt (self->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close (self->peer);
    zclock_sleep (BEAT_MS * 4);
}

//  The next byte that came, or -1.
static int
pair_receive (const pair_t *self)
{
    char text[2];
    int size = zmq_recv (zsock_resolve (self->socket), text, sizeof text, 0);
    return size == 2 ? text[1] : -1;
}

static void
what_came_before_a_reset_is_read (void **state)
{
    pair_t pair = pair_new ();
    int i;
    (void) state;
    pair_send (&pair);
    pair_reset (&pair);
    for (i = 0; i < MESSAGES; i++)
        assert_int_equal (pair_receive (&pair), i);
    zsock_destroy (&pair.socket);
}

//  The connection is gone then: its place is free for another.
static void
a_reset_is_noticed_when_all_is_read (void **state)
{
    pair_t pair = pair_new ();
    void *monitor;
    unsigned char event[6] = {0};
    int i;
    (void) state;
    zmq_socket_monitor (zsock_resolve (pair.socket), "inproc://hangup",
                        ZMQ_EVENT_DISCONNECTED);
    monitor = zmq_socket (zsys_init (), ZMQ_PAIR);
    assert_int_equal (zmq_connect (monitor, "inproc://hangup"), 0);
    pair_send (&pair);
    pair_reset (&pair);
    for (i = 0; i < MESSAGES; i++)
        assert_int_equal (pair_receive (&pair), i);
    assert_int_equal (zmq_recv (monitor, event, sizeof event, 0), sizeof event);
    zmq_close (monitor);
    zsock_destroy (&pair.socket);
}

//  Nobody reads any more.
static void
a_socket_is_closed_beside_a_reset (void **state)
{
    pair_t pair = pair_new ();
    (void) state;
    pair_send (&pair);
    pair_reset (&pair);
    zsock_destroy (&pair.socket);
}

//  --------------------------------------------------------------------------
//  What the functions do

typedef struct {
    int epoll, fd[2];
} watched_t;

static watched_t
watched_new (void)
{
    watched_t self = {.epoll = epoll_create1 (0)};
    struct epoll_event event = {.events = 0, .data.ptr = &s_seed};
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, self.fd), 0);
    assert_int_equal (epoll_ctl (self.epoll, EPOLL_CTL_ADD, self.fd[0], &event),
                      0);
    return self;
}

static void
watched_change (const watched_t *self, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &s_seed};
    assert_int_equal (
      epoll_ctl (self->epoll, EPOLL_CTL_MOD, self->fd[0], &event), 0);
}

//  Returns what is reported, 0 if nothing is.
static uint32_t
watched_events (const watched_t *self)
{
    struct epoll_event event[2];
    int count = epoll_wait (self->epoll, event, 2, 0);
    if (count == 1)
        assert_ptr_equal (event[0].data.ptr, &s_seed);
    return count == 1 ? event[0].events : 0;
}

static void
only_what_is_asked_for_is_reported (void **state)
{
    watched_t watched = watched_new ();
    struct epoll_event unused = {0};
    (void) state;
    watched_change (&watched, EPOLLIN);
    assert_int_equal (watched_events (&watched), 0);
    close (watched.fd[1]);
    assert_int_equal (watched_events (&watched), EPOLLIN);
    watched_change (&watched, 0);
    assert_int_equal (watched_events (&watched), 0);
    watched_change (&watched, 0);
    watched_change (&watched, EPOLLOUT);
    assert_int_equal (watched_events (&watched), EPOLLOUT);
    watched_change (&watched, EPOLLIN | EPOLLOUT);
    assert_int_equal (watched_events (&watched), EPOLLIN | EPOLLOUT);
    watched_change (&watched, 0);
    assert_int_equal (
      epoll_ctl (watched.epoll, EPOLL_CTL_DEL, watched.fd[0], &unused), 0);
    watched_change (&watched, EPOLLIN);
    assert_int_equal (watched_events (&watched), EPOLLIN);
    close (watched.fd[0]);
    close (watched.epoll);
}

static void
errors_are_those_of_epoll (void **state)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1 (0);
    (void) state;
    assert_int_equal (epoll_ctl (epoll, EPOLL_CTL_MOD, -1, &event), -1);
    assert_int_equal (errno, EBADF);
    assert_int_equal (epoll_ctl (epoll, EPOLL_CTL_ADD, epoll, &event), -1);
    assert_int_equal (errno, EINVAL);
    assert_int_equal (epoll_wait (-1, &event, 1, 0), -1);
    assert_int_equal (errno, EBADF);
    close (epoll);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (what_came_before_a_reset_is_read),
      cmocka_unit_test (a_reset_is_noticed_when_all_is_read),
      cmocka_unit_test (a_socket_is_closed_beside_a_reset),
      cmocka_unit_test (only_what_is_asked_for_is_reported),
      cmocka_unit_test (errors_are_those_of_epoll),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
