/*  trace - points of one or more series, in the order of their times

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TRACE_H
#define ZB_TRACE_H

#include "store.h"

typedef struct {
    point_t point;    //  without buckets
    uint32_t series;  //  whatever number trace_append was told; else 0
} trace_point_t;

//  All zero at first.
typedef struct {
    trace_point_t *item;
    size_t count, max;
    int64_t resolution_s;  //  the coarsest that has come, or 0
} trace_t;

//  What is to be read: from a time up to, not with, another.
typedef struct {
    int64_t from_s, to_s, resolution_s;
    size_t most;  //  points of a series; 0: all, where that may be
} range_t;

//  Appends the first points of a series, at most so many. Returns 0, or -1 if the
//  store failed.
int trace_read (trace_t *self, reader_t *reader, int64_t series,
                const range_t *range);

//  Appends the last points of it instead.
int trace_read_last (trace_t *self, reader_t *reader, int64_t series,
                     const range_t *range);

//  Appends those of another series.
void trace_append (trace_t *self, const trace_t *from, uint32_t series);

//  By time, and those of a time by their series.
void trace_sort (trace_t *self);

//  Makes one of all points that have the same time. They are sorted.
void trace_fold (trace_t *self);

//  Each point becomes the difference to the one before, which may be NaN: unknown. What
//  rises and is less than before was begun anew, and counts whole. A point goes if
//  nothing is known.
void trace_deltas (trace_t *self, bool rises, double before);

//  What a series had before a time, as far back as a day: the last reading, if it
//  rises, else the mean of an interval. NaN if there is none. Returns 0, or -1 if the
//  store failed.
int trace_before (reader_t *reader, int64_t series, int64_t time_s,
                  int64_t resolution_s, bool rises, double *before);

//  Drops those that are not before a time.
void trace_cut (trace_t *self, int64_t to_s);

void trace_clear (trace_t *self);

#endif
