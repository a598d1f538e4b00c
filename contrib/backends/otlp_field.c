/*  otlp_field - fields in both encodings. The contract is in otlp_field.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "otlp_field.h"

#include "digits.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  JSON

static void
s_add (otlp_out_t *self, const char *text, size_t size)
{
    memcpy (buffer_room (self->bytes, size), text, size);
    self->bytes->size += size;
}

//  What comes behind a value that is there has a comma before it.
static void
s_separate (otlp_out_t *self)
{
    size_t size = self->bytes->size;
    if (size && !strchr ("{[", self->bytes->text[size - 1]))
        s_add (self, ",", 1);
}

static void
s_name (otlp_out_t *self, const otlp_field_t *field)
{
    s_separate (self);
    s_add (self, "\"", 1);
    s_add (self, field->name, strlen (field->name));
    s_add (self, "\":", 2);
}

//  RFC 8259, section 7. What is no UTF-8 becomes '?', as in Protocol Buffers.
static void
s_quote (otlp_out_t *self, const char *text)
{
    char *clean = strdup (text), escaped[8];
    s_add (self, "\"", 1);
    if (clean)
        utf8_mend (clean);
    for (const char *c = clean; c && *c; c++)
        if ((unsigned char) *c < ' ' || *c == '"' || *c == '\\')
            s_add (self, escaped,
                   (size_t) snprintf (escaped, sizeof escaped, "\\u%04x",
                                      (unsigned) *c));
        else
            s_add (self, c, 1);
    s_add (self, "\"", 1);
    free (clean);
}

static void
s_digits (otlp_out_t *self, uint64_t value)
{
    self->bytes->size +=
      digits_write_whole (buffer_room (self->bytes, DIGITS_MAX), value);
}

//  --------------------------------------------------------------------------
//  Values

void
otlp_text (otlp_out_t *self, const otlp_field_t *field, const char *text)
{
    if (!self->json) {
        protobuf_text (self->bytes, field->number, text);
        return;
    }
    s_name (self, field);
    s_quote (self, text);
}

void
otlp_double (otlp_out_t *self, const otlp_field_t *field, double value)
{
    if (!self->json) {
        protobuf_double (self->bytes, field->number, value);
        return;
    }
    s_name (self, field);
    self->bytes->size +=
      digits_write (buffer_room (self->bytes, DIGITS_MAX), value);
}

void
otlp_fixed (otlp_out_t *self, const otlp_field_t *field, uint64_t value)
{
    if (!self->json) {
        protobuf_fixed (self->bytes, field->number, value);
        return;
    }
    s_name (self, field);
    otlp_number (self, value);
}

void
otlp_signed (otlp_out_t *self, const otlp_field_t *field, int64_t value)
{
    if (!self->json) {
        protobuf_signed (self->bytes, field->number, value);
        return;
    }
    s_name (self, field);
    if (value < 0)
        s_add (self, "-", 1);
    s_digits (self, (uint64_t) llabs (value));
}

void
otlp_enum (otlp_out_t *self, const otlp_field_t *field, unsigned value)
{
    if (!self->json) {
        protobuf_unsigned (self->bytes, field->number, value);
        return;
    }
    s_name (self, field);
    s_digits (self, value);
}

void
otlp_true (otlp_out_t *self, const otlp_field_t *field)
{
    if (!self->json) {
        protobuf_unsigned (self->bytes, field->number, 1);
        return;
    }
    s_name (self, field);
    s_add (self, "true", 4);
}

//  --------------------------------------------------------------------------
//  Messages and lists

void
otlp_open (otlp_out_t *self)
{
    if (self->json)
        s_add (self, "{", 1);
}

void
otlp_close (otlp_out_t *self)
{
    if (self->json)
        s_add (self, "}", 1);
}

size_t
otlp_begin (otlp_out_t *self, const otlp_field_t *field)
{
    if (!self->json)
        return protobuf_begin (self->bytes, field->number);
    s_name (self, field);
    s_add (self, "{", 1);
    return 0;
}

void
otlp_end (otlp_out_t *self, size_t begin)
{
    if (self->json)
        s_add (self, "}", 1);
    else
        protobuf_end (self->bytes, begin);
}

void
otlp_list (otlp_out_t *self, const otlp_field_t *field)
{
    if (!self->json)
        return;
    s_name (self, field);
    s_add (self, "[", 1);
}

size_t
otlp_item (otlp_out_t *self, const otlp_field_t *field)
{
    if (!self->json)
        return protobuf_begin (self->bytes, field->number);
    s_separate (self);
    s_add (self, "{", 1);
    return 0;
}

void
otlp_list_end (otlp_out_t *self)
{
    if (self->json)
        s_add (self, "]", 1);
}

size_t
otlp_numbers (otlp_out_t *self, const otlp_field_t *field)
{
    otlp_list (self, field);
    return self->json ? 0 : protobuf_begin (self->bytes, field->number);
}

void
otlp_number (otlp_out_t *self, uint64_t value)
{
    if (!self->json) {
        protobuf_varint (self->bytes, value);
        return;
    }
    if (self->bytes->text[self->bytes->size - 1] != ':')
        s_separate (self);
    s_add (self, "\"", 1);
    s_digits (self, value);
    s_add (self, "\"", 1);
}

void
otlp_numbers_end (otlp_out_t *self, size_t begin)
{
    if (self->json)
        s_add (self, "]", 1);
    else
        protobuf_end (self->bytes, begin);
}
