/*  web - requests of the server. The contract is in web.h.

        httpd ─▶ web_head ─▶ web_handle ─┬─▶ handler ─▶ web_finish
                 who may       the body  └─▶ pool ────▶ web_answer

    Sections: answers, refusals, requests, start and stop.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "login.h"
#include "pool.h"
#include "post.h"
#include "routes.h"

#include "listen.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECTIONS = 512,
    PER_ADDRESS = 256,  //  a proxy is one address
    IDLE_S = 75,        //  longer than the minute in which many clients send
    PEM_MAX = 1024 * 1024,
    POLICY_SIZE = 1024
};

struct web {
    web_options_t options;
    access_t access;
    routes_t *routes;
    httpd_t *httpd;
    pool_t *pool;
    char policy[2][POLICY_SIZE];  //  of the page, and of what may be embedded
    pthread_mutex_t lock;         //  over all that follows
    pthread_cond_t idle;
    size_t open;  //  requests that a handler has
    bool ending;
};

access_t *
web_access (web_t *self)
{
    return &self->access;
}

const char *
web_path (const web_request_t *request)
{
    const exchange_t *self = (const exchange_t *) request->own;
    const access_t *access = &self->web->access;
    return access_by_public_url (access, self->http) ? access->by_proxy.path
                                                     : "";
}

const char *
web_folder (const web_request_t *request)
{
    return ((const exchange_t *) request->own)->web->options.folder;
}

//  --------------------------------------------------------------------------
//  Answers

//  What every answer has. The page comes from here, asks nobody else, and is shown in
//  nobody's frame, or in those of --embed-from.
static void
s_headers (const exchange_t *self, httpd_answer_t *answer)
{
    bool embedded = strcmp (self->request.path, "/embed") == 0;
    const char *const fixed[][2] = {
      {"Content-Security-Policy", self->web->policy[embedded]},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"}};
    size_t count = 0, i;
    bool cached = false;
    for (i = 0; i < sizeof fixed / sizeof *fixed; i++, count++)
        memcpy (answer->header[count], fixed[i], sizeof fixed[i]);
    for (i = 0; i < WEB_HEADERS && self->request.header[i][0]; i++, count++) {
        memcpy (answer->header[count], self->request.header[i],
                sizeof answer->header[count]);
        cached =
          cached || strcmp (self->request.header[i][0], "Cache-Control") == 0;
    }
    if (!cached) {
        answer->header[count][0] = "Cache-Control";
        answer->header[count][1] = "no-store";
    }
}

//  Makes the answer of what the handler has filled in. The bytes are its own from then
//  on.
static void
web_finish (exchange_t *self, httpd_answer_t *answer)
{
    buffer_t *out = &self->request.out;
    *answer = (httpd_answer_t){
      .status = self->request.status, .bytes = out->text, .size = out->size};
    if (answer->status != 204)
        answer->type = self->request.type;
    *out = (buffer_t){NULL, 0, 0};
    s_headers (self, answer);
}

//  A handler has one request less.
static void
web_done (web_t *self)
{
    pthread_mutex_lock (&self->lock);
    if (--self->open == 0)
        pthread_cond_broadcast (&self->idle);
    pthread_mutex_unlock (&self->lock);
}

void
web_later (web_request_t *request)
{
    exchange_t *self = (exchange_t *) request->own;
    self->later = true;
    httpd_later (self->http);
}

void
web_answer (web_request_t *request)
{
    exchange_t *self = (exchange_t *) request->own;
    web_t *web = self->web;
    httpd_answer_t answer;
    web_finish (self, &answer);
    httpd_answer (self->http, &answer);
    web_done (web);
}

//  --------------------------------------------------------------------------
//  Refusals

//  Nobody known. Debian's collectd sends its credentials only when it is asked for
//  them; a browser would ask its user in a dialog of its own, so for the page that is
//  left out. What clients of Librato read is in librato-metrics and python-librato.
static void
s_refuse_nobody (exchange_t *self)
{
    web_request_t *request = &self->request;
    web_error (request, 401, NULL, "Authorization Required");
    if (strcmp (request->method, "GET") != 0
        && strcmp (request->method, "HEAD") != 0) {
        request->out.size = 0;
        request->type = "text/plain";
        buffer_add_text (&request->out,
                         "Credentials are required to access this resource.");
    }
    if (!self->by_page)
        web_add_header (request, "WWW-Authenticate", "Basic realm=\"zibrato\"");
}

static void
s_refuse_path (exchange_t *self)
{
    web_request_t *request = &self->request;
    if (!self->allow) {
        web_error (request, 404, NULL, "Not Found");
        return;
    }
    web_add_header (request, "Allow", self->allow);
    if (strcmp (request->method, "OPTIONS") == 0)
        request->status = 204;
    else
        web_error (request, 405, NULL, "Method Not Allowed");
}

//  May this caller have this route? If not, the answer says why.
static bool
s_may (exchange_t *self, const caller_t *caller)
{
    access_t *access = &self->web->access;
    web_request_t *request = &self->request;
    bool writes = strcmp (request->method, "GET") != 0
                  && strcmp (request->method, "HEAD") != 0;
    if (caller->role < self->route->role && caller->role == ROLE_NOBODY)
        s_refuse_nobody (self);
    else if (caller->role < self->route->role)
        web_error (request, 403, NULL,
                   "This token is not permitted to perform this action on this "
                   "resource");
    else if (!caller->credentials && !access_host_is_ours (access, self->http))
        web_error (request, 421, NULL,
                   "This name is not known here: start zibrato serve with "
                   "--host-name NAME, or behind a proxy with --public-url URL");
    else if (writes && !access_may_write (access, self->http, caller))
        web_error (request, 403, NULL,
                   "Only the page itself may do this: behind a proxy, start "
                   "zibrato serve with --public-url URL");
    else
        return true;
    return false;
}

//  --------------------------------------------------------------------------
//  Requests

//  Handler for httpd, with the head. Says whether the body is wanted.
static bool
web_head (void *argument, httpd_request_t *http)
{
    web_t *web = (web_t *) argument;
    exchange_t *self = exchange_new (
      web, http, public_route (&web->access.by_proxy, http->path));
    web_request_t *request = &self->request;
    caller_t caller = access_caller (&web->access, http);
    http->own = self;
    request->store = web->options.store;
    request->role = caller.role;
    request->by_cookie = caller.by_cookie;
    self->by_page = access_is_page (&web->access, http);
    self->route = routes_find (web->routes, http->method, self->path,
                               request->captured, &self->allow);
    if (!self->route)
        s_refuse_path (self);
    else if (!s_may (self, &caller))
        self->route = NULL;
    return self->route != NULL;
}

//  Handler for pool: on one of its threads.
static void
web_pooled (void *job, reader_t *reader)
{
    exchange_t *self = (exchange_t *) job;
    self->request.reader = reader;
    self->route->handler (&self->request);
    web_answer (&self->request);
}

//  Has the request done by the pool.
static void
web_pool (exchange_t *self)
{
    web_later (&self->request);
    if (pool_put (self->web->pool, self))
        return;
    web_error (&self->request, 503, NULL, "Too many queries wait");
    web_answer (&self->request);
}

//  Counts the request as one that a handler has. Returns false if we end.
static bool
web_begin (web_t *self, web_request_t *request)
{
    bool ending;
    pthread_mutex_lock (&self->lock);
    ending = self->ending;
    self->open += !ending;
    pthread_mutex_unlock (&self->lock);
    if (ending)
        web_error (request, 503, NULL, "The server ends");
    return !ending;
}

//  Handler for httpd, with the whole request. From web_later on it may be answered, and
//  gone, at any time.
static void
web_handle (void *argument, httpd_request_t *http, httpd_answer_t *answer)
{
    web_t *web = (web_t *) argument;
    exchange_t *self = (exchange_t *) http->own;
    bool begun = !login_by_link (&self->request) && self->route
                 && web_begin (web, &self->request);
    if (begun && exchange_body (self) == 0) {
        if (self->route->pool) {
            web_pool (self);
            return;
        }
        self->route->handler (&self->request);
        if (self->later)
            return;
    }
    web_finish (self, answer);
    if (begun)
        web_done (web);
}

//  Handler for httpd.
static void
web_end (void *argument, httpd_request_t *http)
{
    exchange_t *self = (exchange_t *) http->own;
    (void) argument;
    if (self)
        exchange_destroy (&self);
}

//  --------------------------------------------------------------------------
//  Start and stop

static void
web_healthz (web_request_t *request)
{
    request->type = "text/plain";
    buffer_add_text (&request->out, "ok\n");
}

static const route_t s_routes[] = {
  {"GET", "/healthz", ROLE_NOBODY, false, web_healthz}, {.method = NULL}};

static const route_t *const s_tables[] = {
  s_routes, login_routes, api_write_routes, api_read_routes, page_routes};

//  Reads a file in PEM. Returns NULL with errno if it cannot. Caller owns the return
//  value.
static char *
s_pem (const char *path)
{
    char *text = (char *) calloc (1, PEM_MAX);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t size = -1;
    if (text && fd != -1)
        size = read (fd, text, PEM_MAX - 1);
    if (fd != -1)
        close (fd);
    if (size > 0)
        return text;
    free (text);
    return NULL;
}

static void
web_policies (web_t *self)
{
    static const char policy[] =
      "default-src 'none'; script-src 'self'; style-src 'self'; "
      "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
      "form-action 'self'; frame-ancestors";
    const zb_list_t *from = &self->options.embed_from;
    size_t used =
      (size_t) snprintf (self->policy[1], POLICY_SIZE, "%s", policy);
    snprintf (self->policy[0], POLICY_SIZE, "%s 'none'", policy);
    if (!from->count)
        memcpy (self->policy[1], self->policy[0], POLICY_SIZE);
    for (size_t i = 0; i < from->count && used < POLICY_SIZE; i++)
        used += (size_t) snprintf (self->policy[1] + used, POLICY_SIZE - used,
                                   " %s", from->texts[i]);
}

//  Listens. Returns NULL, or what is wrong.
static const char *
web_listen (web_t *self)
{
    static char wrong[512];
    const web_options_t *options = &self->options;
    char *certificate = NULL, *key = NULL;
    if (options->certificate) {
        certificate = s_pem (options->certificate);
        key = certificate ? s_pem (options->key) : NULL;
    }
    if (options->certificate && !key)
        snprintf (wrong, sizeof wrong, "%.300s: %s",
                  certificate ? options->key : options->certificate,
                  strerror (errno));
    else {
        self->httpd =
          httpd_start (&(httpd_options_t){.listen = options->listen,
                                          .handler = web_handle,
                                          .argument = self,
                                          .head = web_head,
                                          .end = web_end,
                                          .body_max = WEB_BODY_MAX,
                                          .connections = CONNECTIONS,
                                          .per_address = PER_ADDRESS,
                                          .idle_s = IDLE_S,
                                          .certificate = certificate,
                                          .key = key});
        snprintf (wrong, sizeof wrong, "--listen %.64s: %s", options->listen,
                  errno == EINVAL && key
                    ? "--tls-cert and --tls-key are no certificate and its key"
                    : strerror (errno));
    }
    if (key)
        explicit_bzero (key, PEM_MAX);
    free (certificate);
    free (key);
    return self->httpd ? NULL : wrong;
}

//  Says where it serves, and who may come.
static void
web_log (web_t *self)
{
    const char *address = httpd_address (self->httpd);
    const public_t *by_proxy = &self->options.by_proxy;
    char url[LISTEN_MAX + 8], page[2 * PUBLIC_MAX];
    bool loopback =
      strncmp (address, "127.", 4) == 0 || strncmp (address, "[::1]", 5) == 0;
    snprintf (url, sizeof url, "%s://%s", self->access.tls ? "https" : "http",
              address);
    snprintf (page, sizeof page, "%s%s", by_proxy->origin, by_proxy->path);
    if (!self->access.tls && loopback) {
        tokens_link_begin (self->access.tokens, *page ? page : url);
        zb_log (LOG_INFO, "listening", "url=%s link=\"%s/link\"", url,
                self->options.folder);
        return;
    }
    zb_log (LOG_INFO, "listening", "url=%s", url);
    if (!self->access.tls)
        zb_log (
          LOG_WARNING, "exposed",
          "address=%s reason=\"tokens go over the network in the clear: give "
          "--tls-cert and --tls-key\"",
          address);
}

const char *
web_start (web_t **self_p, const web_options_t *options)
{
    web_t *self = (web_t *) calloc (1, sizeof *self);
    const char *wrong;
    assert (self);
    *self_p = self;
    self->options = *options;
    self->access.names = options->host_names;
    self->access.by_proxy = options->by_proxy;
    self->access.tls = options->certificate != NULL;
    post_begin ();
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->idle, NULL);
    web_policies (self);
    self->routes = routes_new ();
    for (size_t i = 0; i < sizeof s_tables / sizeof *s_tables; i++)
        routes_add (self->routes, s_tables[i]);
    wrong = tokens_open (&self->access.tokens, options->folder);
    if (!wrong) {
        access_begin (&self->access);
        self->pool = pool_new (options->store, web_pooled);
        wrong = self->pool ? web_listen (self) : "no threads for queries";
    }
    if (wrong) {
        web_stop (self_p);
        return wrong;
    }
    web_log (self);
    return NULL;
}

void
web_stop (web_t **self_p)
{
    web_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->ending = true;
    while (self->open)
        pthread_cond_wait (&self->idle, &self->lock);
    pthread_mutex_unlock (&self->lock);
    pool_destroy (&self->pool);
    httpd_stop (&self->httpd);
    routes_destroy (&self->routes);
    tokens_close (&self->access.tokens);
    pthread_cond_destroy (&self->idle);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}
