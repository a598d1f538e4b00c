/*  queue - requests that wait for the sender, bounded in bytes

    With a spool they wait in its files, and here is only what they are called.
    No file is removed while the lock is held. One thread puts, another takes:
    the sender. Its helpers take, too, but only while it is busy and the service
    answers as it should.

    What was not delivered waits aside, each for its time. Nothing good waits
    for it: of the requests at most one in four is from there while others wait.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_QUEUE_H
#define ZB_QUEUE_H

#include "request.h"

#include <pthread.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    spool_t *spool;  //  or NULL; not the queue's
    request_t *head, **tail;
    request_t *aside;      //  the first due is the first
    int64_t aside_ms;      //  none of these before this time, of zclock_mono
    int turns;             //  others that were taken since one of them
    _Atomic size_t bytes;  //  written under the lock
    size_t bytes_max;
    size_t reserved;  //  bytes of requests to come
    int closing;      //  nothing more will come
    bool busy;        //  the sender has a request,
    size_t helping;   //  its helpers have so many
    bool troubled;    //  the sender waits before it tries again
    bool hurry;       //  but not any longer
    uint64_t trimmed_rows, trimmed_files;  //  for want of room, not said yet
    pthread_mutex_t trim_lock;             //  held while refused files go

    //  Any thread, without the lock: who reads them must not wait for it
    _Atomic uint64_t dropped_rows;  //  the oldest beyond bytes_max, lost files'
    //  Kept by the sender
    _Atomic uint64_t delivered_rows, rejected_rows, superseded_rows;
    _Atomic int64_t success_ms;  //  of zclock_mono
} queue_t;

//  Caller owns the return value.
queue_t *queue_new (size_t bytes_max);

//  What was never delivered is counted by then, or is in its file.
void queue_destroy (queue_t **self_p);

//  Takes over the request. When there is no room, what waits aside goes, and then
//  the oldest, counted.
void queue_put (queue_t *self, request_t **request_p);

//  Makes room for requests that are in files, but do not count yet. Returns 0,
//  or -1 if there is not enough.
int queue_reserve (queue_t *self, size_t bytes);

//  Writes what waits in memory since the spool had failed.
void queue_file (queue_t *self);

//  Nothing more will come.
void queue_close (queue_t *self);

//  Waits for a request, of which the caller has none; once the queue is closed,
//  what waits aside is due. Caller owns the return value; NULL: there will be
//  none, nor have helpers one.
request_t *queue_take (queue_t *self);

//  Waits for a request that the sender does not come to. Caller owns the return
//  value, and ends with queue_helped; NULL: there will be none.
request_t *queue_help (queue_t *self);

//  A helper is done. With a request (NULL: it is delivered) it gives this one
//  back, which is then for the sender alone, and the next.
void queue_helped (queue_t *self, request_t **request_p);

//  Helpers keep away as long as there is trouble.
void queue_trouble (queue_t *self, bool troubled);

//  Takes the oldest request out, or returns NULL. The caller holds the lock, or
//  is the only one to know the queue. Caller owns the return value.
request_t *queue_pop (queue_t *self);

//  Gives up a request for want of room, counted, and its file. The caller does
//  not hold the lock.
void queue_drop (queue_t *self, request_t **request_p);

//  Lets a request wait aside until a time of zclock_mono. Takes it over.
void queue_aside (queue_t *self, request_t **request_p, int64_t due_ms);

//  Nothing aside is taken before this time, until the queue is closed.
void queue_rest_aside (queue_t *self, int64_t until_ms);

//  Puts a request to the front, for the sender alone. Takes it over.
void queue_return (queue_t *self, request_t **request_p);

//  What waits for its time need not: the cause of trouble may be gone.
void queue_hurry (queue_t *self);

//  Waits for at most so long, less if the queue is being closed or is to hurry.
void queue_pause (queue_t *self, int64_t ms);

//  Says what went for want of room since the last time.
void queue_log_trimmed (queue_t *self);

#endif
