/*  test_leaks.c - what a program, the broker and the workers took, they give back

    Each runs under valgrind's memcheck, and must end with 0: 99 is what that
    makes of memory that nobody can find any more at the end, or that was used
    when it should not have been. valgrind.supp holds what the libraries do.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600 NOSAN - it is a sanitizer itself

#include "harness.h"

#include <sys/stat.h>

//  A script that becomes the program, watched.
static char *
s_watched (const char *program)
{
    char *path = temporary_path (strrchr (program, '/') + 1);
    file_write (
      path,
      text_new ("#!/bin/sh\n"
                "exec valgrind -q --leak-check=full "
                "--errors-for-leak-kinds=definite,indirect,possible "
                "--show-leak-kinds=definite,indirect,possible "
                "--error-exitcode=99 --num-callers=30 "
                "--suppressions='%s/test/e2e/valgrind.supp' '%s' \"$@\"\n",
                harness_path ("ZB_SOURCE"), program));
    assert_int_equal (chmod (path, 0755), 0);
    return path;
}

//  Broker and workers of this test are watched, and programs have more time to
//  leave.
static void
s_watch (void)
{
    static char *zibrato;
    if (!zibrato)
        zibrato = strdup (harness_path ("ZB_BIN"));
    setenv ("ZB_BIN", s_watched (zibrato), 1);
    setenv ("ZIBRATO_LINGER_MS", "30000", 1);
}

//  Everything that can be measured, bad names and all. To its end, which is that
//  of its input.
static void
s_measure (const char *option, const char *const *env)
{
    process_t *measure =
      process_start (LIST (s_watched (program_path ("measure")), option), env);
    process_send (measure, "many\t1000\n"
                           "count\tinfo\tleaks.count\t7\ts\n"
                           "time\tdebug\tleaks.time\t0.5\ts\n"
                           "gauge\tcrit\tleaks.gauge\t3\ts\n"
                           "count\tinfo\tbad|name\nflush\t20000\nstats\n");
    process_await (measure, "flush 0");
    close (measure->input);
    measure->input = -1;
    assert_int_equal (process_wait (measure), 0);
}

//  By the default instance, by one that is closed, by threads. But no fork: a
//  child cannot end the ZeroMQ context of its parent, and lets it be.
static void
programs_give_back (void)
{
    s_watch ();
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    const char *const *env = broker_environment (broker);
    s_measure (NULL, env);
    s_measure ("--classic", env);
    process_run (LIST (s_watched (harness_path ("ZB_INDEXER")), "-t", "2",
                       text_new ("%s/contrib", harness_path ("ZB_SOURCE"))),
                 env);
    sink_await (&sink, "s", "leaks.count", 0, 14);
    sink_stop (&sink);
    broker_stop (broker);
}

//  A program that nobody listens to ends as well. It has time to end its thread,
//  which watched on a busy machine takes longer than it would wait.
static void
a_program_alone_gives_back (void)
{
    process_t *burst =
      process_run (LIST (s_watched (program_path ("burst"))),
                   LIST ("ZIBRATO_ENDPOINT=ipc:///nowhere/at/all",
                         "ZIBRATO_LINGER_MS=5000"));
    assert_string_equal (process_err (burst), "");
}

//  Lines that are taken, malformed, repeated and lost; rows that are tried again
//  and refused.
static void
s_worker_gives_back (const char *const *options)
{
    s_watch ();
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, options);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    standin_script (sink.standin, "503,html400,refuse*");
    long now = (long) time (NULL);
    for (int i = 0; i < 3; i++)
        publisher_send (
          publisher,
          text_new ("info|Counter|n|1|%ld|s|1-1:%d:0:%d\n"
                    "info|Timer|t|1|%ld|s|1-1:%d:0:1:1:1:1:1:0=1\n"
                    "info|Gauge|g|1|%ld|s|1-1:%d\n"
                    "info|Gauge|poison|1|%ld|s\n"
                    "nonsense\n",
                    now, 2 * i, i + 1, now, 2 * i + 1, now, 3 * i, now));
    process_await (sink.worker, "event=rejected");
    publisher_send (publisher, text_new ("info|Counter|last|1|%ld|s", now));
    sink_await (&sink, "s", "last", 0, 1);
    sink_stop (&sink);
    broker_stop (broker);
}

static void
a_worker_gives_back (void)
{
    s_worker_gives_back (LIST ("--percentiles", "50,99", "--batch", "4"));
}

static void
a_worker_with_a_spool_gives_back (void)
{
    s_worker_gives_back (
      LIST ("--spool", temporary_path ("spool"), "--batch", "4"));
}

//  Nobody answers; what is left is lost, or waits for the next start.
static void
a_worker_without_a_service_gives_back (void)
{
    s_watch ();
    broker_t *broker = broker_start ();
    process_t *worker =
      worker_start (broker, "librato",
                    LIST ("--username", "u@example.org", "--apitoken", "t",
                          "--url", "http://127.0.0.1:1/v1/metrics", "--flush",
                          "1", "--deadline", "0", "--levels", "info,debug"),
                    NULL);
    void *publisher = publisher_new (broker, "info|");
    process_await (worker, "event=retry");
    publisher_send (publisher, "info|Counter|n|1|1760000000|s");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    broker_stop (broker);
}

//  Keys are made, read, listed, and the list read again; all with one key.
static void
with_curve_all_give_back (void)
{
    s_watch ();
    char *keys = temporary_path ("keys"),
         *key = temporary_path ("keys/zibrato");
    process_run (LIST (harness_path ("ZB_BIN"), "keygen", keys, "zibrato"),
                 NULL);
    process_t *broker =
      process_start (LIST (harness_path ("ZB_BIN"), "broker", "--port", "0",
                           "--curve", key, "--authorized", keys),
                     NULL);
    const char *ready =
      strrchr (process_await (broker, "event=ready"), ':') + 1;
    int port = (int) strtol (ready, NULL, 10);
    process_signal (broker, SIGHUP);
    process_await (broker, "event=reloaded");
    process_t *worker =
      process_start (LIST (harness_path ("ZB_BIN"), "stdout", "--port",
                           text_new ("%d", port), "--flush", "1", "--format",
                           "json", "--curve-server", key, "--curve-cert", key),
                     NULL);
    process_await (worker, "event=ready");
    const char *text = strstr (file_read (key, NULL), "public-key = \"");
    const char *env[] = {
      text_new ("ZIBRATO_PORT=%d", port - 1),
      text_new ("ZIBRATO_CURVE_SERVER_KEY=%.40s", strchr (text, '"') + 1),
      text_new ("ZIBRATO_CURVE_CERT=%s", key), NULL};
    s_measure (NULL, env);
    process_await (worker, "\"leaks.gauge\"");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    assert_int_equal (process_stop (broker, SIGTERM), 0);
}

static const struct CMUnitTest s_tests[] = {
  TEST (programs_give_back),
  TEST (a_program_alone_gives_back),
  TEST (a_worker_gives_back),
  TEST (a_worker_with_a_spool_gives_back),
  TEST (a_worker_without_a_service_gives_back),
  TEST (with_curve_all_give_back)};

HARNESS_MAIN (s_tests)
