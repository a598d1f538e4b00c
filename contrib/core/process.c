/*  process - descriptors and signals. The contract is in process.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "process.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
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

void
process_keep_memory (void)
{
    enum { KEPT_MAX = 16 * 1024 * 1024 };
    mallopt (M_TRIM_THRESHOLD, KEPT_MAX);
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

enum { NEED_MAX = 256 };

//  Opens one more each time it calls itself, and closes it on the way back.
static int
s_descriptors_have (int count)
{
    int fd = count ? eventfd (0, EFD_CLOEXEC) : -1;
    int have = !count || (fd != -1 && s_descriptors_have (count - 1));
    if (fd != -1)
        close (fd);
    return have;
}

//  Thread: stays until the lock is free.
static void *
s_thread_wait (void *argument)
{
    pthread_mutex_lock (argument);
    pthread_mutex_unlock (argument);
    return NULL;
}

//  Returns 0, or an error number.
static int
s_threads_have (int count)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread[NEED_MAX];
    int started = 0, rc = 0;
    pthread_mutex_lock (&lock);
    while (rc == 0 && started < count && started < NEED_MAX) {
        rc = pthread_create (&thread[started], NULL, s_thread_wait, &lock);
        started += rc == 0;
    }
    pthread_mutex_unlock (&lock);
    while (started)
        pthread_join (thread[--started], NULL);
    return rc;
}

void
process_need (int threads, int descriptors)
{
    int rc = s_threads_have (threads);
    if (rc) {
        errno = rc;
        die ("start %d threads:", threads);
    }
    if (!s_descriptors_have (descriptors))
        die ("have %d descriptors:", descriptors);
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
