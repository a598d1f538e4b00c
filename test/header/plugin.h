/*  plugin.h - what two plugins have in common: inline functions that measure

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef PLUGIN_H
#define PLUGIN_H

#include "zibrato.h"

#include <time.h>

//  Of two plugins that were loaded with RTLD_GLOBAL the second may call the
//  first one's. Whichever it is measures into its own instance.
inline void
plugin_inline (void)
{
    const struct timespec nap = {0, 500000};
    ZB_COUNT_ME ("info", "inline.count");
    ZB_TIME_ME ("info", "inline.time");
    ZB_GAUGE ("info", "inline.gauge", 1.5);
    nanosleep (&nap, NULL);
}

//  This one is always the plugin's own, but what is static in it has a name
//  that both know.
__attribute__ ((always_inline)) inline void
plugin_copied (void)
{
    const struct timespec nap = {0, 500000};
    ZB_COUNT_ME ("info", "copied.count");
    ZB_TIME_ME ("info", "copied.time");
    ZB_GAUGE ("info", "copied.gauge", 1.5);
    nanosleep (&nap, NULL);
}

#endif
