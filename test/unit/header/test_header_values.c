/*  test_header_values.c - are numbers and durations what they were?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "header.h"

//  --------------------------------------------------------------------------
//  Values

static void
test_values (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    int i;
    zb_count ("info", "zero", .value = 0);
    peer_await_total (&self->peer, "zero", NULL, 0);
    for (i = 0; i < 3; i++) {
        ZB_COUNT_ME ("info", "negative", .value = -2.5);
    }
    peer_await_total (&self->peer, "negative", NULL, -7.5);
    zb_count ("info", "large", .value = 9007199254740991.0);
    peer_await_total (&self->peer, "large", NULL, 9007199254740991.0);
    for (i = 0; i < 4; i++) {
        static const double bad[] = {NAN, INFINITY, -INFINITY, -NAN};
        ZB_COUNT_ME ("info", "bad", .value = bad[i]);
        ZB_GAUGE ("info", "bad", bad[i]);
        zb_count ("info", "bad", .value = bad[i]);
        zb_gauge ("info", "bad", bad[i]);
        zb_time ("info", "bad", bad[i]);
    }
    zb_time ("info", "bad", -1e-9);
    zb_time ("info", "bad", 1e10);
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 22);
    //  a sum that overflows is not told
    zb_count ("info", "sum", .value = 1e308);
    peer_await_total (&self->peer, "sum", NULL, 1e308);
    zb_count ("info", "sum", .value = 1e308);
    zb_count ("info", "after");
    peer_await_total (&self->peer, "after", NULL, 1);
    peer_await_total (&self->peer, "zibrato.dropped", "host", 22);
    assert_int_equal (peer_count (&self->peer, "bad"), 0);
    peer_drain (&self->peer, 50);
    for (i = 0; (size_t) i < self->peer.size; i++)
        assert_true (isfinite (self->peer.lines[i].total));
}

static void
s_check_doubles (peer_t *peer)
{
    static const double values[] = {0.1,
                                    -0.1,
                                    1.5,
                                    1e-7,
                                    1234567.25,
                                    -2.5e300,
                                    4.9406564584124654e-324,
                                    1.7976931348623157e308,
                                    0.30000000000000004,
                                    1e21,
                                    123456789012345680.0,
                                    9007199254740993.0,
                                    -9007199254740994.0,
                                    1e-300,
                                    3.0,
                                    100.0,
                                    -0.0};
    size_t i, next = 0, size = sizeof values / sizeof *values;
    for (i = 0; i < size; i++)
        zb_gauge ("info", "double", values[i]);
    zb_count ("info", "fraction", .value = 0.125);
    zb_time ("info", "fraction.time", 0.125);
    peer_await_lines (peer, "double", size);
    peer_await_lines (peer, "fraction", 1);
    peer_await_lines (peer, "fraction.time", 1);
    for (i = 0; i < peer->size; i++) {
        const line_t *line = &peer->lines[i];
        if (*line->type != 'T')  //  its buckets have commas
            assert_null (strchr (line->text, ','));
        //  gauges come in order
        if (strcmp (line->name, "double") == 0 && line->value != values[next++])
            fail_msg ("%s: expected %.17g", line->text, values[next - 1]);
    }
    assert_int_equal (next, size);
    assert_true (peer_last (peer, "fraction", NULL)->total == 0.125);
}

static void
test_doubles (void **state)
{
    fixture_t *self = *state;
    s_check_doubles (&self->peer);
}

//  A host program in German. Where there is no such locale it is made.
static void
test_locale (void **state)
{
    fixture_t *self = *state;
    char folder[] = "/tmp/zibrato-locale-XXXXXX", command[200];
    int made = 0;
    if (!setlocale (LC_ALL, "de_DE.UTF-8")) {
        assert_non_null (mkdtemp (folder));
        snprintf (command, sizeof command,
                  "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8", folder);
        assert_int_equal (system (command), 0);
        setenv ("LOCPATH", folder, 1);
        assert_non_null (setlocale (LC_ALL, "de_DE.UTF-8"));
        made = 1;
    }
    assert_string_equal (localeconv ()->decimal_point, ",");
    s_check_doubles (&self->peer);
    setlocale (LC_ALL, "C");
    if (made) {
        unsetenv ("LOCPATH");
        snprintf (command, sizeof command, "rm -r %s", folder);
        assert_int_equal (system (command), 0);
    }
}

//  --------------------------------------------------------------------------
//  Timers

//  Up to 13 days, to the nanosecond.
static void
test_time_exact (void **state)
{
    fixture_t *self = *state;
    uint64_t seed = 1, sum = 0, least, most;
    const line_t *line;
    int i, round, count = 0;
    for (round = 0; round < 40; round++) {
        least = UINT64_MAX;
        most = 0;
        for (i = 0; i < 50; i++) {
            uint64_t ns;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            ns = seed >> 14 >> (seed & 31);
            zb_time ("info", "exact", (double) ns / 1e9);
            sum += ns;
            least = ns < least ? ns : least;
            most = ns > most ? ns : most;
            count++;
        }
        peer_await_total (&self->peer, "exact", NULL, count);
        line = peer_last (&self->peer, "exact", NULL);
        assert_int_equal (line->sum_ns, sum);
        assert_int_equal (line->bucketed, count);
        //  the last line may have begun within the fifty
        assert_true (line->min_ns >= (int64_t) least);
        assert_true (line->max_ns <= (int64_t) most);
    }
}

static void
test_time_range (void **state)
{
    fixture_t *self = *state;
    const line_t *line;
    zb_time ("info", "range", 0.25);
    peer_await_total (&self->peer, "range", NULL, 1);
    line = peer_last (&self->peer, "range", NULL);
    assert_int_equal (line->min_ns, 250000000);
    assert_int_equal (line->max_ns, 250000000);
    assert_string_equal (line->value_text, "0.25");
    assert_true (line->sum_squares == 0.0625);
    zb_time ("info", "range", 0);
    peer_await_total (&self->peer, "range", NULL, 2);
    line = peer_last (&self->peer, "range", NULL);
    assert_int_equal (line->min_ns, 0);
    assert_int_equal (line->max_ns, 0);
    assert_string_equal (line->value_text, "0");
    assert_int_equal (line->bucketed, 2);
}

static void *
s_time_often (void *argument)
{
    int i;
    (void) argument;
    for (i = 0; i < 20000; i++) {
        ZB_TIME_ME ("info", "busy");
    }
    return NULL;
}

//  In every line; when the threads are quiet the buckets add up, too.
static void
test_time_threads (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    const line_t *line, *before = NULL;
    size_t i;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_time_often, NULL);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    zb_time ("info", "busy", 0.000001);
    peer_await_total (&self->peer, "busy", NULL, THREADS * 20000 + 1);
    for (i = 0; i < self->peer.size; i++) {
        line = &self->peer.lines[i];
        assert_true (line->min_ns <= line->max_ns);
        assert_true (line->bucketed >= line->count);
        if (before) {
            int64_t count = (int64_t) (line->count - before->count);
            int64_t sum_ns = line->sum_ns - before->sum_ns;
            assert_true (count >= 0 && sum_ns >= 0);
            assert_true (sum_ns >= line->min_ns * count);
            assert_true (sum_ns <= line->max_ns * count);
            assert_int_equal (s_ns (line->value_text), sum_ns);
        }
        before = line;
    }
    assert_int_equal (before->bucketed, before->count);
}

//  The parts that thread and pump share: whatever the pump takes for the range
//  of a report holds every sample that the report counts, buckets hold as many
//  at least, and exactly as many when the thread rests.
static zb_timer_ *s_timer;
static int s_timer_stop;

static void *
s_timer_write (void *argument)
{
    uint64_t ns = 1000;
    (void) argument;
    while (!__atomic_load_n (&s_timer_stop, __ATOMIC_ACQUIRE)) {
        zb_timer_add_ (s_timer, ns, zb_bucket_ (ns) + 1);
        ns++;
    }
    return NULL;
}

static uint64_t
s_in_bucket (const zb_sum_ *sum, size_t i)
{
    const uint64_t *page = sum->page[i / ZB_PAGE_SIZE_];
    return page ? page[i % ZB_PAGE_SIZE_] : 0;
}

static uint64_t
s_bucketed (const zb_sum_ *sum)
{
    uint64_t samples = 0;
    size_t i;
    for (i = 0; i < ZB_PAGES_ * ZB_PAGE_SIZE_; i++)
        samples += s_in_bucket (sum, i);
    return samples;
}

//  As if a thread had timed 1000 ns, 1001 ns ...
static void
s_check_buckets (const zb_sum_ *sum)
{
    static uint64_t expected[ZB_PAGES_ * ZB_PAGE_SIZE_];
    uint64_t i;
    memset (expected, 0, sizeof expected);
    for (i = 0; i < sum->count; i++)
        expected[zb_bucket_ (1000 + i)]++;
    for (i = 0; i < ZB_PAGES_ * ZB_PAGE_SIZE_; i++)
        assert_int_equal (s_in_bucket (sum, i), expected[i]);
}

static int
s_timer_sum (zb_sum_ *sum)
{
    zb_sum_clear_ (sum);
    return zb_sum_timer_ (sum, s_timer);
}

static void
test_time_window (void **state)
{
    static uint64_t pool[ZB_PAGES_ * ZB_PAGE_SIZE_];
    static zb_sum_ sum;
    static zb_timer_ timer;
    uint64_t count = 0;
    pthread_t thread;
    int64_t until = zb_clock_ms_ () + 2000;
    uint64_t rounds = 0;
    unsigned page;
    int i;
    (void) state;
    sum.pool = pool;
    timer.window_id = ZB_WINDOW_FIRST_ | 1;
    s_timer = &timer;
    for (page = 0; page < ZB_PAGES_; page++) {
        zb_timer_page_ (s_timer, page * ZB_PAGE_SIZE_);
        assert_true (zb_timer_has_ (s_timer, page * ZB_PAGE_SIZE_));
    }
    __atomic_store_n (&s_timer_stop, 0, __ATOMIC_RELEASE);
    thread = s_thread (s_timer_write, NULL);
    while (zb_clock_ms_ () < until) {
        //  some samples, far fewer than between two reports of a pump
        while (zb_get_ (&s_timer->count) < count + 1000)
            sched_yield ();
        if (s_timer_sum (&sum) == -1 || sum.count == count)
            continue;
        //  samples count..sum.count-1 are new: 1000 + that many ns
        if (sum.range.min_ns > 1000 + count
            || sum.range.max_ns < 1000 + sum.count - 1)
            fail_msg ("round %" PRIu64 ": %" PRIu64 "..%" PRIu64
                      " ns, expected %" PRIu64 "..%" PRIu64,
                      rounds, sum.range.min_ns, sum.range.max_ns, 1000 + count,
                      1000 + sum.count - 1);
        assert_true (s_bucketed (&sum) >= sum.count);
        count = sum.count;
        rounds++;
    }
    __atomic_store_n (&s_timer_stop, 1, __ATOMIC_RELEASE);
    pthread_join (thread, NULL);
    for (i = 0; i < 2; i++) {
        assert_int_equal (s_timer_sum (&sum), 0);
        s_check_buckets (&sum);
    }
    free (timer.buckets);
}

//  The first sample of a page allocates it, which a signal handler that has
//  interrupted an allocation must not.
static void
test_time_interrupted (void **state)
{
    zb_sample_ sample = {
      zb_label_make_ (ZB_TYPE_TIMER, "info", "t", NULL, NULL),
      NULL,
      0,
      0,
      1,
      0,
      0};
    zb_slot_ *slot = zb_find_ (&sample);
    zb_stats_t stats;
    (void) state;
    assert_non_null (slot);
    assert_int_equal (zb_enter_ (), 0);
    zb_slot_time_ (slot, 1000);
    zb_leave_ ();
    assert_int_equal (slot->by_kind.timer->count, 0);
    assert_int_equal (zb_stats (NULL, &stats), 0);
    assert_int_equal (stats.dropped_async, 1);
    zb_slot_time_ (slot, 1000);
    assert_int_equal (slot->by_kind.timer->count, 1);
    assert_true (zb_timer_has_ (slot->by_kind.timer, zb_bucket_ (1000)));
}

//  --------------------------------------------------------------------------
//  Numbers

//  Reads back as the same value, and is no longer than the shorter of 15 and 17
//  digits that does. A whole number has all of its digits.
static void
s_number_check (double value)
{
    char text[64], shortest[64];
    zb_text_ line = {text, 0, sizeof text - 1};
    zb_put_double_ (&line, value);
    text[line.size] = 0;
    snprintf (shortest, sizeof shortest, "%.15g", value);
    if (strtod (shortest, NULL) != value)
        snprintf (shortest, sizeof shortest, "%.17g", value);
    if (strtod (text, NULL) != value
        || (floor (value) != value && strlen (text) > strlen (shortest)))
        fail_msg ("%s is not %s", text, shortest);
}

static void
test_numbers (void **state)
{
    uint64_t bits = 88172645463325252u;
    int i;
    (void) state;
    for (i = -60; i < 60; i++) {
        s_number_check (ldexp (1, i));
        s_number_check (nextafter (ldexp (1, i), 0));
        s_number_check (nextafter (ldexp (1, i), INFINITY));
        s_number_check (pow (10, i / 3));
        s_number_check (-pow (10, i / 3) / 7);
    }
    for (i = 0; i < 100000; i++) {
        //  xorshift64 (Marsaglia, Journal of Statistical Software 8, 2003)
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        s_number_check (
          ldexp ((double) (bits >> 12), (int) (bits % 120) - 110));
        s_number_check ((double) (bits % 1000000) * 1e-9);
        s_number_check ((double) (bits % 1000000) * -1e-3);
    }
}

//  --------------------------------------------------------------------------
//  Clock

//  The time-stamp counter, once it is used, goes with CLOCK_MONOTONIC.
static void
test_clock (void **state)
{
    fixture_t *self = *state;
    int64_t until = zb_clock_ms_ () + 5000;
    uint64_t now[2], clock[2];
    double ratio;
    int i;
    (void) self;
    while (!__atomic_load_n (&zb_tsc_on_, __ATOMIC_ACQUIRE)) {
        zb_flush (NULL, 10);
        if (zb_clock_ms_ () > until)
            break;  //  this CPU has none that serves
        poll (NULL, 0, 5);
    }
    print_message ("time-stamp counter: %s\n",
                   zb_tsc_on_ ? "used" : "not used");
    for (i = 0; i < 2; i++) {
        uint64_t best = UINT64_MAX, before;
        int tries;
        for (tries = 0; tries < 50; tries++) {
            uint64_t a = zb_clock_ns_ (), n = zb_now_ (), b = zb_clock_ns_ ();
            if (b - a < best) {
                best = b - a;
                clock[i] = a + (b - a) / 2;
                now[i] = n;
            }
        }
        before = zb_clock_ns_ ();
        while (i == 0 && zb_clock_ns_ () - before < 1000000000)
            poll (NULL, 0, 100);
    }
    ratio = (double) (now[1] - now[0]) / (double) (clock[1] - clock[0]);
    assert_true (fabs (ratio - 1) < 200e-6);
    //  never back
    for (i = 0; i < 1000000; i++) {
        now[1] = zb_now_ ();
        assert_true (now[1] >= now[0]);
        now[0] = now[1];
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_values, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_doubles, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_locale, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_time_exact, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_time_range, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_time_threads, s_open, s_close),
      cmocka_unit_test (test_time_window),
      cmocka_unit_test_setup_teardown (test_time_interrupted, s_open, s_close),
      cmocka_unit_test (test_numbers),
      cmocka_unit_test_setup_teardown (test_clock, s_open, s_close),
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
