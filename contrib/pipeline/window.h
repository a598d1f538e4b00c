/*  window - what one flush covers

    A counter has one entry, timers and gauges one for each second, since that
    is what the Librato API resolves. What is looked up for each line is inlined
    here.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_WINDOW_H
#define ZB_WINDOW_H

#include "ledger.h"

#include <stdbool.h>

//  What only timers and gauges have.
typedef struct {
    zb_ns_t sum_ns;
    uint64_t count;
    double sum, min, max;  //  a timer's in nanoseconds
    double sum_squares;    //  and this in seconds
    double last;           //  a gauge's last reading,
    int64_t last_ns;       //  and its time
    hist_t hist;
} samples_t;

//  There may be a million of them, so each byte counts.
typedef struct entry {
    struct entry *next;
    int64_t second;  //  0: its row is the flush's
    union {
        double sum;  //  Counter
        samples_t *samples;
    };
    uint16_t name_size;
    uint8_t source_size, type;
    char text[];  //  name and source, terminated
} entry_t;

typedef struct {
    table_t entries;
    arena_t arena;
    entry_t *first, **last;  //  all, the oldest first
    uint32_t number;         //  windows are numbered, from 1 on
} window_t;

typedef struct {
    const zb_line_t *line;
    int64_t second;
} entry_key_t;

//  Entries of several streams that have the same name and source are one: the
//  service could not tell them apart either.
static inline int
entry_same (const void *item, const void *key)
{
    const entry_t *self = item;
    const entry_key_t *wanted = key;
    const zb_line_t *line = wanted->line;
    return self->second == wanted->second && self->type == line->type
           && self->name_size == line->name_size
           && self->source_size == line->source_size
           && memcmp (self->text, line->name, line->name_size) == 0
           && memcmp (self->text + line->name_size + 1, line->source,
                      line->source_size)
                == 0;
}

//  The second that a line's entry is of. One of time 0 is the flush's, too.
static inline int64_t
entry_second (const zb_line_t *line)
{
    return line->type == ZB_TYPE_COUNTER || line->by_flush ? 0 : line->time;
}

static inline uint64_t
window_hash (const zb_line_t *line)
{
    uint64_t hash = table_hash ((uint64_t) entry_second (line) * 4 + line->type,
                                line->name, line->name_size);
    return table_hash (hash, line->source, line->source_size);
}

//  The entry that a line goes to, or NULL.
static inline entry_t *
window_find (const window_t *self, const zb_line_t *line, uint64_t hash)
{
    entry_key_t key = {line, entry_second (line)};
    return table_find (&self->entries, hash, entry_same, &key);
}

//  Unix time in nanoseconds, for which 63 bits last until 2262: what is later, which a
//  line may say, is then.
int64_t window_ns (int64_t second);

//  Bytes of a line's entry, with its samples, which are next to it.
static inline size_t
entry_size (const zb_line_t *line)
{
    return offsetof (entry_t, text) + line->name_size + line->source_size + 2
           + (line->type == ZB_TYPE_COUNTER ? 0 : sizeof (samples_t));
}

//  Makes the entry that was not found. It is the window's.
entry_t *window_add (window_t *self, const zb_line_t *line, uint64_t hash);

//  Empty, with the next number.
void window_begin (window_t *self);

//  Frees all entries that have been cleared.
void window_end (window_t *self);

//  Frees all entries, whatever they have.
void window_clear (window_t *self);

//  One sample: a reading, or a classic timing.
void entry_sample (entry_t *self, const zb_line_t *line);

//  What a counter or timer has gained.
void entry_increment (entry_t *self, const increment_t *increment);

//  Moves all that one has to another of its type, and clears it.
void entry_merge (entry_t *self, entry_t *from);

//  Has nothing been measured, or is it cleared?
bool entry_empty (const entry_t *self);

//  Frees what the entry has outside of the window's memory. It is empty then,
//  and not found any more.
void entry_clear (entry_t *self);

//  Writes a timer or gauge as a line "|open|...", for window_restore.
void entry_save (const entry_t *self, ledger_write_fn *write, void *argument);

//  Takes in what is behind "|open|" of such a line. Returns -1 if it makes no
//  sense.
int window_restore (window_t *self, const char *text, size_t size);

//  The row that a flush makes of an entry, which covers the seconds from the last
//  flush to this one. Its texts and buckets are the entry's, and its name has the
//  tags in it.
void entry_row (const entry_t *self, int64_t from, int64_t flush_second,
                zb_row_t *row);

#endif
