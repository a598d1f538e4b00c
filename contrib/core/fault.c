/*  fault - dies where a test says. The contract is in fault.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fault.h"

#ifdef ZIBRATO_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void
fault_point (int point)
{
#define FAULT_NAME(name) #name,
    static const char *const names[] = {FAULT_POINTS (FAULT_NAME)};
    static _Atomic long passed[FAULT_COUNT];
    const char *wanted = getenv ("ZB_FAULT");
    size_t size = strlen (names[point]);
    if (wanted && strncmp (wanted, names[point], size) == 0
        && wanted[size] == ':'
        && ++passed[point] == strtol (wanted + size + 1, NULL, 10))
        raise (SIGKILL);
}

#endif
