/*  test_age.c - rows that are too old for a service, found with few requests

    A service refuses what is older than its window, and says no more. The test
    does what the sender does with marks: those marked go by themselves.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "../../../contrib/backends/age.h"

enum { ROWS = 600 };

static struct {
    int64_t window;  //  seconds
    int64_t now;     //  Unix seconds
    size_t requests, stored, refused;
    age_t age;
} s_service;

//  What the sender does: the unmarked first.
static void
s_send (const int64_t *times, size_t count)
{
    int64_t oldest = INT64_MAX, part[2][ROWS];
    char marks[ROWS] = {0};
    size_t i, size[2] = {0, 0};
    for (i = 0; i < count; i++)
        oldest = times[i] < oldest ? times[i] : oldest;
    s_service.requests++;
    if (oldest >= s_service.now - s_service.window) {
        age_taken (&s_service.age, times, count, s_service.now * 1000);
        s_service.stored += count;
        return;
    }
    age_refused (&s_service.age, times, count, s_service.now * 1000, marks);
    for (i = 0; i < count; i++) {
        part[(int) marks[i]][size[(int) marks[i]]++] = times[i];
        //  all that are older than a marked one are marked
        for (size_t j = 0; j < count; j++)
            assert_false (marks[i] && !marks[j] && times[j] < times[i]);
    }
    assert_true (size[1] > 0);
    if (size[0] == 0) {
        s_service.refused += count;
        return;
    }
    s_send (part[0], size[0]);
    s_send (part[1], size[1]);
}

static void
s_begin (int64_t window)
{
    memset (&s_service, 0, sizeof s_service);
    s_service.window = window;
    s_service.now = 1800000000;
}

//  One program is three hours behind: its rows span five seconds, each flush.
static void
test_behind (void **state)
{
    int64_t times[110];
    (void) state;
    s_begin (7200);
    for (int flush = 0; flush < 100; flush++) {
        size_t before = s_service.requests;
        s_service.now += 5;
        for (int i = 0; i < 110; i++)
            times[i] = s_service.now - i % 5 - (i < 100 ? 10800 : 0);
        s_send (times, 110);
        assert_true (s_service.requests - before <= (flush ? 3 : 7));
    }
    assert_int_equal (s_service.stored, 1000);
    assert_int_equal (s_service.refused, 10000);
}

//  Whatever the times are, what is taken is stored, and all else is refused.
static void
test_any (void **state)
{
    int64_t times[ROWS];
    (void) state;
    for (int round = 0; round < 2000; round++) {
        size_t old = 0, count = 1 + s_any () % ROWS;
        s_begin (1000);
        for (size_t i = 0; i < count; i++) {
            times[i] = s_service.now - (int64_t) (s_any () % 2000);
            old += times[i] < s_service.now - 1000;
        }
        s_send (times, count);
        assert_int_equal (s_service.refused, old);
        assert_int_equal (s_service.stored, count - old);
        assert_true (s_service.requests <= 40);
    }
}

//  What is known is forgotten when the service takes such rows, and in time.
static void
test_forgotten (void **state)
{
    int64_t old[] = {1799990000, 1799990000}, all[4];
    (void) state;
    s_begin (7200);
    s_send (old, 2);
    assert_true (s_service.age.known);
    assert_int_equal (s_service.requests, 1);
    //  older ones are known as a group
    for (int i = 0; i < 4; i++)
        all[i] = old[0] - i;
    s_send (all, 4);
    assert_int_equal (s_service.requests, 2);
    assert_int_equal (s_service.refused, 6);
    s_service.now += 3601;
    s_send (all, 4);
    assert_true (s_service.requests > 3);
    s_service.window = 1000000;
    s_send (all, 4);
    assert_false (s_service.age.known);
    assert_int_equal (s_service.stored, 4);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_behind),
                                       cmocka_unit_test (test_any),
                                       cmocka_unit_test (test_forgotten)};
    return cmocka_run_group_tests_name ("age", tests, NULL, NULL);
}
