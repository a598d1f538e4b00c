/*  measured.c - a shared library that measures, and brings the body with it

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"

void measured_run (long passes);

void
measured_run (long passes)
{
    while (passes-- > 0) {
        ZB_COUNT_ME ("info", "module.count");
        ZB_TIME_ME ("info", "module.time");
        ZB_GAUGE ("info", "module.gauge", 1);
    }
}
