/*  plugin.c - a backend from a shared object, as test_cli.c builds it

    Prints "plugin TYPE NAME COUNT SUM" for each row, with the prefix that
    --prefix says. -DABI=N makes it one for another version.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato_backend.h"

#include <inttypes.h>
#include <stdio.h>

#ifndef ABI
#define ABI ZB_BACKEND_ABI
#endif

static const char *s_prefix = "plugin";

static const zb_option_t s_options[] = {{.name = "prefix",
                                         .argument = "TEXT",
                                         .text = &s_prefix,
                                         .help = "before each row"},
                                        {.name = NULL}};

static zb_outcome_t
s_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    size_t i;
    (void) reply;
    for (i = 0; i < count; i++)
        printf ("%s %d %s %" PRIu64 " %g\n", s_prefix, (int) rows[i].type,
                rows[i].name, rows[i].count, rows[i].sum);
    return fflush (stdout) == 0 ? ZB_DELIVERED : ZB_RETRY;
}

static const zb_backend_t s_backend = {.abi = ABI,
                                       .name = "printer",
                                       .summary = "Prints rows, for a test",
                                       .options = s_options,
                                       .wants = ZB_WANTS_SECONDS,
                                       .deliver = s_deliver,
                                       .prints = 1};

const zb_backend_t *
zibrato_backend (void)
{
    return &s_backend;
}
