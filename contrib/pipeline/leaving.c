/*  leaving - the steps in which a worker leaves its brokers. The contract is in
    leaving.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "leaving.h"

enum {
    SOON_MS = 300,
    WITH_BROKER_MS = 3000,
    SAID_MS = 3000,  //  more than a broker takes (farewell.h)
    LAST_MS = 500,   //  what was sent to us gets, whatever the deadline is
    QUIET_MS = 100   //  without a message: all has come
};

static void
leaving_set (leaving_t *self, leaving_step_t step, int64_t now_ms, int64_t ms)
{
    self->step = step;
    self->until_ms = now_ms + (ms < self->most_ms ? ms : self->most_ms);
}

void
leaving_begin (leaving_t *self, const links_t *links, int64_t now_ms,
               int64_t deadline_ms)
{
    self->most_ms = deadline_ms / 2;
    self->brokers = links_connected (links);
    leaving_set (self, LEAVING_SOON, now_ms, SOON_MS);
}

//  Is there nothing to wait for in this step any more?
static int
leaving_done (const leaving_t *self, const links_t *links,
              const missed_t *missed, int64_t now_ms)
{
    size_t here = links_connected (links);
    size_t leaving = missed_leaving (missed, now_ms - WITH_BROKER_MS);
    if (!here)
        return 1;
    switch (self->step) {
        case LEAVING_WITH_BROKER:
            return !leaving || here + leaving <= self->brokers;
        case LEAVING_SAID:
            return missed->marks == 0
                   || missed_left (missed, self->marks) >= here;
        case LEAVING_LAST:
            return missed->marks == 0 ? now_ms >= self->came_ms + QUIET_MS
                                      : missed_done_by (missed) >= here;
        default:
            return 0;
    }
}

leaving_act_t
leaving_turn (leaving_t *self, const links_t *links, missed_t *missed,
              int64_t now_ms)
{
    if (now_ms < self->until_ms && !leaving_done (self, links, missed, now_ms))
        return LEAVING_WAIT;
    switch (self->step) {
        case LEAVING_SOON:
            leaving_set (self, LEAVING_WITH_BROKER, now_ms, WITH_BROKER_MS);
            return LEAVING_WAIT;
        case LEAVING_WITH_BROKER:
            leaving_set (self, LEAVING_SAID, now_ms, SAID_MS);
            self->marks = missed->marks;
            return LEAVING_SAY;
        case LEAVING_SAID:
            leaving_set (self, LEAVING_LAST, now_ms, INT64_MAX);
            if (self->until_ms < now_ms + LAST_MS)
                self->until_ms = now_ms + LAST_MS;
            self->came_ms = now_ms;
            missed->final = 1;
            return LEAVING_UNSUBSCRIBE;
        default:
            return LEAVING_END;
    }
}
