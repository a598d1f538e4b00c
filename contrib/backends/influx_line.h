/*  influx_line - rows as lines of InfluxDB's protocol

        requests,code=200,metric_type=counter,source=web1,worker=h.influx
          value=5 1795423260000

    (one line). Measurement and tags are escaped. Values are floats, always: the
    first type that a field gets is its type from then on (influxdb#7814), and 5i
    is another one. Facts about the protocol are measured at InfluxDB 1.6.7 and
    VictoriaMetrics 1.79.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INFLUX_LINE_H
#define ZB_INFLUX_LINE_H

#include "buffer.h"

#include "zibrato_backend.h"

//  What can be neither stored nor escaped becomes '_': bytes that are no UTF-8; a
//  '#' in front, which makes a comment of the line; and a backslash where a reader
//  would take it for an escape, of which there are different ones. Returns 1 if
//  that is another text.
int
influx_line_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

//  Appends a row, of a name and source that fit, with its time in units of so many
//  nanoseconds.
void influx_line_add (buffer_t *text, const zb_row_t *row, const char *worker,
                      int64_t unit_ns);

//  Has such a row this field? Its name need not be terminated.
int influx_line_has (const zb_row_t *row, const char *field, size_t size);

#endif
