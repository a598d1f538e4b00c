/*  unit.h - what a unit test begins with: cmocka, and arbitrary numbers

    The test includes the headers of what it tests, or the file itself if it
    looks at its statics.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_UNIT_H
#define ZB_UNIT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../sanitized.h"

//  The same numbers at each run (splitmix64, public domain, S. Vigna).
static uint64_t s_seed = 20250101;

__attribute__ ((unused)) static uint64_t
s_any (void)
{
    uint64_t z = s_seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
