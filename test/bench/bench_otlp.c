/*  bench_otlp - processor seconds that the sender takes to deliver a million rows by
    OTLP

    Against the same bytes by memcpy and libcurl; beside that, for who pays by the byte,
    what --gzip takes. `bench_otlp sdk`: against the exporter of OpenTelemetry's SDK for
    JavaScript (peer_otlp.js), a process of its own, which sends the same rows in requests
    of the size that suits it.

    A child in the place of the receiver reads all and keeps nothing.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_sink.h"

#include "otlp_encode.h"
#include "service.h"

#include <signal.h>
#include <string.h>

enum { ROWS = 100000, BATCH = 2000, BUCKETS = 40 };

//  --------------------------------------------------------------------------
//  Rows: of a program's usual names, with a tag

static char s_names[ROWS][32];
static zb_row_t s_rows[ROWS];
static zb_total_t s_totals[ROWS];
static zb_bucket_t s_buckets[BUCKETS];

static void
s_make_rows (zb_type_t type)
{
    static const zb_tag_t tag = {"code", "200"};
    for (int i = 0; i < BUCKETS; i++)
        s_buckets[i] = (zb_bucket_t){-300 + i, 10};
    for (int i = 0; i < ROWS; i++) {
        snprintf (s_names[i], sizeof s_names[i], "bench.requests.%06d", i);
        s_totals[i] = (zb_total_t){.start_ns = INT64_C (1795689000000000000),
                                   .value = i * 5.0,
                                   .count = BUCKETS * 10,
                                   .sum = 12.5,
                                   .buckets = s_buckets,
                                   .bucket_count = BUCKETS};
        s_rows[i] = (zb_row_t){.type = type,
                               .name = s_names[i],
                               .source = "web-01",
                               .tags = &tag,
                               .tag_count = 1,
                               .time_ns = INT64_C (1795689060000000000),
                               .count = 1,
                               .total = &s_totals[i]};
    }
}

//  --------------------------------------------------------------------------
//  Delivery

static void
s_post (service_t *service, const buffer_t *body)
{
    zb_reply_t reply = {.at_fault = NULL};
    BENCH_CHECK (service_post (service, body->text, body->size, &reply, NULL)
                 == ZB_DELIVERED);
}

//  Seconds for a million rows.
static double
s_deliver (service_t *service, const otlp_form_t *form)
{
    static buffer_t body;
    uint64_t begin = bench_thread_ns ();
    for (size_t i = 0; i < ROWS; i += BATCH) {
        body.size = 0;
        BENCH_CHECK (otlp_encode (form, s_rows + i, BATCH, &body) == BATCH);
        s_post (service, &body);
    }
    return (double) (bench_thread_ns () - begin) * 1e-9 * (1e6 / ROWS);
}

//  The same of bytes that were there.
static double
s_copy (service_t *service, const otlp_form_t *form)
{
    static buffer_t made, body;
    uint64_t begin;
    made.size = 0;
    otlp_encode (form, s_rows, BATCH, &made);
    buffer_room (&body, made.size);
    begin = bench_thread_ns ();
    for (size_t i = 0; i < ROWS; i += BATCH) {
        memcpy (body.text, made.text, made.size);
        body.size = made.size;
        s_post (service, &body);
        body.size = 0;
    }
    return (double) (bench_thread_ns () - begin) * 1e-9 * (1e6 / ROWS);
}

//  --------------------------------------------------------------------------
//  What is measured

typedef struct {
    const char *name;
    zb_type_t type;
    double goal;  //  seconds for a million rows
} kind_t;

static const kind_t s_kinds[] = {{"counter", ZB_TYPE_COUNTER, 1},
                                 {"timer", ZB_TYPE_TIMER, 3}};

static const zb_tag_t s_resource = {"service.name", "zibrato"};
static const otlp_form_t s_form = {
  .max_buckets = 160, .resource = &s_resource, .resource_count = 1};

static service_t
s_service (const char *url, int gzip)
{
    return (service_t){
      SERVICE_DEFAULTS,
      .http = {.url = url, .type = "x", .timeout = 15, .gzip = gzip}};
}

//  Seconds for a million rows when memory is there and the connection is open.
static double
s_deliver_warm (service_t *service)
{
    s_deliver (service, &s_form);
    return s_deliver (service, &s_form);
}

static void
s_figure (const kind_t *kind, const char *against, double seconds, double other)
{
    char figure[64];
    snprintf (figure, sizeof figure, "otlp.%s%s", kind->name, against);
    bench_figure (figure, seconds, other);
}

//  The receiver serves one connection, so each is closed before the next one.
static void
s_measure (const kind_t *kind, char *url)
{
    service_t plain = s_service (url, 0), packed = s_service (url, 1);
    double seconds = s_deliver_warm (&plain);
    s_figure (kind, "", seconds, kind->goal);
    s_figure (kind, ".copy", seconds, s_copy (&plain, &s_form));
    service_close (&plain);
    s_figure (kind, ".gzip", s_deliver_warm (&packed), seconds);
    service_close (&packed);
}

//  --------------------------------------------------------------------------
//  The SDK

//  In larger requests it takes three times as long for timers.
enum { PATH_SIZE = 4096, SDK_BATCH = 500 };

//  A path in the source tree or the build tree, of which test/bench/run tells.
static void
s_path (char path[PATH_SIZE], const char *tree, const char *name)
{
    const char *folder = getenv (tree);
    BENCH_CHECK (folder);
    BENCH_CHECK (snprintf (path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE);
}

//  Finds or makes the folder that has it.
static void
s_sdk_install (char folder[PATH_SIZE])
{
    char script[PATH_SIZE], command[2 * PATH_SIZE + 16];
    s_path (folder, "ZB_BUILD", "test/otlp-judges");
    s_path (script, "ZB_SOURCE", "test/otlp/install");
    snprintf (command, sizeof command, "'%s' '%s' >&2", script, folder);
    BENCH_CHECK (system (command) == 0);
}

//  Seconds for a million rows.
static double
s_sdk (const kind_t *kind, char *url)
{
    char folder[PATH_SIZE], script[PATH_SIZE], rows[16], batch[16];
    char *command[] = {"/usr/bin/env",      "node", script, folder, url,
                       (char *) kind->name, rows,   batch,  NULL};
    bench_child_t child;
    long long ns;
    s_sdk_install (folder);
    s_path (script, "ZB_SOURCE", "test/bench/peer_otlp.js");
    snprintf (rows, sizeof rows, "%d", ROWS);
    snprintf (batch, sizeof batch, "%d", SDK_BATCH);
    child = bench_child (NULL, NULL, command, -1);
    ns = bench_child_says (&child, "cpu_ns=");
    BENCH_CHECK (ns > 0);
    bench_child_end (&child);
    return (double) ns * 1e-9 * (1e6 / ROWS);
}

static void
s_compare (const kind_t *kind, char *url)
{
    service_t plain = s_service (url, 0);
    double seconds = s_deliver_warm (&plain);
    service_close (&plain);
    s_figure (kind, ".sdk", seconds, s_sdk (kind, url));
}

int
main (int argc, char **argv)
{
    int sdk = argc > 1 && strcmp (argv[1], "sdk") == 0;
    char url[64];
    bench_child_t child;
    snprintf (url, sizeof url, "http://127.0.0.1:%d/",
              bench_sink (&child, bench_sink_http));
    bench_pin (1);
    for (size_t i = 0; i < sizeof s_kinds / sizeof *s_kinds; i++) {
        s_make_rows (s_kinds[i].type);
        (sdk ? s_compare : s_measure) (&s_kinds[i], url);
    }
    kill (child.pid, SIGKILL);
    return 0;
}
