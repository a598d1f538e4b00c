/*  past - what the store had counted. The contract is in past.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "past.h"

#include <assert.h>
#include <stdlib.h>

//  The look of that number.
static past_look_t *
s_look (const past_t *self, uint64_t number)
{
    return &self->look[number % PAST_LOOKS];
}

//  A clock that was set back begins to count anew.
void
past_note (past_t *self, int64_t now_s, const store_stats_t *stats)
{
    if (!self->look) {
        self->look = (past_look_t *) calloc (PAST_LOOKS, sizeof *self->look);
        assert (self->look);
    }
    if (self->count) {
        int64_t last_s = s_look (self, self->count - 1)->time_s;
        if (now_s >= last_s && now_s < last_s + PAST_STEP_S)
            return;
    }
    *s_look (self, self->count++) = (past_look_t){now_s, *stats};
}

const past_look_t *
past_find (const past_t *self, int64_t time_s)
{
    uint64_t oldest = self->count > PAST_LOOKS ? self->count - PAST_LOOKS : 0;
    uint64_t number = self->count - 1;
    while (number > oldest && s_look (self, number)->time_s > time_s)
        number--;
    return s_look (self, number);
}

void
past_clear (past_t *self)
{
    free (self->look);
    *self = (past_t){.count = 0};
}
