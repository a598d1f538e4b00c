/*  raw.h - a TCP connection that speaks ZMTP 3.0 (rfc.zeromq.org/spec/23), or
    not: a peer that is no friend, at a broker or in the place of one

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef RAW_H
#define RAW_H

#include "harness.h"

enum { PROGRAMS = 0, WORKERS = 1, GREETING = 64 };

static int
raw_connect_to (const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port),
                                  .sin_addr.s_addr = inet_addr (host)};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (fd >= 0);
    if (connect (fd, (struct sockaddr *) &address, sizeof address) == -1) {
        close (fd);
        return -1;
    }
    return fd;
}

static int
raw_connect (const broker_t *broker, int end)
{
    int fd = raw_connect_to (broker->host, broker->port + end);
    assert_true (fd >= 0);
    return fd;
}

//  Returns false when the other end has closed.
static bool
raw_send (int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t sent = send (fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t) sent;
    }
    return true;
}

//  Waits until the other end closes, reading what comes.
static void
raw_await_end (int fd)
{
    struct pollfd poll_set = {fd, POLLIN, 0};
    char data[4096];
    int64_t until = now_ms () + WAIT_MS;
    while (now_ms () < until)
        if (poll (&poll_set, 1, 100) == 1
            && recv (fd, data, sizeof data, MSG_DONTWAIT) <= 0) {
            close (fd);
            return;
        }
    fail_msg ("the connection was not closed");
}

//  The header of a frame of such a size.
static bool
raw_send_header (int fd, uint8_t flags, uint64_t size)
{
    unsigned char header[9] = {(unsigned char) (flags | 2)};
    for (int i = 0; i < 8; i++)
        header[1 + i] = (unsigned char) (size >> (56 - 8 * i));
    return raw_send (fd, header, sizeof header);
}

static bool
raw_send_frame (int fd, uint8_t flags, const void *data, size_t size)
{
    return raw_send_header (fd, flags, size) && raw_send (fd, data, size);
}

static void
raw_greet (int fd)
{
    static const char greeting[GREETING] = {
      '\xff', 0, 0, 0, 0, 0, 0, 0, 0, '\x7f', 3, 0, 'N', 'U', 'L', 'L'};
    raw_send (fd, greeting, sizeof greeting);
}

//  Says what kind of socket we are, and waits for what the other one says.
static void
raw_handshake (int fd, const char *type)
{
    char ready[64] = "\5READY\13Socket-Type", answer[GREETING + 9];
    size_t size = 18, got = 0;
    ready[size + 3] = (char) strlen (type);
    memcpy (ready + size + 4, type, strlen (type));
    raw_greet (fd);
    char header[2] = {4, (char) (size + 4 + strlen (type))};
    raw_send (fd, header, 2);
    raw_send (fd, ready, (size_t) header[1]);
    while (got < sizeof answer) {
        ssize_t more = recv (fd, answer + got, sizeof answer - got, 0);
        assert_true (more > 0);
        got += (size_t) more;
    }
}

static int
raw_peer (const broker_t *broker, int end)
{
    int fd = raw_connect (broker, end);
    raw_handshake (fd, end == PROGRAMS ? "PUB" : "SUB");
    return fd;
}

static bool
raw_subscribe (int fd, char on, const char *topic)
{
    char data[256] = {on};
    size_t size = strlen (topic);
    assert_true (size < sizeof data);
    memcpy (data + 1, topic, size);
    return raw_send_frame (fd, 0, data, size + 1);
}

//  Reads what the other end sends, until the text is in it.
static void
raw_await_text (int fd, const char *text)
{
    const size_t room = 1024 * 1024;
    int64_t until = now_ms () + WAIT_MS;
    char *data = harness_keep (malloc (room));
    size_t size = 0;
    while (!memmem (data, size, text, strlen (text))) {
        struct pollfd poll_set = {fd, POLLIN, 0};
        assert_true (now_ms () < until && size < room);
        if (poll (&poll_set, 1, POLL_MS) == 1) {
            ssize_t got = recv (fd, data + size, room - size, 0);
            assert_true (got > 0);
            size += (size_t) got;
        }
    }
}

//  Listens in the place of a broker.
static int
raw_listen (broker_t *broker)
{
    broker_give_host (broker);
    int fd = port_listen (broker->host, 0);
    broker->port = port_of (fd);
    return fd;
}

static int
raw_accept (int listener)
{
    struct pollfd poll_set = {listener, POLLIN, 0};
    assert_int_equal (poll (&poll_set, 1, WAIT_MS), 1);
    int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true (fd >= 0);
    return fd;
}

#endif
