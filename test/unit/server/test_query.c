/*  test_query.c - each answer is what a fold over all that was sent says

    Rows of some series come at random, late ones, too, are packed at random moments,
    wholly or in part, the store is opened anew, what is old becomes coarser: and
    whatever is asked, n, sum, min, max, sum_squares and buckets are those of the
    rows. Values are whole numbers, so that sums are the same in any order.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "../unit.h"

#include "clock.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"

enum {
    SERIES = 6,
    ROWS_MOST = 60000,
    HOURS = 30,  //  into the past
    INTERVALS_MOST = 4000,
};

//  One that was sent.
typedef struct {
    int series;
    int64_t time_s;
    uint64_t n;
    double sum, min, max, sum_squares, last;
    zb_bucket_t bucket[2];
    size_t bucket_count;
} sent_t;

static sent_t s_sent[ROWS_MOST];
static size_t s_sent_count;
static stored_t s_stored;
static int64_t s_now;

//  --------------------------------------------------------------------------
//  What is sent

static const char *
s_source (int series)
{
    static const char *const sources[SERIES] = {"a", "b", "c", "d", "e", "f"};
    return sources[series];
}

//  Series differ in how often they come, and in what they are.
static sent_t
s_any_row (int series)
{
    static const int64_t steps[SERIES] = {60, 60, 1, 10, 7, 60};
    sent_t sent = {.series = series, .n = 1};
    int64_t back = s_any () % 3 ? (int64_t) (s_any () % 4000)
                                : (int64_t) (s_any () % (HOURS * HOUR_S));
    sent.time_s = time_floor (s_now - back, steps[series]) + series % 3;
    sent.sum = sent.min = sent.max = sent.last = (double) (s_any () % 1000);
    sent.sum_squares = sent.sum * sent.sum;
    if (series >= 4 && s_any () % 2) {
        sent.n = 2 + s_any () % 9;
        sent.min = (double) (s_any () % 50);
        sent.max = 1000 + (double) (s_any () % 50);
        sent.last = sent.max;
        sent.sum_squares = (double) (s_any () % 100000);
    }
    if (series == 5) {
        int index = (int) (s_any () % 400) - 200;
        sent.bucket_count = 1 + s_any () % 2;
        sent.bucket[0] = (zb_bucket_t){index, 1 + s_any () % 9};
        sent.bucket[1] = (zb_bucket_t){index + 1 + (int) (s_any () % 9), 3};
    }
    return sent;
}

static void
s_send (size_t count)
{
    static store_row_t rows[512];
    for (size_t i = 0; i < count && s_sent_count < ROWS_MOST; i++) {
        sent_t *sent = &s_sent[s_sent_count++];
        *sent = s_any_row ((int) (s_any () % SERIES));
        rows[i] = stored_row ("m", s_source (sent->series), sent->time_s, 0);
        rows[i].point = (point_t){.time_s = sent->time_s,
                                  .n = sent->n,
                                  .sum = sent->sum,
                                  .min = sent->min,
                                  .max = sent->max,
                                  .sum_squares = sent->sum_squares,
                                  .last = sent->last,
                                  .buckets = sent->bucket,
                                  .bucket_count = sent->bucket_count};
    }
    assert_int_equal (stored_write (&s_stored, rows, count, NULL, NULL),
                      BATCH_STORED);
}

//  --------------------------------------------------------------------------
//  What is expected

static fold_t s_expected[INTERVALS_MOST];

static void
s_expect (int series, int64_t from_s, int64_t to_s, int64_t step_s)
{
    int64_t first_s = time_floor (from_s, step_s);
    size_t count = (size_t) ((to_s - first_s + step_s - 1) / step_s);
    assert_true (count <= INTERVALS_MOST);
    for (size_t i = 0; i < count; i++)
        fold_begin (&s_expected[i], first_s + (int64_t) i * step_s);
    for (size_t i = 0; i < s_sent_count; i++) {
        const sent_t *sent = &s_sent[i];
        int64_t at = (sent->time_s - first_s) / step_s;
        if (sent->series != series || sent->time_s < first_s
            || at >= (int64_t) count)
            continue;
        fold_add (&s_expected[at],
                  &(point_t){.n = sent->n,
                             .sum = sent->sum,
                             .min = sent->min,
                             .max = sent->max,
                             .sum_squares = sent->sum_squares,
                             .buckets = sent->bucket,
                             .bucket_count = sent->bucket_count});
    }
}

//  Samples in a bucket of the scale that is asked for.
static uint64_t
s_in_bucket (const point_t *point, int index, int shift)
{
    uint64_t count = 0;
    for (size_t i = 0; i < point->bucket_count; i++)
        if (point->buckets[i].index >> shift == index)
            count += point->buckets[i].count;
    return count;
}

static void
s_assert_same (const point_t *said, const point_t *expected, int shift)
{
    assert_int_equal (said->time_s, expected->time_s);
    assert_int_equal (said->n, expected->n);
    assert_true (said->sum == expected->sum);
    assert_true (said->min == expected->min);
    assert_true (said->max == expected->max);
    assert_true (said->sum_squares == expected->sum_squares);
    for (size_t i = 0; i < expected->bucket_count; i++) {
        int index = expected->buckets[i].index >> shift;
        assert_int_equal (s_in_bucket (said, index, shift),
                          s_in_bucket (expected, index, shift));
    }
    assert_int_equal (!said->bucket_count, !expected->bucket_count);
}

//  --------------------------------------------------------------------------
//  What is said: folded once more, in intervals of what is kept

typedef struct {
    int64_t step_s;
    fold_t fold;
    size_t at;  //  of s_expected
    int shift;
    int64_t before_s;
} answer_t;

static void
s_compare (answer_t *self)
{
    const point_t *said = fold_point (&self->fold);
    if (!said->n)
        return;
    while (fold_point (&s_expected[self->at])->n == 0)
        self->at++;
    s_assert_same (said, fold_point (&s_expected[self->at++]), self->shift);
}

static int
s_hear (void *argument, const point_t *point)
{
    answer_t *self = (answer_t *) argument;
    int64_t begin_s = time_floor (point->time_s, self->step_s);
    assert_true (point->time_s > self->before_s);
    self->before_s = point->time_s;
    if (self->fold.point.time_s != begin_s) {
        s_compare (self);
        fold_begin (&self->fold, begin_s);
    }
    fold_add (&self->fold, point);
    return 0;
}

static void
s_ask (int series, int64_t from_s, int64_t to_s, int64_t resolution_s,
       int64_t step_s)
{
    answer_t answer = {.step_s = step_s,
                       .shift = resolution_s % 900 == 0 ? 2 : 0};
    int64_t id = stored_series (&s_stored, "m", s_source (series)), rc;
    size_t count =
      (size_t) ((to_s - time_floor (from_s, step_s) + step_s - 1) / step_s);
    if (!id)
        return;
    s_expect (series, from_s, to_s, step_s);
    rc = reader_points (s_stored.reader, id, from_s, to_s, resolution_s, s_hear,
                        &answer);
    assert_true (rc >= resolution_s && rc <= step_s);
    s_compare (&answer);
    for (; answer.at < count; answer.at++)
        assert_int_equal (fold_point (&s_expected[answer.at])->n, 0);
    fold_clear (&answer.fold);
}

static void
s_ask_any (void)
{
    static const int64_t resolutions[] = {1, 7, 10, 60, 300, 900, 3600, 7200};
    int64_t resolution_s = resolutions[s_any () % 8];
    int64_t span_s = (int64_t) (s_any () % (3000 * (uint64_t) resolution_s));
    int64_t to_s = s_now + 10;
    if (s_any () % 2)
        to_s -= (int64_t) (s_any () % (HOURS * HOUR_S));
    s_ask ((int) (s_any () % SERIES), to_s - 1 - span_s, to_s, resolution_s,
           resolution_s);
}

//  --------------------------------------------------------------------------
//  What happens meanwhile

static int
s_pack_all (store_t *store, void *argument)
{
    (void) argument;
    pack_begin (store, INT64_MAX);
    while (pack_slice (store) == 1) {
    }
    return 0;
}

static int
s_pack_some (store_t *store, void *argument)
{
    if (!store->packer.active)
        pack_begin (store, INT64_MAX);
    store->packer.width = 1 + *(int64_t *) argument % 4;
    pack_slice (store);
    return 0;
}

static void
s_happen (void)
{
    int64_t any = (int64_t) (s_any () >> 1);
    switch (any % 8) {
        case 0:
            store_run (s_stored.store, s_pack_all, NULL);
            break;
        case 1:
            stored_stop (&s_stored);
            stored_start (&s_stored);
            break;
        case 2:
        case 3:
            store_run (s_stored.store, s_pack_some, &any);
            break;
        default:
            s_send (1 + (size_t) any % 400);
            break;
    }
}

static void
test_any (void **state)
{
    enum { ROUNDS = SANITIZED ? 60 : 120 };
    store_stats_t stats;
    (void) state;
    stored_new (&s_stored);
    for (int i = 0; i < ROUNDS; i++) {
        s_now = wall_us () / 1000000;
        s_happen ();
        for (int j = 0; j < 6; j++)
            s_ask_any ();
    }
    store_run (s_stored.store, s_pack_all, NULL);
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.refused + stats.failed + stats.dropped, 0);
    assert_int_equal (stats.series, SERIES);
    stored_stop (&s_stored);
    stored_start (&s_stored);
    for (int j = 0; j < 100; j++)
        s_ask_any ();
}

//  Raw points end, then those of minutes: what there was is there, but coarser. Rows
//  of times that have ended add to what is left.
static void
test_becomes_coarser (void **state)
{
    static const struct {
        int64_t keep_s[3], step_s;
    } ages[] = {{{3, 0, 0}, 60}, {{3, 5, 0}, 900}, {{3, 5, 50}, 3600}};
    (void) state;
    for (int i = 0; i < 3; i++) {
        int64_t hour_s = HOUR_S;
        stored_stop (&s_stored);
        s_stored.options.keep_raw_s = ages[i].keep_s[0] * hour_s;
        if (ages[i].keep_s[1])
            s_stored.options.keep_60_s = ages[i].keep_s[1] * hour_s;
        if (ages[i].keep_s[2])
            s_stored.options.keep_900_s = ages[i].keep_s[2] * hour_s;
        stored_start (&s_stored);
        for (int j = 0; j < 30; j++) {
            int64_t to_s = time_floor (s_now + 60, hour_s) + hour_s;
            s_send (100);
            if (s_any () % 4 == 0)
                store_run (s_stored.store, s_pack_all, NULL);
            s_ask ((int) (s_any () % (SERIES - 1)),
                   to_s - (HOURS - 10) * hour_s, to_s, 1, ages[i].step_s);
        }
    }
    stored_end (&s_stored);
}

//  --------------------------------------------------------------------------
//  Readers beside a writer that packs: each sees what had been sent before it began,
//  and nothing that had not been begun when it ended

static _Atomic uint64_t s_begun, s_done;
static _Atomic bool s_over;

static int
s_add_samples (void *argument, const point_t *point)
{
    *(uint64_t *) argument += point->n;
    return 0;
}

static void *
s_watch (void *argument)
{
    static const int64_t resolutions[] = {1, 60, 3600};
    reader_t *reader = reader_new (s_stored.store);
    uint64_t asked = 0;
    while (!s_over || asked < 3) {
        uint64_t least = s_done, most, count = 0;
        reader_points (reader, *(int64_t *) argument, s_now - 9000, s_now + 60,
                       resolutions[asked++ % 3], s_add_samples, &count);
        most = s_begun;
        assert_true (count >= least && count <= most);
    }
    reader_destroy (&reader);
    return NULL;
}

static void
test_readers_beside_packing (void **state)
{
    enum { READERS = 3, ROUNDS = SANITIZED ? 20 : 60, ROWS = 50 };
    pthread_t thread[READERS];
    store_row_t rows[ROWS];
    int64_t id = 0;
    (void) state;
    stored_new (&s_stored);
    s_now = wall_us () / 1000000;
    assert_int_equal (store_metric_new (s_stored.store, "m", METRIC_GAUGE), 1);
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < ROWS; j++)
            rows[j] =
              stored_row ("m", "a", s_now - (int64_t) (s_any () % 9000), 1);
        s_begun += ROWS;
        stored_write (&s_stored, rows, ROWS, NULL, NULL);
        s_done += ROWS;
        if (i == 0)
            id = stored_series (&s_stored, "m", "a");
        for (int j = 0; i == 0 && j < READERS; j++)
            pthread_create (&thread[j], NULL, s_watch, &id);
        store_run (s_stored.store, s_pack_all, NULL);
    }
    s_over = true;
    for (int j = 0; j < READERS; j++)
        pthread_join (thread[j], NULL);
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_any),
      cmocka_unit_test (test_becomes_coarser),
      cmocka_unit_test (test_readers_beside_packing),
    };
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    for (size_t i = 0; i < INTERVALS_MOST; i++)
        fold_clear (&s_expected[i]);
    return rc;
}
