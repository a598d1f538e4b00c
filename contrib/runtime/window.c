/*  window - what one flush covers. The contract is in window.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "window.h"

#include <czmq.h>
#include <math.h>

entry_t *
window_add (window_t *self, const zb_line_t *line, uint64_t hash)
{
    entry_t *entry = (entry_t *) arena_new (
      &self->arena,
      offsetof (entry_t, text) + line->name_size + line->source_size + 2);
    entry->second = entry_second (line);
    entry->type = (uint8_t) line->type;
    entry->name_size = (uint8_t) line->name_size;
    entry->source_size = (uint8_t) line->source_size;
    memcpy (entry->text, line->name, line->name_size);
    memcpy (entry->text + line->name_size + 1, line->source, line->source_size);
    if (line->type != ZB_TYPE_COUNTER)
        entry->samples =
          (samples_t *) arena_new (&self->arena, sizeof *entry->samples);
    *self->last = entry;
    self->last = &entry->next;
    table_put (&self->entries, hash, entry);
    return entry;
}

//  Takes samples into count and range. The first ones make the range; no
//  samples have none.
static void
samples_range (samples_t *self, uint64_t count, double min, double max)
{
    if (count == 0)
        return;
    if (self->count == 0 || min < self->min)
        self->min = min;
    if (self->count == 0 || max > self->max)
        self->max = max;
    self->count += count;
}

void
entry_sample (entry_t *self, const zb_line_t *line)
{
    samples_t *samples = self->samples;
    double value = line->value;
    if (line->type == ZB_TYPE_TIMER) {
        zb_ns_t ns = line->value_ns;
        uint64_t most = ns < UINT64_MAX ? (uint64_t) ns : UINT64_MAX;
        value = ns == most ? (double) most : (double) ns;
        samples->sum_ns += ns;
        hist_at (&samples->hist, hist_bucket (most))->count++;
        samples->sum_squares += value * value * 1e-18;
    }
    else
        samples->sum_squares += value * value;
    samples->sum += value;
    samples_range (samples, 1, value, value);
}

void
entry_increment (entry_t *self, const increment_t *increment)
{
    samples_t *samples = self->samples;
    size_t i, at = 0;
    if (self->type == ZB_TYPE_COUNTER) {
        self->sum += increment->value;
        return;
    }
    samples->sum_ns += increment->sum_ns;
    samples->sum_squares += increment->sum_squares;
    for (i = 0; i < increment->hist.size; i++) {
        const bucket_t *bucket = &increment->hist.bucket[i];
        hist_place (&samples->hist, &at, bucket->index)->count += bucket->count;
    }
    samples_range (samples, increment->count, (double) increment->min_ns,
                   (double) increment->max_ns);
}

void
entry_clear (entry_t *self)
{
    if (self->type == ZB_TYPE_COUNTER)
        return;
    free (self->samples->hist.bucket);
    self->samples->hist = (hist_t){NULL, 0, 0};
}

void
window_begin (window_t *self)
{
    uint32_t number = self->number + 1;
    memset (self, 0, sizeof *self);
    self->last = &self->first;
    self->number = number;
}

void
window_end (window_t *self)
{
    table_clear (&self->entries);
    arena_clear (&self->arena);
    self->first = NULL;
}

void
window_clear (window_t *self)
{
    entry_t *entry;
    for (entry = self->first; entry; entry = entry->next)
        entry_clear (entry);
    window_end (self);
}

void
entry_row (const entry_t *self, int64_t flush_second, zb_row_t *row)
{
    const samples_t *samples = self->samples;
    double unit = self->type == ZB_TYPE_TIMER ? 1e9 : 1;
    row->type = (zb_type_t) self->type;
    row->name = self->text;
    row->source = self->text + self->name_size + 1;
    if (self->type == ZB_TYPE_COUNTER) {
        row->time = flush_second;
        row->count = 1;
        row->value = row->sum = row->min = row->max = self->sum;
        row->sum_squares = self->sum * self->sum;
        return;
    }
    row->time = self->second;
    row->count = samples->count;
    row->sum = self->type == ZB_TYPE_TIMER ? (double) samples->sum_ns / 1e9
                                           : samples->sum;
    row->value = row->sum;
    row->min = samples->min / unit;
    row->max = samples->max / unit;
    //  rounding makes no variance negative
    row->sum_squares =
      fmax (samples->sum_squares, row->sum * row->sum / (double) row->count);
}
