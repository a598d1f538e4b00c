/*  test_otlp.c - what `zibrato otlp` delivers adds up, whatever happens on the way

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 NOTSAN - the threads are those of any worker

#include "indexer.h"
#include "otlp.h"

//  --------------------------------------------------------------------------
//  Totals

//  Has all come that the program counted? If it fails for it, it says what.
static bool
s_has (const sink_t *sink, const cJSON *program, bool fails)
{
    cJSON *rows = sink_rows_so_far (sink);
    const cJSON *series;
    bool has = true;
    cJSON_ArrayForEach (series, program)
    {
        total_t came = indexer_came (rows, series);
        if (row_is (series, "type", "gauge"))
            continue;  //  of a second's readings the last one is sent
        if (fails)
            indexer_check_series (series, came, NO_GAUGES);
        has = has && indexer_is_same (series, came, NO_GAUGES);
    }
    cJSON_Delete (rows);
    return has;
}

//  Ends program and worker: what came is what was counted.
static void
s_check_program (const sink_t *sink, process_t *indexer)
{
    int64_t until = now_ms () + WAIT_MS;
    cJSON *program = indexer_totals (indexer);
    while (!s_has (sink, program, false) && now_ms () < until)
        poll_pause ();
    sink_stop (sink);
    s_has (sink, program, true);
    cJSON_Delete (program);
    receiver_check (sink->standin);
}

//  At any moment: while it reads, flushes, saves, or waits for an answer; twice the
//  receiver is away for some of them. Totals are never counted twice, and none falls.
static void
a_worker_killed_at_any_moment_changes_nothing (void)
{
    enum { KILLS = 20 };
    broker_t *broker = broker_start ();
    standin_t *receiver = receiver_start (NULL);
    const char *const options[] = {"--spool", temporary_path ("spool"), NULL};
    sink_t sink = {receiver_work (receiver, broker, options), receiver};
    const char *tree = tree_new ();
    process_t *indexer = indexer_start_lasting (broker, tree);
    srand ((unsigned) getpid ());
    for (int kill = 0; kill < KILLS; kill++) {
        //  the moment is what is tried, so nothing is waited for
        nanosleep (&(struct timespec){0, rand () % 600 * 1000000L}, NULL);
        process_stop (sink.worker, SIGKILL);
        if (kill % 10 == 4)
            assert_int_equal (process_stop (receiver->process, SIGTERM), 0);
        if (kill % 10 == 7)
            receiver_launch (receiver, "");
        sink.worker = receiver_work (receiver, broker, options);
    }
    tree_empty (tree);
    s_check_program (&sink, indexer);
}

//  In both encodings, compressed or not.
static void
an_answer_that_is_lost_counts_nothing_twice (void)
{
    broker_t *broker = broker_start ();
    sink_t sinks[2];
    for (int i = 0; i < 2; i++) {
        standin_t *receiver = receiver_start ("ok,cut*2,ok,cut,503,cut,cut");
        sinks[i].standin = receiver;
        sinks[i].worker = receiver_work (
          receiver, broker, i ? LIST ("--encoding", "json", "--gzip") : NULL);
    }
    process_t *indexer = indexer_start (broker, tree_new (), 60, 500);
    cJSON *program = indexer_totals (indexer);
    for (int i = 0; i < 2; i++) {
        int64_t until = now_ms () + WAIT_MS;
        while (!s_has (&sinks[i], program, false) && now_ms () < until)
            poll_pause ();
        sink_stop (&sinks[i]);
        s_has (&sinks[i], program, true);
        receiver_check (sinks[i].standin);
        receiver_has (sinks[i].standin, "requests", "fault", "cut");
        receiver_has (sinks[i].standin, "requests", "type",
                      i ? "application/json" : "application/x-protobuf");
        receiver_has (sinks[i].standin, "requests", "encoding",
                      i ? "gzip" : "");
    }
    cJSON_Delete (program);
}

//  Increments, whose intervals touch and never overlap.
static void
increments_add_up (void)
{
    broker_t *broker = broker_start ();
    standin_t *receiver = receiver_start ("503,429:1");
    sink_t sink = {
      receiver_work (receiver, broker, LIST ("--temporality", "delta")),
      receiver};
    process_t *indexer = indexer_start (broker, tree_new (), 60, 500);
    s_check_program (&sink, indexer);
    receiver_has (receiver, "streams", "kind", "monotonic");
    receiver_has (receiver, "streams", "kind", "histogram");
}

//  --------------------------------------------------------------------------
//  Answers

static void *s_publisher;  //  of s_deliver

//  Sends lines when the worker is there, and the receiver follows the script.
static sink_t
s_deliver (const char *script, const char *const *more, const char *lines)
{
    broker_t *broker = broker_start ();
    standin_t *receiver = receiver_start (NULL);
    sink_t sink = {receiver_work (receiver, broker, more), receiver};
    s_publisher = publisher_new (broker, "");
    publisher_probe (s_publisher, "info", &sink, 1);
    standin_script (receiver, script);
    publisher_send (s_publisher, lines);
    return sink;
}

static const char *
s_line (const char *type, const char *name, const char *value)
{
    return text_new ("info|%s|%s|%s|%ld|test", type, name, value,
                     (long) time (NULL));
}

static void
retry_after_is_obeyed (void)
{
    sink_t sink = s_deliver ("503:2,429:3", NULL, s_line ("Counter", "c", "5"));
    process_await (sink.worker, "wait_ms=2000");
    process_await (sink.worker, "wait_ms=3000");
    sink_await (&sink, "test", "c", 0, 5);
    sink_end_with_sum (&sink, "test", "c", 5);
    receiver_check (sink.standin);
}

//  It is not said which they were, and they are not sent again; a total comes with the
//  next flush anyway.
static void
partial_success_is_counted_and_said (void)
{
    sink_t sink = s_deliver ("partial:1", LIST ("--temporality", "delta"),
                             s_line ("Counter", "c", "5"));
    const char *said = process_await (sink.worker, "event=rejected");
    assert_non_null (strstr (said, "rows=1"));
    assert_non_null (strstr (said, "reason=\"partial\""));
    standin_script (sink.standin, "warn*");
    sink_stop (&sink);
    receiver_check (sink.standin);
}

//  One of 300 is refused, with all that is in its request: the others come, it is
//  found with few requests and is in the log.
static void
s_one_bad_row (const char *bad, const char *event)
{
    const char *const options[] = {"--temporality", "delta", "--spool",
                                   temporary_path ("spool"), NULL};
    char *lines = text_new ("%s", "");
    for (int i = 0; i < 300; i++)
        lines = text_new ("%s%s\n", lines,
                          s_line ("Counter", text_new ("good%d", i), "1"));
    lines = text_new ("%s%s", lines, s_line ("Counter", bad, "1"));
    sink_t sink = s_deliver ("", options, lines);
    //  what comes meanwhile passes, which proves that it is the row
    for (int i = 0; sink_total_so_far (&sink, "test", "good0").sum < 1; i++) {
        assert_true (i < WAIT_MS / POLL_MS);
        publisher_send (s_publisher, s_line ("Counter", "other", "1"));
        poll_pause ();
    }
    for (int i = 0; i < 300; i++)
        sink_await (&sink, "test", text_new ("good%d", i), 0, 1);
    assert_non_null (strstr (process_await (sink.worker, event), bad));
    sink_stop (&sink);
    for (int i = 0; i < 300; i++)
        sink_check_sum (&sink, "test", text_new ("good%d", i), 1);
    sink_check_count (&sink, "test", bad, 0);
    assert_true (standin_requests (sink.standin, -1) < 60);
    receiver_check_none (sink.standin, "wrong");
}

static void
a_row_that_is_refused_harms_no_other (void)
{
    s_one_bad_row ("poison", "event=rejected");
    spool_check_set_aside (temporary_path ("spool"), "counter|poison|test|");
}

static void
a_row_that_the_receiver_fails_at_harms_no_other (void)
{
    s_one_bad_row ("poison500", "event=aside");
}

//  A number of the stream of a name, 0 if there is no such stream.
static int
s_stream (const sink_t *sink, const char *name, const char *key)
{
    cJSON *streams = standin_get (sink->standin, "streams");
    const cJSON *stream;
    int number = 0;
    cJSON_ArrayForEach (stream, streams) if (row_is (stream, "name", name))
      number = cJSON_GetObjectItem (stream, key)->valueint;
    cJSON_Delete (streams);
    return number;
}

//  A total is repeated with each flush, and says once that it ends. One that comes
//  back has a new start.
static void
what_rests_is_repeated_and_ends_once (void)
{
    broker_t *broker = broker_start ();
    standin_t *receiver = receiver_start (NULL);
    sink_t sink = {receiver_work (receiver, broker, LIST ("--stale", "3")),
                   receiver};
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    publisher_send (publisher, s_line ("Timer", "t", "0.5"));
    int64_t until = now_ms () + WAIT_MS;
    while (!s_stream (&sink, "t", "ended")) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    assert_true (s_stream (&sink, "t", "points") >= 2);
    publisher_send (publisher, s_line ("Timer", "t", "0.25"));
    sink_await (&sink, "test", "t", 2, 0.75);
    assert_int_equal (s_stream (&sink, "t", "ended"), 1);
    assert_int_equal (s_stream (&sink, "t", "starts"), 2);
    sink_stop (&sink);
    sink_check_sum (&sink, "test", "t", 0.75);
    receiver_check (receiver);
}

//  --------------------------------------------------------------------------
//  Names and resources

//  All that a line can have; what is no UTF-8 is one name with a '?'.
static void
every_byte_comes (void)
{
    char *lines = text_new ("%s", "");
    int bad = 0;
    for (int c = ' '; c < 256; c++) {
        if (c == '|' || c == 0x7f)
            continue;
        bad += c > 0x7f;
        lines = text_new ("%sinfo|Counter|a%cz|1|%ld|s%cs\n", lines, c,
                          (long) time (NULL), c);
    }
    sink_t sink = s_deliver ("", NULL, lines);
    sink_await (&sink, "s?s", "a?z", 0, bad + 1);
    sink_stop (&sink);
    sink_check_sum (&sink, "s?s", "a?z", bad + 1);
    for (int c = ' '; c < 0x7f; c++)
        if (c != '|' && c != '?')
            sink_check_sum (&sink, text_new ("s%cs", c), text_new ("a%cz", c),
                            1);
    receiver_check (sink.standin);
}

static void
tags_become_attributes (void)
{
    sink_t sink = s_deliver (
      "", NULL, s_line ("Counter", "requests;code=200;source=theirs", "5"));
    sink_await (&sink, "test", "requests", 0, 5);
    cJSON *streams = standin_get (sink.standin, "streams");
    const cJSON *stream, *attributes = NULL;
    cJSON_ArrayForEach (stream,
                        streams) if (row_is (stream, "name", "requests"))
      attributes = cJSON_GetObjectItem (stream, "attributes");
    assert_true (row_is (attributes, "code", "200"));
    assert_true (row_is (attributes, "source", "test"));
    assert_true (row_is (attributes, "tag:source", "theirs"));
    cJSON_Delete (streams);
    sink_stop (&sink);
}

//  Two workers, one with a name: each has streams of its own. Headers come from the
//  command line and from a file that changes.
static void
workers_are_told_apart (void)
{
    broker_t *broker = broker_start ();
    standin_t *receiver = receiver_start (NULL);
    const char *headers = temporary_path ("headers");
    file_write (headers, "api-key: first\n");
    sink_t one = {
      receiver_work (receiver, broker,
                     LIST ("--worker", "one", "--header-file", headers)),
      receiver};
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &one, 1);
    receiver_has (receiver, "streams", "worker", "one");
    receiver_has (receiver, "requests", "api_key", "first");
    file_write (headers, "api-key: second\n");
    sink_t two = {
      receiver_work (receiver, broker, LIST ("--header", "api-key: third")),
      receiver};
    char host[256] = "";
    gethostname (host, sizeof host - 1);
    publisher_send (publisher, s_line ("Counter", "c", "5"));
    sink_await (&one, "test", "c", 0, 5);
    sink_stop (&one);
    sink_stop (&two);
    receiver_has (receiver, "requests", "api_key", "second");
    receiver_has (receiver, "requests", "api_key", "third");
    receiver_has (receiver, "streams", "worker", text_new ("%s.otlp", host));
    receiver_check (receiver);
}

static void
what_cannot_be_taken_ends_with_one_line (void)
{
    zibrato_dies (LIST ("otlp", "--url", "x"), "--url");
    zibrato_dies (LIST ("otlp", "--header", "x"), "--header");
    zibrato_dies (LIST ("otlp", "--header-file", "/nonexistent"),
                  "--header-file");
    zibrato_dies (LIST ("otlp", "--encoding", "xml"), "--encoding");
    zibrato_dies (LIST ("otlp", "--temporality", "x"), "--temporality");
    zibrato_dies (LIST ("otlp", "--resource", "x"), "--resource");
    zibrato_dies (LIST ("otlp", "--max-buckets", "19"), "--max-buckets");
}

// clang-format off
static const struct CMUnitTest tests[] = {
  TEST (a_worker_killed_at_any_moment_changes_nothing),
  TEST (an_answer_that_is_lost_counts_nothing_twice),
  TEST (increments_add_up),
  TEST (retry_after_is_obeyed),
  TEST (partial_success_is_counted_and_said),
  TEST (a_row_that_is_refused_harms_no_other),
  TEST (a_row_that_the_receiver_fails_at_harms_no_other),
  TEST (what_rests_is_repeated_and_ends_once),
  TEST (every_byte_comes),
  TEST (tags_become_attributes),
  TEST (workers_are_told_apart),
  TEST (what_cannot_be_taken_ends_with_one_line)};
// clang-format on

HARNESS_MAIN (tests)
