/*  test_serve_tls.c - `zibrato serve` with TLS: who cannot speak it, will not, or does so
    without an end, keeps nobody away

    That it is served at all is in e2e.access.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240 NOTSAN - of threads there is what unit.httpd has, too

#include "serve.h"

enum {
    HALF_OPEN = 2000,
    CLIENTS = 8,  //  addresses that they come from
    POSTS = 60,
    CUT_MS = 40000,
    MEMORY_KIB = 64 * 1024
};

//  --------------------------------------------------------------------------
//  The server, and who behaves well

static serve_t *
s_serve (void)
{
    const char *key = temporary_path ("key.pem");
    const char *certificate = temporary_path ("cert.pem");
    process_run (LIST ("openssl", "req", "-x509", "-newkey", "rsa:2048",
                       "-nodes", "-keyout", key, "-out", certificate, "-days",
                       "2", "-subj", "/CN=test"),
                 NULL);
    serve_t *serve = serve_start (
      NULL, "data", LIST ("--tls-cert", certificate, "--tls-key", key));
    serve->url = text_new ("https://%s", serve->address);
    return serve;
}

//  A new connection each time.
static void
s_post (const serve_t *serve)
{
    static const char body[] = "{\"gauges\":{\"a\":{\"value\":1}}}";
    assert_int_equal (serve_post (serve, "/v1/metrics", JSON, body).status,
                      200);
}

static size_t
s_sockets (const serve_t *serve)
{
    glob_t found;
    size_t count = 0;
    char link[16];
    glob (text_new ("/proc/%d/fd/*", (int) serve->process->pid), 0, NULL,
          &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        count += readlink (found.gl_pathv[i], link, sizeof link) > 7
                 && strncmp (link, "socket:", 7) == 0;
    globfree (&found);
    return count;
}

//  Waits until the server has but the one that listens.
static void
s_await_gone (const serve_t *serve)
{
    int64_t until = now_ms () + WAIT_MS;
    while (s_sockets (serve) > 1) {
        poll_pause ();
        if (now_ms () > until)
            fail_msg ("%zu sockets are left", s_sockets (serve));
    }
}

//  --------------------------------------------------------------------------
//  Who does not

//  From an address of ours. The host is that of the server.
static int
s_connect (const serve_t *serve, const char *from)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (5580)};
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = inet_addr (from)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = inet_addr (
      text_new ("%.*s", (int) strcspn (serve->address, ":"), serve->address));
    assert_int_equal (bind (fd, (void *) &own, sizeof own), 0);
    assert_int_equal (connect (fd, (void *) &to, sizeof to), 0);
    return fd;
}

//  Has the server closed it by now? What it says before is of no interest.
static bool
s_is_cut (int fd)
{
    char data[4096];
    ssize_t size;
    while ((size = recv (fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
    }
    return size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void
s_await_cut (int fd)
{
    int64_t until = now_ms () + CUT_MS;
    while (!s_is_cut (fd) && now_ms () < until)
        poll_pause ();
    assert_true (s_is_cut (fd));
    close (fd);
}

//  The first message of a client that speaks TLS.
static const char *
s_hello (size_t *size_p)
{
    int listener = port_listen ("127.0.0.1", 0), fd;
    char *data = harness_keep (malloc (16384));
    process_t *client =
      process_start (LIST ("openssl", "s_client", "-connect",
                           text_new ("127.0.0.1:%d", port_of (listener))),
                     NULL);
    fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true (fd != -1);
    ssize_t size = recv (fd, data, 16384, 0);
    assert_true (size > 100 && data[0] == 0x16);
    close (fd);
    close (listener);
    process_wait (client);
    *size_p = (size_t) size;
    return data;
}

//  --------------------------------------------------------------------------
//  Tests

//  Half of them say hello, and then nothing more; the others do not say a word. There are
//  more than there may be connections, and from several addresses.
static void
half_open_handshakes_keep_nobody_away (void)
{
    serve_t *serve = s_serve ();
    size_t size;
    const char *hello = s_hello (&size);
    static int fd[HALF_OPEN];
    serve->from = "127.9.9.9";
    s_post (serve);
    for (int i = 0; i < HALF_OPEN; i++) {
        fd[i] = s_connect (serve, text_new ("127.8.8.%d", 1 + i % CLIENTS));
        if (i % 2)
            send (fd[i], hello, size, MSG_NOSIGNAL);
        if (i % (HALF_OPEN / POSTS) == 0)
            s_post (serve);
    }
    for (int i = 0; i < POSTS; i++)
        s_post (serve);
    assert_true (process_status (serve->process, "VmRSS:") < MEMORY_KIB
                 || SANITIZED);
    assert_true (process_lines (serve->process, "event=connections") >= 1);
    assert_true (process_lines (serve->process, "event=connections") < 20);
    for (int i = 0; i < HALF_OPEN; i++)
        close (fd[i]);
    s_await_gone (serve);
    serve_stop (serve);
}

//  The handshake's bytes come one by one, and so do those of a request behind it.
static void
a_slow_handshake_is_cut (void)
{
    serve_t *serve = s_serve ();
    size_t size, at = 0;
    const char *hello = s_hello (&size);
    int fd = s_connect (serve, "127.8.8.1");
    process_t *client = process_start (
      LIST ("openssl", "s_client", "-quiet", "-connect", serve->address), NULL);
    int64_t until = now_ms () + CUT_MS;
    bool cut = false;
    while ((!cut || process_alive (client)) && now_ms () < until) {
        cut = cut || s_is_cut (fd)
              || send (fd, hello + at++ % size, 1, MSG_NOSIGNAL) != 1;
        if (process_alive (client) && write (client->input, "G", 1) != 1)
            break;
        nanosleep (&(struct timespec){0, 500000000}, NULL);
        s_post (serve);
    }
    assert_true (cut);
    process_wait (client);
    close (fd);
    serve_stop (serve);
}

//  Bytes, among which there may be zeros.
#define BYTES(text)                                                            \
    {                                                                          \
        text, sizeof text - 1                                                  \
    }

//  HTTP in the clear, records of other kinds, of other versions, and too long.
static void
what_is_no_tls_is_cut (void)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
      BYTES ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      BYTES ("POST /v1/metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\n{}\n"),
      BYTES ("\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03"),
      BYTES ("\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00"),
      BYTES ("\x17\x03\x03\x00\x05hello"),
      BYTES ("\x15\x03\x01\x00\x02\x02\x28"),
      BYTES ("\x15\x03\x01\x00\x02\x01\x00"),
      BYTES ("\x14\x03\x01\x00\x01\x01"),
      BYTES ("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
      BYTES ("\x16\x03\x01\x00\x04\x00\x00\x00\x00")};
    enum { CASES = sizeof cases / sizeof *cases };
    serve_t *serve = s_serve ();
    size_t size;
    const char *hello = s_hello (&size);
    char *bent = harness_keep (malloc (size));
    int fd[CASES];
    uint64_t random = 20261129;
    for (size_t i = 0; i < CASES; i++) {
        fd[i] = s_connect (serve, "127.8.8.1");
        send (fd[i], cases[i].text, cases[i].size, MSG_NOSIGNAL);
        s_post (serve);
    }
    for (size_t i = 0; i < CASES; i++)
        s_await_cut (fd[i]);
    //  a hello in which one byte is another one
    for (int i = 0; i < 500; i++) {
        int bent_fd = s_connect (serve, "127.8.8.1");
        random = random * 6364136223846793005u + 1442695040888963407u;
        memcpy (bent, hello, size);
        bent[(random >> 40) % size] ^= (char) (1 + (random >> 33) % 255);
        send (bent_fd, bent, size, MSG_NOSIGNAL);
        close (bent_fd);
    }
    s_post (serve);
    s_await_gone (serve);
    serve_stop (serve);
}

//  A client of TLS 1.2 may ask for another handshake, which costs the server more than
//  the client.
static void
nobody_negotiates_anew (void)
{
    serve_t *serve = s_serve ();
    process_t *client = process_start (LIST ("openssl", "s_client", "-tls1_2",
                                             "-legacy_server_connect",
                                             "-connect", serve->address),
                                       NULL);
    int64_t until = now_ms () + CUT_MS;
    process_await (client, "Verify return code");
    while (process_alive (client) && now_ms () < until) {
        if (write (client->input, "R\n", 2) != 2)
            break;
        nanosleep (&(struct timespec){0, 100000000}, NULL);
        s_post (serve);
    }
    process_wait (client);
    serve_stop (serve);
}

static const struct CMUnitTest tests[] = {
  TEST (half_open_handshakes_keep_nobody_away), TEST (a_slow_handshake_is_cut),
  TEST (what_is_no_tls_is_cut), TEST (nobody_negotiates_anew)};

HARNESS_MAIN (tests)
