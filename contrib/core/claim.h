/*  claim - the lock of a file, which one process has at a time

    One whose parent was killed, such as a child of `zibrato up`, is about to end and may
    have the lock as long as a stop takes. So whoever comes next waits, and says so after
    a second. A signal that asks us to stop ends the wait.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CLAIM_H
#define ZB_CLAIM_H

#include <stdint.h>

enum { CLAIM_MS = 10 * 1000 };  //  longer than a stop takes (--deadline)

//  Locks an open file until it is closed. What it is goes into the log. Returns 0, or
//  -1 with errno: EWOULDBLOCK if another process has it after so long.
int claim (int fd, const char *what, int64_t wait_ms);

#endif
