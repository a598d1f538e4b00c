/*  zibrato librato - delivers to POST /v1/metrics of the Librato metrics API

    The service itself has ended (2026-01-31), so --url names whatever speaks
    its API today. Facts about the API come from its archived documentation
    (github.com/librato/api-docs, branch legacy) and from the issues of its
    clients, which are named where they matter.

    Increments of counters are sent as gauges, as Librato's own people advised
    for those who hold the count (librato/librato-rails#1): the API's counters
    are absolute readings, which would fall with every restart.

    Sections: options, requests and responses, the backend's table.
    HTTP itself is in http.c, names are in label.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "age.h"
#include "http.h"
#include "json.h"
#include "label.h"
#include "secret.h"

#include <cjson/cJSON.h>
#include <czmq.h>
#include <pthread.h>

//  --------------------------------------------------------------------------
//  Options

enum { TEXT_MAX = 300, CONNECTIONS_MAX = 64 };

static struct {
    http_config_t config;
    int64_t connections;

    pthread_mutex_t lock;  //  over all that follows
    http_t *idle[CONNECTIONS_MAX];
    size_t idle_count;
    secret_t apitoken;
    age_t age;
} s_librato = {.config = {.url = "https://metrics-api.librato.com/v1/metrics",
                          .timeout = 15},
               .connections = 4,
               .lock = PTHREAD_MUTEX_INITIALIZER};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "username", .argument = "USER", .text = &s_librato.config.username,
   .env = "LIBRATO_USERNAME", .help = "account, an e-mail address"},
  {.name = "apitoken", .argument = "TOKEN", .text = &s_librato.config.password,
   .env = "LIBRATO_TOKEN", .secret = 1, .help = "its API token"},
  {.name = "apitoken-file", .argument = "FILE",
   .text = &s_librato.apitoken.path, .help = "the token is its first line"},
  {.name = "url", .argument = "URL", .text = &s_librato.config.url,
   .help = "of the API"},
  {.name = "timeout", .argument = "SECONDS", .number = &s_librato.config.timeout,
   .min = 1, .max = 3600, .help = "that a request may take"},
  {.name = "connections", .argument = "COUNT",
   .number = &s_librato.connections, .min = 1, .max = CONNECTIONS_MAX,
   .help = "requests at once, at most"},
  {.name = "ca", .argument = "FILE", .text = &s_librato.config.ca,
   .help = "certificates to trust in place of the system's"},
  {.name = NULL}};
// clang-format on

//  The token's file is looked at before each request; here only whether it can
//  be.
static const char *
librato_reload (void)
{
    static char wrong[TEXT_MAX];
    const char *path = s_librato.apitoken.path;
    if (!path || access (path, R_OK) == 0)
        return NULL;
    snprintf (wrong, sizeof wrong, "--apitoken-file %s: %s", path,
              strerror (errno));
    return wrong;
}

static const char *
librato_check (void)
{
    const char *wrong = librato_reload ();
    if (wrong)
        return wrong;
    if (s_librato.apitoken.path) {
        secret_read (&s_librato.apitoken);
        s_librato.config.password = s_librato.apitoken.text;
    }
    if (!s_librato.config.username || !*s_librato.config.username)
        return "expected --username or LIBRATO_USERNAME";
    if (!s_librato.config.password || !*s_librato.config.password)
        return "expected --apitoken-file, LIBRATO_TOKEN or --apitoken";
    return http_check (s_librato.config.url);
}

//  --------------------------------------------------------------------------
//  Requests and responses

static int64_t
s_second (const zb_row_t *row)
{
    return row->time_ns / INT64_C (1000000000);
}

//  A row as one of the gauges. Caller owns the return value.
static cJSON *
librato_gauge (const zb_row_t *row)
{
    cJSON *gauge = cJSON_CreateObject ();
    json_add_number (gauge, "measure_time", (double) s_second (row));
    json_add_text (gauge, "name", row->name);
    json_add_text (gauge, "source", row->source);
    json_add_samples (gauge, row);
    return gauge;
}

//  {"gauges":[...]}. Caller owns the return value.
static char *
librato_body (const zb_row_t *rows, size_t count)
{
    cJSON *body = cJSON_CreateObject ();
    cJSON *gauges = cJSON_AddArrayToObject (body, "gauges");
    char *text;
    size_t i;
    for (i = 0; i < count; i++)
        cJSON_AddItemToArray (gauges, librato_gauge (&rows[i]));
    text = cJSON_PrintUnformatted (body);
    cJSON_Delete (body);
    return text;
}

//  Adds the texts in a JSON value, each with its key: what is wrong may be a
//  text, an array or nested objects (librato/librato-rails#10,
//  librato/librato-metrics#108).
static void
librato_reason (const cJSON *json, char *text)
{
    const cJSON *child;
    size_t used = strlen (text);
    snprintf (text + used, TEXT_MAX - used, "%s%s%s%s", used ? " " : "",
              json->string ? json->string : "",
              json->string && cJSON_IsString (json) ? ": " : "",
              cJSON_IsString (json) ? json->valuestring : "");
    for (child = json->child; child; child = child->next)
        librato_reason (child, text);
}

//  {"errors":{"params":{"measure_time":["is too far in the past"]}}}
static bool
librato_is_too_old (const cJSON *errors)
{
    const cJSON *params = cJSON_GetObjectItem (errors, "params");
    const cJSON *time = cJSON_GetObjectItem (params, "measure_time");
    char text[TEXT_MAX] = "";
    if (time)
        librato_reason (time, text);
    return strstr (text, "past") != NULL;
}

//  The outcome of a response, and its reason for people: the errors that the
//  service names, else the beginning of whatever came.
static zb_outcome_t
librato_outcome (long status, const char *body, zb_reply_t *reply,
                 bool *too_old)
{
    zb_outcome_t outcome = http_outcome (NULL, status);
    char text[TEXT_MAX] = "";
    cJSON *json = cJSON_Parse (body);
    const cJSON *limit = cJSON_GetObjectItem (json, "error");
    const cJSON *errors = cJSON_GetObjectItem (json, "errors");
    //  rate limited is a flat "error", not "errors" (python-librato,
    //  exceptions.py)
    if (status == 403 && cJSON_IsString (limit))
        outcome = ZB_RETRY;
    //  a load balancer's page (heroku/x#13), or an endpoint that answers so
    if (status == 400 && !json)
        outcome = ZB_FAILED;
    *too_old = outcome == ZB_REFUSED && librato_is_too_old (errors);
    if (errors || limit)
        librato_reason (errors ? errors : limit, text);
    else
        snprintf (text, sizeof text, "%.200s", body);
    snprintf (reply->reason, sizeof reply->reason, "status %ld %s", status,
              text);
    cJSON_Delete (json);
    return outcome;
}

//  A connection that nobody uses, with the token as it is in its file now. The
//  caller gives it back.
static http_t *
librato_connection (void)
{
    http_t *http;
    pthread_mutex_lock (&s_librato.lock);
    if (s_librato.apitoken.path && secret_read (&s_librato.apitoken)) {
        zb_log (LOG_INFO, "apitoken", "file=%s effect=\"a new one\"",
                s_librato.apitoken.path);
        s_librato.config.password = s_librato.apitoken.text;
    }
    http = s_librato.idle_count ? s_librato.idle[--s_librato.idle_count]
                                : http_new (&s_librato.config);
    http_authenticate (http, s_librato.config.username,
                       s_librato.config.password);
    pthread_mutex_unlock (&s_librato.lock);
    return http;
}

static void
librato_give_back (http_t *http, bool refused)
{
    pthread_mutex_lock (&s_librato.lock);
    if (refused)
        secret_doubt (&s_librato.apitoken);
    s_librato.idle[s_librato.idle_count++] = http;
    pthread_mutex_unlock (&s_librato.lock);
}

//  Without a body it only asks whether the credentials are good. An endpoint
//  that does not know GET may well take POST.
static zb_outcome_t
librato_send (const char *body, size_t size, zb_reply_t *reply, bool *too_old)
{
    http_t *http = librato_connection ();
    long status = http_send (http, body, size, reply);
    zb_outcome_t outcome = ZB_RETRY;
    *too_old = false;
    if (status == HTTP_SILENT)
        outcome = ZB_FAILED;
    else if (status && !body && (status == 404 || status == 405))
        outcome = ZB_DELIVERED;
    else if (status)
        outcome = librato_outcome (status, http_text (http), reply, too_old);
    librato_give_back (http, status == 401);
    return outcome;
}

static zb_outcome_t
librato_connect (zb_reply_t *reply)
{
    bool too_old;
    s_librato.config.type = "application/json";
    http_warn (s_librato.config.url);
    return librato_send (NULL, 0, reply, &too_old);
}

//  Old rows are found once; from then on they are known.
static void
librato_learn_age (const zb_row_t *rows, size_t count, bool too_old,
                   zb_reply_t *reply)
{
    int64_t *times = (int64_t *) zmalloc (count * sizeof *times);
    int64_t now = zclock_mono ();
    size_t i;
    for (i = 0; i < count; i++)
        times[i] = s_second (&rows[i]);
    pthread_mutex_lock (&s_librato.lock);
    if (too_old)
        age_refused (&s_librato.age, times, count, now, reply->at_fault);
    else
        age_taken (&s_librato.age, times, count, now);
    pthread_mutex_unlock (&s_librato.lock);
    free (times);
}

static zb_outcome_t
librato_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    char *body = librato_body (rows, count);
    zb_outcome_t outcome;
    bool too_old;
    outcome = librato_send (body, strlen (body), reply, &too_old);
    if (too_old || outcome == ZB_DELIVERED)
        librato_learn_age (rows, count, too_old, reply);
    free (body);
    return outcome;
}

static void
librato_close (void)
{
    while (s_librato.idle_count)
        http_destroy (&s_librato.idle[--s_librato.idle_count]);
    secret_clear (&s_librato.apitoken);
    label_forget ();
}

//  --------------------------------------------------------------------------
//  The backend's table

//  Its documentation suggests about 300 measurements a request.
const zb_backend_t zb_librato_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "librato",
  .summary = "Delivers to the Librato metrics API, or to what speaks it",
  .options = s_options,
  .wants = ZB_WANTS_SECONDS,
  .batch = 300,
  .check = librato_check,
  .connect = librato_connect,
  .fit = label_fit,
  .deliver = librato_deliver,
  .close = librato_close,
  .senders = &s_librato.connections,
  .reload = librato_reload};
