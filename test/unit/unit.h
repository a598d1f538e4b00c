/*  unit.h - what a unit test of zibrato.c begins with: all of it, statics
    included, cmocka, and arbitrary numbers

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_UNIT_H
#define ZB_UNIT_H

#define main zibrato_main
#include "../../zibrato.c"
#undef main

#include <setjmp.h>

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
