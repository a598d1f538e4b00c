/*  bench_plain.h - lines split, hashed and looked up by the plainest loop

    This is the least that anybody has to do who adds up lines by name. It reads
    no number, checks nothing and keeps no second, but it has to find the ends
    of the fields, and the series among all the others.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BENCH_PLAIN_H
#define ZB_BENCH_PLAIN_H

#include "bench.h"

#include <string.h>

//  Places of the table, a power of two: at most half of them are taken.
enum { PLAIN_PLACES = 1 << 18, PLAIN_FIELDS = 7 };

typedef struct {
    uint64_t hash;
    char *name;
    size_t size, lines;
} plain_series_t;

static plain_series_t bench_plain_table[PLAIN_PLACES];

//  FNV-1a (Fowler, Noll, Vo).
static inline uint64_t
bench_plain_hash (const char *text, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    while (size--)
        hash = (hash ^ (unsigned char) *text++) * 0x100000001b3u;
    return hash;
}

//  Finds or makes the series of a name.
static inline plain_series_t *
bench_plain_series (const char *name, size_t size)
{
    uint64_t hash = bench_plain_hash (name, size);
    size_t at = hash % PLAIN_PLACES;
    plain_series_t *series;
    for (;; at = (at + 1) % PLAIN_PLACES) {
        series = &bench_plain_table[at];
        if (!series->name)
            break;
        if (series->hash == hash && series->size == size
            && memcmp (series->name, name, size) == 0)
            return series;
    }
    *series = (plain_series_t){hash, malloc (size), size, 0};
    BENCH_CHECK (series->name);
    memcpy (series->name, name, size);
    return series;
}

//  level|type|NAME|value|time|source[|stream]
static inline void
bench_plain_line (const char *text, const char *end)
{
    const char *field[PLAIN_FIELDS + 1] = {text};
    size_t fields = 1;
    while (fields < PLAIN_FIELDS
           && (text = memchr (text, '|', (size_t) (end - text))))
        field[fields++] = ++text;
    if (fields >= 6)
        bench_plain_series (field[2], (size_t) (field[3] - 1 - field[2]))
          ->lines++;
}

static inline void
bench_plain_lines (const char *text, size_t size)
{
    const char *end = text + size, *newline;
    do {
        newline = memchr (text, '\n', (size_t) (end - text));
        bench_plain_line (text, newline ? newline : end);
        text = newline ? newline + 1 : end;
    } while (text < end);
}

#endif
