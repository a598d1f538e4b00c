/*  test_replaced.c - a worker without a spool is replaced at two brokers, and
    one of them is late: what a program has measured is what both workers have
    stored

    Between the program and the first broker is a relay, which holds what the
    program says until it is told to go on.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "harness.h"

//  --------------------------------------------------------------------------
//  relay: one TCP connection to a broker, with a brake

typedef struct {
    const broker_t *broker;
    int listener, port;
    _Atomic int holds;  //  what the program says
    pthread_t thread;
} relay_t;

//  Returns false at the end of the connection.
static bool
relay_pass (int from, int to)
{
    char bytes[65536];
    ssize_t size = read (from, bytes, sizeof bytes), at = 0, wrote;
    while (at < size
           && (wrote = write (to, bytes + at, (size_t) (size - at))) > 0)
        at += wrote;
    return size > 0 && at == size;
}

static void *
relay_run (void *argument)
{
    relay_t *self = argument;
    struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons ((uint16_t) self->broker->port),
      .sin_addr.s_addr = inet_addr (self->broker->host)};
    int to = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int from = accept (self->listener, NULL, NULL);
    bool open =
      connect (to, (const struct sockaddr *) &address, sizeof address) == 0;
    while (open) {
        struct pollfd set[2] = {{self->holds ? -1 : from, POLLIN, 0},
                                {to, POLLIN, 0}};
        poll (set, 2, POLL_MS);
        if (set[0].revents && !self->holds)
            open = relay_pass (from, to);
        if (set[1].revents)
            open &= relay_pass (to, from);
    }
    close (from);
    close (to);
    return NULL;
}

static relay_t *
relay_new (const broker_t *broker)
{
    relay_t *self = harness_keep (calloc (1, sizeof *self));
    self->broker = broker;
    self->listener = port_listen ("127.0.0.1", 0);
    self->port = port_of (self->listener);
    assert_int_equal (pthread_create (&self->thread, NULL, relay_run, self), 0);
    return self;
}

//  The program has ended: all that it has said goes to the broker.
static void
relay_end (relay_t *self)
{
    pthread_join (self->thread, NULL);
    close (self->listener);
}

//  --------------------------------------------------------------------------
//  What is replaced

typedef struct {
    broker_t *broker[2];
    relay_t *relay;
    process_t *program;
    sink_t sink[2];  //  the worker, and the one that follows
    int passes;
} world_t;

static sink_t
world_worker (const world_t *self)
{
    const char *endpoints =
      text_new ("%s,%s", broker_endpoint (self->broker[0], 1),
                broker_endpoint (self->broker[1], 1));
    sink_t sink = {
      process_start (LIST (harness_path ("ZB_BIN"), "stdout", "--endpoint",
                           endpoints, "--flush", "1", "--format", "json"),
                     NULL),
      NULL};
    process_await (sink.worker, broker_endpoint (self->broker[0], 1));
    return sink;
}

//  Counts 5, takes a time and a reading, and sends them.
static void
world_measure (world_t *self)
{
    size_t before = process_lines (self->program, "flush ");
    process_send (self->program, "count\tinfo\tn\t5\ntime\tinfo\tt\t0.25\n"
                                 "gauge\tinfo\tg\t1\nflush\t60000\n");
    assert_string_equal (
      process_await_nth (self->program, "flush ", before + 1), "flush 0");
    self->passes++;
}

static world_t
world_new (void)
{
    world_t self = {.broker = {broker_start (), broker_start ()}};
    self.relay = relay_new (self.broker[0]);
    self.sink[0] = world_worker (&self);
    process_await (self.sink[0].worker, broker_endpoint (self.broker[1], 1));
    self.program = process_start (
      LIST (program_path ("measure")),
      LIST (text_new ("ZIBRATO_ENDPOINT=tcp://127.0.0.1:%d,%s",
                      self.relay->port, broker_endpoint (self.broker[1], 0)),
            "ZIBRATO_INTERVAL_MS=600000", "ZIBRATO_LINGER_MS=20000"));
    world_measure (&self);
    sink_await (&self.sink[0], NULL, "n", 0, 5);
    return self;
}

//  The second worker meets the first broker only, then both: what was sent in
//  between waits in the relay, until something newer has come.
static void
world_follow (world_t *self)
{
    size_t before = process_lines (self->program, "\"listening\":1");
    self->relay->holds = 1;
    process_signal (self->broker[1]->process, SIGSTOP);
    self->sink[1] = world_worker (self);
    while (process_lines (self->program, "\"listening\":1") == before) {
        process_send (self->program, "stats\n");
        poll_pause ();
    }
    world_measure (self);
    process_signal (self->broker[1]->process, SIGCONT);
    while (sink_total_so_far (&self->sink[1], NULL, "n").sum <= 0) {
        world_measure (self);
        poll_pause ();
    }
    self->relay->holds = 0;
}

static void
world_equal (const world_t *self, const char *name, double expected,
             bool samples)
{
    double stored = 0;
    for (int i = 0; i < 2; i++) {
        total_t total = sink_total (&self->sink[i], NULL, name);
        stored += samples ? total.count : total.sum;
    }
    if (stored > expected || stored < expected)
        fail_msg ("%s: %g measured, %g stored", name, expected, stored);
}

//  All ends in order. Each broker has passed on what it was sent.
static void
world_end (world_t *self)
{
    process_close_input (self->program);
    assert_int_equal (process_wait (self->program), 0);
    relay_end (self->relay);
    broker_stop (self->broker[0]);
    broker_stop (self->broker[1]);
    sink_stop (&self->sink[1]);
    world_equal (self, "n", 5 * self->passes, false);
    world_equal (self, "t", self->passes, true);
    world_equal (self, "t", 0.25 * self->passes, false);
    world_equal (self, "g", self->passes, true);
    world_equal (self, "zibrato.lost", 0, false);
    world_equal (self, "zibrato.missed", 0, false);
}

//  --------------------------------------------------------------------------
//  Tests

static void
what_one_broker_brings_late_counts (void)
{
    world_t world = world_new ();
    sink_stop (&world.sink[0]);
    world_measure (&world);
    world_follow (&world);
    world_end (&world);
}

//  The first worker got it by the other broker.
static void
what_the_last_worker_had_counts_once (void)
{
    world_t world = world_new ();
    world.relay->holds = 1;
    world_measure (&world);
    sink_await (&world.sink[0], NULL, "n", 0, 10);
    sink_stop (&world.sink[0]);
    world_follow (&world);
    world_end (&world);
}

static const struct CMUnitTest tests[] = {
  TEST (what_one_broker_brings_late_counts),
  TEST (what_the_last_worker_had_counts_once),
};

HARNESS_MAIN (tests)
