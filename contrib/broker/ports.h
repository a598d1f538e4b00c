/*  ports - the broker's pair: programs connect to the lower port, workers to the
    next

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PORTS_H
#define ZB_PORTS_H

#include "curve.h"
#include "handshake.h"

typedef struct {
    zsock_t *programs, *workers;  //  XSUB and XPUB
    handshake_t *hands[PEER_ENDS];
    curve_t *curve;  //  NULL: anybody may connect
} ports_t;

//  Makes both sockets, and watches who comes: before they bind, or somebody could
//  be missed. With a certificate and a folder of those who may connect they are
//  CURVE servers. Returns NULL, or what is wrong with these.
const char *ports_open (ports_t *self, peers_t *peers, const char *cert,
                        const char *authorized);

//  Says that all may connect, if they may, and who may, if not.
void ports_log_access (const ports_t *self, const char *address,
                       const char *authorized);

//  Binds the pair, or finds a free pair for port 0; host is what was asked for, to
//  be named in errors. Returns the lower port, or ends the program.
int ports_bind (ports_t *self, const char *address, const char *host, int port);

//  Nobody else may come.
void ports_deafen (ports_t *self);

void ports_close (ports_t *self);

#endif
