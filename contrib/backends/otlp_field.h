/*  otlp_field - fields of an OTLP message, in Protocol Buffers or in JSON

    One walk over the rows writes either: a field has a number for the one and a name
    for the other. JSON is as opentelemetry-proto's specification has it: numbers of
    64 bits are texts, enumerations are numbers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OTLP_FIELD_H
#define ZB_OTLP_FIELD_H

#include "protobuf.h"

typedef struct {
    buffer_t *bytes;
    int json;
} otlp_out_t;

typedef struct {
    int number;
    const char *name;
} otlp_field_t;

//  The message that is in no other begins, and ends.
void otlp_open (otlp_out_t *self);
void otlp_close (otlp_out_t *self);

//  A field with a value.
void otlp_text (otlp_out_t *self, const otlp_field_t *field, const char *text);
void otlp_double (otlp_out_t *self, const otlp_field_t *field, double value);
void otlp_fixed (otlp_out_t *self, const otlp_field_t *field, uint64_t value);
void otlp_signed (otlp_out_t *self, const otlp_field_t *field, int64_t value);
void otlp_enum (otlp_out_t *self, const otlp_field_t *field, unsigned value);
void otlp_true (otlp_out_t *self, const otlp_field_t *field);

//  A message in a field, until otlp_end gets what this has returned.
size_t otlp_begin (otlp_out_t *self, const otlp_field_t *field);
void otlp_end (otlp_out_t *self, size_t begin);

//  Several messages in a field: each an item, between list and list_end.
void otlp_list (otlp_out_t *self, const otlp_field_t *field);
size_t otlp_item (otlp_out_t *self, const otlp_field_t *field);
void otlp_list_end (otlp_out_t *self);

//  Whole numbers in a field: each by otlp_number, between numbers and numbers_end.
size_t otlp_numbers (otlp_out_t *self, const otlp_field_t *field);
void otlp_number (otlp_out_t *self, uint64_t value);
void otlp_numbers_end (otlp_out_t *self, size_t begin);

#endif
