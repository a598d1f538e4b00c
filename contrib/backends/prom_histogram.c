/*  prom_histogram - histograms as Prometheus has them. The contract is in prom.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "prom.h"

#include <math.h>
#include <stdbool.h>

enum {
    SCALE = 5,
    BUCKETS_AN_OCTAVE = 1 << SCALE,
    BOUND_FIRST = -20  //  2^-20 s, about a microsecond
};

double
prom_bound (size_t at)
{
    return ldexp (1, BOUND_FIRST + (int) at);
}

//  A power of two has few digits, and all of them are said. OpenMetrics wants a point
//  or an exponent.
const char *
prom_bound_text (size_t at)
{
    static const char *const texts[PROM_BOUNDS] = {"9.5367431640625e-07",
                                                   "1.9073486328125e-06",
                                                   "3.814697265625e-06",
                                                   "7.62939453125e-06",
                                                   "1.52587890625e-05",
                                                   "3.0517578125e-05",
                                                   "6.103515625e-05",
                                                   "0.0001220703125",
                                                   "0.000244140625",
                                                   "0.00048828125",
                                                   "0.0009765625",
                                                   "0.001953125",
                                                   "0.00390625",
                                                   "0.0078125",
                                                   "0.015625",
                                                   "0.03125",
                                                   "0.0625",
                                                   "0.125",
                                                   "0.25",
                                                   "0.5",
                                                   "1.0",
                                                   "2.0",
                                                   "4.0",
                                                   "8.0",
                                                   "16.0",
                                                   "32.0",
                                                   "64.0",
                                                   "128.0",
                                                   "256.0",
                                                   "512.0"};
    return texts[at];
}

void
prom_classic (const zb_bucket_t *buckets, size_t count,
              uint64_t counts[PROM_BOUNDS])
{
    uint64_t sum = 0;
    size_t i = 0;
    for (int at = 0; at < PROM_BOUNDS; at++) {
        int end = (BOUND_FIRST + at) * BUCKETS_AN_OCTAVE;
        for (; i < count && buckets[i].index < end; i++)
            sum += buckets[i].count;
        counts[at] = sum;
    }
}

//  Prometheus calls a bucket by what is one more than our index.
static void
s_write_spans (buffer_t *out, int field, const zb_bucket_t *buckets,
               size_t count)
{
    int next = -1;  //  index behind the span before
    for (size_t i = 0, length; i < count; i += length) {
        size_t begin = protobuf_begin (out, field);
        for (length = 1;
             i + length < count
             && buckets[i + length].index == buckets[i].index + (int) length;)
            length++;
        protobuf_signed (out, 1, buckets[i].index - next);
        protobuf_unsigned (out, 2, length);
        protobuf_end (out, begin);
        next = buckets[i].index + (int) length;
    }
}

//  Each count as the difference to the one before.
static void
s_write_deltas (buffer_t *out, int field, const zb_bucket_t *buckets,
                size_t count)
{
    size_t begin = protobuf_begin (out, field);
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t delta = (int64_t) (buckets[i].count - before);
        protobuf_varint (out, protobuf_zigzag (delta));
        before = buckets[i].count;
    }
    protobuf_end (out, begin);
}

//  What took no time at all is in the bucket of a nanosecond, which is the zero
//  bucket there.
void
prom_native (buffer_t *out, const prom_native_t *fields, double sum,
             const zb_bucket_t *buckets, size_t count)
{
    bool zero = count && buckets->index == ZB_BUCKET_ZERO;
    uint64_t samples = 0;
    for (size_t i = 0; i < count; i++)
        samples += buckets[i].count;
    protobuf_unsigned (out, fields->count, samples);
    protobuf_double (out, fields->sum, sum);
    protobuf_signed (out, fields->schema, SCALE);
    protobuf_double (out, fields->zero_threshold,
                     exp2 ((ZB_BUCKET_ZERO + 1.0) / BUCKETS_AN_OCTAVE));
    protobuf_unsigned (out, fields->zero_count, zero ? buckets->count : 0);
    buckets += zero;
    count -= zero;
    s_write_spans (out, fields->span, buckets, count);
    if (count)
        s_write_deltas (out, fields->delta, buckets, count);
}
