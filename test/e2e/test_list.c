/*  test_list.c - a program knows when it has the whole list of who listens

    What a broker tells whoever connects to its port for programs: the topics
    that its workers want, and then its marker, whatever workers come, go and
    say. The program here is a plain XPUB, which shows what is on the wire.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "harness.h"

//  --------------------------------------------------------------------------
//  heard: what a program hears, in words: +info| is wanted, -info| not any more

//  Returns the next, waiting for it.
static char *
heard_any (void *program)
{
    zmq_msg_t message;
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, program, 0) == -1)
        fail_msg ("no message: %s", zmq_strerror (errno));
    const char *data = zmq_msg_data (&message);
    assert_true (zmq_msg_size (&message) > 0 && (data[0] & ~1) == 0);
    char *text = text_new ("%c%.*s", data[0] ? '+' : '-',
                           (int) zmq_msg_size (&message) - 1, data + 1);
    zmq_msg_close (&message);
    return text;
}

//  The next that is not about a worker which leaves: a marker with more behind
//  it.
static char *
heard_next (void *program)
{
    char *text = heard_any (program);
    while (text[1] == '\xff' && strlen (text) > 18)
        text = heard_any (program);
    return text;
}

static bool
heard_is_marker (const char *text)
{
    return text[0] == '+' && text[1] == '\xff' && strlen (text) == 18
           && strspn (text + 2, "0123456789abcdef") == 16;
}

//  Returns what is heard before the marker, and the marker.
static char *
heard_list (void *program, char **marker)
{
    char *list = text_new ("%s", "");
    while (!heard_is_marker (*marker = heard_next (program)))
        list = text_new ("%s%s ", list, *marker);
    return list;
}

//  A program that has just connected. A harness has few sockets, so it is to be
//  closed by program_close.
static void *
program_new (const broker_t *broker)
{
    void *socket = socket_new (ZMQ_XPUB);
    int one = 1;
    zmq_setsockopt (socket, ZMQ_IMMEDIATE, &one, sizeof one);
    assert_int_equal (zmq_connect (socket, broker_endpoint (broker, 0)), 0);
    return socket;
}

//  The last socket that was made.
static void
program_close (void *socket)
{
    assert_ptr_equal (socket, s_publishers[--s_publisher_count]);
    zmq_close (socket);
}

//  Each program that connects hears this, and the same marker.
static void
s_check_lists (const broker_t *broker, const char *expected, const char *marker)
{
    for (int i = 0; i < 3; i++) {
        char *again;
        void *program = program_new (broker);
        assert_string_equal (heard_list (program, &again), expected);
        assert_string_equal (again, marker);
        program_close (program);
    }
}

//  --------------------------------------------------------------------------
//  worker: says what it wants, and nothing else

static void *
subscriber_new (const broker_t *broker)
{
    void *socket = socket_new (ZMQ_XSUB);
    assert_int_equal (zmq_connect (socket, broker_endpoint (broker, 1)), 0);
    return socket;
}

//  Wants a topic (1), or does not any more (0).
static void
subscriber_say (void *self, int on, const char *topic)
{
    size_t size = strlen (topic);
    char *text = text_new ("%c%s", '0', topic);
    *text = (char) on;
    assert_int_equal (zmq_send (self, text, size + 1, 0), size + 1);
}

//  --------------------------------------------------------------------------

//  With nobody there, a program hears that at once: only the marker, and then
//  what is wanted later.
static void
without_workers_there_is_only_the_marker (void)
{
    broker_t *broker = broker_start ();
    char *marker;
    void *program = program_new (broker);
    assert_string_equal (heard_list (program, &marker), "");
    s_check_lists (broker, "", marker);
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    assert_string_equal (heard_next (program), "+info|");
    s_check_lists (broker, "+info| ", marker);
    sink_stop (&sink);
    assert_string_equal (heard_next (program), "-info|");
    s_check_lists (broker, "", marker);
    broker_stop (broker);
}

//  Real workers: all of their levels, each once, and the marker.
static void
all_levels_come_before_the_marker (void)
{
    static const char *const levels[] = {"info,debug", "\xf4\x8f\xbf\xbf",
                                         "crit,info", "~,err,0"};
    broker_t *broker = broker_start ();
    char *marker;
    void *program = program_new (broker);
    heard_list (program, &marker);
    for (int i = 0; i < 4; i++)
        sink_stdout (broker, LIST ("--levels", levels[i]));
    for (int i = 0; i < 7; i++)
        assert_int_equal (*heard_next (program), '+');
    s_check_lists (broker,
                   "+0| +crit| +debug| +err| +info| +~| +\xf4\x8f\xbf\xbf| ",
                   marker);
    broker_stop (broker);
}

//  More than programs are told of by name: then that everything is wanted comes
//  first, and it goes when the names are enough.
static void
the_marker_comes_last_when_all_is_wanted (void)
{
    enum { TOLD = 512, MORE = 88 };
    broker_t *broker = broker_start ();
    char *marker, *list = text_new ("%s", "");
    void *program = program_new (broker), *worker = subscriber_new (broker);
    heard_list (program, &marker);
    for (int i = 0; i < TOLD + MORE; i++)
        subscriber_say (worker, 1, text_new ("level.%03d|", i));
    for (int i = 0; i < TOLD; i++) {
        assert_string_equal (heard_next (program),
                             text_new ("+level.%03d|", i));
        list = text_new ("%s+level.%03d| ", list, i);
    }
    assert_string_equal (heard_next (program), "+");
    s_check_lists (broker, text_new ("+ %s", list), marker);
    for (int i = TOLD; i < TOLD + MORE; i++)
        subscriber_say (worker, 0, text_new ("level.%03d|", i));
    assert_string_equal (heard_next (program), "-");
    s_check_lists (broker, list, marker);
    broker_stop (broker);
}

//  A worker that wants it, does not any more, and goes while it does: programs
//  do not notice, those there are and those that come.
static void
no_worker_touches_the_marker (void)
{
    broker_t *broker = broker_start ();
    char *marker;
    void *program = program_new (broker);
    heard_list (program, &marker);
    for (int i = 0; i < 3; i++) {
        void *worker = subscriber_new (broker);
        subscriber_say (worker, 1, marker + 1);
        if (i == 1)
            subscriber_say (worker, 0, marker + 1);
        subscriber_say (worker, 1, "fence|");
        assert_string_equal (heard_next (program), "+fence|");
        s_check_lists (broker, "+fence| ", marker);
        program_close (worker);
        assert_string_equal (heard_next (program), "-fence|");
        s_check_lists (broker, "", marker);
    }
    broker_stop (broker);
}

//  Each broker has a marker of its own, and another one when it starts again: a
//  program of two brokers can tell whose list it has.
static void
each_broker_has_its_own_marker (void)
{
    broker_t *one = broker_start (), *other = broker_start ();
    char *first, *second, *third;
    void *program = program_new (one);
    assert_int_equal (zmq_connect (program, broker_endpoint (other, 0)), 0);
    assert_string_equal (heard_list (program, &first), "");
    assert_string_equal (heard_list (program, &second), "");
    assert_string_not_equal (first, second);
    broker_kill (one);
    char *gone = heard_next (program);
    assert_int_equal (*gone, '-');
    assert_true (strcmp (gone + 1, first + 1) == 0
                 || strcmp (gone + 1, second + 1) == 0);
    broker_launch (one);
    assert_string_equal (heard_list (program, &third), "");
    assert_string_not_equal (third, first);
    assert_string_not_equal (third, second);
    broker_stop (one);
    broker_stop (other);
}

//  A broker that has just started does not know its workers yet, and does not
//  say that nobody listens: what lives for a moment then is not lost.
static void
the_list_waits_for_workers_to_come_back (void)
{
    enum { LIVES = 5 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    const char *const *env = broker_environment (broker);
    for (int i = 0; i < LIVES; i++) {
        broker_kill (broker);
        broker_launch (broker);
        process_t *program =
          process_start (LIST (program_path ("measure")),
                         LIST (env[0], env[1], "ZIBRATO_LINGER_MS=20000"));
        process_send (program, "count\tinfo\tlife\t1\n");
        process_close_input (program);
        assert_int_equal (process_wait (program), 0);
        //  a broker takes along what it has taken in and not passed on yet
        sink_await (&sink, NULL, "life", 0, i + 1);
    }
    sink_stop (&sink);
    sink_check_sum (&sink, NULL, "life", LIVES);
    broker_stop (broker);
}

static const struct CMUnitTest tests[] = {
  TEST (without_workers_there_is_only_the_marker),
  TEST (all_levels_come_before_the_marker),
  TEST (the_marker_comes_last_when_all_is_wanted),
  TEST (no_worker_touches_the_marker),
  TEST (each_broker_has_its_own_marker),
  TEST (the_list_waits_for_workers_to_come_back),
};

HARNESS_MAIN (tests)
