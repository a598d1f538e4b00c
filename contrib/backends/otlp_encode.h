/*  otlp_encode - rows as an ExportMetricsServiceRequest of OpenTelemetry, in
    Protocol Buffers or JSON

        resource: service.name, service.instance.id ...
            scope: zibrato
                metric: a name and type   counter: Sum; timer: ExponentialHistogram;
                    point: a row          gauge: Gauge

    A row with a total is sent as cumulative, one without as delta. The schema is
    that of opentelemetry-proto 1.x, the rules are in its data-model.md.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OTLP_ENCODE_H
#define ZB_OTLP_ENCODE_H

#include "protobuf.h"

#include "zibrato_backend.h"

typedef struct {
    int json;             //  1: JSON, else Protocol Buffers
    int64_t max_buckets;  //  of a point: more are made coarser
    const zb_tag_t *resource;
    size_t resource_count;
} otlp_form_t;

//  Appends the request. Returns how many points it has; nothing is appended for
//  none. Rows of series that rest are no points of delta.
size_t otlp_encode (const otlp_form_t *self, const zb_row_t *rows, size_t count,
                    buffer_t *out);

#endif
