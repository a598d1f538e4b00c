/*  test_line.c - does line_parse take what the wire format allows, and nothing
    else?

    The numbers are checked against arithmetic that is exact: strtod for
    doubles, 128-bit integers for nanoseconds.

    Sections: good lines, bad lines, doubles, nanoseconds, buckets.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "decimal.h"
#include "hist.h"

#include "../../../contrib/core/line.c"

//  The text is copied to memory of its size, so that ASan sees who reads on.
static const char *
s_parse_bytes (const char *text, size_t size, zb_line_t *line)
{
    static char *copy;
    free (copy);
    copy = malloc (size ? size : 1);
    assert_non_null (copy);
    memcpy (copy, text, size);
    return line_parse (copy, size, line);
}

static const char *
s_parse (const char *text, zb_line_t *line)
{
    return s_parse_bytes (text, strlen (text), line);
}

static void
s_same_text (const char *text, size_t size, const char *wanted)
{
    assert_int_equal (size, strlen (wanted));
    assert_memory_equal (text, wanted, size);
}

static span_t
s_span (const char *text)
{
    return (span_t){text, strlen (text)};
}

//  --------------------------------------------------------------------------
//  Good lines: every field

static void
test_classic (void **state)
{
    zb_line_t line;
    (void) state;
    assert_null (s_parse ("info|Counter|requests|5|1700000000.75|web1", &line));
    assert_int_equal (line.type, ZB_TYPE_COUNTER);
    s_same_text (line.level, line.level_size, "info");
    s_same_text (line.name, line.name_size, "requests");
    s_same_text (line.source, line.source_size, "web1");
    assert_true (line.value == 5);
    assert_int_equal (line.time, 1700000000);
    assert_null (line.id);
    assert_null (s_parse ("d|Timer|t|0.25|0|s", &line));
    assert_int_equal (line.type, ZB_TYPE_TIMER);
    assert_int_equal (line.value_ns, 250000000);
    assert_int_equal (line.time, 0);
    assert_null (s_parse ("d|Gauge|g|-1.5e-3|99999999999.5|s", &line));
    assert_int_equal (line.type, ZB_TYPE_GAUGE);
    assert_true (line.value == -1.5e-3);
    assert_int_equal (line.time, 99999999999);
}

static void
test_streams (void **state)
{
    zb_line_t line;
    (void) state;
    assert_null (s_parse ("a|Counter|n|1|2|s|18f-ab:7:3:-12.5", &line));
    s_same_text (line.id, line.id_size, "18f-ab");
    assert_int_equal (line.seq, 7);
    assert_int_equal (line.first, 3);
    assert_true (line.total == -12.5);
    assert_null (s_parse ("a|Timer|n|0.5|2|s|i:9:0:3:1.000000001:0.75"
                          ":0.25:0.5:-65=1,-33=1,0=9007199254740992",
                          &line));
    assert_int_equal (line.seq, 9);
    assert_int_equal (line.first, 0);
    assert_int_equal (line.count, 3);
    assert_int_equal (line.sum_ns, 1000000001);
    assert_true (line.sum_squares == 0.75);
    assert_int_equal (line.min_ns, 250000000);
    assert_int_equal (line.max_ns, 500000000);
    s_same_text (line.buckets, line.buckets_size,
                 "-65=1,-33=1,0=9007199254740992");
    //  10,000 connections that waited for 23 days, and for three years
    assert_null (s_parse ("a|Timer|n|20000000000.000000001|2|s|i:9:0:3:"
                          "1000000000000.123456789:0.75:0.25:0.5:",
                          &line));
    assert_true (line.value_ns == (zb_ns_t) 20000000000 * 1000000000 + 1);
    assert_true (line.sum_ns
                 == (zb_ns_t) 1000000000000 * 1000000000 + 123456789);
    assert_null (s_parse ("a|Gauge|n|1|2|s|i:9007199254740992", &line));
    assert_true (line.seq == 1ull << 53);
    assert_false (line.sent_given);
    s_same_text (line.id, line.id_size, "i");
    assert_null (s_parse ("a|Gauge|n|1|2|s|i:5:0", &line));
    assert_int_equal (line.seq, 5);
    assert_true (line.sent_given);
    assert_int_equal (line.sent, 0);
    assert_null (s_parse ("a|Gauge|n|1|2|s|i:5:9007199254740992", &line));
    assert_true (line.sent == 1ull << 53);
}

static void
test_types (void **state)
{
    static const struct {
        const char *text;
        int type;
    } types[] = {{"counter", ZB_TYPE_COUNTER},
                 {"COUNTER", ZB_TYPE_COUNTER},
                 {"Counters", ZB_TYPE_COUNTER},
                 {"counterS", ZB_TYPE_COUNTER},
                 {"Timer", ZB_TYPE_TIMER},
                 {"tImErs", ZB_TYPE_TIMER},
                 {"Gauge", ZB_TYPE_GAUGE},
                 {"GAUGES", ZB_TYPE_GAUGE},
                 {"", 0},
                 {"c", 0},
                 {"counte", 0},
                 {"counterss", 0},
                 {"counterx", 0},
                 {" counter", 0},
                 {"gauge ", 0},
                 {"set", 0},
                 {"histogram", 0}};
    char text[64];
    zb_line_t line;
    size_t i;
    (void) state;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        const char *wrong;
        snprintf (text, sizeof text, "a|%s|n|1|2|s", types[i].text);
        wrong = s_parse (text, &line);
        if (types[i].type) {
            assert_null (wrong);
            assert_int_equal (line.type, types[i].type);
        }
        else
            assert_string_equal (wrong, "unknown type");
    }
}

//  --------------------------------------------------------------------------
//  Lines with what is to be said of them: NULL, or the reason

static const struct {
    const char *text, *wrong;
} s_lines[] = {
  {"", "empty line"},
  {"|", "too few fields"},
  {"hello", "too few fields"},
  {"a|Counter|n|1|2", "too few fields"},
  {"a|Counter|n|1|2|s|i:1:1:1|", "too many fields"},
  {"a|Counter|n|1|2|s|i:1:1:1|x|y|z", "too many fields"},
  {"|||||", "bad level"},
  {"|Counter|n|1|2|s", "bad level"},
  {"a\tb|Counter|n|1|2|s", "bad level"},
  {"a||n|1|2|s", "unknown type"},
  {"a|Meter|n|1|2|s", "unknown type"},
  {"a|Counter||1|2|s", "bad name"},
  {"a|Counter|n\x7f|1|2|s", "bad name"},
  {"a|Counter|n\r|1|2|s", "bad name"},
  {"a|Counter|n||2|s", "bad value"},
  {"a|Counter|n|x|2|s", "bad value"},
  {"a|Counter|n|1 |2|s", "bad value"},
  {"a|Counter|n| 1|2|s", "bad value"},
  {"a|Counter|n|1,5|2|s", "bad value"},
  {"a|Counter|n|1.2.3|2|s", "bad value"},
  {"a|Counter|n|.|2|s", "bad value"},
  {"a|Counter|n|-|2|s", "bad value"},
  {"a|Counter|n|--1|2|s", "bad value"},
  {"a|Counter|n|1e|2|s", "bad value"},
  {"a|Counter|n|1e+|2|s", "bad value"},
  {"a|Counter|n|e5|2|s", "bad value"},
  {"a|Counter|n|1e5.5|2|s", "bad value"},
  {"a|Counter|n|0x10|2|s", "bad value"},
  {"a|Counter|n|0x1p3|2|s", "bad value"},
  {"a|Counter|n|nan|2|s", "bad value"},
  {"a|Counter|n|NaN|2|s", "bad value"},
  {"a|Counter|n|inf|2|s", "bad value"},
  {"a|Counter|n|-Infinity|2|s", "bad value"},
  {"a|Counter|n|1e999|2|s", "bad value"},
  {"a|Counter|n|-1e309|2|s", "bad value"},
  {"a|Gauge|n|1.1e126|2|s", "bad value"},  //  the Librato API's bound
  {"a|Counter|n|-1e200|2|s", "bad value"},
  {"a|Counter|n|1|2|s|i:1:1:1e200", "bad stream"},
  {"a|Gauge|n|1e99999999999999999999|2|s", "bad value"},
  {"a|Timer|n|-1|2|s", "bad value"},
  {"a|Timer|n|-1e-30|2|s", "bad value"},
  {"a|Timer|n|nan|2|s", "bad value"},
  {"a|Timer|n|1e999|2|s", "bad value"},
  {"a|Timer|n|79228162514264337593.543950337|2|s", "bad value"},
  {"a|Timer|n|1|2|s|i:1:1:1:79228162514264337593.543950337:1:1:1:",
   "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:9223372036.854775808:1:", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:9223372036.854775808:", "bad stream"},
  {"a|Counter|n|1||s", "bad time"},
  {"a|Counter|n|1|now|s", "bad time"},
  {"a|Counter|n|1|-1|s", "bad time"},
  {"a|Counter|n|1|1e11|s", "bad time"},
  {"a|Counter|n|1|1700000000000|s", "bad time"},
  {"a|Counter|n|1|nan|s", "bad time"},
  {"a|Counter|n|1|2|", "bad source"},
  {"a|Counter|n|1|2|\x01", "bad source"},
  {"a|Counter|n|1|2|s|", "bad stream"},
  {"a|Counter|n|1|2|s|i", "bad stream"},
  {"a|Counter|n|1|2|s|i:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:1:1:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|:1:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:-1:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:+1:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:1.0:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i::1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:1:2:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:18446744073709551616:1:1", "bad stream"},
  {"a|Gauge|n|1|2|s|i:9007199254740993", "bad stream"},  //  beyond 2^53
  {"a|Counter|n|1|2|s|i:9007199254740993:0:1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:18446744073709551615:1:1:1:1:", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:9007199254740993:1:1:1:1:", "bad stream"},
  {"a|Counter|n|1|2|s|i:1:1:nan", "bad stream"},
  {"a|Counter|n|1|2|s|i:1:1:1e400", "bad stream"},
  {"a|Gauge|n|1|2|s|i", "bad stream"},
  {"a|Gauge|n|1|2|s|i:", "bad stream"},
  {"a|Gauge|n|1|2|s|i:1:", "bad stream"},
  {"a|Gauge|n|1|2|s|i:1:-1", "bad stream"},
  {"a|Gauge|n|1|2|s|i:1:1.0", "bad stream"},
  {"a|Gauge|n|1|2|s|i:1:18446744073709551616", "bad stream"},
  {"a|Gauge|n|1|2|s|i:18446744073709551615:1", "bad stream"},
  {"a|Gauge|n|1|2|s|i:1:1:1", "bad stream"},
  {"a|Counter|n|1|2|s|i:1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:1:0=1:x", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:x:1:1:1:1:0=1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:-1:1:1:1:0=1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:nan:1:1:0=1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:-1:1:0=1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:inf:0=1", "bad stream"},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:1:0", "bad stream"},

  {"a|Counter|n|1|2|s", NULL},
  {"a|Counter|n|0|2|s", NULL},
  {"a|Counter|n|-0|2|s", NULL},
  {"a|Counter|n|-5|2|s", NULL},
  {"a|Counter|n|+5|2|s", NULL},
  {"a|Counter|n|5.|2|s", NULL},
  {"a|Counter|n|.5|2|s", NULL},
  {"a|Counter|n|1E5|2|s", NULL},
  {"a|Counter|n|1e-999|2|s", NULL},
  {"a|Counter|n|0e999|2|s", NULL},
  {"a|Gauge|n|-9.99999999999999e125|2|s", NULL},
  {"a|Timer|n|0|2|s", NULL},
  {"a|Timer|n|-0|2|s", NULL},
  {"a|Timer|n|79228162514264337593.543950336|2|s", NULL},
  {"a|Timer|n|1|2|s|i:1:1:1:79228162514264337593.543950336:1:1:1:", NULL},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:9223372036.854775807:1:", NULL},
  {"a|Timer|n|1|2|s|i:1:1:1:1:1:1:9223372036.854775807:", NULL},
  {"a:b/c d#\xc3\xa4|Counter|n.x:y|1|2|s p", NULL},
  {"a|Counter|n|1|0|s", NULL},
  {"a|Counter|n|1|1e9|s", NULL},
  {"a|Counter|n|1|2|s|i:0:0:0", NULL},
  {"a|Gauge|n|1|2|s|any thing at all-\xff:0", NULL},
  {"a|Gauge|n|1|2|s|any thing at all-\xff:0:0", NULL},
  {"a|Gauge|n|1|2|s|i:1:1", NULL},
  {"a|Gauge|n|1|2|s|i:1:99", NULL},
  {"a|Timer|n|0|2|s|i:1:1:0:0:0:0:0:", NULL},
  {"a|Timer|n|0|2|s|i:1:1:1:0:0:0:0:-957=1", NULL}};

static void
test_table (void **state)
{
    zb_line_t line;
    size_t i;
    (void) state;
    for (i = 0; i < sizeof s_lines / sizeof *s_lines; i++) {
        const char *wrong = s_parse (s_lines[i].text, &line);
        if (wrong != s_lines[i].wrong
            && (!wrong || !s_lines[i].wrong
                || strcmp (wrong, s_lines[i].wrong) != 0))
            fail_msg ("%s: %s", s_lines[i].text, wrong ? wrong : "taken");
    }
}

//  A NUL is a control character wherever a label stands, and no digit where a
//  number does.
static void
test_nul (void **state)
{
    static const char good[] =
      "info|Timer|name|0.5|17|source|id:1:1:1:0.5:0.25:0.5:0.5:-32=1";
    static const char *const wrong[] = {
      "bad level", "unknown type", "bad name",  "bad value",
      "bad time",  "bad source",   "bad stream"};
    char text[sizeof good];
    zb_line_t line;
    size_t i, field = 0;
    (void) state;
    for (i = 0; i < sizeof good - 1; i++) {
        if (good[i] == '|') {
            field++;
            continue;
        }
        memcpy (text, good, sizeof good);
        text[i] = 0;
        assert_string_equal (s_parse_bytes (text, sizeof good - 1, &line),
                             wrong[field]);
    }
    assert_string_equal (s_parse_bytes ("\0\0\0", 3, &line), "too few fields");
    assert_string_equal (s_parse_bytes ("a|Counter|n|1|2|s\0", 18, &line),
                         "bad source");
}

static void
test_label_sizes (void **state)
{
    static const char *const formats[] = {
      "%s|Gauge|n|1|2|s", "a|Gauge|%s|1|2|s", "a|Gauge|n|1|2|%s",
      "a|Gauge|n|1|2|s|%s:1"};
    static const char *const wrong[] = {"bad level", "bad name", "bad source",
                                        "bad stream"};
    static char label[66000], text[66100];
    zb_line_t line;
    size_t i;
    (void) state;
    for (i = 0; i < 4; i++) {
        memset (label, 'x', sizeof label);
        label[255] = 0;
        snprintf (text, sizeof text, formats[i], label);
        assert_null (s_parse (text, &line));
        label[255] = 'x';
        label[256] = 0;
        snprintf (text, sizeof text, formats[i], label);
        assert_string_equal (s_parse (text, &line), wrong[i]);
        label[256] = 'x';
        label[65999] = 0;
        snprintf (text, sizeof text, formats[i], label);
        assert_string_equal (s_parse (text, &line), wrong[i]);
    }
}

//  With tags a name may be longer; without them it has 255 bytes at most.
static void
test_name_sizes (void **state)
{
    static char name[1025], text[1100];
    const size_t sizes[] = {254, 255, 256, 1022, 1023, 1024};
    zb_line_t line;
    size_t i, at;
    (void) state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (at = 254; at <= 256; at++) {
            int good = sizes[i] <= 255 || (sizes[i] <= 1023 && at <= 255);
            memset (name, 'x', sizes[i]);
            name[sizes[i]] = 0;
            if (at + 4 <= sizes[i])
                memcpy (name + at, ";k=", 3);
            good &= sizes[i] <= 255 || at + 4 <= sizes[i];
            snprintf (text, sizeof text, "a|Counter|%s|1|2|s", name);
            if (!good) {
                assert_string_equal (s_parse (text, &line), "bad name");
                continue;
            }
            assert_null (s_parse (text, &line));
            s_same_text (line.name, line.name_size, name);
        }
    memcpy (name + 1023 - 4, ";j=", 3);
    name[1023] = 0;
    memcpy (name + 255, ";k=", 3);
    snprintf (text, sizeof text, "a|Counter|%s|1|2|s", name);
    assert_string_equal (s_parse (text, &line), "bad name");
}

static void
test_noise (void **state)
{
    static const char alphabet[] = "a|1|.:-=,eE+Counter|Timer|Gauge\n\0 \xff";
    char text[200];
    zb_line_t line;
    int i;
    (void) state;
    for (i = 0; i < 200000; i++) {
        const char *good =
          s_lines[s_any () % (sizeof s_lines / sizeof *s_lines)].text;
        size_t at, size = strlen (good);
        memcpy (text, good, size);
        for (at = s_any () % 4; at && size; at--)
            text[s_any () % size] = alphabet[s_any () % (sizeof alphabet - 1)];
        s_parse_bytes (text, size ? s_any () % (size + 1) : 0, &line);
    }
}

//  --------------------------------------------------------------------------
//  Doubles: as strtod reads them, bit for bit

static void
s_check_number (const char *text)
{
    double wanted = strtod (text, NULL), got = -1;
    span_t span = s_span (text);
    int rc = s_number (span, &got);
    if (rc != (isfinite (wanted) ? 0 : -1)
        || (rc == 0 && memcmp (&wanted, &got, sizeof got) != 0))
        fail_msg ("%s: %d %.17g, expected %.17g", text, rc, got, wanted);
}

static void
s_print_u128 (char *text, zb_ns_t value)
{
    char digits[40];
    size_t at = sizeof digits;
    do
        digits[--at] = (char) ('0' + (int) (value % 10));
    while (value /= 10);
    memcpy (text, digits + at, sizeof digits - at);
    text[sizeof digits - at] = 0;
}

//  Up to 25 digits, with zeros in front and a point somewhere.
static void
s_make_digits (char *text)
{
    size_t i, zeros = s_any () % 4 ? 0 : s_any () % 30;
    size_t size = 1 + s_any () % 25, point = s_any () % (size + 1);
    *text = 0;
    if (s_any () % 4 == 0)
        strcat (text, s_any () % 2 ? "-" : "+");
    for (i = 0; i < zeros; i++)
        strcat (text, "0");
    text += strlen (text);
    for (i = 0; i < size; i++) {
        if (i == point)
            *text++ = '.';
        *text++ = (char) ('0' + s_any () % 10);
    }
    *text = 0;
}

static void
s_make_exponent (char *text)
{
    s_make_digits (text);
    sprintf (text + strlen (text), "%c%s%d", s_any () % 2 ? 'e' : 'E',
             s_any () % 3 == 0 ? "+"
             : s_any () % 2    ? "-"
                               : "",
             (int) (s_any () % (s_any () % 2 ? 24 : 360)));
}

//  Any double, as programs print it.
static void
s_make_bits (char *text)
{
    static const char *const formats[] = {"%.17g", "%.15g", "%.6f", "%.0f"};
    uint64_t bits = s_any ();
    double value;
    size_t which = s_any () % 4;
    memcpy (&value, &bits, sizeof value);
    if (!isfinite (value))
        value = 0.1;
    if (which >= 2)
        value = fmod (value, 1e30);
    sprintf (text, formats[which], value);
}

//  In the middle of two doubles, exactly or by a hair: 54 bits times a power of
//  two, positive or negative.
static void
s_make_halfway (char *text)
{
    uint64_t odd = (s_any () >> 10) | 1ull << 53 | 1;
    int i, shift = (int) (s_any () % 25);
    zb_ns_t value = odd;
    if (s_any () % 2) {
        s_print_u128 (text, value << shift);
        if (s_any () % 3 == 0)
            strcat (text, s_any () % 2 ? ".000000000000000000001" : ".0");
        return;
    }
    for (i = 0; i < shift; i++)
        value *= 5;
    s_print_u128 (text, value);
    if (s_any () % 3 == 0) {
        strcat (text, s_any () % 2 ? "1" : "0");
        shift++;
    }
    sprintf (text + strlen (text), "e-%d", shift);
}

static void
test_numbers (void **state)
{
    static void (*const make[]) (char *) = {s_make_digits, s_make_exponent,
                                            s_make_bits, s_make_halfway};
    char text[400];
    int i;
    (void) state;
    for (i = 0; i < 1000000; i++) {
        make[i % 4](text);
        s_check_number (text);
    }
}

static void
test_number_edges (void **state)
{
    static const char *const texts[] = {
      "0",
      "-0",
      "0.0",
      "00000000000000000000000000000001",
      "0.00000000000000000000000000000000000000000000000000001",
      "9007199254740991",
      "9007199254740992",
      "9007199254740993",
      "9007199254740992.5",
      "18446744073709551615",
      "18446744073709551616",
      "1844674407370955159",
      "1844674407370955160",
      "1844674407370955161",
      "1e22",
      "1e23",
      "-1e-22",
      "1e-23",
      "9007199254740991e22",
      "9007199254740991e-22",
      "4.9406564584124654e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "2.2250738585072011e-308",
      "2.2250738585072014e-308",
      "1.7976931348623157e308",
      "1.7976931348623158e308",
      "1.7976931348623159e308",
      "1e308",
      "1e309",
      "0e1000000",
      "100000000000000000000000000000e-29",
      "0.1000000000000000055511151231257827021181583404541015625"};
    char text[400];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        s_check_number (texts[i]);
    //  a digit that decides stands far behind
    memset (text, '0', sizeof text);
    memcpy (text, "9007199254740993.", 17);
    text[390] = 0;
    s_check_number (text);
    text[389] = '1';
    s_check_number (text);
}

//  --------------------------------------------------------------------------
//  Nanoseconds: rounded half up, exact up to ZB_NS_MAX

static void
s_check_ns (const char *text, int wanted_rc, zb_ns_t wanted)
{
    zb_ns_t got = 1;
    span_t span = s_span (text);
    char told[40], known[40];
    int rc = s_nanoseconds (span, &got);
    s_print_u128 (told, got);
    s_print_u128 (known, wanted);
    if (rc != wanted_rc || (rc == 0 && got != wanted))
        fail_msg ("%s: %d %s, expected %d %s", text, rc, told, wanted_rc,
                  known);
}

static void
test_nanoseconds (void **state)
{
    static const struct {
        const char *text;
        int64_t ns;  //  -1: to be refused
    } values[] = {{"0", 0},
                  {"-0", 0},
                  {"-0.000", 0},
                  {"1", 1000000000},
                  {".5", 500000000},
                  {"5.", 5000000000},
                  {"+2", 2000000000},
                  {"1e-9", 1},
                  {"1e-10", 0},
                  {"5e-10", 1},
                  {"4.999999999999999999999e-10", 0},
                  {"0.0000000005", 1},
                  {"0.0000000004", 0},
                  {"0.00000000049999999999999999999999999", 0},
                  {"0.0000000015", 2},
                  {"1.0000000014999999999999999999", 1000000001},
                  {"1.0000000015", 1000000002},
                  {"123456789.987654321", 123456789987654321},
                  {"1e9", 1000000000000000000},
                  {"1e30", -1},
                  {"1e20", -1},
                  {"0e30", 0},
                  {"0e-30", 0},
                  {"1e-300", 0},
                  {"1e-100000000", 0},
                  {"1e100000000", -1},
                  {"9223372036.854775807", INT64_MAX},
                  {"9223372036854775807e-9", INT64_MAX},
                  {"9223372036854775807000e-12", INT64_MAX},
                  {"9223372036.8547758069", INT64_MAX},
                  {"0x1", -1},
                  {"nan", -1},
                  {"", -1},
                  {".", -1},
                  {"-1", -1},
                  {"-1e-20", -1},
                  {"1e", -1},
                  {"1 ", -1}};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof values / sizeof *values; i++)
        s_check_ns (values[i].text, values[i].ns == -1 ? -1 : 0,
                    (zb_ns_t) values[i].ns);
}

//  Beyond 64 bits.
static void
test_nanoseconds_many (void **state)
{
    static const struct {
        const char *text, *ns;  //  NULL: to be refused
    } values[] = {
      {"9223372036.8547758075", "9223372036854775808"},
      {"9.3e9", "9300000000000000000"},
      {"18446744073.709551615", "18446744073709551615"},
      {"18446744073.709551616", "18446744073709551616"},
      {"18446744073.7095516165", "18446744073709551617"},
      {"20000000000", "20000000000000000000"},
      {"2e10", "20000000000000000000"},
      {"20000000000.123456789", "20000000000123456789"},
      {"20000000000.1234567889999999999999999999", "20000000000123456789"},
      {"1e12", "1000000000000000000000"},
      {"1000000000000.000000001", "1000000000000000000001"},
      {"1000000000000000000001e-9", "1000000000000000000001"},
      {"100000000000000000000000e-11", "1000000000000000000000"},
      {"7.9e19", "79000000000000000000000000000"},
      {"79228162514264337593.543950336", "79228162514264337593543950336"},
      {"79228162514264337593.54395033649999999999999",
       "79228162514264337593543950336"},
      {"00000000000000000000079228162514264337593.543950336",
       "79228162514264337593543950336"},
      {"79228162514264337593.5439503365", NULL},
      {"79228162514264337593.543950337", NULL},
      {"340282366920938463463374607431.768211456", NULL},
      {"340282366920938463463374607431768211456e-9", NULL},
      {"340282366920938463463374607431768211457", NULL},
      {"8e19", NULL}};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof values / sizeof *values; i++) {
        const char *digit = values[i].ns ? values[i].ns : "";
        zb_ns_t ns = 0;
        for (; *digit; digit++)
            ns = ns * 10 + (unsigned) (*digit - '0');
        s_check_ns (values[i].text, values[i].ns ? 0 : -1, ns);
    }
}

//  value / 10^places, written plainly or with an exponent.
static void
s_print_scaled (char *text, zb_ns_t value, int places)
{
    char digits[48];
    int size, shift = (int) (s_any () % 12);
    s_print_u128 (digits, value);
    if (s_any () % 3 == 0) {
        sprintf (text, "%se-%d", digits, places);
        return;
    }
    size = (int) strlen (digits);
    if (size <= places) {
        memmove (digits + places + 1 - size, digits, (size_t) size + 1);
        memset (digits, '0', (size_t) (places + 1 - size));
        size = places + 1;
    }
    sprintf (text, "%.*s.%s", size - places, digits, digits + size - places);
    if (s_any () % 4 == 0)
        sprintf (text + strlen (text), "%.*s", shift, "000000000000");
}

static void
test_nanoseconds_random (void **state)
{
    char text[128];
    int i, j;
    (void) state;
    for (i = 0; i < 300000; i++) {
        //  of up to 97 bits, as many of each
        zb_ns_t ns = ((zb_ns_t) s_any () << 33 ^ s_any ()) >> s_any () % 97;
        int more = (int) (s_any () % 10);  //  places behind the ninth
        zb_ns_t value = ns, scale = 1, digits;
        for (j = 0; j < more; j++)
            scale *= 10;
        digits = value * scale + s_any () % (uint64_t) scale;
        value = (digits + scale / 2) / scale;
        if (more == 0)
            value = digits;
        s_print_scaled (text, digits, 9 + more);
        s_check_ns (text, value > ZB_NS_MAX ? -1 : 0, value);
    }
}

//  --------------------------------------------------------------------------
//  Buckets

static void
test_buckets (void **state)
{
    static const struct {
        const char *text;
        int rc;
    } buckets[] = {{"", 0},
                   {"0=1", 0},
                   {"-957=1", 0},
                   {"-2=1,-1=2,0=3,1=4", 0},
                   {"5=0", 0},
                   {"0=9007199254740992", 0},
                   {"0=9007199254740993", -1},
                   {"0=18446744073709551616", -1},
                   {"1=1,0=1", -1},
                   {"1=1,1=1", -1},
                   {"-1=1,-2=1", -1},
                   {"0=1,", -1},
                   {",0=1", -1},
                   {",", -1},
                   {"=", -1},
                   {"=1", -1},
                   {"1=", -1},
                   {"-=1", -1},
                   {"--1=1", -1},
                   {"+1=1", -1},
                   {"1", -1},
                   {"1=1=1", -1},
                   {"1=-1", -1},
                   {"1=1.5", -1},
                   {"a=1", -1},
                   {"1=a", -1},
                   {"1 =1", -1},
                   {"0=1;1=1", -1},
                   {"0=1,,1=1", -1},
                   {"99999999999999999999=1", -1},
                   {"2147483648=1", -1},
                   {"-2147483649=1", -1},
                   {"100001=1", -1}};
    static char text[64 * 1024];
    size_t i;
    int most = BUCKET_MAX - BUCKET_MIN + 1, index;
    (void) state;
    for (i = 0; i < sizeof buckets / sizeof *buckets; i++)
        if (s_buckets (s_span (buckets[i].text)) != buckets[i].rc)
            fail_msg ("%s: expected %d", buckets[i].text, buckets[i].rc);
    //  as many as a duration can have, and one more
    *text = 0;
    for (index = 0, i = 0; index < most; index++)
        i += (size_t) sprintf (text + i, "%s%d=9", index ? "," : "",
                               index + BUCKET_MIN);
    assert_int_equal (s_buckets (s_span (text)), 0);
    sprintf (text + i, ",%d=9", index + BUCKET_MIN);
    assert_int_equal (s_buckets (s_span (text)), -1);
}

//  An index that no duration has would make edges beyond any integer.
static void
test_bucket_range (void **state)
{
    (void) state;
    assert_int_equal (s_buckets (s_span ("50000=1")), -1);
    assert_int_equal (s_buckets (s_span ("-50000=1")), -1);
}

static void
test_buckets_read (void **state)
{
    static const char buckets[] = "-7=3,12=40", bad[] = "-7=3,-7=40";
    zb_line_t line = {.buckets = buckets, .buckets_size = strlen (buckets)};
    hist_t hist = {NULL, 0, 0};
    (void) state;
    assert_int_equal (line_buckets (&line, &hist), 0);
    assert_int_equal (hist.size, 2);
    assert_int_equal (hist.bucket[0].index, -7);
    assert_int_equal (hist.bucket[0].count, 3);
    assert_int_equal (hist.bucket[1].index, 12);
    assert_int_equal (hist.bucket[1].count, 40);
    line.buckets = bad;
    assert_int_equal (line_buckets (&line, &hist), -1);
    assert_int_equal (hist.size, 0);
    line.buckets_size = 0;
    assert_int_equal (line_buckets (&line, &hist), 0);
    free (hist.bucket);
}

//  line_read leaves the buckets to line_buckets, and nothing else.
static void
test_read (void **state)
{
    static const char good[] = "info|Timer|n|1|1|s|a-b:7:1:2:1.5:1:1:2:-7=3",
                      bad[] = "info|Timer|n|1|1|s|a-b:7:1:2:1.5:1:1:2:-7=",
                      worse[] = "info|Timer|n|1|1|s|a-b:7:1:x:1.5:1:1:2:-7=3";
    zb_line_t before, line;
    (void) state;
    assert_null (line_read (good, strlen (good), &before, NULL));
    assert_null (line_read (bad, strlen (bad), &line, &before));
    assert_string_equal (line_parse (bad, strlen (bad), &line), "bad stream");
    assert_string_equal (line_read (worse, strlen (worse), &line, &before),
                         "bad stream");
}

static void
assert_same_text (const char *text, size_t size, const char *other,
                  size_t other_size)
{
    assert_ptr_equal (text, other);
    assert_int_equal (size, other_size);
}

//  Are two lines of one text the same in all that was read?
static void
assert_same_line (const zb_line_t *line, const zb_line_t *other)
{
    assert_int_equal (line->type, other->type);
    assert_same_text (line->level, line->level_size, other->level,
                      other->level_size);
    assert_same_text (line->name, line->name_size, other->name,
                      other->name_size);
    assert_same_text (line->source, line->source_size, other->source,
                      other->source_size);
    assert_same_text (line->id, line->id_size, other->id, other->id_size);
    assert_same_text (line->buckets, line->buckets_size, other->buckets,
                      other->buckets_size);
    assert_same_text (line->tail, line->tail_size, other->tail,
                      other->tail_size);
    assert_true (line->value == other->value && line->total == other->total
                 && line->sum_squares == other->sum_squares);
    assert_true (line->value_ns == other->value_ns
                 && line->sum_ns == other->sum_ns);
    assert_int_equal (line->time, other->time);
    assert_int_equal (line->time_ns, other->time_ns);
    assert_int_equal (line->seq, other->seq);
    assert_int_equal (line->first, other->first);
    assert_int_equal (line->sent, other->sent);
    assert_int_equal (line->sent_given, other->sent_given);
    assert_int_equal (line->count, other->count);
    assert_int_equal (line->min_ns, other->min_ns);
    assert_int_equal (line->max_ns, other->max_ns);
    assert_int_equal (line->by_flush, 0);
    assert_int_equal (line->age_ms, -1);
}

//  Writes one of a few texts for each field, so that many lines have fields of
//  the one before. Some bytes are changed, or missing at the end.
static size_t
s_any_line (char *text)
{
    static const char *const fields[][6] = {
      {"info|", "info|", "infos|", "i|", "|", "in\tfo|"},
      {"Counter|", "Timer|", "Gauge|", "timers|", "COUNTER|", "Count|"},
      {"n|", "name|", "a.name.that.is.longer.than.a.block|", "n;a=1|", "|",
       "n\x7f|"},
      {"1|", "1.5|", "12345678|", "-1|", "999999999999999|", "0.000000001|"},
      {"1795689090.77|", "1795689090.77|", "1795689090.7|", "1|", "0|", "x|"},
      {"s", "s", "web-01", "web-0", "", "s|"},
      {"|a-b:", "|a-b:", "|a-bc:", "", "|", "|:"},
      {"7:1:12", "7:1:12", "7", "7:2", "", "9:1:2:1.5:1:1:2:-7=3"}};
    static const char bytes[] = "|:.1\n\0x";
    size_t i, size = 0;
    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *field = fields[i][s_any () % (s_any () % 8 ? 2 : 6)];
        memcpy (text + size, field, strlen (field));
        size += strlen (field);
    }
    if (s_any () % 8 == 0)
        text[s_any () % size] = bytes[s_any () % (sizeof bytes - 1)];
    return s_any () % 8 ? size : s_any () % (size + 1);
}

//  Whatever was read before, a line means the same as alone. Only buckets may have
//  bars in them, which line_buckets refuses. Returns whether the line was read.
static bool
s_check_read (const char *text, size_t size, const zb_line_t *before)
{
    zb_line_t line, alone;
    const char *wrong = line_read (text, size, &line, before);
    const char *wrong_alone = line_read (text, size, &alone, NULL);
    hist_t hist = {NULL, 0, 0};
    if (!wrong && wrong_alone)
        assert_int_equal (line_buckets (&line, &hist), -1);
    else
        assert_ptr_equal (wrong, wrong_alone);
    if (!wrong_alone)
        assert_same_line (&line, &alone);
    free (hist.bucket);
    return !wrong_alone;
}

static void
test_read_behind (void **state)
{
    zb_line_t line[2];
    const zb_line_t *before = NULL;
    char text[2][256], *copy;
    size_t size, good = 0, i;
    (void) state;
    for (i = 0; i < 300000; i++) {
        size = s_any_line (text[i % 2]);
        //  of its own size, so that a sanitizer sees who reads too far
        copy = (char *) malloc (size ? size : 1);
        assert_non_null (copy);
        memcpy (copy, text[i % 2], size);
        good += s_check_read (copy, size, before);
        free (copy);
        before = line_read (text[i % 2], size, &line[i % 2], NULL)
                   ? NULL
                   : &line[i % 2];
    }
    assert_true (good > 30000);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_classic),
      cmocka_unit_test (test_streams),
      cmocka_unit_test (test_types),
      cmocka_unit_test (test_table),
      cmocka_unit_test (test_nul),
      cmocka_unit_test (test_label_sizes),
      cmocka_unit_test (test_name_sizes),
      cmocka_unit_test (test_noise),
      cmocka_unit_test (test_numbers),
      cmocka_unit_test (test_number_edges),
      cmocka_unit_test (test_nanoseconds),
      cmocka_unit_test (test_nanoseconds_many),
      cmocka_unit_test (test_nanoseconds_random),
      cmocka_unit_test (test_buckets),
      cmocka_unit_test (test_bucket_range),
      cmocka_unit_test (test_buckets_read),
      cmocka_unit_test (test_read),
      cmocka_unit_test (test_read_behind)};
    return cmocka_run_group_tests_name ("line", tests, NULL, NULL);
}
