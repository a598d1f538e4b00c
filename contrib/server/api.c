/*  api - Librato's API for reading and managing. The contract is in api.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include "filter.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

//  --------------------------------------------------------------------------
//  Answers

void
api_absent (web_request_t *request)
{
    web_error (request, 404, NULL, "Not Found");
}

//  503, so that clients come again: python-librato does at 5xx only.
void
api_failed (web_request_t *request)
{
    request->out.size = 0;  //  of an answer that was begun
    web_error (request, 503, NULL, "The store cannot be used now");
}

void
api_created (web_request_t *request, const char *format, ...)
{
    //  It must stay until the answer is made, after the handler, by the same thread.
    static _Thread_local char location[1024 + PUBLIC_MAX];
    int size = snprintf (location, sizeof location, "%s", web_path (request));
    va_list args;
    va_start (args, format);
    vsnprintf (location + size, sizeof location - (size_t) size, format, args);
    va_end (args);
    request->status = 201;
    web_add_header (request, "Location", location);
}

void
api_changed (web_request_t *request, int rc)
{
    if (rc == 1)
        request->status = 204;
    else if (rc == 0)
        api_absent (request);
    else
        api_failed (request);
}

bool
api_compose (web_request_t *request)
{
    const char *text = web_parameter (request, "compose");
    if (!text)
        return false;
    text += strspn (text, " \t\r\n");
    web_error (request, 400, "compose", "%.*s is not supported",
               (int) strcspn (text, "( \t\r\n"), text);
    return true;
}

//  --------------------------------------------------------------------------
//  Parameters

//  Doubles are whole up to here, and times of any use are less.
static const double s_integer_max = 1e15;

int
api_integer (web_request_t *request, const char *name, int64_t *value)
{
    const char *text = web_parameter (request, name);
    char *end;
    double number;
    if (!text || !*text)
        return 0;
    number = strtod (text, &end);
    if (*end || !(fabs (number) <= s_integer_max)) {
        web_error (request, 400, name, "is not a number");
        return -1;
    }
    *value = (int64_t) floor (number);
    return 1;
}

bool
api_flag (const web_request_t *request, const char *name, bool otherwise)
{
    const char *text = web_parameter (request, name);
    return text ? strcasecmp (text, "false") != 0 && strcmp (text, "0") != 0
                    && strcasecmp (text, "no") != 0
                : otherwise;
}

typedef struct {
    const char *source;
    bool wanted, found;
} sources_t;

static void
s_match_source (void *argument, const char *name, const char *value)
{
    sources_t *self = (sources_t *) argument;
    if (strcmp (name, "source") != 0 && strcmp (name, "sources[]") != 0
        && strcmp (name, "sources") != 0)
        return;
    self->wanted = true;
    if (pattern_match (value, self->source, strlen (self->source)))
        self->found = true;
}

bool
api_source_wanted (const web_request_t *request, const char *source)
{
    sources_t sources = {.source = source};
    web_parameters (request, s_match_source, &sources);
    return sources.found || !sources.wanted;
}

//  What is out of bounds is taken for the bound: librato-metrics steps by 100 whatever
//  it has asked for.
int
api_page (web_request_t *request, page_t *page)
{
    const char *name = web_parameter (request, "name");
    const char *sort = web_parameter (request, "sort");
    *page = (page_t){.length = API_PAGE_MAX, .name = name ? name : ""};
    page->descending = sort && strcasecmp (sort, "desc") == 0;
    if (api_integer (request, "offset", &page->offset) == -1
        || api_integer (request, "length", &page->length) == -1)
        return -1;
    if (page->offset < 0)
        page->offset = 0;
    if (page->length < 0 || page->length > API_PAGE_MAX)
        page->length = API_PAGE_MAX;
    return 0;
}

//  python-librato asks for the next page until length is 0 or offset is total.
void
api_query (buffer_t *out, const page_t *page, int64_t total, int64_t found,
           int64_t length)
{
    out_key (out, "query");
    out_begin (out, '{');
    out_key (out, "found");
    out_integer (out, found);
    out_key (out, "length");
    out_integer (out, length);
    out_key (out, "offset");
    out_integer (out, page->offset);
    out_key (out, "total");
    out_integer (out, total);
    out_end (out, '}');
}

//  --------------------------------------------------------------------------
//  Parts of a body

const char *
api_text (const cJSON *object, const char *name)
{
    return cJSON_GetStringValue (
      cJSON_GetObjectItemCaseSensitive (object, name));
}

int
api_number (const cJSON *object, const char *name, double *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (object, name);
    char *end;
    if (!item || cJSON_IsNull (item))
        return 0;
    *value = item->valuedouble;
    if (cJSON_IsNumber (item))
        return isfinite (*value) ? 1 : -1;
    if (!cJSON_IsString (item) || !*item->valuestring)
        return -1;
    *value = strtod (item->valuestring, &end);
    return *end || !isfinite (*value) ? -1 : 1;
}

enum { NAME_MAX_BYTES = 255 };

bool
api_name_ok (web_request_t *request, const char *param, const char *name,
             const char *what)
{
    size_t size = strlen (name), good = 0;
    while (
      good < size
      && (isalnum ((unsigned char) name[good]) || strchr (".:-_", name[good])))
        good++;
    if (size && size <= NAME_MAX_BYTES && good == size)
        return true;
    web_error (request, 400, param, "%s is not a valid %s", name, what);
    return false;
}

//  --------------------------------------------------------------------------
//  Documents

int64_t
api_id (const web_request_t *request, size_t capture)
{
    const char *text = request->captured[capture];
    size_t size = strspn (text, "0123456789");
    return size && size < 19 && !text[size] ? strtoll (text, NULL, 10) : 0;
}

bool
api_document (web_request_t *request, document_kind_t kind, int64_t parent,
              int64_t id, document_t *document)
{
    int rc = documents_get (request->reader, kind, parent, id, document);
    if (rc != 1)
        api_changed (request, rc);
    return rc == 1;
}

typedef struct {
    web_request_t *request;
    document_fn *write;
    int64_t count;
} list_t;

static void
s_write_document (void *argument, const document_t *document)
{
    list_t *self = (list_t *) argument;
    self->write (self->request, document);
    self->count++;
}

static void
s_write_none (void *argument, const document_t *document)
{
    (void) argument, (void) document;
}

void
api_documents (web_request_t *request, document_kind_t kind, const char *member,
               document_fn *write)
{
    buffer_t *out = &request->out;
    documents_query_t query = {.kind = kind, .name = ""};
    list_t list = {request, write, 0};
    page_t page;
    int64_t total, found;
    if (api_page (request, &page) == -1)
        return;
    total = documents_each (request->reader, &query, s_write_none, NULL);
    query.name = page.name;
    query.offset = page.offset;
    query.length = page.length;
    query.descending = page.descending;
    out_begin (out, '{');
    out_key (out, member);
    out_begin (out, '[');
    found = documents_each (request->reader, &query, s_write_document, &list);
    out_end (out, ']');
    api_query (out, &page, total, found, list.count);
    out_end (out, '}');
    if (total == -1 || found == -1)
        api_failed (request);
}

void
api_result (web_request_t *request, document_result_t result)
{
    if (result == DOCUMENT_TAKEN)
        web_error (request, 422, "name", "is taken");
    else if (result == DOCUMENT_FULL)
        web_error (request, 503, NULL,
                   "Annotations have an eighth of --max-bytes, and take all of "
                   "it: delete some, or give the server more");
    else
        api_changed (request, result == DOCUMENT_DONE ? 1 : (int) result);
}

bool
api_make (web_request_t *request, document_t *document)
{
    document_result_t result = documents_new (request->store, document);
    if (result != DOCUMENT_DONE)
        api_result (request, result);
    return result == DOCUMENT_DONE;
}

void
api_kind_post (web_request_t *request, const api_kind_t *kind)
{
    cJSON *body = web_json (request);
    if (body && kind->check (request, body, true) == 0) {
        document_t document = {.kind = kind->kind,
                               .body = cJSON_CreateObject ()};
        kind->change (body, &document);
        if (api_make (request, &document)) {
            api_created (request, "%s/%lld", kind->path,
                         (long long) document.id);
            kind->write (request, &document);
        }
        document_clear (&document);
    }
    cJSON_Delete (body);
}

void
api_kind_put (web_request_t *request, const api_kind_t *kind)
{
    cJSON *body = web_json (request);
    if (body && kind->check (request, body, false) == 0)
        api_result (request,
                    documents_change (request->store, kind->kind, 0,
                                      api_id (request, 0), kind->change, body));
    cJSON_Delete (body);
}

void
api_kind_delete (web_request_t *request, const api_kind_t *kind)
{
    api_result (request, documents_delete (request->store, kind->kind, 0,
                                           api_id (request, 0)));
}

void
api_write_member (buffer_t *out, const cJSON *body, const char *name,
                  const char *otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (body, name);
    char *text = item ? cJSON_PrintUnformatted (item) : NULL;
    out_key (out, name);
    out_raw (out, text ? text : otherwise);
    free (text);
}

void
api_take (cJSON *own, const cJSON *body, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (body, name);
    if (!item)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive (own, name);
    if (!cJSON_IsNull (item))
        cJSON_AddItemToObject (own, name, cJSON_Duplicate (item, 1));
}
