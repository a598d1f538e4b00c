/*  api_read - routes of Librato's API for reading and managing

    A recorder may say what happens: rows and annotations. What others have set up only
    an admin changes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

//  What takes long elsewhere is done before the answer here: there are no jobs.
static void
api_job_get (web_request_t *request)
{
    api_absent (request);
}

static void
api_snapshots (web_request_t *request)
{
    web_error (request, 501, NULL, "Snapshots are not supported");
}

// clang-format off
#define ROUTE(method, path, role, handler) \
    {#method, "/v1/" path, ROLE_##role, true, api_##handler}

const route_t api_read_routes[] = {
    ROUTE (GET,    "metrics",                         VIEWER,   metrics_list),
    ROUTE (PUT,    "metrics",                         ADMIN,    metrics_update),
    ROUTE (DELETE, "metrics",                         ADMIN,    metrics_delete),
    ROUTE (GET,    "metrics/:name",                   VIEWER,   metric_get),
    ROUTE (PUT,    "metrics/:name",                   ADMIN,    metric_update),
    ROUTE (DELETE, "metrics/:name",                   ADMIN,    metric_delete),
    ROUTE (GET,    "measurements",                    VIEWER,   measurements_compose),
    ROUTE (GET,    "measurements/:name",              VIEWER,   measurements_get),
    ROUTE (GET,    "sources",                         VIEWER,   sources_list),
    ROUTE (GET,    "sources/:name",                   VIEWER,   source_get),
    ROUTE (PUT,    "sources/:name",                   ADMIN,    source_update),
    ROUTE (GET,    "annotations",                     VIEWER,   annotations_list),
    ROUTE (GET,    "annotations/:name",               VIEWER,   annotations_get),
    ROUTE (POST,   "annotations/:name",               RECORDER, annotations_post),
    ROUTE (PUT,    "annotations/:name",               ADMIN,    annotations_update),
    ROUTE (DELETE, "annotations/:name",               ADMIN,    annotations_delete),
    ROUTE (GET,    "annotations/:name/:id",           VIEWER,   event_get),
    ROUTE (PUT,    "annotations/:name/:id",           RECORDER, event_update),
    ROUTE (DELETE, "annotations/:name/:id",           ADMIN,    event_delete),
    ROUTE (POST,   "annotations/:name/:id/links",     RECORDER, event_link),
    ROUTE (DELETE, "annotations/:name/:id/links/:rel", ADMIN,    event_unlink),
    ROUTE (GET,    "spaces",                          VIEWER,   spaces_list),
    ROUTE (POST,   "spaces",                          ADMIN,    spaces_post),
    ROUTE (GET,    "spaces/:id",                      VIEWER,   space_get),
    ROUTE (PUT,    "spaces/:id",                      ADMIN,    space_update),
    ROUTE (DELETE, "spaces/:id",                      ADMIN,    space_delete),
    ROUTE (GET,    "spaces/:id/charts",               VIEWER,   charts_list),
    ROUTE (POST,   "spaces/:id/charts",               ADMIN,    charts_post),
    ROUTE (GET,    "spaces/:id/charts/:id",           VIEWER,   chart_get),
    ROUTE (PUT,    "spaces/:id/charts/:id",           ADMIN,    chart_update),
    ROUTE (DELETE, "spaces/:id/charts/:id",           ADMIN,    chart_delete),
    ROUTE (GET,    "services",                        VIEWER,   services_list),
    ROUTE (POST,   "services",                        ADMIN,    services_post),
    ROUTE (GET,    "services/:id",                    VIEWER,   service_get),
    ROUTE (PUT,    "services/:id",                    ADMIN,    service_update),
    ROUTE (DELETE, "services/:id",                    ADMIN,    service_delete),
    ROUTE (GET,    "alerts",                          VIEWER,   alerts_list),
    ROUTE (POST,   "alerts",                          ADMIN,    alerts_post),
    ROUTE (GET,    "alerts/status",                   VIEWER,   alerts_status),
    ROUTE (GET,    "alerts/:id",                      VIEWER,   alert_get),
    ROUTE (PUT,    "alerts/:id",                      ADMIN,    alert_update),
    ROUTE (DELETE, "alerts/:id",                      ADMIN,    alert_delete),
    ROUTE (GET,    "alerts/:id/status",               VIEWER,   alert_status),
    ROUTE (POST,   "alerts/:id/clear",                ADMIN,    alert_clear),
    ROUTE (GET,    "alerts/:id/services",             VIEWER,   alert_services),
    ROUTE (POST,   "alerts/:id/services",             ADMIN,    alert_service_post),
    ROUTE (DELETE, "alerts/:id/services/:id",         ADMIN,    alert_service_delete),
    ROUTE (GET,    "api_tokens",                      ADMIN,    tokens_list),
    ROUTE (POST,   "api_tokens",                      ADMIN,    tokens_post),
    ROUTE (GET,    "api_tokens/:id",                  ADMIN,    token_get),
    ROUTE (PUT,    "api_tokens/:id",                  ADMIN,    token_update),
    ROUTE (DELETE, "api_tokens/:id",                  ADMIN,    token_delete),
    ROUTE (GET,    "jobs/:id",                        VIEWER,   job_get),
    ROUTE (GET,    "snapshots/:id",                   VIEWER,   snapshots),
    ROUTE (POST,   "snapshots",                       ADMIN,    snapshots),
    {NULL, NULL, ROLE_NOBODY, false, NULL}
};
// clang-format on
