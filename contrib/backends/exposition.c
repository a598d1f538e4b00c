/*  exposition - what a scrape gets. The contract is in exposition.h.

    Sections: what is shown of a series, text, Protocol Buffers, from piece to piece.
    Which form is wanted, and what a good line is, is in exposition_form.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exposition.h"

#include "buffer.h"
#include "digits.h"

#include <czmq.h>
#include <math.h>

enum {
    PIECE_BYTES = 32 * 1024
};  //  a piece ends behind the series with this byte

struct exposition {
    latest_t *latest;
    exposition_form_t form;
    bool ranges;
    const latest_family_t *family;  //  where it goes on; NULL: at the end
    const latest_series_t *series;
    size_t aspect;
    bool headed, ended;
    buffer_t out, labels;
};

//  --------------------------------------------------------------------------
//  What is shown of a series: an aspect, as a family of its own

static double
s_value (const latest_series_t *series)
{
    return series->value;
}

static double
s_last (const latest_series_t *series)
{
    return series->gauge.last;
}

static double
s_min (const latest_series_t *series)
{
    return series->gauge.min;
}

static double
s_max (const latest_series_t *series)
{
    return series->gauge.max;
}

static double
s_count (const latest_series_t *series)
{
    return (double) series->gauge.count;
}

static double
s_sum (const latest_series_t *series)
{
    return series->gauge.sum;
}

typedef struct {
    const char *suffix, *help;
    double (*value) (const latest_series_t *series);
} aspect_t;

static const aspect_t s_gauge_aspects[] = {
  {"", "Last reading", s_last},
  {"_min", "Least reading of the last flush", s_min},
  {"_max", "Greatest reading of the last flush", s_max},
  {"_count", "Readings of the last flush", s_count},
  {"_sum", "Sum of the readings of the last flush", s_sum}};

static const aspect_t s_counter_aspect = {"", "Sum of increments", s_value};
static const aspect_t s_signed_aspect = {
  "", "Sum of increments, which may fall", s_value};
static const aspect_t s_timer_aspect = {"", "Durations in seconds", NULL};

//  As OpenMetrics and text call it, and as Protocol Buffers number it.
static const struct {
    const char *word;
    uint64_t number;
    const aspect_t *aspects;
    size_t count;  //  with ranges
} s_kinds[] = {
  [PROM_COUNTER] = {"counter", 0, &s_counter_aspect, 1},
  [PROM_GAUGE] = {"gauge", 1, s_gauge_aspects,
                  sizeof s_gauge_aspects / sizeof *s_gauge_aspects},
  [PROM_SIGNED] = {"gauge", 1, &s_signed_aspect, 1},
  [PROM_TIMER] = {"histogram", 4, &s_timer_aspect, 1}};

static const aspect_t *
exposition_aspect (const exposition_t *self)
{
    return &s_kinds[self->family->kind].aspects[self->aspect];
}

//  --------------------------------------------------------------------------
//  Text

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
exposition_labels (exposition_t *self, const latest_series_t *series)
{
    const char *at = series->text;
    buffer_t *out = &self->labels;
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
exposition_name (exposition_t *self, const char *suffix, const char *bound)
{
    buffer_t *out = &self->out;
    buffer_add_text (out, self->family->name);
    buffer_add_text (out, suffix);
    if (self->labels.size || bound) {
        buffer_add (out, "{", 1);
        buffer_add (out, self->labels.text, self->labels.size);
        if (bound) {
            buffer_add_text (out, self->labels.size ? ",le=\"" : "le=\"");
            buffer_add_text (out, bound);
            buffer_add (out, "\"", 1);
        }
        buffer_add (out, "}", 1);
    }
    buffer_add (out, " ", 1);
}

static void
exposition_number (exposition_t *self, double value)
{
    buffer_t *out = &self->out;
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
exposition_whole (exposition_t *self, uint64_t value)
{
    char *digits = buffer_room (&self->out, DIGITS_MAX + 1);
    self->out.size += digits_write_whole (digits, value);
    buffer_add (&self->out, "\n", 1);
}

static void
exposition_histogram (exposition_t *self, const latest_series_t *series)
{
    uint64_t counts[PROM_BOUNDS], count = 0;
    const zb_bucket_t *buckets = series->timer.buckets;
    prom_classic (buckets, series->timer.size, counts);
    for (size_t i = 0; i < series->timer.size; i++)
        count += buckets[i].count;
    for (size_t i = 0; i < PROM_BOUNDS; i++) {
        exposition_name (self, "_bucket", prom_bound_text (i));
        exposition_whole (self, counts[i]);
    }
    exposition_name (self, "_bucket", "+Inf");
    exposition_whole (self, count);
    exposition_name (self, "_sum", NULL);
    exposition_number (self, series->timer.sum);
    exposition_name (self, "_count", NULL);
    exposition_whole (self, count);
}

//  A series whose lines are wrong is left out. There should be none.
static void
exposition_text_series (exposition_t *self, const latest_series_t *series)
{
    const aspect_t *aspect = exposition_aspect (self);
    size_t start = self->out.size;
    exposition_labels (self, series);
    if (aspect->value) {
        exposition_name (self, aspect->suffix, NULL);
        exposition_number (self, aspect->value (series));
    }
    else
        exposition_histogram (self, series);
    *buffer_room (&self->out, 1) = 0;
    if (exposition_check (self->out.text + start, self->out.size - start))
        return;
    self->out.size = start;
    zb_log (LOG_ERR, "malformed", "name=%s effect=\"it is left out\"",
            self->family->name);
}

//  OpenMetrics calls a counter's family by its name without `_total`. If there is a
//  gauge of that name, a counter is a family of no known type.
static void
exposition_head (exposition_t *self)
{
    static const char total[] = "_total";
    const latest_family_t *family = self->family;
    const aspect_t *aspect = exposition_aspect (self);
    const char *word = s_kinds[family->kind].word;
    bool open = self->form == EXPOSITION_OPENMETRICS;
    char name[PROM_NAME_MAX + 8];
    snprintf (name, sizeof name, "%s%s", family->name, aspect->suffix);
    if (open && family->kind == PROM_COUNTER) {
        name[strlen (name) - strlen (total)] = 0;
        if (latest_has (self->latest, name)) {
            strcat (name, total);
            word = "unknown";
        }
    }
    buffer_printf (&self->out, "# HELP %s %s\n# TYPE %s %s\n", name,
                   aspect->help, name, word);
    if (open && family->kind == PROM_TIMER)
        buffer_printf (&self->out, "# UNIT %s seconds\n", name);
}

//  --------------------------------------------------------------------------
//  Protocol Buffers: io.prometheus.client.MetricFamily, each behind its size

enum {
    FAMILY_NAME = 1,
    FAMILY_HELP = 2,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
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
exposition_write_series (exposition_t *self, const latest_series_t *series)
{
    buffer_t *out = &self->out;
    const aspect_t *aspect = exposition_aspect (self);
    size_t metric = protobuf_begin (out, FAMILY_METRIC), part;
    const char *at = series->text;
    for (uint32_t i = 0; i < series->label_count; i++) {
        part = protobuf_begin (out, METRIC_LABEL);
        protobuf_text (out, LABEL_NAME, at);
        at += strlen (at) + 1;
        protobuf_text (out, LABEL_VALUE, at);
        at += strlen (at) + 1;
        protobuf_end (out, part);
    }
    if (aspect->value) {
        part = protobuf_begin (out, self->family->kind == PROM_COUNTER
                                      ? METRIC_COUNTER
                                      : METRIC_GAUGE);
        protobuf_double (out, NUMBER_VALUE, aspect->value (series));
        protobuf_end (out, part);
    }
    else
        s_write_histogram (out, series);
    protobuf_end (out, metric);
}

static const latest_series_t *
s_skip_gone (const latest_series_t *series)
{
    while (series && series->gone)
        series = series->next;
    return series;
}

//  As many of the family's series as a piece has room for: the message's size comes
//  before it, so that one of all would have to be held whole.
static void
exposition_write_some (exposition_t *self)
{
    buffer_t *out = &self->out;
    const aspect_t *aspect = exposition_aspect (self);
    char name[PROM_NAME_MAX + 8];
    size_t family = protobuf_begin (out, 0);
    snprintf (name, sizeof name, "%s%s", self->family->name, aspect->suffix);
    protobuf_text (out, FAMILY_NAME, name);
    protobuf_text (out, FAMILY_HELP, aspect->help);
    protobuf_unsigned (out, FAMILY_TYPE, s_kinds[self->family->kind].number);
    while (self->series && out->size < PIECE_BYTES) {
        exposition_write_series (self, self->series);
        self->series = s_skip_gone (self->series->next);
    }
    protobuf_end (out, family);
}

//  --------------------------------------------------------------------------
//  From piece to piece

//  The next aspect that has a name of its own, or the next family.
static void
exposition_turn (exposition_t *self)
{
    char name[PROM_NAME_MAX + 8];
    size_t most = self->ranges ? s_kinds[self->family->kind].count : 1;
    self->headed = false;
    while (++self->aspect < most) {
        snprintf (name, sizeof name, "%s%s", self->family->name,
                  exposition_aspect (self)->suffix);
        if (!latest_has (self->latest, name))
            return;
    }
    self->aspect = 0;
    self->family = self->family->next;
}

//  Adds some more to the piece.
static void
exposition_step (exposition_t *self)
{
    if (!self->headed) {
        self->headed = true;
        self->series = s_skip_gone (self->family->first);
        if (self->series && self->form != EXPOSITION_PROTOBUF)
            exposition_head (self);
    }
    else if (!self->series)
        exposition_turn (self);
    else if (self->form == EXPOSITION_PROTOBUF)
        exposition_write_some (self);
    else {
        exposition_text_series (self, self->series);
        self->series = s_skip_gone (self->series->next);
    }
}

exposition_t *
exposition_new (latest_t *latest, exposition_form_t form, bool ranges)
{
    exposition_t *self = (exposition_t *) zmalloc (sizeof *self);
    assert (self);
    self->latest = latest;
    self->form = form;
    self->ranges = ranges;
    self->family = latest_open (latest);
    return self;
}

size_t
exposition_next (exposition_t *self, const char **piece)
{
    self->out.size = 0;
    latest_lock (self->latest);
    while (self->family && self->out.size < PIECE_BYTES)
        exposition_step (self);
    latest_unlock (self->latest);
    if (!self->family && !self->ended && self->form == EXPOSITION_OPENMETRICS)
        buffer_add_text (&self->out, "# EOF\n");
    self->ended = !self->family;
    *piece = self->out.text;
    return self->out.size;
}

void
exposition_destroy (exposition_t **self_p)
{
    exposition_t *self = *self_p;
    if (!self)
        return;
    latest_close (self->latest);
    buffer_clear (&self->out);
    buffer_clear (&self->labels);
    free (self);
    *self_p = NULL;
}
