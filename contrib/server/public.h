/*  public - the address by which browsers come, where a proxy is in between

    The proxy ends TLS, or puts a path in front of ours. So what a browser calls us, where
    its cookie holds, and the link are not what we listen at: --public-url says them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PUBLIC_H
#define ZB_PUBLIC_H

#include <stdbool.h>

enum { PUBLIC_MAX = 256 };

//  All of it is "" if there is no such address.
typedef struct {
    char origin[PUBLIC_MAX];  //  https://stats.example.org, as browsers send it
    char host[PUBLIC_MAX];    //  stats.example.org
    char path[PUBLIC_MAX];    //  /zibrato, or ""
    bool tls;
} public_t;

//  Returns NULL, or what is wrong with the address, a static text.
const char *public_read (public_t *self, const char *url);

//  The path of a request without ours in front of it: a proxy may cut that off, or not.
const char *public_route (const public_t *self, const char *path);

#endif
