/*  summary - functions that make one number of points. The contract is in summary.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "summary.h"

#include <math.h>
#include <strings.h>

static double
s_sum (const point_t *point)
{
    return point->sum;
}

static double
s_count (const point_t *point)
{
    return (double) point->n;
}

static double
s_min (const point_t *point)
{
    return point->min;
}

static double
s_max (const point_t *point)
{
    return point->max;
}

static double
s_mean (const point_t *point)
{
    return point->sum / (double) point->n;
}

//  Of the samples, not an estimate. Rounding may leave less than nothing.
static double
s_stddev (const point_t *point)
{
    double mean = s_mean (point);
    return sqrt (
      fmax (point->sum_squares / (double) point->n - mean * mean, 0));
}

//  The first ones are what `all` shows; the others are other names of them.
static const summary_t s_summaries[] = {
  {"count", s_count, false},  {"sum", s_sum, false},
  {"min", s_min, false},      {"max", s_max, false},
  {"mean", s_mean, false},    {"stddev", s_stddev, false},
  {"average", s_mean, false}, {"derivative", s_mean, true},
  {"all", NULL, false}};

enum { SUMMARIES = sizeof s_summaries / sizeof *s_summaries, SHOWN = 6 };

const summary_t *
summary_find (const char *name)
{
    for (size_t i = 0; i < SUMMARIES; i++)
        if (strcasecmp (name, s_summaries[i].name) == 0)
            return &s_summaries[i];
    return NULL;
}

void
summary_write_all (buffer_t *out, const point_t *point)
{
    for (size_t i = 0; i < SHOWN; i++) {
        out_key (out, s_summaries[i].name);
        out_number (out, s_summaries[i].of (point));
    }
}

static double
s_plus (double a, double b)
{
    return a + b;
}

static const group_t s_groups[] = {{"sum", s_plus, false},
                                   {"min", fmin, false},
                                   {"max", fmax, false},
                                   {"mean", s_plus, true}};

const group_t *
group_find (const char *name)
{
    for (size_t i = 0; i < sizeof s_groups / sizeof *s_groups; i++)
        if (strcasecmp (name, s_groups[i].name) == 0)
            return &s_groups[i];
    return NULL;
}

double
group_value (const group_t *self, const summary_t *summary,
             const trace_point_t *item, size_t count)
{
    double value = summary->of (&item->point);
    for (size_t i = 1; i < count; i++)
        value = self->join (value, summary->of (&item[i].point));
    return self->mean ? value / (double) count : value;
}
