/*  subscriber - a worker's socket: what it wants, and from whom

    It connects to each broker and says what it wants, makes broken connections
    anew and says what is wrong with them, counts what did not come, and leaves
    without a loss. One thread only, the loop's.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SUBSCRIBER_H
#define ZB_SUBSCRIBER_H

#include "leaving.h"
#include "links.h"
#include "mark.h"
#include "missed.h"

enum {
    WORKER_MARK = 4000,  //  messages that a worker has not read
    MESSAGES_MAX = 32    //  that are received at once
};

typedef struct {
    const char *mode;    //  for the log
    const char *levels;  //  that are wanted, separated by commas; "": all
    zsock_t *socket;     //  XSUB
    void *xsub;          //  the same as ZeroMQ knows it
    zmq_msg_t message[MESSAGES_MAX];  //  those received last
    int64_t looked_ms;  //  when connections were looked at, of zclock_mono
    bool curve;
    links_t *links;  //  its connections
    missed_t missed;
    leaving_t leaving;
    bool ready;       //  a broker has known what we want
    zloop_t *loop;    //  not ours
    int renew_timer;  //  or 0
} subscriber_t;

//  Makes the socket. The texts are not copied.
void subscriber_open (subscriber_t *self, const char *mode, const char *levels);

//  Connects to endpoints, separated by commas; with CURVE if a broker's key is
//  given, which may be a file. Ends the program if that cannot be.
void subscriber_connect (subscriber_t *self, const char *endpoints,
                         const char *server, const char *cert);

//  From now on connections are seen to.
void subscriber_start (subscriber_t *self, zloop_t *loop);

//  Receives into `message` what is there, without waiting. Of several frames the
//  first one is kept. Returns how many there are; they stay until the next call.
//  What is new of connections is known then.
size_t subscriber_receive (subscriber_t *self);

//  A message has come. Returns false if it is a mark, which is none for the
//  worker.
static inline bool
subscriber_take (subscriber_t *self, zmq_msg_t *message)
{
    const unsigned char *text = (const unsigned char *) zmq_msg_data (message);
    if (zmq_msg_size (message) && *text == MARK_BYTE
        && !zmq_msg_more (message)) {
        missed_mark (&self->missed, message, zclock_mono ());
        return false;
    }
    missed_count (&self->missed, message);
    return true;
}

//  Begins to leave, which may take so long. The loop ends when all has come.
void
subscriber_leave_begin (subscriber_t *self, zloop_t *loop, int64_t most_ms);

//  Has that been called?
bool subscriber_leaves (const subscriber_t *self);

//  Ends its connections. What they have brought stays readable until it is
//  closed.
void subscriber_disconnect (subscriber_t *self);

void subscriber_close (subscriber_t *self);

#endif
