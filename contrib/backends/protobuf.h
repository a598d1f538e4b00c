/*  protobuf - writes Protocol Buffers into a buffer, and reads them within their
    bounds

    A message within a message is what stands between protobuf_begin and
    protobuf_end. So one can be written from front to back, with no pass before it
    that adds up sizes:

        size_t point = protobuf_begin (&out, 1);
        protobuf_double (&out, 4, row->value);
        protobuf_end (&out, point);

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PROTOBUF_H
#define ZB_PROTOBUF_H

#include "buffer.h"

#include <stdint.h>

//  --------------------------------------------------------------------------
//  Writing

//  A field: its number, and a value in the form that the schema wants. What is not
//  written has the schema's default.
void protobuf_unsigned (buffer_t *self, int field, uint64_t value);  //  uint64
void protobuf_signed (buffer_t *self, int field, int64_t value);     //  sint64
void protobuf_fixed (buffer_t *self, int field, uint64_t value);     //  fixed64
void protobuf_double (buffer_t *self, int field, double value);
void protobuf_bytes (buffer_t *self, int field, const void *data, size_t size);

//  A string. Bytes that are no UTF-8 become '?', since those who read refuse the
//  whole message for one of them.
void protobuf_text (buffer_t *self, int field, const char *text);

//  Numbers of a packed field, without a tag: between begin and end.
void protobuf_varint (buffer_t *self, uint64_t value);

//  A message or a packed field begins. What end needs is returned. Field 0 has no
//  tag, only its size: for messages that are sent one after the other.
size_t protobuf_begin (buffer_t *self, int field);

void protobuf_end (buffer_t *self, size_t begin);

//  As sint32 and sint64 write it.
static inline uint64_t
protobuf_zigzag (int64_t value)
{
    return (uint64_t) value << 1 ^ (uint64_t) (value >> 63);
}

//  --------------------------------------------------------------------------
//  Reading

//  What is left of a message.
typedef struct {
    const char *data;
    size_t size;
} protobuf_rest_t;

//  The kinds of values that there are; groups are not read.
enum {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5
};

typedef struct {
    uint64_t field;
    int kind;
    uint64_t number;        //  of all kinds but bytes
    protobuf_rest_t bytes;  //  within the message: a text, or a message
} protobuf_field_t;

//  Takes the next field. Returns 1, 0 at the end, or -1 if this is no message.
int protobuf_next (protobuf_rest_t *self, protobuf_field_t *field);

#endif
