/*  api - Librato's API for reading and managing

    What its files share: answers, parameters, pages. api_read.c has the routes;
    each api_*.c has the handlers of one subject. All of them run in the pool.

        api_metrics       which metrics there are
        api_changes       changing and ending them
        api_metric        one metric, with measurements by source
        api_measurements  measurements by tags
        api_sources       sources, and what they are called
        api_annotations   streams of annotations
        api_events        what happened, in a stream
        api_spaces        spaces and their charts
        api_alerts        alerts, kept but not watched
        api_services      whom they would notify
        api_tokens        who may ask

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_API_H
#define ZB_API_H

#include "documents.h"
#include "out.h"
#include "web.h"

//  --------------------------------------------------------------------------
//  Answers

//  404, 503: there is none; the store could not be written or read.
void api_absent (web_request_t *request);
void api_failed (web_request_t *request);

//  201, and where the new one is.
void api_created (web_request_t *request, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

//  204 if rc is 1, 404 if it is 0, 503 if it is -1.
void api_changed (web_request_t *request, int rc);

//  Composite metrics are not there yet: 400, with the function that was asked for.
//  Returns true if the parameter is there.
bool api_compose (web_request_t *request);

//  --------------------------------------------------------------------------
//  Parameters. What is wrong with one is answered, with status 400.

//  Returns 1, or 0 if it is not there, or -1. A decimal part is cut off.
int api_integer (web_request_t *request, const char *name, int64_t *value);

//  "false", "0" and "no" are false, anything else is true.
bool api_flag (const web_request_t *request, const char *name, bool otherwise);

//  Is this one of the sources that source, sources or sources[] name, by themselves or
//  by patterns? All are if there are no such parameters.
bool api_source_wanted (const web_request_t *request, const char *source);

//  Which part of a list is wanted.
enum { API_PAGE_MAX = 100 };

typedef struct {
    int64_t offset, length;
    bool descending;
    const char *name;  //  what names must have in them, or ""
} page_t;

//  Returns 0 or -1.
int api_page (web_request_t *request, page_t *page);

//  "query": how many there are in all, how many of them are meant, and how many are
//  here.
void api_query (buffer_t *out, const page_t *page, int64_t total, int64_t found,
                int64_t length);

//  --------------------------------------------------------------------------
//  Parts of a body

//  Of an object: a text, or NULL.
const char *api_text (const cJSON *object, const char *name);

//  A member that may be a number or a text of one. Returns 1, 0 if it is not there
//  or null, or -1 if it is something else.
int api_number (const cJSON *object, const char *name, double *value);

//  Is it a name that metrics and sources may have? If not, 400 is answered, for that
//  parameter.
bool api_name_ok (web_request_t *request, const char *param, const char *name,
                  const char *what);

//  --------------------------------------------------------------------------
//  Documents

//  A number in the path: a document's ID, or 0, which none has.
int64_t api_id (const web_request_t *request, size_t capture);

//  Gets a document. Returns true, or false with the answer. The caller clears it.
bool api_document (web_request_t *request, document_kind_t kind, int64_t parent,
                   int64_t id, document_t *document);

//  Answers with a page of them, in a member of this name; each is written by a
//  function that gets the request.
void api_documents (web_request_t *request, document_kind_t kind,
                    const char *member, document_fn *write);

//  Makes it. Returns true, or false with the answer.
bool api_make (web_request_t *request, document_t *document);

//  How requests make and change documents of a kind that have no parent.
typedef struct {
    document_kind_t kind;
    const char *path;  //  of all of them
    //  Is the body good? `whole`: it makes one. Returns 0, or -1 with the answer.
    int (*check) (web_request_t *request, const cJSON *body, bool whole);
    document_change_fn *change;  //  gets the body
    document_fn *write;          //  gets the request
} api_kind_t;

void api_kind_post (web_request_t *request, const api_kind_t *kind);

//  Those of the ID in the path.
void api_kind_put (web_request_t *request, const api_kind_t *kind);
void api_kind_delete (web_request_t *request, const api_kind_t *kind);

//  A member of a body as it was sent, or something else if it is not there.
void api_write_member (buffer_t *out, const cJSON *body, const char *name,
                       const char *otherwise);

//  204, or what was wrong with a change: 404, 422 (the name is taken), 503.
void api_result (web_request_t *request, document_result_t result);

//  Puts a member of a body into a document's, unless it is not there. Null deletes.
void api_take (cJSON *own, const cJSON *body, const char *name);

//  --------------------------------------------------------------------------
//  Handlers

web_fn api_metrics_list, api_metrics_update, api_metrics_delete;
web_fn api_metric_get, api_metric_update, api_metric_delete;
web_fn api_measurements_get, api_measurements_compose;
web_fn api_sources_list, api_source_get, api_source_update;
web_fn api_annotations_list, api_annotations_get, api_annotations_post,
  api_annotations_update, api_annotations_delete;
web_fn api_event_get, api_event_update, api_event_delete, api_event_link,
  api_event_unlink;
web_fn api_spaces_list, api_spaces_post, api_space_get, api_space_update,
  api_space_delete;
web_fn api_charts_list, api_charts_post, api_chart_get, api_chart_update,
  api_chart_delete;
web_fn api_services_list, api_services_post, api_service_get,
  api_service_update, api_service_delete;
web_fn api_alerts_list, api_alerts_post, api_alerts_status, api_alert_get,
  api_alert_update, api_alert_delete, api_alert_status, api_alert_clear;
web_fn api_tokens_list, api_tokens_post, api_token_get, api_token_update,
  api_token_delete;
web_fn api_alert_services, api_alert_service_post, api_alert_service_delete;

//  The stream of the path. Returns true, or false with the answer. The caller clears
//  it.
bool api_stream (web_request_t *request, document_t *stream);

//  An event as an answer has it.
void api_event_write (buffer_t *out, const document_t *event);

//  A service as an answer has it; the argument is the request.
void api_service_write (void *argument, const document_t *service);

//  The members of a metric, into an object that was begun.
void api_metric_members (buffer_t *out, const metric_t *metric);

#endif
