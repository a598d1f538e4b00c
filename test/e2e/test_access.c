/*  test_access.c - who may ask `zibrato serve` for what: tokens, the page's session,
    and what a browser may be made to send

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"

#define WRITE "/v1/metrics"

static const char s_one[] = "{\"gauges\":[{\"name\":\"a\",\"value\":1}]}";

static reply_t
s_write (const serve_t *serve, const char *credentials,
         const char *const *headers)
{
    return serve_ask (serve, "POST", WRITE, credentials, headers, s_one,
                      strlen (s_one));
}

static reply_t
s_read (const serve_t *serve, const char *path, const char *credentials,
        const char *const *headers)
{
    return serve_ask (serve, "GET", path, credentials, headers, NULL, 0);
}

static bool
s_has (const reply_t *reply, const char *header)
{
    return strcasestr (reply->headers, header) != NULL;
}

//  The value of a header, or fails.
static const char *
s_header (const reply_t *reply, const char *name)
{
    const char *line = text_new ("\n%s: ", name);
    char *found = strcasestr (reply->headers, line);
    if (!found)
        fail_msg ("no %s in %s", name, reply->headers);
    found += strlen (line);
    return text_new ("%.*s", (int) strcspn (found, ";\r\n"), found);
}

//  Runs `zibrato serve` for tokens. Returns what it prints.
static const char *
s_tokens (const serve_t *serve, const char *const *options)
{
    const char *argv[16] = {harness_path ("ZB_BIN"), "serve", "--data",
                            serve->folder};
    for (int i = 0; options[i]; i++)
        argv[4 + i] = options[i];
    process_t *process = process_run (argv, NULL);
    char *out = text_new ("%s", process_out (process));
    assert_int_equal (process->status, 0);
    out[strcspn (out, "\n")] = 0;
    return out;
}

//  Cannot do it: exit status 1, and its last line says why. A first start has said
//  before where the token is.
static void
s_dies (const char *const *arguments, const char *why)
{
    const process_t *process = zibrato_run (arguments);
    assert_int_equal (process->status, 1);
    if (!strstr (process_err (process), why))
        fail_msg ("%s does not say: %s", process_err (process), why);
}

//  --------------------------------------------------------------------------
//  Clients

//  Debian's collectd sends its credentials only when it is asked to; librato-metrics
//  reads text from a POST, python-librato JSON from a GET.
static void
who_is_unknown_is_asked_for_credentials (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    static const char *const unknown[] = {"", "user:wrong", "wrong:", ":",
                                          "token:"};
    reply_t reply;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        reply = s_write (serve, unknown[i], LIST (JSON));
        assert_int_equal (reply.status, 401);
        assert_string_equal (
          reply.body, "Credentials are required to access this resource.");
        assert_true (s_has (&reply, "Content-Type: text/plain"));
        assert_true (s_has (&reply, "WWW-Authenticate: Basic"));
        reply = s_read (serve, "/session", unknown[i], NULL);
        assert_int_equal (reply.status, 401);
        assert_string_equal (
          reply.body,
          "{\"errors\":{\"request\":[\"Authorization Required\"]}}");
    }
    //  a browser would open a dialog of its own
    reply = s_read (serve, "/session", "", LIST ("Sec-Fetch-Mode: cors"));
    assert_int_equal (reply.status, 401);
    assert_false (s_has (&reply, "WWW-Authenticate"));
    reply = s_read (serve, "/healthz", "", NULL);
    assert_int_equal (reply.status, 200);
    assert_string_equal (reply.body, "ok\n");
    serve_stop (serve);
    assert_true (serve_total (serve, NULL, "a").rows == 0);
}

static void
a_token_comes_in_four_ways (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *token = serve->token;
    const char *bearer = text_new ("Authorization: Bearer %s", token);
    assert_int_equal (
      s_write (serve, text_new ("me@example.org:%s", token), LIST (JSON))
        .status,
      200);
    assert_int_equal (
      s_write (serve, text_new ("token:%s", token), LIST (JSON)).status, 200);
    assert_int_equal (
      s_write (serve, text_new ("%s:", token), LIST (JSON)).status, 200);
    assert_int_equal (s_write (serve, "", LIST (JSON, bearer)).status, 200);
    serve_stop (serve);
    serve_check (serve, "a", 4, 4);
}

static void
a_role_may_what_it_may (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    static const struct {
        const char *role;
        long read, write, manage;
    } cases[] = {{"viewer", 200, 403, 403},
                 {"recorder", 200, 200, 403},
                 {"admin", 200, 200, 204}};
    s_write (serve, NULL, LIST (JSON));
    for (size_t i = 0; i < 3; i++) {
        const char *token = s_tokens (
          serve, LIST ("--token-new", text_new ("of-%s", cases[i].role),
                       "--role", cases[i].role));
        const char *who = text_new ("me:%s", token);
        int64_t until = now_ms () + WAIT_MS;
        reply_t reply = s_read (serve, "/session", who, NULL);
        assert_int_equal (strlen (token), 64);
        while (reply.status != 200 && now_ms () < until) {
            poll_pause ();
            reply = s_read (serve, "/session", who, NULL);
        }
        assert_string_equal (reply.body,
                             text_new ("{\"role\":\"%s\"}", cases[i].role));
        assert_int_equal (s_read (serve, "/v1/metrics", who, NULL).status,
                          cases[i].read);
        reply = s_write (serve, who, LIST (JSON));
        assert_int_equal (reply.status, cases[i].write);
        if (reply.status == 403)
            assert_string_equal (
              reply.body,
              "{\"errors\":{\"request\":[\"This token is not permitted to "
              "perform this action on this resource\"]}}");
        assert_int_equal (
          serve_ask (serve, "DELETE", "/v1/metrics/none", who, NULL, NULL, 0)
            .status,
          cases[i].manage);
    }
    serve_stop (serve);
}

//  The list has no secret in it, and neither have the files or the log.
static void
tokens_end_and_are_nowhere_in_the_clear (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *token = s_tokens (serve, LIST ("--token-new", "one"));
    const char *who = text_new ("me:%s", token);
    const char *tokens = text_new ("%s/tokens", serve->folder);
    int64_t until = now_ms () + WAIT_MS;
    struct stat status;
    while (s_write (serve, who, LIST (JSON)).status != 200 && now_ms () < until)
        poll_pause ();
    assert_null (strstr (file_read (tokens, NULL), token));
    assert_null (strstr (file_read (tokens, NULL), serve->token));
    assert_int_equal (stat (tokens, &status), 0);
    assert_int_equal (status.st_mode & 0777, 0600);
    assert_int_equal (stat (serve->folder, &status), 0);
    assert_int_equal (status.st_mode & 0777, 0700);
    s_dies (LIST ("serve", "--data", serve->folder, "--token-new", "one"),
            "there is one of that name");
    s_tokens (serve, LIST ("--token-end", "one"));
    until = now_ms () + WAIT_MS;
    while (s_write (serve, who, LIST (JSON)).status == 200 && now_ms () < until)
        poll_pause ();
    assert_int_equal (s_write (serve, who, LIST (JSON)).status, 401);
    assert_non_null (strstr (s_tokens (serve, LIST ("--token-list")), "admin"));
    serve_stop (serve);
    assert_null (strstr (process_err (serve->process), serve->token));
}

//  Nobody would know the token of a hash that is in the list alone.
static void
the_first_token_is_written_before_its_hash (void)
{
    const char *folder = temporary_path ("data");
    const char *kept = text_new ("%s/admin-token", folder);
    const char *in_the_way = text_new ("%s/file", kept);
    assert_int_equal (mkdir (folder, 0700), 0);
    assert_int_equal (mkdir (kept, 0700), 0);
    assert_int_equal (mkdir (in_the_way, 0700), 0);
    s_dies (LIST ("serve", "--data", folder, "--listen", "127.0.0.1:0"),
            "admin-token");
    assert_int_equal (access (text_new ("%s/tokens", folder), F_OK), -1);
    assert_int_equal (rmdir (in_the_way), 0);
    assert_int_equal (rmdir (kept), 0);
    serve_t *serve = serve_start (NULL, "data", NULL);
    assert_int_equal (s_read (serve, "/session", NULL, NULL).status, 200);
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  Paths and methods

static void
paths_and_methods_are_answered (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    reply_t reply = s_read (serve, "/v1/nothing", NULL, NULL);
    assert_int_equal (reply.status, 404);
    reply =
      serve_ask (serve, "DELETE", "/v1/measurements", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 405);
    assert_true (strstr (s_header (&reply, "Allow"), "POST") != NULL);
    reply = serve_ask (serve, "OPTIONS", "/v1/metrics", "", NULL, NULL, 0);
    assert_int_equal (reply.status, 204);
    assert_true (strstr (s_header (&reply, "Allow"), "POST") != NULL);
    reply = serve_ask (serve, "HEAD", "/v1/metrics", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 200);
    assert_string_equal (reply.body, "");
    reply = serve_ask (serve, "HEAD", "/v1/metrics", "", NULL, NULL, 0);
    assert_int_equal (reply.status, 401);
    reply = serve_ask (serve, "BREW", "/v1/metrics", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 405);
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  The page

//  "Cookie: NAME=VALUE" of an answer.
static const char *
s_cookie (const reply_t *reply)
{
    const char *value = s_header (reply, "Set-Cookie");
    return text_new ("Cookie: theme=dark; %s", value);
}

static const char *
s_origin (const serve_t *serve)
{
    return text_new ("Origin: http://%s", serve->address);
}

static void
the_page_logs_in_with_a_token (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *body = text_new ("{\"token\":\"%s\"}", serve->token);
    static const char wrong[] = "{\"token\":\"wrong\"}";
    const char *cookie;
    reply_t reply =
      serve_ask (serve, "POST", "/login", "", LIST (JSON, s_origin (serve)),
                 wrong, strlen (wrong));
    assert_int_equal (reply.status, 401);
    assert_false (s_has (&reply, "Set-Cookie"));
    //  another page may not log anybody in
    reply = serve_ask (serve, "POST", "/login", "",
                       LIST (JSON, "Origin: http://evil.example"), body,
                       strlen (body));
    assert_int_equal (reply.status, 403);
    reply = serve_ask (serve, "POST", "/login", "",
                       LIST (JSON, s_origin (serve)), body, strlen (body));
    assert_int_equal (reply.status, 200);
    assert_string_equal (reply.body, "{\"role\":\"admin\"}");
    assert_true (s_has (&reply, "; HttpOnly; SameSite=Strict"));
    cookie = s_cookie (&reply);
    assert_int_equal (s_read (serve, "/session", "", LIST (cookie)).status,
                      200);
    //  it holds through a restart
    serve_kill (serve);
    serve_launch (serve);
    assert_int_equal (s_read (serve, "/session", "", LIST (cookie)).status,
                      200);
    //  what was changed in it is none
    assert_int_equal (
      s_read (serve, "/session", "", LIST (text_new ("%s0", cookie))).status,
      401);
    serve_stop (serve);
}

//  A form of another page comes with the cookie, but without an Origin of ours, or not
//  as JSON.
static void
a_cookie_alone_changes_nothing (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *body = text_new ("{\"token\":\"%s\"}", serve->token);
    reply_t reply =
      serve_ask (serve, "POST", "/login", "", LIST (JSON, s_origin (serve)),
                 body, strlen (body));
    const char *cookie = s_cookie (&reply), *ours = s_origin (serve);
    assert_int_equal (s_write (serve, "", LIST (JSON, cookie)).status, 403);
    assert_int_equal (
      s_write (serve, "", LIST (JSON, cookie, "Origin: http://evil.example"))
        .status,
      403);
    assert_int_equal (
      s_write (serve, "", LIST (JSON, cookie, "Origin: null")).status, 403);
    assert_int_equal (s_write (serve, "", LIST (FORM, cookie, ours)).status,
                      403);
    assert_int_equal (
      s_write (serve, "", LIST ("Content-Type: text/plain", cookie, ours))
        .status,
      403);
    assert_int_equal (
      s_write (serve, "",
               LIST ("Content-Type: application/jsonx", cookie, ours))
        .status,
      403);
    assert_int_equal (s_write (serve, "", LIST (JSON, cookie, ours)).status,
                      200);
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

//  A browser that has kept credentials sends them for a page elsewhere, too.
static void
credentials_of_another_page_change_nothing (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    static const char form[] = "gauges[0][name]=a&gauges[0][value]=1";
    static const char *const others[] = {"Origin: http://evil.example",
                                         "Origin: null"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal (serve_ask (serve, "POST", WRITE, NULL,
                                     LIST (FORM, others[i]), form,
                                     strlen (form))
                            .status,
                          403);
        assert_int_equal (serve_ask (serve, "DELETE", WRITE "/a", NULL,
                                     LIST (others[i]), NULL, 0)
                            .status,
                          403);
        assert_int_equal (
          s_read (serve, "/session", NULL, LIST (others[i])).status, 200);
    }
    assert_int_equal (
      s_write (serve, NULL, LIST (JSON, s_origin (serve))).status, 200);
    serve_stop (serve);
    serve_check (serve, "a", 1, 1);
}

static void
a_link_opens_the_page_once (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *file = text_new ("%s/link", serve->folder);
    char *link = file_read (file, NULL), *path;
    reply_t reply;
    link[strcspn (link, "\n")] = 0;
    path = strstr (link, "/?key=");
    assert_non_null (path);
    reply = s_read (serve, path, "", NULL);
    assert_int_equal (reply.status, 303);
    assert_string_equal (s_header (&reply, "Location"), "/");
    assert_string_equal (
      s_read (serve, "/session", "", LIST (s_cookie (&reply))).body,
      "{\"role\":\"admin\"}");
    //  once; then the file has another one
    reply = s_read (serve, path, "", NULL);
    assert_false (s_has (&reply, "Set-Cookie"));
    assert_null (strstr (file_read (file, NULL), path));
    reply = s_read (serve, "/?key=", "", NULL);
    assert_false (s_has (&reply, "Set-Cookie"));
    serve_stop (serve);
}

//  Who has come by the link is an admin as long as the first one is.
static void
a_session_of_the_link_ends_with_the_first_admin (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *path =
      strstr (file_read (text_new ("%s/link", serve->folder), NULL), "/?key=");
    const char *cookie;
    reply_t reply;
    int64_t until;
    assert_non_null (path);
    reply = s_read (serve, text_new ("%.*s", (int) strcspn (path, "\n"), path),
                    "", NULL);
    cookie = s_cookie (&reply);
    //  those of others make no difference
    s_tokens (serve, LIST ("--token-new", "other", "--role", "admin"));
    s_tokens (serve, LIST ("--token-end", "other"));
    serve_kill (serve);
    serve_launch (serve);
    assert_int_equal (s_read (serve, "/session", "", LIST (cookie)).status,
                      200);
    s_tokens (serve, LIST ("--token-end", "admin"));
    until = now_ms () + WAIT_MS;
    while (s_read (serve, "/session", "", LIST (cookie)).status == 200
           && now_ms () < until)
        poll_pause ();
    assert_int_equal (s_read (serve, "/session", "", LIST (cookie)).status,
                      401);
    //  nor can the link begin one that holds
    path =
      strstr (file_read (text_new ("%s/link", serve->folder), NULL), "/?key=");
    reply = s_read (serve, text_new ("%.*s", (int) strcspn (path, "\n"), path),
                    "", NULL);
    assert_int_equal (
      s_read (serve, "/session", "", LIST (s_cookie (&reply))).status, 401);
    serve_stop (serve);
}

//  A page elsewhere may give its own name our address. It has no credentials then.
static void
names_that_are_not_ours_are_refused (void)
{
    serve_t *serve =
      serve_start (NULL, "data", LIST ("--host-name", "metrics.example.org"));
    assert_int_equal (
      s_read (serve, "/healthz", "", LIST ("Host: evil.example")).status, 421);
    assert_int_equal (
      s_read (serve, "/healthz", "", LIST ("Host: Metrics.Example.org:80"))
        .status,
      200);
    assert_int_equal (
      s_read (serve, "/healthz", "", LIST ("Host: localhost:5580")).status,
      200);
    assert_int_equal (
      s_read (serve, "/healthz", "", LIST ("Host: [::1]:5580")).status, 200);
    assert_int_equal (
      s_read (serve, "/healthz", "", LIST ("Host: 127.0.0.1.evil.example"))
        .status,
      421);
    //  who has a token may call it as it likes
    assert_int_equal (
      s_write (serve, NULL, LIST (JSON, "Host: anything")).status, 200);
    serve_stop (serve);
}

static void
answers_keep_browsers_from_harm (void)
{
    serve_t *serve = serve_start (
      NULL, "data", LIST ("--embed-from", "https://wiki.example.org"));
    reply_t reply = s_read (serve, "/healthz", "", NULL);
    assert_true (s_has (&reply, "default-src 'none'"));
    assert_true (s_has (&reply, "frame-ancestors 'none'"));
    assert_true (s_has (&reply, "X-Content-Type-Options: nosniff"));
    assert_true (s_has (&reply, "Referrer-Policy: no-referrer"));
    assert_true (s_has (&reply, "Cache-Control: no-store"));
    reply = s_read (serve, "/embed", NULL, NULL);
    assert_true (s_has (&reply, "frame-ancestors https://wiki.example.org"));
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  TLS and addresses

static void
tls_is_served (void)
{
    const char *key = temporary_path ("key.pem");
    const char *certificate = temporary_path ("cert.pem");
    process_t *made =
      process_run (LIST ("openssl", "req", "-x509", "-newkey", "rsa:2048",
                         "-nodes", "-keyout", key, "-out", certificate, "-days",
                         "2", "-subj", "/CN=test"),
                   NULL);
    serve_t *serve;
    assert_int_equal (made->status, 0);
    serve = serve_start (NULL, "data",
                         LIST ("--tls-cert", certificate, "--tls-key", key));
    serve->url = text_new ("https://%s", serve->address);
    for (int i = 0; i < 10; i++)
        assert_int_equal (s_write (serve, NULL, LIST (JSON)).status, 200);
    assert_int_equal (process_lines (serve->process, "url=https://"), 1);
    serve_stop (serve);
    serve_check (serve, "a", 10, 10);
    s_dies (LIST ("serve", "--data", temporary_path ("other"), "--listen",
                  "127.0.0.1:0", "--tls-cert", key, "--tls-key", key),
            "--tls-cert and --tls-key are no certificate and its key");
    s_dies (LIST ("serve", "--data", temporary_path ("other"), "--tls-cert",
                  certificate),
            "--tls-cert and --tls-key: give both, or neither");
}

//  Nothing is made there, and the folder is named: it is not the server's.
static void
tokens_of_no_server_are_not_listed (void)
{
    const char *folder = temporary_path ("none");
    const char *why = text_new ("--data %s: no server has this folder", folder);
    s_dies (LIST ("serve", "--data", folder, "--token-list"), why);
    s_dies (LIST ("serve", "--data", folder, "--token-end", "one"), why);
    assert_int_equal (access (folder, F_OK), -1);
}

static void
one_server_has_a_folder_and_a_port (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_dies (
      LIST ("serve", "--data", serve->folder, "--listen", "127.0.0.1:0"),
      text_new ("--data %s: another process has the store", serve->folder));
    s_dies (LIST ("serve", "--data", temporary_path ("other"), "--listen",
                  serve->address),
            "Address already in use");
    assert_int_equal (s_write (serve, NULL, LIST (JSON)).status, 200);
    serve_stop (serve);
}

static const struct CMUnitTest tests[] = {
  TEST (who_is_unknown_is_asked_for_credentials),
  TEST (a_token_comes_in_four_ways),
  TEST (a_role_may_what_it_may),
  TEST (tokens_end_and_are_nowhere_in_the_clear),
  TEST (the_first_token_is_written_before_its_hash),
  TEST (tokens_of_no_server_are_not_listed),
  TEST (paths_and_methods_are_answered),
  TEST (the_page_logs_in_with_a_token),
  TEST (a_cookie_alone_changes_nothing),
  TEST (credentials_of_another_page_change_nothing),
  TEST (a_link_opens_the_page_once),
  TEST (a_session_of_the_link_ends_with_the_first_admin),
  TEST (names_that_are_not_ours_are_refused),
  TEST (answers_keep_browsers_from_harm),
  TEST (tls_is_served),
  TEST (one_server_has_a_folder_and_a_port)};

HARNESS_MAIN (tests)
