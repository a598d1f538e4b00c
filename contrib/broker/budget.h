/*  budget - for how long a worker may hold up all others

    While one worker has no room, programs wait. A stop of a few seconds loses
    nothing so. But a reader that is a little too slow must not slow down
    everybody for ever: so each has a budget of BUDGET_MS in any minute.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BUDGET_H
#define ZB_BUDGET_H

#include <stdint.h>

enum { BUDGET_MS = 5000, BUDGET_SECONDS = 60 };

typedef struct {
    uint16_t used_ms[BUDGET_SECONDS];  //  in each second, a ring
    int64_t second;                    //  the last one of the ring
    int64_t sum_ms;
} budget_t;

//  The worker has held up all others for so long, until now. Times are of one
//  clock that never steps. Returns 1 if it has used up its budget, else 0.
int budget_use (budget_t *self, int64_t now_ms, int64_t ms);

#endif
