/*  inbox - rows as they came. The contract is in inbox.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "inbox.h"
#include "chunk.h"
#include "sql.h"

#include <string.h>

int
inbox_open (inbox_t *self, sqlite3 *db)
{
    self->insert =
      sql_prepare (db, "INSERT OR IGNORE INTO inbox (time, series,"
                       " " INBOX_COLUMNS ")"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    self->select = sql_prepare (db, "SELECT " INBOX_COLUMNS " FROM inbox"
                                    " WHERE time = ?1 AND series = ?2");
    self->update =
      sql_prepare (db, "UPDATE inbox SET sum = ?3, n = ?4, min = ?5,"
                       " max = ?6, sum_squares = ?7, last = ?8, buckets = ?9"
                       " WHERE time = ?1 AND series = ?2");
    return self->insert && self->select && self->update ? 0 : -1;
}

void
inbox_close (inbox_t *self)
{
    sqlite3_finalize (self->insert);
    sqlite3_finalize (self->select);
    sqlite3_finalize (self->update);
    buffer_clear (&self->bytes);
    points_clear (&self->row);
    points_clear (&self->sum);
    *self = (inbox_t){.insert = NULL};
}

//  A column stays null if reading fills in the same.
static void
s_bind (sqlite3_stmt *statement, int at, double value, double filled)
{
    if (memcmp (&value, &filled, sizeof value) != 0)
        sqlite3_bind_double (statement, at, value);
}

static void
s_bind_buckets (inbox_t *self, sqlite3_stmt *statement, const point_t *point)
{
    self->bytes.size = 0;
    column_put_buckets (&self->bytes, point->buckets, point->bucket_count);
    sqlite3_bind_blob (statement, 9, self->bytes.text, (int) self->bytes.size,
                       SQLITE_STATIC);
}

static int
s_write (inbox_t *self, sqlite3_stmt *statement, int64_t series,
         const point_t *point, bool rises)
{
    double square = point->sum * point->sum;
    sqlite3_clear_bindings (statement);
    sqlite3_bind_int64 (statement, 1, point->time_s);
    sqlite3_bind_int64 (statement, 2, series);
    sqlite3_bind_double (statement, 3, point->sum);
    if (point->n != 1)
        sqlite3_bind_int64 (statement, 4, (int64_t) point->n);
    s_bind (statement, 5, point->min, point->sum);
    s_bind (statement, 6, point->max, point->sum);
    s_bind (statement, 7, point->sum_squares, square);
    if (rises)
        s_bind (statement, 8, point->last, point->max);
    if (point->bucket_count)
        s_bind_buckets (self, statement, point);
    return sql_done (statement);
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

static int
s_add_up (inbox_t *self, int64_t series, const point_t *point, bool rises)
{
    points_t own = {.point = (point_t *) (uintptr_t) point, .count = 1};
    int rc = -1;
    points_empty (&self->row);
    sqlite3_bind_int64 (self->select, 1, point->time_s);
    sqlite3_bind_int64 (self->select, 2, series);
    if (sqlite3_step (self->select) == SQLITE_ROW)
        rc = inbox_read (self->select, 0, point->time_s, &self->row);
    sqlite3_reset (self->select);
    if (rc == -1)
        return -1;
    points_merge (&self->sum, &self->row, &own, 1);
    return s_write (self, self->update, series, &self->sum.point[0], rises);
}

int
inbox_add (inbox_t *self, int64_t series, const point_t *point, bool rises)
{
    if (s_write (self, self->insert, series, point, rises) == -1)
        return -1;
    return sqlite3_changes (sqlite3_db_handle (self->insert))
             ? 0
             : s_add_up (self, series, point, rises);
}
