/*  store - opened, closed, and its writer. The contract is in store.h.

    Sections: what is there already, the writer, what others ask of it, opening.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "store_own.h"
#include "sql.h"
#include "store_schema.h"

#include "claim.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GROUP_ROWS = 20000,     //  that are committed together, about
    WAITING_ROWS = 100000,  //  that may wait
};

//  --------------------------------------------------------------------------
//  What is there already

static int
s_load_metrics (store_t *self)
{
    sqlite3_stmt *row =
      sql_prepare (self->db, "SELECT id, name, type, posted FROM metric");
    int rc;
    while ((rc = sqlite3_step (row)) == SQLITE_ROW)
        catalog_add_metric (self->catalog, sqlite3_column_int64 (row, 0),
                            sql_text (row, 1),
                            (metric_type_t) sqlite3_column_int (row, 2),
                            sqlite3_column_int (row, 3));
    sqlite3_finalize (row);
    return rc == SQLITE_DONE ? 0 : -1;
}

static void
s_see_point (store_t *self, metric_entry_t *metric, series_entry_t *series,
             int64_t time_s)
{
    catalog_point (metric, series, time_s);
    if (time_s > self->newest_s)
        self->newest_s = time_s;
}

static void
s_load_one_series (store_t *self, sqlite3_stmt *row)
{
    char label[LABEL_MAX];
    metric_entry_t *metric =
      catalog_metric_of (self->catalog, sqlite3_column_int64 (row, 1));
    size_t source = (size_t) sqlite3_column_bytes (row, 2);
    size_t tags = (size_t) sqlite3_column_bytes (row, 3);
    series_entry_t *series;
    if (!metric || source + tags + 1 > sizeof label)
        return;
    memcpy (label, sql_text (row, 2), source);
    label[source] = 0;
    memcpy (label + source + 1, sql_text (row, 3), tags);
    series = catalog_add_series (self->catalog, sqlite3_column_int64 (row, 0),
                                 metric, label, source + 1 + tags);
    for (int column = 4; column <= 5; column++)
        if (sqlite3_column_type (row, column) != SQLITE_NULL)
            s_see_point (self, metric, series,
                         sqlite3_column_int64 (row, column));
}

static int
s_load_series (store_t *self)
{
    sqlite3_stmt *row = sql_prepare (
      self->db, "SELECT id, metric, source, tags, first, last FROM series");
    int rc;
    while ((rc = sqlite3_step (row)) == SQLITE_ROW)
        s_load_one_series (self, row);
    sqlite3_finalize (row);
    return rc == SQLITE_DONE ? 0 : -1;
}

//  What waits for the packer is a few million rows at most.
static int
s_load_inbox (store_t *self)
{
    sqlite3_stmt *row = sql_prepare (self->db, "SELECT id FROM inbox");
    int rc;
    while ((rc = sqlite3_step (row)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64 (row, 0), time_s = inbox_time (id);
        series_entry_t *series =
          catalog_series_of (self->catalog, inbox_series (id));
        hours_add (&self->hours, time_s);
        if (!series)
            continue;
        catalog_expect (series, time_s);
        s_see_point (self, catalog_metric_of (self->catalog, series->metric),
                     series, time_s);
    }
    sqlite3_finalize (row);
    return rc == SQLITE_DONE ? 0 : -1;
}

static void
s_find_newest (store_t *self)
{
    for (int64_t id = 0; id < catalog_series_end (self->catalog); id++) {
        const series_entry_t *series = catalog_series_of (self->catalog, id);
        if (series && series->last_s > self->stats.newest_s)
            self->stats.newest_s = series->last_s;
    }
}

static int
s_load (store_t *self)
{
    int rc = s_load_metrics (self);
    if (rc == 0)
        rc = s_load_series (self);
    if (rc == 0)
        rc = s_load_inbox (self);
    s_find_newest (self);
    catalog_settle (self->catalog);
    return rc;
}

//  --------------------------------------------------------------------------
//  The writer

//  Takes what may be committed together off the list. Called with self->lock held.
static batch_t *
s_take (store_t *self, size_t rows)
{
    batch_t *list = self->first, *last = list;
    if (!list)
        return NULL;
    rows += last->count;
    while (last->next && rows < GROUP_ROWS) {
        last = last->next;
        rows += last->count;
    }
    self->first = last->next;
    last->next = NULL;
    return list;
}

//  The time of CLOCK_MONOTONIC, so many microseconds after now.
static struct timespec
s_after_us (int64_t us)
{
    struct timespec time;
    clock_gettime (CLOCK_MONOTONIC, &time);
    us += time.tv_nsec / 1000;
    time.tv_sec += us / 1000000;
    time.tv_nsec = us % 1000000 * 1000;
    return time;
}

batch_t *
store_take_more (store_t *self, size_t batches, size_t rows)
{
    struct timespec until = s_after_us (self->commit_us);
    batch_t *more;
    int rc = 0;
    if (rows >= GROUP_ROWS)
        return NULL;
    pthread_mutex_lock (&self->lock);
    while (rc == 0 && batches < self->together && !self->first && !self->change
           && !self->closing)
        rc = pthread_cond_timedwait (&self->work, &self->lock, &until);
    more = s_take (self, rows);
    pthread_mutex_unlock (&self->lock);
    return more;
}

//  Called with self->lock held.
static change_t *
s_take_change (store_t *self)
{
    change_t *change = self->first ? NULL : self->change;
    if (change)
        self->change = change->next;
    return change;
}

static void
s_do_change (store_t *self, change_t *change)
{
    change->rc = change->run (self, change->argument);
    pthread_mutex_lock (&self->lock);
    change->done = true;
    pthread_cond_broadcast (&self->done);
    pthread_mutex_unlock (&self->lock);
}

//  Until there is something to do, or the time is over. Called with self->lock held.
static void
s_wait (store_t *self, int64_t wait_ms)
{
    struct timespec until = s_after_us (wait_ms * 1000);
    if (wait_ms > 0 && !self->first && !self->change && !self->closing)
        pthread_cond_timedwait (&self->work, &self->lock, &until);
}

//  A change comes after the batches that were there before it.
static void *
s_writer (void *argument)
{
    store_t *self = (store_t *) argument;
    int64_t wait_ms = 0;
    bool closing = false;
    while (!closing) {
        batch_t *list;
        change_t *change;
        pthread_mutex_lock (&self->lock);
        s_wait (self, wait_ms);
        list = s_take (self, 0);
        change = s_take_change (self);
        closing = self->closing && !list && !change;
        pthread_mutex_unlock (&self->lock);
        store_look (self);
        if (list)
            store_write_group (self, list, !change);
        if (change)
            s_do_change (self, change);
        wait_ms = store_tend (self);
    }
    return NULL;
}

//  --------------------------------------------------------------------------
//  What others ask of it

//  Called with self->lock held.
static void
s_append (store_t *self, batch_t *batch)
{
    batch->next = NULL;
    if (self->first)
        self->last->next = batch;
    else
        self->first = batch;
    self->last = batch;
    self->waiting += batch->count;
    self->open++;
    pthread_cond_signal (&self->work);
}

int
store_submit (store_t *self, batch_t *batch)
{
    int rc = -1;
    pthread_mutex_lock (&self->lock);
    if (self->waiting < WAITING_ROWS) {
        s_append (self, batch);
        rc = 0;
    }
    pthread_mutex_unlock (&self->lock);
    return rc;
}

typedef struct {
    store_t *store;
    bool done;
} waiter_t;

static void
s_wake (batch_t *batch)
{
    waiter_t *waiter = (waiter_t *) batch->argument;
    store_t *store = waiter->store;
    pthread_mutex_lock (&store->lock);
    waiter->done = true;
    pthread_cond_broadcast (&store->done);
    pthread_mutex_unlock (&store->lock);
}

void
store_write (store_t *self, batch_t *batch)
{
    waiter_t waiter = {self, false};
    batch->done = s_wake;
    batch->argument = &waiter;
    pthread_mutex_lock (&self->lock);
    s_append (self, batch);
    while (!waiter.done)
        pthread_cond_wait (&self->done, &self->lock);
    pthread_mutex_unlock (&self->lock);
}

int
store_run (store_t *self, int (*run) (store_t *store, void *argument),
           void *argument)
{
    change_t change = {.run = run, .argument = argument};
    change_t **place;
    pthread_mutex_lock (&self->lock);
    for (place = &self->change; *place; place = &(*place)->next) {
    }
    *place = &change;
    pthread_cond_signal (&self->work);
    while (!change.done)
        pthread_cond_wait (&self->done, &self->lock);
    pthread_mutex_unlock (&self->lock);
    return change.rc;
}

typedef struct {
    store_change_fn *change;
    void *argument;
    bool grows;
} asked_t;

static int
s_run_change (store_t *self, void *argument)
{
    const asked_t *asked = (const asked_t *) argument;
    int rc = asked->grows && self->trim.full ? -1 : store_begin (self);
    if (rc == 0)
        rc = asked->change (self->db, asked->argument);
    if (rc == 0)
        rc = store_commit (self);
    if (rc)
        store_rollback (self);
    return rc;
}

int
store_change (store_t *self, store_change_fn *change, void *argument)
{
    asked_t asked = {change, argument, false};
    return store_run (self, s_run_change, &asked);
}

int
store_change_more (store_t *self, store_change_fn *change, void *argument)
{
    asked_t asked = {change, argument, true};
    return store_run (self, s_run_change, &asked);
}

void
store_stats (store_t *self, store_stats_t *stats)
{
    pthread_mutex_lock (&self->lock);
    *stats = self->stats;
    pthread_mutex_unlock (&self->lock);
    stats->max_bytes = self->options.max_bytes;
    stats->metrics = catalog_metrics (self->catalog);
    stats->series = catalog_series_count (self->catalog);
}

int64_t
store_disk_bytes (const store_t *self)
{
    enum { BLOCK = 512 };  //  of st_blocks: stat(3type)
    static const char *const endings[] = {"", "-wal", "-shm"};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char path[PATH_MAX];
        struct stat status;
        snprintf (path, sizeof path, "%s%s", self->path, endings[i]);
        if (stat (path, &status) == 0)
            bytes += (int64_t) status.st_blocks * BLOCK;
    }
    return bytes;
}

int64_t
store_stats_then (store_t *self, int64_t time_s, store_stats_t *stats)
{
    const past_look_t *look;
    int64_t then_s;
    pthread_mutex_lock (&self->lock);
    look = past_find (&self->past, time_s);
    *stats = look->stats;
    then_s = look->time_s;
    pthread_mutex_unlock (&self->lock);
    return then_s;
}

//  --------------------------------------------------------------------------
//  Opening

//  Two processes that write would not know of each other's series.
static int
s_lock (store_t *self, const char **why)
{
    static char wrong[96];
    char path[4096];
    *why = wrong;
    if (mkdir (self->options.folder, 0700) == -1 && errno != EEXIST) {
        snprintf (wrong, sizeof wrong, "%s", strerror (errno));
        return -1;
    }
    snprintf (path, sizeof path, "%s/store.lock", self->options.folder);
    self->lock_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_fd == -1) {
        snprintf (wrong, sizeof wrong, "store.lock: %s", strerror (errno));
        return -1;
    }
    *why = "another process has the store";
    return claim (self->lock_fd, self->options.folder, self->options.lock_ms);
}

static int
s_open (store_t *self, const char **why)
{
    size_t size = strlen (self->options.folder) + sizeof "/store.db";
    if (s_lock (self, why) == -1)
        return -1;
    self->path = (char *) malloc (size);
    assert (self->path);
    snprintf (self->path, size, "%s/store.db", self->options.folder);
    *why = "store.db: cannot be opened";
    if (sqlite3_open_v2 (self->path, &self->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                           | SQLITE_OPEN_NOMUTEX,
                         NULL)
          != SQLITE_OK
        || store_schema_open (self->db, why) == -1)
        return -1;
    *why = "the database cannot be read";
    store_look (self);
    past_note (&self->past, self->now_s, &self->stats);
    return store_write_open (self) == 0 && s_load (self) == 0
               && store_tend_open (self) == 0
             ? 0
             : -1;
}

static void
s_init (store_t *self, const store_options_t *options)
{
    pthread_condattr_t attributes;
    self->options = *options;
    self->lock_fd = -1;
    self->catalog = catalog_new ();
    hours_init (&self->hours);
    gate_init (&self->gate);
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (&self->work, &attributes);
    pthread_condattr_destroy (&attributes);
    pthread_cond_init (&self->done, NULL);
}

static void
s_free (store_t *self)
{
    store_tend_close (self);
    store_write_close (self);
    sqlite3_close (self->db);
    if (self->lock_fd != -1)
        close (self->lock_fd);
    catalog_destroy (&self->catalog);
    hours_clear (&self->hours);
    gate_clear (&self->gate);
    past_clear (&self->past);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->work);
    pthread_cond_destroy (&self->done);
    free (self->path);
    free (self);
}

store_t *
store_open (const store_options_t *options, const char **why)
{
    store_t *self = (store_t *) calloc (1, sizeof *self);
    assert (self);
    s_init (self, options);
    if (s_open (self, why) == 0) {
        *why = "there is no thread to be had";
        if (pthread_create (&self->thread, NULL, s_writer, self) == 0)
            return self;
    }
    s_free (self);
    return NULL;
}

void
store_close (store_t **self_p)
{
    store_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->closing = true;
    pthread_cond_signal (&self->work);
    pthread_mutex_unlock (&self->lock);
    pthread_join (self->thread, NULL);
    s_free (self);
    *self_p = NULL;
}
