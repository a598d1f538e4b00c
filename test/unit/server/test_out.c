/*  test_out.c - is it JSON, and does it read back?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include <cjson/cJSON.h>

#include "../../../contrib/server/out.c"

static void
test_values (void **state)
{
    buffer_t out = {NULL, 0, 0};
    (void) state;
    out_begin (&out, '{');
    out_key (&out, "a");
    out_begin (&out, '[');
    out_integer (&out, -5);
    out_number (&out, 0.1);
    out_number (&out, NAN);
    out_bool (&out, true);
    out_begin (&out, '[');
    out_end (&out, ']');
    out_raw (&out, "{}");
    out_end (&out, ']');
    out_key (&out, "b");
    out_text (&out, NULL);
    out_end (&out, '}');
    buffer_add (&out, "", 1);
    assert_string_equal (out.text,
                         "{\"a\":[-5,0.1,null,true,[],{}],\"b\":null}");
    buffer_clear (&out);
}

static void
test_texts (void **state)
{
    buffer_t out = {NULL, 0, 0};
    cJSON *json;
    (void) state;
    out_begin (&out, '[');
    out_text (&out, "ends with [");
    out_text (&out, "\"\\\n\t\x01/</script>");
    out_text (&out, "a\xff\xc3\xa4");
    out_text_of (&out, "cut off", 3);
    out_text (&out, "");
    out_end (&out, ']');
    buffer_add (&out, "", 1);
    json = cJSON_Parse (out.text);
    assert_non_null (json);
    assert_int_equal (cJSON_GetArraySize (json), 5);
    assert_string_equal (cJSON_GetArrayItem (json, 1)->valuestring,
                         "\"\\\n\t\x01/</script>");
    assert_string_equal (cJSON_GetArrayItem (json, 2)->valuestring,
                         "a?\xc3\xa4");
    assert_string_equal (cJSON_GetArrayItem (json, 3)->valuestring, "cut");
    cJSON_Delete (json);
    buffer_clear (&out);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_values),
                                       cmocka_unit_test (test_texts)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
