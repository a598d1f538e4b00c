/*  curve - who may connect: certificates, and the list of keys

    Functions that return a text return NULL if all went well, or what is wrong
    with which file or folder: a static text, until the next one is returned.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CURVE_H
#define ZB_CURVE_H

#include "zibrato_backend.h"

#include "certificate.h"
#include "keys.h"

//  Makes DIR, unless it is there, and a certificate in it. Overwrites nothing.
//  public_key gets the public key, Z85.
const char *curve_keygen (const char *dir, const char *name,
                          char public_key[CERTIFICATE_KEY]);

//  A worker's side: makes a socket, before it connects, a CURVE client. The
//  server is a key, or the file of a certificate.
const char *
curve_connect (zsock_t *socket, const char *server, const char *cert);

//  The broker's side. What a handshake ends with whose key may not come: ZAP has
//  no code of its own for a key that is in the list, but for the other port.
enum { CURVE_NOT_LISTED = 400, CURVE_OTHER_PORT = 500 };

typedef struct {
    const char *dir;   //  of those who may connect
    zhashx_t *listed;  //  their public keys
    zsock_t *zap;      //  where ZeroMQ asks who may connect
    struct {
        char key[CERTIFICATE_KEY];  //  of its last message
        int role;
    } * seen;  //  by descriptor
    size_t seen_size;
} curve_t;

//  Makes both sockets, before they bind, CURVE servers that admit who is listed
//  for them. *self_p is NULL if that fails.
const char *curve_listen (curve_t **self_p, const char *cert, const char *dir,
                          zsock_t *programs, zsock_t *workers);

//  Answers all that ZeroMQ asks: handshakes wait for it. To be called when zap
//  is readable.
void curve_answer (curve_t *self);

//  Reads the list again. Who is no more in it is cut off; nobody else notices.
//  If that fails the list stays as it is.
const char *curve_reload (curve_t *self);

//  May the message's sender still be here, in this role? If not it is cut off, and 0
//  returned. To be asked of each message, since that is how the broker learns
//  whose a connection is.
int curve_admits (curve_t *self, zmq_msg_t *message, int role);

void curve_destroy (curve_t **self_p);

#endif
