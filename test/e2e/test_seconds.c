/*  test_seconds.c - what an overwriting store gets: no two rows of one series
    and second, and all samples

    The stand-in keeps each row that comes. A store that overwrites would keep
    the last of those of one name, source and second.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "harness.h"

//  No two rows have one name, source and second.
static void
s_check_unique (const cJSON *rows)
{
    const char *twice = rows_same_second (rows);
    if (twice)
        fail_msg ("two rows of %s", twice);
}

//  Ends programs and worker. What they say that they measured has come, to the
//  last sample, if that is wanted.
static void
s_end (const sink_t *sink, process_t *const *program, int count, bool exact)
{
    long sum = 0, samples = 0;
    for (int i = 0; i < count; i++) {
        long counted, times;
        process_close_input (program[i]);
        assert_int_equal (process_wait (program[i]), 0);
        assert_int_equal (sscanf (process_out (program[i]),
                                  "count=%ld times=%ld", &counted, &times),
                          2);
        sum += counted;
        samples += times;
    }
    sink_stop (sink);
    cJSON *rows = sink_rows (sink);
    s_check_unique (rows);
    cJSON_Delete (rows);
    if (!exact)
        return;
    sink_check_sum (sink, NULL, "load.count", (double) sum);
    sink_check_count (sink, NULL, "load.time", (double) samples);
    sink_check_count (sink, NULL, "load.gauge", (double) samples);
}

//  A program with a thread that measures each five milliseconds.
static process_t *
s_program (const broker_t *broker)
{
    return process_start (LIST (program_path ("load"), "1", "5000"),
                          broker_environment (broker));
}

//  --------------------------------------------------------------------------
//  Programs with one name and source, all in the same seconds

static void
a_second_is_one_row (void)
{
    enum { PROGRAMS = 4, SECONDS = 6 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    process_t *program[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++)
        program[i] = s_program (broker);
    while (sink_total_so_far (&sink, NULL, "load.gauge").rows < SECONDS)
        poll_pause ();
    s_end (&sink, program, PROGRAMS, true);
}

//  A worker that comes after another one, with a spool or without, does not give
//  out a second that the other has given out. A request whose answer died with
//  the worker is sent again, so the stand-in looks at its key.
static void
s_check_worker_after_worker (const char *spool, int signal)
{
    enum { PROGRAMS = 2, WORKERS = 4 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--idempotent"),
                                spool ? LIST ("--spool", spool) : NULL);
    const char *const *options =
      LIST ("--username", "user@example.org", "--apitoken", "token", "--url",
            sink.standin->url, "--flush", "1", spool ? "--spool" : NULL, spool);
    process_t *program[PROGRAMS];
    double rows = 0;
    for (int i = 0; i < PROGRAMS; i++)
        program[i] = s_program (broker);
    for (int i = 1; i < WORKERS; i++) {
        while (sink_total_so_far (&sink, NULL, "load.gauge").rows < rows + 2)
            poll_pause ();
        process_signal (sink.worker, signal);
        process_wait (sink.worker);
        rows = sink_total_so_far (&sink, NULL, "load.gauge").rows;
        sink.worker = worker_start (broker, "librato", options, NULL);
    }
    s_end (&sink, program, PROGRAMS, spool != NULL);
}

static void
a_worker_after_another_repeats_no_second (void)
{
    s_check_worker_after_worker (NULL, SIGTERM);
}

static void
a_worker_after_a_killed_one_repeats_no_second (void)
{
    s_check_worker_after_worker (temporary_path ("killed"), SIGKILL);
}

//  Readings of ten minutes keep their times; one that comes when its second is
//  out goes into a later one.
static void
held_readings_keep_their_times (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_librato (broker, NULL, LIST ("--spool", temporary_path ("held")));
    void *publisher = publisher_new (broker, "");
    long now = (long) time (NULL);
    for (int i = 600; i >= 0; i--)
        publisher_send (publisher,
                        text_new ("info|Gauge|held|%d|%ld|test", i, now - i));
    sink_await (&sink, "test", "held", 590, 0);
    publisher_send (publisher,
                    text_new ("info|Gauge|held|7|%ld|test", now - 300));
    sink_await (&sink, NULL, "zibrato.late", 0, 1);
    sink_stop (&sink);
    cJSON *rows = sink_rows (&sink);
    const cJSON *row;
    s_check_unique (rows);
    cJSON_ArrayForEach (row, rows) if (row_is (row, "name", "held")
                                       && cJSON_HasObjectItem (row, "value")
                                       && row_number (row, "value") > 7)
      assert_true (row_number (row, "measure_time")
                   == (double) now - row_number (row, "value"));
    cJSON_Delete (rows);
    sink_check_count (&sink, "test", "held", 602);
    sink_check_sum (&sink, "test", "held", 600 * 601 / 2 + 7);
}

//  --------------------------------------------------------------------------
//  A worker whose wall clock is slewed, or set

#if !SANITIZED  //  clock.so would have to be loaded after the sanitizer

//  The counter's rows, in order: seconds are whole multiples of the interval,
//  each once.
static void
s_check_clock (const char *clock, int flush, int flushes, bool stepped)
{
    broker_t *broker = broker_start ();
    standin_t *standin = standin_start (NULL);
    sink_t sink = {
      worker_start (broker, "librato",
                    LIST ("--username", "user@example.org", "--apitoken",
                          "token", "--url", standin->url, "--flush",
                          text_new ("%d", flush)),
                    LIST (text_new ("LD_PRELOAD=%s", program_path ("clock.so")),
                          text_new ("ZB_CLOCK=%s", clock))),
      standin};
    void *publisher = publisher_new (broker, "");
    int sent = 0, rows = 0;
    while (rows < flushes) {
        publisher_send (publisher, text_new ("info|Counter|count|1|%ld|test",
                                             (long) time (NULL)));
        sent++;
        poll_pause ();
        rows = (int) sink_total_so_far (&sink, "test", "count").rows;
    }
    sink_stop (&sink);
    cJSON *all = sink_rows (&sink);
    const cJSON *row;
    double last = 0;
    s_check_unique (all);
    cJSON_ArrayForEach (row, all)
    {
        double second = row_number (row, "measure_time");
        if (!row_is (row, "name", "count") || --rows < 0)
            continue;
        assert_true (second > last);
        if (!stepped) {
            assert_true (fmod (second, flush) == 0);
            assert_true (last == 0 || second == last + flush);
        }
        last = second;
    }
    cJSON_Delete (all);
    sink_check_sum (&sink, "test", "count", sent);
}

static void
a_slewed_clock_has_each_boundary_once (void)
{
    s_check_clock ("slew=-80000", 2, 4, false);
    s_check_clock ("slew=80000", 2, 4, false);
    s_check_clock ("slew=-500", 2, 4, false);
}

static void
a_clock_that_is_set_gives_no_second_twice (void)
{
    s_check_clock ("step=3:-3600", 1, 8, true);
    s_check_clock ("step=3:3600", 1, 8, true);
}

//  The clock is ahead for some seconds, more than once, for a worker may be slow to
//  start. Rows have its seconds then, and the true ones as soon as it is right
//  again.
static void
a_clock_that_was_ahead_is_over_with (void)
{
    enum { HOUR = 3600, NEAR = 60 };
    broker_t *broker = broker_start ();
    standin_t *standin = standin_start (NULL);
    sink_t sink = {
      worker_start (broker, "librato",
                    LIST ("--username", "user@example.org", "--apitoken",
                          "token", "--url", standin->url, "--flush", "1",
                          "--spool", temporary_path ("ahead")),
                    LIST (text_new ("LD_PRELOAD=%s", program_path ("clock.so")),
                          "ZB_CLOCK=step=3:3600,step=7:-3600,step=15:3600,"
                          "step=19:-3600,step=27:3600,step=31:-3600,"
                          "step=39:3600,step=43:-3600")),
      standin};
    void *publisher = publisher_new (broker, "");
    int sent = 0, ahead = 0, after = 0;
    while (after < 3) {
        long now = (long) time (NULL);
        publisher_send (publisher,
                        text_new ("info|Counter|count|1|%ld|test", now));
        publisher_send (publisher,
                        text_new ("info|Gauge|gauge|1|%ld|test", now));
        sent++;
        poll_pause ();
        cJSON *rows = sink_rows_so_far (&sink);
        const cJSON *row;
        ahead = after = 0;
        cJSON_ArrayForEach (row, rows) if (row_is (row, "name", "count"))
        {
            double early = row_number (row, "measure_time") - (double) now;
            ahead += early > NEAR;
            after += ahead && early < NEAR;
            assert_true (early < HOUR + NEAR);
        }
        cJSON_Delete (rows);
    }
    sink_stop (&sink);
    cJSON *rows = sink_rows (&sink);
    s_check_unique (rows);
    cJSON_Delete (rows);
    sink_check_sum (&sink, "test", "count", sent);
    sink_check_count (&sink, "test", "gauge", sent);
}

#endif

static const struct CMUnitTest tests[] = {
  TEST (a_second_is_one_row),
  TEST (a_worker_after_another_repeats_no_second),
  TEST (a_worker_after_a_killed_one_repeats_no_second),
  TEST (held_readings_keep_their_times),
#if !SANITIZED
  TEST (a_slewed_clock_has_each_boundary_once),
  TEST (a_clock_that_is_set_gives_no_second_twice),
  TEST (a_clock_that_was_ahead_is_over_with),
#endif
};

HARNESS_MAIN (tests)
