/*  test_chunk.c - are points in a chunk what they were, to the last bit?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "chunk.h"
#include "kept.h"

enum { POINTS_MOST = COLUMN_MOST };

static double
s_any_double (void)
{
    uint64_t bits = s_any ();
    double value;
    memcpy (&value, &bits, sizeof value);
    return value;
}

//  Of the kinds that there are: numbers that hardly change, integers, decimals,
//  seconds, whatever 64 bits may be.
static double
s_any_value (int kind)
{
    uint64_t any = s_any ();
    switch (kind) {
        case 0:
            return 4;
        case 1:
            return (double) (any % 1000);
        case 2:
            return (double) (int64_t) (any % 2000001 - 1000000) / 100;
        case 3:
            return (double) (any >> 11) * 0x1p-53;
        case 4:
            return any % 50 ? 7 : 1e15 - (double) (any % 9);
        case 5:
            return any % 9 ? (double) (any % 7) : -0.0;
        default:
            return s_any_double ();
    }
}

static void
s_any_buckets (points_t *points, point_t *point)
{
    size_t count = s_any () % 20;
    zb_bucket_t *bucket = points_room (points, count);
    int index = BUCKET_MIN + (int) (s_any () % 900);
    for (size_t i = 0; i < count; i++) {
        index += 1 + (int) (s_any () % 3);
        bucket[i].index = index;
        bucket[i].count = s_any () >> s_any () % 64;
    }
    point->buckets = bucket;
    point->bucket_count = count;
}

static void
s_any_points (points_t *points, int64_t begin_s, int64_t span_s)
{
    size_t most = 1 + s_any () % (s_any () % 8 ? 100 : POINTS_MOST);
    int64_t step_s = (int64_t[]){1, 10, 60, 7}[s_any () % 4], at_s = -1;
    int kind = (int) (s_any () % 7), other = (int) (s_any () % 7);
    bool single = s_any () % 2, regular = s_any () % 2;
    bool buckets = s_any () % 4 == 0;
    points_empty (points);
    while (points->count < most) {
        point_t point = {.sum = s_any_value (kind)};
        at_s += regular ? step_s : 1 + (int64_t) (s_any () % 90);
        if (at_s >= span_s)
            break;
        point.time_s = begin_s + at_s;
        chunk_fill (&point);
        if (!single) {
            point.n = s_any () % 3 ? s_any () % 100 : s_any ();
            point.min = s_any_value (other);
            point.max = s_any_value (kind);
            point.last = s_any () % 2 ? point.max : s_any_value (other);
            point.sum_squares = s_any_value (6);
            point.first = s_any () % 2 ? point.min : s_any_value (other);
            point.resets = s_any () % 2 ? 0 : s_any_value (other);
        }
        if (buckets)
            s_any_buckets (points, &point);
        points_add (points, &point);
    }
}

static void
s_assert_same (const points_t *a, const points_t *b)
{
    assert_int_equal (a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const point_t *p = &a->point[i], *q = &b->point[i];
        assert_memory_equal (p, q, offsetof (point_t, buckets));
        assert_int_equal (p->bucket_count, q->bucket_count);
        for (size_t j = 0; j < p->bucket_count; j++) {
            assert_int_equal (p->buckets[j].index, q->buckets[j].index);
            assert_int_equal (p->buckets[j].count, q->buckets[j].count);
        }
    }
}

static void
test_all_kinds (void **state)
{
    enum { ROUNDS = SANITIZED ? 3000 : 30000 };
    points_t points = {.count = 0}, read = {.count = 0};
    buffer_t bytes = {NULL, 0, 0};
    (void) state;
    for (int i = 0; i < ROUNDS; i++) {
        const kept_t *level = &kept[s_any () % LEVELS];
        int64_t begin_s = (int64_t) (s_any () % 10000) * level->span_s;
        bool exact = s_any () % 2, found;
        s_any_points (&points, begin_s, level->span_s);
        if (!points.count)
            continue;
        bytes.size = 0;
        chunk_write (&bytes, &points, begin_s, exact, true);
        points_empty (&read);
        assert_int_equal (chunk_read (bytes.text, bytes.size, begin_s,
                                      level->span_s, &read, &found),
                          0);
        assert_int_equal (found, exact);
        s_assert_same (&points, &read);
        assert_int_equal (chunk_count (bytes.text, bytes.size), points.count);
        points_empty (&read);
        assert_int_equal (chunk_read (bytes.text, s_any () % bytes.size,
                                      begin_s, level->span_s, &read, &found),
                          -1);
    }
    points_clear (&points);
    points_clear (&read);
    buffer_clear (&bytes);
}

//  Bytes of an hour of them, over how many there are.
static double
s_size (int64_t step_s, int kind)
{
    points_t points = {.count = 0};
    buffer_t bytes = {NULL, 0, 0};
    double size;
    for (int64_t at_s = 0; at_s < HOUR_S; at_s += step_s) {
        point_t point = {.time_s = at_s, .sum = s_any_value (kind)};
        chunk_fill (&point);
        points_add (&points, &point);
    }
    chunk_write (&bytes, &points, 0, true, true);
    size = (double) bytes.size / (double) points.count;
    points_clear (&points);
    buffer_clear (&bytes);
    return size;
}

//  Increments below 1,000 need ten bits, readings of up to 10,000 with two decimals
//  21 bits.
static void
test_sizes (void **state)
{
    (void) state;
    assert_true (s_size (60, 0) < 0.25);
    assert_true (s_size (60, 1) < 1.6);
    assert_true (s_size (1, 1) < 1.4);
    assert_true (s_size (60, 2) < 2.9);
    assert_true (s_size (60, 3) < 9.2);
}

//  What is done to a coarser scale twice is done once, and no sample is lost.
static void
test_fold (void **state)
{
    points_t points = {.count = 0}, once = points, twice = points;
    (void) state;
    for (int i = 0; i < 300; i++) {
        s_any_points (&points, 0, HOUR_S);
        points_empty (&once);
        points_fold (&once, &points, 0, HOUR_S, 900, 2);
        points_empty (&twice);
        points_fold (&twice, &once, 0, HOUR_S, 900, 2);
        assert_int_equal (once.count, twice.count);
        for (size_t j = 0; j < once.count; j++) {
            const point_t *p = &once.point[j], *q = &twice.point[j];
            assert_int_equal (p->bucket_count, q->bucket_count);
            for (size_t k = 0; k < p->bucket_count; k++) {
                assert_int_equal (p->buckets[k].index, q->buckets[k].index);
                assert_int_equal (p->buckets[k].count, q->buckets[k].count);
                assert_true (p->buckets[k].index >= BUCKET_MIN);
            }
        }
    }
    points_clear (&points);
    points_clear (&once);
    points_clear (&twice);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_all_kinds),
      cmocka_unit_test (test_sizes),
      cmocka_unit_test (test_fold),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
