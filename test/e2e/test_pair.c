/*  test_pair.c - two brokers, each measurement once

    A program and a worker are connected to both. What is counted is known to
    the last one, since a program measures what it is told to.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

typedef struct {
    broker_t *broker[2];
    sink_t sink;
    process_t *program;
    int counts, timings, readings;  //  so far
} pair_t;

static const char *
pair_endpoints (const pair_t *self, int next)
{
    return text_new ("%s,%s", broker_endpoint (self->broker[0], next),
                     broker_endpoint (self->broker[1], next));
}

static process_t *
program_start (const char *endpoints)
{
    return process_start (LIST (program_path ("measure")),
                          LIST (text_new ("ZIBRATO_ENDPOINT=%s", endpoints),
                                "ZIBRATO_INTERVAL_MS=20",
                                "ZIBRATO_LINGER_MS=20000"));
}

//  Says stats until they contain the text.
static void
program_await (process_t *self, const char *text)
{
    int64_t until = now_ms () + WAIT_MS;
    const char *line = "";
    while (!strstr (line, text)) {
        size_t before = process_lines (self, "\"measured\"");
        if (now_ms () >= until)
            fail_msg ("%s: does not say: %s", line, text);
        process_send (self, "stats\n");
        line = process_await_nth (self, "\"measured\"", before + 1);
        poll_pause ();
    }
}

static sink_t
worker_at (const char *endpoints)
{
    sink_t self = {
      process_start (LIST (harness_path ("ZB_BIN"), "stdout", "--endpoint",
                           endpoints, "--flush", "1", "--format", "json"),
                     NULL),
      NULL};
    process_await (self.worker, "event=ready");
    return self;
}

//  With all connections made.
static pair_t
pair_new (void)
{
    pair_t self = {.broker = {broker_start (), broker_start ()}};
    self.sink = worker_at (pair_endpoints (&self, 1));
    process_await (self.sink.worker, "event=connected");
    self.program = program_start (pair_endpoints (&self, 0));
    process_send (self.program, "count\tinfo\topen\n");
    program_await (self.program, "\"connected\":2");
    program_await (self.program, "\"listening\":1");
    return self;
}

//  Some of each kind; each reading with a name of its own.
static void
pair_measure (pair_t *self)
{
    char *lines = text_new ("%s", "");
    for (int i = 0; i < 20; i++)
        lines = text_new ("%scount\tinfo\tn\t%d\ntime\tinfo\tt\t0.25\n"
                          "gauge\tinfo\tg.%d\t1\n",
                          lines, 3, self->readings++);
    self->counts += 60;
    self->timings += 20;
    process_send (self->program, lines);
}

static void
pair_await (const pair_t *self)
{
    sink_await (&self->sink, NULL, "n", 0, self->counts);
    sink_await (&self->sink, NULL, "t", self->timings, 0.25 * self->timings);
}

//  Returns how many readings came; each at most once.
static int
pair_readings (const pair_t *self)
{
    cJSON *rows = sink_rows (&self->sink);
    int came = 0;
    for (int i = 0; i < self->readings; i++) {
        total_t total = rows_total (rows, NULL, text_new ("g.%d", i));
        if (total.count > 1)
            fail_msg ("g.%d came %g times", i, total.count);
        came += total.count > 0;
    }
    cJSON_Delete (rows);
    return came;
}

//  Ends program and worker, and compares.
static void
pair_check (pair_t *self, int lost)
{
    size_t before = process_lines (self->program, "flush ");
    process_send (self->program, "flush\t20000\n");
    assert_string_equal (
      process_await_nth (self->program, "flush ", before + 1), "flush 0");
    pair_await (self);
    close (self->program->input);
    self->program->input = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal (process_wait (self->program), 0);
    sink_stop (&self->sink);
    sink_check_sum (&self->sink, NULL, "n", self->counts);
    sink_check_count (&self->sink, NULL, "t", self->timings);
    sink_check_sum (&self->sink, NULL, "t", 0.25 * self->timings);
    int came = pair_readings (self);
    int said = (int) sink_total (&self->sink, NULL, "zibrato.lost").sum;
    if (came + said != self->readings || said > lost)
        fail_msg ("%d readings, %d came, %d lost", self->readings, came, said);
}

static void
each_measurement_arrives_once (void)
{
    pair_t pair = pair_new ();
    for (int i = 0; i < 20; i++) {
        pair_measure (&pair);
        poll_pause ();
    }
    pair_check (&pair, 0);
    //  and came twice
    assert_true (sink_total (&pair.sink, NULL, "zibrato.duplicate").sum
                 >= pair.readings);
}

//  Kills either in turn, in the middle of what is sent. While one is dead the
//  other carries all of it; what was under way when the first one's successor
//  had not met everybody yet may be lost, and is counted.
static void
either_broker_may_be_killed (void)
{
    pair_t pair = pair_new ();
    for (int i = 0; i < 4; i++) {
        broker_t *broker = pair.broker[i % 2];
        size_t connected = process_lines (pair.sink.worker, "event=connected");
        pair_measure (&pair);
        broker_kill (broker);
        pair_measure (&pair);
        pair_await (&pair);
        broker_launch (broker);
        pair_measure (&pair);
        process_await_nth (pair.sink.worker, "event=connected", connected + 1);
        program_await (pair.program, "\"connected\":2");
    }
    pair_check (&pair, pair.readings / 2);
}

//  The second connection of the worker, and what became of the first one.
static void
the_log_says_which_broker (void)
{
    pair_t pair = pair_new ();
    const char *first =
      text_new ("broker=%s", broker_endpoint (pair.broker[0], 1));
    broker_kill (pair.broker[0]);
    const char *line = process_await (pair.sink.worker, "event=disconnected");
    assert_non_null (strstr (line, first));
    size_t before = process_lines (pair.sink.worker, first);
    broker_launch (pair.broker[0]);
    line = process_await_nth (pair.sink.worker, first, before + 1);
    assert_non_null (strstr (line, "event=connected"));
    assert_int_equal (process_lines (pair.sink.worker, "event=ready"), 1);
    assert_int_equal (process_lines (pair.sink.worker, "event=disconnected"),
                      1);
}

#if !SANITIZED  //  which is too slow to fill the buffers in time
//  One broker hangs without being dead, and so much is measured that neither
//  the kernel nor ZeroMQ takes any more for it. TCP ends that.
static void
a_stuck_broker_does_not_stop_the_other (void)
{
    enum { SERIES = 5000, PASSES_MAX = 20000 };
    pair_t pair = pair_new ();
    int64_t until = now_ms () + 4 * WAIT_MS;
    int passes = 0;
    bool full = false;
    process_signal (pair.broker[0]->process, SIGSTOP);
    //  what is held and not sent after a flush of a second: full
    while (!full && passes < PASSES_MAX) {
        size_t before = process_lines (pair.program, "flush ");
        for (int i = 0; i < 10; i++, passes++)
            process_send (pair.program,
                          text_new ("many\t%d\nflush\t1\n", SERIES));
        process_send (pair.program, "flush\t1000\n");
        full = strcmp (process_await_nth (pair.program, "flush ", before + 11),
                       "flush -1")
               == 0;
    }
    assert_true (full);
    while (
      sink_total_so_far (&pair.sink, NULL, "many.0").sum < passes
      || sink_total_so_far (&pair.sink, NULL, text_new ("many.%d", SERIES - 1))
             .sum
           < passes) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    process_signal (pair.broker[0]->process, SIGCONT);
    pair_measure (&pair);
    pair_check (&pair, 0);
    sink_check_sum (&pair.sink, NULL, "many.7", passes);
}
#endif

//  Listens at the broker's ports, and says to each who comes what is not ZMTP.
static void
impostor_answer (const broker_t *broker)
{
    static const char text[] = "SSH-2.0-OpenSSH_9.2 and more of that kind\r\n";
    int listener[2];
    for (int next = 0; next < 2; next++)
        listener[next] = port_listen (broker->host, broker->port + next);
    for (int next = 0; next < 2; next++) {
        struct pollfd wait = {listener[next], POLLIN, 0};
        char bytes[64];
        assert_int_equal (poll (&wait, 1, WAIT_MS), 1);
        int fd = accept (listener[next], NULL, NULL);
        assert_true (fd != -1);
        assert_int_equal (write (fd, text, sizeof text), sizeof text);
        //  until the other side has had enough
        while (read (fd, bytes, sizeof bytes) > 0) {
        }
        close (fd);
    }
    close (listener[0]);
    close (listener[1]);
}

//  ZeroMQ gives up for good who does not speak ZMTP.
static void
a_port_that_somebody_else_had_is_tried_again (void)
{
    broker_t *broker = broker_start ();
    process_t *program = program_start (broker_endpoint (broker, 0));
    sink_t sink = worker_at (broker_endpoint (broker, 1));
    process_send (program, "count\tinfo\tn\n");
    sink_await (&sink, NULL, "n", 0, 1);
    broker_kill (broker);
    impostor_answer (broker);
    process_send (program, "count\tinfo\tn\n");
    broker_launch (broker);
    sink_end_with_sum (&sink, NULL, "n", 2);
}

static const struct CMUnitTest tests[] = {
  TEST (each_measurement_arrives_once),
  TEST (either_broker_may_be_killed),
  TEST (the_log_says_which_broker),
#if !SANITIZED
  TEST (a_stuck_broker_does_not_stop_the_other),
#endif
  TEST (a_port_that_somebody_else_had_is_tried_again),
};

HARNESS_MAIN (tests)
