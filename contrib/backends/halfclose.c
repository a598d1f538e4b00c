/*  halfclose - TCP, acknowledged by the other side's close. The contract is in
    halfclose.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "halfclose.h"

#include <czmq.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

int
halfclose_parse (halfclose_t *self, const char *text)
{
    const char *colon = strrchr (text, ':');
    size_t size = colon ? (size_t) (colon - text) : 0;
    bool bracketed = size > 2 && *text == '[' && text[size - 1] == ']';
    if (bracketed) {
        text++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof self->host
        || strcspn (text, bracketed ? "[]" : "[]:") < size || !colon[1]
        || strlen (colon + 1) >= sizeof self->port)
        return -1;
    memcpy (self->host, text, size);
    self->host[size] = 0;
    strcpy (self->port, colon + 1);
    return 0;
}

//  Why it did not work. Returns -1.
static int
s_wrong (zb_reply_t *reply, const char *doing, const char *why)
{
    snprintf (reply->reason, sizeof reply->reason, "%s: %s", doing, why);
    return -1;
}

//  Waits for the socket, in slices, since a stop may set a deadline meanwhile.
//  Returns 0, or -1 with the reason.
static int
s_await (int fd, short events, int64_t until_ms, const char *doing,
         zb_reply_t *reply)
{
    enum { SLICE_MS = 100 };
    struct pollfd wanted = {fd, events, 0};
    for (;;) {
        int64_t left = until_ms - zclock_mono ();
        int rc;
        if (left <= 0 || zb_time_left_ms () == 0)
            return s_wrong (reply, doing, "timed out");
        rc = poll (&wanted, 1, left < SLICE_MS ? (int) left : SLICE_MS);
        if (rc > 0)
            return 0;
        if (rc == -1 && errno != EINTR)
            return s_wrong (reply, doing, strerror (errno));
    }
}

//  Connects to one of the host's addresses. Returns the socket, or -1.
static int
s_connect_to (const struct addrinfo *address, int64_t until_ms,
              zb_reply_t *reply)
{
    int fd = socket (address->ai_family,
                     SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0, rc;
    socklen_t size = sizeof error;
    if (fd == -1)
        return s_wrong (reply, "socket", strerror (errno));
    rc = connect (fd, address->ai_addr, address->ai_addrlen);
    error = rc == -1 ? errno : 0;
    if (error == EINPROGRESS) {
        rc = s_await (fd, POLLOUT, until_ms, "connect", reply);
        if (rc == 0)
            getsockopt (fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (rc == 0 && error == 0)
        return fd;
    if (error != EINPROGRESS)
        s_wrong (reply, "connect", strerror (error));
    close (fd);
    return -1;
}

static int
halfclose_connect (const halfclose_t *self, int64_t until_ms, zb_reply_t *reply)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *one;
    int rc = getaddrinfo (self->host, self->port, &hints, &all), fd = -1;
    if (rc != 0)
        return s_wrong (reply, self->host, gai_strerror (rc));
    for (one = all; one && fd == -1; one = one->ai_next)
        fd = s_connect_to (one, until_ms, reply);
    freeaddrinfo (all);
    return fd;
}

static int
s_write (int fd, const char *text, size_t size, int64_t until_ms,
         zb_reply_t *reply)
{
    while (size) {
        ssize_t sent = send (fd, text, size, MSG_NOSIGNAL);
        if (sent == -1 && errno != EAGAIN && errno != EINTR)
            return s_wrong (reply, "send", strerror (errno));
        if (sent > 0) {
            text += sent;
            size -= (size_t) sent;
        }
        else if (s_await (fd, POLLOUT, until_ms, "send", reply) == -1)
            return -1;
    }
    return 0;
}

//  Whatever it says is not for us.
static int
s_await_close (int fd, int64_t until_ms, zb_reply_t *reply)
{
    char data[512];
    ssize_t size;
    shutdown (fd, SHUT_WR);
    do {
        size = recv (fd, data, sizeof data, 0);
        if (size == -1 && errno != EAGAIN && errno != EINTR)
            return s_wrong (reply, "the other side's close", strerror (errno));
        if (size == -1
            && s_await (fd, POLLIN, until_ms, "the other side's close", reply)
                 == -1)
            return -1;
    } while (size != 0);
    return 0;
}

zb_outcome_t
halfclose_send (const halfclose_t *self, const char *text, size_t size,
                int64_t timeout_ms, zb_reply_t *reply)
{
    int64_t until_ms = zclock_mono () + timeout_ms;
    int fd = halfclose_connect (self, until_ms, reply), rc;
    if (fd == -1)
        return ZB_RETRY;
    rc = s_write (fd, text, size, until_ms, reply);
    if (rc == 0)
        rc = s_await_close (fd, until_ms, reply);
    close (fd);
    return rc == 0 ? ZB_DELIVERED : ZB_FAILED;
}
