/*  test_intake.c - a socket that is read once a millisecond while it is busy

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include <czmq.h>

static int64_t s_now_ms;

#define zclock_mono() s_now_ms
#include "../../../contrib/core/intake.c"
#undef zclock_mono

enum { MOST = 10, ROOM = 40, MESSAGES = 100 };

static size_t s_waiting;

//  Reads what is said to wait.
static size_t
s_read (void *argument)
{
    size_t count = s_waiting < MOST ? s_waiting : MOST;
    (void) argument;
    s_waiting -= count;
    return count;
}

static intake_t
s_reader (void)
{
    s_now_ms = 1000;
    return (intake_t){.read = s_read, .most = MOST, .room = ROOM};
}

//  So many more have come, so much later. Does it rest then?
static int
s_come (intake_t *self, size_t count, int64_t later_ms)
{
    s_waiting += count;
    s_now_ms += later_ms;
    return intake_read (self);
}

static void
test_pause (void **state)
{
    intake_t reader = s_reader ();
    (void) state;
    assert_int_equal (s_come (&reader, 1, 0), 0);
    assert_int_equal (s_come (&reader, 1, 2), 0);
    assert_int_equal (s_come (&reader, 1, 1), 1);
    assert_int_equal (s_come (&reader, 3, 1), 1);
    assert_int_equal (s_come (&reader, 0, 1), 0);
    assert_int_equal (s_come (&reader, 1, 2), 0);
}

//  What is left is read before a rest.
static void
test_left (void **state)
{
    intake_t reader = s_reader ();
    (void) state;
    assert_int_equal (s_come (&reader, 1, 0), 0);
    assert_int_equal (s_come (&reader, MOST + 1, 0), 0);
    assert_int_equal (s_waiting, 1);
    assert_int_equal (s_come (&reader, 0, 0), 1);
    assert_int_equal (s_waiting, 0);
}

//  A queue must not fill while its reader rests.
static void
test_room (void **state)
{
    intake_t reader = s_reader ();
    int i;
    (void) state;
    assert_int_equal (s_come (&reader, 1, 0), 0);
    assert_int_equal (s_come (&reader, ROOM + 1, 0), 0);
    for (i = 1; i < ROOM / MOST; i++)
        assert_int_equal (s_come (&reader, 0, 0), 0);
    assert_int_equal (s_come (&reader, 0, 0), 0);
    assert_int_equal (s_waiting, 0);
    for (i = 1; i < NO_REST_MS; i++)
        assert_int_equal (s_come (&reader, 1, 1), 0);
    assert_int_equal (s_come (&reader, 1, 1), 1);
}

typedef struct {
    zsock_t *from, *to;
    size_t sent, received;
} line_t;

//  Reads a message, and lets the next one come.
static size_t
s_pass_on (void *argument)
{
    line_t *self = argument;
    zmq_msg_t message;
    size_t count = 0;
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, zsock_resolve (self->from), ZMQ_DONTWAIT) != -1)
        count = 1;
    zmq_msg_close (&message);
    self->received += count;
    s_now_ms++;
    if (count && self->sent < MESSAGES) {
        zstr_send (self->to, "x");
        self->sent++;
    }
    return count;
}

//  Ends the loop once all have come.
static int
s_look (zloop_t *loop, int timer, void *argument)
{
    const line_t *self = argument;
    (void) loop;
    (void) timer;
    return self->received == MESSAGES ? -1 : 0;
}

//  In a loop, with rests between the messages and without: each is read.
static void
test_loop (void **state)
{
    line_t line = {zsock_new (ZMQ_PAIR), zsock_new (ZMQ_PAIR), 1, 0};
    intake_t reader = {.socket = line.from,
                       .read = s_pass_on,
                       .argument = &line,
                       .most = MOST,
                       .room = ROOM};
    zloop_t *loop = zloop_new ();
    (void) state;
    assert_int_equal (zsock_bind (line.from, "inproc://line"), 0);
    assert_int_equal (zsock_connect (line.to, "inproc://line"), 0);
    zstr_send (line.to, "x");
    intake_start (&reader, loop);
    zloop_timer (loop, 1, 0, s_look, &line);
    assert_int_equal (zloop_start (loop), -1);
    assert_int_equal (line.received, MESSAGES);
    assert_int_equal (line.sent, MESSAGES);
    zloop_destroy (&loop);
    zsock_destroy (&line.from);
    zsock_destroy (&line.to);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_pause), cmocka_unit_test (test_left),
      cmocka_unit_test (test_room), cmocka_unit_test (test_loop)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
