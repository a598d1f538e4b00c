/*  plugin.c - a backend made with what is installed, in C and C++ alike

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "zibrato.h"
#include "zibrato_backend.h"

#include <stdlib.h>

static int s_flag;
static zb_option_t s_options[2];
static zb_backend_t s_backend;

static zb_outcome_t
s_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    char *first = zb_row_json (&rows[0], 1);
    (void) reply;
    zb_log (6, "flushed", "first=%s rows=%d key=%s", first, (int) count,
            zb_request_key ());
    free (first);
    return zb_time_left_ms () > 0 ? ZB_DELIVERED : ZB_RETRY;
}

const zb_backend_t *
zibrato_backend (void)
{
    s_options[0].name = "consumer";
    s_options[0].help = "says that this plugin was loaded";
    s_options[0].flag = &s_flag;
    s_backend.abi = ZB_BACKEND_ABI;
    s_backend.name = "consumer";
    s_backend.summary = "Takes everything";
    s_backend.options = s_options;
    s_backend.deliver = s_deliver;
    return &s_backend;
}
