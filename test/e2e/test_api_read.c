/*  test_api_read.c - can clients of Librato read and manage what a server has, and do
    they read what was sent?

    Clients that cannot be installed here are told as the requests that they send, in
    their order and form:

        LM  github.com/librato/librato-metrics, lib/librato/metrics/client.rb and
            annotator.rb; what they expect is in spec/integration
        PL  github.com/librato/python-librato, librato/__init__.py
        AO  github.com/appoptics/appoptics-api-go
        API github.com/librato/api-docs, source/includes, requests by curl

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"
#include "site.h"

//  --------------------------------------------------------------------------
//  A client is a list of requests

typedef struct {
    const char *method, *path, *body;
    long status;
    const char *wanted;  //  a part of the answer; NULL: it has no body
} step_t;

//  Takes all steps. `who` and the headers are those of the client.
static void
s_take (const serve_t *serve, const char *who, const char *const *headers,
        const step_t *step)
{
    for (; step->method; step++) {
        reply_t reply =
          serve_ask (serve, step->method, step->path, who, headers, step->body,
                     step->body ? strlen (step->body) : 0);
        if (reply.status != step->status
            || (step->wanted ? !strstr (reply.body, step->wanted)
                             : *reply.body != 0))
            fail_msg ("%s %s: %ld %s", step->method, step->path, reply.status,
                      reply.body);
    }
}

static const char *
s_header (const reply_t *reply, const char *name)
{
    const char *at = strcasestr (reply->headers, text_new ("\n%s: ", name));
    if (!at)
        return "";
    at += strlen (name) + 3;
    return text_new ("%.*s", (int) strcspn (at, "\r\n"), at);
}

//  spec/integration/metrics_spec.rb: names, patterns, attributes, sources.
static void
ruby_client_manages_metrics (void)
{
    static const step_t steps[] = {
      {"POST", "/v1/metrics",
       "{\"gauges\":[{\"name\":\"foo\",\"value\":123},{\"name\":\"foobar\","
       "\"value\":2},{\"name\":\"foobaz\",\"value\":3},{\"name\":\"bar\","
       "\"value\":4}]}",
       200, NULL},
      {"GET", "/v1/metrics?name=foo", NULL, 200, "\"found\":3,\"length\":3"},
      {"GET", "/v1/metrics/foo?count=1&resolution=1", NULL, 200,
       "\"value\":123,\"count\":1"},
      {"DELETE", "/v1/metrics", "{\"names\":\"fo*\",\"exclude\":[\"foobar\"]}",
       204, NULL},
      {"GET", "/v1/metrics/foo", NULL, 404, "\"errors\":{\"request\":["},
      {"GET", "/v1/metrics/foobar", NULL, 200, "\"type\":\"gauge\""},
      {"DELETE", "/v1/metrics", "{\"names\":[\"missing\"]}", 204, NULL},
      {"DELETE", "/v1/metrics", "{\"names\":[\"foobar\",\"bar\"]}", 204, NULL},
      {"GET", "/v1/metrics", NULL, 200, "\"metrics\":[]"},
      //  the type of a name
      {"POST", "/v1/metrics",
       "{\"counters\":[{\"name\":\"foo\",\"value\":12,\"source\":\"baz\"}]}",
       200, NULL},
      {"POST", "/v1/metrics", "{\"gauges\":[{\"name\":\"foo\",\"value\":15}]}",
       400, "'foo' is a counter, but was submitted as different type"},
      {"GET", "/v1/metrics/foo?source=baz&count=1&resolution=1", NULL, 200,
       "\"baz\":[{\"measure_time\":"},
      //  update
      {"PUT", "/v1/metrics/new",
       "{\"display_name\":\"Foo Metric\",\"period\":15,\"attributes\":{"
       "\"display_max\":1000}}",
       400, "{\"errors\":{\"params\":{\"type\":[\"is required\"]}}}"},
      {"PUT", "/v1/metrics/new",
       "{\"display_name\":\"Foo Metric\",\"type\":\"gauge\",\"period\":15,"
       "\"attributes\":{\"display_max\":1000}}",
       201, "\"display_max\":1000"},
      {"GET", "/v1/metrics/new", NULL, 200,
       "\"display_name\":\"Foo Metric\",\"type\":\"gauge\","
       "\"attributes\":{\"display_max\":1000}"},
      {"PUT", "/v1/metrics",
       "{\"names\":\"*\",\"exclude\":[\"foo\"],\"period\":60,"
       "\"display_max\":100}",
       204, NULL},
      {"GET", "/v1/metrics?name=new", NULL, 200,
       "\"attributes\":{\"display_max\":100},\"description\":null,"
       "\"period\":60"},
      {"GET", "/v1/sources/unknown", NULL, 404, "Not Found"},
      {"PUT", "/v1/sources/sources_api_test",
       "{\"display_name\":\"Sources Api Test\"}", 201, "Sources Api Test"},
      {"PUT", "/v1/sources/baz", "{\"display_name\":\"Baz\"}", 204, NULL},
      {"GET", "/v1/sources", NULL, 200,
       "{\"sources\":[{\"name\":\"baz\",\"display_name\":\"Baz\"},"},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_take (serve, NULL, LIST (JSON), steps);
    serve_stop (serve);
}

//  spec/integration/metrics/annotator_spec.rb.
static void
ruby_client_annotates (void)
{
    static const step_t steps[] = {
      {"GET", "/v1/annotations/backups", NULL, 404, "Not Found"},
      {"POST", "/v1/annotations/deployment",
       "{\"title\":\"deployed v70\",\"start_time\":1234567890,\"end_time\":"
       "1234567990}",
       201, "\"start_time\":1234567890,\"end_time\":1234567990"},
      {"POST", "/v1/annotations/deployment",
       "{\"title\":\"deployed v69\",\"source\":\"box1\",\"start_time\":"
       "1234567891}",
       201, "\"source\":\"box1\""},
      {"GET", "/v1/annotations/deployment", NULL, 200,
       "{\"name\":\"deployment\",\"display_name\":null}"},
      {"GET", "/v1/annotations/deployment?start_time=1234567890", NULL, 200,
       "\"events\":{\"unassigned\":[{\"id\":2,"},
      {"GET",
       "/v1/annotations/deployment?start_time=1234567890&sources[]=box1"
       "&sources[]=box2",
       NULL, 200, "\"events\":{\"box1\":[{"},
      {"PUT", "/v1/annotations/deployment/2", "{\"end_time\":1234568000}", 204,
       NULL},
      {"GET", "/v1/annotations/deployment/2", NULL, 200,
       "\"end_time\":1234568000"},
      {"DELETE", "/v1/annotations/deployment/3", NULL, 204, NULL},
      {"GET", "/v1/annotations?name=deploy", NULL, 200, "\"found\":1"},
      {"DELETE", "/v1/annotations/deployment", NULL, 204, NULL},
      {"GET", "/v1/annotations/deployment", NULL, 404, "Not Found"},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_take (serve, NULL, LIST (JSON), steps);
    serve_stop (serve);
}

//  What test_update_metrics_attributes, list_alerts, spaces and charts do.
static void
python_client_manages (void)
{
    static const step_t steps[] = {
      {"POST", "/v1/metrics",
       "{\"gauges\":[{\"name\":\"Test\",\"value\":10,\"description\":"
       "\"A great gauge.\"}],\"counters\":[]}",
       200, NULL},
      {"GET", "/v1/metrics/Test", NULL, 200, "\"attributes\":{"},
      {"PUT", "/v1/metrics/Test", "{\"attributes\":{\"display_min\":0}}", 204,
       NULL},
      {"GET", "/v1/metrics/Test", NULL, 200,
       "\"attributes\":{\"display_min\":0}"},
      {"GET", "/v1/metrics?length=100&offset=0", NULL, 200, "\"period\":"},
      {"GET", "/v1/metrics?length=100&offset=100", NULL, 200, "\"length\":0"},
      //  get_tagged, get_composite
      {"GET", "/v1/measurements/Test?duration=86400&resolution=60", NULL, 200,
       "\"series\":[{\"tags\":{},\"measurements\":[{\"time\":"},
      {"GET",
       "/v1/metrics?compose=derive%28s%28%22a%22%2C+%22%2A%22%29%29"
       "&start_time=1432931007&resolution=1",
       NULL, 400, "derive is not supported"},
      {"DELETE", "/v1/metrics/Test", NULL, 204, NULL},
      {"GET", "/v1/metrics/Test", NULL, 404, "Not Found"},
      //  a service, and an alert for it
      {"POST", "/v1/services",
       "{\"title\":\"Ops\",\"type\":\"mail\",\"settings\":{\"addresses\":"
       "\"a@b\"}}",
       201, "\"id\":1"},
      {"POST", "/v1/alerts",
       "{\"name\":\"web.time\",\"attributes\":{},\"version\":2,\"description\":"
       "null,\"services\":[\"1\"],\"conditions\":[{\"type\":\"above\","
       "\"metric_name\":\"web\",\"source\":\"*\",\"threshold\":200,"
       "\"summary_function\":\"average\",\"duration\":null}]}",
       201, "\"active\":false"},
      {"GET", "/v1/alerts?version=2&name=web.time", NULL, 200,
       "\"conditions\":[{\"id\":2000,\"type\":\"above\",\"source\":\"*\","
       "\"metric_name\":\"web\",\"threshold\":200,"},
      {"DELETE", "/v1/alerts/2", NULL, 204, NULL},
      //  spaces and charts
      {"POST", "/v1/spaces", "{\"name\":\"CPUs\"}", 201, "{\"id\":3,"},
      {"GET", "/v1/spaces?name=CPUs", NULL, 200, "\"name\":\"CPUs\""},
      {"POST", "/v1/spaces/3/charts",
       "{\"name\":\"Temp\",\"type\":\"line\",\"streams\":[{\"metric\":"
       "\"server_temp\",\"source\":\"app1\"}]}",
       201, "\"id\":4"},
      {"GET", "/v1/spaces/3", NULL, 200, "\"charts\":[{\"id\":4}]"},
      {"GET", "/v1/spaces/3/charts", NULL, 200, "[{\"id\":4,"},
      {"PUT", "/v1/spaces/3/charts/4",
       "{\"name\":\"T\",\"type\":\"line\",\"streams\":[]}", 200,
       "\"name\":\"T\""},
      {"DELETE", "/v1/spaces/3/charts/4", NULL, 204, NULL},
      {"PUT", "/v1/spaces/3", "{\"name\":\"MEMORY\"}", 204, NULL},
      {"DELETE", "/v1/spaces/3", NULL, 204, NULL},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_take (serve, NULL, LIST (JSON), steps);
    serve_stop (serve);
}

//  The token has the user's name "token"; every request says gzip, also those without
//  a body.
static void
go_client_manages (void)
{
    static const step_t steps[] = {
      {"GET", "/v1/metrics", NULL, 200, "\"query\":{\"found\":0"},
      {"PUT", "/v1/metrics/m", "{\"name\":\"m\",\"type\":\"gauge\"}", 201,
       "\"name\":\"m\""},
      {"GET", "/v1/spaces?length=10&offset=0&orderby=name&sort=asc", NULL, 200,
       "\"spaces\":[]"},
      {"POST", "/v1/spaces", "{\"id\":0,\"name\":\"s\"}", 201, "{\"id\":1,"},
      {"GET", "/v1/spaces/1", NULL, 200, "\"charts\":[]"},
      {"POST", "/v1/services",
       "{\"type\":\"slack\",\"settings\":{\"url\":\"http://x\"},\"title\":"
       "\"t\"}",
       201, "\"settings\":{\"url\":\"http://x\"}"},
      {"POST", "/v1/alerts",
       "{\"name\":\"a\",\"conditions\":[{\"type\":\"absent\",\"metric_name\":"
       "\"m\",\"duration\":60,\"tags\":[{\"name\":\"host\",\"values\":[\"*\"]}]"
       "}],\"attributes\":null}",
       201, "\"attributes\":{}"},
      {"POST", "/v1/alerts/3/services", "{\"service\":2}", 201, NULL},
      {"GET", "/v1/alerts/3", NULL, 200, "\"services\":[{\"id\":2,"},
      {"GET", "/v1/alerts/3/status", NULL, 200, "\"alert\":{\"id\":3}"},
      {"DELETE", "/v1/alerts/3/services/2", NULL, 204, NULL},
      {"GET", "/v1/alerts/3", NULL, 200, "\"services\":[]"},
      {"POST", "/v1/annotations/deploys",
       "{\"id\":0,\"title\":\"v1\",\"start_time\":1234567890}", 201,
       "\"id\":5"},
      {"POST", "/v1/annotations/deploys/5/links",
       "{\"rel\":\"github\",\"href\":\"http://x\"}", 201, "\"rel\":\"github\""},
      {"GET", "/v1/jobs/7", NULL, 404, "Not Found"},
      {"POST", "/v1/snapshots", "{\"subject\":{}}", 501, "not supported"},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *who = text_new ("token:%s", serve->token);
    s_take (serve, who, LIST (JSON), steps);
    assert_int_equal (serve_ask (serve, "GET", "/v1/spaces", who,
                                 LIST (JSON, "Content-Encoding: gzip"), NULL, 0)
                        .status,
                      200);
    serve_stop (serve);
}

//  The documentation's requests by curl, as forms.
static void
forms_manage (void)
{
    static const step_t steps[] = {
      {"PUT", "/v1/metrics/queue_len",
       "type=gauge&description=Length of app queue&display_name=num. elements",
       201, "\"description\":\"Length of app queue\""},
      {"PUT", "/v1/metrics/cpu", "type=gauge", 201, "\"cpu\""},
      {"PUT", "/v1/metrics/reqs", "type=counter", 201, "\"counter\""},
      {"PUT", "/v1/metrics/queue_len",
       "display_name=Queue+length&attributes[display_min]=0", 204, NULL},
      {"PUT", "/v1/metrics", "names=cpu&names=reqs&period=60&display_max=9",
       204, NULL},
      {"GET", "/v1/metrics/reqs", NULL, 200, "\"period\":60"},
      {"GET", "/v1/metrics/queue_len", NULL, 200,
       "\"display_name\":\"Queue length\",\"type\":\"gauge\",\"attributes\":{"
       "\"display_min\":\"0\"}"},
      {"PUT", "/v1/metrics", "names=*_len&display_units_short=ms", 204, NULL},
      {"GET", "/v1/metrics/queue_len", NULL, 200,
       "\"display_units_short\":\"ms\""},
      {"DELETE", "/v1/metrics", "names%5B%5D=cpu&names%5B%5D=reqs", 204, NULL},
      {"GET", "/v1/metrics", NULL, 200, "\"total\":1"},
      {"POST", "/v1/annotations/app-deploys",
       "title=My Annotation&description=Joe deployed v29 to metrics"
       "&start_time=1234567890&links[0][label]=Metrics Gem"
       "&links[0][href]=https://github.com/librato/librato-metrics"
       "&links[0][rel]=github",
       201, "\"links\":[{\"rel\":\"github\","},
      {"PUT", "/v1/annotations/app-deploys", "display_name=Deploys to API", 204,
       NULL},
      {"GET", "/v1/annotations", NULL, 200, "Deploys to API"},
      {"POST", "/v1/spaces", "name=CPUs&tags=true", 201, "\"name\":\"CPUs\""},
      {"PUT", "/v1/spaces/3", "name=MEMORY", 204, NULL},
      {"POST", "/v1/services",
       "title=Notify Ops Room&type=campfire&settings%5Btoken%5D=1234567890ABC"
       "&settings%5Broom%5D=Ops&settings%5Bsubdomain%5D=acme",
       201, "\"room\":\"Ops\""},
      {"PUT", "/v1/services/4", "title=Notify Ops Chatroom", 204, NULL},
      {"PUT", "/v1/sources/foo.bar.com", "display_name=FooBar", 201, "FooBar"},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    s_take (serve, NULL, LIST (FORM), steps);
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  Who may, and how it is asked

static const char *
s_token (const serve_t *serve, const char *role)
{
    process_t *made = zibrato_run (LIST ("serve", "--data", serve->folder,
                                         "--token-new", role, "--role", role));
    const char *out = text_new ("me:%.64s", process_out (made));
    int64_t until = now_ms () + WAIT_MS;
    while (serve_ask (serve, "GET", "/v1/metrics", out, NULL, NULL, 0).status
             != 200
           && now_ms () < until)
        poll_pause ();
    return out;
}

static void
roles_may_what_they_say (void)
{
    static const struct {
        const char *method, *path, *body;
        long viewer, recorder;
    } rows[] = {{"GET", "/v1/metrics", NULL, 200, 200},
                {"GET", "/v1/metrics/m?count=1", NULL, 200, 200},
                {"GET", "/v1/sources", NULL, 200, 200},
                {"GET", "/v1/spaces", NULL, 200, 200},
                {"POST", "/v1/annotations/a", "{\"title\":\"t\"}", 403, 201},
                {"PUT", "/v1/annotations/a/3", "{\"title\":\"t\"}", 403, 204},
                {"DELETE", "/v1/annotations/a/3", NULL, 403, 403},
                {"PUT", "/v1/metrics/m", "{\"period\":5}", 403, 403},
                {"DELETE", "/v1/metrics/m", NULL, 403, 403},
                {"DELETE", "/v1/metrics", "{\"names\":\"*\"}", 403, 403},
                {"POST", "/v1/spaces", "{\"name\":\"s\"}", 403, 403},
                {"POST", "/v1/alerts", "{\"name\":\"s\"}", 403, 403},
                {"POST", "/v1/services", "{}", 403, 403}};
    static const step_t steps[] = {
      {"PUT", "/v1/metrics/m", "{\"type\":\"gauge\"}", 201, "\"m\""},
      {"POST", "/v1/services",
       "{\"title\":\"t\",\"type\":\"x\",\"settings\":{\"key\":\"secret\"}}",
       201, "\"secret\""},
      {NULL, NULL, NULL, 0, NULL}};
    serve_t *serve = serve_start (NULL, "data", NULL);
    const char *viewer = s_token (serve, "viewer");
    const char *recorder = s_token (serve, "recorder");
    reply_t reply;
    s_take (serve, NULL, LIST (JSON), steps);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = rows[i].body ? strlen (rows[i].body) : 0;
        reply = serve_ask (serve, rows[i].method, rows[i].path, viewer,
                           LIST (JSON), rows[i].body, size);
        assert_int_equal (reply.status, rows[i].viewer);
        reply = serve_ask (serve, rows[i].method, rows[i].path, recorder,
                           LIST (JSON), rows[i].body, size);
        assert_int_equal (reply.status, rows[i].recorder);
        reply = serve_ask (serve, rows[i].method, rows[i].path, "", LIST (JSON),
                           rows[i].body, size);
        assert_int_equal (reply.status, 401);
    }
    //  settings of a service are secrets
    reply = serve_ask (serve, "GET", "/v1/services/1", viewer, NULL, NULL, 0);
    assert_int_equal (reply.status, 200);
    assert_null (strstr (reply.body, "secret"));
    serve_stop (serve);
}

static void
heads_and_other_methods (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    reply_t reply =
      serve_ask (serve, "HEAD", "/v1/metrics", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 200);
    assert_string_equal (reply.body, "");
    reply = serve_ask (serve, "PATCH", "/v1/spaces/1", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 405);
    assert_non_null (strstr (s_header (&reply, "Allow"), "PUT"));
    reply = serve_post (serve, "/v1/spaces", JSON, "{\"name\":\"s\"}");
    assert_string_equal (s_header (&reply, "Location"), "/v1/spaces/1");
    reply = serve_ask (serve, "GET", "/v1/dashboards", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 404);
    reply = serve_post (serve, "/v1/spaces", JSON, "{\"name\":");
    assert_int_equal (reply.status, 400);
    assert_non_null (strstr (reply.body, "{\"errors\":{\"request\":[\""));
    serve_stop (serve);
}

//  --------------------------------------------------------------------------
//  What is read is what was sent

//  Increments and timers of programs, at each resolution, with a kill in between.
static void
totals_of_programs_are_read (void)
{
    static const int64_t resolutions[] = {1, 60, 900, 3600};
    broker_t *broker = broker_start ();
    serve_t *serve = serve_start (broker, "data", NULL);
    load_t load = load_start (broker, 2, 1000);
    int64_t from = time (NULL) / 3600 * 3600;
    total_t total;
    serve_await (serve, "load.count", 0, 1000);
    serve_kill (serve);
    serve_launch (serve);
    load_end (&load);
    serve_await (serve, "load.count", 0, load.count);
    serve_await (serve, "load.time", load.times, 0);
    for (int i = 0; i < 4; i++) {
        total =
          serve_read_total (serve, NULL, "load.count", resolutions[i], from);
        assert_true (total.sum == load.count);
        total =
          serve_read_total (serve, NULL, "load.time", resolutions[i], from);
        assert_true (total.count == load.times);
        assert_true (resolutions[i] > 1 || total.sum_ns == load.time_ns);
    }
    serve_stop (serve);
}

enum { POSTS = 60, MEASUREMENTS = 50 };

typedef struct {
    int64_t time_s;
    int host;
    double value;
} sent_t;

static sent_t s_sent[POSTS * MEASUREMENTS];

//  The same numbers at each run.
static uint64_t
s_any (void)
{
    static uint64_t state = 20261129;
    state = state * UINT64_C (6364136223846793005) + 1442695040888963407u;
    return state >> 33;
}

static void
s_send (const serve_t *serve, int post, int64_t now)
{
    cJSON *json = cJSON_CreateObject ();
    cJSON *list = cJSON_AddArrayToObject (json, "measurements");
    for (int i = 0; i < MEASUREMENTS; i++) {
        sent_t *sent = &s_sent[post * MEASUREMENTS + i];
        cJSON *item = cJSON_CreateObject ();
        *sent = (sent_t){now - (int64_t) (s_any () % 20000),
                         (int) (s_any () % 5), (double) (s_any () % 1000)};
        cJSON_AddItemToArray (list, item);
        cJSON_AddStringToObject (item, "name", "sent");
        cJSON_AddNumberToObject (item, "value", sent->value);
        cJSON_AddNumberToObject (item, "time", (double) sent->time_s);
        cJSON_AddStringToObject (cJSON_AddObjectToObject (item, "tags"), "host",
                                 text_new ("h%d", sent->host));
    }
    char *body = cJSON_PrintUnformatted (json);
    long status = serve_post (serve, "/v1/measurements", JSON, body).status;
    assert_int_equal (status, 202);
    free (body);
    cJSON_Delete (json);
}

//  The sum of what was sent of a host in an interval.
static double
s_sum (int host, int64_t from, int64_t to)
{
    double sum = 0;
    for (int i = 0; i < POSTS * MEASUREMENTS; i++)
        if (s_sent[i].host == host && s_sent[i].time_s >= from
            && s_sent[i].time_s < to)
            sum += s_sent[i].value;
    return sum;
}

static void
s_check_sums (const serve_t *serve, int resolution)
{
    reply_t reply = serve_ask (
      serve, "GET",
      text_new ("/v1/measurements/sent?resolution=%d&duration=86400"
                "&group_by=host&group_by_function=sum&summary_function=sum"
                "&tags%%5Bhost%%5D=!h4",
                resolution),
      NULL, NULL, NULL, 0);
    cJSON *json = cJSON_Parse (reply.body);
    const cJSON *series, *item;
    double seen = 0, wanted = 0;
    assert_int_equal (reply.status, 200);
    cJSON_ArrayForEach (series, cJSON_GetObjectItem (json, "series"))
    {
        const cJSON *tags = cJSON_GetObjectItem (series, "tags");
        int host = atoi (cJSON_GetObjectItem (tags, "host")->valuestring + 1);
        cJSON_ArrayForEach (item, cJSON_GetObjectItem (series, "measurements"))
        {
            int64_t at = (int64_t) row_number (item, "time");
            assert_true (row_number (item, "value")
                         == s_sum (host, at, at + resolution));
            seen += row_number (item, "value");
        }
    }
    for (int host = 0; host < 4; host++)
        wanted += s_sum (host, 0, INT64_MAX);
    assert_true (seen == wanted);
    cJSON_Delete (json);
}

//  In any order, of six hours, while some of them are packed; also after kill -9.
static void
what_was_posted_is_read (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    int64_t now = time (NULL);
    for (int i = 0; i < POSTS; i++)
        s_send (serve, i, now);
    s_check_sums (serve, 1);
    s_check_sums (serve, 60);
    serve_kill (serve);
    serve_launch (serve);
    s_check_sums (serve, 7);
    s_check_sums (serve, 900);
    s_check_sums (serve, 3600);
    serve_stop (serve);
}

static const struct CMUnitTest tests[] = {
  TEST (ruby_client_manages_metrics),
  TEST (ruby_client_annotates),
  TEST (python_client_manages),
  TEST (go_client_manages),
  TEST (forms_manage),
  TEST (roles_may_what_they_say),
  TEST (heads_and_other_methods),
  TEST (totals_of_programs_are_read),
  TEST (what_was_posted_is_read),
};

HARNESS_MAIN (tests)
