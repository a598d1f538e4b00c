/*  inbox - rows as they came. The contract is in inbox.h.

    Rows of seconds that a series had not yet are written by one statement, which
    reads them from a table that SQLite takes for its own: rows_module. One by one,
    beginning and ending the statement would take longer than the rows.

    Sections: columns, rows as a table, all at once, one by one, opening.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "inbox.h"
#include "chunk.h"
#include "sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  Columns: id, and INBOX_COLUMNS. One stays null if reading fills in the same

enum { ID, SUM, N, MIN, MAX, SUM_SQUARES, LAST, BUCKETS };

//  Has a row this number? Called for each of them.
static bool
s_number (const inbox_row_t *row, int column, double *value)
{
    const point_t *point = row->point;
    double filled = point->sum;
    switch (column) {
        case SUM:
            *value = point->sum;
            return true;
        case MIN:
            *value = point->min;
            break;
        case MAX:
            *value = point->max;
            break;
        case SUM_SQUARES:
            *value = point->sum_squares;
            filled *= point->sum;
            break;
        default:
            *value = point->last;
            filled = row->rises ? point->max : point->last;
    }
    return memcmp (value, &filled, sizeof filled) != 0;
}

static void
s_pack_buckets (inbox_t *self, const point_t *point)
{
    self->bytes.size = 0;
    column_put_buckets (&self->bytes, point->buckets, point->bucket_count);
}

int
inbox_read (sqlite3_stmt *row, int column, int64_t time_s, points_t *points)
{
    point_t point = {.time_s = time_s};
    column_t in = {sqlite3_column_blob (row, column + 6), NULL, false};
    zb_bucket_t *bucket;
    double *field[] = {&point.min, &point.max, &point.sum_squares};
    point.sum = sqlite3_column_double (row, column);
    chunk_fill (&point);
    if (sqlite3_column_type (row, column + 1) != SQLITE_NULL)
        point.n = (uint64_t) sqlite3_column_int64 (row, column + 1);
    for (int i = 0; i < 3; i++)
        if (sqlite3_column_type (row, column + 2 + i) != SQLITE_NULL)
            *field[i] = sqlite3_column_double (row, column + 2 + i);
    point.first = point.min;
    point.last = point.max;
    if (sqlite3_column_type (row, column + 5) != SQLITE_NULL)
        point.last = sqlite3_column_double (row, column + 5);
    if (in.at) {
        in.end = in.at + sqlite3_column_bytes (row, column + 6);
        point.bucket_count = column_get_bucket_count (&in);
        bucket = points_room (points, point.bucket_count);
        column_get_buckets (&in, bucket, point.bucket_count);
        point.buckets = bucket;
    }
    points_add (points, &point);
    return in.failed ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  Rows as a table: those that are `fresh`, by their places

typedef struct {
    sqlite3_vtab base;
    inbox_t *inbox;
} rows_t;

typedef struct {
    sqlite3_vtab_cursor base;
    size_t at;
} cursor_t;

static inbox_t *
s_inbox (const cursor_t *self)
{
    return ((const rows_t *) self->base.pVtab)->inbox;
}

//  Handlers for sqlite3_module, from here on.
static int
rows_connect (sqlite3 *db, void *argument, int count, const char *const *words,
              sqlite3_vtab **made, char **why)
{
    rows_t *self = (rows_t *) sqlite3_malloc (sizeof *self);
    (void) count, (void) words, (void) why;
    if (!self)
        return SQLITE_NOMEM;
    *self = (rows_t){.inbox = (inbox_t *) argument};
    *made = &self->base;
    return sqlite3_declare_vtab (db,
                                 "CREATE TABLE rows (id, " INBOX_COLUMNS ")");
}

static int
rows_disconnect (sqlite3_vtab *base)
{
    sqlite3_free (base);
    return SQLITE_OK;
}

static int
rows_plan (sqlite3_vtab *base, sqlite3_index_info *plan)
{
    (void) base, (void) plan;
    return SQLITE_OK;
}

static int
rows_open (sqlite3_vtab *base, sqlite3_vtab_cursor **made)
{
    cursor_t *self = (cursor_t *) sqlite3_malloc (sizeof *self);
    (void) base;
    if (!self)
        return SQLITE_NOMEM;
    *self = (cursor_t){.at = 0};
    *made = &self->base;
    return SQLITE_OK;
}

static int
rows_close (sqlite3_vtab_cursor *base)
{
    sqlite3_free (base);
    return SQLITE_OK;
}

static int
rows_begin (sqlite3_vtab_cursor *base, int plan, const char *text, int count,
            sqlite3_value **values)
{
    (void) plan, (void) text, (void) count, (void) values;
    ((cursor_t *) base)->at = 0;
    return SQLITE_OK;
}

static int
rows_next (sqlite3_vtab_cursor *base)
{
    ((cursor_t *) base)->at++;
    return SQLITE_OK;
}

static int
rows_end (sqlite3_vtab_cursor *base)
{
    const cursor_t *self = (const cursor_t *) base;
    return self->at == s_inbox (self)->fresh.count;
}

static int
rows_column (sqlite3_vtab_cursor *base, sqlite3_context *out, int column)
{
    const cursor_t *self = (const cursor_t *) base;
    inbox_t *inbox = s_inbox (self);
    const inbox_row_t *row = &inbox->fresh.row[self->at];
    const point_t *point = row->point;
    double value;
    if (column == ID)
        sqlite3_result_int64 (out, row->id);
    else if (column == N) {
        if (point->n != 1)
            sqlite3_result_int64 (out, (int64_t) point->n);
    }
    else if (column == BUCKETS) {
        if (!point->bucket_count)
            return SQLITE_OK;
        s_pack_buckets (inbox, point);
        sqlite3_result_blob (out, inbox->bytes.text, (int) inbox->bytes.size,
                             SQLITE_TRANSIENT);
    }
    else if (s_number (row, column, &value))
        sqlite3_result_double (out, value);
    return SQLITE_OK;
}

static int
rows_id (sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
    *id = (sqlite3_int64) ((const cursor_t *) base)->at;
    return SQLITE_OK;
}

static const sqlite3_module rows_module = {.xConnect = rows_connect,
                                           .xBestIndex = rows_plan,
                                           .xDisconnect = rows_disconnect,
                                           .xOpen = rows_open,
                                           .xClose = rows_close,
                                           .xFilter = rows_begin,
                                           .xNext = rows_next,
                                           .xEof = rows_end,
                                           .xColumn = rows_column,
                                           .xRowid = rows_id};

//  --------------------------------------------------------------------------
//  All at once

static int
s_compare (const void *a, const void *b)
{
    const inbox_row_t *one = (const inbox_row_t *) a,
                      *other = (const inbox_row_t *) b;
    return one->id < other->id ? -1 : one->id > other->id;
}

//  In the order of the table: then pages are filled one after the other.
static void
s_sort (inbox_list_t *list)
{
    for (size_t i = 1; i < list->count; i++)
        if (list->row[i - 1].id > list->row[i].id) {
            qsort (list->row, list->count, sizeof *list->row, s_compare);
            return;
        }
}

//  All of them are new to the table, or some row was not as fresh as was said.
static int
s_write_fresh (inbox_t *self)
{
    if (!self->fresh.count)
        return 0;
    s_sort (&self->fresh);
    if (sql_done (self->insert_all) == -1)
        return -1;
    return (size_t) sqlite3_changes (sqlite3_db_handle (self->insert_all))
               == self->fresh.count
             ? 0
             : -1;
}

//  --------------------------------------------------------------------------
//  One by one

static int
s_write (inbox_t *self, sqlite3_stmt *statement, const inbox_row_t *row)
{
    const point_t *point = row->point;
    double value;
    sqlite3_clear_bindings (statement);
    sqlite3_bind_int64 (statement, ID + 1, row->id);
    if (point->n != 1)
        sqlite3_bind_int64 (statement, N + 1, (int64_t) point->n);
    for (int column = SUM; column <= LAST; column++)
        if (column != N && s_number (row, column, &value))
            sqlite3_bind_double (statement, column + 1, value);
    if (point->bucket_count) {
        s_pack_buckets (self, point);
        sqlite3_bind_blob (statement, BUCKETS + 1, self->bytes.text,
                           (int) self->bytes.size, SQLITE_STATIC);
    }
    return sql_done (statement);
}

static int
s_add_up (inbox_t *self, const inbox_row_t *row)
{
    const point_t *point = row->point;
    points_t own = {.point = (point_t *) (uintptr_t) point, .count = 1};
    inbox_row_t both = *row;
    int rc = -1;
    points_empty (&self->row);
    sqlite3_bind_int64 (self->select, 1, row->id);
    if (sqlite3_step (self->select) == SQLITE_ROW)
        rc = inbox_read (self->select, 0, point->time_s, &self->row);
    sqlite3_reset (self->select);
    if (rc == -1)
        return -1;
    points_merge (&self->sum, &self->row, &own, 1);
    both.point = &self->sum.point[0];
    return s_write (self, self->update, &both);
}

static int
s_write_other (inbox_t *self, const inbox_row_t *row)
{
    if (s_write (self, self->insert, row) == -1)
        return -1;
    return sqlite3_changes (sqlite3_db_handle (self->insert))
             ? 0
             : s_add_up (self, row);
}

//  --------------------------------------------------------------------------
//  What was added

void
inbox_add (inbox_t *self, const inbox_row_t *row, bool fresh)
{
    inbox_list_t *list = fresh ? &self->fresh : &self->others;
    if (list->count == list->max) {
        list->max = list->max ? list->max * 2 : 1024;
        list->row =
          (inbox_row_t *) realloc (list->row, list->max * sizeof *list->row);
        assert (list->row);
    }
    list->row[list->count++] = *row;
}

void
inbox_forget (inbox_t *self)
{
    self->fresh.count = self->others.count = 0;
}

int
inbox_write (inbox_t *self)
{
    int rc = s_write_fresh (self);
    for (size_t i = 0; i < self->others.count && rc == 0; i++)
        rc = s_write_other (self, &self->others.row[i]);
    inbox_forget (self);
    return rc;
}

//  --------------------------------------------------------------------------
//  Opening

int
inbox_open (inbox_t *self, sqlite3 *db)
{
    if (sqlite3_create_module (db, "rows", &rows_module, self) != SQLITE_OK)
        return -1;
    self->insert_all =
      sql_prepare (db, "INSERT OR IGNORE INTO inbox (id, " INBOX_COLUMNS ")"
                       " SELECT id, " INBOX_COLUMNS " FROM rows");
    self->insert =
      sql_prepare (db, "INSERT OR IGNORE INTO inbox (id, " INBOX_COLUMNS ")"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    self->select = sql_prepare (db, "SELECT " INBOX_COLUMNS " FROM inbox"
                                    " WHERE id = ?1");
    self->update =
      sql_prepare (db, "UPDATE inbox SET sum = ?2, n = ?3, min = ?4,"
                       " max = ?5, sum_squares = ?6, last = ?7, buckets = ?8"
                       " WHERE id = ?1");
    return self->insert_all && self->insert && self->select && self->update
             ? 0
             : -1;
}

void
inbox_close (inbox_t *self)
{
    sqlite3_finalize (self->insert_all);
    sqlite3_finalize (self->insert);
    sqlite3_finalize (self->select);
    sqlite3_finalize (self->update);
    free (self->fresh.row);
    free (self->others.row);
    buffer_clear (&self->bytes);
    points_clear (&self->row);
    points_clear (&self->sum);
    *self = (inbox_t){.insert = NULL};
}
