/*  bases - where older series begin. The contract is in bases.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bases.h"

#include <czmq.h>

static uint64_t
s_hash (const series_t *series)
{
    return table_hash_mix ((uint64_t) (uintptr_t) series ^ table_seed,
                           0xa0761d6478bd642fu);
}

static int
s_same (const void *item, const void *series)
{
    return ((const base_t *) item)->series == series;
}

base_t
base_before (const zb_line_t *line)
{
    uint64_t recent = line->recent_given ? line->recent : 0;
    base_t base = {.seq = line->seq,
                   .total = line->total - line->value,
                   .count = line->count - recent,
                   .sum_ns = line->sum_ns - (recent ? line->value_ns : 0)};
    return base;
}

const char *
base_text (const base_t *self, bool timer, char text[BASE_TEXT])
{
    static const uint64_t half = UINT64_C (1000000000000000000);
    uint64_t high = (uint64_t) (self->sum_ns / half);
    uint64_t low = (uint64_t) (self->sum_ns % half);
    if (!timer)
        snprintf (text, BASE_TEXT, "%.17g", self->total);
    else if (high)
        snprintf (text, BASE_TEXT, "%" PRIu64 "%018" PRIu64 "e-9", high, low);
    else
        snprintf (text, BASE_TEXT, "%" PRIu64 "%s", low, low ? "e-9" : "");
    return text;
}

base_t
base_saved (const zb_line_t *line)
{
    base_t base = {.seq = line->first,
                   .total = line->value,
                   .count = (uint64_t) line->min_ns,
                   .sum_ns = line->value_ns};
    return base;
}

base_t *
bases_find (const bases_t *self, const series_t *series)
{
    return self->table.count ? (base_t *) table_find (
             &self->table, s_hash (series), s_same, series)
                             : NULL;
}

base_t
bases_at (const bases_t *self, const series_t *series)
{
    const base_t *base = bases_find (self, series);
    return base ? *base : (base_t){.seq = 0};
}

void
bases_forget (bases_t *self, const series_t *series)
{
    base_t *base = bases_find (self, series);
    if (!base)
        return;
    table_remove (&self->table, s_hash (series), base);
    base->series = NULL;
}

void
bases_put (bases_t *self, const series_t *series, base_t base, int64_t now_ms)
{
    base_t *item;
    bases_forget (self, series);
    if (base.seq == 0)
        return;
    item = (base_t *) zmalloc (sizeof *item);
    *item = base;
    item->series = series;
    item->met_ms = now_ms;
    if (self->newest)
        self->newest->newer = item;
    else
        self->oldest = item;
    self->newest = item;
    table_put (&self->table, s_hash (series), item);
}

size_t
bases_free (bases_t *self, int64_t before_ms, size_t most)
{
    base_t *base;
    for (; most && (base = self->oldest) && base->met_ms < before_ms; most--) {
        if (base->series)
            table_remove (&self->table, s_hash (base->series), base);
        self->oldest = base->newer;
        if (!self->oldest)
            self->newest = NULL;
        free (base);
    }
    return most;
}

void
bases_clear (bases_t *self)
{
    bases_free (self, INT64_MAX, SIZE_MAX);
    table_clear (&self->table);
}
