/*  pack - rows of the inbox become chunks, a slice at a time

        inbox ─▶ rows of an hour, of some series ─▶ chunk of the finest level
                                                      └─▶ rollups of that hour

    A pass goes through hours and series; each slice is a transaction that writes
    the chunks and deletes the rows. Rows that come later, of whatever hour, are
    taken by the next pass: the chunks are then read, and written anew. Rollups of an
    hour are made of its finest level, which has all of the hour.

    Most series have a point a minute at most. They have no chunk of raw points; that
    of minutes has their own times, and is called exact.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PACK_H
#define ZB_PACK_H

#include "hours.h"
#include "kept.h"
#include "points.h"

#include <sqlite3.h>

//  All zero, or open. The writer's thread.
typedef struct {
    sqlite3_stmt *next_time, *rows, *erase, *seen;
    sqlite3_stmt *get[LEVELS], *put[LEVELS];
    //  A pass
    bool active;
    buffer_t hours;  //  hour_t: those that are to be packed,
    size_t hour;     //  and the one where we are
    buffer_t times;  //  int64_t: of which there are rows in this hour
    int64_t series;  //  the first one of the next slice,
    int64_t width;   //  which has so many, about
    bool rises;      //  the one that is packed has readings that rise
    //  A slice
    points_t waiting;            //  its rows, by time,
    buffer_t owners;             //  uint32_t: the series of each
    buffer_t order;              //  uint32_t: their places, by series
    points_t rows_of;            //  of one series
    points_t old, merged, part;  //  of one chunk
    points_t whole;              //  of a span that is longer than an hour
    buffer_t bytes;
    uint64_t ended;  //  rows that were too old for every level
} packer_t;

typedef struct store store_t;

//  Returns 0 or -1.
int pack_open (packer_t *self, sqlite3 *db);
void pack_close (packer_t *self);

//  Begins a pass over the hours that were over at that time.
void pack_begin (store_t *store, int64_t before_s);

//  Packs some of it. Returns 1 if there is more, 0 if the pass is done, or -1: then
//  nothing has changed, and it is over, too.
int pack_slice (store_t *store);

#endif
