/*  links - the connections of a worker's socket. The contract is in links.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "links.h"

//  ZeroMQ takes any number for a port, and would try it for ever.
static int
s_endpoint_ok (const char *endpoint)
{
    const char *colon = strrchr (endpoint, ':');
    char *end = NULL;
    long port;
    if (strncmp (endpoint, "tcp://", 6) != 0)
        return 1;
    port = strtol (colon + 1, &end, 10);
    return *end == 0 && port >= 1 && port <= 65535;
}

//  Opens the monitor, before the first connection there is. Returns 0, or -1.
static int
links_watch (links_t *self)
{
    const int events =
      ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_DELAYED
      | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED
      | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    static unsigned number;  //  a name is taken for a while after its end
    char name[64];
    snprintf (name, sizeof name, "inproc://zibrato-links-%u", ++number);
    self->monitor = zsock_new (ZMQ_PAIR);
    if (!self->monitor)
        return -1;
    //  without a limit, for ZeroMQ's I/O thread waits where there is one
    zsock_set_rcvhwm (self->monitor, 0);
    zsock_set_linger (self->monitor, 0);
    if (zmq_socket_monitor (zsock_resolve (self->socket), name, events) == -1)
        return -1;
    return zsock_connect (self->monitor, "%s", name);
}

//  Returns 0, or -1, errno set.
static int
links_connect (links_t *self, link_t *link)
{
    link->disconnected = link->guessed = 0;
    *link->address = 0;
    link->renew_ms = 0;
    return zmq_connect (zsock_resolve (self->socket), link->endpoint);
}

static int
links_has (const links_t *self, const char *endpoint)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        if (streq (self->link[i].endpoint, endpoint))
            return 1;
    return 0;
}

//  Connects to one more, which is the links' own from then on.
static int
links_add (links_t *self, char *endpoint)
{
    link_t *link = &self->link[self->size];
    assert (endpoint);
    if (links_has (self, endpoint)) {
        free (endpoint);
        return 0;
    }
    link->endpoint = endpoint;
    self->size++;
    errno = EINVAL;
    return s_endpoint_ok (endpoint) ? links_connect (self, link) : -1;
}

links_t *
links_new (zsock_t *socket, const char *endpoints)
{
    links_t *self = (links_t *) zmalloc (sizeof *self);
    const char *at, *end;
    size_t most = 1;
    int rc, error;
    for (at = endpoints; *at; at++)
        most += *at == ',';
    self->socket = socket;
    self->link = (link_t *) zmalloc (most * sizeof *self->link);
    rc = links_watch (self);
    for (at = endpoints; at && rc == 0; at = *end ? end + 1 : NULL) {
        end = at + strcspn (at, ",");
        rc = links_add (self, strndup (at, (size_t) (end - at)));
    }
    error = errno;
    if (rc == -1)
        links_destroy (&self);
    errno = error;
    return self;
}

//  The monitor is to be stopped first: ZeroMQ's I/O thread would wait for ever
//  to say something to a socket that is closed.
void
links_destroy (links_t **self_p)
{
    links_t *self = *self_p;
    if (self) {
        zmq_socket_monitor (zsock_resolve (self->socket), NULL, 0);
        zsock_destroy (&self->monitor);
        while (self->size)
            free (self->link[--self->size].endpoint);
        free (self->link);
        free (self);
        *self_p = NULL;
    }
}

//  Is this one likelier to have a new address than the other?
static int
s_likelier (const link_t *link, const link_t *other)
{
    int nameless = !*link->address, other_nameless = !*other->address;
    return link->renew_ms != other->renew_ms ? link->renew_ms > other->renew_ms
                                             : nameless > other_nameless;
}

//  A new address is that of a link without a connection. It is first said right
//  after a link has broken, so it is the one that broke last. But several brokers
//  may move at once: then it may be any of them.
static link_t *
links_guess (links_t *self)
{
    link_t *link, *guess = NULL;
    int count = 0;
    for (link = self->link; link < self->link + self->size; link++) {
        if (link->connected)
            continue;
        if (!guess || s_likelier (link, guess))
            guess = link;
        count++;
    }
    for (link = self->link; link < self->link + self->size; link++)
        link->guessed |= count > 1 && !link->connected;
    return guess ? guess : self->link;
}

//  Which link is it that ZeroMQ calls so? The first attempt goes by the
//  endpoint as given, later ones by its address.
static link_t *
links_find (links_t *self, const char *name)
{
    link_t *link;
    for (link = self->link; link < self->link + self->size; link++)
        if (streq (link->endpoint, name) || streq (link->address, name))
            return link;
    link = links_guess (self);
    snprintf (link->address, sizeof link->address, "%s", name);
    return link;
}

//  Takes the link from ZeroMQ, unless it has been.
static void
links_disconnect (links_t *self, link_t *link)
{
    if (!link->disconnected)
        zmq_disconnect (zsock_resolve (self->socket), link->endpoint);
    link->disconnected = 1;
}

//  A handshake failed: ZeroMQ has given the link up, whichever of those it is.
static void
links_fail (links_t *self, const link_t *failed, int64_t now_ms)
{
    link_t *link;
    for (link = self->link; link < self->link + self->size; link++)
        if (link == failed || (failed->guessed && link->guessed)) {
            link->connected = 0;
            link->renew_ms = now_ms + LINKS_RETRY_MS;
            links_disconnect (self, link);
        }
}

//  What a report means for its link. A DISCONNECTED that is not followed by
//  CONNECT_RETRIED was the last that ZeroMQ has to say.
static void
links_apply (links_t *self, link_t *link, int event, int64_t now_ms)
{
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            link->connected = 1;
            link->renew_ms = 0;
            break;
        case ZMQ_EVENT_CONNECTED:
        case ZMQ_EVENT_CONNECT_DELAYED:
        case ZMQ_EVENT_CONNECT_RETRIED:
            if (!link->disconnected)
                link->renew_ms = 0;
            break;
        case ZMQ_EVENT_DISCONNECTED:
            link->again |= link->connected != 0;
            link->connected = 0;
            if (!link->disconnected)
                link->renew_ms = now_ms + LINKS_RETRY_MS;
            break;
        default:
            links_fail (self, link, now_ms);
    }
}

//  A report is two frames: event and value, and the endpoint.
int
links_read (links_t *self, link_report_t *report, int64_t now_ms)
{
    void *monitor = zsock_resolve (self->monitor);
    unsigned char frame[6];
    char name[128];
    uint16_t event;
    int32_t value;
    int size;
    if (zmq_recv (monitor, frame, sizeof frame, ZMQ_DONTWAIT) != sizeof frame)
        return 0;
    size = zmq_recv (monitor, name, sizeof name, 0);
    if (size < 0)
        return 0;
    //  zmq_recv returns the size of what was sent, however much of it fits
    name[size < (int) sizeof name ? size : (int) sizeof name - 1] = 0;
    memcpy (&event, frame, sizeof event);
    memcpy (&value, frame + sizeof event, sizeof value);
    report->event = event;
    report->value = value;
    report->link = links_find (self, name);
    report->was_connected = report->link->connected;
    if (event == ZMQ_EVENT_CONNECTED)
        report->link->fd = value;
    links_apply (self, report->link, event, now_ms);
    return 1;
}

link_t *
links_waiting (links_t *self, int64_t now_ms)
{
    link_t *link;
    for (link = self->link; link < self->link + self->size; link++)
        if (link->connected)
            link->alone_ms = 0;
        else if (!link->alone_ms) {
            link->alone_ms = now_ms;
            link->say_ms = now_ms + LINKS_WAIT_MS;
        }
        else if (now_ms >= link->say_ms) {
            int64_t alone = now_ms - link->alone_ms;
            link->say_ms =
              now_ms
              + (alone < LINKS_WAIT_MOST_MS ? alone : LINKS_WAIT_MOST_MS);
            return link;
        }
    return NULL;
}

size_t
links_connected (const links_t *self)
{
    size_t at, count = 0;
    for (at = 0; at < self->size; at++)
        count += self->link[at].connected != 0;
    return count;
}

//  When the first link is to be made anew, INT64_MAX if none is.
static int64_t
links_next_ms (const links_t *self)
{
    const link_t *link;
    int64_t next_ms = INT64_MAX;
    for (link = self->link; link < self->link + self->size; link++)
        if (link->renew_ms && link->renew_ms < next_ms)
            next_ms = link->renew_ms;
    return next_ms;
}

//  Of those that are not told apart all are made anew, or it might be the wrong
//  one.
static void
links_spread (links_t *self, int64_t now_ms)
{
    link_t *link, *end = self->link + self->size;
    int due = 0;
    for (link = self->link; link < end; link++)
        due |= link->guessed && link->renew_ms && link->renew_ms <= now_ms;
    for (link = self->link; due && link < end; link++)
        if (link->guessed)
            link->renew_ms = now_ms;
}

//  ZeroMQ finds a connection by the address of an object, which may be freed
//  and used again: so none is made before all that are broken are gone.
int64_t
links_renew (links_t *self, int64_t now_ms)
{
    link_t *link, *end = self->link + self->size;
    if (links_next_ms (self) > now_ms)
        return links_next_ms (self);
    links_spread (self, now_ms);
    for (link = self->link; link < end; link++)
        if (link->renew_ms)
            links_disconnect (self, link);
    for (link = self->link; link < end; link++)
        if (link->renew_ms && link->renew_ms <= now_ms
            && links_connect (self, link) == -1) {
            link->disconnected = 1;
            link->renew_ms = now_ms + LINKS_RETRY_MS;
        }
    return links_next_ms (self);
}
