/*  test_row.c - the text of a row reads back to the same row, whatever it has,
    and what people make of it by hand is taken, or said to be wrong

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "buffer.h"
#include "row.h"
#include "zibrato_backend.h"

enum {
    TIMES = SANITIZED ? 2000 : 20000,
    TAGS = 20,
    BUCKETS = 60,
    A_REQUEST = 7
};

//  --------------------------------------------------------------------------
//  Any row

typedef struct {
    char name[ZB_NAME_MAX + 1], source[256], key[TAGS][24], value[TAGS][16];
    zb_tag_t tags[TAGS];
    zb_bucket_t buckets[2][BUCKETS];
    zb_total_t total;
} any_t;

static double
s_any_number (void)
{
    double number;
    uint64_t bits = s_any ();
    switch (s_any () % 4) {
        case 0:
            return (double) (s_any () % 1000);
        case 1:
            return (double) (s_any () % 1000000) / 1e9;
        case 2:
            return -(double) (s_any () >> 20);
        default:
            memcpy (&number, &bits, sizeof number);
            return isfinite (number) ? number : 0;
    }
}

//  Any bytes that may stand in a label. A tag's value has no ';'.
static void
s_any_label (char *label, size_t size, bool of_tag)
{
    size_t i;
    for (i = 0; i < size; i++)
        do
            label[i] = (char) (s_any () % 256);
        while ((unsigned char) label[i] < 0x20 || label[i] == 0x7f
               || label[i] == '|' || (label[i] == ';' && of_tag));
    label[size] = 0;
}

//  Ascending indexes.
static size_t
s_any_buckets (zb_bucket_t *bucket)
{
    size_t i, count = s_any () % BUCKETS;
    int index = ZB_BUCKET_ZERO;
    for (i = 0; i < count; i++) {
        bucket[i] = (zb_bucket_t){index, s_any () >> s_any () % 64};
        index += 1 + (int) (s_any () % 30);
    }
    return count;
}

static void
s_any_tags (any_t *any, zb_row_t *row)
{
    size_t i;
    row->tag_count = s_any () % 3 ? 0 : 1 + s_any () % TAGS;
    row->tags = any->tags;
    for (i = 0; i < row->tag_count; i++) {
        snprintf (any->key[i], sizeof any->key[i], "k%02zu", i);
        s_any_label (any->value[i], 1 + s_any () % 15, true);
        any->tags[i] = (zb_tag_t){any->key[i], any->value[i]};
    }
}

static void
s_any_total (any_t *any, zb_row_t *row)
{
    if (row->type == ZB_TYPE_GAUGE || s_any () % 2)
        return;
    row->total = &any->total;
    any->total = (zb_total_t){.start_ns = 1 + (int64_t) (s_any () >> 2)};
    if (row->type == ZB_TYPE_COUNTER) {
        any->total.value = s_any_number ();
        return;
    }
    any->total.count = s_any () >> 11;
    any->total.sum = fabs (s_any_number ());
    any->total.buckets = any->buckets[1];
    any->total.bucket_count = s_any_buckets (any->buckets[1]);
}

static void
s_any_row (any_t *any, zb_row_t *row)
{
    memset (row, 0, sizeof *row);
    row->type = (zb_type_t) (1 + s_any () % 3);
    row->name = any->name;
    row->source = any->source;
    s_any_label (any->name, 1 + s_any () % 255, true);
    s_any_label (any->source, 1 + s_any () % 255, false);
    s_any_tags (any, row);
    row->time_ns = (int64_t) (s_any () >> 2);
    row->start_ns = s_any () % 2 ? row->time_ns : (int64_t) (s_any () >> 2);
    row->last_ns = s_any () % 2 ? row->time_ns : (int64_t) (s_any () >> 2);
    row->value = s_any_number ();
    row->count = s_any () % 2 ? 1 : s_any () >> s_any () % 64;
    row->last = s_any_number ();
    row->sum = s_any () % 2 ? row->value : s_any_number ();
    row->min = s_any_number ();
    row->max = s_any_number ();
    row->sum_squares = s_any_number ();
    row->buckets = any->buckets[0];
    row->bucket_count = s_any () % 2 ? 0 : s_any_buckets (any->buckets[0]);
    row->is_signed = s_any () % 2;
    row->ends = s_any () % 2;
    s_any_total (any, row);
}

//  --------------------------------------------------------------------------
//  The same

#define SAME(a, b, field)                                                      \
    assert_memory_equal (&(a)->field, &(b)->field, sizeof (a)->field)

static void
s_same_buckets (const zb_bucket_t *a, size_t count, const zb_bucket_t *b,
                size_t other)
{
    size_t i;
    assert_int_equal (count, other);
    for (i = 0; i < count; i++) {
        assert_int_equal (a[i].index, b[i].index);
        assert_true (a[i].count == b[i].count);
    }
}

static void
s_same_total (const zb_total_t *a, const zb_total_t *b)
{
    assert_int_equal (!a, !b);
    if (!a)
        return;
    SAME (a, b, start_ns);
    SAME (a, b, value);
    SAME (a, b, count);
    SAME (a, b, sum);
    s_same_buckets (a->buckets, a->bucket_count, b->buckets, b->bucket_count);
}

static void
s_same_row (const zb_row_t *a, const zb_row_t *b)
{
    size_t i;
    assert_string_equal (a->name, b->name);
    assert_string_equal (a->source, b->source);
    assert_int_equal (a->tag_count, b->tag_count);
    for (i = 0; i < a->tag_count; i++) {
        assert_string_equal (a->tags[i].key, b->tags[i].key);
        assert_string_equal (a->tags[i].value, b->tags[i].value);
    }
    SAME (a, b, type);
    SAME (a, b, start_ns);
    SAME (a, b, time_ns);
    SAME (a, b, count);
    SAME (a, b, value);
    SAME (a, b, last);
    SAME (a, b, last_ns);
    SAME (a, b, sum);
    SAME (a, b, min);
    SAME (a, b, max);
    SAME (a, b, sum_squares);
    SAME (a, b, is_signed);
    SAME (a, b, ends);
    s_same_buckets (a->buckets, a->bucket_count, b->buckets, b->bucket_count);
    s_same_total (a->total, b->total);
}

static void
test_identity (void **state)
{
    static any_t any[A_REQUEST];
    zb_row_t row[A_REQUEST];
    int i, j;
    (void) state;
    for (i = 0; i < TIMES; i++) {
        buffer_t text = {.text = NULL};
        rows_t rows = {.row = NULL};
        for (j = 0; j < A_REQUEST; j++) {
            s_any_row (&any[j], &row[j]);
            assert_int_equal (row_write (&row[j], &text), 0);
            buffer_add (&text, "\n", 1);
        }
        if (rows_read (&rows, text.text, text.size, A_REQUEST) == -1)
            fail_msg ("%s: %.*s", rows.wrong, (int) text.size, text.text);
        for (j = 0; j < A_REQUEST; j++)
            s_same_row (&row[j], &rows.row[j]);
        rows_clear (&rows);
        buffer_clear (&text);
    }
}

//  --------------------------------------------------------------------------
//  By hand

static const char *
s_text_of (const zb_row_t *row)
{
    static buffer_t text;
    text.size = 0;
    assert_int_equal (row_write (row, &text), 0);
    buffer_add (&text, "", 1);
    return text.text;
}

//  What people see of it.
static void
test_examples (void **state)
{
    static const zb_bucket_t buckets[] = {{-65, 2}, {-60, 1}};
    static const zb_total_t total = {.start_ns = 60 * INT64_C (1000000000),
                                     .value = 105};
    static const zb_tag_t tags[] = {{"code", "200"}, {"route", "/a"}};
    zb_row_t counter = {.type = ZB_TYPE_COUNTER,
                        .name = "requests",
                        .tags = tags,
                        .tag_count = 2,
                        .source = "web1",
                        .start_ns = 120 * INT64_C (1000000000),
                        .time_ns = 180 * INT64_C (1000000000),
                        .last_ns = 180 * INT64_C (1000000000),
                        .count = 1,
                        .value = 5,
                        .last = 5,
                        .sum = 5,
                        .min = 5,
                        .max = 5,
                        .sum_squares = 25,
                        .total = &total};
    zb_row_t timer = {.type = ZB_TYPE_TIMER,
                      .name = "work",
                      .source = "web1",
                      .start_ns = INT64_C (1500000000),
                      .time_ns = INT64_C (1500000000),
                      .last_ns = INT64_C (1500000000),
                      .count = 3,
                      .value = 0.75,
                      .last = 0.75,
                      .sum = 0.75,
                      .min = 0.25,
                      .max = 0.3,
                      .sum_squares = 0.19,
                      .buckets = buckets,
                      .bucket_count = 2};
    (void) state;
    assert_string_equal (s_text_of (&counter),
                         "counter|requests;code=200;route=/a|web1|180 "
                         "start=120 value=5 since=60 total=105");
    assert_string_equal (s_text_of (&timer),
                         "timer|work|web1|1.5 count=3 value=0.75 min=0.25 "
                         "max=0.3 squares=0.19 buckets=-65:2,-60:1");
}

//  In whatever order the fields are, and without those that follow from others.
static void
test_edited (void **state)
{
    static const char text[] =
      "gauge|g|s|10 value=3\n"
      "gauge|g;b=1;a=2|s|10 max=4 count=2 value=6 min=2\n"
      "{\"time\":1795946761,\"type\":\"timer\",\"name\":\"t\",\"source\":\"old\""
      ",\"count\":2,\"sum\":0.5,\"min\":0.25,\"max\":0.25}\n"
      "{\"measure_time\":5,\"name\":\"n\",\"source\":\"x\",\"value\":7}\n";
    rows_t rows = {.row = NULL};
    const zb_row_t *row;
    (void) state;
    assert_int_equal (rows_read (&rows, text, sizeof text - 1, 4), 0);
    row = &rows.row[0];
    assert_true (row->count == 1 && row->last == 3 && row->sum_squares == 9);
    row = &rows.row[1];
    assert_string_equal (row->name, "g;b=1;a=2");  //  keys that do not ascend
    assert_true (row->count == 2 && row->max == 4 && row->sum == 6);
    row = &rows.row[2];
    assert_int_equal (row->type, ZB_TYPE_TIMER);
    assert_true (row->time_ns == INT64_C (1795946761000000000));
    assert_true (row->count == 2 && row->sum == 0.5 && row->min == 0.25);
    row = &rows.row[3];
    assert_int_equal (row->type, ZB_TYPE_GAUGE);
    assert_string_equal (row->source, "x");
    assert_true (row->count == 1 && row->value == 7 && row->sum_squares == 49);
    rows_clear (&rows);
}

static void
test_wrong (void **state)
{
    static const struct {
        const char *text, *wrong;
    } cases[] = {
      {"counter|n|s|10 value=x\n", "row 1: expected a finite number"},
      {"counter|n|s|10 value=1e999\n", "row 1: expected a finite number"},
      {"counter|n|s|10 count=-1\n", "row 1: expected a whole number"},
      {"counter|n|s|10 valu=1\n", "row 1: expected KEY=VALUE of a row"},
      {"counter|n|s|10 value=1,\n", "row 1: expected a finite number"},
      {"counter|n|s|10value=1\n", "row 1: expected a blank between fields"},
      {"counter|n|s|x value=1\n", "row 1: expected Unix seconds"},
      {"counter|n|s|99999999999 value=1\n", "row 1: expected Unix seconds"},
      {"counter|n|s\n", "row 1: expected TYPE|NAME|SOURCE|TIME ..."},
      {"count|n|s|1\n", "row 1: expected counter, timer or gauge"},
      {"counter||s|1\n",
       "row 1: expected a name of 1 to 255 bytes, 1023 with tags"},
      {"counter|n||1\n", "row 1: expected a source of 1 to 255 bytes"},
      {"timer|n|s|1 buckets=1:2,1:3\n",
       "row 1: expected INDEX:COUNT,... with rising indexes"},
      {"timer|n|s|1 buckets=\n",
       "row 1: expected INDEX:COUNT,... with rising indexes"},
      {"{\"name\":\"n\"}\n",
       "row 1: expected a JSON object with a name and a source"},
      {"{\"name\n", "row 1: expected a JSON object with a name and a source"},
      {"", "row 1: expected another row"}};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        rows_t rows = {.row = NULL};
        assert_int_equal (
          rows_read (&rows, cases[i].text, strlen (cases[i].text), 1), -1);
        assert_string_equal (rows.wrong, cases[i].wrong);
        assert_int_equal (rows.count, 0);
        rows_clear (&rows);
    }
}

//  A number that is none has no text, and leaves none behind.
static void
test_not_finite (void **state)
{
    buffer_t text = {.text = NULL};
    zb_row_t row = {.type = ZB_TYPE_COUNTER, .name = "n", .source = "s"};
    (void) state;
    buffer_add (&text, "before", 6);
    row.sum_squares = INFINITY;
    assert_int_equal (row_write (&row, &text), -1);
    row.sum_squares = 0;
    row.value = NAN;
    assert_int_equal (row_write (&row, &text), -1);
    assert_int_equal (text.size, 6);
    buffer_clear (&text);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_identity), cmocka_unit_test (test_examples),
      cmocka_unit_test (test_edited), cmocka_unit_test (test_wrong),
      cmocka_unit_test (test_not_finite)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
