/*  points - a list of them that ascend in time, with their buckets

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_POINTS_H
#define ZB_POINTS_H

#include "point.h"

#include <stdbool.h>

//  All zero at first: it is empty.
typedef struct {
    point_t *point;
    size_t count, max;
    zb_bucket_t *bucket;  //  of all points, one after the other
    size_t buckets, buckets_max;
    fold_t fold;
} points_t;

//  Room for the buckets of the point that is added next. Returns where they begin.
zb_bucket_t *points_room (points_t *self, size_t buckets);

//  A copy of the point, with its buckets.
void points_add (points_t *self, const point_t *point);

//  Empty again. Memory stays.
void points_empty (points_t *self);

//  The place of the first one of this time or later.
size_t points_at (const points_t *self, int64_t time_s);

//  Becomes what both have; each of them has a point an interval of step_s at most. b
//  came later: in a second its reading is the last one. In what is longer nobody knows
//  the order of readings, so they are taken to have risen, and where they began anew
//  in one of both, the other one's are taken to lie in between.
void points_merge (points_t *self, const points_t *a, const points_t *b,
                   int64_t step_s);

//  Adds those of `from` that are in begin .. end, an interval of step_s a point.
//  Bits are taken off the indexes of buckets: 1 << shift of them become one. Of sums the
//  last digits may change, but not of whole numbers.
void points_fold (points_t *self, const points_t *from, int64_t begin_s,
                  int64_t end_s, int64_t step_s, int shift);

//  Is there one in an interval of step_s at most?
bool points_are_apart (const points_t *self, int64_t step_s);

void points_clear (points_t *self);

#endif
