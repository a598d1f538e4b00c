/*  login - sessions of the page. The contract is in login.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "login.h"

#include <stdlib.h>
#include <string.h>

enum { COOKIE_SIZE = SESSION_SIZE + PUBLIC_MAX + 128 };

static access_t *
s_access (const web_request_t *request)
{
    return web_access (((exchange_t *) request->own)->web);
}

//  The header must last until the answer is given: it is kept with the exchange.
static void
s_set_cookie (web_request_t *request, bool by_proxy, const char *session)
{
    exchange_t *own = (exchange_t *) request->own;
    free (own->unpacked);
    own->unpacked = (char *) malloc (COOKIE_SIZE);
    if (!own->unpacked)
        return;
    access_cookie (s_access (request), by_proxy, session, own->unpacked,
                   COOKIE_SIZE);
    web_add_header (request, "Set-Cookie", own->unpacked);
}

static bool
s_is_by_proxy (const web_request_t *request)
{
    return access_is_by_proxy (s_access (request),
                               ((exchange_t *) request->own)->http);
}

static const char *
s_role_name (role_t role)
{
    static const char *const names[] = {"nobody", "viewer", "recorder",
                                        "admin"};
    return names[role];
}

static void
s_answer_role (web_request_t *request, role_t role)
{
    buffer_printf (&request->out, "{\"role\":\"%s\"}", s_role_name (role));
}

//  {"token":"..."} becomes a cookie.
static void
login_in (web_request_t *request)
{
    access_t *access = s_access (request);
    char session[SESSION_SIZE];
    cJSON *json;
    const cJSON *token;
    role_t role = ROLE_NOBODY;
    if (!access_is_from_page (access, ((exchange_t *) request->own)->http)) {
        web_error (request, 403, NULL, "Only the page itself may log in");
        return;
    }
    json = web_json (request);
    token = cJSON_GetObjectItem (json, "token");
    if (cJSON_IsString (token)) {
        role = tokens_role (access->tokens, token->valuestring);
        tokens_session (access->tokens, token->valuestring, session);
    }
    cJSON_Delete (json);
    if (role == ROLE_NOBODY || !*session)
        web_error (request, 401, NULL, "Authorization Required");
    else {
        s_set_cookie (request, s_is_by_proxy (request), session);
        s_answer_role (request, role);
    }
}

static void
login_out (web_request_t *request)
{
    s_set_cookie (request, s_is_by_proxy (request), "");
    request->status = 204;
}

static void
login_session (web_request_t *request)
{
    s_answer_role (request, request->role);
}

const route_t login_routes[] = {
  {"POST", "/login", ROLE_NOBODY, false, login_in},
  {"POST", "/logout", ROLE_VIEWER, false, login_out},
  {"GET", "/session", ROLE_VIEWER, false, login_session},
  {.method = NULL}};

bool
login_by_link (web_request_t *request)
{
    access_t *access = s_access (request);
    const char *key = web_parameter (request, "key");
    //  the file has it with that address
    bool by_proxy = *access->by_proxy.origin;
    char session[SESSION_SIZE];
    if (!key || strcmp (request->path, "/") != 0
        || strcmp (request->method, "GET") != 0)
        return false;
    request->status = 303;
    request->out.size = 0;
    if (tokens_link_used (access->tokens, key)) {
        tokens_session (access->tokens, NULL, session);
        s_set_cookie (request, by_proxy, session);
        web_add_header (request, "Location", by_proxy ? "./" : "/");
    }
    else
        web_add_header (request, "Location", by_proxy ? "./#used" : "/#used");
    return true;
}
