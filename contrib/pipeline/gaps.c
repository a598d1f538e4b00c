/*  gaps - readings that have not come. The contract is in gaps.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "gaps.h"

#include <czmq.h>

void
gaps_destroy (gaps_t **self_p)
{
    free (*self_p);
    *self_p = NULL;
}

//  Removes the ranges from `at` on, and frees the last one's memory with it.
static void
gaps_remove (gaps_t **self_p, uint32_t at, uint32_t count)
{
    gaps_t *self = *self_p;
    memmove (self->gap + at, self->gap + at + count,
             (self->count - at - count) * sizeof *self->gap);
    self->count -= count;
    if (self->count == 0)
        gaps_destroy (self_p);
}

//  Makes room for one more before `at`, and writes it there.
static void
gaps_insert (gaps_t **self_p, uint32_t at, gap_t gap)
{
    gaps_t *self = *self_p;
    if (!self || self->count == self->max) {
        uint32_t max = self ? self->max * 2 : 2;
        uint32_t count = self ? self->count : 0;
        self = (gaps_t *) realloc (self, sizeof *self + max * sizeof (gap_t));
        assert (self);
        self->max = max;
        self->count = count;
        *self_p = self;
    }
    memmove (self->gap + at + 1, self->gap + at,
             (self->count - at) * sizeof *self->gap);
    self->gap[at] = gap;
    if (++self->count > GAPS_MAX)
        gaps_remove (self_p, 0, 1);
}

void
gaps_add (gaps_t **self_p, uint64_t from, uint64_t to)
{
    gaps_t *self = *self_p;
    gap_t gap = {from, to};
    gap_t *last = self ? &self->gap[self->count - 1] : NULL;
    if (from >= to)
        return;
    if (last && last->to == from)
        last->to = to;
    else if (last && self->gap[0].from == to)
        self->gap[0].from = from;
    else
        gaps_insert (self_p, last && last->to < from ? self->count : 0, gap);
}

int
gaps_fill (gaps_t **self_p, uint64_t seq)
{
    gaps_t *self = *self_p;
    uint32_t low = 0, high = self ? self->count : 0;
    gap_t *gap;
    //  the first that ends behind it
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->gap[middle].to <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    if (!self || low == self->count || self->gap[low].from > seq)
        return 0;
    gap = &self->gap[low];
    if (gap->from == seq && gap->to == seq + 1)
        gaps_remove (self_p, low, 1);
    else if (gap->from == seq)
        gap->from++;
    else if (gap->to == seq + 1)
        gap->to--;
    else {
        gap_t behind = {seq + 1, gap->to};
        gap->to = seq;
        gaps_insert (self_p, low + 1, behind);
    }
    return 1;
}

void
gaps_trim (gaps_t **self_p, uint64_t seq)
{
    gaps_t *self = *self_p;
    uint32_t count = 0;
    if (!self || self->gap[0].from >= seq)
        return;
    while (count < self->count && self->gap[count].to <= seq)
        count++;
    if (count < self->count && self->gap[count].from < seq)
        self->gap[count].from = seq;
    if (count)
        gaps_remove (self_p, 0, count);
}
