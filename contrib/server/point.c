/*  point - folding points. The contract is in point.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "point.h"

#include <math.h>
#include <stdlib.h>

double
point_rise (const point_t *point, double before)
{
    double within = point->last - point->first + point->resets;
    if (isnan (before))
        return within > 0 ? within : NAN;
    return within
           + (point->first < before ? point->first : point->first - before);
}

void
fold_begin (fold_t *self, int64_t time_s)
{
    self->point = (point_t){.time_s = time_s};
    self->lost_sum = self->lost_squares = 0;
    self->hist.size = 0;
}

//  The part of value that rounding takes away is what the smaller of both loses.
static void
s_add (double *sum, double *lost, double value)
{
    double whole = *sum + value;
    if (isfinite (whole))
        *lost += fabs (*sum) >= fabs (value) ? (*sum - whole) + value
                                             : (value - whole) + *sum;
    *sum = whole;
}

void
point_add_buckets (hist_t *hist, const point_t *point)
{
    size_t at = 0;
    for (size_t i = 0; i < point->bucket_count; i++) {
        zb_bucket_t *to = hist_place (hist, &at, point->buckets[i].index);
        to->count = point_add_counts (to->count, point->buckets[i].count);
    }
}

void
fold_add (fold_t *self, const point_t *point)
{
    point_t *own = &self->point;
    if (!own->n || point->min < own->min)
        own->min = point->min;
    if (!own->n || point->max > own->max)
        own->max = point->max;
    if (!own->n)
        own->first = point->first;
    else if (point->first < own->last)
        own->resets += own->last;
    own->resets += point->resets;
    own->last = point->last;
    own->n = point_add_counts (own->n, point->n);
    s_add (&own->sum, &self->lost_sum, point->sum);
    s_add (&own->sum_squares, &self->lost_squares, point->sum_squares);
    point_add_buckets (&self->hist, point);
}

const point_t *
fold_point (fold_t *self)
{
    self->point.sum += self->lost_sum;
    self->point.sum_squares += self->lost_squares;
    self->lost_sum = self->lost_squares = 0;
    self->point.buckets = self->hist.bucket;
    self->point.bucket_count = self->hist.size;
    return &self->point;
}

void
fold_clear (fold_t *self)
{
    free (self->hist.bucket);
    self->hist = (hist_t){.size = 0};
}
