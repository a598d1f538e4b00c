/*  test_documents.c - are annotations, spaces, alerts and names of sources read back
    as clients of Librato sent them, in the shapes that they need?

    The same clients as in test_api.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "asked.h"

#include <inttypes.h>
#include <time.h>

static cJSON *
s_get (const char *path)
{
    cJSON *json = asked (&asked_store, "GET", path, NULL);
    if (asked_status != 200)
        fail_msg ("%s: %u", path, asked_status);
    return json;
}

static double
s_number (const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue (
      cJSON_GetObjectItemCaseSensitive (object, name));
}

//  --------------------------------------------------------------------------
//  Sources (LM spec: Sources API)

static void
test_sources (void **state)
{
    store_row_t rows[] = {stored_row ("m", "web1", time (NULL), 1),
                          stored_row ("n", "web1", time (NULL), 1),
                          stored_row ("m", "db", time (NULL), 1),
                          stored_row ("m", NULL, time (NULL), 1)};
    (void) state;
    assert_int_equal (stored_write (&asked_store, rows, 4, NULL, NULL),
                      BATCH_STORED);
    IS ("GET", "/v1/sources", NULL, 200,
        "{\"sources\":[{\"name\":\"db\",\"display_name\":null},"
        "{\"name\":\"web1\",\"display_name\":null}],"
        "\"query\":{\"found\":2,\"length\":2,\"offset\":0,\"total\":2}}");
    IS ("GET", "/v1/sources/web1", NULL, 200,
        "{\"name\":\"web1\",\"display_name\":null}");
    IS ("GET", "/v1/sources/none", NULL, 404, NULL);
    IS ("PUT", "/v1/sources/web1", "{\"display_name\":\"Front\"}", 204, "");
    IS ("PUT", "/v1/sources/web1", "{\"display_name\":\"Front 1\"}", 204, "");
    IS ("PUT", "/v1/sources/new", "{\"display_name\":\"New One\"}", 201,
        "{\"name\":\"new\",\"display_name\":\"New One\"}");
    assert_string_equal (asked_location, "/v1/sources/new");
    IS ("PUT", "/v1/sources/a%20b", "{}", 400, NULL);
    //  by what it is called, too
    IS ("GET", "/v1/sources?name=FRONT", NULL, 200,
        "{\"sources\":[{\"name\":\"web1\",\"display_name\":\"Front 1\"}],"
        "\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":3}}");
    IS ("GET", "/v1/sources?offset=1&length=1&sort=desc", NULL, 200,
        "{\"sources\":[{\"name\":\"new\",\"display_name\":\"New One\"}],"
        "\"query\":{\"found\":3,\"length\":1,\"offset\":1,\"total\":3}}");
}

//  --------------------------------------------------------------------------
//  Annotations (LM spec: Annotator)

static void
test_annotations (void **state)
{
    int64_t now = time (NULL);
    char path[256], body[512];
    const cJSON *events, *first;
    cJSON *json;
    (void) state;
    IS ("GET", "/v1/annotations/deployment", NULL, 404, NULL);
    snprintf (body, sizeof body,
              "{\"title\":\"deployed v70\",\"start_time\":%" PRId64
              ",\"end_time\":%" PRId64 "}",
              now - 120, now - 30);
    json = asked (&asked_store, "POST", "/v1/annotations/deployment", body);
    assert_int_equal (asked_status, 201);
    snprintf (path, sizeof path, "/v1/annotations/deployment/%.0f",
              s_number (json, "id"));
    assert_string_equal (asked_location, path);
    cJSON_Delete (json);
    IS ("POST", "/v1/annotations/deployment",
        "{\"title\":\"deployed v71\",\"source\":\"box1\","
        "\"description\":\"d\"}",
        201, NULL);
    //  a stream alone, without events
    IS ("GET", "/v1/annotations/Deployment", NULL, 200,
        "{\"name\":\"deployment\",\"display_name\":null}");
    //  events: an object of lists by source
    snprintf (path, sizeof path,
              "/v1/annotations/deployment?start_time=%" PRId64, now - 180);
    json = s_get (path);
    events = cJSON_GetObjectItem (json, "events");
    assert_true (cJSON_IsObject (events));
    first = cJSON_GetArrayItem (cJSON_GetObjectItem (events, "unassigned"), 0);
    assert_string_equal (cJSON_GetObjectItem (first, "title")->valuestring,
                         "deployed v70");
    assert_true (s_number (first, "start_time") == (double) (now - 120));
    assert_true (s_number (first, "end_time") == (double) (now - 30));
    assert_true (cJSON_IsNull (cJSON_GetObjectItem (first, "description")));
    assert_true (cJSON_IsArray (cJSON_GetObjectItem (first, "links")));
    first = cJSON_GetArrayItem (cJSON_GetObjectItem (events, "box1"), 0);
    assert_string_equal (
      cJSON_GetObjectItem (first, "description")->valuestring, "d");
    assert_true (cJSON_IsNull (cJSON_GetObjectItem (first, "end_time")));
    cJSON_Delete (json);
    //  by time, and by source
    snprintf (path, sizeof path,
              "/v1/annotations/deployment?start_time=%" PRId64
              "&sources[]=box*",
              now - 180);
    json = s_get (path);
    assert_int_equal (cJSON_GetArraySize (cJSON_GetObjectItem (json, "events")),
                      1);
    cJSON_Delete (json);
    snprintf (path, sizeof path,
              "/v1/annotations/deployment?start_time=%" PRId64
              "&end_time=%" PRId64,
              now - 1000, now - 121);
    json = s_get (path);
    assert_int_equal (cJSON_GetArraySize (cJSON_GetObjectItem (json, "events")),
                      0);
    cJSON_Delete (json);
}

static void
test_annotation_streams (void **state)
{
    (void) state;
    IS ("POST", "/v1/annotations/backups", "{\"title\":\"b\"}", 201, NULL);
    IS ("POST", "/v1/annotations/api-deploys", "{\"title\":\"d\"}", 201, NULL);
    IS ("PUT", "/v1/annotations/api-deploys",
        "{\"name\":\"api-deploys\",\"display_name\":\"Deploys to API\"}", 204,
        "");
    IS ("GET", "/v1/annotations", NULL, 200,
        "{\"annotations\":[{\"name\":\"api-deploys\","
        "\"display_name\":\"Deploys to API\"},{\"name\":\"backups\","
        "\"display_name\":null}],"
        "\"query\":{\"found\":2,\"length\":2,\"offset\":0,\"total\":2}}");
    IS ("GET", "/v1/annotations?name=back", NULL, 200,
        "{\"annotations\":[{\"name\":\"backups\",\"display_name\":null}],"
        "\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":2}}");
    IS ("DELETE", "/v1/annotations/backups", NULL, 204, "");
    IS ("GET", "/v1/annotations/backups", NULL, 404, NULL);
    IS ("DELETE", "/v1/annotations/backups", NULL, 404, NULL);
    //  made again, it has none of the old events
    IS ("POST", "/v1/annotations/backups", "{\"title\":\"b2\"}", 201, NULL);
    cJSON *json = s_get ("/v1/annotations/backups?start_time=0");
    assert_int_equal (cJSON_GetArraySize (cJSON_GetObjectItem (
                        cJSON_GetObjectItem (json, "events"), "unassigned")),
                      1);
    cJSON_Delete (json);
}

static void
test_annotation_event (void **state)
{
    char path[256], links[300], link[320];
    (void) state;
    IS ("POST", "/v1/annotations/a",
        "{\"title\":\"t\",\"start_time\":1234567890,\"links\":[{\"rel\":"
        "\"github\",\"label\":\"x\",\"href\":\"http://x/\"}]}",
        201,
        "{\"id\":2,\"title\":\"t\",\"description\":null,\"source\":null,"
        "\"start_time\":1234567890,\"end_time\":null,\"links\":[{\"rel\":"
        "\"github\",\"href\":\"http://x/\",\"label\":\"x\"}]}");
    snprintf (path, sizeof path, "%s", asked_location);
    IS ("PUT", path, "{\"end_time\":\"1234567900\",\"description\":\"d\"}", 204,
        "");
    snprintf (links, sizeof links, "%s/links", path);
    IS ("POST", links, "{\"rel\":\"jenkins\",\"href\":\"http://ci/\"}", 201,
        "{\"rel\":\"jenkins\",\"href\":\"http://ci/\",\"label\":null}");
    snprintf (link, sizeof link, "%s/jenkins", links);
    assert_string_equal (asked_location, link);
    IS ("POST", links, "{\"rel\":\"jenkins\",\"href\":\"http://ci2/\"}", 201,
        NULL);
    snprintf (link, sizeof link, "%s/github", links);
    IS ("DELETE", link, NULL, 204, "");
    IS ("DELETE", link, NULL, 404, NULL);
    IS ("GET", path, NULL, 200,
        "{\"id\":2,\"title\":\"t\",\"description\":\"d\",\"source\":null,"
        "\"start_time\":1234567890,\"end_time\":1234567900,\"links\":["
        "{\"rel\":\"jenkins\",\"href\":\"http://ci2/\",\"label\":null}]}");
    IS ("GET", "/v1/annotations/b/2", NULL, 404, NULL);
    IS ("GET", "/v1/annotations/a/x", NULL, 404, NULL);
    IS ("DELETE", path, NULL, 204, "");
    IS ("GET", path, NULL, 404, NULL);
    IS ("POST", "/v1/annotations/a", "{}", 400, "{\"title\":\"is required\"}");
    IS ("POST", "/v1/annotations/a", "{\"title\":5}", 400, NULL);
    IS ("POST", "/v1/annotations/a",
        "{\"title\":\"t\",\"start_time\":10,\"end_time\":9}", 400,
        "{\"start_time\":\"must be before end_time\"}");
    IS ("POST", links, "{\"rel\":\"x\"}", 400, "{\"href\":\"is required\"}");
}

//  --------------------------------------------------------------------------
//  Spaces (AO: spaces.go, charts.go; PL: spaces.py)

static void
test_spaces (void **state)
{
    (void) state;
    IS ("POST", "/v1/spaces", "{\"name\":\"CPUs\"}", 201,
        "{\"id\":1,\"name\":\"CPUs\"}");
    assert_string_equal (asked_location, "/v1/spaces/1");
    IS ("POST", "/v1/spaces", "{\"name\":\"cpus\"}", 422, NULL);
    IS ("POST", "/v1/spaces", "{}", 400, "{\"name\":\"is required\"}");
    IS ("POST", "/v1/spaces", "{\"name\":\"staging_ops\"}", 201, NULL);
    IS ("GET", "/v1/spaces?name=ops", NULL, 200,
        "{\"spaces\":[{\"id\":2,\"name\":\"staging_ops\"}],"
        "\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":2}}");
    IS ("PUT", "/v1/spaces/2", "{\"name\":\"MEMORY\"}", 204, "");
    IS ("PUT", "/v1/spaces/2", "{\"name\":\"CPUs\"}", 422, NULL);
    IS ("PUT", "/v1/spaces/9", "{\"name\":\"x\"}", 404, NULL);
    IS ("GET", "/v1/spaces/2", NULL, 200,
        "{\"id\":2,\"name\":\"MEMORY\",\"charts\":[]}");
    IS ("DELETE", "/v1/spaces/2", NULL, 204, "");
    IS ("GET", "/v1/spaces/2", NULL, 404, NULL);
    IS ("DELETE", "/v1/spaces/2", NULL, 404, NULL);
    IS ("GET", "/v1/spaces/99999999999999999999999", NULL, 404, NULL);
}

static void
test_charts (void **state)
{
    (void) state;
    IS ("POST", "/v1/spaces", "{\"name\":\"s\"}", 201, NULL);
    IS ("GET", "/v1/spaces/1/charts", NULL, 200, "[]");
    IS ("POST", "/v1/spaces/1/charts",
        "{\"name\":\"CPU Usage\",\"streams\":[{\"metric\":\"idle\",\"tags\":"
        "[{\"name\":\"environment\",\"values\":[\"*\"]}]},{\"composite\":"
        "\"s(\\\"x\\\",\\\"*\\\")\"}],\"max\":105,\"label\":\"y\"}",
        201,
        "{\"id\":2,\"name\":\"CPU Usage\",\"type\":\"line\",\"streams\":["
        "{\"id\":2000,\"type\":\"gauge\",\"metric\":\"idle\",\"tags\":[{"
        "\"name\":\"environment\",\"values\":[\"*\"]}]},{\"id\":2001,\"type\":"
        "\"composite\",\"composite\":\"s(\\\"x\\\",\\\"*\\\")\"}],\"max\":105,"
        "\"label\":\"y\",\"thresholds\":null}");
    assert_string_equal (asked_location, "/v1/spaces/1/charts/2");
    //  numbers only: AO has a map of texts to numbers for them
    IS ("GET", "/v1/spaces/1", NULL, 200,
        "{\"id\":1,\"name\":\"s\",\"charts\":[{\"id\":2}]}");
    IS ("PUT", "/v1/spaces/1/charts/2",
        "{\"type\":\"stacked\",\"name\":\"T\",\"streams\":[],\"max\":null}",
        200,
        "{\"id\":2,\"name\":\"T\",\"type\":\"stacked\",\"streams\":[],"
        "\"label\":\"y\",\"thresholds\":null}");
    IS ("GET", "/v1/spaces/1/charts", NULL, 200,
        "[{\"id\":2,\"name\":\"T\",\"type\":\"stacked\",\"streams\":[],"
        "\"label\":\"y\",\"thresholds\":null}]");
    IS ("PUT", "/v1/spaces/1/charts/2", "{\"type\":\"pie\"}", 400, NULL);
    IS ("PUT", "/v1/spaces/1/charts/2", "{\"streams\":[5]}", 400, NULL);
    IS ("GET", "/v1/spaces/2/charts/2", NULL, 404, NULL);
    IS ("POST", "/v1/spaces/5/charts", "{\"name\":\"x\"}", 404, NULL);
    IS ("POST", "/v1/spaces/1/charts", "{\"name\":\"x\"}", 201, NULL);
    IS ("DELETE", "/v1/spaces/1/charts/2", NULL, 204, "");
    IS ("GET", "/v1/spaces/1/charts/2", NULL, 404, NULL);
    IS ("GET", "/v1/spaces/1/charts/3", NULL, 200, NULL);
    IS ("DELETE", "/v1/spaces/1", NULL, 204, "");
    IS ("GET", "/v1/spaces/1/charts/3", NULL, 404, NULL);
}

//  --------------------------------------------------------------------------
//  Alerts and services (PL: alerts.py; AO: alerts.go, services.go)

static void
test_services (void **state)
{
    (void) state;
    IS ("POST", "/v1/services",
        "{\"title\":\"Ops\",\"type\":\"mail\",\"settings\":{\"addresses\":"
        "\"a@example.com\",\"port\":25}}",
        201,
        "{\"id\":1,\"type\":\"mail\",\"settings\":{\"addresses\":"
        "\"a@example.com\",\"port\":\"25\"},\"title\":\"Ops\"}");
    assert_string_equal (asked_location, "/v1/services/1");
    IS ("PUT", "/v1/services/1", "{\"title\":\"Ops 2\"}", 204, "");
    IS ("GET", "/v1/services", NULL, 200,
        "{\"services\":[{\"id\":1,\"type\":\"mail\",\"settings\":{"
        "\"addresses\":\"a@example.com\",\"port\":\"25\"},\"title\":\"Ops 2\"}"
        "],\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":1}}");
    IS ("POST", "/v1/services", "{\"title\":\"x\",\"settings\":{}}", 400,
        "{\"type\":\"is required\"}");
    IS ("POST", "/v1/services", "{\"title\":\"x\",\"type\":\"y\"}", 400,
        "{\"settings\":\"is required\"}");
    IS ("DELETE", "/v1/services/1", NULL, 204, "");
    IS ("GET", "/v1/services/1", NULL, 404, NULL);
}

static void
test_alerts (void **state)
{
    static const char *const needed[] = {"id",
                                         "name",
                                         "version",
                                         "description",
                                         "conditions",
                                         "services",
                                         "attributes",
                                         "active",
                                         "rearm_seconds",
                                         "created_at",
                                         "updated_at",
                                         "md",
                                         "rearm_per_signal"};
    const cJSON *alert, *condition;
    cJSON *json;
    (void) state;
    IS ("POST", "/v1/services",
        "{\"title\":\"Ops\",\"type\":\"mail\",\"settings\":{}}", 201, NULL);
    //  as PL sends it
    IS ("POST", "/v1/alerts",
        "{\"name\":\"web.time\",\"attributes\":{\"runbook_url\":\"http://x\"},"
        "\"version\":2,\"description\":null,\"rearm_seconds\":60,\"active\":"
        "true,\"services\":[\"1\"],\"conditions\":[{\"condition_type\":"
        "\"above\",\"metric_name\":\"web\",\"threshold\":200,"
        "\"summary_function\":\"max\",\"duration\":300}]}",
        201, NULL);
    assert_string_equal (asked_location, "/v1/alerts/2");
    json = s_get ("/v1/alerts?version=2&name=TIME");
    alert = cJSON_GetArrayItem (cJSON_GetObjectItem (json, "alerts"), 0);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!cJSON_HasObjectItem (alert, needed[i]))
            fail_msg ("no %s", needed[i]);
    //  nothing looks at it, and it says so
    assert_true (cJSON_IsFalse (cJSON_GetObjectItem (alert, "active")));
    assert_true (s_number (alert, "rearm_seconds") == 60);
    condition =
      cJSON_GetArrayItem (cJSON_GetObjectItem (alert, "conditions"), 0);
    assert_string_equal (cJSON_GetObjectItem (condition, "type")->valuestring,
                         "above");
    assert_true (cJSON_IsNull (cJSON_GetObjectItem (condition, "source")));
    assert_true (s_number (condition, "threshold") == 200);
    assert_true (s_number (condition, "id") > 0);
    assert_true (
      s_number (cJSON_GetArrayItem (cJSON_GetObjectItem (alert, "services"), 0),
                "id")
      == 1);
    cJSON_Delete (json);
    IS ("GET", "/v1/alerts/2/status", NULL, 200,
        "{\"alert\":{\"id\":2},\"status\":\"inactive\"}");
    IS ("GET", "/v1/alerts/status", NULL, 200,
        "{\"cleared\":[],\"firing\":[]}");
    IS ("POST", "/v1/alerts/2/clear", NULL, 204, "");
    IS ("POST", "/v1/alerts", "{\"name\":\"web.time\"}", 422, NULL);
    IS ("DELETE", "/v1/alerts/2", NULL, 204, "");
    IS ("GET", "/v1/alerts/2", NULL, 404, NULL);
}

static void
test_alert_services (void **state)
{
    cJSON *json;
    (void) state;
    IS ("POST", "/v1/alerts", "{\"name\":\"a\"}", 201, NULL);
    for (int i = 2; i <= 3; i++)
        IS ("POST", "/v1/services",
            "{\"title\":\"Ops\",\"type\":\"mail\",\"settings\":{}}", 201, NULL);
    IS ("POST", "/v1/alerts/1/services", "{\"service\":2}", 201, NULL);
    assert_string_equal (asked_location, "/v1/alerts/1/services/2");
    IS ("POST", "/v1/alerts/1/services", "{\"service\":\"3\"}", 201, NULL);
    IS ("POST", "/v1/alerts/1/services", "{\"service\":9}", 400, NULL);
    IS ("POST", "/v1/alerts/7/services", "{\"service\":3}", 404, NULL);
    IS ("DELETE", "/v1/alerts/1/services/2", NULL, 204, "");
    IS ("GET", "/v1/alerts/1/services", NULL, 200,
        "{\"query\":{\"found\":1,\"length\":1,\"offset\":0,\"total\":1},"
        "\"services\":[{\"id\":3,\"type\":\"mail\",\"settings\":{},\"title\":"
        "\"Ops\"}]}");
    //  without conditions they are removed; services stay
    IS ("PUT", "/v1/alerts/1",
        "{\"conditions\":[{\"type\":\"absent\",\"metric_name\":\"m\","
        "\"duration\":60}]}",
        204, "");
    IS ("PUT", "/v1/alerts/1", "{\"description\":\"d\"}", 204, "");
    json = s_get ("/v1/alerts/1");
    assert_int_equal (
      cJSON_GetArraySize (cJSON_GetObjectItem (json, "conditions")), 0);
    assert_int_equal (
      cJSON_GetArraySize (cJSON_GetObjectItem (json, "services")), 1);
    cJSON_Delete (json);
    IS ("PUT", "/v1/alerts/1", "{\"conditions\":[{\"type\":\"x\"}]}", 400,
        NULL);
    IS ("PUT", "/v1/alerts/1", "{\"rearm_seconds\":61}", 400, NULL);
    IS ("PUT", "/v1/alerts/1", "{\"services\":[1e300]}", 400, NULL);
    IS ("PUT", "/v1/alerts/1", "{\"name\":\"a b\"}", 400, NULL);
}

//  AO: api_tokens.go. A token itself is in one answer only.
static void
test_tokens (void **state)
{
    const cJSON *first;
    char path[256], name[64];
    cJSON *json;
    (void) state;
    json = asked (&asked_store, "POST", "/v1/api_tokens",
                  "{\"name\":\"My New Token\",\"role\":\"recorder\"}");
    assert_int_equal (asked_status, 201);
    snprintf (path, sizeof path, "%s", asked_location);
    assert_int_equal (strlen (cJSON_GetObjectItem (json, "token")->valuestring),
                      64);
    assert_true (cJSON_IsTrue (cJSON_GetObjectItem (json, "active")));
    cJSON_Delete (json);
    IS ("POST", "/v1/api_tokens",
        "{\"name\":\"My-New-Token\",\"role\":\"admin\"}", 422, NULL);
    IS ("POST", "/v1/api_tokens", "{\"name\":\"a\",\"role\":\"viewer\"}", 201,
        NULL);
    IS ("POST", "/v1/api_tokens", "{\"name\":\"b\",\"role\":\"root\"}", 400,
        "{\"role\":\"is not admin, recorder or viewer\"}");
    IS ("POST", "/v1/api_tokens", "{\"role\":\"viewer\"}", 400, NULL);
    json = s_get ("/v1/api_tokens?name=new");
    assert_true (s_number (cJSON_GetObjectItem (json, "query"), "total") == 2);
    assert_true (s_number (cJSON_GetObjectItem (json, "query"), "found") == 1);
    first = cJSON_GetArrayItem (cJSON_GetObjectItem (json, "api_tokens"), 0);
    snprintf (name, sizeof name, "/v1/api_tokens/%.0f", s_number (first, "id"));
    assert_string_equal (name, path);
    assert_string_equal (cJSON_GetObjectItem (first, "role")->valuestring,
                         "recorder");
    assert_true (cJSON_IsNull (cJSON_GetObjectItem (first, "token")));
    cJSON_Delete (json);
    json = s_get ("/v1/api_tokens/my*");
    assert_true (s_number (cJSON_GetObjectItem (json, "query"), "length") == 1);
    cJSON_Delete (json);
    json = s_get (path);
    assert_string_equal (cJSON_GetObjectItem (json, "name")->valuestring,
                         "My-New-Token");
    cJSON_Delete (json);
    IS ("PUT", path, "{\"active\":false}", 501, NULL);
    IS ("DELETE", path, NULL, 204, "");
    IS ("DELETE", path, NULL, 404, NULL);
    IS ("GET", path, NULL, 404, NULL);
    IS ("DELETE", "/v1/api_tokens/a", NULL, 204, "");
    IS ("DELETE", "/v1/api_tokens/a", NULL, 404, NULL);
}

static void
test_others (void **state)
{
    (void) state;
    IS ("GET", "/v1/jobs/5", NULL, 404, NULL);
    IS ("POST", "/v1/snapshots", "{}", 501, NULL);
    IS ("GET", "/v1/snapshots/1", NULL, 501, NULL);
}

//  --------------------------------------------------------------------------
//  How much of it there may be

enum { SHARE = 100000, TEXT = 3000, EVENT_BYTES = 100 + 2 * 1 + TEXT };

//  Stops the store, and starts one with another bound.
static void
s_bound (int64_t max_bytes)
{
    stored_stop (&asked_store);
    asked_store.options.max_bytes = max_bytes;
    stored_start (&asked_store);
}

//  A text of an event that is so long.
static const char *
s_body (int size)
{
    static char body[2 * TEXT + 100];
    snprintf (body, sizeof body, "{\"title\":\"v\",\"description\":\"%*s\"}",
              size, "x");
    return body;
}

//  Makes events until one is refused. Returns how many were made.
static int
s_flood (const char *path)
{
    int made = 0;
    do {
        cJSON_Delete (asked (&asked_store, "POST", path, s_body (TEXT)));
        made++;
    } while (asked_status == 201);
    IS ("POST", path, s_body (TEXT), 503,
        "{\"request\":\"Annotations have an eighth of --max-bytes, and take "
        "all of it: delete some, or give the server more\"}");
    return made - 1;
}

//  A flood of annotations has its share, and leaves the rest to points. What
//  administrators keep is not refused for it; and what was deleted makes room.
static void
test_share_of_annotations (void **state)
{
    int made;
    (void) state;
    s_bound (INT64_C (8) * SHARE);
    made = s_flood ("/v1/annotations/deploys");
    assert_in_range (made, SHARE / EVENT_BYTES - 2, SHARE / TEXT);
    IS ("POST", "/v1/annotations/others", s_body (TEXT), 503, NULL);
    IS ("POST", "/v1/spaces", "{\"name\":\"mine\"}", 201, NULL);
    //  one that becomes larger, and one that becomes smaller
    IS ("PUT", "/v1/annotations/deploys/2", s_body (2 * TEXT), 503, NULL);
    IS ("PUT", "/v1/annotations/deploys/2", s_body (10), 204, "");
    IS ("PUT", "/v1/annotations/deploys/2", s_body (TEXT), 204, "");
    s_bound (INT64_C (8) * SHARE);
    assert_int_equal (s_flood ("/v1/annotations/deploys"), 0);
    IS ("DELETE", "/v1/annotations/deploys/2", NULL, 204, "");
    assert_int_equal (s_flood ("/v1/annotations/deploys"), 1);
    IS ("DELETE", "/v1/annotations/deploys", NULL, 204, "");
    assert_int_equal (s_flood ("/v1/annotations/deploys"), made);
    //  more than there may be, of a server that had more
    s_bound (INT64_C (4) * SHARE);
    assert_int_equal (s_flood ("/v1/annotations/deploys"), 0);
}

//  All is there after a restart.
static void
test_restart (void **state)
{
    (void) state;
    IS ("POST", "/v1/spaces", "{\"name\":\"s\"}", 201, NULL);
    IS ("DELETE", "/v1/spaces/1", NULL, 204, "");
    stored_stop (&asked_store);
    stored_start (&asked_store);
    //  no number twice
    IS ("POST", "/v1/spaces", "{\"name\":\"s\"}", 201,
        "{\"id\":2,\"name\":\"s\"}");
    stored_stop (&asked_store);
    stored_start (&asked_store);
    IS ("GET", "/v1/spaces/2", NULL, 200,
        "{\"id\":2,\"name\":\"s\",\"charts\":[]}");
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      TEST (test_sources),
      TEST (test_annotations),
      TEST (test_annotation_streams),
      TEST (test_annotation_event),
      TEST (test_spaces),
      TEST (test_charts),
      TEST (test_services),
      TEST (test_alerts),
      TEST (test_alert_services),
      TEST (test_tokens),
      TEST (test_others),
      TEST (test_share_of_annotations),
      TEST (test_restart),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
