/*  links - the connections of a worker's socket, one a broker

    ZeroMQ connects again when a connection breaks, but gives it up for good
    when a handshake fails (libzmq 4.3, session_base_t::engine_error): a broker
    that did not know our key yet, or whose port somebody else had for a while,
    would never see us again. So this class reads the socket's monitor, and
    makes such a link anew.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LINKS_H
#define ZB_LINKS_H

#include <czmq.h>

enum {
    LINKS_RETRY_MS = 2000,        //  from a failure until a link is made anew
    LINKS_LOOK_MS = 1000,         //  between looks at which have none
    LINKS_WAIT_MS = 2000,         //  without a connection, until that is said
    LINKS_WAIT_MOST_MS = 600000,  //  and between two times, at most
};

typedef struct {
    char *endpoint;     //  as it was given
    char address[128];  //  what ZeroMQ calls it, after it has looked it up
    int guessed;        //  or another one that had no connection then either
    int connected;      //  the handshake is done
    int fd;             //  of the connection
    bool again;         //  it had one before
    int disconnected;   //  by us: ZeroMQ does nothing about it any more
    int64_t renew_ms;   //  make it anew then, unless it connects; 0: no need to
    const char *reason;  //  the owner's: why it failed last
    int64_t alone_ms;    //  since when it has no connection; 0: it has one
    int64_t say_ms;      //  when that is to be said
} link_t;

typedef struct {
    zsock_t *socket;   //  not ours
    zsock_t *monitor;  //  readable when there are reports
    link_t *link;
    size_t size;
} links_t;

//  One report of the monitor (zmq_socket_monitor(3)).
typedef struct {
    link_t *link;
    int event, value;   //  ZMQ_EVENT_..., and what it says
    int was_connected;  //  before it
} link_report_t;

//  Connects the socket to endpoints, separated by commas; one that is named
//  twice counts once. Caller owns the return value. NULL, errno set, if one of
//  them is none; the socket may then have some connections.
links_t *links_new (zsock_t *socket, const char *endpoints);

//  Takes in the next report of the monitor. Returns 0 if there is none. Times
//  are of zclock_mono.
int links_read (links_t *self, link_report_t *report, int64_t now_ms);

//  Returns a link that has had no connection for so long that it is to be said,
//  or NULL: after two seconds, then whenever that time has doubled, but every
//  ten minutes at least. To be called now and then, until it returns NULL.
link_t *links_waiting (links_t *self, int64_t now_ms);

//  Makes anew what is due. Returns when the next one is, INT64_MAX if none is.
int64_t links_renew (links_t *self, int64_t now_ms);

//  How many are connected.
size_t links_connected (const links_t *self);

//  The socket stays open, with its connections.
void links_destroy (links_t **self_p);

#endif
