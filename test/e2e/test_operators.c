/*  test_operators.c - what those who run it rely on: signals, descriptors, and
    what it says about itself

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "harness.h"

#include <glob.h>

//  Starts a worker by a line of shell, in which "$@" is the worker.
static process_t *
worker_shell (const broker_t *broker, const char *line,
              const char *const *options)
{
    const char *argv[32] = {"bash",
                            "-c",
                            line,
                            "bash",
                            harness_path ("ZB_BIN"),
                            "stdout",
                            "--host",
                            broker->host,
                            "--port",
                            text_new ("%d", broker->port + 1)};
    for (int i = 0; options && options[i]; i++)
        argv[10 + i] = options[i];
    return process_start (argv, NULL);
}

//  --------------------------------------------------------------------------
//  Signals

static void
a_hangup_ends_no_worker (void)
{
    broker_t *broker = broker_start ();
    sink_t sinks[] = {sink_stdout (broker, NULL),
                      sink_librato (broker, NULL, NULL)};
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", sinks, 2);
    for (int i = 0; i < 2; i++) {
        process_signal (sinks[i].worker, SIGHUP);
        process_await (sinks[i].worker, "event=reloaded");
    }
    publisher_send (publisher, "info|Counter|hung|7|1700000000|here");
    for (int i = 0; i < 2; i++) {
        sink_await (&sinks[i], "here", "hung", 1, 7);
        sink_stop (&sinks[i]);
    }
}

//  --------------------------------------------------------------------------
//  Descriptors

//  As with any program in front of head(1), the shell sees SIGPIPE.
static void
a_worker_ends_with_its_reader (void)
{
    broker_t *broker = broker_start ();
    process_t *pipeline =
      worker_shell (broker, "\"$@\" | head -n 1; echo ended ${PIPESTATUS[*]}",
                    LIST ("--flush", "1", "--format", "json"));
    process_await (pipeline, "event=ready");
    publisher_send (publisher_new (broker, ""),
                    "info|Gauge|read|5|1700000000|here");
    process_await (pipeline, "ended 141 0");
    assert_int_equal (process_lines (pipeline, "event=stopped"), 1);
}

//  Is the text in a journal of the spool?
static bool
journal_has (const char *spool, const char *text)
{
    glob_t journals;
    bool has = false;
    if (glob (text_new ("%s/journal-*", spool), 0, NULL, &journals) != 0)
        return false;
    for (size_t i = 0; i < journals.gl_pathc; i++) {
        size_t size;
        const char *journal = file_read (journals.gl_pathv[i], &size);
        has |= memmem (journal, size, text, strlen (text)) != NULL;
    }
    globfree (&journals);
    return has;
}

//  What nobody has read by then is there at the next start.
static void
what_nobody_reads_is_kept (void)
{
    const char *spool = temporary_path ("spool");
    broker_t *broker = broker_start ();
    process_t *pipeline = worker_shell (
      broker,
      "\"$@\" | (echo reader $BASHPID >&2; exec sleep 1000); "
      "echo ended ${PIPESTATUS[*]}",
      LIST ("--flush", "3600", "--format", "json", "--spool", spool));
    process_await (pipeline, "event=ready");
    publisher_send (publisher_new (broker, ""),
                    "info|Counter|unread|5|1700000000|here");
    int64_t until = now_ms () + WAIT_MS;
    while (!journal_has (spool, "unread")) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    const char *reader = process_await (pipeline, "reader ");
    kill ((pid_t) strtol (strstr (reader, "reader ") + 7, NULL, 10), SIGKILL);
    process_await (pipeline, "event=kept");
    process_await (pipeline, "ended 141 137");
    sink_t sink = sink_stdout (broker, LIST ("--spool", spool));
    sink_await (&sink, "here", "unread", 1, 5);
    sink_stop (&sink);
    sink_check_sum (&sink, "here", "unread", 5);
}

//  Returns what a descriptor of a process is.
static const char *
descriptor_of (const process_t *self, int fd)
{
    char *target = harness_keep (calloc (1, 256));
    const char *path = text_new ("/proc/%d/fd/%d", (int) self->pid, fd);
    return readlink (path, target, 255) > 0 ? target : "";
}

//  Nothing that is opened later becomes one of the first three.
static void
closed_descriptors_stay_unused (void)
{
    broker_t *broker = broker_start ();
    const char *log = temporary_path ("log");
    process_t *closed = process_start (
      LIST ("bash", "-c", text_new ("exec \"$@\" <&- >&- 2>%s", log), "bash",
            harness_path ("ZB_BIN"), "librato", "--username", "u", "--apitoken",
            "t", "--url", "http://127.0.0.1:1", "--host", broker->host,
            "--port", text_new ("%d", broker->port + 1)),
      NULL);
    int64_t until = now_ms () + WAIT_MS;
    while (!strstr (file_read (log, NULL), "event=ready")) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    assert_string_equal (descriptor_of (closed, 0), "/dev/null");
    assert_string_equal (descriptor_of (closed, 1), "/dev/null");
    assert_int_equal (process_stop (closed, SIGTERM), 0);
}

static void
a_worker_that_cannot_print_is_refused (void)
{
    broker_t *broker = broker_start ();
    process_t *closed = worker_shell (broker, "exec \"$@\" >&-", NULL);
    assert_int_equal (process_wait (closed), 1);
    assert_string_equal (process_err (closed),
                         "zibrato: standard output is closed\n");
}

//  --------------------------------------------------------------------------
//  The log

//  A name is shown as it is, and what is no UTF-8 or steers the terminal is not.
static void
log_lines_are_utf8 (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    publisher_send (publisher_new (broker, ""),
                    "info|Gauge|gr\303\266\303\237e|1|1700000000|here\n"
                    "info|Gauge|gr\303\274\303\237e|1|1700000000|here\n"
                    "a\377b\302\233c\342\200\256d\033e \342\202\254");
    assert_non_null (strstr (process_await (sink.worker, "event=collision"),
                             " text=\"gr\303\274\303\237e\" other="
                             "\"gr\303\266\303\237e\""));
    assert_non_null (strstr (process_await (sink.worker, "event=malformed"),
                             " example=\"a?b??c???d?e \342\202\254\""));
    sink_stop (&sink);
}

static const struct CMUnitTest tests[] = {
  TEST (a_hangup_ends_no_worker),
  TEST (a_worker_ends_with_its_reader),
  TEST (what_nobody_reads_is_kept),
  TEST (closed_descriptors_stay_unused),
  TEST (a_worker_that_cannot_print_is_refused),
  TEST (log_lines_are_utf8),
};

HARNESS_MAIN (tests)
