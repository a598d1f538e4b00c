/*  test_manners.c - what zibrato.h does to the program that includes it: nothing

    The program's signals, output, locale, random numbers, errno, descriptors,
    threads and memory are its own, and when they run out it is measuring that
    stops, not the program. test/programs/host.c and faults.c are such programs.
    What can be seen from inside is in test/unit/header.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600

#include "harness.h"

//  Runs a program of test/programs, which says nothing on stderr and ends by
//  itself.
static process_t *
s_run (const char *program, const char *command, const char *argument,
       const char *const *env)
{
    process_t *self =
      process_run (LIST (program_path (program), command, argument), env);
    assert_string_equal (process_err (self), "");
    return self;
}

//  The broker's variables and some more.
static const char *const *
s_environment (const broker_t *broker, const char *more, const char *another)
{
    const char **env = harness_keep (calloc (5, sizeof *env));
    memcpy (env, broker_environment (broker), 2 * sizeof *env);
    env[2] = more;
    env[3] = more ? another : NULL;
    return env;
}

//  Returns the number behind a key in what the program said.
static long
s_number (const process_t *self, const char *key)
{
    const char *found = strstr (process_out (self), key);
    if (!found)
        fail_msg ("no %s in: %s", key, process_out (self));
    return strtol (found + strlen (key), NULL, 10);
}

static void
s_end_input (process_t *self)
{
    close (self->input);
    self->input = open ("/dev/null", O_WRONLY | O_CLOEXEC);
}

//  Waits until the worker has lost and found the broker again.
static void
s_restart (broker_t *broker, const sink_t *sink, size_t times)
{
    broker_kill (broker);
    process_await_nth (sink->worker, "event=disconnected", times);
    broker_launch (broker);
    process_await_nth (sink->worker, "event=connected", times);
}

//  --------------------------------------------------------------------------
//  Signals, locale, random numbers

static void
a_broker_that_dies_sends_no_sigpipe (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info,busy"));
    process_t *host =
      process_start (LIST (program_path ("host"), "busy"),
                     s_environment (broker, "ZIBRATO_INTERVAL_MS=1",
                                    "ZIBRATO_LINGER_MS=20000"));
    process_await (host, "busy");
    for (size_t i = 1; i <= 5; i++) {
        double before = sink_total_so_far (&sink, NULL, "busy.count").sum;
        s_restart (broker, &sink, i);
        sink_await (&sink, NULL, "busy.count", 0, before + 1);
    }
    s_end_input (host);
    assert_int_equal (process_wait (host), 0);
    assert_string_equal (process_err (host), "");
    sink_end_with_sum (&sink, NULL, "busy.count",
                       (double) s_number (host, "counted="));
}

//  What handlers measure arrives or is counted: each signal makes two counts
//  and a reading, while the thread is anywhere in the header. Not under
//  ThreadSanitizer, which reports a first pass in a handler, since it allocates:
//  here no allocation is interrupted but the header's own.
__attribute__ ((unused)) static void
handlers_may_measure (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host = s_run ("host", "handlers", SANITIZED ? "2000" : "20000",
                             broker_environment (broker));
    double signals = (double) s_number (host, "signals="),
           passes = (double) s_number (host, "passes="),
           dropped = (double) s_number (host, "dropped="), arrived = 0;
    sink_await (&sink, NULL, "zibrato.dropped", 0, dropped);
    sink_stop (&sink);
    cJSON *rows = sink_rows (&sink);
    const cJSON *row;
    cJSON_ArrayForEach (row, rows)
    {
        const char *name = cJSON_GetObjectItem (row, "name")->valuestring;
        total_t one = {0};
        total_add (&one, row);
        if (!strcmp (name, "handler.gauge") || !strcmp (name, "handled.gauge")
            || !strcmp (name, "handled.time"))
            arrived += one.count;
        else if (!strncmp (name, "handler.", 8)
                 || !strcmp (name, "handled.count"))
            arrived += one.sum;
    }
    cJSON_Delete (rows);
    assert_true (s_number (host, "async=") > 0);
    assert_true (dropped < 3 * signals);
    if (arrived + dropped < 3 * (signals + passes)
        || arrived + dropped > 3 * (signals + passes))
        fail_msg ("%.0f arrived, %.0f dropped, %.0f expected", arrived, dropped,
                  3 * (signals + passes));
}

//  Where there is no such locale it is made.
static void
the_locale_may_change_at_any_time (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_run (LIST ("localedef", "-i", "de_DE", "-f", "UTF-8",
                       temporary_path ("de_DE.UTF-8")),
                 NULL);
    process_t *host =
      s_run ("host", "locale", NULL,
             s_environment (broker, text_new ("LOCPATH=%s", s_folder),
                            "ZIBRATO_LINGER_MS=20000"));
    assert_non_null (strstr (process_out (host), "point=,"));
    double sum = strtod (strstr (process_out (host), "sum=") + 4, NULL);
    sink_await (&sink, NULL, "locale.gauge", 2000, sum);
    sink_await (&sink, NULL, "locale.count", 0, sum);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "locale.gauge", sum);
    sink_check_sum (&sink, NULL, "locale.count", sum);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

static void
random_numbers_are_the_hosts (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host =
      process_start (LIST (program_path ("host"), "random"),
                     s_environment (broker, "ZIBRATO_SOURCE=tcp", NULL));
    process_t *ipc = process_start (
      LIST (program_path ("host"), "random"),
      LIST (text_new ("ZIBRATO_ENDPOINT=ipc://%s", temporary_path ("none")),
            "ZIBRATO_LINGER_MS=0"));
    sink_await (&sink, "tcp", "random.count", 0, 1);
    for (size_t i = 1; i <= 3; i++)
        s_restart (broker, &sink, i);
    s_end_input (host);
    s_end_input (ipc);
    assert_int_equal (process_wait (host), 0);
    assert_int_equal (process_wait (ipc), 0);
    assert_true (s_number (host, "drawn=") > 0);
    assert_int_equal (s_number (host, "strange="), 0);
    assert_int_equal (s_number (ipc, "strange="), 0);
}

//  --------------------------------------------------------------------------
//  Descriptors

static void
descriptors_are_not_inherited_and_not_leaked (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host =
      s_run ("host", "descriptors", "40", broker_environment (broker));
    assert_int_equal (s_number (host, "inherited="), 0);
    assert_int_equal (s_number (host, "leaked="), 0);
    assert_null (strstr (process_out (host), "socket:"));
    assert_null (strstr (process_out (host), "anon_inode:"));
    sink_end_with_sum (&sink, "more", "descriptors.cycles", 40);
}

//  Whatever number of descriptors is left: the program and its child go on,
//  and what they have measured until there are more arrives. Not under
//  sanitizers: LeakSanitizer complains of threads when a child ends, and
//  ThreadSanitizer lets no child of a program with threads start new ones.
__attribute__ ((unused)) static void
too_few_descriptors_stop_nobody (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    double counted = 0;
    int opened = 0, runs = 0;
    for (int spare = 0; spare < 60; spare += spare < 30 ? 1 : 10, runs++) {
        process_t *host =
          s_run ("host", "exhausted", text_new ("%d", spare),
                 s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
        counted += (double) s_number (host, "counted=");
        opened += s_number (host, "opened=") == 1;
    }
    assert_int_equal (opened, runs);
    sink_end_with_sum (&sink, NULL, "exhausted.parent", counted);
    assert_true (sink_total (&sink, NULL, "exhausted.child").sum >= runs);
}

static void
a_connection_is_lost_where_no_descriptor_is_left (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *hosts[2];
    for (int i = 0; i < 2; i++) {
        hosts[i] =
          process_start (LIST (program_path ("host"), "starved", i ? "3" : "1"),
                         s_environment (broker, "ZIBRATO_LINGER_MS=20000",
                                        text_new ("ZIBRATO_SOURCE=%d", i)));
        process_await (hosts[i], "starved");
    }
    for (size_t i = 1; i <= 2; i++)
        s_restart (broker, &sink, i);
    for (int i = 0; i < 2; i++) {
        s_end_input (hosts[i]);
        assert_int_equal (process_wait (hosts[i]), 0);
        assert_string_equal (process_err (hosts[i]), "");
        sink_await (&sink, text_new ("%d", i), "starved.count", 0,
                    (double) s_number (hosts[i], "counted="));
    }
    sink_stop (&sink);
    for (int i = 0; i < 2; i++)
        sink_check_sum (&sink, text_new ("%d", i), "starved.count",
                        (double) s_number (hosts[i], "counted="));
}

//  --------------------------------------------------------------------------
//  Threads

//  As root the program becomes somebody else, whom the limit binds. Not under
//  sanitizers, which make a thread of their own.
__attribute__ ((unused)) static void
too_few_threads_stop_nobody (void)
{
    bool opened = false;
    for (int threads = 1; !opened && threads < 40; threads++) {
        process_t *host =
          s_run ("host", "few-threads", text_new ("%d", threads),
                 LIST ("ZIBRATO_HOST=127.0.0.1", "ZIBRATO_PORT=1",
                       "ZIBRATO_LINGER_MS=0"));
        opened = s_number (host, "opened=") == 1;
        assert_int_equal (s_number (host, "errno="), opened ? 0 : EAGAIN);
        //  for who is not root, other processes of the same user count
        if (geteuid () != 0)
            break;
    }
    assert_true (opened || geteuid () != 0);
}

//  Not under sanitizers, which remember threads that are gone.
__attribute__ ((unused)) static void
a_hundred_thousand_threads_leave_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host =
      s_run ("host", "threads", "100000",
             s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
    assert_in_range (s_number (host, "kib=") + 4096, 0, 8192);
    assert_int_equal (s_number (host, "descriptors="), 0);
    assert_in_range (s_number (host, "mappings=") + 16, 0, 32);
    sink_await (&sink, NULL, "threads.count", 0, 100000);
    sink_await (&sink, NULL, "threads.time", 100000, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "threads.count", 100000);
    sink_check_count (&sink, NULL, "threads.time", 100000);
}

static void
keys_of_threads_may_all_be_taken (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host =
      s_run ("host", "keys", NULL,
             s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
    assert_true (s_number (host, "made=") > 0);
    assert_int_equal (s_number (host, "strange="), 0);
    assert_int_equal (s_number (host, "dropped="), 0);
    sink_await (&sink, NULL, "keys.count", 0, 100);
    sink_await (&sink, NULL, "keys.time", 100, 0);
    sink_await (&sink, NULL, "keys.gauge", 100, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "keys.count", 100);
    sink_check_count (&sink, NULL, "keys.time", 100);
    sink_check_count (&sink, NULL, "keys.gauge", 100);
}

//  --------------------------------------------------------------------------
//  Failures

static long
s_survived (const char *what)
{
    return s_number (s_run ("faults", what, NULL,
                            LIST ("ZIBRATO_HOST=127.0.0.1", "ZIBRATO_PORT=1",
                                  "ZIBRATO_LINGER_MS=20")),
                     "survived=");
}

//  Not under ThreadSanitizer, which lets no child of a program with threads
//  start new ones.
__attribute__ ((unused)) static void
any_allocation_may_fail (void)
{
    assert_true (s_survived ("memory") >= 50);
}

__attribute__ ((unused)) static void
any_thread_descriptor_or_value_may_fail (void)
{
    assert_true (s_survived ("thread") >= 5);
    assert_true (s_survived ("descriptor") >= 20);
    assert_true (s_survived ("value") >= 2);
}

//  Durations, counts and intervals know nothing of the wall clock; and the
//  time-stamp counter is given up when it goes astray.
static void
clocks_may_go_astray (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host =
      s_run ("faults", "clock", NULL,
             s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
    double naps = (double) s_number (host, "naps=");
    assert_int_equal (s_number (host, "left="), 0);
    sink_await (&sink, NULL, "clock.count", 0, naps);
    sink_await (&sink, NULL, "clock.time", naps, 0);
    sink_await (&sink, NULL, "clock.gauge", naps, naps);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "clock.count", naps);
    sink_check_count (&sink, NULL, "clock.gauge", naps);
    total_t total = sink_total (&sink, NULL, "clock.time");
    //  no step of the wall clock is in it; at the change of clocks one nap may
    //  seem to take no time at all
    assert_true (total.count == naps && total.min >= 0 && total.max < 3600);
    assert_true (total.sum > naps * 0.0004);
}

//  zb_close and exit take as long as they may, not as long as it takes ZeroMQ
//  to ask a name server.
static void
a_silent_name_server_delays_no_exit (void)
{
    process_t *host = s_run ("faults", "resolver", NULL, NULL);
    assert_string_equal (process_out (host), "done\n");
}

//  --------------------------------------------------------------------------
//  Libraries and leaks

//  Not under sanitizers: they do not forget a library that is gone.
__attribute__ ((unused)) static void
a_library_that_measures_may_come_and_go (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *loader =
      s_run ("loader", program_path ("measured.so"), "50",
             s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
    double passes = (double) s_number (loader, "passes=");
    assert_int_equal (s_number (loader, "tasks="), 0);
    assert_int_equal (s_number (loader, "descriptors="), 0);
    assert_int_equal (s_number (loader, "keys="), 0);
    sink_await (&sink, NULL, "module.count", 0, passes);
    sink_await (&sink, NULL, "module.time", passes, 0);
    sink_await (&sink, NULL, "module.gauge", passes, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "module.count", passes);
    sink_check_count (&sink, NULL, "module.time", passes);
    sink_check_count (&sink, NULL, "module.gauge", passes);
}

//  What valgrind says of the program, without what it says of libraries that
//  did not come from us: they keep what they need only once.
__attribute__ ((unused)) static void
nothing_is_left_in_memory (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    process_t *host = process_run (
      LIST ("valgrind", "--leak-check=full", "--show-leak-kinds=all",
            "--num-callers=40", "--log-file=/dev/stderr", program_path ("host"),
            "plain"),
      s_environment (broker, "ZIBRATO_LINGER_MS=20000", NULL));
    const char *report = process_err (host);
    assert_string_equal (process_out (host), "");
    assert_non_null (strstr (report, "HEAP SUMMARY"));
    if (strstr (report, "definitely lost:")
        && !strstr (report, "definitely lost: 0 bytes"))
        fail_msg ("something is definitely lost");
    if (strstr (report, ": zb_") || strstr (report, "Invalid "))
        fail_msg ("zibrato.h has left something, or gone astray");
    sink_await (&sink, NULL, "plain.count", 0, 1000);
}

static const struct CMUnitTest tests[] = {
  TEST (a_broker_that_dies_sends_no_sigpipe),
#if !SANITIZED_T
  TEST (handlers_may_measure),
#endif
  TEST (the_locale_may_change_at_any_time),
  TEST (random_numbers_are_the_hosts),
  TEST (descriptors_are_not_inherited_and_not_leaked),
#if !SANITIZED
  TEST (too_few_descriptors_stop_nobody),
#endif
  TEST (a_connection_is_lost_where_no_descriptor_is_left),
#if !SANITIZED
  TEST (too_few_threads_stop_nobody),
  TEST (a_hundred_thousand_threads_leave_nothing),
#endif
  TEST (keys_of_threads_may_all_be_taken),
#if !SANITIZED
  TEST (any_allocation_may_fail),
  TEST (any_thread_descriptor_or_value_may_fail),
#endif
  TEST (clocks_may_go_astray),
  TEST (a_silent_name_server_delays_no_exit),
#if !SANITIZED
  TEST (a_library_that_measures_may_come_and_go),
  TEST (nothing_is_left_in_memory),
#endif
};

HARNESS_MAIN (tests)
