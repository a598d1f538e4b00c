/*  api_alerts - alerts, kept but not watched

    They are read back with all that clients need, but for one thing: none is active,
    since nothing looks whether its conditions hold. "active" as it was sent is kept.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REARM_S = 600, CONDITIONS_MAX = 1000 };

//  --------------------------------------------------------------------------
//  As clients read them

//  python-librato sends condition_type, reads type, and fails without source.
static void
s_write_condition (buffer_t *out, const cJSON *condition, int64_t id)
{
    const cJSON *member;
    const char *type = api_text (condition, "type");
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, id);
    out_key (out, "type");
    out_text (out, type ? type : api_text (condition, "condition_type"));
    api_write_member (out, condition, "source", "null");
    cJSON_ArrayForEach (
      member, condition) if (strcmp (member->string, "id")
                             && strcmp (member->string, "source")
                             && strcmp (member->string, "type")
                             && strcmp (member->string, "condition_type"))
      api_write_member (out, condition, member->string, "null");
    out_end (out, '}');
}

static void
s_write_conditions (buffer_t *out, const document_t *alert)
{
    const cJSON *condition;
    int64_t number = 0;
    out_key (out, "conditions");
    out_begin (out, '[');
    cJSON_ArrayForEach (condition,
                        cJSON_GetObjectItem (alert->body, "conditions"))
      s_write_condition (out, condition, alert->id * CONDITIONS_MAX + number++);
    out_end (out, ']');
}

//  Whole, as clients read them. One that was deleted meanwhile is left out.
static void
s_write_services (web_request_t *request, const document_t *alert)
{
    const cJSON *id;
    out_begin (&request->out, '[');
    cJSON_ArrayForEach (id, cJSON_GetObjectItem (alert->body, "services"))
    {
        document_t service = {.id = 0};
        if (documents_get (request->reader, DOCUMENT_SERVICE, 0,
                           (int64_t) id->valuedouble, &service)
            == 1)
            api_service_write (request, &service);
        document_clear (&service);
    }
    out_end (&request->out, ']');
}

static void
s_write_alert (void *argument, const document_t *alert)
{
    web_request_t *request = (web_request_t *) argument;
    buffer_t *out = &request->out;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, alert->id);
    out_key (out, "name");
    out_text (out, alert->name);
    api_write_member (out, alert->body, "description", "null");
    s_write_conditions (out, alert);
    out_key (out, "services");
    s_write_services (request, alert);
    api_write_member (out, alert->body, "attributes", "{}");
    out_key (out, "active");
    out_bool (out, false);
    out_key (out, "created_at");
    out_integer (out, alert->time_s);
    out_key (out, "updated_at");
    out_integer (out, alert->changed_s);
    out_key (out, "version");
    out_integer (out, 2);
    api_write_member (out, alert->body, "rearm_seconds", "600");
    out_key (out, "rearm_per_signal");
    out_bool (out, false);
    api_write_member (out, alert->body, "md", "true");
    out_end (out, '}');
}

void
api_alerts_list (web_request_t *request)
{
    api_documents (request, DOCUMENT_ALERT, "alerts", s_write_alert);
}

static bool
s_alert (web_request_t *request, document_t *alert)
{
    return api_document (request, DOCUMENT_ALERT, 0, api_id (request, 0),
                         alert);
}

void
api_alert_get (web_request_t *request)
{
    document_t alert = {.id = 0};
    if (s_alert (request, &alert))
        s_write_alert (request, &alert);
    document_clear (&alert);
}

//  Neither "ok" nor "triggered" would be true.
void
api_alert_status (web_request_t *request)
{
    buffer_t *out = &request->out;
    document_t alert = {.id = 0};
    if (s_alert (request, &alert)) {
        out_begin (out, '{');
        out_key (out, "alert");
        out_begin (out, '{');
        out_key (out, "id");
        out_integer (out, alert.id);
        out_end (out, '}');
        out_key (out, "status");
        out_text (out, "inactive");
        out_end (out, '}');
    }
    document_clear (&alert);
}

void
api_alerts_status (web_request_t *request)
{
    out_raw (&request->out, "{\"cleared\":[],\"firing\":[]}");
}

//  --------------------------------------------------------------------------
//  Changing

//  An ID: a number, a text of one, or an object that has it.
static int64_t
s_service_id (const cJSON *item)
{
    if (cJSON_IsObject (item))
        item = cJSON_GetObjectItem (item, "id");
    if (cJSON_IsString (item))
        return strtoll (item->valuestring, NULL, 10);
    return cJSON_IsNumber (item) && fabs (item->valuedouble) < 1e15
             ? (int64_t) item->valuedouble
             : 0;
}

//  Is there such a service? If not, 400 is answered.
static bool
s_service_ok (web_request_t *request, const char *param, int64_t id)
{
    document_t service = {.id = 0};
    bool found =
      documents_get (request->reader, DOCUMENT_SERVICE, 0, id, &service) == 1;
    document_clear (&service);
    if (!found)
        web_error (request, 400, param, "%" PRId64 " does not exist", id);
    return found;
}

//  Says what is wrong with a condition, and returns false.
static bool
s_condition_ok (web_request_t *request, const cJSON *condition)
{
    static const char *const types[] = {"above", "below", "absent"};
    const char *type = api_text (condition, "type");
    size_t i = 0;
    if (!type)
        type = api_text (condition, "condition_type");
    while (i < 3 && (!type || strcmp (type, types[i]) != 0))
        i++;
    if (i == 3)
        web_error (request, 400, "conditions",
                   "type is not one of above, "
                   "below, absent");
    else if (!api_text (condition, "metric_name"))
        web_error (request, 400, "conditions", "metric_name is required");
    else
        return true;
    return false;
}

//  Returns 0, or -1 with the answer.
static int
s_check (web_request_t *request, const cJSON *body, bool whole)
{
    const cJSON *conditions = cJSON_GetObjectItem (body, "conditions"), *item;
    const char *name = api_text (body, "name");
    double rearm = REARM_S;
    if (whole && !name) {
        web_error (request, 400, "name", "is required");
        return -1;
    }
    if (name && !api_name_ok (request, "name", name, "alert name"))
        return -1;
    if (api_number (body, "rearm_seconds", &rearm) == -1 || rearm < 0
        || rearm > INT32_MAX || (int64_t) rearm % 60 != 0) {
        web_error (request, 400, "rearm_seconds", "must be a multiple of 60");
        return -1;
    }
    if (cJSON_GetArraySize (conditions) > CONDITIONS_MAX) {
        web_error (request, 400, "conditions", "has more than %d",
                   CONDITIONS_MAX);
        return -1;
    }
    cJSON_ArrayForEach (
      item, conditions) if (!s_condition_ok (request, item)) return -1;
    cJSON_ArrayForEach (
      item,
      cJSON_GetObjectItem (
        body, "services")) if (!s_service_ok (request, "services",
                                              s_service_id (item))) return -1;
    return 0;
}

static void
s_change (void *argument, document_t *alert)
{
    static const char *const members[] = {"description", "attributes", "active",
                                          "rearm_seconds", "md"};
    const cJSON *body = (const cJSON *) argument, *item;
    document_rename (alert, api_text (body, "name"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        api_take (alert->body, body, members[i]);
    //  conditions that are not there are removed, as the documentation has it
    cJSON_DeleteItemFromObject (alert->body, "conditions");
    api_take (alert->body, body, "conditions");
    if (cJSON_GetObjectItem (body, "services")) {
        cJSON *services;
        cJSON_DeleteItemFromObject (alert->body, "services");
        services = cJSON_AddArrayToObject (alert->body, "services");
        cJSON_ArrayForEach (item, cJSON_GetObjectItem (body, "services"))
          cJSON_AddItemToArray (
            services, cJSON_CreateNumber ((double) s_service_id (item)));
    }
}

static const api_kind_t s_kind = {.kind = DOCUMENT_ALERT,
                                  .path = "/v1/alerts",
                                  .check = s_check,
                                  .change = s_change,
                                  .write = s_write_alert};

void
api_alerts_post (web_request_t *request)
{
    api_kind_post (request, &s_kind);
}

void
api_alert_update (web_request_t *request)
{
    api_kind_put (request, &s_kind);
}

void
api_alert_delete (web_request_t *request)
{
    api_kind_delete (request, &s_kind);
}

//  Nothing was triggered, so nothing is left to be cleared.
void
api_alert_clear (web_request_t *request)
{
    document_t alert = {.id = 0};
    if (s_alert (request, &alert))
        request->status = 204;
    document_clear (&alert);
}

//  --------------------------------------------------------------------------
//  Services of an alert

void
api_alert_services (web_request_t *request)
{
    buffer_t *out = &request->out;
    document_t alert = {.id = 0};
    page_t page = {.offset = 0};
    if (s_alert (request, &alert)) {
        int count =
          cJSON_GetArraySize (cJSON_GetObjectItem (alert.body, "services"));
        out_begin (out, '{');
        api_query (out, &page, count, count, count);
        out_key (out, "services");
        s_write_services (request, &alert);
        out_end (out, '}');
    }
    document_clear (&alert);
}

//  Takes a service out, and puts it in if it is above 0.
static void
s_set_service (document_t *alert, int64_t id, bool in)
{
    cJSON *services = cJSON_GetObjectItem (alert->body, "services");
    if (!services)
        services = cJSON_AddArrayToObject (alert->body, "services");
    for (int i = cJSON_GetArraySize (services); i-- > 0;)
        if (s_service_id (cJSON_GetArrayItem (services, i)) == id)
            cJSON_DeleteItemFromArray (services, i);
    if (in)
        cJSON_AddItemToArray (services, cJSON_CreateNumber ((double) id));
}

static void
s_add_service (void *argument, document_t *alert)
{
    s_set_service (alert, *(const int64_t *) argument, true);
}

static void
s_drop_service (void *argument, document_t *alert)
{
    s_set_service (alert, *(const int64_t *) argument, false);
}

void
api_alert_service_post (web_request_t *request)
{
    cJSON *body = web_json (request);
    int64_t alert = api_id (request, 0);
    int64_t id = s_service_id (cJSON_GetObjectItem (body, "service"));
    if (body && s_service_ok (request, "service", id)) {
        document_result_t result = documents_change (
          request->store, DOCUMENT_ALERT, 0, alert, s_add_service, &id);
        if (result == DOCUMENT_DONE)
            api_created (request, "/v1/alerts/%" PRId64 "/services/%" PRId64,
                         alert, id);
        else
            api_result (request, result);
    }
    cJSON_Delete (body);
}

void
api_alert_service_delete (web_request_t *request)
{
    int64_t id = api_id (request, 1);
    api_result (request,
                documents_change (request->store, DOCUMENT_ALERT, 0,
                                  api_id (request, 0), s_drop_service, &id));
}
