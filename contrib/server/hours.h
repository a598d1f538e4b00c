/*  hours - of which hours there are rows in the inbox

    A reader must look for each second by itself, so it must not look where there
    is nothing. An hour that is here may have no rows, but not the other way round.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HOURS_H
#define ZB_HOURS_H

#include "buffer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t begin_s;
    uint64_t rows;  //  the writer's: so many came, since it was empty
} hour_t;

typedef struct {
    pthread_mutex_t lock;
    hour_t *hour;  //  guarded by lock, ascending; the writer reads them without
    size_t count, max;
    uint64_t removals;  //  guarded by lock
    size_t latest;  //  the writer's: place of the one that was last added to
} hours_t;

void hours_init (hours_t *self);
void hours_clear (hours_t *self);

//  --------------------------------------------------------------------------
//  The writer's thread

//  There is a row of this time, or is about to be.
void hours_add (hours_t *self, int64_t time_s);

//  So many rows of an hour are in the inbox no more: it goes if there are no others.
void hours_take (hours_t *self, int64_t begin_s, uint64_t rows);

uint64_t hours_rows (const hours_t *self);

//  Is there one that is odd, as hours since 1970 are counted, or even?
bool hours_have (const hours_t *self, int odd);

//  --------------------------------------------------------------------------
//  Any thread

//  Puts the begins of those hours that have a part in from .. to into the list, as
//  int64_t. Returns a number that changes with each hour that goes.
uint64_t
hours_copy (hours_t *self, int64_t from_s, int64_t to_s, buffer_t *list);

#endif
