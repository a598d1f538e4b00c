/*  column - many numbers in few bytes, each as it was, to the last bit

    Integers are what is above the least of them, or the differences of neighbours
    are, whichever is shorter: in blocks of 16, each with as many bits a number as
    its largest takes. Doubles are integers, if all are so with up to six decimals;
    else what each has in common with the one before is left out.

    Who reads takes nothing for granted: bytes that were not written like this are
    refused, or are other numbers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_COLUMN_H
#define ZB_COLUMN_H

#include "buffer.h"
#include "hist.h"

#include <stdbool.h>

enum { COLUMN_MOST = 3600 };  //  numbers

//  What is left of the bytes. Reading beyond their end fails, and so does all
//  reading after that.
typedef struct {
    const unsigned char *at, *end;
    bool failed;
} column_t;

//  In seven bits a byte (LEB128).
void column_put (buffer_t *out, uint64_t number);
uint64_t column_get (column_t *self);

//  1 to COLUMN_MOST numbers. Any 64 bits will do.
void column_put_integers (buffer_t *out, const int64_t *number, size_t count);
void column_get_integers (column_t *self, int64_t *number, size_t count);

void column_put_doubles (buffer_t *out, const double *number, size_t count);
void column_get_doubles (column_t *self, double *number, size_t count);

//  Buckets of one point, their indexes ascending.
void
column_put_buckets (buffer_t *out, const zb_bucket_t *bucket, size_t count);

//  How many buckets follow; they take two bytes each, at least, and are as many at
//  most as there are indexes.
size_t column_get_bucket_count (column_t *self);

void column_get_buckets (column_t *self, zb_bucket_t *bucket, size_t count);

#endif
