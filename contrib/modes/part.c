/*  part - a mode as a child. The contract is in part.h.

    Sections: its log, its end, its start.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  pipe2

#include "part.h"

#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

//  --------------------------------------------------------------------------
//  Its log

enum { LINE_MAX_BYTES = 64 * 1024 };

//  Gives out each line that is whole. One without an end is cut.
static void
part_lines (part_t *self)
{
    buffer_t *begun = &self->begun;
    char *end;
    while (begun->size && (end = memchr (begun->text, '\n', begun->size))) {
        size_t size = (size_t) (end + 1 - begun->text);
        *end = 0;
        self->said (self, begun->text);
        begun->size -= size;
        memmove (begun->text, begun->text + size, begun->size);
    }
    if (begun->size > LINE_MAX_BYTES)
        begun->size = 0;
}

//  Returns false if there is nothing more now, or ever.
static bool
part_read (part_t *self)
{
    ssize_t size = read (self->log, buffer_room (&self->begun, 4096), 4096);
    if (size > 0) {
        self->begun.size += (size_t) size;
        part_lines (self);
    }
    return size > 0 || (size == -1 && errno == EINTR);
}

//  Handler for zloop_poller. When nobody has the other end any more, its end is what
//  matters; who polled on would never sleep.
static int
part_log (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    part_t *self = (part_t *) argument;
    if (!part_read (self) && errno != EAGAIN)
        zloop_poller_end (loop, item);
    return 0;
}

//  --------------------------------------------------------------------------
//  Its end

//  Handler for zloop_poller: it has ended. What it said before comes first.
static int
part_end (zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    part_t *self = (part_t *) argument;
    zmq_pollitem_t log = {NULL, self->log, ZMQ_POLLIN, 0};
    int status = 0;
    (void) item;
    while (part_read (self)) {
    }
    zloop_poller_end (loop, &log);
    zloop_poller_end (loop, item);
    waitpid (self->pid, &status, 0);
    close (self->log);
    close (self->process);
    buffer_clear (&self->begun);
    self->pid = 0;
    return self->ended (self, status);
}

void
part_signal (part_t *self, int number)
{
    if (self->pid)
        kill (self->pid, number);
}

//  --------------------------------------------------------------------------
//  Its start

//  In the child. Signals are for it as they are for any program. It may be that its
//  parent has died before it asked to be told.
static void
part_become (part_t *self, int log, pid_t parent)
{
    static char name[] = "zibrato";
    char *words[PART_WORDS_MAX + 1] = {name};
    sigset_t none;
    for (size_t i = 0; self->words[i]; i++)
        words[i + 1] = (char *) self->words[i];
    prctl (PR_SET_PDEATHSIG, SIGTERM);
    if (getppid () != parent)
        _exit (1);
    setpgid (0, 0);
    dup2 (log, STDERR_FILENO);
    sigemptyset (&none);
    signal (SIGPIPE, SIG_DFL);
    sigprocmask (SIG_SETMASK, &none, NULL);
    execv ("/proc/self/exe", words);
    _exit (127);
}

int
part_start (part_t *self)
{
    int log[2];
    pid_t parent = getpid ();
    zmq_pollitem_t item = {.events = ZMQ_POLLIN};
    if (pipe2 (log, O_CLOEXEC) == -1)
        return -1;
    self->pid = fork ();
    if (self->pid == 0)
        part_become (self, log[1], parent);
    close (log[1]);
    self->log = log[0];
    self->process = self->pid == -1 ? -1 : pidfd_open (self->pid, 0);
    if (self->process == -1) {
        close (self->log);
        part_signal (self, self->pid == -1 ? 0 : SIGKILL);
        self->pid = 0;
        return -1;
    }
    fcntl (self->log, F_SETFL, O_NONBLOCK);
    item.fd = self->log;
    zloop_poller (self->loop, &item, part_log, self);
    item.fd = self->process;
    zloop_poller (self->loop, &item, part_end, self);
    return 0;
}
