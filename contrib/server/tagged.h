/*  tagged - a request for measurements by tags: what it means, and what there is

    A series is read, its points become values by the summary function, and the values
    of series that have the same tags of group_by become one by the group function.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TAGGED_H
#define ZB_TAGGED_H

#include "filter.h"
#include "interval.h"
#include "summary.h"
#include "traces.h"

enum { TAGGED_KEYS_MAX = 20 };

typedef struct {
    web_request_t *request;
    metric_t metric;
    interval_t interval;
    filter_t *filter;
    const char *wrong;  //  of tags[...]
    const summary_t *summary;
    const group_t *group;              //  or NULL: each series by itself
    char *keys;                        //  group_by, cut into
    const char *key[TAGGED_KEYS_MAX];  //  tags; none: all series are one group
    size_t key_count;
    traces_t traces;
} tagged_t;

//  Returns 0, or -1 with the answer. The caller clears it.
int tagged_read (tagged_t *self, web_request_t *request);

void tagged_clear (tagged_t *self);

#endif
