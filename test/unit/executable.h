/*  executable.h - what a unit test of zibrato.c begins with: all of it, statics
    included. Few need it: it makes half a second of each compilation.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_EXECUTABLE_H
#define ZB_EXECUTABLE_H

#define main zibrato_main
#include "../../zibrato.c"
#undef main

#include "unit.h"

#endif
