/*  fuzz_line.c - whatever bytes come as a line, it is read within its bounds,
    refused with a reason, or makes sense in each field

    Numbers are compared with strtod, which takes another way.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=2048

#include "fuzz.h"

//  The field of a line, terminated. Caller frees the return value.
static char *
s_field (const char *text, size_t size, int number)
{
    const char *end = text + size, *next;
    while (number--)
        text = (const char *) memchr (text, '|', (size_t) (end - text)) + 1;
    next = memchr (text, '|', (size_t) (end - text));
    return strndup (text, (size_t) ((next ? next : end) - text));
}

static void
fuzz (const char *text, size_t size)
{
    char *value, *when;
    zb_line_t line;
    const char *wrong = line_parse (text, size, &line);
    if (wrong) {
        CHECK (*wrong);
        return;
    }
    check_line (text, size, &line);
    value = s_field (text, size, 3);
    when = s_field (text, size, 4);
    if (line.type == ZB_TYPE_TIMER) {
        //  18 digits are safe in a long double of 64 bits
        long double ns = strtold (value, NULL) * 1e9L;
        CHECK (fabsl (ns - (long double) line.value_ns) <= 0.5L + ns * 1e-18L);
    }
    else
        CHECK (strtod (value, NULL) == line.value);
    //  a double may round a time with many digits up to the next second
    CHECK ((int64_t) strtod (when, NULL) == line.time
           || (int64_t) nextafter (strtod (when, NULL), 0) == line.time);
    free (value);
    free (when);
}
