/*  sweep - series go whose points have all gone, metrics that have none left, and events
    of annotations that were over before

    They go a slice at a time. A metric stays if a user has described it, or if a chart
    or an alert names it. IDs are not used again.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SWEEP_H
#define ZB_SWEEP_H

#include "buffer.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

//  All zero, or open. The writer's thread.
typedef struct {
    sqlite3_stmt *series, *metric;  //  delete one
    sqlite3_stmt *event;            //  deletes some
    enum { SWEEP_NONE, SWEEP_SERIES, SWEEP_METRICS, SWEEP_EVENTS } pass;
    int64_t at;        //  the ID that is looked at next
    int64_t since_s;   //  what has no point since then goes,
    int64_t done_s;    //  as it did in the pass before
    int64_t again_s;   //  when one that failed is tried again
    buffer_t removed;  //  int64_t: IDs of a slice
} sweep_t;

typedef struct store store_t;

//  Returns 0 or -1.
int sweep_open (sweep_t *self, sqlite3 *db);
void sweep_close (sweep_t *self);

//  Is there anything to go, as far as is known?
bool sweep_is_due (const store_t *store);

//  Removes some of what is to go. Returns whether there may be more.
bool sweep_slice (store_t *store);

#endif
