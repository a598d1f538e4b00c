/*  health - what a worker says of itself

    Counters say what came since the last time, if anything did; gauges what is.
    They go into the window like what programs measure.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HEALTH_H
#define ZB_HEALTH_H

#include "flush.h"
#include "ingest.h"
#include "subscriber.h"

//  The counter of readings that did not come. It falls, for one may come late.
#define HEALTH_LOST "zibrato.lost"

typedef struct {
    ingest_t *ingest;  //  all four are the worker's
    const subscriber_t *subscriber;
    const queue_t *queue;
    const flush_t *flush;
    struct {
        uint64_t received, malformed, duplicate, dropped, delivered, rejected,
          refused, superseded, overflowed, missed, incomplete, late;
    } told;  //  the last time
} health_t;

//  Measures all of it; gauges are of that second.
void health_measure (health_t *self, int64_t second);

//  Has something been lost that was not told? It may be all that there is to
//  tell: of a program whose readings did not come, only its end did.
bool health_has_lost (const health_t *self);

//  Logs what did not come from the broker since the last time.
void health_log_missed (const health_t *self);

#endif
