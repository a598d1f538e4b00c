/*  note - what a message says about its stream (zibrato.h, section 3)

        level|Stream|ID|AGE|COUNTS                  before its first line
        level|End|ID|SERIES|SEQS|READINGS           behind its very last

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_NOTE_H
#define ZB_NOTE_H

#include "line.h"

typedef enum { NOTE_NONE, NOTE_STREAM, NOTE_END } note_kind_t;

typedef struct {
    note_kind_t kind;
    span_t level, id;
    int64_t age_ms;     //  Stream: of the stream, when the message was made
    span_t counts;      //  Stream: of its timers, in the order of their lines
    uint64_t series;    //  End: counters and timers that the stream has,
    uint64_t seqs;      //  the sum of the SEQ of each one's last line, modulo
                        //  2^64, and
    uint64_t readings;  //  how many there were
} note_t;

//  Reads a line that line_parse has refused. Returns NULL, or what is wrong: it
//  is no note. The texts of *note point into the given one.
const char *note_parse (const char *text, size_t size, note_t *note);

//  Takes the first of counts. Returns 1, 0 at the end, -1 if it is none.
int note_count_next (span_t *counts, uint64_t *count);

//  Gives a line what the Stream note before it says of that: its age, and to a
//  timer its count. A line of another stream is left alone.
void note_apply (note_t *self, zb_line_t *line);

#endif
