/*  otlp_answer - what a receiver of OTLP says. The contract is in otlp_answer.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "otlp_answer.h"

#include "protobuf.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//  Both messages have it as their second field.
enum { MESSAGE = 2 };

static void
s_message (otlp_answer_t *self, const char *text, size_t size)
{
    snprintf (self->message, sizeof self->message, "%.*s", (int) size, text);
}

static void
s_json_message (otlp_answer_t *self, const cJSON *json, const char *name)
{
    const cJSON *text = cJSON_GetObjectItem (json, name);
    if (cJSON_IsString (text))
        s_message (self, text->valuestring, strlen (text->valuestring));
}

//  A number of 64 bits is a text, but not all who write know that.
static uint64_t
s_json_number (const cJSON *json)
{
    if (cJSON_IsString (json))
        return strtoull (json->valuestring, NULL, 10);
    return cJSON_IsNumber (json) && json->valuedouble > 0
               && json->valuedouble < 1e15
             ? (uint64_t) json->valuedouble
             : 0;
}

static void
s_read_partial (otlp_answer_t *self, protobuf_rest_t rest)
{
    protobuf_field_t field;
    while (protobuf_next (&rest, &field) == 1)
        if (field.field == 1 && field.kind == PROTOBUF_VARINT)
            self->rejected = field.number;
        else if (field.field == MESSAGE && field.kind == PROTOBUF_BYTES)
            s_message (self, field.bytes.data, field.bytes.size);
}

void
otlp_answer_success (otlp_answer_t *self, int json, const char *body,
                     size_t size)
{
    protobuf_rest_t rest = {body, size};
    protobuf_field_t field;
    memset (self, 0, sizeof *self);
    if (json) {
        cJSON *root = cJSON_ParseWithLength (body, size);
        const cJSON *partial = cJSON_GetObjectItem (root, "partialSuccess");
        self->rejected =
          s_json_number (cJSON_GetObjectItem (partial, "rejectedDataPoints"));
        s_json_message (self, partial, "errorMessage");
        cJSON_Delete (root);
        return;
    }
    while (protobuf_next (&rest, &field) == 1)
        if (field.field == 1 && field.kind == PROTOBUF_BYTES)
            s_read_partial (self, field.bytes);
}

//  Returns 0, or -1 if it is none.
static int
s_read_status (otlp_answer_t *self, protobuf_rest_t rest)
{
    protobuf_field_t field;
    int rc;
    while ((rc = protobuf_next (&rest, &field)) == 1)
        if (field.field == MESSAGE && field.kind == PROTOBUF_BYTES)
            s_message (self, field.bytes.data, field.bytes.size);
    return rc;
}

void
otlp_answer_failure (otlp_answer_t *self, int json, const char *body,
                     size_t size)
{
    protobuf_rest_t rest = {body, size};
    memset (self, 0, sizeof *self);
    if (json) {
        cJSON *root = cJSON_ParseWithLength (body, size);
        s_json_message (self, root, "message");
        cJSON_Delete (root);
    }
    else if (s_read_status (self, rest) == -1)
        *self->message = 0;
    if (!*self->message)
        s_message (self, body, size);
}
