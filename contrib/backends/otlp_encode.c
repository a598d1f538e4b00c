/*  otlp_encode - rows to OTLP. The contract is in otlp_encode.h.

    Sections: the schema, histograms, points, metrics, the request.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "otlp_encode.h"

#include "hist.h"
#include "otlp_field.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  The schema: metrics/v1/metrics.proto and what it includes

#define FIELD(field, number, name)                                             \
    static const otlp_field_t field = {number, name}

FIELD (s_resource_metrics, 1, "resourceMetrics");
FIELD (s_resource, 1, "resource");
FIELD (s_resource_attributes, 1, "attributes");
FIELD (s_scope_metrics, 2, "scopeMetrics");
FIELD (s_scope, 1, "scope");
FIELD (s_scope_name, 1, "name");
FIELD (s_scope_version, 2, "version");
FIELD (s_metrics, 2, "metrics");
FIELD (s_metric_name, 1, "name");
FIELD (s_metric_unit, 3, "unit");
FIELD (s_data_points, 1, "dataPoints");
FIELD (s_temporality, 2, "aggregationTemporality");
FIELD (s_is_monotonic, 3, "isMonotonic");
FIELD (s_key, 1, "key");
FIELD (s_value, 2, "value");
FIELD (s_string_value, 1, "stringValue");

//  Of every point
FIELD (s_start, 2, "startTimeUnixNano");
FIELD (s_time, 3, "timeUnixNano");
FIELD (s_number_attributes, 7, "attributes");
FIELD (s_number_flags, 8, "flags");
FIELD (s_as_double, 4, "asDouble");
FIELD (s_hist_attributes, 1, "attributes");
FIELD (s_hist_flags, 10, "flags");
FIELD (s_count, 4, "count");
FIELD (s_sum, 5, "sum");
FIELD (s_scale, 6, "scale");
FIELD (s_zero_count, 7, "zeroCount");
FIELD (s_positive, 8, "positive");
FIELD (s_min, 12, "min");
FIELD (s_max, 13, "max");
FIELD (s_zero_threshold, 14, "zeroThreshold");
FIELD (s_offset, 1, "offset");
FIELD (s_bucket_counts, 2, "bucketCounts");

//  Of a metric's data, by what a row is
static const otlp_field_t s_data[] = {
  [ZB_TYPE_COUNTER] = {7, "sum"},
  [ZB_TYPE_TIMER] = {10, "exponentialHistogram"},
  [ZB_TYPE_GAUGE] = {5, "gauge"}};

enum {
    DELTA = 1,
    CUMULATIVE = 2,
    NO_RECORDED_VALUE = 1,  //  a flag: the series ends
    SCALE = 5
};

//  --------------------------------------------------------------------------
//  Histograms

//  What a point has of a row, or of its total.
typedef struct {
    uint64_t count;
    double sum;
    const zb_bucket_t *buckets;
    size_t bucket_count;
    int shift;  //  2^shift buckets become one
    uint64_t zeros;
} samples_t;

static int
s_scaled (const samples_t *self, size_t i)
{
    return self->buckets[i].index >> self->shift;
}

//  The fewest buckets that become one, so that no more than so many are left. The
//  range of a total only grows, so no later point of it is finer again, which
//  Prometheus would take for a reset.
static void
samples_scale (samples_t *self, int64_t max_buckets)
{
    size_t last = self->bucket_count - 1;
    if (self->bucket_count)
        while (s_scaled (self, last) - s_scaled (self, 0) >= max_buckets)
            self->shift++;
}

//  Samples of 0 s, and what is in one bucket with them, are the zero count: they
//  would be hundreds of empty buckets below the others.
static void
samples_split_zeros (samples_t *self, int64_t max_buckets)
{
    bool any = self->bucket_count && self->buckets->index == ZB_BUCKET_ZERO;
    if (any) {
        self->zeros = self->buckets->count;
        self->buckets++;
        self->bucket_count--;
    }
    samples_scale (self, max_buckets);
    while (any && self->bucket_count
           && s_scaled (self, 0) == ZB_BUCKET_ZERO >> self->shift) {
        self->zeros += self->buckets->count;
        self->buckets++;
        self->bucket_count--;
    }
}

//  The upper edge of the bucket that zeros are in.
static double
samples_threshold (const samples_t *self)
{
    int edge = ((ZB_BUCKET_ZERO >> self->shift) + 1) * (1 << self->shift);
    return exp2 ((double) edge / (1 << SCALE));
}

static void
samples_write_buckets (const samples_t *self, otlp_out_t *out)
{
    size_t positive = otlp_begin (out, &s_positive), numbers, i = 0;
    int index = s_scaled (self, 0),
        last = s_scaled (self, self->bucket_count - 1);
    otlp_signed (out, &s_offset, index);
    numbers = otlp_numbers (out, &s_bucket_counts);
    for (; index <= last; index++) {
        uint64_t count = 0;
        for (; i < self->bucket_count && s_scaled (self, i) == index; i++)
            count += self->buckets[i].count;
        otlp_number (out, count);
    }
    otlp_numbers_end (out, numbers);
    otlp_end (out, positive);
}

static samples_t
s_samples (const zb_row_t *row)
{
    const zb_total_t *total = row->total;
    samples_t self = {row->count,        row->sum, row->buckets,
                      row->bucket_count, 0,        0};
    if (total)
        self = (samples_t){total->count,        total->sum, total->buckets,
                           total->bucket_count, 0,          0};
    return self;
}

//  Receivers refuse a point whose count is not that of its buckets, as a row may have
//  it that somebody has mended by hand.
static uint64_t
samples_count (const samples_t *self)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->bucket_count; i++)
        count += self->buckets[i].count;
    return count;
}

static void
s_write_histogram (const otlp_form_t *form, const zb_row_t *row,
                   otlp_out_t *out)
{
    samples_t samples = s_samples (row);
    otlp_fixed (out, &s_count, samples_count (&samples));
    otlp_double (out, &s_sum, samples.sum);
    samples_split_zeros (&samples, form->max_buckets);
    otlp_signed (out, &s_scale, SCALE - samples.shift);
    if (samples.zeros) {
        otlp_fixed (out, &s_zero_count, samples.zeros);
        otlp_double (out, &s_zero_threshold, samples_threshold (&samples));
    }
    if (samples.bucket_count)
        samples_write_buckets (&samples, out);
    //  they are of this interval, not of all since the start
    if (!row->total) {
        otlp_double (out, &s_min, row->min);
        otlp_double (out, &s_max, row->max);
    }
}

//  --------------------------------------------------------------------------
//  Points

static void
s_attribute (otlp_out_t *out, const otlp_field_t *field, const char *key,
             const char *value)
{
    size_t item = otlp_item (out, field), any;
    otlp_text (out, &s_key, key);
    any = otlp_begin (out, &s_value);
    otlp_text (out, &s_string_value, value);
    otlp_end (out, any);
    otlp_end (out, item);
}

//  An attribute must not be there twice. No tag has a colon in its key.
static void
s_attributes (otlp_out_t *out, const otlp_field_t *field, const zb_row_t *row)
{
    otlp_list (out, field);
    if (*row->source)
        s_attribute (out, field, "source", row->source);
    for (size_t i = 0; i < row->tag_count; i++) {
        const zb_tag_t *tag = &row->tags[i];
        s_attribute (out, field,
                     strcmp (tag->key, "source") ? tag->key : "tag:source",
                     tag->value);
    }
    otlp_list_end (out);
}

//  A reading has a time of its own, within the second that its row is of. What else
//  a program says is not believed: one point of next year, and Prometheus 2 refuses
//  all of now.
static uint64_t
s_gauge_time (const zb_row_t *row)
{
    enum { SECOND_NS = 1000000000 };
    int64_t after = row->last_ns - row->start_ns;
    return (uint64_t) (after >= 0 && after < SECOND_NS ? row->last_ns
                                                       : row->time_ns);
}

static void
s_point (const otlp_form_t *form, const zb_row_t *row, otlp_out_t *out)
{
    bool timer = row->type == ZB_TYPE_TIMER;
    bool gauge = row->type == ZB_TYPE_GAUGE;
    size_t item = otlp_item (out, &s_data_points);
    int64_t start = row->total ? row->total->start_ns : row->start_ns;
    if (!gauge)
        otlp_fixed (out, &s_start, (uint64_t) start);
    otlp_fixed (out, &s_time,
                gauge ? s_gauge_time (row) : (uint64_t) row->time_ns);
    s_attributes (out, timer ? &s_hist_attributes : &s_number_attributes, row);
    if (row->ends)
        otlp_enum (out, timer ? &s_hist_flags : &s_number_flags,
                   NO_RECORDED_VALUE);
    else if (timer)
        s_write_histogram (form, row, out);
    else if (gauge)
        otlp_double (out, &s_as_double, row->last);
    else
        otlp_double (out, &s_as_double,
                     row->total ? row->total->value : row->value);
    otlp_end (out, item);
}

//  --------------------------------------------------------------------------
//  Metrics: rows of one name and type

#define NO_ROW UINT32_MAX

//  Rows of a metric are a chain. Each array has an element a row, but slots.
typedef struct {
    uint32_t *next;   //  row of the same metric, or NO_ROW
    uint32_t *last;   //  of the chain, at its first row
    uint32_t *first;  //  rows of each chain, in order
    size_t count;     //  chains
    uint32_t *slots;  //  by hash: the first row, or NO_ROW
    size_t mask;
} chains_t;

static bool
s_same_metric (const zb_row_t *a, const zb_row_t *b)
{
    return a->type == b->type && !a->total == !b->total
           && !a->is_signed == !b->is_signed && strcmp (a->name, b->name) == 0;
}

//  FNV-1a (Fowler, Noll and Vo).
static size_t
s_hash (const zb_row_t *row)
{
    uint64_t hash = 14695981039346656037u ^ row->type;
    for (const char *c = row->name; *c; c++)
        hash = (hash ^ (unsigned char) *c) * 1099511628211u;
    return (size_t) (hash ^ hash >> 32);
}

static void
chains_add (chains_t *self, const zb_row_t *rows, uint32_t row)
{
    size_t slot = s_hash (&rows[row]) & self->mask;
    uint32_t first;
    while ((first = self->slots[slot]) != NO_ROW
           && !s_same_metric (&rows[first], &rows[row]))
        slot = (slot + 1) & self->mask;
    if (first == NO_ROW) {
        first = self->slots[slot] = self->first[self->count++] = row;
        self->last[first] = row;
    }
    self->next[self->last[first]] = row;
    self->next[row] = NO_ROW;
    self->last[first] = row;
}

static void
chains_init (chains_t *self, size_t rows)
{
    size_t slots = 16;
    while (slots < rows * 2)
        slots *= 2;
    self->next = malloc ((rows * 3 + slots) * sizeof *self->next);
    assert (self->next);
    self->last = self->next + rows;
    self->first = self->last + rows;
    self->slots = self->first + rows;
    memset (self->slots, 0xff, slots * sizeof *self->slots);
    self->mask = slots - 1;
    self->count = 0;
}

//  A row that rests has nothing for who adds increments up.
static bool
s_is_point (const zb_row_t *row)
{
    return row->total || row->count > 0;
}

static void
s_metric (const otlp_form_t *form, const zb_row_t *rows, const uint32_t *next,
          uint32_t row, otlp_out_t *out)
{
    const zb_row_t *any = &rows[row];
    size_t item = otlp_item (out, &s_metrics), data;
    otlp_text (out, &s_metric_name, any->name);
    if (any->type == ZB_TYPE_TIMER)
        otlp_text (out, &s_metric_unit, "s");
    data = otlp_begin (out, &s_data[any->type]);
    otlp_list (out, &s_data_points);
    for (; row != NO_ROW; row = next[row])
        s_point (form, &rows[row], out);
    otlp_list_end (out);
    if (any->type != ZB_TYPE_GAUGE)
        otlp_enum (out, &s_temporality, any->total ? CUMULATIVE : DELTA);
    if (any->type == ZB_TYPE_COUNTER && !any->is_signed)
        otlp_true (out, &s_is_monotonic);
    otlp_end (out, data);
    otlp_end (out, item);
}

//  --------------------------------------------------------------------------
//  The request

static void
s_resource_write (const otlp_form_t *self, otlp_out_t *out)
{
    size_t resource = otlp_begin (out, &s_resource);
    otlp_list (out, &s_resource_attributes);
    for (size_t i = 0; i < self->resource_count; i++)
        s_attribute (out, &s_resource_attributes, self->resource[i].key,
                     self->resource[i].value);
    otlp_list_end (out);
    otlp_end (out, resource);
}

static void
s_scope_write (const otlp_form_t *self, const zb_row_t *rows,
               const chains_t *chains, otlp_out_t *out)
{
    size_t item = otlp_item (out, &s_scope_metrics);
    size_t scope = otlp_begin (out, &s_scope);
    otlp_text (out, &s_scope_name, "zibrato");
    otlp_text (out, &s_scope_version, ZIBRATO_VERSION);
    otlp_end (out, scope);
    otlp_list (out, &s_metrics);
    for (size_t i = 0; i < chains->count; i++)
        s_metric (self, rows, chains->next, chains->first[i], out);
    otlp_list_end (out);
    otlp_end (out, item);
}

static void
s_request (const otlp_form_t *self, const zb_row_t *rows,
           const chains_t *chains, otlp_out_t *out)
{
    size_t item;
    otlp_open (out);
    otlp_list (out, &s_resource_metrics);
    item = otlp_item (out, &s_resource_metrics);
    s_resource_write (self, out);
    otlp_list (out, &s_scope_metrics);
    s_scope_write (self, rows, chains, out);
    otlp_list_end (out);
    otlp_end (out, item);
    otlp_list_end (out);
    otlp_close (out);
}

size_t
otlp_encode (const otlp_form_t *self, const zb_row_t *rows, size_t count,
             buffer_t *out)
{
    otlp_out_t fields = {out, self->json};
    chains_t chains;
    size_t points = 0;
    chains_init (&chains, count);
    for (size_t i = 0; i < count; i++)
        if (s_is_point (&rows[i])) {
            chains_add (&chains, rows, (uint32_t) i);
            points++;
        }
    if (points)
        s_request (self, rows, &chains, &fields);
    free (chains.next);
    return points;
}
