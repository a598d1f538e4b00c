/*  sockets - what all our sockets have in common. The contract is in sockets.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sockets.h"
#include "log.h"

//  Limits of what a peer may send us, and of what we hold for it.
enum {
    FRAME_MAX = 65 * 1024,    //  bytes; a message and what CURVE adds
    HIGH_WATER_MARK = 10000,  //  messages a peer
    BACKLOG = 1024,           //  connections not accepted yet
    CONNECT_MS = 2000,        //  then try again
    DEAD_MS = 20000,          //  nothing sent was acknowledged so long
    ALIVE_S = 5,              //  where nothing is sent, TCP asks for it
    HANDSHAKE_MS = 5000
};

uint64_t
sockets_random (void)
{
    uint64_t bits;
    if (getentropy (&bits, sizeof bits) == -1)
        die ("getentropy:");
    return bits;
}

zsock_t *
sockets_new (int type)
{
    zsock_t *socket = zsock_new (type);
    if (!socket)
        die ("open a socket:");
    zsock_set_maxmsgsize (socket, FRAME_MAX);
    zsock_set_handshake_ivl (socket, HANDSHAKE_MS);
    zsock_set_tcp_keepalive (socket, 1);
    zsock_set_tcp_keepalive_idle (socket, ALIVE_S);
    zsock_set_tcp_keepalive_intvl (socket, ALIVE_S);
    //  for these as for data, and for who lets us send and never reads
    zsock_set_tcp_maxrt (socket, DEAD_MS);
    zsock_set_connect_timeout (socket, CONNECT_MS);
    zsock_set_backlog (socket, BACKLOG);
    zsock_set_sndhwm (socket, HIGH_WATER_MARK);
    zsock_set_rcvhwm (socket, HIGH_WATER_MARK);
    zsock_set_linger (socket, 0);
    zsock_set_ipv6 (socket, 1);
    return socket;
}
