/*  point - what a series measured in one second, or in an interval of a rollup

    A fold makes one point of many: writer, packer, reader and API do it alike.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_POINT_H
#define ZB_POINT_H

#include "hist.h"

typedef struct {
    int64_t time_s;  //  Unix time: the second, or the interval's first one
    uint64_t n;      //  samples; of increments so many rows
    double sum, min, max, sum_squares;
    //  Of readings that rise (METRIC_COUNTER), else unused: the first and the last
    //  one, and the sum of those after which they began anew, at zero.
    double first, last, resets;
    const zb_bucket_t *buckets;  //  scale 5, their indexes ascend
    size_t bucket_count;
} point_t;

//  What is more than 64 bits stays at the most they hold.
static inline uint64_t
point_add_counts (uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

//  By how much readings have risen from the one before the point to its last one. NaN
//  for `before`: that is unknown; then it is what they rose within the point, or NaN
//  if they did not.
double point_rise (const point_t *point, double before);

//  All zero at first. Sums are kept with what their rounding lost (Neumaier, ZAMM 54,
//  1974), so that those of whole numbers are exact up to 2^53, and others to the last
//  digits in whatever order they come.
typedef struct {
    point_t point;
    double lost_sum, lost_squares;
    hist_t hist;
} fold_t;

//  Empty again, for the interval that begins at this time. Memory stays.
void fold_begin (fold_t *self, int64_t time_s);

//  In the order of time.
void fold_add (fold_t *self, const point_t *point);

//  Adds buckets, whose indexes ascend, to a histogram.
void point_add_buckets (hist_t *hist, const point_t *point);

//  What was added since; n is 0 if nothing was. Valid until the next call.
const point_t *fold_point (fold_t *self);

//  Frees what it has.
void fold_clear (fold_t *self);

#endif
