/*  packed - the buckets of a hist in few bytes, where there are a million hists

    A bucket is how far it is from the one before, and its count (varint.h): two to
    five bytes of most, in place of sixteen.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PACKED_H
#define ZB_PACKED_H

#include "hist.h"
#include "varint.h"

enum { PACKED_BUCKET_MAX = 2 + VARINT_MAX };  //  bytes of one, at most

//  Writes all buckets. There must be room for PACKED_BUCKET_MAX bytes of each.
//  Returns how many bytes it took.
size_t packed_write (uint8_t *bytes, const hist_t *hist);

//  Reads what was written, in place of what hist has.
void packed_read (const uint8_t *bytes, size_t size, hist_t *hist);

#endif
