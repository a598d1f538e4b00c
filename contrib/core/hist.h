/*  hist - ascending buckets of a timer; index as on the wire

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HIST_H
#define ZB_HIST_H

#include "digits.h"
#include "zibrato_backend.h"

//  Those that a duration in 64 bits of nanoseconds can have.
enum { BUCKET_MIN = ZB_BUCKET_ZERO, BUCKET_MAX = BUCKET_MIN + 65 * 32 - 1 };

typedef zb_bucket_t bucket_t;

enum { HIST_TEXT_MAX = 2 * DIGITS_MAX };  //  bytes of a bucket's text

typedef struct {
    bucket_t *bucket;
    uint32_t size, max;
} hist_t;

//  Has room for so many buckets. Returns the first. What they are is up to the
//  caller.
bucket_t *hist_room (hist_t *self, size_t most);

//  Becomes the same.
void hist_copy (hist_t *self, const hist_t *from);

//  Makes a bucket at this place, where it belongs.
bucket_t *hist_insert (hist_t *self, size_t at, int index);

//  The place of an index, made if it is not there. Looks from `at` on, since
//  callers go up. Inlined, for there are many to a line, and nearly all of them
//  are there.
static inline bucket_t *
hist_place (hist_t *self, size_t *at, int index)
{
    while (*at < self->size && self->bucket[*at].index < index)
        ++*at;
    return *at < self->size && self->bucket[*at].index == index
             ? &self->bucket[*at]
             : hist_insert (self, *at, index);
}

//  The place of an index, wherever it is.
bucket_t *hist_at (hist_t *self, int index);

//  Writes INDEX=COUNT,... with the given character for '='. There must be room for
//  HIST_TEXT_MAX bytes of each. Returns the size.
size_t
hist_write (char *text, const bucket_t *bucket, size_t count, char equals);

//  The index of a duration. What took no time at all is where a nanosecond is.
int hist_bucket (uint64_t ns);

//  Nanoseconds at the lower edge of a bucket, 292 years at most.
double hist_edge_ns (int index);

//  The value below which a share of 0..1 of the samples lies: the middle of
//  its bucket, at most 1.1 % off.
double hist_quantile_ns (const hist_t *self, double share);

//  The mean of the squares over the square of the mean, as far as buckets tell:
//  1 if there is one of them, and more if there are others.
double hist_spread (const hist_t *self);

#endif
