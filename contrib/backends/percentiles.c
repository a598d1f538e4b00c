/*  percentiles - from buckets. The contract is in percentiles.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "percentiles.h"

#include "hist.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 16, NAME_MAX_BYTES = 32 };

static struct {
    double share;
    char name[NAME_MAX_BYTES];
} s_list[LIST_MAX];
static size_t s_count;

void
percentiles_want (const double *percentile, size_t count)
{
    assert (count <= LIST_MAX);
    for (size_t i = 0; i < count; i++) {
        char *name = s_list[i].name, *point;
        s_list[i].share = percentile[i] / 100;
        snprintf (name, NAME_MAX_BYTES, "p%g", percentile[i]);
        if ((point = strchr (name, '.')))
            *point = '_';
    }
    s_count = count;
}

size_t
percentiles_count (void)
{
    return s_count;
}

const char *
percentiles_name (size_t nth)
{
    return s_list[nth].name;
}

double
percentiles_of (const zb_row_t *row, size_t nth)
{
    hist_t hist = {.bucket = (bucket_t *) (uintptr_t) row->buckets,
                   .size = (uint32_t) row->bucket_count};
    double value = hist_quantile_ns (&hist, s_list[nth].share) * 1e-9;
    return fmin (fmax (value, row->min), row->max);
}
