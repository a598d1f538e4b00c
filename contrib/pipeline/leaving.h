/*  leaving - the steps in which a worker leaves its brokers

    Nothing of what brokers still send is lost. A broker that leaves, too, takes
    in programs' last messages first; one that stays sees to it that programs
    hear of us before we unsubscribe (farewell.h), and what was sent before comes
    as well. The marks say when (missed.h). A broker of before has none, or none
    that say so: then silence has to do, or a mark.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEAVING_H
#define ZB_LEAVING_H

#include "links.h"
#include "missed.h"

enum { LEAVING_TICK_MS = 10 };

typedef enum {
    LEAVING_NOT,
    LEAVING_SOON,         //  a broker may be about to say that it leaves, too
    LEAVING_WITH_BROKER,  //  one has said so
    LEAVING_SAID,         //  that we leave: the last is on its way
    LEAVING_LAST          //  unsubscribed: what is on its way
} leaving_step_t;

//  What the owner is to do.
typedef enum {
    LEAVING_WAIT,
    LEAVING_SAY,          //  that we leave
    LEAVING_UNSUBSCRIBE,  //  of all levels
    LEAVING_END           //  all has come, or it takes too long
} leaving_act_t;

typedef struct {
    leaving_step_t step;
    int64_t until_ms;  //  the step is over, whatever has come
    int64_t most_ms;   //  of each step
    size_t brokers;    //  that were connected at the beginning
    uint64_t marks;    //  that had come when we said so
    int64_t came_ms;   //  the owner's: when a message came last
} leaving_t;

//  The first step begins, of a stop that may take so long in all.
void leaving_begin (leaving_t *self, const links_t *links, int64_t now_ms,
                    int64_t deadline_ms);

//  The next step, if it is time. To be called every LEAVING_TICK_MS.
leaving_act_t leaving_turn (leaving_t *self, const links_t *links,
                            missed_t *missed, int64_t now_ms);

#endif
