/*  child - a program that is given text and answers. The contract is in child.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  pipe2, environ, memfd_create

#include "child.h"

#include "zibrato_backend.h"

#include <czmq.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 1024 * 1024,
    LOG_LINE_MAX = 1000,  //  bytes of a line of its standard error
    LOOK_MS = 5           //  between two looks at whether it has ended
};

struct child {
    pid_t pid;
    int in, out;  //  -1: closed
    pthread_t logger;
    int err;       //  the logger's, which closes it
    buffer_t got;  //  not given out yet, but for
    size_t given;  //  so many bytes
};

//  --------------------------------------------------------------------------
//  What it says on standard error

//  Thread.
static void *
child_log (void *argument)
{
    FILE *file = fdopen ((int) (intptr_t) argument, "r");
    char line[LOG_LINE_MAX];
    while (file && fgets (line, sizeof line, file)) {
        line[strcspn (line, "\n")] = 0;
        zb_log (LOG_INFO, "program", "text=\"%s\"", line);
    }
    if (file)
        fclose (file);
    return NULL;
}

//  --------------------------------------------------------------------------
//  What it reads

static void
s_close (int *fd)
{
    if (*fd != -1)
        close (*fd);
    *fd = -1;
}

int
child_file (const buffer_t *text)
{
    int fd = memfd_create ("zibrato-request", MFD_CLOEXEC);
    size_t done = 0;
    while (fd != -1 && done < text->size) {
        ssize_t size =
          pwrite (fd, text->text + done, text->size - done, (off_t) done);
        if (size > 0)
            done += (size_t) size;
        else
            s_close (&fd);
    }
    return fd;
}

//  --------------------------------------------------------------------------
//  Start and end

//  The environment with more variables. Caller owns the return value, but not its
//  texts.
static char **
s_environment (const char *const *more)
{
    size_t count = 0, added = 0;
    char **list;
    while (environ[count])
        count++;
    while (more[added])
        added++;
    list = (char **) malloc ((count + added + 1) * sizeof *list);
    assert (list);
    memcpy (list, environ, count * sizeof *list);
    memcpy (list + count, more, added * sizeof *list);
    list[count + added] = NULL;
    return list;
}

//  Signals are for it as they are for any program: the worker has blocked some,
//  and ignores others.
static int
child_spawn (child_t *self, const char *const *arguments,
             const char *const *variables, const int pipes[3])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, pipe;
    char **environment = s_environment (variables);
    int i, rc;
    sigemptyset (&none);
    sigemptyset (&pipe);
    sigaddset (&pipe, SIGPIPE);
    posix_spawn_file_actions_init (&files);
    for (i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2 (&files, pipes[i], i);
    posix_spawnattr_init (&attributes);
    posix_spawnattr_setsigmask (&attributes, &none);
    posix_spawnattr_setsigdefault (&attributes, &pipe);
    posix_spawnattr_setflags (&attributes,
                              POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawnp (&self->pid, arguments[0], &files, &attributes,
                       (char *const *) arguments, environment);
    posix_spawnattr_destroy (&attributes);
    posix_spawn_file_actions_destroy (&files);
    free (environment);
    errno = rc;
    return rc ? -1 : 0;
}

//  Descriptors of ours are above 2, where a pipe for the program could not
//  replace them: the executable opens the first three at its start.
child_t *
child_new (const char *const *arguments, const char *const *variables,
           int input)
{
    child_t *self = (child_t *) calloc (1, sizeof *self);
    int in[2] = {input, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, i;
    int rc = input == -1 ? pipe2 (in, O_CLOEXEC) : 0;
    assert (self);
    if (rc == 0)
        rc = pipe2 (out, O_CLOEXEC);
    if (rc == 0)
        rc = pipe2 (err, O_CLOEXEC);
    if (rc == 0)
        rc = child_spawn (self, arguments, variables,
                          (const int[]){in[0], out[1], err[1]});
    i = errno;
    s_close (&in[0]);
    s_close (&out[1]);
    s_close (&err[1]);
    self->in = in[1];
    self->out = out[0];
    if (rc == 0) {
        if (self->in != -1)
            fcntl (self->in, F_SETFL, O_NONBLOCK);
        fcntl (self->out, F_SETFL, O_NONBLOCK);
        rc = pthread_create (&self->logger, NULL, child_log,
                             (void *) (intptr_t) err[0]);
        assert (rc == 0);
        return self;
    }
    s_close (&self->in);
    s_close (&self->out);
    s_close (&err[0]);
    free (self);
    errno = i;
    return NULL;
}

int
child_destroy (child_t **self_p, int64_t until_ms)
{
    child_t *self = *self_p;
    int status = 0;
    if (!self)
        return 0;
    s_close (&self->in);
    s_close (&self->out);
    while (waitpid (self->pid, &status, WNOHANG) == 0) {
        if (zclock_mono () >= until_ms)
            kill (self->pid, SIGKILL);
        zclock_sleep (LOOK_MS);
    }
    //  what it has started may still have its standard error
    pthread_detach (self->logger);
    buffer_clear (&self->got);
    free (self);
    *self_p = NULL;
    return status;
}

//  --------------------------------------------------------------------------
//  Text in, lines out

//  Takes what it says now. Returns 0; -1 with EPIPE if it will say no more.
static int
child_take (child_t *self)
{
    char *room = buffer_room (&self->got, 4096);
    ssize_t size = read (self->out, room, 4096);
    if (size > 0)
        self->got.size += (size_t) size;
    if (size > 0 || (size == -1 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    errno = EPIPE;
    return -1;
}

//  Waits until it says something, or takes something if there is more for it.
//  Returns 1 if it takes, 0 if it has said something, -1 with errno.
static int
child_wait (child_t *self, bool more, int64_t until_ms)
{
    struct pollfd items[2] = {{self->out, POLLIN, 0}, {self->in, POLLOUT, 0}};
    int64_t left = until_ms - zclock_mono (), limit = zb_time_left_ms ();
    int rc;
    left = left < limit ? left : limit;
    left = left < 0 ? 0 : left > INT_MAX ? INT_MAX : left;
    rc = poll (items, more ? 2 : 1, (int) left);
    if (rc == 0)
        errno = ETIMEDOUT;
    if (rc <= 0)
        return rc == -1 && errno == EINTR ? 0 : -1;
    if (items[0].revents && child_take (self) == -1)
        return -1;
    return more && items[1].revents;
}

int
child_write (child_t *self, const buffer_t *text, int64_t until_ms)
{
    size_t done = 0;
    while (done < text->size) {
        int rc = child_wait (self, true, until_ms);
        ssize_t size;
        if (rc == -1)
            return -1;
        size = rc ? write (self->in, text->text + done, text->size - done) : 0;
        if (size == -1 && errno != EAGAIN && errno != EINTR)
            return -1;
        done += size > 0 ? (size_t) size : 0;
    }
    return 0;
}

//  What was given out goes.
static void
child_forget_given (child_t *self)
{
    self->got.size -= self->given;
    memmove (self->got.text, self->got.text + self->given, self->got.size);
    self->given = 0;
}

const char *
child_read (child_t *self, int64_t until_ms)
{
    char *end;
    if (self->given)
        child_forget_given (self);
    while (!self->got.size
           || !(end = memchr (self->got.text, '\n', self->got.size))) {
        if (self->got.size > LINE_MAX_BYTES) {
            errno = EMSGSIZE;
            return NULL;
        }
        if (child_wait (self, false, until_ms) == -1)
            return NULL;
    }
    *end = 0;
    self->given = (size_t) (end + 1 - self->got.text);
    return self->got.text;
}
