/*  serve.h - `zibrato serve`, and what it has stored

    What is in the store is read as SQLite gives it while the server runs, and by the
    store's own reader when it has ended.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SERVE_H
#define SERVE_H

#include "serve_api.h"

#include "contrib/server/store.h"

#include <sqlite3.h>

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
    int64_t looked = now_ms (), until = looked + WAIT_MS;
    total_t total = serve_total (self, NULL, name);
    while ((total.count < count || total.sum < sum) && now_ms () < until) {
        poll_pause_since (looked);
        looked = now_ms ();
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
