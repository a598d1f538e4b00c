/*  trim - what goes. The contract is in trim.h.

    What is before since_s of a level is not seen any more, from one moment to the
    next. Its chunks are then deleted in slices.

    Sections: what is kept, chunks, keys, pages, when there is too much, slices.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "trim.h"
#include "chunk.h"
#include "log.h"
#include "sql.h"
#include "store_own.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECK_S = 60,
    DAY_S = 24 * HOUR_S,
    SLICE_CHUNKS = 1000,
    SLICE_KEYS = 1000,
    SLICE_PAGES = 500,
    KEYS_MOST = 4000000,
    KEYS_SHARE = 8,  //  of --max-bytes they may take so much: an eighth
    KEY_BYTES = 32,  //  that a key takes beside itself, about
    KEYS_S = 7 * DAY_S,
    PAGES_LEFT = 4096,   //  free ones that are kept, for what comes
    SLACK_PAGES = 4096,  //  above --max-bytes, before nothing is written
};

#define EACH_LEVEL(before, after)                                              \
    {                                                                          \
        before "0" after, before "1" after, before "2" after, before "3" after \
    }

static const char *const s_oldest[LEVELS] =
  EACH_LEVEL ("SELECT id FROM chunk_", " ORDER BY id LIMIT 1");
static const char *const s_some[LEVELS] = EACH_LEVEL (
  "SELECT id, data FROM chunk_", " WHERE id < ?1 ORDER BY id LIMIT ?2");
static const char *const s_erase[LEVELS] =
  EACH_LEVEL ("DELETE FROM chunk_", " WHERE id <= ?1");

//  --------------------------------------------------------------------------
//  What is kept

static int
s_read_since (store_t *store)
{
    sqlite3_stmt *row =
      sql_prepare (store->db, "SELECT since FROM level ORDER BY level");
    int level = 0;
    while (level < LEVELS && sqlite3_step (row) == SQLITE_ROW)
        store->since_s[level++] = sqlite3_column_int64 (row, 0);
    sqlite3_finalize (row);
    return level == LEVELS ? 0 : -1;
}

static int
s_set_since (store_t *store, int level, int64_t since_s)
{
    trim_t *self = &store->trim;
    sqlite3_bind_int (self->keep, 1, level);
    sqlite3_bind_int64 (self->keep, 2, since_s);
    if (sql_done (self->keep) == -1)
        return -1;
    store->since_s[level] = since_s;
    return 0;
}

//  A level that is kept since a time that has not come was ended by a clock that was
//  ahead: what comes would not be seen. Where there are rows behind that time, it is
//  the clock of now that is slow.
static int
s_mend_since (store_t *store)
{
    for (int level = 0; level < LEVELS; level++)
        if (store->since_s[level] > store->now_s
            && store->since_s[level] > store->newest_s
            && s_set_since (store, level, 0) == -1)
            return -1;
    return 0;
}

int
trim_open (store_t *store)
{
    trim_t *self = &store->trim;
    sqlite3 *db = store->db;
    bool ready = true;
    self->keep =
      sql_prepare (db, "UPDATE level SET since = ?2 WHERE level = ?1");
    self->key = sql_prepare (db, "SELECT key, time FROM request WHERE key > ?1"
                                 " ORDER BY key LIMIT ?2");
    self->forget = sql_prepare (
      db, "DELETE FROM request WHERE key > ?1 AND key <= ?2 AND time < ?3");
    self->keep_keys_s = KEYS_S;
    store_prove (store);
    self->pages = sql_prepare (db, "PRAGMA page_count");
    self->free_pages = sql_prepare (db, "PRAGMA freelist_count");
    for (int level = 0; level < LEVELS; level++) {
        self->oldest[level] = sql_prepare (db, s_oldest[level]);
        self->some[level] = sql_prepare (db, s_some[level]);
        self->erase[level] = sql_prepare (db, s_erase[level]);
        ready &= self->oldest[level] && self->some[level] && self->erase[level];
        self->dirty[level] = true;
    }
    return ready && self->keep && self->key && self->forget && self->pages
               && self->free_pages && s_read_since (store) == 0
             ? s_mend_since (store)
             : -1;
}

void
trim_close (trim_t *self)
{
    sqlite3_finalize (self->keep);
    sqlite3_finalize (self->key);
    sqlite3_finalize (self->forget);
    sqlite3_finalize (self->pages);
    sqlite3_finalize (self->free_pages);
    for (int level = 0; level < LEVELS; level++) {
        sqlite3_finalize (self->oldest[level]);
        sqlite3_finalize (self->some[level]);
        sqlite3_finalize (self->erase[level]);
    }
}

//  What is finer is not kept for longer.
static void
s_keep_since (store_t *store, int coarsest, int64_t since_s)
{
    trim_t *self = &store->trim;
    int64_t before_s[LEVELS];
    int rc = store_begin (store);
    memcpy (before_s, store->since_s, sizeof before_s);
    for (int level = 0; level <= coarsest && rc == 0; level++) {
        if (store->since_s[level] >= since_s)
            continue;
        rc = s_set_since (store, level, since_s);
        self->dirty[level] = true;
    }
    if (rc == 0 && store_commit (store) == 0)
        return;
    store_rollback (store);
    memcpy (store->since_s, before_s, sizeof before_s);
}

static int64_t
s_retention_s (const store_t *store, int level)
{
    const store_options_t *options = &store->options;
    const int64_t keep_s[LEVELS] = {options->keep_raw_s, options->keep_60_s,
                                    options->keep_900_s, options->keep_3600_s};
    return keep_s[level];
}

//  A clock that is ahead ends nothing by itself: store_time_s.
static int64_t
s_over_s (const store_t *store, int level)
{
    return store_time_s (store) - s_retention_s (store, level);
}

//  Whole chunks go.
static void
s_end_what_is_old (store_t *store)
{
    s_mend_since (store);
    store_prove (store);
    for (int level = LEVELS - 1; level >= 0; level--) {
        int64_t since_s =
          time_floor (s_over_s (store, level), kept[level].span_s);
        if (since_s > store->since_s[level])
            s_keep_since (store, level, since_s);
    }
}

//  --------------------------------------------------------------------------
//  Chunks from before since_s

//  Finds the last of a slice. Adds up the points that go though their time is not
//  over. Returns how many chunks there are.
static int
s_find_some (store_t *store, int level, int64_t end, int64_t *last,
             uint64_t *dropped)
{
    sqlite3_stmt *row = store->trim.some[level];
    int64_t over_s = s_over_s (store, level);
    int count = 0;
    sqlite3_bind_int64 (row, 1, end);
    sqlite3_bind_int (row, 2, SLICE_CHUNKS);
    for (; sqlite3_step (row) == SQLITE_ROW; count++) {
        *last = sqlite3_column_int64 (row, 0);
        if ((*last >> 32) * HOUR_S + kept[level].span_s > over_s)
            *dropped += chunk_count (sqlite3_column_blob (row, 1),
                                     (size_t) sqlite3_column_bytes (row, 1));
    }
    sqlite3_reset (row);
    return count;
}

static void
s_erase_some (store_t *store, int level)
{
    trim_t *self = &store->trim;
    int64_t end = kept_chunk (level, store->since_s[level], 0), last = 0;
    uint64_t dropped = 0;
    int count = 0, rc = store_begin (store);
    if (rc == 0)
        count = s_find_some (store, level, end, &last, &dropped);
    if (count) {
        sqlite3_bind_int64 (self->erase[level], 1, last);
        rc = sql_done (self->erase[level]);
    }
    if (rc == -1 || store_commit (store) == -1) {
        store_rollback (store);
        dropped = 0;
    }
    self->dirty[level] = count == SLICE_CHUNKS;
    pthread_mutex_lock (&store->lock);
    store->stats.dropped += dropped;
    pthread_mutex_unlock (&store->lock);
}

//  --------------------------------------------------------------------------
//  Keys of requests

//  How many times as many there are as there may be. Their share is what they may take
//  when there is no room.
static double
s_too_many_keys (const store_t *store)
{
    const trim_t *self = &store->trim;
    double share = (double) store->options.max_bytes / KEYS_SHARE + 1;
    double over = (double) self->keys / KEYS_MOST;
    return self->hurry ? fmax (over, (double) self->key_bytes / share) : over;
}

//  After a round, they are kept for less time if there are too many, else for more.
static void
s_end_round (store_t *store)
{
    trim_t *self = &store->trim;
    double over = s_too_many_keys (store);
    if (over > 1)
        self->keep_keys_s = (int64_t) ((double) self->keep_keys_s / over);
    else if (self->keep_keys_s < KEYS_S)
        self->keep_keys_s += self->keep_keys_s / 16 + 1;
    self->hurry = self->hurry && over > 1 && self->keep_keys_s > 0;
    if (!self->hurry)
        self->keys_fit_s = store->now_s + CHECK_S;
    self->keys = self->key_bytes = 0;
    self->at_size = 0;
}

//  Before points end to make room, keys do that take more than their share. Returns
//  whether it is not yet known that they do not.
static bool
s_keys_first (store_t *store)
{
    trim_t *self = &store->trim;
    if (!self->hurry && store->now_s >= self->keys_fit_s) {
        self->hurry = true;
        self->keys = self->key_bytes = 0;
        self->at_size = 0;
    }
    return self->hurry;
}

//  Deletes those of a slice that are too old.
static void
s_forget (store_t *store, const void *last, size_t size, int64_t old_s,
          int64_t bytes_each)
{
    trim_t *self = &store->trim;
    int64_t gone;
    sqlite3_bind_blob (self->forget, 1, self->at, (int) self->at_size,
                       SQLITE_STATIC);
    sqlite3_bind_blob (self->forget, 2, last, (int) size, SQLITE_STATIC);
    sqlite3_bind_int64 (self->forget, 3, old_s);
    gone = sql_done (self->forget) == 0 ? sqlite3_changes (store->db) : 0;
    self->keys -= gone;
    self->key_bytes -= gone * bytes_each;
}

//  Goes on through the keys, in their order.
static void
s_forget_some (store_t *store)
{
    trim_t *self = &store->trim;
    int64_t old_s = store_time_s (store) - self->keep_keys_s, bytes = 0;
    unsigned char last[256];
    size_t size = 0;
    int count = 0;
    bool old = false;
    sqlite3_bind_blob (self->key, 1, self->at, (int) self->at_size,
                       SQLITE_STATIC);
    sqlite3_bind_int (self->key, 2, SLICE_KEYS);
    for (; sqlite3_step (self->key) == SQLITE_ROW; count++) {
        const void *key = sqlite3_column_blob (self->key, 0);
        size = (size_t) sqlite3_column_bytes (self->key, 0);
        memcpy (last, key, size);
        bytes += (int64_t) size + KEY_BYTES;
        old |= sqlite3_column_int64 (self->key, 1) < old_s;
    }
    sqlite3_reset (self->key);
    self->keys += count;
    self->key_bytes += bytes;
    if (old)
        s_forget (store, last, size, old_s, bytes / count);
    memcpy (self->at, last, size);
    self->at_size = size;
    if (count < SLICE_KEYS)
        s_end_round (store);
}

//  --------------------------------------------------------------------------
//  Pages

static int64_t
s_number (sqlite3_stmt *statement)
{
    int64_t number = 0;
    if (sqlite3_step (statement) == SQLITE_ROW)
        number = sqlite3_column_int64 (statement, 0);
    sqlite3_reset (statement);
    return number;
}

//  An hour's free pages are the next one's. What was free for a day is too much.
static void
s_count_pages (store_t *store)
{
    trim_t *self = &store->trim;
    int64_t unused = s_number (self->free_pages);
    self->used_pages = s_number (self->pages) - unused;
    if (unused < self->idle_pages)
        self->idle_pages = unused;
    if (store->now_s < self->day_s)
        return;
    if (self->day_s && self->idle_pages > PAGES_LEFT)
        self->give_back = self->idle_pages - PAGES_LEFT;
    self->day_s = store->now_s + DAY_S;
    self->idle_pages = unused;
}

static void
s_give_back_some (store_t *store)
{
    char text[64];
    snprintf (text, sizeof text, "PRAGMA incremental_vacuum (%d)", SLICE_PAGES);
    sql_run (store->db, text);
    store->trim.give_back -= SLICE_PAGES;
}

int64_t
trim_bytes (const store_t *store)
{
    return store->trim.used_pages * TRIM_PAGE;
}

//  --------------------------------------------------------------------------
//  When there is too much

//  The begin of the oldest chunk of a level, or INT64_MAX.
static int64_t
s_oldest_s (store_t *store, int level)
{
    sqlite3_stmt *row = store->trim.oldest[level];
    int64_t oldest_s = INT64_MAX;
    if (sqlite3_step (row) == SQLITE_ROW)
        oldest_s = (sqlite3_column_int64 (row, 0) >> 32) * HOUR_S;
    sqlite3_reset (row);
    return oldest_s;
}

static void
s_say_too_much (store_t *store, int level, int64_t since_s)
{
    trim_t *self = &store->trim;
    if (store->now_s < self->said_s + CHECK_S)
        return;
    self->said_s = store->now_s;
    zb_log (
      LOG_WARNING, "store_full",
      "bytes=%lld max=%lld dropped_resolution=%lld dropped_before=%lld",
      (long long) trim_bytes (store), (long long) store->options.max_bytes,
      level < LEVELS ? (long long) kept[level].step_s : 0, (long long) since_s);
}

//  The finest goes first, the oldest of it. A span that is not over stays: what comes
//  would not be seen. Then all that can be done is to take no more.
static void
s_end_some (store_t *store)
{
    int64_t since_s = 0;
    int level;
    for (level = 0; level < LEVELS; level++) {
        int64_t oldest_s = s_oldest_s (store, level);
        if (oldest_s <= store->now_s - kept[level].span_s) {
            since_s = oldest_s + kept[level].span_s;
            s_keep_since (store, level, since_s);
            break;
        }
    }
    s_say_too_much (store, level, since_s);
}

//  What is of no use goes first: what has ended already, names without points, keys that
//  are too many. The log is short, or will be when readers have gone: no points end for it, but
//  nothing is written either when it is too long.
static void
s_check_size (store_t *store)
{
    trim_t *self = &store->trim;
    int64_t most = store->options.max_bytes / TRIM_PAGE;
    int64_t more = most + most / 8 + SLACK_PAGES;
    bool dirty = false;
    for (int level = 0; level < LEVELS; level++)
        dirty |= self->dirty[level];
    if (self->used_pages > most && !dirty && !sweep_is_due (store)
        && !s_keys_first (store))
        s_end_some (store);
    self->full = self->used_pages + store->wal_pages > more;
}

//  --------------------------------------------------------------------------
//  Slices

static void
s_check_times (store_t *store)
{
    if (store->now_s < store->trim.check_at_s)
        return;
    store->trim.check_at_s = store->now_s + CHECK_S;
    s_end_what_is_old (store);
}

void
trim_clock_back (trim_t *self)
{
    self->check_at_s = 0;
    self->keys_at_s = 0;
    self->keys_fit_s = 0;
    self->day_s = 0;
    self->said_s = 0;
}

bool
trim_slice (store_t *store)
{
    trim_t *self = &store->trim;
    s_check_times (store);
    s_count_pages (store);
    s_check_size (store);
    for (int level = 0; level < LEVELS; level++)
        if (self->dirty[level]) {
            s_erase_some (store, level);
            return true;
        }
    if (self->hurry || store->now_s >= self->keys_at_s) {
        self->keys_at_s = store->now_s + 1;
        s_forget_some (store);
    }
    if (self->give_back > 0)
        s_give_back_some (store);
    return self->give_back > 0 || self->hurry;
}
