/*  exchange - one request of the server. The contract is in exchange.h and web.h.

    Sections: the request, its query, its body, errors.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "exchange.h"

#include "form.h"
#include "utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

static exchange_t *
s_own (const web_request_t *request)
{
    return (exchange_t *) request->own;
}

//  Handler for form_each.
static void
exchange_pair (void *argument, const char *name, const char *value)
{
    exchange_t *self = (exchange_t *) argument;
    if ((self->pairs & (self->pairs - 1)) == 0) {
        size_t most = self->pairs ? 2 * self->pairs : 1;
        self->pair = (pair_t *) realloc (self->pair, most * sizeof *self->pair);
        assert (self->pair);
    }
    self->pair[self->pairs++] = (pair_t){strdup (name), strdup (value)};
}

exchange_t *
exchange_new (web_t *web, httpd_request_t *http, const char *path)
{
    exchange_t *self = (exchange_t *) calloc (1, sizeof *self);
    assert (self);
    self->web = web;
    self->http = http;
    self->path = strdup (path);
    assert (self->path);
    self->request = (web_request_t){.method = http->method,
                                    .path = path,
                                    .body = "",
                                    .status = 200,
                                    .type = "application/json",
                                    .own = self};
    if (*http->query) {
        char *query = strdup (http->query);
        assert (query);
        form_each (query, exchange_pair, self);
        free (query);
    }
    return self;
}

void
exchange_destroy (exchange_t **self_p)
{
    exchange_t *self = *self_p;
    for (size_t i = 0; i < self->pairs; i++) {
        free (self->pair[i].name);
        free (self->pair[i].value);
    }
    free (self->pair);
    free (self->path);
    free (self->unpacked);
    buffer_clear (&self->request.out);
    free (self);
    *self_p = NULL;
}

//  --------------------------------------------------------------------------
//  Query and headers

const char *
web_parameter (const web_request_t *request, const char *name)
{
    const exchange_t *self = s_own (request);
    for (size_t i = 0; i < self->pairs; i++)
        if (strcmp (self->pair[i].name, name) == 0)
            return self->pair[i].value;
    return NULL;
}

void
web_parameters (const web_request_t *request,
                void (*each) (void *argument, const char *name,
                              const char *value),
                void *argument)
{
    const exchange_t *self = s_own (request);
    for (size_t i = 0; i < self->pairs; i++)
        each (argument, self->pair[i].name, self->pair[i].value);
}

const char *
web_header (const web_request_t *request, const char *name)
{
    return httpd_header (s_own (request)->http, name);
}

bool
web_is_type (const web_request_t *request, const char *type)
{
    return httpd_is_type (s_own (request)->http, type);
}

void
web_add_header (web_request_t *request, const char *name, const char *value)
{
    size_t i;
    for (i = 0; i < WEB_HEADERS && request->header[i][0]; i++) {
    }
    assert (i < WEB_HEADERS);
    request->header[i][0] = name;
    request->header[i][1] = value;
}

//  --------------------------------------------------------------------------
//  Body

//  Unpacks gzip, at most WEB_BODY_MAX. Returns the size; -1: it is damaged; -2: there
//  is more.
static ssize_t
s_unpack (const char *packed, size_t size, char **unpacked)
{
    z_stream stream = {.next_in = (Bytef *) (uintptr_t) packed,
                       .avail_in = (uInt) size};
    size_t room = WEB_BODY_MAX + 1;
    int rc;
    *unpacked = (char *) malloc (room + 1);
    if (!*unpacked || inflateInit2 (&stream, 16 + MAX_WBITS) != Z_OK)
        return -1;
    stream.next_out = (Bytef *) *unpacked;
    stream.avail_out = (uInt) room;
    rc = inflate (&stream, Z_FINISH);
    inflateEnd (&stream);
    if (!stream.avail_out)
        return -2;
    if (rc != Z_STREAM_END)
        return -1;
    (*unpacked)[stream.total_out] = 0;
    return (ssize_t) stream.total_out;
}

static int
s_too_large (web_request_t *request)
{
    web_error (request, 413, NULL, "A body has at most %d bytes", WEB_BODY_MAX);
    return -1;
}

int
exchange_body (exchange_t *self)
{
    const char *coding = httpd_header (self->http, "Content-Encoding");
    web_request_t *request = &self->request;
    ssize_t size;
    request->body = self->http->body;
    request->body_size = self->http->body_size;
    if (self->http->too_large)
        return s_too_large (request);
    //  appoptics-api-go says gzip of bodies that are not there, too
    if (!coding || !request->body_size || strcasecmp (coding, "identity") == 0)
        return 0;
    if (strcasecmp (coding, "gzip") != 0) {
        web_error (request, 415, NULL, "Content-Encoding is gzip or identity");
        return -1;
    }
    size = s_unpack (request->body, request->body_size, &self->unpacked);
    if (size == -2)
        return s_too_large (request);
    if (size == -1) {
        web_error (request, 400, NULL, "The body is not gzip");
        return -1;
    }
    request->body = self->unpacked;
    request->body_size = (size_t) size;
    return 0;
}

//  Is it JSON that says to be a form? curl -d says so of all that it sends. No name in a
//  form begins like that.
static bool
s_is_mistyped (const web_request_t *request)
{
    const char *begin = request->body + strspn (request->body, " \t\r\n");
    return *begin == '{' || *begin == '[';
}

//  Would a text of it end in its middle? The body has a 0 at its end.
static bool
s_has_nul (const web_request_t *request)
{
    static const char nul[] = "\\u0000";
    const char *at = request->body, *back;
    if (memchr (at, 0, request->body_size))
        return true;
    for (; (at = strstr (at, nul)); at += sizeof nul - 1) {
        for (back = at; back > request->body && back[-1] == '\\'; back--) {
        }
        //  with an odd number of others before it, it is a backslash itself
        if ((at - back) % 2 == 0)
            return true;
    }
    return false;
}

cJSON *
web_parse (const web_request_t *request)
{
    const char *end, *last = request->body + request->body_size;
    cJSON *json = s_has_nul (request)
                    ? NULL
                    : cJSON_ParseWithLengthOpts (
                      request->body, request->body_size, &end, false);
    if (!json || end + strspn (end, " \t\r\n") == last)
        return json;
    cJSON_Delete (json);
    return NULL;
}

cJSON *
web_json (web_request_t *request)
{
    cJSON *json;
    if (!request->body_size)
        return cJSON_CreateObject ();
    if (web_is_type (request, "application/x-www-form-urlencoded")) {
        char *text;
        if (s_is_mistyped (request)) {
            web_error (request, 415, NULL,
                       "Content-Type must be application/json");
            return NULL;
        }
        text = strdup (request->body);
        assert (text);
        json = form_tree (text);
        free (text);
    }
    else
        json = web_parse (request);
    if (!json)
        web_error (request, 400, NULL, "Unable to parse the body");
    return json;
}

//  --------------------------------------------------------------------------
//  Errors

void
web_error (web_request_t *request, unsigned status, const char *param,
           const char *format, ...)
{
    cJSON *json = cJSON_CreateObject (), *errors, *texts;
    char text[512], *body;
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    utf8_mend (text);
    errors = cJSON_AddObjectToObject (json, "errors");
    if (param)
        errors = cJSON_AddObjectToObject (errors, "params");
    texts = cJSON_AddArrayToObject (errors, param           ? param
                                            : status >= 500 ? "system"
                                                            : "request");
    cJSON_AddItemToArray (texts, cJSON_CreateString (text));
    body = cJSON_PrintUnformatted (json);
    request->status = status;
    request->type = "application/json";
    request->out.size = 0;
    buffer_add_text (&request->out, body);
    cJSON_free (body);
    cJSON_Delete (json);
}
