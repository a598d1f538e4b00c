/*  http - libcurl, as backends use it. The contract is in http.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "http.h"

#include <curl/curl.h>
#include <czmq.h>
#include <zlib.h>

enum {
    REPLY_MAX = 64 * 1024,  //  bytes that are looked at: errors are far shorter
    GZIP_WINDOW = 15 + 16,  //  of deflateInit2: the largest, framed as gzip
    RETRY_AFTER_MAX = 366 * 24 * 3600  //  seconds; more is no answer
};

struct http {
    CURL *curl;
    char type[128];              //  of the content, as a header
    struct curl_slist *further;  //  headers
    bool gzip;
    char *packed;  //  the body, compressed
    size_t packed_max;
    char error[CURL_ERROR_SIZE];
    char text[REPLY_MAX];
    size_t size;
};

//  A later row wins over an earlier one. What is in none is a redirect or
//  other nonsense: as wrong an address as 404.
static const http_status_t s_statuses[] = {
  {200, 299, ZB_DELIVERED},
  {400, 499, ZB_REFUSED},  //  the content, unless a later row knows better
  {401, 401, ZB_HOLD},     //  credentials
  {403, 405, ZB_HOLD},     //  not permitted, wrong address
  {407, 407, ZB_HOLD},     //  a proxy's credentials
  {408, 408, ZB_RETRY},    //  too slow
  {425, 425, ZB_RETRY},    //  too early (RFC 8470)
  {429, 429, ZB_RETRY},    //  too many (RFC 6585)
  {500, 599, ZB_FAILED},   //  it may be a row, or not
  {502, 504, ZB_RETRY},    //  nobody who knows the rows
  {0, 0, ZB_HOLD}};

zb_outcome_t
http_outcome (const http_status_t *own, long status)
{
    const http_status_t *const tables[] = {s_statuses, own};
    const http_status_t *row;
    zb_outcome_t outcome = ZB_HOLD;
    for (size_t i = 0; i < 2; i++)
        for (row = tables[i]; row && row->least; row++)
            if (status >= row->least && status <= row->most)
                outcome = row->outcome;
    return outcome;
}

const char *
http_check (const char *url)
{
    if (strncmp (url, "https://", 8) != 0 && strncmp (url, "http://", 7) != 0)
        return "--url: expected https://... or http://...";
    //  it is logged, and ps shows it
    if (strchr (url, '@'))
        return "--url: expected no credentials in it";
    return NULL;
}

void
http_warn (const char *url)
{
    if (strncmp (url, "http://", 7) == 0)
        zb_log (LOG_WARNING, "cleartext",
                "url=%s reason=\"credentials can be read on the way\"", url);
}

//  libcurl hands over a piece of the response. What is beyond our limit is
//  read and let go.
static size_t
http_read (char *data, size_t size, size_t count, void *argument)
{
    http_t *self = (http_t *) argument;
    size_t room = REPLY_MAX - 1 - self->size;
    size *= count;
    memcpy (self->text + self->size, data, size < room ? size : room);
    self->size += size < room ? size : room;
    return size;
}

//  libcurl asks whether to go on.
static int
http_progress (void *argument, curl_off_t a, curl_off_t b, curl_off_t c,
               curl_off_t d)
{
    (void) argument, (void) a, (void) b, (void) c, (void) d;
    return zb_time_left_ms () == 0;
}

void
http_authenticate (http_t *self, const char *username, const char *password)
{
    curl_easy_setopt (self->curl, CURLOPT_USERNAME, username);
    curl_easy_setopt (self->curl, CURLOPT_PASSWORD, password);
}

http_t *
http_new (const http_config_t *config)
{
    http_t *self = (http_t *) zmalloc (sizeof *self);
    CURL *curl = self->curl = curl_easy_init ();
    assert (curl);
    curl_easy_setopt (curl, CURLOPT_URL, config->url);
    curl_easy_setopt (curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
    http_authenticate (self, config->username, config->password);
    curl_easy_setopt (curl, CURLOPT_USERAGENT, "zibrato/" ZIBRATO_VERSION);
    curl_easy_setopt (curl, CURLOPT_TIMEOUT, (long) config->timeout);
    curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, http_read);
    curl_easy_setopt (curl, CURLOPT_WRITEDATA, self);
    curl_easy_setopt (curl, CURLOPT_XFERINFOFUNCTION, http_progress);
    curl_easy_setopt (curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, self->error);
    if (config->ca)
        curl_easy_setopt (curl, CURLOPT_CAINFO, config->ca);
    snprintf (self->type, sizeof self->type, "Content-Type: %s", config->type);
    self->gzip = config->gzip != 0;
    return self;
}

void
http_header (http_t *self, const char *header)
{
    self->further = curl_slist_append (self->further, header);
}

void
http_forget_headers (http_t *self)
{
    curl_slist_free_all (self->further);
    self->further = NULL;
}

void
http_destroy (http_t **self_p)
{
    http_t *self = *self_p;
    if (!self)
        return;
    curl_easy_cleanup (self->curl);
    http_forget_headers (self);
    free (self->packed);
    free (self);
    *self_p = NULL;
}

//  The key makes a POST that is tried again harmless, where the service knows it
//  (draft-ietf-httpapi-idempotency-key-header). No "Expect: 100-continue",
//  which costs a second where it is unknown. Caller owns the return value.
static struct curl_slist *
http_headers (const http_t *self, int posts)
{
    struct curl_slist *headers = curl_slist_append (NULL, self->type);
    const struct curl_slist *further;
    char key[160];
    headers = curl_slist_append (headers, "Expect:");
    for (further = self->further; further; further = further->next)
        headers = curl_slist_append (headers, further->data);
    if (!posts)
        return headers;
    if (self->gzip)
        headers = curl_slist_append (headers, "Content-Encoding: gzip");
    snprintf (key, sizeof key, "Idempotency-Key: \"%s\"", zb_request_key ());
    return curl_slist_append (headers, key);
}

//  Compresses the body, at the fastest level. Returns its size then.
static size_t
http_pack (http_t *self, const char *body, size_t size)
{
    z_stream stream = {.next_in = (unsigned char *) (uintptr_t) body,
                       .avail_in = (uInt) size};
    size_t bound;
    int rc = deflateInit2 (&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
                           MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY);
    assert (rc == Z_OK && size <= UINT32_MAX);
    bound = deflateBound (&stream, (uLong) size);
    if (bound > self->packed_max) {
        self->packed = (char *) realloc (self->packed, bound);
        self->packed_max = bound;
        assert (self->packed);
    }
    stream.next_out = (unsigned char *) self->packed;
    stream.avail_out = (uInt) bound;
    rc = deflate (&stream, Z_FINISH);
    assert (rc == Z_STREAM_END);
    deflateEnd (&stream);
    return stream.total_out;
}

//  There is no response, or no whole one, but a proxy may have said why. Returns
//  its status if that means to hold, else 0 or HTTP_SILENT.
static long
http_no_response (http_t *self, CURLcode rc, long answered, zb_reply_t *reply)
{
    long status = 0, sent = 0;
    curl_easy_getinfo (self->curl, CURLINFO_HTTP_CONNECTCODE, &status);
    curl_easy_getinfo (self->curl, CURLINFO_REQUEST_SIZE, &sent);
    reply->unsure = sent > 0;
    snprintf (reply->reason, sizeof reply->reason, "%s",
              *self->error ? self->error : curl_easy_strerror (rc));
    snprintf (self->text, sizeof self->text, "%s", reply->reason);
    if (status && http_outcome (NULL, status) == ZB_HOLD)
        return status;
    return sent && !answered && zb_time_left_ms () > 0 ? HTTP_SILENT : 0;
}

static void
http_set_body (http_t *self, const char *body, size_t size)
{
    curl_easy_setopt (self->curl, CURLOPT_HTTPGET, 1L);
    if (!body)
        return;
    if (self->gzip) {
        size = http_pack (self, body, size);
        body = self->packed;
    }
    curl_easy_setopt (self->curl, CURLOPT_POST, 1L);
    curl_easy_setopt (self->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt (self->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                      (curl_off_t) size);
}

long
http_send (http_t *self, const char *body, size_t size, zb_reply_t *reply)
{
    struct curl_slist *headers = http_headers (self, body != NULL);
    curl_off_t retry_after = 0;
    long status = 0;
    CURLcode rc;
    http_set_body (self, body, size);
    self->size = 0;
    *self->error = 0;
    curl_easy_setopt (self->curl, CURLOPT_HTTPHEADER, headers);
    rc = curl_easy_perform (self->curl);
    curl_slist_free_all (headers);
    self->text[self->size] = 0;
    curl_easy_getinfo (self->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK && status < 400)
        return http_no_response (self, rc, status, reply);
    //  it has refused, though the connection ended before it had said why: many
    //  close it at once when a request is too large
    if (rc != CURLE_OK && !self->size)
        snprintf (self->text, sizeof self->text, "%s", self->error);
    //  a proxy says so, too, when what is behind it has died after its work
    reply->unsure = status >= 502 && status <= 504;
    curl_easy_getinfo (self->curl, CURLINFO_RETRY_AFTER, &retry_after);
    //  libcurl makes less than nothing of a date that is over
    if (retry_after > 0 && retry_after < RETRY_AFTER_MAX)
        reply->retry_after_ms = (int64_t) retry_after * 1000;
    return status;
}

const char *
http_text (const http_t *self)
{
    return self->text;
}

size_t
http_size (const http_t *self)
{
    return self->size;
}

const char *
http_type (const http_t *self)
{
    const char *type = NULL;
    curl_easy_getinfo (self->curl, CURLINFO_CONTENT_TYPE, &type);
    return type ? type : "";
}
