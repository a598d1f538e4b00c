/*  api_write - Librato's API for writing

        POST /v1/metrics        gauges and counters, with a source. One that is bad
                                refuses all of them
        POST /v1/measurements   with tags. Those that are good are stored, and the
                                answer says how many are not
                                An array: what Debian's collectd sends (collectd.h)

    Sections: errors, metrics, measurements, routes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "collectd.h"
#include "post.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

//  --------------------------------------------------------------------------
//  Errors

//  {"errors":{"params":{PARAM:[TEXT],"name":NAME}},"request_time":N}, status 400
static void
s_answer_refusal (web_request_t *request, const refusal_t *refusal,
                  const char *name)
{
    cJSON *json = cJSON_CreateObject (), *params, *list;
    char *text;
    params = cJSON_AddObjectToObject (cJSON_AddObjectToObject (json, "errors"),
                                      "params");
    list = cJSON_AddArrayToObject (params, refusal->param);
    cJSON_AddItemToArray (list, cJSON_CreateString (refusal->text));
    if (refusal->name == NAME_AS_TEXT && strcmp (refusal->param, "name") != 0)
        cJSON_AddStringToObject (params, "name", name);
    if (refusal->name == NAME_AS_LIST)
        cJSON_AddItemToArray (cJSON_AddArrayToObject (params, "name"),
                              cJSON_CreateString (name));
    if (refusal->with_time)
        cJSON_AddNumberToObject (json, "request_time", (double) time (NULL));
    text = cJSON_PrintUnformatted (json);
    request->status = 400;
    buffer_add_text (&request->out, text);
    cJSON_free (text);
    cJSON_Delete (json);
}

//  Why the store has refused a row. The sentences are those of Librato as far as it
//  had such an error.
static void
s_refused_row (const store_row_t *row, row_result_t why, refusal_t *refusal)
{
    if (why == ROW_TYPE)
        refuse (refusal, "type",
                "'%s' is a %s, but was submitted as different type", row->name,
                row->type == METRIC_COUNTER ? "gauge" : "counter");
    else if (why == ROW_OLD) {
        refuse (refusal, "measure_time", "is too far in the past");
        refusal->with_time = true;
    }
    else
        refuse (refusal, "name", "%s: %s", row->name, store_refusal_text (why));
    refusal->name = NAME_LEFT_OUT;
}

static bool
s_is_empty (web_request_t *request, size_t count)
{
    if (count > POST_ROWS_MAX)
        web_error (request, 413, NULL, "Must contain at most %d measurements",
                   POST_ROWS_MAX);
    else if (!count)
        web_error (request, 400, NULL, "Must contain a measurement");
    return !count || count > POST_ROWS_MAX;
}

//  --------------------------------------------------------------------------
//  POST /v1/metrics

//  Handler for post_store. Several clients take nothing but 200 for success.
static void
metrics_answer (post_t *self, web_request_t *request)
{
    row_result_t why;
    const store_row_t *row = post_refused (self, &why);
    refusal_t refusal = {.param = NULL};
    if (self->batch.result != BATCH_REFUSED || !row)
        return;
    s_refused_row (row, why, &refusal);
    s_answer_refusal (request, &refusal, row->name);
}

//  Adds all of one kind. A hash has them by name, or by any key if they have a name of
//  their own. Returns 0, or -1 with the answer.
static int
metrics_add (post_t *post, const cJSON *list, metric_type_t type,
             const sample_t *globals, dialect_t dialect)
{
    bool unknown;
    for (const cJSON *each = list ? list->child : NULL; each;
         each = each->next) {
        refusal_t refusal = {.param = NULL};
        const char *key = cJSON_IsObject (list) ? each->string : NULL;
        sample_t sample;
        if (sample_read (&sample, each, key, type, dialect, &refusal, &unknown)
            == -1) {
            s_answer_refusal (post->request, &refusal, sample.name);
            return -1;
        }
        post_add (post, &sample, globals, NULL, 0);
    }
    return 0;
}

static void
metrics_post (web_request_t *request)
{
    post_t *post = post_new (request);
    const cJSON *json = post_json (post);
    const cJSON *gauges = cJSON_GetObjectItemCaseSensitive (json, "gauges");
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive (json, "counters");
    dialect_t dialect = {.form = !web_is_type (request, "application/json")};
    refusal_t refusal = {.param = NULL};
    sample_t globals;
    if (json && sample_read_globals (&globals, json, dialect, &refusal) == -1)
        s_answer_refusal (request, &refusal, "");
    else if (json
             && !s_is_empty (request,
                             (size_t) cJSON_GetArraySize (gauges)
                               + (size_t) cJSON_GetArraySize (counters))) {
        if (!globals.timed)
            globals.point.time_s = time (NULL);
        if (metrics_add (post, gauges, METRIC_GAUGE, &globals, dialect) == 0
            && metrics_add (post, counters, METRIC_COUNTER, &globals, dialect)
                 == 0) {
            post_store (post, true, metrics_answer);
            return;
        }
    }
    post_destroy (&post);
}

//  --------------------------------------------------------------------------
//  POST /v1/measurements

enum { ERRORS_MAX = 100 };  //  in an answer

//  Notes one that is not stored. The service did not say which one it was.
static void
measurements_fail (post_t *self, const refusal_t *refusal, const char *name)
{
    cJSON *error;
    bool tag = strncmp (refusal->param, "tag_", 4) == 0;
    if (self->failed++ >= ERRORS_MAX)
        return;
    if (!self->errors)
        self->errors = cJSON_CreateArray ();
    error = cJSON_CreateObject ();
    cJSON_AddStringToObject (error, "param", refusal->param);
    cJSON_AddStringToObject (error, "value", tag ? refusal->text : name);
    cJSON_AddStringToObject (error, "reason",
                             tag ? "Invalid format" : refusal->text);
    cJSON_AddItemToArray (self->errors, error);
}

//  Handler for post_store. Compact, since Micrometer looks for "failed":0, and without
//  a null in it, which librato-java does not read.
static void
measurements_answer (post_t *self, web_request_t *request)
{
    size_t total = self->count + self->failed, i;
    cJSON *json = cJSON_CreateObject (), *summary;
    char *text;
    for (i = 0; i < self->count; i++)
        if (self->batch.refused && self->batch.refused[i] != ROW_TAKEN) {
            refusal_t refusal = {.param = NULL};
            s_refused_row (&self->row[i], (row_result_t) self->batch.refused[i],
                           &refusal);
            measurements_fail (self, &refusal, self->row[i].name);
        }
    summary = cJSON_AddObjectToObject (
      cJSON_AddObjectToObject (json, "measurements"), "summary");
    cJSON_AddNumberToObject (summary, "total", (double) total);
    cJSON_AddNumberToObject (summary, "accepted",
                             (double) (total - self->failed));
    cJSON_AddNumberToObject (summary, "failed", (double) self->failed);
    cJSON_AddNumberToObject (summary, "filtered", 0);
    if (self->errors)
        cJSON_AddItemToObject (json, "errors", self->errors);
    self->errors = NULL;
    text = cJSON_PrintUnformatted (json);
    request->status = 202;
    buffer_add_text (&request->out, text);
    cJSON_free (text);
    cJSON_Delete (json);
}

//  Stores what is good. Frees the post.
static void
measurements_store (post_t *post)
{
    if (post->count) {
        post_store (post, false, measurements_answer);
        return;
    }
    measurements_answer (post, post->request);
    post_destroy (&post);
}

//  What the service said of a member that it did not know, and of NaN
//  (statsd-librato-backend#91).
static void
s_unable (web_request_t *request)
{
    request->status = 400;
    request->out.size = 0;
    buffer_add_text (&request->out,
                     "{\"code\":400,\"message\":\"Unable to process JSON\"}");
}

//  Tags of its own, or else those of all: never both. An empty object is none
//  (statsd-librato-backend sends one with every measurement).
typedef struct {
    const zb_tag_t *tags;
    size_t count;
    const char *source;
} tags_t;

//  Returns 0, or -1 with what is wrong.
static int
s_tags (post_t *post, const cJSON *object, tags_t *tags, refusal_t *refusal)
{
    zb_tag_t all[SAMPLE_TAGS_MAX];
    int count = sample_tags (object, all, &tags->source, refusal);
    if (count == -1)
        return -1;
    tags->count = (size_t) count;
    if (count)
        tags->tags = (const zb_tag_t *) post_keep (
          post, all, (size_t) count * sizeof *all);
    return 0;
}

//  Adds one. Returns false if it has a member that is not known.
static bool
measurements_add (post_t *post, const cJSON *each, sample_t *globals,
                  const tags_t *common)
{
    refusal_t refusal = {.param = NULL};
    tags_t tags = {NULL, 0, NULL};
    sample_t sample;
    bool unknown = false;
    int rc = sample_read (&sample, each, NULL, METRIC_GAUGE,
                          (dialect_t){.tagged = true}, &refusal, &unknown);
    if (unknown) {
        free (sample.buckets);
        return false;
    }
    if (rc == 0)
        rc = s_tags (post, sample.tags, &tags, &refusal);
    if (rc == -1) {
        free (sample.buckets);
        measurements_fail (post, &refusal, sample.name);
        return true;
    }
    if (!tags.count && !tags.source)
        tags = *common;
    sample.source = tags.source;
    post_add (post, &sample, globals, tags.tags, tags.count);
    return true;
}

static void
measurements_object (post_t *post, const cJSON *json)
{
    web_request_t *request = post->request;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive (json, "measurements");
    refusal_t refusal = {.param = NULL};
    tags_t common = {NULL, 0, NULL};
    sample_t globals;
    bool good = sample_read_globals (&globals, json,
                                     (dialect_t){.tagged = true}, &refusal)
                  == 0
                && s_tags (post, globals.tags, &common, &refusal) == 0;
    const cJSON *each = good && list ? list->child : NULL;
    if (!globals.timed)
        globals.point.time_s = time (NULL);
    while (each && measurements_add (post, each, &globals, &common))
        each = each->next;
    if ((!good && strcmp (refusal.param, "request") == 0) || each)
        s_unable (request);
    else if (!good)
        s_answer_refusal (request, &refusal, "");
    else if (!s_is_empty (request, post->count + post->failed)) {
        measurements_store (post);
        return;
    }
    post_destroy (&post);
}

static void
measurements_post (web_request_t *request)
{
    post_t *post;
    const cJSON *json;
    if (!web_is_type (request, "application/json")) {
        web_error (request, 415, NULL, "Content-Type must be application/json");
        return;
    }
    post = post_new (request);
    json = post_json (post);
    if (cJSON_IsObject (json))
        measurements_object (post, json);
    else if (cJSON_IsArray (json)) {
        collectd_read (post, json);
        measurements_store (post);
    }
    else {
        s_unable (request);
        post_destroy (&post);
    }
}

//  --------------------------------------------------------------------------
//  Routes

const route_t api_write_routes[] = {
  {"POST", "/v1/metrics", ROLE_RECORDER, false, metrics_post},
  {"POST", "/v1/measurements", ROLE_RECORDER, false, measurements_post},
  {.method = NULL}};
