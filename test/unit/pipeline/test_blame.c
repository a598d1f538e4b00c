/*  test_blame.c - when is it the service, when the rows, when enough?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "blame.h"
#include "zibrato_backend.h"

static blame_service_t s_service;
static uint64_t s_passed;
static int64_t s_now;

static int
s_reset (void **state)
{
    (void) state;
    memset (&s_service, 0, sizeof s_service);
    s_passed = 1000;
    s_now = 5000000;
    return 0;
}

static blame_verdict_t
s_judge (blame_t *request, zb_outcome_t outcome, size_t rows)
{
    return blame_judge (&blame_policy_default, &s_service, request, outcome,
                        rows, s_passed, s_now);
}

//  Five times in a quarter of an hour, by the defaults: not before.
static void
test_enough (void **state)
{
    blame_t row = {0};
    int failures = 1;
    int64_t first;
    (void) state;
    assert_int_equal (s_judge (&row, ZB_FAILED, 1), BLAME_SERVICE);
    s_passed++;
    first = s_now;
    while (s_judge (&row, ZB_FAILED, 1) == BLAME_ROW) {
        s_now += blame_aside (&blame_policy_default, &row, 0);
        s_passed++;
        failures++;
    }
    assert_int_equal (failures, 5);
    assert_int_equal (s_now - first, 15 * 60000);
}

//  As often, but too fast; or as long, but not often enough.
static void
test_not_enough (void **state)
{
    blame_t row = {0};
    (void) state;
    s_judge (&row, ZB_FAILED, 1);
    for (int i = 0; i < 100; i++) {
        s_passed++;
        assert_int_equal (s_judge (&row, ZB_FAILED, 1), BLAME_ROW);
    }
    memset (&row, 0, sizeof row);
    s_judge (&row, ZB_FAILED, 1);
    for (int i = 0; i < 4; i++) {
        s_now += 3600000;
        s_passed++;
        assert_int_equal (s_judge (&row, ZB_FAILED, 1), BLAME_ROW);
    }
}

//  Nothing passes meanwhile, or the answer only says "later": never.
static void
test_never (void **state)
{
    blame_t row = {0};
    (void) state;
    s_judge (&row, ZB_FAILED, 1);
    s_passed++;
    assert_int_equal (s_judge (&row, ZB_FAILED, 1), BLAME_ROW);
    for (int i = 0; i < 1000; i++) {
        s_now += 60000;
        assert_int_equal (s_judge (&row, ZB_FAILED, 1), BLAME_ROW);
    }
    for (int i = 0; i < 1000; i++) {
        s_now += 60000;
        s_passed++;
        assert_int_equal (s_judge (&row, ZB_RETRY, 1), BLAME_ROW);
    }
    assert_int_equal (row.alone, 1);
    //  and not seen too often meanwhile
    assert_int_equal (blame_aside (&blame_policy_default, &row, 0), 900000);
}

//  A request is split only if others passed since it failed.
static void
test_rows (void **state)
{
    static const zb_outcome_t outcomes[] = {ZB_RETRY, ZB_HOLD, ZB_FAILED};
    (void) state;
    for (size_t i = 0; i < 3; i++) {
        blame_t request = {0}, other = {0};
        s_reset (NULL);
        assert_int_equal (s_judge (&request, outcomes[i], 300), BLAME_SERVICE);
        assert_int_equal (s_judge (&request, outcomes[i], 300), BLAME_SERVICE);
        s_passed++;
        assert_int_equal (s_judge (&request, outcomes[i], 300),
                          outcomes[i] == ZB_RETRY ? BLAME_SUSPECTS
                                                  : BLAME_ROWS);
        //  what it becomes is split as well, but not when all fails
        s_judge (&other, ZB_RETRY, 300);
        assert_int_equal (s_judge (&request, outcomes[i], 150),
                          outcomes[i] == ZB_FAILED ? BLAME_UNKNOWN
                                                   : BLAME_SERVICE);
    }
}

//  It may have been taken: it stays whole until a row would be given up.
static void
test_unsure (void **state)
{
    blame_t request = {.unsure = true};
    int failures = 0;
    (void) state;
    for (int i = 0; i < 20; i++)
        assert_int_equal (s_judge (&request, ZB_FAILED, 300), BLAME_SERVICE);
    s_passed++;
    while (s_judge (&request, ZB_FAILED, 300) == BLAME_ROW) {
        s_now += blame_aside (&blame_policy_default, &request, 0);
        s_passed++;
        failures++;
    }
    assert_int_equal (failures, 4);
    assert_false (request.unsure);
    //  a half is like any other request then
    s_passed++;
    assert_int_equal (s_judge (&request, ZB_FAILED, 150), BLAME_ROWS);
}

//  An answer that is lost once or twice is no proof, whatever passes meanwhile.
//  Later the request waits aside, and its parts come three times before they become two.
static void
test_silence (void **state)
{
    blame_t request = {.unsure = true};
    (void) state;
    for (int i = 0; i < 3; i++) {
        blame_verdict_t verdict = s_judge (&request, ZB_FAILED, 300);
        assert_int_equal (verdict, i ? BLAME_SUSPECTS : BLAME_SERVICE);
        s_passed++;
    }
    while (s_judge (&request, ZB_FAILED, 300) == BLAME_ROW) {
        s_now += blame_aside (&blame_policy_default, &request, 0);
        s_passed++;
    }
    for (size_t rows = 150; rows > 1; rows /= 2) {
        request.unsure = true;
        for (int i = 0; i < 3; i++) {
            s_passed++;
            assert_int_equal (s_judge (&request, ZB_FAILED, rows),
                              i < 2 ? BLAME_ROW : BLAME_ROWS);
        }
    }
    //  the row that is left has its quarter of an hour
    s_passed++;
    assert_int_equal (s_judge (&request, ZB_FAILED, 1), BLAME_ROW);
    assert_int_equal (blame_aside (&blame_policy_default, &request, 0), 60000);
}

//  Nothing passes: one request is taken apart after three failures, if an
//  answer may be about rows.
static void
test_doubt (void **state)
{
    (void) state;
    for (int i = 0; i < 30; i++) {
        blame_t request = {0};
        assert_int_equal (s_judge (&request, ZB_FAILED, 300),
                          i < 2 || i >= 12 ? BLAME_SERVICE : BLAME_UNKNOWN);
    }
    s_reset (NULL);
    for (int i = 0; i < 30; i++) {
        blame_t request = {0};
        assert_int_equal (s_judge (&request, i % 2 ? ZB_RETRY : ZB_HOLD, 300),
                          BLAME_SERVICE);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup (test_enough, s_reset),
      cmocka_unit_test_setup (test_not_enough, s_reset),
      cmocka_unit_test_setup (test_never, s_reset),
      cmocka_unit_test_setup (test_rows, s_reset),
      cmocka_unit_test_setup (test_unsure, s_reset),
      cmocka_unit_test_setup (test_silence, s_reset),
      cmocka_unit_test_setup (test_doubt, s_reset)};
    return cmocka_run_group_tests_name ("blame", tests, NULL, NULL);
}
