/*  rest - an I/O thread of ZeroMQ that is not woken for each message

    To wake a thread costs more than to take a small message in. ZeroMQ's thread
    waits after each message that comes by itself, and is woken for the next one,
    300,000 times a second if so many come. So a worker's sleeps for a part of a
    millisecond when that has happened some times in a row, and takes then what
    has come meanwhile. It is what intake does for the thread that reads the socket.

    epoll_wait of hangup.c, which libzmq calls, does so by these functions. Where a
    message must go on at once, in a broker, nobody allows it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_REST_H
#define ZB_REST_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REST_US = 500,    //  it sleeps,
    REST_WAKES = 16,  //  after so many wakes in a row, each within REST_US
    //  After a rest it reads so many times, at most, until nothing is there: if
    //  more, the rest was too long, and there is none for so long.
    REST_TURNS = 6,
    REST_NOT_US = 10000
};

//  Of a thread. All 0 at first.
typedef struct {
    int wakes;       //  so far, in a row
    int turns;       //  of reading since nothing was there
    bool rested;     //  then
    int64_t not_us;  //  no rest until then
} rest_t;

//  From now on ZeroMQ's I/O threads may rest.
void rest_allow (void);

//  May the calling thread?
bool rest_allowed (void);

//  Something is there.
void rest_turn (rest_t *self);

//  Nothing is there. Shall it sleep for REST_US before it waits? Times are of
//  CLOCK_MONOTONIC.
bool rest_now (rest_t *self, int64_t now_us);

//  It was woken, after it has waited for so long.
void rest_woken (rest_t *self, int64_t waited_us);

#endif
