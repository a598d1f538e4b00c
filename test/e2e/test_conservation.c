/*  test_conservation.c - whole systems at random: what is sent is stored, once, or
    counted as lost, to the digit

    A seed makes a system, and what happens to it: one or two brokers, a worker
    with or without a spool, or one of each, a service in all its tempers, clocks
    that disagree, programs long and short, classic publishers. They are stopped
    and go on, are killed or end and come back, the disk is slow or full. When all
    have ended, at each service

        counts and timings of each source sent = stored
        readings sent                          = stored + zibrato.lost
        classic lines sent                     = stored + zibrato.missed

    What README does not promise does not happen: no program ends while broker or
    worker is dead, or before it is stored what others have sent; no line without
    a total is on its way then, and no row in memory because the disk was full.

    Goes on for ZB_SECONDS (30; an hour if ZB_LONG is set) with one seed after the
    other. ZB_SEED=N is that one only.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 400 LONG 14400

#include "harness.h"

enum {
    SITES = 2,
    PROGRAMS = 256,
    EVENTS = 14,
    PAUSE_MS = 1500,  //  at most, of a process that is stopped
    LINES = 500       //  classic ones at a time, at most
};

//  --------------------------------------------------------------------------
//  Chance: the same numbers for each seed (splitmix64, public domain, S. Vigna)

static uint64_t s_seed, s_state;
static char s_story[16384];  //  what has happened

static uint64_t
chance (uint64_t below)
{
    uint64_t z = s_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static const char *
chance_word (const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return words[chance (count)];
}

static void
chance_pause (uint64_t ms_max)
{
    long ms = (long) chance (ms_max);
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

__attribute__ ((format (printf, 1, 2))) static void
tell (const char *format, ...)
{
    static int64_t started;
    size_t size = strlen (s_story);
    va_list args;
    started = started ? started : now_ms ();
    size +=
      (size_t) snprintf (s_story + size, sizeof s_story - size, "  %6.3f ",
                         (double) (now_ms () - started) / 1e3);
    if (size >= sizeof s_story)
        return;
    va_start (args, format);
    vsnprintf (s_story + size, sizeof s_story - size, format, args);
    va_end (args);
    if (strlen (s_story) + 1 < sizeof s_story)
        strcat (s_story, "\n");
}

#define check(condition, ...)                                                  \
    do {                                                                       \
        if (!(condition)) {                                                    \
            tell (__VA_ARGS__);                                                \
            fprintf (stderr, "seed %" PRIu64 "\n%s", s_seed, s_story);         \
            fail ();                                                           \
        }                                                                      \
    } while (0)

//  --------------------------------------------------------------------------
//  The system

typedef struct {
    process_t *process;
    const char *source;
    bool checked;
    long count, times, time_ns, gauges, dropped;
} program_t;

//  A worker and its service.
typedef struct {
    sink_t sink;
    const char *spool;  //  or NULL
    const char *full;   //  while there is this file, the disk is full
    bool in_memory;     //  rows may be, since it was: they die with a worker
    const char *const *argv, *const *env;
} site_t;

static broker_t *s_brokers[2];
static size_t s_broker_count;
static site_t s_sites[SITES];
static size_t s_site_count;
static program_t s_programs[PROGRAMS];
static size_t s_program_count;
static void *s_publisher;  //  of classic lines, or NULL
static long s_lines;
static bool s_clocks;

//  Variables of a process with a clock of its own, and with such a disk.
static const char *const *
s_environment (const char *disk)
{
    const char **env = harness_keep (calloc (8, sizeof *env));
    size_t count = 0;
    if (s_clocks) {
        int wall = (int) chance (7201) - 3600,
            step = (int) chance (7201) - 3600;
        env[count++] =
          text_new ("ZB_CLOCK=wall=%d,slew=%d,steady=%d,step=%d.5:%d", wall,
                    (int) chance (160001) - 80000,
                    (int) chance (160001) - 80000, (int) chance (8), step);
    }
    if (disk)
        env[count++] = text_new ("ZB_DISK=%s", disk);
#if !SANITIZED  //  these would have to be loaded after the sanitizer
    if (count)
        env[count++] = text_new ("LD_PRELOAD=%s %s", program_path ("clock.so"),
                                 program_path ("disk.so"));
#endif
    return env;
}

static const char *
s_endpoints (int next)
{
    const char *first = broker_endpoint (s_brokers[0], next);
    return s_broker_count == 1
             ? first
             : text_new ("%s,%s", first, broker_endpoint (s_brokers[1], next));
}

static void
program_start (bool brief)
{
    program_t *self = &s_programs[s_program_count++];
    const char **env = harness_keep (calloc (12, sizeof *env));
    const char *const *clock = s_environment (NULL);
    size_t count = 0;
    assert_true (s_program_count <= PROGRAMS);
    self->source = text_new ("p%zu", s_program_count);
    while (clock[count]) {
        env[count] = clock[count];
        count++;
    }
    env[count++] = text_new ("ZIBRATO_SOURCE=%s", self->source);
    env[count++] = text_new ("ZIBRATO_ENDPOINT=%s", s_endpoints (0));
    env[count++] = "ZIBRATO_LINGER_MS=60000";
    env[count++] = text_new ("ZIBRATO_INTERVAL_MS=%d", 20 + (int) chance (300));
    tell ("%s starts%s %s", self->source, brief ? ", briefly" : "",
          s_clocks ? clock[0] : "");
    self->process = process_start (
      LIST (program_path ("load"), text_new ("%d", 1 + (int) chance (3)),
            text_new ("%d", 300 + (int) chance (20000))),
      env);
    if (brief)
        process_close_input (self->process);
}

//  Reads what the program has measured, when it has ended.
static void
program_check (program_t *self)
{
    int status = process_wait (self->process);
    const char *text = process_out (self->process);
    check (
      status == 0
        && sscanf (text,
                   "count=%ld times=%ld time_ns=%ld gauges=%ld dropped=%ld",
                   &self->count, &self->times, &self->time_ns, &self->gauges,
                   &self->dropped)
             == 5,
      "%s ends with %d: %s", self->source, status, text);
    check (self->dropped == 0, "%s has dropped %ld", self->source,
           self->dropped);
    self->checked = true;
}

static void
program_end (program_t *self)
{
    if (self->process->input != -1)
        process_close_input (self->process);
    program_check (self);
}

static void
worker_begin (site_t *self)
{
    self->sink.worker = process_start (self->argv, self->env);
    for (size_t i = 0; i < s_broker_count; i++)
        process_await (self->sink.worker, broker_endpoint (s_brokers[i], 1));
}

static void
site_start (site_t *self, bool spool)
{
    const char **argv = harness_keep (calloc (40, sizeof *argv));
    size_t count = 0;
    self->sink.standin =
      standin_start (LIST ("--idempotent", "--max-age", "100000"));
    const char *common[] = {harness_path ("ZB_BIN"),
                            "librato",
                            "--endpoint",
                            s_endpoints (1),
                            "--username",
                            "user@example.org",
                            "--apitoken",
                            "token",
                            "--url",
                            self->sink.standin->url,
                            "--flush",
                            "1",
                            "--timeout",
                            "2",
                            "--deadline",
                            "90",
                            "--batch"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        argv[count++] = common[i];
    argv[count++] = chance_word (LIST ("3", "30", "300"));
    self->full = temporary_path (text_new ("full%zu", s_site_count));
    if (spool) {
        self->spool = temporary_path (text_new ("spool%zu", s_site_count));
        argv[count++] = "--spool";
        argv[count++] = self->spool;
    }
    self->argv = argv;
    self->env = s_environment (
      !spool ? NULL
             : text_new ("under=%s,full=%s,sync=%s", self->spool, self->full,
                         chance_word (LIST ("0", "5", "50", "200"))));
    tell ("worker %s, %s", self->spool ? "with spool" : "without",
          self->env[0] ? self->env[0] : "");
    worker_begin (self);
}

static void
system_start (void)
{
    static const bool spools[][SITES] = {{true}, {false}, {true, false}};
    static const size_t sites[] = {1, 1, 2};
    size_t shape = chance (3);
    s_clocks = !SANITIZED && chance (2);
    s_broker_count = 1 + chance (2);
    for (size_t i = 0; i < s_broker_count; i++) {
        s_brokers[i] = harness_keep (calloc (1, sizeof *s_brokers[i]));
        broker_give_host (s_brokers[i]);
        s_brokers[i]->env = s_environment (NULL);
        broker_launch (s_brokers[i]);
    }
    tell ("%zu broker(s)", s_broker_count);
    for (; s_site_count < sites[shape]; s_site_count++)
        site_start (&s_sites[s_site_count], spools[shape][s_site_count]);
    if (chance (2)) {
        s_publisher = publisher_new (s_brokers[0], "");
        tell ("a classic publisher, and nobody is killed");
    }
    for (size_t i = 1 + chance (4); i; i--)
        program_start (false);
}

//  --------------------------------------------------------------------------
//  Waiting for what is safe

static bool
site_has (const site_t *self, const cJSON *rows, const program_t *program)
{
    (void) self;
    total_t count = rows_total (rows, program->source, "load.count");
    total_t time = rows_total (rows, program->source, "load.time");
    return count.sum >= (double) program->count
           && time.count >= (double) program->times;
}

//  Waits until what ended programs have sent is stored, so that broker or worker
//  may die.
static void
programs_await_safe (void)
{
    for (size_t i = 0; i < s_program_count; i++)
        if (s_programs[i].process->input == -1 && !s_programs[i].checked)
            program_check (&s_programs[i]);
    for (size_t site = 0; site < s_site_count; site++) {
        int64_t until = now_ms () + 2 * WAIT_MS;
        size_t i = 0;
        while (i < s_program_count) {
            cJSON *rows = sink_rows_so_far (&s_sites[site].sink);
            while (i < s_program_count
                   && (!s_programs[i].checked
                       || site_has (&s_sites[site], rows, &s_programs[i])))
                i++;
            cJSON_Delete (rows);
            if (i < s_program_count)
                poll_pause ();
            check (now_ms () < until, "%s is not stored",
                   s_programs[i < s_program_count ? i : 0].source);
        }
    }
}

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
    tell ("broker %s:%d is killed", broker->host, broker->port);
    broker_kill (broker);
    chance_pause (PAUSE_MS);
    broker_launch (broker);
    tell ("and is back");
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

static void
worker_ends (void)
{
    site_t *site = &s_sites[chance (s_site_count)];
    if (s_publisher || !site->spool)
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
    if (!site->spool || SANITIZED)
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
    const site_t *site = &s_sites[chance (s_site_count)];
    const char *words = "ok";
    for (size_t i = 1 + chance (6); i; i--)
        words = text_new (
          "%s,%s", words,
          chance_word (LIST ("ok", "slow:300", "slow:2500", "split", "cut",
                             "cutafter", "500", "502", "503", "503empty", "504",
                             "429:1", "403limit")));
    tell ("service: %s", words);
    standin_script (site->sink.standin, words);
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

static void
check_site (const site_t *self)
{
    cJSON *rows = sink_rows (&self->sink);
    double stored = 0, sent = 0;
    bool good = true;
    double lost = rows_total (rows, NULL, "zibrato.lost").sum;
    double missed = rows_total (rows, NULL, "zibrato.missed").sum;
    double old = rows_total (rows, "old", "old").sum;
    for (size_t i = 0; i < s_program_count; i++) {
        good &= check_program (rows, &s_programs[i]);
        sent += (double) s_programs[i].gauges;
        stored += rows_total (rows, s_programs[i].source, "load.gauge").count;
    }
    check (good, "counts and timings are not what was sent");
    check (llround (sent) == llround (stored + lost),
           "%.0f readings sent, %.0f stored, %.0f lost; ", sent, stored, lost);
    check (s_lines == llround (old + missed),
           "%ld classic lines sent, %.0f stored, %.0f missed; ", s_lines, old,
           missed);
    cJSON_Delete (rows);
}

//  Programs have, so a broker has what they have sent when it ends, and hands it
//  on. It does not matter whether workers end then, or at the same moment.
static void
all_end (void)
{
    int ms = WAIT_MS;
    bool at_once = chance (2);
    if (s_publisher)
        zmq_setsockopt (s_publisher, ZMQ_LINGER, &ms, sizeof ms);
    publishers_destroy ();
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
      classic_lines,  classic_lines};
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
    int rc = 0;
    (void) argc;
    if (seed) {
        s_state = s_seed = strtoull (seed, NULL, 10);
        return cmocka_run_group_tests (tests, NULL, NULL);
    }
    for (s_seed = 1; rc == 0 && now_ms () < until; s_seed++)
        rc = s_run (argv[0], s_seed);
    printf ("%" PRIu64 " systems%s\n", s_seed - 1,
            rc ? "; the last one has failed" : "");
    return rc ? 1 : 0;
}
