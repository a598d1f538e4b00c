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

static size_t
s_post (const zb_row_t *row, char *text, size_t size)
{
    return (size_t) snprintf (text, size, "%s %d %s %" PRIu64 " %g", s_prefix,
                              (int) row->type, row->name, row->count, row->sum);
}

static const zb_backend_t s_backend = {.abi = ABI,
                                       .name = "printer",
                                       .summary = "Prints rows, for a test",
                                       .options = s_options,
                                       .post = s_post};

const zb_backend_t *
zibrato_backend (void)
{
    return &s_backend;
}
