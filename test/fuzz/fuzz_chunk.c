/*  fuzz_chunk.c - whatever bytes a database has in place of a chunk, they are refused,
    or are points of its span; and written anew those are the same

    The first byte says which span.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

#include "../../contrib/server/chunk.h"
#include "../../contrib/server/kept.h"

static void
check_points (const points_t *points, const kept_t *level)
{
    for (size_t i = 0; i < points->count; i++) {
        const point_t *point = &points->point[i];
        CHECK (point->time_s < level->span_s);
        CHECK (i ? point->time_s > point[-1].time_s : point->time_s >= 0);
        for (size_t j = 0; j < point->bucket_count; j++) {
            CHECK (point->buckets[j].index >= BUCKET_MIN);
            CHECK (point->buckets[j].index <= BUCKET_MAX);
            CHECK (!j || point->buckets[j].index > point->buckets[j - 1].index);
        }
    }
}

static void
check_same (const points_t *a, const points_t *b)
{
    CHECK (a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const point_t *p = &a->point[i], *q = &b->point[i];
        CHECK (memcmp (p, q, offsetof (point_t, buckets)) == 0);
        CHECK (p->bucket_count == q->bucket_count);
        for (size_t j = 0; j < p->bucket_count; j++)
            CHECK (p->buckets[j].index == q->buckets[j].index
                   && p->buckets[j].count == q->buckets[j].count);
    }
}

static void
fuzz (const char *text, size_t size)
{
    static points_t points, again;
    static buffer_t bytes;
    const kept_t *level;
    bool exact, same;
    if (!size)
        return;
    level = &kept[(unsigned char) *text % LEVELS];
    points_empty (&points);
    points_empty (&again);
    chunk_count (text + 1, size - 1);
    if (chunk_read (text + 1, size - 1, 0, level->span_s, &points, &exact))
        return;
    CHECK (points.count == chunk_count (text + 1, size - 1));
    check_points (&points, level);
    bytes.size = 0;
    chunk_write (&bytes, &points, 0, exact, true);
    CHECK (chunk_read (bytes.text, bytes.size, 0, level->span_s, &again, &same)
           == 0);
    CHECK (exact == same);
    check_same (&points, &again);
}
