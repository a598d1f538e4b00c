/*  test_serve_crash.c - `zibrato librato` delivers to `zibrato serve`, and both are
    killed: totals are exact

    Sections: the steps of a commit, random moments.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600 LONG 3600

#include "faults.h"
#include "serve.h"

//  A server for each worker, whose own one finds no broker.
static site_t
s_site (broker_t *broker, const char *name)
{
    serve_t *serve = serve_start (NULL, text_new ("serve-%s", name), NULL);
    return (site_t){.broker = broker,
                    .standin = serve_as_standin (serve),
                    .spool = temporary_path (name)};
}

static serve_t *
s_serve (const site_t *site)
{
    return site->standin->own;
}

//  What is there is what was measured, in the running server, and after it has ended.
static void
s_check (site_t *site, load_t *load)
{
    site_check (site, load);
    assert_int_equal (process_lines (site->worker, "status 422"), 0);
    serve_stop (s_serve (site));
    total_t total = serve_total (s_serve (site), NULL, "load.count");
    assert_true (total.sum == load->count);
    total = serve_total (s_serve (site), NULL, "load.time");
    assert_true (total.count == load->times);
    assert_true (total.sum_ns == load->time_ns);
}

//  --------------------------------------------------------------------------
//  The steps of a commit: a worker dies at each

//  Waits until a worker has died. Old readings are refused by the server, in a request
//  with others, so requests are split, and rows set aside.
static void
s_await_death (process_t *worker, const char *fault, void *publisher)
{
    static int64_t old = 1000;
    int64_t until = now_ms () + 2 * WAIT_MS;
    while (process_alive (worker)) {
        publisher_send (publisher,
                        text_new ("info|Gauge|bad|5|%" PRId64 "|test", old++));
        if (now_ms () > until)
            fail_msg ("nothing died at %s", fault);
        poll_pause ();
    }
    assert_int_equal (process_wait (worker), 128 + SIGKILL);
}

#if !SANITIZED  //  e2e.crash has the same worker
//  The server is killed meanwhile, too.
static void
each_step_of_the_worker_may_be_the_last (void)
{
    broker_t *broker = broker_start ();
    void *publisher = publisher_new_lonely (broker);
    site_t site[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        site[i] = s_site (broker, text_new ("%zu", i));
        site[i].fault = text_new ("%s:%d", s_points[i], i % 2 ? 3 : 1);
        site_begin (&site[i]);
    }
    load_t load = load_start (broker, 2, 5000);
    for (size_t i = 0; i < POINTS; i++) {
        if (!strcmp (site[i].worker->name, harness_path ("ZB_FAULTS"))) {
            s_await_death (site[i].worker, site[i].fault, publisher);
            site_start (&site[i], NULL);
        }
        serve_kill (s_serve (&site[i]));
        serve_launch (s_serve (&site[i]));
    }
    for (size_t i = 0; i < POINTS; i++)
        site_await (&site[i]);
    load_end_dropping (&load);
    for (size_t i = 0; i < POINTS; i++)
        s_check (&site[i], &load);
}

#endif

//  The same of the server's own worker, whose requests have keys, too.
static void
each_step_of_the_server_may_be_the_last (void)
{
    broker_t *broker = broker_start ();
    void *publisher = publisher_new_lonely (broker);
    serve_t *serve[POINTS];
    load_t load;
    for (size_t i = 0; i < POINTS; i++)
        serve[i] = serve_start (broker, text_new ("%zu", i), NULL);
    for (size_t i = 0; i < POINTS; i++) {
        serve_kill (serve[i]);
        serve[i]->fault = text_new ("%s:%d", s_points[i], i % 2 ? 3 : 1);
        serve_begin (serve[i]);
    }
    load = load_start (broker, 2, 5000);
    for (size_t i = 0; i < POINTS; i++) {
        s_await_death (serve[i]->process, serve[i]->fault, publisher);
        serve[i]->fault = NULL;
        serve_launch (serve[i]);
    }
    for (size_t i = 0; i < POINTS; i++)
        serve_await_more (serve[i], "load.count");
    load_end_dropping (&load);
    for (size_t i = 0; i < POINTS; i++) {
        serve_await (serve[i], "load.count", 0, load.count);
        serve_await (serve[i], "load.time", load.times, 0);
        serve_stop (serve[i]);
        total_t total = serve_total (serve[i], NULL, "load.time");
        assert_true (serve_total (serve[i], NULL, "load.count").sum
                     == load.count);
        assert_true (total.count == load.times);
        assert_true (total.sum_ns == load.time_ns);
    }
}

//  --------------------------------------------------------------------------
//  Random moments

enum { KILLS = 12, KILLS_LONG = 200, MOMENT_MS = 1200 };

static void
both_may_die_at_any_moment (void)
{
    int kills = getenv ("ZB_LONG") ? KILLS_LONG : KILLS;
    broker_t *broker = broker_start ();
    site_t site = s_site (broker, "spool");
    load_t load;
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    load = load_start (broker, 2, 2000);
    site_await (&site);
    for (int i = 0; i < kills; i++) {
        random_moment (MOMENT_MS);
        if (i % 3 != 0) {
            serve_kill (s_serve (&site));
            serve_launch (s_serve (&site));
        }
        if (i % 3 != 1) {
            site_kill (&site);
            site_start (&site, NULL);
            process_await (site.worker, "event=ready");
        }
    }
    site_await (&site);
    load_end_dropping (&load);
    s_check (&site, &load);
}

static const struct CMUnitTest tests[] = {
#if !SANITIZED
  TEST (each_step_of_the_worker_may_be_the_last),
#endif
  TEST (each_step_of_the_server_may_be_the_last),
  TEST (both_may_die_at_any_moment)};

HARNESS_MAIN (tests)
