/*  table - pointers by 64-bit hash, open addressing

    A table is many small ones, each for a part of the hashes: when one is full
    it is made anew twice as large, and with a million items in a single one
    its owner would stand still for as long as a worker may not.

    With free_item set, the items are the table's and go with it. What is
    looked up for each line is inlined here.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TABLE_H
#define ZB_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t hash;
    void *item;
} place_t;

typedef struct {
    place_t *place;
    uint32_t size, count;  //  places, a power of two; items
} part_t;

enum { TABLE_BITS = 6, TABLE_PARTS = 1 << TABLE_BITS };

typedef struct {
    part_t part[TABLE_PARTS];  //  by the highest bits
    size_t count;              //  items
    void (*free_item) (void *item);
} table_t;

//  Is this the item that the key means?
typedef int (same_fn) (const void *item, const void *key);

//  Chosen anew by each process: a peer cannot choose names that meet in one
//  place.
extern uint64_t table_seed;

//  Folded multiplication, as in wyhash (github.com/wangyi-fudan/wyhash).
static inline uint64_t
table_hash_mix (uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 product_t;
    product_t product = (product_t) a * b;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

//  The last bytes of a text, 0 to 7, as a word; whole is the text's length. A
//  copy of so many bytes would take longer than all the rest.
static inline uint64_t
table_digest_end (const char *text, size_t size, size_t whole)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (whole >= 8 && size) {
        memcpy (&word, text + size - 8, 8);
        return word >> 8 * (8 - size);
    }
    if (size >= 4) {
        memcpy (&low, text, 4);
        memcpy (&high, text + size - 4, 4);
        return low | (uint64_t) high << 8 * (size - 4);
    }
    if (size)
        word = (uint64_t) (unsigned char) text[0]
               | (uint64_t) (unsigned char) text[size / 2] << 8 * (size / 2)
               | (uint64_t) (unsigned char) text[size - 1] << 8 * (size - 1);
    return word;
}

enum { DIGEST_LONG = 256 };  //  bytes from which on it is done otherwise

//  A long text's: four words at a time, since a multiplication takes longer
//  than it is until the next one can begin.
uint64_t table_digest_long (uint64_t hash, const char *text, size_t size);

//  Hash of a text, begun with another one. The same in every process.
static inline uint64_t
table_digest (uint64_t hash, const char *text, size_t size)
{
    size_t left = size;
    uint64_t word;
    if (size >= DIGEST_LONG)
        return table_digest_long (hash, text, size);
    hash ^= size;
    for (; left >= 8; text += 8, left -= 8) {
        memcpy (&word, text, 8);
        hash = table_hash_mix (hash ^ word, 0xa0761d6478bd642fu);
    }
    word = table_digest_end (text, left, size);
    return table_hash_mix (hash ^ word, 0xe7037ed1a0b428dbu);
}

//  Hash of a text for a table, begun with another one, or with 0.
static inline uint64_t
table_hash (uint64_t hash, const char *text, size_t size)
{
    return table_digest (hash ^ table_seed, text, size);
}

static inline part_t *
table_part (table_t *self, uint64_t hash)
{
    return &self->part[hash >> (64 - TABLE_BITS)];
}

//  Inlined with a constant comparison at each call, so that looking up costs
//  the hash, one probe and one memcmp.
static inline void *
table_find (const table_t *self, uint64_t hash, same_fn *same, const void *key)
{
    const part_t *part = table_part ((table_t *) self, hash);
    size_t at;
    if (!part->size)
        return NULL;
    for (at = hash & (part->size - 1); part->place[at].item;
         at = (at + 1) & (part->size - 1))
        if (part->place[at].hash == hash && same (part->place[at].item, key))
            return part->place[at].item;
    return NULL;
}

//  Where the search for it begins, for __builtin_prefetch. That is up to the
//  caller: gcc takes a function that does nothing else for one without effect.
static inline const void *
table_place (const table_t *self, uint64_t hash)
{
    const part_t *part = table_part ((table_t *) self, hash);
    return part->size ? &part->place[hash & (part->size - 1)] : NULL;
}

//  What table_find will look at first, or NULL. It is not looked at here.
static inline void *
table_guess (const table_t *self, uint64_t hash)
{
    const part_t *part = table_part ((table_t *) self, hash);
    size_t at;
    if (!part->size)
        return NULL;
    for (at = hash & (part->size - 1);
         part->place[at].item && part->place[at].hash != hash;
         at = (at + 1) & (part->size - 1)) {
    }
    return part->place[at].item;
}

//  Puts an item in. The caller has looked before: an item must not be put
//  twice.
void table_put (table_t *self, uint64_t hash, void *item);

//  Takes an item out that is in it. The item stays the caller's.
void table_remove (table_t *self, uint64_t hash, const void *item);

//  Frees the items, if they are the table's, and all places.
void table_clear (table_t *self);

//  Keeps the items for which keep says so. The others go, freed if they are the
//  table's.
void table_keep (table_t *self, int (*keep) (const void *item, int64_t since),
                 int64_t since);

//  --------------------------------------------------------------------------
//  A set is a table of hashes alone, for half of the memory

typedef struct {
    uint64_t *place;  //  0: none
    uint32_t size, count;
} set_part_t;

typedef struct {
    set_part_t part[TABLE_PARTS];
    size_t count;
} set_t;

int set_has (const set_t *self, uint64_t hash);

void set_put (set_t *self, uint64_t hash);

void set_clear (set_t *self);

#endif
