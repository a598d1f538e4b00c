/*  test_missed.c - what a worker does not get it counts

    A publisher sends lines of one counter, each a message of its own. Whatever
    is done to worker and broker meanwhile: what was published is what the
    worker has received and what it has missed, to the digit.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

static const char s_line[] = "info|Counter|n|1|1700000000|a source";

//  --------------------------------------------------------------------------
//  load: messages at so many a second, 0: as fast as it goes

typedef struct {
    void *publisher;
    int messages, rate, sent;
    _Atomic int stop;
    pthread_t thread;
} load_t;

static void *
load_run (void *argument)
{
    load_t *self = argument;
    int64_t start = now_ms ();
    for (; self->sent < self->messages && !self->stop; self->sent++) {
        while (self->rate
               && self->sent > (now_ms () - start) * self->rate / 1000)
            poll_pause ();
        publisher_send (self->publisher, s_line);
    }
    return NULL;
}

static load_t *
load_start (const broker_t *broker, int messages, int rate)
{
    load_t *self = harness_keep (calloc (1, sizeof *self));
    *self = (load_t){.publisher = publisher_new (broker, "info|"),
                     .messages = messages,
                     .rate = rate};
    assert_int_equal (pthread_create (&self->thread, NULL, load_run, self), 0);
    return self;
}

static void
load_end (load_t *self)
{
    assert_int_equal (pthread_join (self->thread, NULL), 0);
}

//  --------------------------------------------------------------------------

//  A worker that wants the one level, and knows how much of it there was: the
//  first lines wait for its first mark.
static sink_t
worker_begin (const broker_t *broker, const char *const *more)
{
    const char *options[8] = {"--levels", "info"};
    for (int i = 0; more && more[i]; i++)
        options[2 + i] = more[i];
    return sink_stdout (broker, options);
}

//  Returns a publisher, when the broker knows all of these workers: each may be ready a
//  moment before that, and the level be wanted by another one.
static void *
publisher_known (const broker_t *broker, const sink_t *sinks, size_t count)
{
    void *publisher = publisher_new (broker, "info|");
    publisher_probe (publisher, "info", sinks, count);
    return publisher;
}

static double
sink_received (const sink_t *sink)
{
    return sink_total_so_far (sink, NULL, "n").sum;
}

static double
sink_missed (const sink_t *sink)
{
    return sink_total_so_far (sink, NULL, "zibrato.missed").sum;
}

//  Waits until all is accounted for. Returns what was received.
static double
sink_settled (const sink_t *sink, int published)
{
    int64_t until = now_ms () + 4 * WAIT_MS;
    while (sink_received (sink) + sink_missed (sink) < published
           && now_ms () < until)
        poll_pause ();
    return sink_received (sink);
}

//  The same, and compares. Returns what was missed.
static double
sink_check (const sink_t *sink, int published)
{
    sink_settled (sink, published);
    sink_stop (sink);
    double received = sink_received (sink), missed = sink_missed (sink);
    print_message ("    %d published, %.0f received, %.0f missed\n", published,
                   received, missed);
    if (received + missed < published || received + missed > published)
        fail_msg ("%.0f are not accounted for", published - received - missed);
    return missed;
}

//  --------------------------------------------------------------------------

//  Programs wait for it. What is lost if it comes to that is counted. On a busy
//  machine it may be cut: the other one keeps the subscription, without which our
//  publisher, which does not listen, would send to nobody for a moment.
static void
a_worker_may_stand_still (void)
{
    enum { MESSAGES = 400 * 1000, RATE = 40 * 1000, STILL_MS = 6000 };
    broker_t *broker = broker_start ();
    sink_t sink = worker_begin (broker, NULL);
    load_t *load = load_start (broker, MESSAGES, RATE);
    sink_await (&sink, NULL, "n", 0, 1);
    worker_begin (broker, NULL);
    int64_t until = now_ms () + STILL_MS;
    process_signal (sink.worker, SIGSTOP);
    while (now_ms () < until)
        poll_pause ();
    process_signal (sink.worker, SIGCONT);
    load_end (load);
    sink_check (&sink, MESSAGES);
    broker_stop (broker);
}

static void
nothing_is_lost_at_full_speed (void)
{
    enum { MESSAGES = SANITIZED ? 100 * 1000 : 1000 * 1000 };
    broker_t *broker = broker_start ();
    sink_t sink = worker_begin (broker, NULL);
    load_end (load_start (broker, MESSAGES, 0));
    assert_true (sink_check (&sink, MESSAGES) <= 0);
    broker_stop (broker);
}

//  It is cut when it has held up others for five seconds, and learns from the
//  broker what it has missed. The other one gets all.
static void
a_worker_that_is_cut_counts_what_it_has_missed (void)
{
    enum { MESSAGES = 400 * 1000 };
    broker_t *broker = broker_start ();
    sink_t good = worker_begin (broker, NULL);
    sink_t slow = worker_begin (broker, NULL);
    void *publisher = publisher_known (broker, (sink_t[]){good, slow}, 2);
    publisher_send (publisher, s_line);
    sink_await (&slow, NULL, "n", 0, 1);
    process_signal (slow.worker, SIGSTOP);
    for (int i = 1; i < MESSAGES; i++)
        publisher_send (publisher, s_line);
    process_await (broker->process, "event=cut reason=\"does not read\"");
    sink_await (&good, NULL, "n", 0, MESSAGES);
    process_signal (slow.worker, SIGCONT);
    assert_true (sink_check (&slow, MESSAGES) > 0);
    assert_true (sink_check (&good, MESSAGES) <= 0);
    process_await (slow.worker, "event=missed");
    broker_stop (broker);
}

//  --------------------------------------------------------------------------
//  A worker that stalls until its broker gives it up, goes on and counts what it
//  has missed

//  Waits until the broker says, later than that, that it has so many.
static void
s_await_workers (const sink_t *health, double count, time_t since)
{
    int64_t until = now_ms () + WAIT_MS;
    bool said = false;
    while (!said) {
        cJSON *rows = sink_rows_so_far (health);
        const cJSON *row;
        cJSON_ArrayForEach (row, rows) said |=
          row_is (row, "name", "zibrato.broker.workers")
          && row_number (row, "time") > (double) since
          && llround (row_number (row, "value")) == llround (count);
        cJSON_Delete (rows);
        assert_true (now_ms () < until);
        poll_pause ();
    }
}

//  What is sent has room in the kernel. But it answers no heartbeat, and the broker
//  waits 15 s for that.
static void
a_worker_that_was_stopped_for_long_goes_on (void)
{
    enum { RATE = 1000 };
    broker_t *broker = broker_start ();
    sink_t health = sink_stdout (broker, LIST ("--levels", "zibrato"));
    sink_t good = worker_begin (broker, NULL);
    sink_t stopped = worker_begin (broker, NULL);
    publisher_known (broker, (sink_t[]){good, stopped}, 2);
    load_t *load = load_start (broker, INT32_MAX, RATE);
    sink_await (&stopped, NULL, "n", 0, 1);
    process_signal (stopped.worker, SIGSTOP);
    s_await_workers (&health, 2, time (NULL));
    process_signal (stopped.worker, SIGCONT);
    process_await (stopped.worker, "event=disconnected");
    load->stop = 1;
    load_end (load);
    sink_check (&stopped, load->sent);
    assert_true (sink_check (&good, load->sent) <= 0);
    broker_stop (broker);
}

#if !SANITIZED  //  disk.so would have to be loaded after the sanitizer

//  It is cut since it does not read. Its ZeroMQ has stopped reading, too, so that is
//  seen only 15 s later, when the disk is back.
static void
a_worker_whose_disk_stood_still_for_long_goes_on (void)
{
    enum { MESSAGES = 400 * 1000, STILL_MS = 15000 };
    const char *spool = temporary_path ("spool"),
               *stall = temporary_path ("stall");
    broker_t *broker = broker_start ();
    sink_t good = worker_begin (broker, NULL);
    sink_t stalled = {
      worker_start (
        broker, "stdout",
        LIST ("--flush", "1", "--format", "json", "--levels", "info", "--spool",
              spool),
        LIST (text_new ("LD_PRELOAD=%s", program_path ("disk.so")),
              text_new ("ZB_DISK=under=%s,stall=%s", spool, stall))),
      NULL};
    void *publisher = publisher_known (broker, (sink_t[]){good, stalled}, 2);
    publisher_send (publisher, s_line);
    sink_await (&stalled, NULL, "n", 0, 1);
    file_write (stall, "");
    int64_t until = now_ms () + STILL_MS;
    for (int i = 1; i < MESSAGES; i++)
        publisher_send (publisher, s_line);
    process_await (broker->process, "event=cut reason=\"does not read\"");
    sink_await (&good, NULL, "n", 0, MESSAGES);
    while (now_ms () < until)
        poll_pause ();
    assert_int_equal (unlink (stall), 0);
    assert_true (sink_check (&stalled, MESSAGES) > 0);
    assert_true (sink_check (&good, MESSAGES) <= 0);
    broker_stop (broker);
}

#endif

//  --------------------------------------------------------------------------

//  Each broker's messages are counted against its own marks.
static void
two_brokers_are_counted_apart (void)
{
    enum { MESSAGES = 400 * 1000 };
    broker_t *broker[] = {broker_start (), broker_start ()};
    sink_t sink = {
      process_start (LIST (harness_path ("ZB_BIN"), "stdout", "--endpoint",
                           text_new ("%s,%s", broker_endpoint (broker[0], 1),
                                     broker_endpoint (broker[1], 1)),
                           "--flush", "1", "--format", "json", "--levels",
                           "info"),
                     NULL),
      NULL};
    process_await (sink.worker, "event=connected");
    void *publisher[] = {publisher_new (broker[0], "info|"),
                         publisher_new (broker[1], "info|")};
    for (int i = 0; i < 2; i++)
        publisher_send (publisher[i], s_line);
    sink_await (&sink, NULL, "n", 0, 2);
    process_signal (sink.worker, SIGSTOP);
    for (int i = 2; i < 2 * MESSAGES; i++)
        publisher_send (publisher[i % 2], s_line);
    process_await (broker[0]->process, "event=cut reason=\"does not read\"");
    process_await (broker[1]->process, "event=cut reason=\"does not read\"");
    process_signal (sink.worker, SIGCONT);
    assert_true (sink_check (&sink, 2 * MESSAGES) > 0);
    for (int i = 0; i < 2; i++)
        broker_stop (broker[i]);
}

//  It wakes up with what came before, and what publishers have sent since. All
//  of that is too old. What comes later arrives.
static void
what_a_broker_that_stood_still_throws_away_is_counted (void)
{
    enum { BEFORE = 1000, MEANWHILE = 50 * 1000, LATER = 1000 };
    enum { STILL_MS = 21000 };
    broker_t *broker = broker_start ();
    sink_t sink = worker_begin (broker, NULL);
    load_t *load = load_start (broker, BEFORE, 0);
    load_end (load);
    sink_await (&sink, NULL, "n", 0, BEFORE);
    int64_t until = now_ms () + STILL_MS;
    process_signal (broker->process, SIGSTOP);
    for (int i = 0; i < MEANWHILE; i++)
        publisher_send (load->publisher, s_line);
    while (now_ms () < until)
        poll_pause ();
    process_signal (broker->process, SIGCONT);
    process_await (broker->process, "event=still");
    process_await (broker->process, "event=cut reason=\"the broker stood");
    process_await (sink.worker, "event=connected");
    load = load_start (broker, LATER, 0);
    load_end (load);
    double all = 0;
    while (all < BEFORE + LATER) {
        all = sink_received (&sink);
        poll_pause ();
    }
    //  the publisher's own connection may have ended meanwhile, and with it what
    //  the broker has never seen
    sink_stop (&sink);
    double missed = sink_missed (&sink);
    const char *still = process_await (broker->process, "event=still");
    double thrown = strtod (strstr (still, "thrown_away=") + 12, NULL);
    print_message ("    %.0f thrown away, %.0f missed, %.0f received\n", thrown,
                   missed, sink_received (&sink));
    assert_true (thrown > MEANWHILE / 2 && missed >= thrown);
    assert_true (sink_received (&sink) + missed >= BEFORE + thrown + LATER);
    broker_stop (broker);
}

//  What they send in the place of one goes nowhere.
static void
programs_send_no_marks (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher, "\xfe"
                               "0123456789abcdef|0123456789abcdef|1000|1");
    publisher_send (publisher, s_line);
    sink_await (&sink, NULL, "n", 0, 1);
    sink_await (&sink, "broker", "zibrato.broker.ignored", 0, 1);
    sink_stop (&sink);
    assert_true (sink_missed (&sink) <= 0);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
    process_await (broker->process,
                   "messages of programs that look like marks");
    assert_int_equal (process_lines (broker->process, "of workers"), 0);
    broker_stop (broker);
}

//  Each comes and goes in the middle of what is sent. None has missed anything,
//  or knows of more than it was sent.
static void
who_comes_and_goes_has_missed_nothing (void)
{
    enum { ROUNDS = 10, RATE = SANITIZED ? 10 * 1000 : 50 * 1000 };
    broker_t *broker = broker_start ();
    sink_t first = worker_begin (broker, NULL);
    load_t *load = load_start (broker, INT32_MAX, RATE);
    for (int i = 0; i < ROUNDS; i++) {
        sink_t sink = worker_begin (broker, NULL);
        sink_await (&sink, NULL, "n", 0, 1);
        sink_stop (&sink);
        assert_true (sink_missed (&sink) <= 0);
    }
    load->stop = 1;
    load_end (load);
    assert_true (sink_check (&first, load->sent) <= 0);
    broker_stop (broker);
}

//  What a killed broker held is not known to anybody; its successor begins anew.
static void
a_broker_that_follows_another_begins_anew (void)
{
    enum { MESSAGES = 10 * 1000 };
    broker_t *broker = broker_start ();
    sink_t sink = worker_begin (broker, NULL);
    for (int i = 0; i < 3; i++) {
        load_t *load = load_start (broker, MESSAGES, 0);
        load_end (load);
        sink_await (&sink, NULL, "n", 0, (i + 1) * MESSAGES);
        zmq_close (load->publisher);
        s_publisher_count--;
        broker_kill (broker);
        broker_launch (broker);
        process_await_nth (sink.worker, "event=connected", (size_t) i + 1);
    }
    assert_true (sink_check (&sink, 3 * MESSAGES) <= 0);
    broker_stop (broker);
}

//  But one of two workers is back later than the other: what its successor took
//  in before that is missed, and counted.
static void
s_check_back_later (broker_t *broker, const char *const *more)
{
    enum { MESSAGES = 10 * 1000, ROUNDS = 3 };
    sink_t back = worker_begin (broker, NULL);
    sink_t late = worker_begin (broker, more);
    int published = 0;
    publisher_known (broker, (sink_t[]){back, late}, 2);
    for (int i = 0; i <= ROUNDS; i++) {
        double received = sink_received (&late);
        load_t *load = load_start (broker, MESSAGES, 0);
        load_end (load);
        published += MESSAGES;
        sink_await (&back, NULL, "n", 0, published);
        process_signal (late.worker, SIGCONT);
        //  until it has some, and then the rest of what it has missed
        for (; sink_received (&late) <= received; published++) {
            publisher_send (load->publisher, s_line);
            poll_pause ();
        }
        sink_await (&back, NULL, "n", 0, published);
        sink_settled (&late, published);
        zmq_close (load->publisher);
        s_publisher_count--;
        if (i == ROUNDS)
            break;
        process_signal (late.worker, SIGSTOP);
        broker_kill (broker);
        broker_launch (broker);
        process_await_nth (back.worker, "event=connected", (size_t) i + 1);
    }
    assert_true (sink_check (&back, published) <= 0);
    assert_true (sink_check (&late, published) >= ROUNDS * MESSAGES);
    broker_stop (broker);
}

static void
who_is_back_later_counts_what_it_has_missed (void)
{
    s_check_back_later (broker_start (), NULL);
}

//  The other broker stays, and nothing comes by it.
static void
who_is_back_later_at_one_of_two_brokers_does_so (void)
{
    broker_t *broker = broker_start (), *other = broker_start ();
    s_check_back_later (
      broker,
      LIST ("--endpoint", text_new ("%s,%s", broker_endpoint (broker, 1),
                                    broker_endpoint (other, 1))));
    broker_stop (other);
}

static const struct CMUnitTest tests[] = {
  TEST (nothing_is_lost_at_full_speed),
  TEST (a_worker_may_stand_still),
  TEST (a_worker_that_is_cut_counts_what_it_has_missed),
  TEST (a_worker_that_was_stopped_for_long_goes_on),
#if !SANITIZED
  TEST (a_worker_whose_disk_stood_still_for_long_goes_on),
#endif
  TEST (two_brokers_are_counted_apart),
  TEST (what_a_broker_that_stood_still_throws_away_is_counted),
  TEST (programs_send_no_marks),
  TEST (who_comes_and_goes_has_missed_nothing),
  TEST (a_broker_that_follows_another_begins_anew),
  TEST (who_is_back_later_counts_what_it_has_missed),
  TEST (who_is_back_later_at_one_of_two_brokers_does_so),
};

HARNESS_MAIN (tests)
