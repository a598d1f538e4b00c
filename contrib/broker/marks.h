/*  marks - how many messages have matched what each worker wants

    ZeroMQ tells a sender nothing about one of its connections, and a connection
    that breaks takes with it what the kernel held. So it is the receiver who
    counts what it has missed, and the broker sends it marks (mark.h). ZeroMQ
    keeps the order on a connection. So a worker has missed what MATCHED has
    grown by since the first mark, less what it has received since.

    The first mark is exact since the own topic comes last: ZeroMQ sends
    subscriptions to a new connection in the order of their bytes, and a mark is
    sent when the own topic has been read, so all others are in effect. A topic
    that is taken off later is in effect a moment before we read of it, and
    MATCHED is too high by what came in that moment. So a worker that leaves
    says so before it takes off its topics, by a subscription to its own topic
    with something behind it, waits for a mark whose STATE is `left`
    (farewell.h), and believes none that comes later.
    (ZMQ_XPUB_MANUAL would make the moment ours, but libzmq 4.3.4 then takes one
    connection for another, once somebody sends what is no subscription.)

    A worker may have been at the broker before this one, which was killed: then it
    has missed what this one took in before they met. So that comes first.

    What a worker wants is kept for ten minutes after it has gone, and its
    number grows: when it comes back it learns what it has missed.

    Only the topics "" and "level|" are counted, which are what workers want.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_MARKS_H
#define ZB_MARKS_H

#include "budget.h"
#include "line.h"
#include "mark.h"
#include "topics.h"

#include <stdbool.h>

enum {
    MARKS_MS = 1000,         //  between marks
    MARKS_KEPT_MS = 600000,  //  what a worker wants, after it has gone
    MARKS_MAX = 10000        //  workers; then who has gone first is forgotten
};

//  A level that some worker wants.
typedef struct {
    uint64_t count;  //  of its messages, while it was wanted
    size_t wanted;   //  by so many workers
    size_t size;
    char text[];
} level_t;

//  A worker with an own topic.
typedef struct {
    uint64_t id;  //  the digits of its topic
    level_t **level;
    size_t size, room;    //  of level
    uint64_t *base;       //  what each level's count was
    int all;              //  it wants everything,
    uint64_t all_base;    //  since there were so many
    uint64_t matched;     //  until the bases were taken
    uint64_t marked;      //  what the last mark said
    uint64_t before;      //  what would have matched before we met
    bool told;            //  it knows that
    uint64_t settled[2];  //  matched a minute ago, or more; and since then
    int64_t settled_ms;
    int left;         //  marks say so
    int due;          //  a mark is to be sent
    int64_t gone_ms;  //  since when it is gone, or 0
    budget_t budget;
} reader_t;

typedef struct {
    uint64_t id;     //  of this broker process
    uint64_t total;  //  messages taken in
    table_t levels;
    size_t levels_live;
    level_t *last;  //  that a message was of, or NULL
    reader_t **reader;
    size_t size;
    int due;      //  some mark is to be sent
    int leaving;  //  marks say so
    int64_t tick_ms;
    uint64_t missed;  //  by workers that did not come back, at most
} marks_t;

void marks_init (marks_t *self);

//  The level's count goes up, if anybody wants it.
void marks_count_level (marks_t *self, const char *text, size_t size);

//  A message was taken in.
static inline void
marks_count (marks_t *self, const char *text, size_t size)
{
    self->total++;
    if (self->levels_live)
        marks_count_level (self, text, size);
}

//  Returns what a worker is known by that has this topic, 0 if it is nobody's.
uint64_t marks_id (const char *text, size_t size);

//  A worker has come, or come back, and wants these topics.
void marks_join (marks_t *self, uint64_t id, const wanted_t *wanted);

//  One that has come wants a topic (1), or does not any more (0).
void marks_change (marks_t *self, uint64_t id, int on, const char *text,
                   size_t size);

//  Nobody is subscribed to its topic any more.
void marks_gone (marks_t *self, uint64_t id, int64_t now_ms);

//  Returns who is known by that, or NULL.
reader_t *marks_find (marks_t *self, uint64_t id);

//  How many messages have matched.
uint64_t marks_matched (const marks_t *self, const reader_t *reader);

//  Once in a while: marks become due, and who has gone long ago is forgotten.
void marks_tick (marks_t *self, int64_t now_ms);

//  Sends the marks that are due to an XPUB. Not to be called in the midst of a
//  message. Returns -1 if somebody has no room: call again before any message
//  is sent.
int marks_send (marks_t *self, void *workers);

//  Nothing of what it wants is on its way any more: a mark becomes due that says
//  so.
void marks_left (marks_t *self, uint64_t id);

//  Makes a mark for everybody due, which says that the broker leaves.
void marks_leave (marks_t *self);

void marks_done (marks_t *self);

#endif
