/*  test_header_streams.c - streams of zibrato.h: what a level sends, and how it ends

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "header.h"

//  --------------------------------------------------------------------------
//  Streams

static void
test_stream (void **state)
{
    fixture_t *self = *state;
    char name[32], id[64];
    double birth;
    int i;
    zb_count ("info", "n");
    peer_await_total (&self->peer, "n", NULL, 1);
    snprintf (id, sizeof id, "%s", self->peer.lines[0].id);
    assert_int_equal (strspn (id, "0123456789abcdef"), strcspn (id, "-"));
    assert_int_equal (strlen (strchr (id, '-') + 1), 16);
    birth = (double) strtoull (id, NULL, 16) * 1e-3;
    assert_true (fabs (birth - s_unix_time ()) < 10);
    for (i = 0; i < 50; i++) {
        snprintf (name, sizeof name, "n%d", i);
        zb_count ("info", name);
        zb_time ("info", name, 0.001);
        zb_gauge ("info", "g", i);
        zb_count ("info", "n");
        if (i % 10 == 0)
            peer_await_total (&self->peer, "n", NULL, i + 2);
    }
    zb_count ("warn", "w");
    peer_await_total (&self->peer, "n", NULL, 51);
    peer_await_lines (&self->peer, "g", 50);
    peer_await_total (&self->peer, "w", NULL, 1);
    peer_check_stream (&self->peer, id);
    //  a level is a stream of its own, of the same random bits
    assert_int_equal (peer_last (&self->peer, "w", NULL)->seq, 0);
    assert_string_not_equal (peer_last (&self->peer, "w", NULL)->id, "");
    assert_string_equal (strchr (peer_last (&self->peer, "w", NULL)->id, '-'),
                         strchr (id, '-'));
}

static const line_t *
s_repetition (const peer_t *peer, const char *name, size_t number)
{
    size_t i;
    for (i = 0; i < peer->size; i++)
        if (strcmp (peer->lines[i].name, name) == 0 && number-- == 0)
            return &peer->lines[i];
    return NULL;
}

//  A series that rests is told once more after two seconds, then no more.
static void
test_repetition (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    const line_t *first, *second;
    zb_count ("info", "quiet", .value = 5);
    zb_time ("info", "quiet.time", 0.5);
    peer_await_lines (&self->peer, "quiet", 2);
    peer_await_lines (&self->peer, "quiet.time", 2);
    first = s_repetition (&self->peer, "quiet", 0);
    second = s_repetition (&self->peer, "quiet", 1);
    assert_true (first->value == 5 && first->total == 5);
    assert_true (second->value == 0 && second->total == 5);
    assert_true (second->time - first->time > 1.9);
    assert_true (second->seq > first->seq);
    assert_int_equal (second->first, first->first);
    second = s_repetition (&self->peer, "quiet.time", 1);
    assert_true (second->value == 0 && second->count == 1);
    assert_int_equal (second->sum_ns, 500000000);
    peer_drain (&self->peer, 2500);
    assert_int_equal (peer_count (&self->peer, "quiet"), 2);
    assert_int_equal (peer_count (&self->peer, "quiet.time"), 2);
    zb_stats (NULL, &stats);
    assert_int_equal (stats.sent, 2);
    assert_int_equal (stats.repeated, 2);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
}

//  --------------------------------------------------------------------------
//  Levels: nothing leaves without a listener, everything with one

//  Flushes, while more subscriptions may follow: a slow test must not be taken
//  for a broker that has no more to say.
static int
s_flush_unsettled (zb_t *zb)
{
    pthread_mutex_lock (&zb->lock);
    zb->settled_ms = zb_clock_ms_ () + WAIT_MS;
    pthread_mutex_unlock (&zb->lock);
    return zb_flush (zb, 10);
}

static void
test_levels (void **state)
{
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    (void) state;
    peer_open (&peer, "err|");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20);
    zb_count ("err", "yes", .to = zb);
    zb_count ("error", "no", .to = zb);
    zb_count ("er", "no", .to = zb);
    zb_gauge ("info", "gauge", 1, .to = zb);
    zb_time ("info", "timer", 1, .to = zb);
    peer_await_total (&peer, "yes", NULL, 1);
    assert_int_equal (s_flush_unsettled (zb), -1);
    zb_stats (zb, &stats);
    assert_int_equal (stats.sent, 1);
    assert_int_equal (stats.held, 4);
    assert_int_equal (peer.size, 1);
    //  the level turns green: what was held comes
    peer_subscribe (&peer, "info|");
    peer_await_lines (&peer, "gauge", 1);
    peer_await_total (&peer, "timer", NULL, 1);
    //  and red
    peer_unsubscribe (&peer, "err|");
    s_await_heard (zb, "err", 0);
    zb_count ("err", "yes", .value = 10, .to = zb);
    assert_int_equal (s_flush_unsettled (zb), -1);
    //  and green again: all its states come, changed or not
    zb_count ("err", "new", .to = zb);
    peer_subscribe (&peer, "err|");
    peer_await_total (&peer, "yes", NULL, 11);
    peer_await_total (&peer, "new", NULL, 1);
    assert_int_equal (peer_count (&peer, "no"), 0);
    peer_check_stream (&peer, peer_last (&peer, "yes", NULL)->id);
    zb_close (&zb);
    peer_close (&peer);
}

//  A broker that comes back is told every state again.
static void
test_reconnect (void **state)
{
    peer_t peer, next;
    char endpoint[128];
    zb_t *zb;
    int i;
    (void) state;
    peer_open (&peer, "");
    snprintf (endpoint, sizeof endpoint, "%s", peer.endpoint);
    zb = zb_open (.endpoint = endpoint, .interval_ms = 20);
    for (i = 0; i < 5; i++) {
        char name[8] = {'n', (char) ('0' + i), 0};
        zb_count ("info", name, .value = i, .to = zb);
        peer_await_total (&peer, name, NULL, i);
    }
    peer_close (&peer);
    s_await_heard (zb, "info", 0);
    zb_count ("info", "n4", .to = zb);
    zb_gauge ("info", "g", 1, .to = zb);
    peer_bind (&next, endpoint);
    peer_subscribe (&next, "");
    for (i = 0; i < 5; i++) {
        char name[8] = {'n', (char) ('0' + i), 0};
        peer_await_total (&next, name, NULL, i == 4 ? 5 : i);
        assert_true (peer_last (&next, name, NULL)->value == (i == 4));
    }
    peer_await_lines (&next, "g", 1);
    zb_close (&zb);
    peer_close (&next);
}

//  More than a message takes, and more than the pipe does: nothing is lost.
static void
test_many_series (void **state)
{
    fixture_t *self = *state;
    char name[256];  //  which differ early, for all are compared with all
    int i, n = SANITIZED_T ? 1000 : 4000;  //  several messages
    size_t j;
    for (i = 0; i < n; i++) {
        snprintf (name, sizeof name, "%d.%0200d", i, 0);
        zb_count ("info", name, .value = i);
    }
    snprintf (name, sizeof name, "%d.%0200d", n - 1, 0);
    peer_await_total (&self->peer, name, NULL, n - 1);
    //  the first one has not changed: a report that is asked for has it, too
    zb_flush (NULL, WAIT_MS);
    snprintf (name, sizeof name, "%d.%0200d", 0, 0);
    peer_await_total (&self->peer, name, NULL, 0);
    peer_drain (&self->peer, 100);
    peer_check_stream (&self->peer, self->peer.lines[0].id);
    assert_true (self->peer.size >= (size_t) n);
    for (j = 0; j < (size_t) n; j++)
        assert_true (self->peer.lines[j].total
                     == atof (self->peer.lines[j].name));
}

//  --------------------------------------------------------------------------
//  The end of a stream

//  What lives for a moment says all that it has in one message.
static void
test_end_short (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "info|");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    zb_count ("debug", "unwanted", .to = zb);
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.messages, 1);
    assert_int_equal (peer.size, 1);
    assert_int_equal (peer.ends, 1);
    assert_int_equal (peer.end[0].series, 1);
    assert_int_equal (peer.end[0].seqs, 0);
    assert_int_equal (peer.end[0].readings, 0);
    peer_close (&peer);
}

//  States of the last 25 seconds are repeated, also those that went with the
//  end, but in an earlier message; readings are not.
static void
test_end_repeats (void **state)
{
    enum { SERIES = 3000 };  //  more than two messages
    peer_t peer;
    zb_t *zb;
    char name[300];
    int i, repeated = 0;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_time ("info", "old", 1, .to = zb);
    zb_time ("info", "young", 1, .to = zb);
    for (i = 0; i < 10; i++)
        zb_gauge ("info", "g", i, .to = zb);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    peer_await_lines (&peer, "g", 10);
    pthread_mutex_lock (&zb->lock);
    zb->levels->series[0]->reported.at_ms -= ZB_KEPT_MS_;
    zb->levels->series[0]->reported.repeated = ZB_AGAIN_;
    pthread_mutex_unlock (&zb->lock);
    for (i = 0; i < SERIES; i++) {
        snprintf (name, sizeof name, "n%d", i);
        zb_count ("info", name, .to = zb);
    }
    s_await_close (&peer, &zb, "n0");
    assert_int_equal (peer.ends, 1);
    assert_int_equal (peer.end[0].series, SERIES + 2);
    assert_int_equal (peer_count (&peer, "old"), 1);
    assert_int_equal (peer_count (&peer, "young"), 2);
    assert_int_equal (peer_count (&peer, "g"), 10);
    for (i = 0; i < (int) peer.size; i++)
        repeated += *peer.lines[i].name == 'n' && peer.lines[i].value == 0;
    assert_in_range (repeated, 1, SERIES);
    for (i = 0; i < SERIES; i++) {
        //  twice, or in the last message
        snprintf (name, sizeof name, "n%d", i);
        assert_true (peer_count (&peer, name) == 2
                     || peer_last (&peer, name, NULL)->message
                          == peer.messages - 1);
    }
    peer_check_stream (&peer, peer.end[0].id);
    peer_check_increments (&peer);
    peer_close (&peer);
}

//  A stream whose states could not be sent has no end, nor has a classic one.
static void
test_end_none (void **state)
{
    peer_t peer;
    zb_t *zb;
    int listens;
    (void) state;
    peer_open (&peer, "");
    zb =
      zb_open (.endpoint = peer.endpoint, .classic = 1, .linger_ms = WAIT_MS);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    zb_close (&zb);
    peer_await_lines (&peer, "n", 1);
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20,
                  .linger_ms = WAIT_MS);
    zb_count ("info", "m", .to = zb);
    peer_await_lines (&peer, "m", 1);
    peer_unsubscribe (&peer, "");
    peer_subscribe (&peer, "other|");
    for (listens = 1; listens; peer_receive (&peer, 1)) {
        pthread_mutex_lock (&zb->lock);
        listens = zb->levels->has_listener;
        pthread_mutex_unlock (&zb->lock);
    }
    zb_count ("info", "m", .to = zb);
    zb_close (&zb);
    peer_drain (&peer, 50);
    assert_int_equal (peer.ends, 0);
    peer_close (&peer);
}

//  A stream's age does not step, whatever the wall clock does. Each timer says how
//  many samples are new.
static void
test_age (void **state)
{
    fixture_t *self = *state;
    uint64_t sum = 0, age_ms;
    int64_t born_ms;
    size_t i, j;
    peer_meet (&self->peer, self->zb);
    born_ms = zb_boot_ms_ ();
    for (i = 0; i < 20; i++) {
        for (j = 0; j < i + 1; j++) {
            zb_time ("info", "t", 1e-3);
            zb_time ("info", "u", 1e-3);
        }
        zb_count ("info", "c");
        assert_int_equal (zb_flush (self->zb, WAIT_MS), 0);
        peer_await_total (&self->peer, "c", NULL, (double) i + 1);
        age_ms = self->peer.stream.age_ms;
        assert_in_range (age_ms, 0, zb_boot_ms_ () - born_ms);
    }
    assert_true (age_ms > 0);
    for (i = 0; i < self->peer.size; i++)
        if (strcmp (self->peer.lines[i].name, "t") == 0) {
            sum += self->peer.lines[i].recent;
            assert_int_equal (self->peer.lines[i].count, sum);
        }
    assert_int_equal (sum, 20 * 21 / 2);
}

static void
test_max_series (void **state)
{
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    char name[16];
    int i, round;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .source = "m",
                  .max_series = 3);
    for (round = 0; round < 2; round++)
        for (i = 0; i < 5; i++) {
            snprintf (name, sizeof name, "n%d", i);
            zb_count ("info", name, .to = zb);
        }
    for (i = 0; i < 7; i++) {
        ZB_COUNT_ME ("info", "site", .to = zb);
        ZB_GAUGE ("info", "site", 1, .to = zb);
    }
    peer_await_total (&peer, "n0", "m", 2);
    peer_await_total (&peer, "n2", "m", 2);
    peer_await_total (&peer, "zibrato.dropped", "m", 4 + 14);
    zb_stats (zb, &stats);
    assert_int_equal (stats.dropped_series, 18);
    assert_int_equal (stats.dropped, 18);
    assert_int_equal (peer_count (&peer, "n3"), 0);
    assert_int_equal (peer_count (&peer, "site"), 0);
    zb_close (&zb);
    peer_close (&peer);
}

//  A listening socket of which nobody takes connections.
static int
s_silent (char *endpoint, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    assert_int_equal (bind (fd, (struct sockaddr *) &address, length), 0);
    assert_int_equal (listen (fd, 1), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &length),
                      0);
    snprintf (endpoint, size, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    return fd;
}

//  What was measured just before is delivered, and it takes no longer than
//  linger_ms when it cannot be.
static void
test_close (void **state)
{
    peer_t peer;
    zb_t *zb, *none = NULL;
    pthread_t closer;
    int64_t before;
    char endpoint[64];
    int i, silent;
    (void) state;
    peer_open (&peer, "");
    for (i = 0; i < 20; i++) {
        zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                      .linger_ms = WAIT_MS);
        zb_count ("info", "n", .value = i + 1, .to = zb);
        zb_gauge ("info", "g", i, .to = zb);
        closer = s_thread (s_close_in_thread, &zb);
        peer_await_total (&peer, "n", NULL, i + 1);
        peer_await_lines (&peer, "g", (size_t) i + 1);
        pthread_join (closer, NULL);
        assert_null (zb);
    }
    peer_close (&peer);
    //  somebody is there, but says nothing; and nobody is there
    silent = s_silent (endpoint, sizeof endpoint);
    zb = zb_open (.endpoint = endpoint, .linger_ms = 300);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    zb_close (&zb);
    assert_in_range (zb_clock_ms_ () - before, 250, 1500);
    close (silent);
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = WAIT_MS);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    zb_close (&zb);
    assert_in_range (zb_clock_ms_ () - before, 0, WAIT_MS / 2);
    zb_close (&none);  //  nothing to close
}

static int s_stop;

static void *
s_measure (void *argument)
{
    zb_t *zb = argument;
    char source[16];
    int i;
    for (i = 0; !__atomic_load_n (&s_stop, __ATOMIC_ACQUIRE); i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_COUNT_ME ("info", "m", .to = zb);
        ZB_TIME_ME ("info", "t", .to = zb);
        ZB_GAUGE ("info", "g", i, .to = zb);
        snprintf (source, sizeof source, "s%d", i % 50);
        zb_count ("info", "r", .source = source, .to = zb);
        if (i % 1000 == 0)
            sched_yield ();
    }
    return NULL;
}

//  Threads measure while what they measure into is closed and opened anew.
static void
test_close_busy (void **state)
{
    peer_t peer;
    pthread_t thread[4];
    zb_t *zb, *next;
    int i, round;
    (void) state;
    peer_open (&peer, "");
    __atomic_store_n (&s_stop, 0, __ATOMIC_RELEASE);
    zb =
      zb_open (.endpoint = peer.endpoint, .interval_ms = 5, .linger_ms = 200);
    for (i = 0; i < 4; i++)
        thread[i] = s_thread (s_measure, zb);
    for (round = 0; round < 10; round++) {
        peer_await_lines (&peer, "r", peer_count (&peer, "r") + 1);
        zb_close (&zb);
        //  a new one may well get the address that the threads still use
        next = zb_open (.endpoint = peer.endpoint, .interval_ms = 5,
                        .linger_ms = 200);
        assert_non_null (next);
        zb = next;
        zb_count ("info", "r", .to = zb);
    }
    __atomic_store_n (&s_stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < 4; i++)
        pthread_join (thread[i], NULL);
    zb_close (&zb);
    //  closed for good: goes nowhere
    ZB_COUNT_ME ("info", "after");
    zb_gauge ("info", "after", 1);
    peer_close (&peer);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_stream, s_open, s_close),
      cmocka_unit_test_setup_teardown (test_repetition, s_open, s_close),
      cmocka_unit_test (test_levels),
      cmocka_unit_test (test_reconnect),
      cmocka_unit_test_setup_teardown (test_many_series, s_open, s_close),
      cmocka_unit_test (test_end_short),
      cmocka_unit_test (test_end_repeats),
      cmocka_unit_test (test_end_none),
      cmocka_unit_test_setup_teardown (test_age, s_open, s_close),
      cmocka_unit_test (test_max_series),
      cmocka_unit_test (test_close),
      cmocka_unit_test (test_close_busy),
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
