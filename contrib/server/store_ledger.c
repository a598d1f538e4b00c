/*  store_ledger - what has become of rows, each counted once

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"

#include <assert.h>
#include <stdlib.h>

//  Requests that failed, and have not come again since. Beyond so many, those that
//  fail are counted at each try.
enum { FAILED_MOST = 100000 };

typedef struct {
    uint64_t hash;  //  of the key
    size_t rows;
} failed_t;

static int
s_same (const void *item, const void *key)
{
    return ((const failed_t *) item)->hash == *(const uint64_t *) key;
}

static uint64_t
s_hash (const batch_t *batch)
{
    return table_hash (0, (const char *) batch->key, batch->key_size);
}

//  A request that failed before has come again: what was counted then is not any more.
static void
s_take_back (store_t *self, const batch_t *batch)
{
    uint64_t hash;
    failed_t *failed;
    if (!batch->key || !self->failed.count)
        return;
    hash = s_hash (batch);
    failed = (failed_t *) table_find (&self->failed, hash, s_same, &hash);
    if (!failed)
        return;
    self->stats.received -= failed->rows;
    self->stats.failed -= failed->rows;
    table_remove (&self->failed, hash, failed);
    free (failed);
}

static void
s_note_failed (store_t *self, const batch_t *batch)
{
    failed_t *failed;
    if (!batch->key || self->failed.count >= FAILED_MOST)
        return;
    failed = (failed_t *) malloc (sizeof *failed);
    assert (failed);
    *failed = (failed_t){s_hash (batch), batch->count};
    table_put (&self->failed, failed->hash, failed);
}

static void
s_account_rows (store_t *self, const batch_t *batch)
{
    store_stats_t *stats = &self->stats;
    int64_t hour_s = time_floor (self->now_s, HOUR_S);
    for (size_t i = 0; i < batch->count; i++) {
        int64_t time_s = batch->rows[i].point.time_s;
        if (batch->refused[i]) {
            stats->reason[batch->refused[i]]++;
            continue;
        }
        if (batch->result != BATCH_STORED)
            continue;
        stats->late += time_s < hour_s;
        if (time_s > stats->newest_s)
            stats->newest_s = time_s;
    }
}

//  How many rows of a batch have come to their end by this try.
static size_t
s_ended (const batch_t *batch)
{
    return batch->result == BATCH_REFUSED && batch->comes_again
             ? batch->refused_count
             : batch->count;
}

void
store_account (store_t *self, const batch_t *batch)
{
    store_stats_t *stats = &self->stats;
    s_take_back (self, batch);
    stats->received += s_ended (batch);
    switch (batch->result) {
        case BATCH_STORED:
            stats->failing = false;
            stats->stored += batch->count - batch->refused_count;
            stats->refused += batch->refused_count;
            s_account_rows (self, batch);
            break;
        case BATCH_REFUSED:
            stats->refused += s_ended (batch);
            s_account_rows (self, batch);
            break;
        case BATCH_CONFLICT:
            stats->refused += batch->count;
            break;
        case BATCH_REPEATED:
            stats->repeated += batch->count;
            break;
        case BATCH_FAILED:
            stats->failing = true;
            stats->failed += batch->count;
            s_note_failed (self, batch);
            break;
    }
}
