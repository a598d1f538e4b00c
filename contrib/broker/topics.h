/*  topics - who of a broker's workers wants what, and what programs are told

    ZeroMQ passes an unsubscription on even from a peer that never had the
    subscription, and would so turn off what others want. So each worker has
    its own list here, and only what is on it can be taken off.

    Programs are told of TOPICS_TOLD at most; when there are more, they are
    told that everything is wanted: then no level loses its listener.

    Programs are also told of a marker: the byte 0xff and 16 hexadecimal digits,
    at random for each broker. ZeroMQ tells a new connection of all topics in
    the order of their bytes. So a program that has got the marker has got the
    whole list, and knows what nobody wants. Whatever workers say, the marker
    stays, and no other topic that begins with 0xff reaches programs by name:
    it would come after the marker, or look like another broker's. Of topics that
    begin with 0xfe, where workers have marks (marks.h), programs never hear.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TOPICS_H
#define ZB_TOPICS_H

#include "mark.h"
#include "table.h"

enum {
    TOPICS_TOLD = 512,             //  half of what zibrato.h keeps apart,
    TOLD_BYTES_MAX = 64 * 1024,    //  a quarter of the bytes that it bears
    TOPICS_MAX = 8192,             //  of all workers together
    TOPIC_BYTES_MAX = 512 * 1024,  //  of those; ZeroMQ takes 50 for each byte
    MARKER_SIZE = 17,
    TOPIC_PAUSE = '-',    //  behind the marker: a topic of which programs are
                          //  to send nothing for now
    TOPIC_QUESTION = '?'  //  and what they are to answer
};

typedef struct {
    size_t wanted;   //  by so many workers
    int told;        //  programs know it by name,
    int paused;      //  and send nothing of it, which comes to an end
    int untold;      //  they think that nobody wants it, which does, too
    size_t leavers;  //  of those who want it
    size_t size;
    char text[];  //  room for the first byte of the wire, then the topic
} topic_t;

//  What one worker wants.
typedef struct {
    topic_t **topic;
    size_t size, room;
} wanted_t;

typedef struct {
    table_t topics;
    size_t live, bytes;                //  of topics that somebody wants
    size_t told, told_bytes, beyond;   //  known to programs by name, and not
    void *upstream;                    //  XSUB
    char marker[1 + MARKER_SIZE + 1];  //  as it goes upstream, with its end
} topics_t;

//  Programs will hear of topics through this XSUB; before anybody connects to
//  it. There is no marker, and a line in the log, where ZeroMQ does not keep the
//  order. The topics are all zero.
void topics_init (topics_t *self, void *upstream);

//  From now on programs hear of the marker. To be called when the workers that
//  were there before the broker have had time to come back: until then the list
//  says nothing about them.
void topics_mark (topics_t *self);

//  A worker wants a topic (1) or does not any more (0). Returns 0, or -1 if
//  it was not on its list.
int topics_change (topics_t *self, wanted_t *wanted, int on, const char *text,
                   size_t size);

//  One that is gone does not want a topic any more.
void topics_drop (topics_t *self, const char *text, size_t size);

//  Programs are to send nothing of it for now (1), or may do so again (0). That
//  does nothing if they do not know it by name.
void topics_pause (topics_t *self, topic_t *topic, int on);

//  The same of all that somebody wants.
void topics_pause_all (topics_t *self);

//  Programs hear that nobody wants it (1), or what is true (0). That comes before
//  the end of a pause.
void topics_untell (topics_t *self, topic_t *topic, int on);

//  Asks programs whether they have read all this, or takes that back. A question
//  is asked once.
void topics_ask (topics_t *self, uint32_t question, int on);

//  Returns 1 if the message of a program answers a question, which may be that of
//  another broker: to who wants everything it is sent, too.
int topics_is_answer (const char *text, size_t size);

//  Returns our question that it answers, or 0.
uint32_t topics_answer (const topics_t *self, const char *text, size_t size);

//  Does anybody want it?
int topics_has (topics_t *self, const char *text, size_t size);

//  Is there more than the broker has room for, beside so many topics that workers
//  have of their own?
int topics_full (const topics_t *self, size_t own);

//  Adds a topic that is not on the list.
void wanted_add (wanted_t *self, topic_t *topic);

void wanted_clear (wanted_t *self);

#endif
