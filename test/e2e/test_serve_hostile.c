/*  test_serve_hostile.c - what is thrown at `zibrato serve` by who has no token, or one
    and bad intentions: it answers, stays small, and serves others

    How slow a client may be is in unit.httpd, who may ask in e2e.access.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"

enum { FLOOD = 700, PER_ADDRESS = 256, MEMORY_KIB = 64 * 1024 };

//  --------------------------------------------------------------------------
//  Connections

static int
s_connect (const serve_t *serve)
{
    char host[64];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons (5580)};
    struct timeval wait = {WAIT_MS / 1000, 0};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf (host, sizeof host, "%s", serve->address);
    *strchr (host, ':') = 0;
    address.sin_addr.s_addr = inet_addr (host);
    assert_int_equal (
      connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

//  The status of the first answer, 0 if the server closes without one.
static int
s_status (int fd)
{
    char text[4096] = "";
    size_t size = 0;
    ssize_t more;
    while (size < 12
           && (more = recv (fd, text + size, sizeof text - 1 - size, 0)) > 0)
        size += (size_t) more;
    return strncmp (text, "HTTP/1.", 7) == 0 ? atoi (text + 9) : 0;
}

//  Sends it all, as far as the server takes it.
static int
s_throw (const serve_t *serve, const char *text, size_t size)
{
    int fd = s_connect (serve), status;
    for (size_t sent = 0; sent < size;) {
        ssize_t more = send (fd, text + sent, size - sent, MSG_NOSIGNAL);
        if (more <= 0)
            break;
        sent += (size_t) more;
    }
    status = s_status (fd);
    close (fd);
    return status;
}

static void
s_still_serves (const serve_t *serve)
{
    static const char body[] = "{\"gauges\":{\"a\":{\"value\":1}}}";
    reply_t reply = serve_post (serve, "/v1/metrics", JSON, body);
    assert_int_equal (reply.status, 200);
    assert_true (process_status (serve->process, "VmRSS:") < MEMORY_KIB
                 || SANITIZED);
}

//  --------------------------------------------------------------------------
//  Requests that are none

static void
bad_requests_are_refused (void)
{
    static const struct {
        const char *text;
        int status, or_status;
    } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400, 421},  //  no Host
      {"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505, 505},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
       400, 400},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"
       "Content-Length: 100000000000000000000\r\n\r\n",
       413, 400},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"
       "Content-Length: 99999999999\r\n\r\n",
       413, 413},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
       "Content-Length: 3\r\n\r\n{}",
       400, 400},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400, 400},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length : 60\r\n\r\n{}",
       400, 400},
      {"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"
       "Authorization: Basic !!!\r\nContent-Length: 2\r\n\r\n{}",
       401, 401},
      {"\x16\x03\x01\x02\xfc\x03\x03 hello\r\n\r\n", 400, 0}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = s_throw (serve, cases[i].text, strlen (cases[i].text));
        if (status != cases[i].status && status != cases[i].or_status)
            fail_msg ("case %zu: status %d, expected %d", i, status,
                      cases[i].status);
    }
    s_still_serves (serve);
    serve_stop (serve);
}

//  A head of 100 kB, in one header or in the path.
static void
large_heads_are_refused (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    char *many = harness_keep (malloc (100001));
    const char *text;
    int status;
    memset (many, 'a', 100000);
    many[100000] = 0;
    text = text_new ("GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", many);
    status = s_throw (serve, text, strlen (text));
    assert_true (status == 431 || status == 0);
    text = text_new ("GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", many);
    status = s_throw (serve, text, strlen (text));
    assert_true (status == 414 || status == 431 || status == 0);
    s_still_serves (serve);
    serve_stop (serve);
}

//  Who has no token makes the server keep nothing of it, and reads an answer all the
//  same.
static void
bodies_of_nobody_are_not_kept (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    size_t size = 12 << 20;
    char *body = harness_keep (malloc (size));
    memset (body, '[', size);
    assert_int_equal (
      serve_ask (serve, "POST", "/v1/metrics", "", LIST (JSON), body, size)
        .status,
      401);
    s_still_serves (serve);
    serve_stop (serve);
}

//  Nested as deeply as the body has room, and wide.
static void
json_bombs_are_refused (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    size_t size = 2900000;
    char *body = harness_keep (malloc (size + 1));
    memset (body, '[', size);
    body[size] = 0;
    assert_int_equal (serve_post (serve, "/v1/metrics", JSON, body).status,
                      400);
    assert_int_equal (serve_post (serve, "/v1/measurements", JSON, body).status,
                      400);
    for (size_t i = 0; i + 1 < size; i += 2)
        memcpy (body + i, "0,", 2);
    body[0] = '[';
    assert_int_equal (serve_post (serve, "/v1/metrics", JSON, body).status,
                      400);
    for (size_t i = 0; i + 9 < size; i += 9)
        memcpy (body + i, "a[b][c]=&", 9);
    body[size / 9 * 9 - 9] = 0;
    assert_int_equal (serve_post (serve, "/v1/metrics", FORM, body).status,
                      400);
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  Charts

enum { SOURCES = 60, LINES_MAX = 50 };

//  Each line of a chart has memory for all its intervals: a viewer who names all series
//  gets so many lines, and one of all others.
static void
a_chart_has_only_so_many_lines (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    char *rows = text_new ("{\"gauges\":[{\"name\":\"a\",\"value\":1}");
    char *ids = text_new ("1");
    reply_t reply;
    cJSON *json;
    for (int i = 0; i < SOURCES; i++) {
        rows = text_new ("%s,{\"name\":\"a\",\"value\":1,\"source\":\"s%d\"}",
                         rows, i);
        ids = text_new ("%s,%d", ids, i + 2);
    }
    reply = serve_post (serve, "/v1/metrics", JSON, text_new ("%s]}", rows));
    assert_int_equal (reply.status, 200);
    reply = serve_ask (serve, "GET",
                       text_new ("/api/points?name=a&over=split&ids=%s", ids),
                       NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 200);
    json = cJSON_Parse (reply.body);
    assert_int_equal (cJSON_GetArraySize (cJSON_GetObjectItem (json, "groups")),
                      LINES_MAX + 1);
    cJSON_Delete (json);
    s_still_serves (serve);
    serve_stop (serve);
}

static void
times_of_charts_are_bounded (void)
{
    static const char *const cases[] = {
      "resolution=9223372036854775807",
      "resolution=9223372036854775807&over=split",
      "resolution=4294967296",
      "to=-9223372036854775808",
      "to=9223372036854775807",
      "from=-9223372036854775808",
      "from=9223372036854775807"};
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_still_serves (serve);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal (
          serve_ask (serve, "GET", text_new ("/api/points?name=a&%s", cases[i]),
                     NULL, NULL, NULL, 0)
            .status,
          400);
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  Floods

//  Of 700 connections of one address 256 stay; who comes from another one is served.
static void
a_flood_of_connections_leaves_room_for_others (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    struct sockaddr_in other = {.sin_family = AF_INET,
                                .sin_addr.s_addr = inet_addr ("127.9.9.9")};
    static const char ask[] =
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons (5580)};
    struct timeval wait = {WAIT_MS / 1000, 0};
    int fd[FLOOD], served = 0, mine;
    char host[64];
    for (int i = 0; i < FLOOD; i++) {
        fd[i] = s_connect (serve);
        if (send (fd[i], ask, strlen (ask), MSG_NOSIGNAL) > 0)
            served += s_status (fd[i]) == 200;
    }
    assert_int_equal (served, PER_ADDRESS);
    snprintf (host, sizeof host, "%s", serve->address);
    *strchr (host, ':') = 0;
    address.sin_addr.s_addr = inet_addr (host);
    mine = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt (mine, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal (bind (mine, (struct sockaddr *) &other, sizeof other), 0);
    assert_int_equal (
      connect (mine, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal (send (mine, ask, strlen (ask), 0), strlen (ask));
    assert_int_equal (s_status (mine), 200);
    close (mine);
    for (int i = 0; i < FLOOD; i++)
        close (fd[i]);
    //  it is said, and not once for each
    assert_true (process_lines (serve->process, "event=connections") >= 1);
    assert_true (process_lines (serve->process, "event=connections") < 20);
    serve_stop (serve);
}

static const struct CMUnitTest tests[] = {
  TEST (bad_requests_are_refused),
  TEST (large_heads_are_refused),
  TEST (bodies_of_nobody_are_not_kept),
  TEST (json_bombs_are_refused),
  TEST (a_chart_has_only_so_many_lines),
  TEST (times_of_charts_are_bounded),
  TEST (a_flood_of_connections_leaves_room_for_others)};

HARNESS_MAIN (tests)
