/*  watch - connections of the HTTP server. The contract is in watch.h.

    Sections: addresses, one connection, all of them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "watch.h"

#include "log.h"

#include <linux/tcp.h>  //  that of netinet has no tcpi_bytes_received
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

//  --------------------------------------------------------------------------
//  Addresses

enum { ADDRESS_BYTES = 8, LOG_MS = 10 * 1000 };

//  What is the same for all connections of one client: an IPv4 address, or the
//  network of an IPv6 one, of which a client has all.
static void
s_address (const struct sockaddr *address, unsigned char bytes[ADDRESS_BYTES])
{
    memset (bytes, 0, ADDRESS_BYTES);
    if (address->sa_family == AF_INET)
        memcpy (bytes, &((const struct sockaddr_in *) address)->sin_addr, 4);
    if (address->sa_family == AF_INET6)
        memcpy (bytes, &((const struct sockaddr_in6 *) address)->sin6_addr,
                ADDRESS_BYTES);
}

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  --------------------------------------------------------------------------
//  One connection. All fields are guarded by the lock of watch_t.

struct watched {
    watched_t *next, *last;
    int fd;
    unsigned char address[ADDRESS_BYTES];
    watch_phase_t phase;
    bool served;       //  a request of it has got an answer
    int64_t since_ms;  //  the phase began then, as far as was seen
    uint64_t bytes;    //  received before the request
};

//  Bytes received by the socket so far, as the kernel counts them.
static uint64_t
s_received (int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset (&info, 0, sizeof info);
    if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1)
        return 0;
    return info.tcpi_bytes_received;
}

//  Has what is under way taken too long?
static bool
watched_is_slow (const watched_t *self, const watch_limits_t *limits,
                 int64_t now_ms)
{
    int64_t age = now_ms - self->since_ms;
    uint64_t least;
    if (self->phase == WATCH_ANSWER)
        return age > limits->answer_ms;
    if (self->phase != WATCH_REQUEST || age <= limits->slow_ms)
        return false;
    least = (uint64_t) age * WATCH_RATE / 1000;
    return age > limits->request_ms
           || s_received (self->fd) - self->bytes < least;
}

static void
watched_cut (watched_t *self)
{
    self->phase = WATCH_CUT;
    shutdown (self->fd, SHUT_RDWR);
}

//  Who is idle and gets bytes has begun a request.
static void
watched_look (watched_t *self, const watch_limits_t *limits, int64_t now_ms)
{
    if (self->phase == WATCH_IDLE) {
        if (s_received (self->fd) != self->bytes) {
            self->phase = WATCH_REQUEST;
            self->since_ms = now_ms;
        }
    }
    else if (watched_is_slow (self, limits, now_ms))
        watched_cut (self);
}

//  --------------------------------------------------------------------------
//  All of them

struct watch {
    watch_limits_t limits;
    pthread_t thread;
    pthread_mutex_t lock;  //  over all that follows
    pthread_cond_t stop;
    bool stopping;
    watched_t list;  //  a ring, the oldest first; this one is no connection
    uint64_t refused, displaced;  //  and not logged yet
    int64_t logged_ms;
};

static void *
watch_run (void *argument)
{
    watch_t *self = (watch_t *) argument;
    pthread_mutex_lock (&self->lock);
    while (!self->stopping) {
        struct timespec until;
        int64_t now_ms = s_now_ms (), ms = now_ms + self->limits.tick_ms;
        watched_t *each;
        for (each = self->list.next; each != &self->list; each = each->next)
            watched_look (each, &self->limits, now_ms);
        until = (struct timespec){ms / 1000, ms % 1000 * 1000000};
        pthread_cond_timedwait (&self->stop, &self->lock, &until);
    }
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

watch_t *
watch_new (const watch_limits_t *limits)
{
    watch_t *self = (watch_t *) calloc (1, sizeof *self);
    pthread_condattr_t monotonic;
    if (!self)
        return NULL;
    self->limits = *limits;
    self->list.next = self->list.last = &self->list;
    self->logged_ms = s_now_ms () - LOG_MS;
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&monotonic);
    pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init (&self->stop, &monotonic);
    pthread_condattr_destroy (&monotonic);
    if (pthread_create (&self->thread, NULL, watch_run, self) != 0) {
        free (self);
        return NULL;
    }
    return self;
}

void
watch_destroy (watch_t **self_p)
{
    watch_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->stopping = true;
    pthread_cond_signal (&self->stop);
    pthread_mutex_unlock (&self->lock);
    pthread_join (self->thread, NULL);
    pthread_cond_destroy (&self->stop);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

//  Called with the lock held. A flood must not fill the log as well.
static void
watch_log (watch_t *self, const char *why)
{
    int64_t now_ms = s_now_ms ();
    if (now_ms - self->logged_ms < LOG_MS)
        return;
    zb_log (LOG_WARNING, "connections",
            "refused=%llu displaced=%llu reason=\"%s\"",
            (unsigned long long) self->refused,
            (unsigned long long) self->displaced, why);
    self->refused = self->displaced = 0;
    self->logged_ms = now_ms;
}

//  Makes room for one more: the oldest that has not got as far as an answer goes, of the
//  address or of any if that is NULL. Handshakes that do not end must not keep those away
//  that do. Called with the lock held.
static bool
watch_displace (watch_t *self, const unsigned char *address)
{
    watched_t *each;
    for (each = self->list.next; each != &self->list; each = each->next)
        if (!each->served && each->phase <= WATCH_REQUEST
            && (!address || !memcmp (each->address, address, ADDRESS_BYTES))) {
            watched_cut (each);
            self->displaced++;
            return true;
        }
    self->refused++;
    return false;
}

//  Those that are cut are about to go, and do not count.
bool
watch_admits (watch_t *self, const struct sockaddr *address)
{
    unsigned char bytes[ADDRESS_BYTES];
    size_t all = 0, same = 0;
    const char *why = NULL;
    bool admits = true;
    const watched_t *each;
    s_address (address, bytes);
    pthread_mutex_lock (&self->lock);
    for (each = self->list.next; each != &self->list; each = each->next)
        if (each->phase != WATCH_CUT) {
            all++;
            same += memcmp (each->address, bytes, ADDRESS_BYTES) == 0;
        }
    if (same >= self->limits.per_address)
        why = "one address has as many as it may have";
    else if (all >= self->limits.connections)
        why = "there are as many as there may be";
    if (why) {
        bool of_one = same >= self->limits.per_address;
        admits = watch_displace (self, of_one ? bytes : NULL);
        watch_log (self, why);
    }
    pthread_mutex_unlock (&self->lock);
    return admits;
}

watched_t *
watch_add (watch_t *self, int fd, const struct sockaddr *address)
{
    watched_t *watched = (watched_t *) calloc (1, sizeof *watched);
    if (!watched)
        return NULL;
    watched->fd = fd;
    s_address (address, watched->address);
    pthread_mutex_lock (&self->lock);
    watched->next = &self->list;
    watched->last = self->list.last;
    watched->last->next = watched->next->last = watched;
    pthread_mutex_unlock (&self->lock);
    return watched;
}

void
watch_remove (watch_t *self, watched_t *watched)
{
    if (!watched)
        return;
    pthread_mutex_lock (&self->lock);
    watched->last->next = watched->next;
    watched->next->last = watched->last;
    pthread_mutex_unlock (&self->lock);
    free (watched);
}

void
watch_phase (watch_t *self, watched_t *watched, watch_phase_t phase)
{
    if (!watched)
        return;
    pthread_mutex_lock (&self->lock);
    if (watched->phase != WATCH_CUT) {
        watched->phase = phase;
        watched->served |= phase == WATCH_ANSWER;
        if (phase == WATCH_IDLE)
            watched->bytes = s_received (watched->fd);
        watched->since_ms = s_now_ms ();
    }
    pthread_mutex_unlock (&self->lock);
}

bool
watch_busy (watch_t *self)
{
    const watched_t *each;
    bool busy = false;
    pthread_mutex_lock (&self->lock);
    for (each = self->list.next; each != &self->list; each = each->next)
        busy |= each->phase == WATCH_WORK || each->phase == WATCH_ANSWER;
    pthread_mutex_unlock (&self->lock);
    return busy;
}
