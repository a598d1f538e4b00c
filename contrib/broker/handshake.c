/*  handshake - why a connection did not come to be. The contract is in
    handshake.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "handshake.h"

#include "curve.h"
#include "reason.h"

#include <linux/filter.h>
#include <netdb.h>

enum {
    YOUNG_MS = 10000,  //  a handshake takes no longer
    LINES = 5,         //  of refused peers in the log, in
    LINES_MS = 60000
};

//  --------------------------------------------------------------------------
//  The broker's side. ZeroMQ says of a failure which socket it was at, and of
//  accept and disconnect which descriptor: so the peer's name is kept from the
//  first, and a failure waits for the last.

handshake_t *
handshake_new (zsock_t *socket, peers_t *peers, peer_end_t end)
{
    handshake_t *self = (handshake_t *) zmalloc (sizeof *self);
    const int events =
      ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED
      | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    char name[64];
    int rc;
    snprintf (name, sizeof name, "inproc://zibrato-handshake-%p",
              (void *) self);
    self->socket = socket;
    self->listener = -1;
    self->peers = peers;
    self->end = end;
    self->curve = zsock_mechanism (socket) == ZMQ_CURVE;
    //  without a limit, for ZeroMQ's I/O thread waits where there is one, and
    //  everybody else with it
    self->monitor = zsock_new (ZMQ_PAIR);
    assert (self->monitor);
    zsock_set_rcvhwm (self->monitor, 0);
    rc = zmq_socket_monitor (zsock_resolve (socket), name, events);
    assert (rc == 0);
    rc = zsock_connect (self->monitor, "%s", name);
    assert (rc == 0);
    return self;
}

void
handshake_destroy (handshake_t **self_p)
{
    handshake_t *self = *self_p;
    if (self) {
        zmq_socket_monitor (zsock_resolve (self->socket), NULL, 0);
        zsock_destroy (&self->monitor);
        free (self->accepted);
        free (self);
        *self_p = NULL;
    }
}

//  IPv4 comes as IPv6 to a socket that has both.
static void
s_peer_print (char *peer, size_t size, const char *host, const char *port)
{
    if (strncmp (host, "::ffff:", 7) == 0 && strchr (host, '.'))
        host += 7;
    snprintf (peer, size, strchr (host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void
handshake_accept (handshake_t *self, int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[48], port[8];
    if ((size_t) fd >= self->accepted_size) {
        size_t size = (size_t) fd + 64;
        self->accepted =
          realloc (self->accepted, size * sizeof *self->accepted);
        assert (self->accepted);
        memset (self->accepted + self->accepted_size, 0,
                (size - self->accepted_size) * sizeof *self->accepted);
        self->accepted_size = size;
    }
    self->accepted[fd].since_ms = zclock_mono ();
    *self->accepted[fd].peer = 0;
    //  it may have gone already
    if (getpeername (fd, (struct sockaddr *) &address, &length) == 0
        && getnameinfo ((struct sockaddr *) &address, length, host, sizeof host,
                        port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV)
             == 0)
        s_peer_print (self->accepted[fd].peer, sizeof self->accepted[fd].peer,
                      host, port);
}

//  Strangers must not be able to fill a disk: the log says how many lines it
//  has left out.
static void
s_log_refused (const char *peer, const char *reason)
{
    static int64_t since_ms = INT64_MIN / 2;
    static unsigned lines, skipped;
    int64_t now_ms = zclock_mono ();
    if (now_ms - since_ms >= LINES_MS) {
        since_ms = now_ms;
        lines = 0;
    }
    if (lines++ >= LINES) {
        skipped++;
        return;
    }
    zb_log (LOG_WARNING, "refused", "peer=%s reason=\"%s\" skipped=%u",
            *peer ? peer : "unknown", reason, skipped);
    skipped = 0;
}

static const int s_denials[2] = {CURVE_NOT_LISTED, CURVE_OTHER_PORT};

//  A peer whose key is not listed is told so, and closes the connection then;
//  all others are disconnected right after they have failed. Of those whose
//  ZMTP is too old ZeroMQ does not say that they failed.
static void
handshake_end (handshake_t *self, int fd, int spoke)
{
    int known = (size_t) fd < self->accepted_size;
    int young =
      known && zclock_mono () - self->accepted[fd].since_ms < YOUNG_MS;
    const char *reason = self->failed;
    int why = self->denied[1] != 0;
    if (self->denied[why] && young) {
        reason = reason_broker (ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, s_denials[why],
                                self->curve);
        self->denied[why]--;
    }
    self->failed = NULL;
    if (!reason && !spoke)
        reason = "it does not speak ZMTP 3";
    if (!reason)
        return;
    self->peers->faults[PEERS_REFUSED]++;
    s_log_refused (known ? self->accepted[fd].peer : "", reason);
}

static void
handshake_failed (handshake_t *self, int event, int value)
{
    int why = value == s_denials[1];
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == s_denials[why])
        self->denied[why]++;
    else
        self->failed = reason_broker (event, value, self->curve);
}

//  ZeroMQ would end all connections with the address that they came to. So
//  packets that ask for a connection get lost on their way.
void
handshake_deafen (handshake_t *self)
{
    struct sock_filter nothing = BPF_STMT (BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {1, &nothing};
    if (self->listener != -1)
        setsockopt (self->listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                    sizeof filter);
}

//  A report is two frames: event and value, and the endpoint
//  (zmq_socket_monitor(3)).
int
handshake_report (handshake_t *self)
{
    void *monitor = zsock_resolve (self->monitor);
    unsigned char frame[6];
    uint16_t event;
    int32_t value;
    if (zmq_recv (monitor, frame, sizeof frame, ZMQ_DONTWAIT) != sizeof frame)
        return 0;
    zmq_recv (monitor, NULL, 0, 0);
    memcpy (&event, frame, sizeof event);
    memcpy (&value, frame + sizeof event, sizeof value);
    switch (event) {
        case ZMQ_EVENT_LISTENING:
            self->listener = value;
            break;
        case ZMQ_EVENT_ACCEPTED:
            peers_came (self->peers, self->end, value);
            handshake_accept (self, value);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            handshake_end (self, value,
                           peers_went (self->peers, self->end, value));
            break;
        default:
            handshake_failed (self, event, value);
    }
    return 1;
}
