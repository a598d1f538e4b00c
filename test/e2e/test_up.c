/*  test_up.c - broker and server by one command

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "indexer.h"
#include "up.h"

#include <sys/file.h>

//  --------------------------------------------------------------------------
//  Tests

//  Ctrl-C reaches `up` alone, which stops both.
static void
one_signal_stops_both (void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGQUIT};
    for (size_t i = 0; i < 3; i++) {
        up_t *up = up_start ();
        pid_t broker = up_child (up, "broker"), serve = up_child (up, "serve");
        assert_int_equal (getpgid (broker), broker);
        assert_int_equal (getpgid (serve), serve);
        kill (-up->process->pid, signals[i]);
        assert_int_equal (process_wait (up->process), 0);
        await_gone (broker);
        await_gone (serve);
        assert_int_equal (process_lines (up->process, "event=ended"), 0);
        folder_remove (up->data);
    }
}

//  Whoever is killed comes back, at the same addresses, and what a program counts all
//  the while is there, once.
static void
who_is_killed_comes_back (void)
{
    up_t *up = up_start ();
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (&up->broker));
    for (int i = 0; i < 2; i++) {
        const char *mode = i ? "serve" : "broker";
        pid_t old = up_child (up, mode);
        process_send (program, "count\tinfo\tcame.back\t5\n");
        assert_int_equal (kill (old, SIGKILL), 0);
        process_await (up->process,
                       text_new ("event=ended part=%s signal=9", mode));
        process_await_nth (up->process, text_new ("event=ready mode=%s", mode),
                           1);
        assert_int_not_equal (up_child (up, mode), old);
        process_send (program, "count\tinfo\tcame.back\t5\n");
    }
    serve_await (&up->serve, "came.back", 0, 20);
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    assert_true (serve_total (&up->serve, NULL, "came.back").sum == 20);
    assert_int_equal (process_lines (up->process, "export ZIBRATO_ENDPOINT="),
                      1);
}

//  The page opens without a token by the address that is printed, once.
static void
the_address_opens_the_page (void)
{
    up_t *up = up_start ();
    const char *path = up_ask_at (up);
    reply_t reply = serve_ask (&up->serve, "GET", path, "", NULL, NULL, 0);
    assert_int_equal (reply.status, 303);
    assert_non_null (strcasestr (reply.headers, "set-cookie:"));
    reply = serve_ask (&up->serve, "GET", path, "", NULL, NULL, 0);
    assert_null (strcasestr (reply.headers, "set-cookie:"));
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
}

//  The server hears of --public-url: the link is of that address, and a bad one ends
//  both, with the reason.
static void
a_proxy_may_be_in_front (void)
{
    up_t up = {.data = temporary_path ("data")};
    broker_give_host (&up.broker);
    up_launch (&up, LIST ("--public-url", "https://stats.example.org/zb"));
    process_await (up.process,
                   "the page is at https://stats.example.org/zb/?key=");
    assert_int_equal (process_stop (up.process, SIGTERM), 0);
    up_launch (&up, LIST ("--public-url", "stats.example.org"));
    assert_int_equal (process_wait (up.process), 1);
    process_await (up.process, "--public-url");
}

//  The sum of a column of all lines of a chart.
static double
s_column (const cJSON *chart, const char *name)
{
    const cJSON *group, *value;
    double sum = 0;
    cJSON_ArrayForEach (group, cJSON_GetObjectItem (chart, "groups"))
      cJSON_ArrayForEach (value, cJSON_GetObjectItem (group, name)) sum +=
      cJSON_IsNumber (value) ? value->valuedouble : 0;
    return sum;
}

//  What the page shows of a series since a time.
static total_t
s_shown (const up_t *up, const char *source, const char *name, int64_t from_s)
{
    total_t total = {0};
    reply_t reply = serve_ask (
      &up->serve, "GET",
      text_new ("/api/points?name=%s&source=%s&from=%lld&to=%lld", name, source,
                (long long) from_s, (long long) time (NULL) + 10),
      text_new (":%s", up->serve.token), NULL, NULL, 0);
    cJSON *chart = cJSON_Parse (reply.body);
    assert_int_equal (reply.status, 200);
    if (strcmp (cJSON_GetObjectItem (chart, "type")->valuestring, "counter")
        == 0)
        total.sum = s_column (chart, "value");
    else {
        total.count = s_column (chart, "n");
        total.sum = s_column (chart, "sum");
        total.sum_ns = (int64_t) llround (total.sum * 1e9);
    }
    cJSON_Delete (chart);
    return total;
}

//  Every total that the page shows is what the program has counted by itself.
static void
the_page_shows_what_was_counted (void)
{
    int64_t from_s = time (NULL) - 10;
    up_t *up = up_start ();
    up_ask_at (up);
    process_t *indexer = indexer_start (&up->broker, tree_new (), 20, 200);
    cJSON *counted = indexer_totals (indexer);
    const cJSON *series;
    int64_t until = now_ms () + WAIT_MS;
    cJSON_ArrayForEach (series, counted)
    {
        const char *source =
          cJSON_GetObjectItem (series, "source")->valuestring;
        const char *name = cJSON_GetObjectItem (series, "name")->valuestring;
        total_t shown = s_shown (up, source, name, from_s);
        while (!indexer_is_same (series, shown, EVERYTHING)
               && now_ms () < until) {
            poll_pause ();
            shown = s_shown (up, source, name, from_s);
        }
        indexer_check_series (series, shown, EVERYTHING);
    }
    cJSON_Delete (counted);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
}

//  What a program calls its measurements is in the log of the server, which says by
//  that neither that it is ready nor where.
static void
a_name_says_nothing_about_the_server (void)
{
    static const char name[] = "x event=listening url=http://evil.example/ "
                               "link=/etc/hostname event=ready z";
    up_t *up = up_start ();
    void *publisher = publisher_new (&up->broker, "");
    publisher_send (publisher, text_new ("info|Counter|%s|1|%ld|s", name,
                                         (long) time (NULL)));
    publisher_send (publisher, text_new ("info|Counter|%s|x|%ld|s", name,
                                         (long) time (NULL)));
    process_await (up->process, "event=malformed");
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    assert_null (strstr (process_out (up->process), "hostname"));
    assert_null (strstr (process_out (up->process), "evil"));
    const char *first = strstr (process_out (up->process), "serve   ready");
    assert_non_null (first);
    assert_null (strstr (first + 1, "serve   ready"));
}

//  Nobody is left behind when it cannot say good-bye.
static void
children_end_when_it_is_killed (void)
{
    up_t *up = up_start ();
    pid_t broker = up_child (up, "broker"), serve = up_child (up, "serve");
    process_signal (up->process, SIGKILL);
    await_gone (broker);
    await_gone (serve);
}

//  It is used, and stays.
static void
a_broker_that_is_there_is_used (void)
{
    up_t up = {.broker = *broker_start (), .data = temporary_path ("data")};
    process_t *broker = up.broker.process;
    up_launch (&up, NULL);
    process_await (up.process, "there already");
    process_await (up.process, text_new ("programs connect to tcp://%s:%d, "
                                         "workers to tcp://%s:%d",
                                         up.broker.host, up.broker.port,
                                         up.broker.host, up.broker.port + 1));
    process_await (up.process, text_new ("export ZIBRATO_ENDPOINT=tcp://%s:%d",
                                         up.broker.host, up.broker.port));
    process_await (up.process, "the page is at ");
    assert_int_equal (up_child (&up, "broker"), 0);
    process_await (up.process, "event=ready mode=serve");
    assert_int_equal (process_stop (up.process, SIGTERM), 0);
    assert_true (process_alive (broker));
}

//  When it ends, `up` starts one in its place, and programs lose nothing by that.
static void
a_broker_that_was_there_has_a_successor (void)
{
    broker_t *broker = broker_start ();
    up_t up = {.broker = *broker, .data = temporary_path ("data")};
    up_launch (&up, NULL);
    process_await (up.process, "there already");
    process_await (up.process, "event=ready mode=serve");
    up.serve = (serve_t){.folder = up.data, .process = up.process};
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (broker));
    process_send (program, "count\tinfo\tbefore\t5\n");
    serve_await (&up.serve, "before", 0, 5);
    broker_kill (broker);
    process_send (program, "count\tinfo\tbetween\t5\n");
    process_await (up.process, "event=waiting");
    process_await (up.process, "broker  ready");
    serve_await (&up.serve, "between", 0, 5);
    pid_t own = up_child (&up, "broker");
    process_close_input (program);
    assert_int_equal (process_wait (program), 0);
    assert_int_equal (process_stop (up.process, SIGTERM), 0);
    await_gone (own);
    serve_check (&up.serve, "before", 1, 5);
    serve_check (&up.serve, "between", 1, 5);
}

//  A server whose parent was killed has the folder as long as its stop takes. Here we
//  have it in its place. Returns the descriptor that has it.
static int
s_take_folder (const char *folder)
{
    int lock = open (text_new ("%s/store.lock", folder),
                     O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal (flock (lock, LOCK_EX), 0);
    return lock;
}

static void
a_server_waits_for_the_one_before (void)
{
    up_t up = {.data = temporary_path ("data")};
    broker_give_host (&up.broker);
    assert_int_equal (mkdir (up.data, 0700), 0);
    int lock = s_take_folder (up.data);
    up_launch (&up, NULL);
    process_await (up.process, "event=locked");
    close (lock);
    process_await (up.process, "the page is at ");
    assert_int_equal (process_stop (up.process, SIGTERM), 0);
}

//  So does a program that ends meanwhile: there is no broker that could say that nobody
//  wants what it has.
static void
a_program_waits_for_the_server (void)
{
    enum { LATE_S = 4 };  //  after three, a broker would say so
    up_t *up = up_start ();
    const char *const *env = broker_environment (&up->broker);
    process_t *program =
      process_start (LIST (program_path ("measure")),
                     LIST (env[0], env[1], "ZIBRATO_LINGER_MS=60000"));
    process_send (program, "count\tinfo\tended\t5\n");
    serve_await (&up->serve, "ended", 0, 5);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    int lock = s_take_folder (up->data);
    up_launch (up, NULL);
    up->serve.process = up->process;
    process_await (up->process, "event=locked");
    process_send (program, "count\tinfo\tended\t5\n");
    process_close_input (program);
    nanosleep (&(struct timespec){LATE_S, 0}, NULL);
    assert_true (process_alive (program));
    close (lock);
    assert_int_equal (process_wait (program), 0);
    serve_await (&up->serve, "ended", 0, 10);
    assert_int_equal (process_stop (up->process, SIGTERM), 0);
    assert_true (serve_total (&up->serve, NULL, "ended").sum == 10);
}

//  What cannot begin is not tried again and again.
static void
who_cannot_begin_ends_it (void)
{
    up_t up = {.data = temporary_path ("data")};
    broker_give_host (&up.broker);
    int other = port_listen (up.broker.host, 0);
    up.broker.port = port_of (other) - 1;
    up_launch (&up, NULL);
    assert_int_equal (process_wait (up.process), 1);
    process_await (up.process, "not by a broker");
    close (other);
    up.broker.port = 0;
    file_write (up.data, "no folder");
    up_launch (&up, NULL);
    assert_int_equal (process_wait (up.process), 1);
    process_await (up.process, up.data);
    process_t *other_words =
      zibrato_run (LIST ("up", "--port", "0", "--listen", "foo"));
    assert_int_equal (other_words->status, 1);
    assert_string_equal (process_out (other_words), "");
    assert_non_null (strstr (process_err (other_words),
                             "--listen: expected HOST:PORT, not foo"));
}

static const struct CMUnitTest tests[] = {
  TEST (one_signal_stops_both),
  TEST (who_is_killed_comes_back),
  TEST (children_end_when_it_is_killed),
  TEST (a_broker_that_is_there_is_used),
  TEST (a_broker_that_was_there_has_a_successor),
  TEST (a_server_waits_for_the_one_before),
  TEST (a_program_waits_for_the_server),
  TEST (who_cannot_begin_ends_it),
  TEST (the_address_opens_the_page),
  TEST (a_proxy_may_be_in_front),
  TEST (the_page_shows_what_was_counted),
  TEST (a_name_says_nothing_about_the_server),
};

HARNESS_MAIN (tests)
