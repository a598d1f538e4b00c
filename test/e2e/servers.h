/*  servers.h - real servers that workers deliver to

    Those of Debian's packages, which contrib/dependencies installs, started by hand
    in a folder of their own, on free ports of loopback, and ended by PID. A test
    file names those that its functions share, in place of HARNESS_MAIN:

        SERVERS_MAIN (tests, &server_influxdb)

    and each function gets it by server_shared (&server_influxdb). Who wants to stop
    and start one has one of its own, by server_start.

    A kind of server is a row: what its files are, its command line, and what it
    answers when it is ready.

    Classes, bottom-up: server, the kinds, what they are asked, the shared ones.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SERVERS_H
#define SERVERS_H

#include "harness.h"

//  --------------------------------------------------------------------------
//  server: a process, and where it is

enum { SERVER_PORTS = 4 };

typedef struct server server_t;

typedef struct {
    const char *program;
    int ports;  //  that it needs
    //  Writes its files. Returns its command line.
    const char *const *(*configure) (const server_t *self);
    //  Of port[0]: what answers with 2xx when it is ready; NULL: it takes
    //  connections then, or prints what it says
    const char *ready, *says;
} server_kind_t;

struct server {
    const server_kind_t *kind;
    process_t *process;
    const char *folder;
    const char *host;  //  its address
    int port[SERVER_PORTS];
    const char *const *argv;
};

//  A path in the server's folder.
static const char *
server_path (const server_t *self, const char *name)
{
    return text_new ("%s/%s", self->folder, name);
}

static const char *
server_url (const server_t *self, const char *route)
{
    return text_new ("http://%s:%d%s", self->host, self->port[0], route);
}

static bool
server_ready (const server_t *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) self->port[0]),
                                  .sin_addr.s_addr = inet_addr (self->host)};
    bool ready;
    if (self->kind->says)
        return process_lines (self->process, self->kind->says) > 0;
    if (self->kind->ready) {
        char *text = http (server_url (self, self->kind->ready), NULL);
        free (text);
        return text != NULL;
    }
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ready = connect (fd, (void *) &address, sizeof address) == 0;
    close (fd);
    return ready;
}

//  Starts it, for the first time or again, and waits until it is ready.
static void
server_launch (server_t *self)
{
    int64_t until = now_ms () + WAIT_MS;
    self->process = process_start (self->argv, NULL);
    while (!server_ready (self)) {
        poll_pause ();
        if (!process_alive (self->process) || now_ms () > until)
            fail_msg ("%s is not ready", self->kind->program);
    }
}

//  Ends it. What it has answered, it has on disk then.
static void
server_stop (server_t *self)
{
    process_stop (self->process, SIGTERM);
}

//  Takes ports that are free. Who holds one does not listen: the server may, with
//  SO_REUSEADDR, but no connection gets it as its own, also while the server is away.
static void
server_take_ports (server_t *self)
{
    for (int i = 0; i < self->kind->ports; i++)
        self->port[i] = port_of (port_take (self->host, 0));
}

//  Starts a server at an address of this host. The harness ends it.
static server_t *
server_start_at (const server_kind_t *kind, const char *host)
{
    static int count;
    const char *name = text_new ("%s-%d", kind->program, count++);
    server_t *self = harness_keep (calloc (1, sizeof *self));
    self->kind = kind;
    self->host = host;
    self->folder = temporary_path (name);
    assert_int_equal (mkdir (self->folder, 0700), 0);
    server_take_ports (self);
    self->argv = kind->configure (self);
    server_launch (self);
    return self;
}

static server_t *
server_start (const server_kind_t *kind)
{
    return server_start_at (kind, "127.0.0.1");
}

//  --------------------------------------------------------------------------
//  The kinds

static const char *const *
s_list_keep (const char *const *list)
{
    const char **kept = harness_keep (calloc (32, sizeof *kept));
    for (size_t i = 0; list[i]; i++)
        kept[i] = list[i];
    return kept;
}

static const char *const *
s_influxdb_configure (const server_t *self)
{
    const char *config = server_path (self, "influxdb.conf");
    file_write (config,
                text_new ("reporting-disabled = true\n"
                          "bind-address = \"%s:%d\"\n"
                          "[meta]\ndir = \"%s\"\n"
                          "[data]\ndir = \"%s\"\nwal-dir = \"%s\"\n"
                          "[http]\nbind-address = \"%s:%d\"\n"
                          "log-enabled = false\n"
                          "[monitor]\nstore-enabled = false\n"
                          "[logging]\nlevel = \"error\"\n",
                          self->host, self->port[1], server_path (self, "meta"),
                          server_path (self, "data"), server_path (self, "wal"),
                          self->host, self->port[0]));
    return s_list_keep (LIST ("influxd", "-config", config));
}

static const server_kind_t server_influxdb = {.program = "influxd",
                                              .ports = 2,
                                              .configure = s_influxdb_configure,
                                              .ready = "/ping"};

//  Graphite's lines at port[1]. Of two equal points it shows one.
static const char *const *
s_victoriametrics_configure (const server_t *self)
{
    return s_list_keep (
      LIST ("victoria-metrics",
            text_new ("-storageDataPath=%s", server_path (self, "data")),
            text_new ("-httpListenAddr=%s:%d", self->host, self->port[0]),
            text_new ("-graphiteListenAddr=%s:%d", self->host, self->port[1]),
            "-search.latencyOffset=0s", "-dedup.minScrapeInterval=1ms",
            "-loggerLevel=ERROR", "-memory.allowedBytes=64MiB"));
}

static const server_kind_t server_victoriametrics = {
  .program = "victoria-metrics",
  .ports = 2,
  .configure = s_victoriametrics_configure,
  .ready = "/health"};

//  Scrapes port[1], five times a second, and takes what is written to it.
static const char *const *
s_prometheus_start (const server_t *self, const char *more, const char *feature)
{
    const char *config = server_path (self, "prometheus.yml");
    file_write (config,
                text_new ("global: {scrape_interval: 200ms}\n%s"
                          "scrape_configs:\n"
                          "- job_name: zibrato\n"
                          "  static_configs: [targets: ['127.0.0.1:%d']]\n",
                          more, self->port[1]));
    return s_list_keep (
      LIST ("prometheus", text_new ("--config.file=%s", config),
            text_new ("--storage.tsdb.path=%s", server_path (self, "data")),
            text_new ("--web.listen-address=%s:%d", self->host, self->port[0]),
            "--web.enable-remote-write-receiver", "--log.level=warn", feature));
}

static const char *const *
s_prometheus_configure (const server_t *self)
{
    return s_prometheus_start (self, "", NULL);
}

static const server_kind_t server_prometheus = {.program = "prometheus",
                                                .ports = 2,
                                                .configure =
                                                  s_prometheus_configure,
                                                .ready = "/-/ready"};

//  With native histograms, and with what comes out of order.
static const char *const *
s_prometheus_configure_native (const server_t *self)
{
    return s_prometheus_start (
      self, "storage: {tsdb: {out_of_order_time_window: 10m}}\n",
      "--enable-feature=native-histograms");
}

static const server_kind_t server_prometheus_native = {
  .program = "prometheus",
  .ports = 2,
  .configure = s_prometheus_configure_native,
  .ready = "/-/ready"};

//  --------------------------------------------------------------------------
//  What they are asked

//  A text as a part of a URL. Freed after the test.
static const char *
url_escape (const char *text)
{
    char *escaped = curl_easy_escape (NULL, text, 0), *kept;
    kept = text_new ("%s", escaped);
    curl_free (escaped);
    return kept;
}

//  The JSON that a server answers with. Caller deletes the return value.
static cJSON *
server_get (const server_t *self, const char *route)
{
    char *text = http (server_url (self, route), NULL);
    cJSON *json = text ? cJSON_Parse (text) : NULL;
    if (!json)
        fail_msg ("%s: %s", route, text ? text : "no answer");
    free (text);
    return json;
}

static void
influxdb_create (const server_t *self, const char *database)
{
    char *text = http (
      server_url (self, "/query"),
      text_new ("q=%s",
                url_escape (text_new ("create database \"%s\"", database))));
    assert_non_null (text);
    free (text);
}

//  A point as an object of its columns, in which what is null is left out.
static cJSON *
s_influxdb_point (const cJSON *series, const cJSON *values)
{
    const cJSON *columns = cJSON_GetObjectItem (series, "columns");
    cJSON *row = cJSON_CreateObject ();
    int count = cJSON_GetArraySize (columns);
    cJSON_AddItemToObject (
      row, "name", cJSON_Duplicate (cJSON_GetObjectItem (series, "name"), 0));
    for (int i = 0; i < count; i++) {
        const char *column = cJSON_GetArrayItem (columns, i)->valuestring;
        const cJSON *value = cJSON_GetArrayItem (values, i);
        if (!cJSON_IsNull (value))
            cJSON_AddItemToObject (row, column, cJSON_Duplicate (value, 0));
    }
    //  a single reading
    if (cJSON_HasObjectItem (row, "last") && !cJSON_HasObjectItem (row, "sum"))
        cJSON_AddNumberToObject (row, "value", row_number (row, "last"));
    return row;
}

//  All points of a database, each as an object of name, time in milliseconds, tags
//  and fields. Caller deletes the return value.
static cJSON *
influxdb_rows (const server_t *self, const char *database)
{
    cJSON *rows = cJSON_CreateArray (), *json;
    const cJSON *series, *values;
    json = server_get (self, text_new ("/query?epoch=ms&db=%s&q=%s",
                                       url_escape (database),
                                       url_escape ("select * from /.*/")));
    const cJSON *result =
      cJSON_GetArrayItem (cJSON_GetObjectItem (json, "results"), 0);
    cJSON_ArrayForEach (series, cJSON_GetObjectItem (result, "series"))
      cJSON_ArrayForEach (values, cJSON_GetObjectItem (series, "values"))
        cJSON_AddItemToArray (rows, s_influxdb_point (series, values));
    cJSON_Delete (json);
    return rows;
}

//  The line's sample as an object of name and source, and what of a row it has: the
//  name's end, behind its last '_' or dot.
static void
s_victoriametrics_add (cJSON *rows, const cJSON *line)
{
    const cJSON *metric = cJSON_GetObjectItem (line, "metric"), *value;
    char *name =
      text_new ("%s", cJSON_GetObjectItem (metric, "__name__")->valuestring);
    char *field = strrchr (name, '_'), *dot = strrchr (name, '.');
    field = !field || (dot && dot > field) ? dot : field;
    cJSON_ArrayForEach (value, cJSON_GetObjectItem (line, "values"))
    {
        cJSON *row = cJSON_Duplicate (metric, 1);
        if (field) {
            *field = 0;
            cJSON_AddNumberToObject (row, field + 1, value->valuedouble);
        }
        cJSON_AddStringToObject (row, "name", name);
        cJSON_AddItemToArray (rows, row);
    }
}

//  All samples, each as an object of name, labels and one field. Caller deletes the
//  return value.
static cJSON *
victoriametrics_rows (const server_t *self, const char *database)
{
    cJSON *rows = cJSON_CreateArray ();
    const char *export =
      server_url (self, text_new ("/api/v1/export?match[]=%s",
                                  url_escape ("{__name__!=\"\"}")));
    char *text, *line, *rest;
    (void) database;
    free (http (server_url (self, "/internal/force_flush"), NULL));
    rest = text = http (export, NULL);
    assert_non_null (text);
    while ((line = strsep (&rest, "\n"))) {
        cJSON *json = cJSON_Parse (line);
        if (json)
            s_victoriametrics_add (rows, json);
        cJSON_Delete (json);
    }
    free (text);
    return rows;
}

//  --------------------------------------------------------------------------
//  The shared ones: each lives as long as the test file runs

enum { SHARED_MAX = 4 };

static server_t *s_shared[SHARED_MAX];
static void **s_shared_kept;  //  the memory that is theirs
static size_t s_shared_kept_count;

static server_t *
server_shared (const server_kind_t *kind)
{
    for (int i = 0; i < SHARED_MAX && s_shared[i]; i++)
        if (s_shared[i]->kind == kind)
            return s_shared[i];
    fail_msg ("%s is not shared", kind->program);
    return NULL;
}

//  Each test has a process of its own, which ends and frees what it has started. So
//  nothing of the shared ones may be in its lists.
static int
servers_run (const struct CMUnitTest *tests, size_t count,
             const server_kind_t *const *kinds)
{
    char folder[sizeof s_folder];
    int rc, i;
    harness_setup (NULL);
    for (i = 0; kinds[i]; i++)
        s_shared[i] = server_start (kinds[i]);
    memcpy (folder, s_folder, sizeof folder);
    s_shared_kept = s_kept;
    s_shared_kept_count = s_kept_count;
    s_process_count = s_kept_count = 0;
    s_kept = NULL;
    rc = jobs_run (tests, count, NULL);
    s_passed = rc == 0;
    for (i = 0; kinds[i]; i++)
        process_destroy (&s_shared[i]->process);
    while (s_shared_kept_count)
        free (s_shared_kept[--s_shared_kept_count]);
    free (s_shared_kept);
    return folder_remove (folder) == 0 ? rc : 1;
}

#define SERVERS_MAIN(tests, ...)                                               \
    int main (void)                                                            \
    {                                                                          \
        return servers_run (                                                   \
          tests, sizeof tests / sizeof *tests,                                 \
          (const server_kind_t *const[]){__VA_ARGS__, NULL});                  \
    }

#endif
