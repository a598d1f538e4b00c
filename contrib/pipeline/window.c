/*  window - what one flush covers. The contract is in window.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "window.h"

#include <czmq.h>
#include <inttypes.h>
#include <math.h>

enum { BILLION = 1000000000 };  //  nanoseconds a second

int64_t
window_ns (int64_t second)
{
    static const int64_t most = INT64_MAX / BILLION - 1;
    return (second < most ? second : most) * BILLION;
}

entry_t *
window_add (window_t *self, const zb_line_t *line, uint64_t hash)
{
    entry_t *entry = (entry_t *) arena_new (
      &self->arena,
      offsetof (entry_t, text) + line->name_size + line->source_size + 2);
    entry->second = entry_second (line);
    entry->type = (uint8_t) line->type;
    entry->name_size = (uint16_t) line->name_size;
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

//  What came last counts, of two of the same time.
static void
samples_last (samples_t *self, double value, int64_t ns)
{
    if (ns < self->last_ns)
        return;
    self->last = value;
    self->last_ns = ns;
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
    samples_last (samples, value, window_ns (line->time) + line->time_ns);
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

bool
entry_empty (const entry_t *self)
{
    return !self->type
           || (self->type != ZB_TYPE_COUNTER && self->samples->count == 0);
}

void
entry_clear (entry_t *self)
{
    if (self->type && self->type != ZB_TYPE_COUNTER) {
        free (self->samples->hist.bucket);
        self->samples->hist = (hist_t){NULL, 0, 0};
    }
    self->type = 0;
}

static void
samples_merge (samples_t *self, samples_t *from)
{
    size_t i, at = 0;
    self->sum_ns += from->sum_ns;
    self->sum += from->sum;
    self->sum_squares += from->sum_squares;
    samples_range (self, from->count, from->min, from->max);
    samples_last (self, from->last, from->last_ns);
    if (!self->hist.size) {
        free (self->hist.bucket);
        self->hist = from->hist;
        from->hist = (hist_t){NULL, 0, 0};
    }
    for (i = 0; i < from->hist.size; i++)
        hist_place (&self->hist, &at, from->hist.bucket[i].index)->count +=
          from->hist.bucket[i].count;
}

void
entry_merge (entry_t *self, entry_t *from)
{
    if (self->type == ZB_TYPE_COUNTER)
        self->sum += from->sum;
    else
        samples_merge (self->samples, from->samples);
    entry_clear (from);
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

//  Numbers are written so that they read back to the last bit.
void
entry_save (const entry_t *self, ledger_write_fn *write, void *argument)
{
    const samples_t *samples = self->samples;
    char line[LINE_NAME_MAX + LINE_LABEL_MAX + 512];
    uint32_t i;
    int size =
      snprintf (line, sizeof line,
                "|open|%d|%" PRId64 "|%s|%s|%" PRIu64 "|%" PRIu64 "|%" PRIu64
                "|%a|%a|%a|%a|",
                self->type, self->second, self->text,
                self->text + self->name_size + 1, samples->count,
                (uint64_t) (samples->sum_ns >> 64), (uint64_t) samples->sum_ns,
                samples->sum, samples->min, samples->max, samples->sum_squares);
    write (argument, line, (size_t) size);
    for (i = 0; i < samples->hist.size; i++) {
        size = snprintf (line, sizeof line, "%s%d=%" PRIu64, i ? "," : "",
                         samples->hist.bucket[i].index,
                         samples->hist.bucket[i].count);
        write (argument, line, (size_t) size);
    }
    size = snprintf (line, sizeof line, "|%a|%" PRId64 "\n", samples->last,
                     samples->last_ns);
    write (argument, line, (size_t) size);
}

//  Reads the numbers of a saved entry: count, sum_ns in two halves, and those
//  with a fraction.
static int
samples_restore (samples_t *self, span_t numbers, span_t buckets)
{
    zb_line_t line = {.buckets = buckets.text, .buckets_size = buckets.size};
    char copy[256];
    uint64_t high, low;
    snprintf (copy, sizeof copy, "%.*s", (int) numbers.size, numbers.text);
    if (numbers.size >= sizeof copy
        || sscanf (copy, "%" SCNu64 "|%" SCNu64 "|%" SCNu64 "|%la|%la|%la|%la",
                   &self->count, &high, &low, &self->sum, &self->min,
                   &self->max, &self->sum_squares)
             != 7)
        return -1;
    self->sum_ns = (zb_ns_t) high << 64 | low;
    return buckets.size ? line_buckets (&line, &self->hist) : 0;
}

//  Workers of before did not say what came last: the mean will do.
static void
samples_restore_last (samples_t *self, span_t last, int64_t second)
{
    char copy[64];
    snprintf (copy, sizeof copy, "%.*s", (int) last.size, last.text);
    if (sscanf (copy, "%la|%" SCNd64, &self->last, &self->last_ns) == 2)
        return;
    self->last = self->count ? self->sum / (double) self->count : 0;
    self->last_ns = window_ns (second);
}

static int
s_number (span_t field, int64_t *number)
{
    char copy[32];
    snprintf (copy, sizeof copy, "%.*s", (int) field.size, field.text);
    return sscanf (copy, "%" SCNd64, number) == 1 ? 0 : -1;
}

int
window_restore (window_t *self, const char *text, size_t size)
{
    span_t rest = {text, size}, type = line_field (&rest),
           at = line_field (&rest);
    span_t name = line_field (&rest), source = line_field (&rest),
           numbers = rest;
    span_t buckets;
    zb_line_t line = {.name = name.text,
                      .name_size = name.size,
                      .source = source.text,
                      .source_size = source.size};
    entry_t *entry;
    int i;
    for (i = 0; i < 7; i++)
        line_field (&rest);
    numbers.size -= rest.size;
    buckets = line_field (&rest);
    if (type.size != 1 || (*type.text != '2' && *type.text != '3')
        || s_number (at, &line.time) == -1
        || !line_name_ok (name.text, name.size)
        || !line_label_ok (source.text, source.size))
        return -1;
    line.type = (zb_type_t) (*type.text - '0');
    if (window_find (self, &line, window_hash (&line)))
        return -1;
    entry = window_add (self, &line, window_hash (&line));
    if (samples_restore (entry->samples, numbers, buckets) == 0) {
        samples_restore_last (entry->samples, rest, line.time);
        return 0;
    }
    entry_clear (entry);
    return -1;
}

//  One sample is the sum: range and square may only be known by its bucket.
static void
row_single (zb_row_t *row)
{
    row->min = row->max = row->value;
    row->sum_squares = row->value * row->value;
}

static void
row_samples (zb_row_t *row, const samples_t *samples)
{
    double unit = row->type == ZB_TYPE_TIMER ? 1e9 : 1;
    row->count = samples->count;
    row->sum = row->type == ZB_TYPE_TIMER ? (double) samples->sum_ns / 1e9
                                          : samples->sum;
    row->value = row->sum;
    row->min = samples->min / unit;
    row->max = samples->max / unit;
    //  rounding makes no variance negative
    row->sum_squares =
      fmax (samples->sum_squares, row->sum * row->sum / (double) row->count);
    row->buckets = samples->hist.bucket;
    row->bucket_count = samples->hist.size;
    if (row->count == 1)
        row_single (row);
    row->last = row->value;
    if (row->type == ZB_TYPE_GAUGE) {
        row->last = samples->last;
        row->last_ns = samples->last_ns;
    }
}

void
entry_row (const entry_t *self, int64_t from, int64_t flush_second,
           zb_row_t *row)
{
    int64_t second = self->second ? self->second : flush_second;
    if (self->second || from > second)
        from = second;
    *row = (zb_row_t){.type = (zb_type_t) self->type,
                      .name = self->text,
                      .source = self->text + self->name_size + 1,
                      .start_ns = window_ns (from),
                      .time_ns = window_ns (second),
                      .last_ns = window_ns (second)};
    if (self->type != ZB_TYPE_COUNTER) {
        row_samples (row, self->samples);
        return;
    }
    row->count = 1;
    row->value = row->last = row->sum = row->min = row->max = self->sum;
    row->sum_squares = self->sum * self->sum;
}
