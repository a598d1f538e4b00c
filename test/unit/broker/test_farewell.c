/*  test_farewell.c - programs hear that a worker leaves, before it is gone

    A broker's topics, marks and farewell; what goes upstream is read as words.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "farewell.h"
#include "marks.h"
#include "pair.h"
#include "table.h"
#include "topics.h"

enum { NOW_MS = 1000 * 1000 };

//  --------------------------------------------------------------------------
//  net: what programs hear of workers

typedef struct {
    zsock_t *upstream, *programs;
    topics_t topics;
    marks_t marks;
    farewell_t farewell;
    wanted_t wanted[2];  //  of workers 1 and 2
    char heard[256];
} net_t;

static net_t *
net_new (void)
{
    static net_t net;
    net_t *self = &net;
    memset (self, 0, sizeof *self);
    pair_new (&self->upstream, &self->programs);
    //  the name that it takes for a look at ZeroMQ may be taken for a while
    do
        topics_init (&self->topics, zsock_resolve (self->upstream));
    while (!*self->topics.marker && (zclock_sleep (10), 1));
    marks_init (&self->marks);
    farewell_init (&self->farewell, &self->topics, &self->marks);
    return self;
}

//  In words: +info| is wanted, -info| not any more; marker is in place of its
//  bytes.
static const char *
net_heard (net_t *self)
{
    char text[64];
    int size;
    *self->heard = 0;
    while ((size = zmq_recv (zsock_resolve (self->programs), text,
                             sizeof text - 1, ZMQ_DONTWAIT))
           > 0) {
        int marked = size > 1 && (unsigned char) text[1] == 0xff;
        text[size] = 0;
        sprintf (self->heard + strlen (self->heard), "%c%s%s ",
                 *text ? '+' : '-', marked ? "marker" : "",
                 text + 1 + (marked ? MARKER_SIZE : 0));
    }
    return self->heard;
}

static void
net_want (net_t *self, uint64_t worker, int on, const char *topic)
{
    wanted_t *wanted = &self->wanted[worker - 1];
    topics_change (&self->topics, wanted, on, topic, strlen (topic));
    if (on)
        marks_join (&self->marks, worker, wanted);
    else
        marks_change (&self->marks, worker, 0, topic, strlen (topic));
}

static void
net_leave (net_t *self, uint64_t worker, int64_t now_ms)
{
    farewell_begin (&self->farewell, worker, &self->wanted[worker - 1], now_ms);
}

static void
net_turn (net_t *self, size_t silent, size_t late, int64_t now_ms)
{
    farewell_turn (&self->farewell,
                   (farewell_silence_t){.silent = silent, .late = late},
                   now_ms);
}

static int
net_has_left (net_t *self, uint64_t worker)
{
    return marks_find (&self->marks, worker)->left;
}

static void
net_destroy (net_t *self)
{
    farewell_done (&self->farewell);
    marks_done (&self->marks);
    table_clear (&self->topics.topics);
    wanted_clear (&self->wanted[0]);
    wanted_clear (&self->wanted[1]);
    zsock_destroy (&self->programs);
    zsock_destroy (&self->upstream);
}

//  --------------------------------------------------------------------------

static void
all_answer (void **state)
{
    net_t *self = net_new ();
    (void) state;
    net_want (self, 1, 1, "info|");
    assert_string_equal (net_heard (self), "+info| ");
    net_leave (self, 1, NOW_MS);
    assert_string_equal (net_heard (self), "+marker-info| +marker?1 ");
    net_turn (self, 0, 1, NOW_MS);
    assert_int_equal (net_has_left (self, 1), 0);
    net_turn (self, 0, 0, NOW_MS);
    assert_int_equal (net_has_left (self, 1), 1);
    assert_string_equal (net_heard (self), "");
    net_want (self, 1, 0, "info|");
    net_turn (self, 0, 0, NOW_MS);
    assert_string_equal (net_heard (self), "-info| -marker-info| ");
    assert_int_equal (self->farewell.step, FAREWELL_NONE);
    //  the next one has a question of its own
    net_want (self, 2, 1, "info|");
    net_leave (self, 2, NOW_MS);
    assert_string_equal (net_heard (self),
                         "+info| +marker-info| -marker?1 +marker?2 ");
    net_destroy (self);
}

static void
answers_are_told_apart (void **state)
{
    net_t *self = net_new ();
    char text[64];
    size_t size;
    (void) state;
    farewell_ask (&self->farewell);
    size =
      (size_t) zmq_recv (zsock_resolve (self->programs), text, sizeof text, 0);
    assert_int_equal (topics_answer (&self->topics, text + 1, size - 1), 1);
    assert_int_equal (topics_answer (&self->topics, text + 1, size - 2), 0);
    //  of another broker
    text[2] = text[2] == '0' ? '1' : '0';
    assert_int_equal (topics_answer (&self->topics, text + 1, size - 1), 0);
    assert_int_equal (topics_is_answer (text + 1, size - 1), 1);
    //  none
    text[size - 2] = TOPIC_PAUSE;
    assert_int_equal (topics_is_answer (text + 1, size - 1), 0);
    text[size - 2] = TOPIC_QUESTION;
    text[2] = 'x';
    assert_int_equal (topics_is_answer (text + 1, size - 1), 0);
    net_destroy (self);
}

static void
who_is_late_is_waited_for (void **state)
{
    net_t *self = net_new ();
    int64_t now_ms = NOW_MS;
    (void) state;
    net_want (self, 1, 1, "info|");
    net_leave (self, 1, now_ms);
    net_heard (self);
    now_ms += FAREWELL_LATE_MS - 1;
    net_turn (self, 0, 1, now_ms);
    assert_string_equal (net_heard (self), "");
    net_turn (self, 0, 1, ++now_ms);
    assert_string_equal (net_heard (self), "-info| ");
    now_ms += FAREWELL_UNTELL_MS;
    net_turn (self, 0, 1, now_ms);
    assert_int_equal (net_has_left (self, 1), 1);
    net_destroy (self);
}

static void
who_cannot_answer_has_a_moment (void **state)
{
    net_t *self = net_new ();
    int64_t now_ms = NOW_MS;
    (void) state;
    net_want (self, 1, 1, "info|");
    net_leave (self, 1, now_ms);
    net_heard (self);
    now_ms += FAREWELL_PAUSE_MS - 1;
    net_turn (self, 1, 0, now_ms);
    assert_string_equal (net_heard (self), "");
    net_turn (self, 1, 0, ++now_ms);
    assert_string_equal (net_heard (self), "-info| ");
    now_ms += FAREWELL_UNTELL_MS - 1;
    net_turn (self, 1, 0, now_ms);
    assert_int_equal (net_has_left (self, 1), 0);
    net_turn (self, 1, 0, ++now_ms);
    assert_int_equal (net_has_left (self, 1), 1);
    //  the next worker is there already: programs hear that at the end
    net_want (self, 2, 1, "info|");
    net_want (self, 1, 0, "info|");
    assert_string_equal (net_heard (self), "");
    net_turn (self, 1, 0, now_ms);
    assert_string_equal (net_heard (self), "+info| -marker-info| ");
    net_destroy (self);
}

//  What another worker wants goes on.
static void
others_are_not_held_up (void **state)
{
    net_t *self = net_new ();
    (void) state;
    net_want (self, 1, 1, "info|");
    net_want (self, 1, 1, "debug|");
    net_want (self, 2, 1, "info|");
    net_heard (self);
    net_leave (self, 1, NOW_MS);
    assert_string_equal (net_heard (self), "+marker-debug| +marker?1 ");
    //  now both leave
    net_leave (self, 2, NOW_MS);
    assert_string_equal (net_heard (self),
                         "+marker-info| -marker?1 +marker?2 ");
    net_turn (self, 0, 0, NOW_MS);
    net_want (self, 1, 0, "info|");
    net_want (self, 1, 0, "debug|");
    net_turn (self, 0, 0, NOW_MS);
    assert_string_equal (net_heard (self), "-debug| ");
    net_want (self, 2, 0, "info|");
    net_turn (self, 0, 0, NOW_MS);
    assert_string_equal (net_heard (self),
                         "-info| -marker-info| -marker-debug| ");
    net_destroy (self);
}

//  It is killed while it leaves, or stays though it has said that it leaves.
static void
no_pause_without_an_end (void **state)
{
    int killed;
    (void) state;
    for (killed = 0; killed < 2; killed++) {
        net_t *self = net_new ();
        net_want (self, 1, 1, "info|");
        net_leave (self, 1, NOW_MS);
        if (!killed)
            net_turn (self, 0, 0, NOW_MS);
        net_heard (self);
        if (killed) {
            topics_drop (&self->topics, "info|", 5);
            marks_gone (&self->marks, 1, NOW_MS);
        }
        net_turn (self, 0, (size_t) killed, NOW_MS + FAREWELL_LEFT_MS);
        assert_string_equal (net_heard (self), killed ? "-info| -marker-info| "
                                                      : "-marker-info| ");
        assert_int_equal (self->farewell.step, FAREWELL_NONE);
        net_destroy (self);
    }
}

//  Of a worker that is gone ZeroMQ takes back one topic after the other; its list
//  stays, and so many that nobody wants do not.
static void
all_that_somebody_wants_is_paused (void **state)
{
    enum { TOPICS = 300 };
    net_t *self = net_new ();
    char topic[16];
    int i;
    (void) state;
    net_want (self, 1, 1, "info|");
    for (i = 0; i < TOPICS; i++) {
        snprintf (topic, sizeof topic, "%d|", i);
        net_want (self, 2, 1, topic);
        net_heard (self);
    }
    for (i = 1; i < TOPICS; i++) {
        snprintf (topic, sizeof topic, "%d|", i);
        topics_drop (&self->topics, topic, strlen (topic));
        net_heard (self);
    }
    topics_pause_all (&self->topics);
    net_heard (self);
    assert_int_equal (strlen (self->heard),
                      strlen ("+marker-info| +marker-0| "));
    assert_non_null (strstr (self->heard, "+marker-info| "));
    assert_non_null (strstr (self->heard, "+marker-0| "));
    net_destroy (self);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (all_answer),
      cmocka_unit_test (answers_are_told_apart),
      cmocka_unit_test (who_is_late_is_waited_for),
      cmocka_unit_test (who_cannot_answer_has_a_moment),
      cmocka_unit_test (others_are_not_held_up),
      cmocka_unit_test (no_pause_without_an_end),
      cmocka_unit_test (all_that_somebody_wants_is_paused)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
