/*  bench_stores - processor seconds that the sender takes to deliver a million rows
    to InfluxDB, Graphite and StatsD, against the same bytes by memcpy

    A child in the place of the server reads all and keeps nothing. In StatsD's place is
    a socket that nobody reads: the kernel drops what it has no room for.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench_sink.h"

#include "graphite_path.h"
#include "halfclose.h"
#include "influx_line.h"
#include "samples.h"
#include "service.h"
#include "statsd_line.h"

enum {
    ROWS = 100000,
    BATCH = 5000,
    MS = 1000000,
    TIMEOUT_MS = 15000,
    BUCKETS = 16,
    SAMPLES = 200,       //  that `zibrato statsd` makes of a timer, at most
    DATAGRAM_MAX = 1432  //  bytes that it sends at once
};

static char s_names[ROWS][32];
static zb_row_t s_rows[ROWS];
static zb_bucket_t s_buckets[BUCKETS];
static int s_datagrams;  //  a socket
static service_t s_service = {SERVICE_DEFAULTS,
                              .http = {.type = "text/plain", .timeout = 15}};
static halfclose_t s_peer = {.host = "127.0.0.1"};

//  Names with a tag. The sums of timers have nine decimals.
static void
s_make_rows (zb_type_t type)
{
    static const zb_tag_t tag = {"code", "200"};
    for (int i = 0; i < BUCKETS; i++)
        s_buckets[i] = (zb_bucket_t){i * 3 - 260, i < BUCKETS - 1 ? 2 : 10};
    for (int i = 0; i < ROWS; i++) {
        snprintf (s_names[i], sizeof s_names[i], "bench.requests.%06d", i);
        s_rows[i] = (zb_row_t){.type = type,
                               .name = s_names[i],
                               .source = "web-01",
                               .tags = &tag,
                               .tag_count = 1,
                               .time_ns = INT64_C (1795689060000000000),
                               .value = i,
                               .count = 40,
                               .sum = 12.345678901 + i,
                               .min = 0.000123456,
                               .max = 1.234567891,
                               .sum_squares = 17.5,
                               .buckets = s_buckets,
                               .bucket_count = BUCKETS};
    }
}

//  --------------------------------------------------------------------------
//  The stores: how a row is written, and how a body is sent

static void
s_influx_add (buffer_t *body, const zb_row_t *row)
{
    influx_line_add (body, row, "myhost.influx", MS);
}

static void
s_influx_send (const buffer_t *body)
{
    zb_reply_t reply = {.at_fault = NULL};
    BENCH_CHECK (service_post (&s_service, body->text, body->size, &reply, NULL)
                 == ZB_DELIVERED);
}

static void
s_graphite_add (buffer_t *body, const zb_row_t *row)
{
    static const graphite_path_t path = {.pattern = "{worker}.{source}.{name}",
                                         .worker = "myhost_graphite"};
    graphite_path_add (body, &path, row);
}

static void
s_graphite_send (const buffer_t *body)
{
    zb_reply_t reply = {.at_fault = NULL};
    BENCH_CHECK (
      halfclose_send (&s_peer, body->text, body->size, TIMEOUT_MS, &reply)
      == ZB_DELIVERED);
}

static void
s_statsd_add (buffer_t *body, const zb_row_t *row)
{
    statsd_add (body, row, SAMPLES);
}

//  Cut anywhere: nobody reads it.
static void
s_statsd_send (const buffer_t *body)
{
    for (size_t at = 0; at < body->size; at += DATAGRAM_MAX) {
        size_t left = body->size - at;
        BENCH_CHECK (send (s_datagrams, body->text + at,
                           left < DATAGRAM_MAX ? left : DATAGRAM_MAX, 0)
                     > 0);
    }
}

//  Two sockets, of which the first sends to the other.
static void
s_statsd_open (void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int unread = socket (AF_INET, SOCK_DGRAM, 0);
    s_datagrams = socket (AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    BENCH_CHECK (
      bind (unread, (struct sockaddr *) &address, size) == 0
      && getsockname (unread, (struct sockaddr *) &address, &size) == 0
      && connect (s_datagrams, (struct sockaddr *) &address, size) == 0);
}

typedef struct {
    const char *name;
    double goal;  //  seconds, or 0
    void (*add) (buffer_t *body, const zb_row_t *row);
    void (*send) (const buffer_t *body);
} store_t;

static const store_t s_stores[] = {
  {"influx", 0.8, s_influx_add, s_influx_send},
  {"graphite", 0.8, s_graphite_add, s_graphite_send},
  {"statsd", 0, s_statsd_add, s_statsd_send}};

enum { STORES = sizeof s_stores / sizeof *s_stores };

//  --------------------------------------------------------------------------
//  Delivery

//  Seconds for a million rows.
static double
s_deliver (const store_t *store)
{
    static buffer_t body;
    uint64_t begin = bench_thread_ns ();
    for (size_t i = 0; i < ROWS; i++) {
        store->add (&body, &s_rows[i]);
        if ((i + 1) % BATCH == 0) {
            store->send (&body);
            body.size = 0;
        }
    }
    return (double) (bench_thread_ns () - begin) * 1e-9 * (1e6 / ROWS);
}

//  The same of bytes that were there.
static double
s_copy (const store_t *store)
{
    static buffer_t made, body;
    uint64_t begin;
    made.size = 0;
    for (size_t i = 0; i < BATCH; i++)
        store->add (&made, &s_rows[i]);
    buffer_room (&body, made.size);
    begin = bench_thread_ns ();
    for (size_t i = 0; i < ROWS; i += BATCH) {
        body.size = 0;
        buffer_add (&body, made.text, made.size);
        store->send (&body);
    }
    return (double) (bench_thread_ns () - begin) * 1e-9 * (1e6 / ROWS);
}

static void
s_measure (const store_t *store, zb_type_t type, const char *name)
{
    char figure[64];
    double seconds;
    s_make_rows (type);
    s_deliver (store);  //  memory is there, the connection is open
    seconds = s_deliver (store);
    snprintf (figure, sizeof figure, "%s.%s", store->name, name);
    if (store->goal > 0)
        bench_figure (figure, seconds, store->goal);
    snprintf (figure, sizeof figure, "%s.%s.copy", store->name, name);
    bench_figure (figure, seconds, s_copy (store));
}

int
main (void)
{
    bench_child_t http, lines;
    char url[64];
    snprintf (url, sizeof url, "http://127.0.0.1:%d/",
              bench_sink (&http, bench_sink_http));
    s_service.http.url = url;
    snprintf (s_peer.port, sizeof s_peer.port, "%d",
              bench_sink (&lines, bench_sink_close));
    s_statsd_open ();
    bench_pin (1);
    for (int i = 0; i < STORES; i++) {
        s_measure (&s_stores[i], ZB_TYPE_COUNTER, "counter");
        s_measure (&s_stores[i], ZB_TYPE_TIMER, "timer");
    }
    kill (http.pid, SIGKILL);
    kill (lines.pid, SIGKILL);
    return 0;
}
