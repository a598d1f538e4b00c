/*  peers_tracepoints.h - of bench_peers, as LTTng wants them: read twice

    SPDX-License-Identifier: BSD-3-Clause                                    */

#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER zibrato_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "peers_tracepoints.h"

#if !defined ZB_PEERS_TRACEPOINTS_H                                            \
  || defined LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ
#define ZB_PEERS_TRACEPOINTS_H

#include <lttng/tracepoint.h>

//  A counter's pass.
LTTNG_UST_TRACEPOINT_EVENT (
  zibrato_bench, count, LTTNG_UST_TP_ARGS (int, value),
  LTTNG_UST_TP_FIELDS (lttng_ust_field_integer (int, value, value)))

//  A timer's scope has two.
LTTNG_UST_TRACEPOINT_EVENT (zibrato_bench, begin, LTTNG_UST_TP_ARGS (),
                            LTTNG_UST_TP_FIELDS ())
LTTNG_UST_TRACEPOINT_EVENT (zibrato_bench, end, LTTNG_UST_TP_ARGS (),
                            LTTNG_UST_TP_FIELDS ())

#endif

#include <lttng/tracepoint-event.h>
