/*  api_spaces - spaces, and the charts in them

    What a chart shows is kept as the client said it: only its streams get numbers and
    types, as Librato gave them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHARTS_MAX = 1000, STREAMS_MAX = 1000 };

//  --------------------------------------------------------------------------
//  Spaces

static void
s_write_space_members (buffer_t *out, const document_t *space)
{
    out_key (out, "id");
    out_integer (out, space->id);
    out_key (out, "name");
    out_text (out, space->name);
}

static void
s_write_space (void *argument, const document_t *space)
{
    buffer_t *out = &((web_request_t *) argument)->out;
    out_begin (out, '{');
    s_write_space_members (out, space);
    out_end (out, '}');
}

void
api_spaces_list (web_request_t *request)
{
    api_documents (request, DOCUMENT_SPACE, "spaces", s_write_space);
}

static bool
s_space (web_request_t *request, document_t *space)
{
    return api_document (request, DOCUMENT_SPACE, 0, api_id (request, 0),
                         space);
}

//  The name in a body. Returns NULL with the answer if there is none.
static const char *
s_name (web_request_t *request, const cJSON *body)
{
    const char *name = api_text (body, "name");
    if (name && *name)
        return name;
    web_error (request, 400, "name", "is required");
    return NULL;
}

//  Only the number: a client in Go reads them as such.
static void
s_write_chart_id (void *argument, const document_t *chart)
{
    buffer_t *out = (buffer_t *) argument;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, chart->id);
    out_end (out, '}');
}

static documents_query_t
s_charts (const document_t *space)
{
    return (documents_query_t){.kind = DOCUMENT_CHART,
                               .parent = space->id,
                               .name = "",
                               .to_s = INT64_MAX,  //  in the order of making
                               .length = CHARTS_MAX};
}

void
api_space_get (web_request_t *request)
{
    buffer_t *out = &request->out;
    document_t space = {.id = 0};
    if (s_space (request, &space)) {
        documents_query_t query = s_charts (&space);
        out_begin (out, '{');
        s_write_space_members (out, &space);
        out_key (out, "charts");
        out_begin (out, '[');
        if (documents_each (request->reader, &query, s_write_chart_id, out)
            == -1)
            api_failed (request);
        else {
            out_end (out, ']');
            out_end (out, '}');
        }
    }
    document_clear (&space);
}

static int
s_check_space (web_request_t *request, const cJSON *body, bool whole)
{
    (void) whole;
    return s_name (request, body) ? 0 : -1;
}

static void
s_change_space (void *argument, document_t *space)
{
    document_rename (space, api_text ((const cJSON *) argument, "name"));
}

static const api_kind_t s_space_kind = {.kind = DOCUMENT_SPACE,
                                        .path = "/v1/spaces",
                                        .check = s_check_space,
                                        .change = s_change_space,
                                        .write = s_write_space};

void
api_spaces_post (web_request_t *request)
{
    api_kind_post (request, &s_space_kind);
}

void
api_space_update (web_request_t *request)
{
    api_kind_put (request, &s_space_kind);
}

void
api_space_delete (web_request_t *request)
{
    api_kind_delete (request, &s_space_kind);
}

//  --------------------------------------------------------------------------
//  Charts

static void
s_write_stream (buffer_t *out, web_request_t *request, const cJSON *stream,
                int64_t id)
{
    const cJSON *member;
    const char *name = api_text (stream, "metric");
    metric_t metric;
    bool counter = name && reader_metric (request->reader, name, &metric) == 1
                   && metric.type == METRIC_COUNTER;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, id);
    out_key (out, "type");
    out_text (out, cJSON_GetObjectItem (stream, "composite") ? "composite"
                   : counter                                 ? "counter"
                                                             : "gauge");
    cJSON_ArrayForEach (member, stream) if (strcmp (member->string, "id")
                                            && strcmp (member->string, "type"))
      api_write_member (out, stream, member->string, "null");
    out_end (out, '}');
}

//  What a chart may have beside its name and streams.
static const char *const s_members[] = {
  "min",           "max",       "label",         "use_log_yaxis",
  "related_space", "threshold", "use_last_value"};

enum { MEMBERS = sizeof s_members / sizeof *s_members };

//  "thresholds" is null whatever it is, as in the documentation.
static void
s_write_chart (void *argument, const document_t *chart)
{
    web_request_t *request = (web_request_t *) argument;
    buffer_t *out = &request->out;
    const char *type = api_text (chart->body, "type");
    const cJSON *stream;
    int64_t number = 0;
    out_begin (out, '{');
    s_write_space_members (out, chart);
    out_key (out, "type");
    out_text (out, type ? type : "line");
    out_key (out, "streams");
    out_begin (out, '[');
    cJSON_ArrayForEach (stream, cJSON_GetObjectItem (chart->body, "streams"))
      s_write_stream (out, request, stream, chart->id * STREAMS_MAX + number++);
    out_end (out, ']');
    for (size_t i = 0; i < MEMBERS; i++)
        if (cJSON_HasObjectItem (chart->body, s_members[i]))
            api_write_member (out, chart->body, s_members[i], "null");
    out_key (out, "thresholds");
    out_raw (out, NULL);
    out_end (out, '}');
}

//  A bare array: clients know no pages here.
void
api_charts_list (web_request_t *request)
{
    document_t space = {.id = 0};
    if (s_space (request, &space)) {
        documents_query_t query = s_charts (&space);
        out_begin (&request->out, '[');
        if (documents_each (request->reader, &query, s_write_chart, request)
            == -1)
            api_failed (request);
        else
            out_end (&request->out, ']');
    }
    document_clear (&space);
}

//  Returns 0, or -1 with the answer.
static int
s_check_chart (web_request_t *request, const cJSON *body)
{
    const char *type = api_text (body, "type");
    const cJSON *streams = cJSON_GetObjectItem (body, "streams"), *stream;
    if (type && strcmp (type, "line") && strcmp (type, "stacked")
        && strcmp (type, "bignumber")) {
        web_error (request, 400, "type", "%s is not a type of chart", type);
        return -1;
    }
    if (cJSON_GetArraySize (streams) > STREAMS_MAX) {
        web_error (request, 400, "streams", "has more than %d", STREAMS_MAX);
        return -1;
    }
    cJSON_ArrayForEach (stream, streams) if (!cJSON_IsObject (stream))
    {
        web_error (request, 400, "streams", "is not a list of hashes");
        return -1;
    }
    return 0;
}

static void
s_change_chart (void *argument, document_t *chart)
{
    const cJSON *body = (const cJSON *) argument;
    document_rename (chart, api_text (body, "name"));
    api_take (chart->body, body, "type");
    api_take (chart->body, body, "streams");
    for (size_t i = 0; i < MEMBERS; i++)
        api_take (chart->body, body, s_members[i]);
}

void
api_charts_post (web_request_t *request)
{
    cJSON *body = web_json (request);
    document_t space = {.id = 0};
    if (body && s_name (request, body) && s_check_chart (request, body) == 0
        && s_space (request, &space)) {
        document_t chart = {.kind = DOCUMENT_CHART,
                            .parent = space.id,
                            .body = cJSON_CreateObject ()};
        s_change_chart (body, &chart);
        if (api_make (request, &chart)) {
            api_created (request, "/v1/spaces/%" PRId64 "/charts/%" PRId64,
                         space.id, chart.id);
            s_write_chart (request, &chart);
        }
        document_clear (&chart);
    }
    document_clear (&space);
    cJSON_Delete (body);
}

void
api_chart_get (web_request_t *request)
{
    document_t chart = {.id = 0};
    if (api_document (request, DOCUMENT_CHART, api_id (request, 0),
                      api_id (request, 1), &chart))
        s_write_chart (request, &chart);
    document_clear (&chart);
}

//  Answers with what it has become, unlike all others.
void
api_chart_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    if (body && s_check_chart (request, body) == 0) {
        document_result_t result =
          documents_change (request->store, DOCUMENT_CHART, api_id (request, 0),
                            api_id (request, 1), s_change_chart, body);
        if (result == DOCUMENT_DONE)
            api_chart_get (request);
        else
            api_result (request, result);
    }
    cJSON_Delete (body);
}

void
api_chart_delete (web_request_t *request)
{
    api_result (request,
                documents_delete (request->store, DOCUMENT_CHART,
                                  api_id (request, 0), api_id (request, 1)));
}
