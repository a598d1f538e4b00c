/*  serve.h - `zibrato serve`: what is asked of it, and what it has stored

    What is in the store is read as SQLite gives it while the server runs, and by the
    store's own reader when it has ended.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SERVE_H
#define SERVE_H

#include "harness.h"

#include "contrib/server/store.h"

#include <sqlite3.h>

typedef struct {
    const broker_t *broker;  //  or NULL: nobody publishes
    const char *folder, *address, *url;
    const char *const *more;  //  options, or NULL
    const char *token;        //  of an admin
    const char *fault;        //  where it dies, once; or NULL
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

//  In a folder of that name, at an address of its own, so that nobody else gets the
//  port while it is dead.
static serve_t *
serve_start (const broker_t *broker, const char *folder,
             const char *const *more)
{
    static int number;
    serve_t *self = harness_keep (calloc (1, sizeof *self));
    int pid = (int) getpid ();
    char *token;
    self->broker = broker;
    self->folder = temporary_path (folder);
    self->address = text_new ("127.%d.%d.%d:5580", 1 + pid / 256 % 254,
                              pid % 256, 1 + number++ % 254);
    self->url = text_new ("http://%s", self->address);
    self->more = more;
    serve_launch (self);
    token = file_read (text_new ("%s/admin-token", self->folder), NULL);
    token[strcspn (token, "\n")] = 0;
    self->token = token;
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

//  --------------------------------------------------------------------------
//  What is stored, as rows like those of the stand-in

static cJSON *
s_stored_row (const char *name, const char *source, const char *tags,
              double time_s, double n, double sum, double min, double max)
{
    cJSON *row = cJSON_CreateObject ();
    char *copy = text_new ("%s", tags), *tag;
    cJSON_AddStringToObject (row, "name", name);
    if (*source)
        cJSON_AddStringToObject (row, "source", source);
    cJSON_AddNumberToObject (row, "measure_time", time_s);
    cJSON_AddNumberToObject (row, "count", n);
    cJSON_AddNumberToObject (row, "sum", sum);
    cJSON_AddNumberToObject (row, "min", min);
    cJSON_AddNumberToObject (row, "max", max);
    if (*copy) {
        cJSON *object = cJSON_AddObjectToObject (row, "tags");
        while ((tag = strsep (&copy, ";"))) {
            char *value = strchr (tag, '=');
            *value++ = 0;
            cJSON_AddStringToObject (object, tag, value);
        }
    }
    return row;
}

//  While the server runs. What is packed already, since an hour has just ended, is not
//  seen.
static cJSON *
s_stored_sql (const char *path)
{
    static const char query[] =
      "SELECT m.name, s.source, s.tags, i.id >> 31, ifnull (i.n, 1), i.sum,"
      " ifnull (i.min, i.sum), ifnull (i.max, i.sum)"
      " FROM inbox i JOIN series s ON s.id = i.id & 0x7fffffff"
      " JOIN metric m ON m.id = s.metric";
    cJSON *rows = cJSON_CreateArray ();
    sqlite3 *db;
    sqlite3_stmt *it;
    assert_int_equal (sqlite3_open_v2 (path, &db, SQLITE_OPEN_READONLY, NULL),
                      SQLITE_OK);
    sqlite3_busy_timeout (db, WAIT_MS);
    assert_int_equal (sqlite3_prepare_v2 (db, query, -1, &it, NULL), SQLITE_OK);
    while (sqlite3_step (it) == SQLITE_ROW)
        cJSON_AddItemToArray (
          rows, s_stored_row (
                  (const char *) sqlite3_column_text (it, 0),
                  (const char *) sqlite3_column_text (it, 1),
                  (const char *) sqlite3_column_text (it, 2),
                  sqlite3_column_double (it, 3), sqlite3_column_double (it, 4),
                  sqlite3_column_double (it, 5), sqlite3_column_double (it, 6),
                  sqlite3_column_double (it, 7)));
    sqlite3_finalize (it);
    sqlite3_close (db);
    return rows;
}

//  When it has ended: metrics, then their series, then the points of each, since a
//  reader gives out one list at a time.
typedef struct {
    const char *name, *source, *tags;
    int64_t id, first_s, last_s;
} stored_series_t;

typedef struct {
    reader_t *reader;
    cJSON *rows;
    metric_t metric[1000];
    stored_series_t series[10000], *at;
    size_t metrics, series_count;
} stored_t;

static int
s_stored_point (void *argument, const point_t *point)
{
    stored_t *self = argument;
    double n = 0;
    cJSON *row = s_stored_row (self->at->name, self->at->source, self->at->tags,
                               (double) point->time_s, (double) point->n,
                               point->sum, point->min, point->max);
    for (size_t i = 0; i < point->bucket_count; i++)
        n += (double) point->buckets[i].count;
    cJSON_AddNumberToObject (row, "in_buckets", n);
    cJSON_AddItemToArray (self->rows, row);
    return 0;
}

static int
s_stored_series (void *argument, const series_t *series)
{
    stored_t *self = argument;
    assert_true (self->series_count < 10000);
    self->series[self->series_count++] =
      (stored_series_t){self->at->name,
                        text_new ("%s", series->source),
                        text_new ("%s", series->tags),
                        series->id,
                        series->first_s,
                        series->last_s};
    return 0;
}

static int
s_stored_metric (void *argument, const metric_t *metric)
{
    stored_t *self = argument;
    assert_true (self->metrics < 1000);
    self->metric[self->metrics] = *metric;
    self->metric[self->metrics++].name = text_new ("%s", metric->name);
    return 0;
}

static void
s_stored_read (stored_t *self)
{
    assert_true (
      reader_metrics (self->reader, "", 0, 1000, s_stored_metric, self) >= 0);
    for (size_t i = 0; i < self->metrics; i++) {
        stored_series_t of = {.name = self->metric[i].name};
        self->at = &of;
        assert_true (reader_series (self->reader, self->metric[i].id,
                                    s_stored_series, self)
                     >= 0);
    }
    for (size_t i = 0; i < self->series_count; i++) {
        self->at = &self->series[i];
        assert_true (reader_points (self->reader, self->at->id,
                                    self->at->first_s, self->at->last_s + 1, 1,
                                    s_stored_point, self)
                     >= 0);
    }
}

static cJSON *
s_stored_reader (const char *folder)
{
    const char *why;
    store_options_t options = {.folder = folder,
                               .max_bytes = INT64_C (1) << 40,
                               .max_series = 1000000,
                               .keep_raw_s = 1000000,
                               .keep_60_s = 1000000,
                               .keep_900_s = 1000000,
                               .keep_3600_s = 1000000,
                               .max_age_s = 1000000};
    store_t *store = store_open (&options, &why);
    stored_t *self = harness_keep (calloc (1, sizeof *self));
    if (!store)
        fail_msg ("%s: %s", folder, why);
    self->rows = cJSON_CreateArray ();
    self->reader = reader_new (store);
    s_stored_read (self);
    reader_destroy (&self->reader);
    store_close (&store);
    return self->rows;
}

//  All rows so far. Caller deletes the return value.
static cJSON *
serve_rows (const serve_t *self)
{
    return self->process->ended
             ? s_stored_reader (self->folder)
             : s_stored_sql (text_new ("%s/store.db", self->folder));
}

static total_t
serve_total (const serve_t *self, const char *source, const char *name)
{
    cJSON *rows = serve_rows (self);
    total_t total = rows_total (rows, source, name);
    cJSON_Delete (rows);
    return total;
}

//  Waits until so many samples and such a sum are stored.
static void
serve_await (const serve_t *self, const char *name, double count, double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    total_t total = serve_total (self, NULL, name);
    while ((total.count < count || total.sum < sum) && now_ms () < until) {
        poll_pause ();
        total = serve_total (self, NULL, name);
    }
    if (total.count < count || total.sum < sum)
        fail_msg ("%s: %.17g samples, sum %.17g; expected %.17g, %.17g", name,
                  total.count, total.sum, count, sum);
}

//  Waits until more comes: before that the broker may not know the server's worker yet,
//  and the last report of a program would pass it by.
static void
serve_await_more (const serve_t *self, const char *name)
{
    serve_await (self, name, 0, serve_total (self, NULL, name).sum + 1);
}

static void
serve_check (const serve_t *self, const char *name, double count, double sum)
{
    total_t total = serve_total (self, NULL, name);
    if (total.count != count || total.sum != sum)
        fail_msg ("%s: %.17g samples, sum %.17g; expected %.17g, %.17g", name,
                  total.count, total.sum, count, sum);
}

//  --------------------------------------------------------------------------
//  In the place of a stand-in

static cJSON *
s_standin_rows (const standin_t *standin)
{
    return serve_rows (standin->own);
}

//  Caller must not use its process: the server may be started anew.
static standin_t *
serve_as_standin (serve_t *self)
{
    standin_t *standin = harness_keep (calloc (1, sizeof *standin));
    *standin = (standin_t){.process = self->process,
                           .url = text_new ("%s/v1/metrics", self->url),
                           .base = text_new ("%s", self->url),
                           .token = self->token,
                           .stored = s_standin_rows,
                           .own = self};
    return standin;
}

#endif
