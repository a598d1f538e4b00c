/*  store_tend - what the writer does between batches, in slices

    The log of SQLite, which each commit makes longer, is written back when it is
    some pages long. It begins anew if nobody reads what is in it just then.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "log.h"
#include "sql.h"

enum {
    IDLE_MS = 1000,
    WAL_PAGES = 2000,      //  that are written back: 16 MB
    WAL_PAGES_MOST = 8000  //  then readers have to wait
};

static int
s_committed (void *argument, sqlite3 *db, const char *name, int pages)
{
    store_t *self = (store_t *) argument;
    (void) db, (void) name;
    atomic_store_explicit (&self->wal_pages, pages, memory_order_relaxed);
    return SQLITE_OK;
}

int
store_tend_open (store_t *self)
{
    sqlite3_wal_hook (self->db, s_committed, self);
    return 0;
}

void
store_tend_close (store_t *self)
{
    (void) self;
}

//  --------------------------------------------------------------------------
//  The log

//  Our own readers are done soon. Of another process's it is said that it does not
//  end, and the log grows on.
static void
s_restart_wal (store_t *self)
{
    enum { WAIT_MS = 2000 };
    int pages = 0;
    gate_close (&self->gate, WAIT_MS);
    sqlite3_wal_checkpoint_v2 (self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                               &pages, NULL);
    gate_open (&self->gate);
    if (pages <= 0)
        self->wal_pages = 0;
}

static void
s_write_back (store_t *self)
{
    if (self->wal_pages > WAL_PAGES_MOST)
        s_restart_wal (self);
    else if (self->wal_pages > WAL_PAGES)
        sqlite3_wal_checkpoint_v2 (self->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                   NULL, NULL);
}

int64_t
store_tend (store_t *self)
{
    s_write_back (self);
    return IDLE_MS;
}
