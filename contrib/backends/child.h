/*  child - a program that is given text and answers with lines

    Its standard input is a pipe of ours, or a file, its standard output a pipe. Its
    standard error goes to the log, a line an event. It ends when its input does, so that none is left
    behind when the worker is killed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CHILD_H
#define ZB_CHILD_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct child child_t;

//  A file in memory that has this text, for a program to read. Returns -1 with errno if
//  there can be none.
int child_file (const buffer_t *text);

//  Starts a program, looked for in PATH, with its arguments. Variables NAME=VALUE are
//  added to its environment. Both lists end with NULL. It reads from the descriptor,
//  which is closed here, or for -1 what child_write says. Returns NULL with errno if it
//  cannot be started. Caller owns the return value.
child_t *child_new (const char *const *arguments, const char *const *variables,
                    int input);

//  Its input and output end; so does the program, by a signal if it is still there
//  at that time of zclock_mono. Returns what waitpid (2) says of it.
int child_destroy (child_t **self_p, int64_t until_ms);

//  Writes text to it, as fast as it reads, until a time of zclock_mono. What it
//  answers meanwhile is kept. Returns 0; -1 with errno, ETIMEDOUT or EPIPE.
int child_write (child_t *self, const buffer_t *text, int64_t until_ms);

//  Its next line of at most 1 MiB, terminated, without its end. NULL with errno:
//  ETIMEDOUT, EPIPE if it will say no more, EMSGSIZE. The child's, until the next
//  call.
const char *child_read (child_t *self, int64_t until_ms);

#endif
