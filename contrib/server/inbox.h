/*  inbox - rows as they came, in the table of this name

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INBOX_H
#define ZB_INBOX_H

#include "buffer.h"
#include "points.h"

#include <sqlite3.h>

//  A row's ID: by time first, since a batch is of one time, mostly, and its rows lie
//  side by side then. Series have less than 31 bits, and times 32.
enum { INBOX_SHIFT = 31 };

static inline int64_t
inbox_id (int64_t time_s, int64_t series)
{
    return time_s << INBOX_SHIFT | series;
}

static inline int64_t
inbox_time (int64_t id)
{
    return id >> INBOX_SHIFT;
}

static inline int64_t
inbox_series (int64_t id)
{
    return id & ((INT64_C (1) << INBOX_SHIFT) - 1);
}

//  Those of a row that inbox_read reads, from one column of a statement on.
#define INBOX_COLUMNS "sum, n, min, max, sum_squares, last, buckets"

//  A row that is to be written.
typedef struct {
    int64_t id;
    const point_t *point;  //  the caller's, until inbox_write
    bool rises;            //  readings that rise: `last` is kept
} inbox_row_t;

typedef struct {
    inbox_row_t *row;
    size_t count, max;
} inbox_list_t;

//  What the writer has to write with. All zero, or open.
typedef struct {
    sqlite3_stmt *insert_all, *insert, *select, *update;
    inbox_list_t fresh, others;
    buffer_t bytes;
    points_t row, sum;
} inbox_t;

//  Returns 0 or -1.
int inbox_open (inbox_t *self, sqlite3 *db);
void inbox_close (inbox_t *self);

//  Adds a row to what inbox_write writes. If there may be one of this ID already, it is
//  not `fresh`, which takes longer.
void inbox_add (inbox_t *self, const inbox_row_t *row, bool fresh);

//  Writes what was added. Of points of one second n, sum, sum_squares and buckets are
//  sums of all. Returns 0, or -1; then the transaction is to be taken back.
int inbox_write (inbox_t *self);

//  Forgets what was added and not written.
void inbox_forget (inbox_t *self);

//  Adds what a row has to the points. Returns 0, or -1 if it is damaged.
int
inbox_read (sqlite3_stmt *row, int column, int64_t time_s, points_t *points);

#endif
