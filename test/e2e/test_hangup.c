/*  test_hangup.c - connections that are reset while there is much to read

    ZeroMQ ends a process in which a heartbeat meets a connection that broke
    while it was not read (hangup.h in core). A broker reads few subscriptions
    ahead, so anybody could end it by a reset in the midst of many.

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

static const struct CMUnitTest tests[] = {
  TEST (resets_end_no_broker),
};

HARNESS_MAIN (tests)
