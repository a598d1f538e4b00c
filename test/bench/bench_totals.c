/*  bench_totals - a million totals: processor seconds of a flush, of saving and
    of a start, and memory

    The goals: 160 bytes a counter with its texts and its place in the table; of
    a timer, without its texts, 64, and 12 a bucket. The seconds stand beside
    those of a copy of the same texts into memory that is new.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#define main zibrato_main
#include "../../zibrato.c"
#undef main

#include <malloc.h>

enum { SERIES = 1000000, BUCKETS = 16, COUNTER_MAX = 160, TIMER_MAX = 64 };

static const zb_backend_t s_backend = {.name = "bench",
                                       .wants = ZB_WANTS_TOTALS};

typedef struct {
    window_t window;
    totals_t *totals;
    zb_type_t type;
    int64_t second;
    buffer_t file;
    size_t text, rows;
} bench_t;

static double
s_memory (void)
{
    unsigned long size, pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");
    BENCH_CHECK (file && fscanf (file, "%lu %lu", &size, &pages) == 2);
    fclose (file);
    return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

static double
s_seconds (uint64_t from_ns)
{
    return (double) (bench_thread_ns () - from_ns) * 1e-9;
}

//  A window in which each series has measured something.
static void
bench_window (bench_t *self)
{
    char name[64];
    size_t i, j;
    window_begin (&self->window);
    self->text = 0;
    for (i = 0; i < SERIES; i++) {
        int size = snprintf (name, sizeof name, "bench.requests.%06zu", i);
        zb_line_t line = {.type = self->type,
                          .name = name,
                          .name_size = (size_t) size,
                          .source = "web-01",
                          .source_size = 6};
        entry_t *entry = window_add (&self->window, &line, window_hash (&line));
        self->text += line.name_size + line.source_size;
        if (self->type == ZB_TYPE_COUNTER)
            entry->sum = (double) i;
        for (j = 0; j < BUCKETS && self->type == ZB_TYPE_TIMER; j++) {
            line.value_ns = 1000 << j;
            entry_sample (entry, &line);
        }
    }
}

static void
s_give (void *argument, const zb_row_t *row)
{
    (void) row;
    ((bench_t *) argument)->rows++;
}

//  Rows for all. Returns processor seconds.
static double
bench_flush (bench_t *self)
{
    uint64_t begin;
    const entry_t *entry;
    zb_row_t row = {.time_ns = INT64_MAX};
    self->second += 60;
    begin = bench_thread_ns ();
    totals_begin (self->totals, self->second - 60, self->second, self->second);
    for (entry = self->window.first; entry; entry = entry->next)
        self->rows += totals_add (self->totals, entry, &row);
    totals_rest (self->totals, s_give, self);
    return s_seconds (begin);
}

static void
s_write (void *argument, const char *text, size_t size)
{
    buffer_add (argument, text, size);
}

static double
bench_save (bench_t *self)
{
    uint64_t begin;
    self->file.size = 0;
    begin = bench_thread_ns ();
    totals_save (self->totals, true, s_write, &self->file);
    return s_seconds (begin);
}

static double
bench_restore (bench_t *self)
{
    const char *at = self->file.text, *end = at + self->file.size;
    uint64_t begin;
    totals_destroy (&self->totals);
    self->totals = totals_new (&s_backend, NULL, 3600, 0);
    begin = bench_thread_ns ();
    while (at < end) {
        const char *newline = memchr (at, '\n', (size_t) (end - at));
        BENCH_CHECK (totals_restore (self->totals, at, (size_t) (newline - at))
                     == 0);
        at = newline + 1;
    }
    BENCH_CHECK (self->totals->table.count == SERIES);
    return s_seconds (begin);
}

//  The texts, into memory that is new.
static double
bench_copy (bench_t *self)
{
    uint64_t begin = bench_thread_ns ();
    arena_t arena = {.chunk = NULL};
    const entry_t *entry;
    double seconds;
    for (entry = self->window.first; entry; entry = entry->next) {
        size_t size = (size_t) entry->name_size + entry->source_size + 2;
        memcpy (arena_new (&arena, size), entry->text, size);
    }
    seconds = s_seconds (begin);
    arena_clear (&arena);
    return seconds;
}

static void
s_figure (const char *type, const char *what, double ours, double other)
{
    char name[64];
    snprintf (name, sizeof name, "totals.%s.%s", type, what);
    bench_figure (name, ours, other);
}

static void
s_bench (zb_type_t type, const char *name, double goal)
{
    static bench_t self;
    double before, bytes, copy;
    memset (&self, 0, sizeof self);
    self.type = type;
    bench_window (&self);
    copy = bench_copy (&self);
    self.totals = totals_new (&s_backend, NULL, 3600, 0);
    before = s_memory ();
    s_figure (name, "first", bench_flush (&self), copy);
    bytes = (s_memory () - before) / SERIES;
    if (type == ZB_TYPE_TIMER)
        bytes -= (double) self.text / SERIES;
    s_figure (name, "bytes", bytes, goal);
    s_figure (name, "flush", bench_flush (&self), copy);
    s_figure (name, "save", bench_save (&self), copy);
    s_figure (name, "restore", bench_restore (&self), copy);
    s_figure (name, "flush.restored", bench_flush (&self), copy);
    BENCH_CHECK (self.rows == 3 * SERIES);
    totals_destroy (&self.totals);
    window_clear (&self.window);
    buffer_clear (&self.file);
}

int
main (void)
{
    bench_pin (1);
    table_seed = sockets_random ();
    s_bench (ZB_TYPE_COUNTER, "counter", COUNTER_MAX);
    s_bench (ZB_TYPE_TIMER, "timer", TIMER_MAX + 12 * BUCKETS);
    return 0;
}
