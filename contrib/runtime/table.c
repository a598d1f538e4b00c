/*  table - pointers by 64-bit hash. The contract is in table.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "table.h"

#include <czmq.h>

uint64_t table_seed;

//  Half of the places stay empty, which keeps runs short.
void
table_put (table_t *self, uint64_t hash, void *item)
{
    size_t at;
    if ((self->count + 1) * 2 > self->size) {
        table_t grown = {NULL, self->size ? self->size * 2 : 64, 0,
                         self->free_item};
        grown.place = (place_t *) zmalloc (grown.size * sizeof (place_t));
        for (at = 0; at < self->size; at++)
            if (self->place[at].item)
                table_put (&grown, self->place[at].hash, self->place[at].item);
        free (self->place);
        *self = grown;
    }
    at = hash & (self->size - 1);
    while (self->place[at].item)
        at = (at + 1) & (self->size - 1);
    self->place[at].hash = hash;
    self->place[at].item = item;
    self->count++;
}

void
table_clear (table_t *self)
{
    size_t i;
    for (i = 0; self->free_item && i < self->size; i++)
        if (self->place[i].item)
            self->free_item (self->place[i].item);
    free (self->place);
    self->place = NULL;
    self->size = self->count = 0;
}

void
table_keep (table_t *self, int (*keep) (const void *item, int64_t since),
            int64_t since)
{
    table_t kept = {.free_item = self->free_item};
    size_t i;
    for (i = 0; i < self->size; i++)
        if (self->place[i].item && keep (self->place[i].item, since)) {
            table_put (&kept, self->place[i].hash, self->place[i].item);
            self->place[i].item = NULL;
        }
    table_clear (self);
    *self = kept;
}
