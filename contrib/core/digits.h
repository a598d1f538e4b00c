/*  digits - numbers to decimal digits that read back to the last bit

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_DIGITS_H
#define ZB_DIGITS_H

#include <stddef.h>
#include <stdint.h>

enum { DIGITS_MAX = 32 };  //  bytes that a number needs, with its end

//  Writes a finite number, terminated: whole ones and those of whole billionths
//  as they are said, others in the shortest of 15 or 17 digits that reads back
//  the same. Returns the length.
size_t digits_write (char *digits, double value);

size_t digits_write_whole (char *digits, uint64_t value);

//  Writes nanoseconds as seconds, with the decimals that they have.
size_t digits_write_seconds (char *digits, int64_t ns);

#endif
