/*  bench_otlp - processor seconds that the sender takes to deliver a million rows by
    OTLP, against the same bytes by memcpy and libcurl

    A child in the place of the receiver reads all and keeps nothing. Beside that,
    for who pays by the byte, what --gzip takes.

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

static void
s_measure (const char *url, zb_type_t type, const char *name, double goal)
{
    static const zb_tag_t resource = {"service.name", "zibrato"};
    otlp_form_t form = {
      .max_buckets = 160, .resource = &resource, .resource_count = 1};
    service_t plain = {SERVICE_DEFAULTS,
                       .http = {.url = url, .type = "x", .timeout = 15}};
    service_t packed = {
      SERVICE_DEFAULTS,
      .http = {.url = url, .type = "x", .timeout = 15, .gzip = 1}};
    char figure[64];
    double seconds;
    s_make_rows (type);
    s_deliver (&plain, &form);  //  memory is there, the connection is open
    seconds = s_deliver (&plain, &form);
    snprintf (figure, sizeof figure, "otlp.%s", name);
    bench_figure (figure, seconds, goal);
    snprintf (figure, sizeof figure, "otlp.%s.copy", name);
    bench_figure (figure, seconds, s_copy (&plain, &form));
    service_close (&plain);  //  the receiver serves one connection
    snprintf (figure, sizeof figure, "otlp.%s.gzip", name);
    s_deliver (&packed, &form);
    bench_figure (figure, s_deliver (&packed, &form), seconds);
    service_close (&packed);
}

int
main (void)
{
    char url[64];
    bench_child_t child;
    snprintf (url, sizeof url, "http://127.0.0.1:%d/",
              bench_sink (&child, bench_sink_http));
    bench_pin (1);
    s_measure (url, ZB_TYPE_COUNTER, "counter", 1);
    s_measure (url, ZB_TYPE_TIMER, "timer", 3);
    kill (child.pid, SIGKILL);
    return 0;
}
