/*  openers - sources and their streams. The contract is in openers.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "openers.h"
#include "table.h"

#include <stdio.h>

void
openers_count (openers_t *self, const char *source, size_t size)
{
    uint64_t hash = table_hash (0, source, size);
    opener_t *row, *least = self->row;
    for (row = self->row; row < self->row + OPENERS; row++) {
        if (row->count && row->hash == hash)
            break;
        if (row->count < least->count)
            least = row;
    }
    if (row == self->row + OPENERS) {
        row = least;
        row->hash = hash;
        snprintf (row->source, sizeof row->source, "%.*s", (int) size, source);
    }
    row->count++;
}

const opener_t *
openers_most (const openers_t *self)
{
    const opener_t *row, *most = self->row;
    for (row = self->row; row < self->row + OPENERS; row++)
        if (row->count > most->count)
            most = row;
    return most;
}

void
openers_clear (openers_t *self)
{
    opener_t *row;
    for (row = self->row; row < self->row + OPENERS; row++)
        row->count = 0;
}
