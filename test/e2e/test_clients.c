/*  test_clients.c - clients of Librato as they are, unchanged: librato-node, statsd with
    statsd-librato-backend, Debian's collectd

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"
#include "servers.h"

#include <sys/un.h>

//  Where clients are from npm, installed by the first who asks.
static const char *
s_modules (void)
{
    const char *folder =
      text_new ("%s/../librato", harness_path ("ZB_PROGRAMS"));
    process_run (
      LIST (text_new ("%s/test/librato/install", harness_path ("ZB_SOURCE")),
            folder),
      NULL);
    return folder;
}

//  --------------------------------------------------------------------------
//  librato-node

static void
librato_node_delivers (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *script =
      text_new ("%s/test/librato/client.js", harness_path ("ZB_SOURCE"));
    process_t *node = process_run (
      LIST ("node", script, serve->url, serve->token, s_modules ()), NULL);
    assert_string_equal (process_out (node), "done\n");
    serve_stop (serve);
    total_t size = serve_total (serve, "node", "size");
    assert_true (size.count == 3 && size.sum == 13);
    assert_true (size.min == 1 && size.max == 7);
    assert_true (serve_total (serve, "other", "once").sum == 0.25);
    //  a running total, said twice
    total_t visits = serve_total (serve, "node", "visits");
    assert_true (visits.rows == 2 && visits.min == 3 && visits.max == 4);
}

//  --------------------------------------------------------------------------
//  statsd with statsd-librato-backend

static const serve_t *s_serve;
static bool s_legacy;

static const char *const *
s_statsd_configure (const server_t *self)
{
    const char *modules = s_modules ();
    file_write (
      server_path (self, "config.js"),
      text_new (
        "{ mgmt_address: '127.0.0.1', mgmt_port: %d, address: '127.0.0.1', "
        "port: %d, flushInterval: 1000, deleteIdleStats: true, "
        "percentThreshold: [90], backends: "
        "['%s/node_modules/statsd-librato-backend/lib/librato.js'], "
        "librato: { email: 'user@example.org', token: '%s', api: '%s', "
        "source: 'statsd', skipInternalMetrics: true, writeToLegacy: %s } }",
        self->port[0], self->port[1], modules, s_serve->token, s_serve->url,
        s_legacy ? "true" : "false"));
    return s_list_keep (
      LIST ("node", text_new ("%s/node_modules/statsd/stats.js", modules),
            server_path (self, "config.js")));
}

static const server_kind_t server_statsd_librato = {
  .program = "node", .ports = 2, .configure = s_statsd_configure};

static void
s_send_udp (int port, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal (sendto (fd, text, strlen (text), 0,
                              (struct sockaddr *) &address, sizeof address),
                      strlen (text));
    close (fd);
}

//  With writeToLegacy it posts all to both routes, which here are of one series: so it
//  is counted twice.
static void
s_statsd_delivers (bool legacy)
{
    int posts = legacy ? 2 : 1;
    serve_t *serve = serve_start (NULL, "data", NULL);
    server_t *server;
    s_serve = serve;
    s_legacy = legacy;
    server = server_start (&server_statsd_librato);
    for (int i = 0; i < 20; i++)
        s_send_udp (server->port[1], "requests:3|c\nwork:10|ms\nwork:20|ms");
    s_send_udp (server->port[1], "depth:7|g");
    serve_await (serve, "requests", 0, 60 * posts);
    serve_await (serve, "work", 40 * posts, 0);
    serve_await (serve, "depth", 0, 7);
    server_stop (server);
    serve_stop (serve);
    assert_true (serve_total (serve, "statsd", "requests").sum == 60 * posts);
    assert_true (serve_total (serve, "statsd", "depth").max == 7);
    total_t work = serve_total (serve, "statsd", "work");
    assert_true (work.count == 40 * posts && work.sum == 600 * posts);
    assert_true (work.min == 10 && work.max == 20);
}

static void
statsd_delivers_with_tags (void)
{
    s_statsd_delivers (false);
}

static void
statsd_delivers_to_both_routes (void)
{
    s_statsd_delivers (true);
}

//  --------------------------------------------------------------------------
//  collectd: values are put in by its socket, and go out by write_http

static const char *const *
s_collectd_configure (const server_t *self)
{
    const char *config = server_path (self, "collectd.conf");
    file_write (
      config,
      text_new ("Hostname \"myhost\"\nBaseDir \"%s\"\n"
                "PIDFile \"%s/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\n"
                "LoadPlugin logfile\n<Plugin logfile>\nFile stdout\n</Plugin>\n"
                "LoadPlugin unixsock\n<Plugin unixsock>\n"
                "SocketFile \"%s\"\nDeleteSocket true\n</Plugin>\n"
                "LoadPlugin write_http\n<Plugin write_http>\n<Node \"serve\">\n"
                "URL \"%s/v1/measurements\"\nFormat \"JSON\"\n"
                "User \"collectd\"\nPassword \"%s\"\n</Node>\n</Plugin>\n",
                self->folder, self->folder, server_path (self, "socket"),
                s_serve->url, s_serve->token));
    return s_list_keep (LIST ("collectd", "-f", "-C", config));
}

static const server_kind_t server_collectd_librato = {
  .program = "collectd",
  .configure = s_collectd_configure,
  .says = "entering read-loop"};

//  Says lines to collectd, and reads an answer to each.
static void
collectd_say (const server_t *self, const char *text, int lines)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int64_t until = now_ms () + WAIT_MS;
    char answer[256];
    FILE *file = fdopen (fd, "r+");
    snprintf (address.sun_path, sizeof address.sun_path, "%s",
              server_path (self, "socket"));
    while (connect (fd, (struct sockaddr *) &address, sizeof address) == -1) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    assert_int_equal (send (fd, text, strlen (text), 0), strlen (text));
    while (lines-- > 0) {
        assert_non_null (fgets (answer, sizeof answer, file));
        if (strncmp (answer, "0 ", 2) != 0)
            fail_msg ("collectd: %s", answer);
    }
    fclose (file);
}

enum { VALUES = 500 };

//  It sends no credentials until it is asked for them, and says nothing when they are
//  missing.
static void
collectd_delivers (void)
{
    static const char name[] = "collectd.app.main.gauge.queue";
    serve_t *serve = serve_start (NULL, "data", NULL);
    long long now = (long long) time (NULL);
    int64_t until = now_ms () + WAIT_MS;
    char *text = harness_keep (calloc (VALUES + 1, 100)), *at = text;
    server_t *server;
    s_serve = serve;
    server = server_start (&server_collectd_librato);
    for (int i = 0; i < VALUES; i++)
        at += sprintf (at,
                       "PUTVAL myhost/app-main/gauge-queue interval=1 "
                       "%lld:%d\n",
                       now - VALUES + i, i);
    collectd_say (server, text, VALUES);
    //  what is in its own queue goes with a later flush
    while (serve_total (serve, NULL, name).count < VALUES
           && now_ms () < until) {
        collectd_say (server, "FLUSH\n", 1);
        poll_pause ();
    }
    server_stop (server);
    serve_stop (serve);
    total_t total = serve_total (serve, "myhost", name);
    assert_true (total.count == VALUES && total.rows == VALUES);
    assert_true (total.sum == VALUES * (VALUES - 1) / 2);
}

static const struct CMUnitTest tests[] = {
  TEST (librato_node_delivers), TEST (statsd_delivers_with_tags),
  TEST (statsd_delivers_to_both_routes), TEST (collectd_delivers)};

HARNESS_MAIN (tests)
