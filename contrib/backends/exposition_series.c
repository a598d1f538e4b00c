/*  exposition_series - a series for a scrape. The contract is in exposition_series.h.

    Sections: text, Protocol Buffers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exposition_series.h"

#include "digits.h"

#include <math.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  Text

//  Lines of a series, and its labels, which are the same in each.
typedef struct {
    buffer_t *out, *labels;
    const latest_series_t *series;
} lines_t;

//  Prometheus' text needs an escape for these only.
static void
s_add_value (buffer_t *out, const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        size_t plain = strcspn (text, "\\\"\n");
        buffer_add (out, text, plain);
        text += plain;
        if (text == end)
            break;
        buffer_add_text (out, *text == '\n'  ? "\\n"
                              : *text == '"' ? "\\\""
                                             : "\\\\");
        text++;
    }
}

//  The series' labels, without braces.
static void
lines_labels (lines_t *self)
{
    const latest_series_t *series = self->series;
    const char *at = series->text;
    buffer_t *out = self->labels;
    out->size = 0;
    for (uint32_t i = 0; i < series->label_count; i++) {
        size_t key = strlen (at), value = strlen (at + key + 1);
        if (i)
            buffer_add (out, ",", 1);
        buffer_add (out, at, key);
        buffer_add (out, "=\"", 2);
        s_add_value (out, at + key + 1, value);
        buffer_add (out, "\"", 1);
        at += key + value + 2;
    }
}

//  NAME SUFFIX {LABELS,le="BOUND"} and a blank.
static void
lines_name (lines_t *self, const char *suffix, const char *bound)
{
    buffer_t *out = self->out;
    buffer_add_text (out, self->series->family->name);
    buffer_add_text (out, suffix);
    if (self->labels->size || bound) {
        buffer_add (out, "{", 1);
        buffer_add (out, self->labels->text, self->labels->size);
        if (bound) {
            buffer_add_text (out, self->labels->size ? ",le=\"" : "le=\"");
            buffer_add_text (out, bound);
            buffer_add (out, "\"", 1);
        }
        buffer_add (out, "}", 1);
    }
    buffer_add (out, " ", 1);
}

static void
lines_number (lines_t *self, double value)
{
    buffer_t *out = self->out;
    char *digits = buffer_room (out, DIGITS_MAX + 1);
    if (isfinite (value))
        out->size += digits_write (digits, value);
    else
        buffer_add_text (out, isnan (value) ? "NaN"
                              : value < 0   ? "-Inf"
                                            : "+Inf");
    buffer_add (out, "\n", 1);
}

static void
lines_whole (lines_t *self, uint64_t value)
{
    char *digits = buffer_room (self->out, DIGITS_MAX + 1);
    self->out->size += digits_write_whole (digits, value);
    buffer_add (self->out, "\n", 1);
}

static void
lines_histogram (lines_t *self)
{
    const latest_series_t *series = self->series;
    uint64_t counts[PROM_BOUNDS], count = 0;
    const zb_bucket_t *buckets = series->timer.buckets;
    prom_classic (buckets, series->timer.size, counts);
    for (size_t i = 0; i < series->timer.size; i++)
        count += buckets[i].count;
    for (size_t i = 0; i < PROM_BOUNDS; i++) {
        lines_name (self, "_bucket", prom_bound_text (i));
        lines_whole (self, counts[i]);
    }
    lines_name (self, "_bucket", "+Inf");
    lines_whole (self, count);
    lines_name (self, "_sum", NULL);
    lines_number (self, series->timer.sum);
    lines_name (self, "_count", NULL);
    lines_whole (self, count);
}

void
exposition_lines (buffer_t *out, buffer_t *labels,
                  const latest_series_t *series, const char *suffix,
                  const double *value)
{
    lines_t self = {out, labels, series};
    lines_labels (&self);
    if (value) {
        lines_name (&self, suffix, NULL);
        lines_number (&self, *value);
    }
    else
        lines_histogram (&self);
}

//  --------------------------------------------------------------------------
//  Protocol Buffers

enum {
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_HISTOGRAM = 7,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    NUMBER_VALUE = 1,
    HISTOGRAM_BUCKET = 3,
    BUCKET_COUNT = 1,
    BUCKET_BOUND = 2
};

static const prom_native_t s_native = {.count = 1,
                                       .sum = 2,
                                       .schema = 5,
                                       .zero_threshold = 6,
                                       .zero_count = 7,
                                       .span = 12,
                                       .delta = 13};

//  Classic buckets, too: a server that knows native ones does not look at them.
static void
s_write_histogram (buffer_t *out, const latest_series_t *series)
{
    uint64_t counts[PROM_BOUNDS];
    size_t begin = protobuf_begin (out, METRIC_HISTOGRAM);
    prom_classic (series->timer.buckets, series->timer.size, counts);
    prom_native (out, &s_native, series->timer.sum, series->timer.buckets,
                 series->timer.size);
    for (size_t i = 0; i < PROM_BOUNDS; i++) {
        size_t bucket = protobuf_begin (out, HISTOGRAM_BUCKET);
        protobuf_unsigned (out, BUCKET_COUNT, counts[i]);
        protobuf_double (out, BUCKET_BOUND, prom_bound (i));
        protobuf_end (out, bucket);
    }
    protobuf_end (out, begin);
}

static void
s_write_labels (buffer_t *out, const latest_series_t *series)
{
    const char *at = series->text;
    for (uint32_t i = 0; i < series->label_count; i++) {
        size_t label = protobuf_begin (out, METRIC_LABEL);
        protobuf_text (out, LABEL_NAME, at);
        at += strlen (at) + 1;
        protobuf_text (out, LABEL_VALUE, at);
        at += strlen (at) + 1;
        protobuf_end (out, label);
    }
}

void
exposition_metric (buffer_t *out, const latest_series_t *series,
                   const double *value)
{
    bool counter = series->family->kind == PROM_COUNTER;
    size_t number;
    s_write_labels (out, series);
    if (!value) {
        s_write_histogram (out, series);
        return;
    }
    number = protobuf_begin (out, counter ? METRIC_COUNTER : METRIC_GAUGE);
    protobuf_double (out, NUMBER_VALUE, *value);
    protobuf_end (out, number);
}
