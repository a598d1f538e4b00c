/*  otlp_encode - rows to OTLP. The contract is in otlp_encode.h.

    Sections: the schema, points, metrics, the request. Histograms are in
    otlp_histogram.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "otlp_encode.h"

#include "otlp_field.h"
#include "otlp_histogram.h"

#include <assert.h>
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

//  Of a metric's data, by what a row is
static const otlp_field_t s_data[] = {
  [ZB_TYPE_COUNTER] = {7, "sum"},
  [ZB_TYPE_TIMER] = {10, "exponentialHistogram"},
  [ZB_TYPE_GAUGE] = {5, "gauge"}};

enum {
    DELTA = 1,
    CUMULATIVE = 2,
    NO_RECORDED_VALUE = 1  //  a flag: the series ends
};

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
        otlp_histogram (out, row, form->max_buckets);
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
