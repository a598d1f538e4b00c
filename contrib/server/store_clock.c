/*  store_clock - what time it is, for the store

    What is to be done at a time of the wall clock must not wait for days because
    that clock was ahead for a moment. And what is kept for a time must not end because
    of a clock that is wrong: neither by itself, nor by the rows of a few hours that had
    their time from it. So the clock is believed as far as rows of a whole day prove it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "clock.h"
#include "log.h"
#include "kept.h"
#include "sql.h"
#include "store_own.h"

enum {
    SAY_S = HOUR_S,  //  when the clock is set so far, it is said
    DAY_S = 24 * HOUR_S,
    GAP_S = 2 * HOUR_S,
};

//  --------------------------------------------------------------------------
//  What time rows prove

//  The first column of the first row, or 0. The statement is freed.
static int64_t
s_first (sqlite3_stmt *statement, int64_t argument)
{
    int64_t number = 0;
    sqlite3_bind_int64 (statement, 1, argument);
    if (sqlite3_step (statement) == SQLITE_ROW)
        number = sqlite3_column_int64 (statement, 0);
    sqlite3_finalize (statement);
    return number;
}

//  The time of the newest row that is not after the given one by more than an hour, as
//  far as it can be told: rows are packed by the hour or more. 0 if there is none.
static int64_t
s_newest_until (store_t *self, int64_t time_s)
{
    static const char *const chunks[LEVELS] = {
      [LEVEL_MINUTE] =
        "SELECT id FROM chunk_1 WHERE id < ?1 ORDER BY id DESC LIMIT 1",
      [LEVEL_QUARTER] =
        "SELECT id FROM chunk_2 WHERE id < ?1 ORDER BY id DESC LIMIT 1",
      [LEVEL_HOUR] =
        "SELECT id FROM chunk_3 WHERE id < ?1 ORDER BY id DESC LIMIT 1"};
    int64_t newest_s = inbox_time (
      s_first (sql_prepare (self->db, "SELECT id FROM inbox WHERE id < ?1"
                                      " ORDER BY id DESC LIMIT 1"),
               inbox_id (time_s + 1, 0)));
    for (int level = LEVEL_MINUTE; level < LEVELS; level++) {
        int64_t begin_s = time_s + HOUR_S - kept[level].span_s;
        int64_t id = s_first (sql_prepare (self->db, chunks[level]),
                              (begin_s / HOUR_S + 1) << 32);
        if ((id >> 32) * HOUR_S > newest_s)
            newest_s = (id >> 32) * HOUR_S;
    }
    return newest_s;
}

//  Where nothing was measured for hours before that day, its rows may have their time
//  from a clock that is wrong.
void
store_prove (store_t *self)
{
    int64_t day_before_s = self->newest_s - DAY_S;
    int64_t row_s = self->newest_s ? s_newest_until (self, day_before_s) : 0;
    bool gap = row_s && day_before_s - row_s > GAP_S;
    self->proven_s = row_s ? row_s : day_before_s;
    self->latest_s = (gap ? row_s : self->newest_s) + HOUR_S;
}

int64_t
store_time_s (const store_t *self)
{
    return self->now_s < self->latest_s ? self->now_s : self->latest_s;
}

//  --------------------------------------------------------------------------
//  The clock

static void
s_say_moved (const store_t *self, int64_t before_s, int64_t moved_s)
{
    if (moved_s > SAY_S || moved_s < -SAY_S)
        zb_log (LOG_WARNING, "clock_moved", "by=%lld before=%lld now=%lld",
                (long long) moved_s, (long long) before_s,
                (long long) self->now_s);
}

static void
s_all_is_due (store_t *self)
{
    self->pack_at_s = 0;
    self->restart_at_s = 0;
    self->full_said_s = 0;
    trim_clock_back (&self->trim);
}

void
store_look (store_t *self)
{
    int64_t before_s = self->now_s, before_ms = self->looked_ms;
    int64_t (*now_us) (void) = self->options.wall_us;
    self->now_s = (now_us ? now_us () : wall_us ()) / 1000000;
    self->looked_ms = boot_ms ();
    if (!before_s)
        return;
    s_say_moved (self, before_s,
                 self->now_s - before_s - (self->looked_ms - before_ms) / 1000);
    if (self->now_s < before_s)
        s_all_is_due (self);
}
