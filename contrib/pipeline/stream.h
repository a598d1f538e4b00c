/*  stream - what one publisher reports of one level, and its series

    Streams stand in lists by when their last line came, so that the one which
    was silent longest is found without a walk. Those that have changed since
    the ledger was saved are at the end of their list.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STREAM_H
#define ZB_STREAM_H

#include "gaps.h"
#include "hist.h"
#include "line.h"

#include <stdbool.h>

//  Readings behind the newest whose coming is remembered: twice as many as a
//  publisher sends again, since two brokers may be apart.
enum { GAUGE_WINDOW = 2 * 4096 };

//  A stream has met this ledger when its first line came.
typedef struct stream {
    struct stream *older, *newer;  //  in its list
    struct stream *pending;        //  the next one to be saved out of its turn
    struct series *first_series, **last_series;  //  in the order of meeting
    uint64_t hash;                               //  of level and ID, keyed
    int64_t born_ms;    //  by its age, or else by its ID: see `aged`
    int64_t active_ms;  //  when its last line came, by ledger_t.awake_ms
    uint64_t met_seq;   //  of its first state here
    uint64_t next_seq;  //  behind the highest of a state
    uint64_t seq_sum;   //  of the last SEQ of each series
    uint64_t end_sum;   //  the same, as its End says
    //  readings: the first that is ours, the next, and how many came
    uint64_t gauge_floor, gauge_next, gauge_taken;
    gaps_t *gaps;  //  of readings
    uint32_t series_count, end_count;
    uint32_t changed, saved;       //  in which save
    uint32_t restored;             //  from which
    uint32_t folded, folded_turn;  //  lines of names beyond a limit: names.c
    uint16_t level_size, key_size;
    bool young;     //  than the ledger: all of it is ours
    bool aged;      //  its birth is of our clock, else of its own wall clock
    bool ended;     //  its End has come
    bool returned;  //  after it had been given up
    bool met_states, met_gauges;
    bool is_pending;
    char key[];  //  level and ID, terminated
} stream_t;

//  What only a timer has. In this order it is three times the arena's unit.
typedef struct {
    zb_ns_t sum_ns;
    uint64_t count;
    double sum_squares;
    hist_t hist;
} timed_t;

//  There may be a million of them, so each byte counts.
typedef struct series {
    stream_t *stream;
    struct series *next;  //  of the stream: the one that was met after it
    struct entry *entry;  //  of the caller's window, where the last one went
    uint64_t seq;
    union {
        double total;    //  Counter
        timed_t *timed;  //  Timer
    };
    uint32_t window;          //  the entry's; from 1 on
    uint32_t changed, saved;  //  in which save
    uint16_t name_size;
    uint8_t source_size, type;
    char text[];  //  name, source
} series_t;

size_t stream_size (size_t key_size);

size_t series_size (size_t name_size, size_t source_size);

//  For table_find: is this the stream of a line?
int stream_same (const void *item, const void *line);

typedef struct {
    const stream_t *stream;
    const zb_line_t *line;
} series_key_t;

//  Is this the series of a series_key_t? A stream's series differ in type, name
//  and source; the level is the stream's.
int series_same (const void *item, const void *key);

uint64_t series_hash (const stream_t *stream, const zb_line_t *line);

//  The same of a series that is there.
uint64_t series_rehash (const series_t *self);

//  Readings that should have come and have not.
uint64_t stream_lost (const stream_t *self);

//  Are all states and readings here that its End speaks of?
int stream_complete (const stream_t *self);

//  --------------------------------------------------------------------------
//  A list of streams

typedef struct {
    stream_t *oldest, *newest;
    stream_t
      *unsaved;        //  the oldest that has changed since the last save began
    stream_t *cursor;  //  the next one to be saved
} streams_t;

//  Adds it as the newest.
void streams_append (streams_t *self, stream_t *stream);

//  Takes it out.
void streams_remove (streams_t *self, stream_t *stream);

#endif
