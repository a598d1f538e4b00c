/*  packed - buckets in few bytes. The contract is in packed.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "packed.h"

static uint8_t *
s_put (uint8_t *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (uint8_t) (number | 0x80);
    *at++ = (uint8_t) number;
    return at;
}

static const uint8_t *
s_get (const uint8_t *at, uint64_t *number)
{
    unsigned shift = 0;
    *number = 0;
    for (; *at & 0x80; shift += 7)
        *number |= (uint64_t) (*at++ & 0x7f) << shift;
    *number |= (uint64_t) *at++ << shift;
    return at;
}

size_t
packed_write (uint8_t *bytes, const hist_t *hist)
{
    uint8_t *at = bytes;
    int before = BUCKET_MIN;
    uint32_t i;
    for (i = 0; i < hist->size; i++) {
        at = s_put (at, (uint64_t) (hist->bucket[i].index - before));
        at = s_put (at, hist->bucket[i].count);
        before = hist->bucket[i].index;
    }
    return (size_t) (at - bytes);
}

void
packed_read (const uint8_t *bytes, size_t size, hist_t *hist)
{
    const uint8_t *at = bytes, *end = bytes + size;
    bucket_t *bucket = hist_room (hist, size / 2 + 1);
    int before = BUCKET_MIN;
    uint64_t step;
    for (; at < end; bucket++) {
        at = s_get (at, &step);
        at = s_get (at, &bucket->count);
        before += (int) step;
        bucket->index = before;
    }
    hist->size = (uint32_t) (bucket - hist->bucket);
}
