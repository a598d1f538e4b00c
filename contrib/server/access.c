/*  access - who asks, and may this request be? The contract is in access.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "access.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CREDENTIALS_MAX = 1024, HOST_SIZE = 256 };

//  --------------------------------------------------------------------------
//  Credentials

//  The value of a digit of base64, or -1.
static int
s_digit (char c)
{
    static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr (digits, c) : NULL;
    return found ? (int) (found - digits) : -1;
}

//  Decodes base64 up to what is none of it. Returns the text; caller owns it.
static char *
s_base64 (const char *text)
{
    size_t size = strlen (text);
    char *decoded = (char *) calloc (1, size + 1), *to = decoded;
    unsigned bits = 0;
    int count = 0, digit;
    assert (decoded);
    for (; (digit = s_digit (*text)) >= 0; text++) {
        bits = bits << 6 | (unsigned) digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (char) (bits >> count);
        }
    }
    return decoded;
}

//  The token of the request's credentials, or NULL. Caller owns the return value.
static char *
s_token (const httpd_request_t *request)
{
    const char *header = httpd_header (request, "Authorization");
    char *pair, *password;
    if (!header || strlen (header) > CREDENTIALS_MAX)
        return NULL;
    if (strncasecmp (header, "Bearer ", 7) == 0)
        return strdup (header + 7);
    if (strncasecmp (header, "Basic ", 6) != 0)
        return NULL;
    pair = s_base64 (header + 6);
    password = strchr (pair, ':');
    if (password)
        *password++ = 0;
    if (password && *password)
        memmove (pair, password, strlen (password) + 1);
    return pair;
}

//  The value of our cookie, or NULL. Caller owns the return value.
static char *
access_session (const access_t *self, const httpd_request_t *request)
{
    const char *header = httpd_header (request, "Cookie"), *found = NULL;
    size_t size = strlen (self->cookie);
    while (header && !found) {
        header += strspn (header, " ;");
        if (strncmp (header, self->cookie, size) == 0 && header[size] == '=')
            found = header + size + 1;
        header = strchr (header, ';');
    }
    return found ? strndup (found, strcspn (found, ";")) : NULL;
}

caller_t
access_caller (access_t *self, const httpd_request_t *request)
{
    caller_t caller = {ROLE_NOBODY, false, false};
    char *token = s_token (request);
    caller.credentials = httpd_header (request, "Authorization") != NULL;
    if (token) {
        caller.role = tokens_role (self->tokens, token);
        explicit_bzero (token, strlen (token));
    }
    else if (!caller.credentials) {
        token = access_session (self, request);
        if (token)
            caller.role = tokens_session_role (self->tokens, token);
        caller.by_cookie = caller.role != ROLE_NOBODY;
    }
    free (token);
    return caller;
}

//  --------------------------------------------------------------------------
//  Names

void
access_begin (access_t *self)
{
    char id[9];
    tokens_id (self->tokens, id);
    snprintf (self->cookie, sizeof self->cookie, "zibrato_%s", id);
}

//  An address in numbers cannot be given to us by a name server of somebody else.
static bool
s_is_number (char *host)
{
    unsigned char bytes[16];
    size_t size = strlen (host);
    if (*host == '[' && host[size - 1] == ']') {
        host[size - 1] = 0;
        return inet_pton (AF_INET6, host + 1, bytes) == 1;
    }
    return inet_pton (AF_INET, host, bytes) == 1;
}

bool
access_host_is_ours (const access_t *self, const httpd_request_t *request)
{
    const char *header = httpd_header (request, "Host");
    char host[HOST_SIZE], *colon;
    size_t i, size;
    if (!header)
        return false;
    size = (size_t) snprintf (host, sizeof host, "%s", header);
    if (!size || size >= sizeof host)
        return false;
    colon = strrchr (host, ':');
    if (colon && !strchr (colon, ']'))
        *colon = 0;
    if (strcasecmp (host, "localhost") == 0)
        return true;
    if (*self->by_proxy.host && strcasecmp (host, self->by_proxy.host) == 0)
        return true;
    for (i = 0; i < self->names.count; i++)
        if (strcasecmp (host, self->names.texts[i]) == 0)
            return true;
    return *host && s_is_number (host);
}

bool
access_by_public_url (const access_t *self, const httpd_request_t *request)
{
    const public_t *by_proxy = &self->by_proxy;
    const char *host = httpd_header (request, "Host");
    const char *scheme_end = strstr (by_proxy->origin, "://");
    if (!scheme_end)
        return false;
    return public_route (by_proxy, request->path) != request->path
           || (host
               && (strcasecmp (host, by_proxy->host) == 0
                   || strcasecmp (host, scheme_end + 3) == 0));
}

bool
access_is_by_proxy (const access_t *self, const httpd_request_t *request)
{
    const char *origin = httpd_header (request, "Origin");
    return *self->by_proxy.origin && origin
           && strcasecmp (origin, self->by_proxy.origin) == 0;
}

static bool
access_origin_is_ours (const access_t *self, const httpd_request_t *request)
{
    const char *origin = httpd_header (request, "Origin");
    const char *host = httpd_header (request, "Host");
    char ours[HOST_SIZE + 16];
    if (!origin || !host)
        return false;
    snprintf (ours, sizeof ours, "%s://%s", self->tls ? "https" : "http", host);
    return strcasecmp (origin, ours) == 0 || access_is_by_proxy (self, request);
}

bool
access_is_from_page (const access_t *self, const httpd_request_t *request)
{
    return access_origin_is_ours (self, request)
           && httpd_is_type (request, "application/json");
}

bool
access_may_write (const access_t *self, const httpd_request_t *request,
                  const caller_t *caller)
{
    if (caller->by_cookie)
        return access_is_from_page (self, request);
    return !httpd_header (request, "Origin")
           || access_origin_is_ours (self, request);
}

bool
access_is_page (const access_t *self, const httpd_request_t *request)
{
    const char *cookies = httpd_header (request, "Cookie");
    return httpd_header (request, "Sec-Fetch-Mode")
           || httpd_header (request, "X-Zibrato")
           || (cookies && strstr (cookies, self->cookie));
}

void
access_cookie (const access_t *self, bool by_proxy, const char *session,
               char *text, size_t size)
{
    bool tls = by_proxy ? self->by_proxy.tls : self->tls;
    snprintf (text, size,
              "%s=%s; Path=%s/; Max-Age=%d; HttpOnly; SameSite=Strict%s",
              self->cookie, session, by_proxy ? self->by_proxy.path : "",
              *session ? SESSION_S : 0, tls ? "; Secure" : "");
}
