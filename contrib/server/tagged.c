/*  tagged - a request for measurements by tags. The contract is in tagged.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"
#include "tagged.h"

#include <stdlib.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  What is asked for

//  tags[KEY], and tags[KEY][] as some clients write a list.
static void
s_take_tag (void *argument, const char *name, const char *value)
{
    tagged_t *self = (tagged_t *) argument;
    size_t size = strcspn (name, "]");
    char *key;
    if (self->wrong || strncmp (name, "tags[", 5) != 0 || !name[size])
        return;
    key = strndup (name + 5, size - 5);
    self->wrong = filter_tag (self->filter, key, value);
    free (key);
}

//  Returns 0, or -1 with the answer.
static int
s_read_filter (tagged_t *self)
{
    const char *search = web_parameter (self->request, "tags_search"), *wrong;
    self->filter = filter_new ();
    web_parameters (self->request, s_take_tag, self);
    if (self->wrong) {
        web_error (self->request, 400, "tags", "%s", self->wrong);
        return -1;
    }
    wrong = search ? filter_search (self->filter, search) : NULL;
    if (wrong)
        web_error (self->request, 400, "tags_search", "%s", wrong);
    return wrong ? -1 : 0;
}

static void
s_cut_keys (tagged_t *self, const char *group_by)
{
    char *rest = NULL;
    self->keys = strdup (group_by);
    for (char *key = strtok_r (self->keys, ", ", &rest);
         key && self->key_count < TAGGED_KEYS_MAX;
         key = strtok_r (NULL, ", ", &rest))
        self->key[self->key_count++] = key;
}

static int
s_read_group (tagged_t *self)
{
    const char *group_by = web_parameter (self->request, "group_by");
    const char *function = web_parameter (self->request, "group_by_function");
    if (!group_by || !*group_by)
        return 0;
    if (strcmp (group_by, "*") != 0)
        s_cut_keys (self, group_by);
    self->group = function ? group_find (function) : NULL;
    if (!function)
        web_error (self->request, 400, "group_by_function", "is required");
    else if (!self->group)
        web_error (self->request, 400, "group_by_function",
                   "%s is not a function", function);
    else if (!self->summary->of)
        web_error (self->request, 400, "group_by",
                   "may not be given with summary_function=all");
    else
        return 0;
    return -1;
}

//  What is asked for if no summary function is: increments add up.
static const char *
s_usual_summary (const metric_t *metric)
{
    static const char *const usual[] = {
      "\"summarize_function\":\"sum\"",     "sum",
      "\"summarize_function\":\"count\"",   "count",
      "\"summarize_function\":\"min\"",     "min",
      "\"summarize_function\":\"max\"",     "max",
      "\"summarize_function\":\"average\"", "mean"};
    for (size_t i = 0; metric->attributes && i < 10; i += 2)
        if (strstr (metric->attributes, usual[i]))
            return usual[i + 1];
    return metric->type == METRIC_INCREMENT ? "sum" : "mean";
}

static int
s_read_summary (tagged_t *self)
{
    const char *name = web_parameter (self->request, "summary_function");
    if (!name || !*name)
        name = s_usual_summary (&self->metric);
    self->summary = summary_find (name);
    if (self->summary)
        return 0;
    web_error (self->request, 400, "summary_function", "%s is not a function",
               name);
    return -1;
}

//  --------------------------------------------------------------------------
//  Reading

//  A series without one of the tags of group_by belongs to no group.
static bool
s_is_wanted (void *argument, const series_t *series)
{
    const tagged_t *self = (const tagged_t *) argument;
    span_t value;
    for (size_t i = 0; i < self->key_count; i++)
        if (!series_tag (series, self->key[i], &value))
            return false;
    return filter_match (self->filter, series);
}

//  A reading that rises is what it was last; its mean would be between two of them.
static void
s_take_last (trace_t *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        point_t *point = &trace->item[i].point;
        double last = point->last;
        *point = (point_t){.time_s = point->time_s,
                           .n = 1,
                           .sum = last,
                           .min = last,
                           .max = last,
                           .sum_squares = last * last};
    }
}

//  Returns 0 or -1.
static int
s_collect (tagged_t *self)
{
    reader_t *reader = self->request->reader;
    const range_t *range = &self->interval.range;
    bool rises = self->metric.type == METRIC_COUNTER;
    if (traces_list (&self->traces, reader, self->metric.id, s_is_wanted, self)
          == -1
        || traces_read (&self->traces, reader, range) == -1)
        return -1;
    if (self->summary->derived)
        return traces_deltas (&self->traces, reader, range, rises);
    for (size_t i = 0; rises && i < self->traces.count; i++)
        s_take_last (&self->traces.item[i].trace);
    return 0;
}


//  --------------------------------------------------------------------------

static int
s_read (tagged_t *self)
{
    web_request_t *request = self->request;
    int rc =
      reader_metric (request->reader, request->captured[0], &self->metric);
    if (rc != 1) {
        api_changed (request, rc);
        return -1;
    }
    if (s_read_summary (self) == -1 || s_read_filter (self) == -1
        || s_read_group (self) == -1)
        return -1;
    rc = s_collect (self);
    if (rc == -1)
        api_failed (request);
    return rc;
}

int
tagged_read (tagged_t *self, web_request_t *request)
{
    int rc;
    *self = (tagged_t){.request = request};
    if (interval_read_tagged (request, &self->interval) == -1)
        return -1;
    if (reader_begin (request->reader) == -1) {
        api_failed (request);
        return -1;
    }
    rc = s_read (self);
    reader_end (request->reader);
    return rc;
}

void
tagged_clear (tagged_t *self)
{
    filter_destroy (&self->filter);
    traces_clear (&self->traces);
    free (self->keys);
}
