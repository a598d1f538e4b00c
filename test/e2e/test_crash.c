/*  test_crash.c - a worker that is killed, at each step and at any moment, and
    goes on from its spool: totals are exact

    Sections: the steps of a commit, random moments, a service that is down, a
    worker without a spool.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600

#include "faults.h"

#include <glob.h>

//  --------------------------------------------------------------------------
//  The steps of a commit: a worker dies at each, and at its third passing

//  One passing only with a sanitizer: so many processes take minutes to start.
enum { PASSINGS = SANITIZED ? 1 : 2 };

//  Waits until all that can die have died. Old readings, each of a second of its
//  own, are refused by the stand-in, in a request with others: so requests are
//  split and rejected.
static void
sites_await_death (const site_t *sites, size_t count, void *publisher)
{
    int64_t until = now_ms () + 4 * WAIT_MS, old = 1000;
    for (size_t i = 0; i < count; i++)
        while (process_alive (sites[i].worker)
               && !strcmp (sites[i].worker->name, harness_path ("ZB_FAULTS"))) {
            publisher_send (
              publisher, text_new ("info|Gauge|bad|5|%" PRId64 "|test", old++));
            if (now_ms () > until)
                fail_msg ("nothing died at %s", s_points[i / PASSINGS]);
            poll_pause ();
        }
}

//  All workers have the same program and broker.
static void
each_step_may_be_the_last (void)
{
    broker_t *broker = broker_start ();
    void *publisher = publisher_new_lonely (broker);
    site_t site[PASSINGS * POINTS];
    for (size_t i = 0; i < PASSINGS * POINTS; i++) {
        site[i] = site_new (broker, text_new ("%zu", i));
        site[i].fault =
          text_new ("%s:%d", s_points[i / PASSINGS], i % PASSINGS ? 3 : 1);
        site_begin (&site[i]);
    }
    load_t load = load_start (broker, 2, 5000);
    sites_await_death (site, PASSINGS * POINTS, publisher);
    for (size_t i = 0; i < PASSINGS * POINTS; i++)
        if (!process_alive (site[i].worker)) {
            assert_int_equal (process_wait (site[i].worker), 128 + SIGKILL);
            site_start (&site[i], NULL);
        }
    for (size_t i = 0; i < PASSINGS * POINTS; i++)
        site_await (&site[i]);
    load_end_dropping (&load);
    for (size_t i = 0; i < PASSINGS * POINTS; i++) {
        site_check (&site[i], &load);
        assert_int_equal (process_lines (site[i].worker, "event=damaged"), 0);
        assert_int_equal (standin_requests (site[i].standin, 422), 0);
    }
}

//  --------------------------------------------------------------------------
//  Random moments, with a service that fails a third of the requests

//  A script of so many answers.
static const char *
s_script_new (int count)
{
    static const char *const words[] = {"ok",       "503", "ok",  "ok",
                                        "cutafter", "ok",  "ok",  "500",
                                        "ok",       "ok",  "cut", "ok"};
    char *script = harness_keep (calloc ((size_t) count + 1, 10)),
         *end = script;
    for (int i = 0; i < count; i++)
        end += sprintf (end, "%s%s", i ? "," : "",
                        words[random_next () % (sizeof words / sizeof *words)]);
    return script;
}

//  Starts the last worker, with a service that fails no more. Returns how many
//  readings are lost; all that is not is there, once.
static double
s_settle (site_t *site, load_t *load)
{
    site_start (site, NULL);
    standin_script (site->standin, "");
    site_await (site);
    load_end_dropping (load);
    double lost = site_check (site, load);
    print_message ("%g readings, %g lost, %g dropped\n", load->gauges, lost,
                   load->dropped);
    assert_int_equal (standin_requests (site->standin, 422), 0);
    return lost;
}

//  A worker that starts slowly may be killed several times before it is ready:
//  4096 readings, which is what is repeated, must last as long. That is 10 s here.
static void
killed_at_any_moment (void)
{
    enum { KILLS = SANITIZED ? 20 : 200, PAUSE_US = 10000 };
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    load_t load = load_start (broker, 4, PAUSE_US);
    standin_script (site.standin, s_script_new (4000));
    for (int kills = 0; kills < KILLS; kills++) {
        site_start (&site, NULL);
        random_moment (700);
        site_kill (&site);
    }
    assert_true (s_settle (&site, &load) < load.gauges / 1000);
}

static void
replaced_fifty_times (void)
{
    enum { STOPS = SANITIZED ? 10 : 50 };
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    load_t load = load_start (broker, 4, 2000);
    standin_script (site.standin, s_script_new (1000));
    for (int stops = 0; stops < STOPS; stops++) {
        site_start (&site, NULL);
        process_await (site.worker, "event=ready");
        random_moment (700);
        assert_int_equal (process_stop (site.worker, SIGTERM), 0);
    }
    s_settle (&site, &load);
}

//  --------------------------------------------------------------------------
//  A service that is down

enum { SECONDS = 12 };  //  a flush each

//  The seconds in which readings were measured, in what came.
static int
s_seconds (const site_t *self)
{
    cJSON *rows = standin_get (self->standin, "stored");
    const cJSON *row;
    int64_t least = INT64_MAX, most = 0;
    cJSON_ArrayForEach (row, rows) if (row_is (row, "name", "load.gauge"))
    {
        int64_t time = (int64_t) row_number (row, "measure_time");
        least = time < least ? time : least;
        most = time > most ? time : most;
    }
    cJSON_Delete (rows);
    return (int) (most - least + 1);
}

//  The number of the newest flush in the folder, or 0.
static int
s_flushes (const site_t *self)
{
    glob_t found;
    int number = 0;
    if (glob (text_new ("%s/ledger-*[0-9]", self->spool), 0, NULL, &found) == 0)
        number = atoi (strrchr (found.gl_pathv[found.gl_pathc - 1], '-') + 1);
    globfree (&found);
    return number;
}

static int
s_compare (const void *a, const void *b)
{
    long first = *(const long *) a, second = *(const long *) b;
    return (first > second) - (first < second);
}

//  Awaits flushes, and prints how much larger the worker has become from one to
//  the next. Returns the median, in KiB: what comes in a burst on a busy machine
//  waits somewhere, and makes it larger once; what is kept does each time.
static long
s_growth (const site_t *self)
{
    long growth[SECONDS], before = 0, now;
    int size = 0;
    for (int flush = 3; flush <= SECONDS; flush++) {
        int64_t until = now_ms () + WAIT_MS;
        while (s_flushes (self) < flush) {
            assert_true (now_ms () < until);
            poll_pause ();
        }
        now = process_status (self->worker, "VmRSS:");
        if (before)
            growth[size++] = now - before;
        before = now;
    }
    qsort (growth, (size_t) size, sizeof *growth, s_compare);
    print_message ("RSS %ld KiB; %ld, %ld, %ld KiB a flush\n", before,
                   growth[0], growth[size / 2], growth[size - 1]);
    return growth[size / 2];
}

//  Readings are 8000 a second, which would be 500 KiB.
static void
a_service_that_was_down_gets_everything (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, "spool");
    standin_script (site.standin, "503*");
    load_t load = load_start (broker, 4, 500);
    site_start (&site, NULL);
    long growth = s_growth (&site);
    load_end_dropping (&load);
    assert_int_equal (standin_requests (site.standin, 200), 0);
    standin_script (site.standin, "");
    assert_int_equal ((int) site_check (&site, &load), 0);
    assert_true (s_seconds (&site) >= SECONDS - 1);
    if (!SANITIZED)
        assert_true (growth < 100);
}

//  --------------------------------------------------------------------------
//  Without a spool

//  Waits until the program knows that nobody listens any more.
static void
s_await_nobody (process_t *measure)
{
    int64_t until = now_ms () + WAIT_MS;
    const char *stats;
    size_t asked = 0;
    do {
        assert_true (now_ms () < until);
        poll_pause ();
        process_send (measure, "stats\n");
        stats = process_await_nth (measure, "\"listening\":", ++asked);
    } while (!strstr (stats, "\"listening\":0"));
}

//  One of each, of such a value, and a report of it.
static void
s_report (process_t *measure, int value, const char *flush)
{
    process_send (measure, text_new ("count\tinfo\tc\t%d\ts\n"
                                     "time\tinfo\tt\t%d\ts\n"
                                     "gauge\tinfo\tg\t%d\ts\nflush\t%s\n",
                                     value, value, value, flush));
}

static void
s_await_report (const sink_t *sink, double sum)
{
    sink_await (sink, "s", "c", 0, sum);
    sink_await (sink, "s", "t", 0, sum);
    sink_await (sink, "s", "g", 0, sum);
}

//  The program reports when it is told to: 1 is delivered, 2 waits for delivery
//  when the worker is killed, 4 comes while there is none, 8 when there is one
//  again. The new worker takes all of the first report that it gets.
static void
without_a_spool_a_kill_takes_what_waits (void)
{
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, NULL);
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    sink_t sink = {site.worker, site.standin};
    const char *const *env = broker_environment (broker);
    process_t *measure =
      process_start (LIST (program_path ("measure")),
                     LIST (env[0], env[1], "ZIBRATO_INTERVAL_MS=3600000"));
    s_report (measure, 1, "20000");
    s_await_report (&sink, 1);
    standin_script (site.standin, "503*");
    s_report (measure, 2, "20000");
    process_await (site.worker, "event=retry");
    site_kill (&site);
    s_await_nobody (measure);
    standin_script (site.standin, "");
    s_report (measure, 4, "0");
    process_await_nth (measure, "flush ", 3);
    site_start (&site, NULL);
    sink_await (&sink, "s", "c", 0, 1 + 4);
    s_report (measure, 8, "20000");
    sink.worker = site.worker;
    s_await_report (&sink, 1 + 4 + 8);
    sink_stop (&sink);
    sink_check_sum (&sink, "s", "c", 1 + 4 + 8);
    sink_check_sum (&sink, "s", "t", 1 + 4 + 8);
    sink_check_sum (&sink, "s", "g", 1 + 4 + 8);
}

//  What came is no more than what was measured, whenever workers die.
static void
without_a_spool_nothing_counts_twice (void)
{
    enum { KILLS = 10 };
    broker_t *broker = broker_start ();
    site_t site = site_new (broker, NULL);
    load_t load = load_start (broker, 4, 2000);
    for (int kills = 0; kills < KILLS; kills++) {
        site_start (&site, NULL);
        random_moment (kills % 2 ? 2000 : 700);
        site_kill (&site);
    }
    site_start (&site, NULL);
    site_await (&site);
    load_end_dropping (&load);
    site_check_most (&site, &load);
}

static const struct CMUnitTest tests[] = {
  TEST (each_step_may_be_the_last),
  TEST (killed_at_any_moment),
  TEST (replaced_fifty_times),
  TEST (a_service_that_was_down_gets_everything),
  TEST (without_a_spool_a_kill_takes_what_waits),
  TEST (without_a_spool_nothing_counts_twice),
};

HARNESS_MAIN (tests)
