/*  api_services - whom an alert would notify

    Nobody is notified yet. They are kept, so that clients that set alerts up can do
    it. Their settings are secrets, often: only an admin reads them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include <stdlib.h>
#include <string.h>

//  Texts, all of them: a client in Go reads them as such.
static void
s_write_settings (buffer_t *out, const cJSON *settings)
{
    const cJSON *setting;
    cJSON_ArrayForEach (setting, settings)
    {
        char *text = cJSON_PrintUnformatted (setting);
        out_key (out, setting->string);
        out_text (out, cJSON_IsString (setting) ? setting->valuestring : text);
        free (text);
    }
}

void
api_service_write (void *argument, const document_t *service)
{
    web_request_t *request = (web_request_t *) argument;
    buffer_t *out = &request->out;
    out_begin (out, '{');
    out_key (out, "id");
    out_integer (out, service->id);
    out_key (out, "type");
    out_text (out, api_text (service->body, "type"));
    out_key (out, "settings");
    out_begin (out, '{');
    if (request->role == ROLE_ADMIN)
        s_write_settings (out, cJSON_GetObjectItem (service->body, "settings"));
    out_end (out, '}');
    out_key (out, "title");
    out_text (out, service->name);
    out_end (out, '}');
}

void
api_services_list (web_request_t *request)
{
    api_documents (request, DOCUMENT_SERVICE, "services", api_service_write);
}

void
api_service_get (web_request_t *request)
{
    document_t service = {.id = 0};
    if (api_document (request, DOCUMENT_SERVICE, 0, api_id (request, 0),
                      &service))
        api_service_write (request, &service);
    document_clear (&service);
}

static void
s_change (void *argument, document_t *service)
{
    const cJSON *body = (const cJSON *) argument;
    document_rename (service, api_text (body, "title"));
    api_take (service->body, body, "type");
    api_take (service->body, body, "settings");
}

//  Returns 0, or -1 with the answer.
static int
s_check (web_request_t *request, const cJSON *body, bool whole)
{
    static const char *const texts[] = {"title", "type"};
    const cJSON *settings = cJSON_GetObjectItem (body, "settings");
    for (size_t i = 0; i < 2; i++) {
        const char *text = api_text (body, texts[i]);
        if (text ? !*text : whole || cJSON_GetObjectItem (body, texts[i])) {
            web_error (request, 400, texts[i], "is required");
            return -1;
        }
    }
    if (settings ? cJSON_IsObject (settings) : !whole)
        return 0;
    web_error (request, 400, "settings", "is required");
    return -1;
}

static const api_kind_t s_kind = {.kind = DOCUMENT_SERVICE,
                                  .path = "/v1/services",
                                  .check = s_check,
                                  .change = s_change,
                                  .write = api_service_write};

void
api_services_post (web_request_t *request)
{
    api_kind_post (request, &s_kind);
}

void
api_service_update (web_request_t *request)
{
    api_kind_put (request, &s_kind);
}

//  Alerts may still name it: what is not there is left out when they are read.
void
api_service_delete (web_request_t *request)
{
    api_kind_delete (request, &s_kind);
}
