/*  packed - buckets in few bytes. The contract is in packed.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "packed.h"

size_t
packed_write (uint8_t *bytes, const hist_t *hist)
{
    uint8_t *at = bytes;
    int before = BUCKET_MIN;
    uint32_t i;
    for (i = 0; i < hist->size; i++) {
        at += varint_write (at, (uint64_t) (hist->bucket[i].index - before));
        at += varint_write (at, hist->bucket[i].count);
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
        at += varint_read (at, (size_t) (end - at), &step);
        at += varint_read (at, (size_t) (end - at), &bucket->count);
        before += (int) step;
        bucket->index = before;
    }
    hist->size = (uint32_t) (bucket - hist->bucket);
}
