/*  test_stop.c - all are stopped at the same moment, as a container platform
    does it, or a worker without a spool is replaced: what programs have counted
    arrives

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "raw.h"

enum { ROUNDS = SANITIZED ? 5 : 20, AT_ONCE = 2, STEP_MS = 37 };

//  It ends its threads' passes first, which takes up to a tenth of a second.
static process_t *
program_start (const broker_t *broker, const char *source)
{
    const char *const *env = broker_environment (broker);
    return process_start (
      LIST (program_path ("load"), "50", "100000"),
      LIST (env[0], env[1], text_new ("ZIBRATO_SOURCE=%s", source)));
}

//  What the program says that it has measured.
static double
program_said (const process_t *self, const char *key)
{
    const char *found = strstr (process_out (self), key);
    if (!found)
        fail_msg ("%s: does not say %s", process_out (self), key);
    return strtod (found + strlen (key), NULL);
}

static void
round_run (int round)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *program[AT_ONCE];
    double count = 0, times = 0, gauges = 0;
    for (int i = 0; i < AT_ONCE; i++)
        program[i] = program_start (broker, text_new ("p%d", i));
    //  who has not come yet is not let in any more
    for (int i = 0; i < AT_ONCE; i++)
        sink_await (&sink, text_new ("p%d", i), "load.count", 0, 1);
    //  the moments differ, and nothing is awaited
    nanosleep (&(struct timespec){0, round * STEP_MS % 1000 * 1000000}, NULL);
    process_t *all[] = {program[0], broker->process, sink.worker, program[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        process_signal (all[(i + (size_t) round) % 4], SIGTERM);
    for (int i = 0; i < AT_ONCE; i++) {
        assert_int_equal (process_wait (program[i]), 0);
        count += program_said (program[i], "count=");
        times += program_said (program[i], "times=");
        gauges += program_said (program[i], "gauges=");
    }
    assert_int_equal (process_wait (broker->process), 0);
    assert_int_equal (process_wait (sink.worker), 0);
    sink_check_sum (&sink, NULL, "load.count", count);
    sink_check_count (&sink, NULL, "load.time", times);
    sink_check_count (&sink, NULL, "load.gauge", gauges);
    assert_true (sink_total (&sink, NULL, "zibrato.missed").sum <= 0);
}

static void
stopped_at_once_nothing_is_lost (void)
{
    for (int round = 0; round < ROUNDS; round++)
        round_run (round);
}

//  Nobody waits for programs that stay: not for long, and not at all after a
//  second signal.
static void
a_program_that_stays_does_not_keep_the_broker (void)
{
    enum { LONG_MS = 10000 };
    for (int signals = 1; signals <= 2; signals++) {
        broker_t *broker = broker_start ();
        sink_t sink = sink_stdout (broker, NULL);
        program_start (broker, "p");
        sink_await (&sink, NULL, "load.count", 0, 1);
        process_signal (broker->process, SIGTERM);
        process_await (broker->process, "event=stopping");
        if (signals == 2)
            process_signal (broker->process, SIGTERM);
        assert_int_equal (process_wait (broker->process), 0);
        assert_true (broker->process->ended_ms - broker->process->started_ms
                     < LONG_MS);
        sink_stop (&sink);
    }
}

//  --------------------------------------------------------------------------
//  A broker is stopped, and started again, while programs end

enum { ENDS = SANITIZED ? 10 : 40, END_ROUNDS = SANITIZED ? 1 : 3 };

//  Each counts and reads at its own pace, and waits for the next broker.
static process_t *
ending_start (const broker_t *broker, int number)
{
    const char *const *env = broker_environment (broker);
    return process_start (
      LIST (program_path ("load"), "1", text_new ("%d", 5000 + 100 * number)),
      LIST (env[0], env[1], "ZIBRATO_LINGER_MS=60000"));
}

//  Some end before the broker does, some in the same moment, and some after it.
static void
ends_run (void)
{
    enum { STAYS_MS = 2000, APART_MS = 240 / ENDS };  //  a broker stays so long
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *program[ENDS];
    double count = 0, gauges = 0;
    for (int i = 0; i < ENDS; i++)
        program[i] = ending_start (broker, i);
    sink_await (&sink, NULL, "load.count", 0, 100 * ENDS);
    int64_t end_ms = now_ms () + STAYS_MS - ENDS * APART_MS / 2;
    process_signal (broker->process, SIGTERM);
    for (int i = 0; i < ENDS; i++, end_ms += APART_MS) {
        while (now_ms () < end_ms)
            nanosleep (&(struct timespec){0, 1000000}, NULL);
        process_close_input (program[i]);
    }
    assert_int_equal (process_wait (broker->process), 0);
    broker_launch (broker);
    for (int i = 0; i < ENDS; i++) {
        assert_int_equal (process_wait (program[i]), 0);
        count += program_said (program[i], "count=");
        gauges += program_said (program[i], "gauges=");
    }
    sink_await (&sink, NULL, "load.count", 0, count);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "load.count", count);
    gauges -= sink_total (&sink, NULL, "zibrato.lost").sum;
    sink_check_count (&sink, NULL, "load.gauge", gauges);
    broker_stop (broker);
}

static void
whoever_ends_as_the_broker_does_loses_nothing (void)
{
    for (int round = 0; round < END_ROUNDS; round++)
        ends_run ();
}

//  --------------------------------------------------------------------------
//  A worker without a spool is replaced, again and again, while programs measure

enum { RESTARTS = SANITIZED ? 5 : 20, BUSY = 6 };

static const char *
busy_source (int number)
{
    return text_new ("busy%d", number);
}

//  One that reports at its own pace, and measures all the time.
static process_t *
busy_start (const char *endpoints, int number)
{
    static const int intervals_ms[BUSY] = {10, 20, 50, 100, 250, 1000};
    return process_start (
      LIST (program_path ("load"), "2", text_new ("%d", 300 + 700 * number)),
      LIST (text_new ("ZIBRATO_ENDPOINT=%s", endpoints),
            "ZIBRATO_LINGER_MS=60000",
            text_new ("ZIBRATO_SOURCE=%s", busy_source (number)),
            text_new ("ZIBRATO_INTERVAL_MS=%d", intervals_ms[number])));
}

static double
sinks_sum (const sink_t *sinks, size_t count, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += sink_total (&sinks[i], NULL, name).sum;
    return sum;
}

static double
sinks_count (const sink_t *sinks, size_t count, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += sink_total (&sinks[i], NULL, name).count;
    return sum;
}

static void
check_equal (const char *what, double taken, double stored)
{
    if (llround (taken) != llround (stored))
        fail_msg ("%s: %.0f taken, %.0f stored or counted as lost", what, taken,
                  stored);
}

//  What the programs have measured is what all these workers together have
//  stored, or have counted as lost.
static void
check_all (const sink_t *sinks, size_t size, process_t *const *program)
{
    double count = 0, times = 0, gauges = 0, dropped = 0;
    for (int i = 0; i < BUSY; i++) {
        count += program_said (program[i], "count=");
        times += program_said (program[i], "times=");
        gauges += program_said (program[i], "gauges=");
        dropped += program_said (program[i], "dropped=");
    }
    check_equal ("counts", count, sinks_sum (sinks, size, "load.count"));
    check_equal ("timings", times, sinks_count (sinks, size, "load.time"));
    check_equal ("readings", gauges,
                 sinks_count (sinks, size, "load.gauge")
                   + sinks_sum (sinks, size, "zibrato.lost") + dropped);
    check_equal ("missed", 0, sinks_sum (sinks, size, "zibrato.missed"));
    check_equal ("malformed", 0, sinks_sum (sinks, size, "zibrato.malformed"));
}

//  Brokers, and the workers that have followed each other.
typedef struct {
    broker_t *broker[2];
    size_t brokers;
    sink_t sinks[RESTARTS + 1];
    size_t size;
} chain_t;

static const char *
chain_endpoints (const chain_t *self, int next)
{
    const char *first = broker_endpoint (self->broker[0], next);
    return self->brokers == 1
             ? first
             : text_new ("%s,%s", first,
                         broker_endpoint (self->broker[1], next));
}

static sink_t *
chain_next (chain_t *self)
{
    sink_t *sink = &self->sinks[self->size++];
    *sink =
      (sink_t){process_start (LIST (harness_path ("ZB_BIN"), "stdout",
                                    "--endpoint", chain_endpoints (self, 1),
                                    "--flush", "1", "--format", "json"),
                              NULL),
               NULL};
    for (size_t i = 0; i < self->brokers; i++)
        process_await (sink->worker, broker_endpoint (self->broker[i], 1));
    return sink;
}

static chain_t *
chain_new (size_t brokers)
{
    chain_t *self = harness_keep (calloc (1, sizeof *self));
    for (; self->brokers < brokers; self->brokers++)
        self->broker[self->brokers] = broker_start ();
    chain_next (self);
    return self;
}

//  Replaces the worker so often. The moments differ.
static void
chain_replace (chain_t *self, const char *name)
{
    for (int restart = 0; restart < RESTARTS; restart++) {
        const sink_t *last = &self->sinks[self->size - 1];
        if (restart % 3 == 0)
            sink_await (last, NULL, name, 0, 1);
        nanosleep (&(struct timespec){0, restart * STEP_MS % 1000 * 1000000},
                   NULL);
        sink_stop (last);
        chain_next (self);
    }
}

static void
chain_stop (chain_t *self)
{
    for (size_t i = 0; i < self->brokers; i++)
        broker_stop (self->broker[i]);
    sink_stop (&self->sinks[self->size - 1]);
}

static void
s_replace (size_t brokers)
{
    chain_t *chain = chain_new (brokers);
    process_t *program[BUSY];
    for (int i = 0; i < BUSY; i++)
        program[i] = busy_start (chain_endpoints (chain, 0), i);
    chain_replace (chain, "load.count");
    //  one that ended before it has heard of the last worker would keep its own
    for (int i = 0; i < BUSY; i++)
        sink_await (&chain->sinks[chain->size - 1], busy_source (i),
                    "load.count", 0, 1);
    for (int i = 0; i < BUSY; i++)
        process_close_input (program[i]);
    for (int i = 0; i < BUSY; i++)
        assert_int_equal (process_wait (program[i]), 0);
    chain_stop (chain);
    check_all (chain->sinks, chain->size, program);
}

static void
replaced_in_order_nothing_is_lost (void)
{
    s_replace (1);
}

static void
replaced_at_two_brokers_nothing_is_lost (void)
{
    s_replace (2);
}

//  Sends lines of the old kind while somebody listens, and knows nothing else of
//  a worker that leaves. Of what it was sending when it heard that nobody does
//  any more ZeroMQ may have taken one line for nobody.
typedef struct {
    void *socket;
    int listens;
    long sent, doubtful;
    _Atomic int stop;
    pthread_t thread;
} classic_t;

static void
classic_hear (classic_t *self)
{
    char text[64];
    int size;
    while ((size = zmq_recv (self->socket, text, sizeof text, ZMQ_DONTWAIT))
           > 0)
        if (size == 1)
            self->listens = *text;
}

static void *
classic_run (void *argument)
{
    classic_t *self = argument;
    const char *line =
      text_new ("info|Counter|old|1|%ld|old", (long) time (NULL));
    while (!self->stop) {
        classic_hear (self);
        if (self->listens) {
            publisher_send (self->socket, line);
            self->sent++;
            classic_hear (self);
            self->doubtful += !self->listens;
        }
        nanosleep (&(struct timespec){0, 100 * 1000}, NULL);
    }
    return NULL;
}

static void
what_a_classic_publisher_sends_comes (void)
{
    chain_t *chain = chain_new (1);
    classic_t classic = {.socket = publisher_new (chain->broker[0], ""),
                         .listens = 1};
    assert_int_equal (
      pthread_create (&classic.thread, NULL, classic_run, &classic), 0);
    chain_replace (chain, "old");
    classic.stop = 1;
    pthread_join (classic.thread, NULL);
    zmq_setsockopt (classic.socket, ZMQ_LINGER, &(int){WAIT_MS}, sizeof (int));
    publishers_destroy ();
    chain_stop (chain);
    long came = lround (sinks_sum (chain->sinks, chain->size, "old"));
    print_message ("    %ld sent, %ld came, %ld in doubt\n", classic.sent, came,
                   classic.doubtful);
    assert_true (came <= classic.sent
                 && came >= classic.sent - classic.doubtful);
}

//  --------------------------------------------------------------------------
//  Before a worker leaves, a broker asks programs whether they have read that. It
//  waits two seconds for who has ever answered, and 0.3 s for who has not.

enum { LATE_MS = 2000, MARKER_SIZE = 17 };

//  A program that answers when it is told to, and all that its broker has said.
typedef struct {
    int fd;
    char said[65536];
    size_t size, at;  //  at: behind what was awaited last
} silent_t;

//  Waits until the broker says these bytes. Returns them.
static const char *
silent_await (silent_t *self, const char *bytes, size_t size)
{
    int64_t until = now_ms () + WAIT_MS;
    const char *found;
    while (!(found = memmem (self->said + self->at, self->size - self->at,
                             bytes, size))) {
        struct pollfd poll_set = {self->fd, POLLIN, 0};
        assert_true (now_ms () < until && self->size < sizeof self->said);
        if (poll (&poll_set, 1, POLL_MS) == 1) {
            ssize_t got = recv (self->fd, self->said + self->size,
                                sizeof self->said - self->size, 0);
            assert_true (got > 0);
            self->size += (size_t) got;
        }
    }
    self->at = (size_t) (found - self->said) + size;
    return found;
}

//  Stops the worker. Returns how long it took until the program heard that its
//  level is not wanted any more.
static int64_t
silent_leave (silent_t *self, const sink_t *sink)
{
    static const char unwanted[] = "\0info|";
    int64_t before = now_ms (), ms;
    process_signal (sink->worker, SIGTERM);
    silent_await (self, unwanted, sizeof unwanted - 1);
    ms = now_ms () - before;
    assert_int_equal (process_wait (sink->worker), 0);
    return ms;
}

//  Its answer comes when the next question is asked already: it can answer, so more
//  of it may be on its way.
static void
an_answer_to_an_older_question_counts (void)
{
    static const char line[] = "info|Counter|n|1|1700000000|a source";
    broker_t *broker = broker_start ();
    sink_t sink[2];
    silent_t program = {.fd = raw_peer (broker, PROGRAMS)};
    const char *question = silent_await (&program, "?1", 2) - MARKER_SIZE;
    for (int i = 0; i < 2; i++) {
        sink[i] = sink_stdout (broker, LIST ("--levels", "info"));
        silent_await (&program, "\1info|", 6);
        raw_send_frame (program.fd, 0, line, sizeof line - 1);
        sink_await (&sink[i], NULL, "n", 0, 1);
        int64_t ms = silent_leave (&program, &sink[i]);
        print_message ("    heard of it after %d ms\n", (int) ms);
        assert_true (i == 0 || ms >= LATE_MS);
        raw_send_frame (program.fd, 0, question, MARKER_SIZE + 2);
    }
    close (program.fd);
    broker_stop (broker);
}

static const struct CMUnitTest tests[] = {
  TEST (stopped_at_once_nothing_is_lost),
  TEST (a_program_that_stays_does_not_keep_the_broker),
  TEST (whoever_ends_as_the_broker_does_loses_nothing),
  TEST (replaced_in_order_nothing_is_lost),
  TEST (replaced_at_two_brokers_nothing_is_lost),
  TEST (what_a_classic_publisher_sends_comes),
  TEST (an_answer_to_an_older_question_counts),
};

HARNESS_MAIN (tests)
