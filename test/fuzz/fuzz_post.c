/*  fuzz_post.c - what clients of Librato post: JSON or a form, of both routes, and
    what collectd sends

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=8192

#include "fuzz.h"

//  What a reader and a series are is different in the server.
#define reader_t       store_reader_t
#define series_t       store_series_t
#define reader_new     store_reader_new
#define reader_destroy store_reader_destroy

#include "../../contrib/server/collectd.h"
#include "../../contrib/server/form.h"

#include <cjson/cJSON.h>

//  What every row that is taken has.
static void
check_point (const point_t *point)
{
    uint64_t n = 0;
    CHECK (point->n >= 1 && point->time_s >= 0);
    CHECK (isfinite (point->sum) && point->min <= point->max);
    CHECK (isfinite (point->last) && point->sum_squares >= 0);
    for (size_t i = 0; i < point->bucket_count; i++) {
        CHECK (!i || point->buckets[i - 1].index < point->buckets[i].index);
        CHECK (point->buckets[i].index >= BUCKET_MIN
               && point->buckets[i].index <= BUCKET_MAX);
        n += point->buckets[i].count;
    }
    CHECK (!point->bucket_count || n == point->n);
}

//  They ascend, and none is the source.
static void
check_tags (const cJSON *object)
{
    zb_tag_t tags[SAMPLE_TAGS_MAX];
    refusal_t refusal = {.param = NULL};
    const char *source = NULL;
    int count = sample_tags (object, tags, &source, &refusal);
    CHECK ((count == -1) == (refusal.param != NULL));
    for (int i = 0; i < count; i++) {
        CHECK (!i || strcmp (tags[i - 1].key, tags[i].key) < 0);
        CHECK (strcmp (tags[i].key, "source") != 0 && *tags[i].value);
    }
}

static void
s_list (const cJSON *list, metric_type_t type, dialect_t dialect)
{
    for (const cJSON *each = list ? list->child : NULL; each;
         each = each->next) {
        refusal_t refusal = {.param = NULL};
        bool unknown = false;
        sample_t sample;
        int rc = sample_read (&sample, each,
                              cJSON_IsObject (list) ? each->string : NULL, type,
                              dialect, &refusal, &unknown);
        CHECK ((rc == -1) == (refusal.param != NULL) && sample.name);
        if (rc == 0) {
            CHECK (sample_name_ok (sample.name));
            CHECK (!sample.source || sample_name_ok (sample.source));
            check_point (&sample.point);
            check_tags (sample.tags);
        }
        free (sample.buckets);
    }
}

static void
s_collectd (const cJSON *json)
{
    post_t *post = post_new (NULL);
    collectd_read (post, json);
    for (size_t i = 0; i < post->count; i++) {
        CHECK (sample_name_ok (post->row[i].name));
        check_point (&post->row[i].point);
    }
    post_destroy (&post);
}

static void
fuzz (const char *data, size_t size)
{
    char *text = strndup (data, size);
    bool form = *text != '{' && *text != '[';
    cJSON *json = form ? form_tree (text) : cJSON_Parse (text);
    for (int tagged = 0; json && tagged < 2; tagged++) {
        dialect_t dialect = {tagged, form};
        refusal_t refusal = {.param = NULL};
        sample_t globals;
        sample_read_globals (&globals, json, dialect, &refusal);
        s_list (cJSON_GetObjectItem (json, "gauges"), METRIC_GAUGE, dialect);
        s_list (cJSON_GetObjectItem (json, "counters"), METRIC_COUNTER,
                dialect);
        s_list (cJSON_GetObjectItem (json, "measurements"), METRIC_GAUGE,
                dialect);
    }
    if (cJSON_IsArray (json))
        s_collectd (json);
    cJSON_Delete (json);
    free (text);
}
