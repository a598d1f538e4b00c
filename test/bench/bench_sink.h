/*  bench_sink.h - a child that reads all that it gets, and keeps nothing

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BENCH_SINK_H
#define ZB_BENCH_SINK_H

#include "bench_child.h"

#include <signal.h>
#include <string.h>

//  No program uses all of it
#pragma GCC diagnostic ignored "-Wunused-function"

//  Reads the chunks of a body, of which text has the first bytes, or other bytes before
//  them. The last chunk is empty.
static int
bench_sink_chunks (int fd, char *text, size_t size, size_t room)
{
    static const char last[] = "\r\n0\r\n\r\n";
    enum { LAST = sizeof last - 1 };
    while (size < LAST || memcmp (text + size - LAST, last, LAST) != 0) {
        size_t kept = size < LAST ? size : LAST - 1;
        memmove (text, text + size - kept, kept);
        ssize_t got = recv (fd, text + kept, room - kept, 0);
        if (got <= 0)
            return -1;
        size = kept + (size_t) got;
    }
    return 0;
}

//  Reads a request to its end. Returns 0, or -1 if there is no more.
static int
bench_sink_request (int fd)
{
    static char text[1 << 20];
    static const char header[] = "Content-Length: ";
    size_t size = 0;
    char *end = NULL, *length;
    while (!end) {
        ssize_t got = recv (fd, text + size, sizeof text - 1 - size, 0);
        if (got <= 0)
            return -1;
        size += (size_t) got;
        text[size] = 0;
        end = strstr (text, "\r\n\r\n");
    }
    length = strstr (text, header);
    if (!length || length > end)
        return bench_sink_chunks (fd, text, size, sizeof text);
    size_t left = strtoul (length + sizeof header - 1, NULL, 10)
                  - (size_t) (text + size - end - 4);
    while (left) {
        ssize_t got =
          recv (fd, text, left < sizeof text ? left : sizeof text, 0);
        if (got <= 0)
            return -1;
        left -= (size_t) got;
    }
    return 0;
}

//  Child: answers each request. Its argument is the socket that listens.
static void
bench_sink_http (void *argument)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (;;) {
        int fd = accept (*(int *) argument, NULL, NULL);
        while (fd != -1 && bench_sink_request (fd) == 0)
            send (fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        close (fd);
    }
}

//  Child: closes each connection when the other side has.
static void
bench_sink_close (void *argument)
{
    static char text[1 << 16];
    for (;;) {
        int fd = accept (*(int *) argument, NULL, NULL);
        while (recv (fd, text, sizeof text, 0) > 0) {
        }
        close (fd);
    }
}

//  Starts one of them. Returns its port on loopback.
static int
bench_sink (bench_child_t *child, void (*sink) (void *argument))
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    BENCH_CHECK (bind (fd, (struct sockaddr *) &address, size) == 0
                 && listen (fd, 8) == 0
                 && getsockname (fd, (struct sockaddr *) &address, &size) == 0);
    *child = bench_child (sink, &fd, (char *[]){NULL}, 0);
    return ntohs (address.sin_port);
}

#endif
