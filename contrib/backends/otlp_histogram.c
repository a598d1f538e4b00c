/*  otlp_histogram - a row's samples as an exponential histogram. The contract is in
    otlp_histogram.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "otlp_histogram.h"

#include <math.h>
#include <stdbool.h>

//  Of ExponentialHistogramDataPoint, metrics/v1/metrics.proto
#define FIELD(field, number, name)                                             \
    static const otlp_field_t field = {number, name}

FIELD (s_count, 4, "count");
FIELD (s_sum, 5, "sum");
FIELD (s_scale, 6, "scale");
FIELD (s_zero_count, 7, "zeroCount");
FIELD (s_positive, 8, "positive");
FIELD (s_min, 12, "min");
FIELD (s_max, 13, "max");
FIELD (s_zero_threshold, 14, "zeroThreshold");
FIELD (s_offset, 1, "offset");
FIELD (s_bucket_counts, 2, "bucketCounts");

enum { SCALE = 5 };

//  What a point has of a row, or of its total.
typedef struct {
    uint64_t count;
    double sum;
    const zb_bucket_t *buckets;
    size_t bucket_count;
    int shift;  //  2^shift buckets become one
    uint64_t zeros;
} samples_t;

static int
s_scaled (const samples_t *self, size_t i)
{
    return self->buckets[i].index >> self->shift;
}

//  The fewest buckets that become one, so that no more than so many are left. The
//  range of a total only grows, so no later point of it is finer again, which
//  Prometheus would take for a reset.
static void
samples_scale (samples_t *self, int64_t max_buckets)
{
    size_t last = self->bucket_count - 1;
    if (self->bucket_count)
        while (s_scaled (self, last) - s_scaled (self, 0) >= max_buckets)
            self->shift++;
}

//  Samples of 0 s, and what is in one bucket with them, are the zero count: they
//  would be hundreds of empty buckets below the others.
static void
samples_split_zeros (samples_t *self, int64_t max_buckets)
{
    bool any = self->bucket_count && self->buckets->index == ZB_BUCKET_ZERO;
    if (any) {
        self->zeros = self->buckets->count;
        self->buckets++;
        self->bucket_count--;
    }
    samples_scale (self, max_buckets);
    while (any && self->bucket_count
           && s_scaled (self, 0) == ZB_BUCKET_ZERO >> self->shift) {
        self->zeros += self->buckets->count;
        self->buckets++;
        self->bucket_count--;
    }
}

//  The upper edge of the bucket that zeros are in.
static double
samples_threshold (const samples_t *self)
{
    int edge = ((ZB_BUCKET_ZERO >> self->shift) + 1) * (1 << self->shift);
    return exp2 ((double) edge / (1 << SCALE));
}

static void
samples_write_buckets (const samples_t *self, otlp_out_t *out)
{
    size_t positive = otlp_begin (out, &s_positive), numbers, i = 0;
    int index = s_scaled (self, 0),
        last = s_scaled (self, self->bucket_count - 1);
    otlp_signed (out, &s_offset, index);
    numbers = otlp_numbers (out, &s_bucket_counts);
    for (; index <= last; index++) {
        uint64_t count = 0;
        for (; i < self->bucket_count && s_scaled (self, i) == index; i++)
            count += self->buckets[i].count;
        otlp_number (out, count);
    }
    otlp_numbers_end (out, numbers);
    otlp_end (out, positive);
}

static samples_t
s_samples (const zb_row_t *row)
{
    const zb_total_t *total = row->total;
    samples_t self = {row->count,        row->sum, row->buckets,
                      row->bucket_count, 0,        0};
    if (total)
        self = (samples_t){total->count,        total->sum, total->buckets,
                           total->bucket_count, 0,          0};
    return self;
}

//  Receivers refuse a point whose count is not that of its buckets, as a row may have
//  it that somebody has mended by hand.
static uint64_t
samples_count (const samples_t *self)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->bucket_count; i++)
        count += self->buckets[i].count;
    return count;
}

void
otlp_histogram (otlp_out_t *out, const zb_row_t *row, int64_t max_buckets)
{
    samples_t samples = s_samples (row);
    otlp_fixed (out, &s_count, samples_count (&samples));
    otlp_double (out, &s_sum, samples.sum);
    samples_split_zeros (&samples, max_buckets);
    otlp_signed (out, &s_scale, SCALE - samples.shift);
    if (samples.zeros) {
        otlp_fixed (out, &s_zero_count, samples.zeros);
        otlp_double (out, &s_zero_threshold, samples_threshold (&samples));
    }
    if (samples.bucket_count)
        samples_write_buckets (&samples, out);
    //  they are of this interval, not of all since the start
    if (!row->total) {
        otlp_double (out, &s_min, row->min);
        otlp_double (out, &s_max, row->max);
    }
}
