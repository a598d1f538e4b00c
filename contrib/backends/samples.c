/*  samples - a timer's row as samples. The contract is in samples.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "samples.h"

#include <math.h>

//  In the middle of a bucket by logarithm, but never beyond what was measured.
static double
s_middle (const zb_row_t *row, const zb_bucket_t *bucket)
{
    double middle =
      bucket->index == ZB_BUCKET_ZERO ? 0 : exp2 ((bucket->index + 0.5) / 32);
    return fmin (fmax (middle, row->min), row->max);
}

//  Walks over the buckets, and takes from each what the share still wants.
static void
samples_take (const zb_row_t *row, size_t count, double *sample)
{
    double share = (double) row->count / (double) count, left = 0;
    const zb_bucket_t *bucket = row->buckets, *end = bucket + row->bucket_count;
    size_t i;
    for (i = 0; i < count; i++) {
        double wanted = share, sum = 0;
        for (; wanted > share * 1e-9 && bucket < end; bucket += left <= 0) {
            double taken;
            left = left > 0 ? left : (double) bucket->count;
            taken = fmin (left, wanted);
            sum += taken * s_middle (row, bucket);
            wanted -= taken;
            left -= taken;
        }
        sample[i] = sum / share;
    }
}

size_t
samples_of (const zb_row_t *row, size_t most, double sample[SAMPLES_MAX])
{
    size_t count = row->count < most ? (size_t) row->count : most, i;
    double sum = 0, wanted;
    if (!row->bucket_count) {
        sample[0] = row->sum / (double) row->count;
        return 1;
    }
    samples_take (row, count, sample);
    for (i = 0; i < count; i++)
        sum += sample[i];
    //  buckets are two in a hundred wide: what is missing in the sum goes to all
    wanted = row->sum * (double) count / (double) row->count;
    for (i = 0; i < count && sum > 0; i++)
        sample[i] *= wanted / sum;
    return count;
}
