/*  test_stress.c - everything that a program may do to zibrato.h, at once

    test/programs/stress.c does it at random, for ten seconds with each seed.
    It must neither hang nor crash, and what it has measured into an instance
    that was open arrives, to the last count. A seed that failed is printed;
    ZB_SEED=N begins with it. What threads do in which order is not repeated.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 1200

#include "harness.h"

#include <dirent.h>

enum {
    SECONDS = 10,
    RUNS = 6,  //  sixty seconds in all
    GRACE_MS = SANITIZED ? 150000 : 30000
};

//  What test/programs/stress.c leaves in its file.
typedef struct {
    uint64_t begun, done, settled;
} tally_t;

enum { KEPT, TIMED, CHILD, MODULE, TALLIES };

//  Prints where each thread of a process is, if gdb is there to tell.
static void
s_print_stacks (int pid)
{
    process_t *gdb =
      process_start (LIST ("gdb", "-p", text_new ("%d", pid), "-batch", "-ex",
                           "thread apply all backtrace"),
                     NULL);
    process_wait (gdb);
    fprintf (stderr, "---- stacks of PID %d\n%s", pid, process_out (gdb));
}

//  Does the same for all processes of its group: itself and its children.
static void
s_print_all_stacks (const process_t *self)
{
    DIR *folder = opendir ("/proc");
    const struct dirent *entry;
    while (folder && (entry = readdir (folder))) {
        int pid = atoi (entry->d_name);
        if (pid > 0 && getpgid (pid) == self->pid)
            s_print_stacks (pid);
    }
    if (folder)
        closedir (folder);
}

//  Waits for the end of the process, and of its children, which have its output.
static void
s_watch (process_t *self, uint64_t seed)
{
    int64_t until = now_ms () + SECONDS * 1000 + GRACE_MS;
    pthread_mutex_lock (&self->lock);
    while (!self->ended && process_wait_change (self, until)) {
    }
    bool ended = self->ended;
    pthread_mutex_unlock (&self->lock);
    if (!ended) {
        s_print_all_stacks (self);
        fail_msg ("seed %" PRIu64 " does not end", seed);
    }
    if (process_wait (self) != 0)
        fail_msg ("seed %" PRIu64 " ends with %d", seed, self->status);
    assert_string_equal (process_err (self), "");
}

//  All that was done before main began to return must have arrived, and no more
//  than what was begun; the same number where main has joined its threads. Says
//  which sums are right.
static void
s_expect (const char *path, uint64_t seed, double min[TALLIES],
          double max[TALLIES])
{
    size_t size;
    const tally_t *tallies = (const void *) file_read (path, &size);
    assert_int_equal (size, TALLIES * sizeof *tallies);
    for (int kind = 0; kind < TALLIES; kind++) {
        const tally_t *tally = &tallies[kind];
        //  sanitizers know no fork of threads
        assert_true (tally->settled > 0 || (SANITIZED && kind == CHILD));
        if (seed % 2 == 0) {
            assert_int_equal (tally->begun, tally->settled);
            assert_int_equal (tally->done, tally->settled);
        }
        min[kind] = (double) tally->settled;
        max[kind] = (double) tally->begun;
    }
}

//  What has arrived of each kind.
static void
s_arrived (const sink_t *sink, double arrived[TALLIES])
{
    cJSON *rows = sink_rows_so_far (sink);
    arrived[KEPT] = rows_total (rows, NULL, "stress.kept").sum;
    arrived[TIMED] = rows_total (rows, NULL, "stress.timed").count;
    arrived[CHILD] = rows_total (rows, NULL, "stress.child").sum;
    arrived[MODULE] = rows_total (rows, NULL, "module.count").sum;
    cJSON_Delete (rows);
}

static void
s_check (const sink_t *sink, const double min[TALLIES],
         const double max[TALLIES])
{
    static const char *const names[TALLIES] = {"kept", "timed", "child",
                                               "module"};
    double arrived[TALLIES];
    s_arrived (sink, arrived);
    for (int kind = 0; kind < TALLIES; kind++) {
        fprintf (stderr, "%s: %.0f arrived, of %.0f to %.0f\n", names[kind],
                 arrived[kind], min[kind], max[kind]);
        if (arrived[kind] < min[kind] || arrived[kind] > max[kind])
            fail_msg ("%s: %.0f arrived, expected %.0f to %.0f", names[kind],
                      arrived[kind], min[kind], max[kind]);
    }
}

static void
s_run (uint64_t seed)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    double min[TALLIES], max[TALLIES];
    const char *tallies = temporary_path (text_new ("%" PRIu64, seed));
    const char *const *where = broker_environment (broker);
    fprintf (stderr, "seed %" PRIu64 "\n", seed);
    process_t *stress = process_start (
      LIST (program_path ("stress"), text_new ("%d", SECONDS),
            text_new ("%" PRIu64, seed), program_path ("measured.so"), tallies),
      LIST (where[0], where[1], "ZIBRATO_LINGER_MS=20000"));
    s_watch (stress, seed);
    s_expect (tallies, seed, min, max);
    sink_await (&sink, NULL, "stress.kept", 0, min[KEPT]);
    sink_stop (&sink);
    s_check (&sink, min, max);
}

static uint64_t
s_first_seed (void)
{
    const char *given = getenv ("ZB_SEED");
    return given ? strtoull (given, NULL, 10)
                 : (uint64_t) time (NULL) * 100 + (uint64_t) getpid () % 100;
}

//  Odd and even seeds take turns, and so do the two ends of a program.
static void
everything_at_once_neither_hangs_nor_miscounts (void)
{
    uint64_t first = s_first_seed ();
    for (uint64_t seed = first; seed < first + RUNS; seed++)
        s_run (seed);
}

static const struct CMUnitTest tests[] = {
  TEST (everything_at_once_neither_hangs_nor_miscounts),
};

HARNESS_MAIN (tests)
