/*  test_hostile.c - peers that are no friends, at both ports of a broker

    Port scanners, other protocols, handshakes that never end, frames and
    messages without an end, subscriptions without number, readers that do not
    read, publishers that never pause; and a broker that does such things to
    programs and workers. While each attack runs, a real program and a real
    worker go on, and their totals are exact. The broker stays as small as the
    bounds below, has as many descriptors afterwards as before, and counts what
    was done to it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 600 RUN_SERIAL NOTSAN - the attacks take all that the machine
//  has, and are about memory

#include "raw.h"

#include <dirent.h>

enum {
    FRAME = 64 * 1024,
    MEGABYTE = 1024 * 1024,
    MILLION = SANITIZED ? 100000 : 1000000,
    //  What a broker may grow by. Connections cost 20 to 30 KiB each while
    //  they last, and 128 MiB may wait for readers; what is left of both is
    //  not given back by malloc. The rest are pages that were never touched.
    GROWTH_KIB = 64 * 1024,
    HELD_KIB = 128 * 1024,
    FLOODS = SANITIZED ? 4 : 16,  //  times that
    //  256 MiB of messages may be in a worker
    WORKER_KIB = 256 * 1024
};

//  --------------------------------------------------------------------------
//  friends: a program and a worker that are not to notice anything

typedef struct {
    broker_t *broker;
    sink_t sink;  //  all levels, so the broker's health too
    process_t *program;
    pthread_t thread;
    _Atomic int stop;
    double lines;
    long kib, descriptors;
    double cut, refused, ignored;
} friends_t;

static void *
friends_measure (void *argument)
{
    friends_t *self = argument;
    static const char lines[] = "count\tinfo\tfriend.count\t3\n"
                                "time\tdebug\tfriend.time\t0.5\n"
                                "gauge\tinfo\tfriend.gauge\t7\n";
    while (!self->stop) {
        if (write (self->program->input, lines, sizeof lines - 1)
            != sizeof lines - 1)
            return NULL;
        self->lines++;
        nanosleep (&(struct timespec){0, 1000000}, NULL);
    }
    return self;
}

static long
s_descriptors (const process_t *self)
{
    DIR *folder = opendir (text_new ("/proc/%d/fd", (int) self->pid));
    long count = 0;
    assert_non_null (folder);
    while (readdir (folder))
        count++;
    closedir (folder);
    return count;
}

//  Starts them at a broker, and waits until all of it works.
static friends_t *
friends_start_at (broker_t *broker, const char *levels)
{
    friends_t *self = harness_keep (calloc (1, sizeof *self));
    self->broker = broker;
    self->sink = sink_stdout (broker, LIST ("--levels", levels));
    self->program = process_start (LIST (program_path ("measure")),
                                   broker_environment (broker));
    assert_int_equal (
      pthread_create (&self->thread, NULL, friends_measure, self), 0);
    sink_await (&self->sink, NULL, "friend.gauge", 1, 0);
    self->kib = process_status (broker->process, "VmRSS:");
    self->descriptors = s_descriptors (broker->process);
    return self;
}

static friends_t *
friends_start (broker_t *broker)
{
    return friends_start_at (broker, "");
}

//  Waits until the broker has told of so many of a fault.
static void
friends_await (friends_t *self, const char *fault, double count)
{
    sink_await (&self->sink, "broker", text_new ("zibrato.broker.%s", fault), 0,
                count);
}

//  The attackers are gone: so are their descriptors, in a while.
static void
friends_check_broker (friends_t *self, long growth_kib)
{
    int64_t until = now_ms () + WAIT_MS;
    while (s_descriptors (self->broker->process) > self->descriptors
           && now_ms () < until)
        poll_pause ();
    assert_true (process_alive (self->broker->process));
    assert_true (s_descriptors (self->broker->process) <= self->descriptors);
    long peak = process_status (self->broker->process, "VmHWM:") - self->kib;
    print_message ("    the broker grew by %ld KiB at most, of %ld\n", peak,
                   growth_kib);
    if (!SANITIZED)
        assert_true (peak < growth_kib);
}

//  Ends them. All that was measured came, once; no reading was lost.
static void
friends_stop (friends_t *self)
{
    void *wrote;
    self->stop = 1;
    pthread_join (self->thread, &wrote);
    assert_non_null (wrote);
    close (self->program->input);
    self->program->input = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal (process_wait (self->program), 0);
    sink_await (&self->sink, NULL, "friend.count", 0, 3 * self->lines);
    sink_await (&self->sink, NULL, "friend.time", self->lines, 0);
    sink_await (&self->sink, NULL, "friend.gauge", self->lines, 0);
    sink_stop (&self->sink);
    sink_check_sum (&self->sink, NULL, "friend.count", 3 * self->lines);
    sink_check_sum (&self->sink, NULL, "friend.time", 0.5 * self->lines);
    sink_check_count (&self->sink, NULL, "friend.time", self->lines);
    sink_check_count (&self->sink, NULL, "friend.gauge", self->lines);
    assert_int_equal (process_lines (self->sink.worker, "event=disconnected"),
                      0);
    broker_stop (self->broker);
}

//  --------------------------------------------------------------------------
//  Those that do not speak ZeroMQ

static void
scanners_cost_nothing (void)
{
    enum { SCANS = SANITIZED ? 400 : 4000, REQUESTS = 200 };
    static const char *const said[] = {
      "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: scan/1.0\r\n\r\n",
      "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03 a hello of TLS, and more of it",
      "\x01\x01\x01\x01", "SSH-2.0-OpenSSH_9.2\r\n"};
    friends_t *friends = friends_start (broker_start ());
    for (int i = 0; i < SCANS; i++)
        close (raw_connect (friends->broker, i % 2));
    for (int i = 0; i < REQUESTS; i++) {
        int fd = raw_connect (friends->broker, i % 2);
        raw_send (fd, said[i / 2 % 4], strlen (said[i / 2 % 4]));
        shutdown (fd, SHUT_WR);
        raw_await_end (fd);
    }
    friends_await (friends, "refused", SCANS + REQUESTS);
    //  begun, and each again when ten seconds were over
    assert_true (process_lines (friends->broker->process, "event=refused")
                 < 12);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  Each stops at another point of its handshake. The broker ends them all.
static void
half_open_connections_are_ended (void)
{
    enum { PEERS = 400 };
    static const size_t said[] = {0, 1, 10, 11, 12, GREETING - 1, GREETING};
    static const char greeting[GREETING] = {
      '\xff', 0, 0, 0, 0, 0, 0, 0, 0, '\x7f', 3, 0, 'N', 'U', 'L', 'L'};
    friends_t *friends = friends_start (broker_start ());
    int fd[PEERS];
    for (int i = 0; i < PEERS; i++) {
        fd[i] = raw_connect (friends->broker, i % 2);
        raw_send (fd[i], greeting, said[i / 2 % 7]);
    }
    for (int i = 0; i < PEERS; i++)
        raw_await_end (fd[i]);
    friends_await (friends, "refused", PEERS);
    //  for as long as they stay, they can be asked who they are
    process_await (friends->broker->process, "event=refused peer=127.");
    assert_int_equal (process_lines (friends->broker->process, "peer=unknown"),
                      0);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  A broker that may have few descriptors only.
static broker_t *
poor_broker_start (int descriptors)
{
    broker_t *self = harness_keep (calloc (1, sizeof *self));
    broker_give_host (self);
    self->process = process_start (
      LIST ("/bin/sh", "-c",
            text_new ("ulimit -n %d; exec \"$0\" broker --host %s --port 0",
                      descriptors, self->host),
            harness_path ("ZB_BIN")),
      NULL);
    const char *ready = process_await (self->process, "event=ready");
    self->port = (int) strtol (strrchr (ready, ':') + 1, NULL, 10) - 1;
    return self;
}

//  Clock ticks of processor time.
static long
s_cpu (const process_t *self)
{
    const char *text =
      file_read (text_new ("/proc/%d/stat", (int) self->pid), NULL);
    long user = 0, system = 0;
    assert_int_equal (sscanf (strrchr (text, ')'),
                              ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                              "%ld %ld",
                              &user, &system),
                      2);
    return user + system;
}

//  More peers than descriptors: those that are too many are turned away. The
//  broker neither dies nor spins; when they are gone, others may come.
static void
descriptors_that_run_out_stop_nobody (void)
{
    enum { DESCRIPTORS = 256, PEERS = 2 * DESCRIPTORS };
    friends_t *friends = friends_start (poor_broker_start (DESCRIPTORS));
    int fd[PEERS];
    for (int i = 0; i < PEERS; i++) {
        fd[i] = raw_connect (friends->broker, i % 2);
        raw_greet (fd[i]);
    }
    //  they stay, and speak as far as they are let
    friends_await (friends, "cut", PEERS / 2);
    int64_t begun = now_ms ();
    long cpu = s_cpu (friends->broker->process);
    for (int i = 0; i < PEERS; i++)
        raw_await_end (fd[i]);
    sink_t late = sink_stdout (friends->broker, LIST ("--levels", "debug"));
    sink_await (&late, NULL, "friend.time", 1, 0);
    cpu =
      (s_cpu (friends->broker->process) - cpu) * 1000 / sysconf (_SC_CLK_TCK);
    print_message ("    %ld ms of processor time in %" PRId64 " ms\n", cpu,
                   now_ms () - begun);
    if (!SANITIZED)
        assert_true (cpu < 1000 || cpu < (now_ms () - begun) / 2);
    sink_stop (&late);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  --------------------------------------------------------------------------
//  Frames and messages

//  What is too long is not waited for; its sender is closed.
static void
frames_that_are_too_long_end_the_connection (void)
{
    static const uint64_t sizes[] = {UINT64_C (8) << 30, UINT64_MAX, INT64_MAX,
                                     MEGABYTE};
    friends_t *friends = friends_start (broker_start ());
    char *frame = harness_keep (calloc (1, MEGABYTE));
    memset (frame, '|', MEGABYTE);
    for (int i = 0; i < 8; i++) {
        int fd = raw_peer (friends->broker, i % 2);
        if (raw_send_header (fd, 0, sizes[i / 2]))
            raw_send (fd, frame, MEGABYTE);
        raw_await_end (fd);
    }
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  What a program may send, and no worker can read; what no worker may send.
static void
messages_that_are_none_are_counted (void)
{
    enum { MESSAGES = 100 };
    friends_t *friends = friends_start (broker_start ());
    char *frame = harness_keep (calloc (1, FRAME));
    int program = raw_peer (friends->broker, PROGRAMS);
    int worker = raw_peer (friends->broker, WORKERS);
    memset (frame, '|', FRAME);
    for (int i = 0; i < MESSAGES; i++) {
        assert_true (raw_send_frame (program, 0, frame, FRAME));
        assert_true (raw_send_frame (program, 1, frame, 100));
        assert_true (raw_send_frame (program, 0, frame, 100));
        assert_true (raw_send_frame (worker, 0, "data", 4));
        assert_true (raw_send_frame (worker, 1, "more", 4));
        assert_true (raw_send_frame (worker, 0, "data", 4));
        assert_true (raw_send_frame (worker, 0, "", 0));
    }
    sink_await (&friends->sink, NULL, "zibrato.malformed", 0, 2 * MESSAGES);
    friends_await (friends, "ignored", 4 * MESSAGES);
    close (program);
    close (worker);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  Of a message without an end nothing is seen but the bytes.
static void
messages_without_an_end_are_cut (void)
{
    friends_t *friends = friends_start (broker_start ());
    for (int end = PROGRAMS; end <= WORKERS; end++) {
        int fd = raw_peer (friends->broker, end);
        char parts[3 * 1024];
        for (size_t i = 0; i < sizeof parts; i += 3)
            memcpy (parts + i, "\1\1x", 3);
        int64_t until = now_ms () + WAIT_MS;
        while (raw_send (fd, parts, sizeof parts))
            assert_true (now_ms () < until);
        close (fd);
    }
    friends_await (friends, "cut", 2);
    assert_true (process_lines (friends->broker->process,
                                "event=cut reason=\"a message without an end\"")
                 > 0);
    //  a frame of three bytes becomes a message of 64
    friends_check_broker (friends, 10 * GROWTH_KIB);
    friends_stop (friends);
}

//  --------------------------------------------------------------------------
//  Subscriptions

//  Subscribes until it is thrown out, or has done so.
static void
s_subscribe_to_many (int fd, int count)
{
    char frames[64 * 32];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        int length = snprintf (frames + size + 2, 32, "%ctopic%d|", 1, i);
        frames[size] = 0;
        frames[size + 1] = (char) length;
        size += 2 + (size_t) length;
        if (size < sizeof frames - 64 && i < count - 1)
            continue;
        if (!raw_send (fd, frames, size))
            return;
        size = 0;
    }
}

//  Neither the broker nor the program keeps a million topics.
static void
a_million_subscriptions_are_not_kept (void)
{
    friends_t *friends = friends_start (broker_start ());
    long program_kib = process_status (friends->program, "VmRSS:");
    int fd = raw_peer (friends->broker, WORKERS);
    s_subscribe_to_many (fd, MILLION);
    raw_await_end (fd);
    friends_await (friends, "cut", 1);
    program_kib = process_status (friends->program, "VmHWM:") - program_kib;
    print_message ("    the program grew by %ld KiB\n", program_kib);
    if (!SANITIZED)
        assert_true (program_kib < GROWTH_KIB / 4);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  Waits until a level of the program has a listener (held 0), or none.
static void
s_await_held (process_t *program, const char *level, bool held)
{
    int64_t until = now_ms () + WAIT_MS;
    for (size_t nth = 1; now_ms () < until; nth++) {
        process_send (program, text_new ("count\t%s\theld\nflush\t0\n", level));
        process_await_nth (program, "flush ", nth);
        if ((process_lines (program, "flush 0") > 0) == !held && !held)
            return;
        if (held && process_lines (program, "flush -1") > 0)
            return;
        poll_pause ();
    }
    fail_msg ("level %s is %sheld", level, held ? "not " : "");
}

//  More topics than programs keep apart, each within what one worker may have:
//  a level beyond that has its listener all the same, and loses it with the
//  last who wants it.
static void
full_tables_hide_no_level (void)
{
    enum { PEERS = 4, TOPICS = 900 };
    friends_t *friends =
      friends_start_at (broker_start (), "info,debug,zibrato");
    int fd[PEERS];
    for (int i = 0; i < PEERS; i++) {
        fd[i] = raw_peer (friends->broker, WORKERS);
        for (int j = 0; j < TOPICS; j++)
            assert_true (
              raw_subscribe (fd[i], 1, text_new ("hostile.%d.%d|", i, j)));
    }
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (friends->broker));
    sink_t late =
      sink_stdout (friends->broker, LIST ("--levels", "late,later"));
    process_send (program, "count\tlate\tlate.count\t5\n");
    sink_await (&late, NULL, "late.count", 0, 5);
    sink_stop (&late);
    for (int i = 0; i < PEERS; i++)
        close (fd[i]);
    s_await_held (program, "late", true);
    process_stop (program, SIGTERM);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  Nobody can take off what others want, by whatever it says.
static void
nobody_unsubscribes_for_others (void)
{
    static const char *const topics[] = {"", "info|", "debug|", "zibrato|"};
    friends_t *friends = friends_start (broker_start ());
    sink_t sink = sink_stdout (friends->broker, LIST ("--levels", "info"));
    int fd = raw_peer (friends->broker, WORKERS);
    for (int i = 0; i < 12; i++)
        assert_true (raw_subscribe (fd, 0, topics[i % 4]));
    friends_await (friends, "ignored", 12);
    //  twice wanted is once not wanted
    for (int i = 0; i < 12; i++)
        assert_true (raw_subscribe (fd, 1, topics[i % 4]));
    for (int i = 0; i < 12; i++)
        assert_true (raw_subscribe (fd, 0, topics[i % 4]));
    friends_await (friends, "ignored", 12 + 8);
    close (fd);
    //  what is measured now comes
    process_send (friends->program, "count\tinfo\tunharmed\t5\n");
    sink_await (&sink, NULL, "unharmed", 0, 5);
    sink_await (&friends->sink, NULL, "unharmed", 0, 5);
    sink_stop (&sink);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  On and off, as fast as it goes, until the broker has enough of it.
static void
a_worker_that_cannot_decide_is_cut (void)
{
    friends_t *friends = friends_start (broker_start ());
    int fd = raw_peer (friends->broker, WORKERS);
    int64_t until = now_ms () + WAIT_MS;
    char frames[20 * 100];
    for (size_t i = 0; i < 100; i++)
        memcpy (frames + 20 * i, "\0\10\1maybe.|\0\10\0maybe.|", 20);
    while (raw_send (fd, frames, sizeof frames))
        assert_true (now_ms () < until);
    close (fd);
    friends_await (friends, "cut", 1);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  --------------------------------------------------------------------------
//  Much

//  Sends so many messages of the largest size, no faster than it can.
static void
s_flood (int fd, int messages)
{
    char *frame = harness_keep (calloc (1, FRAME));
    memset (frame, 'x', FRAME);
    memcpy (frame, "flood|", 6);
    for (int i = 0; i < messages; i++)
        assert_true (raw_send_frame (fd, 0, frame, FRAME));
}

//  A worker that wants everything and reads nothing. It is cut before it holds
//  up others for long, and long before the memory is gone. The friends' worker
//  does not want what fills it: on a busy machine it would be slow, too.
static void
a_slow_reader_is_cut (void)
{
    friends_t *friends =
      friends_start_at (broker_start (), "info,debug,zibrato");
    int slow = raw_peer (friends->broker, WORKERS);
    int flood = raw_peer (friends->broker, PROGRAMS);
    assert_true (raw_subscribe (slow, 1, ""));
    s_flood (flood, FLOODS / 2 * HELD_KIB / (FRAME / 1024));
    friends_await (friends, "cut", 1);
    assert_true (process_lines (friends->broker->process,
                                "event=cut reason=\"does not read\"")
                 > 0);
    raw_await_end (slow);
    close (flood);
    friends_check_broker (friends, 2 * HELD_KIB + GROWTH_KIB);
    friends_stop (friends);
}

//  Small messages come to a mark before the memory is used up. The friends'
//  worker wants none of them, as above.
static void
a_slow_reader_of_small_messages_is_cut (void)
{
    enum { MESSAGES = 400 * 1000 };
    static const char line[] = "\0\77flood|Counter|flood|1|1700000000|a source "
                               "that makes it longer....";
    friends_t *friends =
      friends_start_at (broker_start (), "info,debug,zibrato");
    int slow = raw_peer (friends->broker, WORKERS);
    int flood = raw_peer (friends->broker, PROGRAMS);
    assert_true (raw_subscribe (slow, 1, "flood|"));
    for (int i = 0; i < MESSAGES; i++)
        assert_true (raw_send (flood, line, 65));
    friends_await (friends, "cut", 1);
    raw_await_end (slow);
    close (flood);
    friends_check_broker (friends, GROWTH_KIB);
    friends_stop (friends);
}

//  Faster than any worker can read. All wait in turn, nobody loses anything.
static void
a_publisher_that_never_pauses_harms_nobody (void)
{
    friends_t *friends = friends_start (broker_start ());
    int flood = raw_peer (friends->broker, PROGRAMS);
    s_flood (flood, FLOODS * HELD_KIB / (FRAME / 1024));
    sink_await (&friends->sink, NULL, "zibrato.malformed", 0,
                FLOODS * HELD_KIB / (FRAME / 1024));
    close (flood);
    long kib = process_status (friends->sink.worker, "VmHWM:");
    print_message ("    the worker had %ld KiB at most\n", kib);
    if (!SANITIZED)
        assert_true (kib < WORKER_KIB + GROWTH_KIB);
    friends_check_broker (friends, HELD_KIB + GROWTH_KIB);
    friends_stop (friends);
}

//  --------------------------------------------------------------------------
//  A broker that is none

//  Subscriptions that are too long, in one frame, each after the program has
//  connected anew.
static void
a_hostile_broker_cannot_fill_a_program (void)
{
    static const uint64_t sizes[] = {UINT64_C (8) << 30, MEGABYTE, FRAME};
    char *frame = harness_keep (calloc (1, MEGABYTE));
    broker_t broker = {0};
    int listener = raw_listen (&broker);
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (&broker));
    process_send (program, "count\tinfo\tpatient\t5\n");
    frame[0] = 1;
    for (int i = 0; i < 3; i++) {
        int fd = raw_accept (listener);
        raw_handshake (fd, "SUB");
        if (raw_send_header (fd, 0, sizes[i]))
            raw_send (fd, frame, sizes[i] < MEGABYTE ? sizes[i] : MEGABYTE);
        raw_await_end (fd);
    }
    close (raw_accept (listener));
    long kib = process_status (program, "VmHWM:");
    print_message ("    the program has %ld KiB\n", kib);
    if (!SANITIZED)
        assert_true (kib < GROWTH_KIB / 4);
    process_send (program, "stats\n");
    process_await (program, "\"measured\":1");
    close (listener);
}

//  Another protocol, and a million subscriptions: the program hangs up on it,
//  and when a real broker is there, everything arrives.
static void
a_hostile_broker_harms_no_program (void)
{
    broker_t broker = {0};
    int listener = raw_listen (&broker), fd;
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (&broker));
    //  what it sends while that one listens is that one's
    process_send (program, "count\tinfo\tfirst\nstats\n");
    process_await (program, "\"measured\":1");
    fd = raw_accept (listener);
    raw_send (fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    shutdown (fd, SHUT_WR);
    raw_await_end (fd);
    fd = raw_accept (listener);
    raw_handshake (fd, "SUB");
    s_subscribe_to_many (fd, MILLION);
    raw_await_end (fd);
    long kib = process_status (program, "VmHWM:");
    print_message ("    the program has %ld KiB\n", kib);
    if (!SANITIZED)
        assert_true (kib < GROWTH_KIB / 4);
    close (listener);
    broker_launch (&broker);
    sink_t sink = sink_stdout (&broker, NULL);
    process_send (program, "count\tinfo\tpatient\t5\n");
    sink_end_with_sum (&sink, NULL, "patient", 5);
    broker_stop (&broker);
}

//  A broker that wants more topics than a program keeps apart, but not too
//  many: the last is heard like the first, and each is until nobody wants it.
static void
a_program_hears_what_it_cannot_keep (void)
{
    enum { TOPICS = 1500 };
    broker_t broker = {0};
    int listener = raw_listen (&broker);
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (&broker));
    process_send (program, "count\tlate\tlate.count\t5\n");
    int fd = raw_accept (listener);
    raw_handshake (fd, "SUB");
    for (int i = 0; i < TOPICS; i++)
        assert_true (raw_subscribe (fd, 1, text_new ("topic%d|", i)));
    assert_true (raw_subscribe (fd, 1, "late|"));
    raw_await_text (fd, "late|Counter|late.count|");
    for (int i = 0; i < TOPICS; i++)
        assert_true (raw_subscribe (fd, 0, text_new ("topic%d|", i)));
    assert_true (raw_subscribe (fd, 0, "late|"));
    s_await_held (program, "late", true);
    assert_true (raw_subscribe (fd, 1, "late|"));
    raw_await_text (fd, "late|Counter|held|");
    close (fd);
    close (listener);
}

//  Another protocol, and frames that are too long; then what is no measurement,
//  and one that is.
static void
a_hostile_broker_harms_no_worker (void)
{
    static const uint64_t sizes[] = {UINT64_C (8) << 30, MEGABYTE};
    static const char good[] = "info|Counter|good|5|1700000000|test";
    char *frame = harness_keep (calloc (1, MEGABYTE));
    broker_t broker = {0};
    int listener = raw_listen (&broker), fd;
    process_t *worker = process_start (
      LIST (harness_path ("ZB_BIN"), "stdout", "--host", broker.host, "--port",
            text_new ("%d", broker.port), "--flush", "1", "--format", "json"),
      NULL);
    sink_t sink = {worker, NULL};
    fd = raw_accept (listener);
    raw_send (fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    shutdown (fd, SHUT_WR);
    raw_await_end (fd);
    for (int i = 0; i < 2; i++) {
        fd = raw_accept (listener);
        raw_handshake (fd, "PUB");
        if (raw_send_header (fd, 0, sizes[i]))
            raw_send (fd, frame, MEGABYTE);
        raw_await_end (fd);
    }
    fd = raw_accept (listener);
    raw_handshake (fd, "PUB");
    memset (frame, '|', FRAME);
    for (int i = 0; i < 100; i++)
        assert_true (raw_send_frame (fd, 0, frame, FRAME));
    assert_true (raw_send_frame (fd, 0, good, sizeof good - 1));
    sink_await (&sink, NULL, "good", 0, 5);
    sink_await (&sink, NULL, "zibrato.malformed", 0, 100);
    if (!SANITIZED)
        assert_true (process_status (worker, "VmHWM:") < GROWTH_KIB);
    sink_stop (&sink);
    close (fd);
    close (listener);
}

static const struct CMUnitTest tests[] = {
  TEST (scanners_cost_nothing),
  TEST (half_open_connections_are_ended),
  TEST (descriptors_that_run_out_stop_nobody),
  TEST (frames_that_are_too_long_end_the_connection),
  TEST (messages_that_are_none_are_counted),
  TEST (messages_without_an_end_are_cut),
  TEST (a_million_subscriptions_are_not_kept),
  TEST (full_tables_hide_no_level),
  TEST (nobody_unsubscribes_for_others),
  TEST (a_worker_that_cannot_decide_is_cut),
  TEST (a_slow_reader_is_cut),
  TEST (a_slow_reader_of_small_messages_is_cut),
  TEST (a_publisher_that_never_pauses_harms_nobody),
  TEST (a_hostile_broker_cannot_fill_a_program),
  TEST (a_hostile_broker_harms_no_program),
  TEST (a_program_hears_what_it_cannot_keep),
  TEST (a_hostile_broker_harms_no_worker),
};

HARNESS_MAIN (tests)
