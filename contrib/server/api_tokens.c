/*  api_tokens - tokens, as Librato's clients list and make them

    A token has a name here and no number, so its number is made of the name. What it is
    only its maker is told, once: the server keeps hashes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include "filter.h"
#include "table.h"
#include "tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

//  Above 0, and in 31 bits, which is what a client in Go has on some machines.
static int64_t
s_id (const char *name)
{
    uint64_t digest = table_digest (0, name, strlen (name));
    return (int64_t) (digest % INT32_MAX) + 1;
}

static void
s_write (web_request_t *request, const char *name, const char *token,
         const char *role, int64_t since_s)
{
    buffer_t *out = &request->out;
    char at[32], href[PUBLIC_MAX + 64];
    time_t since = (time_t) since_s;
    struct tm parts;
    gmtime_r (&since, &parts);
    strftime (at, sizeof at, "%Y-%m-%d %H:%M:%S UTC", &parts);
    snprintf (href, sizeof href, "%s/v1/api_tokens/%" PRId64,
              web_path (request), s_id (name));
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, s_id (name));
    out_key (out, "name");
    out_text (out, name);
    out_key (out, "token");
    out_text (out, token);
    out_key (out, "active");
    out_bool (out, true);
    out_key (out, "role");
    out_text (out, role);
    out_key (out, "href");
    out_text (out, href);
    out_key (out, "created_at");
    out_text (out, at);
    out_key (out, "updated_at");
    out_text (out, at);
    out_end (out, '}');
}

//  --------------------------------------------------------------------------
//  List

typedef struct {
    web_request_t *request;
    page_t page;
    char pattern[TOKEN_NAME_MAX + 3];  //  of names that are meant, or ""
    int64_t id;                        //  the only one that is meant, or 0
    char name[TOKEN_NAME_MAX + 1];     //  of that one, if it is there
    int64_t total, found, length;
} list_t;

static void
s_take (void *argument, const char *name, const char *role, int64_t since_s)
{
    list_t *self = (list_t *) argument;
    self->total++;
    if (self->id ? s_id (name) != self->id
                 : !pattern_match (self->pattern, name, strlen (name)))
        return;
    snprintf (self->name, sizeof self->name, "%s", name);
    if (self->found++ < self->page.offset || self->length == self->page.length)
        return;
    self->length++;
    s_write (self->request, name, NULL, role, since_s);
}

//  What is no pattern is a part of the name.
static void
s_set_pattern (list_t *self, const char *name)
{
    const char *star = strchr (name, '*') ? "" : "*";
    snprintf (self->pattern, sizeof self->pattern, "%s%s%s", star, name, star);
}

static void
s_list (list_t *self)
{
    buffer_t *out = &self->request->out;
    out_begin (out, '{');
    out_key (out, "api_tokens");
    out_begin (out, '[');
    if (tokens_list (web_folder (self->request), s_take, self)) {
        api_failed (self->request);
        return;
    }
    out_end (out, ']');
    api_query (out, &self->page, self->total, self->found, self->length);
    out_end (out, '}');
}

void
api_tokens_list (web_request_t *request)
{
    list_t list = {.request = request};
    if (api_page (request, &list.page) == -1)
        return;
    s_set_pattern (&list, list.page.name);
    s_list (&list);
}

//  By its number one, by a name all whose names have that in them.
void
api_token_get (web_request_t *request)
{
    list_t list = {.request = request,
                   .page = {.length = API_PAGE_MAX},
                   .id = api_id (request, 0)};
    if (!list.id) {
        s_set_pattern (&list, request->captured[0]);
        s_list (&list);
    }
    else if (tokens_list (web_folder (request), s_take, &list))
        api_failed (request);
    else if (!list.found)
        api_absent (request);
}

//  --------------------------------------------------------------------------
//  Making and ending

//  A name has letters, digits, '_' and '-'; Librato's had blanks, too.
static void
s_fit (char name[TOKEN_NAME_MAX + 1], const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    snprintf (name, TOKEN_NAME_MAX + 1, "%s", text);
    for (char *at = name; *at; at++)
        if (!strchr (good, *at))
            *at = '-';
}

static bool
s_is_there (web_request_t *request, const char *name)
{
    list_t list = {.request = request, .id = s_id (name)};
    tokens_list (web_folder (request), s_take, &list);
    return list.found > 0;
}

static void
s_make (web_request_t *request, const char *text, const char *role)
{
    char name[TOKEN_NAME_MAX + 1], token[TOKEN_SIZE];
    s_fit (name, text);
    if (s_is_there (request, name))
        web_error (request, 422, "name", "is taken");
    else if (tokens_new (web_folder (request), name, role, token))
        api_failed (request);
    else {
        api_created (request, "/v1/api_tokens/%" PRId64, s_id (name));
        s_write (request, name, token, role, time (NULL));
    }
    explicit_bzero (token, sizeof token);
}

void
api_tokens_post (web_request_t *request)
{
    cJSON *body = web_json (request);
    const char *name = api_text (body, "name"), *role = api_text (body, "role");
    if (body && (!name || !*name))
        web_error (request, 400, "name", "is required");
    else if (body
             && (!role
                 || (strcmp (role, "admin") && strcmp (role, "recorder")
                     && strcmp (role, "viewer"))))
        web_error (request, 400, "role", "is not admin, recorder or viewer");
    else if (body)
        s_make (request, name, role);
    cJSON_Delete (body);
}

void
api_token_update (web_request_t *request)
{
    web_error (request, 501, NULL, "A token cannot be changed, only ended");
}

void
api_token_delete (web_request_t *request)
{
    list_t list = {.request = request, .id = api_id (request, 0)};
    const char *name = request->captured[0];
    if (list.id) {
        tokens_list (web_folder (request), s_take, &list);
        name = list.name;
    }
    api_changed (request, tokens_end (web_folder (request), name) ? 0 : 1);
}
