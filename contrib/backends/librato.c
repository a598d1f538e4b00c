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
    HTTP itself is in http.c, names are in label.c, requests' bodies and
    answers in librato_api.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "age.h"
#include "fitted.h"
#include "http.h"
#include "label.h"
#include "librato_api.h"
#include "secret.h"

#include <cjson/cJSON.h>
#include <czmq.h>
#include <pthread.h>

//  --------------------------------------------------------------------------
//  Options

enum { CONNECTIONS_MAX = 64 };

#define API "https://metrics-api.librato.com/v1/"

static struct {
    http_config_t config;
    int64_t connections;
    const char *tags;

    pthread_mutex_t lock;  //  over all that follows
    http_t *idle[CONNECTIONS_MAX];
    size_t idle_count;
    secret_t apitoken;
    age_t age;
} s_librato = {.config = {.url = API "metrics", .timeout = 15},
               .connections = 4,
               .tags = "fold",
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
  {.name = "tags", .argument = "HOW", .text = &s_librato.tags,
   .help = "fold: into names; measurements: sent as tags, to that API"},
  {.name = "timeout", .argument = "SECONDS", .number = &s_librato.config.timeout,
   .min = 1, .max = 3600, .help = "that a request may take"},
  {.name = "connections", .argument = "COUNT",
   .number = &s_librato.connections, .min = 1, .max = CONNECTIONS_MAX,
   .help = "requests at once, at most"},
  {.name = "ca", .argument = "FILE", .text = &s_librato.config.ca,
   .help = "certificates to trust in place of the system's"},
  {.name = NULL}};
// clang-format on

//  Are tags sent as such?
static bool
librato_tagged (void)
{
    return streq (s_librato.tags, "measurements");
}

//  The token's file is looked at before each request; here only whether it can
//  be.
static const char *
librato_reload (void)
{
    static char wrong[300];
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
    if (!librato_tagged () && !streq (s_librato.tags, "fold"))
        return "--tags: expected fold or measurements";
    if (librato_tagged () && streq (s_librato.config.url, API "metrics"))
        s_librato.config.url = API "measurements";
    return http_check (s_librato.config.url);
}

//  --------------------------------------------------------------------------
//  Requests

static int64_t
s_second (const zb_row_t *row)
{
    return row->time_ns / INT64_C (1000000000);
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
    if (body && outcome == ZB_DELIVERED)
        librato_partly (http_text (http), reply);
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
    char *body = librato_tagged () ? librato_measurements (rows, count)
                                   : librato_gauges (rows, count);
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
    while (s_librato.idle_count)
        http_destroy (&s_librato.idle[--s_librato.idle_count]);
    secret_clear (&s_librato.apitoken);
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
