/*  test_conservation.c - whole systems at random: what is sent is stored, once, or
    counted as lost, to the digit

    A seed makes a system, and what happens to it: one or two brokers, a worker
    with or without a spool, or one of each, a service in all its tempers, clocks
    that disagree, programs long and short, classic publishers. They are stopped
    and go on, are killed or end and come back, the disk is slow or full. When all
    have ended, at each service

        counts and timings of each source sent = stored
        readings taken                         = stored + zibrato.lost
                                                        + zibrato.dropped
        classic lines sent                     = stored + zibrato.missed,
                                                 unless a broker was killed

    where stored is, of rows that the service refuses, what is in the folder for
    them. No two rows have one name, source and second.

    What README does not promise does not happen: no program ends while broker or
    worker is dead, or before it is stored what others have sent; no line without
    a total is on its way then, and no row in memory because the disk was full.

    Goes on for ZB_SECONDS (30; an hour if ZB_LONG is set) with one seed after the
    other. ZB_SEED=N is that one only; with ZB_VERBOSE its story is printed anyway.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 400 LONG 14400

#include "system.h"

enum {
    EVENTS = 14,
    PAUSE_MS = 1500,  //  at most, of a process that is stopped
    LINES = 500       //  classic ones at a time, at most
};

//  --------------------------------------------------------------------------
//  What happens

static void
some_begin (void)
{
    for (size_t i = 1 + chance (3); i; i--)
        program_start (true);
}

static void
some_begin_for_long (void)
{
    program_start (false);
}

static void
one_ends (void)
{
    program_t *program = &s_programs[chance (s_program_count)];
    tell ("%s ends", program->source);
    if (program->process->input != -1)
        process_close_input (program->process);
}

//  Stops anybody for a while, whoever it is.
static void
one_is_stopped (void)
{
    process_t *processes[PROGRAMS + 8];
    size_t count = 0;
    for (size_t i = 0; i < s_program_count; i++)
        if (!s_programs[i].checked)
            processes[count++] = s_programs[i].process;
    for (size_t i = 0; i < s_broker_count; i++)
        processes[count++] = s_brokers[i]->process;
    for (size_t i = 0; i < s_site_count; i++) {
        processes[count++] = s_sites[i].sink.worker;
        processes[count++] = s_sites[i].sink.standin->process;
    }
    process_t *process = processes[chance (count)];
    tell ("%s, PID %d, is stopped", process->name, (int) process->pid);
    process_signal (process, SIGSTOP);
    chance_pause (PAUSE_MS);
    process_signal (process, SIGCONT);
    tell ("and goes on");
}

static void
broker_dies (void)
{
    broker_t *broker = s_brokers[chance (s_broker_count)];
    if (s_publisher)
        return;
    programs_await_safe ();
    const char *connected = text_new ("event=connected mode=librato broker=%s",
                                      broker_endpoint (broker, 1));
    size_t before[SITES];
    for (size_t i = 0; i < s_site_count; i++)
        before[i] = process_lines (s_sites[i].sink.worker, connected);
    tell ("broker %s:%d is killed", broker->host, broker->port);
    broker_kill (broker);
    s_brokers_killed = true;
    chance_pause (PAUSE_MS);
    broker_launch (broker);
    for (size_t i = 0; i < s_site_count; i++)
        process_await_nth (s_sites[i].sink.worker, connected, before[i] + 1);
    tell ("and is back, for all workers");
}

static void
worker_dies (void)
{
    site_t *site = &s_sites[chance (s_site_count)];
    if (s_publisher || !site->spool || site->in_memory)
        return;
    programs_await_safe ();
    tell ("worker %d is killed", (int) site->sink.worker->pid);
    assert_int_equal (process_stop (site->sink.worker, SIGKILL), 128 + SIGKILL);
    chance_pause (PAUSE_MS);
    worker_begin (site);
    tell ("and is back");
}

//  Without a spool the next one goes on where programs have held, unless another
//  worker has got that, or a broker has taken along what was not repeated yet.
//  And it does not know seconds that were given out by another clock.
static bool
site_may_be_replaced (void)
{
    return s_site_count == 1 && !s_brokers_killed && !s_clocks;
}

static void
worker_ends (void)
{
    site_t *site = &s_sites[chance (s_site_count)];
    if (s_publisher || (!site->spool && !site_may_be_replaced ()))
        return;
    programs_await_safe ();
    tell ("worker %d is ended", (int) site->sink.worker->pid);
    int status = process_stop (site->sink.worker, SIGTERM);
    check (status == 0, "the worker ends with %d", status);
    site->in_memory = false;
    chance_pause (PAUSE_MS);
    worker_begin (site);
    tell ("and is back");
}

static void
disk_is_full (void)
{
    site_t *site = &s_sites[chance (s_site_count)];
    if (!site->spool || s_poison || SANITIZED)
        return;
    tell ("the disk is full");
    site->in_memory = true;
    file_write (site->full, "");
    chance_pause (2 * PAUSE_MS);
    unlink (site->full);
    tell ("no more");
}

static void
service_is_ill (void)
{
    site_t *site = &s_sites[chance (s_site_count)];
    const char *words = "ok";
    for (size_t i = 1 + chance (6); i; i--)
        words = text_new (
          "%s,%s", words,
          chance_word (LIST ("ok", "slow:300", "slow:2500", "split", "cut",
                             "cutafter", "500", "502", "503", "503empty", "504",
                             "429:1", "403limit")));
    tell ("service: %s", words);
    standin_script (site->sink.standin, words);
    site->blames_rows = strstr (words, "500") != NULL;
}

static void
classic_lines (void)
{
    if (!s_publisher)
        return;
    long lines = 1 + (long) chance (LINES);
    tell ("%ld classic lines", lines);
    for (; lines; lines--, s_lines++)
        publisher_send (s_publisher, text_new ("info|Counter|old|1|%ld|old",
                                               (long) time (NULL)));
}

//  The service refuses these, and each row beside them has to get through.
static void
poisonous_lines (void)
{
    if (!s_poison)
        return;
    const char *words = chance_word (
      LIST ("refuse*9", "plain*9", "ok,refuse,plain,refuse,plain"));
    tell ("poisonous lines, service: %s", words);
    for (size_t i = 0; i < s_site_count; i++)
        standin_script (s_sites[i].sink.standin, words);
    for (long lines = 1 + (long) chance (5); lines; lines--, s_poisonous++)
        publisher_send (s_publisher,
                        text_new ("info|Counter|poison%d|1|%ld|old",
                                  (int) chance (3), (long) time (NULL)));
}

//  --------------------------------------------------------------------------
//  The equation

//  Returns whether it agrees.
static bool
check_program (const cJSON *rows, const program_t *self)
{
    total_t count = rows_total (rows, self->source, "load.count");
    total_t time = rows_total (rows, self->source, "load.time");
    total_t gauge = rows_total (rows, self->source, "load.gauge");
    bool good = llround (count.sum) == self->count
                && llround (time.count) == self->times
                && time.sum_ns == self->time_ns;
    if (!good)
        tell ("%s: count %ld, stored %.0f; timings %ld, %ld ns, stored %.0f, "
              "%" PRId64 " ns; readings %ld, stored %.0f",
              self->source, self->count, count.sum, self->times, self->time_ns,
              time.count, time.sum_ns, self->gauges, gauge.count);
    return good;
}

//  Adds up the increments in a folder's files whose names begin so. A row is
//  counter|NAME|SOURCE|TIME start=TIME value=NUMBER there.
static double
folder_sum (const char *path, const char *names)
{
    const char *begin = text_new ("counter|%s", names);
    double sum = 0;
    glob_t files;
    glob (text_new ("%s/*", path), 0, NULL, &files);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *rest = file_read (files.gl_pathv[i], NULL), *line;
        while ((line = strsep (&rest, "\n"))) {
            const char *value = strstr (line, " value=");
            if (value && strncmp (line, begin, strlen (begin)) == 0)
                sum += strtod (value + strlen (" value="), NULL);
        }
    }
    globfree (&files);
    return sum;
}

static double
poison_stored (const site_t *self, const cJSON *rows)
{
    double sum = 0;
    if (self->spool)
        sum += folder_sum (text_new ("%s/rejected", self->spool), "poison");
    for (int i = 0; i < 3; i++)
        sum += rows_total (rows, NULL, text_new ("poison%d", i)).sum;
    return sum;
}

static void
check_site (const site_t *self)
{
    cJSON *rows = sink_rows (&self->sink);
    double stored = 0, sent = 0;
    bool good = true;
    double lost = rows_total (rows, NULL, "zibrato.lost").sum;
    double dropped = rows_total (rows, NULL, "zibrato.dropped").sum;
    double missed = rows_total (rows, NULL, "zibrato.missed").sum;
    double old = rows_total (rows, "old", "old").sum;
    for (size_t i = 0; i < s_program_count; i++) {
        good &= check_program (rows, &s_programs[i]);
        sent += (double) s_programs[i].gauges;
        stored += rows_total (rows, s_programs[i].source, "load.gauge").count;
    }
    check (good, "counts and timings are not what was sent");
    check (llround (sent) == llround (stored + lost + dropped),
           "%.0f readings taken, %.0f stored, %.0f lost, %.0f dropped", sent,
           stored, lost, dropped);
    //  a killed one has had reports of programs, too, which are sent again
    check (s_brokers_killed || s_lines == llround (old + missed),
           "%ld classic lines sent, %.0f stored, %.0f missed; ", s_lines, old,
           missed);
    check (!rows_same_second (rows), "two rows: %s", rows_same_second (rows));
    double poison = poison_stored (self, rows);
    check (s_poisonous == llround (poison),
           "%ld poisonous lines sent, %.0f stored or set aside", s_poisonous,
           poison);
    cJSON_Delete (rows);
}

//  Programs have, so a broker has what they have sent when it ends, and hands it
//  on. It does not matter whether workers end then, or at the same moment. Who is
//  answered 500 tries a row once more, and no more.
static void
all_end (void)
{
    int ms = WAIT_MS;
    bool at_once = chance (2);
    if (s_publisher)
        zmq_setsockopt (s_publisher, ZMQ_LINGER, &ms, sizeof ms);
    publishers_destroy ();
    for (size_t i = 0; i < s_site_count; i++)
        if (s_sites[i].blames_rows)
            standin_script (s_sites[i].sink.standin, "ok");
    for (size_t i = 0; i < s_broker_count; i++)
        process_signal (s_brokers[i]->process, SIGTERM);
    for (size_t i = 0; i < s_site_count && at_once; i++)
        process_signal (s_sites[i].sink.worker, SIGTERM);
    for (size_t i = 0; i < s_broker_count; i++) {
        int status = process_wait (s_brokers[i]->process);
        check (status == 0, "a broker ends with %d", status);
    }
    tell ("so have the brokers");
    for (size_t i = 0; i < s_site_count; i++) {
        if (!at_once)
            process_signal (s_sites[i].sink.worker, SIGTERM);
        int status = process_wait (s_sites[i].sink.worker);
        check (status == 0, "a worker ends with %d", status);
    }
    tell ("and the workers");
}

static void
everything_is_stored_or_counted (void)
{
    static void (*const events[]) (void) = {
      some_begin,     some_begin,     some_begin_for_long, one_ends,
      one_is_stopped, one_is_stopped, broker_dies,         worker_dies,
      worker_ends,    disk_is_full,   service_is_ill,      service_is_ill,
      classic_lines,  classic_lines,  poisonous_lines,     poisonous_lines};
    system_start ();
    for (size_t i = 0; i < EVENTS; i++) {
        events[chance (sizeof events / sizeof *events)]();
        chance_pause (400);
    }
    for (size_t i = 0; i < s_program_count; i++)
        program_end (&s_programs[i]);
    tell ("all programs have ended");
    all_end ();
    for (size_t i = 0; i < s_site_count; i++)
        check_site (&s_sites[i]);
    if (getenv ("ZB_VERBOSE"))
        fputs (s_story, stderr);
}

//  --------------------------------------------------------------------------
//  Each seed has a process of its own

static int
s_run (const char *self, uint64_t seed)
{
    int status = 0;
    pid_t pid = fork ();
    if (pid == 0) {
        setenv ("ZB_SEED", text_new ("%" PRIu64, seed), 1);
        execl (self, self, (char *) NULL);
        _exit (127);
    }
    waitpid (pid, &status, 0);
    return WIFEXITED (status) && WEXITSTATUS (status) == 0 ? 0 : -1;
}

int
main (int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {TEST (everything_is_stored_or_counted)};
    const char *seed = getenv ("ZB_SEED"), *seconds = getenv ("ZB_SECONDS");
    int64_t until = now_ms ()
                    + 1000
                        * (seconds              ? strtol (seconds, NULL, 10)
                           : getenv ("ZB_LONG") ? 3600
                                                : 30);
    int failed = 0;
    (void) argc;
    if (seed) {
        s_state = s_seed = strtoull (seed, NULL, 10);
        return cmocka_run_group_tests (tests, NULL, NULL);
    }
    for (s_seed = 1; now_ms () < until; s_seed++)
        if (s_run (argv[0], s_seed) == -1) {
            printf ("seed %" PRIu64 " has failed\n", s_seed);
            failed++;
        }
    printf ("%" PRIu64 " systems, %d failed\n", s_seed - 1, failed);
    return failed ? 1 : 0;
}
