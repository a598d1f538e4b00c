/*  arena - memory of many small things that go together

    A worker has a million of them. One by one, malloc would take a sixth more
    memory, and freeing them takes longer than ingest may stand still.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ARENA_H
#define ZB_ARENA_H

#include <stddef.h>

enum { ARENA_MOST = 1536 };  //  bytes of one thing, at most

typedef struct {
    struct chunk *chunk;                     //  the newest
    char *at, *end;                          //  what is left of it
    struct hole *hole[ARENA_MOST / 16 + 1];  //  given back, by size
} arena_t;

//  Zeros, aligned for whatever they become.
void *arena_new (arena_t *self, size_t size);

//  Gives it back, for the next one of this size.
void arena_free (arena_t *self, void *item, size_t size);

//  All at once.
void arena_clear (arena_t *self);

#endif
