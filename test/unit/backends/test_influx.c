/*  test_influx.c - rows as lines of InfluxDB's protocol, and whom its answers blame

    Lines are compared to the letter, and random names are read back by a reader
    that does as InfluxDB's does.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "buffer.h"
#include "hist.h"
#include "influx_blame.h"
#include "influx_line.h"
#include "percentiles.h"
#include "utf8.h"
#include "zibrato_backend.h"

enum { MS = 1000000 };

static const int64_t s_time = INT64_C (1795423260000000000);

static void
s_check_line (const zb_row_t *row, const char *line)
{
    buffer_t text = {NULL, 0, 0};
    influx_line_add (&text, row, "h.influx", MS);
    buffer_add (&text, "", 1);
    assert_string_equal (text.text, line);
    buffer_clear (&text);
}

static void
test_counter (void **state)
{
    zb_tag_t tags[] = {{"code", "200"}, {"route", "/a b"}};
    zb_row_t row = {.type = ZB_TYPE_COUNTER,
                    .name = "requests",
                    .source = "web1",
                    .tags = tags,
                    .tag_count = 2,
                    .time_ns = s_time,
                    .value = 5,
                    .count = 1};
    (void) state;
    s_check_line (&row, "requests,code=200,route=/a\\ b,metric_type=counter,"
                        "source=web1,worker=h.influx value=5 1795423260000\n");
    row.tag_count = 0;
    row.value = -0.1;
    s_check_line (&row, "requests,metric_type=counter,source=web1,"
                        "worker=h.influx value=-0.1 1795423260000\n");
    //  9007199254740993 is no double: whole numbers are floats, too
    row.value = 9007199254740992;
    s_check_line (&row, "requests,metric_type=counter,source=web1,"
                        "worker=h.influx value=9007199254740992 "
                        "1795423260000\n");
}

static void
test_timer (void **state)
{
    zb_bucket_t buckets[] = {{hist_bucket (100000000), 1},
                             {hist_bucket (150000000), 1}};
    const double percentile[] = {50, 99.9};
    zb_row_t row = {.type = ZB_TYPE_TIMER,
                    .name = "work",
                    .source = "w",
                    .time_ns = s_time,
                    .value = 0.25,
                    .count = 2,
                    .sum = 0.25,
                    .min = 0.1,
                    .max = 0.15,
                    .sum_squares = 0.0325,
                    .buckets = buckets,
                    .bucket_count = 2};
    (void) state;
    s_check_line (&row, "work,metric_type=timer,source=w,worker=h.influx "
                        "sum=0.25,min=0.1,max=0.15,sum_squares=0.0325,count=2 "
                        "1795423260000\n");
    //  the middle of a bucket, and what is there beyond doubt
    percentiles_want (percentile, 2);
    s_check_line (&row, "work,metric_type=timer,source=w,worker=h.influx "
                        "sum=0.25,min=0.1,max=0.15,sum_squares=0.0325,count=2,"
                        "p50=0.1,p99_9=0.15 1795423260000\n");
    assert_true (influx_line_has (&row, "p99_9x", 5));
    percentiles_want (percentile, 0);
    assert_false (influx_line_has (&row, "p99_9", 5));
    assert_true (influx_line_has (&row, "count", 5));
    assert_true (influx_line_has (&row, "sum", 3));
    assert_false (influx_line_has (&row, "value", 5));
}

static void
test_gauge (void **state)
{
    zb_row_t row = {.type = ZB_TYPE_GAUGE,
                    .name = "depth",
                    .source = "q",
                    .time_ns = s_time,
                    .value = 3,
                    .count = 1,
                    .last = 3,
                    .sum = 3,
                    .min = 3,
                    .max = 3};
    (void) state;
    s_check_line (&row, "depth,metric_type=gauge,source=q,worker=h.influx "
                        "last=3 1795423260000\n");
    row.count = 2;
    row.sum = 8;
    row.max = 5;
    s_check_line (&row, "depth,metric_type=gauge,source=q,worker=h.influx "
                        "last=3,sum=8,min=3,max=5,count=2 1795423260000\n");
}

//  Keys that are ours or the server's, and those that would then be the same.
static void
test_reserved_tags (void **state)
{
    zb_tag_t tags[] = {{"__name__", "a"}, {"source", "b"}, {"source_", "c"},
                       {"sources", "d"},  {"time", "e"},   {"worker", "f"}};
    zb_row_t row = {.type = ZB_TYPE_COUNTER,
                    .name = "n",
                    .source = "s",
                    .tags = tags,
                    .tag_count = 6,
                    .time_ns = s_time,
                    .value = 1,
                    .count = 1};
    (void) state;
    s_check_line (&row, "n,__name___=a,source_=b,source__=c,sources=d,time_=e,"
                        "worker_=f,metric_type=counter,source=s,"
                        "worker=h.influx value=1 1795423260000\n");
}

static void
test_fit (void **state)
{
    static const struct {
        const char *text, *fitted;
        int is_source;
    } cases[] = {{"plain.name", "plain.name", 0},
                 {"gr\xc3\xbc\xc3\x9f"
                  "e",
                  "gr\xc3\xbc\xc3\x9f"
                  "e",
                  0},
                 {"latin\xfc", "latin_", 0},
                 {"#1", "_1", 0},
                 {"#1", "#1", 1},
                 {"a#1", "a#1", 0},
                 {"C:\\dir", "C:\\dir", 0},
                 {"C:\\", "C:_", 1},
                 {"a\\,b\\ c\\=d\\\\", "a_,b_ c_=d__", 0},
                 {"a\\;k=v\\", "a_;k=v_", 0}};
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char fitted[ZB_NAME_MAX + 1];
        assert_int_equal (
          influx_line_fit (cases[i].text, cases[i].is_source, fitted),
          strcmp (cases[i].text, cases[i].fitted) != 0);
        assert_string_equal (fitted, cases[i].fitted);
    }
}

//  Reads up to an end that has no backslash before it, as InfluxDB's parser does, and
//  takes off those before what may be escaped. With `pairs` a backslash is an escape
//  for another one, as VictoriaMetrics has it.
static const char *
s_read_part (const char *at, const char *ends, const char *escaped, bool pairs,
             char *part)
{
    for (; *at && !strchr (ends, *at); at++) {
        if (*at == '\\'
            && (strchr (escaped, at[1]) || (pairs && at[1] == '\\')))
            at++;
        *part++ = *at;
    }
    *part = 0;
    return at;
}

static void
s_check_read_back (const zb_row_t *row, bool pairs)
{
    buffer_t text = {NULL, 0, 0};
    char part[2048];
    const char *at;
    influx_line_add (&text, row, "w", MS);
    buffer_add (&text, "", 1);
    at = s_read_part (text.text, ", ", ", ", pairs, part);
    assert_string_equal (part, row->name);
    assert_true (*at == ',' && *text.text != '#');
    at = s_read_part (at + 1, "=", "", false, part);
    assert_string_equal (part, row->tags[0].key);
    at = s_read_part (at + 1, ", ", ",= ", pairs, part);
    assert_string_equal (part, row->tags[0].value);
    at = s_read_part (at + 1, "=", "", false, part);
    at = s_read_part (at + 1, ", ", ",= ", pairs, part);
    at = s_read_part (at + 1, "=", "", false, part);
    assert_string_equal (part, "source");
    at = s_read_part (at + 1, ", ", ",= ", pairs, part);
    assert_string_equal (part, row->source);
    assert_string_equal (at, ",worker=w value=1 1795423260000\n");
    buffer_clear (&text);
}

//  A text of characters that are likely to do harm.
static void
s_any_text (char *text, bool is_value)
{
    static const char bytes[] = "\\\\\\,, ==#\"'ab\xc3\xbc\xff;";
    size_t size = 1 + s_any () % 8;
    for (size_t i = 0; i < size; i++)
        do
            text[i] = bytes[s_any () % (sizeof bytes - 1)];
        while (is_value && text[i] == ';');
    text[size] = 0;
}

static void
test_any (void **state)
{
    char text[16], name[ZB_NAME_MAX + 1], value[ZB_NAME_MAX + 1],
      source[ZB_NAME_MAX + 1];
    zb_tag_t tag = {"key", value};
    zb_row_t row = {.type = ZB_TYPE_COUNTER,
                    .name = name,
                    .source = source,
                    .tags = &tag,
                    .tag_count = 1,
                    .time_ns = s_time,
                    .value = 1,
                    .count = 1};
    (void) state;
    for (int round = 0; round < 100000; round++) {
        s_any_text (text, false);
        influx_line_fit (text, 0, name);
        s_any_text (text, true);
        influx_line_fit (text, 1, value);
        s_any_text (text, false);
        influx_line_fit (text, 1, source);
        s_check_read_back (&row, false);
        s_check_read_back (&row, true);
    }
}

//  --------------------------------------------------------------------------
//  Blame: answers are those of InfluxDB 1.6.7

static void
s_check_blame (const char *error, const char *expected)
{
    static const struct {
        zb_type_t type;
        const char *name;
        int64_t time;
    } what[] = {{ZB_TYPE_COUNTER, "a", 10},
                {ZB_TYPE_COUNTER, "a\"b", 20},
                {ZB_TYPE_COUNTER, "aa", 10},
                {ZB_TYPE_TIMER, "a", 30}};
    zb_row_t rows[4];
    buffer_t text = {NULL, 0, 0};
    char marks[5] = {0};
    for (int i = 0; i < 4; i++) {
        rows[i] = (zb_row_t){.type = what[i].type,
                             .name = what[i].name,
                             .source = "s",
                             .time_ns = what[i].time * 1000000000,
                             .count = 1};
        influx_line_add (&text, &rows[i], "w", MS);
    }
    buffer_add (&text, "", 1);
    influx_blame (
      &(influx_blame_t){
        .rows = rows, .count = 4, .lines = text.text, .error = error},
      marks);
    for (int i = 0; i < 4; i++)
        marks[i] = (char) (marks[i] + '0');
    assert_string_equal (marks, expected);
    buffer_clear (&text);
}

static void
test_blame (void **state)
{
    (void) state;
    s_check_blame ("partial write: unable to parse 'a,metric_type=counter,"
                   "source=s,worker=w value=0 10000': invalid number dropped=0",
                   "1000");
    s_check_blame (
      "partial write: field type conflict: input field \"value\" on "
      "measurement \"a\" is type float, already exists as type "
      "integer dropped=1",
      "1000");
    s_check_blame (
      "partial write: field type conflict: input field \"value\" on "
      "measurement \"a\"b\" is type float, already exists as type "
      "integer dropped=1",
      "0100");
    s_check_blame ("partial write: field type conflict: input field \"min\" on "
                   "measurement \"a\" is type float, already exists as type "
                   "integer dropped=1",
                   "0001");
    s_check_blame ("partial write: points beyond retention policy dropped=2",
                   "1010");
    s_check_blame ("partial write: points beyond retention policy dropped=4",
                   "1111");
}

//  What does not add up marks nobody: then halves are tried.
static void
test_blame_unsure (void **state)
{
    (void) state;
    s_check_blame ("partial write: points beyond retention policy dropped=1",
                   "0000");
    s_check_blame ("partial write: points beyond retention policy dropped=9",
                   "0000");
    s_check_blame (
      "partial write: field type conflict: input field \"value\" on "
      "measurement \"a\" is type float, already exists as type "
      "integer dropped=2",
      "0000");
    s_check_blame ("partial write: max-series-per-database limit exceeded: "
                   "(1) dropped=1",
                   "0000");
    s_check_blame ("", "0000");
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_counter), cmocka_unit_test (test_timer),
      cmocka_unit_test (test_gauge),   cmocka_unit_test (test_reserved_tags),
      cmocka_unit_test (test_fit),     cmocka_unit_test (test_any),
      cmocka_unit_test (test_blame),   cmocka_unit_test (test_blame_unsure)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
