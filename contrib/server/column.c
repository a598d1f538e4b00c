/*  column - numbers in few bytes. The contract is in column.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "column.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 16 };

__extension__ typedef unsigned __int128 bits_t;

//  How integers are written: a byte of these, added up.
enum {
    OF_STEPS =
      1,      //  the numbers are differences, and the first one is there, too
    FLAT = 2  //  all are the same as the least, and there is no block
};

//  How doubles are: with so many decimals, or with what is not as before.
enum { DECIMALS_MOST = 6, UNLIKE = 7 };

static const double s_power[DECIMALS_MOST + 1] = {1,   1e1, 1e2, 1e3,
                                                  1e4, 1e5, 1e6};

//  --------------------------------------------------------------------------
//  Bytes

static void
s_put_byte (buffer_t *out, unsigned value)
{
    *buffer_room (out, 1) = (char) value;
    out->size++;
}

static const unsigned char *
s_take (column_t *self, size_t size)
{
    const unsigned char *at = self->at;
    if (self->failed || (size_t) (self->end - at) < size) {
        self->failed = true;
        return NULL;
    }
    self->at += size;
    return at;
}

static unsigned
s_get_byte (column_t *self)
{
    const unsigned char *at = s_take (self, 1);
    return at ? *at : 0;
}

void
column_put (buffer_t *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        s_put_byte (out, (unsigned) (number & 0x7f) | 0x80);
    s_put_byte (out, (unsigned) number);
}

uint64_t
column_get (column_t *self)
{
    uint64_t number = 0;
    unsigned shift, byte = 0x80;
    for (shift = 0; shift < 64 && byte & 0x80; shift += 7) {
        byte = s_get_byte (self);
        number |= (uint64_t) (byte & 0x7f) << shift;
    }
    self->failed |= (byte & 0x80) != 0;
    return number;
}

//  Small ones of either sign become small ones.
static uint64_t
s_zigzag (int64_t number)
{
    return (uint64_t) number << 1 ^ (0 - ((uint64_t) number >> 63));
}

static int64_t
s_unzigzag (uint64_t number)
{
    return (int64_t) (number >> 1 ^ (0 - (number & 1)));
}

//  --------------------------------------------------------------------------
//  Integers

static unsigned
s_width (const uint64_t *number, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= number[i];
    return all ? 64 - (unsigned) __builtin_clzll (all) : 0;
}

static size_t
s_block_bytes (size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

static size_t
s_block_of (size_t count, size_t at)
{
    return count - at < BLOCK ? count - at : BLOCK;
}

static size_t
s_size (const uint64_t *number, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i += BLOCK)
        size += 1
                + s_block_bytes (s_block_of (count, i),
                                 s_width (number + i, s_block_of (count, i)));
    return size;
}

static void
s_put_block (buffer_t *out, const uint64_t *number, size_t count)
{
    unsigned width = s_width (number, count), filled = 0;
    bits_t bits = 0;
    s_put_byte (out, width);
    for (size_t i = 0; i < count; i++) {
        bits |= (bits_t) number[i] << filled;
        for (filled += width; filled >= 8; filled -= 8, bits >>= 8)
            s_put_byte (out, (unsigned) (bits & 0xff));
    }
    if (filled)
        s_put_byte (out, (unsigned) (bits & 0xff));
}

static void
s_get_block (column_t *self, uint64_t *number, size_t count)
{
    unsigned width = s_get_byte (self), filled = 0;
    const unsigned char *at = NULL;
    uint64_t mask = width < 64 ? (UINT64_C (1) << width) - 1 : UINT64_MAX;
    bits_t bits = 0;
    self->failed |= width > 64;
    if (!self->failed)
        at = s_take (self, s_block_bytes (count, width));
    for (size_t i = 0; at && i < count; i++) {
        for (; filled < width; filled += 8)
            bits |= (bits_t) *at++ << filled;
        number[i] = (uint64_t) bits & mask;
        bits >>= width;
        filled -= width;
    }
}

//  Takes the least of them off each. Returns it.
static int64_t
s_take_least (uint64_t *number, size_t count)
{
    int64_t least = (int64_t) number[0];
    for (size_t i = 1; i < count; i++)
        if ((int64_t) number[i] < least)
            least = (int64_t) number[i];
    for (size_t i = 0; i < count; i++)
        number[i] -= (uint64_t) least;
    return least;
}

static void
s_put_all (buffer_t *out, const uint64_t *number, size_t count)
{
    for (size_t i = 0; i < count; i += BLOCK)
        s_put_block (out, number + i, s_block_of (count, i));
}

void
column_put_integers (buffer_t *out, const int64_t *number, size_t count)
{
    uint64_t plain[COLUMN_MOST], steps[COLUMN_MOST];
    int64_t least, least_step = 0;
    bool of_steps, flat;
    plain[0] = (uint64_t) number[0];
    steps[0] = 0;
    for (size_t i = 1; i < count; i++) {
        plain[i] = (uint64_t) number[i];
        steps[i - 1] = plain[i] - plain[i - 1];
    }
    least = s_take_least (plain, count);
    if (count > 1)
        least_step = s_take_least (steps, count - 1);
    of_steps = s_size (steps, count - 1) + 4 < s_size (plain, count);
    flat = of_steps ? !s_width (steps, count - 1) : !s_width (plain, count);
    s_put_byte (out, (of_steps ? OF_STEPS : 0u) | (flat ? FLAT : 0u));
    if (of_steps)
        column_put (out, s_zigzag (number[0]));
    column_put (out, s_zigzag (of_steps ? least_step : least));
    if (!flat)
        s_put_all (out, of_steps ? steps : plain, count - of_steps);
}

void
column_get_integers (column_t *self, int64_t *number, size_t count)
{
    unsigned kind = s_get_byte (self);
    bool of_steps = kind & OF_STEPS;
    uint64_t *own = (uint64_t *) number;
    uint64_t first = 0, least;
    self->failed |= kind > (OF_STEPS | FLAT);
    if (of_steps)
        first = (uint64_t) s_unzigzag (column_get (self));
    least = (uint64_t) s_unzigzag (column_get (self));
    memset (own, 0, count * sizeof *own);
    for (size_t i = of_steps; !(kind & FLAT) && i < count; i += BLOCK)
        s_get_block (self, own + i, s_block_of (count, i));
    own[0] = of_steps ? first : own[0] + least;
    for (size_t i = 1; i < count; i++)
        own[i] += of_steps ? own[i - 1] + least : least;
}

//  --------------------------------------------------------------------------
//  Doubles

//  Is the number an integer with so many decimals, and nothing else, such as -0?
static bool
s_is_decimal (double value, int decimals, int64_t *integer)
{
    double scaled = rint (value * s_power[decimals]), again;
    if (!(fabs (scaled) <= 0x1p53))
        return false;
    *integer = (int64_t) scaled;
    again = (double) *integer / s_power[decimals];
    return memcmp (&again, &value, sizeof value) == 0;
}

//  The fewest decimals that do for all, or UNLIKE.
static int
s_decimals (const double *number, int64_t *integer, size_t count)
{
    int decimals = 0;
    size_t good = 0, at = 0;
    while (good < count && decimals <= DECIMALS_MOST)
        if (s_is_decimal (number[at], decimals, &integer[at])) {
            good++;
            at = (at + 1) % count;
        }
        else {
            decimals++;
            good = 0;
        }
    return decimals <= DECIMALS_MOST ? decimals : UNLIKE;
}

//  Of the bits that differ from the number before, the bytes between those that are
//  zero at both ends.
static void
s_put_unlike (buffer_t *out, const double *number, size_t count)
{
    uint64_t before = 0, bits, unlike;
    for (size_t i = 0; i < count; i++) {
        unsigned above, below, size;
        memcpy (&bits, &number[i], sizeof bits);
        unlike = bits ^ before;
        before = bits;
        above = unlike ? (unsigned) __builtin_clzll (unlike) / 8 : 8;
        below = unlike ? (unsigned) __builtin_ctzll (unlike) / 8 : 0;
        size = 8 - above - below;
        s_put_byte (out, above << 4 | size);
        for (unlike >>= 8 * below; size; size--, unlike >>= 8)
            s_put_byte (out, (unsigned) (unlike & 0xff));
    }
}

static void
s_get_unlike (column_t *self, double *number, size_t count)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count && !self->failed; i++) {
        unsigned byte = s_get_byte (self), above = byte >> 4, size = byte & 15;
        const unsigned char *at = s_take (self, size);
        self->failed |= above + size > 8;
        for (unsigned j = 0; !self->failed && j < size; j++)
            bits ^= (uint64_t) at[j] << 8 * (8 - above - size + j);
        memcpy (&number[i], &bits, sizeof bits);
    }
}

void
column_put_doubles (buffer_t *out, const double *number, size_t count)
{
    int64_t integer[COLUMN_MOST];
    int decimals = s_decimals (number, integer, count);
    s_put_byte (out, (unsigned) decimals);
    if (decimals == UNLIKE)
        s_put_unlike (out, number, count);
    else
        column_put_integers (out, integer, count);
}

void
column_get_doubles (column_t *self, double *number, size_t count)
{
    int64_t integer[COLUMN_MOST];
    unsigned decimals = s_get_byte (self);
    if (decimals == UNLIKE)
        s_get_unlike (self, number, count);
    else if (decimals > DECIMALS_MOST)
        self->failed = true;
    else {
        column_get_integers (self, integer, count);
        for (size_t i = 0; i < count; i++)
            number[i] = (double) integer[i] / s_power[decimals];
    }
}

//  --------------------------------------------------------------------------
//  Buckets

void
column_put_buckets (buffer_t *out, const zb_bucket_t *bucket, size_t count)
{
    int before = BUCKET_MIN;
    column_put (out, count);
    for (size_t i = 0; i < count; i++) {
        column_put (out, (uint64_t) (bucket[i].index - before));
        column_put (out, bucket[i].count);
        before = bucket[i].index + 1;
    }
}

size_t
column_get_bucket_count (column_t *self)
{
    uint64_t count = column_get (self);
    if (count > (uint64_t) (self->end - self->at) / 2
        || count > BUCKET_MAX - BUCKET_MIN + 1) {
        self->failed = true;
        return 0;
    }
    return (size_t) count;
}

void
column_get_buckets (column_t *self, zb_bucket_t *bucket, size_t count)
{
    int index = BUCKET_MIN;
    for (size_t i = 0; i < count && !self->failed; i++) {
        uint64_t step = column_get (self);
        if (index > BUCKET_MAX || step > (uint64_t) (BUCKET_MAX - index)) {
            self->failed = true;
            return;
        }
        bucket[i].index = index + (int) step;
        bucket[i].count = column_get (self);
        index = bucket[i].index + 1;
    }
}
