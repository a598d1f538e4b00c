/*  zibrato influx - delivers to what takes InfluxDB's line protocol

    --url says which: .../write?db=NAME is version 1, .../api/v2/write?org=ORG&
    bucket=BUCKET version 2. VictoriaMetrics, QuestDB and others take the first or
    both. A point of the same series and time takes the place of the one before, so
    that a request that comes twice is harmless.

    Sections: options, requests, the backend's table. The lines are made in
    influx_line.c, influx_blame.c finds out which rows were refused, HTTP is in
    service.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fitted.h"
#include "influx_blame.h"
#include "influx_line.h"
#include "percentiles.h"
#include "service.h"

#include <cjson/cJSON.h>
#include <czmq.h>

//  --------------------------------------------------------------------------
//  Options

enum { URL_MAX = 2048, REASON_MAX = 400 };

static struct {
    service_t service;
    char url[URL_MAX];             //  with the precision
    int64_t unit_ns;               //  of it
    char worker[ZB_NAME_MAX + 1];  //  the tag, which fits
    buffer_t body;
    const zb_row_t *rows;  //  of the request
    size_t count;
} s_influx = {
  .service = {SERVICE_DEFAULTS,
              .http = {.type = "text/plain; charset=utf-8", .timeout = 15}}};

static const zb_option_t s_options[] = {SERVICE_OPTIONS (s_influx.service),
                                        {.name = NULL}};

//  Finds NAME= among the parameters of a URL. Returns its value, or NULL.
static const char *
s_parameter (const char *url, const char *name)
{
    const char *at = strchr (url, '?');
    size_t size = strlen (name);
    for (; at; at = strchr (at, '&'))
        if (strncmp (++at, name, size) == 0 && at[size] == '=')
            return at + size + 1;
    return NULL;
}

//  Those that both versions know by one name. A precision that version 1 does not
//  know it takes for nanoseconds, and stores all in 1970.
static const char *
influx_check_precision (const char *url)
{
    const char *given = s_parameter (url, "precision");
    size_t size = given ? strcspn (given, "&") : 0;
    bool seconds = given && size == 1 && *given == 's';
    s_influx.unit_ns = seconds ? 1000000000 : 1000000;
    snprintf (s_influx.url, sizeof s_influx.url, "%s%s", url,
              given ? "" : "&precision=ms");
    return !given || seconds || (size == 2 && strncmp (given, "ms", 2) == 0)
             ? NULL
             : "--url: expected precision=ms or precision=s, or none";
}

//  Without database or bucket each request would be refused.
static const char *
influx_check (void)
{
    static const char version_2[] = "/api/v2/write", version_1[] = "/write";
    const char *wrong = service_check (&s_influx.service);
    const char *url = s_influx.service.http.url;
    size_t path = wrong ? 0 : strcspn (url, "?");
    if (wrong)
        return wrong;
    if (strlen (url) > URL_MAX / 2)
        return "--url: too long";
    if (path >= strlen (version_2)
        && strncmp (url + path - strlen (version_2), version_2,
                    strlen (version_2))
             == 0) {
        if (!s_parameter (url, "bucket"))
            return "--url: expected .../api/v2/write?org=ORG&bucket=BUCKET";
    }
    else if (strncmp (url + path - strlen (version_1), version_1,
                      strlen (version_1))
               != 0
             || !s_parameter (url, "db"))
        return "--url: expected .../write?db=NAME, or .../api/v2/write?...";
    wrong = influx_check_precision (url);
    s_influx.service.http.url = s_influx.url;
    s_influx.service.scheme = "Token";
    return wrong;
}

static const char *
influx_reload (void)
{
    return service_reload (&s_influx.service);
}

//  --------------------------------------------------------------------------
//  Requests

//  {"error": "..."} of version 1, {"code": "...", "message": "..."} of version 2. What
//  is about rows says so, with whatever status; another 400 may be about the request.
static zb_outcome_t
influx_read (const http_t *http, long status, zb_outcome_t outcome,
             zb_reply_t *reply)
{
    cJSON *json = cJSON_Parse (http_text (http));
    const cJSON *text = cJSON_GetObjectItem (json, "error");
    const char *error;
    text = cJSON_IsString (text) ? text : cJSON_GetObjectItem (json, "message");
    error = cJSON_IsString (text) ? text->valuestring : http_text (http);
    if (outcome != ZB_DELIVERED)
        snprintf (reply->reason, sizeof reply->reason, "status %ld %.*s",
                  status, REASON_MAX, error);
    if (status >= 400
        && (strstr (error, "partial write")
            || strstr (error, "unable to parse"))) {
        outcome = ZB_REFUSED;
        influx_blame (&(influx_blame_t){.rows = s_influx.rows,
                                        .count = s_influx.count,
                                        .lines = s_influx.body.text,
                                        .error = error},
                      reply->at_fault);
    }
    else if (status == 400)
        outcome = ZB_FAILED;
    cJSON_Delete (json);
    return outcome;
}

static zb_outcome_t
influx_connect (zb_reply_t *reply)
{
    influx_line_fit (zb_worker (), 1, s_influx.worker);
    return service_connect (&s_influx.service, reply);
}

static zb_outcome_t
influx_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    buffer_t *body = &s_influx.body;
    s_influx.rows = rows;
    s_influx.count = count;
    body->size = 0;
    for (size_t i = 0; i < count; i++)
        influx_line_add (body, &rows[i], s_influx.worker, s_influx.unit_ns);
    return service_post (&s_influx.service, body->text, body->size, reply,
                         influx_read);
}

static void
influx_close (void)
{
    service_close (&s_influx.service);
    buffer_clear (&s_influx.body);
    fitted_forget ();
}

static int
influx_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    int changed = influx_line_fit (text, is_source, fitted);
    fitted_tell (fitted, text, is_source, changed);
    return changed;
}

//  --------------------------------------------------------------------------
//  The backend's table

//  InfluxDB's documentation suggests 5,000 to 10,000 lines a request.
const zb_backend_t zb_influx_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "influx",
  .summary = "Delivers to InfluxDB, VictoriaMetrics, or what takes its lines",
  .options = s_options,
  .batch = 5000,
  .check = influx_check,
  .connect = influx_connect,
  .fit = influx_fit,
  .percentiles = percentiles_want,
  .deliver = influx_deliver,
  .close = influx_close,
  .reload = influx_reload};
