/*  store - measurements on disk: an SQLite database with one writer

        rows ─▶ writer (group commit) ─▶ inbox ─▶ packer ─▶ chunks
                                           └──── reader ────┘

    One thread writes: it takes all batches that wait, commits them in one
    transaction, synced, and only then says of each what became of it. Readers have
    connections of their own, and see each batch whole or not at all. What is in which
    table is in store_schema.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STORE_H
#define ZB_STORE_H

#include "point.h"

#include <sqlite3.h>
#include <stdbool.h>

//  Bytes of a source and of all tags of a series together, as KEY=VALUE;...
enum { STORE_LABEL_MAX = 1023 };

//  What a metric is. The first row of a name decides, for good, but for a gauge that
//  only clients of Librato have sent: to them, counters and timers of programs are
//  gauges, so the first row of a program decides then.
typedef enum {
    METRIC_GAUGE,      //  readings; also what clients of Librato send as gauges
    METRIC_COUNTER,    //  readings that rise, as Librato's clients send them
    METRIC_INCREMENT,  //  a counter of ours: increments, which add up
    METRIC_TIMER       //  seconds, with buckets
} metric_type_t;

typedef struct {
    const char *name;      //  1 to 255 bytes; case does not count
    const char *source;    //  or NULL: none
    const zb_tag_t *tags;  //  their keys ascend; none is "source", and no value
                           //  has a ';'
    size_t tag_count;
    metric_type_t type;
    bool posted;  //  its sender knows only gauges and counters, as Librato did
    int64_t period_s;  //  as the client said, for a new metric; 0: unknown
    point_t point;
} store_row_t;

//  Why a row is refused; store_refusal_text says it.
typedef enum {
    ROW_TAKEN,
    ROW_TYPE,    //  the metric has another type
    ROW_SERIES,  //  there are --max-series, and this would be one more
    ROW_OLD,     //  older than --max-age, or than anything that is kept
    ROW_AHEAD,   //  more than a day ahead of the clock here
    ROW_NUMBER,  //  a sum, or the like, that is no number; n is 0
    ROW_LONG,    //  its name, or source and tags, are too long
    ROW_RESULTS
} row_result_t;

typedef enum {
    BATCH_STORED,    //  on disk: rows that are not refused
    BATCH_REPEATED,  //  the key is known: was stored before, nothing is now;
                     //  `refused` is as it was then
    BATCH_CONFLICT,  //  the key is known, of other rows
    BATCH_REFUSED,  //  `whole`, and at least one row is refused: nothing is stored
    BATCH_FAILED  //  disk full or the like: nothing is stored, try again later
} batch_result_t;

//  Rows that are committed together. The caller owns it, and what it points to, and
//  leaves it alone until `done` is called.
typedef struct batch {
    const store_row_t *rows;
    size_t count;
    const void *key;  //  of the request, 1 to 255 bytes; NULL: none
    size_t key_size;
    uint64_t digest;  //  of the body, to tell another one with the same key
    bool whole;       //  one refused row refuses all
    //  The others of a refused batch are sent again, and counted then.
    bool comes_again;
    //  Results
    batch_result_t result;
    unsigned char
      *refused;  //  a row_result_t for each row; the caller's, zeroed
    size_t refused_count;
    //  Called on the writer's thread, once.
    void (*done) (struct batch *batch);
    void *argument;
    struct batch *next;  //  the store's
} batch_t;

//  Settings, in place before store_open.
typedef struct {
    const char *folder;
    int64_t max_bytes;  //  of the database, about
    int64_t max_series;
    int64_t keep_raw_s, keep_60_s, keep_900_s, keep_3600_s;  //  retention
    int64_t max_age_s;  //  of a row when it comes
    int64_t lock_ms;    //  another process may have the store for so long
    int64_t (*wall_us) (void);  //  tells the time; NULL: the wall clock
} store_options_t;

typedef struct store store_t;

//  Opens or makes the database, and starts its writer. Returns NULL with the reason
//  in *why, a static text. Caller owns the return value.
store_t *store_open (const store_options_t *options, const char **why);

//  Commits what was submitted, and ends. Readers have gone before.
void store_close (store_t **self_p);

//  Hands a batch to the writer. Never waits. Returns 0, or -1 if too much waits
//  (then the batch stays the caller's, and the client is told to come again).
int store_submit (store_t *self, batch_t *batch);

//  Submits, and waits until it is done.
void store_write (store_t *self, batch_t *batch);

//  Runs a function in a transaction of its own on the writer's thread, and waits.
//  Returns what it returns: 0 commits; -1 takes all back.
typedef int store_change_fn (sqlite3 *db, void *argument);
int store_change (store_t *self, store_change_fn *change, void *argument);

//  The same of one that adds something: it is refused, -1, when the store is full, as
//  rows are.
int store_change_more (store_t *self, store_change_fn *change, void *argument);

//  Makes a metric that has no rows yet, as a client of Librato. Returns 1, 0 if there is one by that name, or
//  -1 if it could not be written. What else is in table `metric` may be changed by
//  store_change; name and type may not.
int store_metric_new (store_t *self, const char *name, metric_type_t type);

//  Ends metrics, by their ids: no reader finds them from then on, and a row by such a
//  name makes a new metric. Their points go when their time is over. An id that is
//  unknown is passed over. Returns 0, or -1 if it could not be written, or only some.
int store_metrics_end (store_t *self, const int64_t *metrics, size_t count);

//  What has become of rows since the store was opened, and how large it is.
//  received = stored + repeated + refused + failed. A request that failed and comes
//  again, by its key, counts as what has become of it then.
typedef struct {
    uint64_t received, stored, repeated, refused, failed;
    uint64_t reason[ROW_RESULTS];  //  of those refused, if they were at fault
    uint64_t late;     //  of those stored, rows of hours that were over
    uint64_t packed;   //  rows that went from the inbox to chunks
    uint64_t dropped;  //  points that --max-bytes has ended before their time
    size_t metrics, series;
    int64_t bytes;      //  of the database in use
    int64_t max_bytes;  //  as the options said
    int64_t newest_s;   //  of the newest row
    bool failing;  //  the last batch could not be written: the disk is full
} store_stats_t;

void store_stats (store_t *self, store_stats_t *stats);

//  The same as it was at a time, or half a minute before; what the store has forgotten
//  since, or was before it was opened, is as it was then. Returns the time it is of.
int64_t store_stats_then (store_t *self, int64_t time_s, store_stats_t *stats);

//  Bytes that its files take on disk, as `du` has them: the database with pages that are
//  free, and its log, which keeps the size that it once had.
int64_t store_disk_bytes (const store_t *self);

const char *store_refusal_text (row_result_t result);

//  --------------------------------------------------------------------------
//  Reading: a connection of its own; one thread at a time uses it

typedef struct reader reader_t;

reader_t *reader_new (store_t *store);
void reader_destroy (reader_t **self_p);

//  All that is read in between is of one moment. They may be nested. Nothing that waits
//  may be done in between, for the store keeps all that has changed since; what takes
//  more than ten seconds fails. Returns 0, or -1; then there is no end.
int reader_begin (reader_t *self);
void reader_end (reader_t *self);

//  For tables that are not measurements (annotations, spaces ...).
sqlite3 *reader_db (reader_t *self);

typedef struct {
    int64_t id;
    const char *name;
    metric_type_t type;
    int64_t period_s, first_s, last_s;  //  of points; 0: none
    const char *display_name, *description, *attributes,
      *composite;  //  or NULL
} metric_t;

typedef struct {
    int64_t id, metric, first_s, last_s;
    const char *source;  //  "" is none
    const char *tags;    //  KEY=VALUE;..., their keys ascend, without source
} series_t;

//  Called for each; a return of 1 ends it. Nothing that waits may be done here, for
//  the store keeps all that has changed since.
typedef int metric_fn (void *argument, const metric_t *metric);
typedef int series_fn (void *argument, const series_t *series);
typedef int point_fn (void *argument, const point_t *point);

//  Metrics whose names hold all words of `search` (any order, any case; "" is all),
//  by name; so many after so many. Returns how many there are in all, or -1.
int64_t reader_metrics (reader_t *self, const char *search, int64_t offset,
                        int64_t length, metric_fn *each, void *argument);

//  One by its name, in any case. Returns 1, 0 if there is none, or -1; its texts are
//  valid until the next call.
int reader_metric (reader_t *self, const char *name, metric_t *metric);

//  Series of a metric. Returns how many, or -1.
int64_t
reader_series (reader_t *self, int64_t metric, series_fn *each, void *argument);

//  Points of a series from one time up to (not with) another, ascending, folded to
//  intervals of resolution_s, which is 1 or a multiple of it; of an interval, all is
//  there, or nothing. What is asked for finer
//  than it is kept comes as coarse as it is kept. Returns how coarse the coarsest is,
//  or -1. Resolutions that are kept are 1, 60, 900 and 3600 s. Buckets of 900 s and
//  more have the precision of scale 3: theirs stand for four of scale 5.
int64_t
reader_points (reader_t *self, int64_t series, int64_t from_s, int64_t to_s,
               int64_t resolution_s, point_fn *each, void *argument);

#endif
