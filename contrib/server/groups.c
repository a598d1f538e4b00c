/*  groups - points of many series, folded. The contract is in groups.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "groups.h"
#include "trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t
groups_add (groups_t *self, int64_t id, const char *label)
{
    group_t *group;
    self->group =
      realloc (self->group, (self->count + 1) * sizeof *self->group);
    group = &self->group[self->count];
    group->id = id;
    group->label = strdup (label);
    group->cell = calloc (self->intervals, sizeof *group->cell);
    return self->count++;
}

//  --------------------------------------------------------------------------
//  One series into a group

typedef struct {
    groups_t *groups;
    cell_t *cell;
    over_t over;
    double reading;  //  the last one that rises, NaN if it is unknown
} adding_t;

//  What a series had in this interval; NaN if that is not known yet.
static double
s_value (adding_t *self, const point_t *point)
{
    double before = self->reading;
    switch (self->groups->type) {
        case METRIC_INCREMENT:
            return point->sum;
        case METRIC_COUNTER:
            self->reading = point->last;
            return point_rise (point, before);
        default:
            return point->sum / (double) point->n;
    }
}

static void
s_add_value (cell_t *cell, over_t over, double value)
{
    if (cell->series++ == 0)
        cell->value = value;
    else if (over == OVER_MIN)
        cell->value = fmin (cell->value, value);
    else if (over == OVER_MAX)
        cell->value = fmax (cell->value, value);
    else
        cell->value += value;
}

static void
s_add_samples (cell_t *cell, const point_t *point)
{
    if (!cell->n || point->min < cell->min)
        cell->min = point->min;
    if (!cell->n || point->max > cell->max)
        cell->max = point->max;
    cell->n = point_add_counts (cell->n, point->n);
    cell->sum += point->sum;
    point_add_buckets (&cell->hist, point);
}

static int
s_add (void *argument, const point_t *point)
{
    adding_t *self = argument;
    const groups_t *groups = self->groups;
    double value = s_value (self, point);
    int64_t at = (point->time_s - groups->from_s) / groups->step_s;
    if (isnan (value) || point->time_s < groups->from_s
        || at >= (int64_t) groups->intervals)
        return 0;
    s_add_value (&self->cell[at], self->over, value);
    s_add_samples (&self->cell[at], point);
    return 0;
}

int
groups_read (groups_t *self, size_t group, over_t over, reader_t *reader,
             int64_t series)
{
    adding_t adding = {self, self->group[group].cell, over, NAN};
    int64_t end = self->from_s + (int64_t) self->intervals * self->step_s, kept;
    if (self->type == METRIC_COUNTER
        && trace_before (reader, series, self->from_s, self->step_s, true,
                         &adding.reading)
             == -1)
        return -1;
    kept = reader_points (reader, series, self->from_s, end, self->step_s,
                          s_add, &adding);
    if (kept > self->kept_s)
        self->kept_s = kept;
    return kept < 0 ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  What became of it

double
cell_value (const cell_t *self, over_t over)
{
    if (!self->series)
        return NAN;
    if (over == OVER_SAMPLES)
        return self->sum / (double) self->n;
    return over == OVER_MEAN ? self->value / self->series : self->value;
}

//  Buckets of what is kept by 900 s stand for four each. What lies in the middle of
//  one may be beyond all samples, which is known better.
double
groups_quantile (const groups_t *self, const cell_t *cell, double share)
{
    double value, width = self->kept_s >= 900 ? 4 : 1;
    if (!cell->hist.size)
        return NAN;
    value =
      hist_quantile_ns (&cell->hist, share) / 1e9 * exp2 ((width - 1) / 64);
    return fmin (fmax (value, cell->min), cell->max);
}

void
groups_clear (groups_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        for (size_t j = 0; j < self->intervals; j++)
            free (self->group[i].cell[j].hist.bucket);
        free (self->group[i].cell);
        free (self->group[i].label);
    }
    free (self->group);
    self->group = NULL;
    self->count = 0;
}
