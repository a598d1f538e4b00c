/*  test_sandbox.c - where the kernel refuses, it is measuring that stops

    A filter refuses what ZeroMQ takes for granted, and would end the program
    for; or the thread that measures first is not like the others. Either way
    the program goes on. test/programs/sandbox.c is such a program.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOSAN - sanitizers need the system calls themselves

#include "edges.h"

#include <sched.h>

//  What becomes of a program that the kernel refuses this: NULL if all is well.
static const char *
s_fault (const broker_t *broker, const sink_t *sink, const char *filter)
{
    process_t *self = edge_start (
      "sandbox", "filtered", 300,
      edge_environment (broker_environment (broker),
                        LIST (text_new ("SANDBOX=%s", filter),
                              text_new ("ZIBRATO_SOURCE=%s", filter))));
    int status = process_wait (self);
    if (status != 0)
        return text_new ("status %d", status);
    if (*process_err (self))
        return "prints";
    if (edge_leaving_ms (self) > 5000)
        return "does not leave";
    int64_t held = edge_number (self, "held="),
            dropped = edge_number (self, "dropped=");
    if (edge_number (self, "measured=")
        != edge_number (self, "sent=") + held + dropped)
        return "stats do not add up";
    if (edge_number (self, "measured=") == 0)
        return "measures nothing";
    if (edge_number (self, "flush=") == 0) {
        sink_await (sink, filter, "sandbox.count", 0, 200);
        return NULL;
    }
    return held > 0 || edge_number (self, "error=") != 0 ? NULL
                                                         : "does not say";
}

//  Either all arrives, or the program can tell that it is held, and why.
static void
a_program_outlives_what_is_refused (void)
{
    static const char *const filters[] = {
      "resources", "epoll_create", "poll",    "setsockopt",
      "fcntl",     "eventfd",      "socket",  "threads",
      "epoll_ctl", "getrandom",    "connect", "madvise"};
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    int faults = 0;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *fault = s_fault (broker, &sink, filters[i]);
        if (fault)
            print_message ("%s refused: %s\n", filters[i], fault);
        faults += fault != NULL;
    }
    assert_int_equal (faults, 0);
}

//  What is refused here is not needed for delivering. (ZeroMQ sets the policy of
//  each of its threads, so with "resources" it cannot be used.)
static void
a_program_delivers_without_what_it_can_spare (void)
{
    static const char *const filters[] = {"nothing", "getrandom", "madvise"};
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *fault = s_fault (broker, &sink, filters[i]);
        if (fault)
            fail_msg ("%s refused: %s", filters[i], fault);
        sink_await (&sink, filters[i], "sandbox.count", 0, 200);
    }
    sink_stop (&sink);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        sink_check_sum (&sink, filters[i], "sandbox.count", 200);
        sink_check_count (&sink, filters[i], "sandbox.time", 100);
    }
}

//  Where real-time policy is not to be had, a policy for batches is inherited
//  in the same way.
static void
threads_do_not_inherit_from_who_measures_first (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *self =
      edge_run ("sandbox", "inherit", 0, edge_delivers (broker));
    int64_t policy = edge_number (self, "policy=");
    if (policy != SCHED_FIFO && policy != SCHED_BATCH)
        fail_msg ("no policy but the usual one is to be had");
    if (policy == SCHED_BATCH)
        print_message ("no real-time policy is to be had: batch\n");
    assert_true (edge_number (self, "threads=") >= 3);
    assert_int_equal (edge_number (self, "strange="), 0);
    sink_await (&sink, NULL, "inherit.count", 0, 1);
    sink_stop (&sink);
}

static const struct CMUnitTest tests[] = {
  TEST (a_program_outlives_what_is_refused),
  TEST (a_program_delivers_without_what_it_can_spare),
  TEST (threads_do_not_inherit_from_who_measures_first),
};

HARNESS_MAIN (tests)
