/*  clocked.h - a store by a clock that can be set

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef CLOCKED_H
#define CLOCKED_H

#include "clock.h"
#include "store_own.h"

//  Seconds by which it is ahead.
static _Atomic int64_t clocked_ahead_s;

//  For store_options_t.
static int64_t
clocked_wall_us (void)
{
    return wall_us () + clocked_ahead_s * 1000000;
}

//  For store_run: looks at the clock, and does all that is due.
static int
clocked_tend (store_t *store, void *argument)
{
    (void) argument;
    store_look (store);
    while (store_tend (store) == 0) {
    }
    return 0;
}

#endif
