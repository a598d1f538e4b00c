/*  test_prometheus.c - what Prometheus has of `zibrato prometheus`

    A real server scrapes the worker, with native histograms and without; what is
    compared is read back by its own query API. promtool and the Python client's parser
    of OpenMetrics judge what a scrape gets.

    Sections: the worker and its server, totals, forms, names, what ends, many series.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the servers take their time beside it

#include "prometheus.h"

//  --------------------------------------------------------------------------
//  The worker and its server

//  What a server scrapes at its second port.
static store_t
s_scraped (server_t *server)
{
    return (store_t){.server = server,
                     .mode = "prometheus",
                     .rows = prometheus_rows,
                     .options = s_list_keep (
                       LIST ("--flush", "1", "--listen",
                             text_new ("127.0.0.1:%d", server->port[1])))};
}

//  A worker that nobody scrapes but the test.
static store_t
s_alone (const broker_t *broker, const char *const *more)
{
    store_t store = {.mode = "prometheus",
                     .options =
                       LIST ("--flush", "1", "--listen", "127.0.0.1:0")};
    store_work (&store, broker, more);
    return store;
}

static const char *
s_url (const store_t *self)
{
    const char *line = process_await (self->worker, "event=listening");
    return text_new ("%s", strstr (line, "url=") + 4);
}

enum { STATUS_NONE = 0 };

//  What a scrape gets that accepts such a type, or NULL. Freed after the test.
static char *
s_scrape (const char *url, const char *accept, long *status)
{
    CURL *curl = curl_easy_init ();
    struct curl_slist *headers =
      accept ? curl_slist_append (NULL, text_new ("Accept: %s", accept)) : NULL;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    curl_easy_setopt (curl, CURLOPT_URL, url);
    curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, s_curl_take);
    curl_easy_setopt (curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt (curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
    *status = STATUS_NONE;
    if (curl_easy_perform (curl) == CURLE_OK)
        curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all (headers);
    curl_easy_cleanup (curl);
    fclose (out);
    return harness_keep (text);
}

//  Scrapes until such a line is there. Returns all that the last scrape got.
static const char *
s_await_line (const char *url, const char *line)
{
    int64_t until = now_ms () + WAIT_MS;
    const char *text;
    long status;
    do {
        text = s_scrape (url, NULL, &status);
        if (status == 200 && strstr (text, line))
            return text;
        poll_pause ();
    } while (now_ms () < until);
    fail_msg ("no \"%s\" in: %s", line, text);
    return NULL;
}

//  --------------------------------------------------------------------------
//  Totals

static void
prometheus_has_the_programs_totals_after_kills (void)
{
    server_t *server = server_start (&server_prometheus);
    store_t store = s_scraped (server);
    store_survives_kills (&store, NULL);
    prometheus_check_increase (server);
}

static void
native_histograms_are_exact_after_kills (void)
{
    server_t *server = server_start (&server_prometheus_native);
    store_t store = s_scraped (server);
    store_survives_kills (&store, NULL);
    prometheus_check_increase (server);
}

static void
percentiles_of_native_histograms_are_within_a_percent (void)
{
    server_t *server = server_start (&server_prometheus_native);
    broker_t *broker = broker_start ();
    store_t store = s_scraped (server);
    store_work (&store, broker, NULL);
    publisher_send (publisher_new (broker, ""), durations_of ("wait"));
    prometheus_await (server, "histogram_count(wait_seconds)", 1000);
    prometheus_await (server, "histogram_sum(wait_seconds)", 500.5);
    for (int i = 5; i < 100; i += 5) {
        double q = i / 100.0;
        percentile_check (
          prometheus_number (
            server, text_new ("histogram_quantile(%g,wait_seconds)", q)),
          q);
    }
    store_end (&store);
}

//  --------------------------------------------------------------------------
//  Forms

static const char s_open[] = "application/openmetrics-text;version=1.0.0";
static const char s_bytes[] = "application/vnd.google.protobuf;"
                              "proto=io.prometheus.client.MetricFamily;"
                              "encoding=delimited";

//  Runs a judge that reads from a file.
static void
s_judge (const char *command, const char *name, const char *text)
{
    const char *path = temporary_path (name);
    file_write (path, text);
    process_run (LIST ("sh", "-c", text_new ("%s < %s", command, path)), NULL);
}

static void
s_judge_text (const char *text)
{
    s_judge ("promtool check metrics", "text", text);
}

static void
s_judge_openmetrics (const char *text)
{
    s_judge ("/usr/bin/python3 -c 'import sys; from "
             "prometheus_client.openmetrics.parser import "
             "text_string_to_metric_families as families; "
             "assert list (families (sys.stdin.read ()))'",
             "openmetrics", text);
}

//  One of each kind; two of them have one name.
static const char *
s_one_of_each (void)
{
    long now = (long) time (NULL);
    return text_new ("info|Counter|jobs;kind=a|3|%ld|s\n"
                     "info|Counter|jobs;kind=b|4|%ld|s\n"
                     "info|Gauge|jobs|-2.5|%ld|s\n"
                     "info|Timer|wait|0.25|%ld|s\n"
                     "info|Counter|room|-5|%ld|s\n",
                     now, now, now, now, now);
}

static void
each_form_says_the_same_and_passes_its_judge (void)
{
    broker_t *broker = broker_start ();
    store_t store =
      s_alone (broker, LIST ("--worker", "w", "--signed", "room"));
    const char *url = s_url (&store), *text;
    long status;
    publisher_send (publisher_new (broker, ""), s_one_of_each ());
    text = s_await_line (url, "\nroom{source=\"s\",worker=\"w\"} -5\n");
    assert_non_null (strstr (text, "# TYPE jobs_total counter\n"));
    assert_non_null (strstr (text, "# TYPE jobs gauge\n"));
    assert_non_null (strstr (text, "\njobs{source=\"s\",worker=\"w\"} -2.5\n"));
    assert_non_null (
      strstr (text, "\njobs_total{kind=\"b\",source=\"s\",worker=\"w\"} 4\n"));
    assert_non_null (
      strstr (text, "\nwait_seconds_bucket{source=\"s\",worker=\"w\",le=\"0."
                    "25\"} 1\n"));
    assert_non_null (
      strstr (text, "\nwait_seconds_sum{source=\"s\",worker=\"w\"} 0.25\n"));
    s_judge_text (text);
    text = s_scrape (url, s_open, &status);
    assert_int_equal (status, 200);
    //  a family of this name is there already
    assert_non_null (strstr (text, "# TYPE jobs_total unknown\n"));
    assert_non_null (strstr (text, "# UNIT wait_seconds seconds\n"));
    assert_string_equal (text + strlen (text) - 6, "# EOF\n");
    s_judge_openmetrics (text);
    assert_non_null (strstr (s_scrape (url, s_bytes, &status), "jobs_total"));
    store_end (&store);
}

static void
what_is_no_scrape_is_answered (void)
{
    broker_t *broker = broker_start ();
    store_t store = s_alone (broker, LIST ("--flush", flush_far ()));
    const char *url = s_url (&store);
    const char *base = text_new ("%.*s", (int) strlen (url) - 8, url);
    char *text;
    long status;
    text = s_scrape (url, NULL, &status);
    assert_int_equal (status, 503);
    assert_string_equal (text, "wait for the first flush\n");
    assert_non_null (strstr (s_scrape (base, NULL, &status), "/metrics"));
    assert_int_equal (status, 200);
    s_scrape (text_new ("%s/none", base), NULL, &status);
    assert_int_equal (status, 404);
    assert_null (http (url, "a body"));
    store_end (&store);
}

static void
a_port_in_use_ends_it_with_one_line (void)
{
    int fd = port_listen ("127.0.0.1", 0);
    zibrato_dies (
      LIST ("prometheus", "--listen", text_new ("127.0.0.1:%d", port_of (fd))),
      "Address already in use");
    close (fd);
    zibrato_dies (LIST ("prometheus", "--listen", "9464"),
                  "--listen: expected HOST:PORT");
}

//  --------------------------------------------------------------------------
//  Names

static void
each_byte_is_stored_under_the_name_that_the_handbook_says (void)
{
    server_t *server = server_start (&server_prometheus);
    store_t store = s_scraped (server);
    prometheus_check_bytes (&store);
    prometheus_await (server, "up", 1);
    store_end (&store);
}

static void
who_came_first_has_the_name (void)
{
    broker_t *broker = broker_start ();
    store_t store = s_alone (broker, LIST ("--worker", "w"));
    const char *url = s_url (&store), *text;
    void *publisher = publisher_new (broker, "");
    publisher_send (
      publisher, text_new ("info|Timer|wait|0.25|%ld|s", (long) time (NULL)));
    s_await_line (url, "wait_seconds_count");
    for (int i = 0; i < 2; i++) {
        publisher_send (publisher,
                        text_new ("info|Gauge|wait_seconds_sum|9|%ld|s\n"
                                  "info|Timer|wait_seconds|0.001|%ld|s\n"
                                  "info|Counter|turn.%d|1|%ld|s",
                                  (long) time (NULL), (long) time (NULL), i,
                                  (long) time (NULL)));
        text = s_await_line (url, text_new ("turn_%d_total", i));
    }
    s_judge_text (text);
    text = strstr (text, "\nwait_seconds_sum{");
    assert_non_null (text);
    assert_null (strstr (text + 1, "\nwait_seconds_sum{"));
    s_await_line (url, "wait_seconds_sum{source=\"s\",worker=\"w\"} 0.25\n");
    store_end (&store);
    assert_int_equal (process_lines (store.worker, "event=taken"), 2);
}

//  --------------------------------------------------------------------------
//  What ends

//  Publishes a line until a query has such a value, for a server may scrape too late
//  what rests for a moment. NAN: until it has none.
static void
s_await_beside (const server_t *server, void *publisher, const char *line,
                const char *query, double value)
{
    int64_t until = now_ms () + WAIT_MS;
    double number = prometheus_number (server, query);
    while (isnan (value) ? !isnan (number) : !(number == value)) {
        publisher_send (publisher, line);
        poll_pause ();
        if (now_ms () > until)
            fail_msg ("%s is %.17g, not %.17g", query, number, value);
        number = prometheus_number (server, query);
    }
}

static void
what_rests_for_too_long_is_no_longer_there (void)
{
    static const char query[] = "short_total{worker=\"ends\"}";
    server_t *server = server_start (&server_prometheus);
    broker_t *broker = broker_start ();
    store_t store = s_scraped (server);
    store_work (&store, broker, LIST ("--stale", "4", "--worker", "ends"));
    void *publisher = publisher_new (broker, "");
    long now = (long) time (NULL);
    const char *alive = text_new ("info|Counter|alive|0|%ld|s", now);
    const char *shorter = text_new ("info|Counter|short|0|%ld|s", now);
    publisher_send (publisher, text_new ("info|Counter|short|7|%ld|s", now));
    s_await_beside (server, publisher, shorter, query, 7);
    publisher_send (publisher, text_new ("info|Counter|alive|1|%ld|s", now));
    s_await_beside (server, publisher, alive, query, NAN);
    s_await_beside (server, publisher, alive, "alive_total", 1);
    //  it has a new start, and what was is not counted again
    publisher_send (publisher, text_new ("info|Counter|short|2|%ld|s", now));
    s_await_beside (server, publisher, shorter, query, 2);
    store_end (&store);
}

//  --------------------------------------------------------------------------
//  Many series

//  The most that it ever had in memory, in KiB, since it was last asked.
static long
s_memory_peak (const process_t *process)
{
    long peak = process_status (process, "VmHWM:");
    file_write (text_new ("/proc/%d/clear_refs", (int) process->pid), "5");
    return peak;
}

static void
a_scrape_of_many_series_takes_no_memory (void)
{
    enum { SERIES = 100000, A_MESSAGE = 500, GROWTH_KIB = 1024, SCRAPES = 3 };
    broker_t *broker = broker_start ();
    store_t store = s_alone (broker, LIST ("--worker", "w"));
    const char *url = s_url (&store);
    void *publisher = publisher_new (broker, "");
    long status, grown = GROWTH_KIB + 1;
    for (int i = 0; i < SERIES; i += A_MESSAGE) {
        char *text;
        size_t size;
        FILE *out = open_memstream (&text, &size);
        for (int j = i; j < i + A_MESSAGE; j++)
            fprintf (out, "info|Counter|many;number=%d|%d|%ld|s\n", j, j,
                     (long) time (NULL));
        fclose (out);
        publisher_send (publisher, text);
        free (text);
    }
    s_await_line (url, text_new ("number=\"%d\"", SERIES - 1));
    //  what a flush takes is none of it: a scrape between two of them
    for (int i = 0; i < SCRAPES && grown > GROWTH_KIB; i++) {
        s_memory_peak (store.worker);
        long before = process_status (store.worker, "VmHWM:");
        s_scrape (url, i % 2 ? s_bytes : s_open, &status);
        assert_int_equal (status, 200);
        grown = s_memory_peak (store.worker) - before;
    }
    if (grown > GROWTH_KIB && !SANITIZED)
        fail_msg ("%ld KiB", grown);
    store_end (&store);
}

//  Who asks and does not read, and then is gone, harms nobody.
static void
slow_readers_hold_up_nobody (void)
{
    enum { READERS = 20, SERIES = 20000 };
    broker_t *broker = broker_start ();
    store_t store = s_alone (broker, LIST ("--worker", "w"));
    const char *url = s_url (&store);
    const char *ask = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons ((uint16_t) atoi (strrchr (url, ':') + 1)),
      .sin_addr.s_addr = inet_addr ("127.0.0.1")};
    int readers[READERS];
    void *publisher = publisher_new (broker, "");
    for (int i = 0; i < SERIES; i++)
        publisher_send (publisher,
                        text_new ("info|Counter|many;number=%d|1|%ld|s", i,
                                  (long) time (NULL)));
    s_await_line (url, text_new ("number=\"%d\"", SERIES - 1));
    for (int i = 0; i < READERS; i++) {
        readers[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal (
          connect (readers[i], (void *) &address, sizeof address), 0);
        assert_int_equal (write (readers[i], ask, strlen (ask)), strlen (ask));
    }
    publisher_send (
      publisher, text_new ("info|Counter|after|1|%ld|s", (long) time (NULL)));
    s_await_line (url, "after_total");
    for (int i = 0; i < READERS; i++)
        close (readers[i]);
    store_end (&store);
}

static const struct CMUnitTest tests[] = {
  TEST (prometheus_has_the_programs_totals_after_kills),
  TEST (native_histograms_are_exact_after_kills),
  TEST (percentiles_of_native_histograms_are_within_a_percent),
  TEST (each_form_says_the_same_and_passes_its_judge),
  TEST (what_is_no_scrape_is_answered),
  TEST (a_port_in_use_ends_it_with_one_line),
  TEST (each_byte_is_stored_under_the_name_that_the_handbook_says),
  TEST (who_came_first_has_the_name),
  TEST (what_rests_for_too_long_is_no_longer_there),
  TEST (a_scrape_of_many_series_takes_no_memory),
  TEST (slow_readers_hold_up_nobody)};

HARNESS_MAIN (tests)
