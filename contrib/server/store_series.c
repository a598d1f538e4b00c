/*  store_series - the metrics and series of the store: found, added, removed

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "log.h"
#include "sql.h"

#include <string.h>

enum {
    SAY_S = 60,
    SLICE_METRICS = 2000,  //  that end in a transaction
};

int
store_series_open (store_t *self)
{
    self->metric_add =
      sql_prepare (self->db, "INSERT INTO metric (name, type, period, posted,"
                             " attributes)"
                             " VALUES (?1, ?2, ?3, ?4, ?5)");
    self->metric_settle = sql_prepare (
      self->db, "UPDATE metric SET type = ?2, posted = 0 WHERE id = ?1");
    self->series_add = sql_prepare (
      self->db,
      "INSERT INTO series (metric, source, tags) VALUES (?1, ?2, ?3)");
    return self->metric_add && self->metric_settle && self->series_add ? 0 : -1;
}

void
store_series_close (store_t *self)
{
    sqlite3_finalize (self->metric_add);
    sqlite3_finalize (self->metric_settle);
    sqlite3_finalize (self->series_add);
}

//  --------------------------------------------------------------------------
//  Those of a row

static metric_entry_t *
s_add_metric (store_t *self, const char *name, metric_type_t type, bool posted,
              int64_t period_s, const char *attributes)
{
    sqlite3_bind_text (self->metric_add, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int (self->metric_add, 2, (int) type);
    sqlite3_bind_int64 (self->metric_add, 3, period_s);
    sqlite3_bind_int (self->metric_add, 4, posted);
    sqlite3_bind_text (self->metric_add, 5, attributes, -1, SQLITE_STATIC);
    if (sql_done (self->metric_add) == -1)
        return NULL;
    return catalog_add_metric (
      self->catalog, sqlite3_last_insert_rowid (self->db), name, type, posted);
}

static series_entry_t *
s_add_series (store_t *self, metric_entry_t *metric, const char *label,
              size_t size)
{
    size_t source = strlen (label);
    sqlite3_bind_int64 (self->series_add, 1, metric->id);
    sqlite3_bind_text (self->series_add, 2, label, -1, SQLITE_STATIC);
    sqlite3_bind_text (self->series_add, 3, label + source + 1,
                       (int) (size - source - 1), SQLITE_STATIC);
    if (sql_done (self->series_add) == -1)
        return NULL;
    return catalog_add_series (
      self->catalog, sqlite3_last_insert_rowid (self->db), metric, label, size);
}

//  Says who makes so many series, once a minute at most.
static void
s_say_full (store_t *self, const char *name)
{
    const metric_entry_t *largest = catalog_largest (self->catalog);
    if (self->now_s < self->full_said_s + SAY_S)
        return;
    self->full_said_s = self->now_s;
    zb_log (LOG_WARNING, "series_full",
            "max=%lld refused=\"%s\" largest=\"%s\" series=%lu",
            (long long) self->options.max_series, name,
            largest ? largest->name : "",
            largest ? (unsigned long) largest->series : 0);
}

typedef enum { FITS, SETTLES, CLASHES } fit_t;

//  Does a row fit a metric? What is a gauge to Librato is an increment or a timer to a
//  program here, and may have the same name: a worker on another host posts counters as
//  gauges. So all but counters are one type to those who post, as they are in what is
//  read back ("type":"gauge"); and if nobody else has sent the metric yet, the row of a
//  program settles what it is.
static fit_t
s_fit (const metric_entry_t *metric, const store_row_t *row)
{
    bool rises = metric->type == METRIC_COUNTER;
    if (row->posted)
        return rises == (row->type == METRIC_COUNTER) ? FITS : CLASHES;
    if (metric->posted && !rises && row->type != METRIC_COUNTER)
        return SETTLES;
    return metric->type == row->type ? FITS : CLASHES;
}

static int
s_settle (store_t *self, metric_entry_t *metric, metric_type_t type)
{
    sqlite3_bind_int64 (self->metric_settle, 1, metric->id);
    sqlite3_bind_int (self->metric_settle, 2, (int) type);
    if (sql_done (self->metric_settle) == -1)
        return -1;
    catalog_settle_type (self->catalog, metric, type);
    return 0;
}

//  Makes what a row needs. There may be too many series; else NULL if the database
//  fails.
static series_entry_t *
s_make (store_t *self, metric_entry_t *metric, const store_row_t *row,
        const char *label, size_t size, row_result_t *result)
{
    if (catalog_series_count (self->catalog)
        >= (size_t) self->options.max_series) {
        s_say_full (self, row->name);
        *result = ROW_SERIES;
        return NULL;
    }
    if (!metric)
        metric = s_add_metric (self, row->name, row->type, row->posted,
                               row->period_s, NULL);
    return metric ? s_add_series (self, metric, label, size) : NULL;
}

//  By its hash, and what is there of its metric. The next time it is guessed.
static series_entry_t *
s_look_up (store_t *self, const store_row_t *row, metric_entry_t **metric,
           const char *label, size_t size)
{
    series_entry_t *series = NULL;
    *metric = catalog_metric (self->catalog, row->name);
    if (*metric)
        series = catalog_series (self->catalog, *metric, label, size);
    if (series && self->before)
        self->before->next = series->id;
    return series;
}

//  A guess costs less than a place in a table, which is anywhere in memory.
static series_entry_t *
s_find (store_t *self, const store_row_t *row, metric_entry_t **metric,
        const char *label, size_t size)
{
    series_entry_t *series = NULL;
    if (self->before)
        series =
          catalog_next (self->catalog, self->before, row->name, label, size);
    if (series)
        *metric = catalog_metric_of (self->catalog, series->metric);
    else
        series = s_look_up (self, row, metric, label, size);
    self->before = series;
    return series;
}

int
store_series_find (store_t *self, const store_row_t *row, bool add,
                   series_entry_t **series, row_result_t *result)
{
    char label[LABEL_MAX];
    size_t size = catalog_label (label, row->source, row->tags, row->tag_count);
    metric_entry_t *metric = NULL;
    series_entry_t *found =
      size ? s_find (self, row, &metric, label, size) : NULL;
    fit_t fit = metric ? s_fit (metric, row) : FITS;
    *series = NULL;
    if (!size)
        *result = ROW_LONG;
    else if (fit == CLASHES)
        *result = ROW_TYPE;
    if (*result || (fit == SETTLES && !add))
        return 0;
    if (fit == SETTLES && s_settle (self, metric, row->type) == -1)
        return -1;
    *series = found;
    if (!found && add)
        *series = s_make (self, metric, row, label, size, result);
    return *series || *result || !add ? 0 : -1;
}

//  --------------------------------------------------------------------------
//  Metrics by themselves

typedef struct {
    const char *name;
    metric_type_t type;
} named_t;

//  It has attributes, though none yet: so a user has described it, and it stays.
static int
s_run_new (store_t *self, void *argument)
{
    const named_t *named = (const named_t *) argument;
    if (catalog_metric (self->catalog, named->name))
        return 0;
    if (store_begin (self) == 0
        && s_add_metric (self, named->name, named->type, true, 0, "{}")
        && store_commit (self) == 0)
        return 1;
    store_rollback (self);
    return -1;
}

int
store_metric_new (store_t *self, const char *name, metric_type_t type)
{
    named_t named = {name, type};
    size_t size = strlen (name);
    return size < 1 || size > 255 ? -1 : store_run (self, s_run_new, &named);
}

typedef struct {
    const int64_t *metrics;
    size_t count;
} ended_t;

static int
s_delete (store_t *self, const char *text, const ended_t *ended)
{
    sqlite3_stmt *statement = sql_prepare (self->db, text);
    int rc = 0;
    for (size_t i = 0; i < ended->count && rc == 0; i++) {
        sqlite3_bind_int64 (statement, 1, ended->metrics[i]);
        rc = sql_done (statement);
    }
    sqlite3_finalize (statement);
    return rc;
}

static int
s_run_end (store_t *self, void *argument)
{
    const ended_t *ended = (const ended_t *) argument;
    if (store_begin (self) == -1
        || s_delete (self, "DELETE FROM series WHERE metric = ?1", ended) == -1
        || s_delete (self, "DELETE FROM metric WHERE id = ?1", ended) == -1
        || store_commit (self) == -1) {
        store_rollback (self);
        return -1;
    }
    catalog_remove_metrics (self->catalog, ended->metrics, ended->count);
    return 0;
}

//  Batches come in between the slices.
int
store_metrics_end (store_t *self, const int64_t *metrics, size_t count)
{
    int rc = 0;
    for (size_t at = 0; at < count && rc == 0; at += SLICE_METRICS) {
        size_t left = count - at;
        ended_t ended = {metrics + at,
                         left < SLICE_METRICS ? left : SLICE_METRICS};
        rc = store_run (self, s_run_end, &ended);
    }
    return rc;
}
