/*  test_api_write.c - Librato's API for writing: what its documents and its clients
    say, to the sentence

    The thirty checks that the stand-in is held to, as far as they are not about faults
    or TLS, and the fourteen traps that clients have set.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"

#include <zlib.h>

//  --------------------------------------------------------------------------
//  Tables of requests

typedef struct {
    const char *what, *path, *type, *body;
    long status;
    const char
      *answer;  //  all of the body, or a part of it that begins with "..."
} case_t;

static void
s_check_answer (const case_t *it, const reply_t *reply)
{
    bool part = strncmp (it->answer, "...", 3) == 0;
    bool good = part ? strstr (reply->body, it->answer + 3) != NULL
                     : strcmp (reply->body, it->answer) == 0;
    if (reply->status != it->status || !good)
        fail_msg ("%s: status %ld, %s; expected %ld, %s", it->what,
                  reply->status, reply->body, it->status, it->answer);
}

static void
s_run (const serve_t *serve, const case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        reply_t reply = serve_post (serve, cases[i].path, cases[i].type,
                                    text_new ("%s", cases[i].body));
        s_check_answer (&cases[i], &reply);
    }
}

#define RUN(serve, cases) s_run (serve, cases, sizeof cases / sizeof *cases)
#define M                 "/v1/metrics"
#define T                 "/v1/measurements"

static total_t
s_total (const serve_t *serve, const char *source, const char *name)
{
    return serve_total (serve, source, name);
}

//  --------------------------------------------------------------------------
//  POST /v1/metrics

static void
all_shapes_are_taken (void)
{
    static const case_t cases[] = {
      {"an array", M, JSON, "{\"gauges\":[{\"name\":\"array\",\"value\":1}]}",
       200, ""},
      {"a hash by name", M, JSON, "{\"gauges\":{\"hash\":{\"value\":2}}}", 200,
       ""},
      {"an indexed hash", M, JSON,
       "{\"gauges\":{\"0\":{\"name\":\"index\",\"source\":\"a\",\"value\":3},"
       "\"1\":{\"name\":\"index\",\"source\":\"b\",\"value\":4}}}",
       200, ""},
      {"a form", M, FORM,
       "gauges[0][name]=form&gauges[0][value]=5&gauges[0][source]=a&"
       "gauges%5B1%5D%5Bname%5D=form&gauges%5B1%5D%5Bvalue%5D=0.5&source=b",
       200, ""},
      {"a form by name", M, FORM, "gauges[named][value]=6", 200, ""},
      {"a form with an empty time", M, FORM,
       "gauges[0][name]=multi&gauges[0][count]=2&gauges[0][sum]=7"
       "&measure_time=",
       400, "...measure_time"},
      {"counters", M, JSON, "{\"counters\":{\"c\":{\"value\":7}}}", 200, ""},
      {"both kinds", M, JSON,
       "{\"gauges\":[{\"name\":\"g\",\"value\":-8}],"
       "\"counters\":[{\"name\":\"c\",\"value\":9}]}",
       200, ""},
      {"members that nobody knows", M, JSON,
       "{\"gauges\":[{\"name\":\"x\",\"count\":2,\"sum\":4,\"min\":1,\"max\":3,"
       "\"sum_squares\":10,\"stddev_m2\":2,\"tags\":{},\"description\":\"d\","
       "\"display_name\":\"n\",\"period\":60,\"what\":{\"is\":[1]},"
       "\"attributes\":{\"aggregate\":true}}],\"period\":60,"
       "\"attributes\":{\"aggregate\":true}}",
       200, ""},
      {"what is too small is zero", M, JSON,
       "{\"gauges\":[{\"name\":\"small\",\"value\":1e-131}]}", 200, ""}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    reply_t reply;
    RUN (serve, cases);
    reply = serve_post (serve, M, FORM,
                        text_new ("gauges[0][name]=multi&gauges[0][count]=2&"
                                  "gauges[0][sum]=7&measure_time=%lld.75",
                                  (long long) time (NULL) - 5));
    assert_int_equal (reply.status, 200);
    assert_non_null (strcasestr (reply.headers, "Content-Length: 0\r\n"));
    assert_non_null (
      strcasestr (reply.headers, "Content-Type: application/json"));
    serve_stop (serve);
    assert_true (s_total (serve, NULL, "array").sum == 1);
    assert_true (s_total (serve, NULL, "hash").sum == 2);
    assert_true (s_total (serve, "a", "index").sum == 3);
    assert_true (s_total (serve, "b", "index").sum == 4);
    assert_true (s_total (serve, "a", "form").sum == 5);
    assert_true (s_total (serve, "b", "form").sum == 0.5);
    assert_true (s_total (serve, NULL, "named").sum == 6);
    assert_true (s_total (serve, NULL, "multi").count == 2);
    assert_true (s_total (serve, NULL, "multi").sum == 7);
    assert_true (s_total (serve, NULL, "g").sum == -8);
    assert_true (s_total (serve, NULL, "x").count == 2);
    assert_true (s_total (serve, NULL, "x").min == 1);
    assert_true (s_total (serve, NULL, "x").max == 3);
    assert_true (s_total (serve, NULL, "small").sum == 0);
}

//  Globals hold where a measurement says nothing else.
//  What a reader of the body may take for something else than we would is refused.
static void
a_body_is_one_text_of_json (void)
{
    static const case_t cases[] = {
      {"blanks behind it", M, JSON, "{\"gauges\":{\"a\":{\"value\":1}}} \r\n\t",
       200, ""},
      {"more behind it", M, JSON, "{\"gauges\":{\"a\":{\"value\":1}}}trailing",
       400, "...Unable to parse"},
      {"another one behind it", M, JSON, "{\"gauges\":{\"a\":{\"value\":1}}}{}",
       400, "...Unable to parse"},
      {"more behind it, with tags", T, JSON,
       "{\"measurements\":[{\"name\":\"a\",\"value\":1}]}]", 400, "..."},
      {"a name with a NUL", M, JSON,
       "{\"gauges\":{\"a\\u0000b\":{\"value\":1}}}", 400, "...Unable to parse"},
      {"a NUL behind a backslash", M, JSON,
       "{\"gauges\":[{\"name\":\"a\\\\\\u0000b\",\"value\":1}]}", 400,
       "...Unable to parse"},
      {"backslashes that make none", M, JSON,
       "{\"gauges\":{\"a\":{\"value\":1,\"description\":\"\\\\u0000\"}}}", 200,
       ""},
      {"a period that is no integer", M, JSON,
       "{\"gauges\":{\"a\":{\"value\":1,\"period\":1e308}}}", 200, ""}};
    static const char period[] = "{\"period\":1e308}";
    serve_t *serve = serve_start (NULL, "data", NULL);
    RUN (serve, cases);
    assert_int_equal (serve_ask (serve, "PUT", M "/a", NULL, LIST (JSON),
                                 period, strlen (period))
                        .status,
                      400);
    serve_stop (serve);
    serve_check (serve, "a", 3, 3);
}

static void
globals_hold_for_the_others (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    long long now = (long long) time (NULL);
    reply_t reply = serve_post (
      serve, M, JSON,
      text_new ("{\"source\":\"all_of_us\",\"measure_time\":%lld,\"gauges\":["
                "{\"name\":\"a\",\"value\":1},"
                "{\"name\":\"b\",\"value\":1,\"source\":\"me\","
                "\"measure_time\":%lld.9}]}",
                now - 100, now - 50));
    cJSON *rows;
    const cJSON *row;
    assert_int_equal (reply.status, 200);
    serve_stop (serve);
    rows = serve_rows (serve);
    assert_int_equal (cJSON_GetArraySize (rows), 2);
    row = cJSON_GetArrayItem (rows, 0);
    assert_true (row_is (row, "source", "all_of_us"));
    assert_true (row_number (row, "measure_time") == (double) (now - 100));
    row = cJSON_GetArrayItem (rows, 1);
    assert_true (row_is (row, "source", "me"));
    assert_true (row_number (row, "measure_time") == (double) (now - 50));
    cJSON_Delete (rows);
}

#define PARAMS(text) "{\"errors\":{\"params\":{" text "}}}"
#define ONE(members) "{\"gauges\":[{\"name\":\"M\"," members "}]}"

//  One that is bad refuses all, in the words of the service.
static void
errors_are_the_sentences_of_librato (void)
{
    static const case_t cases[] = {
      {"nothing", M, JSON, "{}", 400,
       "{\"errors\":{\"request\":[\"Must contain a measurement\"]}}"},
      {"empty lists", M, JSON, "{\"gauges\":[],\"counters\":{}}", 400,
       "{\"errors\":{\"request\":[\"Must contain a measurement\"]}}"},
      {"no body", M, JSON, "", 400,
       "{\"errors\":{\"request\":[\"Must contain a measurement\"]}}"},
      {"no name", M, JSON, "{\"gauges\":[{\"value\":1}]}", 400,
       PARAMS ("\"name\":[\"is not present\"]")},
      {"a blank in the name", M, JSON,
       "{\"gauges\":[{\"name\":\"a b\",\"value\":1}]}", 400,
       PARAMS ("\"name\":[\"a b is not a valid metric name\"]")},
      {"no ASCII", M, JSON,
       "{\"gauges\":[{\"name\":\"\xc3\xa9\",\"value\":1}]}", 400,
       PARAMS ("\"name\":[\"\xc3\xa9 is not a valid metric name\"]")},
      {"a bad source", M, JSON, ONE ("\"value\":1,\"source\":\"a/b\""), 400,
       "...{\"errors\":{\"params\":{\"source\":[\"a/b is not a valid source "
       "name\"]}},\"request_time\":"},
      {"a source called all", M, JSON, ONE ("\"value\":1,\"source\":\"ALL\""),
       400, "...\"source\":[\"ALL is not a valid source name\"]"},
      {"all for all", M, JSON,
       "{\"source\":\"all\",\"gauges\":[{\"name\":\"M\",\"value\":1}]}", 400,
       "...\"source\":[\"all is not a valid source name\"]"},
      {"too old", M, JSON, ONE ("\"value\":1,\"measure_time\":1000000000"), 400,
       "...{\"errors\":{\"params\":{\"measure_time\":[\"is too far in the "
       "past\"]}},\"request_time\":"},
      {"milliseconds", M, JSON, ONE ("\"value\":1,\"measure_time\":1e12"), 400,
       "...\"measure_time\":[\"is out of range\"]"},
      {"count without sum", M, JSON, ONE ("\"count\":1"), 400,
       PARAMS ("\"sum\":[\"is required\"],\"name\":\"M\"")},
      {"sum is null", M, JSON, ONE ("\"count\":1,\"sum\":null"), 400,
       PARAMS ("\"sum\":[\"is required\"],\"name\":\"M\"")},
      {"count is zero", M, JSON, ONE ("\"count\":0,\"sum\":0"), 400,
       PARAMS ("\"count\":[\"must be positive\"],\"name\":\"M\"")},
      {"count below zero", M, JSON, ONE ("\"count\":-1,\"sum\":0"), 400,
       PARAMS ("\"count\":[\"must be positive\"],\"name\":\"M\"")},
      {"count is half", M, JSON, ONE ("\"count\":0.5,\"sum\":0"), 400,
       "...\"count\":"},
      {"value with count", M, JSON, ONE ("\"value\":1,\"count\":1,\"sum\":1"),
       400, "...\"value\":"},
      {"neither", M, JSON, ONE ("\"period\":1"), 400,
       "...\"value\":[\"is required\"]"},
      {"min above max", M, JSON,
       ONE ("\"count\":2,\"sum\":1,\"min\":2,\"max\":1"), 400, "...\"min\":"},
      {"a counter below zero", M, JSON,
       "{\"counters\":[{\"name\":\"M\",\"value\":-1}]}", 400,
       "...{\"errors\":{\"params\":{\"value\":[\"must be positive\"],"
       "\"name\":[\"M\"]}},\"request_time\":"},
      {"too large", M, JSON, ONE ("\"value\":1e127"), 400, "...\"value\":"},
      {"NaN", M, JSON, ONE ("\"value\":NaN"), 400, "...\"errors\":"},
      {"infinite", M, JSON, ONE ("\"value\":1e999"), 400, "...\"errors\":"},
      {"a text", M, JSON, ONE ("\"value\":\"1\""), 400, "...\"value\":"},
      {"no JSON", M, JSON, "{\"gauges\":[", 400, "...\"errors\":"},
      {"no form", M, FORM, "gauges[0=1", 400, "...\"errors\":"},
      {"JSON that says to be a form", M, FORM, "{\"gauges\":[]}", 415,
       "{\"errors\":{\"request\":["
       "\"Content-Type must be application/json\"]}}"},
      {"no number in a form", M, FORM, "gauges[0][name]=M&gauges[0][value]=1x",
       400, "...\"value\":"},
      {"a good one before a bad one", M, JSON,
       "{\"gauges\":[{\"name\":\"M\",\"value\":1},{\"value\":1}]}", 400,
       PARAMS ("\"name\":[\"is not present\"]")}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    char name[258] = "";
    RUN (serve, cases);
    memset (name, 'n', 256);
    assert_int_equal (
      serve_post (serve, M, JSON,
                  text_new ("{\"gauges\":{\"%s\":{\"value\":1}}}", name))
        .status,
      400);
    name[255] = 0;
    assert_int_equal (
      serve_post (serve, M, JSON,
                  text_new ("{\"gauges\":{\"%s\":{\"value\":1}}}", name))
        .status,
      200);
    serve_stop (serve);
    assert_true (s_total (serve, NULL, "M").rows == 0);
    assert_true (s_total (serve, NULL, name).rows == 1);
}

//  statsd-librato-backend reads the name out of this sentence, and sends it no more.
static void
a_name_has_one_type (void)
{
    static const case_t cases[] = {
      {"a counter", M, JSON, "{\"counters\":[{\"name\":\"C\",\"value\":1}]}",
       200, ""},
      {"as a gauge", M, JSON,
       "{\"gauges\":[{\"name\":\"new\",\"value\":1},"
       "{\"name\":\"C\",\"value\":1}]}",
       400,
       PARAMS ("\"type\":[\"'C' is a counter, but was submitted as different "
               "type\"]")},
      {"a gauge", M, JSON, "{\"gauges\":[{\"name\":\"G\",\"value\":1}]}", 200,
       ""},
      {"as a counter", M, JSON, "{\"counters\":[{\"name\":\"G\",\"value\":1}]}",
       400,
       PARAMS ("\"type\":[\"'G' is a gauge, but was submitted as different "
               "type\"]")}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    RUN (serve, cases);
    serve_stop (serve);
    assert_true (s_total (serve, NULL, "new").rows == 0);
    assert_true (s_total (serve, NULL, "C").rows == 1);
}

//  --------------------------------------------------------------------------
//  POST /v1/measurements

#define SUMMARY(total, accepted, failed)                                       \
    "{\"measurements\":{\"summary\":{\"total\":" total                         \
    ",\"accepted\":" accepted ",\"failed\":" failed ",\"filtered\":0}}"

static void
tagged_measurements_are_taken_one_by_one (void)
{
    static const case_t cases[] = {
      {"tags of all", T, JSON,
       "{\"tags\":{\"host\":\"h\",\"app\":\"x\"},\"measurements\":["
       "{\"name\":\"a\",\"value\":1},"
       "{\"name\":\"a\",\"value\":2,\"tags\":{}},"
       "{\"name\":\"a\",\"value\":4,\"tags\":{\"host\":\"other\"}},"
       "{\"name\":\"a\",\"value\":8,\"tags\":{\"source\":\"s\"}}]}",
       202, SUMMARY ("4", "4", "0") "}"},
      {"deviations", T, JSON,
       "{\"measurements\":[{\"name\":\"d\",\"count\":2,\"sum\":4,\"min\":1,"
       "\"max\":3,\"last\":3,\"stddev\":1,\"stddev_m2\":2,\"period\":10,"
       "\"attributes\":{\"aggregate\":true}}]}",
       202, SUMMARY ("1", "1", "0") "}"},
      {"bad tags", T, JSON,
       "{\"measurements\":[{\"name\":\"a\",\"value\":1,"
       "\"tags\":{\"host\":\"41454@127\"}},"
       "{\"name\":\"good\",\"value\":1,\"tags\":{\"host\":\"a b\\\\c/d?\"}}]}",
       202,
       SUMMARY ("2", "1", "1") ",\"errors\":[{\"param\":\"tag_value\","
                               "\"value\":\"41454@127\","
                               "\"reason\":\"Invalid format\"}]}"},
      {"a bad name", T, JSON,
       "{\"measurements\":[{\"name\":\"a b\",\"value\":1}]}", 202,
       SUMMARY ("1", "0", "1") ",\"errors\":[{\"param\":\"name\",\"value\":\"a "
                               "b\",\"reason\":\"a b is not a valid metric "
                               "name\"}]}"},
      {"nothing", T, JSON, "{\"measurements\":[]}", 400,
       "{\"errors\":{\"request\":[\"Must contain a measurement\"]}}"},
      {"a member of the other API", T, JSON,
       "{\"measurements\":[{\"name\":\"good\",\"value\":1,"
       "\"source\":\"s\"}]}",
       400, "{\"code\":400,\"message\":\"Unable to process JSON\"}"},
      {"NaN", T, JSON, "{\"measurements\":[{\"name\":\"a\",\"value\":NaN}]}",
       400, "{\"code\":400,\"message\":\"Unable to process JSON\"}"},
      {"a form", T, FORM, "measurements[0][name]=a&measurements[0][value]=1",
       415, "..."}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    RUN (serve, cases);
    serve_stop (serve);
    assert_true (s_total (serve, NULL, "a;app=x;host=h").sum == 3);
    assert_true (s_total (serve, NULL, "a;host=other").sum == 4);
    assert_true (s_total (serve, "s", "a").sum == 8);
    assert_true (s_total (serve, NULL, "d").count == 2);
    assert_true (s_total (serve, NULL, "good;host=a b\\c/d?").rows == 1);
}

//  The name is made of plugin and type, and of the data source if there are several.
static void
collectd_is_understood (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    double now = (double) time (NULL);
    reply_t reply = serve_post (
      serve, T, JSON,
      text_new (
        "[{\"values\":[0.5,null,1.5],\"dstypes\":[\"gauge\",\"gauge\","
        "\"gauge\"],\"dsnames\":[\"shortterm\",\"midterm\",\"longterm\"],"
        "\"time\":%.3f,\"interval\":10.000,\"host\":\"web (1)\","
        "\"plugin\":\"load\",\"plugin_instance\":\"\",\"type\":\"load\","
        "\"type_instance\":\"\"},"
        "{\"values\":[12],\"dstypes\":[\"derive\"],\"dsnames\":[\"value\"],"
        "\"time\":%.3f,\"interval\":10,\"host\":\"h\",\"plugin\":\"cpu\","
        "\"plugin_instance\":\"0\",\"type\":\"cpu\",\"type_instance\":"
        "\"user\"}]",
        now + 0.25, now));
    assert_int_equal (reply.status, 202);
    assert_non_null (strstr (reply.body, "\"failed\":0"));
    serve_stop (serve);
    assert_true (s_total (serve, "web_1", "collectd.load.load.shortterm").sum
                 == 0.5);
    assert_true (s_total (serve, "web_1", "collectd.load.load.midterm").rows
                 == 0);
    assert_true (s_total (serve, "web_1", "collectd.load.load.longterm").sum
                 == 1.5);
    assert_true (s_total (serve, "h", "collectd.cpu.0.cpu.user").sum == 12);
}

//  --------------------------------------------------------------------------
//  Bodies

static const char s_one[] = "{\"gauges\":[{\"name\":\"z\",\"value\":1}]}";

//  Returns how many bytes it takes, packed by gzip.
static size_t
s_pack (const char *text, size_t size, char *packed, size_t room)
{
    z_stream stream = {.next_in = (Bytef *) (uintptr_t) text,
                       .avail_in = (uInt) size,
                       .next_out = (Bytef *) packed,
                       .avail_out = (uInt) room};
    assert_int_equal (deflateInit2 (&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9,
                                    Z_DEFAULT_STRATEGY),
                      Z_OK);
    assert_int_equal (deflate (&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd (&stream);
    return stream.total_out;
}

//  appoptics-api-go says gzip with each request, those without a body, too.
static void
bodies_may_be_packed (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *const *gzip = LIST (JSON, "Content-Encoding: gzip");
    char packed[65536];
    size_t size = s_pack (s_one, strlen (s_one), packed, sizeof packed),
           bomb = 8 << 20;
    char *zeros = harness_keep (calloc (1, bomb));
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, gzip, packed, size).status, 200);
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, gzip, packed, size - 9).status, 400);
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, gzip, s_one, strlen (s_one)).status,
      400);
    assert_int_equal (
      serve_ask (serve, "GET", "/session", NULL, gzip, NULL, 0).status, 200);
    size = s_pack (zeros, bomb, packed, sizeof packed);
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, gzip, packed, size).status, 413);
    assert_int_equal (serve_ask (serve, "POST", M, NULL,
                                 LIST (JSON, "Content-Encoding: br"), s_one,
                                 strlen (s_one))
                        .status,
                      415);
    serve_stop (serve);
    serve_check (serve, "z", 1, 1);
}

//  A client that writes sees the answer only when it may write to the end.
static void
bodies_have_a_bound (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    size_t size = 4 << 20;
    char *body = harness_keep (malloc (size));
    memset (body, ' ', size);
    memcpy (body, s_one, strlen (s_one));
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, LIST (JSON), body, size).status, 413);
    assert_int_equal (
      serve_ask (serve, "POST", M, NULL, LIST (JSON), body, 3000000).status,
      200);
    serve_stop (serve);
    serve_check (serve, "z", 1, 1);
}

//  Librato's documents advise 300; clients send 500.
static void
a_request_has_ten_thousand_measurements_at_most (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    char *body = harness_keep (malloc (1 << 20)), *at;
    for (int count = 10000; count <= 10001; count++) {
        at = body + sprintf (body, "{\"gauges\":[{\"name\":\"n\",\"value\":1}");
        for (int i = 1; i < count; i++)
            at += sprintf (at, ",{\"name\":\"n\",\"value\":1}");
        strcpy (at, "]}");
        assert_int_equal (serve_post (serve, M, JSON, body).status,
                          count == 10000 ? 200 : 413);
    }
    serve_stop (serve);
    serve_check (serve, "n", 10000, 10000);
}

static const struct CMUnitTest tests[] = {
  TEST (all_shapes_are_taken),
  TEST (a_body_is_one_text_of_json),
  TEST (globals_hold_for_the_others),
  TEST (errors_are_the_sentences_of_librato),
  TEST (a_name_has_one_type),
  TEST (tagged_measurements_are_taken_one_by_one),
  TEST (collectd_is_understood),
  TEST (bodies_may_be_packed),
  TEST (bodies_have_a_bound),
  TEST (a_request_has_ten_thousand_measurements_at_most)};

HARNESS_MAIN (tests)
