/*  test_protobuf.c - what is written, byte for byte, and that nothing is read that
    is not there

    The bytes are those of protobuf.dev/programming-guides/encoding. What the
    official decoders make of whole messages is e2e.otlp_judges.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXPECT(self, bytes) s_expect (self, bytes, sizeof bytes - 1)

//  And is empty again.
static void
s_expect (buffer_t *self, const char *bytes, size_t size)
{
    assert_int_equal (self->size, size);
    assert_memory_equal (self->text, bytes, size);
    self->size = 0;
}

static void
test_numbers (void **state)
{
    buffer_t out = {.size = 0};
    (void) state;
    protobuf_unsigned (&out, 1, 150);
    EXPECT (&out, "\x08\x96\x01");
    protobuf_unsigned (&out, 1, 0);
    EXPECT (&out, "\x08\x00");
    protobuf_unsigned (&out, 16, UINT64_MAX);
    EXPECT (&out, "\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    protobuf_signed (&out, 1, -1);
    EXPECT (&out, "\x08\x01");
    protobuf_signed (&out, 1, 2);
    EXPECT (&out, "\x08\x04");
    protobuf_signed (&out, 1, INT64_MIN);
    EXPECT (&out, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    protobuf_fixed (&out, 2, 0x0807060504030201u);
    EXPECT (&out, "\x11\x01\x02\x03\x04\x05\x06\x07\x08");
    protobuf_double (&out, 3, 1.5);
    EXPECT (&out, "\x19\x00\x00\x00\x00\x00\x00\xf8\x3f");
    buffer_clear (&out);
}

static void
test_texts (void **state)
{
    buffer_t out = {.size = 0};
    (void) state;
    protobuf_text (&out, 2, "testing");
    EXPECT (&out, "\x12\x07testing");
    protobuf_text (&out, 2, "");
    EXPECT (&out, "\x12\x00");
    protobuf_text (&out, 2, "\xc3\xa4\xe4 \xff\xc3");
    EXPECT (&out, "\x12\x06\xc3\xa4? ??");
    protobuf_bytes (&out, 2, "\xff\0", 2);
    EXPECT (&out, "\x12\x02\xff\0");
    buffer_clear (&out);
}

//  Of each size there is one that takes a byte more.
static void
test_messages (void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 16379, 16380, 3000000};
    buffer_t out = {.size = 0};
    char *text = calloc (1, 3000001);
    size_t i, inner, outer;
    (void) state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        protobuf_rest_t rest, within;
        protobuf_field_t field;
        memset (text, 'x', sizes[i]);
        text[sizes[i]] = 0;
        outer = protobuf_begin (&out, 1);
        inner = protobuf_begin (&out, 2);
        protobuf_text (&out, 3, text);
        protobuf_end (&out, inner);
        protobuf_unsigned (&out, 4, 5);
        protobuf_end (&out, outer);
        rest = (protobuf_rest_t){out.text, out.size};
        assert_int_equal (protobuf_next (&rest, &field), 1);
        assert_int_equal (field.field, 1);
        assert_int_equal (rest.size, 0);
        within = field.bytes;
        assert_int_equal (protobuf_next (&within, &field), 1);
        assert_int_equal (field.field, 2);
        rest = field.bytes;
        assert_int_equal (protobuf_next (&within, &field), 1);
        assert_int_equal (field.number, 5);
        assert_int_equal (protobuf_next (&within, &field), 0);
        assert_int_equal (protobuf_next (&rest, &field), 1);
        assert_int_equal (field.bytes.size, sizes[i]);
        assert_memory_equal (field.bytes.data, text, sizes[i]);
        out.size = 0;
    }
    //  one after the other, with its size only
    inner = protobuf_begin (&out, 0);
    protobuf_varint (&out, 3);
    protobuf_varint (&out, 270);
    protobuf_end (&out, inner);
    EXPECT (&out, "\x03\x03\x8e\x02");
    free (text);
    buffer_clear (&out);
}

//  Cut anywhere it is no message, or one that ends before.
static void
test_reading (void **state)
{
    static const char bytes[] = "\x08\x96\x01\x12\x02hi\x15\x01\x02\x03\x04"
                                "\x19\x00\x00\x00\x00\x00\x00\xf8\x3f";
    size_t size;
    (void) state;
    for (size = 0; size < sizeof bytes; size++) {
        char *copy = memcpy (malloc (size + 1), bytes, size);
        protobuf_rest_t rest = {copy, size};
        protobuf_field_t field;
        size_t read = 0;
        int rc;
        copy = realloc (copy, size ? size : 1);
        rest.data = copy;
        while ((rc = protobuf_next (&rest, &field)) == 1)
            read++;
        assert_int_equal (read, (size >= 3) + (size >= 7) + (size >= 12)
                                  + (size >= 21));
        assert_int_equal (rc, size == 0 || size == 3 || size == 7 || size == 12
                                  || size == 21
                                ? 0
                                : -1);
        free (copy);
    }
}

static void
test_damaged (void **state)
{
    static const char *const messages[] = {
      "\x0b",       //  a group
      "\x0f",       //  a kind that there is not
      "\x02\x01x",  //  field 0
      "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",  //  longer than all
      "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof messages / sizeof *messages; i++) {
        protobuf_rest_t rest = {messages[i], strlen (messages[i])};
        protobuf_field_t field;
        assert_int_equal (protobuf_next (&rest, &field), -1);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_numbers), cmocka_unit_test (test_texts),
      cmocka_unit_test (test_messages), cmocka_unit_test (test_reading),
      cmocka_unit_test (test_damaged)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
