/*  store_write - batches into the inbox, many in a transaction

    Sections: transactions, what a row is refused for, a batch, many of them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "column.h"
#include "kept.h"
#include "log.h"
#include "sql.h"

#include <assert.h>
#include <czmq.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    AHEAD_S = 24 * HOUR_S,
    COMMIT_US = 10000  //  of a commit: others are not waited for any longer
};

//  --------------------------------------------------------------------------
//  Transactions

int
store_write_open (store_t *self)
{
    sqlite3 *db = self->db;
    self->failed.free_item = free;
    self->begin = sql_prepare (db, "BEGIN IMMEDIATE");
    self->commit = sql_prepare (db, "COMMIT");
    self->rollback = sql_prepare (db, "ROLLBACK");
    self->key_find =
      sql_prepare (db, "SELECT digest, refused FROM request WHERE key = ?1");
    self->key_add =
      sql_prepare (db, "INSERT INTO request (key, digest, time, refused)"
                       " VALUES (?1, ?2, ?3, ?4)");
    return inbox_open (&self->inbox, db) == 0 && store_series_open (self) == 0
               && self->begin && self->commit && self->rollback
               && self->key_find && self->key_add
             ? 0
             : -1;
}

void
store_write_close (store_t *self)
{
    inbox_close (&self->inbox);
    store_series_close (self);
    sqlite3_finalize (self->begin);
    sqlite3_finalize (self->commit);
    sqlite3_finalize (self->rollback);
    sqlite3_finalize (self->key_find);
    sqlite3_finalize (self->key_add);
    buffer_clear (&self->refused);
    free (self->found);
    table_clear (&self->failed);
}

int
store_begin (store_t *self)
{
    return sql_done (self->begin);
}

int
store_commit (store_t *self)
{
    if (sql_done (self->commit) == -1)
        return -1;
    catalog_settle (self->catalog);
    return 0;
}

void
store_rollback (store_t *self)
{
    if (!sqlite3_get_autocommit (self->db))
        sql_done (self->rollback);
    inbox_forget (&self->inbox);
    catalog_undo (self->catalog, 0);
}

//  --------------------------------------------------------------------------
//  What a row is refused for, whatever metric it is of

static bool
s_is_finite (const point_t *point)
{
    return isfinite (point->sum) && isfinite (point->min)
           && isfinite (point->max) && isfinite (point->sum_squares)
           && isfinite (point->last);
}

//  What no level keeps is not taken, for it would go at once.
static bool
s_is_old (const store_t *self, int64_t time_s)
{
    return time_s < 1 || time_s < self->now_s - self->options.max_age_s
           || time_s < self->now_s - self->options.keep_3600_s
           || time_s < self->since_s[LEVEL_HOUR];
}

static row_result_t
s_check (const store_t *self, const store_row_t *row)
{
    size_t name = strlen (row->name);
    if (name < 1 || name > 255)
        return ROW_LONG;
    if (!row->point.n || !s_is_finite (&row->point))
        return ROW_NUMBER;
    if (s_is_old (self, row->point.time_s))
        return ROW_OLD;
    return row->point.time_s > self->now_s + AHEAD_S ? ROW_AHEAD : ROW_TAKEN;
}

const char *
store_refusal_text (row_result_t result)
{
    static const char *const texts[ROW_RESULTS] = {
      [ROW_TAKEN] = "taken",
      [ROW_TYPE] = "the metric exists with another type",
      [ROW_SERIES] = "there are as many series as --max-series allows",
      [ROW_OLD] = "the time is further back than --max-age allows, or is kept",
      [ROW_AHEAD] = "the time is more than a day in the future",
      [ROW_NUMBER] = "a value is not a number, or a count is 0",
      [ROW_LONG] = "the name, or source and tags, are too long",
    };
    return texts[result];
}

//  --------------------------------------------------------------------------
//  A batch

//  What rows were refused for, in runs: how many, and why.
static void
s_put_refused (buffer_t *out, const batch_t *batch)
{
    size_t run;
    out->size = 0;
    for (size_t i = 0; i < batch->count; i += run) {
        for (run = 1; i + run < batch->count
                      && batch->refused[i + run] == batch->refused[i];
             run++) {
        }
        column_put (out, run);
        column_put (out, batch->refused[i]);
    }
}

//  The same for a request that came before; it had as many rows.
static void
s_get_refused (sqlite3_stmt *row, int column, batch_t *batch)
{
    const unsigned char *bytes =
      (const unsigned char *) sqlite3_column_blob (row, column);
    column_t in = {bytes, bytes, !bytes};
    size_t at = 0;
    if (bytes)
        in.end += sqlite3_column_bytes (row, column);
    while (at < batch->count && !in.failed) {
        uint64_t run = column_get (&in), why = column_get (&in);
        if (in.failed || run > batch->count - at || why >= ROW_RESULTS)
            break;
        memset (batch->refused + at, (int) why, run);
        batch->refused_count += why != ROW_TAKEN ? run : 0;
        at += run;
    }
}

//  Returns 1 and the result if the key is known, or 0. What was refused then is said
//  again.
static int
s_is_repeated (store_t *self, batch_t *batch)
{
    int found;
    if (!batch->key)
        return 0;
    sqlite3_bind_blob (self->key_find, 1, batch->key, (int) batch->key_size,
                       SQLITE_STATIC);
    found = sqlite3_step (self->key_find) == SQLITE_ROW;
    if (found
        && (uint64_t) sqlite3_column_int64 (self->key_find, 0) != batch->digest)
        batch->result = BATCH_CONFLICT;
    else if (found) {
        batch->result = BATCH_REPEATED;
        batch->refused_count = 0;
        memset (batch->refused, ROW_TAKEN, batch->count);
        s_get_refused (self->key_find, 1, batch);
    }
    sqlite3_reset (self->key_find);
    return found;
}

//  A clock that is years behind would let the key end as soon as it is right.
static int64_t
s_key_time_s (const store_t *self)
{
    return self->now_s > self->proven_s ? self->now_s : self->proven_s;
}

static int
s_keep_key (store_t *self, const batch_t *batch)
{
    if (!batch->key)
        return 0;
    sqlite3_bind_blob (self->key_add, 1, batch->key, (int) batch->key_size,
                       SQLITE_STATIC);
    sqlite3_bind_int64 (self->key_add, 2, (int64_t) batch->digest);
    sqlite3_bind_int64 (self->key_add, 3, s_key_time_s (self));
    sqlite3_bind_null (self->key_add, 4);
    if (batch->refused_count) {
        s_put_refused (&self->refused, batch);
        sqlite3_bind_blob (self->key_add, 4, self->refused.text,
                           (int) self->refused.size, SQLITE_STATIC);
    }
    return sql_done (self->key_add);
}

static void
s_room (store_t *self, size_t count)
{
    if (count <= self->found_max)
        return;
    self->found_max = count;
    self->found =
      (series_entry_t **) realloc (self->found, count * sizeof *self->found);
    assert (self->found);
}

//  Finds the series of all rows that are not refused; `add` makes those that are not
//  there. Returns how many are missing, or -1.
static int64_t
s_find_all (store_t *self, batch_t *batch, bool add)
{
    int64_t missing = 0;
    self->before = NULL;
    for (size_t i = 0; i < batch->count; i++) {
        row_result_t result = batch->refused[i];
        if (result == ROW_TAKEN && !(add && self->found[i])
            && store_series_find (self, &batch->rows[i], add, &self->found[i],
                                  &result)
                 == -1)
            return -1;
        batch->refused_count += result != batch->refused[i];
        batch->refused[i] = (unsigned char) result;
        missing += result == ROW_TAKEN && !self->found[i];
    }
    return missing;
}

static void
s_check_all (const store_t *self, batch_t *batch)
{
    batch->refused_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        batch->refused[i] = (unsigned char) s_check (self, &batch->rows[i]);
        batch->refused_count += batch->refused[i] != ROW_TAKEN;
    }
}

static bool
s_is_refused (batch_t *batch)
{
    if (!batch->whole || !batch->refused_count)
        return false;
    batch->result = BATCH_REFUSED;
    return true;
}

//  Series that were made for a batch go again if it is refused as a whole. Returns 1
//  if it is, 0, or -1.
static int
s_find_or_add (store_t *self, batch_t *batch)
{
    size_t added = catalog_added (self->catalog);
    int64_t missing;
    s_room (self, batch->count);
    s_check_all (self, batch);
    missing = s_find_all (self, batch, false);
    if (s_is_refused (batch))
        return 1;
    if (!missing)
        return 0;
    if (sql_run (self->db, "SAVEPOINT batch") == -1
        || s_find_all (self, batch, true) == -1)
        return -1;
    if (!s_is_refused (batch))
        return sql_run (self->db, "RELEASE batch");
    catalog_undo (self->catalog, added);
    return sql_run (self->db, "ROLLBACK TO batch; RELEASE batch") == -1 ? -1
                                                                        : 1;
}

//  What a reader must know before it sees the row.
static void
s_announce (store_t *self, series_entry_t *series, int64_t time_s)
{
    hours_add (&self->hours, time_s);
    catalog_expect (series, time_s);
}

//  They are written when all batches of the group are known. Rows of a series come in
//  order of time, mostly; one that is not later than all before it may have one of its
//  second in the inbox.
static void
s_add_rows (store_t *self, const batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        series_entry_t *series = self->found[i];
        const point_t *point = &batch->rows[i].point;
        metric_entry_t *metric;
        if (batch->refused[i])
            continue;
        metric = catalog_metric_of (self->catalog, series->metric);
        inbox_add (&self->inbox,
                   &(inbox_row_t){inbox_id (point->time_s, series->id), point,
                                  metric->type == METRIC_COUNTER},
                   point->time_s > series->last_s);
        s_announce (self, series, point->time_s);
        catalog_point (metric, series, point->time_s);
        if (point->time_s > self->newest_s)
            self->newest_s = point->time_s;
    }
}

//  Fills in the result. Returns 0, or -1 if the database fails.
static int
s_write_batch (store_t *self, batch_t *batch)
{
    int rc;
    if (s_is_repeated (self, batch))
        return 0;
    rc = s_find_or_add (self, batch);
    if (rc)
        return rc == -1 ? -1 : 0;
    batch->result = BATCH_STORED;
    s_add_rows (self, batch);
    return s_keep_key (self, batch);
}

//  --------------------------------------------------------------------------
//  Many of them

//  Says that nothing can be written, once, and that it can again.
static void
s_say_failing (store_t *self, bool failing)
{
    if (failing && !self->failing)
        zb_log (LOG_ERR, "store_failed", "path=\"%s\" reason=\"%s\"",
                self->path, sqlite3_errmsg (self->db));
    if (!failing && self->failing)
        zb_log (LOG_NOTICE, "store_recovered", "path=\"%s\"", self->path);
    self->failing = failing;
}

//  Writes batches in the transaction, with those that come meanwhile, which are added
//  to the list, if it may `grow`. Returns 0 or -1.
static int
s_write_batches (store_t *self, batch_t *list, bool grow)
{
    size_t batches = 0, rows = 0;
    batch_t *batch = list, *last = list;
    int rc = 0;
    while (batch && rc == 0) {
        for (; batch && rc == 0; batch = batch->next, batches++) {
            rc = s_write_batch (self, batch);
            rows += batch->count;
            last = batch;
        }
        if (rc == 0)
            rc = inbox_write (&self->inbox);
        if (rc == 0 && grow)
            batch = last->next = store_take_more (self, batches, rows);
    }
    return rc;
}

static int
s_commit (store_t *self)
{
    int64_t began_us = zclock_usecs ();
    int rc = store_commit (self);
    self->commit_us = zclock_usecs () - began_us;
    if (self->commit_us > COMMIT_US)
        self->commit_us = COMMIT_US;
    return rc;
}

//  All or none. Returns 0 or -1. That something can be written is known if it was.
static int
s_try (store_t *self, batch_t *list, bool grow)
{
    int rc, changes = sqlite3_total_changes (self->db);
    if (self->trim.full)
        return -1;
    rc = store_begin (self);
    if (rc == 0)
        rc = s_write_batches (self, list, grow);
    if (rc == 0)
        rc = s_commit (self);
    if (rc == -1 || changes != sqlite3_total_changes (self->db))
        s_say_failing (self, rc == -1);
    if (rc == -1)
        store_rollback (self);
    return rc;
}

//  The list may be gone when this returns.
static void
s_finish (store_t *self, batch_t *list)
{
    pthread_mutex_lock (&self->lock);
    self->together = self->open;
    for (batch_t *batch = list; batch; batch = batch->next) {
        store_account (self, batch);
        self->waiting -= batch->count;
        self->open--;
    }
    pthread_mutex_unlock (&self->lock);
    while (list) {
        batch_t *next = list->next;
        list->done (list);
        list = next;
    }
}

//  If many fail together, each has another try by itself, so that one that the
//  database cannot take does not stop the others.
void
store_write_group (store_t *self, batch_t *list, bool grow)
{
    batch_t *batch, *next;
    if (s_try (self, list, grow) == 0) {
        s_finish (self, list);
        return;
    }
    for (batch = list; batch; batch = next) {
        bool alone = batch == list && !batch->next;
        next = batch->next;
        batch->next = NULL;
        if (alone || s_try (self, batch, false) == -1)
            batch->result = BATCH_FAILED;
        s_finish (self, batch);
    }
}
