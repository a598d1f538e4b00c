/*  values - which tag has most values

    Who invents values of a tag makes series without end. Of up to VALUES_KEYS
    keys it is estimated how many values there were, in a fixed memory: the
    more different hashes there are, the more zeros the best of them begins
    with (Flajolet and others, "HyperLogLog", 2007). An estimate is off by 6 %
    in most cases.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_VALUES_H
#define ZB_VALUES_H

#include "tags.h"

#include <stdint.h>

enum {
    VALUES_KEYS = 16,
    VALUES_BITS = 8,
    VALUES_CELLS = 1 << VALUES_BITS,
    VALUES_KEY_MAX = 64  //  bytes of a key that are said
};

typedef struct {
    uint64_t hash;               //  of the key
    uint64_t seen;               //  values that have changed a cell; 0: unused
    uint8_t cell[VALUES_CELLS];  //  by the first bits of a value's hash: the
                                 //  most zeros behind them, and one
    char key[VALUES_KEY_MAX + 1];
} values_key_t;

typedef struct {
    values_key_t row[VALUES_KEYS];
} values_t;

//  Takes note of a name's tags. The row of the key that has fewest values goes to
//  a newcomer.
void values_note (values_t *self, const char *name, size_t size);

//  The row with most, or NULL if there were no tags. *values: about how many.
const values_key_t *values_most (const values_t *self, uint64_t *values);

//  Begins anew.
void values_clear (values_t *self);

#endif
