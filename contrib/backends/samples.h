/*  samples - a timer's row as samples of equal weight

    For who takes samples only: as many as it may be given, made of the buckets.
    Each stands for an equal share of what was measured, and is the mean of that
    share; all together have the row's sum.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SAMPLES_H
#define ZB_SAMPLES_H

#include "zibrato_backend.h"

enum { SAMPLES_MAX = 1000 };

//  Writes at most so many, in seconds, ascending. Returns how many there are.
size_t
samples_of (const zb_row_t *row, size_t most, double sample[SAMPLES_MAX]);

#endif
