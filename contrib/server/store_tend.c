/*  store_tend - what the writer does between batches, in slices

    The log of SQLite, which each commit makes longer, is written back when it is
    some pages long. It begins anew if nobody reads what is in it just then.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "log.h"
#include "sql.h"

enum {
    IDLE_MS = 1000,
    WAL_PAGES = 2000,       //  that are written back: 16 MB
    WAL_PAGES_MOST = 8000,  //  then readers have to wait
    WAIT_MS = 2000,         //  so long, and again after
    AGAIN_S = 5,
    GRACE_S = 120,         //  after an hour, for what comes late
    INBOX_MOST = 4000000,  //  rows that wait, at most, until they are packed
};

//  Keeps note of how long the log is.
static int
s_committed (void *argument, sqlite3 *db, const char *name, int pages)
{
    store_t *self = (store_t *) argument;
    (void) db, (void) name;
    self->wal_pages = pages;
    return SQLITE_OK;
}

int
store_tend_open (store_t *self)
{
    sqlite3_wal_hook (self->db, s_committed, self);
    return pack_open (&self->packer, self->db) == 0 && trim_open (self) == 0
               && sweep_open (&self->sweep, self->db) == 0
             ? 0
             : -1;
}

void
store_tend_close (store_t *self)
{
    pack_close (&self->packer);
    trim_close (&self->trim);
    sweep_close (&self->sweep);
}

//  --------------------------------------------------------------------------
//  The log

//  Our own readers are done soon, since others wait outside until they are. When
//  another process does not end its reading, the log has to grow.
static void
s_restart_wal (store_t *self)
{
    bool alone = gate_close (&self->gate, WAIT_MS);
    int rc;
    sqlite3_busy_timeout (self->db, 1);
    rc = sqlite3_wal_checkpoint_v2 (self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                    NULL, NULL);
    sqlite3_busy_timeout (self->db, SQL_BUSY_MS);
    gate_open (&self->gate);
    if (rc == SQLITE_OK)
        self->wal_pages = 0;
    else {
        self->restart_at_s = self->now_s + AGAIN_S;
        zb_log (LOG_WARNING, "log_grows", "path=\"%s-wal\" pages=%d who=%s",
                self->path, self->wal_pages,
                alone ? "another-process" : "reader");
    }
}

//  When all is written back, the next commit begins the log anew, if it can.
static void
s_write_back (store_t *self)
{
    int pages = 0, done = -1;
    if (self->wal_pages > WAL_PAGES_MOST && self->now_s >= self->restart_at_s)
        s_restart_wal (self);
    else if (self->wal_pages > WAL_PAGES)
        sqlite3_wal_checkpoint_v2 (self->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                   &pages, &done);
    if (pages == done)
        self->wal_pages = 0;
}

//  --------------------------------------------------------------------------
//  Packing: when an hour is over, or the inbox is full

static void
s_begin_to_pack (store_t *self)
{
    int64_t over_s = time_floor (self->now_s - GRACE_S, HOUR_S);
    if (hours_rows (&self->hours) > INBOX_MOST)
        pack_begin (self, INT64_MAX);
    else if (self->now_s >= self->pack_at_s) {
        self->pack_at_s = over_s + HOUR_S + GRACE_S;
        pack_begin (self, over_s);
    }
}

//  Returns whether there is more.
static bool
s_pack (store_t *self)
{
    if (!self->packer.active)
        s_begin_to_pack (self);
    if (!self->packer.active)
        return false;
    if (pack_slice (self) == -1) {
        self->pack_at_s = self->now_s + AGAIN_S;
        return false;
    }
    return self->packer.active;
}

//  --------------------------------------------------------------------------

static void
s_tell_size (store_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->stats.bytes = trim_bytes (self);
    past_note (&self->past, self->now_s, &self->stats);
    pthread_mutex_unlock (&self->lock);
}

int64_t
store_tend (store_t *self)
{
    bool more;
    s_write_back (self);
    more = s_pack (self);
    more |= trim_slice (self);
    more |= sweep_slice (self);
    s_tell_size (self);
    return more ? 0 : IDLE_MS;
}
