/*  points - lists of points. The contract is in points.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "points.h"
#include "kept.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

//  The points go on to point to theirs.
static void
s_more_buckets (points_t *self, size_t most)
{
    zb_bucket_t *bucket = (zb_bucket_t *) malloc (most * sizeof *bucket);
    assert (bucket);
    if (self->buckets)
        memcpy (bucket, self->bucket, self->buckets * sizeof *bucket);
    for (size_t i = 0; i < self->count; i++)
        self->point[i].buckets =
          bucket + (self->point[i].buckets - self->bucket);
    free (self->bucket);
    self->bucket = bucket;
    self->buckets_max = most;
}

zb_bucket_t *
points_room (points_t *self, size_t buckets)
{
    if (self->buckets + buckets >= self->buckets_max)
        s_more_buckets (self, (self->buckets + buckets) * 2 + 16);
    return self->bucket + self->buckets;
}

void
points_add (points_t *self, const point_t *point)
{
    zb_bucket_t *bucket = points_room (self, point->bucket_count);
    if (self->count == self->max) {
        self->max = self->max ? self->max * 2 : 64;
        self->point =
          (point_t *) realloc (self->point, self->max * sizeof (point_t));
        assert (self->point);
    }
    if (point->bucket_count && bucket != point->buckets)
        memcpy (bucket, point->buckets, point->bucket_count * sizeof *bucket);
    self->point[self->count] = *point;
    self->point[self->count++].buckets = bucket;
    self->buckets += point->bucket_count;
}

void
points_empty (points_t *self)
{
    self->count = self->buckets = 0;
}

void
points_clear (points_t *self)
{
    free (self->point);
    free (self->bucket);
    fold_clear (&self->fold);
    *self = (points_t){.count = 0};
}

size_t
points_at (const points_t *self, int64_t time_s)
{
    size_t from = 0, to = self->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (self->point[middle].time_s < time_s)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool
points_are_apart (const points_t *self, int64_t step_s)
{
    for (size_t i = 1; i < self->count; i++)
        if (time_floor (self->point[i].time_s, step_s)
            <= self->point[i - 1].time_s)
            return false;
    return true;
}

//  What readings of one interval rose by, when some of them come in after others.
static void
s_join_readings (point_t *own, const point_t *a, const point_t *b,
                 int64_t step_s)
{
    const point_t *anew = a->resets >= b->resets ? a : b;
    own->first = fmin (a->first, b->first);
    own->last = step_s == 1 ? b->last : fmax (a->last, b->last);
    own->resets = anew->resets;
    if (own->resets > 0) {
        own->first = anew->first;
        own->last = anew->last;
    }
}

//  The begin of the interval of the point at this place, or INT64_MAX.
static int64_t
s_begin_of (const points_t *self, size_t at, int64_t step_s)
{
    return at < self->count ? time_floor (self->point[at].time_s, step_s)
                            : INT64_MAX;
}

void
points_merge (points_t *self, const points_t *a, const points_t *b,
              int64_t step_s)
{
    fold_t *fold = &self->fold;
    size_t i = 0, j = 0;
    points_empty (self);
    while (i < a->count || j < b->count) {
        int64_t of_a = s_begin_of (a, i, step_s);
        int64_t of_b = s_begin_of (b, j, step_s);
        fold_begin (fold, of_a < of_b ? of_a : of_b);
        if (of_a <= of_b)
            fold_add (fold, &a->point[i++]);
        if (of_b <= of_a)
            fold_add (fold, &b->point[j++]);
        if (of_a == of_b)
            s_join_readings (&fold->point, &a->point[i - 1], &b->point[j - 1],
                             step_s);
        points_add (self, fold_point (fold));
    }
}

//  Neighbours of a coarser scale become one. The index is that of scale 5 that lies
//  in the middle, rounded down: what is done to it again changes nothing.
static void
s_coarser (hist_t *hist, int shift)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < hist->size; i++) {
        int index = (hist->bucket[i].index >> shift) * (1 << shift)
                    + (1 << shift) / 2 - 1;
        if (index < BUCKET_MIN)
            index = BUCKET_MIN;
        if (size && hist->bucket[size - 1].index == index)
            hist->bucket[size - 1].count = point_add_counts (
              hist->bucket[size - 1].count, hist->bucket[i].count);
        else
            hist->bucket[size++] = (bucket_t){index, hist->bucket[i].count};
    }
    hist->size = size;
}

//  A sum of numbers with a few decimals is one, too, but for the last digits, which
//  come of how computers add. It takes half of the room without them. What is no such
//  number stays as it is.
static double
s_without_noise (double sum)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double noise = fabs (sum) * 0x1p-51;
    for (size_t i = 0; i < sizeof power / sizeof *power; i++) {
        double rounded = rint (sum * power[i]) / power[i];
        if (fabs (sum) * power[i] < 0x1p50 && fabs (rounded - sum) <= noise)
            return rounded;
    }
    return sum;
}

void
points_fold (points_t *self, const points_t *from, int64_t begin_s,
             int64_t end_s, int64_t step_s, int shift)
{
    fold_t *fold = &self->fold;
    size_t at = points_at (from, begin_s), end = points_at (from, end_s);
    while (at < end) {
        fold_begin (fold, s_begin_of (from, at, step_s));
        while (s_begin_of (from, at, step_s) == fold->point.time_s)
            fold_add (fold, &from->point[at++]);
        if (shift)
            s_coarser (&fold->hist, shift);
        fold_point (fold);
        fold->point.sum = s_without_noise (fold->point.sum);
        fold->point.sum_squares = s_without_noise (fold->point.sum_squares);
        points_add (self, &fold->point);
    }
}
