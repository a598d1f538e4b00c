/*  openers - which sources open the most streams

    Counts with few rows what may have any number of names: the row of the
    least goes to a newcomer, who inherits its count (Metwally and others,
    "Efficient computation of frequent and top-k elements", 2005). So a source
    with more than a sixteenth of all is never missed, and no count is too
    small.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OPENERS_H
#define ZB_OPENERS_H

#include <stddef.h>
#include <stdint.h>

enum { OPENERS = 16 };

typedef struct {
    uint64_t count, hash;
    char source[256];
} opener_t;

typedef struct {
    opener_t row[OPENERS];
} openers_t;

//  A stream was opened by this source.
void openers_count (openers_t *self, const char *source, size_t size);

//  The row with most; its count is 0 if nothing was opened.
const opener_t *openers_most (const openers_t *self);

//  Begins anew.
void openers_clear (openers_t *self);

#endif
