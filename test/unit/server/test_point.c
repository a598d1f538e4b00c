/*  test_point.c - is one point of many what was measured?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "zibrato_backend.h"

#include "../../../contrib/server/point.c"

//  One by one, and by minutes: doubles alone give two results, one of them
//  8640.0000000139.
static void
test_sums (void **state)
{
    fold_t minute = {.hist.size = 0}, direct = minute, day = minute;
    point_t point = {.n = 1, .sum = 0.1, .min = 0.1, .max = 0.1};
    (void) state;
    fold_begin (&direct, 0);
    fold_begin (&day, 0);
    for (int i = 0; i < 86400; i++) {
        if (i % 60 == 0)
            fold_begin (&minute, i);
        fold_add (&direct, &point);
        fold_add (&minute, &point);
        if (i % 60 == 59)
            fold_add (&day, fold_point (&minute));
    }
    assert_true (fold_point (&direct)->sum == 8640.0);
    assert_true (fold_point (&day)->sum == 8640.0);
    assert_int_equal (fold_point (&day)->n, 86400);
}

static void
test_buckets (void **state)
{
    static const zb_bucket_t first[] = {{-3, 1}, {5, 2}};
    static const zb_bucket_t second[] = {{-4, 1}, {5, 40}, {7, 1}};
    fold_t fold = {.hist.size = 0};
    const point_t *point;
    (void) state;
    fold_begin (&fold, 60);
    fold_add (&fold, &(point_t){.n = 3,
                                .min = 2,
                                .max = 9,
                                .sum_squares = 3,
                                .buckets = first,
                                .bucket_count = 2});
    fold_add (&fold, &(point_t){.n = 42,
                                .min = -1,
                                .max = 4,
                                .sum_squares = 4,
                                .buckets = second,
                                .bucket_count = 3});
    point = fold_point (&fold);
    assert_int_equal (point->time_s, 60);
    assert_int_equal (point->n, 45);
    assert_true (point->min == -1 && point->max == 9);
    assert_true (point->sum_squares == 7);
    assert_int_equal (point->bucket_count, 4);
    assert_int_equal (point->buckets[0].index, -4);
    assert_int_equal (point->buckets[1].index, -3);
    assert_int_equal (point->buckets[2].count, 42);
    assert_int_equal (point->buckets[3].index, 7);
    fold_begin (&fold, 120);
    assert_int_equal (fold_point (&fold)->n, 0);
    assert_int_equal (fold_point (&fold)->bucket_count, 0);
    fold_clear (&fold);
}

//  A count that is full stays full: it does not begin anew.
static void
test_full (void **state)
{
    static const zb_bucket_t many[] = {{5, UINT64_MAX - 1}}, few[] = {{5, 7}};
    fold_t fold = {.hist.size = 0};
    (void) state;
    fold_begin (&fold, 60);
    fold_add (
      &fold,
      &(point_t){.n = UINT64_MAX - 1, .buckets = many, .bucket_count = 1});
    fold_add (&fold, &(point_t){.n = 7, .buckets = few, .bucket_count = 1});
    assert_true (fold_point (&fold)->n == UINT64_MAX);
    assert_true (fold_point (&fold)->buckets[0].count == UINT64_MAX);
    fold_clear (&fold);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_sums),
                                       cmocka_unit_test (test_buckets),
                                       cmocka_unit_test (test_full)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
