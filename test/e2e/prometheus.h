/*  prometheus.h - what a Prometheus has, or a server with its query API

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include "stores.h"

#include <ctype.h>

//  The first result of a query, as a number; NAN if there is none.
static double
prometheus_number (const server_t *self, const char *query)
{
    cJSON *json = server_get (
      self, text_new ("/api/v1/query?query=%s", url_escape (query)));
    const cJSON *data = cJSON_GetObjectItem (json, "data");
    const cJSON *result =
      cJSON_GetArrayItem (cJSON_GetObjectItem (data, "result"), 0);
    const cJSON *value =
      cJSON_GetArrayItem (cJSON_GetObjectItem (result, "value"), 1);
    double number = value ? strtod (value->valuestring, NULL) : NAN;
    cJSON_Delete (json);
    return number;
}

//  What a series' name says beside the measurement's.
static const struct {
    const char *end, *field;
} s_prometheus_ends[] = {{"_seconds_sum", "sum"},   {"_seconds_count", "count"},
                         {"_seconds_bucket", NULL}, {"_seconds", NULL},
                         {"_total", "value"},       {"", "value"}};

static void
s_prometheus_add (cJSON *rows, const cJSON *result)
{
    const cJSON *metric = cJSON_GetObjectItem (result, "metric");
    const cJSON *value =
      cJSON_GetArrayItem (cJSON_GetObjectItem (result, "value"), 1);
    char *name =
      text_new ("%s", cJSON_GetObjectItem (metric, "__name__")->valuestring);
    cJSON *row = cJSON_Duplicate (metric, 1);
    size_t size = strlen (name), i = 0, end;
    while (end = strlen (s_prometheus_ends[i].end),
           end > size || strcmp (name + size - end, s_prometheus_ends[i].end))
        i++;
    name[size - end] = 0;
    if (strncmp (name, "indexer_", 8) == 0)
        name[7] = '.';
    cJSON_AddStringToObject (row, "name", name);
    if (s_prometheus_ends[i].field)
        cJSON_AddNumberToObject (row, s_prometheus_ends[i].field,
                                 strtod (value->valuestring, NULL));
    cJSON_AddItemToArray (rows, row);
}

static void
s_prometheus_query (const server_t *self, const char *query, cJSON *rows)
{
    cJSON *json = server_get (
      self, text_new ("/api/v1/query?query=%s", url_escape (query)));
    const cJSON *data = cJSON_GetObjectItem (json, "data"), *result;
    cJSON_ArrayForEach (result, cJSON_GetObjectItem (data, "result"))
      s_prometheus_add (rows, result);
    cJSON_Delete (json);
}

//  Of native histograms last_over_time has nothing: their counts and sums, which never
//  fall, one after the other.
static void
s_prometheus_query_native (const server_t *self, cJSON *rows)
{
    static const char *const fields[] = {"count", "sum"};
    cJSON *json = server_get (self, "/api/v1/label/__name__/values");
    const cJSON *name;
    cJSON_ArrayForEach (name, cJSON_GetObjectItem (json, "data"))
    {
        size_t size = strlen (name->valuestring);
        if (size < 8 || strcmp (name->valuestring + size - 8, "_seconds"))
            continue;
        for (int i = 0; i < 2; i++)
            s_prometheus_query (
              self,
              text_new (
                "label_replace(max_over_time(histogram_%s(%s)[10m:500ms]),"
                "\"__name__\",\"%s_%s\",\"\",\"\")",
                fields[i], name->valuestring, name->valuestring, fields[i]),
              rows);
    }
    cJSON_Delete (json);
}

//  The last sample of each series, also of those that have ended, as an object of its
//  labels, the measurement's name, and one field. Caller deletes the return value.
static cJSON *
prometheus_rows (const server_t *self, const char *database)
{
    cJSON *rows = cJSON_CreateArray ();
    (void) database;
    s_prometheus_query (self, "last_over_time({worker!=\"\"}[30m])", rows);
    s_prometheus_query_native (self, rows);
    return rows;
}

//  Waits until the server has such a value of a query.
static void
prometheus_await (const server_t *server, const char *query, double value)
{
    int64_t until = now_ms () + WAIT_MS;
    double number;
    while ((number = prometheus_number (server, query)) != value) {
        poll_pause ();
        //  VictoriaMetrics shows what it has some seconds later otherwise
        if (server->kind == &server_victoriametrics)
            free (http (server_url (server, "/internal/force_flush"), NULL));
        if (now_ms () > until)
            fail_msg ("%s is %.17g, not %.17g", query, number, value);
    }
}

//  A server takes it that a series went on for a moment before its first scrape and
//  behind its last: half of what is between two of them, or a little more than that
//  at the end. Returns what that may make of an increase, at most.
static double
prometheus_beyond (const server_t *server, const char *name)
{
    double scrapes = prometheus_number (
      server, text_new ("min(count_over_time(%s[1h]))", name));
    assert_true (scrapes > 1);
    return fmax (1.1, 1 + (0.5 + 1.1) / (scrapes - 1));
}

//  No total has ever fallen, so what a server makes of them is right.
static void
prometheus_check_increase (const server_t *server)
{
    static const char *const names[] = {
      "indexer_files_total", "indexer_bytes_total", "indexer_words_total"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = names[i];
        double first, last, increase;
        assert_true (
          prometheus_number (server, text_new ("sum(resets(%s[1h]))", name))
          == 0);
        first = prometheus_number (
          server, text_new ("sum(min_over_time(%s[1h]))", name));
        last = prometheus_number (
          server, text_new ("sum(last_over_time(%s[1h]))", name));
        increase =
          prometheus_number (server, text_new ("sum(increase(%s[1h]))", name));
        if (increase < last - first
            || increase > prometheus_beyond (server, name) * (last - first))
            fail_msg ("%s: from %.17g to %.17g, increase %.17g", name, first,
                      last, increase);
    }
}

//  May a name, a tag's value and a source have it?
static bool
s_byte_may_be (int byte)
{
    return byte != '|' && byte != ';' && byte != 0x7f;
}

//  What contrib/docs/prometheus.md says that becomes of it.
static const char *
s_label_of (const char *format, int byte)
{
    const char *value = text_new (format, byte >= 0x80 ? '?' : byte, byte);
    char *escaped = text_new ("%*s", 64, "");
    size_t size = 0;
    for (; *value; value++) {
        if (strchr ("\\\"", *value))
            escaped[size++] = '\\';
        escaped[size++] = *value;
    }
    escaped[size] = 0;
    return escaped;
}

static void
prometheus_check_byte (const server_t *server, int byte)
{
    bool letter = byte < 0x80 && isalnum (byte);
    const char *query =
      text_new ("n%cm_total{tag=\"%s\",source=\"%s\",worker=\"bytes\"}",
                letter ? byte : '_', s_label_of ("t%c.", byte),
                s_label_of ("s%cs%d", byte));
    double found = prometheus_number (server, query);
    if (!(found == 1))
        fail_msg ("byte %d, %s: %g", byte, query, found);
}

//  A worker delivers a series for each byte, in the midst of name, tag and source.
static void
prometheus_check_bytes (store_t *store)
{
    broker_t *broker = broker_start ();
    store_work (store, broker, LIST ("--worker", "bytes"));
    void *publisher = publisher_new (broker, "");
    long now = (long) time (NULL);
    for (int byte = 0x20; byte <= 0xff; byte++)
        if (s_byte_may_be (byte))
            publisher_send (publisher,
                            text_new ("info|Counter|n%cm;tag=t%c.|1|%ld|s%cs%d",
                                      byte, byte, now, byte, byte));
    publisher_send (publisher, text_new ("info|Counter|last|1|%ld|s", now));
    prometheus_await (store->server, "last_total{worker=\"bytes\"}", 1);
    for (int byte = 0x20; byte <= 0xff; byte++)
        if (s_byte_may_be (byte))
            prometheus_check_byte (store->server, byte);
}

#endif
