/*  test_values.c - is the tag with most values found, and about how many?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "line.h"
#include "values.h"

static values_t s_values;

__attribute__ ((format (printf, 1, 2))) static void
s_note (const char *format, ...)
{
    char name[128];
    va_list args;
    va_start (args, format);
    vsnprintf (name, sizeof name, format, args);
    va_end (args);
    values_note (&s_values, name, strlen (name));
}

//  Within four times the usual error.
static void
test_estimates (void **state)
{
    static const int counts[] = {1, 2, 10, 100, 1000, 10000, 100000, 1000000};
    uint64_t values;
    size_t i;
    int j;
    (void) state;
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        values_clear (&s_values);
        assert_null (values_most (&s_values, &values));
        for (j = 0; j < counts[i]; j++)
            s_note ("requests;code=%d;user=%d", j % 5, j);
        for (j = 0; j < counts[i]; j++)
            s_note ("others;user=%d", j);
        assert_non_null (values_most (&s_values, &values));
        if (counts[i] > 10)
            assert_string_equal (values_most (&s_values, &values)->key, "user");
        if (fabs ((double) values - counts[i]) > 1 + counts[i] * 0.26)
            fail_msg ("%d values: %d", counts[i], (int) values);
    }
}

//  It is found among more keys than there are rows, wherever it begins.
static void
test_keys (void **state)
{
    uint64_t values;
    int i, round;
    (void) state;
    for (round = 0; round < 20; round++) {
        values_clear (&s_values);
        for (i = 0; i < 20000; i++) {
            s_note ("n;k%d=%d", i % 100, i % 7);
            if (i >= round * 900)
                s_note ("n;zz=%d", i);
        }
        assert_non_null (values_most (&s_values, &values));
        assert_string_equal (values_most (&s_values, &values)->key, "zz");
    }
}

//  What is said of a long key is its beginning.
static void
test_long (void **state)
{
    char name[LINE_NAME_MAX + 1] = "n;";
    uint64_t values;
    (void) state;
    values_clear (&s_values);
    memset (name + 2, 'k', sizeof name - 3);
    strcpy (name + sizeof name - 3, "=v");
    values_note (&s_values, name, strlen (name));
    assert_int_equal (strlen (values_most (&s_values, &values)->key), 64);
    assert_int_equal (values, 1);
    values_clear (&s_values);
    values_note (&s_values, "n;k", 3);
    assert_null (values_most (&s_values, &values));
    assert_int_equal (values, 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_estimates),
                                       cmocka_unit_test (test_keys),
                                       cmocka_unit_test (test_long)};
    return cmocka_run_group_tests_name ("values", tests, NULL, NULL);
}
