/*  api_events - events of a stream of annotations, and links of an event

    An event is a document: its name is its title, its time is when it began, and the
    other members are in its body.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_BYTES = 255 };

//  --------------------------------------------------------------------------
//  As clients read them

static void
s_write_link (buffer_t *out, const cJSON *link)
{
    out_begin (out, '{');
    out_key (out, "rel");
    out_text (out, api_text (link, "rel"));
    out_key (out, "href");
    out_text (out, api_text (link, "href"));
    out_key (out, "label");
    out_text (out, api_text (link, "label"));
    out_end (out, '}');
}

void
api_event_write (buffer_t *out, const document_t *event)
{
    const cJSON *link;
    double end = 0;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, event->id);
    out_key (out, "title");
    out_text (out, event->name);
    out_key (out, "description");
    out_text (out, api_text (event->body, "description"));
    out_key (out, "source");
    out_text (out, api_text (event->body, "source"));
    out_key (out, "start_time");
    out_integer (out, event->time_s);
    out_key (out, "end_time");
    if (api_number (event->body, "end_time", &end) == 1)
        out_number (out, end);
    else
        out_raw (out, NULL);
    out_key (out, "links");
    out_begin (out, '[');
    cJSON_ArrayForEach (link, cJSON_GetObjectItem (event->body, "links"))
      s_write_link (out, link);
    out_end (out, ']');
    out_end (out, '}');
}

//  --------------------------------------------------------------------------
//  Making and changing them

//  What of a body an event takes. Times of a form are texts.
static void
s_take_members (cJSON *own, const cJSON *body)
{
    double end = 0;
    api_take (own, body, "description");
    api_take (own, body, "source");
    if (api_number (body, "end_time", &end) == 1) {
        cJSON_DeleteItemFromObject (own, "end_time");
        cJSON_AddNumberToObject (own, "end_time", floor (end));
    }
    if (cJSON_GetObjectItem (body, "links")) {
        const cJSON *link;
        cJSON *links;
        cJSON_DeleteItemFromObject (own, "links");
        links = cJSON_AddArrayToObject (own, "links");
        cJSON_ArrayForEach (link, cJSON_GetObjectItem (body, "links"))
          cJSON_AddItemToArray (links, cJSON_Duplicate (link, 1));
    }
}

//  A link is found by its rel later.
static bool
s_links_ok (const cJSON *body)
{
    const cJSON *link;
    cJSON_ArrayForEach (
      link, cJSON_GetObjectItem (
              body, "links")) if (!api_text (link, "rel")
                                  || !api_text (link, "href")) return false;
    return true;
}

//  Returns 0, or -1 with the answer. *start is changed if it is there.
static int
s_check (web_request_t *request, const cJSON *body, double *start)
{
    const char *title = api_text (body, "title");
    double end = *start;
    bool titled = cJSON_GetObjectItemCaseSensitive (body, "title") != NULL;
    int has_start = api_number (body, "start_time", start);
    int has_end = api_number (body, "end_time", &end);
    if (titled && (!title || !*title))
        web_error (request, 400, "title", "is not a text");
    else if (has_start == -1 || !(*start >= 0 && *start < 1e11))
        web_error (request, 400, "start_time", "is not a time");
    else if (has_end == -1 || (has_end && !(end >= 0 && end < 1e11)))
        web_error (request, 400, "end_time", "is not a time");
    else if (has_end == 1 && floor (end) < floor (*start))
        web_error (request, 400, "start_time", "must be before end_time");
    else if (!s_links_ok (body))
        web_error (request, 400, "links", "lacks rel or href");
    else
        return 0;
    return -1;
}

//  The stream of the path, made if it is not there.
static document_result_t
s_make_stream (web_request_t *request, int64_t *id)
{
    document_t stream;
    document_result_t result = DOCUMENT_DONE;
    int rc = documents_find (request->reader, DOCUMENT_STREAM,
                             request->captured[0], &stream);
    if (rc == 0) {
        stream = (document_t){.kind = DOCUMENT_STREAM,
                              .name = strdup (request->captured[0]),
                              .body = cJSON_CreateObject ()};
        result = documents_new (request->store, &stream);
    }
    //  another request was quicker
    if (result == DOCUMENT_TAKEN) {
        document_clear (&stream);
        rc = documents_find (request->reader, DOCUMENT_STREAM,
                             request->captured[0], &stream);
        result = rc == 1 ? DOCUMENT_DONE : DOCUMENT_FAILED;
    }
    *id = stream.id;
    document_clear (&stream);
    return rc == -1 ? DOCUMENT_FAILED : result;
}

static void
s_create (web_request_t *request, const cJSON *body, double start)
{
    document_t event = {.kind = DOCUMENT_EVENT,
                        .time_s = (int64_t) floor (start),
                        .name = strdup (api_text (body, "title")),
                        .body = cJSON_CreateObject ()};
    document_result_t result = s_make_stream (request, &event.parent);
    s_take_members (event.body, body);
    if (result == DOCUMENT_DONE)
        result = documents_new (request->store, &event);
    if (result != DOCUMENT_DONE)
        api_result (request, result);
    else {
        api_created (request, "/v1/annotations/%s/%" PRId64,
                     request->captured[0], event.id);
        api_event_write (&request->out, &event);
    }
    document_clear (&event);
}

void
api_annotations_post (web_request_t *request)
{
    const char *name = request->captured[0];
    cJSON *body = web_json (request);
    double start = (double) time (NULL);
    if (body && strlen (name) > NAME_BYTES)
        web_error (request, 400, "name", "is longer than %d bytes", NAME_BYTES);
    else if (body && !cJSON_GetObjectItemCaseSensitive (body, "title"))
        web_error (request, 400, "title", "is required");
    else if (body && s_check (request, body, &start) == 0)
        s_create (request, body, start);
    cJSON_Delete (body);
}

//  The event of the path. Returns true, or false with the answer.
static bool
s_event (web_request_t *request, document_t *event)
{
    document_t stream = {.id = 0};
    bool found = api_stream (request, &stream)
                 && api_document (request, DOCUMENT_EVENT, stream.id,
                                  api_id (request, 1), event);
    document_clear (&stream);
    return found;
}

void
api_event_get (web_request_t *request)
{
    document_t event = {.id = 0};
    if (s_event (request, &event))
        api_event_write (&request->out, &event);
    document_clear (&event);
}

static void
s_change_event (void *argument, document_t *event)
{
    const cJSON *body = (const cJSON *) argument;
    double start = 0;
    s_take_members (event->body, body);
    document_rename (event, api_text (body, "title"));
    if (api_number (body, "start_time", &start) == 1)
        event->time_s = (int64_t) floor (start);
}

void
api_event_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    document_t event = {.id = 0};
    if (body && s_event (request, &event)) {
        double start = (double) event.time_s;
        if (s_check (request, body, &start) == 0)
            api_result (request, documents_change (
                                   request->store, DOCUMENT_EVENT, event.parent,
                                   event.id, s_change_event, body));
    }
    document_clear (&event);
    cJSON_Delete (body);
}

void
api_event_delete (web_request_t *request)
{
    document_t event = {.id = 0};
    if (s_event (request, &event))
        api_result (request, documents_delete (request->store, DOCUMENT_EVENT,
                                               event.parent, event.id));
    document_clear (&event);
}

//  --------------------------------------------------------------------------
//  Links of an event: one for each rel

//  Its place, or -1.
static int
s_find_link (const cJSON *links, const char *rel)
{
    int i = 0;
    const cJSON *link;
    cJSON_ArrayForEach (link, links)
    {
        const char *own = api_text (link, "rel");
        if (own && strcmp (own, rel) == 0)
            return i;
        i++;
    }
    return -1;
}

static void
s_drop_link (void *argument, document_t *event)
{
    cJSON *links = cJSON_GetObjectItem (event->body, "links");
    cJSON_DeleteItemFromArray (links,
                               s_find_link (links, (const char *) argument));
}

static void
s_add_link (void *argument, document_t *event)
{
    const cJSON *link = (const cJSON *) argument;
    cJSON *links = cJSON_GetObjectItem (event->body, "links");
    if (!links)
        links = cJSON_AddArrayToObject (event->body, "links");
    cJSON_DeleteItemFromArray (links,
                               s_find_link (links, api_text (link, "rel")));
    cJSON_AddItemToArray (links, cJSON_Duplicate (link, 1));
}

void
api_event_link (web_request_t *request)
{
    cJSON *body = web_json (request);
    document_t event = {.id = 0};
    if (body && (!api_text (body, "rel") || !api_text (body, "href")))
        web_error (request, 400, api_text (body, "rel") ? "href" : "rel",
                   "is required");
    else if (body && s_event (request, &event)) {
        document_result_t result =
          documents_change (request->store, DOCUMENT_EVENT, event.parent,
                            event.id, s_add_link, body);
        if (result != DOCUMENT_DONE)
            api_result (request, result);
        else {
            api_created (request, "/v1/annotations/%s/%" PRId64 "/links/%s",
                         request->captured[0], event.id,
                         api_text (body, "rel"));
            s_write_link (&request->out, body);
        }
    }
    document_clear (&event);
    cJSON_Delete (body);
}

void
api_event_unlink (web_request_t *request)
{
    const char *rel = request->captured[2];
    document_t event = {.id = 0};
    bool found = s_event (request, &event);
    if (found
        && s_find_link (cJSON_GetObjectItem (event.body, "links"), rel) == -1)
        api_absent (request);
    else if (found)
        api_result (request,
                    documents_change (request->store, DOCUMENT_EVENT,
                                      event.parent, event.id, s_drop_link,
                                      (void *) (uintptr_t) rel));
    document_clear (&event);
}
