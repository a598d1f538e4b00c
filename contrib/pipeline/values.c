/*  values - which tag has most values. The contract is in values.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "values.h"

#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

//  The row of a key. One that gets it anew is empty.
static values_key_t *
values_row (values_t *self, span_t key)
{
    uint64_t hash = table_hash (0, key.text, key.size);
    values_key_t *row, *least = self->row;
    for (row = self->row; row < self->row + VALUES_KEYS; row++) {
        if (row->seen && row->hash == hash)
            return row;
        if (row->seen < least->seen)
            least = row;
    }
    memset (least, 0, sizeof *least);
    least->hash = hash;
    snprintf (least->key, sizeof least->key, "%.*s", (int) key.size, key.text);
    return least;
}

//  A table's hash of short texts that are alike is not even enough to count by:
//  all bits go into all others (splitmix64, public domain, S. Vigna).
static uint64_t
s_even (uint64_t hash)
{
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

void
values_note (values_t *self, const char *name, size_t size)
{
    span_t tags;
    tag_t tag;
    tags_split (name, size, &tags);
    while (tags_next (&tags, &tag)) {
        values_key_t *row = values_row (self, tag.key);
        uint64_t hash =
          s_even (table_hash (row->hash, tag.value.text, tag.value.size));
        uint8_t *cell = &row->cell[hash >> (64 - VALUES_BITS)];
        //  a one behind all others ends the zeros
        uint64_t rest = hash << VALUES_BITS | 1 << (VALUES_BITS - 1);
        uint8_t zeros = (uint8_t) (__builtin_clzll (rest) + 1);
        if (zeros > *cell) {
            *cell = zeros;
            row->seen++;
        }
    }
}

//  With few values there are cells without any, which tell more.
static double
row_estimate (const values_key_t *self)
{
    double cells = VALUES_CELLS, sum = 0, estimate;
    size_t i, empty = 0;
    for (i = 0; i < VALUES_CELLS; i++) {
        sum += ldexp (1, -self->cell[i]);
        empty += self->cell[i] == 0;
    }
    estimate = 0.7213 / (1 + 1.079 / cells) * cells * cells / sum;
    return estimate <= 2.5 * cells && empty
             ? cells * log (cells / (double) empty)
             : estimate;
}

const values_key_t *
values_most (const values_t *self, uint64_t *values)
{
    const values_key_t *row, *most = NULL;
    double best = 0, estimate;
    for (row = self->row; row < self->row + VALUES_KEYS; row++) {
        estimate = row->seen ? row_estimate (row) : 0;
        if (estimate > best) {
            best = estimate;
            most = row;
        }
    }
    *values = (uint64_t) llround (best);
    return most;
}

void
values_clear (values_t *self)
{
    size_t i;
    for (i = 0; i < VALUES_KEYS; i++)
        self->row[i].seen = 0;
}
