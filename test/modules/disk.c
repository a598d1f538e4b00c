/*  disk.c - to be loaded before a program: its disk is slow, or full

    What ZB_DISK says, words separated by commas:

        under=FOLDER   only files below it, and the folder itself; all if left
                       out, but for descriptors 0 to 2
        sync=MS        fsync and fdatasync take so many milliseconds more
        write=MS       write, writev and pwrite do
        room=BYTES     no file becomes longer: of a write beyond that, what fits
                       is written, and then there is no space left (ENOSPC)
        full=PATH      while there is such a file, there is no space for anything
        stall=PATH     while there is such a file, nothing is written, and who
                       writes or syncs waits

    Only regular files and folders have such a disk, no pipes and no sockets.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  RTLD_NEXT

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char s_under[PATH_MAX], s_full[PATH_MAX], s_stall[PATH_MAX];
static long s_sync_ms, s_write_ms;
static int64_t s_room = INT64_MAX;

static void
s_take (const char *word, size_t size)
{
    char text[PATH_MAX];
    snprintf (text, sizeof text, "%.*s", (int) size, word);
    if (strncmp (text, "under=", 6) == 0)
        snprintf (s_under, sizeof s_under, "%s", text + 6);
    else if (strncmp (text, "full=", 5) == 0)
        snprintf (s_full, sizeof s_full, "%s", text + 5);
    else if (strncmp (text, "stall=", 6) == 0)
        snprintf (s_stall, sizeof s_stall, "%s", text + 6);
    else if (strncmp (text, "sync=", 5) == 0)
        s_sync_ms = strtol (text + 5, NULL, 10);
    else if (strncmp (text, "write=", 6) == 0)
        s_write_ms = strtol (text + 6, NULL, 10);
    else if (strncmp (text, "room=", 5) == 0)
        s_room = strtoll (text + 5, NULL, 10);
}

__attribute__ ((constructor)) static void
s_start (void)
{
    const char *word = getenv ("ZB_DISK");
    while (word) {
        size_t size = strcspn (word, ",");
        s_take (word, size);
        word = word[size] ? word + size + 1 : NULL;
    }
}

static void
s_pause (long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (ms && nanosleep (&left, &left) == -1 && errno == EINTR) {
    }
}

static void
s_wait_stall (void)
{
    while (*s_stall && access (s_stall, F_OK) == 0)
        s_pause (10);
}

//  Is this a file of that disk?
static int
s_is_ours (int fd, struct stat *status)
{
    char link[64], path[PATH_MAX];
    size_t under = strlen (s_under);
    ssize_t size;
    if (fd <= 2 || fstat (fd, status) == -1
        || (!S_ISREG (status->st_mode) && !S_ISDIR (status->st_mode)))
        return 0;
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink (link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    return strncmp (path, s_under, under) == 0
           && (!under || path[under] == '/' || path[under] == 0);
}

//  How many of so many bytes at this place can be written; -1: none.
static ssize_t
s_fits (int fd, off_t at, size_t size)
{
    struct stat status;
    if (size == 0 || !s_is_ours (fd, &status))
        return (ssize_t) size;
    s_wait_stall ();
    s_pause (s_write_ms);
    if (at == -1)
        at = fcntl (fd, F_GETFL) & O_APPEND ? status.st_size
                                            : lseek (fd, 0, SEEK_CUR);
    if (at >= s_room || (*s_full && access (s_full, F_OK) == 0)) {
        errno = ENOSPC;
        return -1;
    }
    return size < (uint64_t) (s_room - at) ? (ssize_t) size
                                           : (ssize_t) (s_room - at);
}

ssize_t
write (int fd, const void *data, size_t size)
{
    ssize_t fits = s_fits (fd, -1, size);
    return fits == -1 ? -1 : syscall (SYS_write, fd, data, (size_t) fits);
}

ssize_t
pwrite (int fd, const void *data, size_t size, off_t at)
{
    ssize_t fits = s_fits (fd, at, size);
    return fits == -1 ? -1
                      : syscall (SYS_pwrite64, fd, data, (size_t) fits, at);
}

ssize_t
writev (int fd, const struct iovec *part, int count)
{
    size_t size = 0;
    ssize_t fits;
    int i;
    for (i = 0; i < count; i++)
        size += part[i].iov_len;
    fits = s_fits (fd, -1, size);
    if (fits == (ssize_t) size)
        return syscall (SYS_writev, fd, part, count);
    //  a short write: of the first parts that fit, and of the next one a piece
    for (i = 0; fits > 0 && part[i].iov_len <= (size_t) fits; i++)
        fits -= (ssize_t) part[i].iov_len;
    if (fits == -1 || i > 0)
        return fits == -1 ? -1 : syscall (SYS_writev, fd, part, i);
    return syscall (SYS_write, fd, part[0].iov_base, (size_t) fits);
}

static int
s_sync (int fd, const char *name)
{
    struct stat status;
    int (*real) (int) = NULL;
    *(void **) &real = dlsym (RTLD_NEXT, name);
    if (s_is_ours (fd, &status)) {
        s_wait_stall ();
        s_pause (s_sync_ms);
        if (*s_full && S_ISREG (status.st_mode) && access (s_full, F_OK) == 0) {
            errno = ENOSPC;
            return -1;
        }
    }
    return real (fd);
}

int
fsync (int fd)
{
    return s_sync (fd, "fsync");
}

int
fdatasync (int fd)
{
    return s_sync (fd, "fdatasync");
}
