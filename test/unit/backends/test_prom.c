/*  test_prom.c - names, labels and histograms as Prometheus takes them, and whose a
    name is

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "claims.h"
#include "fitted.h"
#include "prom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
s_check_fit (const char *text, const char *expected)
{
    char fitted[ZB_NAME_MAX + 1];
    int changed = prom_fit (text, 0, fitted);
    assert_string_equal (fitted, expected);
    assert_int_equal (changed, strcmp (text, expected) != 0);
}

static void
test_names (void **state)
{
    char name[256], expected[256];
    (void) state;
    s_check_fit ("indexer.file-size", "indexer_file_size");
    s_check_fit ("a:b", "a_b");
    s_check_fit ("9lives", "_9lives");
    s_check_fit ("\xc3\xa4", "__");
    s_check_fit ("jobs_total", "jobs");
    s_check_fit ("jobs_total_total", "jobs");
    s_check_fit ("_total", "_total");
    s_check_fit ("wait_seconds", "wait_seconds");
    memset (name, '1', 255);
    name[255] = 0;
    memset (expected, '1', 255);
    expected[0] = '_';
    expected[255] = 0;
    s_check_fit (name, expected);
    fitted_forget ();
}

static void
test_tags (void **state)
{
    (void) state;
    s_check_fit ("a;code=200;route=/a", "a;code=200;route=/a");
    s_check_fit ("a;http.code=1", "a;http_code=1");
    s_check_fit ("a;a-b=1;a.b=2", "a;a_b=1;a_b_=2");
    s_check_fit ("a;source=x", "a;tag_source=x");
    s_check_fit ("a;__x=1;le=2", "a;tag___x=1;tag_le=2");
    s_check_fit ("a;k=\xff\"\\", "a;k=?\"\\");
    //  these are not tags
    s_check_fit ("a;b", "a_b");
    fitted_forget ();
}

//  What does not fit any more loses the end of its last value.
static void
test_long_tags (void **state)
{
    char text[ZB_NAME_MAX + 1], fitted[ZB_NAME_MAX + 1];
    (void) state;
    memset (text, 'v', sizeof text);
    memcpy (text, "1n;le=", 6);
    text[ZB_NAME_MAX] = 0;
    assert_int_equal (prom_fit (text, 0, fitted), 1);
    assert_int_equal (strlen (fitted), ZB_NAME_MAX);
    assert_memory_equal (fitted, "_1n;tag_le=v", 12);
    fitted_forget ();
}

static void
test_sources (void **state)
{
    char fitted[ZB_NAME_MAX + 1];
    (void) state;
    assert_int_equal (prom_fit ("a host:1", 1, fitted), 0);
    assert_int_equal (prom_fit ("\xff", 1, fitted), 1);
    assert_string_equal (fitted, "?");
    fitted_forget ();
}

static void
test_kinds (void **state)
{
    static const struct {
        zb_row_t row;
        const char *name;
    } kinds[] = {{{.type = ZB_TYPE_COUNTER, .name = "a"}, "a_total"},
                 {{.type = ZB_TYPE_COUNTER, .name = "a", .is_signed = 1}, "a"},
                 {{.type = ZB_TYPE_TIMER, .name = "a"}, "a_seconds"},
                 {{.type = ZB_TYPE_TIMER, .name = "a_seconds"}, "a_seconds"},
                 {{.type = ZB_TYPE_GAUGE, .name = "a"}, "a"}};
    char name[PROM_NAME_MAX];
    (void) state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        prom_name (&kinds[i].row, name);
        assert_string_equal (name, kinds[i].name);
    }
}

static void
test_labels (void **state)
{
    static const zb_tag_t tags[] = {{"Z", "1"}, {"t", "2"}, {"x", "3"}};
    static const char *const keys[] = {"Z", "source", "t", "worker", "x"};
    zb_row_t row = {.source = "s", .tags = tags, .tag_count = 3};
    zb_tag_t labels[PROM_LABELS_MAX];
    (void) state;
    assert_int_equal (prom_labels (&row, "w", labels), 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal (labels[i].key, keys[i]);
    row.source = "";
    assert_int_equal (prom_labels (&row, "", labels), 3);
}

//  Each bound is the upper edge of one of our buckets.
static void
test_classic (void **state)
{
    static const zb_bucket_t buckets[] = {
      {ZB_BUCKET_ZERO, 1}, {-1, 2}, {0, 4}, {31, 8}, {32, 16}, {288, 32}};
    uint64_t counts[PROM_BOUNDS];
    (void) state;
    prom_classic (buckets, sizeof buckets / sizeof *buckets, counts);
    assert_int_equal (counts[0], 1);
    assert_int_equal (counts[20], 1 + 2);          //  1 s
    assert_int_equal (counts[21], 1 + 2 + 4 + 8);  //  2 s
    assert_int_equal (counts[22], 1 + 2 + 4 + 8 + 16);
    assert_int_equal (counts[29], 1 + 2 + 4 + 8 + 16);  //  512 s
    for (size_t i = 0; i < PROM_BOUNDS; i++)
        assert_true (strtod (prom_bound_text (i), NULL) == prom_bound (i));
    assert_string_equal (prom_bound_text (20), "1.0");
}

//  Wire bytes: fields 1, 2 ... as they are asked for. Indexes are one more.
static void
test_native (void **state)
{
    static const prom_native_t fields = {1, 2, 3, 4, 5, 6, 7};
    static const zb_bucket_t buckets[] = {
      {ZB_BUCKET_ZERO, 3}, {-65, 1}, {-64, 3}, {18, 2}};
    static const char spans[] =
      "\x28\x03"                      //  zero count
      "\x32\x04\x08\x7f\x10\x02"      //  at -64, 2 of them
      "\x32\x05\x08\xa2\x01\x10\x01"  //  81 between
      "\x3a\x03\x02\x04\x01";         //  1, +2, -1
    buffer_t out = {.size = 0};
    (void) state;
    prom_native (&out, &fields, 1.5, buckets, 4);
    assert_memory_equal (out.text, "\x08\x09\x11", 3);
    assert_true (out.size > sizeof spans - 1);
    assert_memory_equal (out.text + out.size - (sizeof spans - 1), spans,
                         sizeof spans - 1);
    buffer_clear (&out);
}

static void
test_claims (void **state)
{
    claims_t claims = {.names.count = 0};
    (void) state;
    claims_init (&claims);
    assert_true (claims_take (&claims, PROM_TIMER, "wait", "wait_seconds"));
    assert_true (claims_take (&claims, PROM_TIMER, "wait", "wait_seconds"));
    assert_false (
      claims_take (&claims, PROM_GAUGE, "wait_seconds", "wait_seconds"));
    assert_false (claims_take (&claims, PROM_GAUGE, "wait_seconds_sum",
                               "wait_seconds_sum"));
    assert_false (
      claims_take (&claims, PROM_TIMER, "wait_seconds", "wait_seconds"));
    claims_release (&claims, "wait_seconds");
    assert_true (claims_take (&claims, PROM_GAUGE, "wait_seconds_sum",
                              "wait_seconds_sum"));
    assert_false (claims_take (&claims, PROM_TIMER, "wait", "wait_seconds"));
    assert_true (claims_take (&claims, PROM_GAUGE, "a_sum", "a_sum"));
    assert_true (claims_take (&claims, PROM_COUNTER, "a", "a_total"));
    assert_true (claims_take (&claims, PROM_GAUGE, "a", "a"));
    assert_false (claims_take (&claims, PROM_SIGNED, "a", "a"));
    claims_clear (&claims);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_names),     cmocka_unit_test (test_tags),
      cmocka_unit_test (test_long_tags), cmocka_unit_test (test_sources),
      cmocka_unit_test (test_kinds),     cmocka_unit_test (test_labels),
      cmocka_unit_test (test_classic),   cmocka_unit_test (test_native),
      cmocka_unit_test (test_claims)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
