/*  test_edges.c - what of zibrato.h has a bound or a border

    Counts, sums and buckets on both sides of it, names that were made to fall
    into one place, readings that wait while the wall clock goes on.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE

#include <time.h>

//  The header's wall clock goes on by so many seconds, as over a suspend.
static long s_ahead_s;

static int
s_clock_gettime (clockid_t id, struct timespec *now)
{
    int rc = clock_gettime (id, now);
    if (id == CLOCK_REALTIME)
        now->tv_sec += __atomic_load_n (&s_ahead_s, __ATOMIC_RELAXED);
    return rc;
}

#define clock_gettime s_clock_gettime
#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"
#undef clock_gettime

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <inttypes.h>

//  Where nobody is.
static zb_t *
s_open (void)
{
    zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = 0,
                        .interval_ms = 3600000, .source = "s");
    assert_non_null (zb);
    return zb;
}

static zb_series_ *
s_series (zb_t *zb, zb_type_t type, const char *name)
{
    zb_label_ label = zb_label_make_ (type, "info", name, "s", NULL);
    zb_series_ *series;
    pthread_mutex_lock (&zb->lock);
    series = zb_series_find_ (zb, &label);
    pthread_mutex_unlock (&zb->lock);
    assert_non_null (series);
    return series;
}

//  A timer's parts, summed. Caller does not own the return value.
static const zb_sum_ *
s_sum (zb_t *zb, const char *name)
{
    static uint64_t pool[ZB_PAGES_ * ZB_PAGE_SIZE_];
    static zb_sum_ sum;
    zb_series_ *series = s_series (zb, ZB_TYPE_TIMER, name);
    sum.pool = pool;
    pthread_mutex_lock (&zb->lock);
    assert_int_equal (zb_series_sum_ (&sum, series), 0);
    pthread_mutex_unlock (&zb->lock);
    return &sum;
}

static uint64_t
s_in_bucket (const zb_sum_ *sum, unsigned i)
{
    const uint64_t *page = sum->page[i / ZB_PAGE_SIZE_];
    return page ? page[i % ZB_PAGE_SIZE_] : 0;
}

static uint64_t
s_bucketed (const zb_sum_ *sum)
{
    uint64_t samples = 0;
    for (unsigned i = 0; i < ZB_PAGES_ * ZB_PAGE_SIZE_; i++)
        samples += s_in_bucket (sum, i);
    return samples;
}

//  10,000 connections that wait for three weeks have waited for longer than a
//  number of 64 bits can say in nanoseconds.
static void
test_sum_beyond_64_bits (void **state)
{
    zb_t *zb = s_open ();
    const zb_sum_ *sum;
    char text[64];
    zb_text_ line = {text, 0, sizeof text - 1};
    (void) state;
    for (int i = 0; i < 5; i++)
        zb_time ("info", "wait", 9000000000, .to = zb);
    sum = s_sum (zb, "wait");
    assert_int_equal (sum->count, 5);
    assert_int_equal (s_bucketed (sum), 5);
    zb_put_seconds_ (&line, sum->sum_ns);
    text[line.size] = 0;
    assert_string_equal (text, "45000000000");
    zb_close (&zb);
}

//  Buckets have 32 bits in a thread, and lose nothing when one is full.
static void
test_bucket_is_full (void **state)
{
    enum { BEFORE = 7, AFTER = 100 };
    zb_t *zb = s_open ();
    zb_series_ *series;
    zb_timer_ *timer;
    const zb_sum_ *sum;
    uint64_t added;
    (void) state;
    for (int i = 0; i < BEFORE; i++)
        zb_time ("info", "full", 1e-6, .to = zb);
    series = s_series (zb, ZB_TYPE_TIMER, "full");
    timer = series->slots->by_kind.timer;
    //  as if it had been passed as often as a bucket can tell, but for a few
    added = UINT32_MAX - 10 - *zb_timer_place_ (timer, zb_bucket_ (1000));
    *zb_timer_place_ (timer, zb_bucket_ (1000)) += (uint32_t) added;
    timer->count += added;
    for (int i = 0; i < AFTER; i++)
        zb_time ("info", "full", 1e-6, .to = zb);
    sum = s_sum (zb, "full");
    assert_int_equal (sum->count, BEFORE + AFTER + added);
    assert_int_equal (s_in_bucket (sum, zb_bucket_ (1000)), sum->count);
    assert_int_equal (s_bucketed (sum), sum->count);
    zb_close (&zb);
}

static void *
s_measure_10 (void *argument)
{
    for (int i = 0; i < 10; i++) {
        zb_count ("info", "c", .value = 2, .to = argument);
        zb_time ("info", "t", 0.25, .to = argument);
        zb_gauge ("info", "g", i, .to = argument);
    }
    return NULL;
}

//  Beyond the slots that an instance may have, measurements are added to their
//  series, and none is lost.
static void
test_slots_run_out (void **state)
{
    zb_t *zb = s_open ();
    zb_stats_t stats;
    pthread_t thread;
    const zb_sum_ *sum;
    size_t slots;
    (void) state;
    s_measure_10 (zb);
    pthread_mutex_lock (&zb->lock);
    slots = zb->slots_size;
    zb->slots_size = ZB_SLOTS_MAX_;
    pthread_mutex_unlock (&zb->lock);
    assert_int_equal (slots, 3);
    assert_int_equal (pthread_create (&thread, NULL, s_measure_10, zb), 0);
    pthread_join (thread, NULL);
    pthread_mutex_lock (&zb->lock);
    assert_int_equal (zb->slots_size, ZB_SLOTS_MAX_);
    zb->slots_size = slots;
    pthread_mutex_unlock (&zb->lock);
    assert_true (zb_series_total_ (s_series (zb, ZB_TYPE_COUNTER, "c")) == 40);
    sum = s_sum (zb, "t");
    assert_int_equal (sum->count, 20);
    assert_int_equal (s_bucketed (sum), 20);
    assert_int_equal (sum->range.min_ns, 250000000);
    assert_int_equal (zb_stats (zb, &stats), 0);
    assert_int_equal (stats.dropped, 0);
    assert_int_equal (stats.held, 2 + 20);
    zb_close (&zb);
}

//  A reading that is held has the time of when it was read, however far the wall
//  clock goes on meanwhile without the clock that stands still in a suspend.
static void
test_reading_keeps_its_time (void **state)
{
    zb_t *zb = s_open ();
    zb_stats_t stats;
    uint64_t before_s, read_s;
    (void) state;
    before_s = zb_clock_read_ (CLOCK_REALTIME) / 1000000000;
    zb_gauge ("info", "g", 1, .to = zb);
    zb_stats (zb, &stats);  //  takes it out of the ring, as each round does
    assert_int_equal (stats.held, 1);
    __atomic_store_n (&s_ahead_s, 3600, __ATOMIC_RELAXED);
    zb_stats (zb, &stats);
    pthread_mutex_lock (&zb->lock);
    read_s = zb_queue_at_ (&zb->levels->queue, 0)->reading.time / 1000;
    pthread_mutex_unlock (&zb->lock);
    assert_in_range (read_s, before_s, before_s + 1800);
    __atomic_store_n (&s_ahead_s, 0, __ATOMIC_RELAXED);
    zb_close (&zb);
}

//  Names that share their places under one seed are spread by another: whoever
//  sends a program names of its own choice does not know its seed.
static void
test_crafted_names (void **state)
{
    enum { NAMES = 1000, PLACES = 1024 };
    static unsigned found[PLACES];
    uint64_t keep;
    unsigned most = 0, names = 0;
    char name[32];
    (void) state;
    zb_count ("info", "first");  //  there is a seed from now on
    keep = zb_seed_;
    assert_true (keep != 0);
    for (unsigned i = 0; names < NAMES; i++) {
        zb_label_ label;
        snprintf (name, sizeof name, "n%u", i);
        zb_seed_ = 1;
        label = zb_label_make_ (ZB_TYPE_COUNTER, "info", name, NULL, NULL);
        if (zb_label_hash_ (&label) % PLACES != 0)
            continue;
        names++;
        zb_seed_ = keep;
        label = zb_label_make_ (ZB_TYPE_COUNTER, "info", name, NULL, NULL);
        if (++found[zb_label_hash_ (&label) % PLACES] > most)
            most = found[zb_label_hash_ (&label) % PLACES];
    }
    zb_seed_ = keep;
    assert_in_range (most, 1, 12);
}

//  While ZeroMQ has no room, the last question of each broker waits for it.
static void
test_questions_of_several_brokers (void **state)
{
    static char question[] = "\xff"
                             "000000000000000a?1";
    const size_t size = sizeof question - 1;
    zb_t *zb = s_open ();
    (void) state;
    zb_question_keep_ (zb, question, size);
    question[size - 1] = '2';
    zb_question_keep_ (zb, question, size);
    assert_int_equal (zb->answers, 1);
    assert_memory_equal (zb->answer[0].text, question, size);
    for (int broker = 1; broker < 2 * ZB_ASKING_MAX_; broker++) {
        question[1] = (char) ('a' + broker);
        zb_question_keep_ (zb, question, size);
    }
    assert_int_equal (zb->answers, ZB_ASKING_MAX_);
    assert_int_equal (zb->answer[0].text[1], '0');
    zb->answers = 0;
    zb_close (&zb);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_sum_beyond_64_bits),
      cmocka_unit_test (test_bucket_is_full),
      cmocka_unit_test (test_slots_run_out),
      cmocka_unit_test (test_reading_keeps_its_time),
      cmocka_unit_test (test_crafted_names),
      cmocka_unit_test (test_questions_of_several_brokers)};
    setenv ("ZIBRATO_PORT", "1", 1);
    return cmocka_run_group_tests_name ("edges", tests, NULL, NULL);
}
