/*  test_header_instances.c - instances of zibrato.h: what waits, flush, options

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "header.h"

//  --------------------------------------------------------------------------
//  Readings again: what was on its way when the listener was lost

//  Measures so many readings, the next numbers, and waits until they are sent.
static void
s_read_and_send (zb_t *zb, const char *name, int from, int count)
{
    int i;
    for (i = from; i < from + count; i++) {
        ZB_GAUGE ("info", "g", i, .source = name, .to = zb);
        if (i % 2000 == 1999)
            assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    }
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
}

//  Lines from..to - 1 of a peer are the readings of these numbers, new or
//  again.
static void
s_check_readings (const peer_t *peer, size_t from, size_t to, uint64_t number,
                  int again)
{
    size_t i;
    assert_true (peer->size >= to);
    for (i = from; i < to; i++) {
        const line_t *line = &peer->lines[i];
        assert_true (line->value == (double) number);
        assert_int_equal (line->seq, number++);
        assert_int_equal (line->seq < line->sent, again);
    }
}

//  The same reading, however often it is sent: all but SENT.
static void
s_check_same (const line_t *a, const line_t *b)
{
    assert_int_equal (strrchr (a->text, ':') - a->text,
                      strrchr (b->text, ':') - b->text);
    assert_memory_equal (a->text, b->text,
                         (size_t) (strrchr (a->text, ':') - a->text));
}

//  The peer is gone, and a new one is there. Returns what it gets until the
//  reading of that number comes, which is measured in between.
static void
peer_replace (peer_t *self, zb_t *zb, peer_t *next, int number)
{
    char endpoint[128];
    snprintf (endpoint, sizeof endpoint, "%s", self->endpoint);
    zmq_unbind (self->sub, endpoint);
    zmq_close (self->sub);
    s_await_heard (zb, "info", 0);
    self->sub = zmq_socket (self->context, ZMQ_SUB);
    ZB_GAUGE ("info", "new", number, .to = zb);
    peer_bind (next, endpoint);
    peer_subscribe (next, "");
    peer_await_lines (next, "new", 1);
}

//  Once for each loss of the listener, before what is new, as they were; and
//  what was sent again may be lost again.
static void
test_again (void **state)
{
    enum { READINGS = 3000 };
    peer_t peer[3];
    zb_t *zb;
    zb_stats_t stats;
    size_t i;
    (void) state;
    peer_open (&peer[0], "");
    zb = zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, READINGS - 100);
    s_read_and_send (zb, "a", READINGS - 100, 100);
    peer_await_lines (&peer[0], "g", READINGS);
    s_check_readings (&peer[0], 0, READINGS, 0, 0);
    peer_replace (&peer[0], zb, &peer[1], READINGS);
    s_check_readings (&peer[1], 0, READINGS, 0, 1);
    s_check_readings (&peer[1], READINGS, READINGS + 1, READINGS, 0);
    for (i = 0; i < READINGS; i++) {
        s_check_same (&peer[1].lines[i], &peer[0].lines[i]);
        assert_int_equal (peer[1].lines[i].sent, READINGS);
    }
    //  not with the next report
    s_read_and_send (zb, "a", READINGS + 1, 1);
    peer_await_lines (&peer[1], "g", READINGS + 1);
    assert_int_equal (peer[1].size, READINGS + 2);
    s_stats_settled (zb, &stats);
    assert_int_equal (stats.sent, READINGS + 2);
    assert_int_equal (stats.repeated, READINGS);
    assert_int_equal (stats.measured, READINGS + 2);
    peer_replace (&peer[1], zb, &peer[2], READINGS + 2);
    s_check_readings (&peer[2], 0, READINGS + 2, 0, 1);
    s_check_readings (&peer[2], READINGS + 2, READINGS + 3, READINGS + 2, 0);
    for (i = 0; i < READINGS + 2; i++)
        s_check_same (&peer[2].lines[i], &peer[1].lines[i]);
    peer_check_stream (&peer[0], peer[0].lines[0].id);
    zb_close (&zb);
    for (i = 0; i < 3; i++)
        peer_close (&peer[i]);
}

//  The newest 4096, and those of the last 25 seconds.
static void
test_again_bounds (void **state)
{
    enum {
        READINGS = SANITIZED ? 6000 : 10000,  //  they are kept for 25 s only
        FIRST = READINGS - ZB_KEPT_MAX_,
        OLD = 1000
    };
    peer_t peer[3];
    zb_t *zb;
    zb_level_ *level;
    int i;
    (void) state;
    peer_open (&peer[0], "");
    zb = zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, READINGS);
    peer_await_lines (&peer[0], "g", READINGS);
    level = zb->levels;
    peer_replace (&peer[0], zb, &peer[1], READINGS);
    s_check_readings (&peer[1], 0, ZB_KEPT_MAX_, FIRST, 1);
    assert_int_equal (peer[1].size, ZB_KEPT_MAX_ + 1);
    pthread_mutex_lock (&zb->lock);
    assert_string_equal (level->name, "info");
    assert_int_equal (level->queue.sent, ZB_KEPT_MAX_);
    for (i = 0; i < OLD; i++)
        zb_queue_at_ (&level->queue, (size_t) i)->sent_ms -= ZB_KEPT_MS_ + 1;
    pthread_mutex_unlock (&zb->lock);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_int_equal (level->queue.sent, ZB_KEPT_MAX_ - OLD);
    peer_replace (&peer[1], zb, &peer[2], READINGS + 1);
    assert_int_equal (peer[2].size, ZB_KEPT_MAX_ - OLD + 1);
    assert_int_equal (peer[2].lines[0].seq,
                      READINGS + 1 - (ZB_KEPT_MAX_ - OLD));
    zb_close (&zb);
    for (i = 0; i < 3; i++)
        peer_close (&peer[i]);
}

//  Peers that do not read, so that the pipe to each has a known length: 256
//  messages of the instance, and one of the peer. ZeroMQ passes on a topic once
//  only, so each wants another one.
static zb_t *
s_open_narrow (peer_t *peer, size_t peers)
{
    static const char *const endpoint[] = {"inproc://narrow0",
                                           "inproc://narrow1"};
    static const char *const topic[] = {"info|", "info"};
    void *context = zmq_ctx_new ();
    int one = 1;
    zb_t *zb;
    size_t i;
    for (i = 0; i < peers; i++) {
        memset (&peer[i], 0, sizeof peer[i]);
        peer[i].context = context;
        peer[i].sub = zmq_socket (context, ZMQ_SUB);
        zmq_setsockopt (peer[i].sub, ZMQ_RCVHWM, &one, sizeof one);
        assert_int_equal (zmq_bind (peer[i].sub, endpoint[i]), 0);
        peer_subscribe (&peer[i], topic[i]);
    }
    zb = zb_open (.endpoint = peers == 1 ? "inproc://narrow0"
                                         : "inproc://narrow0,inproc://narrow1",
                  .context = context, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    assert_non_null (zb);
    for (i = 0; i < peers; i++)
        peer_meet_as (&peer[i], zb, i + 1);
    return zb;
}

//  Fills the pipe up to so many messages. Returns how often it counted.
static int
s_fill (zb_t *zb, uint64_t messages)
{
    zb_stats_t stats;
    int counted = 0;
    for (zb_stats (zb, &stats); stats.messages < messages;
         zb_stats (zb, &stats)) {
        zb_count ("info", "fill", .to = zb);
        assert_int_equal (zb_flush (zb, WAIT_MS), 0);
        counted++;
    }
    assert_int_equal (stats.messages, messages);
    return counted;
}

enum { PIPE = ZB_HWM_ + 1, ROOM = 10 };

//  Sends so many readings, and fills the pipe but for ROOM messages. Most of it is
//  filled before, since readings are kept for 25 seconds only. Returns how often it
//  counted.
static int
s_read_and_fill (zb_t *zb, const char *source, int readings)
{
    enum { MESSAGES_MAX = 40 };  //  of the readings
    int counted = s_fill (zb, PIPE - ROOM - MESSAGES_MAX);
    s_read_and_send (zb, source, 0, readings);
    return counted + s_fill (zb, PIPE - ROOM);
}

//  Waits without a flush, by which the pump would send to a listener that has just
//  gone.
static void
s_await_news (zb_t *zb, int heard)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    while (s_is_heard (zb, "info") != heard) {
        assert_true (zb_clock_ms_ () < until);
        poll (NULL, 0, 1);
    }
}

//  The listener is lost, and comes again: all is to be repeated.
static void
s_lose_listener (zb_t *zb, peer_t *peer)
{
    peer_unsubscribe (peer, "info|");
    s_await_news (zb, 0);
    peer_subscribe (peer, "info|");
    s_await_news (zb, 1);
}

//  Asks the pump for a round, and waits until that is over: then it sends nothing
//  until it is asked again.
static void
s_round (zb_t *zb)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    int over = 0;
    zb_flush (zb, 0);
    while (!over) {
        assert_true (zb_clock_ms_ () < until);
        pthread_mutex_lock (&zb->lock);
        over = zb->round == zb->round_wanted;
        pthread_mutex_unlock (&zb->lock);
        poll (NULL, 0, !over);
    }
}

static void
s_check_full_pipe (zb_t *zb)
{
    zb_stats_t stats;
    s_round (zb);
    zb_stats (zb, &stats);
    assert_int_equal (stats.messages, PIPE);
}

//  The pipe is full in the midst of the repetition: it goes on from there.
static void
test_again_full_pipe (void **state)
{
    enum { READINGS = ZB_KEPT_MAX_ };
    peer_t peer;
    zb_t *zb;
    zb_stats_t stats;
    char source[256];
    size_t i;
    int counted, fills;
    (void) state;
    memset (source, 'x', 255);
    source[255] = 0;
    zb = s_open_narrow (&peer, 1);
    fills = s_read_and_fill (zb, source, READINGS);
    s_lose_listener (zb, &peer);
    //  which would fit where another one does not
    ZB_GAUGE ("info", "g", READINGS, .source = "s", .to = zb);
    s_check_full_pipe (zb);
    assert_int_equal (zb_flush (zb, 50), -1);
    s_check_full_pipe (zb);
    zb_stats (zb, &stats);
    assert_int_equal (stats.held, 1);
    assert_in_range (stats.repeated, 100, READINGS - 100);
    assert_int_equal (stats.sent, READINGS + fills);
    //  what fitted is there, and now there is room for the rest
    while (peer.messages < PIPE)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    assert_int_equal (peer_receive (&peer, 0), -1);
    while (zb_flush (zb, 10) == -1)
        peer_receive (&peer, 1);
    while (peer_count (&peer, "g") < 2 * READINGS + 1)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    for (i = 0, counted = 0; i < peer.size; i++)
        if (*peer.lines[i].type == 'G') {
            int number = counted % READINGS;
            assert_int_equal (peer.lines[i].seq < peer.lines[i].sent,
                              counted / READINGS == 1);
            number = counted == 2 * READINGS ? READINGS : number;
            assert_int_equal (peer.lines[i].seq, number);
            assert_true (peer.lines[i].value == number);
            counted++;
        }
    assert_int_equal (counted, 2 * READINGS + 1);
    peer_check_stream (&peer, peer.lines[0].id);
    s_stats_settled (zb, &stats);
    assert_int_equal (stats.held, 0);
    //  and the counter, once or, if that took two seconds, twice
    assert_int_equal (stats.repeated,
                      READINGS + peer_count (&peer, "fill") - (size_t) fills);
    assert_true (stats.repeated > READINGS);
    zb_close (&zb);
    peer_close (&peer);
}

//  The listener is lost in the midst of the repetition: the next one gets all
//  of it; and closing waits for it.
static void
test_again_broken_off (void **state)
{
    enum { READINGS = ZB_KEPT_MAX_ };
    peer_t peer;
    zb_t *zb;
    pthread_t closer;
    char source[256];
    size_t i, size, again;
    (void) state;
    memset (source, 'x', 255);
    source[255] = 0;
    zb = s_open_narrow (&peer, 1);
    s_read_and_fill (zb, source, READINGS);
    for (i = 0; i < 2; i++) {
        s_lose_listener (zb, &peer);
        s_check_full_pipe (zb);
    }
    pthread_mutex_lock (&zb->lock);
    again = zb->levels->queue.to_resend;
    pthread_mutex_unlock (&zb->lock);
    assert_int_equal (again, READINGS);
    closer = s_thread (s_close_in_thread, &zb);
    while (peer.messages < PIPE)
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
    size = peer.size;
    again = 0;
    while (again < READINGS) {
        assert_int_equal (peer_receive (&peer, WAIT_MS), 0);
        for (; size < peer.size; size++)
            if (*peer.lines[size].type == 'G')
                assert_int_equal (peer.lines[size].seq, again++);
    }
    pthread_join (closer, NULL);
    peer_close (&peer);
}

//  Nobody could tell that it is a repetition.
static void
test_again_classic (void **state)
{
    peer_t peer[2];
    zb_t *zb;
    (void) state;
    peer_open (&peer[0], "");
    zb =
      zb_open (.endpoint = peer[0].endpoint, .interval_ms = 20, .classic = 1);
    peer_meet (&peer[0], zb);
    s_read_and_send (zb, "a", 0, 10);
    peer_await_lines (&peer[0], "g", 10);
    peer_replace (&peer[0], zb, &peer[1], 10);
    assert_int_equal (peer[1].size, 1);
    zb_close (&zb);
    peer_close (&peer[0]);
    peer_close (&peer[1]);
}

//  --------------------------------------------------------------------------
//  Questions of brokers

static size_t
s_questions (zb_t *zb)
{
    size_t questions;
    pthread_mutex_lock (&zb->lock);
    questions = zb->questions;
    pthread_mutex_unlock (&zb->lock);
    return questions;
}

static void
s_await_questions (zb_t *zb, size_t count)
{
    int64_t until = zb_clock_ms_ () + WAIT_MS;
    while (s_questions (zb) != count) {
        assert_true (zb_clock_ms_ () < until);
        poll (NULL, 0, 1);
    }
}

//  A broker takes back its last question, unless that is NULL, and asks the next.
//  Returns when the instance knows.
static void
s_ask (zb_t *zb, peer_t *peer, const char *last, const char *next)
{
    const size_t before = s_questions (zb);
    if (last) {
        peer_unsubscribe (peer, last);
        s_await_questions (zb, before - 1);
    }
    peer_subscribe (peer, next);
    s_await_questions (zb, last ? before : before + 1);
}

//  Reads until the answer comes: behind all of the measurements, and no other.
static void
s_await_answer (peer_t *peer, const char *answer, int messages)
{
    char text[ZB_MESSAGE_MAX_];
    const int ms = WAIT_MS;
    int size;
    zmq_setsockopt (peer->sub, ZMQ_RCVTIMEO, &ms, sizeof ms);
    do {
        size = zmq_recv (peer->sub, text, sizeof text, 0);
        assert_in_range (size, 1, ZB_MESSAGE_MAX_);
    } while ((unsigned char) *text != ZB_MARKER_ && messages--);
    assert_int_equal (messages, 0);
    assert_int_equal (size, strlen (answer));
    assert_memory_equal (text, answer, (size_t) size);
}

//  Two brokers ask while ZeroMQ has no room, one of them twice. Each gets the
//  answer to its last question as soon as it reads.
static void
test_answers_to_two_brokers (void **state)
{
    static const char first[] = "\xff"
                                "000000000000000a?1",
                      next[] = "\xff"
                               "000000000000000a?2",
                      other[] = "\xff"
                                "000000000000000b?1";
    peer_t peer[2];
    zb_t *zb;
    (void) state;
    zb = s_open_narrow (peer, 2);
    s_fill (zb, PIPE);
    s_ask (zb, &peer[0], NULL, first);
    s_ask (zb, &peer[1], NULL, other);
    s_ask (zb, &peer[0], first, next);
    s_await_answer (&peer[0], next, PIPE);
    s_await_answer (&peer[1], other, PIPE);
    zb_close (&zb);
    zmq_close (peer[0].sub);
    peer_close (&peer[1]);
}

//  --------------------------------------------------------------------------
//  Flush, stats, close

static void
test_flush (void **state)
{
    peer_t peer;
    zb_t *zb;
    int64_t before;
    (void) state;
    //  nobody there: nothing to say is no failure
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 3600000,
                  .linger_ms = 0);
    assert_int_equal (zb_flush (zb, 50), 0);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    assert_int_equal (zb_flush (zb, 50), -1);
    assert_in_range (zb_clock_ms_ () - before, 49, 2000);
    assert_int_equal (zb_flush (zb, 0), -1);
    assert_int_equal (zb_flush (zb, -5), -1);
    zb_close (&zb);
    //  somebody there: returns before the interval is over
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000);
    peer_meet (&peer, zb);
    zb_count ("info", "n", .to = zb);
    before = zb_clock_ms_ ();
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_true (zb_clock_ms_ () - before < WAIT_MS);
    peer_await_total (&peer, "n", NULL, 1);
    zb_close (&zb);
    peer_close (&peer);
    //  no instance
    assert_int_equal (zb_flush (NULL, 10), 0);
}

static void
test_stats (void **state)
{
    fixture_t *self = *state;
    zb_stats_t stats;
    size_t i;
    peer_meet (&self->peer, self->zb);
    for (i = 0; i < 100; i++)
        zb_gauge ("info", "g", (double) i);
    zb_count ("info", "c");
    zb_time ("info", "t", 1);
    zb_gauge ("info", "g", NAN);
    assert_int_equal (zb_flush (NULL, WAIT_MS), 0);
    assert_int_equal (zb_stats (NULL, &stats), 0);
    peer_await_lines (&self->peer, "g", 100);
    peer_await_total (&self->peer, "c", NULL, 1);
    peer_await_total (&self->peer, "t", NULL, 1);
    peer_await_total (&self->peer, "zibrato.dropped", NULL, 1);
    s_stats_settled (self->zb, &stats);
    assert_int_equal (stats.refused, 1);
    assert_int_equal (stats.dropped, 1);
    assert_int_equal (stats.held, 0);
    assert_int_equal (stats.sent, 103);
    assert_int_equal (stats.measured, 104);
    assert_int_equal (stats.series, 4);
    assert_int_equal (stats.messages, self->peer.messages);
    assert_int_equal (stats.bytes, self->peer.bytes);
    assert_true (stats.listening);
}

//  --------------------------------------------------------------------------
//  Instances: options

static void
s_refused (zb_config_t config)
{
    zb_t *zb;
    errno = 0;
    zb = zb_open_ (&config);
    assert_null (zb);
    assert_int_equal (errno, EINVAL);
}

static zb_config_t
s_config (void)
{
    return (zb_config_t) ZB_CONFIG_INIT_;
}

#define REFUSED(field, bad)                                                    \
    do {                                                                       \
        zb_config_t config = s_config ();                                      \
        config.field = bad;                                                    \
        s_refused (config);                                                    \
    } while (0)

static void
test_options (void **state)
{
    char source[300];
    (void) state;
    memset (source, 's', sizeof source);
    source[256] = 0;
    REFUSED (port, 0);
    REFUSED (port, 65536);
    REFUSED (port, -2);
    REFUSED (interval_ms, 0);
    REFUSED (interval_ms, 3600001);
    REFUSED (interval_ms, -2);
    REFUSED (linger_ms, -2);
    REFUSED (linger_ms, 3600001);
    REFUSED (max_series, 0);
    REFUSED (max_series, 10000001);
    REFUSED (source, "a|b");
    REFUSED (source, "a\n");
    REFUSED (source, source);
    REFUSED (endpoint, "nonsense");
    REFUSED (endpoint, "tcp://127.0.0.1:5550,nonsense");
    REFUSED (endpoint, "tcp://127.0.0.1:99999");
}

static void
test_environment (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    setenv ("ZIBRATO_ENDPOINT", peer.endpoint, 1);
    setenv ("ZIBRATO_SOURCE", "environment", 1);
    setenv ("ZIBRATO_INTERVAL_MS", "20", 1);
    setenv ("ZIBRATO_LINGER_MS", "junk", 1);
    zb = zb_open ();
    assert_non_null (zb);
    assert_int_equal (zb->interval_ms, 20);
    assert_int_equal (zb->linger_ms, 500);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", "environment", 1);
    zb_close (&zb);
    //  what the program says wins
    zb = zb_open (.source = "program", .interval_ms = 30);
    assert_int_equal (zb->interval_ms, 30);
    zb_count ("info", "m", .to = zb);
    peer_await_total (&peer, "m", "program", 1);
    zb_close (&zb);
    setenv ("ZIBRATO_DISABLE", "1", 1);
    zb = zb_open ();
    assert_non_null (zb);
    zb_count ("info", "off", .to = zb);
    assert_int_equal (zb_flush (zb, 10), 0);
    zb_close (&zb);
    unsetenv ("ZIBRATO_DISABLE");
    unsetenv ("ZIBRATO_ENDPOINT");
    unsetenv ("ZIBRATO_SOURCE");
    unsetenv ("ZIBRATO_INTERVAL_MS");
    unsetenv ("ZIBRATO_LINGER_MS");
    peer_drain (&peer, 50);
    assert_int_equal (peer_count (&peer, "off"), 0);
    peer_close (&peer);
}

//  Strings are copied.
static void
test_strings (void **state)
{
    peer_t peer;
    char source[] = "before", endpoint[128];
    zb_t *zb;
    (void) state;
    peer_open (&peer, "");
    memcpy (endpoint, peer.endpoint, sizeof endpoint);
    zb = zb_open (.endpoint = endpoint, .source = source, .interval_ms = 20);
    memset (endpoint, 'x', sizeof endpoint);
    memcpy (source, "after!", sizeof source);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", "before", 1);
    zb_close (&zb);
    peer_close (&peer);
}

//  A redundant pair of brokers: each gets everything.
static void
test_two_endpoints (void **state)
{
    peer_t peer[2];
    char endpoint[300];
    zb_t *zb;
    int i;
    (void) state;
    peer_open (&peer[0], "");
    peer_open (&peer[1], "");
    snprintf (endpoint, sizeof endpoint, "%s,%s", peer[0].endpoint,
              peer[1].endpoint);
    zb = zb_open (.endpoint = endpoint, .interval_ms = 20);
    assert_non_null (zb);
    for (i = 0; i < 100; i++) {
        zb_count ("info", "n", .to = zb);
        zb_flush (zb, 1);
    }
    peer_await_total (&peer[0], "n", NULL, 100);
    peer_await_total (&peer[1], "n", NULL, 100);
    zb_close (&zb);
    peer_close (&peer[0]);
    peer_close (&peer[1]);
}

//  In the host's own ZeroMQ context, which stays the host's.
static void
test_context (void **state)
{
    peer_t peer;
    zb_t *zb;
    (void) state;
    peer_bind (&peer, "inproc://peer");
    peer_subscribe (&peer, "");
    zb = zb_open (.endpoint = "inproc://peer", .context = peer.context,
                  .interval_ms = 20);
    assert_non_null (zb);
    zb_count ("info", "n", .to = zb);
    peer_await_total (&peer, "n", NULL, 1);
    zb_close (&zb);
    peer_close (&peer);
}

//  Six fields, one measurement a message, each timing a sample.
static void
test_classic (void **state)
{
    peer_t peer;
    zb_t *zb;
    double counted = 0;
    size_t i, timings = 0;
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 20, .classic = 1,
                  .linger_ms = WAIT_MS, .source = "old");
    for (i = 0; i < 10; i++) {
        zb_count ("info", "c", .to = zb);
        zb_time ("info", "t", 0.5 + (double) i, .to = zb);
        zb_gauge ("info", "g", (double) i, .to = zb);
    }
    peer_await_lines (&peer, "t", 10);
    peer_await_lines (&peer, "g", 10);
    zb_close (&zb);
    peer_drain (&peer, 300);
    for (i = 0; i < peer.size; i++) {
        const line_t *line = &peer.lines[i];
        assert_int_equal (line->fields, 6);
        assert_string_equal (line->source, "old");
        assert_true (i == 0 || line->message == peer.lines[i - 1].message + 1);
        if (*line->type == 'C')
            counted += line->value;
        if (*line->type == 'T')
            assert_true (line->value == 0.5 + (double) timings++);
    }
    assert_true (counted == 10);
    assert_int_equal (timings, 10);
    assert_int_equal (peer_count (&peer, "g"), 10);
    peer_close (&peer);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_again),
      cmocka_unit_test (test_again_bounds),
      cmocka_unit_test (test_again_full_pipe),
      cmocka_unit_test (test_again_broken_off),
      cmocka_unit_test (test_again_classic),
      cmocka_unit_test (test_answers_to_two_brokers),
      cmocka_unit_test (test_flush),
      cmocka_unit_test_setup_teardown (test_stats, s_open, s_close),
      cmocka_unit_test (test_options),
      cmocka_unit_test (test_environment),
      cmocka_unit_test (test_strings),
      cmocka_unit_test (test_two_endpoints),
      cmocka_unit_test (test_context),
      cmocka_unit_test (test_classic),
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
