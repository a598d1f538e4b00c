/*  influx_blame - which rows an answer of InfluxDB is about

    Of a request with bad lines the good ones are stored. The answer quotes the bad
    ones, or names their measurement and field, or says how many there are.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INFLUX_BLAME_H
#define ZB_INFLUX_BLAME_H

#include "zibrato_backend.h"

//  What was sent, a line a row, and the answer, terminated.
typedef struct {
    const zb_row_t *rows;
    size_t count;
    const char *lines;
    const char *error;
    size_t dropped;  //  lines, as the answer says
} influx_blame_t;

//  Sets the marks of rows that are at fault, if it is known which: those of a group
//  that is marked as a whole are set aside. Else there are none.
void influx_blame (influx_blame_t *self, char *marks);

#endif
