/*  varint - whole numbers in seven bits a byte, the lowest first (LEB128)

    The highest bit says that there is another byte. Of packed.c and Protocol Buffers;
    inlined, since there are many of them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_VARINT_H
#define ZB_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT_MAX = 10 };  //  bytes of one, at most

//  Returns how many bytes it takes.
static inline size_t
varint_write (void *bytes, uint64_t number)
{
    uint8_t *at = (uint8_t *) bytes;
    for (; number >= 0x80; number >>= 7)
        *at++ = (uint8_t) (number | 0x80);
    *at++ = (uint8_t) number;
    return (size_t) (at - (uint8_t *) bytes);
}

//  Returns how many bytes it took, 0 if it has no end within size.
static inline size_t
varint_read (const void *bytes, size_t size, uint64_t *number)
{
    const uint8_t *byte = (const uint8_t *) bytes;
    *number = 0;
    for (size_t i = 0; i < size && i < VARINT_MAX; i++) {
        *number |= (uint64_t) (byte[i] & 0x7f) << 7 * i;
        if (!(byte[i] & 0x80))
            return i + 1;
    }
    return 0;
}

#endif
