/*  test_log.c - can each value of a log line be told, whatever it is?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "log.h"
#include "zibrato_backend.h"

static const char *
s_part (const char *value)
{
    static char text[256];
    log_part (text, sizeof text, "a=%d reason=\"%s\" row=%s", 7, value,
              "\"x\"");
    return text;
}

//  A value within quotes ends at the first quote without a backslash.
static void
test_quotes (void **state)
{
    (void) state;
    assert_string_equal (s_part ("none"), "a=7 reason=\"none\" row=\"x\"");
    assert_string_equal (s_part ("\" b=\"1"),
                         "a=7 reason=\"\\\" b=\\\"1\" row=\"x\"");
    assert_string_equal (s_part ("\\"), "a=7 reason=\"\\\\\" row=\"x\"");
    assert_string_equal (s_part ("\1\2\""),
                         "a=7 reason=\"\1\2\\\"\" row=\"x\"");
}

//  What has no room is cut, and nothing is written beyond it.
static void
test_cut (void **state)
{
    char value[4096], text[64];
    (void) state;
    memset (value, '"', sizeof value - 1);
    value[sizeof value - 1] = 0;
    memset (text, 'x', sizeof text);
    log_part (text, 10, "\"%s\"", value);
    assert_string_equal (text, "\"\\\"\\\"\\\"\\\"");
    assert_int_equal (text[10], 'x');
}

//  A line on stderr: quotes as above, and what steers a terminal is a '?'.
static void
test_line (void **state)
{
    char text[512];
    int ends[2], error = dup (2);
    ssize_t size;
    (void) state;
    assert_int_equal (pipe (ends), 0);
    dup2 (ends[1], 2);
    zb_log (LOG_ERR, "e", "reason=\"%s\"", "\x1b[2J\n\" level=\"");
    dup2 (error, 2);
    size = read (ends[0], text, sizeof text - 1);
    assert_true (size > 0);
    text[size] = 0;
    assert_string_equal (strchr (text, ' '),
                         " level=error event=e "
                         "reason=\"?[2J?\\\" level=\\\"\"\n");
    close (ends[0]);
    close (ends[1]);
    close (error);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_quotes),
                                       cmocka_unit_test (test_cut),
                                       cmocka_unit_test (test_line)};
    return cmocka_run_group_tests_name ("log", tests, NULL, NULL);
}
