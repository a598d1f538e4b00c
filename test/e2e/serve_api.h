/*  serve_api.h - `zibrato serve`: started, ended, and asked by HTTP

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SERVE_API_H
#define SERVE_API_H

#include "harness.h"

typedef struct {
    const broker_t *broker;  //  or NULL: nobody publishes
    const char *folder, *address, *url;
    const char *const *more;  //  options, or NULL
    const char *token;        //  of an admin
    const char *fault;        //  where it dies, once; or NULL
    const char *from;         //  our own address, when we ask; or NULL
    process_t *process;
} serve_t;

//  --------------------------------------------------------------------------
//  Start and end

//  A worker that must find a broker, and has none, looks at a port where nobody is.
static void
serve_begin (serve_t *self)
{
    const char *variable =
      self->fault ? text_new ("ZB_FAULT=%s", self->fault) : NULL;
    const char *argv[40] = {
      harness_path (self->fault ? "ZB_FAULTS" : "ZB_BIN"),
      "serve",
      "--data",
      self->folder,
      "--listen",
      self->address,
      "--host",
      self->broker ? self->broker->host : "127.0.0.1",
      "--port",
      self->broker ? text_new ("%d", self->broker->port + 1) : "9"};
    for (int i = 0; self->more && self->more[i]; i++)
        argv[10 + i] = self->more[i];
    self->process = process_start (argv, LIST (variable));
}

static void
serve_launch (serve_t *self)
{
    serve_begin (self);
    process_await (self->process,
                   self->broker ? "event=ready" : "event=loaded");
}

//  One to be started, in a folder of that name, at an address of its own, so that nobody
//  else gets the port while it is dead.
static serve_t *
serve_new (const broker_t *broker, const char *folder, const char *const *more)
{
    static int number;
    serve_t *self = harness_keep (calloc (1, sizeof *self));
    int pid = (int) getpid ();
    self->broker = broker;
    self->folder = temporary_path (folder);
    self->address = text_new ("127.%d.%d.%d:5580", 1 + pid / 256 % 254,
                              pid % 256, 1 + number++ % 254);
    self->url = text_new ("http://%s", self->address);
    self->more = more;
    return self;
}

//  Once it has been ready, it has made a token.
static void
serve_read_token (serve_t *self)
{
    char *token = file_read (text_new ("%s/admin-token", self->folder), NULL);
    token[strcspn (token, "\n")] = 0;
    self->token = token;
}

static serve_t *
serve_start (const broker_t *broker, const char *folder,
             const char *const *more)
{
    serve_t *self = serve_new (broker, folder, more);
    serve_launch (self);
    serve_read_token (self);
    return self;
}

static void
serve_kill (serve_t *self)
{
    assert_int_equal (process_stop (self->process, SIGKILL), 128 + SIGKILL);
}

static void
serve_stop (serve_t *self)
{
    assert_int_equal (process_stop (self->process, SIGTERM), 0);
}

//  --------------------------------------------------------------------------
//  Asking

typedef struct {
    long status;  //  0: no answer
    char *body, *headers;
} reply_t;

//  With headers, or NULL. A body makes it a POST. Credentials are USER:PASSWORD, NULL
//  for those of the admin, "" for none.
static reply_t
serve_ask (const serve_t *self, const char *method, const char *path,
           const char *credentials, const char *const *headers,
           const char *body, size_t size)
{
    CURL *curl = curl_easy_init ();
    struct curl_slist *list = NULL;
    size_t out_size, head_size;
    reply_t reply = {0, NULL, NULL};
    FILE *out = open_memstream (&reply.body, &out_size);
    FILE *head = open_memstream (&reply.headers, &head_size);
    for (size_t i = 0; headers && headers[i]; i++)
        list = curl_slist_append (list, headers[i]);
    list = curl_slist_append (list, "Expect:");
    curl_easy_setopt (curl, CURLOPT_URL, text_new ("%s%s", self->url, path));
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, s_curl_take);
    curl_easy_setopt (curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt (curl, CURLOPT_HEADERDATA, head);
    curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt (curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt (curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt (curl, CURLOPT_INTERFACE, self->from);
    if (!credentials)
        credentials = text_new ("user@example.org:%s", self->token);
    if (*credentials)
        curl_easy_setopt (curl, CURLOPT_USERPWD, credentials);
    if (body) {
        curl_easy_setopt (curl, CURLOPT_POSTFIELDSIZE, (long) size);
        curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body);
    }
    if (strcmp (method, "HEAD") == 0)
        curl_easy_setopt (curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt (curl, CURLOPT_CUSTOMREQUEST, method);
    if (curl_easy_perform (curl) == CURLE_OK)
        curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_cleanup (curl);
    curl_slist_free_all (list);
    fclose (out);
    fclose (head);
    harness_keep (reply.body);
    harness_keep (reply.headers);
    return reply;
}

#define JSON "Content-Type: application/json"
#define FORM "Content-Type: application/x-www-form-urlencoded"

//  Posts as an admin.
static reply_t
serve_post (const serve_t *self, const char *path, const char *type,
            const char *body)
{
    return serve_ask (self, "POST", path, NULL, LIST (type), body,
                      strlen (body));
}

//  Adds up a metric by the API, page after page; of any source if that is NULL. A
//  server that does not run, or is about to end, has nothing.
static total_t
serve_read_total (const serve_t *self, const char *source, const char *name,
                  int64_t resolution, int64_t from)
{
    const char *of = source ? text_new ("&source=%s", source) : "";
    total_t total = {0};
    while (from >= 0) {
        reply_t reply = serve_ask (
          self, "GET",
          text_new ("/v1/metrics/%s?start_time=%lld&resolution=%lld%s", name,
                    (long long) from, (long long) resolution, of),
          NULL, NULL, NULL, 0);
        cJSON *json = cJSON_Parse (reply.body);
        const cJSON *list, *row, *next;
        if (reply.status && reply.status != 200 && reply.status != 404
            && reply.status != 503)
            fail_msg ("%s: status %ld, %s", name, reply.status, reply.body);
        cJSON_ArrayForEach (list, cJSON_GetObjectItem (json, "measurements"))
          cJSON_ArrayForEach (row, list)
        {
            total.rows++;
            total.count += row_number (row, "count");
            total.sum += row_number (row, "sum");
            total.sum_ns += llround (row_number (row, "sum") * 1e9);
        }
        next = cJSON_GetObjectItem (cJSON_GetObjectItem (json, "query"),
                                    "next_time");
        from = next ? (int64_t) next->valuedouble : -1;
        cJSON_Delete (json);
    }
    return total;
}

#endif
