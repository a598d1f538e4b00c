/*  chunk - points of one series in few bytes, as they are in a row of the database

        flags, count, times, sums, a column for each flag, buckets

    A column is left out if it follows from those before: n is 1, min and max are
    the sum, sum_squares its square, last is max; first is min, and resets are 0.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CHUNK_H
#define ZB_CHUNK_H

#include "column.h"
#include "points.h"

//  Fills in what follows from the sum, or from what is there.
void chunk_fill (point_t *point);

//  Adds the bytes of at least one point, of a span that begins then. `exact` is kept:
//  there is nothing finer, and points have their own times. What only readings that
//  rise have is written if they are such.
void chunk_write (buffer_t *out, const points_t *points, int64_t begin_s,
                  bool exact, bool rises);

//  Adds what bytes have to the points. Returns 0, or -1 if they are no chunk of this
//  span, which adds some, or none.
int chunk_read (const void *bytes, size_t size, int64_t begin_s, int64_t span_s,
                points_t *points, bool *exact);

//  How many points they say they have.
size_t chunk_count (const void *bytes, size_t size);

#endif
