/*  traces - series of a metric with their points. The contract is in traces.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "traces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    traces_t *traces;
    traces_fn *wanted;
    void *argument;
} listing_t;

static int
s_take (void *argument, const series_t *series)
{
    listing_t *self = (listing_t *) argument;
    traces_t *traces = self->traces;
    if (!self->wanted (self->argument, series))
        return 0;
    if (traces->count == traces->max) {
        traces->max = traces->max ? traces->max * 2 : 16;
        traces->item = (traces_item_t *) realloc (
          traces->item, traces->max * sizeof *traces->item);
        assert (traces->item);
    }
    traces->item[traces->count] = (traces_item_t){.series = *series};
    traces->item[traces->count].series.source = strdup (series->source);
    traces->item[traces->count++].series.tags = strdup (series->tags);
    return 0;
}

static int
s_compare (const void *a, const void *b)
{
    const series_t *x = &((const traces_item_t *) a)->series;
    const series_t *y = &((const traces_item_t *) b)->series;
    int order = strcmp (x->source, y->source);
    return order ? order : strcmp (x->tags, y->tags);
}

int
traces_list (traces_t *self, reader_t *reader, int64_t metric,
             traces_fn *wanted, void *argument)
{
    listing_t listing = {self, wanted, argument};
    if (reader_series (reader, metric, s_take, &listing) < 0)
        return -1;
    if (self->count)
        qsort (self->item, self->count, sizeof *self->item, s_compare);
    return 0;
}

//  How many points of each there may be: one at least, so that every answer gets
//  on.
static size_t
s_share (const traces_t *self)
{
    size_t share = TRACES_POINTS_MAX / (self->count ? self->count : 1);
    return share ? share : 1;
}

//  An answer is as coarse as its coarsest series.
static void
s_note (traces_t *self, const trace_t *trace)
{
    if (trace->resolution_s > self->resolution_s)
        self->resolution_s = trace->resolution_s;
}

//  All are cut at the same time, or the next answer would begin where some are behind.
int
traces_read (traces_t *self, reader_t *reader, const range_t *range)
{
    range_t own = *range;
    size_t share = s_share (self);
    own.most = share + 1;
    for (size_t i = 0; i < self->count; i++) {
        trace_t *trace = &self->item[i].trace;
        if (trace_read (trace, reader, self->item[i].series.id, &own) != 0)
            return -1;
        s_note (self, trace);
        //  no other trace needs to be read beyond this
        if (trace->count > share) {
            self->next_s = trace->item[share].point.time_s;
            own.to_s = self->next_s;
        }
    }
    for (size_t i = 0; self->next_s && i < self->count; i++)
        trace_cut (&self->item[i].trace, self->next_s);
    return 0;
}

int
traces_read_count (traces_t *self, reader_t *reader, const range_t *range,
                   bool last)
{
    range_t own = *range;
    size_t share = s_share (self);
    if (own.most > share)
        own.most = share;
    for (size_t i = 0; i < self->count; i++) {
        traces_item_t *item = &self->item[i];
        int rc = (last ? trace_read_last : trace_read) (&item->trace, reader,
                                                        item->series.id, &own);
        if (rc != 0)
            return -1;
        s_note (self, &item->trace);
    }
    return 0;
}

//  Where a trace begins: the last ones of a series may do so anywhere.
static int64_t
s_begin_s (const trace_t *trace, const range_t *range)
{
    return range->most && trace->count ? trace->item->point.time_s
                                       : range->from_s;
}

int
traces_deltas (traces_t *self, reader_t *reader, const range_t *range,
               bool rises)
{
    for (size_t i = 0; i < self->count; i++) {
        traces_item_t *item = &self->item[i];
        double before;
        if (trace_before (reader, item->series.id,
                          s_begin_s (&item->trace, range), range->resolution_s,
                          rises, &before)
            == -1)
            return -1;
        trace_deltas (&item->trace, rises, before);
    }
    return 0;
}

void
traces_clear (traces_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free ((void *) (uintptr_t) self->item[i].series.source);
        free ((void *) (uintptr_t) self->item[i].series.tags);
        trace_clear (&self->item[i].trace);
    }
    free (self->item);
    *self = (traces_t){.item = NULL};
}
