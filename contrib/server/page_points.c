/*  page_points - a chart: what is asked for, and how it is folded. The contract is in
    page_points.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page_points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SERIES_MAX = 2000,  //  of a chart: more take too long, and nobody sees them
    INTERVALS_MAX = 5000,
    POINTS = 1000,  //  unless told otherwise
    LATE_S = 2,     //  after which a worker's rows are here, mostly
    TOP = 10,       //  lines, and one of all others
    TOP_MAX = 50,   //  each has memory for all its intervals
    SPLIT_MAX = 10  //  sources that are told apart unless told otherwise
};

//  --------------------------------------------------------------------------
//  What is asked for

static const struct {
    const char *name;
    over_t over;
} s_overs[] = {
  {"sum", OVER_SUM}, {"mean", OVER_MEAN}, {"min", OVER_MIN}, {"max", OVER_MAX}};

//  Counters are added up, all samples of a timer are taken together, and gauges are
//  told apart if they are few; of more of them the mean is shown, for a sum of readings
//  may be of no use. Returns 0, or -1 with the answer.
static int
s_choose_over (chart_t *self)
{
    const char *over = page_text (self->request, "over");
    metric_type_t type = self->type;
    bool known;
    self->split = strcmp (over, "split") == 0;
    known = !*over || self->split || strcmp (over, "auto") == 0;
    self->over = type == METRIC_TIMER ? OVER_SAMPLES : OVER_SUM;
    if (type == METRIC_GAUGE) {
        self->split = self->split || self->survey.count <= SPLIT_MAX;
        self->over = OVER_MEAN;
    }
    for (size_t i = 0; i < sizeof s_overs / sizeof *s_overs; i++) {
        if (strcmp (over, s_overs[i].name) != 0)
            continue;
        known = true;
        if (type != METRIC_TIMER) {
            self->over = s_overs[i].over;
            self->split = false;
        }
    }
    self->split = self->split && self->survey.count > 1;
    if (known)
        return 0;
    web_error (self->request, 400, "over",
               "is none of auto, sum, mean, min, max, split");
    return -1;
}

//  Is it a whole number, if it is there? Returns 0, or -1 with the answer.
static int
s_check_time (web_request_t *request, const char *name)
{
    int64_t low = page_integer (request, name, 0);
    if (low == page_integer (request, name, 1) || !*page_text (request, name))
        return 0;
    web_error (request, 400, name, "is not a time in seconds");
    return -1;
}

//  Returns 0, or -1 with the answer.
static int
s_find (chart_t *self)
{
    web_request_t *request = self->request;
    reader_t *reader = request->reader;
    metric_t metric;
    int rc;
    if (s_check_time (request, "from") == -1
        || s_check_time (request, "to") == -1
        || page_times (request, 1800, &self->from_s, &self->to_s) == -1)
        return -1;
    rc = reader_metric (reader, page_text (request, "name"), &metric);
    if (rc != 1) {
        if (rc == -1)
            page_failed (request);
        else
            web_error (request, 404, "name", "is not known");
        return -1;
    }
    self->metric = metric.id;
    self->name = strdup (metric.name);
    self->type = metric.type;
    if (survey_list (&self->survey, reader, self->metric,
                     page_text (request, "source"))
        == -1) {
        page_failed (request);
        return -1;
    }
    if (self->survey.count > SERIES_MAX) {
        web_error (request, 400, "source",
                   "%zu series are more than a chart has (%d): say which "
                   "sources",
                   self->survey.count, SERIES_MAX);
        return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  How it is folded

//  How many seconds of the interval that begins then have been measured: up to the
//  newest row of all.
static int64_t
s_running (const chart_t *self, int64_t begin_s, int64_t step_s)
{
    store_stats_t stats;
    int64_t newest_s = (int64_t) time (NULL);
    store_stats (self->request->store, &stats);
    if (newest_s > stats.newest_s)
        newest_s = stats.newest_s;
    if (newest_s < begin_s)
        return 0;
    return newest_s - begin_s < step_s ? newest_s + 1 - begin_s : step_s;
}

//  What has not ended yet is left out, as a count of it would look like a fall; or it
//  is the last one, and the answer says how long it is.
static void
s_align (chart_t *self, int64_t step_s)
{
    groups_t *groups = &self->groups;
    bool running = page_integer (self->request, "running", 0) == 1;
    int64_t over = (int64_t) time (NULL) - (running ? LATE_S : 0);
    int64_t end = (self->to_s + step_s - 1) / step_s * step_s;
    if (end > over) {
        end = self->to_s / step_s * step_s;
        self->running_s = running ? s_running (self, end, step_s) : 0;
    }
    if (self->running_s)
        end += step_s;
    groups->type = self->type;
    groups->step_s = step_s;
    groups->from_s = self->from_s / step_s * step_s;
    groups->intervals =
      end > groups->from_s ? (size_t) ((end - groups->from_s) / step_s) : 0;
}

//  The interval: a point a pixel, as fine as it is kept, and no finer than points
//  come. What goes on with an answer before it says which one that had.
static int
s_choose_step (chart_t *self)
{
    int64_t points = page_integer (self->request, "points", POINTS);
    int64_t step = page_integer (self->request, "resolution", 0);
    int64_t span = self->to_s - self->from_s;
    if (points < 1 || points > INTERVALS_MAX)
        points = POINTS;
    if (step > UINT32_MAX) {
        web_error (self->request, 400, "resolution", "is too coarse");
        return -1;
    }
    self->asked_s =
      step > 0 ? step : survey_round ((double) span / (double) points);
    if (!self->asked_s || span / self->asked_s > INTERVALS_MAX) {
        web_error (self->request, 400, "resolution", "is too fine");
        return -1;
    }
    if (step > 0 && !self->split) {
        s_align (self, step);
        return 0;
    }
    if (survey_weigh (&self->survey, self->request->reader, self->type,
                      self->from_s, self->to_s, self->asked_s)
        == -1) {
        page_failed (self->request);
        return -1;
    }
    if (step <= 0) {
        step = survey_step (&self->survey, self->asked_s);
        if (self->survey.kept_s > step)
            step = survey_round ((double) self->survey.kept_s);
    }
    s_align (self, step);
    return 0;
}

static const char *
s_label (const chart_t *self, char *text, size_t size)
{
    static const char *const words[] = {"sum", "mean", "min", "max", "all"};
    if (self->survey.count == 1 && *self->survey.item->label)
        return self->survey.item->label;
    if (self->survey.count == 1)
        return self->name;
    snprintf (text, size, "%s of %zu", words[self->over], self->survey.count);
    return text;
}

//  Which group a series goes to: the largest have one each.
static size_t
s_group (chart_t *self, size_t i, size_t top)
{
    const survey_t *survey = &self->survey;
    char text[64];
    if (!self->split)
        return self->groups.count
                 ? 0
                 : groups_add (&self->groups,
                               survey->count == 1 ? survey->item->id : 0,
                               s_label (self, text, sizeof text));
    if (i < top)
        return groups_add (&self->groups, survey->item[i].id,
                           *survey->item[i].label ? survey->item[i].label
                                                  : "no source");
    if (i > top)
        return top;
    snprintf (text, sizeof text, "%s%zu others",
              self->over == OVER_MEAN ? "mean of " : "", survey->count - top);
    return groups_add (&self->groups, 0, text);
}

static int
s_fold (chart_t *self)
{
    int64_t top = page_integer (self->request, "top", TOP);
    const char *ids = page_text (self->request, "ids");
    size_t i, lines = top > 0 && top < TOP_MAX ? (size_t) top : TOP;
    if (self->split && *ids)
        lines = survey_prefer (&self->survey, ids, TOP_MAX);
    //  A line of others that are one is that one's.
    if (lines + 1 == self->survey.count)
        lines++;
    for (i = 0; i < self->survey.count; i++)
        if (groups_read (&self->groups, s_group (self, i, lines), self->over,
                         self->request->reader, self->survey.item[i].id)
            == -1) {
            page_failed (self->request);
            return -1;
        }
    return 0;
}

//  --------------------------------------------------------------------------
//  The handler

static void
s_answer (web_request_t *request)
{
    chart_t self = {.request = request};
    self.heat = page_integer (request, "heat", 0) == 1;
    if (s_find (&self) == 0) {
        if (s_choose_over (&self) == 0 && s_choose_step (&self) == 0
            && s_fold (&self) == 0) {
            if (strcmp (page_text (request, "format"), "csv") == 0)
                chart_put_csv (&self);
            else
                chart_put_json (&self);
        }
    }
    groups_clear (&self.groups);
    survey_clear (&self.survey);
    free (self.name);
}

void
page_points (web_request_t *request)
{
    page_of_one_moment (request, s_answer);
}
