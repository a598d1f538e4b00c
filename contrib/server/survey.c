/*  survey - the series of a metric. The contract is in survey.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "survey.h"
#include "words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//  Round ones. From a minute on, they are multiples of what the store keeps.
static const int64_t s_steps[SURVEY_STEPS] = {
  1,   2,    5,    10,   15,    20,    30,    60,    120,    180,    300,
  900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000};

//  --------------------------------------------------------------------------
//  Which there are

typedef struct {
    survey_t *survey;
    const char *words;
} listing_t;

//  "web1 region=eu path=/a"
static char *
s_label (const series_t *series)
{
    size_t source = strlen (series->source), tags = strlen (series->tags);
    const char *between = source && tags ? " " : "";
    char *label = malloc (source + tags + 2);
    sprintf (label, "%s%s%s", series->source, between, series->tags);
    for (char *c = label + source; *c; c++)
        if (*c == ';')
            *c = ' ';
    return label;
}

static int
s_list (void *argument, const series_t *series)
{
    listing_t *self = argument;
    survey_t *survey = self->survey;
    char *label = s_label (series);
    if (!words_match (self->words, label)) {
        free (label);
        return 0;
    }
    if (survey->count == survey->max) {
        survey->max = survey->max ? 2 * survey->max : 16;
        survey->item =
          realloc (survey->item, survey->max * sizeof *survey->item);
    }
    survey->item[survey->count++] =
      (survey_item_t){series->id, label, 0, series->last_s};
    return 0;
}

int
survey_list (survey_t *self, reader_t *reader, int64_t metric,
             const char *words)
{
    listing_t listing = {self, words};
    return reader_series (reader, metric, s_list, &listing) < 0 ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  Which matter, and how far their points are apart

int64_t
survey_round (double least_s)
{
    for (size_t i = 0; i < SURVEY_STEPS; i++)
        if ((double) s_steps[i] >= least_s)
            return s_steps[i];
    return 0;
}

typedef struct {
    survey_t *survey;
    int64_t before_s;  //  the time of the last point, or 0
    uint64_t n;
    double sum;
    double reading, rise;  //  of those that rise: the last one, and all of it
} weighing_t;

static int
s_weigh (void *argument, const point_t *point)
{
    weighing_t *self = argument;
    size_t step = 0;
    if (self->before_s) {
        while (step + 1 < SURVEY_STEPS
               && s_steps[step] < point->time_s - self->before_s)
            step++;
        self->survey->apart[step]++;
    }
    self->rise += fmax (point_rise (point, self->reading), 0);
    self->reading = point->last;
    self->before_s = point->time_s;
    self->n = point_add_counts (self->n, point->n);
    self->sum += point->sum;
    return 0;
}

static double
s_weight (const weighing_t *self, metric_type_t type)
{
    if (!self->n)
        return -1e308;
    if (type == METRIC_INCREMENT)
        return self->sum;
    return type == METRIC_COUNTER ? self->rise : self->sum / (double) self->n;
}

static int
s_compare (const void *a, const void *b)
{
    const survey_item_t *one = a, *other = b;
    if (one->weight > other->weight)
        return -1;
    return one->weight < other->weight ? 1 : strcmp (one->label, other->label);
}

int
survey_weigh (survey_t *self, reader_t *reader, metric_type_t type,
              int64_t from_s, int64_t to_s, int64_t step_s)
{
    for (size_t i = 0; i < self->count; i++) {
        weighing_t weighing = {.survey = self, .reading = NAN};
        int64_t kept = reader_points (reader, self->item[i].id, from_s, to_s,
                                      step_s, s_weigh, &weighing);
        if (kept < 0)
            return -1;
        if (kept > self->kept_s)
            self->kept_s = kept;
        self->item[i].weight = s_weight (&weighing, type);
    }
    if (self->count)
        qsort (self->item, self->count, sizeof *self->item, s_compare);
    return 0;
}

size_t
survey_prefer (survey_t *self, const char *ids, size_t most)
{
    size_t chosen = 0;
    char *end;
    for (; *ids && chosen < most; ids = *end == ',' ? end + 1 : end) {
        int64_t id = strtoll (ids, &end, 10);
        if (end == ids)
            break;
        for (size_t i = chosen; i < self->count; i++)
            if (self->item[i].id == id) {
                survey_item_t item = self->item[i];
                self->item[i] = self->item[chosen];
                self->item[chosen++] = item;
                break;
            }
    }
    return chosen;
}

//  The median: a few holes are holes.
int64_t
survey_step (const survey_t *self, int64_t least_s)
{
    uint64_t all = 0, seen = 0;
    size_t i;
    for (i = 0; i < SURVEY_STEPS; i++)
        all += self->apart[i];
    for (i = 0; i + 1 < SURVEY_STEPS; i++)
        if ((seen += self->apart[i]) * 2 >= all)
            break;
    return all >= 2 && s_steps[i] > least_s ? s_steps[i] : least_s;
}

void
survey_clear (survey_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free (self->item[i].label);
    free (self->item);
    *self = (survey_t){.item = NULL};
}
