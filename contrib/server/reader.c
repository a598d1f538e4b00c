/*  reader - points of a series, from chunks and inbox. The contract is in store.h.

    Sections: a connection, one moment, points of a span, points of a level, all of
    them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "reader_own.h"
#include "chunk.h"
#include "kept.h"
#include "log.h"
#include "sql.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

//  What changes meanwhile, the log must keep.
enum { READ_MS = 10000, CHECK_STEPS = 10000 };

//  --------------------------------------------------------------------------
//  A connection

static const char s_settings[] = "PRAGMA query_only = ON;"
                                 "PRAGMA cache_size = -4096;";

static const char *const s_chunks[LEVELS] = {
  "SELECT data FROM chunk_0 WHERE id = ?1",
  "SELECT data FROM chunk_1 WHERE id = ?1",
  "SELECT data FROM chunk_2 WHERE id = ?1",
  "SELECT data FROM chunk_3 WHERE id = ?1",
};

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool
reader_is_late (const reader_t *self)
{
    return self->depth && s_now_ms () > self->until_ms;
}

//  Called by SQLite now and then.
static int
s_check_time (void *argument)
{
    return reader_is_late ((const reader_t *) argument);
}

static int
s_open (reader_t *self)
{
    if (sqlite3_open_v2 (self->store->path, &self->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)
        != SQLITE_OK)
        return -1;
    sqlite3_busy_timeout (self->db, SQL_BUSY_MS);
    sqlite3_progress_handler (self->db, CHECK_STEPS, s_check_time, self);
    if (sql_run (self->db, s_settings) == -1)
        return -1;
    for (int level = 0; level < LEVELS; level++)
        self->chunk[level] = sql_prepare (self->db, s_chunks[level]);
    self->inbox = sql_prepare (self->db, "SELECT " INBOX_COLUMNS " FROM inbox"
                                         " WHERE id = ?1");
    self->since =
      sql_prepare (self->db, "SELECT level, since FROM level ORDER BY level");
    return self->inbox && self->since && reader_list_open (self) == 0 ? 0 : -1;
}

reader_t *
reader_new (store_t *store)
{
    reader_t *self = (reader_t *) calloc (1, sizeof *self);
    assert (self);
    self->store = store;
    if (s_open (self) == -1)
        reader_destroy (&self);
    return self;
}

void
reader_destroy (reader_t **self_p)
{
    reader_t *self = *self_p;
    if (!self)
        return;
    for (int level = 0; level < LEVELS; level++)
        sqlite3_finalize (self->chunk[level]);
    sqlite3_finalize (self->inbox);
    sqlite3_finalize (self->since);
    reader_list_close (self);
    sqlite3_close (self->db);
    points_clear (&self->packed);
    points_clear (&self->waiting);
    points_clear (&self->finer);
    points_clear (&self->folded);
    points_clear (&self->merged);
    points_clear (&self->both);
    fold_clear (&self->fold);
    buffer_clear (&self->hours);
    buffer_clear (&self->text);
    free (self);
    *self_p = NULL;
}

sqlite3 *
reader_db (reader_t *self)
{
    return self->db;
}

//  --------------------------------------------------------------------------
//  One moment

//  Reads what is kept of each level. It is the first that a transaction reads, so that
//  it is of this moment from here on.
static int
s_read_since (reader_t *self, int64_t since[LEVELS])
{
    int level = 0;
    while (level < LEVELS && sqlite3_step (self->since) == SQLITE_ROW)
        since[level++] = sqlite3_column_int64 (self->since, 1);
    sqlite3_reset (self->since);
    return level == LEVELS ? 0 : -1;
}

static int
s_try_begin (reader_t *self)
{
    if (sql_run (self->db, "BEGIN") == -1)
        return -1;
    if (s_read_since (self, self->since_s) == 0)
        return 0;
    sql_run (self->db, "COMMIT");
    return -1;
}

//  Begins to read, and makes a list of the hours that have rows in the inbox. If a
//  packing has emptied one of them meanwhile, its rows may still be there for us, so
//  all begins again.
static int
s_begin (reader_t *self)
{
    hours_t *hours = &self->store->hours;
    for (;;) {
        uint64_t removals = hours_copy (hours, 0, INT64_MAX, &self->hours);
        if (s_try_begin (self) == -1)
            return -1;
        if (hours_copy (hours, 0, INT64_MAX, &self->hours) == removals)
            return 0;
        sql_run (self->db, "COMMIT");
    }
}

int
reader_begin (reader_t *self)
{
    if (!self->depth) {
        gate_enter (&self->store->gate);
        self->until_ms = s_now_ms () + READ_MS;
        if (s_begin (self) == -1) {
            gate_leave (&self->store->gate);
            return -1;
        }
    }
    self->depth++;
    return 0;
}

void
reader_end (reader_t *self)
{
    if (--self->depth)
        return;
    sql_run (self->db, "COMMIT");
    gate_leave (&self->store->gate);
}

//  --------------------------------------------------------------------------
//  Points of a span: chunk and inbox

//  Adds what the chunk has, if there is one. Returns 0 or -1.
static int
s_read_chunk (reader_t *self, int level, int64_t begin_s, points_t *points,
              bool *exact)
{
    sqlite3_stmt *chunk = self->chunk[level];
    int rc;
    *exact = false;
    sqlite3_bind_int64 (chunk, 1,
                        kept_chunk (level, begin_s, self->query.series));
    rc = sqlite3_step (chunk);
    if (rc == SQLITE_ROW
        && chunk_read (sqlite3_column_blob (chunk, 0),
                       (size_t) sqlite3_column_bytes (chunk, 0),
                       time_floor (begin_s, kept[level].span_s),
                       kept[level].span_s, points, exact)
             == -1) {
        zb_log (LOG_WARNING, "chunk_damaged", "series=%lld level=%d hour=%lld",
                (long long) self->query.series, level, (long long) begin_s);
        points_empty (points);
    }
    sqlite3_reset (chunk);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

//  The points of the span that a time is in. Where nothing is finer than a minute,
//  there is no chunk of raw points.
static int
s_read_packed (reader_t *self, int level, int64_t time_s, points_t *points)
{
    bool exact;
    points_empty (points);
    if (s_read_chunk (self, level, time_s, points, &exact) == -1)
        return -1;
    if (level != LEVEL_RAW || points->count)
        return 0;
    if (s_read_chunk (self, LEVEL_MINUTE, time_s, points, &exact) == -1)
        return -1;
    if (!exact)
        points_empty (points);
    return 0;
}

static int
s_read_second (reader_t *self, int64_t time_s)
{
    int rc;
    sqlite3_bind_int64 (self->inbox, 1, inbox_id (time_s, self->query.series));
    rc = sqlite3_step (self->inbox);
    if (rc == SQLITE_ROW)
        inbox_read (self->inbox, 0, time_s, &self->waiting);
    sqlite3_reset (self->inbox);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

//  The seconds of a minute that the series has had are looked up one by one: the inbox
//  is in order of time.
static int
s_read_seconds (reader_t *self, int64_t begin_s, int64_t end_s)
{
    for (int64_t time_s = begin_s; time_s < end_s; time_s++)
        if (self->query.seconds[time_s / HOUR_S % 2] >> time_s % 60 & 1
            && s_read_second (self, time_s) == -1)
            return -1;
    return 0;
}

//  Reads what waits in the inbox.
static int
s_read_waiting (reader_t *self, int64_t begin_s, int64_t end_s)
{
    const int64_t *hour = (const int64_t *) (void *) self->hours.text;
    size_t count = self->hours.size / sizeof *hour;
    points_empty (&self->waiting);
    for (size_t i = 0; i < count && hour[i] < end_s; i++) {
        int64_t from = hour[i] > begin_s ? hour[i] : begin_s;
        int64_t to = hour[i] + HOUR_S < end_s ? hour[i] + HOUR_S : end_s;
        if (s_read_seconds (self, from, to) == -1)
            return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  Points of a level

//  Hands over the interval that is done. Returns 1 to go on.
static bool
s_give (reader_t *self)
{
    const point_t *point = fold_point (&self->fold);
    return point->n == 0 || !self->query.each (self->query.argument, point);
}

static bool
s_take (reader_t *self, const point_t *point, int64_t step_s)
{
    int64_t begin_s = time_floor (point->time_s, step_s);
    bool more = true;
    if (self->fold.point.n == 0 || self->fold.point.time_s != begin_s) {
        more = s_give (self);
        fold_begin (&self->fold, begin_s);
    }
    fold_add (&self->fold, point);
    return more;
}

//  Hands over the points of a time. Returns 1 to go on.
static bool
s_take_all (reader_t *self, const points_t *points, int64_t begin_s,
            int64_t end_s, int64_t step_s)
{
    size_t at = points_at (points, begin_s), end = points_at (points, end_s);
    bool more = true;
    while (more && at < end)
        more = s_take (self, &points->point[at++], step_s);
    return more;
}

//  Those of a time, where they are.
static points_t
s_part (const points_t *points, int64_t begin_s, int64_t end_s)
{
    size_t at = points_at (points, begin_s);
    return (points_t){.point = points->count ? &points->point[at] : NULL,
                      .count = points_at (points, end_s) - at};
}

//  Adds what chunk and inbox have of a time within an hour. What comes late to an hour
//  that was packed is put in among the finest points that there are, as the packer
//  will do it.
static int
s_join (reader_t *self, int level, int64_t begin_s, int64_t end_s)
{
    points_t packed = s_part (&self->packed, begin_s, end_s);
    points_t waiting = s_part (&self->waiting, begin_s, end_s);
    const points_t *joined = packed.count ? &packed : &waiting;
    if (packed.count && waiting.count) {
        int finest = level;
        while (finest > LEVEL_RAW && self->since_s[finest - 1] <= begin_s)
            finest--;
        if (s_read_packed (self, finest, begin_s, &self->finer) == -1)
            return -1;
        packed = s_part (&self->finer, begin_s, end_s);
        points_empty (&self->folded);
        points_fold (&self->folded, &waiting, begin_s, end_s,
                     kept[finest].step_s, kept[finest].shift);
        points_merge (&self->merged, &packed, &self->folded,
                      kept[finest].step_s);
        joined = &self->merged;
    }
    for (size_t i = 0; i < joined->count; i++)
        points_add (&self->both, &joined->point[i]);
    return 0;
}

//  Reads the points of a time within a span. Returns NULL if the database fails.
static const points_t *
s_read_span (reader_t *self, int level, int64_t begin_s, int64_t end_s)
{
    if (s_read_packed (self, level, begin_s, &self->packed) == -1
        || s_read_waiting (self, begin_s, end_s) == -1)
        return NULL;
    if (!self->waiting.count || !self->packed.count)
        return self->waiting.count ? &self->waiting : &self->packed;
    points_empty (&self->both);
    for (int64_t at = begin_s; at < end_s;) {
        int64_t next = time_floor (at, HOUR_S) + HOUR_S;
        next = next < end_s ? next : end_s;
        if (s_join (self, level, at, next) == -1)
            return NULL;
        at = next;
    }
    return &self->both;
}

//  Returns 1 to go on, 0 to end, or -1.
static int
s_read_level (reader_t *self, int level, int64_t begin_s, int64_t end_s,
              int64_t step_s)
{
    int64_t at = time_floor (begin_s, kept[level].span_s);
    for (; at < end_s; at += kept[level].span_s) {
        int64_t next = at + kept[level].span_s;
        int64_t from = at > begin_s ? at : begin_s;
        int64_t to = next < end_s ? next : end_s;
        const points_t *points =
          reader_is_late (self) ? NULL : s_read_span (self, level, from, to);
        if (!points)
            return -1;
        if (!s_take_all (self, points, from, to, step_s))
            return 0;
    }
    return 1;
}

//  --------------------------------------------------------------------------
//  All levels: what is older is coarser

//  The coarsest that such intervals can be made of.
static int
s_level_for (int64_t resolution_s)
{
    int level = LEVELS - 1;
    while (resolution_s % kept[level].step_s)
        level--;
    return level;
}

//  Where the series has no points nothing is looked up. What is coarse may begin an hour
//  before its first one.
static void
s_clip (const reader_t *self, int64_t *from_s, int64_t *to_s)
{
    const series_entry_t *entry =
      catalog_series_of (self->store->catalog, self->query.series);
    int64_t first_s = entry ? time_floor (entry->first_s, HOUR_S) : 0;
    int64_t last_s = entry ? (int64_t) entry->last_s + 1 : 0;
    if (*from_s < first_s)
        *from_s = first_s;
    if (*to_s > last_s)
        *to_s = last_s;
}

//  Returns how coarse the coarsest is, or -1.
static int64_t
s_read (reader_t *self, int64_t from_s, int64_t to_s, int64_t resolution_s)
{
    int64_t coarsest = resolution_s;
    int finest = s_level_for (resolution_s), rc = 1;
    s_clip (self, &from_s, &to_s);
    fold_begin (&self->fold, 0);
    for (int level = LEVELS - 1; level >= finest && rc == 1; level--) {
        int64_t step_s = kept[level].step_s;
        int64_t begin_s =
          self->since_s[level] > from_s ? self->since_s[level] : from_s;
        int64_t end_s = to_s;
        if (level > finest && self->since_s[level - 1] < to_s)
            end_s = self->since_s[level - 1];
        if (step_s < resolution_s)
            step_s = resolution_s;
        if (begin_s >= end_s)
            continue;
        if (step_s > coarsest)
            coarsest = step_s;
        rc = s_read_level (self, level, begin_s, end_s, step_s);
    }
    if (rc == 1)
        s_give (self);
    return rc == -1 ? -1 : coarsest;
}

int64_t
reader_points (reader_t *self, int64_t series, int64_t from_s, int64_t to_s,
               int64_t resolution_s, point_fn *each, void *argument)
{
    const series_entry_t *entry;
    int64_t rc = resolution_s;
    if (resolution_s < 1 || reader_begin (self) == -1)
        return -1;
    from_s = from_s > 0 ? time_floor (from_s, resolution_s) : 0;
    to_s = time_floor (to_s + resolution_s - 1, resolution_s);
    entry = catalog_series_of (self->store->catalog, series);
    if (entry) {
        self->query = (query_t){
          series, {entry->seconds[0], entry->seconds[1]}, each, argument};
        rc = s_read (self, from_s, to_s, resolution_s);
    }
    reader_end (self);
    return rc;
}
