/*  test_operators.c - what those who run it rely on: signals, descriptors, and
    what it says about itself

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "harness.h"

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

//  It has something to read again with CURVE only (e2e.curve).
static void
a_hangup_ends_no_broker (void)
{
    broker_t *broker = broker_start ();
    process_signal (broker->process, SIGHUP);
    process_await (broker->process, "event=reloaded");
    broker_stop (broker);
}

//  ZeroMQ would abort.
static void
too_little_is_said (void)
{
    const char *broker =
      text_new ("exec %s broker --port 0", harness_path ("ZB_BIN"));
    const char *const lines[] = {
      text_new ("ulimit -n 30; %s", broker),
      text_new ("ulimit -n 30; exec %s stdout", harness_path ("ZB_BIN")),
      text_new ("ulimit -u 3; %s", broker)};
    const char *const says[] = {
      "zibrato: have 64 descriptors: ", "zibrato: have 64 descriptors: ",
      "zibrato: start 6 threads: "};
    for (int i = 0; i < 3; i++) {
        //  root may have any number of threads
        process_t *self =
          process_start (geteuid () == 0 && i == 2
                           ? LIST ("setpriv", "--reuid", "65534",
                                   "--clear-groups", "bash", "-c", lines[i])
                           : LIST ("bash", "-c", lines[i]),
                         NULL);
        assert_int_equal (process_wait (self), 1);
        const char *text = process_err (self);
        if (strncmp (text, says[i], strlen (says[i])) != 0
            || strchr (text, '\n') != text + strlen (text) - 1)
            fail_msg ("%s: expected %s", text, says[i]);
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
      LIST ("--flush", flush_far (), "--format", "json", "--spool", spool));
    process_await (pipeline, "event=ready");
    publisher_send (publisher_new (broker, ""),
                    "info|Counter|unread|5|1700000000|here");
    int64_t until = now_ms () + WAIT_MS;
    while (!spool_has (spool, "unread")) {
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
//  Where the broker is

//  IPv6 with brackets and without, at both ends.
static void
an_address_may_have_brackets (void)
{
    static const char *const hosts[] = {"::1", "[::1]"};
    for (int i = 0; i < 2; i++) {
        process_t *broker =
          process_start (LIST (harness_path ("ZB_BIN"), "broker", "--host",
                               hosts[i], "--port", "0"),
                         NULL);
        const char *ready = process_await (broker, "event=ready");
        assert_non_null (strstr (ready, "workers=tcp://[::1]:"));
        for (int j = 0; j < 2; j++) {
            process_t *worker = process_start (
              LIST (harness_path ("ZB_BIN"), "stdout", "--host", hosts[j],
                    "--port", strrchr (ready, ':') + 1),
              NULL);
            process_await (worker, "event=ready");
            assert_int_equal (process_stop (worker, SIGTERM), 0);
        }
        assert_int_equal (process_stop (broker, SIGTERM), 0);
    }
}

//  What is not there is said after two seconds, and then ever more rarely.
static void
what_is_waited_for_is_said (void)
{
    int fd = port_take ("127.0.0.1", 0);
    const char *port = text_new ("%d", port_of (fd));
    process_t *worker = process_start (
      LIST (harness_path ("ZB_BIN"), "stdout", "--port", port), NULL);
    const char *place =
      text_new ("event=waiting endpoint=tcp://127.0.0.1:%s seconds=", port);
    int64_t start = now_ms ();
    process_await_nth (worker, place, 1);
    assert_true (now_ms () - start >= 2000);
    process_await_nth (worker, place, 2);
    assert_true (now_ms () - start >= 4000);
    process_await_nth (worker, place, 3);
    assert_true (now_ms () - start >= 8000);
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    close (fd);
}

#if !SANITIZED  //  hosts.so would have to be loaded after the sanitizer

//  A host that nobody knows yet is waited for. When its address changes, the
//  worker goes with it.
static void
a_broker_that_moves_is_found_again (void)
{
    const char *hosts = temporary_path ("hosts");
    broker_t *broker = broker_start (), next = {.port = broker->port};
    process_t *worker = process_start (
      LIST (harness_path ("ZB_BIN"), "stdout", "--format", "json", "--flush",
            "1", "--host", "moving.test", "--port",
            text_new ("%d", broker->port + 1)),
      LIST (text_new ("LD_PRELOAD=%s", program_path ("hosts.so")),
            text_new ("ZB_HOSTS=%s", hosts)));
    sink_t sink = {worker, NULL};
    process_await (worker, "event=waiting endpoint=tcp://moving.test:");
    file_write (hosts, broker->host);
    process_await (worker, "event=ready mode=stdout broker=tcp://moving.test:");
    publisher_send (publisher_new (broker, ""),
                    "info|Counter|first|3|1700000000|here");
    sink_await (&sink, "here", "first", 1, 3);
    broker_give_host (&next);
    broker_launch (&next);
    file_write (hosts, next.host);
    broker_kill (broker);
    publisher_send (publisher_new (&next, ""),
                    "info|Counter|second|4|1700000000|here");
    sink_await (&sink, "here", "second", 1, 4);
    sink_stop (&sink);
    sink_check_sum (&sink, "here", "first", 3);
    broker_stop (&next);
}
#endif

//  --------------------------------------------------------------------------
//  Levels

//  Returns so many levels, from "0000" on.
static const char *
levels_new (int count)
{
    char *text = harness_keep (malloc ((size_t) count * 5 + 1));
    for (int i = 0; i < count; i++)
        sprintf (text + 5 * i, "%04d,", i);
    text[5 * count - 1] = 0;
    return text;
}

//  As many levels as the broker takes of one are heard, until the very stop. With
//  more it would cut the worker, again and again.
static void
more_levels_than_a_broker_takes_are_refused (void)
{
    broker_t *broker = broker_start ();
    zibrato_dies (LIST ("stdout", "--levels", levels_new (1023)),
                  "--levels: 1023 of them; a broker takes 1022 of a worker");
    sink_t sink = sink_stdout (broker, LIST ("--levels", levels_new (1022)));
    //  programs are told that all is wanted before all is
    publisher_insist (publisher_new (broker, ""),
                      "1021|Counter|last|1|1700000000|here", &sink, "here",
                      "last");
    sink_stop (&sink);
    assert_int_equal (process_lines (sink.worker, "event=disconnected"), 0);
    broker_stop (broker);
    assert_int_equal (process_lines (broker->process, "event=cut"), 0);
}

//  A level of 245 to 254 bytes would break the connection (libzmq issue 4367).
static void
a_level_is_heard_or_refused (void)
{
    broker_t *broker = broker_start ();
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    bool mended =
      ZMQ_MAKE_VERSION (major, minor, patch) >= ZMQ_MAKE_VERSION (4, 3, 5);
    for (int size = 244; size <= 255; size++) {
        const char *level = text_new ("%0*d", size, 0);
        if (!mended && size >= 245 && size <= 254) {
            zibrato_dies (LIST ("stdout", "--levels", level),
                          "libzmq issue 4367");
            continue;
        }
        sink_t sink = sink_stdout (broker, LIST ("--levels", level));
        void *publisher = publisher_new_lonely (broker);
        //  a broker's question may come before what is wanted
        while ((unsigned char) socket_receive (publisher)[1] == 0xff) {
        }
        publisher_send (publisher,
                        text_new ("%s|Counter|n|1|1700000000|here", level));
        sink_await (&sink, "here", "n", 1, 1);
        sink_stop (&sink);
    }
}

//  --------------------------------------------------------------------------
//  Health

//  Each row says which of a host's workers it is of: of those here no two are
//  called the same.
static void
health_says_whose_it_is (void)
{
    static const struct {
        const char *option, *value, *name;
    } workers[] = {{"--flush", "1", "stdout"},
                   {"--levels", "info", "stdout.info"},
                   {"--levels", "info,warn", "stdout.info.warn"},
                   {"--name", "mine", "mine"}};
    enum { WORKERS = sizeof workers / sizeof *workers };
    broker_t *broker = broker_start ();
    sink_t sinks[WORKERS + 2];
    char host[256] = "";
    gethostname (host, sizeof host - 1);
    for (int i = 0; i < WORKERS; i++)
        sinks[i] =
          sink_stdout (broker, LIST (workers[i].option, workers[i].value));
    //  of a list that is too long there is a number
    for (int i = 0; i < 2; i++)
        sinks[WORKERS + i] =
          sink_stdout (broker, LIST ("--levels", text_new ("info,%0100d", i)));
    publisher_probe (publisher_new (broker, ""), "info", sinks, WORKERS + 2);
    for (int i = 0; i < WORKERS; i++)
        sink_await (&sinks[i], text_new ("%s.%s", host, workers[i].name),
                    "zibrato.received", 1, 1);
    const char *first =
      process_await (sinks[WORKERS].worker, text_new ("\"%s.stdout.", host));
    const char *source =
      text_new ("%.*s", (int) strlen (host) + 16, strstr (first, host));
    process_await (sinks[WORKERS + 1].worker, "zibrato.received");
    assert_int_equal (process_lines (sinks[WORKERS].worker, source) > 0, 1);
    assert_int_equal (process_lines (sinks[WORKERS + 1].worker, source), 0);
    for (int i = 0; i < WORKERS + 2; i++)
        sink_stop (&sinks[i]);
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
  TEST (a_hangup_ends_no_broker),
  TEST (too_little_is_said),
  TEST (a_worker_ends_with_its_reader),
  TEST (what_nobody_reads_is_kept),
  TEST (closed_descriptors_stay_unused),
  TEST (a_worker_that_cannot_print_is_refused),
  TEST (an_address_may_have_brackets),
  TEST (what_is_waited_for_is_said),
#if !SANITIZED
  TEST (a_broker_that_moves_is_found_again),
#endif
  TEST (more_levels_than_a_broker_takes_are_refused),
  TEST (a_level_is_heard_or_refused),
  TEST (health_says_whose_it_is),
  TEST (log_lines_are_utf8),
};

HARNESS_MAIN (tests)
