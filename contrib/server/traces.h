/*  traces - the series of a metric that a request means, with their points

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TRACES_H
#define ZB_TRACES_H

#include "trace.h"

//  Points of one answer, about: what is beyond comes with the next one.
enum { TRACES_POINTS_MAX = 100000 };

typedef struct {
    series_t series;  //  with texts of its own
    trace_t trace;
} traces_item_t;

//  All zero at first.
typedef struct {
    traces_item_t *item;
    size_t count, max;
    int64_t next_s;        //  from when on points are left, or 0
    int64_t resolution_s;  //  of the coarsest trace, or 0 if none has points
} traces_t;

//  Is this series wanted?
typedef bool traces_fn (void *argument, const series_t *series);

//  Lists the wanted ones by source, and those of a source by their tags. Returns 0,
//  or -1 if the store failed.
int traces_list (traces_t *self, reader_t *reader, int64_t metric,
                 traces_fn *wanted, void *argument);

//  The points of all traces in a time. If they are too many, only those before
//  next_s are there.
int traces_read (traces_t *self, reader_t *reader, const range_t *range);

//  The first, or the last, so many points of each trace, range->most of them.
int traces_read_count (traces_t *self, reader_t *reader, const range_t *range,
                       bool last);

//  Points become differences. That of the first one needs the point before it, which
//  is looked for as far back as a day.
int traces_deltas (traces_t *self, reader_t *reader, const range_t *range,
                   bool rises);

void traces_clear (traces_t *self);

#endif
