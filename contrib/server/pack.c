/*  pack - rows become chunks. The contract is in pack.h.

    Sections: chunks, a series, the rows of a slice, a pass.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "pack.h"
#include "chunk.h"
#include "log.h"
#include "sql.h"
#include "store_own.h"

#include <string.h>
#include <time.h>

enum {
    SLICE_ROWS = 16000,  //  at most, unless it is of one series
    SLICE_SERIES = 4096,
    SLICE_MS = 25,  //  that a slice is to take, about
};

static const char *const s_get[LEVELS] = {
  "SELECT data FROM chunk_0 WHERE id = ?1",
  "SELECT data FROM chunk_1 WHERE id = ?1",
  "SELECT data FROM chunk_2 WHERE id = ?1",
  "SELECT data FROM chunk_3 WHERE id = ?1",
};

static const char *const s_put[LEVELS] = {
  "REPLACE INTO chunk_0 VALUES (?1, ?2)",
  "REPLACE INTO chunk_1 VALUES (?1, ?2)",
  "REPLACE INTO chunk_2 VALUES (?1, ?2)",
  "REPLACE INTO chunk_3 VALUES (?1, ?2)",
};

int
pack_open (packer_t *self, sqlite3 *db)
{
    bool ready = true;
    self->width = 64;
    self->next_time = sql_prepare (
      db, "SELECT id FROM inbox WHERE id >= ?1 ORDER BY id LIMIT 1");
    self->rows = sql_prepare (db, "SELECT id, " INBOX_COLUMNS " FROM inbox"
                                  " WHERE id >= ?1 AND id < ?2");
    self->erase =
      sql_prepare (db, "DELETE FROM inbox WHERE id >= ?1 AND id < ?2");
    self->seen =
      sql_prepare (db, "UPDATE series SET first = min (ifnull (first, ?2), ?2),"
                       " last = max (ifnull (last, ?3), ?3) WHERE id = ?1");
    for (int level = 0; level < LEVELS; level++) {
        self->get[level] = sql_prepare (db, s_get[level]);
        self->put[level] = sql_prepare (db, s_put[level]);
        ready &= self->get[level] && self->put[level];
    }
    return ready && self->next_time && self->rows && self->erase && self->seen
             ? 0
             : -1;
}

void
pack_close (packer_t *self)
{
    points_t *lists[] = {&self->waiting, &self->rows_of, &self->old,
                         &self->merged,  &self->part,    &self->whole};
    buffer_t *buffers[] = {&self->hours, &self->times, &self->owners,
                           &self->order, &self->bytes};
    sqlite3_finalize (self->next_time);
    sqlite3_finalize (self->rows);
    sqlite3_finalize (self->erase);
    sqlite3_finalize (self->seen);
    for (int level = 0; level < LEVELS; level++) {
        sqlite3_finalize (self->get[level]);
        sqlite3_finalize (self->put[level]);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        points_clear (lists[i]);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        buffer_clear (buffers[i]);
}

//  --------------------------------------------------------------------------
//  Chunks

//  Puts what a chunk has in place of the points. One that is damaged has none.
//  Returns 1, 0 if there is no such chunk, or -1.
static int
s_load (packer_t *self, int level, int64_t time_s, int64_t series,
        points_t *points, bool *exact)
{
    sqlite3_stmt *row = self->get[level];
    int64_t begin_s = time_floor (time_s, kept[level].span_s);
    int rc;
    points_empty (points);
    *exact = false;
    sqlite3_bind_int64 (row, 1, kept_chunk (level, time_s, series));
    rc = sqlite3_step (row);
    if (rc == SQLITE_ROW
        && chunk_read (sqlite3_column_blob (row, 0),
                       (size_t) sqlite3_column_bytes (row, 0), begin_s,
                       kept[level].span_s, points, exact)
             == -1) {
        zb_log (LOG_ERR, "chunk_damaged", "series=%lld level=%d time=%lld",
                (long long) series, level, (long long) begin_s);
        points_empty (points);
    }
    sqlite3_reset (row);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int
s_store (packer_t *self, int level, int64_t time_s, int64_t series,
         const points_t *points, bool exact)
{
    self->bytes.size = 0;
    chunk_write (&self->bytes, points, time_floor (time_s, kept[level].span_s),
                 exact, self->rises);
    sqlite3_bind_int64 (self->put[level], 1,
                        kept_chunk (level, time_s, series));
    sqlite3_bind_blob (self->put[level], 2, self->bytes.text,
                       (int) self->bytes.size, SQLITE_STATIC);
    return sql_done (self->put[level]);
}

static void
s_add_range (points_t *self, const points_t *from, size_t begin, size_t end)
{
    for (; begin < end; begin++)
        points_add (self, &from->point[begin]);
}

//  Makes the rollup of an hour anew from what is finer.
static int
s_roll_up (packer_t *self, int level, int64_t hour_s, int64_t series,
           const points_t *finer)
{
    const kept_t *to = &kept[level];
    int64_t end_s = hour_s + HOUR_S;
    bool exact;
    points_empty (&self->part);
    points_fold (&self->part, finer, hour_s, end_s, to->step_s, to->shift);
    if (to->span_s == HOUR_S)
        return s_store (self, level, hour_s, series, &self->part, false);
    if (s_load (self, level, hour_s, series, &self->old, &exact) == -1)
        return -1;
    points_empty (&self->whole);
    s_add_range (&self->whole, &self->old, 0, points_at (&self->old, hour_s));
    s_add_range (&self->whole, &self->part, 0, self->part.count);
    s_add_range (&self->whole, &self->old, points_at (&self->old, end_s),
                 self->old.count);
    return s_store (self, level, hour_s, series, &self->whole, false);
}

//  --------------------------------------------------------------------------
//  A series: rows_of go to chunks of this hour

//  With raw points, or exact ones. Returns the finest level that is to be made of
//  them, or -1.
static int
s_pack_raw (packer_t *self, int64_t hour_s, int64_t series)
{
    bool exact;
    int found = s_load (self, LEVEL_RAW, hour_s, series, &self->old, &exact);
    if (found == 0) {
        if (s_load (self, LEVEL_MINUTE, hour_s, series, &self->old, &exact)
            == -1)
            return -1;
        if (!exact)
            points_empty (&self->old);
    }
    if (found == -1)
        return -1;
    points_merge (&self->merged, &self->old, &self->rows_of, 1);
    exact =
      !found && points_are_apart (&self->merged, kept[LEVEL_MINUTE].step_s);
    if (s_store (self, exact ? LEVEL_MINUTE : LEVEL_RAW, hour_s, series,
                 &self->merged, exact)
        == -1)
        return -1;
    return exact ? LEVEL_QUARTER : LEVEL_MINUTE;
}

//  Of an hour that has only rollups any more: the rows are added to the finest.
static int
s_pack_rolled (packer_t *self, int level, int64_t hour_s, int64_t series)
{
    const kept_t *to = &kept[level];
    bool exact;
    points_empty (&self->part);
    points_fold (&self->part, &self->rows_of, hour_s, hour_s + HOUR_S,
                 to->step_s, to->shift);
    if (s_load (self, level, hour_s, series, &self->old, &exact) == -1)
        return -1;
    points_merge (&self->merged, &self->old, &self->part, to->step_s);
    return s_store (self, level, hour_s, series, &self->merged, false) == -1
             ? -1
             : level + 1;
}

static int
s_pack_series (store_t *store, int64_t hour_s, int64_t series)
{
    packer_t *self = &store->packer;
    const points_t *rows = &self->rows_of;
    int level = 0;
    while (level < LEVELS && hour_s < store->since_s[level])
        level++;
    if (level == LEVELS) {
        self->ended += rows->count;
        return 0;
    }
    level = level == LEVEL_RAW ? s_pack_raw (self, hour_s, series)
                               : s_pack_rolled (self, level, hour_s, series);
    if (level == -1)
        return -1;
    for (; level < LEVELS; level++)
        if (s_roll_up (self, level, hour_s, series, &self->merged) == -1)
            return -1;
    sqlite3_bind_int64 (self->seen, 1, series);
    sqlite3_bind_int64 (self->seen, 2, rows->point[0].time_s);
    sqlite3_bind_int64 (self->seen, 3, rows->point[rows->count - 1].time_s);
    return sql_done (self->seen);
}

//  --------------------------------------------------------------------------
//  The rows of a slice: of some series, in one hour

//  Adds those of a second.
static int
s_collect_second (packer_t *self, int64_t time_s, int64_t from, int64_t to)
{
    int rc;
    sqlite3_bind_int64 (self->rows, 1, inbox_id (time_s, from));
    sqlite3_bind_int64 (self->rows, 2, inbox_id (time_s, to));
    while ((rc = sqlite3_step (self->rows)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64 (self->rows, 0);
        uint32_t owner = (uint32_t) inbox_series (id);
        inbox_read (self->rows, 1, time_s, &self->waiting);
        buffer_add (&self->owners, &owner, sizeof owner);
    }
    sqlite3_reset (self->rows);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  Collects the rows of series from .. to. Returns `to`, or less than that if there
//  would be too many rows; then it is to be tried again. -1: failed.
static int64_t
s_collect (packer_t *self, int64_t from, int64_t to)
{
    const int64_t *time_s = (const int64_t *) (void *) self->times.text;
    size_t count = self->times.size / sizeof *time_s;
    points_empty (&self->waiting);
    self->owners.size = 0;
    for (size_t i = 0; i < count; i++) {
        if (s_collect_second (self, time_s[i], from, to) == -1)
            return -1;
        if (self->waiting.count > SLICE_ROWS && to > from + 1)
            return from + (to - from) / 2;
    }
    return to;
}

//  Puts the rows in order of series; of one, they stay in order of time. Returns
//  where those of each begin, in `begin`.
static const uint32_t *
s_sort (packer_t *self, int64_t from, uint32_t begin[SLICE_SERIES + 1],
        size_t series)
{
    const uint32_t *owner = (const uint32_t *) (void *) self->owners.text;
    size_t rows = self->waiting.count;
    uint32_t *order;
    self->order.size = 0;
    order = (uint32_t *) (void *) buffer_room (&self->order,
                                               rows * sizeof *order + 1);
    memset (begin, 0, (series + 1) * sizeof *begin);
    for (size_t i = 0; i < rows; i++)
        begin[owner[i] - from + 1]++;
    for (size_t i = 0; i < series; i++)
        begin[i + 1] += begin[i];
    for (size_t i = 0; i < rows; i++)
        order[begin[owner[i] - from]++] = (uint32_t) i;
    memmove (begin + 1, begin, series * sizeof *begin);
    begin[0] = 0;
    return order;
}

//  Are its readings ones that rise?
static bool
s_rises (const store_t *store, int64_t series)
{
    const series_entry_t *entry = catalog_series_of (store->catalog, series);
    const metric_entry_t *metric =
      catalog_metric_of (store->catalog, entry->metric);
    return metric && metric->type == METRIC_COUNTER;
}

//  What is of no series any more is left out.
static int
s_pack_rows (store_t *store, int64_t hour_s, int64_t from, int64_t to)
{
    packer_t *self = &store->packer;
    uint32_t begin[SLICE_SERIES + 1];
    const uint32_t *order = s_sort (self, from, begin, (size_t) (to - from));
    for (int64_t series = from; series < to; series++) {
        uint32_t at = begin[series - from], end = begin[series - from + 1];
        if (at == end || !catalog_series_of (store->catalog, series))
            continue;
        self->rises = s_rises (store, series);
        points_empty (&self->rows_of);
        for (; at < end; at++)
            points_add (&self->rows_of, &self->waiting.point[order[at]]);
        if (s_pack_series (store, hour_s, series) == -1)
            return -1;
    }
    return 0;
}

static int
s_erase (packer_t *self, int64_t from, int64_t to)
{
    const int64_t *time_s = (const int64_t *) (void *) self->times.text;
    size_t count = self->times.size / sizeof *time_s;
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64 (self->erase, 1, inbox_id (time_s[i], from));
        sqlite3_bind_int64 (self->erase, 2, inbox_id (time_s[i], to));
        if (sql_done (self->erase) == -1)
            return -1;
    }
    return 0;
}

//  --------------------------------------------------------------------------
//  A pass

static const hour_t *
s_hour (const packer_t *self)
{
    return (const hour_t *) (void *) self->hours.text + self->hour;
}

//  The seconds of the hour that have rows.
static int
s_find_times (packer_t *self, int64_t hour_s)
{
    int64_t at = hour_s;
    int rc;
    self->times.size = 0;
    for (;;) {
        sqlite3_bind_int64 (self->next_time, 1, inbox_id (at, 0));
        rc = sqlite3_step (self->next_time);
        if (rc == SQLITE_ROW)
            at = inbox_time (sqlite3_column_int64 (self->next_time, 0));
        sqlite3_reset (self->next_time);
        if (rc != SQLITE_ROW || at >= hour_s + HOUR_S)
            return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
        buffer_add (&self->times, &at, sizeof at);
        at++;
    }
}

void
pack_begin (store_t *store, int64_t before_s)
{
    packer_t *self = &store->packer;
    self->hours.size = 0;
    for (size_t i = 0; i < store->hours.count; i++)
        if (store->hours.hour[i].begin_s <= before_s - HOUR_S)
            buffer_add (&self->hours, &store->hours.hour[i], sizeof (hour_t));
    self->hour = 0;
    self->series = 0;
    self->active = true;
}

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  Slices are as long as one may wait for the lock.
static void
s_adapt (packer_t *self, int64_t took_ms)
{
    if (took_ms > SLICE_MS && self->width > 1)
        self->width /= 2;
    if (took_ms < SLICE_MS / 3 && self->width < SLICE_SERIES)
        self->width *= 2;
}

//  Returns the end of what was packed, or -1.
static int64_t
s_pack (store_t *store)
{
    packer_t *self = &store->packer;
    int64_t from = self->series, to = from + self->width, end;
    int64_t last = catalog_series_end (store->catalog);
    to = to > last ? last : to;
    while ((end = s_collect (self, from, to)) < to) {
        if (end == -1)
            return -1;
        to = end;
        self->width = to - from;
    }
    if (s_pack_rows (store, s_hour (self)->begin_s, from, to) == -1
        || s_erase (self, from, to) == -1)
        return -1;
    return to;
}

static void
s_count (store_t *store)
{
    packer_t *self = &store->packer;
    pthread_mutex_lock (&store->lock);
    store->stats.packed += self->waiting.count;
    store->stats.dropped += self->ended;
    pthread_mutex_unlock (&store->lock);
}

//  Of hours that have no rows any more, readers need not look for them. Who reads now
//  may still see some; then it is left as it is.
static void
s_expect_none (store_t *store, int64_t hour_s)
{
    int odd = (int) (hour_s / HOUR_S % 2);
    if (hours_have (&store->hours, odd))
        return;
    if (gate_close (&store->gate, 0))
        catalog_expect_none (store->catalog, odd);
    gate_open (&store->gate);
}

//  Goes on behind what was packed: to the next hour, when all series are done.
static void
s_advance (store_t *store, int64_t end)
{
    packer_t *self = &store->packer;
    self->series = end;
    if (end < catalog_series_end (store->catalog))
        return;
    hours_take (&store->hours, s_hour (self)->begin_s, s_hour (self)->rows);
    s_expect_none (store, s_hour (self)->begin_s);
    self->hour++;
    self->series = 0;
}

int
pack_slice (store_t *store)
{
    packer_t *self = &store->packer;
    int64_t began_ms = s_now_ms (), end;
    self->active = self->hour < self->hours.size / sizeof (hour_t);
    if (!self->active)
        return 0;
    if (self->series == 0
        && s_find_times (self, s_hour (self)->begin_s) == -1) {
        self->active = false;
        return -1;
    }
    self->ended = 0;
    end = store_begin (store) == 0 ? s_pack (store) : -1;
    if (end == -1 || store_commit (store) == -1) {
        store_rollback (store);
        self->active = false;
        return -1;
    }
    s_count (store);
    s_advance (store, end);
    s_adapt (self, s_now_ms () - began_ms);
    return 1;
}
