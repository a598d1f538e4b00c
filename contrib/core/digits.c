/*  digits - numbers to decimal digits. The contract is in digits.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "digits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BILLION = 1000000000 };

//  The shortest of 15 or 17 digits that reads back the same.
static size_t
s_write_any (char *digits, double value)
{
    int size = snprintf (digits, DIGITS_MAX, "%.15g", value);
    if (strtod (digits, NULL) != value)
        size = snprintf (digits, DIGITS_MAX, "%.17g", value);
    return (size_t) size;
}

size_t
digits_write_whole (char *digits, uint64_t value)
{
    char reversed[DIGITS_MAX];
    size_t size = 0, i;
    do {
        reversed[size++] = (char) ('0' + value % 10);
        value /= 10;
    } while (value);
    for (i = 0; i < size; i++)
        digits[i] = reversed[size - 1 - i];
    digits[size] = 0;
    return size;
}

static size_t
s_write_signed (char *digits, int64_t value)
{
    *digits = '-';
    return value < 0 ? 1 + digits_write_whole (digits + 1, 0 - (uint64_t) value)
                     : digits_write_whole (digits, (uint64_t) value);
}

//  A point and the billionths behind it, without zeros at the end.
static size_t
s_write_billionths (char *digits, unsigned billionths)
{
    size_t size;
    if (!billionths)
        return 0;
    *digits = '.';
    for (size = 9; size > 0; size--) {
        digits[size] = (char) ('0' + billionths % 10);
        billionths /= 10;
    }
    for (size = 10; digits[size - 1] == '0'; size--) {
    }
    digits[size] = 0;
    return size;
}

//  Of whole billionths, as durations are: the quotient is what a reader makes of
//  them, and 15 digits are always enough. Returns 0 if it is none, or if there
//  would be an exponent.
static size_t
s_write_duration (char *digits, double value)
{
    uint64_t ns;
    size_t size;
    if (!(value >= 1e-4 && value < 1e6))
        return 0;
    ns = (uint64_t) llrint (value * 1e9);
    if ((double) ns / 1e9 != value)
        return 0;
    size = digits_write_whole (digits, ns / BILLION);
    return size + s_write_billionths (digits + size, (unsigned) (ns % BILLION));
}

size_t
digits_write (char *digits, double value)
{
    size_t size;
    //  a zero may be negative
    if (fabs (value) < 1e15 && value == trunc (value) && value != 0)
        return s_write_signed (digits, (int64_t) value);
    size = s_write_duration (digits, value);
    return size ? size : s_write_any (digits, value);
}

size_t
digits_write_seconds (char *digits, int64_t ns)
{
    int64_t rest = ns % BILLION, seconds = ns / BILLION - (rest < 0);
    size_t size = s_write_signed (digits, seconds);
    return size
           + s_write_billionths (digits + size,
                                 (unsigned) (rest + (rest < 0) * BILLION));
}
