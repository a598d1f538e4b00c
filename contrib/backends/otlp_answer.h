/*  otlp_answer - what a receiver of OTLP says

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OTLP_ANSWER_H
#define ZB_OTLP_ANSWER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t rejected;  //  points; it does not say which
    char message[256];
} otlp_answer_t;

//  Reads an ExportMetricsServiceResponse, the body of a success.
void otlp_answer_success (otlp_answer_t *self, int json, const char *body,
                          size_t size);

//  Reads a google.rpc.Status, the body of a failure. A body that is none is itself
//  the message: it is a proxy's.
void otlp_answer_failure (otlp_answer_t *self, int json, const char *body,
                          size_t size);

#endif
