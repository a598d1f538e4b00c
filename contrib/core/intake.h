/*  intake - a socket in a loop that is not woken for each message

    To wake a thread costs more than to take a small message in. So while
    messages keep coming, the socket is looked at once a millisecond, and they
    wait in its queue meanwhile. The loop goes on: timers and other sockets are
    not delayed. A message that comes after a pause is read at once.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_INTAKE_H
#define ZB_INTAKE_H

#include <czmq.h>

//  Reads messages, as many as may be read in one go, at most. Returns how many
//  there were.
typedef size_t (intake_fn) (void *argument);

typedef struct {
    zsock_t *socket;  //  not ours
    intake_fn *read;
    void *argument;
    size_t most;  //  messages that one call reads
    size_t room;  //  messages that may come in a rest: a part of the queue's
    //  the class's own
    size_t count;        //  messages since nothing was left,
    int64_t drained_ms;  //  which was then, of zclock_mono
    int64_t read_ms;     //  when there were some last, of zclock_mono
    int64_t no_rest_ms;  //  until then, since too many came in one
} intake_t;

//  Begins to read. It ends with the loop, or by zloop_reader_end.
void intake_start (intake_t *self, zloop_t *loop);

#endif
