/*  decimal - digits to numbers, exactly

    Of line.c and the text of rows, where all of it is inlined.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_DECIMAL_H
#define ZB_DECIMAL_H

#include "line.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

//  (negative ? -1 : 1) * digits * 10^exponent, unless digits were cut.
typedef struct {
    zb_ns_t digits;
    int exponent;
    int negative, cut;
    int next;  //  the first digit that was cut
} decimal_t;

enum { DIGITS_SAFE = 19 };  //  decimal ones that a uint64_t always has room for

//  Adds the next digit to the number. Returns 0 if it is none.
static inline int
s_digit (const char *c, uint64_t *number)
{
    unsigned digit = (unsigned) *c - (unsigned) '0';
    if (digit > 9)
        return 0;
    *number = *number * 10 + digit;
    return 1;
}

enum { DIGITS_FEW = 8 };

//  Reads the digits at *c into the number, whatever becomes of it beyond
//  DIGITS_SAFE of them. Returns how many there are. Where there is room for the
//  few that most numbers have, nobody looks for the end at each of them.
static inline size_t
s_digits (const char **c, const char *end, uint64_t *number)
{
    const char *begin = *c;
    size_t i;
    if (end - begin >= DIGITS_FEW) {
#pragma GCC unroll 8
        for (i = 0; i < DIGITS_FEW; i++)
            if (!s_digit (begin + i, number)) {
                *c = begin + i;
                return i;
            }
        *c = begin + DIGITS_FEW;
    }
    while (*c < end && s_digit (*c, number))
        ++*c;
    return (size_t) (*c - begin);
}

//  Reads digits again, which are more than there is room for.
static inline void
decimal_cut (decimal_t *self, const char *c, const char *end)
{
    int point = 0;
    self->digits = 0;
    self->exponent = 0;
    for (; c < end; c++) {
        if (*c == '.')
            point = 1;
        else if (self->digits < ~(zb_ns_t) 0 / 10 - 1) {
            self->digits = self->digits * 10 + (unsigned) (*c - '0');
            self->exponent -= point;
        }
        else {
            if (!self->cut++)
                self->next = *c - '0';
            self->cut |= *c != '0';
            self->exponent += !point;
        }
    }
}

//  Reads the rest, [e[+-]digits]; -1 if it is anything else.
static inline int
decimal_exponent (decimal_t *self, const char *c, const char *end)
{
    int exponent = 0, sign;
    if (*c != 'e' && *c != 'E')
        return -1;
    sign = ++c < end && *c == '-' ? -1 : 1;
    if (c < end && (*c == '-' || *c == '+'))
        c++;
    if (c == end)
        return -1;
    for (; c < end && isdigit ((unsigned char) *c); c++)
        if (exponent < 100000)
            exponent = exponent * 10 + (*c - '0');
    self->exponent += sign * exponent;
    return c == end ? 0 : -1;
}

//  Reads [+-]digits[.digits][e[+-]digits]; -1 if it is anything else.
static inline int
s_decimal (span_t span, decimal_t *number)
{
    const char *c = span.text, *end = c + span.size, *begin;
    size_t digits, places = 0;
    uint64_t few = 0;  //  digits, unless they are to be read again
    *number = (decimal_t){0, 0, 0, 0, 0};
    if (c < end && (*c == '-' || *c == '+'))
        number->negative = *c++ == '-';
    begin = c;
    digits = s_digits (&c, end, &few);
    if (c < end && *c == '.') {
        c++;
        places = s_digits (&c, end, &few);
        number->exponent = -(int) places;
    }
    number->digits = few;
    if (digits + places > DIGITS_SAFE)
        decimal_cut (number, begin, c);
    if (digits + places == 0)
        return -1;
    return c == end ? 0 : decimal_exponent (number, c, end);
}

static const double s_powers[] = {
  1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

//  The nearest double to what both have made exactly: digits and power (Clinger,
//  "How to read floating point numbers accurately", 1990).
static inline double
s_scaled (const decimal_t *self)
{
    double digits = (double) (uint64_t) self->digits;
    return self->exponent < 0 ? digits / s_powers[-self->exponent]
                              : digits * s_powers[self->exponent];
}

//  The same with 17 digits, as "%.17g" writes most sums of squares: where a long
//  double has 64 bits, these are exact, too. What it rounds away changes the
//  double only if that seems to lie in the middle between two. Then, and where
//  it has not, it is -1.
static inline double
s_scaled_long (const decimal_t *self)
{
#if LDBL_MANT_DIG == 64
    long double value = (long double) (uint64_t) self->digits;
    uint64_t mantissa;
    value = self->exponent < 0 ? value / (long double) s_powers[-self->exponent]
                               : value * (long double) s_powers[self->exponent];
    memcpy (&mantissa, &value, sizeof mantissa);
    return (mantissa & 0x7ff) == 0x400 ? -1 : (double) value;
#else
    (void) self;
    return -1;
#endif
}

//  The nearest double; -1 if the text is no number or not finite. strtod is slow,
//  and rarely needed.
static inline int
s_number (span_t span, double *value)
{
    decimal_t number;
    char text[512];
    if (s_decimal (span, &number) == -1)
        return -1;
    if (number.digits <= UINT64_MAX && !number.cut && number.exponent >= -22
        && number.exponent <= 22) {
        *value = number.digits < (1ull << 53) ? s_scaled (&number)
                                              : s_scaled_long (&number);
        if (*value >= 0) {
            *value = number.negative ? -*value : *value;
            return 0;
        }
    }
    if (span.size >= sizeof text)
        return -1;
    memcpy (text, span.text, span.size);
    text[span.size] = 0;
    *value = strtod (text, NULL);
    return isfinite (*value) ? 0 : -1;
}

#endif
