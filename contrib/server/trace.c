/*  trace - points of one or more series. The contract is in trace.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "trace.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
s_add (trace_t *self, const point_t *point, uint32_t series)
{
    if (self->count == self->max) {
        self->max = self->max ? self->max * 2 : 64;
        self->item = (trace_point_t *) realloc (self->item,
                                                self->max * sizeof *self->item);
        assert (self->item);
    }
    self->item[self->count] = (trace_point_t){*point, series};
    self->item[self->count].point.buckets = NULL;
    self->item[self->count++].point.bucket_count = 0;
}

//  Drops some points, and moves up what is behind them.
static void
s_drop (trace_t *self, size_t at, size_t count)
{
    memmove (self->item + at, self->item + at + count,
             (self->count - at - count) * sizeof *self->item);
    self->count -= count;
}

//  --------------------------------------------------------------------------
//  Reading

typedef struct {
    trace_t *trace;
    size_t begin;  //  where this series' points begin
    size_t most;
} reading_t;

static int
s_take_first (void *argument, const point_t *point)
{
    reading_t *self = (reading_t *) argument;
    s_add (self->trace, point, 0);
    return self->trace->count - self->begin >= self->most;
}

//  Keeps twice as many as are wanted, so that most are moved once.
static int
s_take_last (void *argument, const point_t *point)
{
    reading_t *self = (reading_t *) argument;
    s_add (self->trace, point, 0);
    if (self->trace->count - self->begin >= 2 * self->most)
        s_drop (self->trace, self->begin, self->most);
    return 0;
}

static int
s_read (reading_t *self, reader_t *reader, int64_t series, const range_t *range,
        point_fn *take)
{
    int64_t resolution =
      reader_points (reader, series, range->from_s, range->to_s,
                     range->resolution_s, take, self);
    if (resolution > self->trace->resolution_s)
        self->trace->resolution_s = resolution;
    return resolution < 0 ? -1 : 0;
}

int
trace_read (trace_t *self, reader_t *reader, int64_t series,
            const range_t *range)
{
    reading_t reading = {self, self->count, range->most};
    return range->most && range->from_s < range->to_s
             ? s_read (&reading, reader, series, range, s_take_first)
             : 0;
}

//  Where they are is not known: each try looks four times as far back, so that all
//  of them together read little more than the last one.
int
trace_read_last (trace_t *self, reader_t *reader, int64_t series,
                 const range_t *range)
{
    reading_t reading = {self, self->count, range->most};
    range_t part = *range;
    int64_t back_s = range->resolution_s * (int64_t) range->most;
    if (!range->most || range->from_s >= range->to_s)
        return 0;
    do {
        self->count = reading.begin;
        part.from_s = range->to_s - back_s;
        part.from_s -= part.from_s % range->resolution_s;
        if (part.from_s < range->from_s)
            part.from_s = range->from_s;
        if (s_read (&reading, reader, series, &part, s_take_last) != 0)
            return -1;
        back_s *= 4;
    } while (self->count - reading.begin < range->most
             && part.from_s > range->from_s);
    if (self->count - reading.begin > range->most)
        s_drop (self, reading.begin, self->count - reading.begin - range->most);
    return 0;
}

void
trace_append (trace_t *self, const trace_t *from, uint32_t series)
{
    for (size_t i = 0; i < from->count; i++)
        s_add (self, &from->item[i].point, series);
}

//  --------------------------------------------------------------------------
//  What becomes of them

static int
s_compare (const void *a, const void *b)
{
    const trace_point_t *x = (const trace_point_t *) a;
    const trace_point_t *y = (const trace_point_t *) b;
    if (x->point.time_s != y->point.time_s)
        return x->point.time_s < y->point.time_s ? -1 : 1;
    return x->series < y->series ? -1 : x->series > y->series;
}

void
trace_sort (trace_t *self)
{
    if (self->count)
        qsort (self->item, self->count, sizeof *self->item, s_compare);
}

void
trace_fold (trace_t *self)
{
    fold_t fold = {.hist.size = 0};
    size_t count = 0;
    for (size_t i = 0; i < self->count;) {
        int64_t time_s = self->item[i].point.time_s;
        fold_begin (&fold, time_s);
        for (; i < self->count && self->item[i].point.time_s == time_s; i++)
            fold_add (&fold, &self->item[i].point);
        self->item[count].point = *fold_point (&fold);
        self->item[count++].series = self->item[i - 1].series;
    }
    self->count = count;
    fold_clear (&fold);
}

static double
s_reading (const point_t *point, bool rises)
{
    return rises ? point->last : point->sum / (double) point->n;
}

void
trace_deltas (trace_t *self, bool rises, double before)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        trace_point_t item = self->item[i];
        double now = s_reading (&item.point, rises);
        double delta = rises ? point_rise (&item.point, before) : now - before;
        before = now;
        if (isnan (delta))
            continue;
        item.point = (point_t){.time_s = item.point.time_s,
                               .n = 1,
                               .sum = delta,
                               .min = delta,
                               .max = delta,
                               .sum_squares = delta * delta};
        self->item[count++] = item;
    }
    self->count = count;
}

enum { LOOK_BACK_S = 86400 };

//  Whatever the interval of an answer, the reading before it is the same one.
int
trace_before (reader_t *reader, int64_t series, int64_t time_s,
              int64_t resolution_s, bool rises, double *before)
{
    trace_t trace = {.item = NULL};
    range_t range = {.from_s = time_s > LOOK_BACK_S ? time_s - LOOK_BACK_S : 0,
                     .to_s = time_s,
                     .resolution_s = rises ? 1 : resolution_s,
                     .most = 1};
    int rc = trace_read_last (&trace, reader, series, &range);
    *before =
      rc == 0 && trace.count ? s_reading (&trace.item->point, rises) : NAN;
    trace_clear (&trace);
    return rc;
}

void
trace_cut (trace_t *self, int64_t to_s)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        if (self->item[i].point.time_s < to_s)
            self->item[count++] = self->item[i];
    self->count = count;
}

void
trace_clear (trace_t *self)
{
    free (self->item);
    *self = (trace_t){.item = NULL};
}
