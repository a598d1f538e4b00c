/*  table - pointers by 64-bit hash. The contract is in table.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "table.h"

#include <czmq.h>

uint64_t table_seed;

//  The next word of a lane.
static inline uint64_t
s_lane (uint64_t lane, const char *text, uint64_t factor)
{
    uint64_t word;
    memcpy (&word, text, sizeof word);
    return table_hash_mix (lane ^ word, factor);
}

uint64_t
table_digest_long (uint64_t hash, const char *text, size_t size)
{
    const uint64_t a = 0xa0761d6478bd642fu, b = 0xe7037ed1a0b428dbu;
    const uint64_t c = 0x8ebc6af09c88c6e3u, d = 0x589965cc75374cc3u;
    uint64_t first = hash ^ size, second = ~hash, third = hash, last = hash ^ a;
    for (; size >= 32; text += 32, size -= 32) {
        first = s_lane (first, text, a);
        second = s_lane (second, text + 8, b);
        third = s_lane (third, text + 16, c);
        last = s_lane (last, text + 24, d);
    }
    hash = table_hash_mix (first ^ b, second ^ c)
           ^ table_hash_mix (third ^ c, last ^ d);
    return table_digest (hash, text, size);
}

static void
part_put (part_t *self, uint64_t hash, void *item)
{
    size_t at = hash & (self->size - 1);
    while (self->place[at].item)
        at = (at + 1) & (self->size - 1);
    self->place[at].hash = hash;
    self->place[at].item = item;
    self->count++;
}

//  An eighth of the places stays empty, at least, which keeps runs short.
static void
part_grow (part_t *self)
{
    part_t grown = {NULL, self->size ? self->size * 2 : 4, 0};
    size_t at;
    grown.place = (place_t *) zmalloc (grown.size * sizeof (place_t));
    for (at = 0; at < self->size; at++)
        if (self->place[at].item)
            part_put (&grown, self->place[at].hash, self->place[at].item);
    free (self->place);
    *self = grown;
}

void
table_put (table_t *self, uint64_t hash, void *item)
{
    part_t *part = table_part (self, hash);
    if ((part->count + 1) * 8 > part->size * 7u)
        part_grow (part);
    part_put (part, hash, item);
    self->count++;
}

//  Those behind it that a search would not find any more move up (Knuth, The
//  Art of Computer Programming, 6.4, algorithm R).
void
table_remove (table_t *self, uint64_t hash, const void *item)
{
    part_t *part = table_part (self, hash);
    size_t mask = part->size - 1, at = hash & mask, next;
    while (part->place[at].item != item)
        at = (at + 1) & mask;
    for (next = (at + 1) & mask; part->place[next].item;
         next = (next + 1) & mask)
        if (((next - part->place[next].hash) & mask) >= ((next - at) & mask)) {
            part->place[at] = part->place[next];
            at = next;
        }
    part->place[at].item = NULL;
    part->count--;
    self->count--;
}

void
table_clear (table_t *self)
{
    part_t *part;
    size_t at;
    for (part = self->part; part < self->part + TABLE_PARTS; part++) {
        for (at = 0; self->free_item && at < part->size; at++)
            if (part->place[at].item)
                self->free_item (part->place[at].item);
        free (part->place);
        *part = (part_t){NULL, 0, 0};
    }
    self->count = 0;
}

void
table_keep (table_t *self, int (*keep) (const void *item, int64_t since),
            int64_t since)
{
    part_t *part, old;
    size_t at;
    self->count = 0;
    for (part = self->part; part < self->part + TABLE_PARTS; part++) {
        old = *part;
        *part = (part_t){NULL, 0, 0};
        for (at = 0; at < old.size; at++) {
            void *item = old.place[at].item;
            if (item && keep (item, since))
                table_put (self, old.place[at].hash, item);
            else if (item && self->free_item)
                self->free_item (item);
        }
        free (old.place);
    }
}

//  --------------------------------------------------------------------------
//  Sets

//  The place of a hash, or that where it would be.
static uint64_t *
set_part_find (const set_part_t *self, uint64_t hash)
{
    size_t at = hash & (self->size - 1);
    while (self->place[at] && self->place[at] != hash)
        at = (at + 1) & (self->size - 1);
    return &self->place[at];
}

static void
set_part_grow (set_part_t *self)
{
    set_part_t grown = {NULL, self->size ? self->size * 2 : 4, self->count};
    size_t at;
    grown.place = (uint64_t *) zmalloc (grown.size * sizeof (uint64_t));
    for (at = 0; at < self->size; at++)
        if (self->place[at])
            *set_part_find (&grown, self->place[at]) = self->place[at];
    free (self->place);
    *self = grown;
}

int
set_has (const set_t *self, uint64_t hash)
{
    const set_part_t *part = &self->part[hash >> (64 - TABLE_BITS)];
    return part->size && *set_part_find (part, hash | !hash) != 0;
}

void
set_put (set_t *self, uint64_t hash)
{
    set_part_t *part = &self->part[hash >> (64 - TABLE_BITS)];
    uint64_t *place;
    if ((part->count + 1) * 8 > part->size * 7u)
        set_part_grow (part);
    place = set_part_find (part, hash | !hash);
    part->count += !*place;
    self->count += !*place;
    *place = hash | !hash;
}

void
set_clear (set_t *self)
{
    size_t i;
    for (i = 0; i < TABLE_PARTS; i++)
        free (self->part[i].place);
    memset (self, 0, sizeof *self);
}
