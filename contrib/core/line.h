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

//  Reads a line without its end. Returns NULL, or what is wrong: one of few
//  static texts, for counting. The texts of *line point into the given one.
const char *line_parse (const char *text, size_t size, zb_line_t *line);

//  The same, but the buckets of a timer may be any text: line_buckets finds out,
//  which has to read them anyway.
const char *line_read (const char *text, size_t size, zb_line_t *line);

//  Returns NULL if line_parse could have read such a line, or what is wrong with
//  it, as above: what somebody else has read is not to be relied on.
const char *line_check (const zb_line_t *line);

//  May it stand between bars: 1 to LINE_LABEL_MAX bytes, none of them a '|' or a
//  control character?
int line_label_ok (const char *text, size_t size);

//  The same of a name: with tags it may have LINE_NAME_MAX bytes.
int line_name_ok (const char *text, size_t size);

//  Reads the buckets of a timer's line, in place of what hist has. Returns -1 if
//  they are none, or none that durations can have.
int line_buckets (const zb_line_t *line, hist_t *hist);

#endif
