/*  test_exec.c - rows that a program gets: each once, whoever dies

    The programs are the worked examples, and some that misbehave.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "site.h"

enum { KILLS = 20 };

static const char *
s_example (const char *name)
{
    return text_new ("%s/contrib/examples/%s", harness_path ("ZB_SOURCE"),
                     name);
}

//  A worker with a spool that hands rows to a program: `words` are options, "--",
//  and the program.
static process_t *
s_worker (const broker_t *broker, const char *spool, const char *const *words)
{
    const char *options[24] = {"--flush", "1",       "--deadline",
                               "60",      "--spool", spool};
    size_t count = 6;
    for (; *words; words++)
        options[count++] = *words;
    return worker_launch (harness_path ("ZB_BIN"), broker, "exec", options,
                          NULL);
}

//  What a shell command prints, as a number.
static double
s_number (const char *command)
{
    process_t *shell = process_run (LIST ("sh", "-c", command), NULL);
    return strtod (process_out (shell), NULL);
}

//  Waits until the sum of a counter is this one, and then that it is no more.
static void
s_check_sum (const char *command, double sum)
{
    int64_t until = now_ms () + WAIT_MS;
    while (s_number (command) < sum && now_ms () < until)
        poll_pause ();
    assert_true (s_number (command) == sum);
}

//  The PIDs of a process's children.
static const char *
s_children (const process_t *worker)
{
    return file_read (text_new ("/proc/%d/task/%d/children", (int) worker->pid,
                                (int) worker->pid),
                      NULL);
}

//  --------------------------------------------------------------------------
//  The worked examples, under load, while worker and program are killed

static void
s_kill_and_check (const char *const *words, const char *sum, bool child)
{
    broker_t *broker = broker_start ();
    const char *spool = temporary_path ("spool");
    process_t *worker = s_worker (broker, spool, words);
    process_await (worker, "event=ready");
    load_t load = load_start (broker, 1, 1000);
    for (int i = 0; i < KILLS; i++) {
        random_moment (700);
        int pid = child ? atoi (s_children (worker)) : 0;
        if (pid)
            kill (pid, SIGKILL);
        if (i % 2) {
            process_stop (worker, SIGKILL);
            worker = s_worker (broker, spool, words);
        }
    }
    process_await (worker, "event=ready");
    //  a worker that has just come must be known before the last report
    double before = s_number (sum);
    int64_t until = now_ms () + WAIT_MS;
    while (s_number (sum) == before && now_ms () < until)
        poll_pause ();
    load_end_dropping (&load);
    s_check_sum (sum, load.count);
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    assert_true (s_number (sum) == load.count);
}

static void
the_python_example_stores_each_row_once (void)
{
    const char *db = temporary_path ("rows.db");
    s_kill_and_check (
      LIST ("--", s_example ("exec_sqlite.py"), db),
      text_new ("python3 -c \"import sqlite3; print (sqlite3.connect ('%s')"
                ".execute ('SELECT total (sum) FROM row WHERE name = "
                "\\\"load.count\\\"').fetchone ()[0])\"",
                db),
      true);
}

static void
the_shell_example_stores_each_row_once (void)
{
    const char *dir = temporary_path ("rows");
    s_kill_and_check (
      LIST ("--once", "--", s_example ("exec_append.sh"), dir),
      text_new ("cat %s/*.ndjson 2>/dev/null | grep '\"name\":\"load.count\"' "
                "| sed 's/.*\"value\"://;s/[,}].*//' "
                "| awk '{ sum += $1 } END { printf \"%%d\", sum }'",
                dir),
      false);
}

//  --------------------------------------------------------------------------
//  Names

//  All rows that exec_append.sh has made files of. Caller deletes the return value.
static cJSON *
s_appended (const char *folder)
{
    cJSON *rows = cJSON_CreateArray ();
    glob_t files;
    glob (text_new ("%s/*.ndjson", folder), 0, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *rest = file_read (files.gl_pathv[i], NULL), *line;
        while ((line = strsep (&rest, "\n")))
            if (*line)
                assert_true (cJSON_AddItemToArray (rows, cJSON_Parse (line)));
    }
    globfree (&files);
    return rows;
}

//  What there is under a name, with a tag, of a source.
static double
s_value (const cJSON *rows, const char *name, const char *tag,
         const char *source)
{
    const cJSON *row;
    double sum = 0;
    cJSON_ArrayForEach (
      row, rows) if (row_is (row, "name", name)
                     && row_is (row, "source", source)
                     && row_is (cJSON_GetObjectItem (row, "tags"), "k", tag))
      sum += row_number (row, "value");
    return sum;
}

//  Each that a name, a tag and a source may have. What is no UTF-8 is a '?'.
static void
every_byte_comes (void)
{
    const char *folder = temporary_path ("rows");
    broker_t *broker = broker_start ();
    process_t *worker =
      s_worker (broker, temporary_path ("spool"),
                LIST ("--once", "--", s_example ("exec_append.sh"), folder));
    char *lines = text_new ("info|Counter|n?;k=t?|1|1|s?");
    for (int c = ' '; c < 256; c++)
        if (!strchr ("|;?\x7f", c))
            lines =
              text_new ("%s\ninfo|Counter|n%c;k=t%c|1|1|s%c", lines, c, c, c);
    process_await (worker, "event=ready");
    publisher_send (publisher_new (broker, ""), lines);
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    cJSON *rows = s_appended (folder);
    for (int c = ' '; c < 0x7f; c++)
        if (!strchr ("|;?", c))
            assert_true (s_value (rows, text_new ("n%c", c),
                                  text_new ("t%c", c), text_new ("s%c", c))
                         == 1);
    assert_true (s_value (rows, "n?", "t?", "s?") == 0x80 + 1);
    cJSON_Delete (rows);
}

//  --------------------------------------------------------------------------
//  Programs that say no, say nothing, or end

//  Counters good.0, good.1 and so on, and one in their midst that is bad.
static const char *
s_counters (int good)
{
    char *lines = NULL;
    size_t size;
    FILE *out = open_memstream (&lines, &size);
    for (int i = 0; i < good; i++)
        fprintf (out, "%sinfo|Counter|good.%d|1|1|s\n",
                 i == good / 2 ? "info|Counter|bad|2|1|s\n" : "", i);
    fclose (out);
    return harness_keep (lines);
}

//  Sends lines to a worker with this program, which is a shell's text.
static process_t *
s_worker_shell (const char *option, const char *text, const char *lines)
{
    broker_t *broker = broker_start ();
    process_t *worker = s_worker (broker, temporary_path ("spool"),
                                  LIST ("--timeout", "2", "--levels", "info",
                                        option, "--", "sh", "-c", text));
    void *publisher = publisher_new (broker, "info|");
    publisher_send (publisher, lines);
    return worker;
}

static void
one_row_of_300_is_refused_and_the_others_are_not (void)
{
    enum { GOOD = 299 };
    const char *out = temporary_path ("out");
    //  refuses the row called bad, by its place
    process_t *worker = s_worker_shell (
      "--batch=300",
      text_new (
        "while read -r line; do"
        "  key=$(printf %%s \"$line\" | sed 's/.*\"key\":\"//;s/\".*//');"
        "  case $line in"
        "  *'\"name\":\"bad\"'*)"
        "    at=$(printf %%s \"$line\" | sed 's/\"name\":\"bad\".*//' "
        "         | grep -o '\"name\":' | wc -l);"
        "    echo \"{\\\"key\\\":\\\"$key\\\",\\\"refused\\\":[$at],"
        "\\\"reason\\\":\\\"bad\\\"}\" ;;"
        "  *) echo \"$line\" >>%s;"
        "    echo \"{\\\"key\\\":\\\"$key\\\",\\\"ok\\\":true}\" ;;"
        "  esac; done",
        out),
      s_counters (GOOD));
    const char *line = process_await (worker, "event=rejected");
    assert_non_null (strstr (line, "counter|bad|s|"));
    assert_non_null (strstr (line, "sh: bad"));
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    const char *got = file_read (out, NULL);
    for (int i = 0; i < GOOD; i++)
        assert_non_null (strstr (got, text_new ("\"name\":\"good.%d\"", i)));
    assert_null (strstr (got, "\"name\":\"bad\""));
    assert_int_equal (process_lines (worker, "event=rejected"), 1);
    spool_check_set_aside (temporary_path ("spool"), "counter|bad|s|");
}

//  What it says on standard error is in the log; a program that is not there is
//  said, and what waits for it is kept.
static void
what_it_says_is_logged (void)
{
    process_t *worker = s_worker_shell (
      "--once", "cat >/dev/null; echo so it is >&2", s_counters (1));
    process_await (worker, "event=program text=\"so it is\"");
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    assert_null (strstr (process_err (worker), "event=retry"));
}

//  More than a pipe holds: it has got none of it when the worker is killed, and all of
//  it in the end.
static void
what_it_reads_is_whole_though_the_worker_dies (void)
{
    enum { GOOD = 1500 };
    const char *out = temporary_path ("out");
    int64_t until = now_ms () + WAIT_MS;
    broker_t *broker = broker_start ();
    process_t *worker = s_worker (
      broker, temporary_path ("spool"),
      LIST ("--batch", "0", "--levels", "info", "--once", "--", "sh", "-c",
            text_new ("echo here >&2; sleep 1; cat >%s.new; mv %s.new %s", out,
                      out, out)));
    publisher_send (publisher_new (broker, "info|"), s_counters (GOOD));
    process_await (worker, "event=program text=\"here\"");
    process_stop (worker, SIGKILL);
    while (access (out, F_OK) == -1 && now_ms () < until)
        poll_pause ();
    const char *got = file_read (out, NULL);
    for (int i = 0; i < GOOD; i += 100)
        assert_non_null (strstr (got, text_new ("\"good.%d\"", i)));
    assert_non_null (strstr (got, text_new ("\"good.%d\"", GOOD - 1)));
}

//  In both modes: where several workers store into one place, it tells them apart.
static void
it_knows_whose_program_it_is (void)
{
    static const char say[] = "read -r line; echo of $ZIBRATO_WORKER >&2; cat";
    broker_t *broker = broker_start ();
    const char *modes[] = {"--once", "--batch=300"};
    for (int i = 0; i < 2; i++) {
        process_t *worker =
          s_worker (broker, temporary_path (text_new ("spool-%d", i)),
                    LIST ("--worker", "me", modes[i], "--", "sh", "-c", say));
        publisher_send (publisher_new (broker, ""), s_counters (1));
        process_await (worker, "event=program text=\"of me\"");
        process_stop (worker, SIGKILL);
    }
}

static void
s_check_reason (const char *option, const char *text, const char *event,
                const char *reason)
{
    process_t *worker = s_worker_shell (option, text, s_counters (1));
    const char *line = process_await (worker, event);
    if (!strstr (line, reason))
        fail_msg ("%s: expected %s", line, reason);
    process_stop (worker, SIGKILL);
}

static void
what_it_must_not_do_is_said (void)
{
    s_check_reason ("--batch=300", "read line", "event=retry", "it has ended");
    s_check_reason ("--batch=300", "read line; echo yes; cat", "event=retry",
                    "an answer that is no JSON");
    s_check_reason ("--batch=300", "read line; echo '{\"key\":\"x\"}'; cat",
                    "event=retry", "an answer to something else");
    s_check_reason ("--batch=300", "cat >/dev/null", "event=retry",
                    "timed out");
    s_check_reason ("--once", "cat >/dev/null; exit 3", "event=retry",
                    "status 3");
    s_check_reason ("--once", "exec sleep 60", "event=retry", "timed out");
    s_check_reason ("--once", "kill -9 $$", "event=retry", "signal 9");
    s_check_reason ("--once", "cat >/dev/null; exit 77", "event=held",
                    "status 77, not permitted");
    s_check_reason ("--once", "cat >/dev/null; exit 75", "event=retry",
                    "status 75, not now");
}

static void
a_program_that_is_not_there_is_said (void)
{
    broker_t *broker = broker_start ();
    process_t *worker = s_worker (broker, temporary_path ("spool"),
                                  LIST ("--", "/no/such/program"));
    publisher_send (publisher_new (broker, ""), "info|Counter|a|1|1|s");
    const char *line = process_await (worker, "event=held");
    assert_non_null (strstr (line, "/no/such/program: No such file"));
    assert_int_equal (process_stop (worker, SIGTERM), 0);
    process_await (worker, "event=kept");
    zibrato_dies (LIST ("exec", "--", ""), "expected PROGRAM");
}

static const struct CMUnitTest tests[] = {
  TEST (the_python_example_stores_each_row_once),
  TEST (the_shell_example_stores_each_row_once),
  TEST (every_byte_comes),
  TEST (one_row_of_300_is_refused_and_the_others_are_not),
  TEST (what_it_says_is_logged),
  TEST (what_it_reads_is_whole_though_the_worker_dies),
  TEST (it_knows_whose_program_it_is),
  TEST (what_it_must_not_do_is_said),
  TEST (a_program_that_is_not_there_is_said),
};

HARNESS_MAIN (tests)
