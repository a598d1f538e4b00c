/*  test_proxy.c - `zibrato serve` with --public-url: what a browser sends that comes
    through a proxy. A real one stands in front of it in test/page/proxy.js

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "serve.h"

#define PUBLIC "https://stats.example.org"

static reply_t
s_read (const serve_t *serve, const char *path, const char *header)
{
    return serve_ask (serve, "GET", path, "", LIST (header), NULL, 0);
}

static reply_t
s_log_in (const serve_t *serve, const char *origin)
{
    const char *body = text_new ("{\"token\":\"%s\"}", serve->token);
    return serve_ask (serve, "POST", "/login", "",
                      LIST (JSON, text_new ("Origin: %s", origin)), body,
                      strlen (body));
}

//  The header Set-Cookie.
static const char *
s_set_cookie (const reply_t *reply)
{
    const char *found = strcasestr (reply->headers, "\nSet-Cookie: ");
    if (!found)
        fail_msg ("no cookie in %s", reply->headers);
    found += strlen ("\nSet-Cookie: ");
    return text_new ("%.*s", (int) strcspn (found, "\r\n"), found);
}

static bool
s_ends (const char *text, const char *end)
{
    size_t size = strlen (text), ends = strlen (end);
    return size >= ends && strcmp (text + size - ends, end) == 0;
}

//  Status of a write by the page of an address, with a cookie.
static long
s_write (const serve_t *serve, const char *cookie, const char *origin)
{
    static const char one[] = "{\"gauges\":[{\"name\":\"a\",\"value\":1}]}";
    const char *header =
      text_new ("Cookie: %.*s", (int) strcspn (cookie, ";"), cookie);
    return serve_ask (serve, "POST", "/v1/metrics", "",
                      LIST (JSON, header, text_new ("Origin: %s", origin)), one,
                      strlen (one))
      .status;
}

//  The address may be written in any case, with a port that need not be said.
static void
the_page_of_a_proxy_may_write (void)
{
    serve_t *serve = serve_start (
      NULL, "data", LIST ("--public-url", "HTTPS://Stats.example.org:443/"));
    reply_t reply = s_log_in (serve, PUBLIC);
    const char *cookie;
    static const char *const others[] = {"http://stats.example.org",
                                         PUBLIC ":8443", PUBLIC ".evil.example",
                                         "https://evil.example", "null"};
    assert_int_equal (reply.status, 200);
    cookie = s_set_cookie (&reply);
    assert_non_null (strstr (cookie, "; Path=/; "));
    assert_true (s_ends (cookie, "; HttpOnly; SameSite=Strict; Secure"));
    assert_int_equal (s_write (serve, cookie, PUBLIC), 200);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal (s_log_in (serve, others[i]).status, 403);
        assert_int_equal (s_write (serve, cookie, others[i]), 403);
    }
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

//  What to do is said.
static void
a_proxy_that_is_not_known_is_refused (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    reply_t reply = s_log_in (serve, PUBLIC);
    assert_int_equal (reply.status, 403);
    assert_non_null (strstr (reply.body, "zibrato serve with --public-url"));
    reply = s_read (serve, "/", "Host: stats.example.org");
    assert_int_equal (reply.status, 421);
    assert_non_null (strstr (reply.body, "--public-url"));
    serve_stop (serve);
}

//  Who comes past the proxy has a cookie without TLS, as there is none.
static void
the_server_itself_is_reached_as_before (void)
{
    serve_t *serve =
      serve_start (NULL, "data", LIST ("--public-url", PUBLIC "/some/stats"));
    reply_t reply = s_log_in (serve, serve->url);
    const char *cookie = s_set_cookie (&reply);
    assert_int_equal (reply.status, 200);
    assert_non_null (strstr (cookie, "; Path=/; "));
    assert_true (s_ends (cookie, "; SameSite=Strict"));
    assert_int_equal (s_write (serve, cookie, serve->url), 200);
    assert_int_equal (s_read (serve, "/healthz", "Host: evil.example").status,
                      421);
    assert_int_equal (
      s_read (serve, "/healthz", "Host: Stats.Example.org:8443").status, 200);
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

//  A proxy may cut it off, or leave it.
static void
a_path_may_be_in_front (void)
{
    serve_t *serve =
      serve_start (NULL, "data", LIST ("--public-url", PUBLIC "/some/stats/"));
    char *link = file_read (text_new ("%s/link", serve->folder), NULL);
    const char *begin = PUBLIC "/some/stats/?key=";
    const char *cookie;
    reply_t reply;
    assert_int_equal (s_read (serve, "/some/stats/healthz", NULL).status, 200);
    assert_int_equal (s_read (serve, "/healthz", NULL).status, 200);
    assert_int_equal (s_read (serve, "/some/statshealthz", NULL).status, 404);
    assert_int_equal (s_read (serve, "/some/stats/some/stats/", NULL).status,
                      404);
    link[strcspn (link, "\n")] = 0;
    assert_int_equal (strncmp (link, begin, strlen (begin)), 0);
    reply = s_read (serve, link + strlen (PUBLIC), NULL);
    assert_int_equal (reply.status, 303);
    assert_non_null (strcasestr (reply.headers, "\nLocation: ./\r\n"));
    cookie = s_set_cookie (&reply);
    assert_non_null (strstr (cookie, "; Path=/some/stats/; "));
    assert_true (s_ends (cookie, "; Secure"));
    assert_int_equal (s_write (serve, cookie, PUBLIC), 200);
    //  once
    reply = s_read (serve, link + strlen (PUBLIC), NULL);
    assert_non_null (strcasestr (reply.headers, "\nLocation: ./#used\r\n"));
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

//  What the server itself says of addresses is below that path, too, for those who come
//  by it.
static void
addresses_have_the_path (void)
{
    serve_t *serve =
      serve_start (NULL, "data", LIST ("--public-url", PUBLIC "/some/stats"));
    static const struct {
        const char *path, *header, *location;
    } asked[] = {
      {"/v1/spaces", "Host: Stats.Example.org", "/some/stats/v1/spaces/1"},
      {"/some/stats/v1/spaces", NULL, "/some/stats/v1/spaces/2"},
      {"/v1/spaces", "Host: stats.example.org:5580", "/v1/spaces/3"},
      {"/v1/spaces", NULL, "/v1/spaces/4"}};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const char *body = text_new ("{\"name\":\"%zu\"}", i);
        reply_t reply =
          serve_ask (serve, "POST", asked[i].path, NULL,
                     LIST (JSON, asked[i].header), body, strlen (body));
        assert_int_equal (reply.status, 201);
        assert_non_null (strcasestr (
          reply.headers, text_new ("\nLocation: %s\r\n", asked[i].location)));
    }
    serve_stop (serve);
}

static void
what_is_no_address_is_refused (void)
{
    static const char *const wrong[] = {"stats.example.org",
                                        "ftp://stats.example.org",
                                        "https://",
                                        "https://stats example",
                                        "https://me@stats.example.org",
                                        "https://me:secret@stats.example.org",
                                        PUBLIC ":99999",
                                        PUBLIC ":port",
                                        PUBLIC "/?q=1",
                                        PUBLIC "/#part",
                                        PUBLIC "/a;b",
                                        PUBLIC "/a\"b",
                                        PUBLIC "/%0d%0aX",
                                        ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const process_t *process =
          zibrato_run (LIST ("serve", "--data", temporary_path ("none"),
                             "--public-url", wrong[i]));
        const char *why =
          text_new ("--public-url: expected https://HOST[:PORT][/PATH], not %s",
                    wrong[i]);
        assert_int_equal (process->status, 1);
        if (!strstr (process_err (process), why))
            fail_msg ("%s does not say: %s", process_err (process), why);
    }
}

static const struct CMUnitTest tests[] = {
  TEST (the_page_of_a_proxy_may_write),
  TEST (a_proxy_that_is_not_known_is_refused),
  TEST (the_server_itself_is_reached_as_before),
  TEST (a_path_may_be_in_front),
  TEST (addresses_have_the_path),
  TEST (what_is_no_address_is_refused)};

HARNESS_MAIN (tests)
