/*  row_json - the text of a row as workers before version 2 of the spool wrote it

        {"time":1795423260,"type":"timer","name":"work","source":"web1",
         "count":2,"sum":0.25,"min":0.1,"max":0.15,"sum_squares":0.0325}

    What was made for Librato has "measure_time" and no type: that is a gauge, as
    all was that it got.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ROW_JSON_H
#define ZB_ROW_JSON_H

#include "zibrato_backend.h"

//  Reads such a row, all zero before, whose texts are written over the given one.
//  Returns NULL, or what was expected.
const char *row_read_json (zb_row_t *row, char *text);

#endif
