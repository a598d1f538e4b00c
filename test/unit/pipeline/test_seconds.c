/*  test_seconds.c - which second does a row get?

    A flush gives rows out, of which no two are of one series and second; and
    all samples are in one of them, or open still.

    Sections: closing, names that become one, saving, at random.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "line.h"
#include "seconds.h"
#include "taken.h"
#include "window.h"
#include "zibrato_backend.h"

//  --------------------------------------------------------------------------
//  What was given out

enum { ROWS_MAX = 100 * 1000 };

typedef struct {
    int type;
    char name[16], source[16];
    int64_t second;
} out_key_t;

static struct {
    out_key_t key[ROWS_MAX];
    size_t rows;
    double sum, last;  //  of all, of the last one
    uint64_t samples;
} s_out;

static int
s_compare_keys (const void *a, const void *b)
{
    return memcmp (a, b, sizeof (out_key_t));
}

//  No two rows are of one series and second.
static void
s_check_unique (void)
{
    size_t i;
    qsort (s_out.key, s_out.rows, sizeof *s_out.key, s_compare_keys);
    for (i = 1; i < s_out.rows; i++)
        if (s_compare_keys (&s_out.key[i - 1], &s_out.key[i]) == 0)
            fail_msg ("two rows of %s at %" PRId64, s_out.key[i].name,
                      s_out.key[i].second);
}

static void
s_give (void *argument, const entry_t *entry)
{
    const seconds_t *self = (const seconds_t *) argument;
    out_key_t *key = &s_out.key[s_out.rows++];
    zb_row_t row;
    assert_true (s_out.rows < ROWS_MAX);
    entry_row (entry, 0, self->flush, &row);
    memset (key, 0, sizeof *key);
    key->type = (int) row.type;
    snprintf (key->name, sizeof key->name, "%s", row.name);
    snprintf (key->source, sizeof key->source, "%s", row.source);
    key->second = row.time_ns / 1000000000;
    s_out.samples += row.type == ZB_TYPE_COUNTER ? 0 : row.count;
    s_out.sum += row.sum;
    s_out.last = row.sum;
}

//  "!" and "?" become "_", as all sorts of letters do for a service.
static int
s_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    size_t i;
    (void) is_source;
    for (i = 0; text[i]; i++)
        fitted[i] = (char) (strchr ("!?", text[i]) ? '_' : text[i]);
    fitted[i] = 0;
    return strcmp (text, fitted) != 0;
}

static const zb_backend_t s_overwrites = {.name = "overwrites", .fit = s_fit};
static const zb_backend_t s_adds = {.name = "adds", .adds = 1};

static void
s_begin (seconds_t *self, window_t *window, const zb_backend_t *backend)
{
    memset (&s_out, 0, sizeof s_out);
    seconds_init (self, backend);
    window_begin (window);
}

//  A measurement of a window.
static void
s_measure (window_t *window, const char *type, const char *name, double value,
           int64_t second)
{
    char text[2048];
    zb_line_t line;
    entry_t *entry;
    snprintf (text, sizeof text, "a|%s|%s|%g|%" PRId64 "|s", type, name, value,
              second);
    assert_null (line_parse (text, strlen (text), &line));
    entry = window_find (window, &line, window_hash (&line));
    if (!entry)
        entry = window_add (window, &line, window_hash (&line));
    if (line.type == ZB_TYPE_COUNTER)
        entry->sum += value;
    else
        entry_sample (entry, &line);
}

//  Closes the window. Returns how many rows came of it.
static size_t
s_close (seconds_t *self, window_t *window, int64_t flush, bool last)
{
    size_t before = s_out.rows;
    seconds_close (self, window, flush, last, s_give, self);
    assert_int_equal (window->entries.count, 0);
    window_begin (window);
    return s_out.rows - before;
}

//  --------------------------------------------------------------------------
//  Closing

//  What is of the last two seconds waits for the next flush, and is one row with
//  what comes until then.
static void
test_open (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    s_measure (&window, "Gauge", "g", 1, 107);
    s_measure (&window, "Gauge", "g", 2, 108);
    s_measure (&window, "Gauge", "g", 4, 109);
    s_measure (&window, "Counter", "c", 8, 109);
    assert_int_equal (s_close (&self, &window, 110, false), 2);
    assert_true (s_out.sum == 1 + 8);
    assert_int_equal (self.opens, 2);
    s_measure (&window, "Gauge", "g", 16, 109);
    assert_int_equal (s_close (&self, &window, 111, false), 1);
    assert_true (s_out.last == 2);
    assert_int_equal (s_close (&self, &window, 112, false), 1);
    assert_true (s_out.last == 4 + 16);
    assert_int_equal (self.late, 0);
    assert_int_equal (self.opens, 0);
    s_check_unique ();
    seconds_clear (&self);
}

//  Who comes when a row of his second, or of a later one, is out gets the next
//  open second; others keep theirs, however old.
static void
test_late (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    s_measure (&window, "Gauge", "g", 1, 100);
    assert_int_equal (s_close (&self, &window, 110, false), 1);
    s_measure (&window, "Gauge", "g", 2, 100);
    s_measure (&window, "Gauge", "g", 4, 99);
    s_measure (&window, "Timer", "g", 8, 100);
    s_measure (&window, "Gauge", "held", 16, 50);
    s_measure (&window, "Gauge", "held", 32, 40);
    assert_int_equal (s_close (&self, &window, 111, false), 3);
    assert_int_equal (self.late, 2);
    assert_true (s_out.sum == 1 + 8 + 16 + 32);
    s_measure (&window, "Gauge", "g", 64, 109);
    assert_int_equal (s_close (&self, &window, 112, false), 1);
    assert_true (s_out.last == 2 + 4 + 64);  //  at 109, which was open
    assert_int_equal (self.late, 2);
    s_check_unique ();
    seconds_clear (&self);
}

//  A program's clock that is ahead keeps nothing open for long, and does not
//  block its name for others.
static void
test_ahead (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    s_measure (&window, "Gauge", "g", 1, 100 + AHEAD_SECONDS);
    s_measure (&window, "Gauge", "g", 2, 100 + AHEAD_SECONDS + 1);
    s_measure (&window, "Gauge", "g", 4, 9000000000);
    assert_int_equal (s_close (&self, &window, 100, false), 0);
    assert_int_equal (self.late, 2);
    s_measure (&window, "Gauge", "g", 8, 100);
    assert_int_equal (s_close (&self, &window, 103, false), 2);
    assert_true (s_out.sum == 2 + 4 + 8);
    //  the last flush leaves nothing open
    assert_int_equal (s_close (&self, &window, 104, true), 1);
    assert_int_equal (s_out.key[2].second, 104);
    assert_int_equal (self.late, 3);
    s_check_unique ();
    seconds_clear (&self);
}

//  Who has had no row for long is forgotten; but seconds of that time do not come
//  back.
static void
test_forget (void **state)
{
    enum { FIRST = 1000000 };
    seconds_t self;
    window_t window = {.number = 0};
    int64_t flush;
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    s_close (&self, &window, -1, false);  //  as a new folder begins
    s_measure (&window, "Gauge", "g", 1, 1000);
    s_close (&self, &window, FIRST, false);
    s_measure (&window, "Gauge", "h", 1, 1000);
    s_close (&self, &window, FIRST + 1, false);
    assert_int_equal (self.late, 0);
    for (flush = FIRST; flush < FIRST + 2 * KNOWN_SECONDS; flush += 60) {
        s_measure (&window, "Gauge", "i", 1, flush - 10);
        s_close (&self, &window, flush + 2, false);
    }
    assert_int_equal (self.count, 1);
    s_measure (&window, "Gauge", "g", 1, 1000);
    s_measure (&window, "Gauge", "g", 1, flush - 600);
    s_close (&self, &window, flush + 2, false);
    assert_int_equal (self.late, 1);
    s_check_unique ();
    seconds_clear (&self);
}

//  A worker that does not know of the one before it begins after its start.
static void
test_start (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    size_t i;
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    seconds_start (&self, 100);
    assert_int_equal (self.flush, 101);
    s_measure (&window, "Gauge", "g", 1, 50);
    s_measure (&window, "Gauge", "g", 2, 101);
    s_measure (&window, "Gauge", "h", 4, 102);
    s_close (&self, &window, 102, false);
    s_measure (&window, "Gauge", "i", 8, 20);
    s_close (&self, &window, 103, true);
    assert_true (s_out.sum == 15);
    for (i = 0; i < s_out.rows; i++)
        assert_true (s_out.key[i].second > 101);
    s_check_unique ();
    seconds_clear (&self);
}

//  A place that keeps one value for ten seconds: a flush between two boundaries gets
//  the next slot, and so does one that comes when that is taken. A worker that does
//  not know of the one before it leaves that one's last slot out.
static void
test_slots (void **state)
{
    seconds_t self;
    (void) state;
    seconds_init (&self, &s_overwrites);
    self.slot = 10;
    assert_int_equal (seconds_next (&self, 100), 100);
    assert_int_equal (seconds_next (&self, 101), 110);
    self.flush = 110;
    taken_add (&self.taken, 110);
    assert_int_equal (seconds_next (&self, 103), 120);
    assert_int_equal (seconds_next (&self, 110), 120);
    assert_int_equal (seconds_next (&self, 120), 120);
    seconds_clear (&self);
    seconds_init (&self, &s_overwrites);
    self.slot = 10;
    seconds_start (&self, 101);
    assert_int_equal (self.flush, 110);
    assert_int_equal (seconds_next (&self, 110), 120);
    seconds_clear (&self);
}

//  Where rows add up, all goes out at once.
static void
test_adds (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    s_begin (&self, &window, &s_adds);
    seconds_start (&self, 100);
    s_measure (&window, "Gauge", "g", 1, 99);
    s_measure (&window, "Gauge", "g", 2, 101);
    assert_int_equal (s_close (&self, &window, 101, false), 2);
    s_measure (&window, "Gauge", "g", 4, 99);
    assert_int_equal (s_close (&self, &window, 102, false), 1);
    assert_int_equal (self.late, 0);
    seconds_clear (&self);
}

//  A timer has a percentile, a gauge of the name that a gauge has, too.
static void
s_give_percentile (void *argument, const entry_t *entry)
{
    seconds_t *self = (seconds_t *) argument;
    if (entry->type != ZB_TYPE_TIMER
        || seconds_take (self, "t.p50", "s", entry->second))
        s_give (argument, entry);
}

//  The two get no second both, in whatever order they came, nor when all goes
//  out.
static void
test_percentile (void **state)
{
    static const char *const types[] = {"Timer", "Gauge"};
    seconds_t self;
    window_t window = {.number = 0};
    int first;
    (void) state;
    for (first = 0; first < 2; first++) {
        s_begin (&self, &window, &s_overwrites);
        s_measure (&window, types[first], "t.p50", 1, 110);
        s_measure (&window, types[!first], "t.p50", 1, 110);
        seconds_close (&self, &window, 110, true, s_give_percentile, &self);
        assert_int_equal (s_out.rows, 1);
        assert_int_equal (s_out.key[0].type, ZB_TYPE_GAUGE);
        seconds_clear (&self);
    }
}

//  --------------------------------------------------------------------------
//  Names that become one

static void
test_fit (void **state)
{
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    s_measure (&window, "Gauge", "g!", 1, 50);
    s_measure (&window, "Gauge", "g?", 2, 50);
    s_measure (&window, "Gauge", "g_", 4, 50);
    s_measure (&window, "Counter", "c!", 8, 50);
    s_measure (&window, "Counter", "c?", 16, 50);
    s_measure (&window, "Timer", "g!", 32, 50);
    assert_int_equal (s_close (&self, &window, 100, false), 3);
    assert_true (s_out.sum == 63);
    s_check_unique ();
    seconds_clear (&self);
}

//  --------------------------------------------------------------------------
//  Saving

typedef struct {
    char text[1 << 20];
    size_t size;
} lines_t;

static void
s_write (void *argument, const char *text, size_t size)
{
    lines_t *file = (lines_t *) argument;
    assert_true (file->size + size < sizeof file->text);
    memcpy (file->text + file->size, text, size);
    file->size += size;
}

//  A worker that is killed, and its file read by the next one.
static void
s_restart (seconds_t *self, const lines_t *file)
{
    const char *at = file->text, *end = at + file->size;
    seconds_clear (self);
    seconds_init (self, &s_overwrites);
    while (at < end) {
        const char *newline = memchr (at, '\n', (size_t) (end - at));
        assert_int_equal (seconds_restore (self, at, (size_t) (newline - at)),
                          0);
        at = newline + 1;
    }
    seconds_start (self, 1000000);
}

static void
test_restart (void **state)
{
    static lines_t file;
    seconds_t self;
    window_t window = {.number = 0};
    (void) state;
    file.size = 0;
    {
        s_begin (&self, &window, &s_overwrites);
        s_measure (&window, "Gauge", "g", 1, 100);
        s_measure (&window, "Timer", "t", 0.25, 109);
        s_measure (&window, "Timer", "t", 1e9, 109);
        assert_int_equal (s_close (&self, &window, 110, false), 1);
        seconds_save (&self, s_write, &file);
        s_restart (&self, &file);
        assert_int_equal (self.flush, 110);
        assert_int_equal (self.opens, 1);
        s_measure (&window, "Gauge", "g", 2, 100);  //  are closed
        s_measure (&window, "Gauge", "h", 4, 107);
        s_measure (&window, "Gauge", "h", 4, 108);  //  is not
        s_measure (&window, "Timer", "t", 0.5, 109);
        assert_int_equal (s_close (&self, &window, 111, true), 4);
        assert_int_equal (self.late, 2);
        assert_true (s_out.samples == 7);
        assert_true (s_out.sum == 1 + 2 + 4 + 4 + 1e9 + 0.75);
        s_check_unique ();
        seconds_clear (&self);
    }
}

//  What is saved of an entry is all that there is.
static void
test_entry_lines (void **state)
{
    static lines_t file;
    char name[LINE_NAME_MAX + 1];
    seconds_t self;
    window_t window = {.number = 0};
    zb_row_t before, after;
    size_t size;
    int i;
    (void) state;
    s_begin (&self, &window, &(zb_backend_t){.name = "overwrites"});
    file.size = 0;
    snprintf (name, sizeof name, "t;k=%01019d", 7);
    for (i = 0; i < 1000; i++)
        s_measure (&window, "Timer", name, (double) (s_any () % 100000) / 1e6,
                   109);
    s_close (&self, &window, 110, false);
    entry_row (self.open.first, 0, 0, &before);
    seconds_save (&self, s_write, &file);
    s_restart (&self, &file);
    entry_row (self.open.first, 0, 0, &after);
    assert_int_equal (before.count, after.count);
    assert_true (before.sum == after.sum && before.min == after.min
                 && before.max == after.max
                 && before.sum_squares == after.sum_squares);
    size = file.size;
    file.size = 0;
    seconds_save (&self, s_write, &file);
    assert_int_equal (file.size, size);
    seconds_clear (&self);
}

static void
test_bad_lines (void **state)
{
    static const char *const bad[] = {
      "|flush|",
      "|flush|1|2",
      "|flush|9223372036854775807|1",
      "|flush|x|1",
      "|flush|5|3|x",
      "|flush|5|3|5|4|9",
      "|flush|5|3|5|9|8",
      "|flush|5|3|5|9",
      "|open|",
      "|open|1|5|n|s|1|0|1|0x1p0|0x1p0|0x1p0|0x1p0|",  //  a counter
      "|open|2|x|n|s|1|0|1|0x1p0|0x1p0|0x1p0|0x1p0|",
      "|open|2|5||s|1|0|1|0x1p0|0x1p0|0x1p0|0x1p0|",
      "|open|2|5|n|s|1|0|1|0x1p0|0x1p0|",
      "|open|2|5|n|s|1|0|1|0x1p0|0x1p0|0x1p0|0x1p0|7"};
    seconds_t self;
    window_t window = {.number = 0};
    size_t i;
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        if (seconds_restore (&self, bad[i], strlen (bad[i])) != -1)
            fail_msg ("%s: taken for good", bad[i]);
    assert_int_equal (seconds_restore (&self, "|stream|1", 9), 1);
    assert_int_equal (seconds_restore (&self, "", 0), 1);
    assert_false (self.known);
    seconds_clear (&self);
}

//  --------------------------------------------------------------------------
//  A wall clock that is ahead for a moment

//  As worker_tick does: a boundary that is taken is left out, but not for long.
static bool
s_worker_waits (const seconds_t *self, int64_t boundary)
{
    static int waited;
    bool waits = taken_free (&self->taken, boundary) != boundary && waited < 2;
    waited = waits ? waited + 1 : 0;
    return waits;
}

//  Rows have the clock's seconds before, meanwhile and after it, and those that
//  were given out meanwhile are left out when their time has come.
static void
test_clock_ahead (void **state)
{
    enum { FIRST = 1000000, HOUR = 3600 };
    static lines_t file;
    seconds_t self;
    window_t window = {.number = 0};
    int64_t at, flush, ahead;
    int restarts;
    (void) state;
    for (restarts = 0; restarts < 2; restarts++) {
        s_begin (&self, &window, &s_overwrites);
        seconds_start (&self, FIRST);
        for (at = FIRST + 2; at < FIRST + HOUR + 60; at++) {
            ahead = at >= FIRST + 10 && at < FIRST + 12 ? HOUR : 0;
            s_measure (&window, "Gauge", "g", 1, at + ahead);
            s_measure (&window, "Counter", "c", 1, at + ahead);
            if (s_worker_waits (&self, at + ahead))
                continue;
            flush = seconds_next (&self, at + ahead);
            assert_true (flush == at + ahead || at > FIRST + HOUR);
            s_close (&self, &window, flush, false);
            file.size = 0;
            seconds_save (&self, s_write, &file);
            if (restarts)
                s_restart (&self, &file);
        }
        s_close (&self, &window, seconds_next (&self, at), true);
        //  of the jumps, and of the seconds that were taken, no others
        assert_int_equal (self.late, restarts ? 0 : 12);
        assert_true (s_out.sum == 2 * (HOUR + 58));
        s_check_unique ();
        seconds_clear (&self);
    }
}

//  The clock jumps at any time, by any amount, and comes back. Counters and
//  gauges, of programs with that clock and with the true one, get no second twice,
//  and soon have true ones again.
static void
test_clock_jumps (void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static lines_t file;
    seconds_t self;
    window_t window = {.number = 0};
    int64_t at, wall, flush, ahead = 0, quiet = 0;
    double sum = 0;
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    seconds_start (&self, 1000000);
    for (at = 1000002; at < 1010000; at++) {
        if (s_any () % (ahead ? 4 : 400) == 0) {
            ahead = ahead ? 0 : (int64_t) (s_any () % 9000);
            quiet = at;
        }
        wall = at + ahead;
        s_measure (&window, "Gauge", names[s_any () % 4], 1, at);
        s_measure (&window, "Gauge", names[s_any () % 4], 1, wall);
        s_measure (&window, "Timer", names[s_any () % 4], 1,
                   at - (int64_t) (s_any () % 900));
        s_measure (&window, "Counter", names[s_any () % 4], 1, wall);
        sum += 4;
        if (s_worker_waits (&self, wall))
            continue;
        flush = seconds_next (&self, wall);
        assert_true (flush >= wall);
        if (!ahead && at - quiet > 60)
            assert_true (flush - wall <= 2 * TAKEN_GAP);
        s_close (&self, &window, flush, false);
        file.size = 0;
        seconds_save (&self, s_write, &file);
        if (s_any () % 50 == 0)
            s_restart (&self, &file);
    }
    s_close (&self, &window, seconds_next (&self, at), true);
    assert_true (s_out.sum == sum);
    s_check_unique ();
    seconds_clear (&self);
}

//  --------------------------------------------------------------------------
//  At random: flushes, kills, stops, clocks. Each sample is in one row, and no
//  second is there twice.

static void
test_random (void **state)
{
    static const char *const types[] = {"Gauge", "Timer", "Counter"};
    static const char *const names[] = {"a", "b!", "b?", "c"};
    static lines_t file;
    seconds_t self;
    window_t window = {.number = 0};
    double sum = 0;
    int64_t flush = 1000000;
    int i, round;
    (void) state;
    s_begin (&self, &window, &s_overwrites);
    for (round = 0; round < 3000; round++) {
        bool last = s_any () % 50 == 0;
        for (i = 0; i < 20; i++) {
            int64_t at = flush - 8 + (int64_t) (s_any () % 12);
            if (s_any () % 16 == 0)
                at = flush - 100 + (int64_t) (s_any () % 300);
            s_measure (&window, types[s_any () % 3], names[s_any () % 4], 1,
                       at);
            sum++;
        }
        flush += 1 + (int64_t) (s_any () % 3);
        s_close (&self, &window, flush, last);
        assert_true (!last || !self.opens);
        file.size = 0;
        seconds_save (&self, s_write, &file);
        if (s_any () % 10 == 0)
            s_restart (&self, &file);
    }
    s_close (&self, &window, flush + 1, true);
    assert_true (s_out.sum == sum);
    s_check_unique ();
    seconds_clear (&self);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_open),        cmocka_unit_test (test_late),
      cmocka_unit_test (test_ahead),       cmocka_unit_test (test_start),
      cmocka_unit_test (test_forget),      cmocka_unit_test (test_adds),
      cmocka_unit_test (test_fit),         cmocka_unit_test (test_restart),
      cmocka_unit_test (test_entry_lines), cmocka_unit_test (test_bad_lines),
      cmocka_unit_test (test_percentile),  cmocka_unit_test (test_clock_ahead),
      cmocka_unit_test (test_clock_jumps), cmocka_unit_test (test_slots),
      cmocka_unit_test (test_random)};
    return cmocka_run_group_tests_name ("seconds", tests, NULL, NULL);
}
