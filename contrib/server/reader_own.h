/*  reader_own - what the files of a reader know of each other

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_READER_OWN_H
#define ZB_READER_OWN_H

#include "kept.h"
#include "store_own.h"

//  What is asked for.
typedef struct {
    int64_t series;
    uint64_t seconds[2];  //  as in series_entry_t
    point_fn *each;
    void *argument;
} query_t;

struct reader {
    store_t *store;
    sqlite3 *db;
    int depth;  //  of reader_begin
    sqlite3_stmt *chunk[LEVELS], *inbox, *since;
    sqlite3_stmt *metric, *series;
    int64_t until_ms;  //  of the monotonic clock: what is read is over then
    query_t query;
    int64_t since_s[LEVELS];   //  what is kept of each level
    buffer_t hours;            //  int64_t: of those the inbox has rows
    points_t packed, waiting;  //  of a span: from the chunk, from the inbox,
    points_t both;             //  and together
    points_t finer, folded, merged;  //  of an hour that has both
    fold_t fold;
    buffer_t text;  //  of a statement, or of a metric
};

//  Has what began last taken too long?
bool reader_is_late (const reader_t *self);

//  For metrics and series. Returns 0 or -1.
int reader_list_open (reader_t *self);
void reader_list_close (reader_t *self);

#endif
