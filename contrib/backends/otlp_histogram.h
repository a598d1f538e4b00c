/*  otlp_histogram - a row's samples as OTLP's exponential histogram

    Its buckets are those of a row, of scale 5, or fewer that are wider.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OTLP_HISTOGRAM_H
#define ZB_OTLP_HISTOGRAM_H

#include "otlp_field.h"
#include "zibrato_backend.h"

//  Writes what a point has of a row, or of its total if it has one: in no more than so
//  many buckets.
void otlp_histogram (otlp_out_t *out, const zb_row_t *row, int64_t max_buckets);

#endif
