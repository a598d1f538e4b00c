/*  page_points_out - a chart as JSON and as CSV. The contract is in page_points.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page_points.h"

#include "digits.h"
#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEAT_SHIFT = 2 };  //  a cell of the heat map is 1 << 2 buckets

//  --------------------------------------------------------------------------
//  Columns

typedef double column_fn (const chart_t *self, const cell_t *cell);

static double
s_value (const chart_t *self, const cell_t *cell)
{
    return cell_value (cell, self->over);
}

static double
s_n (const chart_t *self, const cell_t *cell)
{
    (void) self;
    return cell->series ? (double) cell->n : NAN;
}

static double
s_sum (const chart_t *self, const cell_t *cell)
{
    (void) self;
    return cell->series ? cell->sum : NAN;
}

static double
s_min (const chart_t *self, const cell_t *cell)
{
    (void) self;
    return cell->series ? cell->min : NAN;
}

static double
s_max (const chart_t *self, const cell_t *cell)
{
    (void) self;
    return cell->series ? cell->max : NAN;
}

static double
s_p50 (const chart_t *self, const cell_t *cell)
{
    return groups_quantile (&self->groups, cell, 0.5);
}

static double
s_p95 (const chart_t *self, const cell_t *cell)
{
    return groups_quantile (&self->groups, cell, 0.95);
}

static double
s_p99 (const chart_t *self, const cell_t *cell)
{
    return groups_quantile (&self->groups, cell, 0.99);
}

//  Of counters the first one only, and of gauges those up to `max`.
static const struct {
    const char *name;
    column_fn *value;
} s_columns[] = {{"value", s_value}, {"n", s_n},     {"sum", s_sum},
                 {"min", s_min},     {"max", s_max}, {"p50", s_p50},
                 {"p95", s_p95},     {"p99", s_p99}};

static size_t
s_column_count (const chart_t *self)
{
    switch (self->type) {
        case METRIC_GAUGE:
            return 5;
        case METRIC_TIMER:
            return sizeof s_columns / sizeof *s_columns;
        default:
            return 1;
    }
}

//  --------------------------------------------------------------------------
//  JSON

static void
s_put_group (const chart_t *self, const group_t *group)
{
    buffer_t *out = &self->request->out;
    out_begin (out, '{');
    out_key (out, "id");
    if (group->id)
        out_integer (out, group->id);
    else
        out_raw (out, NULL);
    out_key (out, "label");
    out_text (out, group->label);
    for (size_t i = 0; i < s_column_count (self); i++) {
        out_key (out, s_columns[i].name);
        out_begin (out, '[');
        for (size_t j = 0; j < self->groups.intervals; j++)
            out_number (out, s_columns[i].value (self, &group->cell[j]));
        out_end (out, ']');
    }
    out_end (out, '}');
}

//  How many samples took how long in an interval: cells and counts by turns.
static void
s_put_cells (const chart_t *self, size_t interval)
{
    buffer_t *out = &self->request->out;
    hist_t cells = {.size = 0};
    size_t at = 0;
    for (size_t i = 0; i < self->groups.count; i++) {
        const hist_t *hist = &self->groups.group[i].cell[interval].hist;
        for (size_t j = at = 0; j < hist->size; j++) {
            bucket_t *cell =
              hist_place (&cells, &at, hist->bucket[j].index >> HEAT_SHIFT);
            cell->count = point_add_counts (cell->count, hist->bucket[j].count);
        }
    }
    out_begin (out, '[');
    for (size_t i = 0; i < cells.size; i++) {
        out_integer (out, cells.bucket[i].index);
        out_integer (out, (int64_t) cells.bucket[i].count);
    }
    out_end (out, ']');
    free (cells.bucket);
}

void
chart_put_json (const chart_t *self)
{
    const groups_t *groups = &self->groups;
    buffer_t *out = &self->request->out;
    //  who has looked for finer ones knows better
    int64_t kept_s = self->survey.kept_s ? self->survey.kept_s : groups->kept_s;
    const out_member_t numbers[] = {{"resolution", groups->step_s},
                                    {"asked", self->asked_s},
                                    {"kept", kept_s},
                                    {"from", groups->from_s},
                                    {"count", (int64_t) groups->intervals},
                                    {"running", self->running_s},
                                    {"series", (int64_t) self->survey.count}};
    out_begin (out, '{');
    out_key (out, "name");
    out_text (out, self->name);
    out_key (out, "type");
    out_text (out, page_type (self->type));
    out_integers (out, numbers, sizeof numbers / sizeof *numbers);
    out_key (out, "groups");
    out_begin (out, '[');
    for (size_t i = 0; i < groups->count; i++)
        s_put_group (self, &groups->group[i]);
    out_end (out, ']');
    if (self->heat) {
        out_key (out, "cells");
        out_begin (out, '[');
        for (size_t i = 0; i < groups->intervals; i++)
            s_put_cells (self, i);
        out_end (out, ']');
    }
    out_end (out, '}');
}

//  --------------------------------------------------------------------------
//  CSV

//  The name of a column, in quotes. What begins as a formula would be one to a
//  spreadsheet, so an apostrophe goes before it (owasp.org, "CSV Injection").
static void
s_put_name (buffer_t *out, const char *label, const char *column)
{
    buffer_add_text (out, strchr ("=+-@\t\r", *label) ? "\"'" : "\"");
    for (; *label; label++) {
        if (*label == '"')
            buffer_add (out, "\"", 1);
        buffer_add (out, label, 1);
    }
    buffer_printf (out, " %s\"", column);
}

static void
s_put_head (const chart_t *self)
{
    buffer_t *out = &self->request->out;
    buffer_add_text (out, "time");
    for (size_t i = 0; i < self->groups.count; i++)
        for (size_t j = 0; j < s_column_count (self); j++) {
            buffer_add (out, ",", 1);
            s_put_name (out, self->groups.group[i].label, s_columns[j].name);
        }
    buffer_add_text (out, "\r\n");
}

static void
s_put_line (const chart_t *self, size_t interval)
{
    const groups_t *groups = &self->groups;
    buffer_t *out = &self->request->out;
    time_t begin =
      (time_t) (groups->from_s + (int64_t) interval * groups->step_s);
    struct tm parts;
    char text[32], digits[DIGITS_MAX];
    strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%SZ",
              gmtime_r (&begin, &parts));
    buffer_add_text (out, text);
    for (size_t i = 0; i < groups->count; i++)
        for (size_t j = 0; j < s_column_count (self); j++) {
            double value =
              s_columns[j].value (self, &groups->group[i].cell[interval]);
            buffer_add (out, ",", 1);
            if (isfinite (value))
                buffer_add (out, digits, digits_write (digits, value));
        }
    buffer_add_text (out, "\r\n");
}

void
chart_put_csv (const chart_t *self)
{
    self->request->type = "text/csv; charset=utf-8";
    s_put_head (self);
    for (size_t i = 0; i < self->groups.intervals; i++)
        s_put_line (self, i);
}
