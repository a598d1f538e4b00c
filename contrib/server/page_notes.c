/*  page_notes - annotations of all streams in a time

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "api.h"
#include "documents.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

enum {
    STREAMS_MAX = 100,
    EVENTS_MAX = 500,  //  of a stream: more would hide the chart
    BEFORE_S = 86400   //  one that began so long before may still go on
};

typedef struct {
    buffer_t *out;
    struct {
        int64_t id;
        char *name;
    } stream[STREAMS_MAX];
    size_t streams, at;  //  how many, and the one whose events are read
} notes_t;

static void
s_take_stream (void *argument, const document_t *stream)
{
    notes_t *self = (notes_t *) argument;
    self->stream[self->streams].id = stream->id;
    self->stream[self->streams++].name = strdup (stream->name);
}

static void
s_put_event (void *argument, const document_t *event)
{
    const notes_t *self = (const notes_t *) argument;
    buffer_t *out = self->out;
    double end = 0;
    out_begin (out, '{');
    out_key (out, "stream");
    out_text (out, self->stream[self->at].name);
    out_key (out, "title");
    out_text (out, event->name);
    out_key (out, "description");
    out_text (out, api_text (event->body, "description"));
    out_key (out, "time");
    out_integer (out, event->time_s);
    out_key (out, "end");
    if (api_number (event->body, "end_time", &end) == 1)
        out_number (out, end);
    else
        out_raw (out, NULL);
    out_end (out, '}');
}

static void
s_answer (web_request_t *request)
{
    notes_t self = {.out = &request->out};
    documents_query_t query = {
      .kind = DOCUMENT_STREAM, .name = "", .length = STREAMS_MAX};
    documents_query_t events = {.kind = DOCUMENT_EVENT,
                                .name = "",
                                .before_s = BEFORE_S,
                                .length = EVENTS_MAX};
    reader_t *reader = request->reader;
    int64_t found;
    if (page_times (request, 1800, &events.from_s, &events.to_s) == -1)
        return;
    found = documents_each (reader, &query, s_take_stream, &self);
    out_begin (self.out, '{');
    out_key (self.out, "annotations");
    out_begin (self.out, '[');
    for (; self.at < self.streams; self.at++) {
        events.parent = self.stream[self.at].id;
        if (found >= 0)
            found = documents_each (reader, &events, s_put_event, &self);
        free (self.stream[self.at].name);
    }
    out_end (self.out, ']');
    out_end (self.out, '}');
    if (found < 0)
        page_failed (request);
}

void
page_annotations (web_request_t *request)
{
    page_of_one_moment (request, s_answer);
}
