/*  body.c - the body of zibrato.h, compiled once for zibrato::zibrato

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"
