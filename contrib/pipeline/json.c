/*  json - a row as a JSON object, as backends send or print it. The contract
    is in json.h and zibrato_backend.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "json.h"

#include "digits.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
json_add_text (cJSON *object, const char *name, const char *text)
{
    char *clean = strdup (text), *c = clean;
    while (clean && *c) {
        size_t size = utf8_size (c);
        if (!size)
            *c = '?';
        c += size ? size : 1;
    }
    cJSON_AddStringToObject (object, name, clean ? clean : "");
    free (clean);
}

void
json_add_number (cJSON *object, const char *name, double value)
{
    char digits[DIGITS_MAX];
    digits_write (digits, value);
    cJSON_AddRawToObject (object, name, digits);
}

void
json_add_samples (cJSON *object, const zb_row_t *row)
{
    if (row->count == 1) {
        json_add_number (object, "value", row->value);
        return;
    }
    json_add_number (object, "count", (double) row->count);
    json_add_number (object, "sum", row->sum);
    json_add_number (object, "min", row->min);
    json_add_number (object, "max", row->max);
    json_add_number (object, "sum_squares", row->sum_squares);
}

static void
s_add_time (cJSON *object, const char *name, int64_t ns)
{
    char digits[DIGITS_MAX];
    digits_write_seconds (digits, ns);
    cJSON_AddRawToObject (object, name, digits);
}

static void
s_add_tags (cJSON *object, const zb_row_t *row)
{
    cJSON *tags;
    size_t i;
    if (!row->tag_count)
        return;
    tags = cJSON_AddObjectToObject (object, "tags");
    for (i = 0; i < row->tag_count; i++)
        json_add_text (tags, row->tags[i].key, row->tags[i].value);
}

//  [[INDEX, COUNT], ...]
static void
s_add_buckets (cJSON *object, const zb_bucket_t *bucket, size_t count)
{
    cJSON *list;
    size_t i;
    if (!count)
        return;
    list = cJSON_AddArrayToObject (object, "buckets");
    for (i = 0; i < count; i++) {
        cJSON *pair = cJSON_CreateArray ();
        cJSON_AddItemToArray (list, pair);
        cJSON_AddItemToArray (pair, cJSON_CreateNumber (bucket[i].index));
        cJSON_AddItemToArray (pair,
                              cJSON_CreateNumber ((double) bucket[i].count));
    }
}

static void
s_add_total (cJSON *object, const zb_row_t *row)
{
    const zb_total_t *total = row->total;
    cJSON *json;
    if (!total)
        return;
    json = cJSON_AddObjectToObject (object, "total");
    s_add_time (json, "start", total->start_ns);
    if (row->type == ZB_TYPE_COUNTER) {
        json_add_number (json, "value", total->value);
        return;
    }
    json_add_number (json, "count", (double) total->count);
    json_add_number (json, "sum", total->sum);
    s_add_buckets (json, total->buckets, total->bucket_count);
}

//  What only who asks for all of it gets.
static void
s_add_whole (cJSON *object, const zb_row_t *row)
{
    if (row->type == ZB_TYPE_GAUGE && row->count > 1)
        json_add_number (object, "last", row->last);
    s_add_time (object, "start", row->start_ns);
    s_add_buckets (object, row->buckets, row->bucket_count);
    s_add_total (object, row);
    if (row->is_signed)
        cJSON_AddTrueToObject (object, "signed");
    if (row->ends)
        cJSON_AddTrueToObject (object, "ends");
}

char *
zb_row_json (const zb_row_t *row, int whole)
{
    static const char *const types[] = {"", "counter", "timer", "gauge"};
    cJSON *object = cJSON_CreateObject ();
    char *text;
    s_add_time (object, "time", row->time_ns);
    cJSON_AddStringToObject (object, "type", types[row->type]);
    json_add_text (object, "name", row->name);
    s_add_tags (object, row);
    json_add_text (object, "source", row->source);
    json_add_samples (object, row);
    if (whole)
        s_add_whole (object, row);
    text = cJSON_PrintUnformatted (object);
    cJSON_Delete (object);
    return text;
}

zb_outcome_t
zb_rows_print (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    size_t i;
    for (i = 0; i < count; i++) {
        char *text = zb_row_json (&rows[i], 0);
        puts (text);
        free (text);
    }
    if (fflush (stdout) == 0)
        return ZB_DELIVERED;
    snprintf (reply->reason, sizeof reply->reason, "standard output: %s",
              strerror (errno));
    return ZB_RETRY;
}
