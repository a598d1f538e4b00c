/*  write_request - rows as a request of Prometheus' remote write 1.0

    The message is prometheus.WriteRequest, of prompb/remote.proto and types.proto
    (prometheus.io/docs/specs/prw/remote_write_spec has the rules): for each series its
    labels, ascending, and its samples, whose times rise.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_WRITE_REQUEST_H
#define ZB_WRITE_REQUEST_H

#include "prom.h"

#include <stdbool.h>

typedef struct {
    const char *worker;  //  a label of each series
    bool native;         //  timers are native histograms, else classic ones
    bool zeros;  //  a total that begins with its row has a 0 at its start
} write_form_t;

//  Does the total begin with this row? Then nothing of it was sent before.
bool write_begins (const zb_row_t *row);

//  Adds a row's series.
void write_request_add (buffer_t *out, const write_form_t *form,
                        const zb_row_t *row);

#endif
