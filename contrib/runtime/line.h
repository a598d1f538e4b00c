/*  line - from the text of the wire to zb_line_t (zibrato.h, section 3)

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LINE_H
#define ZB_LINE_H

#include "../workers/zibrato_backend.h"

enum { LINE_LABEL_MAX = 255 };  //  bytes of a level, name, source or ID

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

//  Returns NULL if line_parse could have read such a line, or what is wrong with
//  it, as above: what somebody else has read is not to be relied on.
const char *line_check (const zb_line_t *line);

//  May it stand between bars: 1 to LINE_LABEL_MAX bytes, none of them a '|' or a
//  control character?
int line_label_ok (const char *text, size_t size);

//  Reads the next "i=n" of a timer's buckets and moves on. Returns 1, 0 at the
//  end, -1 if it is none.
int line_bucket_next (span_t *rest, int *index, uint64_t *count);

#endif
