/*  groups - points of many series, folded to a few lines of equal intervals

    A chart has a point a pixel at most: a line is an array of intervals, and one
    that nobody measured in is empty.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_GROUPS_H
#define ZB_GROUPS_H

#include "store.h"

//  How series become one line. Each has one value in an interval: what a counter
//  counted or a rising reading rose by, the mean of readings or durations. Of
//  OVER_SAMPLES, what is kept is the mean of all samples, whose series does not
//  matter.
typedef enum { OVER_SUM, OVER_MEAN, OVER_MIN, OVER_MAX, OVER_SAMPLES } over_t;

typedef struct {
    uint32_t series;  //  that have a value here; 0: it is empty
    double value;     //  of all of them together
    uint64_t n;       //  samples, and what they were
    double sum, min, max;
    hist_t hist;  //  of a timer
} cell_t;

typedef struct {
    int64_t id;   //  of its only series; 0: several
    char *label;  //  its own
    cell_t *cell;
} group_t;

//  All zero, but for the first line.
typedef struct {
    metric_type_t type;
    int64_t from_s, step_s;
    size_t intervals;
    group_t *group;
    size_t count;
    int64_t kept_s;  //  the coarsest resolution that was read
} groups_t;

//  One more, empty. Returns its place.
size_t groups_add (groups_t *self, int64_t id, const char *label);

//  Adds the points of a series to a group. Returns 0, or -1 if the store failed.
int groups_read (groups_t *self, size_t group, over_t over, reader_t *reader,
                 int64_t series);

//  What a cell shows, not a number if it is empty.
double cell_value (const cell_t *self, over_t over);

//  The seconds below which a share of 0..1 of the samples lies, not a number where
//  there are no buckets.
double groups_quantile (const groups_t *self, const cell_t *cell, double share);

void groups_clear (groups_t *self);

#endif
