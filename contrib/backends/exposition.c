/*  exposition - what a scrape gets. The contract is in exposition.h.

    Sections: what is shown of a series, text, Protocol Buffers, from piece to piece.
    Which form is wanted, and what a good line is, is in exposition_form.c, and how a
    series is written in exposition_series.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exposition.h"

#include "exposition_series.h"

#include <czmq.h>

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

//  A series whose lines are wrong is left out. There should be none.
static void
exposition_text_series (exposition_t *self, const latest_series_t *series)
{
    const aspect_t *aspect = exposition_aspect (self);
    size_t start = self->out.size;
    double value = aspect->value ? aspect->value (series) : 0;
    exposition_lines (&self->out, &self->labels, series, aspect->suffix,
                      aspect->value ? &value : NULL);
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

enum { FAMILY_NAME = 1, FAMILY_HELP = 2, FAMILY_TYPE = 3, FAMILY_METRIC = 4 };

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
        double value = aspect->value ? aspect->value (self->series) : 0;
        size_t metric = protobuf_begin (out, FAMILY_METRIC);
        exposition_metric (out, self->series, aspect->value ? &value : NULL);
        protobuf_end (out, metric);
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
