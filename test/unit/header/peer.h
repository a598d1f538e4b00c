/*  peer.h - a plain ZeroMQ SUB socket that the instrument connects to

    The test binds it, as a broker would. Lines are read with a small parser of
    the test's own. Nothing is waited for but messages, each with a deadline.
    Include it once, behind the body of zibrato.h and cmocka.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef PEER_H
#define PEER_H

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20000 };

//  --------------------------------------------------------------------------
//  Peer: what a subscriber sees

typedef struct {
    char level[256], type[16], name[1100], source[256], id[64];
    char value_text[64], time_text[64];
    char *text;  //  the line
    double value, time, total;
    int fields;
    int message;  //  number of its message
    uint64_t seq, first;
    uint64_t sent;  //  gauge
    //  timer
    uint64_t count, bucketed;
    uint64_t recent;  //  as the message's first line says
    double sum_squares;
    int64_t sum_ns, min_ns, max_ns;
} line_t;

//  What a message says about its stream: its first line, or the last of all.
typedef struct {
    char level[256], id[64];
    int message;
    uint64_t age_ms;                  //  Stream
    char counts[ZB_HEAD_MAX_];        //  Stream: what is left of them
    uint64_t series, seqs, readings;  //  End
    uint64_t lines;                   //  End: how many had come before
} note_t;

enum { ENDS_MAX = 64 };

typedef struct {
    void *context, *sub;
    char endpoint[128];
    line_t *lines;
    size_t size, max;
    int messages;
    uint64_t bytes;
    note_t stream;  //  of the message that came last
    note_t end[ENDS_MAX];
    size_t ends;
} peer_t;

static locale_t s_c_locale;
static pid_t s_parent;

static double
s_double (const char *text)
{
    char *end;
    double value = strtod_l (text, &end, s_c_locale);
    if (end == text || *end)
        fail_msg ("%s: not a number", text);
    return value;
}

//  Whole and decimals apart, so that nothing is rounded.
static int64_t
s_ns (const char *text)
{
    char decimals[10] = "000000000";
    char *point;
    int64_t seconds = strtoll (text, &point, 10);
    if (*point == '.') {
        assert_in_range (strlen (point + 1), 1, 9);
        memcpy (decimals, point + 1, strlen (point + 1));
    }
    else
        assert_int_equal (*point, 0);
    return seconds * 1000000000 + strtoll (decimals, NULL, 10);
}

static void
peer_stream (line_t *line, char *text)
{
    char *field[10] = {NULL}, *bucket;
    int fields = 0;
    while ((field[fields] = strsep (&text, ":")))
        assert_true (++fields <= 9);
    snprintf (line->id, sizeof line->id, "%s", field[0]);
    line->seq = strtoull (field[1], NULL, 10);
    if (*line->type == 'G') {
        assert_int_equal (fields, 3);
        line->sent = strtoull (field[2], NULL, 10);
        return;
    }
    line->first = strtoull (field[2], NULL, 10);
    if (*line->type == 'C') {
        assert_int_equal (fields, 4);
        line->total = s_double (field[3]);
        return;
    }
    assert_int_equal (fields, 9);
    line->count = strtoull (field[3], NULL, 10);
    line->sum_ns = s_ns (field[4]);
    line->sum_squares = s_double (field[5]);
    line->min_ns = s_ns (field[6]);
    line->max_ns = s_ns (field[7]);
    while ((bucket = strsep (&field[8], ",")))
        if (strchr (bucket, '='))
            line->bucketed += strtoull (strchr (bucket, '=') + 1, NULL, 10);
}

static uint64_t
s_whole (const char *text)
{
    char *end;
    uint64_t value = strtoull (text, &end, 10);
    assert_true (*text >= '0' && *text <= '9' && *end == 0);
    return value;
}

//  Takes in level|Stream|ID|AGE|COUNTS or level|End|ID|SERIES|SEQS|READINGS.
//  Returns 0 if the line is something else.
static int
peer_note (peer_t *self, const char *text)
{
    char *copy = strdup (text), *rest = copy, *field[8] = {NULL};
    int fields = 0, is_end;
    note_t *note;
    while (fields < 7 && (field[fields] = strsep (&rest, "|")))
        fields++;
    is_end = strcmp (field[1], "End") == 0;
    if (is_end || strcmp (field[1], "Stream") == 0) {
        assert_true (self->ends < ENDS_MAX);
        note = is_end ? &self->end[self->ends++] : &self->stream;
        memset (note, 0, sizeof *note);
        snprintf (note->level, sizeof note->level, "%s", field[0]);
        snprintf (note->id, sizeof note->id, "%s", field[2]);
        note->message = self->messages;
        note->lines = self->size;
        if (is_end) {
            assert_int_equal (fields, 6);
            note->series = s_whole (field[3]);
            note->seqs = s_whole (field[4]);
            note->readings = s_whole (field[5]);
        }
        else {
            assert_in_range (fields, 4, 5);
            note->age_ms = s_whole (field[3]);
            snprintf (note->counts, sizeof note->counts, "%s",
                      fields == 5 ? field[4] : "");
        }
        fields = 0;
    }
    free (copy);
    return fields == 0;
}

//  The stream's line is the first of the message that it is about, and has one
//  count for each timer.
static void
peer_apply_note (peer_t *self, line_t *line)
{
    char *rest = self->stream.counts;
    if (line->fields < 7)
        return;
    assert_int_equal (self->stream.message, self->messages);
    assert_string_equal (self->stream.level, line->level);
    assert_string_equal (self->stream.id, line->id);
    if (*line->type != 'T')
        return;
    line->recent = s_whole (strsep (&rest, ","));
    memmove (self->stream.counts, rest ? rest : "",
             rest ? strlen (rest) + 1 : 1);
}

static void
peer_line (peer_t *self, const char *text)
{
    char *copy = strdup (text), *rest = copy, *field[8] = {NULL};
    line_t *line;
    if (self->size == self->max) {
        self->max = self->max ? self->max * 2 : 256;
        self->lines = realloc (self->lines, self->max * sizeof *self->lines);
        assert_non_null (self->lines);
    }
    line = &self->lines[self->size++];
    memset (line, 0, sizeof *line);
    line->text = strdup (text);
    line->message = self->messages;
    while ((field[line->fields] = strsep (&rest, "|")))
        assert_true (++line->fields <= 7);
    assert_true (line->fields >= 6);
    snprintf (line->level, sizeof line->level, "%s", field[0]);
    snprintf (line->type, sizeof line->type, "%s", field[1]);
    snprintf (line->name, sizeof line->name, "%s", field[2]);
    snprintf (line->value_text, sizeof line->value_text, "%s", field[3]);
    snprintf (line->time_text, sizeof line->time_text, "%s", field[4]);
    snprintf (line->source, sizeof line->source, "%s", field[5]);
    line->value = s_double (field[3]);
    line->time = s_double (field[4]);
    if (line->fields == 7)
        peer_stream (line, field[6]);
    peer_apply_note (self, line);
    free (copy);
}

static void
peer_bind (peer_t *self, const char *endpoint)
{
    size_t size = sizeof self->endpoint;
    int none = 0;
    memset (self, 0, sizeof *self);
    self->context = zmq_ctx_new ();
    self->sub = zmq_socket (self->context, ZMQ_SUB);
    zmq_setsockopt (self->sub, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt (self->sub, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal (zmq_bind (self->sub, endpoint), 0);
    zmq_getsockopt (self->sub, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
}

static void
peer_subscribe (peer_t *self, const char *topic)
{
    zmq_setsockopt (self->sub, ZMQ_SUBSCRIBE, topic, strlen (topic));
}

static void
peer_unsubscribe (peer_t *self, const char *topic)
{
    zmq_setsockopt (self->sub, ZMQ_UNSUBSCRIBE, topic, strlen (topic));
}

//  Binds a port that is free; topic NULL: wants nothing yet.
static void
peer_open (peer_t *self, const char *topic)
{
    peer_bind (self, "tcp://127.0.0.1:*");
    if (topic)
        peer_subscribe (self, topic);
}

static void
peer_close (peer_t *self)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        free (self->lines[i].text);
    free (self->lines);
    zmq_close (self->sub);
    zmq_ctx_term (self->context);
}

//  Takes in one message; returns -1 if none came in time.
static int
peer_receive (peer_t *self, int64_t ms)
{
    zmq_pollitem_t item = {self->sub, 0, ZMQ_POLLIN, 0};
    static char text[ZB_MESSAGE_MAX_ + 1];
    char *rest = text, *line;
    int size;
    if (zmq_poll (&item, 1, ms < 0 ? 0 : (long) ms) < 1)
        return -1;
    size = zmq_recv (self->sub, text, sizeof text, 0);
    assert_in_range (size, 1, ZB_MESSAGE_MAX_);
    assert_null (memchr (text, 0, (size_t) size));
    self->bytes += (uint64_t) size;
    text[size] = 0;
    while ((line = strsep (&rest, "\n"))) {
        //  all of one level
        assert_memory_equal (line, text, strcspn (text, "|") + 1);
        if (!peer_note (self, line))
            peer_line (self, line);
        else if (self->ends
                 && self->end[self->ends - 1].message == self->messages)
            assert_null (rest);
        else
            assert_ptr_equal (line, text);
    }
    assert_string_equal (self->stream.counts, "");
    self->messages++;
    return 0;
}

//  All that comes until nothing has come for so long.
static void
peer_drain (peer_t *self, int64_t ms)
{
    while (peer_receive (self, ms) == 0) {
    }
}

typedef int (wanted_fn) (const peer_t *peer, const void *wanted);

//  Takes in messages until what is wanted is there.
static void
peer_await (peer_t *self, wanted_fn *there, const void *wanted)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    while (!there (self, wanted))
        if (peer_receive (self, until - zb_clock_ms_ ()) == -1) {
            size_t i;
            for (i = self->size > 5 ? self->size - 5 : 0; i < self->size; i++)
                print_error ("%s\n", self->lines[i].text);
            fail_msg ("it did not come: %zu lines", self->size);
        }
}

//  A SUB socket takes in connections only while it is used. Returns when the
//  instance has heard what the peer wants, by which it knows so many topics.
static void
peer_meet_as (peer_t *self, zb_t *zb, size_t topics)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    size_t known = 0;
    while (known < topics) {
        assert_true (zb_clock_ms_ () < until);
        peer_receive (self, 1);
        pthread_mutex_lock (&zb->lock);
        known = zb->subscriptions_size;
        pthread_mutex_unlock (&zb->lock);
    }
}

static void
peer_meet (peer_t *self, zb_t *zb)
{
    peer_meet_as (self, zb, 1);
}

//  The newest line of a name and source; NULL source is any.
static const line_t *
peer_last (const peer_t *self, const char *name, const char *source)
{
    size_t i;
    for (i = self->size; i-- > 0;)
        if (strcmp (self->lines[i].name, name) == 0
            && (!source || strcmp (self->lines[i].source, source) == 0))
            return &self->lines[i];
    return NULL;
}

static size_t
peer_count (const peer_t *self, const char *name)
{
    size_t i, count = 0;
    for (i = 0; i < self->size; i++)
        count += strcmp (self->lines[i].name, name) == 0;
    return count;
}

//  Wanted: a series, and its total or how many lines there are of it.
typedef struct {
    const char *name, *source;
    double total;
} state_t;

static int
s_has_total (const peer_t *self, const void *wanted)
{
    const state_t *state = wanted;
    const line_t *line = peer_last (self, state->name, state->source);
    return line
           && (*line->type == 'T' ? (double) line->count : line->total)
                == state->total;
}

static int
s_has_lines (const peer_t *self, const void *wanted)
{
    const state_t *state = wanted;
    return (double) peer_count (self, state->name) >= state->total;
}

static void
peer_await_total (peer_t *self, const char *name, const char *source,
                  double total)
{
    state_t state = {name, source, total};
    peer_await (self, s_has_total, &state);
}

static void
peer_await_lines (peer_t *self, const char *name, size_t count)
{
    state_t state = {name, NULL, (double) count};
    peer_await (self, s_has_lines, &state);
}

//  The peer may have a message before the pump takes note that it went.
static void
s_stats_settled (zb_t *zb, zb_stats_t *stats)
{
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_int_equal (zb_stats (zb, stats), 0);
}

//  Increments of a series add up to its total, in every line.
static void
peer_check_increments (const peer_t *self)
{
    size_t i, j;
    for (i = 0; i < self->size; i++) {
        const line_t *line = &self->lines[i];
        double sum = 0;
        if (*line->type != 'C' || line->fields != 7)
            continue;
        for (j = 0; j <= i; j++)
            if (strcmp (self->lines[j].name, line->name) == 0
                && strcmp (self->lines[j].source, line->source) == 0
                && strcmp (self->lines[j].id, line->id) == 0)
                sum += self->lines[j].value;
        assert_true (fabs (sum - line->total) <= fabs (line->total) * 1e-12);
    }
}

//  SEQ grows by one from 0, states and gauges apart; FIRST is where a series
//  began. SENT is what had come before the message, unless it was sent again.
static void
peer_check_stream (const peer_t *self, const char *id)
{
    uint64_t states = 0, gauges = 0, sent = 0;
    int message = 0;
    size_t i, j;
    for (i = 0; i < self->size; i++) {
        const line_t *line = &self->lines[i];
        if (strcmp (line->id, id) != 0)
            continue;
        if (*line->type == 'G') {
            sent = line->message == message ? sent : gauges;
            message = line->message;
            assert_int_equal (line->sent, sent);
            if (line->seq >= sent)
                assert_int_equal (line->seq, gauges++);
            continue;
        }
        assert_int_equal (line->seq, states++);
        for (j = 0; j <= i; j++)
            if (strcmp (self->lines[j].name, line->name) == 0
                && strcmp (self->lines[j].id, id) == 0
                && strcmp (self->lines[j].type, line->type) == 0
                && strcmp (self->lines[j].source, line->source) == 0)
                break;
        assert_int_equal (line->first, self->lines[j].seq);
    }
}

//  Has it the highest SEQ of its series among the first lines?
static int
peer_is_last (const peer_t *self, size_t at, uint64_t lines)
{
    const line_t *line = &self->lines[at], *other;
    for (other = self->lines; other < self->lines + lines; other++)
        if (other->seq > line->seq && strcmp (other->name, line->name) == 0
            && strcmp (other->id, line->id) == 0
            && strcmp (other->level, line->level) == 0
            && strcmp (other->type, line->type) == 0
            && strcmp (other->source, line->source) == 0)
            return 0;
    return 1;
}

//  The end of a stream says what has come.
static void
peer_check_end (const peer_t *self, const note_t *end)
{
    uint64_t series = 0, seqs = 0, readings = 0;
    size_t i;
    for (i = 0; i < end->lines; i++) {
        const line_t *line = &self->lines[i];
        if (strcmp (line->id, end->id) != 0
            || strcmp (line->level, end->level) != 0)
            continue;
        if (*line->type == 'G')
            readings += line->seq == readings;
        else if (peer_is_last (self, i, end->lines)) {
            series++;
            seqs += line->seq;
        }
    }
    assert_int_equal (end->series, series);
    assert_int_equal (end->seqs, seqs);
    assert_int_equal (end->readings, readings);
}

//  How often a stream has ended.
static size_t
peer_ends (const peer_t *self, const char *level, const char *id)
{
    size_t i, count = 0;
    for (i = 0; i < self->ends; i++)
        count += strcmp (self->end[i].id, id) == 0
                 && strcmp (self->end[i].level, level) == 0;
    return count;
}

static int
s_has_end (const peer_t *self, const void *wanted)
{
    const line_t *line = wanted;
    return peer_ends (self, line->level, line->id) > 0;
}

//  Each stream that was met ends once, after its last line.
static void
peer_await_ends (peer_t *self)
{
    line_t line;
    size_t i;
    for (i = 0; i < self->size; i++) {
        line = self->lines[i];
        if (*line.id)
            peer_await (self, s_has_end, &line);
    }
    for (i = 0; i < self->ends; i++) {
        assert_int_equal (peer_ends (self, self->end[i].level, self->end[i].id),
                          1);
        peer_check_end (self, &self->end[i]);
    }
}

#endif
