/*  test_missed.c - a broker's marks and a worker's count of what it has missed

    Both sides with nothing but a pair of sockets between them, so that the test
    decides what is lost.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "budget.h"
#include "leaving.h"
#include "line.h"
#include "mark.h"
#include "marks.h"
#include "missed.h"
#include "pair.h"
#include "topics.h"

enum { LEVELS = 3, STEPS = 200 * 1000, NOW_MS = 1000 * 1000 };

static const char *const s_levels[LEVELS] = {"info", "debug", "in"};

//  --------------------------------------------------------------------------
//  net: a broker's marks, and one worker

typedef struct {
    zsock_t *broker, *worker;
    marks_t marks;
    missed_t missed;
    wanted_t wanted;
    uint64_t id;
    int64_t now_ms;
} net_t;

//  The worker is there, and has its first mark.
static net_t *
net_new (void)
{
    static net_t net;
    net_t *self = &net;
    memset (self, 0, sizeof *self);
    pair_new (&self->broker, &self->worker);
    marks_init (&self->marks);
    missed_init (&self->missed, s_any ());
    self->id = marks_id (self->missed.topic + 1, MARK_TOPIC_SIZE);
    self->now_ms = NOW_MS;
    return self;
}

static void
net_want (net_t *self, const char *text)
{
    topic_t *topic = (topic_t *) zmalloc (sizeof *topic + strlen (text) + 2);
    topic->size = strlen (text);
    strcpy (topic->text + 1, text);
    self->wanted.topic = (topic_t **) realloc (
      self->wanted.topic, (self->wanted.size + 1) * sizeof topic);
    self->wanted.topic[self->wanted.size++] = topic;
}

static void
net_join (net_t *self)
{
    marks_join (&self->marks, self->id, &self->wanted);
}

//  The worker gets the marks that are due.
static void
net_mark (net_t *self)
{
    zmq_msg_t message;
    self->now_ms += MARKS_MS;
    marks_tick (&self->marks, self->now_ms);
    assert_int_equal (marks_send (&self->marks, zsock_resolve (self->broker)),
                      0);
    zmq_msg_init (&message);
    while (zmq_msg_recv (&message, zsock_resolve (self->worker), ZMQ_DONTWAIT)
           != -1)
        missed_mark (&self->missed, &message, self->now_ms);
    zmq_msg_close (&message);
}

static void
net_publish (net_t *self, const char *level, int comes)
{
    char text[64];
    zmq_msg_t none;
    snprintf (text, sizeof text, "%s|Counter|n|1|1|x", level);
    marks_count (&self->marks, text, strlen (text));
    zmq_msg_init (&none);
    if (comes)
        missed_count (&self->missed, &none);
    zmq_msg_close (&none);
}

static void
net_destroy (net_t *self)
{
    while (self->wanted.size)
        free (self->wanted.topic[--self->wanted.size]);
    wanted_clear (&self->wanted);
    marks_done (&self->marks);
    missed_clear (&self->missed);
    zsock_destroy (&self->broker);
    zsock_destroy (&self->worker);
}

//  --------------------------------------------------------------------------

//  A message is looked at up to its end, and a level is no longer than it may be.
static void
level_ends_with_message (void **state)
{
    char text[LINE_LABEL_MAX + 2];
    marks_t marks;
    wanted_t wanted = {.topic = NULL};
    const size_t sizes[] = {1, LINE_LABEL_MAX - 1, LINE_LABEL_MAX};
    size_t i;
    (void) state;
    marks_init (&marks);
    marks_join (&marks, 1, &wanted);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset (text, 'x', sizeof text);
        text[sizes[i]] = '|';
        marks_change (&marks, 1, 1, text, sizes[i] + 1);
        marks_count (&marks, text, sizes[i]);
        assert_int_equal (marks_matched (&marks, marks_find (&marks, 1)), i);
        marks_count (&marks, text, sizes[i] + 1);
        assert_int_equal (marks_matched (&marks, marks_find (&marks, 1)),
                          i + 1);
    }
    marks_done (&marks);
}

//  Whatever is lost, and however often the worker goes and comes back.
static void
what_is_lost_is_missed (void **state)
{
    int all, i;
    (void) state;
    for (all = 0; all < 2; all++) {
        net_t *self = net_new ();
        uint64_t lost = 0;
        int here = 1;
        net_want (self, "info|");
        net_want (self, all ? "" : "in|");
        net_join (self);
        net_mark (self);
        for (i = 0; i < STEPS; i++) {
            uint64_t any = s_any ();
            const char *level = s_levels[any % LEVELS];
            int wanted = all || !streq (level, "debug");
            int comes = here && (any >> 8) % 16 > 0;
            net_publish (self, level, wanted && comes);
            lost += wanted && !comes;
            if ((any >> 16) % 64 == 0 && here)
                marks_gone (&self->marks, self->id, self->now_ms);
            else if ((any >> 16) % 64 == 0)
                net_join (self);
            here ^= (any >> 16) % 64 == 0;
            if ((any >> 32) % 64 == 0)
                net_mark (self);
            if ((any >> 32) % 64 == 0 && here)
                assert_int_equal (self->missed.missed, lost);
        }
        assert_true (lost > 0);
        net_destroy (self);
    }
}

//  What came before the first mark belongs to nothing, and so does what came
//  before a successor's.
static void
each_broker_begins_anew (void **state)
{
    net_t *self = net_new ();
    int i;
    (void) state;
    net_want (self, "");
    for (i = 0; i < 10; i++) {
        net_publish (self, "info", 1);
        net_join (self);
        net_mark (self);
        net_publish (self, "info", 1);
        net_publish (self, "info", 0);
        net_mark (self);
        assert_int_equal (self->missed.missed, i + 1);
        marks_done (&self->marks);
        marks_init (&self->marks);
    }
    net_destroy (self);
}

//  Of one that follows a broker which was killed, too, if it took messages in
//  before the worker was back. Some of them came before it knew.
static void
what_a_successor_had_before_is_missed (void **state)
{
    enum { OTHER = 7 };
    net_t *self = net_new ();
    int i, all;
    uint64_t lost = 0;
    (void) state;
    net_want (self, "info|");
    net_join (self);
    net_mark (self);
    for (all = 0; all < 2; all++) {
        if (all)
            net_want (self, "");
        for (i = 0; i < 10; i++, lost += 3) {
            net_publish (self, "info", 1);
            net_mark (self);
            marks_done (&self->marks);
            marks_init (&self->marks);
            missed_disconnect (&self->missed);
            missed_disconnect (&self->missed);
            marks_join (&self->marks, OTHER, &self->wanted);
            net_publish (self, "info", 0);
            net_publish (self, "info", 0);
            net_publish (self, "info", 1);
            missed_connected (&self->missed, 0, true);
            net_join (self);
            net_publish (self, "info", 1);
            net_mark (self);
            assert_int_equal (self->missed.missed, lost + 2);
            net_publish (self, "info", 0);
            net_publish (self, "info", 1);
            net_mark (self);
            assert_int_equal (self->missed.missed, lost + 3);
            assert_int_equal (self->missed.changes, MISSED_STEADY);
        }
    }
    net_destroy (self);
}

//  It comes back when the broker has forgotten it.
static void
who_is_forgotten_begins_anew (void **state)
{
    net_t *self = net_new ();
    int i;
    (void) state;
    net_want (self, "");
    net_join (self);
    net_mark (self);
    for (i = 0; i < 100; i++)
        net_publish (self, "info", 1);
    net_mark (self);
    marks_gone (&self->marks, self->id, self->now_ms);
    for (i = 0; i < 10; i++)
        net_publish (self, "info", 0);
    self->now_ms += MARKS_KEPT_MS;
    net_mark (self);
    //  not more than all; and of the first ones it had not said that they came
    assert_int_equal (self->marks.missed, 110);
    assert_null (marks_find (&self->marks, self->id));
    net_join (self);
    net_mark (self);
    net_publish (self, "info", 1);
    net_mark (self);
    assert_int_equal (self->missed.missed, 0);
    net_destroy (self);
}

//  What matched a minute before it went has come.
static void
who_does_not_come_back_missed_what_was_on_its_way (void **state)
{
    enum { SECONDS = 300, A_SECOND = 10 };
    net_t *self = net_new ();
    int i;
    (void) state;
    net_want (self, "info|");
    net_join (self);
    for (i = 0; i < SECONDS * A_SECOND; i++) {
        net_publish (self, "info", 1);
        if (i % A_SECOND == 0)
            net_mark (self);
    }
    marks_gone (&self->marks, self->id, self->now_ms);
    self->now_ms += MARKS_KEPT_MS;
    net_mark (self);
    assert_in_range (self->marks.missed, 60 * A_SECOND, 121 * A_SECOND);
    net_destroy (self);
}

//  One that has taken off its topics before it went has missed nothing.
static void
who_leaves_is_not_waited_for (void **state)
{
    net_t *self = net_new ();
    (void) state;
    net_want (self, "info|");
    net_join (self);
    net_mark (self);
    assert_int_equal (missed_done_by (&self->missed), 0);
    net_publish (self, "info", 1);
    marks_change (&self->marks, self->id, 0, "info|", 5);
    net_publish (self, "info", 0);
    net_mark (self);
    assert_int_equal (missed_done_by (&self->missed), 1);
    assert_int_equal (self->missed.missed, 0);
    marks_gone (&self->marks, self->id, self->now_ms);
    net_mark (self);
    assert_null (marks_find (&self->marks, self->id));
    assert_int_equal (self->marks.missed, 0);
    assert_int_equal (missed_leaving (&self->missed, 0), 0);
    net_destroy (self);
}

static void
a_broker_that_leaves_says_so (void **state)
{
    net_t *self = net_new ();
    (void) state;
    net_want (self, "");
    net_join (self);
    net_mark (self);
    assert_int_equal (missed_leaving (&self->missed, 0), 0);
    marks_leave (&self->marks);
    net_mark (self);
    assert_int_equal (missed_leaving (&self->missed, self->now_ms), 1);
    assert_int_equal (missed_leaving (&self->missed, self->now_ms + 1), 0);
    net_destroy (self);
}

//  They do no harm: of another worker, or no marks at all.
static void
other_texts_are_no_marks (void **state)
{
    static const char *const texts[] = {"|",
                                        "||",
                                        "|0123456789abcdef",
                                        "|0123456789abcdef|x|1",
                                        "|0000000000000000|1|1",
                                        "|0123456789abcdef|1"};
    net_t *self = net_new ();
    zmq_msg_t message;
    char text[128];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        int size = snprintf (text, sizeof text, "%s%s", self->missed.topic + 1,
                             texts[i]);
        zmq_msg_init_size (&message, (size_t) size);
        memcpy (zmq_msg_data (&message), text, (size_t) size);
        missed_mark (&self->missed, &message, 0);
        assert_int_equal (self->missed.marks, 0);
        zmq_msg_close (&message);
    }
    self->missed.topic[5] ^= 1;
    net_want (self, "");
    net_join (self);
    net_mark (self);
    assert_int_equal (self->missed.marks, 0);
    net_destroy (self);
}

//  The acts of a stop, one after the other, until none is due at that time.
static leaving_act_t
s_turn (net_t *self, leaving_t *leaving, const links_t *links, int64_t now_ms)
{
    leaving_act_t act = leaving_turn (leaving, links, &self->missed, now_ms);
    return act == LEAVING_WAIT
             ? leaving_turn (leaving, links, &self->missed, now_ms)
             : act;
}

//  A mark ends each wait, and a broker that leaves makes it longer.
static void
a_worker_stays_as_long_as_its_broker (void **state)
{
    int leaves;
    (void) state;
    for (leaves = 0; leaves < 2; leaves++) {
        net_t *self = net_new ();
        link_t link = {.connected = 1};
        links_t links = {.link = &link, .size = 1};
        leaving_t leaving = {.step = LEAVING_NOT};
        int64_t now_ms;
        net_want (self, "info|");
        net_join (self);
        net_mark (self);
        now_ms = self->now_ms;
        leaving_begin (&leaving, &links, now_ms, 8000);
        if (leaves) {
            marks_leave (&self->marks);
            net_mark (self);
        }
        now_ms += 299;
        assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                          LEAVING_WAIT);
        now_ms += 1;
        if (leaves) {
            assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                              LEAVING_WAIT);
            now_ms += 2000;
            assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                              LEAVING_WAIT);
            link.connected = 0;
        }
        assert_int_equal (s_turn (self, &leaving, &links, now_ms), LEAVING_SAY);
        if (!leaves) {
            assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                              LEAVING_WAIT);
            net_publish (self, "info", 1);
            net_mark (self);
            assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                              LEAVING_WAIT);
            marks_left (&self->marks, self->id);
            net_mark (self);
        }
        assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                          LEAVING_UNSUBSCRIBE);
        if (!leaves) {
            assert_int_equal (s_turn (self, &leaving, &links, now_ms),
                              LEAVING_WAIT);
            marks_change (&self->marks, self->id, 0, "info|", 5);
            net_mark (self);
        }
        assert_int_equal (s_turn (self, &leaving, &links, now_ms), LEAVING_END);
        net_destroy (self);
    }
}

//  It says nothing, and no step takes longer than half of the deadline.
static void
a_stop_has_an_end (void **state)
{
    net_t *self = net_new ();
    link_t link = {.connected = 1};
    links_t links = {.link = &link, .size = 1};
    leaving_t leaving = {.step = LEAVING_NOT};
    int64_t now_ms = NOW_MS;
    leaving_act_t act = LEAVING_WAIT;
    (void) state;
    self->missed.marks = 1;
    leaving_begin (&leaving, &links, now_ms, 8000);
    for (; act != LEAVING_END; now_ms += LEAVING_TICK_MS)
        act = leaving_turn (&leaving, &links, &self->missed, now_ms);
    assert_in_range (now_ms - NOW_MS, 300, 8000);
    net_destroy (self);
}

static void
five_seconds_in_any_minute (void **state)
{
    budget_t budget = {.second = 0};
    int64_t now_ms = NOW_MS;
    int i;
    (void) state;
    assert_int_equal (budget_use (&budget, now_ms, BUDGET_MS - 1), 0);
    assert_int_equal (budget_use (&budget, now_ms + 59000, 0), 0);
    assert_int_equal (budget_use (&budget, now_ms + 59000, 1), 1);
    assert_int_equal (budget_use (&budget, now_ms + 60000, 1), 0);
    now_ms += 1000 * 1000;
    //  a twelfth of the time, for ever
    for (i = 0; i < 100000; i++)
        assert_int_equal (budget_use (&budget, now_ms + i * 120, 9), 0);
    for (i = 0; i < 100000; i++)
        if (budget_use (&budget, now_ms + i * 120, 11))
            break;
    assert_true (i < 100000);
}

//  A number that no broker counts up to is no mark: what was missed would be
//  beyond all numbers.
static void
a_mark_that_cannot_be_is_none (void **state)
{
    static const char *const matched[] = {"5", "18446744073709551615", "-1",
                                          "9007199254740993"};
    missed_t missed;
    (void) state;
    missed_init (&missed, 1);
    for (size_t i = 0; i < 4; i++) {
        char text[128];
        int size = snprintf (text, sizeof text, "%s|ab|%s|1", missed.topic + 1,
                             matched[i]);
        zmq_msg_t message;
        zmq_msg_init_size (&message, (size_t) size);
        memcpy (zmq_msg_data (&message), text, (size_t) size);
        missed_mark (&missed, &message, NOW_MS);
        zmq_msg_close (&message);
        assert_int_equal (missed.marks, 1);
    }
    assert_int_equal (missed.missed, 0);
    missed_clear (&missed);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_mark_that_cannot_be_is_none),
      cmocka_unit_test (level_ends_with_message),
      cmocka_unit_test (what_is_lost_is_missed),
      cmocka_unit_test (each_broker_begins_anew),
      cmocka_unit_test (what_a_successor_had_before_is_missed),
      cmocka_unit_test (who_is_forgotten_begins_anew),
      cmocka_unit_test (who_does_not_come_back_missed_what_was_on_its_way),
      cmocka_unit_test (who_leaves_is_not_waited_for),
      cmocka_unit_test (a_broker_that_leaves_says_so),
      cmocka_unit_test (other_texts_are_no_marks),
      cmocka_unit_test (a_worker_stays_as_long_as_its_broker),
      cmocka_unit_test (a_stop_has_an_end),
      cmocka_unit_test (five_seconds_in_any_minute)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
