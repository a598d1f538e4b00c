/*  test_serve.c - what programs publish and what clients post is stored once, and a
    2xx means stored, however the server ends

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 240

#include "serve.h"
#include "site.h"

enum { KILLS = 4, POSTS = 200 };

//  --------------------------------------------------------------------------
//  What programs publish

//  The server is killed again and again while two programs measure.
static void
what_programs_publish_is_stored_once (void)
{
    broker_t *broker = broker_start ();
    serve_t *serve = serve_start (broker, "data", NULL);
    load_t load[2] = {load_start (broker, 2, 1000),
                      load_start (broker, 2, 700)};
    double count = 0, times = 0;
    serve_await_more (serve, "load.count");
    for (int i = 0; i < KILLS; i++) {
        serve_kill (serve);
        serve_launch (serve);
        serve_await_more (serve, "load.count");
    }
    for (int i = 0; i < 2; i++) {
        load_end (&load[i]);
        count += load[i].count;
        times += load[i].times;
    }
    serve_await (serve, "load.count", 0, count);
    serve_await (serve, "load.time", times, 0);
    serve_stop (serve);
    assert_true (serve_total (serve, NULL, "load.count").sum == count);
    assert_true (serve_total (serve, NULL, "load.time").count == times);
    assert_true (serve_total (serve, NULL, "load.time").sum_ns
                 == load[0].time_ns + load[1].time_ns);
}

//  --------------------------------------------------------------------------
//  What clients post

//  The answer of the last one is no sooner than the disk has it.
static void
a_200_means_stored (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    for (int i = 0; i < POSTS; i++) {
        reply_t reply =
          serve_post (serve, "/v1/metrics", JSON,
                      text_new ("{\"gauges\":[{\"name\":\"a\",\"value\":1,"
                                "\"source\":\"%d\"}]}",
                                i));
        assert_int_equal (reply.status, 200);
        assert_string_equal (reply.body, "");
        if (i % 20 == 19) {
            serve_kill (serve);
            serve_launch (serve);
        }
    }
    serve_stop (serve);
    serve_check (serve, "a", POSTS, POSTS);
}

//  A client that does not know whether its request was taken sends it again, with the
//  same key.
static void
a_key_is_stored_once (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    static const char body[] = "{\"gauges\":{\"a\":{\"value\":2}}}";
    static const char other[] = "{\"gauges\":{\"a\":{\"value\":3}}}";
    static const char bad[] = "{\"gauges\":{\"a b\":{\"value\":3}}}";
    const char *const *once = LIST (JSON, "Idempotency-Key: \"one\"");
    const char *const *unquoted = LIST (JSON, "Idempotency-Key: one");
    const char *const *twice = LIST (JSON, "Idempotency-Key: two");
    for (int i = 0; i < 3; i++) {
        assert_int_equal (serve_ask (serve, "POST", "/v1/metrics", NULL, once,
                                     body, strlen (body))
                            .status,
                          200);
        serve_kill (serve);
        serve_launch (serve);
    }
    assert_int_equal (serve_ask (serve, "POST", "/v1/metrics", NULL, unquoted,
                                 body, strlen (body))
                        .status,
                      200);
    assert_int_equal (serve_ask (serve, "POST", "/v1/metrics", NULL, once,
                                 other, strlen (other))
                        .status,
                      422);
    //  one that was refused leaves no key
    assert_int_equal (
      serve_ask (serve, "POST", "/v1/metrics", NULL, twice, bad, strlen (bad))
        .status,
      400);
    assert_int_equal (
      serve_ask (serve, "POST", "/v1/metrics", NULL, twice, body, strlen (body))
        .status,
      200);
    serve_stop (serve);
    serve_check (serve, "a", 2, 4);
}

//  A request that comes again is answered to the letter as it was, also about those of
//  its measurements that were refused.
static void
a_repeated_answer_is_the_same (void)
{
    serve_t *serve = serve_start (NULL, "data", NULL);
    static const char body[] =
      "{\"measurements\":[{\"name\":\"a\",\"value\":1},"
      "{\"name\":\"a\",\"value\":2,\"time\":1000},"
      "{\"name\":\"a b\",\"value\":3},{\"name\":\"a\",\"value\":4}]}";
    const char *const *key = LIST (JSON, "Idempotency-Key: one");
    const char *first = NULL;
    for (int i = 0; i < 3; i++) {
        reply_t reply = serve_ask (serve, "POST", "/v1/measurements", NULL, key,
                                   body, strlen (body));
        assert_int_equal (reply.status, 202);
        first = first ? first : reply.body;
        assert_string_equal (reply.body, first);
        serve_kill (serve);
        serve_launch (serve);
    }
    assert_non_null (strstr (first, "\"accepted\":2,\"failed\":2"));
    assert_non_null (strstr (first, "is too far in the past"));
    serve_stop (serve);
    serve_check (serve, "a", 2, 5);
}

//  A client of another host has posted the names of a program here as gauges before it
//  measures: all that comes is added up, and the program says what they are.
static void
what_was_posted_first_is_added_to (void)
{
    static const char body[] = "{\"gauges\":[{\"name\":\"load.count\","
                               "\"value\":5},{\"name\":\"load.time\","
                               "\"count\":3,\"sum\":1.5}]}";
    broker_t *broker = broker_start ();
    serve_t *serve = serve_start (broker, "data", NULL);
    load_t load;
    for (int i = 0; i < 2; i++)
        assert_int_equal (serve_ask (serve, "POST", "/v1/metrics", NULL,
                                     LIST (JSON), body, strlen (body))
                            .status,
                          200);
    load = load_start (broker, 2, 1000);
    serve_await_more (serve, "load.count");
    load_end (&load);
    serve_await (serve, "load.count", 0, load.count + 10);
    serve_await (serve, "load.time", load.times + 6, 0);
    assert_int_equal (process_lines (serve->process, "event=rejected"), 0);
    serve_stop (serve);
    assert_true (serve_total (serve, NULL, "load.count").sum
                 == load.count + 10);
    assert_true (serve_total (serve, NULL, "load.time").count
                 == load.times + 6);
}

//  --------------------------------------------------------------------------
//  Histograms

//  Timers have all their samples in buckets, whether they come from a worker of another
//  host or from the server's own; nothing else has any.
static void
histograms_come_both_ways (void)
{
    broker_t *broker = broker_start ();
    serve_t *own = serve_start (broker, "own", NULL);
    serve_t *other = serve_start (NULL, "other", NULL);
    site_t site = {.broker = broker,
                   .standin = serve_as_standin (other),
                   .more = LIST ("--histograms")};
    load_t load;
    site_start (&site, NULL);
    process_await (site.worker, "event=ready");
    load = load_start (broker, 2, 1000);
    serve_await_more (own, "load.count");
    site_await (&site);
    load_end (&load);
    serve_await (own, "load.time", load.times, 0);
    serve_await (other, "load.time", load.times, 0);
    assert_int_equal (process_stop (site.worker, SIGTERM), 0);
    for (int i = 0; i < 2; i++) {
        serve_t *serve = i ? other : own;
        const cJSON *row;
        cJSON *rows;
        double timed = 0;
        serve_stop (serve);
        rows = serve_rows (serve);
        cJSON_ArrayForEach (row, rows)
        {
            bool timer = row_is (row, "name", "load.time");
            assert_true (row_number (row, "in_buckets")
                         == (timer ? row_number (row, "count") : 0));
            timed += row_number (row, "in_buckets");
        }
        assert_true (timed == load.times);
        cJSON_Delete (rows);
    }
}

//  --------------------------------------------------------------------------
//  A full disk

//  Writes as much as there is room for.
static void
s_fill (const char *path)
{
    static char zeros[4096];
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true (fd != -1);
    while (write (fd, zeros, sizeof zeros) > 0) {
    }
    close (fd);
}

//  As the page learns it.
static bool
s_is_failing (const serve_t *serve)
{
    reply_t reply =
      serve_ask (serve, "GET", "/api/status", NULL, NULL, NULL, 0);
    assert_int_equal (reply.status, 200);
    return strstr (reply.body, "\"failing\":1") != NULL;
}

//  503 means that nothing was stored: who comes again later loses nothing.
static void
a_full_disk_is_said (void)
{
    const char *fill = text_new ("%s/fill", disk_new ("8m"));
    serve_t *serve = serve_start (NULL, "disk/data", NULL);
    int taken = 0, status = 200;
    s_fill (fill);
    for (int i = 0; i < 20000 && status == 200; i++) {
        status = (int) serve_post (serve, "/v1/metrics", JSON,
                                   text_new ("{\"gauges\":[{\"name\":\"a\","
                                             "\"value\":1,\"source\":"
                                             "\"%d\"}]}",
                                             i))
                   .status;
        taken += status == 200;
    }
    assert_int_equal (status, 503);
    assert_true (s_is_failing (serve));
    assert_int_equal (unlink (fill), 0);
    assert_int_equal (serve_post (serve, "/v1/metrics", JSON,
                                  "{\"gauges\":[{\"name\":\"a\","
                                  "\"value\":1}]}")
                        .status,
                      200);
    assert_false (s_is_failing (serve));
    serve_stop (serve);
    serve_check (serve, "a", taken + 1, taken + 1);
}

static const struct CMUnitTest tests[] = {
  TEST (what_programs_publish_is_stored_once),
  TEST (a_200_means_stored),
  TEST (a_key_is_stored_once),
  TEST (a_repeated_answer_is_the_same),
  TEST (what_was_posted_first_is_added_to),
  TEST (a_full_disk_is_said),
  TEST (histograms_come_both_ways)};

HARNESS_MAIN (tests)
