/*  interval - the time that a request for measurements means

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INTERVAL_H
#define ZB_INTERVAL_H

#include "trace.h"
#include "web.h"

enum { INTERVAL_RESOLUTION_MAX = 604800 };

typedef struct {
    bool given;     //  measurements are wanted at all
    range_t range;  //  whole intervals of its resolution
    bool counted;   //  range.most of each series, the first or the last ones
    bool last;
} interval_t;

//  Of /v1/metrics/:name, by start_time, end_time, count and resolution (1 if it is
//  not said). A point belongs to it if the time where the point begins does.
//  Returns 0, or -1 with the answer.
int interval_read (web_request_t *request, interval_t *interval);

//  Of /v1/measurements/:name, by start_time, end_time, duration and resolution, which
//  must be said.
int interval_read_tagged (web_request_t *request, interval_t *interval);

#endif
