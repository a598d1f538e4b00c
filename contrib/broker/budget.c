/*  budget - for how long a worker may hold up all others. The contract is in
    budget.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "budget.h"

//  Seconds that are over leave the ring.
static void
budget_turn (budget_t *self, int64_t second)
{
    int steps = 0;
    for (; self->second < second && steps < BUDGET_SECONDS; steps++) {
        uint16_t *used = &self->used_ms[++self->second % BUDGET_SECONDS];
        self->sum_ms -= *used;
        *used = 0;
    }
    self->second = second;
}

int
budget_use (budget_t *self, int64_t now_ms, int64_t ms)
{
    int64_t second = now_ms / 1000, room;
    budget_turn (self, second);
    room = UINT16_MAX - self->used_ms[second % BUDGET_SECONDS];
    if (ms > room)
        ms = room;
    self->used_ms[second % BUDGET_SECONDS] += (uint16_t) ms;
    self->sum_ms += ms;
    return self->sum_ms >= BUDGET_MS;
}
