/*  handshake - why a connection did not come to be

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HANDSHAKE_H
#define ZB_HANDSHAKE_H

#include "zibrato_backend.h"

#include "peers.h"

#include <czmq.h>

//  The connections of a bound socket.
typedef struct {
    zsock_t *socket, *monitor;
    int curve;       //  it has CURVE
    peers_t *peers;  //  where they are counted
    peer_end_t end;
    const char *failed;  //  why the next that is disconnected is
    int listener;        //  the descriptor that it accepts at, or -1
    unsigned denied[2];  //  keys not listed that are still connected: at all,
                         //  or for this port only
    struct {
        char peer[64];
        int64_t since_ms;
    } * accepted;  //  by descriptor
    size_t accepted_size;
} handshake_t;

//  Before the socket binds. Caller owns the return value.
handshake_t *handshake_new (zsock_t *socket, peers_t *peers, peer_end_t end);

//  Takes in a report of the monitor, and logs who was refused. Returns 0 if
//  there is none.
int handshake_report (handshake_t *self);

//  From now on nobody can connect; connections stay.
void handshake_deafen (handshake_t *self);

void handshake_destroy (handshake_t **self_p);

#endif
