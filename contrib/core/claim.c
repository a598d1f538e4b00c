/*  claim - the lock of a file. The contract is in claim.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "claim.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>

enum {
    TRY_MS = 10,    //  between two attempts
    SAID_MS = 1000  //  until it is said that we wait
};

//  Does a signal wait that was blocked because it is read from a descriptor
//  (process.h)?
static bool
s_is_stopped (void)
{
    sigset_t pending;
    sigpending (&pending);
    return sigismember (&pending, SIGINT) || sigismember (&pending, SIGTERM)
           || sigismember (&pending, SIGQUIT);
}

int
claim (int fd, const char *what, int64_t wait_ms)
{
    int64_t waited_ms = 0;
    while (flock (fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno != EWOULDBLOCK || waited_ms >= wait_ms || s_is_stopped ())
            return -1;
        if (waited_ms == SAID_MS)
            zb_log (LOG_WARNING, "locked",
                    "path=\"%s\" reason=\"another process has it\" "
                    "waits_ms=%" PRId64,
                    what, wait_ms);
        nanosleep (&(struct timespec){0, TRY_MS * 1000000}, NULL);
        waited_ms += TRY_MS;
    }
    return 0;
}
