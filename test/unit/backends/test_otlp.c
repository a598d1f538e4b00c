/*  test_otlp.c - what rows become in OTLP, and what answers mean

    JSON is read here, and Protocol Buffers are read back to the same by the official
    decoder: e2e.otlp_judges.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  strcasestr

#include "hist.h"
#include "otlp_encode.h"

#include "answers.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>

#include <setjmp.h>

#include <cmocka.h>

#include "otlp_answer.h"
#include "service.h"
#include "../../../contrib/backends/otlp.c"

#define SECOND INT64_C (1000000000)
#define START  (INT64_C (1795423200) * SECOND)
#define TIME   (INT64_C (1795423260) * SECOND)

static const zb_tag_t s_resource[] = {{"service.name", "zibrato"}};

static otlp_form_t s_form = {
  .json = 1, .max_buckets = 160, .resource = s_resource, .resource_count = 1};

//  --------------------------------------------------------------------------
//  Looking into a request

//  Caller owns the return value; NULL if there are no points.
static cJSON *
s_encode (const zb_row_t *rows, size_t count, size_t points)
{
    buffer_t out = {.size = 0};
    cJSON *json = NULL;
    assert_int_equal (otlp_encode (&s_form, rows, count, &out), points);
    if (points) {
        json = cJSON_ParseWithLength (out.text, out.size);
        if (!json)
            fail_msg ("%.*s", (int) out.size, out.text);
    }
    assert_true (points || out.size == 0);
    buffer_clear (&out);
    return json;
}

//  What is at a path of names and numbers, "a.0.b"; fails if it is not there.
static const cJSON *
s_at (const cJSON *json, const char *path)
{
    char copy[256], *rest = copy, *step;
    snprintf (copy, sizeof copy, "%s", path);
    while (json && (step = strsep (&rest, ".")))
        json = cJSON_IsArray (json) ? cJSON_GetArrayItem (json, atoi (step))
                                    : cJSON_GetObjectItem (json, step);
    return json;
}

#define METRICS "resourceMetrics.0.scopeMetrics.0.metrics."

static void
s_expect_text (const cJSON *json, const char *path, const char *text)
{
    const cJSON *item = s_at (json, path);
    if (!cJSON_IsString (item) || strcmp (item->valuestring, text) != 0)
        fail_msg ("%s: %s, expected %s", path,
                  item && item->valuestring ? item->valuestring : "none", text);
}

static void
s_expect_number (const cJSON *json, const char *path, double number)
{
    const cJSON *item = s_at (json, path);
    if (!cJSON_IsNumber (item) || item->valuedouble != number)
        fail_msg ("%s: %.17g, expected %.17g", path,
                  item ? item->valuedouble : NAN, number);
}

//  --------------------------------------------------------------------------
//  Rows

static void
test_counters (void **state)
{
    static const zb_tag_t tags[] = {{"code", "200"}, {"source", "theirs"}};
    const zb_total_t total = {.start_ns = START - SECOND, .value = 70.5};
    zb_row_t rows[] = {{.type = ZB_TYPE_COUNTER,
                        .name = "a",
                        .source = "web\"1",
                        .tags = tags,
                        .tag_count = 2,
                        .start_ns = START,
                        .time_ns = TIME,
                        .value = 5,
                        .count = 1},
                       {.type = ZB_TYPE_COUNTER,
                        .name = "b",
                        .source = "x",
                        .start_ns = START,
                        .time_ns = TIME,
                        .value = 5,
                        .count = 1,
                        .total = &total,
                        .is_signed = 1},
                       {.type = ZB_TYPE_COUNTER,
                        .name = "a",
                        .source = "y",
                        .start_ns = START,
                        .time_ns = TIME,
                        .value = 6,
                        .count = 1}};
    cJSON *json = s_encode (rows, 3, 3);
    (void) state;
    s_expect_text (json, "resourceMetrics.0.resource.attributes.0.key",
                   "service.name");
    s_expect_text (json, "resourceMetrics.0.scopeMetrics.0.scope.name",
                   "zibrato");
    s_expect_text (json, METRICS "0.name", "a");
    s_expect_number (json, METRICS "0.sum.aggregationTemporality", 1);
    assert_true (cJSON_IsTrue (s_at (json, METRICS "0.sum.isMonotonic")));
    s_expect_number (json, METRICS "0.sum.dataPoints.0.asDouble", 5);
    s_expect_text (json, METRICS "0.sum.dataPoints.0.startTimeUnixNano",
                   "1795423200000000000");
    s_expect_text (json, METRICS "0.sum.dataPoints.0.timeUnixNano",
                   "1795423260000000000");
    s_expect_text (json,
                   METRICS "0.sum.dataPoints.0.attributes.0.value"
                           ".stringValue",
                   "web\"1");
    s_expect_text (json, METRICS "0.sum.dataPoints.0.attributes.1.key", "code");
    s_expect_text (json, METRICS "0.sum.dataPoints.0.attributes.2.key",
                   "tag:source");
    //  one metric, though another came between
    s_expect_number (json, METRICS "0.sum.dataPoints.1.asDouble", 6);
    s_expect_text (json, METRICS "1.name", "b");
    s_expect_number (json, METRICS "1.sum.aggregationTemporality", 2);
    assert_null (s_at (json, METRICS "1.sum.isMonotonic"));
    s_expect_number (json, METRICS "1.sum.dataPoints.0.asDouble", 70.5);
    s_expect_text (json, METRICS "1.sum.dataPoints.0.startTimeUnixNano",
                   "1795423199000000000");
    assert_null (s_at (json, METRICS "2"));
    cJSON_Delete (json);
}

//  The reading's own time, unless it is not of the second that the row is of.
static void
test_gauges (void **state)
{
    zb_row_t rows[3];
    cJSON *json;
    size_t i;
    (void) state;
    for (i = 0; i < 3; i++)
        rows[i] = (zb_row_t){.type = ZB_TYPE_GAUGE,
                             .name = "g",
                             .source = "",
                             .start_ns = TIME,
                             .time_ns = TIME,
                             .count = 3,
                             .value = 9,
                             .last = -2.5,
                             .last_ns = TIME + 123};
    rows[1].last_ns = TIME + 366 * 86400 * SECOND;
    rows[2].last_ns = TIME - 1;
    json = s_encode (rows, 3, 3);
    s_expect_number (json, METRICS "0.gauge.dataPoints.0.asDouble", -2.5);
    s_expect_text (json, METRICS "0.gauge.dataPoints.0.timeUnixNano",
                   "1795423260000000123");
    for (i = 1; i < 3; i++)
        s_expect_text (json,
                       i == 1 ? METRICS "0.gauge.dataPoints.1.timeUnixNano"
                              : METRICS "0.gauge.dataPoints.2.timeUnixNano",
                       "1795423260000000000");
    assert_null (s_at (json, METRICS "0.gauge.dataPoints.0.startTimeUnixNano"));
    assert_null (s_at (json, METRICS "0.gauge.dataPoints.0.attributes.0"));
    cJSON_Delete (json);
}

//  0.25 s and 0.26 s, twice 1.5 s: what OpenTelemetry's own SDK makes of them at
//  scale 5. A sample of 0 s is no bucket.
static void
test_timers (void **state)
{
    static const zb_bucket_t buckets[] = {
      {ZB_BUCKET_ZERO, 4}, {-65, 1}, {-63, 1}, {18, 2}};
    const zb_total_t total = {.start_ns = START,
                              .count = 4,
                              .sum = 3.51,
                              .buckets = buckets + 1,
                              .bucket_count = 3};
    zb_row_t rows[] = {{.type = ZB_TYPE_TIMER,
                        .name = "t",
                        .source = "s",
                        .start_ns = START,
                        .time_ns = TIME,
                        .count = 8,
                        .sum = 3.51,
                        .min = 0,
                        .max = 1.5,
                        .buckets = buckets,
                        .bucket_count = 4},
                       {.type = ZB_TYPE_TIMER,
                        .name = "t",
                        .source = "s",
                        .start_ns = START,
                        .time_ns = TIME,
                        .count = 1,
                        .total = &total}};
    cJSON *json = s_encode (rows, 2, 2);
    const cJSON *point =
      s_at (json, METRICS "0.exponentialHistogram.dataPoints.0");
    (void) state;
    s_expect_text (json, METRICS "0.unit", "s");
    s_expect_text (point, "count", "8");
    s_expect_number (point, "sum", 3.51);
    s_expect_number (point, "scale", 5);
    s_expect_text (point, "zeroCount", "4");
    s_expect_number (point, "zeroThreshold", exp2 (-956. / 32));
    s_expect_number (point, "min", 0);
    s_expect_number (point, "max", 1.5);
    s_expect_number (point, "positive.offset", -65);
    assert_int_equal (
      cJSON_GetArraySize (s_at (point, "positive.bucketCounts")), 84);
    s_expect_text (point, "positive.bucketCounts.0", "1");
    s_expect_text (point, "positive.bucketCounts.1", "0");
    s_expect_text (point, "positive.bucketCounts.2", "1");
    s_expect_text (point, "positive.bucketCounts.83", "2");
    point = s_at (json, METRICS "1.exponentialHistogram.dataPoints.0");
    s_expect_number (json,
                     METRICS "1.exponentialHistogram"
                             ".aggregationTemporality",
                     2);
    s_expect_text (point, "count", "4");
    assert_null (s_at (point, "min"));
    assert_null (s_at (point, "zeroCount"));
    cJSON_Delete (json);
}

//  A series that rests is repeated as a total, is nothing as an increment, and ends
//  once. An envelope without points is not sent.
static void
test_rests (void **state)
{
    const zb_total_t total = {.start_ns = START, .value = 7};
    zb_row_t rows[] = {
      {.type = ZB_TYPE_COUNTER, .name = "c", .source = "s", .time_ns = TIME},
      {.type = ZB_TYPE_TIMER,
       .name = "t",
       .source = "s",
       .time_ns = TIME,
       .ends = 1},
      {.type = ZB_TYPE_COUNTER,
       .name = "c",
       .source = "s",
       .time_ns = TIME,
       .total = &total},
      {.type = ZB_TYPE_COUNTER,
       .name = "d",
       .source = "s",
       .time_ns = TIME,
       .total = &total,
       .ends = 1},
      {.type = ZB_TYPE_TIMER,
       .name = "e",
       .source = "s",
       .time_ns = TIME,
       .total = &total,
       .ends = 1}};
    cJSON *json;
    (void) state;
    assert_null (s_encode (rows, 2, 0));
    json = s_encode (rows, 5, 3);
    s_expect_number (json, METRICS "0.sum.dataPoints.0.asDouble", 7);
    assert_null (s_at (json, METRICS "0.sum.dataPoints.0.flags"));
    s_expect_number (json, METRICS "1.sum.dataPoints.0.flags", 1);
    assert_null (s_at (json, METRICS "1.sum.dataPoints.0.asDouble"));
    s_expect_number (json, METRICS "2.exponentialHistogram.dataPoints.0.flags",
                     1);
    cJSON_Delete (json);
}

//  Each byte that is no UTF-8 is a '?'; all that is stays, whatever it is.
static void
test_bytes (void **state)
{
    (void) state;
    for (int c = 1; c < 256; c++) {
        char text[] = {'a', (char) c, 'z', 0};
        const zb_tag_t tag = {"key", text};
        const char clean[] = {'a', c < 128 ? (char) c : '?', 'z', 0};
        zb_row_t row = {.type = ZB_TYPE_GAUGE,
                        .name = text,
                        .source = text,
                        .tags = &tag,
                        .tag_count = 1,
                        .count = 1};
        cJSON *json = s_encode (&row, 1, 1);
        s_expect_text (json, METRICS "0.name", clean);
        s_expect_text (json,
                       METRICS "0.gauge.dataPoints.0.attributes.0.value"
                               ".stringValue",
                       clean);
        s_expect_text (json,
                       METRICS "0.gauge.dataPoints.0.attributes.1.value"
                               ".stringValue",
                       clean);
        cJSON_Delete (json);
    }
}

//  --------------------------------------------------------------------------
//  Histograms, any: each sample is where it belongs at whatever scale

static uint64_t s_seed = 20261129;

static uint64_t
s_any (void)
{
    s_seed ^= s_seed << 13;
    s_seed ^= s_seed >> 7;
    return s_seed ^= s_seed << 17;
}

//  How many samples a bucket of the point has that has this index at scale 5.
static uint64_t
s_count_at (const cJSON *point, int scale, int index)
{
    const cJSON *counts = s_at (point, "positive.bucketCounts"), *count;
    const cJSON *offset = s_at (point, "positive.offset");
    int at = (index >> (5 - scale)) - (offset ? offset->valueint : 0);
    count = counts && at >= 0 ? cJSON_GetArrayItem (counts, at) : NULL;
    return count ? strtoull (count->valuestring, NULL, 10) : 0;
}

static uint64_t
s_zeros (const cJSON *point)
{
    const cJSON *zeros = s_at (point, "zeroCount");
    return zeros ? strtoull (zeros->valuestring, NULL, 10) : 0;
}

//  Returns the scale.
static int
s_check_histogram (const hist_t *hist, const cJSON *point)
{
    int scale = s_at (point, "scale")->valueint;
    uint64_t zeros = 0, all = 0, had = 0;
    const cJSON *count;
    double threshold =
      s_zeros (point) ? s_at (point, "zeroThreshold")->valuedouble : 0;
    for (uint32_t i = 0; i < hist->size; i++) {
        const bucket_t *bucket = &hist->bucket[i];
        all += bucket->count;
        if (exp2 ((bucket->index + 1) / 32.) <= threshold)
            zeros += bucket->count;
        else
            assert_true (s_count_at (point, scale, bucket->index)
                         >= bucket->count);
    }
    assert_int_equal (zeros, s_zeros (point));
    assert_int_equal (strtoull (s_at (point, "count")->valuestring, NULL, 10),
                      all);
    cJSON_ArrayForEach (count, s_at (point, "positive.bucketCounts")) had +=
      strtoull (count->valuestring, NULL, 10);
    assert_int_equal (had + zeros, all);
    assert_true (cJSON_GetArraySize (s_at (point, "positive.bucketCounts"))
                 <= s_form.max_buckets);
    return scale;
}

//  A total only grows: so it never becomes finer, from the first sample on.
static void
test_histograms (void **state)
{
    static const int64_t most[] = {20, 160, 2080};
    (void) state;
    for (int run = 0; run < 60; run++) {
        hist_t hist = {NULL, 0, 0};
        int width = 1 + (int) (s_any () % 64), last = 5;
        s_form.max_buckets = most[run % 3];
        for (int i = 0; i < 40; i++) {
            zb_total_t total = {.start_ns = START};
            zb_row_t row = {.type = ZB_TYPE_TIMER,
                            .name = "t",
                            .source = "s",
                            .count = 1,
                            .total = &total};
            uint64_t ns = s_any () >> (64 - s_any () % (uint64_t) width - 1);
            cJSON *json;
            int scale;
            hist_at (&hist, hist_bucket (ns))->count += 1 + s_any () % 3;
            total.buckets = hist.bucket;
            total.bucket_count = hist.size;
            json = s_encode (&row, 1, 1);
            scale = s_check_histogram (
              &hist,
              s_at (json, METRICS "0.exponentialHistogram.dataPoints.0"));
            assert_true (scale <= last);
            last = scale;
            cJSON_Delete (json);
        }
        free (hist.bucket);
    }
    s_form.max_buckets = 160;
}

//  --------------------------------------------------------------------------
//  Answers

#define PB   "application/x-protobuf"
#define JSON "application/json"

static void
test_answers (void **state)
{
    static const struct {
        int status;
        const char *type, *body;
        zb_outcome_t outcome;
        size_t refused;
        const char *reason;
    } cases[] = {
      {200, PB, "", ZB_DELIVERED, 0, ""},
      {200, PB, "\x0a\x0b\x08\x03\x12\x07too old", ZB_DELIVERED, 3, "too old"},
      {200, JSON,
       "{\"partialSuccess\":{\"rejectedDataPoints\":\"2\","
       "\"errorMessage\":\"no room\"}}",
       ZB_DELIVERED, 2, "no room"},
      {200, JSON, "{\"partialSuccess\":{\"rejectedDataPoints\":2}}",
       ZB_DELIVERED, 2, ""},
      {200, JSON, "{}", ZB_DELIVERED, 0, ""},
      {200, PB, "\x0a\x03\x12\x01w", ZB_DELIVERED, 0, "w"},
      {200, "text/plain", "OK", ZB_DELIVERED, 0, ""},
      {200, "text/html", "<p>x", ZB_HOLD, 0, "status 200 <p>x"},
      {400, PB, "\x08\x03\x12\x02no", ZB_REFUSED, 0, "status 400 no"},
      {400, JSON, "{\"message\":\"no\"}", ZB_REFUSED, 0, "status 400 no"},
      {400, "text/plain", "plain", ZB_REFUSED, 0, "status 400 plain"},
      {401, PB, "", ZB_HOLD, 0, "status 401 "},
      {404, PB, "", ZB_HOLD, 0, "status 404 "},
      {408, PB, "", ZB_REFUSED, 0, "status 408 "},
      {413, PB, "", ZB_REFUSED, 0, "status 413 "},
      {425, PB, "", ZB_REFUSED, 0, "status 425 "},
      {429, PB, "", ZB_RETRY, 0, "status 429 "},
      {500, PB, "", ZB_FAILED, 0, "status 500 "},
      {501, PB, "", ZB_FAILED, 0, "status 501 "},
      {502, PB, "", ZB_RETRY, 0, "status 502 "},
      {503, PB, "", ZB_RETRY, 0, "status 503 "},
      {504, PB, "", ZB_RETRY, 0, "status 504 "}};
    zb_row_t row = {
      .type = ZB_TYPE_COUNTER, .name = "c", .source = "s", .count = 1};
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        const char *const answers[] = {text, NULL};
        zb_reply_t reply = {.at_fault = NULL};
        answers_t server;
        snprintf (text, sizeof text,
                  "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  cases[i].status, cases[i].type, strlen (cases[i].body),
                  cases[i].body);
        answers_start (&server, answers, NULL);
        s_otlp.service.http.url = server.url;
        if (otlp_deliver (&row, 1, &reply) != cases[i].outcome
            || reply.refused != cases[i].refused
            || strcmp (reply.reason, cases[i].reason) != 0)
            fail_msg ("case %zu: %zu %s", i, reply.refused, reply.reason);
        answers_end (&server);
        assert_non_null (strstr (server.asked->text, PB));
        answers_clear (&server);
        otlp_close ();
    }
}

//  Bytes that are no message, and messages that are damaged, say nothing.
static void
test_damaged_answers (void **state)
{
    otlp_answer_t answer;
    char bytes[64];
    (void) state;
    for (int i = 0; i < 100000; i++) {
        size_t size = s_any () % sizeof bytes;
        for (size_t at = 0; at < size; at++)
            bytes[at] = (char) (s_any () % 5 ? s_any () % 20 : s_any ());
        otlp_answer_success (&answer, i & 1, bytes, size);
        otlp_answer_failure (&answer, i & 1, bytes, size);
        assert_true (strlen (answer.message) < sizeof answer.message);
    }
}

//  --------------------------------------------------------------------------
//  Options

static void
test_check (void **state)
{
    static const char *bad[] = {"key", "", "=value"};
    static const char *good[] = {"a=", "b=c=d", "service.name=shop"};
    size_t i;
    (void) state;
    s_otlp.service.http.url = "http://127.0.0.1:4318/v1/metrics";
    assert_null (otlp_check ());
    assert_int_equal (s_otlp.wants, ZB_WANTS_TOTALS | ZB_WANTS_IDLE);
    assert_string_equal (otlp_naming (), "cumulative");
    s_otlp.temporality = "delta";
    assert_null (otlp_check ());
    assert_int_equal (s_otlp.wants, 0);
    s_otlp.temporality = "Delta";
    assert_non_null (strstr (otlp_check (), "--temporality"));
    s_otlp.temporality = "cumulative";
    s_otlp.encoding = "xml";
    assert_non_null (strstr (otlp_check (), "--encoding"));
    s_otlp.encoding = "json";
    assert_null (otlp_check ());
    assert_string_equal (s_otlp.service.http.type, "application/json");
    s_otlp.encoding = "protobuf";
    for (i = 0; i < 3; i++) {
        s_otlp.attributes = (zb_list_t){&bad[i], 1};
        assert_non_null (strstr (otlp_check (), "--resource"));
    }
    s_otlp.attributes = (zb_list_t){good, 3};
    assert_null (otlp_check ());
    s_otlp.attributes.count = 0;
}

static void
test_fit (void **state)
{
    char fitted[ZB_NAME_MAX + 1];
    (void) state;
    assert_int_equal (otlp_fit ("gr\xc3\xb6\xc3\x9f"
                                "e;k=\xff",
                                0, fitted),
                      1);
    assert_string_equal (fitted, "gr\xc3\xb6\xc3\x9f"
                                 "e;k=?");
    assert_int_equal (otlp_fit ("plain", 1, fitted), 0);
    assert_string_equal (fitted, "plain");
    fitted_forget ();
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_counters),
                                       cmocka_unit_test (test_gauges),
                                       cmocka_unit_test (test_timers),
                                       cmocka_unit_test (test_rests),
                                       cmocka_unit_test (test_bytes),
                                       cmocka_unit_test (test_histograms),
                                       cmocka_unit_test (test_check),
                                       cmocka_unit_test (test_answers),
                                       cmocka_unit_test (test_damaged_answers),
                                       cmocka_unit_test (test_fit)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
