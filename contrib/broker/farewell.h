/*  farewell - programs hear that a worker leaves, before it is gone

    What programs send to a level that nobody wants any more is lost, and nobody
    counts it: the broker has no use for it, and a program has seen it go. It
    would be kept for the next worker, had the program known. How long it takes
    until a program knows, nobody can say: messages wait in its pipe, in the
    kernel, in a process that was stopped. So the broker asks, while the worker
    is still there:

        PAUSE   programs are to send nothing of those topics that nobody wants
                but workers that leave, and to answer when they have read that;
                what a program has sent before comes before its answer
        UNTELL  some have not answered: those of before cannot, nor can a PUB.
                They are told that the topics are not wanted, and have a moment
                to hear it. Who has answered before is waited for longer
        LEFT    all of it is on its way to the workers: their marks say so, and
                they unsubscribe. When the last of them has, or is gone, programs
                hear what is wanted then, and the pause ends

    Rules in brackets, [PAUSE_FIRST], are those of test/model/leaving.pml, which
    shows what goes wrong without them.

    So that we know who can answer, there is a question all the time, which who
    connects answers. A program that could and does not, because it is stopped or
    its pipe is full, is all that may still be late.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FAREWELL_H
#define ZB_FAREWELL_H

#include "marks.h"

enum {
    FAREWELL_MAX = 64,         //  workers that leave at a time; others just go
    FAREWELL_PAUSE_MS = 300,   //  for answers,
    FAREWELL_LATE_MS = 2000,   //  of who has answered before
    FAREWELL_UNTELL_MS = 200,  //  for who does not answer
    FAREWELL_LEFT_MS = 3000    //  for workers to go
};

typedef enum {
    FAREWELL_NONE,
    FAREWELL_PAUSE,
    FAREWELL_UNTELL,
    FAREWELL_LEFT
} farewell_step_t;

typedef struct {
    topics_t *topics;
    marks_t *marks;
    farewell_step_t step;
    int64_t until_ms;           //  the step is over
    int64_t late_ms;            //  PAUSE is, whoever is late
    uint32_t question;          //  the last one, 0: there was none
    size_t answers;             //  to it, from connections there may be no more
    uint64_t id[FAREWELL_MAX];  //  of workers that leave,
    size_t size;
    wanted_t wanted;  //  and what they want
} farewell_t;

//  Who of the programs that are here has not answered the last question.
typedef struct {
    size_t silent;  //  has never answered one
    size_t late;    //  has
} farewell_silence_t;

void farewell_init (farewell_t *self, topics_t *topics, marks_t *marks);

//  Asks a new question, so that programs say whether they can answer.
void farewell_ask (farewell_t *self);

//  A worker leaves that wants these topics.
void farewell_begin (farewell_t *self, uint64_t id, const wanted_t *wanted,
                     int64_t now_ms);

//  The next step, if it is time. To be called whenever a worker has unsubscribed
//  or gone, an answer has come, and now and then.
void
farewell_turn (farewell_t *self, farewell_silence_t silence, int64_t now_ms);

void farewell_done (farewell_t *self);

#endif
