/*  test_httpd.c - the HTTP server: bodies, answers that come later, and clients that
    are hostile or slow

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "httpd.h"

#include <arpa/inet.h>
#include <czmq.h>

enum { REQUEST_MS = 1500, SLOW_MS = 500, BODY_MAX = 1000, REPLY_MAX = 8192 };

//  --------------------------------------------------------------------------
//  A server that says what it got

static httpd_t *s_server;
static pthread_t s_thread;

//  On a thread of its own, after the handler has returned, perhaps.
static void *
s_answer_later (void *argument)
{
    httpd_request_t *request = (httpd_request_t *) argument;
    char *bytes = strdup ("later");
    assert_non_null (bytes);
    httpd_answer (request,
                  &(httpd_answer_t){.status = 202, .bytes = bytes, .size = 5});
    return NULL;
}

static void
s_handle (void *argument, httpd_request_t *request, httpd_answer_t *answer)
{
    static char text[2 * BODY_MAX];
    assert_string_equal (argument, "own");
    if (streq (request->path, "/later")) {
        httpd_later (request);
        assert_int_equal (
          pthread_create (&s_thread, NULL, s_answer_later, request), 0);
        return;
    }
    snprintf (text, sizeof text, "%s %s ?%s %s %zu:%s", request->method,
              request->path, request->query,
              request->too_large ? "large" : "small", request->body_size,
              request->body);
    answer->text = text;
    answer->header[0][0] = "X-Test";
    answer->header[0][1] = "yes";
}

static bool
s_head (void *argument, httpd_request_t *request)
{
    (void) argument;
    return !streq (request->path, "/unwanted");
}

static int
s_setup (void **state)
{
    (void) state;
    s_server = httpd_start (&(httpd_options_t){.listen = "127.0.0.1:0",
                                               .handler = s_handle,
                                               .argument = (void *) "own",
                                               .head = s_head,
                                               .body_max = BODY_MAX,
                                               .connections = 16,
                                               .per_address = 3,
                                               .request_ms = REQUEST_MS,
                                               .slow_ms = SLOW_MS});
    return s_server ? 0 : -1;
}

static int
s_teardown (void **state)
{
    (void) state;
    httpd_stop (&s_server);
    return 0;
}

//  --------------------------------------------------------------------------
//  A client

static int
s_connect_from (const char *from)
{
    const char *colon = strchr (httpd_address (s_server), ':');
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port =
                                    htons ((uint16_t) atoi (colon + 1)),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = inet_addr (from)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (fd != -1);
    assert_int_equal (bind (fd, (struct sockaddr *) &own, sizeof own), 0);
    assert_int_equal (
      connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

static int
s_connect (void)
{
    return s_connect_from ("127.0.0.1");
}

//  Returns false if the server has closed the connection.
static bool
s_send (int fd, const char *text)
{
    return send (fd, text, strlen (text), MSG_NOSIGNAL)
           == (ssize_t) strlen (text);
}

//  All that comes until the server closes, or until this is in it.
static const char *
s_receive (int fd, const char *until)
{
    static char reply[REPLY_MAX];
    size_t size = 0;
    ssize_t got;
    *reply = 0;
    while (size < sizeof reply - 1 && !(until && strstr (reply, until))
           && (got = recv (fd, reply + size, sizeof reply - 1 - size, 0)) > 0) {
        size += (size_t) got;
        reply[size] = 0;
    }
    return reply;
}

//  One request on a connection of its own.
static const char *
s_ask (const char *text, const char *until)
{
    int fd = s_connect ();
    const char *reply;
    s_send (fd, text);
    reply = s_receive (fd, until);
    close (fd);
    return reply;
}

static void
s_expect (const char *reply, const char *part)
{
    if (!strstr (reply, part))
        fail_msg ("expected %s in %s", part, reply);
}

//  --------------------------------------------------------------------------
//  Requests and answers

static void
path_and_query_come_as_sent (void **state)
{
    const char *reply =
      s_ask ("GET /a%2Fb?c=d%20e&f HTTP/1.1\r\nHost: x\r\n\r\n", "0:");
    (void) state;
    s_expect (reply, "HTTP/1.1 200");
    s_expect (reply, "X-Test: yes");
    s_expect (reply, "GET /a%2Fb ?c=d%20e&f small 0:");
}

static void
bodies_come_whole (void **state)
{
    int fd = s_connect ();
    (void) state;
    s_send (fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    s_send (fd, "llo");
    s_expect (s_receive (fd, "llo"), "POST /a ? small 5:hello");
    s_send (fd,
            "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    s_expect (s_receive (fd, "abc"), "POST /b ? small 3:abc");
    close (fd);
}

static void
large_bodies_are_read_and_said_to_be_large (void **state)
{
    char *text = (char *) zmalloc (200000);
    int head = sprintf (text, "POST /a HTTP/1.1\r\nHost: x\r\n"
                              "Content-Length: 100000\r\n\r\n");
    (void) state;
    memset (text + head, 'x', 100000);
    s_expect (s_ask (text, "0:"), "POST /a ? large 0:");
    free (text);
    s_expect (s_ask ("POST /a HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 99999999999\r\n\r\n",
                     NULL),
              "HTTP/1.1 413");
}

static void
unwanted_bodies_are_thrown_away (void **state)
{
    (void) state;
    s_expect (s_ask ("POST /unwanted HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 2\r\n\r\nab",
                     "0:"),
              "POST /unwanted ? small 0:");
}

static void
answers_may_come_later (void **state)
{
    int fd = s_connect ();
    (void) state;
    for (int i = 0; i < 20; i++) {
        const char *reply;
        s_send (fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        reply = s_receive (fd, "later");
        s_expect (reply, "HTTP/1.1 202");
        s_expect (reply, "\r\n\r\nlater");
        pthread_join (s_thread, NULL);
    }
    close (fd);
}

//  --------------------------------------------------------------------------
//  Clients that are hostile or slow

//  What two servers may read differently lets one request hide in another.
static void
two_lengths_are_refused (void **state)
{
    static const char *const heads[] = {
      "Content-Length: 2\r\nContent-Length: 2\r\n",
      "Content-Length: 2\r\nContent-Length: 3\r\n",
      "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      //  a name that another server takes for that of a length
      "Content-Length : 2\r\n", "Content-Length\t: 2\r\n",
      "Transfer-Encoding : chunked\r\n", "Content-Length\v: 2\r\n",
      "Content-Length: 2\r\nX y: 2\r\n"};
    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char text[200];
        const char *reply;
        snprintf (text, sizeof text, "POST /a HTTP/1.1\r\nHost: x\r\n%s\r\nab",
                  heads[i]);
        reply = s_ask (text, NULL);
        s_expect (reply, "HTTP/1.1 400");
        assert_null (strstr (reply, "POST"));
    }
}

//  Sends a byte now and then. Returns how long the server has put up with it.
static int64_t
s_trickle (const char *head)
{
    int64_t began_ms = zclock_mono ();
    int fd = s_connect ();
    s_send (fd, head);
    while (zclock_mono () - began_ms < 20 * REQUEST_MS && s_send (fd, "a")) {
        char byte;
        zclock_sleep (50);
        if (recv (fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
    }
    close (fd);
    return zclock_mono () - began_ms;
}

static void
a_slow_head_is_cut (void **state)
{
    (void) state;
    assert_true (s_trickle ("GET /") < 10 * REQUEST_MS);
}

static void
a_slow_body_is_cut (void **state)
{
    (void) state;
    assert_true (s_trickle ("POST / HTTP/1.1\r\nHost: x\r\n"
                            "Content-Length: 900\r\n\r\n")
                 < 10 * REQUEST_MS);
}

//  The first bytes of a head, and nothing more.
static void
half_a_head_is_cut (void **state)
{
    int64_t began_ms = zclock_mono ();
    int fd = s_connect ();
    (void) state;
    s_send (fd, "GE");
    assert_string_equal (s_receive (fd, NULL), "");
    assert_true (zclock_mono () - began_ms < 5 * REQUEST_MS);
    close (fd);
}

//  Somebody else is served meanwhile, and one who rests between requests stays.
static void
who_rests_is_not_cut (void **state)
{
    int fd = s_connect ();
    (void) state;
    s_send (fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    s_expect (s_receive (fd, "0:"), "200");
    zclock_sleep (2 * REQUEST_MS);
    s_send (fd, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    s_expect (s_receive (fd, "0:"), "GET /b");
    close (fd);
}

//  One address has three connections, and no more.
static void
an_address_has_only_so_many (void **state)
{
    int fd[4];
    const char *reply;
    (void) state;
    for (int i = 0; i < 3; i++) {
        fd[i] = s_connect ();
        s_send (fd[i], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        s_expect (s_receive (fd[i], "0:"), "200");
    }
    assert_string_equal (s_ask ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", NULL),
                         "");
    close (fd[0]);
    do {
        fd[0] = s_connect ();
        s_send (fd[0], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        reply = s_receive (fd[0], "0:");
        if (!*reply)
            close (fd[0]);
    } while (!*reply);
    for (int i = 0; i < 3; i++)
        close (fd[i]);
}

//  Of three connections the oldest goes that has had no answer. Those of the tests before
//  are of another address.
static void
who_asks_nothing_makes_room (void **state)
{
    static const char ask[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd[4];
    (void) state;
    for (int i = 0; i < 4; i++) {
        fd[i] = s_connect_from ("127.0.0.7");
        s_send (fd[i], i == 1 ? "G" : i == 2 ? "" : ask);
        if (i % 3 == 0)
            s_expect (s_receive (fd[i], "0:"), "200");
    }
    assert_string_equal (s_receive (fd[1], NULL), "");
    for (int i = 0; i < 4; i += 2) {
        s_send (fd[i], ask);
        s_expect (s_receive (fd[i], "0:"), "200");
    }
    for (int i = 0; i < 4; i++)
        close (fd[i]);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (path_and_query_come_as_sent),
      cmocka_unit_test (bodies_come_whole),
      cmocka_unit_test (large_bodies_are_read_and_said_to_be_large),
      cmocka_unit_test (unwanted_bodies_are_thrown_away),
      cmocka_unit_test (answers_may_come_later),
      cmocka_unit_test (two_lengths_are_refused),
      cmocka_unit_test (a_slow_head_is_cut),
      cmocka_unit_test (a_slow_body_is_cut),
      cmocka_unit_test (half_a_head_is_cut),
      cmocka_unit_test (who_rests_is_not_cut),
      cmocka_unit_test (an_address_has_only_so_many),
      cmocka_unit_test (who_asks_nothing_makes_room)};
    return cmocka_run_group_tests (tests, s_setup, s_teardown);
}
