/*  sender - delivers what waits in a queue, so that ingest never waits for the
    service

    A thread of its own hands requests to the backend. If the backend can be
    called by several threads, it has helpers while several requests wait and
    all goes well. What becomes of a request:

        delivered                  it is forgotten
        refused                    rows at fault are set aside for good, as a
                                   group if the service says which they are;
                                   else it becomes two, behind what waits
        failed, and it is          all wait, longer each time, and the request
        the service                is tried again as it is
        failed, and it is          it becomes two; a row that is alone waits
        the rows                   aside, and in the end is as if refused

    Which of the last two it is says blame.h. Nothing waits behind a request
    that has failed while others pass.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SENDER_H
#define ZB_SENDER_H

#include "queue.h"

//  Of rows: the first one by one, then now and then a number.
typedef struct {
    uint64_t logged, unlogged;
    int64_t said_ms;
} sender_log_t;

typedef struct {
    queue_t *queue;  //  not the sender's
    const zb_backend_t *backend;
    const blame_policy_t *policy;  //  NULL: the default
    const char *worker;            //  what zb_worker returns; not the sender's
    char id[20];  //  begins the keys of requests, if there is no spool
    blame_service_t service;
    int waits;      //  for the service, in a row
    bool held;      //  the last of them for credentials or address
    bool given_up;  //  held, and the worker stops
    size_t left;    //  rows that were not delivered in time
    sender_log_t rejected, aside;
} sender_t;

//  The thread: connects, and delivers until the queue is closed and empty, or
//  zb_time_left_ms () is 0. Says what is left then. Its argument is the
//  sender_t, all zero but for queue, backend, worker, id and policy. Returns NULL.
void *sender_run (void *argument);

#endif
