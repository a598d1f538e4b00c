/*  store_sync - what is committed reaches the disk, on a thread of its own

        writer ── commit ──▶ groups ──▶ syncer ── sync ──▶ done
           └────── the next group meanwhile

    With synchronous=FULL, SQLite syncs its log at the end of each commit, and the
    writer would have to wait for the disk. With synchronous=NORMAL a commit is only
    written to the log, and the sync that it leaves out is done here, on the same file.
    The promise is the same: nobody hears of a batch before a sync has ended that began
    after its commit. All other syncs are SQLite's own in both cases: that of a new
    log's header, and those of log and database when the log is written back.

    When a sync fails, the next one would succeed though something is lost: Linux takes
    pages for clean that could not be written. So after a failure nothing is said to be
    stored until the whole log has been written once more, and synced. Until then it is
    not written back to the database either: after a power loss, the database would have
    new pages, and the log old ones, which SQLite would put in their place.

    Of the groups that failed rows may be there nevertheless: a request that comes again
    without a key is added again, as it is after an answer that was lost.

    Linux reports the failure once per open file, to whoever syncs first. Therefore the
    writer never writes the log back while a group waits for its sync.

    Sections: the syncer's thread, the writer's, start and end.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "log.h"
#include "sql.h"

#include <czmq.h>

enum {
    SYNC_US = 10000,  //  that a sync is said to take, at most
    AGAIN_S = 5,
    PIECE_BYTES = 16 * 1024
};

static int
syncer_sync (syncer_t *self)
{
    int64_t began_us = zclock_usecs ();
    int rc = self->log->pMethods->xSync (self->log, SQLITE_SYNC_NORMAL);
    int64_t took_us = zclock_usecs () - began_us;
    self->took_us = took_us < SYNC_US ? took_us : SYNC_US;
    return rc == SQLITE_OK ? 0 : -1;
}

void
store_finish (store_t *self, batch_t *list)
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

//  --------------------------------------------------------------------------
//  The syncer's thread

//  Takes all groups that are committed. Returns false at the end. Called with the
//  store's lock held.
static bool
syncer_take (syncer_t *self, pthread_mutex_t *lock, batch_t **list)
{
    while (!self->first && !self->wanted && !self->ending)
        pthread_cond_wait (&self->work, lock);
    *list = self->first;
    self->busy = self->first || self->wanted;
    self->first = NULL;
    self->wanted = false;
    return self->busy;
}

//  Nothing is said to be stored, whatever became of it.
static void
s_fail (batch_t *list)
{
    for (; list; list = list->next)
        list->result = BATCH_FAILED;
}

static void
s_tear (store_t *self)
{
    self->syncer.torn = true;
    zb_log (LOG_ERR, "store_failed", "path=\"%s\" reason=\"%s\"", self->path,
            "its log cannot be synced");
}

static void *
s_syncer (void *argument)
{
    store_t *self = (store_t *) argument;
    syncer_t *syncer = &self->syncer;
    batch_t *list;
    pthread_mutex_lock (&self->lock);
    while (syncer_take (syncer, &self->lock, &list)) {
        pthread_mutex_unlock (&self->lock);
        if (!syncer->torn && syncer_sync (syncer) == -1)
            s_tear (self);
        if (syncer->torn)
            s_fail (list);
        store_finish (self, list);
        pthread_mutex_lock (&self->lock);
        syncer->busy = false;
        pthread_cond_signal (&syncer->idle);
    }
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

//  --------------------------------------------------------------------------
//  The writer's thread

void
store_sync_later (store_t *self, batch_t *list)
{
    syncer_t *syncer = &self->syncer;
    batch_t *last = list;
    while (last->next)
        last = last->next;
    pthread_mutex_lock (&self->lock);
    if (syncer->first)
        syncer->last->next = list;
    else
        syncer->first = list;
    syncer->last = last;
    pthread_cond_signal (&syncer->work);
    pthread_mutex_unlock (&self->lock);
}

int
store_sync_now (store_t *self)
{
    syncer_t *syncer = &self->syncer;
    int rc;
    pthread_mutex_lock (&self->lock);
    syncer->wanted = syncer->unsynced;
    pthread_cond_signal (&syncer->work);
    while (syncer->first || syncer->wanted || syncer->busy)
        pthread_cond_wait (&syncer->idle, &self->lock);
    rc = syncer->torn ? -1 : 0;
    pthread_mutex_unlock (&self->lock);
    syncer->unsynced = false;
    return rc;
}

//  Writes to the log what it has, so that Linux takes its pages for changed.
static int
s_copy (sqlite3_file *log)
{
    char bytes[PIECE_BYTES];
    const sqlite3_io_methods *methods = log->pMethods;
    sqlite3_int64 size;
    int rc = methods->xFileSize (log, &size);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size;
         at += PIECE_BYTES) {
        int count = size - at < PIECE_BYTES ? (int) (size - at) : PIECE_BYTES;
        rc = methods->xRead (log, bytes, count, at);
        if (rc == SQLITE_OK)
            rc = methods->xWrite (log, bytes, count, at);
    }
    return rc == SQLITE_OK ? 0 : -1;
}

//  In a transaction, for another process may write, too: what it has written to the log
//  between reading and writing would be gone.
static int
s_write_again (store_t *self)
{
    int rc = sql_done (self->begin);
    if (rc == -1)
        return -1;
    rc = s_copy (self->syncer.log);
    if (rc == 0)
        rc = syncer_sync (&self->syncer);
    sql_done (self->rollback);
    return rc;
}

int
store_sync_mend (store_t *self)
{
    syncer_t *syncer = &self->syncer;
    if (!syncer->torn)
        return 0;
    if (self->now_s < syncer->mend_at_s)
        return -1;
    store_sync_now (self);
    if (s_write_again (self) == 0) {
        //  the next change that goes well says that it can be written again
        self->failing = true;
        syncer->torn = false;
    }
    else
        syncer->mend_at_s = self->now_s + AGAIN_S;
    return syncer->torn ? -1 : 0;
}

//  --------------------------------------------------------------------------
//  Start and end

int
store_sync_open (store_t *self)
{
    syncer_t *syncer = &self->syncer;
    if (sql_run (self->db, "PRAGMA synchronous = NORMAL") == -1
        || sqlite3_file_control (self->db, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                 &syncer->log)
             != SQLITE_OK
        || !syncer->log->pMethods)
        return -1;
    //  what a process before this one could not sync looks as if it were on disk
    if (s_write_again (self) == -1)
        s_tear (self);
    syncer->runs = pthread_create (&syncer->thread, NULL, s_syncer, self) == 0;
    return syncer->runs ? 0 : -1;
}

//  SQLite writes the log back when it closes the database.
void
store_sync_close (store_t *self)
{
    syncer_t *syncer = &self->syncer;
    if (!syncer->runs)
        return;
    store_sync_now (self);
    if (store_sync_mend (self) == -1)
        sqlite3_db_config (self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    pthread_mutex_lock (&self->lock);
    syncer->ending = true;
    pthread_cond_signal (&syncer->work);
    pthread_mutex_unlock (&self->lock);
    pthread_join (syncer->thread, NULL);
}
