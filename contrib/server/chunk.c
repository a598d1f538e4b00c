/*  chunk - points in few bytes. The contract is in chunk.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "chunk.h"

#include <string.h>

enum {
    HAS_EXACT = 1,
    HAS_N = 2,
    HAS_MIN = 4,
    HAS_MAX = 8,
    HAS_SQUARES = 16,
    HAS_LAST = 32,
    HAS_BUCKETS = 64,
    HAS_RESETS = 128,  //  and `first`, which is min but for them
};

//  Doubles that may be left out, in the order in which they are written.
typedef struct {
    unsigned flag;
    size_t offset;
} field_t;

static const field_t s_fields[] = {
  {HAS_MIN, offsetof (point_t, min)},
  {HAS_MAX, offsetof (point_t, max)},
  {HAS_SQUARES, offsetof (point_t, sum_squares)},
  {HAS_LAST, offsetof (point_t, last)},
  {HAS_RESETS, offsetof (point_t, first)},
  {HAS_RESETS, offsetof (point_t, resets)},
};

enum { FIELDS = sizeof s_fields / sizeof *s_fields };

static double *
s_field (const point_t *point, size_t offset)
{
    return (double *) (void *) ((char *) (void *) (uintptr_t) point + offset);
}

void
chunk_fill (point_t *point)
{
    point->n = 1;
    point->min = point->max = point->first = point->last = point->sum;
    point->resets = 0;
    point->sum_squares = point->sum * point->sum;
}

//  --------------------------------------------------------------------------
//  Writing

static bool
s_same (double a, double b)
{
    return memcmp (&a, &b, sizeof a) == 0;
}

static unsigned
s_flags (const points_t *points, bool rises)
{
    unsigned flags = 0;
    for (size_t i = 0; i < points->count; i++) {
        const point_t *p = &points->point[i];
        flags |= p->n != 1 ? HAS_N : 0u;
        flags |= !s_same (p->min, p->sum) ? HAS_MIN : 0u;
        flags |= !s_same (p->max, p->sum) ? HAS_MAX : 0u;
        flags |= !s_same (p->sum_squares, p->sum * p->sum) ? HAS_SQUARES : 0u;
        flags |= !s_same (p->last, p->max) ? HAS_LAST : 0u;
        flags |= !s_same (p->first, p->min) || !s_same (p->resets, 0)
                   ? HAS_RESETS
                   : 0u;
        flags |= p->bucket_count ? HAS_BUCKETS : 0u;
    }
    return rises ? flags : flags & ~(unsigned) (HAS_LAST | HAS_RESETS);
}

static void
s_put_field (buffer_t *out, const points_t *points, size_t offset)
{
    double number[COLUMN_MOST];
    for (size_t i = 0; i < points->count; i++)
        number[i] = *s_field (&points->point[i], offset);
    column_put_doubles (out, number, points->count);
}

static void
s_put_times (buffer_t *out, const points_t *points, int64_t begin_s)
{
    int64_t number[COLUMN_MOST];
    for (size_t i = 0; i < points->count; i++)
        number[i] = points->point[i].time_s - begin_s;
    column_put_integers (out, number, points->count);
}

static void
s_put_counts (buffer_t *out, const points_t *points)
{
    int64_t number[COLUMN_MOST];
    for (size_t i = 0; i < points->count; i++)
        number[i] = (int64_t) points->point[i].n;
    column_put_integers (out, number, points->count);
}

void
chunk_write (buffer_t *out, const points_t *points, int64_t begin_s, bool exact,
             bool rises)
{
    unsigned flags = s_flags (points, rises) | (exact ? HAS_EXACT : 0u);
    *buffer_room (out, 1) = (char) flags;
    out->size++;
    column_put (out, points->count);
    s_put_times (out, points, begin_s);
    s_put_field (out, points, offsetof (point_t, sum));
    if (flags & HAS_N)
        s_put_counts (out, points);
    for (int i = 0; i < FIELDS; i++)
        if (flags & s_fields[i].flag)
            s_put_field (out, points, s_fields[i].offset);
    for (size_t i = 0; flags & HAS_BUCKETS && i < points->count; i++)
        column_put_buckets (out, points->point[i].buckets,
                            points->point[i].bucket_count);
}

//  --------------------------------------------------------------------------
//  Reading

//  Adds points with their times, which ascend within the span.
static void
s_get_times (column_t *in, size_t count, int64_t begin_s, int64_t span_s,
             points_t *points)
{
    int64_t number[COLUMN_MOST], before = -1;
    column_get_integers (in, number, count);
    for (size_t i = 0; i < count && !in->failed; i++) {
        in->failed = number[i] <= before || number[i] >= span_s;
        before = number[i];
        points_add (points, &(point_t){.time_s = begin_s + number[i]});
    }
}

static void
s_get_sums (column_t *in, point_t *point, size_t count)
{
    double number[COLUMN_MOST];
    column_get_doubles (in, number, count);
    for (size_t i = 0; i < count && !in->failed; i++) {
        point[i].sum = number[i];
        chunk_fill (&point[i]);
    }
}

static void
s_get_counts (column_t *in, point_t *point, size_t count)
{
    int64_t number[COLUMN_MOST];
    column_get_integers (in, number, count);
    for (size_t i = 0; i < count && !in->failed; i++)
        point[i].n = (uint64_t) number[i];
}

//  What follows from min or max is filled in again when that was read.
static void
s_get_field (column_t *in, point_t *point, size_t count, const field_t *field)
{
    double number[COLUMN_MOST];
    column_get_doubles (in, number, count);
    for (size_t i = 0; i < count && !in->failed; i++) {
        *s_field (&point[i], field->offset) = number[i];
        if (field->flag == HAS_MIN)
            point[i].first = number[i];
        if (field->flag == HAS_MAX)
            point[i].last = number[i];
    }
}

static void
s_get_buckets (column_t *in, points_t *points, size_t from)
{
    for (size_t i = from; i < points->count && !in->failed; i++) {
        size_t count = column_get_bucket_count (in);
        zb_bucket_t *bucket = points_room (points, count);
        column_get_buckets (in, bucket, count);
        points->point[i].buckets = bucket;
        points->point[i].bucket_count = count;
        points->buckets += count;
    }
}

int
chunk_read (const void *bytes, size_t size, int64_t begin_s, int64_t span_s,
            points_t *points, bool *exact)
{
    column_t in = {(const unsigned char *) bytes, NULL, size < 2};
    size_t from = points->count, count;
    unsigned flags;
    if (in.failed)
        return -1;
    in.end = in.at + size;
    flags = *in.at++;
    count = (size_t) column_get (&in);
    if (in.failed || count < 1 || count > COLUMN_MOST)
        return -1;
    *exact = flags & HAS_EXACT;
    s_get_times (&in, count, begin_s, span_s, points);
    if (in.failed)
        return -1;
    s_get_sums (&in, points->point + from, count);
    if (flags & HAS_N)
        s_get_counts (&in, points->point + from, count);
    for (int i = 0; i < FIELDS; i++)
        if (flags & s_fields[i].flag)
            s_get_field (&in, points->point + from, count, &s_fields[i]);
    if (flags & HAS_BUCKETS)
        s_get_buckets (&in, points, from);
    return in.failed || in.at != in.end ? -1 : 0;
}

size_t
chunk_count (const void *bytes, size_t size)
{
    column_t in = {(const unsigned char *) bytes, NULL, size < 2};
    if (in.failed)
        return 0;
    in.end = in.at + size;
    in.at++;
    return (size_t) column_get (&in);
}
