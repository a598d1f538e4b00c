/*  bench_child.h - processes that are measured from outside, and peers of
    theirs that cost next to nothing

    What is to be measured is a process of its own, on the cores that are left
    to it. What feeds it, or reads from it, would take more than it does if it
    used libzmq: so these peers write what was made before, frames and all, and
    read by the buffer (ZMTP 3.0, rfc.zeromq.org/spec/23).

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BENCH_CHILD_H
#define ZB_BENCH_CHILD_H

#include "bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

//  --------------------------------------------------------------------------
//  Children

typedef struct {
    pid_t pid;
    clockid_t clock;  //  of its processor time
    FILE *log;        //  its stderr
} bench_child_t;

//  Begins a process, which runs the function, or if there is none the command.
//  It stays on this core, or for -1 on any.
static inline bench_child_t
bench_child (void (*run) (void *argument), void *argument, char **command,
             int core)
{
    bench_child_t self;
    int ends[2];
    BENCH_CHECK (pipe (ends) == 0);
    fflush (NULL);
    self.pid = fork ();
    BENCH_CHECK (self.pid != -1);
    if (self.pid == 0) {
        cpu_set_t all;
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        memset (&all, 0xff, sizeof all);  //  the parent may be pinned
        sched_setaffinity (0, sizeof all, &all);
        if (core != -1)
            bench_pin (core);
        dup2 (ends[1], STDERR_FILENO);
        close (ends[0]);
        close (ends[1]);
        if (run) {
            run (argument);
            _exit (0);
        }
        BENCH_CHECK (freopen ("/dev/null", "w", stdout));
        execv (command[0], command);
        _exit (127);
    }
    close (ends[1]);
    self.log = fdopen (ends[0], "r");
    BENCH_CHECK (clock_getcpuclockid (self.pid, &self.clock) == 0);
    return self;
}

//  Nanoseconds of processor time that the child has taken.
static inline uint64_t
bench_child_cpu_ns (const bench_child_t *self)
{
    struct timespec now;
    BENCH_CHECK (clock_gettime (self->clock, &now) == 0);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

//  Does none of its threads run, nor wait for a core?
static inline int
bench_child_sleeps (const bench_child_t *self)
{
    char path[64], state;
    struct dirent *task;
    int sleeps = 1;
    DIR *tasks;
    FILE *file;
    snprintf (path, sizeof path, "/proc/%d/task", (int) self->pid);
    BENCH_CHECK ((tasks = opendir (path)));
    while (sleeps && (task = readdir (tasks))) {
        snprintf (path, sizeof path, "/proc/%d/task/%.16s/stat",
                  (int) self->pid, task->d_name);
        file = *task->d_name == '.' ? NULL : fopen (path, "r");
        if (file && fscanf (file, "%*d %*s %c", &state) == 1)
            sleeps = state == 'S';
        if (file)
            fclose (file);
    }
    closedir (tasks);
    return sleeps;
}

//  Reads its log until the line with this word, and returns what follows the
//  word; -1 if none comes.
static inline long long
bench_child_says (bench_child_t *self, const char *word)
{
    char line[4096];
    while (fgets (line, sizeof line, self->log)) {
        const char *at = strstr (line, word);
        if (at)
            return atoll (at + strlen (word));
        if (getenv ("BENCH_VERBOSE"))
            fputs (line, stderr);
    }
    return -1;
}

//  Asks it to stop, and waits.
static inline void
bench_child_end (bench_child_t *self)
{
    int status;
    kill (self->pid, SIGTERM);
    while (bench_child_says (self, "\n\n") != -1) {
    }
    fclose (self->log);
    waitpid (self->pid, &status, 0);
}

//  --------------------------------------------------------------------------
//  ZMTP by hand

static inline void
bench_write (int fd, const void *data, size_t size)
{
    const char *text = (const char *) data;
    while (size) {
        ssize_t got = send (fd, text, size, MSG_NOSIGNAL);
        BENCH_CHECK (got > 0 || errno == EINTR);
        text += got > 0 ? got : 0;
        size -= got > 0 ? (size_t) got : 0;
    }
}

static inline void
bench_read (int fd, void *data, size_t size)
{
    BENCH_CHECK (recv (fd, data, size, MSG_WAITALL) == (ssize_t) size);
}

//  Greets the peer as a socket of this type ("XPUB", "SUB" ...).
static inline void
bench_greet (int fd, const char *type)
{
    //  signature, version, mechanism, not a server of it
    unsigned char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    unsigned char ready[64], size[2], theirs[256];
    size_t length = strlen (type);
    int on = 1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bench_write (fd, greeting, sizeof greeting);
    bench_read (fd, theirs, 64);
    BENCH_CHECK (theirs[0] == 0xff && theirs[10] == 3);
    ready[0] = 4;
    ready[1] = (unsigned char) (22 + length);
    memcpy (ready + 2, "\5READY\13Socket-Type\0\0\0", 21);
    ready[23] = (unsigned char) length;
    memcpy (ready + 24, type, length);
    bench_write (fd, ready, 24 + length);
    bench_read (fd, size, 2);
    BENCH_CHECK (size[0] == 4);
    bench_read (fd, theirs, size[1]);
}

//  The head of a frame of so many bytes. Returns its length, at most 9.
static inline size_t
bench_frame_head (unsigned char *head, size_t size)
{
    int i;
    if (size < 256) {
        head[0] = 0;
        head[1] = (unsigned char) size;
        return 2;
    }
    head[0] = 2;
    for (i = 0; i < 8; i++)
        head[1 + i] = (unsigned char) (size >> (56 - 8 * i));
    return 9;
}

//  Bytes of the frame that begins here, with its head.
static inline size_t
bench_frame_size (const unsigned char *head)
{
    size_t size = 0;
    int i;
    if (head[0] == 0)
        return 2 + (size_t) head[1];
    for (i = 0; i < 8; i++)
        size = size << 8 | head[1 + i];
    return 9 + size;
}

static inline int
bench_listen (int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    BENCH_CHECK (bind (fd, (struct sockaddr *) &address, size) == 0
                 && listen (fd, 16) == 0
                 && getsockname (fd, (struct sockaddr *) &address, &size) == 0);
    *port = ntohs (address.sin_port);
    return fd;
}

static inline int
bench_connect (int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    address.sin_port = htons ((uint16_t) port);
    BENCH_CHECK (connect (fd, (struct sockaddr *) &address, sizeof address)
                 == 0);
    return fd;
}

#endif
