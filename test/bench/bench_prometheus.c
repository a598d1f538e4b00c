/*  bench_prometheus - what a scrape of 100,000 series takes, in each form, against the
    goal, and against Prometheus' own client for Python (peer_prometheus.py); and
    requests of remote write, against a copy of their bytes

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include "exposition.h"
#include "write_request.h"

#include <string.h>

enum {
    SERIES = 100000,
    SCRAPE_MS = 150,
    BUCKETS = 40,
    BATCH = 500,
    PIECE_MAX = 4 * 1024 * 1024,
    NAME_SIZE = 32
};

static zb_row_t s_rows[SERIES];
static char s_names[SERIES][NAME_SIZE], s_values[SERIES][NAME_SIZE];
static zb_tag_t s_tags[SERIES];
static zb_total_t s_totals[SERIES];
static zb_bucket_t s_buckets[BUCKETS];
static char s_copy[PIECE_MAX];

//  A hundred names, and a tag that tells their series apart.
static void
s_make_rows (zb_type_t type)
{
    for (size_t i = 0; i < BUCKETS; i++)
        s_buckets[i] = (zb_bucket_t){(int) i - 320, i * i + 1};
    for (size_t i = 0; i < SERIES; i++) {
        snprintf (s_names[i], NAME_SIZE, "bench_requests_%02zu", i % 100);
        snprintf (s_values[i], NAME_SIZE, "customer-%zu", i);
        s_tags[i] = (zb_tag_t){"customer", s_values[i]};
        s_totals[i] = (zb_total_t){.start_ns = 1,
                                   .value = (double) i * 12.5,
                                   .count = BUCKETS,
                                   .sum = (double) i * 0.001,
                                   .buckets = s_buckets,
                                   .bucket_count = BUCKETS};
        s_rows[i] = (zb_row_t){.type = type,
                               .name = s_names[i],
                               .source = "web-01",
                               .tags = &s_tags[i],
                               .tag_count = 1,
                               .start_ns = INT64_C (1795689090000000000),
                               .time_ns = INT64_C (1795689091000000000),
                               .count = 1,
                               .total = &s_totals[i]};
    }
}

static double
s_seconds (uint64_t begin)
{
    return (double) (bench_thread_ns () - begin) / 1e9;
}

//  Of so many bytes, a piece at a time.
static double
s_copied (const char *data, size_t piece, size_t size)
{
    uint64_t begin = bench_thread_ns ();
    piece = piece < PIECE_MAX ? piece : PIECE_MAX;
    for (; size > piece; size -= piece) {
        memcpy (s_copy, data, piece);
        __asm__ volatile("" ::"r"(s_copy) : "memory");
    }
    return s_seconds (begin);
}

//  Returns milliseconds.
static double
s_scrape (latest_t *latest, exposition_form_t form)
{
    uint64_t begin = bench_thread_ns ();
    exposition_t *exposition = exposition_new (latest, form, false);
    const char *piece;
    double seconds;
    while (exposition_next (exposition, &piece)) {
    }
    seconds = s_seconds (begin);
    exposition_destroy (&exposition);
    return seconds * 1e3;
}

//  Python says how long it takes.
static void
s_bench_python (latest_t *latest)
{
    char command[4096];
    const char *source = getenv ("ZB_SOURCE");
    FILE *file;
    double ms;
    BENCH_CHECK (source);
    snprintf (command, sizeof command, "'%s/test/bench/peer_prometheus.py'",
              source);
    BENCH_CHECK ((file = popen (command, "r")));
    BENCH_CHECK (fscanf (file, "%lf", &ms) == 1);
    BENCH_CHECK (pclose (file) == 0);
    bench_figure ("prometheus.text.python", s_scrape (latest, EXPOSITION_TEXT),
                  ms);
}

//  For a million rows.
static void
s_bench_write (bool native, const char *figure)
{
    write_form_t form = {.worker = "host.worker", .native = native};
    buffer_t out = {.size = 0};
    uint64_t begin = bench_thread_ns ();
    double scale = 1e6 / SERIES, seconds;
    size_t sum = 0;
    for (size_t i = 0; i < SERIES; i += BATCH) {
        out.size = 0;
        for (size_t j = i; j < i + BATCH; j++)
            write_request_add (&out, &form, &s_rows[j]);
        sum += out.size;
    }
    seconds = s_seconds (begin);
    bench_figure (figure, seconds * scale,
                  s_copied (out.text, out.size, sum) * scale);
    buffer_clear (&out);
}

int
main (void)
{
    latest_t *latest = latest_new ("host.worker", 0);
    bench_pin (1);
    s_make_rows (ZB_TYPE_COUNTER);
    latest_put (latest, s_rows, SERIES, 0);
    bench_figure ("prometheus.text", s_scrape (latest, EXPOSITION_TEXT),
                  SCRAPE_MS);
    bench_figure ("prometheus.openmetrics",
                  s_scrape (latest, EXPOSITION_OPENMETRICS), SCRAPE_MS);
    bench_figure ("prometheus.protobuf", s_scrape (latest, EXPOSITION_PROTOBUF),
                  SCRAPE_MS);
    s_bench_python (latest);
    latest_destroy (&latest);
    s_bench_write (false, "remote-write.counter");
    s_make_rows (ZB_TYPE_TIMER);
    s_bench_write (true, "remote-write.native");
    s_bench_write (false, "remote-write.classic");
    return 0;
}
