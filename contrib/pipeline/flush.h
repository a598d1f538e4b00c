/*  flush - a closed window becomes requests that count

        window ─────────▶ rows ─▶ requests ─▶ their files ─┐
        ledger's lines ─▶ its file ────────────────────────┴▶ commit ─▶ queue

    Whatever encodes for a service, or waits for a disk, is done here, on a
    thread of its own: ingest must not stand still because a disk does. There is
    one flush at a time. A flush that is due while the last one is being written
    waits, and what is received meanwhile goes into its window.

    Without the thread (before the worker connects, and in unit tests) a flush
    is done by who ends it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FLUSH_H
#define ZB_FLUSH_H

#include "zibrato_backend.h"

#include "buffer.h"
#include "queue.h"
#include "seconds.h"
#include "totals.h"

enum { PERCENTILES_MAX = 16 };

typedef struct {
    const zb_backend_t *backend;
    queue_t *queue;  //  not the flush's
    spool_t *spool;  //  or NULL; not the flush's
    size_t batch;    //  rows a request, at most; 0: all
    double percentile[PERCENTILES_MAX];
    size_t percentiles;
    //  what a new request of the folder replay/ goes to
    const spool_reader_t *reader;
    void *reader_argument;

    int64_t began;  //  the second at which the first window began

    _Atomic uint64_t unwritten;  //  rows with a number that is none

    //  Ingest only
    struct state *state;  //  the ledger's lines, not handed over yet
    pthread_t thread;
    bool threaded;

    pthread_mutex_t lock;  //  never held while a file is written
    pthread_cond_t changed;
    //  Under the lock
    bool busy;                    //  a flush is under way,
    bool whole;                   //  and the ledger has said all,
    struct state *first, **last;  //  of which this is not written yet
    size_t bytes;
    bool looking;  //  what is in replay/ is wanted
    bool closing;  //  no flush will come

    //  Who does the flush only; handed over while it is not busy
    window_t window;
    int64_t from, second;  //  what it covers
    buffer_t text;         //  of the row being written
    bool all;              //  nothing stays open
    seconds_t seconds;
    totals_t *totals;        //  or NULL; goes with the flush
    request_t *request;      //  being filled
    request_t *uncommitted;  //  with a spool: whole, and not counting yet
    request_t **uncommitted_tail;
    size_t uncommitted_bytes;
    uint64_t requests;  //  made so far, without a spool
} flush_t;

//  Caller owns the return value, and sets the other fields up to began.
flush_t *flush_new (const zb_backend_t *backend, queue_t *queue);

//  Reads a list of percentiles, for the backend, or that timers get gauges of. Returns
//  NULL, or what is wrong with it, a static text.
const char *flush_percentiles (flush_t *self, const char *list);

//  Waits for the flush under way, and ends the thread.
void flush_destroy (flush_t **self_p);

//  From now on a thread does the flushes. Returns 0 or -1.
int flush_start (flush_t *self);

//  Has the folder looked at for what is to be sent again, and says what went for
//  want of room.
void flush_look (flush_t *self);

//  --------------------------------------------------------------------------
//  A flush: begin, state, end. Ingest thread only.

//  Is none under way?
bool flush_idle (flush_t *self);

//  Waits until none is.
void flush_wait (flush_t *self);

//  Takes the window over, whose counters get that second; with all of it nothing
//  stays open. None may be under way. With a spool, spool_flush_begin comes
//  before.
void flush_begin (flush_t *self, window_t *window, int64_t second, bool all);

//  A line of the ledger's state, ended by '\n': a ledger_write_fn.
void flush_state_add (void *self, const char *text, size_t size);

//  May more of the state come? Not while the disk is behind.
bool flush_has_room (flush_t *self);

//  The ledger has said all.
void flush_end (flush_t *self);

#endif
