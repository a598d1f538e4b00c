/*  test_header_measuring.c - does the instrument say how often the program passed?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "header.h"

//  --------------------------------------------------------------------------
//  Counting

static void
s_pass (void)
{
    ZB_COUNT_ME ("info", "passes");
}

static void *
s_pass_often (void *argument)
{
    int i, times = *(int *) argument;
    for (i = 0; i < times; i++) {
        ZB_COUNT_ME ("info", "loops", .value = 2);
        s_pass ();
    }
    return NULL;
}

static void
test_count_threads (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    int i, times = 20000;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_pass_often, &times);
    s_pass_often (&times);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    peer_await_total (&self->peer, "passes", "host", (THREADS + 1) * times);
    peer_await_total (&self->peer, "loops", "host", (THREADS + 1) * times * 2);
    peer_check_increments (&self->peer);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

//  Threads that live for one measurement, many of them, a few at a time.
static void
test_count_thread_exit (void **state)
{
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    int i, round, once = 1;
    for (round = 0; round < 50; round++) {
        for (i = 0; i < THREADS; i++)
            thread[i] = s_thread (s_pass_often, &once);
        for (i = 0; i < THREADS; i++)
            pthread_join (thread[i], NULL);
    }
    peer_await_total (&self->peer, "passes", "host", 50 * THREADS);
    peer_await_total (&self->peer, "loops", "host", 50 * THREADS * 2);
    peer_check_increments (&self->peer);
}

//  What a thread measures while its other keys are destroyed, in all rounds
//  that there are, and when it had measured nothing before the last one. To
//  ThreadSanitizer only what comes before our own second round has an order.
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 1 };
#else
enum { ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS };
#endif

static pthread_key_t s_key;
static int s_rounds_skipped, s_late_only;

static void
s_late (void *argument)
{
    static __thread int rounds;
    if (++rounds > s_rounds_skipped) {
        ZB_TIME_ME ("info", "late.time");
        ZB_COUNT_ME ("info", "late");
        ZB_GAUGE ("info", "late.gauge", rounds);
    }
    if (rounds < ROUNDS)
        pthread_setspecific (s_key, argument);
}

static void *
s_with_key (void *argument)
{
    pthread_setspecific (s_key, argument);
    if (!s_late_only) {
        ZB_COUNT_ME ("info", "early");
    }
    return NULL;
}

static void
test_count_key_destructor (void **state)
{
    fixture_t *self = *state;
    int i;
    assert_int_equal (pthread_key_create (&s_key, s_late), 0);
    for (i = 0; i < 20; i++)
        pthread_join (s_thread (s_with_key, self), NULL);
    s_late_only = 1;
    s_rounds_skipped = ROUNDS - 1;
    for (i = 0; i < 20; i++)
        pthread_join (s_thread (s_with_key, self), NULL);
    pthread_key_delete (s_key);
    peer_await_total (&self->peer, "early", NULL, 20);
    peer_await_total (&self->peer, "late", NULL, 20 * ROUNDS + 20);
    peer_await_total (&self->peer, "late.time", NULL, 20 * ROUNDS + 20);
}

//  Measures first in the last round, so that the header does not hear of the
//  thread's end.
static void
s_late_and_wait (void *barrier)
{
    static __thread int rounds;
    if (++rounds < ROUNDS)
        pthread_setspecific (s_key, barrier);
    else {
        zb_count ("info", "unseen");
        pthread_barrier_wait (barrier);
    }
}

static void *
s_set_key (void *barrier)
{
    pthread_setspecific (s_key, barrier);
    return NULL;
}

static int
s_threads_known (void)
{
    int count = 0;
    pthread_mutex_lock (&zb_lock_);
    for (const zb_thread_ *thread = zb_threads_; thread; thread = thread->next)
        count++;
    pthread_mutex_unlock (&zb_lock_);
    return count;
}

static void
test_count_unseen_ends (void **state)
{
    enum { PAIRS = 20 };
    fixture_t *self = *state;
    pthread_barrier_t both;
    int before = s_threads_known ();
    pthread_barrier_init (&both, NULL, 2);
    assert_int_equal (pthread_key_create (&s_key, s_late_and_wait), 0);
    for (int i = 0; i < PAIRS; i++) {
        pthread_t first = s_thread (s_set_key, &both);
        pthread_join (s_thread (s_set_key, &both), NULL);
        pthread_join (first, NULL);
    }
    pthread_key_delete (s_key);
    pthread_barrier_destroy (&both);
    //  the last two stay until another thread measures first
    assert_in_range (s_threads_known (), 0, before + 2);
    peer_await_total (&self->peer, "unseen", NULL, 2 * PAIRS);
}

//  --------------------------------------------------------------------------
//  Scopes: one measurement for each way out

static int
s_return (int early)
{
    ZB_COUNT_ME ("info", "return");
    ZB_TIME_ME ("info", "return.time");
    if (early)
        return 1;
    return 2;
}

static void
s_goto (int times)
{
again : {
    ZB_COUNT_ME ("info", "goto");
    if (--times > 0)
        goto again;
    goto out;
}
out:
    return;
}

static void
s_loops (void)
{
    int i;
    for (i = 0; i < 10; i++) {
        ZB_COUNT_ME ("info", "continue");
        if (i % 2)
            continue;
    }
    for (;;) {
        ZB_COUNT_ME ("info", "break");
        break;
    }
    switch (i) {
        case 10: {
            ZB_COUNT_ME ("info", "switch");
            break;
        }
        default:
            break;
    }
    {
        ZB_COUNT_ME ("info", "block");
    }
    {
        ZB_COUNT_ME ("info", "block");
        ZB_COUNT_ME ("info", "block");
    }
}

//  It counts when the scope is left, not before.
static void
s_before_and_after (void)
{
    zb_stats_t stats;
    {
        ZB_COUNT_ME ("info", "order");
        zb_stats (NULL, &stats);
        assert_int_equal (stats.series, 0);
    }
    zb_stats (NULL, &stats);
    assert_int_equal (stats.series, 1);
}

static void
test_scopes (void **state)
{
    fixture_t *self = *state;
    s_before_and_after ();
    assert_int_equal (s_return (1) + s_return (0), 3);
    s_goto (5);
    s_loops ();
    peer_await_total (&self->peer, "order", NULL, 1);
    peer_await_total (&self->peer, "return", NULL, 2);
    peer_await_total (&self->peer, "return.time", NULL, 2);
    peer_await_total (&self->peer, "goto", NULL, 5);
    peer_await_total (&self->peer, "continue", NULL, 10);
    peer_await_total (&self->peer, "break", NULL, 1);
    peer_await_total (&self->peer, "switch", NULL, 1);
    peer_await_total (&self->peer, "block", NULL, 3);
}

//  --------------------------------------------------------------------------
//  Labels

static void
s_with_source (const char *source, double value)
{
    ZB_COUNT_ME ("info", "sourced", .value = value, .source = source);
    ZB_TIME_ME ("info", "timed", .source = source);
    ZB_GAUGE ("info", "read", value, .source = source);
}

//  One call site, another source at each pass, in memory that changes.
static void
test_source_changes (void **state)
{
    fixture_t *self = *state;
    char source[32], wanted[32];
    int i, j;
    for (i = 0; i < 30; i++)
        for (j = 0; j <= i; j++) {
            snprintf (source, sizeof source, "s%d", j);
            s_with_source (source, 1);
        }
    s_with_source (NULL, 7);
    s_with_source ("host", 8);  //  the instance's own: the same series
    for (j = 0; j < 30; j++) {
        snprintf (wanted, sizeof wanted, "s%d", j);
        peer_await_total (&self->peer, "sourced", wanted, 30 - j);
        peer_await_total (&self->peer, "timed", wanted, 30 - j);
    }
    peer_await_total (&self->peer, "sourced", "host", 15);
    peer_await_total (&self->peer, "timed", "host", 2);
    peer_await_lines (&self->peer, "read", 30 * 31 / 2 + 2);
    peer_check_increments (&self->peer);
}

//  Which of `size` sources the i-th pass has: in turns, each twice, by chance.
static int
s_turn (int way, int size, int i)
{
    static uint32_t chance = 1;
    chance = chance * 1664525 + 1013904223;
    return (way == 0 ? i : way == 1 ? i / 2 : (int) (chance >> 16)) % size;
}

//  A site remembers four sources, and expects the next one where they take turns.
//  Each pass counts for its own, whether that comes or not.
static void
test_sources_take_turns (void **state)
{
    enum { PASSES = 1000, MAX = 6 };
    static const char *const tags[MAX] = {"k=0", "k=1", "k=2",
                                          "k=3", "k=4", "k=5"};
    fixture_t *self = *state;
    double passed[MAX] = {0};
    char text[32];
    for (int size = 1; size <= MAX; size++)
        for (int way = 0; way < 3; way++)
            for (int i = 0; i < PASSES; i++) {
                int turn = s_turn (way, size, i);
                snprintf (text, sizeof text, "s%d", turn);
                passed[turn]++;
                ZB_COUNT_ME ("info", "turns", .source = text);
                ZB_COUNT_ME ("info", "tagged", .tags = tags[turn]);
            }
    for (int i = 0; i < MAX; i++) {
        snprintf (text, sizeof text, "s%d", i);
        peer_await_total (&self->peer, "turns", text, passed[i]);
        snprintf (text, sizeof text, "tagged;%s", tags[i]);
        peer_await_total (&self->peer, text, "host", passed[i]);
    }
}

static void
test_labels (void **state)
{
    fixture_t *self = *state;
    char name[300];
    zb_stats_t stats;
    memset (name, 'n', sizeof name);
    name[255] = 0;
    zb_count ("a b:c/\xc3\xa4", name, .source = "\xf0\x9f\x98\x80 x");
    peer_await_total (&self->peer, name, "\xf0\x9f\x98\x80 x", 1);
    assert_string_equal (self->peer.lines[0].level, "a b:c/\xc3\xa4");
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 0);
    name[255] = 'n';
    name[256] = 0;
    zb_count ("info", name);
    zb_count (name, "n");
    zb_count ("info", "n", .source = name);
    zb_count ("", "n");
    zb_count ("info", "");
    zb_count ("info", "n", .source = "");
    zb_gauge ("in|fo", "n", 1);
    zb_gauge ("info", "n\n", 1);
    zb_time ("info", "n\t", 1);
    zb_time ("info", "n", 1, .source = "\x7f");
    zb_count (NULL, "n");
    zb_count ("info", NULL);
    ZB_COUNT_ME ("in|fo", "n");
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.refused, 12);
    //  and zibrato.dropped, if the pump has come to it
    assert_in_range (stats.series, 1, 2);
}

//  The same name in other levels and types is another series.
static void
test_series (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    zb_count ("info", "n");
    zb_count ("warn", "n", .value = 2);
    zb_time ("info", "n", 1);
    zb_gauge ("info", "n", 1);
    zb_count ("info", "n", .source = "other", .value = 4);
    zb_stats (NULL, &stats);
    assert_int_equal (stats.series, 5);
    peer_await_lines (&self->peer, "n", 5);
    assert_int_equal (self->peer.size, 5);
}

static void *
s_both (void *argument)
{
    zb_t **zb = argument;
    int i;
    for (i = 0; i < 1000; i++) {
        ZB_COUNT_ME ("info", "to", .to = zb[i % 2], .value = i % 2 + 1);
        ZB_TIME_ME ("info", "to.time", .to = zb[i % 2]);
    }
    zb_gauge ("info", "to.gauge", 1, .to = zb[1]);
    return NULL;
}

static void
test_instances (void **state)
{
    fixture_t *self = *state;
    peer_t other;
    zb_t *zb[2] = {NULL, NULL};
    peer_open (&other, "info|");
    zb[1] = zb_open (.endpoint = other.endpoint, .source = "second",
                     .interval_ms = 20);
    assert_non_null (zb[1]);
    s_both (zb);
    pthread_join (s_thread (s_both, zb), NULL);
    peer_await_total (&self->peer, "to", "host", 1000);
    peer_await_total (&self->peer, "to.time", "host", 1000);
    peer_await_total (&other, "to", "second", 2000);
    peer_await_total (&other, "to.time", "second", 1000);
    peer_await_lines (&other, "to.gauge", 2);
    assert_int_equal (peer_count (&self->peer, "to.gauge"), 0);
    zb_close (&zb[1]);
    s_both (zb);  //  NULL is the default again
    peer_await_total (&self->peer, "to", "host", 1000 + 500 * 3);
    peer_close (&other);
}

//  --------------------------------------------------------------------------
//  Gauges

//  Each once, in order, with the time at which it was read.
static void
test_gauges (void **state)
{
    enum { READINGS = 3000 };
    static double before[READINGS], after[READINGS];
    fixture_t *self = *state;
    size_t i, n = 0;
    for (i = 0; i < READINGS; i++) {
        before[i] = s_unix_time ();
        ZB_GAUGE ("info", "gauge", (double) i);
        after[i] = s_unix_time ();
        if (i % 500 == 499)
            peer_await_lines (&self->peer, "gauge", i + 1);
    }
    peer_drain (&self->peer, 100);
    for (i = 0; i < self->peer.size; i++) {
        const line_t *line = &self->peer.lines[i];
        assert_true (line->value == (double) n);
        if (line->time < before[n] - 0.002 || line->time > after[n] + 0.1)
            fail_msg ("reading %zu: %.6f, expected %.6f", n, line->time,
                      before[n]);
        n++;
    }
    assert_int_equal (n, READINGS);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

static void *
s_read_often (void *argument)
{
    int i;
    for (i = 0; i < 1000; i++)
        zb_gauge ("info", "threads", i, .source = argument);
    return NULL;
}

static void
test_gauge_threads (void **state)
{
    static char *names[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    fixture_t *self = *state;
    pthread_t thread[THREADS];
    double next[THREADS] = {0};
    size_t i;
    for (i = 0; i < THREADS; i++)
        thread[i] = s_thread (s_read_often, names[i]);
    for (i = 0; i < THREADS; i++)
        pthread_join (thread[i], NULL);
    peer_await_lines (&self->peer, "threads", THREADS * 1000);
    peer_drain (&self->peer, 50);
    for (i = 0; i < self->peer.size; i++)
        assert_true (self->peer.lines[i].value
                     == next[atoi (self->peer.lines[i].source)]++);
    for (i = 0; i < THREADS; i++)
        assert_true (next[i] == 1000);
}

//  Faster than the pump, which the test stops by its lock.
static void
test_ring_overflow (void **state)
{
    fixture_t *self = *state;
    //  each part has twice the room of the one before
    enum { RING = 2 * ZB_RING_MAX_ - ZB_RING_MIN_ };
    zb_stats_t stats;
    int i;
    ZB_GAUGE ("info", "first", 1);
    peer_await_lines (&self->peer, "first", 1);
    for (i = 0; i < 10000; i++) {
        if (i == 1) {
            assert_int_equal (zb_flush (NULL, WAIT_MS), 0);
            pthread_mutex_lock (&self->zb->lock);
        }
        ZB_GAUGE ("info", "ring", i);
    }
    pthread_mutex_unlock (&self->zb->lock);
    peer_await_lines (&self->peer, "ring", 1 + RING);
    zb_stats (self->zb, &stats);
    assert_int_equal (stats.dropped_ring, 9999 - RING);
    assert_int_equal (stats.dropped, 9999 - RING);
    peer_await_total (&self->peer, "zibrato.dropped", "host", 9999 - RING);
    s_stats_settled (self->zb, &stats);
    assert_int_equal (stats.measured, 10001 + 1);  //  and zibrato.dropped
    assert_int_equal (stats.held, 0);
}

static int
s_rings_empty (zb_t *self)
{
    zb_share_ *share;
    int empty = 1;
    pthread_mutex_lock (&self->lock);
    for (share = self->shares; share; share = share->next)
        empty &= share->ring_first
                 && zb_get_ (&share->ring_first->head)
                      == zb_get_ (&share->ring_first->tail);
    pthread_mutex_unlock (&self->lock);
    return empty;
}

//  Held too long: the oldest go, the newest come when somebody listens.
static void
test_held_overflow (void **state)
{
    enum { READINGS = 20000, LOST = READINGS - ZB_QUEUE_MAX_ };
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    size_t i;
    (void) state;
    peer_open (&peer, NULL);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    for (i = 0; i < READINGS; i++) {
        ZB_GAUGE ("info", "held", (double) i, .to = zb);
        if (i % 1000 == 999)
            while (!s_rings_empty (zb))
                assert_int_equal (zb_flush (zb, 1), -1);
    }
    zb_stats (zb, &stats);
    assert_int_equal (stats.dropped_held, LOST);
    assert_int_equal (stats.sent, 0);
    assert_false (stats.listening);
    peer_subscribe (&peer, "info|");
    peer_await_lines (&peer, "held", ZB_QUEUE_MAX_);
    for (i = 0; i < peer.size; i++) {
        assert_true (peer.lines[i].value == (double) (i + LOST));
        assert_int_equal (peer.lines[i].seq, i);
    }
    zb_stats (zb, &stats);
    assert_true (stats.listening);
    zb_close (&zb);
    peer_close (&peer);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_count_threads, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_count_thread_exit, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_count_unseen_ends, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_count_key_destructor, s_open,
                                       s_close),
      cmocka_unit_test_setup_teardown (test_scopes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_source_changes, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_sources_take_turns, s_open,
                                       s_close),
      cmocka_unit_test_setup_teardown (test_labels, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_series, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_instances, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_gauges, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_gauge_threads, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_ring_overflow, s_open, s_close),
      cmocka_unit_test (test_held_overflow),
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
