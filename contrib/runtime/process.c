/*  process - descriptors and signals. The contract is in process.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "process.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

//  The lowest number that is free is the one that open returns. They are opened
//  the wrong way round, so that nothing that is written is taken for delivered.
void
process_open_standard (void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    int fd;
    for (fd = 0; fd < 3; fd++)
        if (fcntl (fd, F_GETFD) == -1 && errno == EBADF
            && open ("/dev/null", flags[fd]) != fd)
            die ("/dev/null:");
}

static int
s_signals_open (const int *numbers, int count)
{
    sigset_t signals;
    int fd;
    sigemptyset (&signals);
    while (count)
        sigaddset (&signals, numbers[--count]);
    fd = signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd == -1)
        die ("signalfd:");
    pthread_sigmask (SIG_BLOCK, &signals, NULL);
    return fd;
}

int
process_stop_fd (void)
{
    static const int stop[] = {SIGINT, SIGTERM, SIGQUIT};
    zsys_handler_set (NULL);
    signal (SIGPIPE, SIG_IGN);
    return s_signals_open (stop, 3);
}

int
process_hangup_fd (void)
{
    static const int hangup[] = {SIGHUP};
    return s_signals_open (hangup, 1);
}

int
process_signal (int fd)
{
    struct signalfd_siginfo info;
    return read (fd, &info, sizeof info) == sizeof info ? (int) info.ssi_signo
                                                        : 0;
}

int
process_stopped (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    int number = process_signal (item->fd);
    (void) loop, (void) argument;
    if (!number)
        return 0;
    zb_log (LOG_INFO, "stopping", "signal=%d", number);
    return -1;
}

void
process_end_unread (void)
{
    sigset_t pipe;
    sigemptyset (&pipe);
    sigaddset (&pipe, SIGPIPE);
    signal (SIGPIPE, SIG_DFL);
    pthread_sigmask (SIG_UNBLOCK, &pipe, NULL);
    raise (SIGPIPE);
    _exit (128 + SIGPIPE);
}
