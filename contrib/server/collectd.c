/*  collectd - what its plugin write_http sends. The contract is in collectd.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "collectd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 1024 };

static const char *
s_text (const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (object, name);
    return cJSON_IsString (item) ? item->valuestring : "";
}

static double
s_number (const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (object, name);
    return cJSON_IsNumber (item) ? item->valuedouble : 0;
}

//  What may not be in a name: brackets go, and the rest becomes '_'.
static void
s_fit (char *name)
{
    char *to = name;
    for (; *name; name++) {
        char text[2] = {*name, 0};
        if (strchr ("()", *name))
            continue;
        *to++ = sample_name_ok (text) ? *name : '_';
    }
    *to = 0;
}

static void
s_append (char name[NAME_SIZE], const char *part)
{
    size_t used = strlen (name);
    if (*part)
        snprintf (name + used, NAME_SIZE - used, "%s%s", used ? "." : "", part);
}

//  Returns the name, which goes with the post.
static const char *
s_name (post_t *post, const cJSON *list, const char *data_source)
{
    static const char *const parts[] = {"plugin", "plugin_instance", "type",
                                        "type_instance"};
    char name[NAME_SIZE] = "collectd";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        s_append (name, s_text (list, parts[i]));
    s_append (name, data_source);
    s_fit (name);
    name[SAMPLE_NAME_MAX] = 0;
    return (const char *) post_keep (post, name, strlen (name) + 1);
}

static const char *
s_source (post_t *post, const cJSON *list)
{
    char source[NAME_SIZE] = "";
    s_append (source, s_text (list, "host"));
    s_fit (source);
    source[SAMPLE_NAME_MAX] = 0;
    return *source
             ? (const char *) post_keep (post, source, strlen (source) + 1)
             : NULL;
}

//  A counter is what rises: what collectd calls derive or counter. The daemon may have
//  made a rate of it, which falls, too; then a fall is a reset.
static void
s_add (post_t *post, const cJSON *list, double value, const char *type,
       const char *data_source, const sample_t *globals)
{
    bool rises = strcmp (type, "derive") == 0 || strcmp (type, "counter") == 0;
    sample_t sample = {.type = rises ? METRIC_COUNTER : METRIC_GAUGE,
                       .name = s_name (post, list, data_source)};
    if (!isfinite (value) || (rises && value < 0))
        return;
    sample.point = (point_t){.n = 1,
                             .sum = value,
                             .min = value,
                             .max = value,
                             .last = value,
                             .sum_squares = value * value};
    post_add (post, &sample, globals, NULL, 0);
}

//  One list: a value for each of its data sources.
static void
s_list (post_t *post, const cJSON *list)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive (list, "values");
    const cJSON *types = cJSON_GetObjectItemCaseSensitive (list, "dstypes");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive (list, "dsnames");
    const cJSON *value = values ? values->child : NULL;
    const cJSON *type = types ? types->child : NULL;
    const cJSON *name = names ? names->child : NULL;
    bool several = value && value->next;
    sample_t globals = {.source = s_source (post, list)};
    double time_s = s_number (list, "time"),
           period_s = s_number (list, "interval");
    if (!(time_s > 0 && time_s < 1e11) || !*s_text (list, "plugin"))
        return;
    globals.point.time_s = (int64_t) time_s;
    globals.period_s =
      period_s > 0 && period_s <= 86400 ? (int64_t) period_s : 0;
    for (; value && post->count < POST_ROWS_MAX; value = value->next) {
        if (cJSON_IsNumber (value) && cJSON_IsString (type))
            s_add (post, list, value->valuedouble, type->valuestring,
                   several && cJSON_IsString (name) ? name->valuestring : "",
                   &globals);
        type = type ? type->next : NULL;
        name = name ? name->next : NULL;
    }
}

void
collectd_read (post_t *post, const cJSON *array)
{
    for (const cJSON *list = array->child; list; list = list->next)
        if (cJSON_IsObject (list))
            s_list (post, list);
}
