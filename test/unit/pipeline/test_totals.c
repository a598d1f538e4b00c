/*  test_totals.c - does what a series has had since a start come out right?

    Rows go to a store, which checks each: for one start a total never falls,
    starts are never before what an older one has said, and nothing comes
    behind the row that ends.

    Sections: the store, flushes, adding, resting, saving, at random.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "hist.h"
#include "line.h"
#include "packed.h"
#include "table.h"
#include "totals.h"
#include "window.h"
#include "zibrato_backend.h"

#include <czmq.h>

#define SECOND INT64_C (1000000000)

//  --------------------------------------------------------------------------
//  The store: what it has of each series

enum { SERIES = 64, BUCKETS = 64 };

typedef struct {
    zb_type_t type;
    char name[ZB_NAME_MAX + 1], source[ZB_NAME_MAX + 1];
    int64_t start_ns, time_ns;
    double value, sum;
    uint64_t count, buckets;  //  all samples of these
    int is_signed, rows, rests, ends, starts;
    bool ended;
} stored_t;

static stored_t s_store[SERIES];
static size_t s_stored;
static int s_rows;  //  so far

static stored_t *
s_find (zb_type_t type, const char *name, const char *source)
{
    size_t i;
    for (i = 0; i < s_stored; i++)
        if (s_store[i].type == type && streq (s_store[i].name, name)
            && streq (s_store[i].source, source))
            return &s_store[i];
    assert_true (s_stored < SERIES);
    s_store[s_stored] = (stored_t){.type = type, .start_ns = -1};
    strcpy (s_store[s_stored].name, name);
    strcpy (s_store[s_stored].source, source);
    return &s_store[s_stored++];
}

static uint64_t
s_samples (const zb_total_t *total)
{
    uint64_t count = 0;
    size_t i;
    for (i = 0; i < total->bucket_count; i++) {
        if (i)
            assert_true (total->buckets[i - 1].index < total->buckets[i].index);
        count += total->buckets[i].count;
    }
    return count;
}

//  A series that has another start than before.
static void
stored_start (stored_t *self, const zb_row_t *row)
{
    assert_true (row->total->start_ns > self->start_ns);
    //  it does not reach into what the older one has said
    assert_true (row->total->start_ns >= self->time_ns);
    assert_true (row->total->start_ns < row->time_ns);
    self->start_ns = row->total->start_ns;
    self->value = self->sum = 0;
    self->count = 0;
    self->ended = false;
    self->starts++;
}

//  Takes a row in.
static void
s_take_row (void *argument, const zb_row_t *row)
{
    stored_t *self = s_find (row->type, row->name, row->source);
    const zb_total_t *total = row->total;
    (void) argument;
    assert_non_null (total);
    if (total->start_ns != self->start_ns)
        stored_start (self, row);
    assert_false (self->ended);
    assert_true (row->time_ns > self->time_ns);
    if (!row->is_signed)
        assert_true (total->value >= self->value);
    assert_true (total->count >= self->count);
    assert_true (total->sum >= self->sum);
    if (row->count == 0)
        assert_true (total->value == self->value && total->sum == self->sum
                     && total->count == self->count);
    self->time_ns = row->time_ns;
    self->value = total->value;
    self->sum = total->sum;
    self->count = total->count;
    self->buckets = s_samples (total);
    self->is_signed = row->is_signed;
    self->ended = row->ends;
    self->rows++;
    self->rests += row->count == 0;
    self->ends += row->ends;
    s_rows++;
}

//  --------------------------------------------------------------------------
//  Flushes

static const zb_backend_t s_plain = {.name = "plain"};
static const zb_backend_t s_totals = {.name = "totals",
                                      .wants = ZB_WANTS_TOTALS};
static const zb_backend_t s_idle = {.name = "idle",
                                    .wants = ZB_WANTS_TOTALS | ZB_WANTS_IDLE};

typedef struct {
    totals_t *totals;
    window_t window;
    int64_t second, ms;  //  of the last flush, of a clock that is never set
    bool refused;        //  the last entry
    char *file;          //  what was saved
    size_t size;
} worker_under_test_t;

static void
s_begin (worker_under_test_t *self, const zb_backend_t *backend,
         const char *signs)
{
    memset (self, 0, sizeof *self);
    memset (s_store, 0, sizeof s_store);
    s_stored = 0;
    s_rows = 0;
    self->second = 1000;
    self->ms = 77000;
    self->totals = totals_new (backend, signs, 100, self->ms);
    window_begin (&self->window);
}

static void
s_end (worker_under_test_t *self)
{
    totals_destroy (&self->totals);
    assert_null (self->totals);
    totals_destroy (&self->totals);
    window_clear (&self->window);
    free (self->file);
}

static entry_t *
s_entry (worker_under_test_t *self, zb_type_t type, const char *name,
         const char *source)
{
    zb_line_t line = {.type = type,
                      .name = name,
                      .name_size = strlen (name),
                      .source = source,
                      .source_size = strlen (source)};
    uint64_t hash = window_hash (&line);
    entry_t *entry = window_find (&self->window, &line, hash);
    return entry ? entry : window_add (&self->window, &line, hash);
}

static void
s_count (worker_under_test_t *self, const char *name, double value)
{
    s_entry (self, ZB_TYPE_COUNTER, name, "s")->sum += value;
}

static void
s_time (worker_under_test_t *self, const char *name, zb_ns_t ns)
{
    zb_line_t line = {.type = ZB_TYPE_TIMER, .value_ns = ns};
    entry_sample (s_entry (self, ZB_TYPE_TIMER, name, "s"), &line);
}

//  Gives the window out, so many seconds after the last flush. The name of a row
//  that is taken away must be in no other: all texts go with it.
static void
s_flush (worker_under_test_t *self, int64_t seconds)
{
    entry_t *entry;
    int64_t from = self->second;
    self->second += seconds;
    self->ms += seconds * 1000;
    totals_begin (self->totals, from, self->second, self->ms);
    for (entry = self->window.first; entry; entry = entry->next) {
        zb_row_t row;
        entry_row (entry, from, self->second, &row);
        self->refused = !totals_add (self->totals, entry, &row);
        if (!self->refused)
            s_take_row (NULL, &row);
    }
    self->totals->refusals.count = 0;  //  there would be thousands of lines
    totals_rest (self->totals, s_take_row, NULL);
    window_clear (&self->window);
    window_begin (&self->window);
}

//  Handler for totals_save.
static void
s_write (void *argument, const char *text, size_t size)
{
    worker_under_test_t *self = (worker_under_test_t *) argument;
    assert_true (size && text[size - 1] == '\n');
    self->file = (char *) realloc (self->file, self->size + size);
    memcpy (self->file + self->size, text, size);
    self->size += size;
}

static void
s_save (worker_under_test_t *self, bool whole)
{
    if (whole)
        self->size = 0;
    totals_save (self->totals, whole, s_write, self);
}

//  Another worker, with what was saved. Returns how many lines were bad.
static int
s_restart (worker_under_test_t *self, const zb_backend_t *backend,
           const char *signs)
{
    const char *at = self->file, *end = at + self->size;
    int bad = 0;
    totals_destroy (&self->totals);
    self->totals = totals_new (backend, signs, 100, self->ms);
    while (at < end) {
        const char *newline = memchr (at, '\n', (size_t) (end - at));
        int rc = totals_restore (self->totals, at, (size_t) (newline - at));
        assert_true (rc == 0 || rc == -1);
        bad += rc == -1;
        at = newline + 1;
    }
    return bad;
}

//  --------------------------------------------------------------------------
//  Adding

static void
test_counter (void **state)
{
    worker_under_test_t self;
    stored_t *c;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c", 5);
    s_flush (&self, 60);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    assert_true (c->value == 5);
    //  so that the first value is an increment, too
    assert_true (c->start_ns / SECOND == 1000 && c->time_ns == 1060 * SECOND);
    s_count (&self, "c", 0.25);
    s_count (&self, "later", 1);
    s_flush (&self, 60);
    assert_true (c->value == 5.25);
    assert_int_equal (c->starts, 1);
    assert_true (s_find (ZB_TYPE_COUNTER, "later", "s")->start_ns / SECOND
                 == 1060);
    assert_int_equal (s_rows, 3);
    s_end (&self);
}

//  Sums are of whole nanoseconds: 2^53 of them and one are one more.
static void
test_timer (void **state)
{
    worker_under_test_t self;
    stored_t *t;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_time (&self, "t", 1000);
    s_time (&self, "t", 0);
    s_flush (&self, 60);
    t = s_find (ZB_TYPE_TIMER, "t", "s");
    assert_int_equal (t->count, 2);
    assert_int_equal (t->buckets, 2);
    assert_true (t->sum == 1e-6);
    s_time (&self, "t", (zb_ns_t) 1 << 54);
    s_flush (&self, 60);
    s_time (&self, "t", 1);
    s_flush (&self, 60);
    s_time (&self, "t", 3000);
    s_flush (&self, 60);
    assert_int_equal (t->count, 5);
    assert_int_equal (t->buckets, 5);
    assert_true (t->sum == ((double) (1ull << 54) + 4000) / 1e9);
    assert_int_equal (s_rows, 4);
    s_end (&self);
}

//  A counter, a timer and another source are three series.
static void
test_series (void **state)
{
    worker_under_test_t self;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "same", 1);
    s_time (&self, "same", 2000000000);
    s_entry (&self, ZB_TYPE_COUNTER, "same", "other")->sum = 4;
    s_entry (&self, ZB_TYPE_COUNTER, "sam", "es")->sum = 8;
    s_flush (&self, 60);
    assert_int_equal (s_rows, 4);
    assert_true (s_find (ZB_TYPE_COUNTER, "same", "s")->value == 1);
    assert_true (s_find (ZB_TYPE_TIMER, "same", "s")->sum == 2);
    assert_true (s_find (ZB_TYPE_COUNTER, "same", "other")->value == 4);
    assert_true (s_find (ZB_TYPE_COUNTER, "sam", "es")->value == 8);
    s_end (&self);
}

static void
test_negative (void **state)
{
    worker_under_test_t self;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "new", -1);
    s_flush (&self, 60);
    assert_true (self.refused);
    s_count (&self, "c", 5);
    s_flush (&self, 60);
    s_count (&self, "c", -2);
    s_flush (&self, 60);
    assert_true (self.refused);
    s_count (&self, "c", 3);
    s_flush (&self, 60);
    assert_true (s_find (ZB_TYPE_COUNTER, "c", "s")->value == 8);
    assert_int_equal (self.totals->refused, 2);
    assert_int_equal (s_rows, 2);
    assert_int_equal (self.totals->table.count, 1);
    s_end (&self);
}

//  --signed is matched against the name without its tags.
static void
test_signed (void **state)
{
    static const struct {
        const char *name;
        bool falls;
    } names[] = {{"open.files", true},    {"open.files;host=a", true},
                 {"open", false},         {"x;a=open.y", false},
                 {"balance", true},       {"balance;n=1", true},
                 {"balances", false},     {"q1", true},
                 {"q12", false},          {"q", false},
                 {"open.;notatag", true}, {"zibrato.lost", true}};
    worker_under_test_t self;
    size_t i;
    (void) state;
    s_begin (&self, &s_totals, "open.*,balance,q?");
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        const stored_t *c;
        s_count (&self, names[i].name, 2);
        s_flush (&self, 1);
        s_count (&self, names[i].name, -3);
        s_flush (&self, 1);
        assert_true (self.refused != names[i].falls);
        c = s_find (ZB_TYPE_COUNTER, names[i].name, "s");
        assert_true (c->value == (names[i].falls ? -1 : 2));
        assert_int_equal (c->is_signed, names[i].falls);
    }
    s_end (&self);
}

//  A sum that is beyond all numbers has a new start.
static void
test_overflow (void **state)
{
    worker_under_test_t self;
    const stored_t *c;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c", 1.5e308);
    s_flush (&self, 60);
    s_count (&self, "c", 1.25e308);
    s_flush (&self, 60);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    assert_true (c->value == 1.25e308);
    assert_int_equal (c->starts, 2);
    s_count (&self, "c", INFINITY);
    s_flush (&self, 60);
    assert_true (self.refused);
    s_end (&self);
}

//  The start is before the row, whatever the clock does.
static void
test_clock_set_back (void **state)
{
    worker_under_test_t self;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    self.second = 5000;
    s_count (&self, "c", 1);
    s_flush (&self, -3600);
    assert_true (s_find (ZB_TYPE_COUNTER, "c", "s")->start_ns / SECOND == 1399);
    s_end (&self);
}

//  A row of that second, and what it says of its total. The store would not have
//  it: it does not know of clocks that are ahead.
static zb_total_t
s_total_at (worker_under_test_t *self, zb_type_t type, double value,
            int64_t second)
{
    int64_t from = second - 10;
    const entry_t *entry;
    zb_row_t row;
    zb_total_t total;
    self->ms += 10000;
    if (type == ZB_TYPE_TIMER)
        s_time (self, "a", (zb_ns_t) (value * 1e9));
    else
        s_count (self, "a", value);
    entry = self->window.first;
    totals_begin (self->totals, from, second, self->ms);
    entry_row (entry, from, second, &row);
    assert_true (totals_add (self->totals, entry, &row));
    total = *row.total;
    assert_true (total.start_ns < second * SECOND);
    window_clear (&self->window);
    window_begin (&self->window);
    return total;
}

//  Totals of times to come have been said. What grows before these times begins
//  anew, so that by time none falls; and it knows that also after a restart.
static void
test_clock_ahead (void **state)
{
    const zb_type_t counter = ZB_TYPE_COUNTER, timer = ZB_TYPE_TIMER;
    worker_under_test_t self;
    zb_total_t a, b;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_total_at (&self, timer, 16, 4990);
    a = s_total_at (&self, counter, 1, 5000);
    b = s_total_at (&self, counter, 2, 9000);
    assert_true (b.value == 3 && b.start_ns == a.start_ns);
    b = s_total_at (&self, counter, 4, 5010);
    assert_true (b.value == 4 && b.start_ns / SECOND == 5000);
    a = s_total_at (&self, counter, 8, 5020);
    assert_true (a.value == 12 && a.start_ns == b.start_ns);
    s_save (&self, true);
    assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
    a = s_total_at (&self, counter, 1, 5030);
    assert_true (a.value == 13 && a.start_ns == b.start_ns);
    a = s_total_at (&self, timer, 32, 5040);
    assert_true (a.sum == 32 && a.count == 1 && a.bucket_count == 1);
    assert_true (a.start_ns / SECOND == 5030);
    //  a worker finds the clock set back
    s_save (&self, true);
    s_restart (&self, &s_totals, NULL);
    a = s_total_at (&self, counter, 2, 4000);
    assert_true (a.value == 2 && a.start_ns / SECOND == 3990);
    s_end (&self);
}

//  The time of a flush that was before the clock went ahead is a start twice.
static void
test_clock_ahead_same_start (void **state)
{
    worker_under_test_t self;
    zb_total_t a, b;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    a = s_total_at (&self, ZB_TYPE_COUNTER, 5, 5010);
    self.totals->second = 9000;
    b = s_total_at (&self, ZB_TYPE_COUNTER, 1, 5010);
    assert_true (b.value == 1);
    assert_true (a.start_ns / SECOND == b.start_ns / SECOND);
    assert_true (a.start_ns != b.start_ns);
    s_end (&self);
}

//  --------------------------------------------------------------------------
//  Resting

static void
test_idle (void **state)
{
    worker_under_test_t self;
    stored_t *c, *t;
    int i;
    (void) state;
    s_begin (&self, &s_idle, NULL);
    assert_false (totals_due (self.totals, self.ms));
    s_count (&self, "c", 5);
    s_time (&self, "t", 2000000000);
    s_flush (&self, 40);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    t = s_find (ZB_TYPE_TIMER, "t", "s");
    for (i = 0; i < 2; i++) {
        assert_true (totals_due (self.totals, self.ms));
        s_flush (&self, 40);
        assert_int_equal (c->rests, i + 1);
        assert_int_equal (t->rests, i + 1);
        assert_true (c->value == 5 && t->sum == 2 && t->buckets == 1);
        s_count (&self, "busy", 1);
    }
    s_flush (&self, 40);  //  120 of 100 seconds
    assert_true (c->ended && t->ended);
    assert_int_equal (c->rests, 3);
    s_flush (&self, 40);
    assert_int_equal (c->rests, 3);
    //  who comes back has a new start
    s_count (&self, "c", 1);
    s_flush (&self, 40);
    assert_true (c->value == 1 && c->starts == 2);
    assert_true (c->start_ns / SECOND == self.second - 40);
    assert_int_equal (s_find (ZB_TYPE_COUNTER, "busy", "s")->ends, 0);
    s_end (&self);
}

//  Who does not want those that rest gets the last row only.
static void
test_not_idle (void **state)
{
    worker_under_test_t self;
    stored_t *c;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c", 5);
    s_flush (&self, 40);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    s_flush (&self, 40);
    assert_false (totals_due (self.totals, self.ms + 59999));
    assert_true (totals_due (self.totals, self.ms + 60000));
    s_flush (&self, 40);
    assert_int_equal (c->rests, 0);
    s_flush (&self, 40);
    assert_int_equal (c->rests, 1);
    assert_true (c->ended && c->value == 5);
    assert_false (totals_due (self.totals, self.ms + 1000000));
    s_end (&self);
}

//  With a row in each flush nothing is stale, whatever else there is.
static void
test_order (void **state)
{
    worker_under_test_t self;
    char name[16];
    int i, j;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    for (i = 0; i < 30; i++) {
        for (j = 0; j < 20; j++) {
            snprintf (name, sizeof name, "c%d", j);
            if ((i + j) % (j / 4 + 1) == 0)
                s_count (&self, name, 1);
        }
        s_flush (&self, 24);
        for (j = 0; j < 16; j++) {
            snprintf (name, sizeof name, "c%d", j);
            assert_int_equal (s_find (ZB_TYPE_COUNTER, name, "s")->ends, 0);
        }
    }
    s_end (&self);
}

//  --------------------------------------------------------------------------
//  Saving

static void
test_restart (void **state)
{
    worker_under_test_t self;
    stored_t *c, *t;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c;a=1", 0.1);
    s_time (&self, "t", ((zb_ns_t) 1 << 70) + 1);
    s_flush (&self, 60);
    s_save (&self, true);
    assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
    assert_true (totals_due (self.totals, self.ms));
    //  all of them once, in the first flush
    s_flush (&self, 10);
    c = s_find (ZB_TYPE_COUNTER, "c;a=1", "s");
    t = s_find (ZB_TYPE_TIMER, "t", "s");
    assert_int_equal (c->rests, 1);
    assert_int_equal (t->rests, 1);
    assert_false (totals_due (self.totals, self.ms));
    s_count (&self, "c;a=1", 0.2);
    s_flush (&self, 10);
    assert_true (c->value == 0.1 + 0.2);
    assert_int_equal (c->starts, 1);
    s_save (&self, false);
    s_restart (&self, &s_totals, NULL);
    s_flush (&self, 10);
    assert_true (c->value == 0.1 + 0.2);
    assert_true (self.totals->oldest->timer->sum_ns == ((zb_ns_t) 1 << 70) + 1);
    assert_int_equal (c->rests + t->rests, 4);
    s_end (&self);
}

//  Of what has ended nothing is left in the file, also of one that was appended
//  to.
static void
test_restart_ended (void **state)
{
    worker_under_test_t self;
    bool whole;
    (void) state;
    for (whole = false;; whole = true) {
        s_begin (&self, &s_totals, NULL);
        s_count (&self, "c", 1);
        s_time (&self, "c", 1);
        s_flush (&self, 60);
        s_save (&self, true);
        s_flush (&self, 120);
        s_save (&self, whole);
        assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
        assert_int_equal (self.totals->table.count, 0);
        s_flush (&self, 1);
        assert_int_equal (s_rows, 4);
        s_end (&self);
        if (whole)
            break;
    }
}

//  Rest is counted in time that workers ran.
static void
test_restart_rest (void **state)
{
    worker_under_test_t self;
    stored_t *c;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c", 1);
    s_flush (&self, 60);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    s_count (&self, "other", 1);
    s_flush (&self, 50);
    s_save (&self, true);
    self.second += 7200;
    self.ms += 7200 * 1000;
    s_restart (&self, &s_totals, NULL);
    self.second += 7200;  //  the wall clock only
    s_flush (&self, 49);
    assert_int_equal (c->ends, 0);
    assert_int_equal (c->rests, 1);
    s_flush (&self, 1);
    assert_int_equal (c->ends, 1);
    assert_true (c->value == 1);
    s_end (&self);
}

//  Whatever is allowed in names comes back.
static void
test_names (void **state)
{
    worker_under_test_t self;
    char name[ZB_NAME_MAX + 1], source[256];
    size_t size = 0;
    int c;
    (void) state;
    memset (name, 'n', sizeof name - 1);
    memset (source, 's', sizeof source - 1);
    name[ZB_NAME_MAX] = source[255] = 0;
    memcpy (name + 255, ";tag=", 5);
    for (c = 0x20; c < 256; c++)
        if (c != '|' && c != 0x7f) {
            source[size] = (char) c;
            name[size] = name[300 + size] = (char) (c == ';' ? ',' : c);
            size++;
        }
    s_begin (&self, &s_totals, NULL);
    s_entry (&self, ZB_TYPE_COUNTER, name, source)->sum = 1;
    s_flush (&self, 60);
    s_save (&self, true);
    assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
    s_entry (&self, ZB_TYPE_COUNTER, name, source)->sum = 2;
    s_flush (&self, 60);
    assert_int_equal (s_stored, 1);
    assert_int_equal (s_store[0].starts, 1);
    assert_true (s_store[0].value == 3);
    s_end (&self);
}

//  It is not known what a bad line was of: no total of before may go on.
static void
test_bad_lines (void **state)
{
    static const char *const bad[] = {
      "|total|",
      "|total|ran|",
      "|total|ran|x|1|1",
      "|total|ran|1|1",
      "|total|ran|1|x|1",
      "|total|ran|1|1|",
      "|total|ran|1|1|1|1",
      "|total|gauge",
      "|total|ran|5000000000|1|1",
      "|total|counter|1|2|n",
      "|total|counter|1|2|n|s",
      "|total|counter|1|2|n|s|",
      "|total|counter|1|2|n|s|x",
      "|total|counter|1|2|n|s|-1",
      "|total|counter|1|2|n|s|inf",
      "|total|counter|1|2|n|s|nan",
      "|total|counter|1|2|n|s|1|1",
      "|total|counter|1|2|n||1",
      "|total|counter|1|2||s|1",
      "|total|counter|-1|2|n|s|1",
      "|total|counter|1|x|n|s|1",
      "|total|counter|1|2|n\x01|s|1",
      "|total|counter||2|n|s|1",
      "|total|counter|1|4294967296|n|s|1",
      "|total|counter|9223372036854775808|2|n|s|1",
      "|total|timer|1|2|n|s|1|0|x|0=1",
      "|total|timer|1|2|n|s|1|0|1|0=",
      "|total|timer|1|2|n|s|1|0|1|2000=1",
      "|total|timer|1|2|n|s|1|0|1|0=1,0=1",
      "|total|timer|1|2|n|s|1|0",
      "|total|timer|1|2|n|s|18446744073709551616|0|1|",
      "|total|end|counter|n",
      "|total|end|gauge|n|s",
      "|total|end|counter|n|s|1"};
    static const char *const others[] = {"", "|", "|total", "|stream|x",
                                         "a|Counter|n|1|1|s"};
    worker_under_test_t self;
    size_t i;
    (void) state;
    s_begin (&self, &s_totals, NULL);
    s_count (&self, "c", 1);
    s_time (&self, "t", 1);
    s_flush (&self, 60);
    s_save (&self, true);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        //  sanitizers see it if more is read
        char *line = strdup (bad[i]);
        assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
        assert_int_equal (self.totals->table.count, 2);
        if (totals_restore (self.totals, line, strlen (line)) != -1)
            fail_msg ("%s", bad[i]);
        assert_int_equal (self.totals->table.count, 0);
        free (line);
    }
    for (i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal (
          totals_restore (self.totals, others[i], strlen (others[i])), 1);
    //  the worker's backend wants none
    assert_int_equal (totals_restore (NULL, bad[1], strlen (bad[1])), 0);
    assert_int_equal (totals_restore (NULL, others[3], strlen (others[3])), 1);
    s_count (&self, "c", 1);
    s_flush (&self, 60);
    assert_int_equal (s_find (ZB_TYPE_COUNTER, "c", "s")->starts, 2);
    s_end (&self);
}

//  What went both ways does not go on as what never falls, nor the reverse.
static void
test_signed_changes (void **state)
{
    worker_under_test_t self;
    stored_t *c;
    (void) state;
    s_begin (&self, &s_totals, "c");
    s_count (&self, "c", -1);
    s_flush (&self, 60);
    c = s_find (ZB_TYPE_COUNTER, "c", "s");
    s_save (&self, true);
    assert_int_equal (s_restart (&self, &s_totals, NULL), 0);
    s_count (&self, "c", 5);
    s_flush (&self, 60);
    assert_true (c->value == 5 && c->starts == 2 && !c->is_signed);
    s_save (&self, true);
    s_restart (&self, &s_totals, "c");
    s_count (&self, "c", -7);
    s_flush (&self, 60);
    assert_true (c->value == -7 && c->starts == 3 && c->is_signed);
    s_end (&self);
}

static void
test_options (void **state)
{
    (void) state;
    assert_null (totals_check (&s_totals, "c", 5));
    assert_null (totals_check (&s_plain, NULL, TOTALS_STALE));
    assert_string_equal (totals_check (&s_plain, "c", TOTALS_STALE),
                         "--signed: this backend gets increments");
    assert_string_equal (totals_check (&s_plain, NULL, 5),
                         "--stale: this backend gets increments");
    assert_null (totals_new (&s_plain, NULL, TOTALS_STALE, 0));
}

//  Any buckets come back from their few bytes.
static void
test_packed (void **state)
{
    hist_t from = {NULL, 0, 0}, to = {NULL, 0, 0};
    uint8_t *bytes = (uint8_t *) malloc (3000 * PACKED_BUCKET_MAX);
    int i, index;
    (void) state;
    for (i = 0; i < 2000; i++) {
        unsigned most = (unsigned) (s_any () % 300) + 1;
        from.size = 0;
        for (index = BUCKET_MIN - 1; index <= BUCKET_MAX;
             index += 1 + (int) (s_any () % most))
            if (index >= BUCKET_MIN)
                hist_at (&from, index)->count = s_any () >> s_any () % 64;
        packed_read (bytes, packed_write (bytes, &from), &to);
        assert_int_equal (from.size, to.size);
        for (index = 0; index < (int) from.size; index++) {
            assert_int_equal (from.bucket[index].index, to.bucket[index].index);
            assert_true (from.bucket[index].count == to.bucket[index].count);
        }
    }
    free (bytes);
    free (from.bucket);
    free (to.bucket);
}

//  --------------------------------------------------------------------------
//  At random: flushes, rests, crashes before and after the commit, saves of all
//  and of changes, a ledger that the disk had no room for. What the store has at
//  the end is what a fold of all delivered increments makes.

enum { NAMES = 12 };

//  What was delivered of a series since its start.
typedef struct {
    double value;
    uint64_t count, ns;
    int64_t rested;  //  seconds since the last row
    bool known;
} fold_t;

typedef struct {
    worker_under_test_t worker;
    const zb_backend_t *backend;
    fold_t fold[2 * NAMES];
    bool lost;  //  the file has nothing, though rows were sent
} world_t;

static void
world_name (char name[16], size_t i)
{
    snprintf (name, 16, i % 3 ? "n%zu" : "signed.%zu", i);
}

//  Measures something, and says what a fold makes of it.
static void
world_measure (world_t *self, fold_t *fold, size_t i)
{
    char name[16];
    double value = (double) (int64_t) (s_any () % 2001) - (i % 3 ? 100 : 1000);
    uint64_t ns = s_any () >> (20 + s_any () % 40);
    world_name (name, i);
    if (i < NAMES) {
        s_time (&self->worker, name, ns);
        fold->count++;
        fold->ns += ns;
    }
    else
        s_count (&self->worker, name, value);
    if (i >= NAMES && (value >= 0 || i % 3 == 0))
        fold->value += value;
    else if (i >= NAMES)
        return;  //  refused: no row
    fold->rested = 0;
    fold->known = true;
}

//  A window of at most one measurement a series: what a flush would make of the
//  folds.
static void
world_window (world_t *self, fold_t after[2 * NAMES])
{
    size_t i;
    for (i = 0; i < 2 * NAMES; i++) {
        after[i] = self->fold[i];
        after[i].rested = -1;
        if (s_any () % (i + 2) == 0)
            world_measure (self, &after[i], i);
    }
}

//  The store has what the folds say.
static void
world_check (const world_t *self)
{
    size_t i;
    for (i = 0; i < 2 * NAMES; i++) {
        const fold_t *fold = &self->fold[i];
        char name[16];
        const stored_t *stored;
        world_name (name, i);
        if (!fold->known)
            continue;
        stored =
          s_find (i < NAMES ? ZB_TYPE_TIMER : ZB_TYPE_COUNTER, name, "s");
        assert_true (stored->value == fold->value);
        assert_int_equal (stored->count, fold->count);
        assert_int_equal (stored->buckets, fold->count);
        assert_true (stored->sum == (double) fold->ns / 1e9);
        assert_false (stored->ended);
    }
}

//  How long each has rested, and which are stale by that.
static void
world_rest (world_t *self, fold_t after[2 * NAMES], int64_t seconds)
{
    size_t i;
    for (i = 0; i < 2 * NAMES; i++) {
        fold_t *fold = &after[i];
        if (fold->rested == -1)
            fold->rested = self->fold[i].rested + seconds;
        if (fold->rested >= 100)
            *fold = (fold_t){.known = false};
    }
}

//  A worker dies, and another one goes on with what was saved.
static void
world_crash (world_t *self)
{
    if (self->lost)
        memset (self->fold, 0, sizeof self->fold);
    self->lost = false;
    assert_int_equal (s_restart (&self->worker, self->backend, "signed.*"), 0);
}

//  A flush: it may come to nothing, be saved as a whole or not, or be sent though
//  its state was lost.
static void
world_flush (world_t *self)
{
    worker_under_test_t *worker = &self->worker;
    fold_t after[2 * NAMES];
    int64_t seconds = (int64_t) (s_any () % 40) + 1;
    bool whole = worker->size == 0 || s_any () % 8 == 0;
    world_window (self, after);
    if (s_any () % 16 == 0) {
        window_clear (&worker->window);
        window_begin (&worker->window);
        world_crash (self);
        return;
    }
    world_rest (self, after, seconds);
    s_flush (worker, seconds);
    s_save (worker, whole);
    memcpy (self->fold, after, sizeof after);
    self->lost = s_any () % 32 == 0;
    if (self->lost)
        worker->size = 0;
    world_check (self);
    if (s_any () % 16 == 0)
        world_crash (self);
}

static void
test_random (void **state)
{
    world_t self = {.lost = false};
    int run, i, ends = 0, rests = 0;
    (void) state;
    for (run = 0; run < 300; run++) {
        self.backend = run % 2 ? &s_idle : &s_totals;
        memset (self.fold, 0, sizeof self.fold);
        self.lost = false;
        s_begin (&self.worker, self.backend, "signed.*");
        for (i = 0; i < 200; i++)
            world_flush (&self);
        for (i = 0; i < (int) s_stored; i++) {
            ends += s_store[i].ends;
            rests += s_store[i].rests;
        }
        s_end (&self.worker);
    }
    assert_true (ends > 1000 && rests > 1000);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_counter),
      cmocka_unit_test (test_timer),
      cmocka_unit_test (test_series),
      cmocka_unit_test (test_negative),
      cmocka_unit_test (test_signed),
      cmocka_unit_test (test_overflow),
      cmocka_unit_test (test_clock_set_back),
      cmocka_unit_test (test_clock_ahead),
      cmocka_unit_test (test_clock_ahead_same_start),
      cmocka_unit_test (test_idle),
      cmocka_unit_test (test_not_idle),
      cmocka_unit_test (test_order),
      cmocka_unit_test (test_restart),
      cmocka_unit_test (test_restart_ended),
      cmocka_unit_test (test_restart_rest),
      cmocka_unit_test (test_names),
      cmocka_unit_test (test_bad_lines),
      cmocka_unit_test (test_signed_changes),
      cmocka_unit_test (test_options),
      cmocka_unit_test (test_packed),
      cmocka_unit_test (test_random)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
