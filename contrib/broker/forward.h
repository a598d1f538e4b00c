/*  forward - from the programs of a broker to its workers

    Nothing that was taken in is lost without being counted (marks.h). A message
    that some worker has no room for waits here, and programs wait with it;
    those of zibrato.h hold their measurements in the meantime. How long a
    worker may do that to others is up to peers.

    A broker that stood still for long has messages of which readers may not
    know any more that they are old: whoever read them then would count them
    twice. So it throws them away, and the workers count them as missed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FORWARD_H
#define ZB_FORWARD_H

#include "curve.h"
#include "peers.h"

enum {
    FORWARD_SOME = 1000,      //  messages in one go, as zmq_proxy does
    FORWARD_PAUSE_MS = 10,    //  of programs, while workers read
    FORWARD_STILL_MS = 20000  //  a broker that did nothing for so long
};

typedef enum {
    FORWARD_DONE,   //  all that has come is on its way
    FORWARD_AGAIN,  //  there may be more
    FORWARD_PAUSED  //  workers have no room: again in FORWARD_PAUSE_MS
} forward_state_t;

typedef struct {
    void *programs, *workers;  //  XSUB, XPUB
    peers_t *peers;
    curve_t *curve;  //  NULL: anybody may publish
    zmq_msg_t message;
    int waits;           //  message has no room
    int within;          //  the next frame belongs to the last one's message,
    int ignored;         //  which goes nowhere,
    int answer;          //  since it is one to us
    int64_t paused_ms;   //  programs wait since then; 0: they do not
    int64_t charged_ms;  //  the workers that are to blame know until then
    int64_t turn_ms;     //  of the last turn
    uint64_t messages, bytes;  //  taken in
    int64_t still_ms;          //  for so long the broker stood still; then
    int64_t throw_ms;          //  all is thrown away until then, or 0,
    int64_t old_ms;            //  and came last then
    uint64_t thrown;           //  messages
} forward_t;

void forward_init (forward_t *self, void *programs, void *workers,
                   peers_t *peers, curve_t *curve);

//  Takes in what has come, and sends it, as far as that is possible. To be
//  called often: the time between two calls is what it takes for standing
//  still.
forward_state_t forward_turn (forward_t *self, int64_t now_ms);

void forward_done (forward_t *self);

#endif
