/*  asked.h - requests to the API without a server: routes, parameters and bodies as
    web.h promises them, and the answers as JSON

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ASKED_H
#define ASKED_H

#include "stored.h"

#include "api.h"

#include <stdio.h>

enum { ASKED_PARAMETERS = 64, ASKED_TEXT = 4096 };

typedef struct {
    web_request_t request;
    char path[ASKED_TEXT];
    char *name[ASKED_PARAMETERS], *value[ASKED_PARAMETERS];
    size_t parameters;
    char *part[8];
} asked_t;

//  The answer to the last request.
static _Thread_local unsigned asked_status;
static _Thread_local char asked_location[256];

//  --------------------------------------------------------------------------
//  What web.h says

static void
asked_decode (char *text)
{
    char *to = text;
    unsigned code;
    for (; *text; text++)
        if (*text == '%' && sscanf (text + 1, "%2x", &code) == 1) {
            *to++ = (char) code;
            text += 2;
        }
        else
            *to++ = *text == '+' ? ' ' : *text;
    *to = 0;
}

const char *
web_parameter (const web_request_t *request, const char *name)
{
    const asked_t *self = (const asked_t *) request;
    for (size_t i = 0; i < self->parameters; i++)
        if (strcmp (self->name[i], name) == 0)
            return self->value[i];
    return NULL;
}

void
web_parameters (const web_request_t *request,
                void (*each) (void *argument, const char *name,
                              const char *value),
                void *argument)
{
    const asked_t *self = (const asked_t *) request;
    for (size_t i = 0; i < self->parameters; i++)
        each (argument, self->name[i], self->value[i]);
}

const char *
web_path (const web_request_t *request)
{
    (void) request;
    return "";
}

const char *
web_folder (const web_request_t *request)
{
    return (const char *) request->own;
}

void
web_add_header (web_request_t *request, const char *name, const char *value)
{
    (void) request;
    assert_string_equal (name, "Location");
    snprintf (asked_location, sizeof asked_location, "%s", value);
}

cJSON *
web_json (web_request_t *request)
{
    cJSON *json = cJSON_Parse (request->body_size ? request->body : "{}");
    if (!json)
        web_error (request, 400, NULL, "Not JSON");
    return json;
}

void
web_error (web_request_t *request, unsigned status, const char *param,
           const char *format, ...)
{
    va_list args;
    char text[ASKED_TEXT];
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    request->status = status;
    request->out.size = 0;
    out_begin (&request->out, '{');
    out_key (&request->out, param ? param : "request");
    out_text (&request->out, text);
    out_end (&request->out, '}');
}

//  --------------------------------------------------------------------------
//  Requests

//  Splits "/v1/path?name=value&...".
static void
asked_split (asked_t *self)
{
    char *query = strchr (self->path, '?'), *rest = NULL;
    if (query)
        *query++ = 0;
    for (char *pair = query ? strtok_r (query, "&", &rest) : NULL; pair;
         pair = strtok_r (NULL, "&", &rest)) {
        char *value = strchr (pair, '=');
        *value++ = 0;
        asked_decode (pair);
        asked_decode (value);
        assert_true (self->parameters < ASKED_PARAMETERS);
        self->name[self->parameters] = pair;
        self->value[self->parameters++] = value;
    }
}

//  Is it the route of the path? Then its parts are captured.
static bool
asked_is_route (asked_t *self, const route_t *route)
{
    char pattern[256], path[ASKED_TEXT], *rest[2] = {NULL, NULL};
    const char *wanted, *part;
    size_t captures = 0, at = 0;
    if (strcmp (route->method, self->request.method) != 0)
        return false;
    strcpy (pattern, route->path);
    strcpy (path, self->path);
    wanted = strtok_r (pattern, "/", &rest[0]);
    part = strtok_r (path, "/", &rest[1]);
    while (wanted && part) {
        if (*wanted == ':') {
            self->part[captures] = self->path + (part - path);
            self->request.captured[captures] = self->part[captures];
            captures++;
        }
        else if (strcmp (wanted, part) != 0)
            return false;
        at++;
        wanted = strtok_r (NULL, "/", &rest[0]);
        part = strtok_r (NULL, "/", &rest[1]);
    }
    return !wanted && !part;
}

static const route_t *
asked_route (asked_t *self)
{
    const route_t *found = NULL;
    for (const route_t *route = api_read_routes; route->method; route++)
        if (asked_is_route (self, route)
            //  a literal part goes before a :name
            && (!found || !strchr (route->path, ':')))
            found = route;
    assert_non_null (found);
    assert_true (asked_is_route (self, found));
    for (size_t i = 0; i < WEB_CAPTURES; i++)
        if (self->part[i]) {
            self->part[i][strcspn (self->part[i], "/")] = 0;
            asked_decode (self->part[i]);
        }
    return found;
}

//  Asks, and returns the answer's JSON, NULL if it has no body. Caller deletes the
//  return value.
static cJSON *
asked (stored_t *stored, const char *method, const char *path, const char *body)
{
    static _Thread_local asked_t self;
    cJSON *json = NULL;
    self = (asked_t){.request = {.method = method,
                                 .body = body,
                                 .body_size = body ? strlen (body) : 0,
                                 .role = ROLE_ADMIN,
                                 .reader = stored->reader,
                                 .store = stored->store,
                                 .status = 200,
                                 .own = stored->folder}};
    *asked_location = 0;
    snprintf (self.path, sizeof self.path, "%s", path);
    asked_split (&self);
    asked_route (&self)->handler (&self.request);
    asked_status = self.request.status;
    if (self.request.out.size) {
        buffer_add (&self.request.out, "", 1);
        json = cJSON_Parse (self.request.out.text);
        if (!json)
            fail_msg ("no JSON: %s", self.request.out.text);
    }
    buffer_clear (&self.request.out);
    return json;
}

//  The same, and checks the status and the text of the answer, written compactly.
__attribute__ ((unused)) static void
asked_is (stored_t *stored, const char *method, const char *path,
          const char *body, unsigned status, const char *answer)
{
    cJSON *json = asked (stored, method, path, body);
    char *text = json ? cJSON_PrintUnformatted (json) : strdup ("");
    if (asked_status != status || (answer && strcmp (text, answer) != 0))
        fail_msg ("%s %s: %u %s", method, path, asked_status, text);
    free (text);
    cJSON_Delete (json);
}

//  --------------------------------------------------------------------------
//  A store for each test

__attribute__ ((unused)) static stored_t asked_store;

__attribute__ ((unused)) static int
asked_setup (void **state)
{
    (void) state;
    stored_new (&asked_store);
    return 0;
}

__attribute__ ((unused)) static int
asked_teardown (void **state)
{
    (void) state;
    stored_end (&asked_store);
    return 0;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown (name, asked_setup, asked_teardown)

#define IS(method, path, body, status, answer)                                 \
    asked_is (&asked_store, method, path, body, status, answer)

#endif
