/*  store_clock - what time it is, for the store

    What is to be done at a time of the wall clock must not wait for days because
    that clock was ahead for a moment.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "clock.h"
#include "log.h"
#include "store_own.h"

//  When the clock is set so far, it is said.
enum { SAY_S = HOUR_S };

static void
s_say_moved (const store_t *self, int64_t before_s, int64_t moved_s)
{
    if (moved_s > SAY_S || moved_s < -SAY_S)
        zb_log (LOG_WARNING, "clock_moved", "by=%lld before=%lld now=%lld",
                (long long) moved_s, (long long) before_s,
                (long long) self->now_s);
}

static void
s_all_is_due (store_t *self)
{
    self->pack_at_s = 0;
    self->restart_at_s = 0;
    self->full_said_s = 0;
    trim_clock_back (&self->trim);
}

void
store_look (store_t *self)
{
    int64_t before_s = self->now_s, before_ms = self->looked_ms;
    int64_t (*now_us) (void) = self->options.wall_us;
    self->now_s = (now_us ? now_us () : wall_us ()) / 1000000;
    self->looked_ms = boot_ms ();
    if (!before_s)
        return;
    s_say_moved (self, before_s,
                 self->now_s - before_s - (self->looked_ms - before_ms) / 1000);
    if (self->now_s < before_s)
        s_all_is_due (self);
}
