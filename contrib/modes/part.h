/*  part - another mode of this executable, run as a child

    It has a process group of its own, so that Ctrl-C reaches its parent alone, and is
    told to stop when its parent dies. What it logs reaches the parent line by line.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PART_H
#define ZB_PART_H

#include "buffer.h"

#include <czmq.h>

enum { PART_WORDS_MAX = 12 };

typedef struct part part_t;

struct part {
    //  The owner's, both called from the loop: with a line of its log, and with what
    //  waitpid (2) says when it has ended. Then -1 ends the loop
    const char *words[PART_WORDS_MAX];  //  of its command line; ends with NULL
    void (*said) (part_t *part, const char *line);
    int (*ended) (part_t *part, int status);
    zloop_t *loop;

    pid_t pid;  //  to be read: 0 while it does not run

    //  Its own
    int process, log;  //  descriptors
    buffer_t begun;    //  a line that has not ended yet
};

//  Starts it. The process must have one thread. Returns 0, or -1 with errno.
int part_start (part_t *self);

//  Sends it a signal, if it runs.
void part_signal (part_t *self, int number);

#endif
