/*  page - what the page asks for: its routes, and what they share. The contract is in
    page.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"

#include <stdlib.h>
#include <time.h>

const route_t page_routes[] = {
  {"GET", "/", ROLE_NOBODY, false, page_index},
  {"GET", "/embed", ROLE_NOBODY, false, page_index},
  {"GET", "/page/:name", ROLE_NOBODY, false, page_file},
  {"GET", "/api/status", ROLE_VIEWER, true, page_status},
  {"GET", "/api/metrics", ROLE_VIEWER, true, page_metrics},
  {"GET", "/api/sparks", ROLE_VIEWER, true, page_sparks},
  {"GET", "/api/points", ROLE_VIEWER, true, page_points},
  {"GET", "/api/health", ROLE_VIEWER, true, page_health},
  {"GET", "/api/series", ROLE_VIEWER, true, page_series},
  {"GET", "/api/annotations", ROLE_VIEWER, true, page_annotations},
  {NULL, NULL, ROLE_NOBODY, false, NULL}};

int64_t
page_integer (const web_request_t *request, const char *name, int64_t otherwise)
{
    const char *text = web_parameter (request, name);
    char *end;
    long long value = text ? strtoll (text, &end, 10) : 0;
    return text && *text && !*end ? value : otherwise;
}

const char *
page_text (const web_request_t *request, const char *name)
{
    const char *text = web_parameter (request, name);
    return text ? text : "";
}

int
page_times (web_request_t *request, int64_t otherwise_s, int64_t *from_s,
            int64_t *to_s)
{
    *to_s = page_integer (request, "to", (int64_t) time (NULL) + 1);
    if (*to_s >= 0 && *to_s <= UINT32_MAX) {
        *from_s = page_integer (request, "from", *to_s - otherwise_s);
        if (*from_s >= 0 && *from_s < *to_s)
            return 0;
    }
    web_error (request, 400, "from", "is not before to, or out of range");
    return -1;
}

const char *
page_type (metric_type_t type)
{
    switch (type) {
        case METRIC_COUNTER:
            return "total";
        case METRIC_INCREMENT:
            return "counter";
        case METRIC_TIMER:
            return "timer";
        default:
            return "gauge";
    }
}

void
page_failed (web_request_t *request)
{
    request->out.size = 0;
    web_error (request, 503, NULL, "the store cannot be read");
}

void
page_of_one_moment (web_request_t *request, web_fn *answer)
{
    if (reader_begin (request->reader) == -1) {
        page_failed (request);
        return;
    }
    answer (request);
    reader_end (request->reader);
}
