/*  ports - the broker's pair of sockets. The contract is in ports.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ports.h"
#include "log.h"
#include "sockets.h"

//  What a peer may have of ours.
enum {
    PROGRAM_MARK = 256,               //  messages of a program, not read yet
    SUBSCRIPTION_MAX = 1024,          //  bytes of a topic, and what CURVE adds
    SUBSCRIPTIONS_AHEAD = 2,          //  of a worker, that we have not read
    SUBSCRIPTION_BUFFER = 16 * 1024,  //  bytes of them in the kernel
    HEARTBEAT_MS = 5000,              //  between what we ask of workers,
    HEARTBEAT_TIMEOUT_MS = 15000      //  and until one is cut that is silent
};

//  The only socket with heartbeats, for messages must not wait for a worker that
//  is stopped (LATE_MS in ledger.h). A worker sends none: where ZeroMQ gives a
//  connection up that has much to read, because an answer does not come, it ends
//  the process once that is read and another connection is there (libzmq issue
//  3937).
//
//  A domain for ZAP refuses workers of ZMTP 1 and 2, who could not be told apart.
static zsock_t *
s_workers_new (void)
{
    zsock_t *workers = sockets_new (ZMQ_XPUB);
    zsock_set_maxmsgsize (workers, SUBSCRIPTION_MAX);
    zsock_set_rcvhwm (workers, SUBSCRIPTIONS_AHEAD);
    zsock_set_rcvbuf (workers, SUBSCRIPTION_BUFFER);
    zsock_set_heartbeat_ivl (workers, HEARTBEAT_MS);
    zsock_set_heartbeat_timeout (workers, HEARTBEAT_TIMEOUT_MS);
    zsock_set_xpub_verboser (workers, 1);
    zsock_set_xpub_nodrop (workers, 1);
    zsock_set_zap_domain (workers, "zibrato");
    return workers;
}

//  A heartbeat could end a program that is in the midst of a list of subscriptions
//  when its connection breaks (hangup.h says why, and keeps workers from that). So
//  there are none here.
static zsock_t *
s_programs_new (void)
{
    zsock_t *programs = sockets_new (ZMQ_XSUB);
    zsock_set_rcvhwm (programs, PROGRAM_MARK);
    return programs;
}

const char *
ports_open (ports_t *self, peers_t *peers, const char *cert,
            const char *authorized)
{
    const char *wrong = NULL;
    self->workers = s_workers_new ();
    self->programs = s_programs_new ();
    if (cert)
        wrong = curve_listen (&self->curve, cert, authorized, self->programs,
                              self->workers);
    peers_init (peers, zsock_resolve (self->programs));
    self->hands[PEER_PROGRAM] =
      handshake_new (self->programs, peers, PEER_PROGRAM);
    self->hands[PEER_WORKER] =
      handshake_new (self->workers, peers, PEER_WORKER);
    return wrong;
}

void
ports_log_access (const ports_t *self, const char *address,
                  const char *authorized)
{
    if (self->curve)
        zb_log (LOG_INFO, "authorized", "authorized=\"%s\" keys=%zu",
                authorized, zhashx_size (self->curve->listed));
    else if (strncmp (address, "127.", 4) != 0 && !streq (address, "[::1]"))
        zb_log (LOG_WARNING, "exposed",
                "address=%s reason=\"whoever reaches it can publish and read\"",
                address);
}

//  It looks at random places ("!"): the neighbour of the first free port may be
//  taken for long.
int
ports_bind (ports_t *self, const char *address, const char *host, int port)
{
    bool any = port == 0;
    int tries, next = -1;
    for (tries = 0; tries < 100 && next == -1; tries++) {
        int bound =
          any ? zsock_bind (self->programs, "tcp://%s:!", address)
              : zsock_bind (self->programs, "tcp://%s:%d", address, port);
        if (bound == -1)
            die ("listen at %s port %d:", host, port);
        next = zsock_bind (self->workers, "tcp://%s:%d", address, bound + 1);
        if (next == -1 && !any)
            die ("listen at %s port %d:", host, port + 1);
        if (next == -1)
            zsock_unbind (self->programs, "tcp://%s:%d", address, bound);
        port = bound;
    }
    if (next == -1)
        die ("--port 0: found no pair of free ports");
    return port;
}

void
ports_deafen (ports_t *self)
{
    handshake_deafen (self->hands[PEER_PROGRAM]);
    handshake_deafen (self->hands[PEER_WORKER]);
}

void
ports_close (ports_t *self)
{
    handshake_destroy (&self->hands[PEER_PROGRAM]);
    handshake_destroy (&self->hands[PEER_WORKER]);
    curve_destroy (&self->curve);
    zsock_destroy (&self->programs);
    zsock_destroy (&self->workers);
}
