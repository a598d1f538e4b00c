/*  ledger - what was last accepted of each series, so that totals become
    increments and every repetition nothing

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEDGER_H
#define ZB_LEDGER_H

#include "hist.h"
#include "line.h"
#include "table.h"

//  Readings behind the newest whose coming is remembered: twice as many as a
//  publisher sends again, since two brokers may be apart.
enum { GAUGE_WINDOW = 2 * 4096 };

//  A stream has met this ledger when its first line came.
typedef struct {
    char *key;  //  level and ID
    size_t level_size, key_size;
    uint64_t hash;
    int64_t born_ms;   //  by its ID
    int64_t heard_ms;  //  of zclock_mono
    int met_states, met_gauges;
    uint64_t met_seq;  //  of its first state
    //  readings: the first that is ours, the next, and how many came
    uint64_t gauge_floor, gauge_next, gauge_taken;
    uint64_t *gauge_seen;  //  by SEQ, GAUGE_WINDOW bits; NULL before the first
} stream_t;

typedef struct {
    stream_t *stream;
    struct entry *entry;  //  of the caller's window, where the last one went
    uint64_t window;      //  its number
    uint64_t seq;
    double total, sum_squares;
    uint64_t count;
    int64_t sum_ns;
    hist_t hist;
    uint16_t name_size, source_size;
    uint8_t type;
    char text[];  //  name, source
} series_t;

typedef struct {
    table_t streams, series;
    stream_t *last;   //  most messages are of one stream
    int64_t born_ms;  //  of the wall clock
    int64_t now_ms;   //  of zclock_mono, when the message came
    uint64_t duplicates;
} ledger_t;

//  What a line adds to what was accepted before.
typedef struct {
    int fresh;  //  the series is new here
    uint64_t count;
    double value, sum_squares;
    int64_t sum_ns, min_ns, max_ns;
    hist_t hist;
} increment_t;

//  Caller owns the return value.
ledger_t *ledger_new (void);

void ledger_destroy (ledger_t **self_p);

//  Takes a state in. Returns the series, or NULL if it says nothing new. The
//  buckets of out are the caller's, who frees them.
series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out);

//  Takes a reading in once. Returns 0, or -1 if it has been here before, or is
//  too late to tell.
int ledger_gauge (ledger_t *self, const zb_line_t *line);

//  Readings that should have come and have not, so far. A late one lowers it.
uint64_t ledger_lost (const ledger_t *self);

//  Forgets streams that were silent for so long. Returns the readings that
//  they lost.
uint64_t ledger_forget (ledger_t *self, int64_t silent_ms);

#endif
