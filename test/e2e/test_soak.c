/*  test_soak.c - all backends beside each other on one broker, and one program, for ten
    minutes, or as many seconds as ZB_SECONDS says

    What the program has counted is what each of them has in the end, to the digit, and
    neither broker nor worker grows.

    Each run of everyday takes ten seconds: then it is shown that all of them work at
    once, and not that none grows slowly.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240 NOSAN LONG 1200 - the servers take their time beside it

#include "carbon.h"
#include "collectd.h"
#include "otlp.h"
#include "prometheus.h"
#include "serve_api.h"


enum {
    SECONDS = 10,
    SECONDS_LONG = 600,
    DELAY_US = 5000,  //  of the program's threads, behind each file
    REPEAT = 100000,  //  of the program: as often as it takes
    GROWS_KIB = 2048  //  in half of the time, at most
};

//  --------------------------------------------------------------------------
//  place: where a worker delivers

typedef struct place {
    const char *mode;
    const char *const *options;
    server_t *server;    //  or NULL
    standin_t *standin;  //  or NULL
    serve_t *serve;      //  or NULL; its process is the worker
    process_t *worker;
    //  All that came, as rows_total adds it up. Caller deletes the return value.
    cJSON *(*rows) (const struct place *self);
    //  Has come what the program has counted of a series? Without rows, too
    bool (*has) (const struct place *self, const cJSON *rows,
                 const cJSON *series);
    long rss_before, rss;  //  KiB, at most, in the second quarter and the last
} place_t;

static bool
place_has_series (const place_t *self, const cJSON *rows, const cJSON *series)
{
    (void) self;
    return indexer_is_same (series, indexer_came (rows, series), NO_GAUGES);
}

//  Readings are not compared: stores that overwrite have one a second.
static const cJSON *
place_lacks (const place_t *self, const cJSON *program)
{
    cJSON *rows = self->rows ? self->rows (self) : NULL;
    const cJSON *series, *lacks = NULL;
    cJSON_ArrayForEach (series, program) if (!row_is (series, "type", "gauge")
                                             && !self->has (self, rows, series))
      lacks = series;
    cJSON_Delete (rows);
    return lacks;
}

//  --------------------------------------------------------------------------
//  The places

static cJSON *
s_printed_rows (const place_t *self)
{
    sink_t sink = {self->worker, NULL};
    return sink_rows_so_far (&sink);
}

static cJSON *
s_judged_rows (const place_t *self)
{
    return standin_get (self->standin, "stored");
}

static cJSON *
s_prometheus_rows (const place_t *self)
{
    return prometheus_rows (self->server, NULL);
}

static cJSON *
s_influxdb_rows (const place_t *self)
{
    return influxdb_rows (self->server, "soak");
}

static cJSON *
s_carbon_rows_of (const place_t *self)
{
    return carbon_rows (self->server, NULL);
}

//  The program that gets rows makes a file of each request.
static cJSON *
s_file_rows (const place_t *self)
{
    const char *folder = self->options[5];
    cJSON *rows = cJSON_CreateArray ();
    glob_t files;
    glob (text_new ("%s/*.ndjson", folder), 0, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *rest = file_read (files.gl_pathv[i], NULL), *line;
        while ((line = strsep (&rest, "\n"))) {
            cJSON *row = cJSON_Parse (line);
            if (row)
                cJSON_AddItemToArray (rows, row);
        }
    }
    globfree (&files);
    return rows;
}

//  By its own API. When it has ended it is started once more, and finds no broker.
static bool
s_serve_has (const place_t *self, const cJSON *rows, const cJSON *series)
{
    serve_t *serve = self->serve;
    (void) rows;
    if (!process_alive (serve->process))
        serve_launch (serve);
    total_t total = serve_read_total (
      serve, cJSON_GetObjectItem (series, "source")->valuestring,
      cJSON_GetObjectItem (series, "name")->valuestring, 1,
      (int64_t) time (NULL) - 3600);
    return indexer_is_same (series, total, NO_GAUGES);
}

//  Of the timers it leaves out what is too short for it (collectd.h).
static bool
s_collectd_has (const place_t *self, const cJSON *rows, const cJSON *series)
{
    (void) rows;
    return !row_is (series, "type", "counter")
           || collectd_total (self->server, series)
                == row_number (series, "total");
}

static place_t
s_stdout (void)
{
    return (place_t){.mode = "stdout",
                     .rows = s_printed_rows,
                     .options =
                       s_list_keep (LIST ("--flush", "1", "--format", "json"))};
}

static place_t
s_librato (void)
{
    standin_t *standin = standin_start (NULL);
    return (place_t){.mode = "librato",
                     .standin = standin,
                     .rows = s_judged_rows,
                     .options = s_list_keep (LIST (
                       "--flush", "1", "--url", standin->url, "--username",
                       "user@example.org", "--apitoken", "token"))};
}

static place_t
s_otlp (void)
{
    standin_t *receiver = receiver_start (NULL);
    return (place_t){
      .mode = "otlp",
      .standin = receiver,
      .rows = s_judged_rows,
      .options = s_list_keep (LIST ("--flush", "1", "--url", receiver->url))};
}

static place_t
s_prometheus (void)
{
    server_t *server = server_start (&server_prometheus);
    return (place_t){.mode = "prometheus",
                     .server = server,
                     .rows = s_prometheus_rows,
                     .options = s_list_keep (
                       LIST ("--flush", "1", "--listen",
                             text_new ("127.0.0.1:%d", server->port[1])))};
}

static place_t
s_remote_write (void)
{
    server_t *server = server_start (&server_victoriametrics);
    return (place_t){
      .mode = "remote-write",
      .server = server,
      .rows = s_prometheus_rows,
      .options = s_list_keep (
        LIST ("--flush", "1", "--url", server_url (server, "/api/v1/write")))};
}

static place_t
s_influx (void)
{
    server_t *server = server_start (&server_influxdb);
    influxdb_create (server, "soak");
    return (place_t){
      .mode = "influx",
      .server = server,
      .rows = s_influxdb_rows,
      .options = s_list_keep (
        LIST ("--flush", "1", "--url", server_url (server, "/write?db=soak")))};
}

static place_t
s_graphite (void)
{
    server_t *server = server_start (&server_carbon);
    return (place_t){
      .mode = "graphite",
      .server = server,
      .rows = s_carbon_rows_of,
      .options = s_list_keep (LIST (
        "--flush", "1", "--to", text_new ("127.0.0.1:%d", server->port[0])))};
}

static place_t
s_statsd (void)
{
    server_t *server = server_start (&server_collectd);
    return (place_t){
      .mode = "statsd",
      .server = server,
      .has = s_collectd_has,
      .options = s_list_keep (LIST (
        "--flush", "1", "--to", text_new ("127.0.0.1:%d", server->port[1])))};
}

static place_t
s_exec (void)
{
    return (place_t){.mode = "exec",
                     .rows = s_file_rows,
                     .options = s_list_keep (
                       LIST ("--flush", "1", "--once", "--",
                             text_new ("%s/contrib/examples/exec_append.sh",
                                       harness_path ("ZB_SOURCE")),
                             temporary_path ("requests")))};
}

static place_t
s_serve (void)
{
    serve_t *serve = serve_new (NULL, "data", NULL);
    return (place_t){
      .mode = "serve",
      .serve = serve,
      .has = s_serve_has,
      .options = s_list_keep (LIST ("--flush", "1", "--data", serve->folder,
                                    "--listen", serve->address))};
}

static place_t (*const s_places[]) (void) = {
  s_stdout, s_librato,  s_otlp,   s_prometheus, s_remote_write,
  s_influx, s_graphite, s_statsd, s_exec,       s_serve};

enum { PLACES = sizeof s_places / sizeof *s_places };

//  --------------------------------------------------------------------------
//  The run

//  Starts the worker.
static void
place_work (place_t *self, const broker_t *broker)
{
    const char *options[24] = {"--deadline", "30", "--spool",
                               temporary_path (self->mode)};
    for (int i = 0; self->options[i]; i++)
        options[4 + i] = self->options[i];
    self->worker = worker_start (broker, self->mode, options, NULL);
    if (self->serve) {
        self->serve->process = self->worker;
        serve_read_token (self->serve);
    }
}

//  KiB at most, of what it was before and is now.
static void
s_measure (const process_t *process, long *most)
{
    long now = process_status (process, "VmRSS:");
    assert_true (now > 0);
    *most = now > *most ? now : *most;
}

//  Looks at the memory of all, once a second, until the time is over.
static void
s_soak (place_t *places, place_t *broker, int64_t seconds)
{
    int64_t begin = now_ms (), quarter = seconds * 1000 / 4, passed;
    while ((passed = now_ms () - begin) < 4 * quarter) {
        for (int i = 0; i <= PLACES; i++) {
            place_t *place = i < PLACES ? &places[i] : broker;
            if (passed >= 3 * quarter)
                s_measure (place->worker, &place->rss);
            else if (passed >= quarter && passed < 2 * quarter)
                s_measure (place->worker, &place->rss_before);
        }
        nanosleep (&(struct timespec){1, 0}, NULL);
    }
}

static void
place_check_memory (const place_t *self)
{
    print_message ("    %s: %ld KiB, then %ld\n", self->mode, self->rss_before,
                   self->rss);
    if (self->rss > self->rss_before + GROWS_KIB)
        fail_msg ("%s grows: from %ld KiB to %ld", self->mode, self->rss_before,
                  self->rss);
}

//  All has come, and when the worker has ended it is no more.
static void
place_check (const place_t *self, const cJSON *program)
{
    int64_t until = now_ms () + WAIT_MS;
    const cJSON *lacks;
    while (place_lacks (self, program) && now_ms () < until)
        poll_pause ();
    assert_int_equal (process_stop (self->worker, SIGTERM), 0);
    lacks = place_lacks (self, program);
    if (lacks)
        fail_msg ("%s: %s/%s is not what the program has counted", self->mode,
                  cJSON_GetObjectItem (lacks, "source")->valuestring,
                  cJSON_GetObjectItem (lacks, "name")->valuestring);
}

static int64_t
s_seconds (void)
{
    const char *seconds = getenv ("ZB_SECONDS");
    return seconds              ? strtol (seconds, NULL, 10)
           : getenv ("ZB_LONG") ? SECONDS_LONG
                                : SECONDS;
}

static void
totals_are_equal_everywhere_and_nothing_grows (void)
{
    static place_t places[PLACES];
    broker_t *broker = broker_start ();
    place_t watched = {.mode = "broker", .worker = broker->process};
    const char *tree = tree_new ();
    for (int i = 0; i < PLACES; i++) {
        places[i] = s_places[i]();
        if (!places[i].has)
            places[i].has = place_has_series;
        place_work (&places[i], broker);
    }
    process_t *indexer = indexer_start (broker, tree, REPEAT, DELAY_US);
    s_soak (places, &watched, s_seconds ());
    tree_empty (tree);
    cJSON *program = indexer_totals (indexer);
    for (int i = 0; i < PLACES; i++)
        place_check (&places[i], program);
    for (int i = 0; i < PLACES; i++)
        place_check_memory (&places[i]);
    place_check_memory (&watched);
    broker_stop (broker);
    cJSON_Delete (program);
}

static const struct CMUnitTest tests[] = {
  TEST (totals_are_equal_everywhere_and_nothing_grows),
};

HARNESS_MAIN (tests)
