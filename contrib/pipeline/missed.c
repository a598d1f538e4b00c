/*  missed - how many messages a worker has missed. The contract is in missed.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "missed.h"

#include "line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_TEXT_MAX = 128 };

void
missed_init (missed_t *self, uint64_t random)
{
    memset (self, 0, sizeof *self);
    snprintf (self->topic, sizeof self->topic, "\1%c%016" PRIx64, MARK_BYTE,
              random ? random : 1);
    self->last = self->source;
}

//  --------------------------------------------------------------------------
//  Connections

//  Takes the place of the one that was silent for longest.
static source_t *
missed_source_new (missed_t *self, zmq_msg_t *message, const char *identity)
{
    source_t *source = self->source, *at;
    if (self->sources < SOURCES_MAX)
        source = &self->source[self->sources++];
    else {
        for (at = self->source; at < self->source + SOURCES_MAX; at++)
            if (at->used < source->used)
                source = at;
        zmq_msg_close (&source->first);
    }
    memset (source, 0, sizeof *source);
    zmq_msg_init (&source->first);
    zmq_msg_copy (&source->first, message);
    source->identity = identity;
    source->used = self->marks;
    return source;
}

source_t *
missed_source (missed_t *self, zmq_msg_t *message)
{
    const char *identity = zmq_msg_gets (message, "__fd");
    source_t *source;
    if (self->sources && self->last->identity == identity)
        return self->last;
    for (source = self->source; source < self->source + self->sources; source++)
        if (source->identity == identity)
            return self->last = source;
    return self->last = missed_source_new (self, message, identity);
}

void
missed_clear (missed_t *self)
{
    while (self->sources)
        zmq_msg_close (&self->source[--self->sources].first);
}

//  ZeroMQ says a descriptor as a text.
static bool
missed_is_back (const missed_t *self, const source_t *source)
{
    size_t at = 0;
    if (!source->identity)
        return false;
    while (at < self->backs && self->back[at] != atoi (source->identity))
        at++;
    return at < self->backs;
}

//  A descriptor may be that of another connection later, also of a first one.
static void
missed_set_back (missed_t *self, int fd, bool again)
{
    size_t at = 0;
    while (at < self->backs && self->back[at] != fd)
        at++;
    if (!again && at < self->backs)
        self->back[at] = self->back[--self->backs];
    if (again && at == self->backs && at < SOURCES_MAX)
        self->back[self->backs++] = fd;
}

void
missed_connected (missed_t *self, int fd, bool again)
{
    if (self->changes == MISSED_AWAY)
        self->changes = MISSED_BACK;
    if (self->several)
        missed_set_back (self, fd, again);
}

//  What came until now is of the broker that the last mark was of.
void
missed_disconnect (missed_t *self)
{
    static const char none[] = "";
    if (self->changes)
        self->changes = MISSED_AWAY;
    if (self->several || self->changes)
        return;
    self->changes = MISSED_AWAY;
    self->sources = 1;
    self->last = self->source;
    self->source->identity = none;
    zmq_msg_init (&self->source->first);
}

//  So is what comes by another connection than the one of this mark. Returns
//  whether something did since the last mark.
static bool
missed_settle (missed_t *self, const source_t *source, uint64_t broker)
{
    source_t *at;
    bool came = false;
    for (at = self->source; at < self->source + self->sources; at++) {
        if (at == source)
            continue;
        if (!at->broker)
            at->broker = self->source->broker;
        came |= at->received > 0;
        if (at->broker != broker)
            at->received = 0;
    }
    return came;
}

//  Nothing has come by another connection since the last mark: there is only one
//  again.
static void
missed_only (missed_t *self, uint64_t broker)
{
    missed_clear (self);
    memset (self->source, 0, sizeof *self->source);
    self->source->broker = broker;
    self->last = self->source;
    self->changes = MISSED_STEADY;
}

//  --------------------------------------------------------------------------
//  Marks

typedef struct {
    uint64_t broker, matched, wanted;
    int leaving, left;
} mark_t;

//  Returns 0 if it is a mark of ours, 1 if it says what was before.
static int
s_mark_parse (mark_t *mark, const char *topic, zmq_msg_t *message)
{
    char text[MARK_TEXT_MAX];
    const char *state;
    size_t size = zmq_msg_size (message);
    int end = 0;
    if (size >= sizeof text || size < MARK_TOPIC_SIZE + 1
        || memcmp (zmq_msg_data (message), topic, MARK_TOPIC_SIZE) != 0)
        return -1;
    memcpy (text, zmq_msg_data (message), size);
    text[size] = 0;
    if (sscanf (text + MARK_TOPIC_SIZE,
                "|%16" SCNx64 "|" MARK_BEFORE "%" SCNu64, &mark->broker,
                &mark->matched)
        == 2)
        return mark->broker && mark->matched <= LINE_INTEGER_MAX ? 1 : -1;
    if (sscanf (text + MARK_TOPIC_SIZE,
                "|%16" SCNx64 "|%" SCNu64 "|%" SCNu64 "%n", &mark->broker,
                &mark->matched, &mark->wanted, &end)
          != 3
        || mark->broker == 0 || mark->matched > LINE_INTEGER_MAX)
        return -1;
    state = text + MARK_TOPIC_SIZE + end;
    mark->leaving = strcmp (state, "|" MARK_LEAVING) == 0;
    mark->left = strcmp (state, "|" MARK_HERE) != 0;
    return 0;
}

//  Of a broker that was never met, or is not remembered, the first mark is the
//  beginning: what came before belongs to nothing.
static said_by_t *
missed_broker (missed_t *self, const mark_t *mark)
{
    said_by_t *said, *oldest = self->broker;
    for (said = self->broker; said < self->broker + SOURCES_MAX; said++) {
        if (said->id == mark->broker && said->matched <= mark->matched)
            return said;
        if (said->id == mark->broker || said->used < oldest->used)
            oldest = said;
        if (said->id == mark->broker)
            break;
    }
    memset (oldest, 0, sizeof *oldest);
    oldest->id = mark->broker;
    oldest->first = mark->matched;
    return oldest;
}

//  All that has come from the broker since its last mark: on this connection,
//  and on one that it had before.
static uint64_t
missed_received (missed_t *self, source_t *source, uint64_t broker)
{
    uint64_t received = source->received;
    source_t *at;
    source->broker = broker;
    source->received = 0;
    for (at = self->source; at < self->source + self->sources; at++)
        if (at->broker == broker) {
            received += at->received;
            at->received = 0;
        }
    return received;
}

//  A broker that has followed ours took in so much before we were back. A part
//  of it may have come, before the broker knew so. What a broker took in before we met
//  any in its place is none of ours.
static void
missed_before (missed_t *self, const source_t *source, const mark_t *mark)
{
    const said_by_t *said;
    bool ours = self->several ? missed_is_back (self, source) : self->marks > 0;
    if (!ours || self->final)
        return;
    for (said = self->broker; said < self->broker + SOURCES_MAX; said++)
        if (said->id == mark->broker)
            return;
    self->marks++;
    if (mark->matched > source->received)
        self->missed += mark->matched - source->received;
}

static void
missed_take (missed_t *self, source_t *source, const mark_t *mark,
             int64_t now_ms)
{
    said_by_t *said = missed_broker (self, mark);
    uint64_t received = missed_received (self, source, mark->broker), came;
    if (said->used)
        said->received += received;
    said->used = source->used = ++self->marks;
    said->matched = mark->matched;
    if (mark->leaving)
        said->leaving_ms = now_ms;
    said->left = mark->left;
    said->done = mark->wanted == 0;
    came = said->matched - said->first;
    if (self->final || came < said->received + said->missed)
        return;
    self->missed += came - said->received - said->missed;
    said->missed = came - said->received;
}

void
missed_mark (missed_t *self, zmq_msg_t *message, int64_t now_ms)
{
    source_t *source = self->source;
    bool others = true;
    mark_t mark;
    int kind = s_mark_parse (&mark, self->topic + 1, message);
    if (kind == -1)
        return;
    if (self->several || self->changes)
        source = missed_source (self, message);
    if (self->changes)
        others = missed_settle (self, source, mark.broker);
    if (kind == 1)
        missed_before (self, source, &mark);
    else
        missed_take (self, source, &mark, now_ms);
    if (kind == 0 && self->changes == MISSED_BACK && !others)
        missed_only (self, mark.broker);
}

size_t
missed_leaving (const missed_t *self, int64_t since_ms)
{
    size_t at, count = 0;
    for (at = 0; at < SOURCES_MAX; at++)
        count += self->broker[at].leaving_ms
                 && self->broker[at].leaving_ms >= since_ms;
    return count;
}

size_t
missed_left (const missed_t *self, uint64_t since)
{
    size_t at, count = 0;
    for (at = 0; at < SOURCES_MAX; at++)
        count += self->broker[at].left && self->broker[at].used > since;
    return count;
}

size_t
missed_done_by (const missed_t *self)
{
    size_t at, count = 0;
    for (at = 0; at < SOURCES_MAX; at++)
        count += self->broker[at].id && self->broker[at].done;
    return count;
}
