/*  api_metric - one metric, with its measurements by source

    A client of the API of sources knows no tags: what one source has measured with
    several tags is one trace here.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include "traces.h"
#include "interval.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *source;
    trace_t trace;
} source_t;

typedef struct {
    const metric_t *metric;
    interval_t interval;
    bool over_time, over_sources;  //  what is summarized,
    bool each_source;              //  and whether sources are shown beside it
    bool deltas;                   //  readings that rise became differences
    const char *function;          //  group_by, or NULL
    traces_t traces;
    source_t *source;
    size_t sources;
} answer_t;

static const char s_nobody[] = "unassigned";

static const char *
s_source_name (const series_t *series)
{
    return *series->source ? series->source : s_nobody;
}

//  --------------------------------------------------------------------------
//  Which sources

static bool
s_is_wanted (void *argument, const series_t *series)
{
    return api_source_wanted ((const web_request_t *) argument,
                              s_source_name (series));
}

//  --------------------------------------------------------------------------
//  From series to sources

//  What several series of one source have; so many as were asked for.
static void
s_join (answer_t *self, source_t *source)
{
    size_t most = self->interval.range.most;
    trace_t *trace = &source->trace;
    trace_sort (trace);
    trace_fold (trace);
    if (!self->interval.counted || trace->count <= most)
        return;
    if (self->interval.last)
        memmove (trace->item, trace->item + trace->count - most,
                 most * sizeof *trace->item);
    trace->count = most;
}

//  The series are in the order of their sources, so each source is a run of them.
static void
s_make_sources (answer_t *self)
{
    self->source =
      (source_t *) calloc (self->traces.count + 1, sizeof *self->source);
    assert (self->source);
    for (size_t i = 0; i < self->traces.count;) {
        source_t *source = &self->source[self->sources++];
        size_t first = i;
        source->source = s_source_name (&self->traces.item[i].series);
        for (; i < self->traces.count
               && strcmp (source->source,
                          s_source_name (&self->traces.item[i].series))
                    == 0;
             i++)
            trace_append (&source->trace, &self->traces.item[i].trace, 0);
        if (i - first > 1)
            s_join (self, source);
    }
}

//  One record of all times: its time is that of the first.
static void
s_sum_up_time (trace_t *trace)
{
    for (size_t i = 1; i < trace->count; i++)
        trace->item[i].point.time_s = trace->item[0].point.time_s;
    trace_fold (trace);
}

//  --------------------------------------------------------------------------
//  Records

//  The members of a measurement but for its time.
enum { VALUE, COUNT, SUM, MIN, MAX, SUM_SQUARES, MEMBERS };

static const char *const s_members[MEMBERS] = {
  [VALUE] = "value", [COUNT] = "count", [SUM] = "sum",
  [MIN] = "min",     [MAX] = "max",     [SUM_SQUARES] = "sum_squares"};

typedef struct {
    double member[MEMBERS];
} record_t;

//  "value" is the mean, whatever the metric's summarize_function is: so it was at
//  Librato.
static record_t
s_record (const point_t *point)
{
    return (record_t){{[VALUE] = point->sum / (double) point->n,
                       [COUNT] = (double) point->n,
                       [SUM] = point->sum,
                       [MIN] = point->min,
                       [MAX] = point->max,
                       [SUM_SQUARES] = point->sum_squares}};
}

static void
s_write_record (buffer_t *out, int64_t time_s, const record_t *record)
{
    out_key (out, "measure_time");
    out_integer (out, time_s);
    for (int i = 0; i < MEMBERS; i++) {
        out_key (out, s_members[i]);
        out_number (out, record->member[i]);
    }
}

//  A reading that rises is read back as it was sent.
static void
s_write_reading (buffer_t *out, const point_t *point)
{
    out_key (out, "measure_time");
    out_integer (out, point->time_s);
    out_key (out, "value");
    out_number (out, point->last);
    out_key (out, "count");
    out_integer (out, (int64_t) point->n);
}

static void
s_write_source (buffer_t *out, const answer_t *self, const source_t *source)
{
    bool readings = self->metric->type == METRIC_COUNTER && !self->deltas;
    out_key (out, source->source);
    out_begin (out, '[');
    for (size_t i = 0; i < source->trace.count; i++) {
        const point_t *point = &source->trace.item[i].point;
        record_t record = s_record (point);
        out_begin (out, '{');
        if (readings)
            s_write_reading (out, point);
        else
            s_write_record (out, point->time_s, &record);
        out_end (out, '}');
    }
    out_end (out, ']');
}

//  --------------------------------------------------------------------------
//  All sources as one

typedef double join_fn (double a, double b);

static double
s_plus (double a, double b)
{
    return a + b;
}

static const struct {
    const char *name;
    join_fn *join;
} s_functions[] = {{"min", fmin},
                   {"max", fmax},
                   {"sum", s_plus},
                   {"mean", s_plus},
                   {"count", s_plus}};

static join_fn *
s_function (const char *name)
{
    for (size_t i = 0; i < sizeof s_functions / sizeof *s_functions; i++)
        if (strcasecmp (name, s_functions[i].name) == 0)
            return s_functions[i].join;
    return NULL;
}

//  Adds what another source has: the function over each member, but for count, which
//  is that of all samples.
static void
s_join_record (record_t *all, const record_t *one, join_fn *join)
{
    for (int i = 0; i < MEMBERS; i++)
        all->member[i] = i == COUNT ? all->member[i] + one->member[i]
                                    : join (all->member[i], one->member[i]);
}

//  Of the functions, count is how many sources there are, and mean is a share.
static record_t
s_group (const char *function, const trace_point_t *item, size_t count)
{
    record_t all = s_record (&item->point);
    bool counts = strcasecmp (function, "count") == 0;
    double share = strcasecmp (function, "mean") == 0 ? (double) count : 1;
    for (size_t i = 1; i < count; i++) {
        record_t one = s_record (&item[i].point);
        s_join_record (&all, &one, s_function (function));
    }
    for (int i = 0; i < MEMBERS; i++)
        if (i != COUNT)
            all.member[i] = counts ? (double) count : all.member[i] / share;
    return all;
}

//  Samples of all sources together.
static record_t
s_together (const trace_point_t *item, size_t count)
{
    fold_t fold = {.hist.size = 0};
    record_t record;
    fold_begin (&fold, item->point.time_s);
    for (size_t i = 0; i < count; i++)
        fold_add (&fold, &item[i].point);
    record = s_record (fold_point (&fold));
    fold_clear (&fold);
    return record;
}

//  Points of all sources are sorted by time, and each run of one time is a record. Of a
//  summary over time each source has one point, and all of them are one run.
static void
s_write_all (buffer_t *out, const answer_t *self)
{
    trace_t all = {.item = NULL};
    for (size_t i = 0; i < self->sources; i++)
        trace_append (&all, &self->source[i].trace, (uint32_t) i);
    trace_sort (&all);
    out_key (out, "all");
    out_begin (out, '[');
    for (size_t i = 0, count; i < all.count; i += count) {
        const trace_point_t *item = &all.item[i];
        record_t record;
        for (count = 1; i + count < all.count
                        && (self->over_time
                            || item[count].point.time_s == item->point.time_s);
             count++) {
        }
        record = self->function ? s_group (self->function, item, count)
                                : s_together (item, count);
        out_begin (out, '{');
        s_write_record (out, item->point.time_s, &record);
        out_key (out, "summarized");
        out_integer (out, (int64_t) count);
        out_end (out, '}');
    }
    out_end (out, ']');
    trace_clear (&all);
}

//  --------------------------------------------------------------------------
//  The answer

//  Reads the points of a time, as many as an answer has. What rises becomes differences
//  if it is to be added up. Returns 0 or -1.
static int
s_read (answer_t *self, reader_t *reader, const range_t *range)
{
    int rc =
      self->interval.counted
        ? traces_read_count (&self->traces, reader, range, self->interval.last)
        : traces_read (&self->traces, reader, range);
    return rc == 0 && self->deltas
             ? traces_deltas (&self->traces, reader, range, true)
             : rc;
}

//  Reads all points of a time, however many they are: what is read at once becomes one
//  point, before the next is.
static int
s_read_over_time (answer_t *self, reader_t *reader)
{
    range_t range = self->interval.range;
    size_t count = self->traces.count;
    trace_t *whole = (trace_t *) calloc (count + 1, sizeof *whole);
    int rc;
    assert (whole);
    do {
        self->traces.next_s = 0;
        rc = s_read (self, reader, &range);
        for (size_t i = 0; i < count; i++) {
            trace_t *trace = &self->traces.item[i].trace;
            s_sum_up_time (trace);
            trace_append (&whole[i], trace, 0);
            trace->count = 0;
        }
        range.from_s = self->traces.next_s;
    } while (rc == 0 && self->traces.next_s);
    for (size_t i = 0; i < count; i++) {
        trace_clear (&self->traces.item[i].trace);
        self->traces.item[i].trace = whole[i];
    }
    free (whole);
    return rc;
}

//  Reads what is asked for. Returns 0 or -1.
static int
s_collect (web_request_t *request, answer_t *self)
{
    reader_t *reader = request->reader;
    bool whole = self->over_time && !self->interval.counted;
    self->deltas = self->metric->type == METRIC_COUNTER
                   && (self->over_time || self->over_sources);
    if (traces_list (&self->traces, reader, self->metric->id, s_is_wanted,
                     request)
          == -1
        || (whole ? s_read_over_time (self, reader)
                  : s_read (self, reader, &self->interval.range))
             == -1)
        return -1;
    s_make_sources (self);
    for (size_t i = 0; self->over_time && i < self->sources; i++)
        s_sum_up_time (&self->source[i].trace);
    return 0;
}

static void
s_write_measurements (buffer_t *out, const answer_t *self)
{
    int64_t resolution = self->interval.range.resolution_s;
    if (resolution < self->traces.resolution_s)
        resolution = self->traces.resolution_s;
    out_key (out, "resolution");
    out_integer (out, resolution);
    out_key (out, "measurements");
    out_begin (out, '{');
    for (size_t i = 0; self->each_source && i < self->sources; i++)
        if (self->source[i].trace.count)
            s_write_source (out, self, &self->source[i]);
    if (self->over_sources)
        s_write_all (out, self);
    out_end (out, '}');
    if (self->traces.next_s) {
        out_key (out, "query");
        out_begin (out, '{');
        out_key (out, "next_time");
        out_integer (out, self->traces.next_s);
        out_end (out, '}');
    }
}

//  Returns 0, or -1 with the answer.
static int
s_parameters (web_request_t *request, answer_t *self)
{
    self->function = web_parameter (request, "group_by");
    if (self->function && !s_function (self->function)) {
        web_error (request, 400, "group_by", "%s is not a function",
                   self->function);
        return -1;
    }
    self->over_time = api_flag (request, "summarize_time", false);
    self->over_sources =
      self->function || api_flag (request, "summarize_sources", false);
    self->each_source =
      !self->over_sources
      || api_flag (request, "breakout_sources", !self->function);
    return interval_read (request, &self->interval);
}

static void
s_clear (answer_t *self)
{
    for (size_t i = 0; i < self->sources; i++)
        trace_clear (&self->source[i].trace);
    free (self->source);
    traces_clear (&self->traces);
}

//  Within one transaction of the reader.
static void
s_answer (web_request_t *request, answer_t *self)
{
    buffer_t *out = &request->out;
    metric_t metric;
    int rc = reader_metric (request->reader, request->captured[0], &metric);
    if (rc != 1) {
        api_changed (request, rc);
        return;
    }
    self->metric = &metric;
    out_begin (out, '{');
    api_metric_members (out, &metric);
    if (self->interval.given) {
        if (s_collect (request, self) == -1) {
            api_failed (request);
            return;
        }
        s_write_measurements (out, self);
    }
    out_end (out, '}');
}

void
api_metric_get (web_request_t *request)
{
    answer_t answer = {.metric = NULL};
    if (s_parameters (request, &answer) == -1)
        return;
    if (reader_begin (request->reader) == -1) {
        api_failed (request);
        return;
    }
    s_answer (request, &answer);
    reader_end (request->reader);
    s_clear (&answer);
}
