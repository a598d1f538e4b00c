/*  protobuf - the encoding of Protocol Buffers. The contract is in protobuf.h.

    protobuf.dev/programming-guides/encoding has the rules. Those who write for us
    cannot read the schema of OTLP (protobuf-c 1.4.1), or want a callback for each
    of its fields (nanopb); what is needed of it is less than either.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "protobuf.h"

#include "utf8.h"
#include "varint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_BITS = 3 };  //  of a tag; the field is above them

//  --------------------------------------------------------------------------
//  Writing

void
protobuf_varint (buffer_t *self, uint64_t value)
{
    self->size += varint_write (buffer_room (self, VARINT_MAX), value);
}

static void
s_tag (buffer_t *self, int field, int kind)
{
    protobuf_varint (self, (uint64_t) field << KIND_BITS | (uint64_t) kind);
}

void
protobuf_unsigned (buffer_t *self, int field, uint64_t value)
{
    s_tag (self, field, PROTOBUF_VARINT);
    protobuf_varint (self, value);
}

void
protobuf_signed (buffer_t *self, int field, int64_t value)
{
    protobuf_unsigned (self, field, protobuf_zigzag (value));
}

//  Its bytes go from the lowest to the highest, on every machine.
void
protobuf_fixed (buffer_t *self, int field, uint64_t value)
{
    char *data;
    s_tag (self, field, PROTOBUF_FIXED64);
    data = buffer_room (self, sizeof value);
    for (size_t i = 0; i < sizeof value; i++)
        data[i] = (char) (value >> 8 * i);
    self->size += sizeof value;
}

void
protobuf_double (buffer_t *self, int field, double value)
{
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    protobuf_fixed (self, field, bits);
}

void
protobuf_bytes (buffer_t *self, int field, const void *data, size_t size)
{
    s_tag (self, field, PROTOBUF_BYTES);
    protobuf_varint (self, size);
    memcpy (buffer_room (self, size), data, size);
    self->size += size;
}

void
protobuf_text (buffer_t *self, int field, const char *text)
{
    size_t size = strlen (text);
    protobuf_bytes (self, field, text, size);
    *buffer_room (self, 1) = 0;
    utf8_mend (self->text + self->size - size);
}

//  Most are shorter than 128 bytes, so that their size takes one.
size_t
protobuf_begin (buffer_t *self, int field)
{
    if (field)
        s_tag (self, field, PROTOBUF_BYTES);
    buffer_room (self, 1);
    return ++self->size;
}

void
protobuf_end (buffer_t *self, size_t begin)
{
    char size[VARINT_MAX];
    size_t bytes = varint_write (size, self->size - begin);
    if (bytes > 1) {
        buffer_room (self, bytes - 1);
        memmove (self->text + begin + bytes - 1, self->text + begin,
                 self->size - begin);
        self->size += bytes - 1;
    }
    memcpy (self->text + begin - 1, size, bytes);
}

//  --------------------------------------------------------------------------
//  Reading

static int
s_take_varint (protobuf_rest_t *self, uint64_t *value)
{
    size_t size = varint_read (self->data, self->size, value);
    self->data += size;
    self->size -= size;
    return size ? 0 : -1;
}

static int
s_take_bytes (protobuf_rest_t *self, uint64_t size, protobuf_rest_t *bytes)
{
    if (size > self->size)
        return -1;
    bytes->data = self->data;
    bytes->size = (size_t) size;
    self->data += size;
    self->size -= (size_t) size;
    return 0;
}

static int
s_take_fixed (protobuf_rest_t *self, size_t size, uint64_t *value)
{
    protobuf_rest_t bytes;
    if (s_take_bytes (self, size, &bytes) == -1)
        return -1;
    *value = 0;
    while (size--)
        *value = *value << 8 | (unsigned char) bytes.data[size];
    return 0;
}

static int
s_take_value (protobuf_rest_t *self, protobuf_field_t *field)
{
    uint64_t size;
    switch (field->kind) {
        case PROTOBUF_VARINT:
            return s_take_varint (self, &field->number);
        case PROTOBUF_FIXED64:
            return s_take_fixed (self, 8, &field->number);
        case PROTOBUF_FIXED32:
            return s_take_fixed (self, 4, &field->number);
        case PROTOBUF_BYTES:
            return s_take_varint (self, &size) == -1
                     ? -1
                     : s_take_bytes (self, size, &field->bytes);
        default:
            return -1;
    }
}

int
protobuf_next (protobuf_rest_t *self, protobuf_field_t *field)
{
    uint64_t tag;
    memset (field, 0, sizeof *field);
    if (self->size == 0)
        return 0;
    if (s_take_varint (self, &tag) == -1)
        return -1;
    field->field = tag >> KIND_BITS;
    field->kind = (int) (tag & ((1 << KIND_BITS) - 1));
    return field->field && s_take_value (self, field) == 0 ? 1 : -1;
}
