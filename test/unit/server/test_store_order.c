/*  test_store_order.c - rows in any order: of time, and of series

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clock.h"
#include "stored.h"

static int64_t
s_now_s (void)
{
    return wall_us () / 1000000;
}

//  A row may be of a second that is there, of one before it, or behind it, and be the
//  second one of its own batch.
static void
test_in_any_order (void **state)
{
    enum { SECONDS = 8, ROWS = 500 };
    static stored_t stored;
    static store_row_t rows[ROWS];
    double sum[2][SECONDS] = {{0}};
    int64_t at = s_now_s () - 100;
    (void) state;
    stored_new (&stored);
    for (int pass = 0; pass < 4; pass++) {
        for (int i = 0; i < ROWS; i++) {
            int series = rand () % 2, second = rand () % (2 * pass + 2);
            rows[i] = stored_row (series ? "b" : "a", NULL, at + second, i);
            sum[series][second] += i;
        }
        assert_int_equal (stored_write (&stored, rows, ROWS, NULL, NULL),
                          BATCH_STORED);
    }
    for (int series = 0; series < 2; series++) {
        stored_ask (&stored, series ? "b" : "a", "", at, at + SECONDS, 1);
        assert_int_equal (stored.count, SECONDS);
        for (int second = 0; second < SECONDS; second++)
            assert_true (stored.said[second].sum == sum[series][second]);
    }
    stored_end (&stored);
}

//  A batch may have its rows in another order than the one before it, and names in
//  another case; a metric that has ended is not found in the old order either.
static void
test_another_order (void **state)
{
    enum { METRICS = 40, BATCHES = 30, LATER = 20 };
    static stored_t stored;
    static char names[METRICS][2][16];
    store_row_t rows[METRICS];
    int64_t at = s_now_s () - 100;
    metric_t metric;
    (void) state;
    stored_new (&stored);
    for (int i = 0; i < METRICS; i++) {
        snprintf (names[i][0], sizeof names[i][0], "m%d", i);
        snprintf (names[i][1], sizeof names[i][1], "M%d", i);
    }
    for (int batch = 0; batch < BATCHES; batch++) {
        int step = batch % 3 ? 1 : 7;
        if (batch == LATER) {
            assert_int_equal (reader_metric (stored.reader, "m5", &metric), 1);
            store_metrics_end (stored.store, &metric.id, 1);
        }
        for (int i = 0; i < METRICS; i++) {
            int of = i * step % METRICS;
            rows[i] = stored_row (names[of][batch % 4 == 0],
                                  of % 2 ? "a" : NULL, at + batch, of);
        }
        assert_int_equal (stored_write (&stored, rows, METRICS, NULL, NULL),
                          BATCH_STORED);
    }
    for (int i = 0; i < METRICS; i++) {
        size_t count = i == 5 ? BATCHES - LATER : BATCHES;
        stored_ask (&stored, names[i][0], i % 2 ? "a" : "", at, at + BATCHES,
                    1);
        assert_int_equal (stored.count, count);
        for (size_t j = 0; j < count; j++)
            assert_true (stored.said[j].n == 1 && stored.said[j].sum == i);
    }
    stored_end (&stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_in_any_order),
      cmocka_unit_test (test_another_order),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
