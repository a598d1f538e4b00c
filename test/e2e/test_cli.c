/*  test_cli.c - the command line: what it says, and how it ends

    Help is compared with golden/NAME.txt. To renew these after a change, run
    with ZB_GOLDEN=write, and look at the difference.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - nothing of it is about threads

#include "harness.h"

//  Compares with a file, or writes it.
static void
golden_check (const char *name, const char *text)
{
    const char *path =
      text_new ("%s/test/e2e/golden/%s.txt", harness_path ("ZB_SOURCE"), name);
    if (getenv ("ZB_GOLDEN"))
        file_write (path, text);
    else
        assert_string_equal (text, file_read (path, NULL));
}

//  --------------------------------------------------------------------------
//  Help and mistakes

//  Of the last three contrib/docs has the help, which readme.check compares.
static void
help_is_golden (void)
{
    static const char *const modes[] = {"keygen", "stdout",  "worker",
                                        "broker", "librato", "replay"};
    enum { MODES = sizeof modes / sizeof *modes, GOLDEN = 3 };
    process_t *help = zibrato_run (LIST ("--help"));
    assert_int_equal (help->status, 0);
    assert_string_equal (process_err (help), "");
    golden_check ("zibrato", process_out (help));
    for (size_t i = 0; i < MODES; i++) {
        help = zibrato_run (LIST (modes[i], "--help"));
        assert_int_equal (help->status, 0);
        assert_string_equal (process_err (help), "");
        if (i < GOLDEN)
            golden_check (modes[i], process_out (help));
        //  the other way to ask
        process_t *other = zibrato_run (LIST ("help", modes[i]));
        assert_int_equal (other->status, 0);
        assert_string_equal (process_out (other), process_out (help));
    }
}

//  What holds is looked over, then printed; nothing is opened.
static void
options_come_from_a_file (void)
{
    const char *path = temporary_path ("zibrato.conf");
    file_write (path, "[broker]\nport = 1\n[stdout]\nflush = 5\n"
                      "levels = info,warn\n");
    process_t *worker = zibrato_run (
      LIST ("stdout", "--flush", "7", "--config", path, "--check"));
    assert_int_equal (worker->status, 0);
    assert_string_equal (process_err (worker), "");
    assert_non_null (
      strstr (process_out (worker),
              text_new ("  %-16s %-32s %s:5\n", "levels", "info,warn", path)));
    assert_non_null (
      strstr (process_out (worker),
              text_new ("  %-16s %-32s %s\n", "flush", "7", "command line")));
    process_t *broker =
      zibrato_run (LIST ("broker", "--config", path, "--check"));
    assert_int_equal (broker->status, 0);
    assert_non_null (
      strstr (process_out (broker),
              text_new ("  %-16s %-32s %s:2\n", "port", "1", path)));
    zibrato_dies (LIST ("librato", "--config", path), "[librato]");
    file_write (path, "[stdout]\nlevels = a|b\n");
    zibrato_dies (LIST ("stdout", "--config", path, "--check"), "--levels");
}

static void
version_is_the_headers (void)
{
    process_t *self = zibrato_run (LIST ("--version"));
    assert_int_equal (self->status, 0);
    const char *header =
      file_read (text_new ("%s/zibrato.h", harness_path ("ZB_SOURCE")), NULL);
    const char *version = strstr (header, "#define ZIBRATO_VERSION \"");
    assert_non_null (version);
    version = strchr (version, '"') + 1;
    assert_string_equal (
      process_out (self),
      text_new ("zibrato %.*s\n", (int) strcspn (version, "\""), version));
}

//  Usage: says what is wrong in the first line, then how to do it.
static void
s_check_usage (const char *const *arguments, const char *wrong)
{
    process_t *self = zibrato_run (arguments);
    assert_int_equal (self->status, 2);
    assert_string_equal (process_out (self), "");
    const char *text = process_err (self);
    if (strncmp (text, "zibrato: ", 9) != 0 || !strstr (text, wrong))
        fail_msg ("%s does not say: %s", text, wrong);
    assert_non_null (strstr (text, "usage: zibrato"));
}

static void
a_wrong_option_is_answered_with_usage (void)
{
    s_check_usage (LIST ("broker", "--bogus"), "--bogus");
    s_check_usage (LIST ("broker", "--bogus=1"), "--bogus");
    s_check_usage (LIST ("broker", "bogus"), "bogus");
    s_check_usage (LIST ("broker", "--port"), "--port");
    s_check_usage (LIST ("keygen"), "expected DIR");
    s_check_usage (LIST ("keygen", "a", "b", "c"), "c: expected an option");
    s_check_usage (LIST ("keygen", "--curve", "a"), "--curve");
    s_check_usage (LIST ("stdout", "--url", "x"), "--url");
    s_check_usage (LIST ("librato", "--format", "x"), "--format");
    s_check_usage (LIST ("worker"), "--plugin");
    s_check_usage (LIST ("worker", "--flush", "1"), "--plugin");
}

static void
a_wrong_mode_is_answered_with_usage (void)
{
    s_check_usage (LIST ("bogus"), "no such mode: bogus");
    s_check_usage (LIST ("help", "bogus"), "no such mode: bogus");
    s_check_usage ((const char *const[]){NULL}, "expected a mode");
}

static void
bad_values_end_with_one_line (void)
{
    zibrato_dies (LIST ("broker", "--port", "99999"), "--port");
    zibrato_dies (LIST ("broker", "--port", "-1"), "--port");
    zibrato_dies (LIST ("broker", "--port", "5550x"), "--port");
    zibrato_dies (LIST ("broker", "--port", ""), "--port");
    zibrato_dies (LIST ("stdout", "--port", "0"), "--port");
    zibrato_dies (LIST ("stdout", "--flush", "0"), "--flush");
    zibrato_dies (LIST ("stdout", "--format", "xml"), "--format");
    zibrato_dies (LIST ("stdout", "--levels", "a|b"), "--levels");
    zibrato_dies (LIST ("stdout", "--levels", "a,,b"), "--levels");
    zibrato_dies (LIST ("stdout", "--levels", "a,"), "--levels");
    zibrato_dies (LIST ("stdout", "--host", "a b"), "tcp://a b:5551");
    zibrato_dies (LIST ("stdout", "--name", ""), "--name");
    zibrato_dies (LIST ("stdout", "--name", "a|b"), "--name");
    zibrato_dies (LIST ("stdout", "--name", text_new ("%0200d", 0)), "--name");
    zibrato_dies (LIST ("stdout", "--worker", "a|b"), "--worker a|b");
    zibrato_dies (LIST ("stdout", "--percentiles", "50,x"), "--percentiles");
    zibrato_dies (LIST ("stdout", "--percentiles", "100"), "--percentiles");
    zibrato_dies (LIST ("stdout", "--percentiles", "50,50,5e1"), "NAME.p50");
    zibrato_dies (LIST ("stdout", "--percentiles", "99.99999,99.999991"),
                  "NAME.p100");
    zibrato_dies (LIST ("librato"), "--username");
    zibrato_dies (LIST ("librato", "--username", "u"), "LIBRATO_TOKEN");
    zibrato_dies (LIST ("librato", "--username", "u", "--apitoken", "t",
                        "--url", "ftp://x"),
                  "--url");
    zibrato_dies (LIST ("librato", "--username", "u", "--apitoken-file",
                        "/nonexistent/token"),
                  "/nonexistent/token");
}

static void
an_unknown_host_ends_a_broker_with_one_line (void)
{
    zibrato_dies (LIST ("broker", "--host", "no.such.host.invalid"),
                  "no.such.host.invalid");
    zibrato_dies (LIST ("broker", "--host", "[no.such.host.invalid]"),
                  "[no.such.host.invalid]");
}

//  Either of the two ports may be the one that is taken.
static void
a_port_in_use_ends_with_one_line (void)
{
    broker_t *broker = broker_start ();
    for (int next = 0; next <= 1; next++) {
        int fd = port_listen (broker->host, 0);
        zibrato_dies (LIST ("broker", "--host", broker->host, "--port",
                            text_new ("%d", port_of (fd) - next)),
                      "in use");
        close (fd);
    }
}

//  Every other of the first ports that are there for everybody (49152 and on;
//  RFC 6335, section 6) is taken: --port 0 looks further.
static void
half_a_free_pair_is_passed_over (void)
{
    enum { FIRST = 49152, TAKEN = 32 };
    broker_t broker = {.port = 0};
    int fds[TAKEN];
    broker_give_host (&broker);
    for (int i = 0; i < TAKEN; i++)
        fds[i] = port_listen (broker.host, FIRST + 1 + 2 * i);
    broker_launch (&broker);
    broker_stop (&broker);
    for (int i = 0; i < TAKEN; i++)
        close (fds[i]);
}

//  --------------------------------------------------------------------------
//  Signals

static void
signals_stop_within_a_second (void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT};
    for (int i = 0; i < 3; i++) {
        broker_t *broker = broker_start ();
        sink_t printing = sink_stdout (broker, NULL);
        sink_t sending = sink_librato (broker, NULL, NULL);
        process_t *all[] = {sending.worker, printing.worker, broker->process};
        for (int j = 0; j < 3; j++) {
            int64_t start = now_ms ();
            assert_int_equal (process_stop (all[j], numbers[i]), 0);
            assert_true (all[j]->ended_ms - start < (SANITIZED ? 5000 : 1000));
            assert_int_equal (process_lines (all[j], "event=stopping"), 1);
        }
    }
}

//  A worker without a broker waits for one, and stops all the same.
static void
a_worker_without_a_broker_stops_too (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    broker_kill (broker);
    process_await (sink.worker, "event=disconnected");
    broker_launch (broker);
    process_await (sink.worker, "event=connected");
    broker_kill (broker);
    process_await_nth (sink.worker, "event=disconnected", 2);
    int64_t start = now_ms ();
    assert_int_equal (process_stop (sink.worker, SIGTERM), 0);
    assert_true (sink.worker->ended_ms - start < (SANITIZED ? 5000 : 1000));
}

//  --------------------------------------------------------------------------
//  Output

static int
s_compare (const void *a, const void *b)
{
    return strcmp (*(char *const *) a, *(char *const *) b);
}

//  Whose source is longer than any host's name, and whose name and figures
//  are longer than those that the worker adds of itself: they set the widths.
static void
the_table_is_golden (void)
{
    static const char source[] =
      "a-source-of-seventy-bytes-which-is-more-than-a-host-name-may-ever-have";
    broker_t *broker = broker_start ();
    process_t *worker = worker_start (
      broker, "stdout", LIST ("--flush", "1", "--format", "table"),
      LIST ("TZ=UTC"));
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher,
                    text_new ("info|Timer|table.timer.of.some.length|0.25|"
                              "1700000000|%s\n"
                              "info|Timer|table.timer.of.some.length|0.5|"
                              "1700000000|%s\n"
                              "info|Gauge|table.gauge|123456789012.25|"
                              "1700000001.5|%s\n"
                              "info|Gauge|table.gauge|-5|1700000002|q1",
                              source, source, source));
    process_await_nth (worker, "table.gauge", 2);
    process_await (worker, "table.timer");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    char *rows = text_new ("%s", process_out (worker)), *row, *sorted[3];
    const char *title = strsep (&rows, "\n");
    size_t count = 0;
    while ((row = strsep (&rows, "\n")))
        if (strstr (row, "table.") && count < 3)
            sorted[count++] = row;
    assert_int_equal (count, 3);
    qsort (sorted, count, sizeof *sorted, s_compare);
    golden_check ("table", text_new ("%s\n%s\n%s\n%s\n", title, sorted[0],
                                     sorted[1], sorted[2]));
}

//  A letter of two or three bytes takes one column, one of Han two, and an
//  accent that is added to the letter before it none.
static void
the_table_counts_columns (void)
{
    static const struct {
        const char *source;
        int columns;
    } sources[] = {{"Zurich", 6},
                   {"Z\303\274rich", 6},
                   {"Zu\314\210rich", 6},
                   {"\346\235\261\344\272\254", 4},
                   {"Z\374rich", 6}};
    enum { SOURCES = sizeof sources / sizeof *sources, WIDTH = 70 };
    broker_t *broker = broker_start ();
    process_t *worker = worker_start (
      broker, "stdout", LIST ("--flush", "1", "--format", "table"),
      LIST ("TZ=UTC", "LC_ALL=C"));
    void *publisher = publisher_new (broker, "");
    char *lines = text_new ("info|Gauge|width|1|1700000000|%0*d", WIDTH, 0);
    for (size_t i = 0; i < SOURCES; i++)
        lines = text_new ("%s\ninfo|Gauge|width|1|1700000000|%s", lines,
                          sources[i].source);
    publisher_send (publisher, lines);
    for (size_t i = 0; i < SOURCES; i++)
        process_await (worker, text_new ("%s%*s  width ", sources[i].source,
                                         WIDTH - sources[i].columns, ""));
    assert_int_equal (process_stop (worker, SIGTERM), 0);
}

//  Into a pipe auto means JSON.
static void
auto_is_json_in_a_pipe (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = {worker_start (broker, "stdout", LIST ("--flush", "1"), NULL),
                   NULL};
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher, "info|Gauge|json.gauge|-5|1700000002|q1");
    sink_await (&sink, "q1", "json.gauge", 1, -5);
    const char *line = process_await (sink.worker, "json.gauge");
    assert_string_equal (line,
                         "{\"time\":1700000002,\"type\":\"gauge\",\"name\":"
                         "\"json.gauge\",\"source\":\"q1\",\"value\":-5}");
}

//  A bucket stands for durations that differ by two in a hundred. Of timers that
//  have one sample each, which are anywhere in theirs, each percentile is it.
static void
percentiles_are_not_beyond_min_and_max (void)
{
    enum { TIMERS = 12 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--percentiles", "1,99"));
    char *lines = text_new ("info|Counter|n|1|1700000000|here");
    for (int i = 0; i < TIMERS; i++)
        lines = text_new ("%s\ninfo|Timer|t%d|%.3f|1700000000|here", lines, i,
                          1 + 0.003 * i);
    publisher_send (publisher_new (broker, ""), lines);
    sink_await (&sink, "here", text_new ("t%d.p99", TIMERS - 1), 1, 0);
    sink_stop (&sink);
    for (int i = 0; i < TIMERS; i++)
        for (int p = 1; p <= 99; p += 98) {
            total_t total =
              sink_total (&sink, "here", text_new ("t%d.p%d", i, p));
            assert_true (fabs (total.sum - (1 + 0.003 * i)) < 1e-9);
        }
}

//  --------------------------------------------------------------------------
//  Plugins

static const char *
plugin_build (const char *name, const char *define)
{
    const char *path = temporary_path (name);
    const char *source = harness_path ("ZB_SOURCE");
    process_run (LIST ("cc", "-shared", "-fPIC", "-I", source, "-I",
                       text_new ("%s/contrib/backends", source), define, "-o",
                       path, text_new ("%s/test/e2e/plugin.c", source)),
                 NULL);
    return path;
}

static void
a_plugin_is_a_backend (void)
{
    const char *path = plugin_build ("plugin.so", "-DGOOD");
    broker_t *broker = broker_start ();
    process_t *worker = process_start (
      LIST (harness_path ("ZB_BIN"), "worker", "--plugin", path, "--prefix",
            "mine", "--flush", "1", "--host", broker->host, "--port",
            text_new ("%d", broker->port + 1)),
      NULL);
    assert_non_null (
      strstr (process_await (worker, "event=ready"), "mode=printer"));
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher, "info|Gauge|plugged|5|1700000002|q1");
    assert_string_equal (process_await (worker, "plugged"),
                         "mine 3 plugged 1 5");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    process_t *help = zibrato_run (LIST ("worker", "--plugin", path, "--help"));
    assert_int_equal (help->status, 0);
    assert_non_null (strstr (process_out (help), "--prefix TEXT"));
}

static void
a_plugin_that_does_not_fit_ends_with_one_line (void)
{
    const char *other = plugin_build ("other.so", "-DABI=ZB_BACKEND_ABI+1");
    zibrato_dies (LIST ("worker", "--plugin", other), "version");
    zibrato_dies (LIST ("worker", "--plugin", "/nonexistent.so"),
                  "/nonexistent.so");
    const char *text = temporary_path ("text.so");
    file_write (text, "no shared object\n");
    zibrato_dies (LIST ("worker", "--plugin", text), "text.so");
}

static const struct CMUnitTest tests[] = {
  TEST (help_is_golden),
  TEST (options_come_from_a_file),
  TEST (version_is_the_headers),
  TEST (a_wrong_option_is_answered_with_usage),
  TEST (a_wrong_mode_is_answered_with_usage),
  TEST (bad_values_end_with_one_line),
  TEST (an_unknown_host_ends_a_broker_with_one_line),
  TEST (a_port_in_use_ends_with_one_line),
  TEST (half_a_free_pair_is_passed_over),
  TEST (signals_stop_within_a_second),
  TEST (a_worker_without_a_broker_stops_too),
  TEST (the_table_is_golden),
  TEST (the_table_counts_columns),
  TEST (auto_is_json_in_a_pipe),
  TEST (percentiles_are_not_beyond_min_and_max),
  TEST (a_plugin_is_a_backend),
  TEST (a_plugin_that_does_not_fit_ends_with_one_line),
};

HARNESS_MAIN (tests)
