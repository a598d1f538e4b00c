/*  site.h - a worker with a spool, its service, and a program under load

    The stand-in stores what has a key once, as an endpoint of one's own should
    (contrib/docs/when-things-fail.md): what is sent twice since an answer was lost
    must carry the same key and the same body.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SITE_H
#define SITE_H

#include "harness.h"

//  --------------------------------------------------------------------------
//  Random moments, the same at each run (the generator is Knuth's MMIX)

static uint64_t random_state = 20261124;

static uint64_t
random_next (void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

//  Sleeps for a random time, up to so long: the moment of a kill.
static void
random_moment (int most_ms)
{
    long ms = (long) (random_next () % (uint64_t) most_ms);
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

//  --------------------------------------------------------------------------
//  site: a worker, and where it delivers to

typedef struct {
    broker_t *broker;
    standin_t *standin;
    const char *spool;        //  or NULL: without
    const char *const *more;  //  options of the worker, or NULL
    const char *fault;        //  that the first worker died of, or NULL
    process_t *worker;
} site_t;

//  Each with a stand-in, and a folder of that name, or none.
static site_t
site_new (broker_t *broker, const char *name)
{
    return (site_t){.broker = broker,
                    .standin = standin_start (LIST ("--idempotent")),
                    .spool = name ? temporary_path (name) : NULL};
}

//  Starts the worker, with a place to die at, or NULL.
static void
site_start (site_t *self, const char *fault)
{
    const char *variable = fault ? text_new ("ZB_FAULT=%s", fault) : NULL;
    const char *const *list[] = {
      LIST ("--username", "user@example.org", "--apitoken",
            self->standin->token, "--url", self->standin->url, "--flush", "1",
            "--batch", "4", "--levels", "info", "--deadline", "60"),
      self->spool ? LIST ("--spool", self->spool) : NULL, self->more};
    const char *options[26] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (size_t j = 0; list[i] && list[i][j]; j++)
            options[count++] = list[i][j];
    self->worker =
      worker_launch (harness_path (fault ? "ZB_FAULTS" : "ZB_BIN"),
                     self->broker, "librato", options, LIST (variable));
}

//  Waits until what the worker gets has arrived: before that the broker may not
//  know it yet, and the last report of a program would pass it by.
static void
site_await (site_t *self)
{
    sink_t sink = {self->worker, self->standin};
    double count = sink_total_so_far (&sink, NULL, "load.count").sum;
    process_await (self->worker, "event=ready");
    sink_await (&sink, NULL, "load.count", 0, count + 1);
}

static void
site_kill (site_t *self)
{
    assert_int_equal (process_stop (self->worker, SIGKILL), 128 + SIGKILL);
}

//  A program under load, and what it has measured.
typedef struct {
    process_t *process;
    double count, times, gauges;
    double dropped;  //  of the readings, since nobody listened for too long
    int64_t time_ns;
} load_t;

//  On a busy machine its last report may take longer than half a second.
static load_t
load_start (const broker_t *broker, int threads, int pause_us)
{
    const char *const *env = broker_environment (broker);
    return (load_t){.process = process_start (
                      LIST (program_path ("load"), text_new ("%d", threads),
                            text_new ("%d", pause_us)),
                      LIST (env[0], env[1], "ZIBRATO_LINGER_MS=20000"))};
}

//  Of a program that may have been without a listener for so long that it has held
//  16384 readings, and dropped others.
static void
load_end_dropping (load_t *self)
{
    double ns;
    process_close_input (self->process);
    assert_int_equal (process_wait (self->process), 0);
    assert_int_equal (sscanf (process_out (self->process),
                              "count=%lf times=%lf time_ns=%lf gauges=%lf "
                              "dropped=%lf",
                              &self->count, &self->times, &ns, &self->gauges,
                              &self->dropped),
                      5);
    assert_true (self->gauges > 0);
    self->time_ns = (int64_t) ns;
}

static void
load_end (load_t *self)
{
    load_end_dropping (self);
    assert_true (self->dropped == 0);
}

//  Waits for all that was measured, ends the worker, and compares. Returns the
//  readings that are reported as lost.
static double
site_check (site_t *self, const load_t *load)
{
    sink_t sink = {self->worker, self->standin};
    sink_await (&sink, NULL, "load.count", 0, load->count);
    sink_await (&sink, NULL, "load.time", load->times, 0);
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "load.count", load->count);
    sink_check_count (&sink, NULL, "load.time", load->times);
    total_t time = sink_total (&sink, NULL, "load.time");
    assert_true (time.sum_ns == load->time_ns);
    assert_true (time.min > 0.98e-6 && time.max < 1.02e-6);
    double gauges = sink_total (&sink, NULL, "load.gauge").count;
    double lost = sink_total (&sink, NULL, "zibrato.lost").sum;
    if (gauges + lost + load->dropped != load->gauges)
        fail_msg ("%g readings, %g came, %g lost, %g dropped (died of %s)",
                  load->gauges, gauges, lost, load->dropped, self->fault);
    return lost;
}

//  Ends the worker: what came is no more than what was measured. Returns how
//  much of "load.count" it is.
static double
site_check_most (site_t *self, const load_t *load)
{
    sink_t sink = {self->worker, self->standin};
    sink_stop (&sink);
    double count = sink_total (&sink, NULL, "load.count").sum;
    assert_true (count <= load->count);
    assert_true (sink_total (&sink, NULL, "load.time").count <= load->times);
    assert_true (sink_total (&sink, NULL, "load.gauge").count <= load->gauges);
    return count;
}

#endif
