/*  service - options, secrets and connections of an HTTP service. The contract is
    in service.h.

    Sections: headers, looking over the options, connections, requests.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "service.h"

#include "options.h"

#include <czmq.h>

enum { WRONG_MAX = 300, REASON_MAX = 200 };

//  --------------------------------------------------------------------------
//  Headers

//  A name is a token (RFC 9110, section 5.6.2). A value that ends the line would
//  begin another header.
static bool
s_is_header (const char *text)
{
    static const char token[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
      "!#$%&'*+-.^_`|~";
    size_t size = strspn (text, token);
    const char *value = text + size + 1;
    if (size == 0 || text[size] != ':')
        return false;
    value += strspn (value, " \t");
    for (text = value; *text; text++)
        if ((unsigned char) *text < ' ' || *text == 0x7f)
            return false;
    return *value != 0;
}

//  Calls back with each line of the file that is none of blanks and no comment.
//  Returns false if one is no header; the others count.
static bool
s_each_header (const char *text, http_t *http)
{
    char *copy = strdup (text), *rest = copy, *line;
    bool good = true;
    while ((line = strsep (&rest, "\n"))) {
        line[strcspn (line, "\r")] = 0;
        if (line[strspn (line, " \t")] == 0 || *line == '#')
            continue;
        if (!s_is_header (line))
            good = false;
        else if (http)
            http_header (http, line);
    }
    explicit_bzero (copy, strlen (text));
    free (copy);
    return good;
}

//  Called with self->lock held. Gives a connection the headers and credentials that
//  hold now.
static void
service_dress (service_t *self, http_t *http)
{
    const char *token = self->http.password;
    http_forget_headers (http);
    for (size_t i = 0; i < self->headers.count; i++)
        http_header (http, self->headers.texts[i]);
    if (self->more_headers.text)
        s_each_header (self->more_headers.text, http);
    if (self->http.username)
        http_authenticate (http, self->http.username, token);
    else if (token) {
        char *header =
          zsys_sprintf ("Authorization: %s %s", self->scheme, token);
        http_header (http, header);
        explicit_bzero (header, strlen (header));
        zstr_free (&header);
    }
}

//  --------------------------------------------------------------------------
//  Looking over the options

static const char *
s_readable (const char *option, const char *path)
{
    static char wrong[WRONG_MAX];
    if (!path || access (path, R_OK) == 0)
        return NULL;
    snprintf (wrong, sizeof wrong, "--%s-file %s: %s", option, path,
              strerror (errno));
    return wrong;
}

const char *
service_reload (service_t *self)
{
    const char *wrong =
      s_readable (self->apitoken ? "apitoken" : "token", self->token.path);
    return wrong ? wrong : s_readable ("header", self->more_headers.path);
}

//  Called with self->lock held, or by the only thread.
static void
service_read (service_t *self)
{
    bool first = !self->token.text;
    if (self->token.path && secret_read (&self->token)) {
        self->http.password = self->token.text;
        if (!first)
            zb_log (LOG_INFO, self->apitoken ? "apitoken" : "token",
                    "file=%s effect=\"a new one\"", self->token.path);
    }
    if (self->more_headers.path)
        secret_read (&self->more_headers);
}

const char *
service_check (service_t *self)
{
    const char *wrong;
    if (options_outrank (&self->http.password, &self->token.path))
        self->token.path = NULL;
    wrong = service_reload (self);
    if (wrong)
        return wrong;
    service_read (self);
    for (size_t i = 0; i < self->headers.count; i++)
        if (!s_is_header (self->headers.texts[i]))
            return "--header: expected 'NAME: VALUE'";
    if (self->token.path && !self->token.text)
        return self->apitoken ? "--apitoken-file: expected a token in it"
                              : "--token-file: expected a token in it";
    if (self->more_headers.text
        && !s_each_header (self->more_headers.text, NULL))
        return "--header-file: expected lines NAME: VALUE";
    if (self->http.username && !self->http.password)
        return "--username: expected --token or --token-file, too";
    return self->http.url ? http_check (self->http.url) : "expected --url";
}

//  --------------------------------------------------------------------------
//  Connections

http_t *
service_take (service_t *self)
{
    http_t *http;
    pthread_mutex_lock (&self->lock);
    service_read (self);
    http = self->idle_count ? self->idle[--self->idle_count]
                            : http_new (&self->http);
    service_dress (self, http);
    pthread_mutex_unlock (&self->lock);
    return http;
}

void
service_give (service_t *self, http_t *http, long status)
{
    pthread_mutex_lock (&self->lock);
    if (status == 401 || status == 403) {
        secret_doubt (&self->token);
        secret_doubt (&self->more_headers);
    }
    if (self->idle_count < SERVICE_CONNECTIONS_MAX)
        self->idle[self->idle_count++] = http;
    else
        http_destroy (&http);
    pthread_mutex_unlock (&self->lock);
}

void
service_close (service_t *self)
{
    while (self->idle_count)
        http_destroy (&self->idle[--self->idle_count]);
    if (self->http.password == self->token.text)
        self->http.password = NULL;
    secret_clear (&self->token);
    secret_clear (&self->more_headers);
}

//  --------------------------------------------------------------------------
//  Requests

static zb_outcome_t
s_read_any (const http_t *http, long status, zb_outcome_t outcome,
            zb_reply_t *reply)
{
    if (outcome != ZB_DELIVERED)
        snprintf (reply->reason, sizeof reply->reason, "status %ld %.*s",
                  status, REASON_MAX, http_text (http));
    return outcome;
}

zb_outcome_t
service_post (service_t *self, const char *body, size_t size, zb_reply_t *reply,
              service_read_fn *read)
{
    http_t *http = service_take (self);
    long status = http_send (http, body, size, reply);
    zb_outcome_t outcome = ZB_RETRY;
    if (status == HTTP_SILENT)
        outcome = ZB_FAILED;
    else if (status)
        outcome = (read ? read : s_read_any) (
          http, status, http_outcome (self->statuses, status), reply);
    service_give (self, http, status);
    return outcome;
}

static zb_outcome_t
s_read_credentials (const http_t *http, long status, zb_outcome_t outcome,
                    zb_reply_t *reply)
{
    bool wrong = status == 401 || status == 403 || status == 407;
    outcome = wrong ? ZB_HOLD : ZB_DELIVERED;
    return s_read_any (http, status, outcome, reply);
}

zb_outcome_t
service_connect (service_t *self, zb_reply_t *reply)
{
    if (self->http.password || self->headers.count || self->more_headers.path)
        http_warn (self->http.url);
    return service_post (self, NULL, 0, reply, s_read_credentials);
}
