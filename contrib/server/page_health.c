/*  page_health - what workers and brokers measured of themselves, in a time

    Their rows are those of the metrics zibrato.*; contrib/docs/workers.md says what
    each means. Series that have been silent for less than a day are there, too, with a
    total of 0: a worker that has died must not vanish from the page.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "out.h"
#include "survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PREFIX "zibrato."

enum { SILENT_S = 86400 };

//  Of these, what was counted is lost.
static const char *const s_lost[] = {
  PREFIX "dropped", PREFIX "incomplete", PREFIX "lost",    PREFIX "malformed",
  PREFIX "missed",  PREFIX "overflowed", PREFIX "refused", PREFIX "rejected"};

//  A total of minutes or hours is read from fewer rows. The time is as long or a bit
//  longer.
static int64_t
s_step (int64_t from_s, int64_t to_s)
{
    if (to_s - from_s <= 7200)
        return 1;
    return to_s - from_s <= 2 * 86400 ? 60 : 3600;
}

typedef struct {
    uint64_t n;
    double sum, last;
    int64_t last_s;
} total_t;

static int
s_add (void *argument, const point_t *point)
{
    total_t *self = argument;
    self->n = point_add_counts (self->n, point->n);
    self->sum += point->sum;
    self->last = point->sum / (double) point->n;
    self->last_s = point->time_s;
    return 0;
}

//  --------------------------------------------------------------------------
//  All of them, or the sum of some

typedef struct {
    reader_t *reader;
    int64_t from_s, to_s;
    buffer_t *out;  //  or NULL: only the sum is wanted
    double sum;
    bool failed;
} reading_t;

static void
s_put (buffer_t *out, const char *name, const char *source,
       const total_t *total)
{
    out_begin (out, '{');
    out_key (out, "name");
    out_text (out, name);
    out_key (out, "source");
    out_text (out, source);
    out_key (out, "total");
    out_number (out, total->sum);
    out_key (out, "last");
    out_number (out, total->last);
    out_key (out, "last_time");
    out_integer (out, total->last_s);
    out_end (out, '}');
}

//  A series without a point since then is left out.
static int64_t
s_since (const reading_t *self)
{
    int64_t day_before_s = self->to_s - SILENT_S;
    return self->out && day_before_s < self->from_s ? day_before_s
                                                    : self->from_s;
}

static void
s_series (reading_t *self, const char *name, const survey_item_t *item)
{
    total_t total = {.last = NAN, .last_s = item->last_s};
    int64_t step = s_step (self->from_s, self->to_s);
    int64_t begin = self->from_s / step * step;
    int64_t end = (self->to_s + step - 1) / step * step;
    bool silent = item->last_s < begin;
    if (!silent
        && reader_points (self->reader, item->id, begin, end, step, s_add,
                          &total)
             < 0)
        self->failed = true;
    self->sum += total.sum;
    if (self->out && (total.n || (silent && item->last_s >= s_since (self))))
        s_put (self->out, name, item->label, &total);
}

static void
s_metric (reading_t *self, const char *name)
{
    survey_t survey = {.item = NULL};
    metric_t metric;
    int rc = reader_metric (self->reader, name, &metric);
    if (rc == 1 && metric.last_s >= s_since (self))
        rc = survey_list (&survey, self->reader, metric.id, "");
    if (rc == -1)
        self->failed = true;
    for (size_t i = 0; i < survey.count; i++)
        s_series (self, name, &survey.item[i]);
    survey_clear (&survey);
}

double
page_lost (reader_t *reader, int64_t from_s, int64_t to_s)
{
    reading_t self = {.reader = reader, .from_s = from_s, .to_s = to_s};
    for (size_t i = 0; i < sizeof s_lost / sizeof *s_lost; i++)
        s_metric (&self, s_lost[i]);
    return self.failed ? -1 : self.sum;
}

//  --------------------------------------------------------------------------
//  The answer

//  Names are taken down first, as the reader lists one thing at a time.
enum { NAMES_MAX = 100 };

typedef struct {
    char *name[NAMES_MAX];
    size_t count;
} names_t;

static int
s_take_name (void *argument, const metric_t *metric)
{
    names_t *self = argument;
    if (strncasecmp (metric->name, PREFIX, strlen (PREFIX)) == 0)
        self->name[self->count++] = strdup (metric->name);
    return self->count == NAMES_MAX;
}

//  What it counted from one time to another. `since` is the former, or when the server
//  was started.
static void
s_put_store (buffer_t *out, store_t *store, int64_t from_s, int64_t to_s)
{
    store_stats_t before, after;
    int64_t since_s = store_stats_then (store, from_s, &before);
    if (to_s < (int64_t) time (NULL))
        store_stats_then (store, to_s, &after);
    else
        store_stats (store, &after);
#define COUNTED(member) (int64_t) (after.member - before.member)
    const out_member_t numbers[] = {
      {"since", since_s},
      {"received", COUNTED (received)},
      {"stored", COUNTED (stored)},
      {"repeated", COUNTED (repeated)},
      {"refused_type", COUNTED (reason[ROW_TYPE])},
      {"refused_series", COUNTED (reason[ROW_SERIES])},
      {"refused_old", COUNTED (reason[ROW_OLD])},
      {"refused", COUNTED (refused)},
      {"failed", COUNTED (failed)},
      {"failing", after.failing},
      {"late", COUNTED (late)},
      {"dropped", COUNTED (dropped)}};
#undef COUNTED
    out_begin (out, '{');
    out_integers (out, numbers, sizeof numbers / sizeof *numbers);
    out_end (out, '}');
}

static void
s_answer (web_request_t *request)
{
    buffer_t *out = &request->out;
    reading_t self = {.reader = request->reader, .out = out};
    names_t names = {.count = 0};
    if (page_times (request, 1800, &self.from_s, &self.to_s) == -1)
        return;
    out_begin (out, '{');
    out_key (out, "measures");
    out_begin (out, '[');
    if (reader_metrics (self.reader, PREFIX, 0, INT64_MAX, s_take_name, &names)
        < 0)
        self.failed = true;
    for (size_t i = 0; i < names.count; i++) {
        s_metric (&self, names.name[i]);
        free (names.name[i]);
    }
    out_end (out, ']');
    out_key (out, "store");
    s_put_store (out, request->store, self.from_s, self.to_s);
    out_end (out, '}');
    if (self.failed)
        page_failed (request);
}

void
page_health (web_request_t *request)
{
    page_of_one_moment (request, s_answer);
}
