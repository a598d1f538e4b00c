/*  inbox - rows as they came, in the table of this name

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INBOX_H
#define ZB_INBOX_H

#include "buffer.h"
#include "points.h"

#include <sqlite3.h>

//  Those of a row that inbox_read reads, from one column of a statement on.
#define INBOX_COLUMNS "sum, n, min, max, sum_squares, last, buckets"

//  What the writer has to write with. All zero, or open.
typedef struct {
    sqlite3_stmt *insert, *select, *update;
    buffer_t bytes;
    points_t row, sum;
} inbox_t;

//  Returns 0 or -1.
int inbox_open (inbox_t *self, sqlite3 *db);
void inbox_close (inbox_t *self);

//  Adds a point, to that of the same second if there is one: n, sum, sum_squares and
//  buckets are sums of both. `last` is kept of readings that rise. Returns 0 or -1.
int inbox_add (inbox_t *self, int64_t series, const point_t *point, bool rises);

//  Adds what a row has to the points. Returns 0, or -1 if it is damaged.
int
inbox_read (sqlite3_stmt *row, int column, int64_t time_s, points_t *points);

#endif
