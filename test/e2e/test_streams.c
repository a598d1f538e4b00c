/*  test_streams.c - programs that come and go, more of them than there is room
    for, and the clocks of two hosts

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "harness.h"

//  A program of one counter, that ends in order. Caller waits for it.
static process_t *
s_program (const broker_t *broker, const char *const *more)
{
    const char *const *env = broker_environment (broker);
    process_t *program = process_start (
      LIST (program_path ("measure")),
      more ? LIST (env[0], env[1], "ZIBRATO_LINGER_MS=60000", more[0], more[1])
           : LIST (env[0], env[1], "ZIBRATO_LINGER_MS=60000"));
    process_send (program, "count\tinfo\tprogram\n");
    process_close_input (program);
    return program;
}

//  Starts so many, some at a time, and waits until they have ended.
static void
s_programs (const broker_t *broker, int count)
{
    enum { AT_ONCE = 10 };
    process_t *program[AT_ONCE];
    for (int i = 0; i < count; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            program[j] = s_program (broker, NULL);
        for (int j = 0; j < AT_ONCE; j++)
            assert_int_equal (process_wait (program[j]), 0);
    }
}

//  Room for 40 streams, and 50 programs: those that have ended leave it to the
//  next.
static void
more_programs_than_there_is_room_for (void)
{
    enum { PROGRAMS = 50 };
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_stdout (broker, LIST ("--levels", "info", "--max-series", "10"));
    s_programs (broker, PROGRAMS);
    sink_end_with_sum (&sink, "not_specified", "program", PROGRAMS);
    sink_check_sum (&sink, NULL, "zibrato.dropped", 0);
    sink_check_sum (&sink, NULL, "zibrato.incomplete", 0);
    assert_int_equal (process_lines (sink.worker, "event=overflow"), 0);
}

//  So it is when the worker is killed in between, and starts with what it has
//  saved.
static void
a_kill_in_between_changes_nothing (void)
{
    enum { PROGRAMS = 20 };
    broker_t *broker = broker_start ();
    standin_t *standin = standin_start (LIST ("--idempotent"));
    const char *spool = temporary_path ("spool");
    const char *const *arguments = LIST (
      "--username", "user@example.org", "--apitoken", "token", "--url",
      standin->url, "--flush", "1", "--spool", spool, "--max-series", "10");
    process_t *worker = worker_start (broker, "librato", arguments, NULL);
    sink_t sink = {worker, standin};
    s_programs (broker, PROGRAMS);
    sink_await (&sink, "not_specified", "program", 0, PROGRAMS);
    assert_int_equal (process_stop (worker, SIGKILL), 128 + SIGKILL);
    sink.worker = worker_start (broker, "librato", arguments, NULL);
    const char *loaded = process_await (sink.worker, "event=loaded");
    assert_non_null (strstr (loaded, "bad_states=0"));
    s_programs (broker, PROGRAMS);
    sink_end_with_sum (&sink, "not_specified", "program", 2 * PROGRAMS);
    sink_check_sum (&sink, NULL, "zibrato.dropped", 0);
}

//  Programs without an End that are not silent for long enough keep their room:
//  the newcomers are counted, and the log names their source.
static void
who_fills_the_table_is_named (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_stdout (broker, LIST ("--levels", "info", "--max-series", "2"));
    void *publisher = publisher_new (broker, "info|");
    for (int i = 0; i < 20; i++)
        publisher_send (publisher,
                        text_new ("info|Counter|n|1|%ld|%s|%llx-%x:0:0:1",
                                  (long) time (NULL), i % 4 ? "forks" : "other",
                                  time (NULL) * 1000ll, (unsigned) i));
    sink_await (&sink, NULL, "zibrato.dropped", 0, 12);
    const char *line = process_await (sink.worker, "event=overflow");
    assert_non_null (strstr (line, "opener=\"forks\""));
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "zibrato.dropped", 12);
    sink_check_sum (&sink, "forks", "n", 6);
    sink_check_sum (&sink, "other", "n", 2);
}

//  Lines without a stream open none, and the log does not speak of any.
static void
what_is_not_known_is_not_named (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_stdout (broker, LIST ("--levels", "info", "--max-series", "2"));
    void *publisher = publisher_new (broker, "info|");
    for (int i = 0; i < 6; i++)
        publisher_send (publisher, text_new ("info|Counter|n%d|1|%ld|\"x\"", i,
                                             (long) time (NULL)));
    sink_await (&sink, NULL, "zibrato.overflow.counter", 0, 4);
    const char *line = process_await (sink.worker, "event=overflow");
    assert_null (strstr (line, "opene"));
    assert_non_null (strstr (line, "source=\"\\\"x\\\"\""));
    sink_stop (&sink);
}

//  --------------------------------------------------------------------------
//  A program whose host has another time of day

#if !SANITIZED  //  clock.so would have to be loaded after the sanitizer

//  A worker without a spool is replaced after it has delivered; the program goes
//  on. Nothing of what the first has counted counts again, and nothing that comes
//  after is taken for what it had.
static void
s_replace (const char *wall)
{
    enum { COUNTS = 40 };
    broker_t *broker = broker_start ();
    const char *const *env = broker_environment (broker);
    sink_t first = sink_stdout (broker, LIST ("--levels", "info")), second;
    process_t *program = process_start (
      LIST (program_path ("measure")),
      LIST (env[0], env[1],
            text_new ("LD_PRELOAD=%s", program_path ("clock.so")),
            text_new ("ZB_CLOCK=wall=%s", wall)));
    for (int i = 0; i < COUNTS; i++)
        process_send (program, "count\tinfo\tprogram\n");
    process_send (program, "flush\t10000\n");
    sink_await (&first, "not_specified", "program", 0, COUNTS);
    sink_stop (&first);
    second = sink_stdout (broker, LIST ("--levels", "info"));
    for (int i = 0; i < COUNTS; i++)
        process_send (program, "count\tinfo\tprogram\ncount\tinfo\tlater\n");
    process_send (program, "flush\t10000\n");
    sink_await (&second, "not_specified", "later", 0, COUNTS);
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    sink_stop (&second);
    sink_check_sum (&first, "not_specified", "program", COUNTS);
    sink_check_sum (&second, "not_specified", "program", COUNTS);
    sink_check_sum (&second, "not_specified", "later", COUNTS);
}

static void
a_program_ahead_counts_once (void)
{
    s_replace ("60");
}

static void
a_program_behind_counts_once (void)
{
    s_replace ("-60");
}

#endif

static const struct CMUnitTest tests[] = {
  TEST (more_programs_than_there_is_room_for),
  TEST (a_kill_in_between_changes_nothing),
  TEST (who_fills_the_table_is_named),
  TEST (what_is_not_known_is_not_named),
#if !SANITIZED
  TEST (a_program_ahead_counts_once),
  TEST (a_program_behind_counts_once),
#endif
};

HARNESS_MAIN (tests)
