/*  store_own - what the files of the store know of each other

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STORE_OWN_H
#define ZB_STORE_OWN_H

#include "catalog.h"
#include "gate.h"
#include "hours.h"
#include "inbox.h"
#include "pack.h"
#include "past.h"
#include "store.h"
#include "sweep.h"
#include "table.h"
#include "trim.h"

#include <pthread.h>
#include <stdatomic.h>

//  A change that waits for the writer; its caller waits for it.
typedef struct change {
    int (*run) (store_t *store, void *argument);
    void *argument;
    int rc;
    bool done;  //  guarded by the store's lock
    struct change *next;
} change_t;

struct store {
    store_options_t options;
    char *path;
    int lock_fd;  //  no other process writes while this is open
    catalog_t *catalog;
    hours_t hours;
    gate_t gate;  //  readers

    //  The writer's thread
    sqlite3 *db;
    inbox_t inbox;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *key_find, *key_add, *metric_add, *metric_settle, *series_add;
    series_entry_t **found;  //  of the rows of a batch
    size_t found_max;
    series_entry_t *before;  //  that of the row before, if it is of this batch
    buffer_t refused;        //  of the batch, as it is kept with its key
    bool failing;            //  it was said that nothing can be written
    int64_t full_said_s;  //  when it was last said that there are enough series
    int64_t now_s;        //  the wall clock, when the writer last looked,
    int64_t looked_ms;    //  which was then, by a clock that never steps
    int64_t newest_s;     //  of the newest row, or 0
    int64_t proven_s;     //  it is as late at least, as rows say: store_prove,
    int64_t latest_s;     //  and no later than this
    int64_t pack_at_s;    //  the next pass
    int64_t restart_at_s;     //  the log is not made to begin anew before
    int64_t since_s[LEVELS];  //  what is before is not kept at this level
    packer_t packer;
    trim_t trim;
    sweep_t sweep;
    int wal_pages;      //  of the log
    int64_t commit_us;  //  that the last commit took

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;    //  for the writer: there is some
    pthread_cond_t done;    //  for others: a change is done
    batch_t *first, *last;  //  what waits; guarded by lock, and so is the rest
    size_t waiting;         //  rows of it
    size_t open;            //  batches that are not done
    size_t together;        //  as many as there were when the last group was
    change_t *change;
    bool closing;
    store_stats_t stats;
    past_t past;
    table_t failed;  //  requests that count as such in stats
};

//  The following are of the writer's thread.

//  Looks what time it is. When the clock was set back, all that is to be done at a
//  time is due.
void store_look (store_t *self);

//  Looks which time rows prove. They do by the newest one that is a day older than the
//  newest of all: a clock that was wrong for less than a day has left none.
void store_prove (store_t *self);

//  The clock's time, but no later than an hour after what rows prove.
int64_t store_time_s (const store_t *self);

//  Takes more off the list, for a group of so many batches and rows. Others that send
//  all the time have had their answers just before, and send again: so as many batches
//  are waited for as there were then, for as long as a commit takes.
batch_t *store_take_more (store_t *self, size_t batches, size_t rows);

//  Commits batches together, and calls `done` of each. If the group may `grow`, with
//  those that store_take_more finds.
void store_write_group (store_t *self, batch_t *list, bool grow);

//  Counts what has become of a batch. Called with self->lock held.
void store_account (store_t *self, const batch_t *batch);

//  Prepares what that needs. Returns 0 or -1.
int store_write_open (store_t *self);
void store_write_close (store_t *self);

//  A transaction. The first two return 0 or -1; then what was done is taken back by
//  store_rollback.
int store_begin (store_t *self);
int store_commit (store_t *self);
void store_rollback (store_t *self);

//  Finds the series of a row; `add` makes what is not there, and settles what a metric
//  is. *series is NULL if there is none, or that is to be settled, or if the row is refused. Returns 0, or -1 if the database fails.
int store_series_find (store_t *self, const store_row_t *row, bool add,
                       series_entry_t **series, row_result_t *result);

int store_series_open (store_t *self);
void store_series_close (store_t *self);

//  Does a slice of what is to be done between batches. Returns for how many
//  milliseconds there is nothing else.
int64_t store_tend (store_t *self);

int store_tend_open (store_t *self);
void store_tend_close (store_t *self);

//  Runs a function on the writer's thread, in no transaction, and waits. Any thread
//  but the writer's.
int store_run (store_t *self, int (*run) (store_t *store, void *argument),
               void *argument);

#endif
