/*  missed - how many messages a worker has missed

    The worker's half of marks.h: it subscribes to a topic of its own, counts
    what comes, and compares that with the marks of each broker. An old broker
    sends no marks; then nothing is known.

    With several brokers it counts each connection's messages apart: ZeroMQ says
    of a message where it came from, if that is asked for. So it does when the
    connection to the only broker was lost, for a while.

    When a connection was lost and is back, another process may be there, which
    may have taken messages in before that. These were missed, too.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_MISSED_H
#define ZB_MISSED_H

#include "mark.h"

#include <stdbool.h>
#include <zmq.h>

enum {
    SOURCES_MAX =
      64  //  connections and brokers that are remembered: the present
          //  ones, and some of the past
};

//  What a broker process has said.
typedef struct {
    uint64_t id;              //  0: nobody
    uint64_t first, matched;  //  by its first mark and the last one
    uint64_t received;        //  since the first, until the last
    uint64_t missed;
    uint64_t used;       //  when its last mark came; counts marks
    int64_t leaving_ms;  //  when it said last that it leaves
    int left;            //  nothing is on its way to us any more, or it is a
                         //  broker of before, which cannot say so
    int done;            //  it knows that we want nothing any more
} said_by_t;

//  What came on a connection.
typedef struct {
    const char *identity;  //  a text of libzmq's; NULL: the only connection
    zmq_msg_t first;       //  keeps identity from being reused
    uint64_t received;     //  since the last mark
    uint64_t broker;       //  that the last mark was of, 0: none came
    uint64_t used;         //  when it came, or its last mark did
} source_t;

//  The connection to the only broker.
typedef enum { MISSED_STEADY, MISSED_AWAY, MISSED_BACK } changes_t;

typedef struct {
    char topic[1 + MARK_TOPIC_SIZE + 2];  //  subscription to our own topic
    int several;                          //  brokers, or one,
    changes_t changes;                    //  whose connection is a new one
    int back[SOURCES_MAX];                //  of several, connections that
    size_t backs;                         //  follow others: descriptors
    int final;  //  marks say nothing about missed messages any more
    source_t source[SOURCES_MAX];
    size_t sources;
    source_t *last;  //  that a message came from
    said_by_t broker[SOURCES_MAX];
    uint64_t marks;
    uint64_t missed;  //  in all
} missed_t;

//  A random number makes the topic.
void missed_init (missed_t *self, uint64_t random);

//  Where the message comes from.
source_t *missed_source (missed_t *self, zmq_msg_t *message);

//  A message has come that is no mark.
static inline void
missed_count (missed_t *self, zmq_msg_t *message)
{
    source_t *source = self->several || self->changes
                         ? missed_source (self, message)
                         : self->source;
    source->received++;
}

//  A connection is lost, or there: its descriptor, and whether it follows one that was
//  lost.
void missed_disconnect (missed_t *self);
void missed_connected (missed_t *self, int fd, bool again);

//  A message that begins with MARK_BYTE has come: a mark of ours, or of another
//  worker if we want all topics.
void missed_mark (missed_t *self, zmq_msg_t *message, int64_t now_ms);

//  How many brokers have said since then that they leave; since that mark that
//  nothing is on its way to us; or that they know that we want nothing any more.
size_t missed_leaving (const missed_t *self, int64_t since_ms);
size_t missed_left (const missed_t *self, uint64_t since);
size_t missed_done_by (const missed_t *self);

void missed_clear (missed_t *self);

#endif
