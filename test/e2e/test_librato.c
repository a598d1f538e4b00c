/*  test_librato.c - what `zibrato librato` makes of an API and its moods

    The stand-in judges: it stores what the service would have stored, refuses
    what it refused, and fails as its script says. Lines come from a socket of
    the test, so that each is known to the byte.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the threads are those of any worker

#include "harness.h"

enum { GOOD = 300 };

static long
s_now (void)
{
    return (long) time (NULL);
}

//  Sends so many gauges "good.0" ..., as few as there mostly are in one message,
//  so in one window, and one in their midst that the service does not take.
static void
s_send_gauges (void *publisher, int count, const char *bad)
{
    enum { IN_A_MESSAGE = 1000 };  //  which is below the broker's 64 KiB
    for (int i = 0; i < count;) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream (&text, &size);
        int end = i + IN_A_MESSAGE < count ? i + IN_A_MESSAGE : count;
        for (; i < end; i++) {
            fprintf (out, "info|Gauge|good.%d|%d|%ld|test\n", i, i, s_now ());
            if (bad && i == count / 2)
                fprintf (out, "%s\n", bad);
        }
        fclose (out);
        publisher_send (publisher, text);
        free (text);
    }
}

//  All gauges are there, once each.
static void
s_check_gauges (const sink_t *sink, int count)
{
    cJSON *rows = sink_rows (sink);
    for (int i = 0; i < count; i++) {
        total_t total = rows_total (rows, "test", text_new ("good.%d", i));
        if (total.count != 1 || total.sum != i)
            fail_msg ("good.%d: %g samples, sum %g", i, total.count, total.sum);
    }
    cJSON_Delete (rows);
}

static void
one_refused_among_300_takes_none_with_it (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (
      broker, NULL,
      LIST ("--batch", "500", "--spool", temporary_path ("each")));
    void *publisher = publisher_new (broker, "");
    s_send_gauges (publisher, GOOD, "info|Gauge|bad|5|1000|test");
    process_await (sink.worker, "event=rejected");
    sink_await (&sink, "test", text_new ("good.%d", GOOD - 1), 1, 0);
    sink_await (&sink, "test", "good.0", 1, 0);
    //  the next flush goes straight through
    int refused = standin_requests (sink.standin, 400);
    publisher_send (publisher,
                    text_new ("info|Gauge|after|1|%ld|test", s_now ()));
    sink_await (&sink, "test", "after", 1, 0);
    sink_stop (&sink);

    s_check_gauges (&sink, GOOD);
    sink_check_count (&sink, "test", "bad", 0);
    assert_int_equal (process_lines (sink.worker, "event=rejected"), 1);
    assert_int_equal (process_lines (sink.worker, "event=retry"), 0);
    const char *line = process_await (sink.worker, "event=rejected");
    assert_non_null (strstr (line, "is too far in the past"));
    assert_non_null (strstr (line, "gauge|bad|test|1000 "));
    //  halves of 300 and the worker's own, down to one
    assert_true (refused > 0 && refused <= 10);
    assert_int_equal (standin_requests (sink.standin, 400), refused);
}

static void
bad_ones_are_found_wherever_they_stand (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "refuse*"),
                                LIST ("--spool", temporary_path ("each")));
    void *publisher = publisher_new (broker, "");
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    for (int i = 0; i < 100; i++) {
        fprintf (out, "info|Gauge|good.%d|%d|%ld|test\n", i, i, s_now ());
        if (i % 10 == 0)
            fprintf (out, "info|Gauge|poison.%d|1|%ld|test\n", i, s_now ());
    }
    fclose (out);
    publisher_send (publisher, text);
    free (text);
    process_await_nth (sink.worker, "event=rejected", 10);
    sink_await (&sink, "test", "good.99", 1, 0);
    sink_stop (&sink);
    s_check_gauges (&sink, 100);
    assert_int_equal (process_lines (sink.worker, "event=rejected"), 10);
}

//  --------------------------------------------------------------------------
//  Rows that cannot be delivered, beside good ones

//  A number in the worker's last words.
static int
s_stopped (const sink_t *sink, const char *key)
{
    const char *at =
      strstr (process_await (sink->worker, "event=stopped"), key);
    assert_non_null (at);
    return atoi (at + strlen (key));
}

static int
s_requests_refused (const sink_t *sink)
{
    return standin_requests (sink->standin, 400)
           + standin_requests (sink->standin, 500);
}

//  The service fails whenever a bad row is in the request. All others are
//  stored, and a stop tells of the bad ones, which nobody keeps.
static void
s_check_poison (const char *word, int bad)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", word), NULL);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    for (int i = 0; i < GOOD; i++) {
        fprintf (out, "info|Gauge|good.%d|%d|%ld|test\n", i, i, s_now ());
        if (i % (GOOD / bad) == GOOD / bad / 2)
            fprintf (out, "info|Gauge|poison.%d|1|%ld|test\n", i, s_now ());
    }
    fclose (out);
    publisher_send (publisher, text);
    free (text);
    for (int i = 0; i < GOOD; i++)
        sink_await (&sink, "test", text_new ("good.%d", i), 1, 0);
    process_await_nth (sink.worker, "event=aside", (size_t) bad);
    print_message ("    %s: %d bad rows, %d requests failed\n", word, bad,
                   s_requests_refused (&sink));
    assert_in_range (s_requests_refused (&sink), 1, 12 + bad * 18);
    sink_stop (&sink);
    s_check_gauges (&sink, GOOD);
    assert_int_equal (s_stopped (&sink, "rejected="), bad);
    assert_int_equal (process_lines (sink.worker, "event=lost"), 0);
}

static void
a_row_at_which_the_service_fails_takes_none_with_it (void)
{
    s_check_poison ("poison*", 1);
    s_check_poison ("plain*", 3);
}

//  The service closes the connection at a row, without a word. After some tries
//  the row waits aside, with all of its request, and nobody waits for it.
static void
a_row_without_an_answer_stops_nobody (void)
{
    enum { ROUNDS = 4 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "mute*"),
                                LIST ("--connections", "1", "--batch", "1"));
    void *publisher = publisher_new (broker, "");
    int sent = 0, cut = 0, last = INT_MAX;
    publisher_probe (publisher, "info", &sink, 1);
    publisher_send (publisher,
                    text_new ("info|Gauge|poison|1|%ld|test", s_now ()));
    while (sent < last) {
        publisher_send (publisher,
                        text_new ("info|Counter|good|1|%ld|test", s_now ()));
        sink_await (&sink, "test", "good", 0, ++sent);
        if (last == INT_MAX && process_lines (sink.worker, "event=aside")) {
            cut = standin_requests (sink.standin, 0);
            last = sent + ROUNDS;
        }
    }
    assert_int_equal (standin_requests (sink.standin, 0), cut);
    assert_int_equal (process_lines (sink.worker, "event=aside"), 1);
    sink_stop (&sink);
    sink_check_sum (&sink, "test", "good", sent);
}

//  A service that takes 50 ms a request, and a program that is three hours
//  behind: its rows are too old, all others arrive as they are sent. (Without a
//  spool, what is of before the worker's start would get a later second.)
static void
a_slow_clock_stops_nobody (void)
{
    enum { ROUNDS = 10, EACH = 150, TIMERS = 100 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "slow:50*"),
                                LIST ("--spool", temporary_path ("behind")));
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    for (int round = 1; round <= ROUNDS; round++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream (&text, &size);
        for (int i = 0; i < TIMERS; i++)
            fprintf (out, "info|Timer|behind.%d|1|%ld|test\n", i,
                     s_now () - 3 * 3600 - i % 2);
        fprintf (out, "info|Counter|healthy|%d|%ld|test\n", EACH, s_now ());
        fclose (out);
        publisher_send (publisher, text);
        free (text);
        sink_await (&sink, "test", "healthy", 0, round * EACH);
    }
    sink_stop (&sink);
    int refused = standin_requests (sink.standin, 400);
    print_message ("    %d old rows, %d requests refused\n", ROUNDS * TIMERS,
                   refused);
    sink_check_sum (&sink, "test", "healthy", ROUNDS * EACH);
    assert_int_equal (s_stopped (&sink, "rejected="), ROUNDS * TIMERS);
    //  as a group: two a flush, and some more until it is known what is too old;
    //  each flush has a row that is stored, too
    assert_in_range (refused, ROUNDS,
                     2 * standin_requests (sink.standin, 200) + 6);
    assert_int_equal (process_lines (sink.worker, "event=lost"), 0);
}

//  The service is away for longer than it takes old rows for. When it is back,
//  what is measured then is stored at once, and what is too old costs a request
//  for each that waits.
static void
an_outage_longer_than_the_window_costs_little (void)
{
    enum { WINDOW = 4, SECONDS = 10, COUNTERS = 100 };
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_librato (broker, LIST ("--script", "ok", "--max-age", "4"), NULL);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    standin_script (sink.standin, "503*");
    for (long end = s_now () + SECONDS, second; (second = s_now ()) < end;) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream (&text, &size);
        for (int i = 0; i < COUNTERS; i++)
            fprintf (out, "info|Counter|down.%d|1|%ld|test\n", i, second);
        fclose (out);
        publisher_send (publisher, text);
        free (text);
        while (s_now () == second)
            poll_pause ();
    }
    standin_script (sink.standin, "ok");
    process_await (sink.worker, "event=recovered");
    publisher_send (publisher,
                    text_new ("info|Counter|back|7|%ld|test", s_now ()));
    sink_await (&sink, "test", "back", 0, 7);
    sink_stop (&sink);
    int refused = standin_requests (sink.standin, 400);
    int rejected = s_stopped (&sink, "rejected=");
    print_message ("    %d rows too old, %d requests refused\n", rejected,
                   refused);
    assert_true (rejected >= (SECONDS - WINDOW - 2) * COUNTERS);
    assert_true (refused <= 3 * SECONDS);
    sink_check_sum (&sink, "test", "back", 7);
}

//  Of three machines behind a balancer one is dead: no row is set aside.
static void
a_dead_node_sets_nothing_aside (void)
{
    enum { REQUESTS = 60, EACH = 5 };
    broker_t *broker = broker_start ();
    char *script = harness_keep (calloc (REQUESTS, 12)), *end = script;
    for (int i = 0; i < REQUESTS; i++)
        end += sprintf (end, "%sok,502,ok", i ? "," : "");
    sink_t sink = sink_librato (broker, LIST ("--script", script),
                                LIST ("--batch", text_new ("%d", EACH)));
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    s_send_gauges (publisher, 100, NULL);
    for (int i = 0; i < 100; i++)
        sink_await (&sink, "test", text_new ("good.%d", i), 1, 0);
    sink_stop (&sink);
    s_check_gauges (&sink, 100);
    assert_true (standin_requests (sink.standin, 502) > 5);
    assert_int_equal (s_stopped (&sink, "rejected="), 0);
    assert_int_equal (process_lines (sink.worker, "event=aside"), 0);
}

//  --------------------------------------------------------------------------
//  Faults, all at once: a worker and a stand-in each, one broker

// clang-format off
static const struct {
    const char *words;      //  the script
    double most;            //  samples of one reading, at most
    int wait_ms;            //  between the fault and the next request, at least
    unsigned status;        //  of the fault
} s_faults[] = {
    {"503",           1, 300,  503},
    {"503empty,500",  1, 300,  503},
    {"502,504",       1, 300,  502},
    {"slow:1500",     1, 0,    200},
    {"cut",           1, 0,    0},
    {"cutafter",      2, 0,    0},  //  stored, but nobody was told
    {"html400",       1, 0,    400},
    {"403limit",      1, 300,  403},
    {"429:3",         1, 3000, 429},
    {"split",         1, 0,    200},
};
// clang-format on

enum { FAULTS = sizeof s_faults / sizeof *s_faults };

//  The request behind the first that was answered so came late enough; two
//  clocks may differ by a little.
static void
s_check_wait (const sink_t *sink, unsigned status, int wait_ms)
{
    cJSON *requests = standin_get (sink->standin, "requests");
    const cJSON *request = requests->child;
    while (request && (unsigned) row_number (request, "status") != status)
        request = request->next;
    assert_non_null (request);
    assert_non_null (request->next);
    double waited =
      row_number (request->next, "time_ms") - row_number (request, "time_ms");
    if (waited < wait_ms - 50)
        fail_msg ("after %u the next request came in %g ms", status, waited);
    cJSON_Delete (requests);
}

static void
faults_lose_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sinks[FAULTS];
    for (int i = 0; i < FAULTS; i++)
        sinks[i] = sink_librato (broker, NULL, NULL);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", sinks, FAULTS);
    for (int i = 0; i < FAULTS; i++)
        standin_script (sinks[i].standin, s_faults[i].words);
    s_send_gauges (publisher, 20, NULL);
    publisher_send (publisher, text_new ("info|Counter|count|7|%ld|test\n"
                                         "info|Timer|time|0.5|%ld|test",
                                         s_now (), s_now ()));
    for (int i = 0; i < FAULTS; i++) {
        print_message ("    %s\n", s_faults[i].words);
        sink_await (&sinks[i], "test", "good.19", 1, 0);
        sink_await (&sinks[i], "test", "good.0", 1, 0);
        sink_await (&sinks[i], "test", "count", 0, 7);
        sink_await (&sinks[i], "test", "time", 1, 0);
        sink_stop (&sinks[i]);
        cJSON *rows = sink_rows (&sinks[i]);
        for (int good = 0; good < 20; good++)
            assert_true (
              rows_total (rows, "test", text_new ("good.%d", good)).count
              <= s_faults[i].most);
        assert_true (rows_total (rows, "test", "count").sum
                     <= 7 * s_faults[i].most);
        cJSON_Delete (rows);
        assert_int_equal (process_lines (sinks[i].worker, "event=rejected"), 0);
        if (s_faults[i].wait_ms)
            s_check_wait (&sinks[i], s_faults[i].status, s_faults[i].wait_ms);
    }
}

//  A reply that takes longer than --timeout counts as none.
static void
a_service_that_hangs_is_asked_again (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "slow:20000"),
                                LIST ("--timeout", "1"));
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher,
                    text_new ("info|Counter|count|7|%ld|test", s_now ()));
    process_await (sink.worker, "event=retry");
    sink_await (&sink, "test", "count", 0, 7);
    sink_stop (&sink);
}

//  Nobody at the address at first. What was measured meanwhile is kept.
static void
a_service_may_come_late (void)
{
    broker_t *broker = broker_start ();
    int fd = port_take ("127.0.0.1", 0);
    const char *port = text_new ("%d", port_of (fd));
    process_t *worker = worker_start (
      broker, "librato",
      LIST ("--username", "user@example.org", "--apitoken", "token", "--flush",
            "1", "--url", text_new ("http://127.0.0.1:%s/v1/metrics", port)),
      NULL);
    process_await (worker, "event=retry");
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher,
                    text_new ("info|Counter|count|7|%ld|test", s_now ()));
    sink_t sink = {worker, standin_start (LIST ("--port", port))};
    sink_end_with_sum (&sink, "test", "count", 7);
    assert_true (process_lines (worker, "event=recovered") > 0);
    close (fd);
}

//  --------------------------------------------------------------------------
//  Credentials

//  Time passes while another worker, whose token is good, makes requests.
static void
wrong_credentials_are_one_line_and_no_loop (void)
{
    broker_t *broker = broker_start ();
    sink_t bad = sink_librato (broker, LIST ("--token", "another"), NULL);
    sink_t good = sink_librato (broker, NULL, NULL);
    void *publisher = publisher_new (broker, "");
    process_await (bad.worker, "event=held");
    for (int flush = 1; flush <= 4; flush++) {
        publisher_send (publisher,
                        text_new ("info|Counter|count|1|%ld|test", s_now ()));
        standin_await_requests (good.standin, flush);
    }
    assert_int_equal (process_lines (bad.worker, "event=held"), 1);
    assert_int_equal (process_lines (bad.worker, "event=retry"), 0);
    assert_non_null (strstr (process_await (bad.worker, "event=held"), "401"));
    assert_int_equal (standin_requests (bad.standin, -1), 0);
    sink_stop (&bad);
    assert_true (standin_requests (bad.standin, -1) <= 1);
}

//  Refused for a moment only: held, and delivered when the worker is stopped.
static void
what_was_held_for_credentials_is_delivered (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "401"), NULL);
    void *publisher = publisher_new (broker, "");
    s_send_gauges (publisher, 10, NULL);
    process_await (sink.worker, "event=held");
    sink_stop (&sink);
    s_check_gauges (&sink, 10);
}

static void
s_check_hidden (const process_t *worker, const char *secret)
{
    static const char *const names[] = {"cmdline", "environ"};
    for (int i = 0; i < 2; i++) {
        size_t size;
        char *text = file_read (
          text_new ("/proc/%d/%s", (int) worker->pid, names[i]), &size);
        assert_true (size > 0);
        assert_null (memmem (text, size, secret, strlen (secret)));
    }
}

static void
s_check_token_hidden (const char *const *options, const char *const *env)
{
    const char *secret = "SECRET-0123456789";
    broker_t *broker = broker_start ();
    //  one that knows the token, and one that does not: errors must not tell
    for (int known = 0; known < 2; known++) {
        standin_t *standin =
          standin_start (LIST ("--token", known ? secret : "other"));
        const char *argv[16] = {"--username", "user@example.org",
                                "--flush",    "1",
                                "--url",      standin->url};
        for (int i = 0; options[i]; i++)
            argv[6 + i] = options[i];
        sink_t sink = {worker_start (broker, "librato", argv, env), standin};
        void *publisher = publisher_new (broker, "");
        if (known)
            publisher_probe (publisher, "info", &sink, 1);
        publisher_send (publisher,
                        text_new ("info|Counter|count|1|%ld|test", s_now ()));
        s_check_hidden (sink.worker, secret);
        if (known)
            sink_await (&sink, "test", "count", 0, 1);
        else
            process_await (sink.worker, "event=held");
        s_check_hidden (sink.worker, secret);
        sink_stop (&sink);
        assert_null (strstr (process_out (sink.worker), secret));
        assert_null (strstr (process_err (sink.worker), secret));
    }
}

static void
the_token_is_hidden_in_the_command_line (void)
{
    s_check_token_hidden (LIST ("--apitoken", "SECRET-0123456789"), NULL);
    s_check_token_hidden (LIST ("--apitoken=SECRET-0123456789"), NULL);
}

static void
the_token_is_hidden_in_the_environment (void)
{
    s_check_token_hidden (LIST ("--batch", "300"),
                          LIST ("LIBRATO_TOKEN=SECRET-0123456789"));
}

static void
the_token_may_be_in_a_file (void)
{
    const char *path = temporary_path ("token");
    file_write (path, "SECRET-0123456789\n");
    s_check_token_hidden (LIST ("--apitoken-file", path), NULL);
}

//  The service and the file have another token from one moment to the next.
static void
the_token_may_be_replaced (void)
{
    broker_t *broker = broker_start ();
    const char *path = temporary_path ("token");
    int fd = port_take ("127.0.0.1", 0);
    const char *port = text_new ("%d", port_of (fd));
    void *publisher = NULL;
    sink_t sink = {NULL, NULL};
    for (int turn = 0; turn < 2; turn++) {
        const char *token = turn ? "another-one" : "one";
        const char *name = text_new ("token-%d", turn);
        sink.standin = standin_start (LIST ("--port", port, "--token", token));
        file_write (path, text_new ("%s\n", token));
        if (turn == 0)
            sink.worker = worker_start (
              broker, "librato",
              LIST ("--username", "user@example.org", "--apitoken-file", path,
                    "--flush", "1", "--url", sink.standin->url),
              NULL);
        if (!publisher)
            publisher = publisher_new (broker, "");
        publisher_send (
          publisher, text_new ("info|Counter|%s|1|%ld|test", name, s_now ()));
        sink_await (&sink, "test", name, 0, 1);
        if (turn == 0)
            process_stop (sink.standin->process, SIGTERM);
    }
    sink_stop (&sink);
    process_await (sink.worker, "event=apitoken");
    close (fd);
}

//  As any other option: what the command line says holds.
static void
a_token_of_the_command_line_wins_over_a_file_of_the_configuration (void)
{
    broker_t *broker = broker_start ();
    const char *path = temporary_path ("token"), *config;
    config = temporary_path ("config");
    file_write (path, "wrong\n");
    file_write (config, text_new ("[librato]\napitoken-file = %s\n", path));
    standin_t *standin = standin_start (LIST ("--token", "right"));
    sink_t sink = {
      worker_start (broker, "librato",
                    LIST ("--config", config, "--username", "user@example.org",
                          "--apitoken", "right", "--flush", "1", "--url",
                          standin->url),
                    NULL),
      standin};
    publisher_send (publisher_new (broker, ""),
                    text_new ("info|Counter|n|1|%ld|test", s_now ()));
    sink_end_with_sum (&sink, "test", "n", 1);
}

//  What is held for a token that is wrong need not wait for a minute.
static void
a_hangup_ends_a_hold (void)
{
    broker_t *broker = broker_start ();
    const char *path = temporary_path ("token");
    file_write (path, "wrong\n");
    standin_t *standin = standin_start (LIST ("--token", "right"));
    sink_t sink = {
      worker_start (broker, "librato",
                    LIST ("--username", "user@example.org", "--apitoken-file",
                          path, "--flush", "1", "--url", standin->url),
                    NULL),
      standin};
    void *publisher = publisher_new (broker, "");
    publisher_send (publisher,
                    text_new ("info|Counter|count|7|%ld|test", s_now ()));
    process_await (sink.worker, "event=held");
    file_write (path, "right\n");
    int64_t before = now_ms ();
    process_signal (sink.worker, SIGHUP);
    sink_await (&sink, "test", "count", 0, 7);
    assert_true (now_ms () - before < 30000);
    sink_stop (&sink);
}

//  --------------------------------------------------------------------------
//  What is sent

static void
names_are_made_fit_and_collisions_told_once (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, NULL);
    void *publisher = publisher_new (broker, "");
    char name[256];
    memset (name, 'n', 255);
    name[255] = 0;
    for (int flush = 1; flush <= 3; flush++) {
        publisher_send (publisher,
                        text_new ("info|Gauge|a/b c\xc3\xa9|1|%ld|so urce\n"
                                  "info|Gauge|one two|1|%ld|test\n"
                                  "info|Gauge|one_two|2|%ld|test\n"
                                  "info|Gauge|reserved|1|%ld|aLL\n"
                                  "info|Gauge|%s|1|%ld|test",
                                  s_now (), s_now (), s_now (), s_now (), name,
                                  s_now ()));
        sink_await (&sink, "test", name, flush, 0);
    }
    sink_stop (&sink);
    sink_check_count (&sink, "so_urce", "a_b_c__", 3);
    sink_check_count (&sink, "test", "one_two", 6);
    sink_check_count (&sink, NULL, "reserved", 3);
    assert_int_equal (process_lines (sink.worker, "event=rejected"), 0);
    assert_int_equal (process_lines (sink.worker, "event=collision"), 1);
    const char *line = process_await (sink.worker, "event=collision");
    assert_non_null (strstr (line, "one two"));
    assert_non_null (strstr (line, "one_two"));
}

//  Of two workers one wants nothing of what is sent. While the other makes
//  four requests, at least two of its flushes are empty.
static void
an_empty_flush_sends_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t all = sink_librato (broker, NULL, LIST ("--levels", "info,debug"));
    sink_t info = sink_librato (broker, NULL, LIST ("--levels", "info"));
    void *publisher = publisher_new (broker, "debug|");
    for (int flush = 1; flush <= 4; flush++) {
        publisher_send (publisher,
                        text_new ("debug|Counter|count|1|%ld|test", s_now ()));
        standin_await_requests (all.standin, flush);
    }
    assert_int_equal (standin_requests (info.standin, -1), 0);
    publisher_send (publisher,
                    text_new ("info|Counter|count|1|%ld|test", s_now ()));
    sink_await (&info, "test", "count", 0, 1);
    sink_stop (&info);
    assert_int_equal (standin_requests (info.standin, -1), 1);
}

static void
s_check_near (const sink_t *sink, const char *name, double expected)
{
    total_t total = sink_await (sink, "test", name, 1, 0);
    assert_true (total.count == 1);
    if (fabs (total.sum - expected) > 0.022 * expected)
        fail_msg ("%s is %.17g, expected %g", name, total.sum, expected);
}

//  1 to 1000 ms, each once: from classic lines of one second, and from a
//  program's one report.
static void
percentiles_are_right (void)
{
    broker_t *broker = broker_start ();
    sink_t sink =
      sink_librato (broker, NULL, LIST ("--percentiles", "50,95,99"));
    void *publisher = publisher_new (broker, "");
    process_t *measure =
      process_start (LIST (program_path ("measure")),
                     LIST (text_new ("ZIBRATO_HOST=%s", broker->host),
                           text_new ("ZIBRATO_PORT=%d", broker->port),
                           "ZIBRATO_INTERVAL_MS=3600000"));
    //  for it reports at once to whoever begins to listen
    process_send (measure, "count\tinfo\tlistened\nflush\t20000\n");
    sink_await (&sink, NULL, "listened", 0, 1);
    process_await (measure, "flush 0");
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    long now = s_now ();
    for (int ms = 1; ms <= 1000; ms++) {
        fprintf (out, "info|Timer|lines|0.%03d|%ld|test\n", ms % 1000, now);
        process_send (measure,
                      text_new ("time\tinfo\tprogram\t%g\ttest\n", ms * 1e-3));
    }
    fclose (out);
    strstr (text, "|0.000|")[1] = '1';
    publisher_send (publisher, text);
    free (text);
    process_send (measure, "flush\t20000\n");
    assert_string_equal (process_await_nth (measure, "flush ", 2), "flush 0");
    sink_await (&sink, "test", "lines", 1000, 0);
    sink_await (&sink, "test", "program", 1000, 0);
    s_check_near (&sink, "lines.p50", 0.5);
    s_check_near (&sink, "lines.p95", 0.95);
    s_check_near (&sink, "lines.p99", 0.99);
    s_check_near (&sink, "program.p50", 0.5);
    s_check_near (&sink, "program.p95", 0.95);
    s_check_near (&sink, "program.p99", 0.99);
    sink_stop (&sink);
    total_t total = sink_total (&sink, "test", "program");
    assert_true (total.sum_ns == 500500000000 && total.min == 0.001
                 && total.max == 1);
    assert_true (fabs (total.sum_squares - 333.8335) < 1e-9);
}

static void
batch_is_the_most_of_a_request (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, LIST ("--batch", "10"));
    void *publisher = publisher_new (broker, "");
    s_send_gauges (publisher, 95, NULL);
    sink_await (&sink, "test", "good.0", 1, 0);
    sink_await (&sink, "test", "good.94", 1, 0);
    sink_stop (&sink);
    s_check_gauges (&sink, 95);
    cJSON *requests = standin_get (sink.standin, "requests");
    const cJSON *request;
    double most = 0;
    cJSON_ArrayForEach (request, requests) most =
      fmax (most, row_number (request, "measurements"));
    assert_true (most == 10);
    cJSON_Delete (requests);
}

static int
s_by_value (const void *a, const void *b)
{
    double left = *(const double *) a, right = *(const double *) b;
    return (left > right) - (left < right);
}

//  So many requests are under way at once, and never one more.
static void
s_slow_service (const char *const *options, int connections, int gauges)
{
    enum { MOST = 100, SLOW_MS = 1000 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, options);
    void *publisher = publisher_new (broker, "");
    double came[MOST], least = 1e9;
    int count = 0;
    standin_script (sink.standin, text_new ("slow:%d*", SLOW_MS));
    s_send_gauges (publisher, gauges, NULL);
    sink_await (&sink, "test", "good.0", 1, 0);
    sink_await (&sink, "test", text_new ("good.%d", gauges - 1), 1, 0);
    sink_stop (&sink);
    s_check_gauges (&sink, gauges);
    cJSON *requests = standin_get (sink.standin, "requests");
    const cJSON *request;
    cJSON_ArrayForEach (request, requests) if (count < MOST) came[count++] =
      row_number (request, "time_ms");
    cJSON_Delete (requests);
    assert_true (count > connections);
    qsort (came, (size_t) count, sizeof *came, s_by_value);
    for (int i = 0; i + connections - 1 < count; i++)
        least = fmin (least, came[i + connections - 1] - came[i]);
    assert_true (least < SLOW_MS / 2);
    //  the next one has waited for an answer
    for (int i = 0; i + connections < count; i++)
        assert_true (came[i + connections] - came[i] > SLOW_MS * 0.9);
}

static void
a_slow_service_gets_several_at_once (void)
{
    s_slow_service (LIST ("--batch", "10"), 4, 195);
}

static void
a_slow_service_gets_as_many_at_once_as_the_option_says (void)
{
    s_slow_service (LIST ("--batch", "10", "--connections", "2"), 2, 95);
}

static void
https_is_trusted_by_certificate_only (void)
{
    const char *cert = temporary_path ("cert.pem");
    const char *key = temporary_path ("key.pem");
    process_run (LIST ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                       "-subj", "/CN=localhost", "-addext",
                       "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                       cert),
                 NULL);
    broker_t *broker = broker_start ();
    sink_t wary = sink_librato (
      broker, LIST ("--require-tls", "--tls-cert", cert, "--tls-key", key),
      LIST ("--deadline", "1"));
    sink_t trusting = sink_librato (
      broker, LIST ("--require-tls", "--tls-cert", cert, "--tls-key", key),
      LIST ("--ca", cert));
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &trusting, 1);
    s_send_gauges (publisher, 10, NULL);
    sink_await (&trusting, "test", "good.9", 1, 0);
    const char *line = process_await (wary.worker, "event=retry");
    assert_non_null (strstr (line, "certificate"));
    sink_stop (&trusting);
    sink_stop (&wary);
    assert_true (standin_requests (trusting.standin, 200) > 0);
    assert_int_equal (standin_requests (wary.standin, -1), 0);
    assert_int_equal (process_lines (wary.worker, "event=lost"), 1);
}

//  The service is away and the queue small: the oldest requests go, each row of
//  them counted; the rest is delivered when the service is back.
static void
spool_max_drops_and_counts (void)
{
    enum { SENT = 3000 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, LIST ("--script", "503*"),
                                LIST ("--spool-max", "64K", "--batch", "100"));
    void *publisher = publisher_new (broker, "");
    s_send_gauges (publisher, SENT, NULL);
    process_await (sink.worker, "event=dropped");
    process_await (sink.worker, "event=retry");
    standin_script (sink.standin, "ok");
    process_await (sink.worker, "event=recovered");
    sink_stop (&sink);
    const char *stopped = process_await (sink.worker, "event=stopped");
    const char *overflowed = strstr (stopped, "overflowed=");
    assert_non_null (overflowed);
    int dropped = atoi (overflowed + strlen ("overflowed="));
    cJSON *rows = sink_rows (&sink);
    const cJSON *row;
    int stored = 0;
    cJSON_ArrayForEach (row, rows) stored +=
      strncmp (cJSON_GetObjectItem (row, "name")->valuestring, "good.", 5) == 0;
    cJSON_Delete (rows);
    assert_in_range (stored, 1, SENT - 1);
    //  among the dropped may be a few of the worker's own health
    assert_in_range (stored + dropped, SENT, SENT + 20);
}

//  A flush is far away. What a worker that came later has, this one has.
static void
a_stop_delivers_what_is_held (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_librato (broker, NULL, LIST ("--flush", flush_far ()));
    sink_t witness = sink_stdout (broker, NULL);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &witness, 1);
    for (int i = 0; i < 3; i++)
        publisher_send (publisher,
                        text_new ("info|Counter|count|1|%ld|test", s_now ()));
    sink_await (&witness, "test", "count", 0, 3);
    assert_int_equal (standin_requests (sink.standin, -1), 0);
    sink_stop (&sink);
    sink_check_sum (&sink, "test", "count", 3);
    assert_int_equal (standin_requests (sink.standin, -1), 1);
}

static const struct CMUnitTest tests[] = {
  TEST (one_refused_among_300_takes_none_with_it),
  TEST (bad_ones_are_found_wherever_they_stand),
  TEST (a_row_at_which_the_service_fails_takes_none_with_it),
  TEST (a_row_without_an_answer_stops_nobody),
  TEST (a_slow_clock_stops_nobody),
  TEST (an_outage_longer_than_the_window_costs_little),
  TEST (a_dead_node_sets_nothing_aside),
  TEST (faults_lose_nothing),
  TEST (a_service_that_hangs_is_asked_again),
  TEST (a_service_may_come_late),
  TEST (wrong_credentials_are_one_line_and_no_loop),
  TEST (what_was_held_for_credentials_is_delivered),
  TEST (the_token_is_hidden_in_the_command_line),
  TEST (the_token_is_hidden_in_the_environment),
  TEST (the_token_may_be_in_a_file),
  TEST (the_token_may_be_replaced),
  TEST (a_hangup_ends_a_hold),
  TEST (a_token_of_the_command_line_wins_over_a_file_of_the_configuration),
  TEST (names_are_made_fit_and_collisions_told_once),
  TEST (an_empty_flush_sends_nothing),
  TEST (percentiles_are_right),
  TEST (batch_is_the_most_of_a_request),
  TEST (a_slow_service_gets_several_at_once),
  TEST (a_slow_service_gets_as_many_at_once_as_the_option_says),
  TEST (spool_max_drops_and_counts),
  TEST (https_is_trusted_by_certificate_only),
  TEST (a_stop_delivers_what_is_held),
};

HARNESS_MAIN (tests)
