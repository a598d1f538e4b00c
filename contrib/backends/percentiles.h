/*  percentiles - of a timer's row, from its buckets

    For backends that have no histograms, but fields or names of their own for
    percentiles (zb_backend_t.percentiles). There is one backend in a process, so
    the list is static.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PERCENTILES_H
#define ZB_PERCENTILES_H

#include "zibrato_backend.h"

//  Takes those of --percentiles, 0 to 100 each: zb_backend_t.percentiles.
void percentiles_want (const double *percentile, size_t count);

size_t percentiles_count (void);

//  What it is called: "p50", "p99_9". Nothing in it would have to be escaped.
const char *percentiles_name (size_t nth);

//  In seconds, at most 1.1 % off; never below min or above max.
double percentiles_of (const zb_row_t *row, size_t nth);

#endif
