/*  exchange - one request of the server, from its head until it is answered

    What web.h promises to handlers of routes, for web.c, which makes them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_EXCHANGE_H
#define ZB_EXCHANGE_H

#include "httpd.h"
#include "web.h"

typedef struct {
    char *name, *value;
} pair_t;

typedef struct {
    web_request_t request;  //  the first member; its `own` is this
    httpd_request_t *http;
    web_t *web;
    const route_t *route;  //  or NULL: it is refused
    const char *allow;     //  methods of its path, or NULL: there is none
    char *path;            //  split; captured points into it
    pair_t *pair;          //  of the query
    size_t pairs;
    char *unpacked;  //  the body, if it came packed
    bool by_page;    //  no dialog for credentials
    bool later;      //  the answer comes later
} exchange_t;

//  `path` is the request's, as routes have it; it must stay. Caller owns the return value.
exchange_t *exchange_new (web_t *web, httpd_request_t *http, const char *path);

void exchange_destroy (exchange_t **self_p);

//  Puts the body into the request, unpacked. Returns 0, or -1 with an error in the
//  answer.
int exchange_body (exchange_t *self);

#endif
