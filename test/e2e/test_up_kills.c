/*  test_up_kills.c - broker and server under `zibrato up` are killed at random moments,
    and so is `up` itself, which is started again when its children have ended

    What a program counts all the while is stored once, and no process is left behind.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 LONG 3600 NOTSAN - what is killed is the same in e2e.serve_crash

#include "site.h"
#include "up.h"

enum { KILLS = 12, KILLS_LONG = 200, MOMENT_MS = 1500 };

//  Waits until there is one: it may be between two lives.
static void
s_kill_child (const up_t *up, const char *mode)
{
    int64_t until = now_ms () + WAIT_MS;
    pid_t pid;
    while (!(pid = up_child (up, mode))) {
        poll_pause ();
        assert_true (process_alive (up->process));
        if (now_ms () > until)
            fail_msg ("there is no %s", mode);
    }
    kill (pid, SIGKILL);
}

//  Its children end then. They have its standard output, so to wait for its end is to
//  wait for theirs.
static void
s_kill_up (up_t *up)
{
    assert_int_equal (process_stop (up->process, SIGKILL), 128 + SIGKILL);
    up_launch (up, NULL);
    up->serve.process = up->process;
}

//  As the server's API has it; nothing while there is no server.
static total_t
s_total (const up_t *up, const char *name)
{
    int64_t from_s = (int64_t) time (NULL) - 3 * 3600;
    return serve_read_total (&up->serve, NULL, name, 1, from_s);
}

static void
s_await (const up_t *up, const char *name, double count, double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    total_t total = s_total (up, name);
    while (total.count < count || total.sum < sum) {
        poll_pause ();
        total = s_total (up, name);
        if (now_ms () > until)
            fail_msg ("%s: %.17g samples, sum %.17g; expected %.17g, %.17g",
                      name, total.count, total.sum, count, sum);
    }
}

//  Who has lost its parent is our child. Waits until there is none.
static void
s_await_nobody (void)
{
    const char *path = text_new ("/proc/self/task/%d/children", getpid ());
    int64_t until = now_ms () + WAIT_MS;
    char *list;
    while (*(list = file_read (path, NULL))) {
        pid_t pid = (pid_t) strtol (list, NULL, 10);
        if (now_ms () > until)
            fail_msg (
              "%s is left: %s", list,
              file_read (text_new ("/proc/%d/status", (int) pid), NULL));
        waitpid (pid, NULL, WNOHANG);
        poll_pause ();
    }
}

static void
s_check (const up_t *up, const load_t *load)
{
    cJSON *rows = serve_rows (&up->serve);
    total_t count = rows_total (rows, NULL, "load.count");
    total_t timed = rows_total (rows, NULL, "load.time");
    double gauges = rows_total (rows, NULL, "load.gauge").count;
    double lost = rows_total (rows, NULL, "zibrato.lost").sum;
    double dropped = rows_total (rows, NULL, "zibrato.dropped").sum;
    cJSON_Delete (rows);
    print_message ("    %.0f counted, %.0f readings, %.0f lost, %.0f dropped\n",
                   load->count, load->gauges, lost, dropped);
    assert_true (count.sum == load->count);
    assert_true (timed.count == load->times);
    assert_true (timed.sum_ns == load->time_ns);
    assert_true (dropped == load->dropped);
    assert_true (gauges + lost + dropped == load->gauges);
}

static void
whoever_is_killed_nothing_is_lost (void)
{
    int kills = getenv ("ZB_LONG") ? KILLS_LONG : KILLS;
    up_t *up;
    load_t load;
    prctl (PR_SET_CHILD_SUBREAPER, 1);
    up = up_start ();
    up_ask_at (up);
    load = load_start (&up->broker, 2, 2000);
    s_await (up, "load.count", 0, 1);
    for (int i = 0; i < kills; i++) {
        random_moment (MOMENT_MS);
        if (i % 3 == 2)
            s_kill_up (up);
        else
            s_kill_child (up, i % 3 ? "serve" : "broker");
    }
    //  the server is there, and gets more
    s_await (up, "load.count", 0, 1);
    s_await (up, "load.count", 0, s_total (up, "load.count").sum + 1);
    load_end_dropping (&load);
    s_await (up, "load.count", 0, load.count);
    s_await (up, "load.time", load.times, 0);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    s_await_nobody ();
    s_check (up, &load);
}

static const struct CMUnitTest tests[] = {
  TEST (whoever_is_killed_nothing_is_lost)};

HARNESS_MAIN (tests)
