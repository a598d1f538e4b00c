/*  test_fibers.c - a scope may end on another thread than it began

    test/programs/fiber.c has scopes that do.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOSAN - sanitizers do not follow a change of stacks

#include "edges.h"

//  Each fiber's scopes count once, and are timed once.
static void
s_check (const char *command, long number)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *fiber =
      edge_run ("fiber", command, number, edge_delivers (broker));
    double fibers = (double) edge_number (fiber, "fibers=");
    assert_true (fibers >= (double) number);
    sink_await (&sink, NULL, "fiber.count", 0, fibers);
    sink_await (&sink, NULL, "fiber.time", fibers, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "fiber.count", fibers);
    sink_check_count (&sink, NULL, "fiber.time", fibers);
}

static void
a_scope_may_outlive_the_thread_that_began_it (void)
{
    s_check ("after-the-end", 2000);
}

static void
a_scope_may_end_while_its_first_thread_measures (void)
{
    s_check ("meanwhile", 2000);
}

static const struct CMUnitTest tests[] = {
  TEST (a_scope_may_outlive_the_thread_that_began_it),
  TEST (a_scope_may_end_while_its_first_thread_measures),
};

HARNESS_MAIN (tests)
