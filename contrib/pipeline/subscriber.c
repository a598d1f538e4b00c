/*  subscriber - a worker's socket. The contract is in subscriber.h.

    Sections: what is wanted, connections, leaving.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "subscriber.h"

#include "curve.h"
#include "line.h"
#include "log.h"
#include "reason.h"
#include "rest.h"
#include "sockets.h"

//  Milliseconds from one look at the connections to the next: none is lost and there
//  again in so few (ZMQ_RECONNECT_IVL, zmq_setsockopt(3): 100).
enum { LOOK_MS = 50 };

//  --------------------------------------------------------------------------
//  What is wanted

//  Says that we want each level's topic (1), or no more (0); "" is all of them.
//  The socket is an XSUB since a SUB would throw away what it has received, as
//  soon as nobody wants it any more: the very last messages.
static void
subscriber_want (subscriber_t *self, char wanted)
{
    char *levels = strdup (self->levels), *rest = levels, *level;
    char topic[LINE_LABEL_MAX + 3];
    while ((level = strsep (&rest, ","))) {
        snprintf (topic, sizeof topic, *level ? "%c%s|" : "%c", wanted, level);
        zmq_send (zsock_resolve (self->socket), topic, 1 + strlen (topic + 1),
                  0);
    }
    free (levels);
}

//  Asks for marks, or says that we leave (MARK_LEAVE).
static void
subscriber_say (subscriber_t *self, char leave)
{
    char *topic = self->missed.topic;
    topic[1 + MARK_TOPIC_SIZE] = leave;
    zmq_send (zsock_resolve (self->socket), topic,
              1 + MARK_TOPIC_SIZE + (size_t) (leave != 0), 0);
}

void
subscriber_open (subscriber_t *self, const char *mode, const char *levels)
{
    size_t i;
    memset (self, 0, sizeof *self);
    for (i = 0; i < MESSAGES_MAX; i++)
        zmq_msg_init (&self->message[i]);
    self->mode = mode;
    self->levels = levels;
    rest_allow ();
    self->socket = sockets_new (ZMQ_XSUB);
    self->xsub = zsock_resolve (self->socket);
    zsock_set_rcvhwm (self->socket, WORKER_MARK);
    missed_init (&self->missed, sockets_random ());
    subscriber_want (self, 1);
    subscriber_say (self, 0);
}

void
subscriber_close (subscriber_t *self)
{
    size_t i;
    for (i = 0; i < MESSAGES_MAX; i++)
        zmq_msg_close (&self->message[i]);
    missed_clear (&self->missed);
    zsock_destroy (&self->socket);
}

//  --------------------------------------------------------------------------
//  Connections

void
subscriber_connect (subscriber_t *self, const char *endpoints,
                    const char *server, const char *cert)
{
    const char *wrong =
      server ? curve_connect (self->socket, server, cert) : NULL;
    if (wrong)
        die ("--curve-server, --curve-cert: %s", wrong);
    self->curve = server != NULL;
    self->links = links_new (self->socket, endpoints);
    if (!self->links)
        die ("connect to %s:", endpoints);
    self->missed.several = self->links->size > 1;
}

//  One report of the monitor. The first connection means that we are ready, for
//  then a broker knows what we want. Why one fails is said once, until that
//  changes; which of the two sides finds out first is chance, and no change.
static void
subscriber_link (subscriber_t *self, const link_report_t *report)
{
    link_t *link = report->link;
    const char *reason =
      reason_worker (report->event, report->value, self->curve);
    if (report->event == ZMQ_EVENT_DISCONNECTED && report->was_connected)
        missed_disconnect (&self->missed);
    if (report->event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        zb_log (LOG_INFO, self->ready ? "connected" : "ready",
                "mode=%s broker=%s", self->mode, link->endpoint);
        missed_connected (&self->missed, link->fd, link->again);
        self->ready = true;
        link->reason = NULL;
    }
    else if (report->event == ZMQ_EVENT_DISCONNECTED && report->was_connected)
        zb_log (LOG_WARNING, "disconnected", "broker=%s", link->endpoint);
    else if (reason && reason != link->reason
             && !(link->reason
                  && report->event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)) {
        zb_log (LOG_ERR, "refused", "broker=%s reason=\"%s\"", link->endpoint,
                reason);
        link->reason = reason;
    }
}

//  Handler for zloop_timer: makes broken connections anew.
static int
subscriber_renew (zloop_t *loop, int timer, void *argument)
{
    subscriber_t *self = (subscriber_t *) argument;
    int64_t now_ms = zclock_mono (), next_ms;
    (void) timer;
    self->renew_timer = 0;
    next_ms = links_renew (self->links, now_ms);
    if (next_ms != INT64_MAX)
        self->renew_timer = zloop_timer (loop, (size_t) (next_ms - now_ms) + 1,
                                         1, subscriber_renew, self);
    return 0;
}

//  Takes in what is new of connections.
static void
subscriber_look (subscriber_t *self)
{
    link_report_t report;
    bool news = false;
    self->looked_ms = zclock_mono ();
    for (; links_read (self->links, &report, zclock_mono ()); news = true)
        subscriber_link (self, &report);
    if (!news)
        return;
    if (self->renew_timer)
        zloop_timer_end (self->loop, self->renew_timer);
    subscriber_renew (self->loop, 0, self);
}

static bool
subscriber_receive_one (subscriber_t *self, zmq_msg_t *message)
{
    zmq_msg_t further;
    if (zmq_msg_recv (message, self->xsub, ZMQ_DONTWAIT) == -1)
        return false;
    if (!zmq_msg_more (message))
        return true;
    zmq_msg_init (&further);
    while (zmq_msg_recv (&further, self->xsub, ZMQ_DONTWAIT) != -1
           && zmq_msg_more (&further)) {
    }
    zmq_msg_close (&further);
    return true;
}

//  Messages of a new connection are counted apart, so it must be known before they
//  are. To look is a system call, which would cost as much as ten messages do.
size_t
subscriber_receive (subscriber_t *self)
{
    size_t count = 0;
    while (count < MESSAGES_MAX
           && subscriber_receive_one (self, &self->message[count]))
        count++;
    if (zclock_mono () - self->looked_ms >= LOOK_MS)
        subscriber_look (self);
    return count;
}

//  Handler for zloop_poller: connections came, went, or failed.
static int
subscriber_links (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void) loop, (void) item;
    subscriber_look ((subscriber_t *) argument);
    return 0;
}

//  Handler for zloop_timer: says which brokers are not there.
static int
subscriber_wait (zloop_t *loop, int timer, void *argument)
{
    subscriber_t *self = (subscriber_t *) argument;
    int64_t now_ms = zclock_mono ();
    const link_t *link;
    (void) loop, (void) timer;
    while ((link = links_waiting (self->links, now_ms)))
        zb_log (LOG_WARNING, "waiting", "endpoint=%s seconds=%" PRId64 "%s%s%s",
                link->endpoint, (now_ms - link->alone_ms) / 1000,
                link->reason ? " reason=\"" : "",
                link->reason ? link->reason : "", link->reason ? "\"" : "");
    return 0;
}

void
subscriber_start (subscriber_t *self, zloop_t *loop)
{
    zmq_pollitem_t item = {zsock_resolve (self->links->monitor), 0, ZMQ_POLLIN,
                           0};
    self->loop = loop;
    zloop_poller (loop, &item, subscriber_links, self);
    subscriber_wait (loop, 0, self);
    zloop_timer (loop, LINKS_LOOK_MS, 0, subscriber_wait, self);
}

void
subscriber_disconnect (subscriber_t *self)
{
    links_destroy (&self->links);
}

//  --------------------------------------------------------------------------
//  Leaving

//  Handler for zloop_timer: the leave goes on, and ends the loop at its end.
static int
subscriber_leave (zloop_t *loop, int timer, void *argument)
{
    subscriber_t *self = (subscriber_t *) argument;
    int64_t now_ms = zclock_mono ();
    (void) loop, (void) timer;
    switch (leaving_turn (&self->leaving, self->links, &self->missed, now_ms)) {
        case LEAVING_SAY:
            subscriber_say (self, MARK_LEAVE);
            return 0;
        case LEAVING_UNSUBSCRIBE:
            subscriber_want (self, 0);
            return 0;
        case LEAVING_END:
            return now_ms < self->leaving.until_ms
                       && zsock_events (self->socket) & ZMQ_POLLIN
                     ? 0
                     : -1;
        default:
            return 0;
    }
}

void
subscriber_leave_begin (subscriber_t *self, zloop_t *loop, int64_t most_ms)
{
    leaving_begin (&self->leaving, self->links, zclock_mono (), most_ms);
    zloop_timer (loop, LEAVING_TICK_MS, 0, subscriber_leave, self);
}

bool
subscriber_leaves (const subscriber_t *self)
{
    return self->leaving.step != LEAVING_NOT;
}
