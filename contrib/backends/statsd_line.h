/*  statsd_line - rows as lines of StatsD, and of DogStatsD

        web1.requests.code.200:5|c                          StatsD
        requests:5|c|T1795423260|#source:web1,worker:host,code:200
                                                            DogStatsD

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STATSD_LINE_H
#define ZB_STATSD_LINE_H

#include "buffer.h"

#include "zibrato_backend.h"

//  Names and sources of StatsD: letters, digits, '_' and '-' are fine, dots as well
//  in a name. Others become '_'; tags become part of the name.
int statsd_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

//  The same of DogStatsD, which has tags: their values may have ':' and '/', too.
int
dogstatsd_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

//  A worker's name as the value of a tag.
void dogstatsd_fit_worker (const char *text, char fitted[ZB_NAME_MAX + 1]);

//  Appends the lines of a row, which fits, each ended by '\n'; a timer as so many
//  samples at most. The lines of a gauge belong into one datagram.
void statsd_add (buffer_t *text, const zb_row_t *row, size_t samples);

void dogstatsd_add (buffer_t *text, const zb_row_t *row, const char *worker,
                    size_t samples);

#endif
