/*  halfclose - a text over TCP, to who never answers

    Some services read lines and say nothing. But one that has read them all closes
    the connection after we have shut our side down, and one that dies, or has had
    enough, before that resets it. That is all the acknowledgement there is: it says
    that it was read.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_HALFCLOSE_H
#define ZB_HALFCLOSE_H

#include "zibrato_backend.h"

enum { HALFCLOSE_HOST_MAX = 256, HALFCLOSE_PORT_MAX = 32 };

//  Where it is. The host is looked up whenever something is sent.
typedef struct {
    char host[HALFCLOSE_HOST_MAX], port[HALFCLOSE_PORT_MAX];
} halfclose_t;

//  Reads HOST:PORT; an IPv6 address has brackets. Returns 0, or -1 if it is none.
int halfclose_parse (halfclose_t *self, const char *text);

//  Sends the text on a connection of its own, and waits until the other side has
//  closed it: so many milliseconds for all of it, and not beyond the worker's own
//  deadline. Returns ZB_DELIVERED; ZB_RETRY if nobody is there; ZB_FAILED if
//  somebody was, and did not read it all, with the reason.
zb_outcome_t
halfclose_send (const halfclose_t *self, const char *text, size_t size,
                int64_t timeout_ms, zb_reply_t *reply);

#endif
