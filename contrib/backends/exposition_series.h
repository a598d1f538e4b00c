/*  exposition_series - a series as text, or as Protocol Buffers, for a scrape

    Both have one value, or a timer's histogram if that is NULL.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_EXPOSITION_SERIES_H
#define ZB_EXPOSITION_SERIES_H

#include "buffer.h"
#include "latest.h"

//  Appends its lines. The family's name has a suffix. `labels` is for what lines have
//  in common.
void exposition_lines (buffer_t *out, buffer_t *labels,
                       const latest_series_t *series, const char *suffix,
                       const double *value);

//  Appends the fields of io.prometheus.client.Metric.
void exposition_metric (buffer_t *out, const latest_series_t *series,
                        const double *value);

#endif
