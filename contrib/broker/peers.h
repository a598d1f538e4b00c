/*  peers - the connections of a broker, and what each may cost

    libzmq bounds what a peer may send in one frame, and how many messages
    wait for it, but not how many connections there are, what one subscribes
    to, how long a message of many frames becomes, nor how many bytes wait for
    readers that do not read. That is done here: who takes more than its share
    is cut off, and counted.

    Connections are known by their descriptors, which the monitors of the
    sockets report. A descriptor may have gone to another connection by the
    time that it is cut. That one connects again, and loses nothing by it that
    is not healed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PEERS_H
#define ZB_PEERS_H

#include "farewell.h"

#include <zmq.h>

enum {
    PEERS_MAX = 10000,                   //  connections of one port
    PEERS_TICK_MS = 100,                 //  between looks at all of them
    HELD_MAX = 128 * 1024 * 1024,        //  bytes that wait for readers
    PROGRAM_BYTES_MAX = 4 * 1024 * 1024  //  without one whole message
};

typedef enum { PEER_PROGRAM, PEER_WORKER, PEER_ENDS } peer_end_t;

//  What can be wrong with a peer: rows of the broker's health.
typedef enum {
    PEERS_IGNORED,  //  messages of workers that are no subscriptions
    PEERS_MARKS,    //  messages of programs that look like marks
    PEERS_REFUSED,  //  connections whose handshake failed
    PEERS_MISSED,   //  messages that a worker may not have got, at most
    PEERS_CROWD,    //  cut, because there are too many of them
    PEERS_GREEDY,   //  cut, with too many topics
    PEERS_ENDLESS,  //  cut, for a message that does not end
    PEERS_SLOW,     //  cut, because it has held up all others for too long
    PEERS_STILL,    //  cut, because what is on its way is too old
    PEERS_FAULTS
} peers_fault_t;

typedef struct {
    int here;  //  it is connected
    int cut;
    int spoke;           //  a worker that has said something
    int suspect;         //  much came, but no message
    uint64_t bytes;      //  that libzmq had read, at the last look
    uint64_t bytes_met;  //  and when there was a message last
    int64_t met_ms;
    const char *identity;  //  of who wants the topics; a descriptor is not
    zmq_msg_t *said;       //  enough. Keeps identity from being reused
    wanted_t wanted;       //  of one that is gone: they may not exist any more
    uint64_t id;           //  of a worker with a topic of its own, or 0
    budget_t *budget;      //  of one without, or NULL
    size_t changes;        //  of topics, since the last look
    uint32_t answered;     //  a program: the question of a farewell
} peer_t;

typedef struct {
    peer_t *peer;  //  by descriptor and end
    size_t size;
    size_t connected[PEER_ENDS], max;
    size_t suspects;
    size_t looked;        //  places of peer, in this look at all
    int drained;          //  all that programs sent until now is read
    int64_t relieved_ms;  //  when somebody was cut for the good of all
    topics_t topics;
    marks_t marks;
    farewell_t farewell;
    int64_t leave_ms;  //  since when programs are to send no more, or 0
    uint64_t faults[PEERS_FAULTS];
} peers_t;

//  As many connections as there may be descriptors for, and half as many
//  descriptors to spare: who finds none cannot even be turned away.
void peers_init (peers_t *self, void *programs);

//  A connection was accepted at one end.
void peers_came (peers_t *self, peer_end_t end, int fd);

//  A connection is lost. Returns 0 if it was a worker's that had nothing to
//  say.
int peers_went (peers_t *self, peer_end_t end, int fd);

//  A whole message came from a program. To be called only while there are
//  suspects.
void peers_met (peers_t *self, zmq_msg_t *message);

//  Something came from a worker, or it is gone: a subscription or not.
void peers_said (peers_t *self, zmq_msg_t *message);

//  Returns 1 if the message of a program is one to a broker: an answer.
int peers_answer (peers_t *self, zmq_msg_t *message);

//  Counts the message until its last reader has it.
void peers_hold (zmq_msg_t *message);

//  Returns 1 if no more should be taken in until readers have read, 0 if they
//  are about to have, -1 if there is room.
int peers_held (void);

//  Programs have had to wait for so long, since workers have no room. Takes it
//  from the budgets of those that have not read by now what others have.
void peers_blame (peers_t *self, int64_t ms);

//  Cuts all workers, with what is on its way to them.
void peers_cut_workers (peers_t *self);

//  To be called again and again when the broker is about to end, though programs are
//  still here: they are to send no more. Returns 1 when all that they have sent has
//  come, or that takes too long.
int peers_leave (peers_t *self);

//  Looks at some connections. Returns 1 until it has looked at all, so that what
//  comes meanwhile need not wait so long.
int peers_look (peers_t *self);

void peers_done (peers_t *self);

#endif
