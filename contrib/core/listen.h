/*  listen - a TCP socket that listens at HOST:PORT

    An IPv6 address has brackets: [::1]:5580. Port 0 picks a free one.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LISTEN_H
#define ZB_LISTEN_H

#include <netdb.h>

enum { LISTEN_MAX = NI_MAXHOST + 16 };

//  What is wrong with HOST:PORT, a static text, or NULL.
const char *listen_check (const char *address);

//  Returns a socket that listens, or -1 with errno.
int listen_open (const char *address);

//  Writes where it does, as HOST:PORT in numbers.
void listen_name (int fd, char address[LISTEN_MAX]);

#endif
