/*  app.c - a program that takes zibrato.h from somewhere else

    Without a broker nothing gets out; it ends within linger_ms all the same.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"

static int
s_work (int turns)
{
    ZB_TIME_ME ("debug", "work");
    for (int turn = 0; turn < turns; turn++) {
        ZB_COUNT_ME ("info", "turns");
    }
    ZB_GAUGE ("info", "left", 0);
    return turns;
}

int
main (void)
{
    //  Port 1 has no broker, whatever runs on this machine.
    zb_t *zb = zb_open (.port = 1, .source = "consumer", .linger_ms = 100);
    zb_stats_t stats;
    s_work (1000);
    zb_flush (zb, 0);
    if (zb_stats (zb, &stats) || stats.held < 3 || stats.sent)
        return 1;
    zb_close (&zb);
    return zb ? 1 : 0;
}
