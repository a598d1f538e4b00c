/*  system.h - brokers, workers with their services, and programs, as chance will
    have them

    What test_conservation.c plays with. A seed makes the same system each time,
    with the same clocks and disks; what has happened to it is kept as a story,
    which is printed if something is wrong.

    Classes, bottom-up: chance, system, safety.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SYSTEM_H
#define SYSTEM_H

#include "harness.h"

enum { SITES = 2, PROGRAMS = 256, PROGRAMS_AT_FIRST = 4 };

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
    bool blames_rows;   //  the service answers 500
    bool in_memory;     //  rows may be, since it was: they die with a worker
    const char *const *argv, *const *env;
} site_t;

static broker_t *s_brokers[2];
static size_t s_broker_count;
static bool s_brokers_killed;  //  at least one of them was
static site_t s_sites[SITES];
static size_t s_site_count;
static program_t s_programs[PROGRAMS];
static size_t s_program_count;
static void *s_publisher;  //  of classic lines, or NULL
static long s_lines, s_poisonous;
static bool s_poison;  //  these, too; then no disk is full
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
    if (self->dropped)
        tell ("%s has dropped %ld", self->source, self->dropped);
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

//  Brokers take readings of their own, of another level. A worker that was away has
//  lost some, and says so; nobody here knows how many there were.
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
                            "--levels",
                            "info",
                            "--flush",
                            "1",
                            "--timeout",
                            "2",
                            "--deadline",
                            "45",
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
        s_publisher = publisher_new (s_brokers[0], "info|");
        s_poison = s_site_count == 1 && s_sites[0].spool;
        tell ("a classic publisher, and nobody is killed");
    }
    for (size_t i = 1 + chance (PROGRAMS_AT_FIRST); i; i--)
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
//  may die. Seconds of a program that is just less than a minute ahead are open
//  as long, and three times as long once the worker's clock was set back.
static void
programs_await_safe (void)
{
    for (size_t i = 0; i < s_program_count; i++)
        if (s_programs[i].process->input == -1 && !s_programs[i].checked)
            program_check (&s_programs[i]);
    for (size_t site = 0; site < s_site_count; site++) {
        int64_t until = now_ms () + 4 * WAIT_MS;
        size_t i = 0;
        while (i < s_program_count) {
            cJSON *rows = sink_rows_so_far (&s_sites[site].sink);
            while (i < s_program_count
                   && (!s_programs[i].checked
                       || site_has (&s_sites[site], rows, &s_programs[i])))
                i++;
            cJSON_Delete (rows);
            if (i == s_program_count)
                break;
            poll_pause ();
            check (now_ms () < until, "%s: counted %ld, timed %ld, not stored",
                   s_programs[i].source, s_programs[i].count,
                   s_programs[i].times);
        }
    }
}

#endif
