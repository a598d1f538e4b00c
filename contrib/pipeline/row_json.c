/*  row_json - rows of old spools. The contract is in row_json.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "row_json.h"

#include "line.h"

#include <cjson/cJSON.h>
#include <czmq.h>

static double
s_number (const cJSON *json, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem (json, name);
    return cJSON_IsNumber (item) ? item->valuedouble : otherwise;
}

//  Writes a text of the object to *at, which steps over it. The object has quotes
//  around it, so that there is room. Returns NULL if there is no such text.
static const char *
s_text (const cJSON *json, const char *name, char **at)
{
    const cJSON *item = cJSON_GetObjectItem (json, name);
    char *text = *at;
    if (!cJSON_IsString (item)
        || !line_label_ok (item->valuestring, strlen (item->valuestring)))
        return NULL;
    strcpy (text, item->valuestring);
    *at += strlen (text) + 1;
    return text;
}

static zb_type_t
s_type (const cJSON *json)
{
    static const char *const types[] = {
      [ZB_TYPE_COUNTER] = "counter", [ZB_TYPE_TIMER] = "timer"};
    const cJSON *item = cJSON_GetObjectItem (json, "type");
    size_t i;
    for (i = ZB_TYPE_COUNTER; cJSON_IsString (item) && i <= ZB_TYPE_TIMER; i++)
        if (streq (item->valuestring, types[i]))
            return (zb_type_t) i;
    return ZB_TYPE_GAUGE;
}

static void
row_numbers (zb_row_t *row, const cJSON *json)
{
    double time = s_number (json, "time", s_number (json, "measure_time", 0));
    row->time_ns = row->start_ns = row->last_ns =
      (int64_t) fmin (fmax (time, 0), 9e9) * 1000000000;
    row->value = s_number (json, "sum", s_number (json, "value", 0));
    row->count = (uint64_t) fmin (fmax (s_number (json, "count", 1), 1), 1e15);
    row->last = row->sum = row->value;
    row->min = s_number (json, "min", row->value);
    row->max = s_number (json, "max", row->value);
    row->sum_squares = s_number (json, "sum_squares", row->value * row->value);
}

const char *
row_read_json (zb_row_t *row, char *text)
{
    cJSON *json = cJSON_Parse (text);
    char *at = text;
    row->name = s_text (json, "name", &at);
    row->source = row->name ? s_text (json, "source", &at) : NULL;
    row->type = s_type (json);
    row_numbers (row, json);
    cJSON_Delete (json);
    return row->source ? NULL : "a JSON object with a name and a source";
}
