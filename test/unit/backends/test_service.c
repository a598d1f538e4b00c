/*  test_service.c - what an HTTP service is asked, and what its answers mean

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  strcasestr

#include "service.h"

#include "answers.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>
#include <zlib.h>

#include <setjmp.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define DENIED                                                                 \
    "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

static char s_folder[] = "/tmp/zibrato-service-XXXXXX";
static char s_token[64], s_headers[64];

static service_t s_service;

static void
s_write (const char *path, const char *text)
{
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
}

static int
s_setup (void **state)
{
    (void) state;
    s_service = (service_t){SERVICE_DEFAULTS,
                            .http = {.type = "text/plain", .timeout = 15}};
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    service_close (&s_service);
    return 0;
}

static void
s_post (zb_outcome_t outcome, zb_reply_t *reply)
{
    memset (reply, 0, sizeof *reply);
    assert_int_equal (service_post (&s_service, "body", 4, reply, NULL),
                      outcome);
}

//  The last one that it has; a header must not be there twice.
static const char *
s_header (const asked_t *asked, const char *name)
{
    static char value[256];
    char *at = strcasestr (asked->text, name);
    assert_true (!at || at < asked->body);
    if (!at)
        return NULL;
    assert_true (!strcasestr (at + 1, name)
                 || strcasestr (at + 1, name) > asked->body);
    snprintf (value, sizeof value, "%.*s",
              (int) strcspn (at + strlen (name), "\r"), at + strlen (name));
    return value;
}

//  --------------------------------------------------------------------------
//  Headers and credentials

static void
test_headers (void **state)
{
    static const char *texts[] = {"api-key: secret", "X-Two:2"};
    static const char *const answers[] = {OK, NULL};
    answers_t server;
    zb_reply_t reply;
    (void) state;
    answers_start (&server, answers, NULL);
    s_service.http.url = server.url;
    s_service.http.password = "word";
    s_service.headers = (zb_list_t){texts, 2};
    s_service.more_headers.path = s_headers;
    s_write (s_headers, "#  of theirs\n\nX-Three: 3\r\nX-Four: 4");
    assert_null (service_check (&s_service));
    s_post (ZB_DELIVERED, &reply);
    answers_end (&server);
    assert_string_equal (s_header (server.asked, "\r\napi-key: "), "secret");
    assert_string_equal (s_header (server.asked, "\r\nX-Two:"), "2");
    assert_string_equal (s_header (server.asked, "\r\nX-Three: "), "3");
    assert_string_equal (s_header (server.asked, "\r\nX-Four: "), "4");
    assert_string_equal (s_header (server.asked, "\r\nAuthorization: "),
                         "Bearer word");
    assert_string_equal (s_header (server.asked, "\r\nContent-Type: "),
                         "text/plain");
    assert_null (s_header (server.asked, "\r\nExpect"));
    assert_null (s_header (server.asked, "\r\nContent-Encoding"));
    assert_memory_equal (server.asked->body, "body", 4);
    answers_clear (&server);
}

//  A token with a name is HTTP Basic, without one it is the service's scheme. Both
//  files are read again when they have changed; one that is empty is not done yet.
static void
test_secrets (void **state)
{
    static const char *const answers[] = {OK, DENIED, OK, OK, NULL};
    static const zb_outcome_t outcomes[] = {ZB_DELIVERED, ZB_HOLD, ZB_DELIVERED,
                                            ZB_DELIVERED};
    static const char *const tokens[] = {"one\nnot this", "two\n", "", "three"};
    static const char *const sent[] = {"Token one", "Token two", "Token two",
                                       "Basic dTp0aHJlZQ=="};
    answers_t server;
    zb_reply_t reply;
    size_t i;
    (void) state;
    answers_start (&server, answers, NULL);
    s_service.http.url = server.url;
    s_service.scheme = "Token";
    s_service.token.path = s_token;
    for (i = 0; i < 4; i++) {
        char header[32];
        s_write (s_token, tokens[i]);
        s_service.more_headers.path = s_headers;
        snprintf (header, sizeof header, "X-Try: %zu\n", i);
        s_write (s_headers, header);
        if (i == 0)
            assert_null (service_check (&s_service));
        if (i == 3)
            s_service.http.username = "u";
        s_post (outcomes[i], &reply);
    }
    answers_end (&server);
    for (i = 0; i < 4; i++) {
        assert_string_equal (s_header (&server.asked[i], "\r\nAuthorization: "),
                             sent[i]);
        assert_int_equal (s_header (&server.asked[i], "\r\nX-Try: ")[0],
                          '0' + (int) i);
    }
    answers_clear (&server);
}

static void
test_check (void **state)
{
    static const char *const bad[] = {"",        ":",      "a",       "a b: c",
                                      "a:",      "a: ",    "a: b\nc", "a;",
                                      "a: b\rc", ": value"};
    static const char *text;
    size_t i;
    (void) state;
    assert_string_equal (service_check (&s_service), "expected --url");
    s_service.http.url = "ftp://here";
    assert_non_null (service_check (&s_service));
    s_service.http.url = "http://here";
    assert_null (service_check (&s_service));
    s_service.headers = (zb_list_t){&text, 1};
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        text = bad[i];
        assert_string_equal (service_check (&s_service),
                             "--header: expected 'NAME: VALUE'");
    }
    text = "a:b";
    assert_null (service_check (&s_service));
    s_service.http.username = "me";
    assert_non_null (strstr (service_check (&s_service), "--username"));
    s_service.http.username = NULL;
    s_service.token.path = "/nonexistent";
    assert_non_null (strstr (service_check (&s_service), "--token-file /none"));
    s_service.token.path = s_token;
    s_write (s_token, "\n");
    assert_non_null (strstr (service_check (&s_service), "expected a token"));
    s_write (s_token, "word\n");
    assert_null (service_check (&s_service));
    s_service.more_headers.path = s_headers;
    s_write (s_headers, "X-Good: 1\nnone\n");
    assert_non_null (strstr (service_check (&s_service), "--header-file"));
}

//  --------------------------------------------------------------------------
//  Bodies

static size_t
s_unpack (const asked_t *asked, char *body, size_t size)
{
    z_stream stream = {.next_in = (unsigned char *) (uintptr_t) asked->body,
                       .avail_in = (unsigned) asked->body_size,
                       .next_out = (unsigned char *) body,
                       .avail_out = (unsigned) size};
    assert_int_equal (inflateInit2 (&stream, 15 + 16), Z_OK);
    assert_int_equal (inflate (&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd (&stream);
    return stream.total_out;
}

//  Empty, small, and large enough that a connection's buffers do not hold it; each
//  comes out as it went in.
static void
test_gzip (void **state)
{
    static const char *const answers[] = {OK, OK, OK, NULL};
    static const size_t sizes[] = {0, 5, 3000000};
    char *body = malloc (sizes[2]), *unpacked = malloc (sizes[2] + 1);
    answers_t server;
    zb_reply_t reply;
    size_t i;
    (void) state;
    for (i = 0; i < sizes[2]; i++)
        body[i] = (char) ("0123456789\0\xff\n"[i % 13] + (char) (i / 100000));
    answers_start (&server, answers, NULL);
    s_service.http.url = server.url;
    s_service.http.gzip = 1;
    for (i = 0; i < 3; i++)
        assert_int_equal (
          service_post (&s_service, body, sizes[i], &reply, NULL),
          ZB_DELIVERED);
    answers_end (&server);
    for (i = 0; i < 3; i++) {
        assert_string_equal (
          s_header (&server.asked[i], "\r\nContent-Encoding: "), "gzip");
        assert_int_equal (s_unpack (&server.asked[i], unpacked, sizes[2] + 1),
                          sizes[i]);
        assert_memory_equal (unpacked, body, sizes[i]);
    }
    assert_true (server.asked[2].body_size < sizes[2] / 20);
    answers_clear (&server);
    free (body);
    free (unpacked);
}

static zb_outcome_t
s_read_bytes (const http_t *http, long status, zb_outcome_t outcome,
              zb_reply_t *reply)
{
    (void) reply;
    assert_int_equal (status, 200);
    assert_int_equal (outcome, ZB_DELIVERED);
    assert_int_equal (http_size (http), 5);
    assert_memory_equal (http_text (http), "a\0b\0\xff", 6);
    assert_string_equal (http_type (http), "application/x-protobuf");
    return ZB_REFUSED;
}

//  A response may have any bytes; the backend says what it means.
static void
test_bytes (void **state)
{
    static const char bytes[] =
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
      "Content-Length: 5\r\n\r\na\0b\0\xff";
    static const char *const answers[] = {bytes, NULL};
    static const size_t sizes[] = {sizeof bytes - 1};
    answers_t server;
    zb_reply_t reply = {.at_fault = NULL};
    (void) state;
    answers_start (&server, answers, sizes);
    s_service.http.url = server.url;
    assert_int_equal (service_post (&s_service, "", 0, &reply, s_read_bytes),
                      ZB_REFUSED);
    answers_end (&server);
    answers_clear (&server);
}

//  --------------------------------------------------------------------------
//  Answers

#define BUSY(value)                                                            \
    "HTTP/1.1 429 Busy\r\nConnection: close\r\nContent-Length: 4\r\n"          \
    "Retry-After: " value "\r\n\r\nwait"

//  Seconds, or a date. One that is over, or makes no sense, asks for nothing.
static void
test_retry_after (void **state)
{
    char later[256], date[64];
    time_t then = time (NULL) + 100;
    const char *answers[] = {BUSY ("7"), later,
                             BUSY ("Sun, 06 Nov 1994 08:49:37 GMT"),
                             BUSY ("soon"), NULL};
    answers_t server;
    zb_reply_t reply;
    struct tm utc;
    (void) state;
    strftime (date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT",
              gmtime_r (&then, &utc));
    snprintf (later, sizeof later,
              "HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: %s\r\n"
              "Content-Length: 0\r\n\r\n",
              date);
    answers_start (&server, answers, NULL);
    s_service.http.url = server.url;
    s_post (ZB_RETRY, &reply);
    assert_int_equal (reply.retry_after_ms, 7000);
    assert_string_equal (reply.reason, "status 429 wait");
    s_post (ZB_RETRY, &reply);
    assert_in_range (reply.retry_after_ms, 40000, 100000);
    s_post (ZB_RETRY, &reply);
    assert_int_equal (reply.retry_after_ms, 0);
    s_post (ZB_RETRY, &reply);
    assert_int_equal (reply.retry_after_ms, 0);
    answers_end (&server);
    answers_clear (&server);
}

static void
test_statuses (void **state)
{
    static const http_status_t own[] = {
      {408, 408, ZB_REFUSED}, {500, 500, ZB_REFUSED}, {0, 0, ZB_HOLD}};
    static const struct {
        long status;
        zb_outcome_t ours, own;
    } cases[] = {
      {200, ZB_DELIVERED, ZB_DELIVERED}, {204, ZB_DELIVERED, ZB_DELIVERED},
      {301, ZB_HOLD, ZB_HOLD},           {400, ZB_REFUSED, ZB_REFUSED},
      {401, ZB_HOLD, ZB_HOLD},           {408, ZB_RETRY, ZB_REFUSED},
      {429, ZB_RETRY, ZB_RETRY},         {500, ZB_FAILED, ZB_REFUSED},
      {501, ZB_FAILED, ZB_FAILED},       {503, ZB_RETRY, ZB_RETRY}};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal (http_outcome (NULL, cases[i].status), cases[i].ours);
        assert_int_equal (http_outcome (own, cases[i].status), cases[i].own);
    }
}

//  What is for POST only answers anything to GET; only credentials matter.
static void
test_connect (void **state)
{
    static const char *const answers[] = {
      "HTTP/1.1 405 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      DENIED, NULL};
    answers_t server;
    zb_reply_t reply = {.at_fault = NULL};
    (void) state;
    answers_start (&server, answers, NULL);
    s_service.http.url = server.url;
    assert_int_equal (service_connect (&s_service, &reply), ZB_DELIVERED);
    assert_int_equal (service_connect (&s_service, &reply), ZB_HOLD);
    assert_string_equal (reply.reason, "status 401 ");
    answers_end (&server);
    assert_memory_equal (server.asked->text, "GET /v1/metrics ", 16);
    answers_clear (&server);
    assert_int_equal (service_connect (&s_service, &reply), ZB_RETRY);
}

int
main (void)
{
#define SERVICE_TEST(test)                                                     \
    cmocka_unit_test_setup_teardown (test, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      SERVICE_TEST (test_headers),  SERVICE_TEST (test_secrets),
      SERVICE_TEST (test_check),    SERVICE_TEST (test_gzip),
      SERVICE_TEST (test_bytes),    SERVICE_TEST (test_retry_after),
      SERVICE_TEST (test_statuses), SERVICE_TEST (test_connect)};
    int failed;
    if (!mkdtemp (s_folder))
        return 1;
    snprintf (s_token, sizeof s_token, "%s/token", s_folder);
    snprintf (s_headers, sizeof s_headers, "%s/headers", s_folder);
    failed = cmocka_run_group_tests (tests, NULL, NULL);
    unlink (s_token);
    unlink (s_headers);
    rmdir (s_folder);
    return failed;
}
