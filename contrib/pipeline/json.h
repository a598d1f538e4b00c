/*  json - members of a JSON object, as rows need them

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_JSON_H
#define ZB_JSON_H

#include "zibrato_backend.h"

#include <cjson/cJSON.h>

//  A label may be any bytes; in JSON those that are no UTF-8 become '?'.
void json_add_text (cJSON *object, const char *name, const char *text);

//  A finite number, which reads back to the last bit. cJSON's own way takes 15
//  digits for enough where they are not.
void json_add_number (cJSON *object, const char *name, double value);

//  "value" of one sample; of more "count", "sum", "min", "max", "sum_squares".
void json_add_samples (cJSON *object, const zb_row_t *row);

#endif
