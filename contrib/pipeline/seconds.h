/*  seconds - which second a row gets

    A store that overwrites keeps only the last of two rows of one series and
    one time. So a worker never makes two. Counters have the second of their
    flush, which rises from flush to flush. A flush gives out timers and gauges
    of seconds that are over, and keeps those of the last OPEN_SECONDS, of which
    more may come. A measurement keeps its own second, unless a row of that or a
    later one was given out for its name; then it goes into the next open one,
    and counts as late.

    Up to where seconds are closed, and what is still open, is saved with the
    flush. The next worker with that folder takes what is closed as given out for
    all names, which readings that were held while there was no worker are not
    of. One that knows nothing of what was before it takes all up to its start as
    given out.

    A wall clock may be far ahead for a moment. When it is right again, seconds go
    on where they were before: those of that moment are left out when their time
    comes.

    A place may keep one value for some seconds, a slot. Then all rows are the
    flush's, whose second is a multiple of them: one between two boundaries, as a
    stop is, gets the next slot, which the flush of that boundary leaves out.

    With a backend that adds up (zb_backend_t.adds) none of this is needed.

    All functions are for the thread that does flushes, or for ingest while no
    flush is under way.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SECONDS_H
#define ZB_SECONDS_H

#include "zibrato_backend.h"

#include "taken.h"
#include "window.h"

enum {
    OPEN_SECONDS = 2,
    //  A clock may be ahead by so much. What is beyond gets the time at which it
    //  came, or it would stay open as long as its clock says.
    AHEAD_SECONDS = 60,
    //  A name's last second is known for so long: more than readings are held.
    KNOWN_SECONDS = 3600
};

typedef struct {
    uint64_t hash;  //  of type, name and source; 0: none
    int64_t second;
} given_t;

typedef struct {
    const zb_backend_t *backend;
    int64_t slot;    //  flushes get multiples of so many seconds
    uint64_t key;    //  of the hashes, the same for all the folder's life
    bool known;      //  what was before this worker
    int64_t flush;   //  the last one's second
    int64_t closed;  //  up to here seconds are given out
    int64_t floor;   //  and so they are for names that are not known
    taken_t taken;   //  seconds that some row has had
    given_t *given;  //  the last second of each name
    size_t size, count;
    int64_t sifted;         //  when those that are old went
    window_t open;          //  what was measured in seconds that are open
    _Atomic size_t opens;   //  how much of that there is
    _Atomic uint64_t late;  //  measurements
} seconds_t;

//  Gives an entry out as rows.
typedef void (seconds_give_fn) (void *argument, const entry_t *entry);

void seconds_init (seconds_t *self, const zb_backend_t *backend);

void seconds_clear (seconds_t *self);

//  A worker that knows nothing of what was before begins now.
void seconds_start (seconds_t *self, int64_t now);

//  The second of a flush that is due: the first from there on that is free. It
//  may be before the last one's, if the clock was ahead then.
int64_t seconds_next (seconds_t *self, int64_t due);

//  The second in which a gauge of the worker's own goes out with such a flush.
int64_t seconds_of_health (const seconds_t *self, int64_t flush, bool all);

//  Gives out what a window had, and what was open before, at a flush's second,
//  but for what stays open; nothing does when all of it is to go out. The window
//  is empty then.
void seconds_close (seconds_t *self, window_t *window, int64_t flush, bool all,
                    seconds_give_fn *give, void *argument);

//  Is the second free for a gauge of that name? If so, it is given out.
bool seconds_take (seconds_t *self, const char *name, const char *source,
                   int64_t second);

//  Saves all of it, as lines that seconds_restore takes.
void seconds_save (seconds_t *self, ledger_write_fn *write, void *argument);

//  Takes a saved line in. Returns 0, -1 if it makes no sense, 1 if it is none of
//  ours.
int seconds_restore (seconds_t *self, const char *text, size_t size);

#endif
