/*  librato_api - bodies of requests to the two APIs of Librato, and what answers mean

        POST /v1/metrics       {"gauges":[...]}        name and source
        POST /v1/measurements  {"measurements":[...]}  name and tags

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LIBRATO_API_H
#define ZB_LIBRATO_API_H

#include "zibrato_backend.h"

#include <stdbool.h>

//  With histograms, those of timers, too: "buckets":{"scale":5,"index":[-12,...],
//  "count":[3,...]}, which `zibrato serve` takes. Caller owns the return value.
char *librato_gauges (const zb_row_t *rows, size_t count, bool histograms);

//  The same for the other; the source is a tag.
char *
librato_measurements (const zb_row_t *rows, size_t count, bool histograms);

//  The outcome of a response, and its reason for people: the errors that the
//  service names, else the beginning of whatever came. Was it refused because rows
//  are too old?
zb_outcome_t librato_outcome (long status, const char *body, zb_reply_t *reply,
                              bool *too_old);

//  An answer that takes the request may say that it has not taken all of it, and
//  not which (libratometrics/statsd-librato-backend#101). Says so in reply.
void librato_partly (const char *answer, zb_reply_t *reply);

#endif
