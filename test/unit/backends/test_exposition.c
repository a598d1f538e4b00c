/*  test_exposition.c - what a scrape gets of rows

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 16384 };

static const zb_tag_t s_tags[] = {{"code", "2\"\\0"}};
static const zb_total_t s_seven = {.value = 7};
static const zb_bucket_t s_buckets[] = {{-1, 1}, {0, 2}};
static const zb_total_t s_timer = {
  .count = 3, .sum = 3.25, .buckets = s_buckets, .bucket_count = 2};

static const zb_row_t s_rows[] = {{.type = ZB_TYPE_COUNTER,
                                   .name = "jobs",
                                   .source = "s",
                                   .tags = s_tags,
                                   .tag_count = 1,
                                   .time_ns = 10,
                                   .count = 1,
                                   .total = &s_seven},
                                  {.type = ZB_TYPE_GAUGE,
                                   .name = "jobs",
                                   .source = "s",
                                   .time_ns = 9,
                                   .count = 2,
                                   .last = -2.5,
                                   .min = -3,
                                   .max = 4,
                                   .sum = 1},
                                  {.type = ZB_TYPE_GAUGE,
                                   .name = "jobs",
                                   .source = "s",
                                   .time_ns = 10,
                                   .count = 1,
                                   .last = 8,
                                   .min = 8,
                                   .max = 8,
                                   .sum = 8},
                                  {.type = ZB_TYPE_TIMER,
                                   .name = "wait",
                                   .source = "s",
                                   .time_ns = 10,
                                   .count = 3,
                                   .total = &s_timer}};

enum { ROWS = sizeof s_rows / sizeof *s_rows };

static latest_t *
s_latest (void)
{
    latest_t *latest = latest_new ("w", 0);
    latest_put (latest, s_rows, ROWS, 0);
    return latest;
}

static size_t
s_render (latest_t *latest, exposition_form_t form, bool ranges,
          char text[TEXT_MAX])
{
    exposition_t *exposition = exposition_new (latest, form, ranges);
    const char *piece;
    size_t size = 0, more;
    while ((more = exposition_next (exposition, &piece))) {
        assert_true (size + more < TEXT_MAX);
        memcpy (text + size, piece, more);
        size += more;
    }
    assert_int_equal (exposition_next (exposition, &piece), 0);
    text[size] = 0;
    exposition_destroy (&exposition);
    return size;
}

static void
test_text (void **state)
{
    latest_t *latest = s_latest ();
    char text[TEXT_MAX];
    (void) state;
    s_render (latest, EXPOSITION_TEXT, false, text);
    assert_non_null (strstr (
      text, "# HELP jobs_total Sum of increments\n"
            "# TYPE jobs_total counter\n"
            "jobs_total{code=\"2\\\"\\\\0\",source=\"s\",worker=\"w\"} 7\n"
            "# HELP jobs Last reading\n# TYPE jobs gauge\n"
            "jobs{source=\"s\",worker=\"w\"} 8\n"));
    assert_non_null (strstr (
      text, "wait_seconds_bucket{source=\"s\",worker=\"w\",le=\"1.0\"} 1\n"
            "wait_seconds_bucket{source=\"s\",worker=\"w\",le=\"2.0\"} 3\n"));
    assert_non_null (
      strstr (text, "le=\"+Inf\"} 3\n"
                    "wait_seconds_sum{source=\"s\",worker=\"w\"} 3.25\n"
                    "wait_seconds_count{source=\"s\",worker=\"w\"} 3\n"));
    latest_destroy (&latest);
}

static void
test_openmetrics (void **state)
{
    latest_t *latest = s_latest ();
    char text[TEXT_MAX];
    (void) state;
    s_render (latest, EXPOSITION_OPENMETRICS, false, text);
    assert_non_null (strstr (text, "# TYPE jobs_total unknown\n"));
    assert_non_null (strstr (text, "# UNIT wait_seconds seconds\n"));
    assert_string_equal (text + strlen (text) - 6, "# EOF\n");
    latest_destroy (&latest);
    latest = latest_new ("w", 0);
    latest_put (latest, s_rows, 1, 0);
    s_render (latest, EXPOSITION_OPENMETRICS, false, text);
    assert_non_null (strstr (text, "# TYPE jobs counter\njobs_total{"));
    latest_destroy (&latest);
}

//  Of the readings of one flush, which are several rows.
static void
test_ranges (void **state)
{
    latest_t *latest = s_latest ();
    char text[TEXT_MAX];
    (void) state;
    s_render (latest, EXPOSITION_TEXT, true, text);
    assert_non_null (
      strstr (text, "\njobs_min{source=\"s\",worker=\"w\"} -3\n"));
    assert_non_null (
      strstr (text, "\njobs_max{source=\"s\",worker=\"w\"} 8\n"));
    assert_non_null (
      strstr (text, "\njobs_count{source=\"s\",worker=\"w\"} 3\n"));
    assert_non_null (
      strstr (text, "\njobs_sum{source=\"s\",worker=\"w\"} 9\n"));
    latest_put (latest, &s_rows[2], 1, 0);
    s_render (latest, EXPOSITION_TEXT, true, text);
    assert_non_null (
      strstr (text, "\njobs_count{source=\"s\",worker=\"w\"} 1\n"));
    latest_destroy (&latest);
}

//  A family, its metric, and in it the counter's value: as the official schema has it.
static void
test_bytes (void **state)
{
    latest_t *latest = latest_new ("", 0);
    zb_row_t row = s_rows[0];
    char text[TEXT_MAX];
    (void) state;
    row.tag_count = 0;
    row.source = "";
    latest_put (latest, &row, 1, 0);
    assert_int_equal (s_render (latest, EXPOSITION_PROTOBUF, false, text), 47);
    assert_memory_equal (text,
                         "\x2e\x0a\x0ajobs_total\x12\x11Sum of increments"
                         "\x18\x00\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00"
                         "\x1c\x40",
                         47);
    latest_destroy (&latest);
}

//  What ends is gone, also for who is reading; what is older changes nothing.
static void
test_ends (void **state)
{
    latest_t *latest = s_latest ();
    exposition_t *reader = exposition_new (latest, EXPOSITION_TEXT, false);
    const char *piece;
    zb_row_t row = s_rows[0];
    zb_total_t older = {.value = 3};
    char text[TEXT_MAX];
    (void) state;
    row.time_ns = 5;
    row.total = &older;
    latest_put (latest, &row, 1, 20000);
    s_render (latest, EXPOSITION_TEXT, false, text);
    assert_non_null (strstr (text, "} 7\n"));
    row.time_ns = 20;
    row.ends = 1;
    latest_put (latest, &row, 1, 40000);
    assert_true (exposition_next (reader, &piece) > 0);
    exposition_destroy (&reader);
    latest_put (latest, NULL, 0, 60000);
    s_render (latest, EXPOSITION_TEXT, false, text);
    assert_null (strstr (text, "jobs_total"));
    assert_non_null (strstr (text, "\njobs{"));
    latest_put (latest, NULL, 0, 60000 + LATEST_GAUGE_S * INT64_C (1000));
    s_render (latest, EXPOSITION_TEXT, false, text);
    assert_null (strstr (text, "\njobs{"));
    row = s_rows[0];
    row.time_ns = 30;
    latest_put (latest, &row, 1, 0);
    s_render (latest, EXPOSITION_TEXT, false, text);
    assert_non_null (strstr (text, "jobs_total{"));
    latest_destroy (&latest);
}

static void
test_negotiation (void **state)
{
    static const struct {
        const char *accept;
        exposition_form_t form;
    } asked[] = {
      {NULL, EXPOSITION_TEXT},
      {"", EXPOSITION_TEXT},
      {"*/*", EXPOSITION_TEXT},
      {"text/html", EXPOSITION_TEXT},
      //  Prometheus 2.42, without native histograms and with them
      {"application/openmetrics-text;version=1.0.0,"
       "application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       EXPOSITION_OPENMETRICS},
      {"application/vnd.google.protobuf;"
       "proto=io.prometheus.client.MetricFamily;encoding=delimited,"
       "application/openmetrics-text;version=1.0.0;q=0.8,"
       "application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       EXPOSITION_PROTOBUF},
      //  3.x
      {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
       "application/openmetrics-text;version=0.0.1;q=0.4,"
       "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
       "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
       EXPOSITION_OPENMETRICS},
      {"application/openmetrics-text; version=\"1.0.0\" ; q=0.4 , "
       "text/plain; q=0.5",
       EXPOSITION_TEXT},
      {"application/vnd.google.protobuf;encoding=text", EXPOSITION_TEXT},
      {"application/openmetrics-text;version=0.0.1", EXPOSITION_TEXT},
      {"application/openmetrics-text;q=0", EXPOSITION_TEXT},
      {";;,=,;q,;q=", EXPOSITION_TEXT}};
    (void) state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_int_equal (exposition_negotiate (asked[i].accept),
                          asked[i].form);
}

static void
test_lines (void **state)
{
    static const struct {
        const char *line;
        bool good;
    } lines[] = {{"a 1\n", true},
                 {"a{b=\"c\"} 1\n", true},
                 {"a{b=\"c\",d=\"e f}\"} -1.5e-07\na 2\n", true},
                 {"a{b=\"\\\\\\\"\\n\"} +Inf\n", true},
                 {"a NaN\n", true},
                 {"a{b=\"\xc3\xa4\"} 1\n", true},
                 {"a 1", false},
                 {"a  1\n", false},
                 {"1a 1\n", false},
                 {"a.b 1\n", false},
                 {"a{} 1\n", false},
                 {"a{b=c} 1\n", false},
                 {"a{b=\"c\" 1\n", false},
                 {"a{b-c=\"c\"} 1\n", false},
                 {"a{b=\"\\x\"} 1\n", false},
                 {"a{b=\"c\nd\"} 1\n", false},
                 {"a{b=\"\xff\"} 1\n", false},
                 {"a{b=\"c\"}1\n", false},
                 {"a inf\n", false},
                 {"a 1 2\n", false},
                 {"\n", false}};
    (void) state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (exposition_check (lines[i].line, strlen (lines[i].line))
            != lines[i].good)
            fail_msg ("%s", lines[i].line);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_text),   cmocka_unit_test (test_openmetrics),
      cmocka_unit_test (test_ranges), cmocka_unit_test (test_bytes),
      cmocka_unit_test (test_ends),   cmocka_unit_test (test_negotiation),
      cmocka_unit_test (test_lines)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
