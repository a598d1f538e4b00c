/*  test_librato.c - what the Librato backend makes of names and of responses

    The bodies are those that users and makers of clients have posted, traps
    included: a name as text or array, errors as text, array or object, one
    level deeper than documented, not JSON at all, nothing.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define main zibrato_main
#include "../../../zibrato.c"
#undef main
#include "../../../contrib/backends/fitted.c"
#include "../../../contrib/backends/label.c"
#include "../../../contrib/backends/librato.c"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <setjmp.h>

#include <cmocka.h>

//  --------------------------------------------------------------------------
//  Names

static void
test_sanitise (void **state)
{
    static const struct {
        const char *text, *clean;
        int is_source, changed;
    } names[] = {
      {"requests", "requests", 0, 0}, {"A-z_0.9:x", "A-z_0.9:x", 0, 0},
      {"a b", "a_b", 0, 1},           {"a/b#c@d", "a_b_c_d", 0, 1},
      {"\xc3\xa4", "__", 0, 1},       {"%", "_", 0, 1},
      {"all", "all", 0, 0},           {"all", "all_", 1, 1},
      {"ALL", "ALL_", 1, 1},          {"aLl", "aLl_", 1, 1},
      {"all_", "all_", 1, 0},         {"allo", "allo", 1, 0},
      {"web1", "web1", 1, 0}};
    char clean[LABEL_MAX + 2];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal (
          label_clean (clean, names[i].text, names[i].is_source),
          names[i].changed);
        assert_string_equal (clean, names[i].clean);
    }
}

static void
test_sanitise_size (void **state)
{
    char text[400], clean[LABEL_MAX + 2];
    (void) state;
    memset (text, 'x', sizeof text);
    text[255] = 0;
    assert_int_equal (label_clean (clean, text, 0), 0);
    assert_string_equal (clean, text);
    text[255] = 'x';
    text[256] = 0;
    assert_int_equal (label_clean (clean, text, 1), 1);
    assert_int_equal (strlen (clean), 255);
}

//  Every byte there is becomes one that the service takes.
static void
test_sanitise_bytes (void **state)
{
    char text[2] = "", clean[LABEL_MAX + 2];
    int c;
    (void) state;
    for (c = 1; c < 256; c++) {
        int fine;
        text[0] = (char) c;
        fine = strspn (text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                             "wxyz0123456789.:_-")
               == 1;
        assert_int_equal (label_clean (clean, text, 0), !fine);
        assert_string_equal (clean, fine ? text : "_");
    }
}

//  A name and a source become others, each by its rules.
static void
test_fit (void **state)
{
    char fitted[ZB_NAME_MAX + 1];
    (void) state;
    assert_int_equal (label_fit ("my timer", 0, fitted), 1);
    assert_string_equal (fitted, "my_timer");
    assert_int_equal (label_fit ("all", 0, fitted), 0);
    assert_string_equal (fitted, "all");
    assert_int_equal (label_fit ("all", 1, fitted), 1);
    assert_string_equal (fitted, "all_");
    assert_int_equal (label_fit ("n;code=200;route=/a", 0, fitted), 1);
    assert_string_equal (fitted, "n.code.200.route._a");
    assert_int_equal (label_fit ("n;b=1;a=2", 0, fitted), 1);  //  no tags
    assert_string_equal (fitted, "n_b_1_a_2");
    zhash_destroy (&s_originals);
}

//  Tags that the service takes as such.
static void
test_fit_tagged (void **state)
{
    static const struct {
        const char *text, *fitted;
        int changed;
    } cases[] = {{"n;code=200;route=/a", "n;code=200;route=/a", 0},
                 {"n", "n", 0},
                 {"my name;k=a b", "my_name;k=a b", 1},
                 {"n;K=V", "n;k=v", 1},
                 {"n;B=1;a=2", "n;a=2;b=1", 1},
                 {"n;A=1;a=2", "n;a=1", 1},
                 {"n;source=x", "n;_source=x", 1},
                 {"n;k=\xc3\xa4=?\\", "n;k=___?\\", 1}};
    char fitted[ZB_NAME_MAX + 1];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal (label_fit_tagged (cases[i].text, fitted),
                          cases[i].changed);
        assert_string_equal (fitted, cases[i].fitted);
    }
    zhash_destroy (&s_originals);
}

//  Whatever a name is, what comes of it is a name, and fits.
static void
test_fit_tagged_any (void **state)
{
    char name[ZB_NAME_MAX + 1], fitted[ZB_NAME_MAX + 1], again[ZB_NAME_MAX + 1];
    int i;
    (void) state;
    for (i = 0; i < 20000; i++) {
        size_t size = 1 + (size_t) rand () % ZB_NAME_MAX, at;
        for (at = 0; at < size; at++)
            name[at] = "nkK;=;=. \xc3z"[(size_t) rand () % 11];
        name[size] = 0;
        memcpy (name, "n;a=", size < 4 ? size : 4);
        label_fit_tagged (name, fitted);
        assert_true (line_name_ok (fitted, strlen (fitted)));
        assert_int_equal (label_fit_tagged (fitted, again), 0);
    }
    zhash_destroy (&s_originals);
}

//  The only gauge of a body with this row. Caller owns the return value.
static cJSON *
s_gauge (const zb_row_t *row)
{
    char *text = librato_gauges (row, 1, false);
    cJSON *json = cJSON_Parse (text), *gauges, *gauge;
    assert_non_null (json);
    gauges = cJSON_GetObjectItem (json, "gauges");
    assert_int_equal (cJSON_GetArraySize (gauges), 1);
    gauge = cJSON_DetachItemFromArray (gauges, 0);
    cJSON_Delete (json);
    free (text);
    return gauge;
}

static double
s_number (const cJSON *json, const char *name)
{
    return cJSON_GetObjectItem (json, name)->valuedouble;
}

static void
test_body (void **state)
{
    zb_row_t row = {.type = ZB_TYPE_TIMER,
                    .name = "my_timer",
                    .source = "all_",
                    .time_ns = INT64_C (1700000000) * 1000000000,
                    .count = 1,
                    .value = 0.1,
                    .sum = 0.1};
    cJSON *json = s_gauge (&row);
    (void) state;
    assert_string_equal (cJSON_GetObjectItem (json, "name")->valuestring,
                         "my_timer");
    assert_string_equal (cJSON_GetObjectItem (json, "source")->valuestring,
                         "all_");
    assert_true (s_number (json, "measure_time") == 1700000000);
    assert_true (s_number (json, "value") == 0.1);
    assert_null (cJSON_GetObjectItem (json, "count"));
    assert_null (cJSON_GetObjectItem (json, "type"));
    cJSON_Delete (json);
    row.count = 2;
    row.min = 0.04;
    row.max = 0.06;
    row.sum_squares = 0.0052;
    json = s_gauge (&row);
    assert_null (cJSON_GetObjectItem (json, "value"));
    assert_true (s_number (json, "count") == 2);
    assert_true (s_number (json, "sum") == 0.1);
    assert_true (s_number (json, "min") == 0.04);
    assert_true (s_number (json, "max") == 0.06);
    assert_true (s_number (json, "sum_squares") == 0.0052);
    cJSON_Delete (json);
}

//  {"scale":5,"index":[-3,7],"count":[1,2]}, and only if they are asked for.
static void
test_histograms (void **state)
{
    static const zb_bucket_t buckets[] = {{-3, 1}, {7, 2}};
    zb_row_t row = {.type = ZB_TYPE_TIMER,
                    .name = "t",
                    .source = "s",
                    .count = 3,
                    .buckets = buckets,
                    .bucket_count = 2};
    char *with = librato_gauges (&row, 1, true);
    char *without = librato_gauges (&row, 1, false);
    (void) state;
    assert_non_null (strstr (
      with, "\"buckets\":{\"scale\":5,\"index\":[-3,7],\"count\":[1,2]}"));
    assert_null (strstr (without, "buckets"));
    free (with);
    free (without);
}

static void
test_measurements (void **state)
{
    static const zb_tag_t tags[] = {{"code", "200"}};
    zb_row_t row = {.type = ZB_TYPE_TIMER,
                    .name = "t",
                    .source = "web1",
                    .tags = tags,
                    .tag_count = 1,
                    .time_ns = INT64_C (1700000000) * 1000000000,
                    .count = 2,
                    .sum = 0.5,
                    .min = 0.2,
                    .max = 0.3,
                    .sum_squares = 0.13};
    char *text = librato_measurements (&row, 1, false);
    (void) state;
    assert_string_equal (
      text, "{\"measurements\":[{\"name\":\"t\",\"time\":1700000000,"
            "\"count\":2,\"sum\":0.5,\"min\":0.2,\"max\":0.3,"
            "\"tags\":{\"source\":\"web1\",\"code\":\"200\"}}]}");
    free (text);
}

static void
test_partly (void **state)
{
    zb_reply_t reply = {.refused = 0};
    (void) state;
    librato_partly ("", &reply);
    librato_partly ("{\"measurements\":{\"summary\":{\"total\":2,"
                    "\"accepted\":2,\"failed\":0}},\"errors\":[]}",
                    &reply);
    assert_int_equal (reply.refused, 0);
    librato_partly ("{\"measurements\":{\"summary\":{\"total\":174,"
                    "\"accepted\":78,\"failed\":96}},\"errors\":[{\"param\":"
                    "\"tag_value\",\"reason\":\"Invalid format\"}]}",
                    &reply);
    assert_int_equal (reply.refused, 96);
    assert_non_null (strstr (reply.reason, "Invalid format"));
}

//  Whole numbers or not: 15 digits if they read back the same, else 17.
static void
test_numbers (void **state)
{
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    -7,
                                    0.1,
                                    1.5,
                                    1e14,
                                    1e15,
                                    1e16,
                                    -1e15,
                                    1e22,
                                    1e126,
                                    1. / 3,
                                    1e-130,
                                    999999999999999,
                                    -999999999999999,
                                    9007199254740991,
                                    9007199254740992};
    char wanted[64], *text;
    size_t i;
    (void) state;
    for (i = 0; i < sizeof values / sizeof *values; i++) {
        zb_row_t row = {
          .name = "n", .source = "s", .count = 1, .value = values[i]};
        snprintf (wanted, sizeof wanted, "\"value\":%.15g}", values[i]);
        if (strtod (wanted + 8, NULL) != values[i])
            snprintf (wanted, sizeof wanted, "\"value\":%.17g}", values[i]);
        text = zb_row_json (&row, 0);
        assert_string_equal (strstr (text, "\"value\""), wanted);
        free (text);
    }
}

//  Names that collide without end are not kept without end.
static void
test_collisions (void **state)
{
    char name[32], fitted[ZB_NAME_MAX + 1];
    int i;
    (void) state;
    for (i = 0; i < 2 * FITTED_MAX; i++) {
        snprintf (name, sizeof name, "%d?", i);
        assert_int_equal (label_fit (name, 0, fitted), 1);
    }
    assert_int_equal (zhash_size (s_originals), FITTED_MAX);
    librato_close ();
}

//  --------------------------------------------------------------------------
//  Responses

static zb_outcome_t
s_outcome (long status, const char *body, zb_reply_t *reply)
{
    memset (reply, 0, sizeof *reply);
    bool too_old;
    return librato_outcome (status, body, reply, &too_old);
}

static void
test_status (void **state)
{
    long status;
    zb_reply_t reply;
    (void) state;
    for (status = 100; status < 600; status++) {
        zb_outcome_t wanted = ZB_HOLD;  //  1xx, 3xx
        if (status >= 200 && status < 300)
            wanted = ZB_DELIVERED;
        if (status >= 400 && status < 500)
            wanted = ZB_REFUSED;
        if (status == 400 || status >= 500)
            wanted = ZB_FAILED;
        if (status == 408 || status == 425 || status == 429
            || (status >= 502 && status <= 504))
            wanted = ZB_RETRY;
        if (status == 401 || (status >= 403 && status <= 405) || status == 407)
            wanted = ZB_HOLD;
        if (s_outcome (status, "", &reply) != wanted)
            fail_msg ("status %ld: expected %d", status, (int) wanted);
    }
}

// clang-format off
static const struct {
    long status;
    zb_outcome_t outcome;
    const char *body;
    const char *says[3];            //  in the reason, in this order
} s_responses[] = {
  {200, ZB_DELIVERED, "", {"200"}},
  {400, ZB_REFUSED, "{\"errors\":{\"request\":[\"Must contain a measurement\"]}}",
   {"request", "Must contain a measurement"}},
  {400, ZB_REFUSED, "{\"errors\":{\"request\":\"Must contain a measurement\"}}",
   {"request", "Must contain a measurement"}},
  {400, ZB_REFUSED, "{\"errors\":{\"params\":{\"name\":[\"is not present\"]}}}",
   {"name", "is not present"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"sum\":[\"is required\"],\"name\":\"M\"}}}",
   {"sum", "is required", "M"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"value\":[\"must be positive\"],\"name\":[\"M\"]}},"
   "\"request_time\":1431104281}", {"value", "must be positive", "M"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"measure_time\":[\"is too far in the past\"]}},"
   "\"request_time\":1}", {"measure_time", "is too far in the past"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"type\":[\"'M' is a counter, but was submitted as "
   "different type\"]}}}", {"type", "'M' is a counter"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"gauges\":{\"x\":{\"value\":[\"is bad\"]}}}}}",
   {"gauges", "value", "is bad"}},
  {400, ZB_REFUSED, "{\"errors\":[\"first thing\",\"second thing\"]}",
   {"first thing", "second thing"}},
  {400, ZB_REFUSED,
   "{\"errors\":{\"params\":{\"a\":[\"one\"]},\"request\":[\"two\"]}}",
   {"one", "two"}},
  {400, ZB_REFUSED, "{\"errors\":\"flat text\"}", {"flat text"}},
  {400, ZB_REFUSED, "{\"errors\":{}}", {"400"}},
  {400, ZB_REFUSED, "{\"errors\":null}", {"400"}},
  {400, ZB_REFUSED, "{\"errors\":42}", {"400"}},
  {400, ZB_REFUSED, "[]", {"400"}},
  {400, ZB_REFUSED, "[\"errors\"]", {"400"}},
  {400, ZB_REFUSED, "null", {"400"}},
  {400, ZB_REFUSED, "\"errors\"", {"400"}},
  {400, ZB_FAILED, "{\"errors\":{\"params\":{\"name\":[\"cut", {"400"}},
  {400, ZB_REFUSED, "{\"errors\":{\"params\":[[[[[[\"deep\"]]]]]]}}", {"deep"}},
  {400, ZB_FAILED, "<html><head><title>400 Bad Request</title></head>\r\n"
   "<body>awselb/2.0</body></html>", {"400 Bad Request"}},
  {400, ZB_FAILED, "", {"400"}},
  {401, ZB_HOLD, "Credentials are required to access this resource.",
   {"Credentials are required"}},
  {401, ZB_HOLD, "{\"errors\":{\"request\":[\"Authorization Required\"]}}",
   {"Authorization Required"}},
  {403, ZB_HOLD, "{\"errors\":{\"request\":[\"Please use secured connection "
   "through https!\",\"more\"]}}", {"https", "more"}},
  {403, ZB_HOLD, "{\"errors\":{\"request\":[\"This token is not permitted\"]}}",
   {"not permitted"}},
  {403, ZB_RETRY, "{\"request_time\":1,\"error\":\"You have hit the API limit for"
   " measurements [measure:raw_rate]. Contact: x\"}", {"hit the API limit"}},
  {403, ZB_HOLD, "{\"error\":42}", {"403"}},
  {403, ZB_HOLD, "", {"403"}},
  {413, ZB_REFUSED, "", {"413"}},
  {429, ZB_RETRY, "{\"errors\":{\"request\":[\"slow down\"]}}", {"slow down"}},
  {503, ZB_RETRY, "{\"errors\":{\"system\":[\"The API is currently down for "
   "maintenance.\"]}}", {"system", "maintenance"}},
  {500, ZB_FAILED, "", {"500"}}, {502, ZB_RETRY, "<html>", {"502"}},
  {302, ZB_HOLD, "", {"302"}}};
// clang-format on

static void
test_responses (void **state)
{
    zb_reply_t reply;
    size_t i, j;
    (void) state;
    for (i = 0; i < sizeof s_responses / sizeof *s_responses; i++) {
        zb_outcome_t got =
          s_outcome (s_responses[i].status, s_responses[i].body, &reply);
        const char *at = reply.reason;
        char status[8];
        if (got != s_responses[i].outcome)
            fail_msg ("%ld %s: %d", s_responses[i].status, s_responses[i].body,
                      (int) got);
        snprintf (status, sizeof status, "%ld", s_responses[i].status);
        assert_non_null (strstr (reply.reason, status));
        for (j = 0; j < 3 && s_responses[i].says[j]; j++) {
            at = strstr (at, s_responses[i].says[j]);
            if (!at)
                fail_msg ("%s: %s lacks %s", s_responses[i].body, reply.reason,
                          s_responses[i].says[j]);
        }
    }
}

//  Only the service's word about a time counts, not a name that looks like it.
static void
test_too_old (void **state)
{
    static const struct {
        const char *body;
        bool too_old;
    } bodies[] = {
      {"{\"errors\":{\"params\":{\"measure_time\":[\"is too far in the past\"]}}}",
       true},
      {"{\"errors\":{\"params\":{\"measure_time\":\"is too far in the past\"}}}",
       true},
      {"{\"errors\":{\"params\":{\"measure_time\":[\"is out of range\"]}}}",
       false},
      {"{\"errors\":{\"params\":{\"name\":[\"measure_time past\"]}}}", false},
      {"{\"errors\":{\"measure_time\":[\"past\"]}}", false},
      {"{\"errors\":\"measure_time is in the past\"}", false},
      {"measure_time is too far in the past", false}};
    zb_reply_t reply;
    (void) state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        bool too_old = !bodies[i].too_old;
        librato_outcome (400, bodies[i].body, &reply, &too_old);
        assert_int_equal (too_old, bodies[i].too_old);
    }
}

//  A body that is large, deep or full of errors makes a reason that is cut.
static void
test_response_sizes (void **state)
{
    static char body[64 * 1024];
    zb_reply_t reply;
    size_t i, used;
    (void) state;
    memset (body, 'x', sizeof body - 1);
    assert_int_equal (s_outcome (400, body, &reply), ZB_FAILED);
    assert_true (strlen (reply.reason) > 100);
    used = (size_t) sprintf (body, "{\"errors\":[");
    for (i = 0; i < 5000; i++)
        used += (size_t) sprintf (body + used, "%s\"error\"", i ? "," : "");
    sprintf (body + used, "]}");
    assert_int_equal (s_outcome (400, body, &reply), ZB_REFUSED);
    assert_non_null (strstr (reply.reason, "error"));
    used = (size_t) sprintf (body, "{\"errors\":");
    memset (body + used, '[', 30000);
    memset (body + used + 30000, ']', 30000);
    strcpy (body + used + 60000, "}");
    assert_int_equal (s_outcome (400, body, &reply), ZB_FAILED);
}

//  --------------------------------------------------------------------------
//  Options

static void
test_check (void **state)
{
    char path[] = "/tmp/zibrato-token-XXXXXX";
    int fd = mkstemp (path);
    (void) state;
    s_librato.service.http.username = NULL;
    assert_non_null (strstr (librato_check (), "--username"));
    s_librato.service.http.username = "me@example.com";
    assert_non_null (strstr (librato_check (), "--apitoken"));
    s_librato.service.http.password = "";
    assert_non_null (strstr (librato_check (), "--apitoken"));
    s_librato.service.http.password = "t0ken";
    assert_null (librato_check ());
    s_librato.service.http.url = "ftp://example.com";
    assert_non_null (strstr (librato_check (), "--url"));
    s_librato.service.http.url = "https://me:t@example.com/v1/metrics";
    assert_non_null (strstr (librato_check (), "credentials"));
    s_librato.service.http.url = "http://127.0.0.1:1/v1/metrics";
    assert_null (librato_check ());
    //  a file's first line
    s_librato.service.token.path = path;
    assert_non_null (strstr (librato_check (), "--apitoken"));
    assert_int_equal (write (fd, "fr0mfile\r\nsecond\n", 17), 17);
    assert_null (librato_check ());
    assert_string_equal (s_librato.service.http.password, "fr0mfile");
    close (fd);
    unlink (path);
    assert_non_null (strstr (librato_check (), "No such file"));
    secret_clear (&s_librato.service.token);
}

//  A token's file may be replaced, or written to, at any time; what is no token
//  leaves the old one.
static void
test_secret (void **state)
{
    char path[] = "/tmp/zibrato-token-XXXXXX";
    int fd = mkstemp (path);
    secret_t secret = {.path = path};
    (void) state;
    assert_false (secret_read (&secret));
    assert_null (secret.text);
    assert_int_equal (pwrite (fd, "first\n", 6, 0), 6);
    assert_true (secret_read (&secret));
    assert_string_equal (secret.text, "first");
    assert_false (secret_read (&secret));
    assert_int_equal (pwrite (fd, "other, and longer\n", 18, 0), 18);
    assert_true (secret_read (&secret));
    assert_string_equal (secret.text, "other, and longer");
    assert_int_equal (ftruncate (fd, 0), 0);
    assert_false (secret_read (&secret));
    assert_string_equal (secret.text, "other, and longer");
    //  the same size, and so soon that the file's times may be the same
    assert_int_equal (pwrite (fd, "third\n", 6, 0), 6);
    assert_true (secret_read (&secret));
    assert_int_equal (pwrite (fd, "forth\n", 6, 0), 6);
    secret_doubt (&secret);
    assert_true (secret_read (&secret));
    assert_string_equal (secret.text, "forth");
    unlink (path);
    assert_false (secret_read (&secret));
    assert_string_equal (secret.text, "forth");
    secret_clear (&secret);
    close (fd);
}

//  --------------------------------------------------------------------------
//  Somebody who answers one connection, and closes it

typedef struct {
    int fd;
    char url[64];
    const char *asked, *answer;  //  how the request begins; all of the answer
    pthread_t thread;
} server_t;

//  Thread.
static void *
server_run (void *argument)
{
    server_t *self = (server_t *) argument;
    size_t size = strlen (self->answer);
    char request[4096];
    int fd = accept (self->fd, NULL, NULL);
    assert_true (read (fd, request, sizeof request) > 0);
    assert_int_equal (strncmp (request, self->asked, strlen (self->asked)), 0);
    assert_int_equal (write (fd, self->answer, size), size);
    close (fd);
    return NULL;
}

static void
server_start (server_t *self, const char *asked, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    self->fd = socket (AF_INET, SOCK_STREAM, 0);
    self->asked = asked;
    self->answer = answer;
    assert_int_equal (bind (self->fd, (struct sockaddr *) &address, size), 0);
    assert_int_equal (listen (self->fd, 1), 0);
    getsockname (self->fd, (struct sockaddr *) &address, &size);
    snprintf (self->url, sizeof self->url, "http://127.0.0.1:%d",
              ntohs (address.sin_port));
    pthread_create (&self->thread, NULL, server_run, self);
    s_librato.service.http.username = "me";
    s_librato.service.http.password = "t0ken";
    s_librato.service.token.path = NULL;
}

static void
server_end (server_t *self)
{
    pthread_join (self->thread, NULL);
    librato_close ();
    close (self->fd);
}

//  A proxy lets nobody through.
static void
test_proxy (void **state)
{
    zb_reply_t reply = {.at_fault = NULL};
    server_t server;
    (void) state;
    server_start (&server, "CONNECT ",
                  "HTTP/1.1 407 Proxy Authentication Required\r\n"
                  "Content-Length: 0\r\n\r\n");
    setenv ("https_proxy", server.url, 1);
    s_librato.service.http.url = "https://metrics.invalid/v1/metrics";
    assert_int_equal (librato_connect (&reply), ZB_HOLD);
    assert_non_null (strstr (reply.reason, "407"));
    unsetenv ("https_proxy");
    server_end (&server);
}

//  The connection ends before the answer does. What was refused is refused; what
//  was taken may not have been.
static void
test_torn (void **state)
{
    static const struct {
        const char *answer;
        zb_outcome_t outcome;
        int unsure;
        const char *reason;
    } cases[] = {{"HTTP/1.1 413 Too Large\r\nContent-Length: 99\r\n\r\n",
                  ZB_REFUSED, 0, "status 413 transfer closed"},
                 {"HTTP/1.1 422 No\r\nContent-Length: 99\r\n\r\n<p>No",
                  ZB_REFUSED, 0, "status 422 <p>No"},
                 {"HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n{\"errors",
                  ZB_FAILED, 0, "status 400 {\"errors"},
                 {"HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\n", ZB_RETRY, 1,
                  "status 503 transfer closed"},
                 {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ZB_RETRY, 1,
                  "transfer closed"},
                 {"", ZB_FAILED, 1, "Empty reply"}};
    const zb_row_t rows[] = {
      {.type = ZB_TYPE_COUNTER, .name = "n", .source = "s", .count = 1}};
    size_t i;
    (void) state;
    s_librato.service.http.timeout = 15;
    s_librato.service.http.type = "application/json";
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        zb_reply_t reply = {.at_fault = NULL};
        server_t server;
        server_start (&server, "POST ", cases[i].answer);
        s_librato.service.http.url = server.url;
        assert_int_equal (librato_deliver (rows, 1, &reply), cases[i].outcome);
        assert_int_equal (reply.unsure, cases[i].unsure);
        assert_memory_equal (reply.reason, cases[i].reason,
                             strlen (cases[i].reason));
        server_end (&server);
    }
}

//  With tags an answer may say that a part was taken.
static void
test_answer_partly (void **state)
{
    const zb_row_t rows[] = {
      {.type = ZB_TYPE_COUNTER, .name = "n", .source = "s", .count = 1}};
    zb_reply_t reply = {.at_fault = NULL};
    server_t server;
    (void) state;
    s_librato.tags = "measurements";
    server_start (&server, "POST ",
                  "HTTP/1.1 202 Yes\r\nContent-Length: 41\r\n\r\n"
                  "{\"measurements\":{\"summary\":{\"failed\":1}}}");
    s_librato.service.http.url = server.url;
    assert_int_equal (librato_deliver (rows, 1, &reply), ZB_DELIVERED);
    assert_int_equal (reply.refused, 1);
    server_end (&server);
    s_librato.tags = "fold";
}

//  Nobody is there: nothing was sent, so that no row can be at fault.
static void
test_nobody (void **state)
{
    const zb_row_t rows[] = {
      {.type = ZB_TYPE_COUNTER, .name = "n", .source = "s", .count = 1}};
    zb_reply_t reply = {.at_fault = NULL};
    (void) state;
    s_librato.service.http.url = "http://127.0.0.1:1/v1/metrics";
    assert_int_equal (librato_deliver (rows, 1, &reply), ZB_RETRY);
    assert_int_equal (reply.unsure, 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_sanitise),
                                       cmocka_unit_test (test_sanitise_size),
                                       cmocka_unit_test (test_sanitise_bytes),
                                       cmocka_unit_test (test_fit),
                                       cmocka_unit_test (test_body),
                                       cmocka_unit_test (test_histograms),
                                       cmocka_unit_test (test_measurements),
                                       cmocka_unit_test (test_partly),
                                       cmocka_unit_test (test_fit_tagged),
                                       cmocka_unit_test (test_fit_tagged_any),
                                       cmocka_unit_test (test_numbers),
                                       cmocka_unit_test (test_collisions),
                                       cmocka_unit_test (test_too_old),
                                       cmocka_unit_test (test_status),
                                       cmocka_unit_test (test_responses),
                                       cmocka_unit_test (test_response_sizes),
                                       cmocka_unit_test (test_check),
                                       cmocka_unit_test (test_secret),
                                       cmocka_unit_test (test_proxy),
                                       cmocka_unit_test (test_torn),
                                       cmocka_unit_test (test_answer_partly),
                                       cmocka_unit_test (test_nobody)};
    return cmocka_run_group_tests_name ("librato", tests, NULL, NULL);
}
