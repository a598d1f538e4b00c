/*  topics - what workers want. The contract is in topics.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "topics.h"

#include "zibrato_backend.h"

#include <czmq.h>

enum {
    TOPIC_OWN_SIZE = 18,     //  at most
    TOPIC_PAUSE_MAX = 227,   //  so that with the marker it can be told, too
    QUESTION_TEXT_MAX = 32,  //  as it goes upstream
};

typedef struct {
    const char *text;
    size_t size;
} topic_key_t;

static int
topic_same (const void *item, const void *key)
{
    const topic_t *self = item;
    const topic_key_t *wanted = key;
    return self->size == wanted->size
           && memcmp (self->text + 1, wanted->text, wanted->size) == 0;
}

static int
topic_live (const void *item, int64_t since)
{
    (void) since;
    const topic_t *self = item;
    return self->wanted > 0 || self->paused || self->untold || self->leavers;
}

//  A topic that sorts among the markers of brokers.
static int
topic_is_reserved (const topic_t *self)
{
    return self->size > 0 && (unsigned char) self->text[1] == 0xff;
}

//  One that is between a worker and the broker: see marks.h.
static int
topic_is_own (const topic_t *self)
{
    return self->size > 0 && (unsigned char) self->text[1] == 0xfe;
}

//  ZeroMQ before 4.3.5 breaks a new connection when it tells it of a topic of
//  246 to 255 bytes (libzmq issue 4367).
static int
topic_can_be_told (const topic_t *self)
{
    return !topic_is_reserved (self) && (self->size < 246 || self->size > 255);
}

static int
topics_has_marker (const topics_t *self, const topic_t *topic)
{
    return topic_is_reserved (topic) && topic->size == MARKER_SIZE
           && memcmp (topic->text + 1, self->marker + 1, MARKER_SIZE) == 0;
}

//  Programs hear the first that is wanted, and that the last is not any more.
static void
topics_tell (topics_t *self, topic_t *topic, char on)
{
    char *text = topic->text, all = on;
    int changed = 1;
    if (topics_has_marker (self, topic) || topic_is_own (topic))
        return;
    if (on)
        topic->told = topic_can_be_told (topic) && self->told < TOPICS_TOLD
                      && self->told_bytes + topic->size < TOLD_BYTES_MAX;
    if (topic->told) {
        self->told += on ? 1 : (size_t) -1;
        self->told_bytes += on ? topic->size : (size_t) 0 - topic->size;
    }
    else
        changed = on ? self->beyond++ == 0 : --self->beyond == 0;
    *text = on;
    if (changed)
        zmq_send (self->upstream, topic->told ? text : &all,
                  topic->told ? topic->size + 1 : 1, ZMQ_DONTWAIT);
}

//  Somebody more (1) or less (0) wants it. Those that nobody wants stay in the
//  table until half of it is such.
static void
topic_count (topics_t *self, topic_t *topic, int on)
{
    topic->wanted += on ? 1 : (size_t) -1;
    if (topic->wanted != (on ? 1 : 0))
        return;
    self->live += on ? 1 : (size_t) -1;
    self->bytes += on ? topic->size : (size_t) 0 - topic->size;
    if (!topic->untold)
        topics_tell (self, topic, (char) on);
    if (!on && self->topics.count > 2 * self->live + 64)
        table_keep (&self->topics, topic_live, 0);
}

static topic_t *
topics_find (topics_t *self, const char *text, size_t size, int make)
{
    topic_key_t key = {text, size};
    uint64_t hash = table_hash (0, text, size);
    topic_t *topic = table_find (&self->topics, hash, topic_same, &key);
    if (!topic && make) {
        topic = (topic_t *) zmalloc (sizeof *topic + size + 1);
        topic->size = size;
        memcpy (topic->text + 1, text, size);
        self->topics.free_item = free;
        table_put (&self->topics, hash, topic);
    }
    return topic;
}

//  Does ZeroMQ tell a new connection of topics in the order of their bytes? It
//  does not if it was built with a radix tree, as it is with its drafts.
static int
topics_are_sorted (void)
{
    static const char *const said[] = {"\1\xff", "\1b", "\1\xfe", "\1a"};
    static const char *const sorted[] = {"\1a", "\1b", "\1\xfe", "\1\xff"};
    zsock_t *sub = zsock_new (ZMQ_XSUB), *pub = zsock_new (ZMQ_XPUB);
    char text[2];
    int i, are = zsock_bind (sub, "inproc://zibrato-sorted") == 0;
    for (i = 0; i < 4; i++)
        zmq_send (zsock_resolve (sub), said[i], 2, ZMQ_DONTWAIT);
    are &= zsock_connect (pub, "inproc://zibrato-sorted") == 0;
    zsock_events (sub);  //  takes the connection in, and tells it of them
    for (i = 0; i < 4; i++)
        are &= zmq_recv (zsock_resolve (pub), text, 2, ZMQ_DONTWAIT) == 2
               && memcmp (text, sorted[i], 2) == 0;
    zsock_destroy (&sub);
    zsock_destroy (&pub);
    return are;
}

void
topics_init (topics_t *self, void *upstream)
{
    uint64_t random;
    self->upstream = upstream;
    if (!topics_are_sorted () || getentropy (&random, sizeof random) == -1) {
        zb_log (LOG_WARNING, "unsorted",
                "reason=\"ZeroMQ has a radix tree: a program that ends cannot "
                "know that nobody listens, and waits\"");
        return;
    }
    snprintf (self->marker, sizeof self->marker, "\1\xff%016" PRIx64, random);
}

void
topics_mark (topics_t *self)
{
    if (*self->marker)
        zmq_send (self->upstream, self->marker, 1 + MARKER_SIZE, ZMQ_DONTWAIT);
}

//  --------------------------------------------------------------------------
//  Pauses and questions

void
topics_pause (topics_t *self, topic_t *topic, int on)
{
    char text[1 + MARKER_SIZE + 1 + TOPIC_PAUSE_MAX];
    size_t before = 1 + MARKER_SIZE + 1;
    if (topic->paused == on || !*self->marker
        || (on && (!topic->told || topic->size > TOPIC_PAUSE_MAX)))
        return;
    memcpy (text, self->marker, 1 + MARKER_SIZE);
    text[0] = (char) on;
    text[1 + MARKER_SIZE] = TOPIC_PAUSE;
    memcpy (text + before, topic->text + 1, topic->size);
    topic->paused = on;
    zmq_send (self->upstream, text, before + topic->size, ZMQ_DONTWAIT);
}

void
topics_pause_all (topics_t *self)
{
    const part_t *part = self->topics.part, *end = part + TABLE_PARTS;
    size_t at;
    for (; part < end; part++)
        for (at = 0; at < part->size; at++) {
            topic_t *topic = (topic_t *) part->place[at].item;
            if (topic && topic->wanted)
                topics_pause (self, topic, 1);
        }
}

void
topics_untell (topics_t *self, topic_t *topic, int on)
{
    if (topic->untold == on)
        return;
    topic->untold = on;
    if (topic->wanted)
        topics_tell (self, topic, (char) !on);
}

void
topics_ask (topics_t *self, uint32_t question, int on)
{
    char text[QUESTION_TEXT_MAX];
    int size = snprintf (text, sizeof text, "%s%c%" PRIu32, self->marker,
                         TOPIC_QUESTION, question);
    text[0] = (char) on;
    if (*self->marker)
        zmq_send (self->upstream, text, (size_t) size, ZMQ_DONTWAIT);
}

int
topics_is_answer (const char *text, size_t size)
{
    char digits[MARKER_SIZE];
    if (size <= MARKER_SIZE || (unsigned char) *text != 0xff
        || text[MARKER_SIZE] != TOPIC_QUESTION)
        return 0;
    memcpy (digits, text + 1, MARKER_SIZE - 1);
    digits[MARKER_SIZE - 1] = 0;
    return strspn (digits, "0123456789abcdef") == MARKER_SIZE - 1;
}

uint32_t
topics_answer (const topics_t *self, const char *text, size_t size)
{
    char number[QUESTION_TEXT_MAX];
    size_t before = MARKER_SIZE + 1;
    if (!topics_is_answer (text, size) || size == before
        || size - before >= sizeof number
        || memcmp (text, self->marker + 1, MARKER_SIZE) != 0)
        return 0;
    memcpy (number, text + before, size - before);
    number[size - before] = 0;
    return (uint32_t) strtoul (number, NULL, 10);
}

//  --------------------------------------------------------------------------
//  Who wants what

int
topics_change (topics_t *self, wanted_t *wanted, int on, const char *text,
               size_t size)
{
    topic_t *topic = topics_find (self, text, size, on);
    size_t at;
    for (at = 0; at < wanted->size && wanted->topic[at] != topic; at++) {
    }
    if (at < wanted->size && !on) {
        wanted->topic[at] = wanted->topic[--wanted->size];
        topic_count (self, topic, 0);
    }
    else if (at == wanted->size && on) {
        wanted_add (wanted, topic);
        topic_count (self, topic, 1);
    }
    else if (!on)
        return -1;
    return 0;
}

void
topics_drop (topics_t *self, const char *text, size_t size)
{
    topic_t *topic = topics_find (self, text, size, 0);
    if (topic && topic->wanted)
        topic_count (self, topic, 0);
}

int
topics_has (topics_t *self, const char *text, size_t size)
{
    topic_t *topic = topics_find (self, text, size, 0);
    return topic && topic->wanted;
}

int
topics_full (const topics_t *self, size_t own)
{
    return self->live > TOPICS_MAX + own
           || self->bytes > TOPIC_BYTES_MAX + own * TOPIC_OWN_SIZE;
}

void
wanted_add (wanted_t *self, topic_t *topic)
{
    if (self->size == self->room) {
        self->room = self->room ? self->room * 2 : 8;
        self->topic =
          (topic_t **) realloc (self->topic, self->room * sizeof *self->topic);
        assert (self->topic);
    }
    self->topic[self->size++] = topic;
}

void
wanted_clear (wanted_t *self)
{
    free (self->topic);
    self->topic = NULL;
    self->size = self->room = 0;
}
