/*  test_write_request.c - a row's series in a request of remote write, read back field
    by field

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "write_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C (1000000000)

enum { TEXT_MAX = 8192 };

//  The name and value of a label, or value and time of a sample.
static void
s_print_pair (FILE *out, protobuf_rest_t rest, int is_label)
{
    protobuf_field_t field;
    while (protobuf_next (&rest, &field) == 1)
        if (is_label)
            fprintf (out, "%.*s%s", (int) field.bytes.size, field.bytes.data,
                     field.field == 1 ? "=" : " ");
        else if (field.field == 1)
            fprintf (out, "%016llx@", (unsigned long long) field.number);
        else
            fprintf (out, "%llu ", (unsigned long long) field.number);
}

//  Of a native histogram: count, zero count and time.
static void
s_print_histogram (FILE *out, protobuf_rest_t rest)
{
    protobuf_field_t field;
    fprintf (out, "histogram ");
    while (protobuf_next (&rest, &field) == 1)
        if (field.field == 1 || field.field == 3 || field.field == 15)
            fprintf (out, "%llx ", (unsigned long long) field.number);
}

//  All series of a row, one a line. Caller frees the return value.
static char *
s_series (const write_form_t *form, const zb_row_t *row)
{
    buffer_t body = {.size = 0};
    protobuf_field_t series, field;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    write_request_add (&body, form, row);
    protobuf_rest_t rest = {body.text, body.size};
    while (protobuf_next (&rest, &series) == 1) {
        assert_int_equal (series.field, 1);
        while (protobuf_next (&series.bytes, &field) == 1)
            if (field.field == 4)
                s_print_histogram (out, field.bytes);
            else
                s_print_pair (out, field.bytes, field.field == 1);
        fputc ('\n', out);
    }
    fclose (out);
    buffer_clear (&body);
    return text;
}

static void
s_check (const write_form_t *form, const zb_row_t *row, const char *expected)
{
    char *text = s_series (form, row);
    assert_string_equal (text, expected);
    free (text);
}

static const zb_tag_t s_tags[] = {{"Z", "1"}, {"b", "2"}};
static const write_form_t s_form = {.worker = "w", .zeros = true};
static const write_form_t s_plain = {.worker = "w"};
static const write_form_t s_native = {
  .worker = "w", .zeros = true, .native = true};

//  A total that began in the flush that the row is of, or before it.
static zb_row_t
s_counter (const zb_total_t *total)
{
    return (zb_row_t){.type = ZB_TYPE_COUNTER,
                      .name = "n",
                      .source = "s",
                      .tags = s_tags,
                      .tag_count = 2,
                      .start_ns = 5 * SECOND,
                      .time_ns = 10 * SECOND,
                      .count = 1,
                      .total = total};
}

static void
test_counter (void **state)
{
    zb_total_t total = {.start_ns = 5 * SECOND + 1000000, .value = 2};
    zb_row_t row = s_counter (&total);
    (void) state;
    s_check (&s_form, &row,
             "Z=1 __name__=n_total b=2 source=s worker=w "
             "0000000000000000@5002 4000000000000000@10000 \n");
    s_check (&s_plain, &row,
             "Z=1 __name__=n_total b=2 source=s worker=w "
             "4000000000000000@10000 \n");
    total.start_ns = 4 * SECOND;
    s_check (&s_form, &row,
             "Z=1 __name__=n_total b=2 source=s worker=w "
             "4000000000000000@10000 \n");
}

//  Its 0 comes before its first sample, even if they are of one second.
static void
test_start (void **state)
{
    zb_total_t total = {.start_ns = 10 * SECOND - 1, .value = 2};
    zb_row_t row = s_counter (&total);
    (void) state;
    row.tag_count = 0;
    s_check (&s_form, &row,
             "__name__=n_total source=s worker=w "
             "0000000000000000@9999 4000000000000000@10000 \n");
}

static void
test_end (void **state)
{
    zb_total_t total = {.start_ns = 5 * SECOND, .value = 2};
    zb_row_t row = s_counter (&total);
    (void) state;
    row.tag_count = 0;
    row.ends = 1;
    row.count = 0;
    s_check (&s_form, &row,
             "__name__=n_total source=s worker=w 7ff0000000000002@10000 \n");
    row.type = ZB_TYPE_TIMER;
    s_check (&s_native, &row,
             "__name__=n_seconds source=s worker=w histogram 0 "
             "7ff0000000000002 2710 \n");
}

static void
test_gauge (void **state)
{
    zb_row_t row = s_counter (NULL);
    (void) state;
    row.tag_count = 0;
    row.type = ZB_TYPE_GAUGE;
    row.last = 2;
    s_check (&s_form, &row,
             "__name__=n source=s worker=w 4000000000000000@10000 \n");
}

static void
test_timer (void **state)
{
    static const zb_bucket_t buckets[] = {{-1, 1}, {0, 2}};
    zb_total_t total = {.start_ns = 4 * SECOND,
                        .count = 3,
                        .sum = 2,
                        .buckets = buckets,
                        .bucket_count = 2};
    zb_row_t row = s_counter (&total);
    char *text;
    size_t lines = 0;
    (void) state;
    row.tag_count = 0;
    row.type = ZB_TYPE_TIMER;
    text = s_series (&s_form, &row);
    for (const char *at = text; (at = strchr (at, '\n')); at++)
        lines++;
    assert_int_equal (lines, PROM_BOUNDS + 3);
    assert_non_null (strstr (text, "__name__=n_seconds_bucket le=1.0 source=s "
                                   "worker=w 3ff0000000000000@10000 \n"));
    assert_non_null (strstr (text, "le=+Inf source=s worker=w "
                                   "4008000000000000@10000 \n"));
    assert_non_null (strstr (text, "__name__=n_seconds_sum source=s worker=w "
                                   "4000000000000000@10000 \n"));
    free (text);
    s_check (&s_native, &row,
             "__name__=n_seconds source=s worker=w histogram 3 "
             "4000000000000000 2710 \n");
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_counter), cmocka_unit_test (test_start),
      cmocka_unit_test (test_end), cmocka_unit_test (test_gauge),
      cmocka_unit_test (test_timer)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
