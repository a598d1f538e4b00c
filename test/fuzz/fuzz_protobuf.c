/*  fuzz_protobuf.c - whatever bytes come, no field is read that is not within them,
    and what was read is the same when it is written and read again

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

#include "../../contrib/backends/protobuf.h"

static void
s_write (buffer_t *out, const protobuf_field_t *field)
{
    if (field->kind == PROTOBUF_VARINT)
        protobuf_unsigned (out, (int) field->field, field->number);
    else if (field->kind == PROTOBUF_BYTES)
        protobuf_bytes (out, (int) field->field, field->bytes.data,
                        field->bytes.size);
    else
        protobuf_fixed (out, (int) field->field, field->number);
}

static void
fuzz (const char *text, size_t size)
{
    static buffer_t out;
    protobuf_rest_t rest = {text, size}, again;
    protobuf_field_t field, same;
    int rc;
    while ((rc = protobuf_next (&rest, &field)) == 1) {
        CHECK (rest.data + rest.size == text + size);
        if (field.kind == PROTOBUF_BYTES)
            CHECK (field.bytes.data >= text
                   && field.bytes.data + field.bytes.size <= rest.data);
        if (field.field >= 1u << 29)  //  more than a schema may have
            continue;
        out.size = 0;
        s_write (&out, &field);
        again = (protobuf_rest_t){out.text, out.size};
        CHECK (protobuf_next (&again, &same) == 1 && again.size == 0);
        CHECK (same.field == field.field && same.number == field.number);
        CHECK (same.bytes.size == field.bytes.size);
    }
    CHECK (rc == -1 || rest.size == 0);
}
