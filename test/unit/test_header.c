/*  test_header.c - does the instrument say what the program measured?

    The peer is a plain ZeroMQ SUB socket that the test binds and the
    instrument connects to, as it would to a broker. Lines are read with a
    small parser of the test's own. Nothing is waited for but messages, each
    with a deadline.

    Sections: the peer, counting, scopes, labels, values, gauges, timers,
    streams, levels, readings again, flush and stats, instances, the host
    program, clock.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#define _GNU_SOURCE  //  newlocale, strtod_l, sched_yield

#define ZIBRATO_IMPLEMENTATION
#include "../../zibrato.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../jobs.h"
#include "../sanitized.h"

enum { WAIT_MS = 20000, THREADS = 8 };

//  --------------------------------------------------------------------------
//  Peer: what a subscriber sees

typedef struct {
    char level[256], type[16], name[256], source[256], id[64];
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
//  instance has heard what the peer wants.
static void
peer_meet (peer_t *self, zb_t *zb)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    size_t known = 0;
    while (!known) {
        assert_true (zb_clock_ms_ () < until);
        peer_receive (self, 1);
        pthread_mutex_lock (&zb->lock);
        known = zb->subscriptions_size;
        pthread_mutex_unlock (&zb->lock);
    }
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

//  --------------------------------------------------------------------------
//  A default instance and a peer that wants everything

typedef struct {
    peer_t peer;
    zb_t *zb;
} fixture_t;

static int
s_open (void **state)
{
    fixture_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    peer_open (&self->peer, "");
    self->zb = zb_open (.endpoint = self->peer.endpoint, .source = "host",
                        .interval_ms = 20, .linger_ms = 5000);
    assert_non_null (self->zb);
    *state = self;
    return 0;
}

static int
s_close (void **state)
{
    fixture_t *self = *state;
    zb_close (&self->zb);
    assert_null (self->zb);
    peer_await_ends (&self->peer);
    peer_close (&self->peer);
    free (self);
    return 0;
}

static pthread_t
s_thread (void *(*run) (void *), void *argument)
{
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, run, argument), 0);
    return thread;
}

//  --------------------------------------------------------------------------
//  Counting

static void
s_pass (void)
{
    ZB_COUNT_ME ("info", "passes");
}

static void *
s_pass_often (void *argument)
{
    int i, times = *(int *) argument;
    for (i = 0; i < times; i++) {
        ZB_COUNT_ME ("info", "loops", .value = 2);
        s_pass ();
    }
    return NULL;
}

static void
test_count_threads (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    int i, times = 20000;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_pass_often, &times);
    s_pass_often (&times);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    peer_await_total (&self->peer, "passes", "host", (THREADS + 1) * times);
    peer_await_total (&self->peer, "loops", "host", (THREADS + 1) * times * 2);
    peer_check_increments (&self->peer);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

//  Threads that live for one measurement, many of them, a few at a time.
static void
test_count_thread_exit (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    int i, round, once = 1;
    for (round = 0; round < 50; round++) {
        for (i = 0; i < THREADS; i++)
            thread[i] = s_thread (s_pass_often, &once);
        for (i = 0; i < THREADS; i++)
            pthread_join (thread[i], NULL);
    }
    peer_await_total (&self->peer, "passes", "host", 50 * THREADS);
    peer_await_total (&self->peer, "loops", "host", 50 * THREADS * 2);
    peer_check_increments (&self->peer);
}

//  What a thread measures while its other keys are destroyed, in all rounds
//  that there are, and when it had measured nothing before the last one. To
//  ThreadSanitizer only what comes before our own second round has an order.
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 1 };
#else
enum { ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS };
#endif

static pthread_key_t s_key;
static int s_rounds_skipped, s_late_only;

static void
s_late (void *argument)
{
    static __thread int rounds;
    if (++rounds > s_rounds_skipped) {
        ZB_TIME_ME ("info", "late.time");
        ZB_COUNT_ME ("info", "late");
        ZB_GAUGE ("info", "late.gauge", rounds);
    }
    if (rounds < ROUNDS)
        pthread_setspecific (s_key, argument);
}

static void *
s_with_key (void *argument)
{
    pthread_setspecific (s_key, argument);
    if (!s_late_only) {
        ZB_COUNT_ME ("info", "early");
    }
    return NULL;
}

static void
test_count_key_destructor (void **state)
{
    fixture_t *self = *state;
    int i;
    assert_int_equal (pthread_key_create (&s_key, s_late), 0);
    for (i = 0; i < 20; i++)
        pthread_join (s_thread (s_with_key, self), NULL);
    s_late_only = 1;
    s_rounds_skipped = ROUNDS - 1;
    for (i = 0; i < 20; i++)
        pthread_join (s_thread (s_with_key, self), NULL);
    pthread_key_delete (s_key);
    peer_await_total (&self->peer, "early", NULL, 20);
    peer_await_total (&self->peer, "late", NULL, 20 * ROUNDS + 20);
    peer_await_total (&self->peer, "late.time", NULL, 20 * ROUNDS + 20);
}

//  --------------------------------------------------------------------------
//  Scopes: one measurement for each way out

static int
s_return (int early)
{
    ZB_COUNT_ME ("info", "return");
    ZB_TIME_ME ("info", "return.time");
    if (early)
        return 1;
    return 2;
}

static void
s_goto (int times)
{
again : {
    ZB_COUNT_ME ("info", "goto");
    if (--times > 0)
        goto again;
    goto out;
}
out:
    return;
}

static void
s_loops (void)
{
    int i;
    for (i = 0; i < 10; i++) {
        ZB_COUNT_ME ("info", "continue");
        if (i % 2)
            continue;
    }
    for (;;) {
        ZB_COUNT_ME ("info", "break");
        break;
    }
    switch (i) {
        case 10: {
            ZB_COUNT_ME ("info", "switch");
            break;
        }
        default:
            break;
    }
    {
        ZB_COUNT_ME ("info", "block");
    }
    {
        ZB_COUNT_ME ("info", "block");
        ZB_COUNT_ME ("info", "block");
    }
}

//  It counts when the scope is left, not before.
static void
s_before_and_after (void)
{
    zb_stats_t stats;
    {
        ZB_COUNT_ME ("info", "order");
        zb_stats (NULL, &stats);
        assert_int_equal (stats.series, 0);
    }
    zb_stats (NULL, &stats);
    assert_int_equal (stats.series, 1);
}

static void
test_scopes (void **state)
{
    fixture_t *self = *state;
    s_before_and_after ();
    assert_int_equal (s_return (1) + s_return (0), 3);
    s_goto (5);
    s_loops ();
    peer_await_total (&self->peer, "order", NULL, 1);
    peer_await_total (&self->peer, "return", NULL, 2);
    peer_await_total (&self->peer, "return.time", NULL, 2);
    peer_await_total (&self->peer, "goto", NULL, 5);
    peer_await_total (&self->peer, "continue", NULL, 10);
    peer_await_total (&self->peer, "break", NULL, 1);
    peer_await_total (&self->peer, "switch", NULL, 1);
    peer_await_total (&self->peer, "block", NULL, 3);
}

//  --------------------------------------------------------------------------
//  Labels

static void
s_with_source (const char *source, double value)
{
    ZB_COUNT_ME ("info", "sourced", .value = value, .source = source);
    ZB_TIME_ME ("info", "timed", .source = source);
    ZB_GAUGE ("info", "read", value, .source = source);
}

//  One call site, another source at each pass, in memory that changes.
static void
test_source_changes (void **state)
{
    fixture_t *self = *state;
    char source[32], wanted[32];
    int i, j;
    for (i = 0; i < 30; i++)
        for (j = 0; j <= i; j++) {
            snprintf (source, sizeof source, "s%d", j);
            s_with_source (source, 1);
        }
    s_with_source (NULL, 7);
    s_with_source ("host", 8);  //  the instance's own: the same series
    for (j = 0; j < 30; j++) {
        snprintf (wanted, sizeof wanted, "s%d", j);
        peer_await_total (&self->peer, "sourced", wanted, 30 - j);
        peer_await_total (&self->peer, "timed", wanted, 30 - j);
    }
    peer_await_total (&self->peer, "sourced", "host", 15);
    peer_await_total (&self->peer, "timed", "host", 2);
    peer_await_lines (&self->peer, "read", 30 * 31 / 2 + 2);
    peer_check_increments (&self->peer);
}

static void
test_labels (void **state)
{
    fixture_t *self = *state;
    char name[300];
    zb_stats_t stats;
    memset (name, 'n', sizeof name);
    name[255] = 0;
    zb_count ("a b:c/\xc3\xa4", name, .source = "\xf0\x9f\x98\x80 x");
    peer_await_total (&self->peer, name, "\xf0\x9f\x98\x80 x", 1);
    assert_string_equal (self->peer.lines[0].level, "a b:c/\xc3\xa4");
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 0);
    name[255] = 'n';
    name[256] = 0;
    zb_count ("info", name);
    zb_count (name, "n");
    zb_count ("info", "n", .source = name);
    zb_count ("", "n");
    zb_count ("info", "");
    zb_count ("info", "n", .source = "");
    zb_gauge ("in|fo", "n", 1);
    zb_gauge ("info", "n\n", 1);
    zb_time ("info", "n\t", 1);
    zb_time ("info", "n", 1, .source = "\x7f");
    zb_count (NULL, "n");
    zb_count ("info", NULL);
    ZB_COUNT_ME ("in|fo", "n");
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 12);
    //  and zibrato.dropped, if the pump has come to it
    assert_in_range (stats.series, 1, 2);
}

//  The same name in other levels and types is another series.
static void
test_series (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    zb_count ("info", "n");
    zb_count ("warn", "n", .value = 2);
    zb_time ("info", "n", 1);
    zb_gauge ("info", "n", 1);
    zb_count ("info", "n", .source = "other", .value = 4);
    zb_stats (NULL, &stats);
    assert_int_equal (stats.series, 5);
    peer_await_lines (&self->peer, "n", 5);
    assert_int_equal (self->peer.size, 5);
}

static void *
s_both (void *argument)
{
    zb_t **zb = argument;
    int i;
    for (i = 0; i < 1000; i++) {
        ZB_COUNT_ME ("info", "to", .to = zb[i % 2], .value = i % 2 + 1);
        ZB_TIME_ME ("info", "to.time", .to = zb[i % 2]);
    }
    zb_gauge ("info", "to.gauge", 1, .to = zb[1]);
    return NULL;
}

static void
test_instances (void **state)
{
    fixture_t *self = *state;
    peer_t other;
    zb_t *zb[2] = {NULL, NULL};
    peer_open (&other, "info|");
    zb[1] = zb_open (.endpoint = other.endpoint, .source = "second",
                     .interval_ms = 20);
    assert_non_null (zb[1]);
    s_both (zb);
    pthread_join (s_thread (s_both, zb), NULL);
    peer_await_total (&self->peer, "to", "host", 1000);
    peer_await_total (&self->peer, "to.time", "host", 1000);
    peer_await_total (&other, "to", "second", 2000);
    peer_await_total (&other, "to.time", "second", 1000);
    peer_await_lines (&other, "to.gauge", 2);
    assert_int_equal (peer_count (&self->peer, "to.gauge"), 0);
    zb_close (&zb[1]);
    s_both (zb);  //  NULL is the default again
    peer_await_total (&self->peer, "to", "host", 1000 + 500 * 3);
    peer_close (&other);
}

//  --------------------------------------------------------------------------
//  Values

static void
test_values (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    int i;
    zb_count ("info", "zero", .value = 0);
    peer_await_total (&self->peer, "zero", NULL, 0);
    for (i = 0; i < 3; i++) {
        ZB_COUNT_ME ("info", "negative", .value = -2.5);
    }
    peer_await_total (&self->peer, "negative", NULL, -7.5);
    zb_count ("info", "large", .value = 9007199254740991.0);
    peer_await_total (&self->peer, "large", NULL, 9007199254740991.0);
    for (i = 0; i < 4; i++) {
        static const double bad[] = {NAN, INFINITY, -INFINITY, -NAN};
        ZB_COUNT_ME ("info", "bad", .value = bad[i]);
        ZB_GAUGE ("info", "bad", bad[i]);
        zb_count ("info", "bad", .value = bad[i]);
        zb_gauge ("info", "bad", bad[i]);
        zb_time ("info", "bad", bad[i]);
    }
    zb_time ("info", "bad", -1e-9);
    zb_time ("info", "bad", 1e10);
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 22);
    //  a sum that overflows is not told
    zb_count ("info", "sum", .value = 1e308);
    peer_await_total (&self->peer, "sum", NULL, 1e308);
    zb_count ("info", "sum", .value = 1e308);
    zb_count ("info", "after");
    peer_await_total (&self->peer, "after", NULL, 1);
    peer_await_total (&self->peer, "zibrato.dropped", "host", 22);
    assert_int_equal (peer_count (&self->peer, "bad"), 0);
    peer_drain (&self->peer, 50);
    for (i = 0; (size_t) i < self->peer.size; i++)
        assert_true (isfinite (self->peer.lines[i].total));
}

static void
s_check_doubles (peer_t *peer)
{
    static const double values[] = {0.1,
                                    -0.1,
                                    1.5,
                                    1e-7,
                                    1234567.25,
                                    -2.5e300,
                                    4.9406564584124654e-324,
                                    1.7976931348623157e308,
                                    0.30000000000000004,
                                    1e21,
                                    123456789012345680.0,
                                    9007199254740993.0,
                                    -9007199254740994.0,
                                    1e-300,
                                    3.0,
                                    100.0,
                                    -0.0};
    size_t i, next = 0, size = sizeof values / sizeof *values;
    for (i = 0; i < size; i++)
        zb_gauge ("info", "double", values[i]);
    zb_count ("info", "fraction", .value = 0.125);
    zb_time ("info", "fraction.time", 0.125);
    peer_await_lines (peer, "double", size);
    peer_await_lines (peer, "fraction", 1);
    peer_await_lines (peer, "fraction.time", 1);
    for (i = 0; i < peer->size; i++) {
        const line_t *line = &peer->lines[i];
        if (*line->type != 'T')  //  its buckets have commas
            assert_null (strchr (line->text, ','));
        //  gauges come in order
        if (strcmp (line->name, "double") == 0 && line->value != values[next++])
            fail_msg ("%s: expected %.17g", line->text, values[next - 1]);
    }
    assert_int_equal (next, size);
    assert_true (peer_last (peer, "fraction", NULL)->total == 0.125);
}

static void
test_doubles (void **state)
{
    fixture_t *self = *state;
    s_check_doubles (&self->peer);
}

//  A host program in German. Where there is no such locale it is made.
static void
test_locale (void **state)
{
    fixture_t *self = *state;
    char folder[] = "/tmp/zibrato-locale-XXXXXX", command[200];
    int made = 0;
    if (!setlocale (LC_ALL, "de_DE.UTF-8")) {
        assert_non_null (mkdtemp (folder));
        snprintf (command, sizeof command,
                  "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8", folder);
        assert_int_equal (system (command), 0);
        setenv ("LOCPATH", folder, 1);
        assert_non_null (setlocale (LC_ALL, "de_DE.UTF-8"));
        made = 1;
    }
    assert_string_equal (localeconv ()->decimal_point, ",");
    s_check_doubles (&self->peer);
    setlocale (LC_ALL, "C");
    if (made) {
        unsetenv ("LOCPATH");
        snprintf (command, sizeof command, "rm -r %s", folder);
        assert_int_equal (system (command), 0);
    }
}

//  --------------------------------------------------------------------------
//  Gauges

static double
s_unix_time (void)
{
    return (double) zb_clock_read_ (CLOCK_REALTIME) * 1e-9;
}

//  Each once, in order, with the time at which it was read.
static void
test_gauges (void **state)
{
    enum { READINGS = 3000 };
    static double before[READINGS], after[READINGS];
    fixture_t *self = *state;
    size_t i, n = 0;
    for (i = 0; i < READINGS; i++) {
        before[i] = s_unix_time ();
        ZB_GAUGE ("info", "gauge", (double) i);
        after[i] = s_unix_time ();
        if (i % 500 == 499)
            peer_await_lines (&self->peer, "gauge", i + 1);
    }
    peer_drain (&self->peer, 100);
    for (i = 0; i < self->peer.size; i++) {
        const line_t *line = &self->peer.lines[i];
        assert_true (line->value == (double) n);
        if (line->time < before[n] - 0.002 || line->time > after[n] + 0.1)
            fail_msg ("reading %zu: %.6f, expected %.6f", n, line->time,
                      before[n]);
        n++;
    }
    assert_int_equal (n, READINGS);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

static void *
s_read_often (void *argument)
{
    int i;
    for (i = 0; i < 1000; i++)
        zb_gauge ("info", "threads", i, .source = argument);
    return NULL;
}

static void
test_gauge_threads (void **state)
{
    static char *names[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    double next[THREADS] = {0};
    size_t i;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_read_often, names[i]);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    peer_await_lines (&self->peer, "threads", THREADS * 1000);
    peer_drain (&self->peer, 50);
    for (i = 0; i < self->peer.size; i++)
        assert_true (self->peer.lines[i].value
                     == next[atoi (self->peer.lines[i].source)]++);
    for (i = 0; i < THREADS; i++)
        assert_true (next[i] == 1000);
}

//  Faster than the pump, which the test stops by its lock.
static void
test_ring_overflow (void **state)
{
    fixture_t *self = *state;
    //  each part has twice the room of the one before
    enum { RING = 2 * ZB_RING_MAX_ - ZB_RING_MIN_ };
    zb_stats_t stats;
    int i;
    ZB_GAUGE ("info", "first", 1);
    peer_await_lines (&self->peer, "first", 1);
    for (i = 0; i < 10000; i++) {
        if (i == 1) {
            assert_int_equal (zb_flush (NULL, WAIT_MS), 0);
            pthread_mutex_lock (&self->zb->lock);
        }
        ZB_GAUGE ("info", "ring", i);
    }
    pthread_mutex_unlock (&self->zb->lock);
    peer_await_lines (&self->peer, "ring", 1 + RING);
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.dropped_ring, 9999 - RING);
    assert_int_equal (stats.dropped, 9999 - RING);
    peer_await_total (&self->peer, "zibrato.dropped", "host", 9999 - RING);
    s_stats_settled (self->zb, &stats);
    assert_int_equal (stats.measured, 10001 + 1);  //  and zibrato.dropped
    assert_int_equal (stats.held, 0);
}

static int
s_rings_empty (zb_t *self)
{
    zb_share_ *share;
    int empty = 1;
    pthread_mutex_lock (&self->lock);
    for (share = self->shares; share; share = share->next)
        empty &= share->ring_first
                 && zb_get_ (&share->ring_first->head)
                      == zb_get_ (&share->ring_first->tail);
    pthread_mutex_unlock (&self->lock);
    return empty;
}

//  Held too long: the oldest go, the newest come when somebody listens.
static void
test_held_overflow (void **state)
{
    enum { READINGS = 20000, LOST = READINGS - ZB_QUEUE_MAX_ };
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    size_t i;
    (void) state;
    peer_open (&peer, NULL);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    for (i = 0; i < READINGS; i++) {
        ZB_GAUGE ("info", "held", (double) i, .to = zb);
        if (i % 1000 == 999)
            while (!s_rings_empty (zb))
                assert_int_equal (zb_flush (zb, 1), -1);
    }
    zb_stats (zb, &stats);
    assert_int_equal (stats.dropped_held, LOST);
    assert_int_equal (stats.sent, 0);
    assert_false (stats.listening);
    peer_subscribe (&peer, "info|");
    peer_await_lines (&peer, "held", ZB_QUEUE_MAX_);
    for (i = 0; i < peer.size; i++) {
        assert_true (peer.lines[i].value == (double) (i + LOST));
        assert_int_equal (peer.lines[i].seq, i);
    }
    zb_stats (zb, &stats);
    assert_true (stats.listening);
    zb_close (&zb);
    peer_close (&peer);
}

//  --------------------------------------------------------------------------
//  Timers

//  Up to 13 days, to the nanosecond.
static void
test_time_exact (void **state)
{
    fixture_t *self = *state;
    uint64_t seed = 1, sum = 0, least, most;
    const line_t *line;
    int i, round, count = 0;
    for (round = 0; round < 40; round++) {
        least = UINT64_MAX;
        most = 0;
        for (i = 0; i < 50; i++) {
            uint64_t ns;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            ns = seed >> 14 >> (seed & 31);
            zb_time ("info", "exact", (double) ns / 1e9);
            sum += ns;
            least = ns < least ? ns : least;
            most = ns > most ? ns : most;
            count++;
        }
        peer_await_total (&self->peer, "exact", NULL, count);
        line = peer_last (&self->peer, "exact", NULL);
        assert_int_equal (line->sum_ns, sum);
        assert_int_equal (line->bucketed, count);
        //  the last line may have begun within the fifty
        assert_true (line->min_ns >= (int64_t) least);
        assert_true (line->max_ns <= (int64_t) most);
    }
}

static void
test_time_range (void **state)
{
    fixture_t *self = *state;
    const line_t *line;
    zb_time ("info", "range", 0.25);
    peer_await_total (&self->peer, "range", NULL, 1);
    line = peer_last (&self->peer, "range", NULL);
    assert_int_equal (line->min_ns, 250000000);
    assert_int_equal (line->max_ns, 250000000);
    assert_string_equal (line->value_text, "0.25");
    assert_true (line->sum_squares == 0.0625);
    zb_time ("info", "range", 0);
    peer_await_total (&self->peer, "range", NULL, 2);
    line = peer_last (&self->peer, "range", NULL);
    assert_int_equal (line->min_ns, 0);
    assert_int_equal (line->max_ns, 0);
    assert_string_equal (line->value_text, "0");
    assert_int_equal (line->bucketed, 2);
}

static void *
s_time_often (void *argument)
{
    int i;
    (void) argument;
    for (i = 0; i < 20000; i++) {
        ZB_TIME_ME ("info", "busy");
    }
    return NULL;
}

//  In every line; when the threads are quiet the buckets add up, too.
static void
test_time_threads (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    const line_t *line, *before = NULL;
    size_t i;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_time_often, NULL);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    zb_time ("info", "busy", 0.000001);
    peer_await_total (&self->peer, "busy", NULL, THREADS * 20000 + 1);
    for (i = 0; i < self->peer.size; i++) {
        line = &self->peer.lines[i];
        assert_true (line->min_ns <= line->max_ns);
        assert_true (line->bucketed >= line->count);
        if (before) {
            int64_t count = (int64_t) (line->count - before->count);
            int64_t sum_ns = line->sum_ns - before->sum_ns;
            assert_true (count >= 0 && sum_ns >= 0);
            assert_true (sum_ns >= line->min_ns * count);
            assert_true (sum_ns <= line->max_ns * count);
            assert_int_equal (s_ns (line->value_text), sum_ns);
        }
        before = line;
    }
    assert_int_equal (before->bucketed, before->count);
}

//  The parts that thread and pump share: whatever the pump takes for the range
//  of a report holds every sample that the report counts, buckets hold as many
//  at least, and exactly as many when the thread rests.
static zb_timer_ *s_timer;
static int s_timer_stop;

static void *
s_timer_write (void *argument)
{
    uint64_t ns = 1000;
    (void) argument;
    while (!__atomic_load_n (&s_timer_stop, __ATOMIC_ACQUIRE)) {
        zb_timer_add_ (s_timer, ns, zb_bucket_ (ns) + 1);
        ns++;
    }
    return NULL;
}

static uint64_t
s_in_bucket (const zb_sum_ *sum, size_t i)
{
    const uint64_t *page = sum->page[i / ZB_PAGE_SIZE_];
    return page ? page[i % ZB_PAGE_SIZE_] : 0;
}

static uint64_t
s_bucketed (const zb_sum_ *sum)
{
    uint64_t samples = 0;
    size_t i;
    for (i = 0; i < ZB_PAGES_ * ZB_PAGE_SIZE_; i++)
        samples += s_in_bucket (sum, i);
    return samples;
}

//  As if a thread had timed 1000 ns, 1001 ns ...
static void
s_check_buckets (const zb_sum_ *sum)
{
    static uint64_t expected[ZB_PAGES_ * ZB_PAGE_SIZE_];
    uint64_t i;
    memset (expected, 0, sizeof expected);
    for (i = 0; i < sum->count; i++)
        expected[zb_bucket_ (1000 + i)]++;
    for (i = 0; i < ZB_PAGES_ * ZB_PAGE_SIZE_; i++)
        assert_int_equal (s_in_bucket (sum, i), expected[i]);
}

static int
s_timer_sum (zb_sum_ *sum)
{
    zb_sum_clear_ (sum);
    return zb_sum_timer_ (sum, s_timer);
}

static void
test_time_window (void **state)
{
    static uint64_t pool[ZB_PAGES_ * ZB_PAGE_SIZE_];
    static zb_sum_ sum;
    static zb_timer_ timer;
    uint64_t count = 0;
    pthread_t thread;
    int64_t until = zb_clock_ms_ () + 2000;
    uint64_t rounds = 0;
    unsigned page;
    int i;
    (void) state;
    sum.pool = pool;
    zb_timer_init_ (&timer);
    s_timer = &timer;
    for (page = 0; page < ZB_PAGES_; page++) {
        zb_timer_page_ (s_timer, page * ZB_PAGE_SIZE_);
        assert_true (zb_timer_has_ (s_timer, page * ZB_PAGE_SIZE_));
    }
    __atomic_store_n (&s_timer_stop, 0, __ATOMIC_RELEASE);
    thread = s_thread (s_timer_write, NULL);
    while (zb_clock_ms_ () < until) {
        //  some samples, far fewer than between two reports of a pump
        while (zb_get_ (&s_timer->count) < count + 1000)
            sched_yield ();
        if (s_timer_sum (&sum) == -1 || sum.count == count)
            continue;
        //  samples count..sum.count-1 are new: 1000 + that many ns
        if (sum.range.min_ns > 1000 + count
            || sum.range.max_ns < 1000 + sum.count - 1)
            fail_msg ("round %" PRIu64 ": %" PRIu64 "..%" PRIu64
                      " ns, expected %" PRIu64 "..%" PRIu64,
                      rounds, sum.range.min_ns, sum.range.max_ns, 1000 + count,
                      1000 + sum.count - 1);
        assert_true (s_bucketed (&sum) >= sum.count);
        count = sum.count;
        rounds++;
    }
    __atomic_store_n (&s_timer_stop, 1, __ATOMIC_RELEASE);
    pthread_join (thread, NULL);
    for (i = 0; i < 2; i++) {
        assert_int_equal (s_timer_sum (&sum), 0);
        s_check_buckets (&sum);
    }
    free (timer.buckets);
}

//  The first sample of a page allocates it, which a signal handler that has
//  interrupted an allocation must not.
static void
test_time_interrupted (void **state)
{
    zb_sample_ sample = {zb_label_make_ (ZB_TYPE_TIMER, "info", "t", NULL),
                         NULL, 0, 0};
    zb_slot_ *slot = zb_find_ (&sample);
    zb_stats_t stats;
    (void) state;
    assert_non_null (slot);
    assert_int_equal (zb_enter_ (), 0);
    zb_slot_time_ (slot, 1000);
    zb_leave_ ();
    assert_int_equal (slot->by_kind.timer->count, 0);
    assert_int_equal (zb_stats (NULL, &stats), 0);
    assert_int_equal (stats.dropped_async, 1);
    zb_slot_time_ (slot, 1000);
    assert_int_equal (slot->by_kind.timer->count, 1);
    assert_true (zb_timer_has_ (slot->by_kind.timer, zb_bucket_ (1000)));
}

//  --------------------------------------------------------------------------
//  Numbers

//  Reads back as the same value, and is no longer than the shorter of 15 and 17
//  digits that does. A whole number has all of its digits.
static void
s_number_check (double value)
{
    char text[64], shortest[64];
    zb_text_ line = {text, 0, sizeof text - 1};
    zb_put_double_ (&line, value);
    text[line.size] = 0;
    snprintf (shortest, sizeof shortest, "%.15g", value);
    if (strtod (shortest, NULL) != value)
        snprintf (shortest, sizeof shortest, "%.17g", value);
    if (strtod (text, NULL) != value
        || (floor (value) != value && strlen (text) > strlen (shortest)))
        fail_msg ("%s is not %s", text, shortest);
}

static void
test_numbers (void **state)
{
    uint64_t bits = 88172645463325252u;
    int i;
    (void) state;
    for (i = -60; i < 60; i++) {
        s_number_check (ldexp (1, i));
        s_number_check (nextafter (ldexp (1, i), 0));
        s_number_check (nextafter (ldexp (1, i), INFINITY));
        s_number_check (pow (10, i / 3));
        s_number_check (-pow (10, i / 3) / 7);
    }
    for (i = 0; i < 100000; i++) {
        //  xorshift64 (Marsaglia, Journal of Statistical Software 8, 2003)
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        s_number_check (
          ldexp ((double) (bits >> 12), (int) (bits % 120) - 110));
        s_number_check ((double) (bits % 1000000) * 1e-9);
        s_number_check ((double) (bits % 1000000) * -1e-3);
    }
}

//  --------------------------------------------------------------------------
//  Streams

static void
test_stream (void **state)
{
    fixture_t *self = *state;
    char name[32], id[64];
    double birth;
    int i;
    zb_count ("info", "n");
    peer_await_total (&self->peer, "n", NULL, 1);
    snprintf (id, sizeof id, "%s", self->peer.lines[0].id);
    assert_int_equal (strspn (id, "0123456789abcdef"), strcspn (id, "-"));
    assert_int_equal (strlen (strchr (id, '-') + 1), 16);
    birth = (double) strtoull (id, NULL, 16) * 1e-3;
    assert_true (fabs (birth - s_unix_time ()) < 10);
    for (i = 0; i < 50; i++) {
        snprintf (name, sizeof name, "n%d", i);
        zb_count ("info", name);
        zb_time ("info", name, 0.001);
        zb_gauge ("info", "g", i);
        zb_count ("info", "n");
        if (i % 10 == 0)
            peer_await_total (&self->peer, "n", NULL, i + 2);
    }
    zb_count ("warn", "w");
    peer_await_total (&self->peer, "n", NULL, 51);
    peer_await_lines (&self->peer, "g", 50);
    peer_await_total (&self->peer, "w", NULL, 1);
    peer_check_stream (&self->peer, id);
    //  a level is a stream of its own, of the same random bits
    assert_int_equal (peer_last (&self->peer, "w", NULL)->seq, 0);
    assert_string_not_equal (peer_last (&self->peer, "w", NULL)->id, "");
    assert_string_equal (strchr (peer_last (&self->peer, "w", NULL)->id, '-'),
                         strchr (id, '-'));
}

static const line_t *
s_repetition (const peer_t *peer, const char *name, size_t number)
{
    size_t i;
    for (i = 0; i < peer->size; i++)
        if (strcmp (peer->lines[i].name, name) == 0 && number-- == 0)
            return &peer->lines[i];
    return NULL;
}

//  A series that rests is told once more after two seconds, then no more.
static void
test_repetition (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    const line_t *first, *second;
    zb_count ("info", "quiet", .value = 5);
    zb_time ("info", "quiet.time", 0.5);
    peer_await_lines (&self->peer, "quiet", 2);
    peer_await_lines (&self->peer, "quiet.time", 2);
    first = s_repetition (&self->peer, "quiet", 0);
    second = s_repetition (&self->peer, "quiet", 1);
    assert_true (first->value == 5 && first->total == 5);
    assert_true (second->value == 0 && second->total == 5);
    assert_true (second->time - first->time > 1.9);
    assert_true (second->seq > first->seq);
    assert_int_equal (second->first, first->first);
    second = s_repetition (&self->peer, "quiet.time", 1);
    assert_true (second->value == 0 && second->count == 1);
    assert_int_equal (second->sum_ns, 500000000);
    peer_drain (&self->peer, 2500);
    assert_int_equal (peer_count (&self->peer, "quiet"), 2);
    assert_int_equal (peer_count (&self->peer, "quiet.time"), 2);
    zb_stats (NULL, &stats);
    assert_int_equal (stats.sent, 2);
    assert_int_equal (stats.repeated, 2);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

//  --------------------------------------------------------------------------
//  Levels: nothing leaves without a listener, everything with one

static int
s_is_heard (zb_t *zb, const char *name)
{
    zb_level_ *level;
    int heard = 0;
    pthread_mutex_lock (&zb->lock);
    for (level = zb->levels; level; level = level->next)
        if (strcmp (level->name, name) == 0)
            heard = level->has_listener;
    pthread_mutex_unlock (&zb->lock);
    return heard;
}

static void
s_await_heard (zb_t *zb, const char *name, int heard)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    while (s_is_heard (zb, name) != heard) {
        assert_true (zb_clock_ms_ () < until);
        zb_flush (zb, 5);
    }
}

static void
test_levels (void **state)
{
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    (void) state;
    peer_open (&peer, "err|");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    zb_count ("err", "yes", .to = zb);
    zb_count ("error", "no", .to = zb);
    zb_count ("er", "no", .to = zb);
    zb_gauge ("info", "gauge", 1, .to = zb);
    zb_time ("info", "timer", 1, .to = zb);
    peer_await_total (&peer, "yes", NULL, 1);
    assert_int_equal (zb_flush (zb, 10), -1);
    zb_stats (zb, &stats);
    assert_int_equal (stats.sent, 1);
    assert_int_equal (stats.held, 4);
    assert_int_equal (peer.size, 1);
    //  the level turns green: what was held comes
    peer_subscribe (&peer, "info|");
    peer_await_lines (&peer, "gauge", 1);
    peer_await_total (&peer, "timer", NULL, 1);
    //  and red
    peer_unsubscribe (&peer, "err|");
    s_await_heard (zb, "err", 0);
    zb_count ("err", "yes", .value = 10, .to = zb);
    assert_int_equal (zb_flush (zb, 10), -1);
    //  and green again: all its states come, changed or not
    zb_count ("err", "new", .to = zb);
    peer_subscribe (&peer, "err|");
    peer_await_total (&peer, "yes", NULL, 11);
    peer_await_total (&peer, "new", NULL, 1);
    assert_int_equal (peer_count (&peer, "no"), 0);
    peer_check_stream (&peer, peer_last (&peer, "yes", NULL)->id);
    zb_close (&zb);
    peer_close (&peer);
}

//  A broker that comes back is told every state again.
static void
test_reconnect (void **state)
{
    peer_t peer, next;
    char endpoint[128];
    zb_t *zb;
    int i;
    (void) state;
    peer_open (&peer, "");
    snprintf (endpoint, sizeof endpoint, "%s", peer.endpoint);
    zb = zb_open (.endpoint = endpoint, .interval_ms = 20);
    for (i = 0; i < 5; i++) {
        char name[8] = {'n', (char) ('0' + i), 0};
        zb_count ("info", name, .value = i, .to = zb);
        peer_await_total (&peer, name, NULL, i);
    }
    peer_close (&peer);
    s_await_heard (zb, "info", 0);
    zb_count ("info", "n4", .to = zb);
    zb_gauge ("info", "g", 1, .to = zb);
    peer_bind (&next, endpoint);
    peer_subscribe (&next, "");
    for (i = 0; i < 5; i++) {
        char name[8] = {'n', (char) ('0' + i), 0};
        peer_await_total (&next, name, NULL, i == 4 ? 5 : i);
        assert_true (peer_last (&next, name, NULL)->value == (i == 4));
    }
    peer_await_lines (&next, "g", 1);
    zb_close (&zb);
    peer_close (&next);
}

//  More than a message takes, and more than the pipe does: nothing is lost.
static void
test_many_series (void **state)
{
    fixture_t *self = *state;
    char name[256];  //  which differ early, for all are compared with all
    int i, n = SANITIZED_T ? 1000 : 4000;  //  several messages
    size_t j;
    for (i = 0; i < n; i++) {
        snprintf (name, sizeof name, "%d.%0200d", i, 0);
        zb_count ("info", name, .value = i);
    }
    snprintf (name, sizeof name, "%d.%0200d", n - 1, 0);
    peer_await_total (&self->peer, name, NULL, n - 1);
    zb_flush (NULL, WAIT_MS);
    peer_drain (&self->peer, 100);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
    assert_true (self->peer.size >= (size_t) n);
    for (j = 0; j < (size_t) n; j++)
        assert_true (self->peer.lines[j].total
                     == atof (self->peer.lines[j].name));
}

//  --------------------------------------------------------------------------
//  Readings again: what was on its way when the listener was lost

//  Measures so many readings, the next numbers, and waits until they are sent.
static void
s_read_and_send (zb_t *zb, const char *name, int from, int count)
{
    int i;
    for (i = from; i < from + count; i++) {
        ZB_GAUGE ("info", "g", i, .source = name, .to = zb);
        if (i % 2000 == 1999)
            assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    }
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
}

//  Lines from..to - 1 of a peer are the readings of these numbers, new or
//  again.
static void
s_check_readings (const peer_t *peer, size_t from, size_t to, uint64_t number,
                  int again)
{
    size_t i;
    assert_true (peer->size >= to);
    for (i = from; i < to; i++) {
        const line_t *line = &peer->lines[i];
        assert_true (line->value == (double) number);
        assert_int_equal (line->seq, number++);
        assert_int_equal (line->seq < line->sent, again);
    }
}

//  The same reading, however often it is sent: all but SENT.
static void
s_check_same (const line_t *a, const line_t *b)
{
    assert_int_equal (strrchr (a->text, ':') - a->text,
                      strrchr (b->text, ':') - b->text);
    assert_memory_equal (a->text, b->text,
                         (size_t) (strrchr (a->text, ':') - a->text));
}

//  The peer is gone, and a new one is there. Returns what it gets until the
//  reading of that number comes, which is measured in between.
static void
peer_replace (peer_t *self, zb_t *zb, peer_t *next, int number)
{
    char endpoint[128];
    snprintf (endpoint, sizeof endpoint, "%s", self->endpoint);
    zmq_unbind (self->sub, endpoint);
    zmq_close (self->sub);
    s_await_heard (zb, "info", 0);
    self->sub = zmq_socket (self->context, ZMQ_SUB);
    ZB_GAUGE ("info", "new", number, .to = zb);
    peer_bind (next, endpoint);
    peer_subscribe (next, "");
    peer_await_lines (next, "new", 1);
}

//  Once for each loss of the listener, before what is new, as they were; and
//  what was sent again may be lost again.
static void
test_again (void **state)
{
    enum { READINGS = 3000 };
    peer_t peer[3];
    zb_t *zb;
    zb_stats_t stats;
    size_t i;
    (void) state;
    peer_open (&peer[0], "");
    zb = zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, READINGS - 100);
    s_read_and_send (zb, "a", READINGS - 100, 100);
    peer_await_lines (&peer[0], "g", READINGS);
    s_check_readings (&peer[0], 0, READINGS, 0, 0);
    peer_replace (&peer[0], zb, &peer[1], READINGS);
    s_check_readings (&peer[1], 0, READINGS, 0, 1);
    s_check_readings (&peer[1], READINGS, READINGS + 1, READINGS, 0);
    for (i = 0; i < READINGS; i++) {
        s_check_same (&peer[1].lines[i], &peer[0].lines[i]);
        assert_int_equal (peer[1].lines[i].sent, READINGS);
    }
    //  not with the next report
    s_read_and_send (zb, "a", READINGS + 1, 1);
    peer_await_lines (&peer[1], "g", READINGS + 1);
    assert_int_equal (peer[1].size, READINGS + 2);
    s_stats_settled (zb, &stats);
    assert_int_equal (stats.sent, READINGS + 2);
    assert_int_equal (stats.repeated, READINGS);
    assert_int_equal (stats.measured, READINGS + 2);
    peer_replace (&peer[1], zb, &peer[2], READINGS + 2);
    s_check_readings (&peer[2], 0, READINGS + 2, 0, 1);
    s_check_readings (&peer[2], READINGS + 2, READINGS + 3, READINGS + 2, 0);
    for (i = 0; i < READINGS + 2; i++)
        s_check_same (&peer[2].lines[i], &peer[1].lines[i]);
    peer_check_stream (&peer[0], peer[0].lines[0].id);
    zb_close (&zb);
    for (i = 0; i < 3; i++)
        peer_close (&peer[i]);
}

//  The newest 4096, and those of the last 25 seconds.
static void
test_again_bounds (void **state)
{
    enum { READINGS = 10000, FIRST = READINGS - ZB_KEPT_MAX_, OLD = 1000 };
    peer_t peer[3];
    zb_t *zb;
    zb_level_ *level;
    int i;
    (void) state;
    peer_open (&peer[0], "");
    zb = zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, READINGS);
    peer_await_lines (&peer[0], "g", READINGS);
    level = zb->levels;
    peer_replace (&peer[0], zb, &peer[1], READINGS);
    s_check_readings (&peer[1], 0, ZB_KEPT_MAX_, FIRST, 1);
    assert_int_equal (peer[1].size, ZB_KEPT_MAX_ + 1);
    pthread_mutex_lock (&zb->lock);
    assert_string_equal (level->name, "info");
    assert_int_equal (level->queue.sent, ZB_KEPT_MAX_);
    for (i = 0; i < OLD; i++)
        zb_queue_at_ (&level->queue, (size_t) i)->sent_ms -= ZB_KEPT_MS_ + 1;
    pthread_mutex_unlock (&zb->lock);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_int_equal (level->queue.sent, ZB_KEPT_MAX_ - OLD);
    peer_replace (&peer[1], zb, &peer[2], READINGS + 1);
    assert_int_equal (peer[2].size, ZB_KEPT_MAX_ - OLD + 1);
    assert_int_equal (peer[2].lines[0].seq,
                      READINGS + 1 - (ZB_KEPT_MAX_ - OLD));
    zb_close (&zb);
    for (i = 0; i < 3; i++)
        peer_close (&peer[i]);
}

static void *
s_close_in_thread (void *argument)
{
    zb_close (argument);
    return NULL;
}

//  A peer that does not read, so that the pipe to it has a known length: 256
//  messages of the instance, and one of the peer.
static zb_t *
s_open_narrow (peer_t *peer)
{
    int one = 1;
    zb_t *zb;
    peer_bind (peer, "inproc://narrow");
    zmq_setsockopt (peer->sub, ZMQ_RCVHWM, &one, sizeof one);
    zmq_unbind (peer->sub, "inproc://narrow");
    assert_int_equal (zmq_bind (peer->sub, "inproc://narrow"), 0);
    peer_subscribe (peer, "info|");
    zb = zb_open (.endpoint = "inproc://narrow", .context = peer->context,
                  .interval_ms = 3600000, .linger_ms = WAIT_MS);
    assert_non_null (zb);
    peer_meet (peer, zb);
    return zb;
}

//  Fills the pipe up to so many messages. Returns how often it counted.
static int
s_fill (zb_t *zb, uint64_t messages)
{
    zb_stats_t stats;
    int counted = 0;
    for (zb_stats (zb, &stats); stats.messages < messages;
         zb_stats (zb, &stats)) {
        zb_count ("info", "fill", .to = zb);
        assert_int_equal (zb_flush (zb, WAIT_MS), 0);
        counted++;
    }
    assert_int_equal (stats.messages, messages);
    return counted;
}

//  The pipe is full in the midst of the repetition: it goes on from there.
static void
test_again_full_pipe (void **state)
{
    enum { READINGS = ZB_KEPT_MAX_, PIPE = ZB_HWM_ + 1, ROOM = 10 };
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    char source[256];
    size_t i;
    int counted;
    (void) state;
    memset (source, 'x', 255);
    source[255] = 0;
    zb = s_open_narrow (&peer);
    s_read_and_send (zb, source, 0, READINGS);
    counted = s_fill (zb, PIPE - ROOM);
    peer_unsubscribe (&peer, "info|");
    s_await_heard (zb, "info", 0);
    peer_subscribe (&peer, "info|");
    s_await_heard (zb, "info", 1);
    //  which would fit where another one does not
    ZB_GAUGE ("info", "g", READINGS, .source = "s", .to = zb);
    assert_int_equal (zb_flush (zb, 50), -1);
    zb_stats (zb, &stats);
    assert_int_equal (stats.messages, PIPE);
    assert_int_equal (stats.held, 1);
    assert_in_range (stats.repeated, 100, READINGS - 100);
    assert_int_equal (stats.sent, READINGS + counted);
    //  what fitted is there, and now there is room for the rest
    while (peer.messages < PIPE)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    assert_int_equal (peer_receive (&peer, 0), -1);
    while (zb_flush (zb, 10) == -1)
        peer_receive (&peer, 1);
    while (peer_count (&peer, "g") < 2 * READINGS + 1)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    for (i = 0, counted = 0; i < peer.size; i++)
        if (*peer.lines[i].type == 'G') {
            int number = counted % READINGS;
            assert_int_equal (peer.lines[i].seq < peer.lines[i].sent,
                              counted / READINGS == 1);
            number = counted == 2 * READINGS ? READINGS : number;
            assert_int_equal (peer.lines[i].seq, number);
            assert_true (peer.lines[i].value == number);
            counted++;
        }
    assert_int_equal (counted, 2 * READINGS + 1);
    peer_check_stream (&peer, peer.lines[0].id);
    s_stats_settled (zb, &stats);
    assert_int_equal (stats.held, 0);
    assert_int_equal (stats.repeated, READINGS + 1);  //  and the counter
    zb_close (&zb);
    peer_close (&peer);
}

//  The listener is lost in the midst of the repetition: the next one gets all
//  of it; and closing waits for it.
static void
test_again_broken_off (void **state)
{
    enum { READINGS = ZB_KEPT_MAX_, PIPE = ZB_HWM_ + 1, ROOM = 10 };
    peer_t peer;
    zb_t *zb;
    pthread_t closer;
    char source[256];
    size_t i, size, again = 0;
    (void) state;
    memset (source, 'x', 255);
    source[255] = 0;
    zb = s_open_narrow (&peer);
    s_read_and_send (zb, source, 0, READINGS);
    s_fill (zb, PIPE - ROOM);
    for (i = 0; i < 2; i++) {
        peer_unsubscribe (&peer, "info|");
        s_await_heard (zb, "info", 0);
        peer_subscribe (&peer, "info|");
        s_await_heard (zb, "info", 1);
        zb_flush (zb, 50);
    }
    assert_int_equal (zb->levels->queue.to_resend, READINGS);
    closer = s_thread (s_close_in_thread, &zb);
    while (peer.messages < PIPE)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    size = peer.size;
    while (again < READINGS) {
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
        for (; size < peer.size; size++)
            if (*peer.lines[size].type == 'G')
                assert_int_equal (peer.lines[size].seq, again++);
    }
    pthread_join (closer, NULL);
    peer_close (&peer);
}

//  Nobody could tell that it is a repetition.
static void
test_again_classic (void **state)
{
    peer_t peer[2];
    zb_t *zb;
    (void) state;
    peer_open (&peer[0], "");
    zb =
      zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20, .classic = 1);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, 10);
    peer_await_lines (&peer[0], "g", 10);
    peer_replace (&peer[0], zb, &peer[1], 10);
    assert_int_equal (peer[1].size, 1);
    zb_close (&zb);
    peer_close (&peer[0]);
    peer_close (&peer[1]);
}

//  --------------------------------------------------------------------------
//  Flush, stats, close

static void
test_flush (void **state)
{
    peer_t peer;
    zb_t *zb;
    int64_t before;
    (void) state;
    //  nobody there: nothing to say is no failure
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 3600000,
                  .linger_ms = 0);
    assert_int_equal (zb_flush (zb, 50), 0);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    assert_int_equal (zb_flush (zb, 50), -1);
    assert_in_range (zb_clock_ms_ () - before, 49, 2000);
    assert_int_equal (zb_flush (zb, 0), -1);
    assert_int_equal (zb_flush (zb, -5), -1);
    zb_close (&zb);
    //  somebody there: returns before the interval is over
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_true (zb_clock_ms_ () - before < WAIT_MS);
    peer_await_total (&peer, "n", NULL, 1);
    zb_close (&zb);
    peer_close (&peer);
    //  no instance
    assert_int_equal (zb_flush (NULL, 10), 0);
}

static void
test_stats (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    size_t i;
    peer_meet (&self->peer, self->zb);
    for (i = 0; i < 100; i++)
        zb_gauge ("info", "g", (double) i);
    zb_count ("info", "c");
    zb_time ("info", "t", 1);
    zb_gauge ("info", "g", NAN);
    assert_int_equal (zb_flush (NULL, WAIT_MS), 0);
    assert_int_equal (zb_stats (NULL, &stats), 0);
    peer_await_lines (&self->peer, "g", 100);
    peer_await_total (&self->peer, "c", NULL, 1);
    peer_await_total (&self->peer, "t", NULL, 1);
    peer_await_total (&self->peer, "zibrato.dropped", NULL, 1);
    s_stats_settled (self->zb, &stats);
    assert_int_equal (stats.refused, 1);
    assert_int_equal (stats.dropped, 1);
    assert_int_equal (stats.held, 0);
    assert_int_equal (stats.sent, 103);
    assert_int_equal (stats.measured, 104);
    assert_int_equal (stats.series, 4);
    assert_int_equal (stats.messages, self->peer.messages);
    assert_int_equal (stats.bytes, self->peer.bytes);
    assert_true (stats.listening);
}

//  --------------------------------------------------------------------------
//  The end of a stream

//  Waits until a line and the end come, then for what may come behind that.
static void
s_await_close (peer_t *peer, zb_t **zb, const char *name)
{
    zb_close (zb);
    peer_await_lines (peer, name, 1);
    peer_await_ends (peer);
    peer_drain (peer, 50);
    peer_await_ends (peer);
}

//  What lives for a moment says all that it has in one message.
static void
test_end_short (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "info|");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    zb_count ("debug", "unwanted", .to = zb);
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.messages, 1);
    assert_int_equal (peer.size, 1);
    assert_int_equal (peer.ends, 1);
    assert_int_equal (peer.end[0].series, 1);
    assert_int_equal (peer.end[0].seqs, 0);
    assert_int_equal (peer.end[0].readings, 0);
    peer_close (&peer);
}

//  States of the last 25 seconds are repeated, also those that went with the
//  end, but in an earlier message; readings are not.
static void
test_end_repeats (void **state)
{
    enum { SERIES = 3000 };  //  more than two messages
    peer_t peer;
    zb_t *zb;
    char name[300];
    int i, repeated = 0;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_time ("info", "old", 1, .to = zb);
    zb_time ("info", "young", 1, .to = zb);
    for (i = 0; i < 10; i++)
        zb_gauge ("info", "g", i, .to = zb);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    peer_await_lines (&peer, "g", 10);
    pthread_mutex_lock (&zb->lock);
    zb->levels->series[0]->reported.at_ms -= ZB_KEPT_MS_;
    zb->levels->series[0]->reported.repeated = ZB_AGAIN_;
    pthread_mutex_unlock (&zb->lock);
    for (i = 0; i < SERIES; i++) {
        snprintf (name, sizeof name, "n%d", i);
        zb_count ("info", name, .to = zb);
    }
    s_await_close (&peer, &zb, "n0");
    assert_int_equal (peer.ends, 1);
    assert_int_equal (peer.end[0].series, SERIES + 2);
    assert_int_equal (peer_count (&peer, "old"), 1);
    assert_int_equal (peer_count (&peer, "young"), 2);
    assert_int_equal (peer_count (&peer, "g"), 10);
    for (i = 0; i < (int) peer.size; i++)
        repeated += *peer.lines[i].name == 'n' && peer.lines[i].value == 0;
    assert_in_range (repeated, 1, SERIES);
    for (i = 0; i < SERIES; i++) {
        //  twice, or in the last message
        snprintf (name, sizeof name, "n%d", i);
        assert_true (peer_count (&peer, name) == 2
                     || peer_last (&peer, name, NULL)->message
                          == peer.messages - 1);
    }
    peer_check_stream (&peer, peer.end[0].id);
    peer_check_increments (&peer);
    peer_close (&peer);
}

//  A stream whose states could not be sent has no end, nor has a classic one.
static void
test_end_none (void **state)
{
    peer_t peer;
    zb_t *zb;
    int listens;
    (void) state;
    peer_open (&peer, "");
    zb =
      zb_open (.endpoint = peer.endpoint, .classic = 1, .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    zb_close (&zb);
    peer_await_lines (&peer, "n", 1);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20,
                  .linger_ms = WAIT_MS);
    zb_count ("info", "m", .to = zb);
    peer_await_lines (&peer, "m", 1);
    peer_unsubscribe (&peer, "");
    peer_subscribe (&peer, "other|");
    for (listens = 1; listens; peer_receive (&peer, 1)) {
        pthread_mutex_lock (&zb->lock);
        listens = zb->levels->has_listener;
        pthread_mutex_unlock (&zb->lock);
    }
    zb_count ("info", "m", .to = zb);
    zb_close (&zb);
    peer_drain (&peer, 50);
    assert_int_equal (peer.ends, 0);
    peer_close (&peer);
}

//  A stream's age does not step, whatever the wall clock does. Each timer says how
//  many samples are new.
static void
test_age (void **state)
{
    fixture_t *self = *state;
    uint64_t sum = 0, age_ms;
    int64_t born_ms;
    size_t i, j;
    peer_meet (&self->peer, self->zb);
    born_ms = zb_boot_ms_ ();
    for (i = 0; i < 20; i++) {
        for (j = 0; j < i + 1; j++) {
            zb_time ("info", "t", 1e-3);
            zb_time ("info", "u", 1e-3);
        }
        zb_count ("info", "c");
        assert_int_equal (zb_flush (self->zb, WAIT_MS), 0);
        peer_await_total (&self->peer, "c", NULL, (double) i + 1);
        age_ms = self->peer.stream.age_ms;
        assert_in_range (age_ms, 0, zb_boot_ms_ () - born_ms);
    }
    assert_true (age_ms > 0);
    for (i = 0; i < self->peer.size; i++)
        if (strcmp (self->peer.lines[i].name, "t") == 0) {
            sum += self->peer.lines[i].recent;
            assert_int_equal (self->peer.lines[i].count, sum);
        }
    assert_int_equal (sum, 20 * 21 / 2);
}

static void
test_max_series (void **state)
{
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    char name[16];
    int i, round;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .source = "m",
                  .max_series = 3);
    for (round = 0; round < 2; round++)
        for (i = 0; i < 5; i++) {
            snprintf (name, sizeof name, "n%d", i);
            zb_count ("info", name, .to = zb);
        }
    for (i = 0; i < 7; i++) {
        ZB_COUNT_ME ("info", "site", .to = zb);
        ZB_GAUGE ("info", "site", 1, .to = zb);
    }
    peer_await_total (&peer, "n0", "m", 2);
    peer_await_total (&peer, "n2", "m", 2);
    peer_await_total (&peer, "zibrato.dropped", "m", 4 + 14);
    zb_stats (zb, &stats);
    assert_int_equal (stats.dropped_series, 18);
    assert_int_equal (stats.dropped, 18);
    assert_int_equal (peer_count (&peer, "n3"), 0);
    assert_int_equal (peer_count (&peer, "site"), 0);
    zb_close (&zb);
    peer_close (&peer);
}

//  A listening socket of which nobody takes connections.
static int
s_silent (char *endpoint, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    assert_int_equal (bind (fd, (struct sockaddr *) &address, length), 0);
    assert_int_equal (listen (fd, 1), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &length),
                      0);
    snprintf (endpoint, size, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    return fd;
}

//  What was measured just before is delivered, and it takes no longer than
//  linger_ms when it cannot be.
static void
test_close (void **state)
{
    peer_t peer;
    zb_t *zb, *none = NULL;
    pthread_t closer;
    int64_t before;
    char endpoint[64];
    int i, silent;
    (void) state;
    peer_open (&peer, "");
    for (i = 0; i < 20; i++) {
        zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                      .linger_ms = WAIT_MS);
        zb_count ("info", "n", .value = i + 1, .to = zb);
        zb_gauge ("info", "g", i, .to = zb);
        closer = s_thread (s_close_in_thread, &zb);
        peer_await_total (&peer, "n", NULL, i + 1);
        peer_await_lines (&peer, "g", (size_t) i + 1);
        pthread_join (closer, NULL);
        assert_null (zb);
    }
    peer_close (&peer);
    //  somebody is there, but says nothing; and nobody is there
    silent = s_silent (endpoint, sizeof endpoint);
    zb = zb_open (.endpoint = endpoint, .linger_ms = 300);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    zb_close (&zb);
    assert_in_range (zb_clock_ms_ () - before, 250, 1500);
    close (silent);
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = WAIT_MS);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    zb_close (&zb);
    assert_in_range (zb_clock_ms_ () - before, 0, WAIT_MS / 2);
    zb_close (&none);  //  nothing to close
}

static int s_stop;

static void *
s_measure (void *argument)
{
    zb_t *zb = argument;
    char source[16];
    int i;
    for (i = 0; !__atomic_load_n (&s_stop, __ATOMIC_ACQUIRE); i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_COUNT_ME ("info", "m", .to = zb);
        ZB_TIME_ME ("info", "t", .to = zb);
        ZB_GAUGE ("info", "g", i, .to = zb);
        snprintf (source, sizeof source, "s%d", i % 50);
        zb_count ("info", "r", .source = source, .to = zb);
        if (i % 1000 == 0)
            sched_yield ();
    }
    return NULL;
}

//  Threads measure while what they measure into is closed and opened anew.
static void
test_close_busy (void **state)
{
    peer_t peer;
    pthread_t thread[4];
    zb_t *zb, *next;
    int i, round;
    (void) state;
    peer_open (&peer, "");
    __atomic_store_n (&s_stop, 0, __ATOMIC_RELEASE);
    zb =
      zb_open (.endpoint = peer.endpoint, .interval_ms = 5, .linger_ms = 200);
    for (i = 0; i < 4; i++)
        thread[i] = s_thread (s_measure, zb);
    for (round = 0; round < 10; round++) {
        peer_await_lines (&peer, "r", peer_count (&peer, "r") + 1);
        zb_close (&zb);
        //  a new one may well get the address that the threads still use
        next = zb_open (.endpoint = peer.endpoint, .interval_ms = 5,
                        .linger_ms = 200);
        assert_non_null (next);
        zb = next;
        zb_count ("info", "r", .to = zb);
    }
    __atomic_store_n (&s_stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < 4; i++)
        pthread_join (thread[i], NULL);
    zb_close (&zb);
    //  closed for good: goes nowhere
    ZB_COUNT_ME ("info", "after");
    zb_gauge ("info", "after", 1);
    peer_close (&peer);
}

//  --------------------------------------------------------------------------
//  Instances: options

static void
s_refused (zb_config_t config)
{
    zb_t *zb;
    errno = 0;
    zb = zb_open_ (&config);
    assert_null (zb);
    assert_int_equal (errno, EINVAL);
}

static zb_config_t
s_config (void)
{
    return (zb_config_t) ZB_CONFIG_INIT_;
}

#define REFUSED(field, bad)                                                    \
    do {                                                                       \
        zb_config_t config = s_config ();                                      \
        config.field = bad;                                                    \
        s_refused (config);                                                    \
    } while (0)

static void
test_options (void **state)
{
    char source[300];
    (void) state;
    memset (source, 's', sizeof source);
    source[256] = 0;
    REFUSED (port, 0);
    REFUSED (port, 65536);
    REFUSED (port, -2);
    REFUSED (interval_ms, 0);
    REFUSED (interval_ms, 3600001);
    REFUSED (interval_ms, -2);
    REFUSED (linger_ms, -2);
    REFUSED (linger_ms, 3600001);
    REFUSED (max_series, 0);
    REFUSED (max_series, 10000001);
    REFUSED (source, "a|b");
    REFUSED (source, "a\n");
    REFUSED (source, source);
    REFUSED (endpoint, "nonsense");
    REFUSED (endpoint, "tcp://127.0.0.1:5550,nonsense");
    REFUSED (endpoint, "tcp://127.0.0.1:99999");
}

static void
test_environment (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    setenv ("ZIBRATO_ENDPOINT", peer.endpoint, 1);
    setenv ("ZIBRATO_SOURCE", "environment", 1);
    setenv ("ZIBRATO_INTERVAL_MS", "20", 1);
    setenv ("ZIBRATO_LINGER_MS", "junk", 1);
    zb = zb_open ();
    assert_non_null (zb);
    assert_int_equal (zb->interval_ms, 20);
    assert_int_equal (zb->linger_ms, 500);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", "environment", 1);
    zb_close (&zb);
    //  what the program says wins
    zb = zb_open (.source = "program", .interval_ms = 30);
    assert_int_equal (zb->interval_ms, 30);
    zb_count ("info", "m", .to = zb);
    peer_await_total (&peer, "m", "program", 1);
    zb_close (&zb);
    setenv ("ZIBRATO_DISABLE", "1", 1);
    zb = zb_open ();
    assert_non_null (zb);
    zb_count ("info", "off", .to = zb);
    assert_int_equal (zb_flush (zb, 10), 0);
    zb_close (&zb);
    unsetenv ("ZIBRATO_DISABLE");
    unsetenv ("ZIBRATO_ENDPOINT");
    unsetenv ("ZIBRATO_SOURCE");
    unsetenv ("ZIBRATO_INTERVAL_MS");
    unsetenv ("ZIBRATO_LINGER_MS");
    peer_drain (&peer, 50);
    assert_int_equal (peer_count (&peer, "off"), 0);
    peer_close (&peer);
}

//  Strings are copied.
static void
test_strings (void **state)
{
    peer_t peer;
    char source[] = "before", endpoint[128];
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    memcpy (endpoint, peer.endpoint, sizeof endpoint);
    zb = zb_open (.endpoint = endpoint, .source = source, .interval_ms = 20);
    memset (endpoint, 'x', sizeof endpoint);
    memcpy (source, "after!", sizeof source);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", "before", 1);
    zb_close (&zb);
    peer_close (&peer);
}

//  A redundant pair of brokers: each gets everything.
static void
test_two_endpoints (void **state)
{
    peer_t peer[2];
    char endpoint[300];
    zb_t *zb;
    int i;
    (void) state;
    peer_open (&peer[0], "");
    peer_open (&peer[1], "");
    snprintf (endpoint, sizeof endpoint, "%s,%s", peer[0].endpoint,
              peer[1].endpoint);
    zb = zb_open (.endpoint = endpoint, .interval_ms = 20);
    assert_non_null (zb);
    for (i = 0; i < 100; i++) {
        zb_count ("info", "n", .to = zb);
        zb_flush (zb, 1);
    }
    peer_await_total (&peer[0], "n", NULL, 100);
    peer_await_total (&peer[1], "n", NULL, 100);
    zb_close (&zb);
    peer_close (&peer[0]);
    peer_close (&peer[1]);
}

//  In the host's own ZeroMQ context, which stays the host's.
static void
test_context (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_bind (&peer, "inproc://peer");
    peer_subscribe (&peer, "");
    zb = zb_open (.endpoint = "inproc://peer", .context = peer.context,
                  .interval_ms = 20);
    assert_non_null (zb);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", NULL, 1);
    zb_close (&zb);
    peer_close (&peer);
}

//  Six fields, one measurement a message, each timing a sample.
static void
test_classic (void **state)
{
    peer_t peer;
    zb_t *zb;
    double counted = 0;
    size_t i, timings = 0;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .classic = 1,
                  .linger_ms = WAIT_MS, .source = "old");
    for (i = 0; i < 10; i++) {
        zb_count ("info", "c", .to = zb);
        zb_time ("info", "t", 0.5 + (double) i, .to = zb);
        zb_gauge ("info", "g", (double) i, .to = zb);
    }
    peer_await_lines (&peer, "t", 10);
    peer_await_lines (&peer, "g", 10);
    zb_close (&zb);
    peer_drain (&peer, 300);
    for (i = 0; i < peer.size; i++) {
        const line_t *line = &peer.lines[i];
        assert_int_equal (line->fields, 6);
        assert_string_equal (line->source, "old");
        assert_true (i == 0 || line->message == peer.lines[i - 1].message + 1);
        if (*line->type == 'C')
            counted += line->value;
        if (*line->type == 'T')
            assert_true (line->value == 0.5 + (double) timings++);
    }
    assert_true (counted == 10);
    assert_int_equal (timings, 10);
    assert_int_equal (peer_count (&peer, "g"), 10);
    peer_close (&peer);
}

//  --------------------------------------------------------------------------
//  The host program: errno, signals, fork

static void
test_errno (void **state)
{
    fixture_t *self = *state;
    int i;
    (void) self;
    for (i = 0; i < 3; i++) {
        errno = EDOM;
        {
            ZB_COUNT_ME ("info", "c");
            ZB_COUNT_ME ("in|fo", "c");
            ZB_TIME_ME ("info", "t");
        }
        ZB_GAUGE ("info", "g", 1);
        ZB_GAUGE ("info", "g", NAN);
        zb_count ("info", "rc");
        zb_time ("info", "rt", 1);
        zb_time ("info", "rt", -1);
        zb_gauge ("info", "rg", 1);
        zb_gauge ("info", "", 1);
        assert_int_equal (errno, EDOM);
    }
}

//  Bits of SigBlk of a task of this process.
static uint64_t
s_blocked (const char *task)
{
    char path[300], line[200];
    uint64_t blocked = 0;
    FILE *file;
    snprintf (path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen (path, "r");
    if (!file)
        return UINT64_MAX;  //  it has ended since
    while (fgets (line, sizeof line, file))
        if (strncmp (line, "SigBlk:", 7) == 0)
            blocked = strtoull (line + 7, NULL, 16);
    fclose (file);
    return blocked;
}

static void
s_task_names (char *names, size_t size)
{
    DIR *folder = opendir ("/proc/self/task");
    struct dirent *entry;
    size_t used = 0;
    assert_non_null (folder);
    *names = 0;
    while ((entry = readdir (folder)))
        if (*entry->d_name != '.')
            used += (size_t) snprintf (names + used, size - used, " %s",
                                       entry->d_name);
    closedir (folder);
}

//  No handler, no mask of the host's changes, and no signal of the host's ends
//  on a thread of ours.
static void
test_signals (void **state)
{
    static struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    char old_tasks[2000], tasks[2000], *rest = tasks, *task;
    uint64_t all = 0;
    zb_t *zb;
    int i, found = 0;
    (void) state;
    for (i = 1; i <= 31; i++)
        if (i != SIGKILL && i != SIGSTOP)
            all |= 1ull << (i - 1);
    for (i = 1; i <= 64; i++)
        sigaction (i, NULL, &before[i]);
    pthread_sigmask (SIG_SETMASK, NULL, &mask_before);
    s_task_names (old_tasks, sizeof old_tasks);
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 20,
                  .linger_ms = 0);
    zb_count ("info", "n", .to = zb);
    zb_flush (zb, 50);  //  all threads run by now
    s_task_names (tasks, sizeof tasks);
    while ((task = strsep (&rest, " ")))
        if (*task && !strstr (old_tasks, task)) {
            found++;
            assert_int_equal (s_blocked (task) & all, all);
        }
    assert_true (found >= 1);
    for (i = 1; i <= 64; i++)
        if (sigaction (i, NULL, &after) == 0)
            assert_ptr_equal (after.sa_handler, before[i].sa_handler);
    pthread_sigmask (SIG_SETMASK, NULL, &mask_after);
    for (i = 1; i <= 64; i++)
        assert_int_equal (sigismember (&mask_after, i),
                          sigismember (&mask_before, i));
    zb_close (&zb);
}

//  Begins when the pipe is closed, so that all forks are made in silence. Ends
//  without the test program's exit handlers.
static void
s_child (zb_t *zb, const int *pipes, int number)
{
    zb_stats_t stats;
    char c;
    int i;
    close (pipes[1]);
    if (read (pipes[0], &c, 1) != 0)
        _exit (3);
    zb_stats (zb, &stats);
    if (stats.sent || stats.dropped || stats.refused || stats.held)
        _exit (2);
    for (i = 0; i < 100; i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_TIME_ME ("info", "t");
        ZB_GAUGE ("info", "g", number);
    }
    zb_close (&zb);
    _exit (zb == NULL ? 0 : 1);
}

static double
s_streams_total (const peer_t *peer, const char *name)
{
    double total = 0;
    size_t i, j;
    for (i = 0; i < peer->size; i++) {
        const line_t *line = &peer->lines[i];
        if (strcmp (line->name, name) != 0)
            continue;
        for (j = i + 1; j < peer->size; j++)
            if (strcmp (peer->lines[j].name, name) == 0
                && strcmp (peer->lines[j].id, line->id) == 0)
                break;
        if (j == peer->size)
            total += *line->type == 'T' ? (double) line->count : line->total;
    }
    return total;
}

static int
s_has_streams_total (const peer_t *peer, const void *wanted)
{
    const state_t *state = wanted;
    return s_streams_total (peer, state->name) == state->total;
}

//  ThreadSanitizer lets no child of a program with threads start new ones, and
//  a child of AddressSanitizer's hangs when another thread was in its allocator
//  at the fork (both of gcc 12 and clang 14).
#if defined __SANITIZE_THREAD__
#define NO_FORK 1
#elif defined __SANITIZE_ADDRESS__
#define NO_BUSY_FORK 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define NO_FORK 1
#elif __has_feature(address_sanitizer)
#define NO_BUSY_FORK 1
#endif
#endif

//  A child is a stream of its own that starts from zero.
__attribute__ ((unused)) static void
test_fork (void **state)
{
    enum { CHILDREN = 5 };
    static const state_t wanted[] = {{"n", NULL, 100 * CHILDREN + 1001},
                                     {"t", NULL, 100 * CHILDREN + 1000}};
    peer_t peer;
    zb_t *zb;
    pid_t child[CHILDREN];
    int i, status, pipes[2];
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    assert_int_equal (pipe (pipes), 0);
    peer_meet (&peer, zb);
    for (i = 0; i < 1000; i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_TIME_ME ("info", "t");
    }
    zb_gauge ("info", "kept", -1);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_int_equal (zb->levels->queue.sent, 1);
    //  the parent's, which the parent alone sends
    zb_count ("info", "n");
    zb_gauge ("info", "g", -1);
    for (i = 0; i < CHILDREN; i++) {
        child[i] = fork ();
        if (child[i] == 0)
            s_child (zb, pipes, i);
    }
    close (pipes[0]);
    close (pipes[1]);
    zb_flush (zb, WAIT_MS);
    peer_await (&peer, s_has_streams_total, &wanted[0]);
    peer_await (&peer, s_has_streams_total, &wanted[1]);
    peer_await_lines (&peer, "g", 100 * CHILDREN + 1);
    for (i = 0; i < CHILDREN; i++) {
        assert_int_equal (waitpid (child[i], &status, 0), child[i]);
        assert_true (WIFEXITED (status));
        assert_int_equal (WEXITSTATUS (status), 0);
    }
    peer_drain (&peer, 100);
    assert_int_equal (peer_count (&peer, "g"), 100 * CHILDREN + 1);
    assert_int_equal (peer_count (&peer, "kept"), 1);
    //  in the parent's stream, a child may have reported for it, with numbers
    //  that the parent has left out
    for (i = 0; (size_t) i < peer.size; i++)
        if (strcmp (peer.lines[i].id, peer.lines[0].id) != 0)
            peer_check_stream (&peer, peer.lines[i].id);
    //  the parent's is not ended by a child, though a child may report for it
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.ends, CHILDREN + 1);
    peer_close (&peer);
}

//  A child that first measures when its parent has long ended says nothing of the
//  parent's stream any more: it has had its end, and counts for a new one to who
//  has forgotten it.
__attribute__ ((unused)) static void
test_fork_ended (void **state)
{
    peer_t peer;
    zb_t *zb;
    pid_t child;
    size_t before;
    int status, pipes[2];
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    assert_int_equal (pipe (pipes), 0);
    peer_meet (&peer, zb);
    zb_count ("info", "n");
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    zb_count ("info", "n");
    child = fork ();
    if (child == 0)
        s_child (zb, pipes, 0);
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.ends, 1);
    before = peer.size;
    close (pipes[0]);
    close (pipes[1]);
    peer_await_lines (&peer, "g", 100);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    peer_drain (&peer, 100);
    assert_int_equal (peer.ends, 2);
    for (; before < peer.size; before++)
        assert_string_not_equal (peer.lines[before].id, peer.lines[0].id);
    peer_close (&peer);
}

//  A fork at any moment of the pump's: the child must not find a lock taken.
__attribute__ ((unused)) static void
test_fork_any_time (void **state)
{
    int i, status, children = 300;
    zb_t *zb;
    (void) state;
    for (i = 0; i < children; i++) {
        pid_t child;
        zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 1,
                      .linger_ms = 0);
        child = fork ();
        if (child == 0) {
            alarm (10);
            zb_count ("info", "n");
            zb_close (&zb);
            _exit (0);
        }
        zb_close (&zb);
        assert_int_equal (waitpid (child, &status, 0), child);
        if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
            fail_msg ("child %d: status %x", i, (unsigned) status);
    }
}

//  Runs a child while its thread is marked as a signal handler finds it that
//  has interrupted us, with our lock held. Returns its status.
__attribute__ ((unused)) static int
s_interrupted_child (void (*run) (void))
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        alarm (20);
        assert_int_equal (zb_enter_ (), 0);
        pthread_mutex_lock (&zb_lock_);
        run ();
        _exit (1);
    }
    assert_int_equal (waitpid (child, &status, 0), child);
    return status;
}

#ifdef NO_BUSY_FORK
//  LeakSanitizer asks when a process ends. A child does not have the threads of
//  its parent: what only their stacks led to would be called a leak.
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
    return getpid () != s_parent;
}
#endif

static void
s_leave (void)
{
    exit (0);
}

//  The grandchild measures and leaves; its parent goes on and leaves as well.
static void
s_fork_and_leave (void)
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        alarm (20);
        ZB_COUNT_ME ("info", "interrupted");
        zb_count ("info", "interrupted");
        exit (0);
    }
    if (waitpid (child, &status, 0) != child || status != 0)
        _exit (2);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
    zb_count ("info", "interrupted");
    exit (0);
}

//  Neither exit nor fork in a signal handler waits for what it has interrupted;
//  and no function does.
__attribute__ ((unused)) static void
test_interrupted (void **state)
{
    zb_stats_t stats;
    zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = 0), *same;
    (void) state;
    assert_non_null (zb);
    assert_int_equal (s_interrupted_child (s_leave), 0);
    assert_int_equal (s_interrupted_child (s_fork_and_leave), 0);
    zb_count ("info", "n");
    same = zb;
    assert_int_equal (zb_enter_ (), 0);
    pthread_mutex_lock (&zb_lock_);
    zb_count ("info", "n");
    zb_count ("in|fo", "n");
    zb_time ("info", "t", 1);
    zb_gauge ("info", "new", 1);
    assert_int_equal (zb_flush (zb, 1000), -1);
    assert_int_equal (zb_stats (zb, &stats), -1);
    assert_null (zb_open (.linger_ms = 0));
    zb_close (&same);
    assert_ptr_equal (same, zb);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
    assert_int_equal (zb_stats (zb, &stats), 0);
    assert_int_equal (stats.dropped_async, 4);
    assert_int_equal (stats.dropped, 4);
    zb_close (&zb);
}

//  --------------------------------------------------------------------------
//  Clock

//  The time-stamp counter, once it is used, goes with CLOCK_MONOTONIC.
static void
test_clock (void **state)
{
    fixture_t *self = *state;
    int64_t until = zb_clock_ms_ () + 5000;
    uint64_t now[2], clock[2];
    double ratio;
    int i;
    (void) self;
    while (!__atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE)) {
        zb_flush (NULL, 10);
        if (zb_clock_ms_ () > until)
            break;  //  this CPU has none that serves
        poll (NULL, 0, 5);
    }
    print_message ("time-stamp counter: %s\n",
                   zb_tsc_on_ ? "used" : "not used");
    for (i = 0; i < 2; i++) {
        uint64_t best = UINT64_MAX, before;
        int tries;
        for (tries = 0; tries < 50; tries++) {
            uint64_t a = zb_clock_ns_ (), n = zb_now_ (), b = zb_clock_ns_ ();
            if (b - a < best) {
                best = b - a;
                clock[i] = a + (b - a) / 2;
                now[i] = n;
            }
        }
        before = zb_clock_ns_ ();
        while (i == 0 && zb_clock_ns_ () - before < 1000000000)
            poll (NULL, 0, 100);
    }
    ratio = (double) (now[1] - now[0]) / (double) (clock[1] - clock[0]);
    assert_true (fabs (ratio - 1) < 200e-6);
    //  never back
    for (i = 0; i < 1000000; i++) {
        now[1] = zb_now_ ();
        assert_true (now[1] >= now[0]);
        now[0] = now[1];
    }
}

//  What a process needs before its test.
static int
s_begin (void **state)
{
    (void) state;
    s_c_locale = newlocale (LC_ALL_MASK, "C", (locale_t) 0);
    s_parent = getpid ();
    return 0;
}

int
main (void)
{
    const struct CMUnitTest tests[] =
    { cmocka_unit_test_setup_teardown (test_count_threads, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_count_thread_exit, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_count_key_destructor, s_open,
                                       s_close),
      cmocka_unit_test_setup_teardown (test_scopes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_source_changes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_labels, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_series, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_instances, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_values, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_doubles, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_locale, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_gauges, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_gauge_threads, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_ring_overflow, s_open, s_close),
      cmocka_unit_test (test_held_overflow),
      cmocka_unit_test_setup_teardown (test_time_exact, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_time_range, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_time_threads, s_open, s_close),
      cmocka_unit_test (test_time_window),
      cmocka_unit_test_setup_teardown (test_time_interrupted, s_open, s_close),
      cmocka_unit_test (test_numbers),
      cmocka_unit_test_setup_teardown (test_stream, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_repetition, s_open, s_close),
      cmocka_unit_test (test_levels),
      cmocka_unit_test (test_reconnect),
      cmocka_unit_test_setup_teardown (test_many_series, s_open, s_close),
      cmocka_unit_test (test_again),
      cmocka_unit_test (test_again_bounds),
      cmocka_unit_test (test_again_full_pipe),
      cmocka_unit_test (test_again_broken_off),
      cmocka_unit_test (test_again_classic),
      cmocka_unit_test (test_flush),
      cmocka_unit_test_setup_teardown (test_stats, s_open, s_close),
      cmocka_unit_test (test_end_short),
      cmocka_unit_test (test_end_repeats),
      cmocka_unit_test (test_end_none),
      cmocka_unit_test_setup_teardown (test_age, s_open, s_close),
      cmocka_unit_test (test_max_series),
      cmocka_unit_test (test_close),
      cmocka_unit_test (test_close_busy),
      cmocka_unit_test (test_options),
      cmocka_unit_test (test_environment),
      cmocka_unit_test (test_strings),
      cmocka_unit_test (test_two_endpoints),
      cmocka_unit_test (test_context),
      cmocka_unit_test (test_classic),
      cmocka_unit_test_setup_teardown (test_errno, s_open, s_close),
      cmocka_unit_test (test_signals),
#ifndef NO_FORK
      cmocka_unit_test (test_fork),
      cmocka_unit_test (test_fork_ended),
      cmocka_unit_test (test_interrupted),
#endif
#if !defined NO_FORK && !defined NO_BUSY_FORK
      cmocka_unit_test (test_fork_any_time),
#endif
      cmocka_unit_test_setup_teardown (test_clock, s_open, s_close) };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
