/*  intake - a socket in a loop. The contract is in intake.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "intake.h"

enum {
    REST_MS = 1,
    NO_REST_MS = 100  //  after a rest in which too many came
};

//  Reads. Returns 1 if nothing is left, and the next message is worth waiting
//  for: the last time was just now.
static int
intake_read (intake_t *self)
{
    int64_t now_ms = zclock_mono ();
    int busy = now_ms - self->read_ms <= REST_MS;
    size_t count = self->read (self->argument);
    self->count += count;
    self->read_ms = count ? now_ms : self->read_ms;
    if (count == self->most)
        return 0;
    //  what came while we were kept from running came in no rest
    if (self->count > self->room * (size_t) (now_ms - self->drained_ms + 1))
        self->no_rest_ms = now_ms + NO_REST_MS;
    self->count = 0;
    self->drained_ms = now_ms;
    return count && busy && now_ms >= self->no_rest_ms;
}

//  Handler for zloop_timer at the end of a rest.
static int
intake_rested (zloop_t *loop, int timer, void *argument)
{
    intake_t *self = (intake_t *) argument;
    (void) timer;
    if (intake_read (self))
        zloop_timer (loop, REST_MS, 1, intake_rested, self);
    else
        intake_start (self, loop);
    return 0;
}

//  Handler for zloop_reader.
static int
intake_readable (zloop_t *loop, zsock_t *socket, void *argument)
{
    intake_t *self = (intake_t *) argument;
    if (intake_read (self)) {
        zloop_reader_end (loop, socket);
        zloop_timer (loop, REST_MS, 1, intake_rested, self);
    }
    return 0;
}

void
intake_start (intake_t *self, zloop_t *loop)
{
    zloop_reader (loop, self->socket, intake_readable, self);
}
