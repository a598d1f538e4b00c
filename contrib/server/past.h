/*  past - what the store had counted at times of the last day

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PAST_H
#define ZB_PAST_H

#include "store.h"

enum { PAST_STEP_S = 30, PAST_LOOKS = 24 * 3600 / PAST_STEP_S };

typedef struct {
    int64_t time_s;
    store_stats_t stats;
} past_look_t;

//  All zero is empty.
typedef struct {
    past_look_t *look;  //  a ring
    uint64_t count;  //  that were noted; there are PAST_LOOKS of them at most
} past_t;

//  Keeps what is counted now, if it is time.
void past_note (past_t *self, int64_t now_s, const store_stats_t *stats);

//  The last look that is not after a time, or the oldest that there is. There must be
//  one.
const past_look_t *past_find (const past_t *self, int64_t time_s);

void past_clear (past_t *self);

#endif
