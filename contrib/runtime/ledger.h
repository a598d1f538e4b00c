/*  ledger - what was last accepted of each series, so that totals become
    increments and every repetition nothing

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEDGER_H
#define ZB_LEDGER_H

#include "arena.h"
#include "hist.h"
#include "note.h"
#include "table.h"

//  Readings behind the newest whose coming is remembered: twice as many as a
//  publisher sends again, since two brokers may be apart.
enum { GAUGE_WINDOW = 2 * 4096 };

//  A stream has met this ledger when its first line came.
typedef struct stream {
    char *key;  //  level and ID
    size_t level_size, key_size;
    uint64_t hash;
    int64_t born_ms;   //  by its ID
    int64_t heard_ms;  //  of CLOCK_BOOTTIME
    int met_states, met_gauges;
    uint64_t met_seq;  //  of its first state
    //  readings: the first that is ours, the next, and how many came
    uint64_t gauge_floor, gauge_next, gauge_taken;
    uint64_t *gauge_seen;  //  by SEQ, GAUGE_WINDOW bits; NULL before the first
    uint32_t changed, saved;  //  in which save
    uint32_t folded;          //  lines of names beyond a limit, this window
    struct stream *next;
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
    struct series *next;  //  the one that was met after it
    struct entry *entry;  //  of the caller's window, where the last one went
    uint64_t seq;
    union {
        double total;    //  Counter
        timed_t *timed;  //  Timer
    };
    uint32_t window;          //  the entry's; from 1 on
    uint32_t changed, saved;  //  in which save
    uint8_t name_size, source_size, type;
    char text[];  //  name, source
} series_t;

//  Takes lines of a ledger that is being saved, each ended by '\n'.
typedef void (ledger_write_fn) (void *argument, const char *text, size_t size);

typedef struct {
    table_t streams, series;
    arena_t arena;      //  of series
    stream_t *last;     //  most messages are of one stream,
    series_t *follows;  //  with its series in the order in which they were met
    int64_t born_ms;    //  of the wall clock
    int64_t now_ms;     //  of CLOCK_BOOTTIME, when the message came
    hist_t reported;    //  by the line that is being taken in
    uint64_t duplicates;
    uint64_t lost_forgotten;  //  readings, of streams that are forgotten
    uint64_t lost_told;       //  of all those lost, what a flush has reported
    size_t series_max;        //  then no more are met; also of streams
    uint64_t unmet;           //  lines of such

    //  Saving: what is written is the state when it began. What changes
    //  meanwhile is written before it does.
    stream_t *first_stream;                 //  all, the newest first
    series_t *first_series, **last_series;  //  all, the oldest first
    uint32_t save;                          //  number of the next one
    int saving, all;                        //  under way; the unchanged, too
    stream_t *save_stream;                  //  to be looked at next
    series_t *save_series;
    ledger_write_fn *write;
    void *write_argument;
    char *line;  //  being made
    size_t line_size, line_max;
} ledger_t;

//  What a line adds to what was accepted before.
typedef struct {
    const char *wrong;  //  with the line, which is not taken in; or NULL
    int fresh;          //  the series is new here
    uint64_t count;
    double value, sum_squares;
    zb_ns_t sum_ns;
    int64_t min_ns, max_ns;
    hist_t hist;
} increment_t;

//  Caller owns the return value.
ledger_t *ledger_new (void);

void ledger_destroy (ledger_t **self_p);

//  Takes in a state that line_read has taken. Returns the series, or NULL if it
//  says nothing new, has bad buckets, or is of one series too many. The buckets
//  of out are the caller's, who frees them.
series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out);

//  Takes a reading in once. Returns 0, or -1 if it has been here before, is too
//  late to tell, or of one stream too many.
int ledger_gauge (ledger_t *self, const zb_line_t *line);

//  Takes in what an End note says: readings that it knows of and that have not
//  come are missing.
void ledger_end (ledger_t *self, const note_t *note);

//  Readings that should have come and have not, so far. A late one lowers it.
uint64_t ledger_lost (const ledger_t *self);

//  Forgets streams that were silent for so long, and keeps in mind what they
//  lost. From then on the ledger is younger than they are: should one of them
//  come back, nothing of it is counted twice. Returns 1 if there were any: then
//  the next save must be of all.
int ledger_forget (ledger_t *self, int64_t silent_ms);

//  Begins to save what has changed since the last save, or all of it: as lines
//  that ledger_restore takes. A save under way is given up.
void ledger_save_begin (ledger_t *self, int all, ledger_write_fn *write,
                        void *argument);

//  Goes on with up to so many series. Returns 1 at the end, else 0.
int ledger_save (ledger_t *self, size_t most);

//  Takes a saved line in. The last of several for a series counts. Returns -1
//  if it is none.
int ledger_restore (ledger_t *self, const char *text, size_t size);

//  --------------------------------------------------------------------------
//  Between ledger.c and ledger_file.c only

//  Finds or makes the stream that a line belongs to. NULL: one too many.
stream_t *ledger_stream (ledger_t *self, const zb_line_t *line);

//  Finds or makes the series of a line; *fresh tells which. NULL: one too many.
series_t *ledger_series (ledger_t *self, stream_t *stream,
                         const zb_line_t *line, int *fresh);

//  The line's state, but for the buckets, is the last one now.
void series_take (series_t *self, const zb_line_t *line);

int stream_gauge_seen (const stream_t *self, uint64_t seq);

void stream_gauge_see (stream_t *self, uint64_t seq, int seen);

//  Is this to be written, and has not been yet?
int ledger_wants (const ledger_t *self, uint32_t changed, uint32_t saved);

void ledger_save_stream (ledger_t *self, stream_t *stream);

void ledger_save_series (ledger_t *self, series_t *series);

#endif
