/*  test_digits.c - numbers, which are printed in three ways that must not
    differ

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"
#include "../../../contrib/core/digits.c"

enum { TIMES = SANITIZED ? 20000 : 100000 };

static void
s_check (double value)
{
    char wanted[DIGITS_MAX], got[DIGITS_MAX];
    size_t size;
    s_write_any (wanted, value);
    size = digits_write (got, value);
    assert_int_equal (size, strlen (got));
    if (strcmp (wanted, got) != 0)
        fail_msg ("%.17g: %s, expected %s", value, got, wanted);
    s_write_any (wanted, -value);
    size = digits_write (got, -value);
    assert_int_equal (size, strlen (got));
    assert_string_equal (got, wanted);
}

static void
test_examples (void **state)
{
    static const double values[] = {
      0,      1,        0.5,     1e-4,  9.9e-5,
      1e-9,   1e15,     1e14,    1e16,  999999.999999999,
      1e6,    0.1,      1.0 / 3, 1e300, 123456.789,
      1e-300, 1000000.5};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof values / sizeof *values; i++)
        s_check (values[i]);
}

//  Durations of any length, their neighbours, and doubles of any bits.
static void
test_any (void **state)
{
    int i;
    (void) state;
    for (i = 0; i < TIMES; i++) {
        double value = (double) (s_any () >> s_any () % 64) / 1e9;
        uint64_t bits = s_any ();
        s_check (value);
        s_check (nextafter (value, 1e9));
        memcpy (&value, &bits, sizeof value);
        if (isfinite (value))
            s_check (value);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_examples),
                                       cmocka_unit_test (test_any)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
