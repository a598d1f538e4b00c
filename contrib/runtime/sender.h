/*  sender - delivers what waits in a queue, so that ingest never waits for the
    service

    A thread of its own hands requests to the backend until they are delivered,
    or refused down to single rows; it waits in between, longer each time. If the
    backend can be called by several threads, it has helpers while several
    requests wait and all goes well.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SENDER_H
#define ZB_SENDER_H

#include "queue.h"

typedef struct {
    queue_t *queue;  //  not the sender's
    const zb_backend_t *backend;
    int failures;          //  in a row
    zb_outcome_t outcome;  //  the last
    uint64_t rejected_logged, rejected_unlogged;
    char id[20];  //  begins the keys of requests, if there is no spool
    bool helps;   //  tries once, and leaves what fails to the sender
} sender_t;

//  The thread: connects, and delivers until the queue is closed and empty, or
//  zb_time_left_ms () is 0. Says what is left then. Its argument is the
//  sender_t, all zero but for queue, backend and id. Returns NULL.
void *sender_run (void *argument);

#endif
