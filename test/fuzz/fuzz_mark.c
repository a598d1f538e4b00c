/*  fuzz_mark.c - whatever a broker sends as marks, what was missed only grows, and
    no mark is believed that says less than what came

    Each line of the input is a message. One that begins as a mark of the worker
    that has the random number 1 may be one.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=1024

#include "fuzz.h"

static void
message_feed (missed_t *missed, const char *text, size_t size)
{
    uint64_t before = missed->missed, marks = missed->marks;
    zmq_msg_t message;
    zmq_msg_init_size (&message, size);
    memcpy (zmq_msg_data (&message), text, size);
    if (size && (unsigned char) *text == MARK_BYTE)
        missed_mark (missed, &message, 1);
    else
        missed_count (missed, &message);
    zmq_msg_close (&message);
    CHECK (missed->missed >= before);
    //  without a mark nobody knows
    CHECK (missed->missed == before || missed->marks == marks + 1);
}

static void
check_brokers (const missed_t *missed)
{
    const said_by_t *said;
    for (said = missed->broker; said < missed->broker + SOURCES_MAX; said++) {
        CHECK (said->id || !said->used);
        CHECK (said->matched >= said->first);
        CHECK (said->missed <= said->matched - said->first);
    }
}

static void
fuzz (const char *text, size_t size)
{
    const char *end = text + size, *newline;
    missed_t missed;
    missed_init (&missed, 1);
    CHECK (memcmp (missed.topic + 1,
                   "\xfe"
                   "0000000000000001",
                   MARK_TOPIC_SIZE)
           == 0);
    for (; text < end; text = newline + 1) {
        newline = memchr (text, '\n', (size_t) (end - text));
        newline = newline ? newline : end;
        message_feed (&missed, text, (size_t) (newline - text));
        check_brokers (&missed);
    }
    CHECK (missed_leaving (&missed, 1) <= SOURCES_MAX);
    CHECK (missed_done_by (&missed) <= SOURCES_MAX);
    missed_clear (&missed);
}
