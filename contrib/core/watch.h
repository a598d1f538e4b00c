/*  watch - connections of the HTTP server: how many there are, and how slow they may be

    libmicrohttpd ends a connection that is silent, but not one that sends a byte a
    second. So a thread looks at all of them once a second, and the kernel's count of
    received bytes says which ones have begun a request.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_WATCH_H
#define ZB_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct watch watch_t;
typedef struct watched watched_t;

typedef struct {
    size_t connections, per_address;  //  at most; an IPv6 network of /64 is one
    int64_t request_ms;  //  from its first byte to its last one, at most;
    int64_t slow_ms;     //  after so long it must have had RATE bytes a second
    int64_t answer_ms;   //  until it is sent, at most
    int64_t tick_ms;     //  between two looks
} watch_limits_t;

enum { WATCH_RATE = 100 };

//  What a connection does.
typedef enum {
    WATCH_IDLE,     //  nothing of a request has been seen
    WATCH_REQUEST,  //  a request comes
    WATCH_WORK,     //  the handler has it; there is no limit here
    WATCH_ANSWER,   //  the answer is sent
    WATCH_CUT       //  it was ended by us
} watch_phase_t;

//  Returns NULL if there can be no thread. Caller owns the return value.
watch_t *watch_new (const watch_limits_t *limits);

//  All connections are gone by now.
void watch_destroy (watch_t **self_p);

//  Is there room for one more from this address? If there is none, one goes that had no
//  answer yet. Logs now and then.
bool watch_admits (watch_t *self, const struct sockaddr *address);

//  From now on the socket is looked at, until watch_remove. It must be open between
//  the two. Returns NULL if memory is short.
watched_t *watch_add (watch_t *self, int fd, const struct sockaddr *address);

void watch_remove (watch_t *self, watched_t *watched);

void watch_phase (watch_t *self, watched_t *watched, watch_phase_t phase);

//  Is an answer on its way?
bool watch_busy (watch_t *self);

#endif
