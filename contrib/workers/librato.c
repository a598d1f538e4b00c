/*  zibrato librato - delivers to POST /v1/metrics of the Librato metrics API

    The service itself has ended (2026-01-31), so --url names whatever speaks
    its API today. Facts about the API come from its archived documentation
    (github.com/librato/api-docs, branch legacy) and from the issues of its
    clients, which are named where they matter.

    Increments of counters are sent as gauges, as Librato's own people advised
    for those who hold the count (librato/librato-rails#1): the API's counters
    are absolute readings, which would fall with every restart.

    Sections: options, names, requests, responses, the backend's table.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZIBRATO_BACKEND
#include "../../zibrato.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <curl/curl.h>
#include <czmq.h>

//  --------------------------------------------------------------------------
//  Options

//  Bytes of a response that are looked at: errors are far shorter.
enum { REPLY_MAX = 64 * 1024, TEXT_MAX = 300, LABEL_MAX = 255 };

static struct {
    const char *username, *apitoken, *apitoken_file, *url, *ca;
    int64_t timeout;
    CURL *curl;
    struct curl_slist *headers;
    zhash_t *originals;  //  what became a sanitised name or source
    char reply[REPLY_MAX];
    size_t reply_size;
} s_librato = {.url = "https://metrics-api.librato.com/v1/metrics",
               .timeout = 15};

// clang-format off
static const zb_option_t s_options[] = {
  {.name = "username", .argument = "USER", .text = &s_librato.username,
   .env = "LIBRATO_USERNAME", .help = "account, an e-mail address"},
  {.name = "apitoken", .argument = "TOKEN", .text = &s_librato.apitoken,
   .env = "LIBRATO_TOKEN", .secret = 1, .help = "its API token"},
  {.name = "apitoken-file", .argument = "FILE",
   .text = &s_librato.apitoken_file, .help = "the token is its first line"},
  {.name = "url", .argument = "URL", .text = &s_librato.url,
   .help = "of the API"},
  {.name = "timeout", .argument = "SECONDS", .number = &s_librato.timeout,
   .min = 1, .max = 3600, .help = "that a request may take"},
  {.name = "ca", .argument = "FILE", .text = &s_librato.ca,
   .help = "certificates to trust in place of the system's"},
  {.name = NULL}};
// clang-format on

static const char *
librato_check (void)
{
    static char wrong[TEXT_MAX];
    const char *path = s_librato.apitoken_file;
    zchunk_t *file = path ? zchunk_slurp (path, 1024) : NULL;
    if (path && !file) {
        snprintf (wrong, sizeof wrong, "--apitoken-file %s: %s", path,
                  strerror (errno));
        return wrong;
    }
    if (file) {
        char *token = zchunk_strdup (file);
        token[strcspn (token, "\r\n")] = 0;
        s_librato.apitoken = token;
        zchunk_destroy (&file);
    }
    if (!s_librato.username || !*s_librato.username)
        return "expected --username or LIBRATO_USERNAME";
    if (!s_librato.apitoken || !*s_librato.apitoken)
        return "expected --apitoken-file, LIBRATO_TOKEN or --apitoken";
    if (strncmp (s_librato.url, "https://", 8) != 0
        && strncmp (s_librato.url, "http://", 7) != 0)
        return "--url: expected https://... or http://...";
    if (strchr (s_librato.url, '@'))
        return "--url: expected no credentials in it";
    return NULL;
}

//  --------------------------------------------------------------------------
//  Names: of metrics and sources, as the API takes them

//  Only [A-Za-z0-9.:_-], up to 255, and not the reserved source "all".
//  Returns 1 if the text had to be changed.
static int
librato_sanitise (char *clean, const char *text, int is_source)
{
    size_t i;
    int changed = 0;
    for (i = 0; text[i] && i < LABEL_MAX; i++) {
        unsigned char c = (unsigned char) text[i];
        int fine = c < 0x80 && (isalnum (c) || strchr (".:_-", c));
        clean[i] = fine ? (char) c : '_';
        changed |= !fine;
    }
    changed |= text[i] != 0;
    clean[i] = 0;
    if (is_source && strcasecmp (clean, "all") == 0) {
        strcat (clean, "_");
        changed = 1;
    }
    return changed;
}

//  Says, once, that two names or two sources have become one. Texts that stay
//  as they are need no memory unless a changed one has come before them.
static void
librato_collision (char kind, const char *clean, const char *text, int changed)
{
    char key[LABEL_MAX + 16], told[LABEL_MAX + 16];
    const char *other;
    if (!s_librato.originals) {
        s_librato.originals = zhash_new ();
        zhash_autofree (s_librato.originals);
    }
    snprintf (key, sizeof key, "%c %s", kind, clean);
    snprintf (told, sizeof told, "%c told %s", kind, text);
    other = (const char *) zhash_lookup (s_librato.originals, key);
    if (!other && changed)
        zhash_insert (s_librato.originals, key, (void *) text);
    else if (other && strcmp (other, text) != 0
             && zhash_insert (s_librato.originals, told, (void *) text) == 0)
        zb_log (LOG_WARNING, "collision", "text=\"%s\" other=\"%s\" sent_as=%s",
                text, other, clean);
}

static size_t
librato_post (const zb_row_t *row, char *text, size_t size)
{
    char name[LABEL_MAX + 2], source[LABEL_MAX + 2];
    zb_row_t clean = *row;
    clean.type = (zb_type_t) 0;
    clean.name = name;
    clean.source = source;
    librato_collision ('n', name, row->name,
                       librato_sanitise (name, row->name, 0));
    librato_collision ('s', source, row->source,
                       librato_sanitise (source, row->source, 1));
    return zb_row_json (&clean, "measure_time", text, size);
}

//  --------------------------------------------------------------------------
//  Responses: what status and body mean

//  A later row wins over an earlier one; what is in none is a redirect or
//  other nonsense, and as wrong an address as 404.
static const struct {
    long least, most;
    zb_outcome_t outcome;
} s_statuses[] = {
  {200, 299, ZB_DELIVERED},
  {400, 499, ZB_REFUSED},  //  the content, unless a later row knows better
  {401, 401, ZB_HOLD},     //  credentials
  {403, 405, ZB_HOLD},     //  not permitted, wrong address
  {407, 407, ZB_HOLD},     //  a proxy's credentials
  {408, 408, ZB_RETRY},    //  too slow
  {425, 425, ZB_RETRY},
  {429, 429, ZB_RETRY},  //  rate limited
  {500, 599, ZB_RETRY}};

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

//  The outcome of a response, and its reason for people: the errors that the
//  service names, else the beginning of whatever came.
static zb_outcome_t
librato_outcome (long status, zb_reply_t *reply)
{
    zb_outcome_t outcome = ZB_HOLD;
    char text[TEXT_MAX] = "";
    cJSON *json = cJSON_Parse (s_librato.reply);
    const cJSON *limit = cJSON_GetObjectItem (json, "error");
    const cJSON *errors = cJSON_GetObjectItem (json, "errors");
    size_t i;
    for (i = 0; i < sizeof s_statuses / sizeof *s_statuses; i++)
        if (status >= s_statuses[i].least && status <= s_statuses[i].most)
            outcome = s_statuses[i].outcome;
    //  rate limited is a flat "error", not "errors" (python-librato,
    //  exceptions.py)
    if (status == 403 && cJSON_IsString (limit))
        outcome = ZB_RETRY;
    if (errors || limit)
        librato_reason (errors ? errors : limit, text);
    else
        snprintf (text, sizeof text, "%.200s", s_librato.reply);
    snprintf (reply->reason, sizeof reply->reason, "status %ld %s", status,
              text);
    cJSON_Delete (json);
    return outcome;
}

//  --------------------------------------------------------------------------
//  Requests

//  libcurl hands over a piece of the response. What is beyond our limit is
//  read and let go.
static size_t
librato_read (char *data, size_t size, size_t count, void *argument)
{
    size_t room = REPLY_MAX - 1 - s_librato.reply_size;
    (void) argument;
    size *= count;
    memcpy (s_librato.reply + s_librato.reply_size, data,
            size < room ? size : room);
    s_librato.reply_size += size < room ? size : room;
    return size;
}

//  A stop ends a request that would take too long.
static int
librato_progress (void *argument, curl_off_t a, curl_off_t b, curl_off_t c,
                  curl_off_t d)
{
    (void) argument, (void) a, (void) b, (void) c, (void) d;
    return zb_time_left_ms () == 0;
}

static void
librato_open (void)
{
    CURL *curl = curl_easy_init ();
    assert (curl);
    curl_easy_setopt (curl, CURLOPT_URL, s_librato.url);
    curl_easy_setopt (curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
    curl_easy_setopt (curl, CURLOPT_USERNAME, s_librato.username);
    curl_easy_setopt (curl, CURLOPT_PASSWORD, s_librato.apitoken);
    curl_easy_setopt (curl, CURLOPT_USERAGENT, "zibrato/" ZIBRATO_VERSION);
    curl_easy_setopt (curl, CURLOPT_TIMEOUT, (long) s_librato.timeout);
    curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, librato_read);
    curl_easy_setopt (curl, CURLOPT_XFERINFOFUNCTION, librato_progress);
    curl_easy_setopt (curl, CURLOPT_NOPROGRESS, 0L);
    if (s_librato.ca)
        curl_easy_setopt (curl, CURLOPT_CAINFO, s_librato.ca);
    //  no "Expect: 100-continue", which costs a second where it is unknown
    s_librato.headers =
      curl_slist_append (NULL, "Content-Type: application/json");
    s_librato.headers = curl_slist_append (s_librato.headers, "Expect:");
    curl_easy_setopt (curl, CURLOPT_HTTPHEADER, s_librato.headers);
    s_librato.curl = curl;
}

//  With a body a POST, without one a GET. Fills in the reply and returns the
//  status, or 0 if there was no response.
static long
librato_request (const char *body, size_t size, zb_reply_t *reply)
{
    CURL *curl = s_librato.curl;
    char error[CURL_ERROR_SIZE] = "";
    curl_off_t retry_after = 0;
    long status = 0;
    CURLcode rc;
    curl_easy_setopt (curl, CURLOPT_HTTPGET, 1L);
    if (body) {
        curl_easy_setopt (curl, CURLOPT_POST, 1L);
        curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt (curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) size);
    }
    curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, error);
    s_librato.reply_size = 0;
    rc = curl_easy_perform (curl);
    s_librato.reply[s_librato.reply_size] = 0;
    curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, NULL);
    if (rc != CURLE_OK) {
        snprintf (reply->reason, sizeof reply->reason, "%s",
                  *error ? error : curl_easy_strerror (rc));
        return 0;
    }
    curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo (curl, CURLINFO_RETRY_AFTER, &retry_after);
    reply->retry_after_ms = (int64_t) retry_after * 1000;
    return status;
}

//  An endpoint that does not know GET may well take POST.
static zb_outcome_t
librato_connect (zb_reply_t *reply)
{
    long status;
    librato_open ();
    if (strncmp (s_librato.url, "http://", 7) == 0)
        zb_log (LOG_WARNING, "cleartext",
                "url=%s reason=\"the token can be read on the way\"",
                s_librato.url);
    status = librato_request (NULL, 0, reply);
    if (status == 0)
        return ZB_RETRY;
    return status == 404 || status == 405 ? ZB_DELIVERED
                                          : librato_outcome (status, reply);
}

static zb_outcome_t
librato_flush (const char *const *rows, size_t count, zb_reply_t *reply)
{
    zchunk_t *body = zchunk_new ("{\"gauges\":[", 11);
    long status;
    size_t i;
    for (i = 0; i < count; i++) {
        zchunk_extend (body, rows[i], strlen (rows[i]));
        zchunk_extend (body, i + 1 < count ? "," : "]}", i + 1 < count ? 1 : 2);
    }
    status = librato_request ((const char *) zchunk_data (body),
                              zchunk_size (body), reply);
    zchunk_destroy (&body);
    return status ? librato_outcome (status, reply) : ZB_RETRY;
}

static void
librato_close (void)
{
    curl_slist_free_all (s_librato.headers);
    curl_easy_cleanup (s_librato.curl);
    zhash_destroy (&s_librato.originals);
}

//  --------------------------------------------------------------------------
//  The backend's table

//  Its documentation suggests about 300 measurements a request.
const zb_backend_t zb_librato_backend = {
  .abi = ZB_BACKEND_ABI,
  .name = "librato",
  .summary = "Delivers to the Librato metrics API, or to what speaks it",
  .options = s_options,
  .batch = 300,
  .check = librato_check,
  .connect = librato_connect,
  .post = librato_post,
  .flush = librato_flush,
  .close = librato_close};
