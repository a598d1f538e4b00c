/*  line - from the text of the wire to zb_line_t (zibrato.h, section 3)

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LINE_H
#define ZB_LINE_H

#include "zibrato_backend.h"
#include "hist.h"

enum {
    LINE_LABEL_MAX = 255,  //  bytes of a level, source or ID, or a name's own
    LINE_NAME_MAX = 1023   //  bytes of a name with its tags
};

//  A number of samples, reports or readings: doubles go on exactly so far, and
//  sums of such stay whole.
#define LINE_INTEGER_MAX (UINT64_C (1) << 53)

typedef struct {
    const char *text;
    size_t size;
} span_t;

//  Nanoseconds that add up: 10,000 connections that wait have the 292 years of
//  63 bits together within eleven days.
__extension__ typedef unsigned __int128 zb_ns_t;

//  Nanoseconds that a line can have, at most: sums of such have room to spare.
#define ZB_NS_MAX ((zb_ns_t) 1 << 96)

//  One measurement as parsed from a line. The texts are not terminated, and
//  point into the message.
typedef struct {
    zb_type_t type;
    const char *level, *name, *source, *id, *buckets;
    size_t level_size, name_size, source_size, id_size, buckets_size;
    double value;  //  increment or reading; a Timer's is in value_ns
    zb_ns_t value_ns;
    int64_t time;     //  Unix seconds, rounded down,
    int32_t time_ns;  //  and what is left of them
    int by_flush;     //  1: its row is the flush's, not one of its second
    uint64_t seq, first;
    uint64_t sent;   //  Gauge, if it says so:
    int sent_given;  //  1: it does
    double total;    //  Counter
    uint64_t count;  //  Timer, the following too
    int64_t min_ns, max_ns;
    double sum_squares;
    zb_ns_t sum_ns;
    //  from the time to the end, or to where behind the ID numbers begin
    const char *tail;
    size_t tail_size;
    //  what the message says of the stream (zibrato.h, section 3: Stream)
    int64_t age_ms;    //  of it, when the message was made; -1: not said
    uint64_t recent;   //  Timer: samples since the last report, if it says so:
    int recent_given;  //  1: it does
} zb_line_t;

//  Reads a line without its end. Returns NULL, or what is wrong: one of few
//  static texts, for counting. The texts of *line point into the given one.
const char *line_parse (const char *text, size_t size, zb_line_t *line);

//  The same, but the buckets of a timer may be any text: line_buckets finds out,
//  which has to read them anyway. If `before`, which was read before, is not NULL,
//  what both have in common is not read again: its text must be there still.
const char *line_read (const char *text, size_t size, zb_line_t *line,
                       const zb_line_t *before);

//  May it stand between bars: 1 to LINE_LABEL_MAX bytes, none of them a '|' or a
//  control character?
int line_label_ok (const char *text, size_t size);

//  The same of a name: with tags it may have LINE_NAME_MAX bytes.
int line_name_ok (const char *text, size_t size);

//  The text up to the next bar, over which it steps: of a line, or of what is saved.
span_t line_field (span_t *rest);

//  Reads the buckets of a timer's line, in place of what hist has. Returns -1 if
//  they are none, or none that durations can have.
int line_buckets (const zb_line_t *line, hist_t *hist);

#endif
