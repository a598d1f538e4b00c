/*  test_leaving.c - who leaves is not held up, and takes nothing along

    A program ends at once when there is nothing to wait for; one that becomes
    a daemon, forks or lets its threads go loses nothing and counts nothing
    twice, and none of that takes longer since it has measured.
    test/programs/leave.c is such a program.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600 NOSAN - children of programs with threads

#include "edges.h"

#include <sched.h>

enum {
    RUNS = 20,
    SOON_MS = 400,         //  where .linger_ms is 500
    SOONER_MS = 2000,      //  where it is 20000
    PROGRAMS = 1000,       //  that count once
    TRIES = 5,             //  of which one is enough: others disturb a clock
    FORK_FACTOR = 10,      //  a fork, compared with one that has not measured
    FORK_SLACK_US = 20000  //  and what is no difference
};

//  --------------------------------------------------------------------------
//  Programs that end

//  How long a program takes to leave that has counted once: not as long as it
//  would wait for a listener.
static void
s_check_leaves_soon (const char *const *env)
{
    int64_t ms = edge_median_leaving_ms ("leave", "count", 1, env, RUNS);
    print_message ("leaves after %d ms", (int) ms);
    assert_true (ms < SOON_MS);
    ms = edge_median_leaving_ms (
      "leave", "count", 1,
      edge_environment (env, LIST ("ZIBRATO_LINGER_MS=20000")), 3);
    print_message (", %d ms\n", (int) ms);
    assert_true (ms < SOONER_MS);
}

static void
nobody_at_the_port_delays_no_exit (void)
{
    int fd;
    s_check_leaves_soon (edge_refused (&fd));
    close (fd);
}

static void
no_worker_delays_no_exit (void)
{
    s_check_leaves_soon (broker_environment (broker_start ()));
}

static void
a_worker_that_wants_something_else_delays_no_exit (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "other"));
    s_check_leaves_soon (broker_environment (broker));
    sink_stop (&sink);
}

//  It might come, so there is something to wait for.
static void
an_address_that_is_silent_is_waited_for (void)
{
    broker_t silent;
    int fd;
    const char *const *env = edge_environment (edge_silent (&silent, &fd),
                                               LIST ("ZIBRATO_LINGER_MS=1500"));
    process_t *leave = edge_run ("leave", "count", 1, env);
    assert_true (edge_leaving_ms (leave) >= 1400);
    close (fd);
}

static void
a_thousand_programs_that_count_once_add_up (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *leave =
      edge_run ("leave", "programs", PROGRAMS, edge_delivers (broker));
    assert_int_equal (edge_number (leave, "failed="), 0);
    sink_end_with_sum (&sink, NULL, "leave.count", PROGRAMS);
}

//  --------------------------------------------------------------------------
//  Daemons and other children

//  Runs a program whose processes count so often together, both with and
//  without a connection at the fork.
static void
s_check_counts (const char *command, double sum)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    for (long connected = 0; connected < 2; connected++) {
        const char *source = connected ? "connected" : "at once";
        //  ends when its standard output is closed, by the last of its processes
        edge_run (
          "leave", command, connected,
          edge_environment (edge_delivers (broker),
                            LIST (text_new ("ZIBRATO_SOURCE=%s", source))));
        sink_await (&sink, source, "leave.count", 0, sum);
    }
    sink_stop (&sink);
    sink_check_sum (&sink, "at once", "leave.count", sum);
    sink_check_sum (&sink, "connected", "leave.count", sum);
    sink_check_sum (&sink, "connected", "leave.first", 1);
}

static void
what_a_daemon_counted_before_arrives (void)
{
    s_check_counts ("daemon", 200);
}

static void
what_was_counted_before_two_forks_arrives (void)
{
    s_check_counts ("fork-twice", 250);
}

static void
a_parent_and_a_child_that_go_on_count_once (void)
{
    s_check_counts ("fork-both", 210);
}

static void
a_program_that_executes_another_at_once_becomes_it (void)
{
    broker_t *broker = broker_start ();
    process_t *leave = edge_run ("leave", "exec", 0, edge_delivers (broker));
    assert_int_equal (edge_number (leave, "children="), 200);
    assert_int_equal (edge_number (leave, "failed="), 0);
}

//  What these two rest on is refused by some filters. Runs such a program.
static process_t *
s_run_unshared (const char *command, long number, broker_t *broker)
{
    if (unshare (CLONE_FS) == -1)
        skip ();
    return edge_run (
      "leave", command, number,
      edge_environment (edge_delivers (broker),
                        LIST (text_new ("LEAVE_FOLDER=%s", s_folder))));
}

//  ZeroMQ would end the program if the kernel refused it a thread.
static void
threads_may_fail_to_execute_all_the_time (void)
{
    enum { INSTANCES = 30 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    s_run_unshared ("exec-fails", INSTANCES, broker);
    sink_end_with_sum (&sink, NULL, "leave.count", INSTANCES * 100);
}

static void
no_thread_stays_outside_of_a_new_root (void)
{
    if (geteuid () != 0)
        skip ();
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *leave = s_run_unshared ("chroot", 0, broker);
    assert_int_equal (edge_number (leave, "refused="), 0);
    assert_int_equal (edge_number (leave, "outside="), 0);
    assert_int_equal (edge_number (leave, "flush="), 0);
    sink_end_with_sum (&sink, NULL, "leave.count", 200);
}

//  A child of which only the kernel knows ends at once, whatever it measures.
static void
s_check_unknown_child (const char *command)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *leave = edge_run ("leave", command, 0, edge_delivers (broker));
    assert_int_equal (edge_number (leave, "status="), 0);
    assert_true (edge_number (leave, "ms=") < 5000);
    sink_end_with_sum (&sink, NULL, "leave.count", 200);
}

static void
a_child_of_clone_ends_at_once (void)
{
    s_check_unknown_child ("clone");
}

static void
a_child_of_fork_without_handlers_ends_at_once (void)
{
    s_check_unknown_child ("_Fork");
}

//  --------------------------------------------------------------------------
//  Crowds

//  A thousand threads with 200 counters each make a fork hardly slower, and
//  children count from zero.
static void
a_fork_knows_nothing_of_other_threads_counters (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *crowd =
      edge_run ("leave", "fork-crowd", 1000, edge_delivers (broker));
    assert_int_equal (edge_number (crowd, "failed="), 0);
    process_t *plain =
      edge_run ("leave", "fork-plain", (long) edge_number (crowd, "kib="),
                broker_environment (broker));
    int64_t us = edge_number (crowd, "fork_us="),
            plain_us = edge_number (plain, "fork_us=");
    print_message ("a fork takes %d us, of a crowd that has measured %d us\n",
                   (int) plain_us, (int) us);
    sink_await (&sink, "parent", NULL, 0, 1000 * 200 + 5 * 200);
    sink_await (&sink, "child", NULL, 0, 5 * 200);
    sink_stop (&sink);
    sink_check_sum (&sink, "parent", NULL, 1000 * 200 + 5 * 200);
    sink_check_sum (&sink, "child", NULL, 5 * 200);
    assert_true (us < plain_us * FORK_FACTOR + FORK_SLACK_US);
}

//  Ten times as many threads take ten times as long to end, not a hundred.
static void
the_exit_of_a_thread_knows_nothing_of_the_others (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    int64_t threads = 0, few_ns = 0, many_ns = INT64_MAX;
    for (int i = 0; i < TRIES && many_ns >= few_ns * 5 + 200000; i++) {
        process_t *leave =
          edge_run ("leave", "exits", 2000, edge_delivers (broker));
        threads += edge_number (leave, "threads=");
        few_ns = edge_number (leave, "few_ns=");
        many_ns = edge_number (leave, "many_ns=");
        print_message ("a thread of 200 ends in %d ns, one of 2000 in %d ns\n",
                       (int) few_ns, (int) many_ns);
    }
    sink_end_with_sum (&sink, "parent", NULL, (double) threads * 100);
    assert_true (many_ns < few_ns * 5 + 200000);
}

static const struct CMUnitTest tests[] = {
  TEST (nobody_at_the_port_delays_no_exit),
  TEST (no_worker_delays_no_exit),
  TEST (a_worker_that_wants_something_else_delays_no_exit),
  TEST (an_address_that_is_silent_is_waited_for),
  TEST (a_thousand_programs_that_count_once_add_up),
  TEST (what_a_daemon_counted_before_arrives),
  TEST (what_was_counted_before_two_forks_arrives),
  TEST (a_parent_and_a_child_that_go_on_count_once),
  TEST (a_program_that_executes_another_at_once_becomes_it),
  TEST (threads_may_fail_to_execute_all_the_time),
  TEST (no_thread_stays_outside_of_a_new_root),
  TEST (a_child_of_clone_ends_at_once),
  TEST (a_child_of_fork_without_handlers_ends_at_once),
  TEST (a_fork_knows_nothing_of_other_threads_counters),
  TEST (the_exit_of_a_thread_knows_nothing_of_the_others),
};

HARNESS_MAIN (tests)
