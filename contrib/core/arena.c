/*  arena - memory in chunks. The contract is in arena.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  MAP_ANONYMOUS, MADV_HUGEPAGE

#include "arena.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

//  The first chunk is small, for most have few things. Large ones are of huge
//  pages, if the system has some: looking up what is anywhere in a hundred
//  megabytes, a processor waits for the addresses of pages, too.
enum { UNIT = 16, CHUNK_FIRST = 16 * 1024, CHUNK_MOST = 2 * 1024 * 1024 };

typedef struct chunk {
    struct chunk *next;
    size_t size;
} chunk_t;

typedef struct hole {
    struct hole *next;
} hole_t;

static size_t
s_units (size_t size)
{
    return (size + UNIT - 1) / UNIT;
}

//  Pages of the system, at a multiple of CHUNK_MOST if they are as many.
static char *
s_map (size_t size)
{
    size_t more = size == CHUNK_MOST ? CHUNK_MOST : 0;
    char *text = mmap (NULL, size + more, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;
    assert (text != MAP_FAILED);
    if (!more)
        return text;
    before = (size_t) (0 - (uintptr_t) text) % CHUNK_MOST;
    if (before)
        munmap (text, before);
    if (more > before)
        munmap (text + before + size, more - before);
    madvise (text + before, size, MADV_HUGEPAGE);
    return text + before;
}

static void
arena_grow (arena_t *self)
{
    size_t size = CHUNK_FIRST;
    chunk_t *chunk;
    if (self->chunk)
        size =
          self->chunk->size < CHUNK_MOST ? self->chunk->size * 2 : CHUNK_MOST;
    chunk = (chunk_t *) (void *) s_map (size);
    chunk->next = self->chunk;
    chunk->size = size;
    self->chunk = chunk;
    self->at = (char *) chunk + s_units (sizeof *chunk) * UNIT;
    self->end = (char *) chunk + size;
}

void *
arena_new (arena_t *self, size_t size)
{
    size_t units = s_units (size);
    hole_t *hole;
    void *item;
    assert (size <= ARENA_MOST);
    hole = self->hole[units];
    if (hole) {
        self->hole[units] = hole->next;
        return memset (hole, 0, size);
    }
    if ((size_t) (self->end - self->at) < units * UNIT)
        arena_grow (self);
    item = self->at;
    self->at += units * UNIT;
    return item;
}

void
arena_free (arena_t *self, void *item, size_t size)
{
    hole_t *hole = (hole_t *) item;
    hole->next = self->hole[s_units (size)];
    self->hole[s_units (size)] = hole;
}

void
arena_clear (arena_t *self)
{
    chunk_t *chunk;
    while ((chunk = self->chunk)) {
        self->chunk = chunk->next;
        munmap (chunk, chunk->size);
    }
    memset (self, 0, sizeof *self);
}
