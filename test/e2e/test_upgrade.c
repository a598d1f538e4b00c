/*  test_upgrade.c - programs, workers and folders of the version before go on
    with those of this one, and nothing is lost

    golden/messages-old.txt has what a program with the header of 0ddd64d sent,
    with an empty line between two messages. golden/spool-old is the folder of
    such a worker, killed while one flush waited and half of another was in its
    journal.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 120

#include "site.h"

static const char *
s_golden (const char *name)
{
    return text_new ("%s/test/e2e/golden/%s", harness_path ("ZB_SOURCE"), name);
}

//  An ID of a stream that is born now.
static const char *
s_id_new (void)
{
    return text_new ("%llx-00000000000000ab",
                     (unsigned long long) time (NULL) * 1000 + 1000);
}

//  --------------------------------------------------------------------------
//  An old program

//  Returns the text with the ID in each place for it.
static char *
s_with_id (const char *text, const char *id)
{
    static const char mark[] = "@ID@";
    const char *at = strstr (text, mark);
    if (!at)
        return text_new ("%s", text);
    return text_new ("%.*s%s%s", (int) (at - text), text, id,
                     s_with_id (at + strlen (mark), id));
}

//  The stream is younger than the worker, by its ID, for there is no age.
static void
an_old_program_loses_nothing (void)
{
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    char *text =
      s_with_id (file_read (s_golden ("messages-old.txt"), NULL), s_id_new ());
    char *next;
    for (; text; text = next) {
        next = strstr (text, "\n\n");
        if (next) {
            *next = 0;
            next += 2;
        }
        else
            text[strlen (text) - 1] = 0;
        publisher_send (publisher, text);
    }
    sink_await (&sink, "q1", "depth", 3, -1e9);
    sink_await (&sink, "q1", "latency", 6, -1e9);
    sink_await (&sink, "q1", "requests", 0, 18);
    sink_stop (&sink);
    sink_check_sum (&sink, "q1", "requests", 5 + 6 + 7);
    sink_check_sum (&sink, "q1", "other", 3);
    sink_check_sum (&sink, "q1", "latency", 3 * 0.25 + 0.5 + 1 + 1.5);
    sink_check_sum (&sink, "q1", "depth", 1.5 + 2.5 + 3.5);
    sink_check_count (&sink, "q1", "latency", 6);
    sink_check_count (&sink, "q1", "depth", 3);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
}

//  --------------------------------------------------------------------------
//  An old worker

//  What it kept of a series: the last total, or how many samples or readings.
typedef struct {
    double requests, latency, depth;
    int malformed, too_long, messages;
} old_worker_t;

//  It knew three types, six or seven fields, and names of 255 bytes at most. The rest it
//  only counted.
static void
old_worker_line (old_worker_t *self, const char *line)
{
    char type[16], name[1024], stream[4096];
    unsigned long seq, sent;
    double value;
    if (sscanf (line, "info|%15[^|]|%1023[^|]|%*[^|]|%*[^|]|q1|%4095s", type,
                name, stream)
        != 3)
        self->malformed++;
    else if (strlen (name) > 255)
        self->too_long++;
    else if (strcmp (type, "Counter") == 0
             && sscanf (stream, "%*[^:]:%*u:%*u:%lf", &value) == 1)
        self->requests = value;
    else if (strcmp (type, "Timer") == 0
             && sscanf (stream, "%*[^:]:%*u:%*u:%lf:", &value) == 1)
        self->latency = value;
    else if (strcmp (type, "Gauge") == 0
             && sscanf (stream, "%*[^:]:%lu:%lu", &seq, &sent) == 2)
        self->depth += seq >= sent;
    else
        self->malformed++;
}

//  All that comes until a stream ends.
static old_worker_t
old_worker_read (void *sub)
{
    old_worker_t self = {0};
    for (bool ended = false; !ended; self.messages++) {
        char *message = socket_receive (sub), *line;
        while ((line = strsep (&message, "\n"))) {
            ended |= strncmp (line, "info|End|", 9) == 0;
            old_worker_line (&self, line);
        }
    }
    return self;
}

static void *
old_worker_socket (const broker_t *broker)
{
    void *sub = socket_new (ZMQ_SUB);
    zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "info|", 5);
    assert_int_equal (zmq_connect (sub, broker_endpoint (broker, 1)), 0);
    return sub;
}

//  What is new in a message are lines of their own, which it counted and left
//  alone: one at the beginning of each, and one at the end of all.
static void
an_old_worker_loses_nothing (void)
{
    broker_t *broker = broker_start ();
    void *sub = old_worker_socket (broker);
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        broker_environment (broker));
    for (size_t i = 0; i < 3; i++) {
        process_send (measure, "count\tinfo\trequests\t5\tq1\n"
                               "time\tinfo\tlatency\t0.25\tq1\n"
                               "gauge\tinfo\tdepth\t-1.5\tq1\n"
                               "flush\t20000\n");
        process_await_nth (measure, "flush 0", i + 1);
    }
    process_close_input (measure);
    old_worker_t worker = old_worker_read (sub);
    assert_int_equal (process_wait (measure), 0);
    assert_true (worker.requests == 15);
    assert_true (worker.latency == 3);
    assert_true (worker.depth == 3);
    assert_int_equal (worker.malformed, worker.messages + 1);
}

//  Of names with tags it knew nothing: a short one was a name, and one of more than 255
//  bytes a malformed line, of which it took nothing. A worker of this version has both.
static void
an_old_worker_takes_no_name_that_is_too_long (void)
{
    broker_t *broker = broker_start ();
    void *sub = old_worker_socket (broker);
    sink_t sink = sink_stdout (broker, NULL);
    char value[301];
    memset (value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    publisher_probe (publisher_new (broker, "info|"), "info", &sink, 1);
    process_t *measure = process_start (LIST (program_path ("measure")),
                                        broker_environment (broker));
    process_send (measure, text_new ("count\tinfo\trequests\t5\tq1\n"
                                     "count\tinfo\trequests\t7\tq1\tuser=%s\n"
                                     "flush\t20000\n",
                                     value));
    process_await (measure, "flush 0");
    process_close_input (measure);
    old_worker_t worker = old_worker_read (sub);
    assert_int_equal (process_wait (measure), 0);
    assert_true (worker.requests == 5);
    assert_true (worker.too_long > 0);
    sink_await (&sink, "q1", text_new ("requests;user=%s", value), 0, 7);
    sink_stop (&sink);
    sink_check_sum (&sink, "q1", "requests", 5);
    sink_check_sum (&sink, "q1", text_new ("requests;user=%s", value), 7);
}

//  --------------------------------------------------------------------------
//  An old folder

//  Rows that wait, lines of the journal, and what goes on in the same stream.
static void
an_old_spool_goes_on (void)
{
    static const char id[] = "1a226c5b798-00000000000000aa";
    const char *spool = temporary_path ("spool");
    broker_t *broker = broker_start ();
    long now = (long) time (NULL);
    assert_int_equal (
      process_wait (
        process_start (LIST ("cp", "-r", s_golden ("spool-old"), spool), NULL)),
      0);
    sink_t sink = sink_stdout (broker, LIST ("--spool", spool));
    void *publisher = publisher_new (broker, "");
    publisher_probe (publisher, "info", &sink, 1);
    publisher_send (
      publisher,
      text_new ("info|Counter|n|3|%ld|old|%s:3:0:10\n"
                "info|Timer|t|0.25|%ld|old|%s:4:1:3:0.75:0.1875:0.25:0.25:"
                "-65=3\n"
                "info|Gauge|g|11|%ld|old|%s:3:3",
                now, id, now, id, now, id));
    sink_await (&sink, "old", "g", 3, -1e9);
    sink_stop (&sink);
    sink_check_sum (&sink, "old", "n", 10);
    sink_check_sum (&sink, "old", "t", 0.75);
    sink_check_count (&sink, "old", "t", 3);
    sink_check_sum (&sink, "old", "g", 7 + 9 + 11);
    sink_check_sum (&sink, NULL, "zibrato.lost", 1);
    assert_int_equal (process_lines (sink.worker, "event=malformed"), 0);
    assert_int_equal (process_lines (sink.worker, "event=damaged"), 0);
}

static const struct CMUnitTest tests[] = {
  TEST (an_old_program_loses_nothing),
  TEST (an_old_worker_loses_nothing),
  TEST (an_old_worker_takes_no_name_that_is_too_long),
  TEST (an_old_spool_goes_on),
};

HARNESS_MAIN (tests)
