/*  test_api.c - are the answers of the API those that clients of Librato read?

    What clients send is in librato-metrics (LM), python-librato (PL) and
    appoptics-api-go (AO); shapes of answers are those of github.com/librato/api-docs.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "../unit.h"

#include "asked.h"
#include "traces.h"

#include <inttypes.h>
#include <time.h>

static void
s_put_row (store_row_t row)
{
    assert_int_equal (stored_write (&asked_store, &row, 1, NULL, NULL),
                      BATCH_STORED);
}

static void
s_put (const char *name, const char *source, int64_t time_s, double value)
{
    s_put_row (stored_row (name, source, time_s, value));
}

//  A path with numbers in it.
static const char *
s_path (const char *format, ...)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];
    va_list args;
    va_start (args, format);
    vsnprintf (path, sizeof paths[0], format, args);
    va_end (args);
    return path;
}

//  A while ago, at a whole hour.
static int64_t
s_hour (void)
{
    int64_t now = time (NULL);
    return now - now % 3600 - 7200;
}

//  --------------------------------------------------------------------------
//  Metrics

static void
test_metrics_list (void **state)
{
    (void) state;
    IS ("GET", "/v1/metrics", NULL, 200,
        "{\"query\":{\"found\":0,\"length\":0,\"offset\":0,\"total\":0},"
        "\"metrics\":[]}");
    s_put ("foo", NULL, s_hour (), 123);
    s_put ("bar", NULL, s_hour (), 345);
    s_put ("foo_2", NULL, s_hour (), 901);
    //  period and attributes must be there: PL looks for them
    IS ("GET", "/v1/metrics?name=BAR", NULL, 200,
        "{\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":3},"
        "\"metrics\":[{\"name\":\"bar\",\"display_name\":null,"
        "\"type\":\"gauge\",\"attributes\":{},\"description\":null,"
        "\"period\":null,\"source_lag\":null,\"composite\":null}]}");
}

//  The names of an answer, in their order.
static const char *
s_names (const cJSON *json, const char *list)
{
    static char names[8192];
    const cJSON *item;
    *names = 0;
    cJSON_ArrayForEach (item, cJSON_GetObjectItem (json, list))
    {
        strcat (names, cJSON_GetObjectItem (item, "name")->valuestring);
        strcat (names, " ");
    }
    return names;
}

static void
test_metrics_pages (void **state)
{
    static store_row_t rows[250];
    static char names[250][16];
    size_t seen = 0;
    cJSON *json;
    (void) state;
    for (int i = 0; i < 250; i++) {
        snprintf (names[i], sizeof names[i], "m%03d", i);
        rows[i] = stored_row (names[i], NULL, s_hour (), i);
    }
    assert_int_equal (stored_write (&asked_store, rows, 250, NULL, NULL),
                      BATCH_STORED);
    //  as LM steps: by 100, whatever comes
    for (int offset = 0; offset < 300; offset += 100) {
        json = asked (&asked_store, "GET",
                      s_path ("/v1/metrics?offset=%d", offset), NULL);
        const cJSON *query = cJSON_GetObjectItem (json, "query");
        int length = cJSON_GetObjectItem (query, "length")->valueint;
        assert_int_equal (length, offset < 200 ? 100 : 50);
        assert_int_equal (
          cJSON_GetArraySize (cJSON_GetObjectItem (json, "metrics")), length);
        assert_int_equal (cJSON_GetObjectItem (query, "total")->valueint, 250);
        seen += (size_t) length;
        cJSON_Delete (json);
    }
    assert_int_equal (seen, 250);
    //  PL goes on until length is 0
    IS ("GET", "/v1/metrics?offset=250", NULL, 200,
        "{\"query\":{\"found\":250,\"length\":0,\"offset\":250,\"total\":250},"
        "\"metrics\":[]}");
    json = asked (&asked_store, "GET",
                  "/v1/metrics?offset=2&length=3&orderby=name&sort=desc", NULL);
    assert_string_equal (s_names (json, "metrics"), "m247 m246 m245 ");
    cJSON_Delete (json);
    json = asked (&asked_store, "GET",
                  "/v1/metrics?offset=248&length=3&sort=desc", NULL);
    assert_string_equal (s_names (json, "metrics"), "m001 m000 ");
    cJSON_Delete (json);
    IS ("GET", "/v1/metrics?offset=x", NULL, 400,
        "{\"offset\":\"is not a number\"}");
}

//  LM spec: #update_metric.
static void
test_metric_update (void **state)
{
    (void) state;
    s_put ("foo", NULL, s_hour (), 1);
    IS ("PUT", "/v1/metrics/foo",
        "{\"display_name\":\"Foo Metric\",\"period\":15,"
        "\"attributes\":{\"display_max\":1000}}",
        204, "");
    IS ("GET", "/v1/metrics/Foo", NULL, 200,
        "{\"name\":\"foo\",\"display_name\":\"Foo Metric\",\"type\":\"gauge\","
        "\"attributes\":{\"display_max\":1000},\"description\":null,"
        "\"period\":15,\"source_lag\":null,\"composite\":null}");
    //  others stay; null removes
    IS ("PUT", "/v1/metrics/foo",
        "{\"description\":\"x\",\"attributes\":{\"color\":\"#52D74C\"}}", 204,
        "");
    IS ("PUT", "/v1/metrics/foo",
        "{\"display_name\":null,\"attributes\":{\"display_max\":null}}", 204,
        "");
    IS ("GET", "/v1/metrics/foo", NULL, 200,
        "{\"name\":\"foo\",\"display_name\":null,\"type\":\"gauge\","
        "\"attributes\":{\"color\":\"#52D74C\"},\"description\":\"x\","
        "\"period\":15,\"source_lag\":null,\"composite\":null}");
    IS ("PUT", "/v1/metrics/foo", "{\"type\":\"counter\"}", 400,
        "{\"type\":\"'foo' is a gauge, but was submitted as different "
        "type\"}");
    IS ("PUT", "/v1/metrics/foo", "{\"period\":\"x\"}", 400,
        "{\"period\":\"is not a number of seconds\"}");
    IS ("PUT", "/v1/metrics/foo", "{", 400, NULL);
}

static void
test_metric_create (void **state)
{
    (void) state;
    IS ("PUT", "/v1/metrics/queue_len", "{\"period\":15}", 400,
        "{\"type\":\"is required\"}");
    IS ("GET", "/v1/metrics/queue_len", NULL, 404, NULL);
    IS ("PUT", "/v1/metrics/queue_len",
        "{\"type\":\"gauge\",\"description\":\"Length\",\"period\":\"15\"}",
        201,
        "{\"name\":\"queue_len\",\"display_name\":null,\"type\":\"gauge\","
        "\"attributes\":{},\"description\":\"Length\",\"period\":15,"
        "\"source_lag\":null,\"composite\":null}");
    assert_string_equal (asked_location, "/v1/metrics/queue_len");
    IS ("PUT", "/v1/metrics/n", "{\"type\":\"counter\"}", 201, NULL);
    s_put ("queue_len", NULL, s_hour (), 4);
    IS ("PUT", "/v1/metrics/a%20b", "{\"type\":\"gauge\"}", 400,
        "{\"name\":\"a b is not a valid metric name\"}");
    IS ("PUT", "/v1/metrics/c",
        "{\"type\":\"composite\",\"composite\":\"sum(s(\\\"a\\\"))\"}", 400,
        "{\"composite\":\"sum is not supported\"}");
    IS ("GET", "/v1/metrics?compose=derive(s(%22a%22,%22*%22))", NULL, 400,
        "{\"compose\":\"derive is not supported\"}");
    IS ("GET", "/v1/measurements?compose=%20mean%20(x)", NULL, 400,
        "{\"compose\":\"mean is not supported\"}");
}

//  LM spec: many at once, by names and by pattern; attributes stand beside names.
static void
test_metrics_update (void **state)
{
    cJSON *json;
    (void) state;
    for (int i = 1; i <= 4; i++)
        s_put (s_path ("my.%d", i), NULL, s_hour (), i);
    IS ("PUT", "/v1/metrics",
        "{\"names\":[\"my.1\",\"my.3\",\"none\"],\"period\":60}", 204, "");
    IS ("PUT", "/v1/metrics",
        "{\"names\":\"my.*\",\"exclude\":[\"my.3\"],\"display_max\":100}", 204,
        "");
    for (int i = 1; i <= 4; i++) {
        json =
          asked (&asked_store, "GET", s_path ("/v1/metrics/my.%d", i), NULL);
        const cJSON *max = cJSON_GetObjectItem (
          cJSON_GetObjectItem (json, "attributes"), "display_max");
        assert_int_equal (max != NULL, i != 3);
        assert_int_equal (cJSON_GetObjectItem (json, "period")->valueint,
                          i % 2 ? 60 : 0);
        cJSON_Delete (json);
    }
    IS ("PUT", "/v1/metrics", "{\"period\":60}", 400,
        "{\"names\":\"is required\"}");
}

//  LM spec: #delete_metrics.
static void
test_metrics_delete (void **state)
{
    static const char *const names[] = {"foo", "foobar", "foobaz", "bar"};
    cJSON *json;
    (void) state;
    for (int i = 0; i < 4; i++)
        s_put (names[i], "x", s_hour (), i);
    IS ("DELETE", "/v1/metrics", "{\"names\":\"fo*\",\"exclude\":[\"foobar\"]}",
        204, "");
    json = asked (&asked_store, "GET", "/v1/metrics", NULL);
    assert_string_equal (s_names (json, "metrics"), "bar foobar ");
    cJSON_Delete (json);
    IS ("GET", "/v1/metrics/foo", NULL, 404, NULL);
    IS ("DELETE", "/v1/metrics", "{\"names\":[\"bar\",\"missing\"]}", 204, "");
    IS ("DELETE", "/v1/metrics/foobar", NULL, 204, "");
    IS ("DELETE", "/v1/metrics/foobar", NULL, 204, "");
    IS ("DELETE", "/v1/metrics", NULL, 400, NULL);
    //  a row by such a name begins a new metric
    s_put ("foo", "y", s_hour (), 5);
    IS ("GET",
        s_path ("/v1/metrics/foo?resolution=1&start_time=%" PRId64,
                s_hour () - 10),
        NULL, 200, NULL);
    json = asked (
      &asked_store, "GET",
      s_path ("/v1/metrics/foo?start_time=%" PRId64, s_hour () - 10), NULL);
    assert_int_equal (
      cJSON_GetArraySize (cJSON_GetObjectItem (json, "measurements")), 1);
    cJSON_Delete (json);
}

//  --------------------------------------------------------------------------
//  Measurements by source

//  What an answer has at a path of names, printed.
static char *
s_member (const char *path, const char *const *names)
{
    cJSON *json = asked (&asked_store, "GET", path, NULL);
    const cJSON *item = json;
    char *text;
    if (asked_status != 200)
        fail_msg ("%s: %u", path, asked_status);
    for (; *names; names++)
        item = cJSON_GetObjectItemCaseSensitive (item, *names);
    text = item ? cJSON_PrintUnformatted (item) : strdup ("none");
    cJSON_Delete (json);
    return text;
}

static void
s_member_is (const char *path, const char *const *names, const char *wanted)
{
    char *text = s_member (path, names);
    assert_string_equal (text, wanted);
    free (text);
}

#define MEMBER_IS(path, wanted, ...)                                           \
    s_member_is (path, (const char *const[]){__VA_ARGS__, NULL}, wanted)

#define MEASUREMENTS_ARE(path, wanted) MEMBER_IS (path, wanted, "measurements")

//  LM spec: #get_metric. A counter is read back as it was sent.
static void
test_counter (void **state)
{
    int64_t at = s_hour ();
    const char *since = s_path ("start_time=%" PRId64 "&resolution=1", at - 60);
    char path[512];
    (void) state;
    for (int i = 0; i < 3; i++) {
        store_row_t row = stored_row ("c", NULL, at + i, 100 + i * i);
        row.type = METRIC_COUNTER;
        s_put_row (row);
        row = stored_row ("c", "baz", at + i, i == 2 ? 1 : 50 + i);
        row.type = METRIC_COUNTER;
        s_put_row (row);
    }
    MEMBER_IS ("/v1/metrics/c", "\"counter\"", "type");
    snprintf (path, sizeof path, "/v1/metrics/c?%s", since);
    MEMBER_IS (path,
               s_path ("[{\"measure_time\":%" PRId64
                       ",\"value\":100,\"count\":1},{\"measure_time\":%" PRId64
                       ",\"value\":101,\"count\":1},{\"measure_time\":%" PRId64
                       ",\"value\":104,\"count\":1}]",
                       at, at + 1, at + 2),
               "measurements", "unassigned");
    snprintf (path, sizeof path, "/v1/metrics/c?count=2&resolution=1");
    MEMBER_IS (path,
               s_path ("[{\"measure_time\":%" PRId64
                       ",\"value\":51,\"count\":1},{\"measure_time\":%" PRId64
                       ",\"value\":1,\"count\":1}]",
                       at + 1, at + 2),
               "measurements", "baz");
    //  summarized: what it has risen by; a fall is a new beginning
    snprintf (path, sizeof path, "/v1/metrics/c?%s&summarize_time=true", since);
    MEASUREMENTS_ARE (
      path, s_path ("{\"unassigned\":[{\"measure_time\":%" PRId64
                    ",\"value\":2,\"count\":2,\"sum\":4,\"min\":1,\"max\":3,"
                    "\"sum_squares\":10}],\"baz\":[{\"measure_time\":%" PRId64
                    ",\"value\":1,\"count\":2,\"sum\":2,\"min\":1,\"max\":1,"
                    "\"sum_squares\":2}]}",
                    at + 1, at + 1));
    //  also of the last ones: the reading before them is known
    MEMBER_IS ("/v1/metrics/c?count=2&resolution=1&summarize_time=true",
               s_path ("[{\"measure_time\":%" PRId64
                       ",\"value\":2,\"count\":2,\"sum\":4,\"min\":1,"
                       "\"max\":3,\"sum_squares\":10}]",
                       at + 1),
               "measurements", "unassigned");
}

//  A summary over time is of all points, though they are more than an answer has; so is
//  what readings have risen by.
static void
test_summary_of_many (void **state)
{
    enum { SOURCES = 60, EACH = 2000 };
    static store_row_t rows[SOURCES * EACH];
    static char sources[SOURCES][16];
    int64_t at = s_hour () - 2 * 3600;
    _Static_assert(SOURCES * EACH > TRACES_POINTS_MAX, "more than an answer");
    if (SANITIZED_T)  //  too slow for READ_MS beside other tests
        skip ();
    for (int rises = 0; rises < 2; rises++) {
        const char *name = rises ? "rises" : "many";
        char path[256];
        int samples;
        (void) state;
        for (int i = 0; i < SOURCES * EACH; i++) {
            snprintf (sources[i / EACH], sizeof *sources, "s%d", i / EACH);
            rows[i] = stored_row (name, sources[i / EACH], at + i % EACH,
                                  rises ? 7 + 2 * (i % EACH) : 2);
            rows[i].type = rises ? METRIC_COUNTER : METRIC_GAUGE;
        }
        assert_int_equal (
          stored_write (&asked_store, rows, SOURCES * EACH, NULL, NULL),
          BATCH_STORED);
        snprintf (path, sizeof path,
                  "/v1/metrics/%s?start_time=%" PRId64
                  "&resolution=1&summarize_time=true&summarize_sources=true",
                  name, at);
        samples = (EACH - rises) * SOURCES;
        MEMBER_IS (path,
                   s_path ("[{\"measure_time\":%" PRId64
                           ",\"value\":2,\"count\":%d,\"sum\":%d,\"min\":2,"
                           "\"max\":2,\"sum_squares\":%d,\"summarized\":%d}]",
                           at + rises, samples, 2 * samples, 4 * samples,
                           SOURCES),
                   "measurements", "all");
    }
}

//  A record of the API of sources.
static const char *
s_record (int64_t time_s, const char *numbers, const char *more)
{
    double n[6];
    assert_int_equal (sscanf (numbers, "%lf %lf %lf %lf %lf %lf", &n[0], &n[1],
                              &n[2], &n[3], &n[4], &n[5]),
                      6);
    return s_path ("{\"measure_time\":%" PRId64
                   ",\"value\":%.15g,\"count\":%g,\"sum\":%g,\"min\":%g,"
                   "\"max\":%g,\"sum_squares\":%g%s}",
                   time_s, n[0], n[1], n[2], n[3], n[4], n[5], more);
}

static void
test_gauge_sources (void **state)
{
    int64_t at = s_hour ();
    char path[256], wanted[1024];
    (void) state;
    s_put ("g", "server1", at, 1);
    s_put ("g", "server1", at + 30, 2);
    s_put ("g", "server1", at + 59, 3);
    s_put ("g", "server2", at + 30, 10);
    s_put ("g", NULL, at + 60, 5);
    s_put ("g", NULL, at + 120, 5);  //  after the end
    snprintf (path, sizeof path,
              "/v1/metrics/g?start_time=%" PRId64 "&end_time=%" PRId64
              "&resolution=60",
              at, at + 119);
    snprintf (wanted, sizeof wanted,
              "{\"unassigned\":[%s],\"server1\":[%s],\"server2\":[%s]}",
              s_record (at + 60, "5 1 5 5 5 25", ""),
              s_record (at, "2 3 6 1 3 14", ""),
              s_record (at, "10 1 10 10 10 100", ""));
    MEASUREMENTS_ARE (path, wanted);
    MEMBER_IS (path, "60", "resolution");
    MEMBER_IS (path, "none", "query");
    MEMBER_IS (s_path ("%s&source=server*", path), "none", "measurements",
               "unassigned");
    MEMBER_IS (s_path ("%s&sources[]=server1&sources%%5B%%5D=unassigned", path),
               "none", "measurements", "server2");
    MEMBER_IS (s_path ("%s&source=unassigned", path), "none", "measurements",
               "server1");
    IS ("GET", s_path ("%s&group_by=median", path), NULL, 400,
        "{\"group_by\":\"median is not a function\"}");
}

//  All sources as one: their samples together, or a function of what each has.
static void
test_gauge_summaries (void **state)
{
    static const struct {
        const char *parameters, *first, *second;
    } rows[] = {{"summarize_sources=true&breakout_sources=false",
                 "4 4 16 1 10 114", "5 1 5 5 5 25"},
                {"group_by=min", "2 4 6 1 3 14", "5 1 5 5 5 25"},
                {"group_by=max", "10 4 10 10 10 100", "5 1 5 5 5 25"},
                {"group_by=sum", "12 4 16 11 13 114", "5 1 5 5 5 25"},
                {"group_by=mean", "6 4 8 5.5 6.5 57", "5 1 5 5 5 25"},
                {"group_by=count", "2 4 2 2 2 2", "1 1 1 1 1 1"},
                {"summarize_sources=1&summarize_time=1&breakout_sources=0",
                 "4.2 5 21 1 10 139", NULL}};
    int64_t at = s_hour ();
    char path[256], wanted[1024];
    (void) state;
    s_put ("g", "server1", at, 1);
    s_put ("g", "server1", at + 30, 2);
    s_put ("g", "server1", at + 59, 3);
    s_put ("g", "server2", at + 30, 10);
    s_put ("g", NULL, at + 60, 5);
    snprintf (path, sizeof path,
              "/v1/metrics/g?start_time=%" PRId64 "&resolution=60", at);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf (
          wanted, sizeof wanted, "{\"all\":[%s%s%s]}",
          s_record (at, rows[i].first,
                    rows[i].second ? ",\"summarized\":2" : ",\"summarized\":3"),
          rows[i].second ? "," : "",
          rows[i].second
            ? s_record (at + 60, rows[i].second, ",\"summarized\":1")
            : "");
        MEASUREMENTS_ARE (s_path ("%s&%s", path, rows[i].parameters), wanted);
    }
    MEMBER_IS (s_path ("%s&group_by=sum&breakout_sources=true", path),
               s_path ("[%s]", s_record (at, "10 1 10 10 10 100", "")),
               "measurements", "server2");
}

//  A series with tags is a part of its source here.
static void
test_tags_of_one_source (void **state)
{
    static const zb_tag_t tags[] = {{"code", "200"}};
    int64_t at = s_hour ();
    store_row_t row = stored_row ("t", "web", at, 4);
    (void) state;
    s_put_row (row);
    row.tags = tags;
    row.tag_count = 1;
    s_put_row (row);
    row.point.time_s += 5;
    s_put_row (row);
    MEASUREMENTS_ARE (
      s_path ("/v1/metrics/t?start_time=%" PRId64, at),
      s_path ("{\"web\":[{\"measure_time\":%" PRId64
              ",\"value\":4,\"count\":2,\"sum\":8,\"min\":4,\"max\":4,"
              "\"sum_squares\":32},{\"measure_time\":%" PRId64
              ",\"value\":4,\"count\":1,\"sum\":4,\"min\":4,\"max\":4,"
              "\"sum_squares\":16}]}",
              at, at + 5));
    MEASUREMENTS_ARE (
      "/v1/metrics/t?count=1",
      s_path ("{\"web\":[{\"measure_time\":%" PRId64
              ",\"value\":4,\"count\":1,\"sum\":4,\"min\":4,\"max\":4,"
              "\"sum_squares\":16}]}",
              at + 5));
}

static void
test_times (void **state)
{
    (void) state;
    s_put ("g", NULL, s_hour (), 1);
    MEMBER_IS ("/v1/metrics/g", "none", "measurements");
    MEMBER_IS ("/v1/metrics/g?count=1", "1", "resolution");
    //  a floating point time, as PL may send it
    IS ("GET", "/v1/metrics/g?start_time=1480000000.25", NULL, 200, NULL);
    IS ("GET", "/v1/metrics/g?start_time=x", NULL, 400,
        "{\"start_time\":\"is not a number\"}");
    IS ("GET", "/v1/metrics/g?count=1&resolution=0", NULL, 400,
        "{\"resolution\":\"must be 1 to 604800\"}");
    IS ("GET", "/v1/metrics/g?count=0", NULL, 400,
        "{\"count\":\"must be positive\"}");
    IS ("GET", "/v1/metrics/g?end_time=5", NULL, 400,
        "{\"start_time\":\"is required\"}");
    IS ("GET", "/v1/metrics/g?start_time=-1", NULL, 400,
        "{\"start_time\":\"is out of range\"}");
    IS ("GET", "/v1/metrics/none?count=1", NULL, 404, NULL);
}

//  --------------------------------------------------------------------------
//  Against all rows that were sent

enum { ROWS = 4000, SOURCES = 5, HOSTS = 4 };

typedef struct {
    int source, host;
    int64_t time_s;
    double value;
} sent_t;

static sent_t s_sent[ROWS];

//  Whole numbers, so that sums are exact in whatever order.
static void
s_send (int64_t begin_s, int64_t length_s)
{
    static store_row_t rows[ROWS];
    static zb_tag_t tags[ROWS];
    static const char *const sources[SOURCES] = {NULL, "a", "b", "c1", "c2"};
    static const char *const hosts[HOSTS] = {"h0", "h1", "i0", "i1"};
    for (int i = 0; i < ROWS; i++) {
        sent_t *sent = &s_sent[i];
        *sent = (sent_t){(int) (s_any () % SOURCES), (int) (s_any () % HOSTS),
                         begin_s + (int64_t) (s_any () % (uint64_t) length_s),
                         (double) (s_any () % 1000)};
        tags[i] = (zb_tag_t){"host", hosts[sent->host]};
        rows[i] =
          stored_row ("all", sources[sent->source], sent->time_s, sent->value);
        rows[i].tags = &tags[i];
        rows[i].tag_count = 1;
    }
    assert_int_equal (stored_write (&asked_store, rows, ROWS, NULL, NULL),
                      BATCH_STORED);
}

typedef struct {
    double count, sum, min, max, squares;
} folded_t;

//  What was sent of some sources and hosts (bits) in an interval.
static folded_t
s_fold (unsigned sources, unsigned hosts, int64_t from_s, int64_t to_s)
{
    folded_t folded = {.count = 0};
    for (int i = 0; i < ROWS; i++) {
        const sent_t *sent = &s_sent[i];
        if (!(sources >> sent->source & 1) || !(hosts >> sent->host & 1)
            || sent->time_s < from_s || sent->time_s >= to_s)
            continue;
        if (folded.count == 0 || sent->value < folded.min)
            folded.min = sent->value;
        if (folded.count == 0 || sent->value > folded.max)
            folded.max = sent->value;
        folded.count++;
        folded.sum += sent->value;
        folded.squares += sent->value * sent->value;
    }
    return folded;
}

static double
s_of (const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue (
      cJSON_GetObjectItemCaseSensitive (object, name));
}

//  Is the record what was sent? Returns how many samples it has.
static double
s_check_record (const cJSON *record, const char *time, unsigned sources,
                unsigned hosts, int64_t resolution)
{
    int64_t time_s = (int64_t) s_of (record, time);
    folded_t folded = s_fold (sources, hosts, time_s, time_s + resolution);
    assert_int_equal (time_s % resolution, 0);
    assert_true (s_of (record, "count") == folded.count);
    assert_true (s_of (record, "sum") == folded.sum);
    assert_true (s_of (record, "min") == folded.min);
    assert_true (s_of (record, "max") == folded.max);
    return folded.count;
}

static void
test_reads_are_what_was_sent (void **state)
{
    static const char *const sources[SOURCES] = {"unassigned", "a", "b", "c1",
                                                 "c2"};
    static const int64_t resolutions[] = {1, 7, 60, 900, 3600, 86400};
    int64_t begin = s_hour () - 15000, end = s_hour () + 7000;
    (void) state;
    s_send (begin, end - begin);
    for (int i = 0; i < 36; i++) {
        int64_t resolution = resolutions[i % 6];
        int64_t from = begin + (int64_t) (s_any () % 15000);
        int64_t to = from + (int64_t) (s_any () % 22000);
        int64_t first = (from + resolution - 1) / resolution * resolution;
        int64_t last = to / resolution * resolution + resolution;
        double seen = 0;
        cJSON *json =
          asked (&asked_store, "GET",
                 s_path ("/v1/metrics/all?start_time=%" PRId64
                         "&end_time=%" PRId64 "&resolution=%" PRId64,
                         from, to, resolution),
                 NULL);
        assert_int_equal (asked_status, 200);
        for (int source = 0; source < SOURCES; source++) {
            const cJSON *record;
            cJSON_ArrayForEach (
              record,
              cJSON_GetObjectItem (cJSON_GetObjectItem (json, "measurements"),
                                   sources[source])) seen +=
              s_check_record (record, "measure_time", 1u << source, 15,
                              resolution);
        }
        assert_true (seen == s_fold (31, 15, first, last).count);
        cJSON_Delete (json);
    }
}

//  tags_search and group_by against the same rows.
static void
test_groups_are_what_was_sent (void **state)
{
    static const char *const hosts[HOSTS] = {"h0", "h1", "i0", "i1"};
    int64_t begin = s_hour () - 20000;
    const cJSON *series, *record;
    cJSON *json;
    double seen = 0;
    (void) state;
    s_send (begin, 20000);
    json = asked (&asked_store, "GET",
                  s_path ("/v1/measurements/all?start_time=%" PRId64
                          "&end_time=%" PRId64
                          "&resolution=60&tags[source]=c*&tags[host]=!h1"
                          "&group_by=host&group_by_function=sum"
                          "&summary_function=sum",
                          begin - begin % 60, begin + 20000),
                  NULL);
    assert_int_equal (asked_status, 200);
    cJSON_ArrayForEach (series, cJSON_GetObjectItem (json, "series"))
    {
        const char *host =
          cJSON_GetObjectItem (cJSON_GetObjectItem (series, "tags"), "host")
            ->valuestring;
        unsigned bit = 0;
        for (unsigned i = 0; i < HOSTS; i++)
            if (strcmp (host, hosts[i]) == 0)
                bit = 1u << i;
        assert_true (bit && bit != 2);
        cJSON_ArrayForEach (record,
                            cJSON_GetObjectItem (series, "measurements"))
        {
            int64_t time_s = (int64_t) s_of (record, "time");
            folded_t folded = s_fold (24, bit, time_s, time_s + 60);
            assert_true (s_of (record, "value") == folded.sum);
            seen += folded.count;
        }
    }
    assert_true (seen == s_fold (24, 13, 0, INT64_MAX).count);
    assert_int_equal (cJSON_GetArraySize (cJSON_GetObjectItem (json, "series")),
                      3);
    cJSON_Delete (json);
    seen = 0;
    json = asked (&asked_store, "GET",
                  s_path ("/v1/measurements/all?duration=36000"
                          "&resolution=900&summary_function=all&tags_search="
                          "host%%3Dh*+and+(source%%3Da+or+not+source)"),
                  NULL);
    assert_int_equal (asked_status, 200);
    cJSON_ArrayForEach (series, cJSON_GetObjectItem (json, "series"))
    {
        const cJSON *tags = cJSON_GetObjectItem (series, "tags");
        const cJSON *host = cJSON_GetObjectItem (tags, "host");
        unsigned source = cJSON_HasObjectItem (tags, "source") ? 2 : 1;
        unsigned bit = strcmp (host->valuestring, "h0") ? 2 : 1;
        cJSON_ArrayForEach (record,
                            cJSON_GetObjectItem (series, "measurements"))
        {
            folded_t folded;
            int64_t time_s = (int64_t) s_of (record, "time");
            seen += s_check_record (record, "time", source, bit, 900);
            folded = s_fold (source, bit, time_s, time_s + 900);
            assert_true (
              fabs (s_of (record, "mean") - folded.sum / folded.count) < 1e-9);
            assert_true (fabs (s_of (record, "stddev")
                               - sqrt (folded.squares / folded.count
                                       - pow (folded.sum / folded.count, 2)))
                         < 1e-6);
        }
    }
    assert_true (seen == s_fold (3, 3, 0, INT64_MAX).count);
    cJSON_Delete (json);
}

//  Every point once, though no answer has them all.
static void
test_pages_of_points (void **state)
{
    enum { SECONDS = 70000 };
    static store_row_t rows[SECONDS];
    int64_t begin = s_hour () - SECONDS, from = begin;
    double seen = 0;
    int answers = 0;
    (void) state;
    for (int source = 0; source < 2; source++) {
        for (int i = 0; i < SECONDS; i++)
            rows[i] = stored_row ("long", source ? "a" : "b", begin + i, 1);
        for (int i = 0; i < SECONDS; i += 10000)
            assert_int_equal (
              stored_write (&asked_store, rows + i, 10000, NULL, NULL),
              BATCH_STORED);
    }
    while (from) {
        cJSON *json = asked (
          &asked_store, "GET",
          s_path ("/v1/metrics/long?resolution=1&start_time=%" PRId64, from),
          NULL);
        const cJSON *item = cJSON_GetObjectItem (json, "measurements"), *next;
        cJSON_ArrayForEach (next, item) seen += cJSON_GetArraySize (next);
        next = cJSON_GetObjectItem (json, "query");
        from = next ? (int64_t) s_of (next, "next_time") : 0;
        cJSON_Delete (json);
        answers++;
    }
    assert_true (seen == 2 * SECONDS);
    assert_int_equal (answers, 2);
    //  the same by links
    seen = 0;
    char path[1024];
    snprintf (path, sizeof path,
              "/v1/measurements/long?resolution=1&tags%%5Bsource%%5D=*"
              "&duration=%" PRId64,
              (int64_t) time (NULL) - begin + 5);
    for (answers = 0; *path; answers++) {
        cJSON *json = asked (&asked_store, "GET", path, NULL);
        const cJSON *series, *link;
        assert_int_equal (asked_status, 200);
        cJSON_ArrayForEach (series, cJSON_GetObjectItem (json, "series"))
          seen +=
          cJSON_GetArraySize (cJSON_GetObjectItem (series, "measurements"));
        link = cJSON_GetArrayItem (cJSON_GetObjectItem (json, "links"), 0);
        snprintf (path, sizeof path, "%s",
                  link ? cJSON_GetObjectItem (link, "href")->valuestring : "");
        cJSON_Delete (json);
    }
    assert_true (seen == 2 * SECONDS);
    assert_int_equal (answers, 2);
}

//  --------------------------------------------------------------------------
//  Measurements by tags

static void
test_tagged_shape (void **state)
{
    static const zb_tag_t tags[] = {{"az", "e"}, {"region", "us-east"}};
    int64_t at = s_hour ();
    store_row_t row = stored_row ("memory", NULL, at, 4.5);
    (void) state;
    row.tags = tags;
    row.tag_count = 2;
    s_put_row (row);
    IS ("GET",
        s_path ("/v1/measurements/memory?resolution=60&start_time=%" PRId64
                "&tags_search=region%%3Dus-east*%%20and%%20az%%3De",
                at),
        NULL, 200,
        s_path ("{\"series\":[{\"tags\":{\"az\":\"e\",\"region\":\"us-east\"},"
                "\"measurements\":[{\"time\":%" PRId64 ",\"value\":4.5}]}],"
                "\"links\":[],\"resolution\":60,\"name\":\"memory\"}",
                at));
    IS ("GET",
        s_path ("/v1/measurements/memory?resolution=60&duration=86400"
                "&group_by=*&group_by_function=max&tags[region]=eu"),
        NULL, 200,
        "{\"series\":[],\"links\":[],\"resolution\":60,\"name\":\"memory\"}");
    IS ("GET",
        "/v1/measurements/memory?resolution=60&duration=86400"
        "&group_by=*&group_by_function=max",
        NULL, 200,
        s_path ("{\"series\":[{\"tags\":{},\"measurements\":[{\"time\":%" PRId64
                ",\"value\":4.5}]}],\"links\":[],\"resolution\":60,"
                "\"name\":\"memory\"}",
                at));
}

static void
test_tagged_errors (void **state)
{
    static const char *const wrong[][2] = {
      {"duration=60", "{\"resolution\":\"is required\"}"},
      {"resolution=604801&duration=60",
       "{\"resolution\":\"must be 1 to 604800\"}"},
      {"resolution=60", "{\"start_time\":\"is required\"}"},
      {"resolution=60&duration=1&start_time=1&end_time=2",
       "{\"duration\":\"may not be given beside start_time and end_time\"}"},
      {"resolution=60&duration=60&group_by=a",
       "{\"group_by_function\":\"is required\"}"},
      {"resolution=60&duration=60&group_by=a&group_by_function=p99",
       "{\"group_by_function\":\"p99 is not a function\"}"},
      {"resolution=60&duration=60&summary_function=x",
       "{\"summary_function\":\"x is not a function\"}"},
      {"resolution=60&duration=60&summary_function=all&group_by=*"
       "&group_by_function=sum",
       "{\"group_by\":\"may not be given with summary_function=all\"}"},
      {"resolution=60&duration=60&tags_search=(a",
       "{\"tags_search\":\"lacks a closing parenthesis\"}"},
      {"resolution=60&duration=60&tags_search=a&tags[b]=c",
       "{\"tags_search\":\"may not be given beside tags\"}"}};
    (void) state;
    s_put ("m", NULL, s_hour (), 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        IS ("GET", s_path ("/v1/measurements/m?%s", wrong[i][0]), NULL, 400,
            wrong[i][1]);
    IS ("GET", "/v1/measurements/none?resolution=60&duration=60", NULL, 404,
        NULL);
}

//  Our increments add up, unless somebody says otherwise; a counter's derivative
//  knows the reading before.
static void
test_summaries (void **state)
{
    int64_t at = s_hour ();
    const char *minute = s_path (
      "resolution=60&start_time=%" PRId64 "&end_time=%" PRId64, at, at + 59);
    store_row_t row = stored_row ("inc", "a", at, 4);
    char path[1024];
    (void) state;
    row.type = METRIC_INCREMENT;
    s_put_row (row);
    row.point.time_s++;
    s_put_row (row);
    MEMBER_IS ("/v1/metrics/inc", "\"sum\"", "attributes",
               "summarize_function");
    MEMBER_IS ("/v1/metrics/inc", "\"gauge\"", "type");
    snprintf (path, sizeof path, "/v1/measurements/inc?%s", minute);
    MEMBER_IS (path,
               s_path ("[{\"tags\":{\"source\":\"a\"},\"measurements\":["
                       "{\"time\":%" PRId64 ",\"value\":8}]}]",
                       at),
               "series");
    snprintf (path, sizeof path,
              "/v1/measurements/inc?%s&summary_function=mean", minute);
    MEMBER_IS (path,
               s_path ("[{\"tags\":{\"source\":\"a\"},\"measurements\":["
                       "{\"time\":%" PRId64 ",\"value\":4}]}]",
                       at),
               "series");
    IS ("PUT", "/v1/metrics/inc",
        "{\"attributes\":{\"summarize_function\":\"max\"}}", 204, "");
    snprintf (path, sizeof path, "/v1/measurements/inc?%s", minute);
    MEMBER_IS (path,
               s_path ("[{\"tags\":{\"source\":\"a\"},\"measurements\":["
                       "{\"time\":%" PRId64 ",\"value\":4}]}]",
                       at),
               "series");
    for (int i = 0; i < 4; i++) {
        row = stored_row ("ctr", NULL, at - 60 + i * 60, i == 3 ? 2 : 10 * i);
        row.type = METRIC_COUNTER;
        s_put_row (row);
    }
    snprintf (path, sizeof path,
              "/v1/measurements/ctr?resolution=60&start_time=%" PRId64
              "&summary_function=derivative",
              at);
    MEMBER_IS (path,
               s_path ("[{\"tags\":{},\"measurements\":[{\"time\":%" PRId64
                       ",\"value\":10},{\"time\":%" PRId64
                       ",\"value\":10},{\"time\":%" PRId64 ",\"value\":2}]}]",
                       at, at + 60, at + 120),
               "series");
    snprintf (path, sizeof path,
              "/v1/measurements/ctr?resolution=60&start_time=%" PRId64
              "&end_time=%" PRId64,
              at, at);
    MEMBER_IS (path,
               s_path ("[{\"tags\":{},\"measurements\":[{\"time\":%" PRId64
                       ",\"value\":10}]}]",
                       at),
               "series");
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      TEST (test_metrics_list),
      TEST (test_metrics_pages),
      TEST (test_metric_update),
      TEST (test_metric_create),
      TEST (test_metrics_update),
      TEST (test_metrics_delete),
      TEST (test_counter),
      TEST (test_summary_of_many),
      TEST (test_gauge_sources),
      TEST (test_gauge_summaries),
      TEST (test_tags_of_one_source),
      TEST (test_times),
      TEST (test_reads_are_what_was_sent),
      TEST (test_groups_are_what_was_sent),
      TEST (test_pages_of_points),
      TEST (test_tagged_shape),
      TEST (test_tagged_errors),
      TEST (test_summaries),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
