/*  api_annotations - streams of events

    A stream is a document, made by its first event.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS_MAX = 10000 };  //  of one answer

//  --------------------------------------------------------------------------
//  As clients read them

static void
s_write_stream_members (buffer_t *out, const document_t *stream)
{
    out_key (out, "name");
    out_text (out, stream->name);
    out_key (out, "display_name");
    out_text (out, api_text (stream->body, "display_name"));
}

static void
s_write_stream (void *argument, const document_t *stream)
{
    buffer_t *out = &((web_request_t *) argument)->out;
    out_begin (out, '{');
    s_write_stream_members (out, stream);
    out_end (out, '}');
}

//  --------------------------------------------------------------------------
//  Streams

void
api_annotations_list (web_request_t *request)
{
    api_documents (request, DOCUMENT_STREAM, "annotations", s_write_stream);
}

bool
api_stream (web_request_t *request, document_t *stream)
{
    int rc = documents_find (request->reader, DOCUMENT_STREAM,
                             request->captured[0], stream);
    if (rc != 1)
        api_changed (request, rc);
    return rc == 1;
}

//  Events by their source: a list for each, in an object.
typedef struct {
    web_request_t *request;
    struct {
        char *source;
        buffer_t out;
    } * list;
    size_t count;
} events_t;

static void
s_take_event (void *argument, const document_t *event)
{
    events_t *self = (events_t *) argument;
    const char *source = api_text (event->body, "source");
    size_t i = 0;
    if (!source)
        source = "unassigned";
    if (!api_source_wanted (self->request, source))
        return;
    while (i < self->count && strcmp (self->list[i].source, source))
        i++;
    if (i == self->count) {
        self->list = realloc (self->list, ++self->count * sizeof *self->list);
        assert (self->list);
        memset (&self->list[i], 0, sizeof *self->list);
        self->list[i].source = strdup (source);
        out_begin (&self->list[i].out, '[');
    }
    api_event_write (&self->list[i].out, event);
}

static void
s_write_events (buffer_t *out, events_t *events)
{
    out_key (out, "events");
    out_begin (out, '{');
    for (size_t i = 0; i < events->count; i++) {
        buffer_t *list = &events->list[i].out;
        out_end (list, ']');
        buffer_add (list, "", 1);
        out_key (out, events->list[i].source);
        out_raw (out, list->text);
        buffer_clear (list);
        free (events->list[i].source);
    }
    free (events->list);
    out_end (out, '}');
}

//  Returns 1 if events are asked for, 0 if they are not, or -1 with the answer.
static int
s_read_times (web_request_t *request, documents_query_t *query)
{
    int from, to;
    query->to_s = time (NULL);
    from = api_integer (request, "start_time", &query->from_s);
    to = from == -1 ? -1 : api_integer (request, "end_time", &query->to_s);
    return from == -1 || to == -1 ? -1 : from || to;
}

void
api_annotations_get (web_request_t *request)
{
    buffer_t *out = &request->out;
    documents_query_t query = {
      .kind = DOCUMENT_EVENT, .name = "", .length = EVENTS_MAX};
    events_t events = {.request = request};
    document_t stream = {.id = 0};
    int timed = s_read_times (request, &query);
    if (timed != -1 && api_stream (request, &stream)) {
        int64_t found = 0;
        query.parent = stream.id;
        out_begin (out, '{');
        s_write_stream_members (out, &stream);
        if (timed) {
            found =
              documents_each (request->reader, &query, s_take_event, &events);
            s_write_events (out, &events);
        }
        out_end (out, '}');
        if (found == -1)
            api_failed (request);
    }
    document_clear (&stream);
}

static void
s_rename (void *argument, document_t *stream)
{
    api_take (stream->body, (const cJSON *) argument, "display_name");
}

void
api_annotations_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    document_t stream = {.id = 0};
    if (body && api_stream (request, &stream))
        api_result (request, documents_change (request->store, DOCUMENT_STREAM,
                                               0, stream.id, s_rename, body));
    document_clear (&stream);
    cJSON_Delete (body);
}

void
api_annotations_delete (web_request_t *request)
{
    document_t stream = {.id = 0};
    if (api_stream (request, &stream))
        api_result (request, documents_delete (request->store, DOCUMENT_STREAM,
                                               0, stream.id));
    document_clear (&stream);
}
