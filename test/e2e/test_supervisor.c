/*  test_supervisor.c - contrib/supervisord.conf under Debian's supervisor

    The file is taken as it is, but for places, ports and the user. supervisord
    runs in a folder of its own, without the system's own one taking notice.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - nothing of it is about threads

#include "harness.h"

#include <pwd.h>

//  Returns the text with every `from`, of which there must be some, replaced.
static char *
text_replace (const char *text, const char *from, const char *to)
{
    char *result = text_new ("%s", "");
    const char *found = strstr (text, from);
    if (!found)
        fail_msg ("supervisord.conf has no: %s", from);
    for (; found; text = found + strlen (from), found = strstr (text, from))
        result = text_new ("%s%.*s%s", result, (int) (found - text), text, to);
    return text_new ("%s%s", result, text);
}

//  Who broker and worker run as: nobody, if we are root.
static const struct passwd *
user_get (void)
{
    const struct passwd *user =
      geteuid () ? getpwuid (geteuid ()) : getpwnam ("nobody");
    assert_non_null (user);
    return user;
}

//  Makes what the head of the file tells to: the token, and a folder for the
//  spool; and a copy of the executable that the user can get at.
static void
place_make (const struct passwd *user)
{
    assert_int_equal (chmod (s_folder, 0711), 0);
    file_write (temporary_path ("apitoken"), "token\n");
    assert_int_equal (mkdir (temporary_path ("spool"), 0700), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal (chown (temporary_path (i ? "spool" : "apitoken"),
                                 user->pw_uid, user->pw_gid),
                          0);
    process_run (LIST ("install", "-m", "0755", harness_path ("ZB_BIN"),
                       temporary_path ("zibrato")),
                 NULL);
}

//  Writes the file with what is this test's own. Who is started so ends with
//  supervisord, even if that is killed.
static const char *
conf_write (const broker_t *broker, const standin_t *standin,
            const struct passwd *user)
{
    const char *zibrato = text_new ("command=setpriv --pdeathsig KILL -- %s",
                                    temporary_path ("zibrato"));
    const struct {
        const char *from, *to;
    } words[] = {
      {"command=zibrato broker",
       text_new ("command=zibrato broker --host %s --port %d", broker->host,
                 broker->port)},
      {"command=zibrato librato",
       text_new ("command=zibrato librato --host %s --port %d --url %s",
                 broker->host, broker->port + 1, standin->url)},
      {"command=zibrato", zibrato},
      {"--flush 60", "--flush 86400"},
      {"user=zibrato", text_new ("user=%s", user->pw_name)},
      {"=\"you@example.com\"", "=\"user@example.org\""},
      {"--apitoken-file /etc/zibrato",
       text_new ("--apitoken-file %s", s_folder)},
      {"--spool /var/lib/zibrato", text_new ("--spool %s/spool", s_folder)},
      {"stdout_logfile=/var/log/supervisor",
       text_new ("stdout_logfile=%s", s_folder)}};
    char *text = file_read (
      text_new ("%s/contrib/supervisord.conf", harness_path ("ZB_SOURCE")),
      NULL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        text = text_replace (text, words[i].from, words[i].to);
    file_write (temporary_path ("supervisord.conf"), text);
    return temporary_path ("supervisord.conf");
}

//  Waits until the log of a program has so many lines with the text.
static const char *
log_await (const char *program, const char *text, int count)
{
    const char *path = temporary_path (text_new ("%s.log", program));
    int64_t until = now_ms () + WAIT_MS;
    for (;;) {
        const char *log = file_read (path, NULL), *found = log;
        int lines = 0;
        while ((found = strstr (found, text)) && ++lines < count)
            found++;
        if (found)
            return log;
        if (now_ms () >= until)
            fail_msg ("%s did not say: %s (%d times)\n%s", program, text, count,
                      log);
        poll_pause ();
    }
}

//  Kills the broker that supervisord has started last.
static void
broker_of_supervisor_kill (process_t *supervisor)
{
    const char *spawned =
      process_await (supervisor, "spawned: 'zibrato-broker' with pid ");
    pid_t pid = (pid_t) strtol (strstr (spawned, "pid ") + 4, NULL, 10);
    assert_true (pid > 1);
    assert_int_equal (kill (pid, SIGKILL), 0);
}

//  Counts one, and waits until the worker has it, in its journal or, if it is
//  midnight, at the service.
static void
measure_await (process_t *measure, const sink_t *sink, const char *name)
{
    const char *spool = temporary_path ("spool/librato");
    int64_t until = now_ms () + WAIT_MS;
    process_send (measure, text_new ("count\tinfo\t%s\n", name));
    while (!spool_has (spool, text_new ("|%s|", name))
           && sink_total_so_far (sink, NULL, name).rows < 1) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
}

static void
sink_check_total (const sink_t *sink, const char *name, double sum)
{
    total_t total = sink_total_so_far (sink, NULL, name);
    if (total.sum < sum || total.sum > sum)
        fail_msg ("%s: %.17g, expected %.17g", name, total.sum, sum);
}

//  From start to stop, with a broker that is killed in between: what a program
//  measures is stored, to the digit.
static void
all_is_delivered (void)
{
    const struct passwd *user = user_get ();
    standin_t *standin = standin_start (NULL);
    broker_t broker = {.port = 0};
    sink_t sink = {NULL, standin};
    broker_give_host (&broker);
    int fd = port_take (broker.host, 0);
    broker.port = port_of (fd);
    close (fd);
    place_make (user);
    process_t *supervisor =
      process_start (LIST ("supervisord", "--nodaemon", "--directory", s_folder,
                           "--pidfile", temporary_path ("pid"), "--logfile",
                           temporary_path ("supervisord.log"), "-c",
                           conf_write (&broker, standin, user)),
                     NULL);
    log_await ("zibrato-librato", "event=ready", 1);
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        broker_environment (&broker));
    measure_await (measure, &sink, "before");
    broker_of_supervisor_kill (supervisor);
    process_send (measure, "count\tinfo\tmeanwhile\t2\n");
    log_await ("zibrato-broker", "event=ready", 2);
    measure_await (measure, &sink, "meanwhile");
    measure_await (measure, &sink, "after");
    assert_int_equal (process_stop (supervisor, SIGQUIT), 0);
    assert_int_equal (process_lines (supervisor, "with SIGKILL"), 0);
    const char *said = process_out (supervisor);
    const char *worker =
      strstr (said, "stopped: zibrato-librato (exit status 0)");
    const char *first =
      strstr (said, "stopped: zibrato-broker (exit status 0)");
    assert_true (worker && first && worker < first);
    log_await ("zibrato-librato", "event=stopped", 1);
    sink_check_total (&sink, "before", 1);
    sink_check_total (&sink, "meanwhile", 3);
    sink_check_total (&sink, "after", 1);
}

static const struct CMUnitTest tests[] = {
  TEST (all_is_delivered),
};

HARNESS_MAIN (tests)
