/*  test_any.c - whatever a request to the API says, its answer is JSON, and no status
    says that the server is at fault

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "asked.h"

#include <time.h>

enum { REQUESTS = 4000, MEMBERS = 6, DEPTH = 3 };

#define PICK(list) (list)[s_any () % (sizeof (list) / sizeof *(list))]

static const char *
s_word (void)
{
    static const char *const words[] = {
      "name",        "names",      "exclude",  "type",       "gauge",
      "counter",     "composite",  "period",   "attributes", "display_name",
      "title",       "start_time", "end_time", "links",      "rel",
      "href",        "source",     "streams",  "metric",     "conditions",
      "metric_name", "above",      "services", "service",    "settings",
      "active",      "role",       "admin",    "label",      "rearm_seconds",
      "min",         "m",          "a*",       "*",          ""};
    return PICK (words);
}

//  JSON of names and values that handlers know, in places where they do not.
static void
s_put_value (buffer_t *out, int depth)
{
    static const char *const numbers[] = {
      "0", "1", "-5", "60", "1e300", "-1e400", "99999999999", "0.5"};
    size_t members = s_any () % MEMBERS, kind = s_any () % 6;
    if (kind == 0 || depth == DEPTH)
        out_raw (out, PICK (numbers));
    else if (kind == 1)
        out_text (out, s_word ());
    else if (kind == 2)
        out_raw (out, s_any () % 2 ? "null" : "true");
    else {
        out_begin (out, kind == 3 ? '[' : '{');
        for (size_t i = 0; i < members; i++) {
            if (kind != 3)
                out_key (out, s_word ());
            s_put_value (out, depth + 1);
        }
        out_end (out, kind == 3 ? ']' : '}');
    }
}

static void
s_put_path (buffer_t *out, const char *route)
{
    static const char *const parts[] = {
      "m", "c", "1", "2", "3", "4", "99999999999", "a%2Fb", "*", "%ff"};
    while (*route)
        if (*route == ':') {
            route += strcspn (route, "/");
            buffer_add_text (out, PICK (parts));
        }
        else
            buffer_add (out, route++, 1);
}

static void
s_put_parameters (buffer_t *out)
{
    static const char *const names[] = {"start_time",
                                        "end_time",
                                        "count",
                                        "resolution",
                                        "duration",
                                        "source",
                                        "sources[]",
                                        "summarize_time",
                                        "summarize_sources",
                                        "group_by",
                                        "breakout_sources",
                                        "group_by_function",
                                        "tags[source]",
                                        "summary_function",
                                        "tags[!x]",
                                        "tags_search",
                                        "offset",
                                        "length",
                                        "sort",
                                        "name",
                                        "compose",
                                        "tags[",
                                        "tags[]"};
    static const char *const values[] = {
      "0",          "1",    "60",   "604800", "-5",   "99999999999",
      "1e300",      "nan",  "web*", "!web",   "sum",  "mean",
      "all",        "desc", "*",    "source", "((((", "a=%22",
      "derivative", "%ff",  "",     "false"};
    size_t count = s_any () % 6;
    for (size_t i = 0; i < count; i++)
        buffer_printf (out, "%s%s=%s", i ? "&" : "?", PICK (names),
                       PICK (values));
}

static void
s_ask (stored_t *stored, const route_t *route)
{
    buffer_t path = {NULL, 0, 0}, body = {NULL, 0, 0};
    s_put_path (&path, route->path);
    s_put_parameters (&path);
    buffer_add (&path, "", 1);
    if (strcmp (route->method, "GET") != 0)
        s_put_value (&body, 0);
    buffer_add (&body, "", 1);
    cJSON_Delete (
      asked (stored, route->method, path.text, *body.text ? body.text : NULL));
    if (asked_status >= 500 && asked_status != 501)
        fail_msg ("%s %s %s: %u", route->method, path.text, body.text,
                  asked_status);
    buffer_clear (&path);
    buffer_clear (&body);
}

static void
test_any_request (void **state)
{
    static stored_t stored;
    size_t routes = 0;
    (void) state;
    stored_new (&stored);
    while (api_read_routes[routes].method)
        routes++;
    for (int i = 0; i < REQUESTS; i++) {
        //  some of the requests delete them
        if (i % 50 == 0) {
            int64_t now = time (NULL);
            store_row_t rows[] = {stored_row ("m", "web", now, i),
                                  stored_row ("m", NULL, now - 90, i),
                                  stored_row ("c", "web", now - 5, i)};
            unsigned char refused[3] = {0};
            rows[2].type = METRIC_COUNTER;
            stored_write (&stored, rows, 3, NULL, refused);
        }
        s_ask (&stored, &api_read_routes[s_any () % routes]);
    }
    stored_end (&stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_any_request)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
