/*  ingest - lines go into the ledger and the window

        text ─▶ read ─▶ ledger ─▶ window

    Lines are read some way ahead of being taken in, so that memory has time to
    come. A worker's main thread only; nothing here waits for anything.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INGEST_H
#define ZB_INGEST_H

#include "names.h"
#include "note.h"
#include "window.h"

enum {
    MALFORMED_KINDS = 16,
    AHEAD = 32  //  lines read before they are taken in
};

//  What was wrong with lines, since the last flush.
typedef struct {
    const char *reason;
    uint64_t count;
    char example[96];  //  the first of them
} malformed_t;

//  A line that was read, and is to be taken in.
typedef struct {
    const char *text, *wrong;  //  what is wrong, or NULL
    size_t size;
    zb_line_t line;
    uint64_t hash;   //  of its entry, if that is to be looked up; or 0
    entry_t *guess;  //  that may be it, or NULL
} ahead_t;

typedef struct {
    ledger_t *ledger;
    names_t names;
    ahead_t ahead[AHEAD];
    size_t aheads;
    note_t stream;          //  of the lines that follow it
    increment_t increment;  //  of the line that is being taken in
    window_t window;        //  being filled
    malformed_t malformed[MALFORMED_KINDS];
    uint64_t received, malformed_lines;
    bool by_flush;      //  timers have a row a flush, not one a second,
    bool all_by_flush;  //  and so do gauges
    char source[256];   //  of what is folded away, and of our health
} ingest_t;

//  Series with names of their own: at most so many.
void ingest_init (ingest_t *self, size_t max_series);

void ingest_clear (ingest_t *self);

//  A message is lines; a '\n' may end the last. The text must stay until they
//  are taken in.
void ingest_lines (ingest_t *self, const char *text, size_t size);

//  Takes in the lines that were read.
void ingest_take_all (ingest_t *self);

//  Both.
void ingest_message (ingest_t *self, const char *text, size_t size);

//  A sample of the worker's own health, whatever --max-series says: a counter, of
//  what has come since *told, which becomes the value; or a gauge if that is NULL.
void ingest_own (ingest_t *self, const char *name, uint64_t value,
                 uint64_t *told, int64_t second);

//  Counts by kind and keeps the first of each as an example. The log gets them
//  at the flush: a flood of bad lines must not become a flood of log lines.
void ingest_malformed (ingest_t *self, const char *reason, const char *text,
                       size_t size);

//  Each kind once, with its count.
void ingest_log_malformed (ingest_t *self);

#endif
