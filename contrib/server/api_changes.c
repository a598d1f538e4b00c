/*  api_changes - changing metrics, and ending them

    One by its name, or many by names or a pattern.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "api.h"

#include "filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

//  --------------------------------------------------------------------------
//  Changing: what a request says is laid over what is there, in slices, so that
//  rows need not wait for a hundred thousand metrics

enum { SLICE = 500 };

typedef struct {
    const cJSON *body;
    bool many;  //  attributes stand beside the other members
    const int64_t *metric;
    size_t count;
} change_t;

//  What a metric has beside its attributes. Of many metrics at once, clients write both
//  side by side.
static bool
s_is_property (const char *name)
{
    static const char *const names[] = {
      "name",         "names",       "exclude", "type",      "period",
      "display_name", "id",          "version", "composite", "attributes",
      "query",        "description", "href",    "source_lag"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp (name, names[i]) == 0)
            return true;
    return false;
}

//  Null takes an attribute away.
static void
s_lay_over (cJSON *attributes, const cJSON *changed)
{
    cJSON_DeleteItemFromObjectCaseSensitive (attributes, changed->string);
    if (!cJSON_IsNull (changed))
        cJSON_AddItemToObject (attributes, changed->string,
                               cJSON_Duplicate (changed, 1));
}

//  The new attributes. Caller frees the return value.
static char *
s_new_attributes (const change_t *self, const char *old)
{
    const cJSON *changed, *body = self->body;
    cJSON *attributes = cJSON_Parse (old && *old ? old : "{}");
    char *text;
    if (!cJSON_IsObject (attributes)) {
        cJSON_Delete (attributes);
        attributes = cJSON_CreateObject ();
    }
    cJSON_ArrayForEach (changed,
                        cJSON_GetObjectItemCaseSensitive (body, "attributes"))
      s_lay_over (attributes, changed);
    if (self->many)
        cJSON_ArrayForEach (changed, body) if (!s_is_property (changed->string))
          s_lay_over (attributes, changed);
    text = cJSON_PrintUnformatted (attributes);
    cJSON_Delete (attributes);
    return text;
}

//  A text that may be changed: to null, too.
static void
s_bind_text (sqlite3_stmt *statement, int place, const cJSON *body,
             const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive (body, name);
    sqlite3_bind_int (statement, 2 * place, item != NULL);
    if (cJSON_IsString (item))
        sqlite3_bind_text (statement, 2 * place + 1, item->valuestring, -1,
                           SQLITE_STATIC);
}

//  Each column has a flag before it that says whether it is to be changed.
static int
s_change_one (sqlite3 *db, const change_t *self, int64_t metric,
              const char *attributes)
{
    static const char text[] =
      "UPDATE metric SET attributes = ?1,"
      " display_name = CASE WHEN ?2 THEN ?3 ELSE display_name END,"
      " description = CASE WHEN ?4 THEN ?5 ELSE description END,"
      " period = CASE WHEN ?6 THEN ?7 ELSE period END WHERE id = ?8";
    sqlite3_stmt *statement;
    double period = 0;
    int rc;
    if (sqlite3_prepare_v2 (db, text, -1, &statement, NULL) != SQLITE_OK)
        return -1;
    api_number (self->body, "period", &period);
    sqlite3_bind_text (statement, 1, attributes, -1, SQLITE_STATIC);
    s_bind_text (statement, 1, self->body, "display_name");
    s_bind_text (statement, 2, self->body, "description");
    sqlite3_bind_int (statement, 6,
                      cJSON_GetObjectItemCaseSensitive (self->body, "period")
                        != NULL);
    sqlite3_bind_int64 (statement, 7, (int64_t) period);
    sqlite3_bind_int64 (statement, 8, metric);
    rc = sqlite3_step (statement);
    sqlite3_finalize (statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  On the writer's thread.
static int
s_change (sqlite3 *db, void *argument)
{
    const change_t *self = (const change_t *) argument;
    sqlite3_stmt *statement;
    int rc = 0;
    if (sqlite3_prepare_v2 (db, "SELECT attributes FROM metric WHERE id = ?",
                            -1, &statement, NULL)
        != SQLITE_OK)
        return -1;
    for (size_t i = 0; rc == 0 && i < self->count; i++) {
        sqlite3_bind_int64 (statement, 1, self->metric[i]);
        if (sqlite3_step (statement) == SQLITE_ROW) {
            char *attributes = s_new_attributes (
              self, (const char *) sqlite3_column_text (statement, 0));
            rc = s_change_one (db, self, self->metric[i], attributes);
            free (attributes);
        }
        sqlite3_reset (statement);
    }
    sqlite3_finalize (statement);
    return rc;
}

//  Returns 0 or -1.
static int
s_change_all (web_request_t *request, const cJSON *body, bool many,
              const int64_t *metric, size_t count)
{
    for (size_t i = 0; i < count; i += SLICE) {
        change_t change = {body, many, metric + i,
                           count - i < SLICE ? count - i : SLICE};
        if (store_change (request->store, s_change, &change) != 0)
            return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  Whom a request names: names, or a pattern, and whom it excludes

typedef struct {
    const cJSON *names, *exclude;
    int64_t *metric;
    size_t count, max;
} named_t;

//  A text or a list of them; each may be a pattern.
static bool
s_is_one_of (const cJSON *patterns, const char *name)
{
    const cJSON *item;
    if (cJSON_IsString (patterns))
        return pattern_match (patterns->valuestring, name, strlen (name));
    cJSON_ArrayForEach (
      item, patterns) if (cJSON_IsString (item)
                          && pattern_match (item->valuestring, name,
                                            strlen (name))) return true;
    return false;
}

static int
s_take_named (void *argument, const metric_t *metric)
{
    named_t *self = (named_t *) argument;
    if (!s_is_one_of (self->names, metric->name)
        || s_is_one_of (self->exclude, metric->name))
        return 0;
    if (self->count == self->max) {
        self->max = self->max ? self->max * 2 : 16;
        self->metric =
          (int64_t *) realloc (self->metric, self->max * sizeof *self->metric);
        assert (self->metric);
    }
    self->metric[self->count++] = metric->id;
    return 0;
}

//  Returns 0, or -1 with the answer.
static int
s_named (web_request_t *request, const cJSON *body, named_t *named)
{
    *named = (named_t){.names = cJSON_GetObjectItem (body, "names"),
                       .exclude = cJSON_GetObjectItem (body, "exclude")};
    if (!cJSON_IsString (named->names) && !cJSON_GetArraySize (named->names)) {
        web_error (request, 400, "names", "is required");
        return -1;
    }
    if (reader_metrics (request->reader, "", 0, INT32_MAX, s_take_named, named)
        == -1) {
        api_failed (request);
        free (named->metric);
        return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  Changing many, and one

//  What may not be in a body. Returns 0, or -1 with the answer.
static int
s_check (web_request_t *request, const cJSON *body)
{
    const cJSON *attributes =
      cJSON_GetObjectItemCaseSensitive (body, "attributes");
    const char *type = api_text (body, "type"),
               *composite = api_text (body, "composite");
    double period = 0;
    if (composite || (type && strcmp (type, "composite") == 0))
        web_error (request, 400, "composite", "%.*s is not supported",
                   (int) strcspn (composite ? composite : "", "( "),
                   composite ? composite : "");
    else if (type && strcasecmp (type, "gauge") && strcasecmp (type, "counter"))
        web_error (request, 400, "type", "%s is not a valid type", type);
    else if (api_number (body, "period", &period) == -1
             || !(period >= 0 && period <= INT32_MAX))
        web_error (request, 400, "period", "is not a number of seconds");
    else if (attributes && !cJSON_IsObject (attributes)
             && !cJSON_IsNull (attributes))
        web_error (request, 400, "attributes", "is not a hash");
    else
        return 0;
    return -1;
}

void
api_metrics_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    named_t named;
    if (body && s_check (request, body) == 0
        && s_named (request, body, &named) == 0) {
        int rc = s_change_all (request, body, true, named.metric, named.count);
        api_changed (request, rc == 0 ? 1 : rc);
        free (named.metric);
    }
    cJSON_Delete (body);
}

static void
s_update (web_request_t *request, const cJSON *body, const metric_t *metric)
{
    const char *type = api_text (body, "type");
    bool counter = metric->type == METRIC_COUNTER;
    if (type && counter != (strcasecmp (type, "counter") == 0))
        web_error (request, 400, "type",
                   "'%s' is a %s, but was submitted as different type",
                   metric->name, counter ? "counter" : "gauge");
    else {
        int rc = s_change_all (request, body, false, &metric->id, 1);
        api_changed (request, rc == 0 ? 1 : rc);
    }
}

//  A metric that another request has made meanwhile is as good.
static void
s_create (web_request_t *request, const cJSON *body)
{
    const char *name = request->captured[0], *type = api_text (body, "type");
    metric_t metric;
    if (!api_name_ok (request, "name", name, "metric name"))
        return;
    if (!type) {
        web_error (request, 400, "type", "is required");
        return;
    }
    if (store_metric_new (request->store, name,
                          strcasecmp (type, "counter") == 0 ? METRIC_COUNTER
                                                            : METRIC_GAUGE)
          == -1
        || reader_metric (request->reader, name, &metric) != 1
        || s_change_all (request, body, false, &metric.id, 1) == -1
        || reader_metric (request->reader, name, &metric) != 1) {
        api_failed (request);
        return;
    }
    api_created (request, "/v1/metrics/%s", name);
    out_begin (&request->out, '{');
    api_metric_members (&request->out, &metric);
    out_end (&request->out, '}');
}

void
api_metric_update (web_request_t *request)
{
    cJSON *body = web_json (request);
    metric_t metric;
    if (body && s_check (request, body) == 0) {
        int rc = reader_metric (request->reader, request->captured[0], &metric);
        if (rc == 1)
            s_update (request, body, &metric);
        else if (rc == 0)
            s_create (request, body);
        else
            api_failed (request);
    }
    cJSON_Delete (body);
}

//  --------------------------------------------------------------------------
//  Ending

void
api_metrics_delete (web_request_t *request)
{
    cJSON *body = web_json (request);
    named_t named;
    if (body && s_named (request, body, &named) == 0) {
        api_changed (
          request,
          store_metrics_end (request->store, named.metric, named.count) == 0
            ? 1
            : -1);
        free (named.metric);
    }
    cJSON_Delete (body);
}

//  What is not there has been deleted, too: clients count on that.
void
api_metric_delete (web_request_t *request)
{
    metric_t metric;
    int rc = reader_metric (request->reader, request->captured[0], &metric);
    if (rc == 1)
        rc = store_metrics_end (request->store, &metric.id, 1);
    api_changed (request, rc == 0 ? 1 : -1);
}
