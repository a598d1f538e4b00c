/*  zibrato librato - delivers to the Librato metrics API, POST /v1/metrics, or
    with tags POST /v1/measurements

    The service itself has ended (2026-01-31), so --url names whatever speaks
    its API today. Facts about the API come from its archived documentation
    (github.com/librato/api-docs, branch legacy) and from the issues of its
    clients, which are named where they matter.

    Increments of counters are sent as gauges, as Librato's own people advised
    for those who hold the count (librato/librato-rails#1): the API's counters
    are absolute readings, which would fall with every restart.

    Sections: options, requests, the backend's table.
    HTTP is in service.c, names are in label.c, requests' bodies and answers in
    librato_api.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "age.h"
#include "fitted.h"
#include "label.h"
#include "librato_api.h"
#include "service.h"

#include <cjson/cJSON.h>
#include <czmq.h>
#include <pthread.h>

//  --------------------------------------------------------------------------
//  Options

#define API "https://metrics-api.librato.com/v1/"

static struct {
    service_t service;
    int64_t connections;
    const char *tags;
    int histograms;
    pthread_mutex_t lock;  //  over what follows
    age_t age;
} s_librato = {
  .service = {SERVICE_DEFAULTS, .http = {.url = API "metrics",
                                         .timeout = 15,
                                         .type = "application/json"}},
  .connections = 4,
  .tags = "fold",
  .lock = PTHREAD_MUTEX_INITIALIZER};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "username", .argument = "USER",
   .text = &s_librato.service.http.username,
   .env = "LIBRATO_USERNAME", .help = "account, an e-mail address"},
  {.name = "apitoken", .argument = "TOKEN",
   .text = &s_librato.service.http.password,
   .env = "LIBRATO_TOKEN", .secret = 1, .help = "its API token"},
  {.name = "apitoken-file", .argument = "FILE",
   .text = &s_librato.service.token.path,
   .help = "the token is its first line"},
  {.name = "url", .argument = "URL", .text = &s_librato.service.http.url,
   .help = "of the API"},
  {.name = "tags", .argument = "HOW", .text = &s_librato.tags,
   .help = "fold: into names; measurements: sent as tags, to that API"},
  {.name = "histograms", .flag = &s_librato.histograms,
   .help = "of timers, too, for `zibrato serve`; others may refuse them"},
  {.name = "timeout", .argument = "SECONDS",
   .number = &s_librato.service.http.timeout,
   .min = 1, .max = 3600, .help = "that a request may take"},
  {.name = "connections", .argument = "COUNT",
   .number = &s_librato.connections, .min = 1, .max = SERVICE_CONNECTIONS_MAX,
   .help = "requests at once, at most"},
  {.name = "ca", .argument = "FILE", .text = &s_librato.service.http.ca,
   .help = "certificates to trust in place of the system's"},
  {.name = NULL}};
// clang-format on

//  Are tags sent as such?
static bool
librato_tagged (void)
{
    return streq (s_librato.tags, "measurements");
}

static const char *
librato_reload (void)
{
    return service_reload (&s_librato.service);
}

static const char *
librato_check (void)
{
    http_config_t *http = &s_librato.service.http;
    s_librato.service.apitoken = true;
    if (!http->username || !*http->username)
        return "expected --username or LIBRATO_USERNAME";
    if (!s_librato.service.token.path && (!http->password || !*http->password))
        return "expected --apitoken-file, LIBRATO_TOKEN or --apitoken";
    if (!librato_tagged () && !streq (s_librato.tags, "fold"))
        return "--tags: expected fold or measurements";
    if (librato_tagged () && streq (http->url, API "metrics"))
        http->url = API "measurements";
    return service_check (&s_librato.service);
}

//  --------------------------------------------------------------------------
//  Requests

static int64_t
s_second (const zb_row_t *row)
{
    return row->time_ns / INT64_C (1000000000);
}

//  Without a body it only asks whether the credentials are good. An endpoint
//  that does not know GET may well take POST.
static zb_outcome_t
librato_send (const char *body, size_t size, zb_reply_t *reply, bool *too_old)
{
    http_t *http = service_take (&s_librato.service);
    long status = http_send (http, body, size, reply);
    zb_outcome_t outcome = ZB_RETRY;
    *too_old = false;
    if (status == HTTP_SILENT)
        outcome = ZB_FAILED;
    else if (status && !body && (status == 404 || status == 405))
        outcome = ZB_DELIVERED;
    else if (status)
        outcome = librato_outcome (status, http_text (http), reply, too_old);
    if (body && outcome == ZB_DELIVERED)
        librato_partly (http_text (http), reply);
    service_give (&s_librato.service, http, status);
    return outcome;
}

static zb_outcome_t
librato_connect (zb_reply_t *reply)
{
    bool too_old;
    http_warn (s_librato.service.http.url);
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
    bool histograms = s_librato.histograms;
    char *body = librato_tagged ()
                   ? librato_measurements (rows, count, histograms)
                   : librato_gauges (rows, count, histograms);
    zb_outcome_t outcome;
    bool too_old;
    outcome = librato_send (body, strlen (body), reply, &too_old);
    if (too_old || outcome == ZB_DELIVERED)
        librato_learn_age (rows, count, too_old, reply);
    free (body);
    return outcome;
}

//  What becomes of a name.
static int
librato_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    return librato_tagged () && !is_source
             ? label_fit_tagged (text, fitted)
             : label_fit (text, is_source, fitted);
}

static const char *
librato_naming (void)
{
    return librato_tagged () ? "tags=measurements" : "";
}

static void
librato_close (void)
{
    service_close (&s_librato.service);
    fitted_forget ();
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
  .fit = librato_fit,
  .naming = librato_naming,
  .deliver = librato_deliver,
  .close = librato_close,
  .senders = &s_librato.connections,
  .reload = librato_reload};
