/*  mark - what a broker and its workers agree on

    A worker subscribes to topics: its levels, and one of its own, the byte 0xfe
    and 16 hexadecimal digits at random. On that one the broker sends marks:

        topic|BROKER|MATCHED|WANTED|STATE

    BROKER are 16 digits that each broker process chooses, MATCHED counts the
    messages that the broker has taken in and the worker wants, WANTED is how
    many topics it wants. STATE is one of the words below; brokers of before say
    only that they end.

    Before the first of them, a worker that the broker has not met gets

        topic|BROKER|=BEFORE

    BEFORE counts the messages that the broker has taken in until then, and the
    worker wants. Workers of before know no such text, and ignore it.

    A worker that is about to unsubscribe says so: it subscribes to its own topic
    with MARK_LEAVE behind it. To brokers of before that meant: a mark, please.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_MARK_H
#define ZB_MARK_H

#define MARK_HERE    "here"
#define MARK_LEFT    "left"     //  of our topics nothing is on its way any more
#define MARK_LEAVING "leaving"  //  the broker ends
#define MARK_BEFORE  "="

enum {
    MARK_BYTE = 0xfe,      //  first of an own topic
    MARK_TOPIC_SIZE = 17,  //  of an own topic
    MARK_LEAVE = '.',      //  behind the own topic: we are about to leave
    TOPICS_OF_ONE = 1024,  //  that a broker takes of one worker,
    TOPICS_OWN = 2         //  beside those of its own
};

#endif
