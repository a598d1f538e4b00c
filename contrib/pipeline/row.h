/*  row - the text of a row, in spool, rejected/ and replay

        counter|requests;code=200|web1|1795423260 start=1795423200 value=5
        timer|work|web1|1795423260 count=2 value=0.25 min=0.1 max=0.15 ...

    One form for all backends, which people read and mend. Type, name with its
    tags and source are separated by bars; time is in Unix seconds. Behind it are
    the fields that are not what one would expect, as KEY=NUMBER: s_fields of
    row.c has them all. A number reads back to the last bit.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ROW_H
#define ZB_ROW_H

#include "buffer.h"

#include "zibrato_backend.h"

//  Appends a row without a line's end. Its name may have tags in it, with none
//  of their own. Returns 0; -1 if a number is not finite, and then nothing is
//  appended.
int row_write (const zb_row_t *row, buffer_t *text);

//  Rows that were read, all zero before, and what they point to.
typedef struct {
    zb_row_t *row;
    size_t count;
    char *text;  //  which they were read from, with ends in it
    zb_tag_t *tags;
    zb_bucket_t *buckets;
    zb_total_t *totals;
    size_t tag_count, bucket_count, total_count;
    char wrong[128];  //  with the first bad row, for a person
} rows_t;

//  Reads so many rows, each ended by '\n'. Returns 0; -1 with what is wrong in
//  self->wrong. Either way the caller clears it.
int rows_read (rows_t *self, const char *text, size_t size, size_t count);

void rows_clear (rows_t *self);

#endif
