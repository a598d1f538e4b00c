/*  hist - buckets of a timer. The contract is in hist.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "hist.h"

#include <czmq.h>
#include <math.h>

enum { OCTAVE = 32 };  //  buckets of one

//  A duration is normalized to 64 bits (bit 63 set), so that its highest bit's
//  place gives the octave and this table the rest. The boundaries are
//  floor (2^63 * 2^((k + 1 - d) / 32)) for k = 0..31 with
//  d = 957 - 32 log2 (10^9), since buckets are of seconds.
static const uint64_t s_boundaries[OCTAVE] = {
  0x81ffa7a9549ca6e3u, 0x84d8626d3118d396u, 0x87c11235836d16a3u,
  0x8aba10758e1ea3cfu, 0x8dc3b8960164a7d9u, 0x90de67fff600044cu,
  0x940a7e28259fb382u, 0x97485c9a622adb60u, 0x9a9867054d512391u,
  0x9dfb034651c99c68u, 0xa1709975dfb06757u, 0xa4f993f3ed7b61cau,
  0xa8965f74bf065071u, 0xac476b0df43f745fu, 0xb00d2843e1060dc2u,
  0xb3e80b172fd51af7u, 0xb7d88a12d0dd9ea0u, 0xbbdf1e5a373ce5c6u,
  0xbffc43b7e604a922u, 0xc43078ac4ed47ae7u, 0xc87c3e7d03cdbec3u,
  0xcce019443eb56ce4u, 0xd15c9000bf211c1fu, 0xd5f22ca6019743e0u,
  0xdaa17c2cd19555dbu, 0xdf6b0ea438793a89u, 0xe44f7742cb56e3ddu,
  0xe94f4c7859ce1066u, 0xee6b280000000000u, 0xf3a3a6f29dd0c333u,
  0xf8f969d9b5abf948u, 0xfe6d14c2b5114024u};

//  Boundaries below the first value with these six bits behind the highest: at
//  most one more is to be tried.
// clang-format off
static const uint8_t s_boundaries_below[64] = {
  0,  1,  1,  2,  3,  3,  4,  5,  5,  6,  6,  7,  8,  8,  9,  10,
  10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 18,
  19, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 25, 25,
  26, 26, 26, 27, 27, 28, 28, 28, 29, 29, 30, 30, 30, 31, 31, 31};
// clang-format on

int
hist_bucket (uint64_t ns)
{
    int zeros, below;
    uint64_t normal;
    if (ns == 0)
        ns = 1;
    zeros = __builtin_clzll (ns);
    normal = ns << zeros;
    below = s_boundaries_below[normal >> 57 & 63];
    below += normal > s_boundaries[below];
    return BUCKET_MIN + (63 - zeros) * OCTAVE + below;
}

size_t
hist_write (char *text, const bucket_t *bucket, size_t count, char equals)
{
    char *at = text;
    size_t i;
    for (i = 0; i < count; i++) {
        if (i)
            *at++ = ',';
        if (bucket[i].index < 0)
            *at++ = '-';
        at += digits_write_whole (at, (uint64_t) abs (bucket[i].index));
        *at++ = equals;
        at += digits_write_whole (at, bucket[i].count);
    }
    return (size_t) (at - text);
}

bucket_t *
hist_room (hist_t *self, size_t most)
{
    if (most > self->max) {
        self->max = (uint32_t) most;
        self->bucket = realloc (self->bucket, most * sizeof (bucket_t));
        assert (self->bucket);
    }
    return self->bucket;
}

void
hist_copy (hist_t *self, const hist_t *from)
{
    hist_room (self, from->size);
    if (from->size)
        memcpy (self->bucket, from->bucket, from->size * sizeof (bucket_t));
    self->size = from->size;
}

bucket_t *
hist_insert (hist_t *self, size_t at, int index)
{
    if (self->size == self->max)
        hist_room (self, self->max ? self->max * 2 : 4);
    memmove (&self->bucket[at + 1], &self->bucket[at],
             (self->size - at) * sizeof (bucket_t));
    self->size++;
    self->bucket[at].index = index;
    self->bucket[at].count = 0;
    return &self->bucket[at];
}

//  No place is further up than all indexes below it take, and where many samples
//  came, each of these is there.
bucket_t *
hist_at (hist_t *self, int index)
{
    size_t from = 0, to = self->size, most;
    if (to && index > self->bucket->index) {
        most = (size_t) (index - self->bucket->index);
        if (most < to) {
            if (self->bucket[most].index == index)
                return &self->bucket[most];
            to = most;
        }
    }
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (self->bucket[middle].index < index)
            from = middle + 1;
        else
            to = middle;
    }
    return hist_place (self, &from, index);
}

double
hist_edge_ns (int index)
{
    return fmin (exp2 ((double) index / 32) * 1e9, 9.2e18);
}

double
hist_quantile_ns (const hist_t *self, double share)
{
    uint64_t count = 0, rank;
    size_t i;
    for (i = 0; i < self->size; i++)
        count += self->bucket[i].count;
    rank = (uint64_t) ceil (share * (double) count);
    for (i = 0; i + 1 < self->size && self->bucket[i].count < rank; i++)
        rank -= self->bucket[i].count;
    return self->size ? hist_edge_ns (self->bucket[i].index) * exp2 (1.0 / 64)
                      : 0;
}

double
hist_spread (const hist_t *self)
{
    double count = 0, sum = 0, squares = 0;
    size_t i;
    for (i = 0; i < self->size; i++) {
        double value = hist_edge_ns (self->bucket[i].index);
        count += (double) self->bucket[i].count;
        sum += (double) self->bucket[i].count * value;
        squares += (double) self->bucket[i].count * value * value;
    }
    return sum > 0 ? fmax (count * squares / (sum * sum), 1) : 1;
}
