/*  test_hangup.c - connections that are reset while there is much to read

    ZeroMQ ends a process in which a heartbeat meets a connection that broke
    while it was not read (hangup.h in core). A broker reads few subscriptions
    ahead, and a program, too; so resets in the midst of many must end neither,
    whoever sends them, and whatever else is among them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "raw.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

//  Waits until the other side's kernel has all that was sent, and resets the
//  connection.
static void
raw_reset (int fd)
{
    const struct linger now = {1, 0};
    int64_t until = now_ms () + WAIT_MS;
    int waiting = 1;
    while (ioctl (fd, SIOCOUTQ, &waiting) == 0 && waiting) {
        assert_true (now_ms () < until);
        poll_pause ();
    }
    setsockopt (fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close (fd);
}

//  Sends so many frames, in one piece, and a heartbeat in the midst of them.
static void
raw_send_many (int fd, const void *frame, size_t size, int count)
{
    static const char ping[] = "\4\7\4PING\0";  //  and a byte of the TTL
    char *data = harness_keep (malloc (size * (size_t) count + sizeof ping));
    char *at = data;
    for (int i = 0; i < count; i++) {
        at = (char *) memcpy (at, frame, size) + size;
        if (i == count * 3 / 4)
            at = (char *) memcpy (at, ping, sizeof ping) + sizeof ping;
    }
    assert_true (raw_send (fd, data, (size_t) (at - data)));
}

//  A broker reads two subscriptions ahead, and 256 messages.
static void
resets_end_no_broker (void)
{
    enum { RESETS = 200, MESSAGES = 400, SUBSCRIPTIONS = 100 };
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, NULL);
    for (int i = 0; i < RESETS; i++) {
        int program = raw_peer (broker, PROGRAMS);
        int worker = raw_peer (broker, WORKERS);
        raw_send_many (program, "\0\10flood|xx", 10, MESSAGES);
        raw_send_many (worker, "\0\6\1many|", 8, SUBSCRIPTIONS);
        raw_reset (program);
        raw_reset (worker);
    }
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (broker));
    process_send (program, "count\tinfo\tunharmed\t5\n");
    sink_end_with_sum (&sink, NULL, "unharmed", 5);
    assert_int_equal (process_lines (sink.worker, "event=disconnected"), 0);
    broker_stop (broker);
}

//  As by a container platform. Meanwhile workers come and go, and the broker
//  dies: when the program goes on it has a list of subscriptions to read, and no
//  connection.
static void
a_program_that_was_paused_goes_on (void)
{
    enum { PAUSE_MS = 6000, PAUSED = 20 };  //  longer than a heartbeat takes
    broker_t *broker = broker_start ();
    sink_t sink = sink_stdout (broker, LIST ("--levels", "info"));
    process_t *paused[PAUSED];
    for (int i = 0; i < PAUSED; i++) {
        paused[i] = process_start (LIST (program_path ("measure")),
                                   broker_environment (broker));
        process_send (paused[i], "count\tinfo\tpaused\t5\n");
    }
    sink_await (&sink, NULL, "paused", 0, 5 * PAUSED);
    int64_t until = now_ms () + PAUSE_MS;
    for (int i = 0; i < PAUSED; i++)
        process_signal (paused[i], SIGSTOP);
    while (now_ms () < until) {
        sink_t other = sink_stdout (broker, LIST ("--levels", "a,b,c,d,e"));
        sink_stop (&other);
    }
    broker_kill (broker);
    broker_launch (broker);
    for (int i = 0; i < PAUSED; i++) {
        process_signal (paused[i], SIGCONT);
        process_send (paused[i], "count\tinfo\tpaused\t5\n");
    }
    sink_end_with_sum (&sink, NULL, "paused", 2 * 5 * PAUSED);
    broker_stop (broker);
}

//  Nobody else can bear them (ports.c, zb_zmq_connect_). Theirs would come at the
//  same time as the broker's.
static void
only_brokers_send_heartbeats_and_only_to_workers (void)
{
    broker_t *broker = broker_start (), program_at = {0}, worker_at = {0};
    int listener[] = {raw_listen (&program_at), raw_listen (&worker_at)};
    worker_at.port--;
    process_t *program = process_start (LIST (program_path ("measure")),
                                        broker_environment (&program_at));
    process_send (program, "count\tinfo\tn\t1\n");
    worker_launch (harness_path ("ZB_BIN"), &worker_at, "stdout", NULL, NULL);
    int fd[] = {raw_accept (listener[0]), raw_accept (listener[1]),
                raw_peer (broker, PROGRAMS)};
    raw_handshake (fd[0], "SUB");
    raw_handshake (fd[1], "PUB");
    int worker = raw_peer (broker, WORKERS);
    raw_await_text (worker, "\4PING");
    for (int i = 0; i < 3; i++) {
        char data[4096];
        ssize_t size = recv (fd[i], data, sizeof data, MSG_DONTWAIT);
        assert_true (size > 0 || errno == EAGAIN);
        assert_true (size <= 0 || !memmem (data, (size_t) size, "\4PING", 5));
        close (fd[i]);
    }
    close (worker);
    close (listener[0]);
    close (listener[1]);
    broker_stop (broker);
}

static const struct CMUnitTest tests[] = {
  TEST (resets_end_no_broker),
  TEST (a_program_that_was_paused_goes_on),
  TEST (only_brokers_send_heartbeats_and_only_to_workers),
};

HARNESS_MAIN (tests)
