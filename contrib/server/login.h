/*  login - sessions of the page: POST /login, POST /logout, GET /session, and the link

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LOGIN_H
#define ZB_LOGIN_H

#include "access.h"
#include "exchange.h"

extern const route_t login_routes[];

//  What it needs of web_t.
access_t *web_access (web_t *self);

//  Answers GET /?key=KEY, which `zibrato serve` has made: a session, and the page.
//  Returns false if the request is another one.
bool login_by_link (web_request_t *request);

#endif
