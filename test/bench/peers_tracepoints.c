/*  peers_tracepoints.c - what LTTng makes of peers_tracepoints.h

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "peers_tracepoints.h"
