/*  totals - what each counter and timer has had since a start

        row of a flush ──▶ series ──▶ the row's total
                             │
                             ├─ rests ──▶ a row without samples, but its total
                             └─ stale ──▶ a row that ends; it is forgotten

    A backend that gets totals may get them twice, or miss some: the next one
    says it all. So for one start a total must never fall, whatever happens to
    the worker. Therefore

    * it grows with the flush whose row it is in, and is saved with it: the
      renaming of the ledger that makes the flush count is on disk before any of
      its requests is sent, so what was sent is known to every later start;
    * a counter's increment below zero is refused, unless --signed names it;
    * what is not known any more (a damaged ledger, one that the disk had no
      room for) has a new start. That is the time of the flush before, which no
      total of an older start is behind;
    * when the wall clock was ahead, and is not any more, there are totals of
      times to come: who grows before these has a new start, too.

    How long a series rests is counted in the time that workers ran, so none is
    stale because there was no worker, or because the wall clock was set.

    All functions are for the thread that does flushes, or for ingest while no
    flush is under way.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TOTALS_H
#define ZB_TOTALS_H

#include "zibrato_backend.h"

#include "buffer.h"
#include "window.h"

enum { TOTALS_STALE = 3600 };  //  seconds, the default of --stale

//  What refused increments have come to in a flush.
typedef struct {
    uint64_t count;
    double sum;
    char example[ZB_NAME_MAX + 1];
} refusals_t;

typedef struct {
    const char *signs;  //  counters that may fall: globs, or NULL
    uint32_t stale;     //  seconds of rest that end a series
    bool idle;          //  those that rest have rows

    table_t table;
    arena_t arena;
    struct total *oldest, *newest;  //  by when they last had a row
    struct total *changed;          //  the first that had one in this flush
    struct total *ended;            //  in this flush; linked by `newer`
    bool first;                     //  no flush has been since the start
    int64_t from, second;           //  what this flush covers
    int64_t part_ns;  //  of a second, in all starts of this worker
    uint32_t turned;  //  who had no row since then begins anew: on the clock
                      //  of `seen`, when the wall clock last went back
    int64_t ran_ms, tick_ms;  //  how long workers ran until tick_ms
    refusals_t refusals;
    _Atomic uint64_t refused;  //  increments, so far

    //  Of the last row
    zb_total_t total;
    hist_t hist;
    buffer_t bytes;  //  its buckets, packed
    buffer_t line;   //  that is being saved
} totals_t;

//  Takes a row without samples, whose name has its tags in it. The row and what
//  it points to are valid during the call only.
typedef void (totals_give_fn) (void *argument, const zb_row_t *row);

//  What is wrong with --signed and --stale for such a backend, a static text, or
//  NULL.
const char *
totals_check (const zb_backend_t *backend, const char *signs, int64_t stale);

//  Returns NULL if the backend wants no totals. Caller owns the return value.
//  Times in ms are of zclock_mono.
totals_t *totals_new (const zb_backend_t *backend, const char *signs,
                      int64_t stale, int64_t now_ms);

void totals_destroy (totals_t **self_p);

//  Is there something to give out in a flush even if nothing was measured?
bool totals_due (const totals_t *self, int64_t now_ms);

//  --------------------------------------------------------------------------
//  A flush: begin, rows, rest, save

//  A flush begins. It covers the seconds from the flush before, or from where
//  this worker began, to its own.
void
totals_begin (totals_t *self, int64_t from, int64_t second, int64_t now_ms);

//  Adds an entry, a counter or timer, to its total, and gives its row that,
//  valid until the next call. Returns false if it is refused: the total stays as
//  it is, and nothing may be sent.
bool totals_add (totals_t *self, const entry_t *entry, zb_row_t *row);

//  After all rows of the flush: gives out those that rest or end, and says what
//  was refused.
void totals_rest (totals_t *self, totals_give_fn *give, void *argument);

//  Saves what the flush has changed, or all, as lines that totals_restore takes.
//  With a spool, each flush has to.
void totals_save (totals_t *self, bool whole, ledger_write_fn *write,
                  void *argument);

//  Takes a saved line in; without self it is thrown away. Returns 0, 1 if it is
//  none of ours, -1 if it makes no sense. Then it is not known whose total that
//  was, and all that was restored is forgotten, so that none can fall.
int totals_restore (totals_t *self, const char *text, size_t size);

//  --------------------------------------------------------------------------
//  Between totals.c and totals_file.c only

typedef enum { TOTAL_COUNTER, TOTAL_SIGNED, TOTAL_TIMER } total_kind_t;

//  Of a timer. The buckets are packed.
typedef struct {
    zb_ns_t sum_ns;
    uint64_t count;
    uint16_t size, max;  //  bytes
    uint8_t buckets[];
} total_timer_t;

//  There may be a million of them, so each byte counts.
typedef struct total {
    struct total *older, *newer;
    int64_t start_ns;
    uint32_t seen;  //  when it last had a row: seconds that workers ran
    uint16_t name_size;
    uint8_t source_size, kind;
    union {
        double value;  //  Counter
        total_timer_t *timer;
    };
    char text[];  //  name and source, terminated
} total_t;

typedef struct {
    bool timer;
    span_t name, source;
} total_key_t;

//  NULL: there is none.
total_t *totals_find (const totals_t *self, const total_key_t *key);

//  May the counter fall?
total_kind_t totals_kind (const totals_t *self, const total_key_t *key);

//  Makes the one that was not found. It is the newest.
total_t *
totals_make (totals_t *self, const total_key_t *key, total_kind_t kind);

//  Takes one out, and frees it.
void totals_remove (totals_t *self, total_t *total);

//  Becomes the newest.
void totals_lift (totals_t *self, total_t *total);

//  What self->hist has are the timer's buckets.
void totals_pack (totals_t *self, total_t *total);

//  Those that ended in this flush are gone for good.
void totals_free_ended (totals_t *self);

//  Forgets all.
void totals_clear (totals_t *self);

static inline const char *
total_source (const total_t *self)
{
    return self->text + self->name_size + 1;
}

//  Seconds that workers ran.
static inline uint32_t
totals_clock (const totals_t *self)
{
    return (uint32_t) (self->ran_ms / 1000);
}

#endif
