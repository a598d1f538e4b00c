/*  disabled.c - a program that was instrumented, compiled with -DZB_DISABLE

    Every argument of a macro would end it with status 1: none may be
    evaluated. It is linked without libzmq.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define ZB_DISABLE
#define ZIBRATO_IMPLEMENTATION
#include "zibrato.h"

#include <stdlib.h>

static int
s_number (void)
{
    exit (1);
}

static const char *
s_text (void)
{
    exit (1);
}

static zb_t *
s_instance (void)
{
    exit (1);
}

static int
s_scopes (int condition)
{
    ZB_COUNT_ME ("info", "count");
    ZB_COUNT_ME ("info", "count", .value = s_number (), .source = s_text ());
    ZB_COUNT_ME ("info", "count", .to = s_instance (), .value = s_number ());
    ZB_TIME_ME ("debug", "time");
    ZB_TIME_ME ("debug", "time", .source = s_text (), .to = s_instance ());
    ZB_GAUGE ("crit", "gauge", s_number ());
    ZB_COUNT_ME ("info", "count", .tags = s_text ());
    ZB_TIME_ME ("debug", "time", .tags = s_text ());
    ZB_GAUGE ("crit", "gauge", s_number (), .source = s_text ());
    ZB_GAUGE ("crit", "gauge", s_number (), .tags = s_text ());
    if (condition)
        ZB_GAUGE ("crit", "gauge", s_number (), .to = s_instance ());
    else
        ZB_GAUGE ("crit", "gauge", s_number ());
    return 0;
}

static void
s_calls (int condition)
{
    zb_count (s_text (), s_text ());
    zb_count (s_text (), s_text (), .value = s_number (), .source = s_text ());
    zb_time (s_text (), s_text (), s_number (), .to = s_instance ());
    zb_time (s_text (), s_text (), s_number (), .tags = s_text (),
             .count = s_number ());
    zb_gauge (s_text (), s_text (), s_number (), .source = s_text (),
              .tags = s_text (), .to = s_instance (), .time = s_number ());
    if (condition)
        zb_gauge (s_text (), s_text (), s_number ());
    else
        zb_count (s_text (), s_text (), .value = s_number ());
}

int
main (void)
{
    zb_t *self = zb_open (.host = s_text (), .port = s_number (),
                          .source = s_text (), .tags = s_text ());
    zb_stats_t stats;
    int rc = s_scopes (1);
    s_calls (0);
    rc += zb_flush (self, 100);
    rc += zb_stats (self, &stats) > 0 || stats.measured;
    zb_close (&self);
    return rc;
}
