/*  address - where a broker is. The contract is in address.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "address.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void
address_endpoint (char *endpoint, size_t size, const char *host, int port)
{
    int bare = strchr (host, ':') && *host != '[';
    snprintf (endpoint, size, bare ? "tcp://[%s]:%d" : "tcp://%s:%d", host,
              port);
}

const char *
address_resolve (char *address, size_t size, const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char name[NI_MAXHOST], numeric[NI_MAXHOST];
    size_t end = strlen (host);
    int bracketed = end > 2 && *host == '[' && host[end - 1] == ']', rc;
    snprintf (name, sizeof name, "%.*s", (int) end - 2 * bracketed,
              host + bracketed);
    rc = getaddrinfo (name, NULL, &hints, &found);
    if (rc == 0) {
        rc = getnameinfo (found->ai_addr, found->ai_addrlen, numeric,
                          sizeof numeric, NULL, 0, NI_NUMERICHOST);
        snprintf (address, size, found->ai_family == AF_INET6 ? "[%s]" : "%s",
                  numeric);
        freeaddrinfo (found);
    }
    return rc ? gai_strerror (rc) : NULL;
}
