/*  test_late.c - a worker without a spool has followed another one, at several
    brokers: what programs sent by one of them only comes late, and counts

    A model publisher is met by a ledger that is younger. What it sent first
    comes by one broker, what it sent after that by both, each in its order, but
    not the one in the other's. In the end the ledger has counted what was
    measured since the worker before it had left, to the last bit.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#define _GNU_SOURCE  //  asprintf

#include "../unit.h"

#include "hist.h"
#include "ledger.h"
#include "line.h"
#include "note.h"

enum {
    SERIES = 4,
    MESSAGES = 40,
    BORN_MS = 10000,  //  the ledger, after the stream
    SAMPLE_NS = 500000000
};

typedef struct {
    uint64_t total, told, first;
    bool known;
} model_t;

//  All lines of a message, and when it was made, as an age.
typedef struct {
    char *line[SERIES];
    uint64_t recent[SERIES];
    size_t lines;
    int64_t age_ms;
} message_t;

typedef struct {
    model_t model[SERIES];
    uint64_t seq;
    message_t message[MESSAGES];
    size_t messages;
} publisher_t;

//  What a ledger has counted of each series.
typedef struct {
    ledger_t *ledger;
    uint64_t value[SERIES];
    zb_ns_t sum_ns[SERIES];
} taker_t;

//  Even ones are counters, odd ones timers of equal samples.
static char *
s_line (publisher_t *self, int number, uint64_t value)
{
    const model_t *series = &self->model[number];
    char *text = NULL;
    if (number % 2 == 0)
        assert_true (asprintf (&text,
                               "a|Counter|n%d|%" PRIu64 "|1|s|1-1:%" PRIu64
                               ":%" PRIu64 ":%" PRIu64,
                               number, value, self->seq, series->first,
                               series->total)
                     > 0);
    else
        assert_true (
          asprintf (&text,
                    "a|Timer|n%d|%.1f|1|s|1-1:%" PRIu64 ":%" PRIu64 ":%" PRIu64
                    ":%.1f:%.2f:%s:%s:%d=%" PRIu64,
                    number, (double) value / 2, self->seq, series->first,
                    series->total, (double) series->total / 2,
                    (double) series->total / 4, value ? "0.5" : "0",
                    value ? "0.5" : "0", hist_bucket (SAMPLE_NS), series->total)
          > 0);
    return text;
}

//  A report of all series, or of some.
static void
publisher_send (publisher_t *self, int64_t age_ms, bool all)
{
    message_t *message = &self->message[self->messages++];
    *message = (message_t){.age_ms = age_ms};
    for (int i = 0; i < SERIES; i++) {
        model_t *series = &self->model[i];
        if (!all && s_any () % 3 == 0)
            continue;
        series->total += s_any () % 5;
        if (!series->known)
            series->first = self->seq;
        series->known = true;
        message->recent[message->lines] = series->total - series->told;
        message->line[message->lines++] =
          s_line (self, i, series->total - series->told);
        series->told = series->total;
        self->seq++;
    }
}

static void
publisher_clear (publisher_t *self)
{
    for (size_t i = 0; i < self->messages; i++)
        for (size_t at = 0; at < self->message[i].lines; at++)
            free (self->message[i].line[at]);
}

static void
taker_take (taker_t *self, const message_t *message)
{
    increment_t increment = {0};
    for (size_t i = 0; i < message->lines; i++) {
        zb_line_t line;
        const char *text = message->line[i];
        assert_null (line_parse (text, strlen (text), &line));
        line.age_ms = message->age_ms;
        line.recent = message->recent[i];
        line.recent_given = line.type == ZB_TYPE_TIMER;
        increment.count = increment.hist.size = 0;
        if (!ledger_state (self->ledger, &line, &increment))
            continue;
        int number = line.name[1] - '0';
        uint64_t in_buckets = 0;
        for (size_t at = 0; at < increment.hist.size; at++)
            in_buckets += increment.hist.bucket[at].count;
        self->value[number] += line.type == ZB_TYPE_COUNTER
                                 ? (uint64_t) increment.value
                                 : increment.count;
        if (line.type != ZB_TYPE_TIMER)
            continue;
        assert_int_equal (in_buckets, increment.count);
        self->sum_ns[number] += increment.sum_ns;
        if (increment.count) {
            //  edges of buckets, where a report of several is all there is
            assert_true (increment.min_ns <= SAMPLE_NS);
            assert_true (increment.max_ns >= SAMPLE_NS);
        }
    }
    free (increment.hist.bucket);
}

static void
s_keep (void *argument, const char *text, size_t size)
{
    assert_int_equal (ledger_restore (argument, text, size - 1), 0);
}

//  A worker with a spool is killed, and goes on from what it has saved.
static void
taker_restart (taker_t *self)
{
    ledger_t *next = ledger_new ();
    next->several = true;
    ledger_save_begin (self->ledger, 1, s_keep, next);
    assert_int_equal (ledger_save (self->ledger, SIZE_MAX), 1);
    next->now_ms = self->ledger->now_ms;
    ledger_destroy (&self->ledger);
    self->ledger = next;
}

static taker_t
taker_new (void)
{
    taker_t self = {.ledger = ledger_new ()};
    self.ledger->several = true;
    self.ledger->now_ms = self.ledger->born_ms + 100;
    return self;
}

//  Those of a worker that has left, those that come by one broker only, and the
//  rest; by both brokers in any order. `stale`: what the last worker had comes
//  once more, by the second broker, which stood still.
static void
s_run (bool stale, bool restart)
{
    publisher_t publisher = {.seq = 1};
    uint64_t before[SERIES] = {0};
    size_t cut = s_any () % 5, one, at[2];
    taker_t taker = taker_new ();
    while (publisher.messages < cut)
        publisher_send (&publisher, BORN_MS - 1000, false);
    for (int i = 0; i < SERIES; i++)
        before[i] = publisher.model[i].total;
    one = cut + s_any () % 4;
    while (publisher.messages < MESSAGES)
        publisher_send (&publisher, BORN_MS + (int64_t) publisher.messages,
                        publisher.messages == cut
                          || publisher.messages == MESSAGES - 1);
    at[0] = cut;
    at[1] = stale ? 0 : one;
    if (stale)
        taker_take (&taker, &publisher.message[at[0]++]);
    while (at[0] < MESSAGES || at[1] < MESSAGES) {
        size_t way = s_any () % 2;
        if (at[way] == MESSAGES)
            way = 1 - way;
        taker_take (&taker, &publisher.message[at[way]++]);
        if (at[1] == cut)
            at[1] = one > cut ? one : cut;
        if (restart && s_any () % 8 == 0)
            taker_restart (&taker);
    }
    for (int i = 0; i < SERIES; i++) {
        uint64_t due = publisher.model[i].total - before[i];
        assert_int_equal (taker.value[i], due);
        if (i % 2)
            assert_true (taker.sum_ns[i] == (zb_ns_t) due * SAMPLE_NS);
    }
    publisher_clear (&publisher);
    ledger_destroy (&taker.ledger);
}

static void
test_any_order (void **state)
{
    (void) state;
    for (unsigned run = 0; run < 4000; run++) {
        s_seed = run;
        s_run (run % 2, run % 4 / 2);
    }
}

//  One counter's lines, of such an age: what it adds, or -1 if nothing new.
static double
s_counter (ledger_t *ledger, int64_t age_ms, const char *value,
           const char *stream)
{
    char text[200];
    increment_t increment = {0};
    zb_line_t line;
    snprintf (text, sizeof text, "a|Counter|n|%s|1|s|1-1:%s", value, stream);
    assert_null (line_parse (text, strlen (text), &line));
    line.age_ms = age_ms;
    return ledger_state (ledger, &line, &increment) ? increment.value : -1;
}

//  Only what was made since the ledger's birth counts late, only at several
//  brokers, and only as long as a line can be late.
static void
test_limits (void **state)
{
    taker_t taker = taker_new ();
    (void) state;
    assert_true (s_counter (taker.ledger, BORN_MS + 100, "2", "9:3:40") == 2);
    assert_true (s_counter (taker.ledger, BORN_MS - 1, "3", "8:3:38") == -1);
    assert_true (s_counter (taker.ledger, BORN_MS, "3", "8:3:38") == 3);
    assert_true (s_counter (taker.ledger, BORN_MS, "3", "8:3:38") == -1);
    assert_true (s_counter (taker.ledger, -1, "1", "7:3:35") == -1);
    assert_int_equal (taker.ledger->duplicates, 3);
    //  with one that never comes in between
    assert_true (s_counter (taker.ledger, BORN_MS, "1", "6:3:30") == 6);
    for (int64_t ms = 0; ms <= LATE_MS; ms += TICK_MAX_MS)
        ledger_tick (taker.ledger, taker.ledger->tick_ms + TICK_MAX_MS);
    ledger_clean (taker.ledger, SIZE_MAX);
    assert_int_equal (taker.ledger->bases.table.count, 0);
    assert_null (taker.ledger->bases.oldest);
    assert_true (s_counter (taker.ledger, BORN_MS, "1", "5:3:29") == -1);
    ledger_destroy (&taker.ledger);

    taker = taker_new ();
    taker.ledger->several = false;
    assert_true (s_counter (taker.ledger, BORN_MS + 100, "2", "9:3:40") == 2);
    assert_true (s_counter (taker.ledger, BORN_MS + 1, "3", "8:3:38") == -1);
    assert_int_equal (taker.ledger->bases.table.count, 0);
    ledger_destroy (&taker.ledger);
}

//  A series that began in a line that is late is known as a whole.
static void
test_beginning (void **state)
{
    taker_t taker = taker_new ();
    (void) state;
    assert_true (s_counter (taker.ledger, BORN_MS + 100, "2", "9:3:7") == 2);
    assert_true (s_counter (taker.ledger, BORN_MS, "5", "3:3:5") == 5);
    assert_int_equal (taker.ledger->live.oldest->met_seq, 3);
    ledger_destroy (&taker.ledger);
}

static void
s_end (ledger_t *ledger, const char *text)
{
    note_t note;
    assert_null (note_parse (text, strlen (text), &note));
    note.age_ms = BORN_MS + 100;
    ledger_end (ledger, &note);
}

//  It ends before its beginning has come: it stays for as long as that can.
static void
test_ended (void **state)
{
    taker_t taker = taker_new ();
    ledger_t *ledger = taker.ledger;
    (void) state;
    assert_true (s_counter (ledger, BORN_MS + 100, "2", "9:3:40") == 2);
    s_end (ledger, "a|End|1-1|1|9|0");
    assert_int_equal (ledger->streams.count, 1);
    assert_true (s_counter (ledger, BORN_MS, "3", "8:3:38") == 3);
    for (int64_t ms = 0; ms <= LATE_MS; ms += TICK_MAX_MS)
        ledger_tick (ledger, ledger->tick_ms + TICK_MAX_MS);
    while (!ledger_clean (ledger, 64)) {
    }
    assert_int_equal (ledger->streams.count, 0);
    assert_int_equal (ledger->series.count, 0);
    assert_int_equal (ledger->bases.table.count, 0);
    assert_int_equal (ledger->incomplete, 0);
    assert_true (s_counter (ledger, BORN_MS, "1", "7:3:35") == -1);
    ledger_destroy (&taker.ledger);
}

static int
s_reading (ledger_t *ledger, int64_t age_ms, const char *stream)
{
    char text[200];
    zb_line_t line;
    snprintf (text, sizeof text, "a|Gauge|g|1|1|s|1-1:%s", stream);
    assert_null (line_parse (text, strlen (text), &line));
    line.age_ms = age_ms;
    return ledger_gauge (ledger, &line);
}

//  A reading that the last worker had comes late from a broker that stood still.
static void
test_readings (void **state)
{
    taker_t taker = taker_new ();
    (void) state;
    assert_int_equal (s_reading (taker.ledger, BORN_MS + 100, "9:9"), 0);
    assert_int_equal (s_reading (taker.ledger, BORN_MS - 1, "7:7"), -1);
    assert_int_equal (ledger_lost (taker.ledger), 0);
    assert_int_equal (s_reading (taker.ledger, BORN_MS, "8:8"), 0);
    assert_int_equal (ledger_lost (taker.ledger), 0);
    ledger_destroy (&taker.ledger);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_any_order), cmocka_unit_test (test_limits),
      cmocka_unit_test (test_beginning), cmocka_unit_test (test_ended),
      cmocka_unit_test (test_readings)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
