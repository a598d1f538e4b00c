/*  librato_api - bodies of requests, and what answers mean. The contract is in
    librato_api.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "librato_api.h"

#include "http.h"
#include "json.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  Bodies

static const int64_t s_second = INT64_C (1000000000);

typedef cJSON *(row_fn) (const zb_row_t *row);

static cJSON *
s_gauge (const zb_row_t *row)
{
    cJSON *gauge = cJSON_CreateObject ();
    json_add_number (gauge, "measure_time", (double) (row->time_ns / s_second));
    json_add_text (gauge, "name", row->name);
    json_add_text (gauge, "source", row->source);
    json_add_samples (gauge, row);
    return gauge;
}

//  This API has no sum of squares, and refuses a request with a member that it
//  does not know (statsd-librato-backend#91).
static cJSON *
s_measurement (const zb_row_t *row)
{
    cJSON *measurement = cJSON_CreateObject (), *tags;
    size_t i;
    json_add_text (measurement, "name", row->name);
    json_add_number (measurement, "time", (double) (row->time_ns / s_second));
    json_add_samples (measurement, row);
    cJSON_DeleteItemFromObject (measurement, "sum_squares");
    tags = cJSON_AddObjectToObject (measurement, "tags");
    json_add_text (tags, "source", row->source);
    for (i = 0; i < row->tag_count; i++)
        json_add_text (tags, row->tags[i].key, row->tags[i].value);
    return measurement;
}

static void
s_buckets (cJSON *object, const zb_row_t *row)
{
    cJSON *buckets = cJSON_AddObjectToObject (object, "buckets");
    cJSON *index, *counts;
    size_t i;
    cJSON_AddNumberToObject (buckets, "scale", 5);
    index = cJSON_AddArrayToObject (buckets, "index");
    counts = cJSON_AddArrayToObject (buckets, "count");
    for (i = 0; i < row->bucket_count; i++) {
        cJSON_AddItemToArray (index,
                              cJSON_CreateNumber (row->buckets[i].index));
        cJSON_AddItemToArray (
          counts, cJSON_CreateNumber ((double) row->buckets[i].count));
    }
}

//  {NAME:[...]}. Caller owns the return value.
static char *
s_body (const char *name, row_fn *row, const zb_row_t *rows, size_t count,
        bool histograms)
{
    cJSON *body = cJSON_CreateObject ();
    cJSON *list = cJSON_AddArrayToObject (body, name);
    char *text;
    size_t i;
    for (i = 0; i < count; i++) {
        cJSON *object = row (&rows[i]);
        if (histograms && rows[i].bucket_count)
            s_buckets (object, &rows[i]);
        cJSON_AddItemToArray (list, object);
    }
    text = cJSON_PrintUnformatted (body);
    cJSON_Delete (body);
    return text;
}

char *
librato_gauges (const zb_row_t *rows, size_t count, bool histograms)
{
    return s_body ("gauges", s_gauge, rows, count, histograms);
}

char *
librato_measurements (const zb_row_t *rows, size_t count, bool histograms)
{
    return s_body ("measurements", s_measurement, rows, count, histograms);
}

//  --------------------------------------------------------------------------
//  Answers

enum { TEXT_MAX = 300 };

//  Adds the texts in a JSON value, each with its key: what is wrong may be a
//  text, an array or nested objects (librato/librato-rails#10,
//  librato/librato-metrics#108).
static void
librato_reason (const cJSON *json, char *text)
{
    const cJSON *child;
    size_t used = strlen (text);
    snprintf (text + used, TEXT_MAX - used, "%s%s%s%s", used ? " " : "",
              json->string ? json->string : "",
              json->string && cJSON_IsString (json) ? ": " : "",
              cJSON_IsString (json) ? json->valuestring : "");
    for (child = json->child; child; child = child->next)
        librato_reason (child, text);
}

//  {"errors":{"params":{"measure_time":["is too far in the past"]}}}
static bool
librato_is_too_old (const cJSON *errors)
{
    const cJSON *params = cJSON_GetObjectItem (errors, "params");
    const cJSON *time = cJSON_GetObjectItem (params, "measure_time");
    char text[TEXT_MAX] = "";
    if (time)
        librato_reason (time, text);
    return strstr (text, "past") != NULL;
}

zb_outcome_t
librato_outcome (long status, const char *body, zb_reply_t *reply,
                 bool *too_old)
{
    zb_outcome_t outcome = http_outcome (NULL, status);
    char text[TEXT_MAX] = "";
    cJSON *json = cJSON_Parse (body);
    const cJSON *limit = cJSON_GetObjectItem (json, "error");
    const cJSON *errors = cJSON_GetObjectItem (json, "errors");
    //  rate limited is a flat "error", not "errors" (python-librato,
    //  exceptions.py)
    if (status == 403 && cJSON_IsString (limit))
        outcome = ZB_RETRY;
    //  a load balancer's page (heroku/x#13), or an endpoint that answers so
    if (status == 400 && !json)
        outcome = ZB_FAILED;
    *too_old = outcome == ZB_REFUSED && librato_is_too_old (errors);
    if (errors || limit)
        librato_reason (errors ? errors : limit, text);
    else
        snprintf (text, sizeof text, "%.200s", body);
    snprintf (reply->reason, sizeof reply->reason, "status %ld %s", status,
              text);
    cJSON_Delete (json);
    return outcome;
}

//  {"measurements":{"summary":{"failed":96,...}},"errors":[{"param":"tag_value",
//  "value":"41454@127","reason":"Invalid format"}]}
void
librato_partly (const char *answer, zb_reply_t *reply)
{
    cJSON *json = cJSON_Parse (answer);
    const cJSON *measurements = cJSON_GetObjectItem (json, "measurements");
    const cJSON *summary = cJSON_GetObjectItem (measurements, "summary");
    const cJSON *failed = cJSON_GetObjectItem (summary, "failed");
    if (cJSON_IsNumber (failed) && failed->valuedouble > 0) {
        const cJSON *errors = cJSON_GetObjectItem (json, "errors");
        char *text = errors ? cJSON_PrintUnformatted (errors) : NULL;
        reply->refused = (size_t) fmin (failed->valuedouble, 1e9);
        snprintf (reply->reason, sizeof reply->reason, "not taken: %.400s",
                  text ? text : "it is not said why");
        free (text);
    }
    cJSON_Delete (json);
}
