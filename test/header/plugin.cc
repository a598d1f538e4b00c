/*  plugin.cc - a plugin that has a body of zibrato.h to itself

    NO_BODY: it is in another file of the plugin.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef NO_BODY
#define ZIBRATO_IMPLEMENTATION
#endif
#include "plugin.h"

#define EXPORTED extern "C" __attribute__ ((visibility ("default")))

static zb_t *s_self;

EXPORTED int
plugin_open (const char *endpoint, const char *source)
{
    s_self =
      zb_open (.endpoint = endpoint, .source = source, .interval_ms = 3600000);
    return s_self ? 0 : -1;
}

EXPORTED void
plugin_measure (int passes)
{
    while (passes-- > 0) {
        plugin_inline ();
        plugin_copied ();
    }
}

EXPORTED void
plugin_flush (int ms)
{
    zb_flush (NULL, ms);
}

EXPORTED int
plugin_stats (zb_stats_t *stats)
{
    return zb_stats (NULL, stats);
}

EXPORTED void
plugin_close (void)
{
    zb_close (&s_self);
}
