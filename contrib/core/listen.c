/*  listen - a TCP socket that listens. The contract is in listen.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = NI_MAXHOST };

//  Splits HOST:PORT; an IPv6 address has brackets. Returns the port, or NULL.
static const char *
s_split (const char *address, char host[HOST_MAX])
{
    const char *colon = strrchr (address, ':');
    size_t size = colon ? (size_t) (colon - address) : 0;
    bool brackets = size > 2 && *address == '[' && address[size - 1] == ']';
    if (!size || size >= HOST_MAX || !colon[1]
        || strspn (colon + 1, "0123456789") != strlen (colon + 1)
        || strlen (colon + 1) > 5 || atoi (colon + 1) > 65535)
        return NULL;
    if (!brackets && memchr (address, ':', size))
        return NULL;
    snprintf (host, HOST_MAX, "%.*s", (int) size - 2 * brackets,
              address + brackets);
    return colon + 1;
}

const char *
listen_check (const char *address)
{
    static char wrong[96];
    char host[HOST_MAX];
    if (s_split (address, host))
        return NULL;
    snprintf (wrong, sizeof wrong, "expected HOST:PORT, not %.64s", address);
    return wrong;
}

int
listen_open (const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[HOST_MAX];
    const char *port = s_split (address, host);
    int fd, on = 1, error;
    if (getaddrinfo (host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = socket (found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1) {
        setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind (fd, found->ai_addr, found->ai_addrlen) == -1
            || listen (fd, SOMAXCONN) == -1) {
            error = errno;
            close (fd);
            fd = -1;
            errno = error;
        }
    }
    freeaddrinfo (found);
    return fd;
}

void
listen_name (int fd, char address[LISTEN_MAX])
{
    struct sockaddr_storage name;
    socklen_t name_size = sizeof name;
    char host[HOST_MAX] = "", port[16] = "";
    getsockname (fd, (struct sockaddr *) &name, &name_size);
    getnameinfo ((struct sockaddr *) &name, name_size, host, sizeof host, port,
                 sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf (address, LISTEN_MAX, strchr (host, ':') ? "[%s]:%s" : "%s:%s",
              host, port);
}
