/*  farewell - programs hear that a worker leaves, before it is gone. The
    contract is in farewell.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "farewell.h"

void
farewell_init (farewell_t *self, topics_t *topics, marks_t *marks)
{
    memset (self, 0, sizeof *self);
    self->topics = topics;
    self->marks = marks;
}

void
farewell_done (farewell_t *self)
{
    wanted_clear (&self->wanted);
}

static void
farewell_set (farewell_t *self, farewell_step_t step, int64_t ms)
{
    self->step = step;
    self->until_ms = ms;
}

static int
farewell_has (const farewell_t *self, uint64_t id)
{
    size_t at = 0;
    while (at < self->size && self->id[at] != id)
        at++;
    return at < self->size;
}

void
farewell_ask (farewell_t *self)
{
    if (self->question)
        topics_ask (self->topics, self->question, 0);
    self->question = self->question == UINT32_MAX ? 1 : self->question + 1;
    self->answers = 0;
    topics_ask (self->topics, self->question, 1);
}

//  A pause is for all or nothing of a topic: others that want it, too, must not
//  wait for one that leaves.
void
farewell_begin (farewell_t *self, uint64_t id, const wanted_t *wanted,
                int64_t now_ms)
{
    size_t at;
    if (self->size == FAREWELL_MAX || farewell_has (self, id))
        return;
    self->id[self->size++] = id;
    for (at = 0; at < wanted->size; at++) {
        topic_t *topic = wanted->topic[at];
        if (topic->leavers++ == 0)
            wanted_add (&self->wanted, topic);
        if (topic->leavers >= topic->wanted)
            topics_pause (self->topics, topic, 1);
    }
    farewell_ask (self);
    self->late_ms = now_ms + FAREWELL_LATE_MS;
    farewell_set (self, FAREWELL_PAUSE, now_ms + FAREWELL_PAUSE_MS);
}

static void
farewell_untell (farewell_t *self)
{
    size_t at;
    for (at = 0; at < self->wanted.size; at++)
        if (self->wanted.topic[at]->leavers >= self->wanted.topic[at]->wanted)
            topics_untell (self->topics, self->wanted.topic[at], 1);
}

//  Has each worker that leaves unsubscribed, or gone?
static int
farewell_over (const farewell_t *self)
{
    size_t at;
    for (at = 0; at < self->size; at++) {
        const reader_t *reader = marks_find (self->marks, self->id[at]);
        if (reader && !reader->gone_ms && (reader->size || reader->all))
            return 0;
    }
    return 1;
}

//  [TRUTH_FIRST] Programs hear what is wanted before they send again.
static void
farewell_end (farewell_t *self)
{
    size_t at;
    for (at = 0; at < self->wanted.size; at++) {
        topic_t *topic = self->wanted.topic[at];
        topic->leavers = 0;
        topics_untell (self->topics, topic, 0);
        topics_pause (self->topics, topic, 0);
    }
    self->wanted.size = self->size = 0;
    self->step = FAREWELL_NONE;
}

//  [PAUSE_FIRST] What was sent so far is on its way, and more does not come.
static void
farewell_left (farewell_t *self, int64_t now_ms)
{
    size_t at;
    for (at = 0; at < self->size; at++)
        marks_left (self->marks, self->id[at]);
    farewell_set (self, FAREWELL_LEFT, now_ms + FAREWELL_LEFT_MS);
}

void
farewell_turn (farewell_t *self, farewell_silence_t silence, int64_t now_ms)
{
    int over = now_ms >= self->until_ms;
    if (self->step == FAREWELL_NONE)
        return;
    if (farewell_over (self) || (self->step == FAREWELL_LEFT && over))
        farewell_end (self);
    else if (self->step == FAREWELL_UNTELL && over)
        farewell_left (self, now_ms);
    else if (self->step != FAREWELL_PAUSE)
        return;
    else if (silence.late + silence.silent == 0)
        farewell_left (self, now_ms);
    else if (over && (silence.late == 0 || now_ms >= self->late_ms)) {
        farewell_untell (self);
        farewell_set (self, FAREWELL_UNTELL, now_ms + FAREWELL_UNTELL_MS);
    }
}
