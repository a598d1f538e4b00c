/*  test_up_again.c - `zibrato up` is ended, and started again at once, while broker and
    server of the one before are about to end

    Of what programs count all the while, nothing is lost: neither of one that goes on,
    nor of those that end just then.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 LONG 3600 NOTSAN - what is ended is the same in e2e.up_kills

#include "site.h"
#include "up.h"

enum { ROUNDS = 4, ROUNDS_LONG = 100, MOMENT_MS = 1500, SYNC_MS = 200 };

//  A disk that takes its time for each sync: so does a server for start and stop.
static void
s_launch (up_t *up)
{
#if !SANITIZED  //  it would have to be loaded after the sanitizer
    setenv ("ZB_DISK", text_new ("under=%s,sync=%d", up->data, SYNC_MS), 1);
    setenv ("LD_PRELOAD", program_path ("disk.so"), 1);
#endif
    up_launch (up, NULL);
    unsetenv ("LD_PRELOAD");
}

//  Nobody waits for its children: they have ports and folder for some seconds.
static void
s_again (up_t *up, int number)
{
    process_signal (up->process, number);
    s_launch (up);
    up->serve.process = up->process;
}

//  Programs are told apart by their sources, which are their numbers.
static const char *
s_source (int number)
{
    return text_new ("program-%d", number);
}

//  It is connected when it has been heard: one that never was ends where nobody is.
static load_t
s_start (const up_t *up, int number)
{
    load_t load;
    int64_t until = now_ms () + WAIT_MS;
    process_await (up->process, "event=ready mode=serve");
    setenv ("ZIBRATO_SOURCE", s_source (number), 1);
    load = load_start (&up->broker, 1, 2000);
    while (serve_total (&up->serve, s_source (number), "load.count").sum == 0
           && now_ms () < until)
        poll_pause ();
    return load;
}

static void
s_check (const cJSON *rows, int number, const load_t *load)
{
    const char *source = s_source (number);
    double count = rows_total (rows, source, "load.count").sum;
    total_t timed = rows_total (rows, source, "load.time");
    if (count != load->count || timed.count != load->times
        || timed.sum_ns != load->time_ns)
        fail_msg ("%s: %.0f counted and %.0f timed of %.0f and %.0f", source,
                  count, timed.count, load->count, load->times);
}

//  Readings that are lost are counted by the worker, for all programs together.
static void
s_check_all (const up_t *up, const load_t *load, int programs)
{
    cJSON *rows = serve_rows (&up->serve);
    double gauges = rows_total (rows, NULL, "load.gauge").count;
    double lost = rows_total (rows, NULL, "zibrato.lost").sum;
    double dropped = rows_total (rows, NULL, "zibrato.dropped").sum;
    double all_dropped = dropped;
    for (int i = 0; i < programs; i++) {
        s_check (rows, i, &load[i]);
        gauges -= load[i].gauges;
        dropped -= load[i].dropped;
    }
    cJSON_Delete (rows);
    assert_true (dropped == 0);
    assert_true (gauges + lost + all_dropped == 0);
}

//  The first program goes on all the while, and of `more`, one ends in each round.
static void
s_rounds (bool more)
{
    int rounds = getenv ("ZB_LONG") ? ROUNDS_LONG : ROUNDS, programs = 1;
    load_t load[1 + ROUNDS_LONG];
    up_t *up = up_start ();
    load[0] = s_start (up, 0);
    for (int i = 0; i < rounds; i++) {
        if (more)
            load[programs] = s_start (up, programs);
        random_moment (MOMENT_MS);
        s_again (up, i % 2 ? SIGTERM : SIGKILL);
        random_moment (3 * MOMENT_MS);
        if (more)
            load_end_dropping (&load[programs++]);
    }
    process_await (up->process, "event=ready mode=serve");
    serve_await_more (&up->serve, "load.count");
    load_end_dropping (&load[0]);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    s_check_all (up, load, programs);
}

static void
of_a_program_that_goes_on_nothing_is_lost (void)
{
    s_rounds (false);
}

static void
of_programs_that_end_meanwhile_nothing_is_lost (void)
{
    s_rounds (true);
}

static const struct CMUnitTest tests[] = {
  TEST (of_a_program_that_goes_on_nothing_is_lost),
  TEST (of_programs_that_end_meanwhile_nothing_is_lost)};

HARNESS_MAIN (tests)
