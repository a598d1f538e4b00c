/*  spool_file - the files of a spool. The contract is in spool_file.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  scandirat

#include "spool_file.h"

#include "fault.h"
#include "table.h"

#include <czmq.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    NUMBER_SIZE = 10,  //  digits in the name of a file
    BLOCK = 4096       //  what a file takes, at least
};

//  All of it or -1. Tests may stop half way.
static int
s_write (int fd, struct iovec *part, int count, int torn)
{
    int i;
#ifdef ZIBRATO_FAULTS
    struct iovec half = {part[0].iov_base, part[0].iov_len / 2};
    if (writev (fd, &half, 1) != (ssize_t) half.iov_len)
        return -1;
    part[0].iov_base = (char *) part[0].iov_base + half.iov_len;
    part[0].iov_len -= half.iov_len;
#endif
    fault_point (torn);
    for (i = 0; i < count;) {
        ssize_t got = writev (fd, part + i, count - i);
        if (got == -1 && errno != EINTR)
            return -1;
        for (; i < count && got >= (ssize_t) part[i].iov_len; i++)
            got -= (ssize_t) part[i].iov_len;
        if (i < count && got > 0) {
            part[i].iov_base = (char *) part[i].iov_base + got;
            part[i].iov_len -= (size_t) got;
        }
    }
    return 0;
}

int64_t
record_write (int fd, span_t text, uint64_t number, const char *note, int torn)
{
    char head[640], end[] = "\n";
    int size = snprintf (head, sizeof head,
                         "= %zu %016" PRIx64 " %" PRIu64 " %.512s\n", text.size,
                         table_digest (0, text.text, text.size), number, note);
    struct iovec part[3] = {
      {head, (size_t) size}, {(void *) text.text, text.size}, {end, 1}};
    return s_write (fd, part, 3, torn) == -1 ? -1
                                             : size + (int64_t) text.size + 1;
}

//  Reads a decimal or hexadecimal number and the blank or line end behind it.
static int
s_field (span_t *rest, int base, uint64_t *value)
{
    char text[24];
    size_t size = 0;
    char *end;
    while (size < rest->size && size < sizeof text - 1
           && isxdigit ((unsigned char) rest->text[size])) {
        text[size] = rest->text[size];
        size++;
    }
    text[size] = 0;
    *value = strtoull (text, &end, base);
    if (!size || *end || size == rest->size
        || (rest->text[size] != ' ' && rest->text[size] != '\n'))
        return -1;
    rest->text += size + 1;
    rest->size -= size + 1;
    return 0;
}

int
record_next (span_t *rest, record_t *record)
{
    span_t at = *rest;
    uint64_t size, digest;
    const char *newline;
    if (!at.size)
        return 0;
    if (at.size < 3 || memcmp (at.text, "= ", 2) != 0)
        return -1;
    at.text += 2;
    at.size -= 2;
    if (s_field (&at, 10, &size) == -1 || s_field (&at, 16, &digest) == -1
        || s_field (&at, 10, &record->number) == -1)
        return -1;
    newline = at.size ? memchr (at.text, '\n', at.size) : NULL;
    if (!newline)
        return -1;
    record->note.text = at.text;
    record->note.size = (size_t) (newline - at.text);
    at.size -= record->note.size + 1;
    record->text.text = newline + 1;
    record->text.size = size;
    if (size >= at.size || record->text.text[size] != '\n'
        || table_digest (0, record->text.text, size) != digest)
        return -1;
    rest->text = record->text.text + size + 1;
    rest->size = at.size - size - 1;
    return 1;
}

size_t
file_head (char *head, size_t size, const char *kind, const char *owner)
{
    return (size_t) snprintf (head, size, "zibrato %s %d %s\n", kind,
                              SPOOL_VERSION, owner);
}

int
file_create (int dir, const char *name, const char *kind, const char *owner)
{
    char head[FILE_HEAD_MAX];
    size_t size = file_head (head, sizeof head, kind, owner);
    int fd = openat (dir, name,
                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd != -1 && write (fd, head, size) != (ssize_t) size) {
        close (fd);
        unlinkat (dir, name, 0);
        return -1;
    }
    return fd;
}

int
file_map (int dir, const char *name, span_t *file)
{
    int fd = openat (dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    int rc = fd == -1 ? -1 : fstat (fd, &status);
    file->text = "";
    file->size = 0;
    if (rc == 0 && !S_ISREG (status.st_mode)) {
        errno = EINVAL;
        rc = -1;
    }
    if (rc == 0 && status.st_size > 0) {
        void *text =
          mmap (NULL, (size_t) status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (text == MAP_FAILED)
            rc = -1;
        else {
            file->text = text;
            file->size = (size_t) status.st_size;
        }
    }
    if (fd != -1)
        close (fd);
    return rc;
}

void
file_unmap (span_t *file)
{
    if (file->size)
        munmap ((void *) file->text, file->size);
}

int
file_head_read (span_t *rest, const char *kind, char owner[FILE_OWNER_MAX])
{
    const char *newline =
      rest->size ? memchr (rest->text, '\n', rest->size) : NULL;
    char head[FILE_HEAD_MAX], wanted[32];
    size_t size = newline ? (size_t) (newline + 1 - rest->text) : 0;
    int version, end = 0;
    if (!size || size >= sizeof head)
        return -1;
    snprintf (head, sizeof head, "%.*s", (int) size, rest->text);
    snprintf (wanted, sizeof wanted, "zibrato %s %%d %%n", kind);
    if (sscanf (head, wanted, &version, &end) != 1 || !end
        || version < SPOOL_OLDEST || version > SPOOL_VERSION)
        return -1;
    if (owner)
        snprintf (owner, FILE_OWNER_MAX, "%.*s",
                  (int) strcspn (head + end, "\n"), head + end);
    rest->text += size;
    rest->size -= size;
    return 0;
}

//  --------------------------------------------------------------------------
//  Names and folders

int64_t
file_number (const char *name, const char *kind)
{
    size_t size = strlen (kind);
    const char *digits = name + size + 1;
    if (strncmp (name, kind, size) != 0 || name[size] != '-'
        || strlen (name) > SPOOL_NAME_MAX - 8
        || strspn (digits, "0123456789") != NUMBER_SIZE
        || (digits[NUMBER_SIZE] != 0 && digits[NUMBER_SIZE] != '-'))
        return -1;
    return strtoll (digits, NULL, 10);
}

void
file_name (char name[SPOOL_NAME_MAX], const char *kind, uint64_t number)
{
    snprintf (name, SPOOL_NAME_MAX, "%s-%0*" PRIu64, kind, NUMBER_SIZE, number);
}

int
folder_sync (int dir, const char *name)
{
    int fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd == -1 ? -1 : fsync (fd);
    if (fd != -1)
        close (fd);
    return rc;
}

int
folder_make (int dir, const char *name)
{
    if (mkdirat (dir, name, 0700) == 0)
        return fsync (dir);
    return errno == EEXIST ? 0 : -1;
}

int64_t
file_blocks (int64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

int64_t
file_size (int dir, const char *name)
{
    struct stat status;
    return fstatat (dir, name, &status, 0) == 0 ? file_blocks (status.st_size)
                                                : 0;
}

int
folder_list (int dir, const char *path, struct dirent ***list)
{
    return scandirat (dir, path, list, NULL, alphasort);
}

void
folder_list_free (struct dirent ***list, int count)
{
    while (count-- > 0)
        free ((*list)[count]);
    free (*list);
}

//  --------------------------------------------------------------------------
//  Logs: a file that grows record by record

void
append_add (append_t *self, const char *text, size_t size)
{
    if (self->size + size > self->max) {
        self->max = (self->size + size) * 2;
        self->text = (char *) realloc (self->text, self->max);
        assert (self->text);
    }
    memcpy (self->text + self->size, text, size);
    self->size += size;
}

int
append_write (append_t *self, uint64_t number, const char *note, int torn)
{
    span_t text = {self->text ? self->text : "", self->size};
    int64_t bytes = record_write (self->fd, text, number, note, torn);
    self->size = 0;
    self->bytes += bytes == -1 ? 0 : bytes;
    return bytes == -1 ? -1 : 0;
}

int
append_open (append_t *self, int dir, const char *kind, const char *suffix,
             uint64_t number, const char *owner)
{
    file_name (self->name, kind, number);
    strcat (self->name, suffix);
    self->bytes = 0;
    self->fd = file_create (dir, self->name, kind, owner);
    return self->fd == -1 ? -1 : 0;
}

void
append_close (append_t *self)
{
    if (self->fd != -1)
        close (self->fd);
    self->fd = -1;
}
