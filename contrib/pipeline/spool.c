/*  spool - journal, ledger and requests in a folder. The contract is in
    spool.h.

    Sections: files and records, the folder, journal, flush, requests, what a
    start finds, replay.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  scandirat, renameat

#include "spool.h"

#include "fault.h"
#include "table.h"

#include <czmq.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    VERSION = 1,
    NUMBER_SIZE = 10,            //  digits in the name of a file
    BLOCK = 4096,                //  what a file takes, at least
    JOURNAL_BATCH = 256 * 1024,  //  bytes written in one go
    STATE_BATCH = 256 * 1024,
#ifdef ZIBRATO_FAULTS
    SNAPSHOT_LEAST = 256,  //  so that a test sees it happen
#else
    SNAPSHOT_LEAST = 1024 * 1024,  //  bytes of changes, then all anew
#endif
    SNAPSHOT_RATIO = 3,  //  or so many times the last snapshot
    SNAPSHOT_SHARE = 8   //  or this part of what the folder may hold
};

//  A file that is being written at its end.
typedef struct {
    int fd;  //  -1: none
    char name[SPOOL_NAME_MAX];
    int64_t bytes;
    char *text;  //  not written yet
    size_t size, max;
} log_t;

struct spool {
    char *dir;
    const char *backend;
    int64_t bytes_max;
    char id[17];
    int fd, lock;

    //  Ingest only
    log_t journal;     //  of this window
    bool journal_off;  //  could not be written
    size_t journal_size;
    int64_t journal_ms;  //  when the messages came that are to be written

    //  Handed over when a flush begins, and when it has ended
    uint64_t flush;  //  the window that is being filled; one less is written
    int journal_old_fd;  //  of that one, to be closed; or -1
    log_t journal_next;  //  of the one after, without a record
    bool snapshot;       //  what is being written becomes a new file

    //  The thread that does flushes only
    uint64_t committed;      //  the last one that counts
    size_t parts;            //  requests of the flush so far
    uint64_t journal_first;  //  the oldest one that may be there
    log_t ledger;
    bool broken;  //  part of this flush's state could not be written
    int64_t snapshot_bytes;

    //  Any thread
    _Atomic bool failed;   //  said, and not recovered from
    _Atomic bool trouble;  //  since the last flush
    _Atomic int64_t ledger_bytes, rejected_bytes;
    _Atomic int64_t journal_bytes, journals_bytes;  //  this one, older ones
};

//  --------------------------------------------------------------------------
//  Files and records. A file is "zibrato KIND VERSION BACKEND", then records:
//  "= SIZE CHECKSUM NUMBER NOTE", SIZE bytes, and '\n'. NUMBER is a flush's or
//  how many rows there are. A journal's NOTE says when the messages came.

typedef struct {
    span_t text;
    uint64_t number;
    span_t note;
} record_t;

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

//  Appends a record. Returns the bytes written, -1 if not all were.
static int64_t
s_record_write (int fd, span_t text, uint64_t number, const char *note,
                int torn)
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

//  Reads the next record and moves on. Returns 1, 0 at the end, -1 if what
//  follows is torn or garbled.
static int
s_record_next (span_t *rest, record_t *record)
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

//  What a file of this kind begins with. Returns its length.
static size_t
s_head (char *head, size_t size, const char *kind, const char *backend)
{
    return (size_t) snprintf (head, size, "zibrato %s %d %s\n", kind, VERSION,
                              backend);
}

//  Makes a file. Returns the descriptor, with what a file of this kind begins
//  with written to it, or -1.
static int
s_create (int dir, const char *name, const char *kind, const char *backend)
{
    char head[128];
    size_t size = s_head (head, sizeof head, kind, backend);
    int fd = openat (dir, name,
                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd != -1 && write (fd, head, size) != (ssize_t) size) {
        close (fd);
        unlinkat (dir, name, 0);
        return -1;
    }
    return fd;
}

//  Maps a file. Returns -1 if it cannot be read; an empty one has no text.
static int
s_map (int dir, const char *name, span_t *file)
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

static void
s_unmap (span_t *file)
{
    if (file->size)
        munmap ((void *) file->text, file->size);
}

//  Steps over what a file of the kind begins with, or returns -1.
static int
s_head_read (span_t *rest, const char *kind, const char *backend)
{
    char head[128];
    size_t size = s_head (head, sizeof head, kind, backend);
    if (rest->size < size || memcmp (rest->text, head, size) != 0)
        return -1;
    rest->text += size;
    rest->size -= size;
    return 0;
}

//  Names in a folder last from now on.
static int
s_sync_folder (int dir, const char *name)
{
    int fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd == -1 ? -1 : fsync (fd);
    if (fd != -1)
        close (fd);
    return rc;
}

//  Makes a folder, if it is not there.
static int
s_make_folder (int dir, const char *name)
{
    if (mkdirat (dir, name, 0700) == 0)
        return fsync (dir);
    return errno == EEXIST ? 0 : -1;
}

//  What a file of so many bytes takes on disk.
static int64_t
s_blocks (int64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static int64_t
s_size_at (int dir, const char *name)
{
    struct stat status;
    return fstatat (dir, name, &status, 0) == 0 ? s_blocks (status.st_size) : 0;
}

//  --------------------------------------------------------------------------
//  The folder

//  "journal-0000000008": its number, or -1 if the name is not of this kind.
//  Always ten digits, or the order of names would not be that of numbers; and
//  none of ours comes near to the length that has room here.
static int64_t
s_number_of (const char *name, const char *kind)
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

static void
s_name (char name[SPOOL_NAME_MAX], const char *kind, uint64_t number)
{
    snprintf (name, SPOOL_NAME_MAX, "%s-%0*" PRIu64, kind, NUMBER_SIZE, number);
}

//  Says once that the folder cannot be written to.
static void
spool_failed (spool_t *self, const char *name)
{
    const char *reason = strerror (errno);
    self->trouble = true;
    if (!atomic_exchange (&self->failed, true))
        zb_log (LOG_ERR, "spool_failed",
                "dir=%s file=%s reason=\"%s\" effect=\"what is received from "
                "now on is kept in memory\"",
                self->dir, name, reason);
}

//  A file that is not what it should be, out of the way.
static void
spool_set_aside (spool_t *self, const char *name, const char *why)
{
    char path[SPOOL_NAME_MAX + 16];
    s_make_folder (self->fd, "damaged");
    snprintf (path, sizeof path, "damaged/%s", name);
    zb_log (LOG_ERR, "damaged", "file=%s/%s reason=\"%s\" moved_to=damaged/",
            self->dir, name, why);
    if (renameat (self->fd, name, self->fd, path) == -1)
        unlinkat (self->fd, name, 0);
}

//  Names come sorted, so that the oldest is first.
static int
s_list (int dir, const char *path, struct dirent ***list)
{
    return scandirat (dir, path, list, NULL, alphasort);
}

static void
s_list_free (struct dirent ***list, int count)
{
    while (count-- > 0)
        free ((*list)[count]);
    free (*list);
}

static bool
spool_has_ledger (const spool_t *self)
{
    struct dirent **list = NULL;
    int i, count = s_list (self->fd, ".", &list);
    bool found = false;
    for (i = 0; i < count; i++)
        found |= s_number_of (list[i]->d_name, "ledger") != -1;
    s_list_free (&list, count);
    return found;
}

//  Gives the folder an ID and writes it to the lock file, in place: there may
//  be no room.
static int
spool_identify (spool_t *self)
{
    char text[64];
    uint64_t random;
    ssize_t size;
    if (getentropy (&random, sizeof random) == -1)
        return -1;
    snprintf (self->id, sizeof self->id, "%016" PRIx64, random);
    size =
      snprintf (text, sizeof text, "zibrato spool %d %s\n", VERSION, self->id);
    return pwrite (self->lock, text, (size_t) size, 0) != size
               || ftruncate (self->lock, size) == -1 || fsync (self->lock) == -1
             ? -1
             : 0;
}

//  Reads the folder's ID from the lock file, or gives it one. Without a ledger
//  the flushes are numbered from the beginning, and an ID that has been used
//  would give requests the keys of others.
static int
spool_lock (spool_t *self)
{
    char text[64] = "";
    self->lock = openat (self->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock == -1 || flock (self->lock, LOCK_EX | LOCK_NB) == -1
        || read (self->lock, text, sizeof text - 1) < 0)
        return -1;
    return sscanf (text, "zibrato spool %*d %16[0-9a-f]", self->id) == 1
               && strlen (self->id) == sizeof self->id - 1
               && spool_has_ledger (self)
             ? 0
             : spool_identify (self);
}

spool_t *
spool_new (const char *dir, const char *backend, int64_t bytes_max)
{
    spool_t *self = (spool_t *) zmalloc (sizeof *self);
    bool made = mkdir (dir, 0700) == 0;
    int rc = !made && errno != EEXIST ? -1 : 0;
    self->dir = strdup (dir);
    self->backend = backend;
    self->bytes_max = bytes_max;
    self->fd = self->lock = self->journal.fd = self->ledger.fd = -1;
    self->journal_old_fd = self->journal_next.fd = -1;
    if (rc == 0)
        rc = self->fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc != -1 && made)
        s_sync_folder (self->fd, "..");
    if (rc != -1)
        rc = spool_lock (self);
    if (rc == -1) {
        int keep = errno;
        spool_destroy (&self);
        errno = keep;
    }
    return self;
}

//  A journal that nothing was written to need not be there.
static void
spool_unused (const spool_t *self, const log_t *journal)
{
    if (journal->fd != -1 && journal->bytes == 0)
        unlinkat (self->fd, journal->name, 0);
}

void
spool_destroy (spool_t **self_p)
{
    spool_t *self = *self_p;
    int fds[] = {self->journal.fd, self->journal_old_fd, self->journal_next.fd,
                 self->ledger.fd,  self->lock,           self->fd};
    size_t i;
    spool_unused (self, &self->journal);
    spool_unused (self, &self->journal_next);
    for (i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] != -1)
            close (fds[i]);
    free (self->journal.text);
    free (self->ledger.text);
    free (self->dir);
    free (self);
    *self_p = NULL;
}

const char *
spool_id (const spool_t *self)
{
    return self->id;
}

int64_t
spool_bytes (const spool_t *self)
{
    return self->rejected_bytes + self->journal_bytes + self->journals_bytes;
}

int64_t
spool_ledger_bytes (const spool_t *self)
{
    return self->ledger_bytes;
}

//  --------------------------------------------------------------------------
//  Logs: a file that grows record by record

static void
log_add (log_t *self, const char *text, size_t size)
{
    if (self->size + size > self->max) {
        self->max = (self->size + size) * 2;
        self->text = (char *) realloc (self->text, self->max);
        assert (self->text);
    }
    memcpy (self->text + self->size, text, size);
    self->size += size;
}

//  Writes what was added as one record.
static int
log_write (log_t *self, uint64_t number, const char *note, int torn)
{
    span_t text = {self->text ? self->text : "", self->size};
    int64_t bytes = s_record_write (self->fd, text, number, note, torn);
    self->size = 0;
    self->bytes += bytes == -1 ? 0 : bytes;
    return bytes == -1 ? -1 : 0;
}

static int
log_open (log_t *self, spool_t *spool, const char *kind, const char *suffix,
          uint64_t number)
{
    s_name (self->name, kind, number);
    strcat (self->name, suffix);
    self->bytes = 0;
    self->fd = s_create (spool->fd, self->name, kind, spool->backend);
    return self->fd == -1 ? -1 : 0;
}

static void
log_close (log_t *self)
{
    if (self->fd != -1)
        close (self->fd);
    self->fd = -1;
}

//  --------------------------------------------------------------------------
//  Journal

void
spool_journal_write (spool_t *self)
{
    log_t *journal = &self->journal;
    char came[32];
    if (!journal->size)
        return;
    snprintf (came, sizeof came, "at=%" PRId64, self->journal_ms);
    if (self->journal_off) {
        journal->size = 0;
        return;
    }
    FAULT (journal_before);
    if ((journal->fd == -1
         && log_open (journal, self, "journal", "", self->flush) == -1)
        || log_write (journal, self->flush, came, FAULT_journal_torn) == -1) {
        spool_failed (self, journal->name);
        self->journal_off = true;
        journal->size = 0;
    }
    self->journal_bytes = s_blocks (journal->bytes);
    FAULT (journal_after);
}

void
spool_journal (spool_t *self, const char *text, size_t size, int64_t came_ms)
{
    self->journal_ms = came_ms;
    log_add (&self->journal, text, size);
    if (!size || text[size - 1] != '\n')
        log_add (&self->journal, "\n", 1);
    self->journal_size += size;
    if (self->journal.size >= JOURNAL_BATCH)
        spool_journal_write (self);
}

size_t
spool_journal_size (const spool_t *self)
{
    return self->journal_size;
}

//  --------------------------------------------------------------------------
//  Flush

//  Has the ledger more changes behind it than are worth keeping?
static bool
spool_is_long (const spool_t *self)
{
    int64_t changes = self->ledger.bytes - self->snapshot_bytes;
    return changes > self->snapshot_bytes * SNAPSHOT_RATIO + SNAPSHOT_LEAST
           || changes > self->bytes_max / SNAPSHOT_SHARE;
}

//  The file of the window that will follow this one. If it cannot be made now,
//  the first message of that window tries again.
static void
spool_journal_ahead (spool_t *self)
{
    if (self->journal_next.fd == -1)
        log_open (&self->journal_next, self, "journal", "", self->flush + 1);
}

bool
spool_flush_begin (spool_t *self, bool whole)
{
    spool_journal_write (self);
    self->journals_bytes += self->journal_bytes;
    self->journal_bytes = 0;
    self->journal_off = false;
    self->journal_size = 0;
    self->journal_old_fd = self->journal.fd;
    self->journal.fd = self->journal_next.fd;
    self->journal.bytes = 0;
    strcpy (self->journal.name, self->journal_next.name);
    self->journal_next.fd = -1;
    self->flush++;
    FAULT (rotated);
    self->snapshot = whole || self->ledger.fd == -1 || spool_is_long (self);
    return self->snapshot;
}

void
spool_flush_open (spool_t *self)
{
    if (self->journal_old_fd != -1)
        close (self->journal_old_fd);
    self->journal_old_fd = -1;
    self->parts = 0;
    self->broken = false;
    if (self->snapshot) {
        log_close (&self->ledger);
        self->broken =
          log_open (&self->ledger, self, "ledger", ".new", self->flush - 1)
          == -1;
    }
}

//  Writes the file of a request, and what it has is on disk; or there is none.
static int
spool_file (spool_t *self, const char *name, span_t text, uint64_t rows,
            const char *note)
{
    int fd = s_create (self->fd, name, "request", self->backend);
    int rc = -1;
    if (fd != -1) {
        rc = s_record_write (fd, text, rows, note, FAULT_request_torn) == -1
               ? -1
               : fdatasync (fd);
        close (fd);
    }
    if (rc == -1) {
        int keep = errno;
        unlinkat (self->fd, name, 0);
        errno = keep;
    }
    return rc;
}

int
spool_request_write (spool_t *self, const char *name, const char *text,
                     size_t size, size_t rows)
{
    return spool_file (self, name, (span_t){text, size}, rows, "");
}

int
spool_requests_sync (spool_t *self)
{
    return fsync (self->fd);
}

int
spool_request_add (spool_t *self, const char *text, size_t size, size_t rows,
                   char name[SPOOL_NAME_MAX])
{
    snprintf (name, SPOOL_NAME_MAX, "request-%010" PRIu64 "-%04zu",
              self->flush - 1, self->parts++);
    if (spool_request_write (self, name, text, size, rows) == -1) {
        spool_failed (self, name);
        return -1;
    }
    FAULT (request_after);
    return 0;
}

void
spool_state_add (spool_t *self, const char *text, size_t size)
{
    log_add (&self->ledger, text, size);
    if (self->ledger.size < STATE_BATCH)
        return;
    if (self->broken)
        self->ledger.size = 0;
    else
        self->broken =
          log_write (&self->ledger, self->flush - 1, "", FAULT_ledger_torn)
          == -1;
}

//  The new ledger gets its name, which says what counts.
static int
spool_ledger_name (spool_t *self)
{
    char name[SPOOL_NAME_MAX], old[SPOOL_NAME_MAX];
    s_name (name, "ledger", self->flush - 1);
    s_name (old, "ledger", self->committed);
    if (self->snapshot) {
        FAULT (snapshot_written);
    }
    if (renameat (self->fd, self->ledger.name, self->fd, name) == -1)
        return -1;
    fsync (self->fd);
    if (self->snapshot) {
        FAULT (snapshot_named);
        if (strcmp (name, old) != 0)
            unlinkat (self->fd, old, 0);
        self->snapshot_bytes = self->ledger.bytes;
    }
    strcpy (self->ledger.name, name);
    return 0;
}

//  Journals of windows that count by now.
static void
spool_journals_remove (spool_t *self)
{
    char name[SPOOL_NAME_MAX];
    for (; self->journal_first < self->flush; self->journal_first++) {
        s_name (name, "journal", self->journal_first);
        unlinkat (self->fd, name, 0);
    }
    self->journals_bytes = 0;
}

//  There is no state that goes with what is sent from now on: an empty ledger
//  of this flush says so. None of these steps needs room.
static void
spool_forsake (spool_t *self)
{
    char name[SPOOL_NAME_MAX], old[SPOOL_NAME_MAX], head[128];
    size_t size = s_head (head, sizeof head, "ledger", self->backend);
    int fd;
    spool_failed (self, self->ledger.name);
    if (self->snapshot)
        unlinkat (self->fd, self->ledger.name, 0);
    log_close (&self->ledger);
    self->ledger.size = 0;
    s_name (name, "ledger", self->flush - 1);
    s_name (old, "ledger", self->committed);
    fd = openat (self->fd, old, O_WRONLY | O_CLOEXEC);
    if (fd != -1) {
        if (ftruncate (fd, (off_t) size) == -1)
            unlinkat (self->fd, old, 0);
        fsync (fd);
        close (fd);
        renameat (self->fd, old, self->fd, name);
    }
    fsync (self->fd);
    self->ledger_bytes = BLOCK;
}

int
spool_commit (spool_t *self)
{
    //  [SYNC_FIRST] What the name makes count is on disk before it
    int rc = self->broken ? -1 : spool_requests_sync (self);
    FAULT (requests_synced);
    if (rc == 0)
        rc =
          log_write (&self->ledger, self->flush - 1, "end", FAULT_ledger_torn);
    if (rc == 0)
        rc = fdatasync (self->ledger.fd);
    FAULT (ledger_written);
    if (rc == 0)
        rc = spool_ledger_name (self);
    if (rc == -1)
        spool_forsake (self);
    else
        self->ledger_bytes = s_blocks (self->ledger.bytes);
    //  a flush may find just room enough, and the next journal none
    if (!atomic_exchange (&self->trouble, false) && rc == 0
        && atomic_exchange (&self->failed, false))
        zb_log (LOG_INFO, "spool_recovered", "dir=%s", self->dir);
    self->committed = self->flush - 1;
    FAULT (committed);
    //  [JOURNAL_LAST] Until here a start takes it in again
    spool_journals_remove (self);
    FAULT (journals_removed);
    spool_journal_ahead (self);
    return rc;
}

//  --------------------------------------------------------------------------
//  Requests

//  So many rows, each with its end? The checksum is of the text alone, and
//  whoever edits a file makes a new one: a zero byte would end a row.
static bool
s_are_rows (span_t text, uint64_t rows)
{
    const char *end = text.text + text.size;
    uint64_t count = 0;
    if (!text.size || end[-1] != '\n' || memchr (text.text, 0, text.size))
        return false;
    for (const char *at = text.text; at < end; count++)
        at = (const char *) memchr (at, '\n', (size_t) (end - at)) + 1;
    return count == rows;
}

//  Finds the one record of a request's file.
static int
s_request_find (span_t file, const char *backend, record_t *record)
{
    return s_head_read (&file, "request", backend) == 0
               && s_record_next (&file, record) == 1 && file.size == 0
               && s_are_rows (record->text, record->number)
             ? 0
             : -1;
}

char *
spool_request_read (spool_t *self, const char *name, size_t *size)
{
    span_t file;
    record_t record;
    char *text = NULL;
    if (s_map (self->fd, name, &file) == 0
        && s_request_find (file, self->backend, &record) == 0) {
        text = (char *) zmalloc (record.text.size + 1);
        memcpy (text, record.text.text, record.text.size);
        *size = record.text.size;
    }
    else
        spool_set_aside (self, name, "not a whole request");
    s_unmap (&file);
    return text;
}

void
spool_request_remove (spool_t *self, const char *name)
{
    unlinkat (self->fd, name, 0);
}

void
spool_reject (spool_t *self, const char *name, const char *text, size_t size,
              size_t rows, const char *reason)
{
    char path[SPOOL_NAME_MAX + 16], note[512];
    size_t i;
    snprintf (note, sizeof note, "%s", reason);
    for (i = 0; note[i]; i++)
        if ((unsigned char) note[i] < 0x20)
            note[i] = ' ';
    s_make_folder (self->fd, "rejected");
    snprintf (path, sizeof path, "rejected/%s", name);
    FAULT (reject_before);
    //  a replay may come at any time, and would take half a file for an edited
    if (spool_file (self, "rejected/new", (span_t){text, size}, rows, note)
          == -1
        || renameat (self->fd, "rejected/new", self->fd, path) == -1
        || s_sync_folder (self->fd, "rejected") == -1)
        zb_log (LOG_ERR, "reject_failed", "file=%s reason=\"%s\"", path,
                strerror (errno));
    self->rejected_bytes += s_size_at (self->fd, path);
    FAULT (reject_after);
}

//  By age, as names are, but for what was replayed (of flush 0): that was mended
//  lately, and is of more value than any other.
static int
s_compare_rejected (const struct dirent **a, const struct dirent **b)
{
    int replayed_a = s_number_of ((*a)->d_name, "request") == 0;
    int replayed_b = s_number_of ((*b)->d_name, "request") == 0;
    return replayed_a != replayed_b ? replayed_a - replayed_b
                                    : alphasort (a, b);
}

size_t
spool_rejected_trim (spool_t *self, int64_t most)
{
    struct dirent **list = NULL;
    char path[SPOOL_NAME_MAX + 16];
    size_t removed = 0;
    int i, count;
    if (self->rejected_bytes <= most)
        return 0;
    count = scandirat (self->fd, "rejected", &list, NULL, s_compare_rejected);
    for (i = 0; i < count && self->rejected_bytes > most; i++)
        if (s_number_of (list[i]->d_name, "request") != -1) {
            snprintf (path, sizeof path, "rejected/%.90s", list[i]->d_name);
            self->rejected_bytes -= s_size_at (self->fd, path);
            unlinkat (self->fd, path, 0);
            removed++;
        }
    s_list_free (&list, count);
    return removed;
}

//  --------------------------------------------------------------------------
//  What a start finds

//  Hands the lines of a text over, one by one.
static void
s_lines (span_t text, void (*each) (void *argument, const char *, size_t),
         void *argument)
{
    const char *at = text.text, *end = at + text.size;
    while (at < end) {
        const char *newline = memchr (at, '\n', (size_t) (end - at));
        each (argument, at, (size_t) ((newline ? newline : end) - at));
        at = newline ? newline + 1 : end;
    }
}

//  Where what counts of a ledger ends. -1: not even that is there.
static int
s_ledger_end (span_t rest, uint64_t committed, const char **good)
{
    record_t record;
    uint64_t last = 0;
    bool any = rest.size > 0;
    *good = rest.text;
    while (s_record_next (&rest, &record) == 1 && record.number <= committed)
        if (record.note.size == 3) {
            *good = rest.text;
            last = record.number;
        }
    return any && last != committed ? -1 : 0;
}

//  Out of the way, too; but its number goes on saying which requests count.
static void
spool_ledger_damaged (spool_t *self, const char *name)
{
    int fd;
    spool_set_aside (self, name, "not a whole ledger");
    fd = s_create (self->fd, name, "ledger", self->backend);
    if (fd != -1)
        close (fd);
}

//  Takes the state in, and cuts off what a crash left behind it.
static void
spool_load_ledger (spool_t *self, const char *name,
                   const spool_reader_t *reader, void *argument)
{
    span_t file, rest;
    record_t record;
    const char *good;
    int rc = s_map (self->fd, name, &file);
    rest = file;
    if (rc == 0)
        rc = s_head_read (&rest, "ledger", self->backend);
    if (rc == 0)
        rc = s_ledger_end (rest, self->committed, &good);
    if (rc == 0) {
        rest.size = (size_t) (good - rest.text);
        while (s_record_next (&rest, &record) == 1)
            s_lines (record.text, reader->state, argument);
        strcpy (self->ledger.name, name);
        self->ledger.fd =
          openat (self->fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);
        self->ledger.bytes = good - file.text;
        self->snapshot_bytes = self->ledger.bytes;
        if (self->ledger.fd != -1
            && ftruncate (self->ledger.fd, self->ledger.bytes) == -1)
            log_close (&self->ledger);
        self->ledger_bytes = s_blocks (self->ledger.bytes);
    }
    else
        spool_ledger_damaged (self, name);
    s_unmap (&file);
}

static void
spool_load_request (spool_t *self, const char *name,
                    const spool_reader_t *reader, void *argument)
{
    span_t file;
    record_t record;
    if (s_map (self->fd, name, &file) == 0
        && s_request_find (file, self->backend, &record) == 0)
        reader->request (argument, name, record.number, record.text.size);
    else
        spool_set_aside (self, name, "not a whole request");
    s_unmap (&file);
}

//  When a journal's record came, -1 if it does not say so.
static int64_t
s_came_ms (span_t note)
{
    char copy[32];
    int64_t ms;
    snprintf (copy, sizeof copy, "%.*s", (int) note.size, note.text);
    return sscanf (copy, "at=%" SCNd64, &ms) == 1 ? ms : -1;
}

//  Takes received lines in again. The last record may be torn: then it was not
//  counted either.
static void
spool_load_journal (spool_t *self, const char *name,
                    const spool_reader_t *reader, void *argument)
{
    span_t file, rest;
    record_t record;
    int rc = s_map (self->fd, name, &file);
    rest = file;
    if (rc == 0)
        rc = s_head_read (&rest, "journal", self->backend);
    if (rc == -1 && file.size)
        spool_set_aside (self, name, "not a journal");
    else if (rc == 0) {
        while ((rc = s_record_next (&rest, &record)) == 1) {
            self->journal_size += record.text.size;
            reader->messages (argument, record.text.text, record.text.size,
                              s_came_ms (record.note));
        }
        if (rc == -1)
            zb_log (LOG_WARNING, "torn", "file=%s/%s bytes=%zu", self->dir,
                    name, rest.size);
        self->journals_bytes += s_blocks ((int64_t) file.size);
    }
    s_unmap (&file);
}

//  The newest ledger counts; older ones were about to be removed.
static const char *
spool_find_ledger (spool_t *self, struct dirent **list, int count)
{
    const char *found = NULL;
    int i;
    for (i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        if (strncmp (name, "ledger-", 7) == 0 && strstr (name, ".new"))
            unlinkat (self->fd, name, 0);
        else if (s_number_of (name, "ledger") >= 0) {
            if (found)
                unlinkat (self->fd, found, 0);
            found = name;
            self->committed = (uint64_t) s_number_of (name, "ledger");
        }
    }
    return found;
}

//  Numbers go on behind all that there are.
static void
spool_number (spool_t *self, int64_t number)
{
    if (number >= (int64_t) self->flush)
        self->flush = (uint64_t) number + 1;
}

//  A request whose first half has its file is whole: nothing was sent of it.
static bool
s_is_half (struct dirent **list, int count, const char *name)
{
    int i;
    for (i = 0; i < count; i++) {
        size_t size = strlen (list[i]->d_name);
        if (s_number_of (list[i]->d_name, "request") >= 0
            && strlen (name) == size + 1
            && strncmp (list[i]->d_name, name, size) == 0
            && strchr ("ab", name[size]))
            return true;
    }
    return false;
}

//  Requests that count are handed over, others go.
static void
spool_load_requests (spool_t *self, struct dirent **list, int count,
                     const spool_reader_t *reader, void *argument)
{
    int i;
    for (i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        int64_t number = s_number_of (name, "request");
        spool_number (self, number);
        if (number < 0)
            continue;
        //  a neighbour that is a beginning of this name stands before it
        if ((uint64_t) number > self->committed
            || s_is_half (list + (i > 2 ? i - 2 : 0), i > 2 ? 2 : i, name))
            unlinkat (self->fd, name, 0);
        else
            spool_load_request (self, name, reader, argument);
    }
}

static void
spool_load_journals (spool_t *self, struct dirent **list, int count,
                     const spool_reader_t *reader, void *argument)
{
    int i;
    for (i = 0; i < count; i++) {
        int64_t number = s_number_of (list[i]->d_name, "journal");
        spool_number (self, number);
        if (number < 0)
            continue;
        if ((uint64_t) number <= self->committed)
            unlinkat (self->fd, list[i]->d_name, 0);
        else
            spool_load_journal (self, list[i]->d_name, reader, argument);
    }
}

//  Does a request wait that a refused row is of, itself or halves of it? Then a
//  crash came before that was removed, or the host's death undid it.
static bool
spool_has_request (const spool_t *self, const char *rejected)
{
    char name[SPOOL_NAME_MAX];
    size_t size = (size_t) snprintf (name, sizeof name, "%.90s", rejected);
    while (faccessat (self->fd, name, F_OK, 0) == -1) {
        if (name[size - 1] != 'a' && name[size - 1] != 'b')
            return false;
        name[--size] = 0;
    }
    return true;
}

//  What is about to be sent again must not be replayed as well.
static void
spool_load_rejected (spool_t *self)
{
    struct dirent **list = NULL;
    char path[SPOOL_NAME_MAX + 16];
    int i, count = s_list (self->fd, "rejected", &list);
    bool removed = false;
    self->rejected_bytes = 0;
    for (i = 0; i < count; i++)
        if (s_number_of (list[i]->d_name, "request") != -1) {
            snprintf (path, sizeof path, "rejected/%.90s", list[i]->d_name);
            if (spool_has_request (self, list[i]->d_name))
                removed |= unlinkat (self->fd, path, 0) == 0;
            self->rejected_bytes += s_size_at (self->fd, path);
        }
    if (removed)
        s_sync_folder (self->fd, "rejected");
    s_list_free (&list, count);
}

bool
spool_load (spool_t *self, const spool_reader_t *reader, void *argument)
{
    struct dirent **list = NULL;
    int count = s_list (self->fd, ".", &list);
    const char *ledger = spool_find_ledger (self, list, count);
    if (ledger)
        spool_load_ledger (self, ledger, reader, argument);
    spool_number (self, (int64_t) self->committed);
    spool_load_requests (self, list, count, reader, argument);
    spool_load_journals (self, list, count, reader, argument);
    self->journal_first = self->committed + 1;
    s_list_free (&list, count);
    spool_replayed (self, reader, argument);
    spool_load_rejected (self);
    log_open (&self->journal, self, "journal", "", self->flush);
    spool_journal_ahead (self);
    return !ledger && !self->journal_size;
}

//  --------------------------------------------------------------------------
//  Replay: rejected/ ─▶ replay/ by hand, replay/ ─▶ requests by the worker

//  The backend that a request's file names, or -1 if it is no such file.
static int
s_backend_read (span_t file, char backend[64])
{
    char head[128];
    snprintf (head, sizeof head, "%.*s",
              (int) (file.size < 127 ? file.size : 127), file.text);
    return sscanf (head, "zibrato request %*d %63s", backend) == 1 ? 0 : -1;
}

//  Steps over a line. Returns it without its end.
static span_t
s_line_next (span_t *rest)
{
    const char *newline =
      rest->size ? memchr (rest->text, '\n', rest->size) : NULL;
    span_t line = {rest->text,
                   newline ? (size_t) (newline - rest->text) : rest->size};
    rest->text += line.size + (newline != NULL);
    rest->size -= line.size + (newline != NULL);
    return line;
}

static const char s_edited[] = "edited";  //  in place of the reason

//  Makes an edited file whole again, as it stands: the rows behind the record's
//  head. Returns 1, 0 if there are none, -1 if they cannot be written.
static int
s_replay_edited (int dir, const char *path, const char *backend, span_t rest)
{
    log_t rows = {.fd = -1};
    uint64_t count = 0;
    int rc = 0;
    s_line_next (&rest);
    s_line_next (&rest);
    while (rest.size) {
        span_t row = s_line_next (&rest);
        if (row.size) {
            log_add (&rows, row.text, row.size);
            log_add (&rows, "\n", 1);
            count++;
        }
    }
    if (count) {
        rows.fd = s_create (dir, "replay/new", "request", backend);
        rc = rows.fd != -1
                 && log_write (&rows, count, s_edited, FAULT_COUNT) == 0
                 && fsync (rows.fd) == 0
                 && renameat (dir, "replay/new", dir, path) == 0
               ? 1
               : -1;
    }
    log_close (&rows);
    free (rows.text);
    return rc;
}

//  Moves one file, and says so. Returns 1, 0 if it has no rows or is no file that
//  can be read, -1 if it cannot be moved, or must not be read, like all others.
static int
s_replay_one (int dir, const char *name,
              void (*each) (const char *name, const char *reason))
{
    char from[SPOOL_NAME_MAX + 16], to[SPOOL_NAME_MAX + 16], backend[64];
    char reason[512];
    span_t file;
    record_t record;
    int rc;
    snprintf (from, sizeof from, "rejected/%.90s", name);
    snprintf (to, sizeof to, "replay/%.90s", name);
    rc = s_map (dir, from, &file);
    if (rc == -1)
        return errno == EACCES ? -1 : 0;
    snprintf (reason, sizeof reason, "%s", s_edited);
    if (s_backend_read (file, backend) == -1)
        rc = 0;
    else if (s_request_find (file, backend, &record) == 0) {
        snprintf (reason, sizeof reason, "%.*s", (int) record.note.size,
                  record.note.text);
        rc = 1;
    }
    else
        rc = s_replay_edited (dir, from, backend, file);
    s_unmap (&file);
    if (rc == 1 && renameat (dir, from, dir, to) == -1)
        rc = -1;
    if (rc == 1)
        each (name, reason);
    return rc;
}

//  What root makes must be the worker's, or the worker could not take it.
static void
s_give_to_owner (int dir, const char *name)
{
    struct stat status;
    if (geteuid () == 0 && fstat (dir, &status) == 0)
        fchownat (dir, name, status.st_uid, status.st_gid, 0);
}

int
spool_replay (const char *dir,
              void (*each) (const char *name, const char *reason))
{
    struct dirent **list = NULL;
    char path[SPOOL_NAME_MAX + 16];
    int i, count, error, rc = 0, moved = 0,
                         fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return -1;
    if (faccessat (fd, "lock", F_OK, 0) == -1
        || s_make_folder (fd, "replay") == -1) {
        close (fd);
        return -1;
    }
    s_give_to_owner (fd, "replay");
    fsync (fd);  //  their requests are gone for good
    count = s_list (fd, "rejected", &list);
    for (i = 0; i < count && rc != -1; i++)
        if (s_number_of (list[i]->d_name, "request") != -1
            && (rc = s_replay_one (fd, list[i]->d_name, each)) == 1) {
            snprintf (path, sizeof path, "replay/%.90s", list[i]->d_name);
            s_give_to_owner (fd, path);
            moved++;
        }
    error = errno;
    s_list_free (&list, count);
    s_sync_folder (fd, "replay");
    close (fd);
    errno = error;
    return rc == -1 ? -1 : moved;
}

//  Of flush 0, which always counts; and another name each time, since the rows
//  may be others.
static void
spool_replay_name (const spool_t *self, const char *old,
                   char name[SPOOL_NAME_MAX])
{
    static const char plain[] = "request-", zero[] = "request-0000000000-";
    const char *rest = strncmp (old, zero, strlen (zero)) == 0
                         ? old + strlen (zero)
                         : old + strlen (plain);
    const char *times = strrchr (rest, '-');
    size_t size = strlen (rest);
    unsigned before = 0;
    int end = 0;
    if (times && sscanf (times, "-r%9u%n", &before, &end) == 1 && !times[end])
        size = (size_t) (times - rest);
    else
        before = 0;
    do
        snprintf (name, SPOOL_NAME_MAX, "%s%.*s-r%u", zero,
                  (int) (size < 60 ? size : 60), rest, ++before);
    while (faccessat (self->fd, name, F_OK, 0) == 0);
}

void
spool_replayed (spool_t *self, const spool_reader_t *reader, void *argument)
{
    struct dirent **list = NULL;
    char from[SPOOL_NAME_MAX + 16], name[SPOOL_NAME_MAX];
    int i, count = s_list (self->fd, "replay", &list);
    for (i = 0; i < count; i++) {
        const char *old = list[i]->d_name;
        if (s_number_of (old, "request") == -1)
            continue;
        snprintf (from, sizeof from, "replay/%.90s", old);
        spool_replay_name (self, old, name);
        if (renameat (self->fd, from, self->fd, name) == 0) {
            self->rejected_bytes -= s_size_at (self->fd, name);
            spool_load_request (self, name, reader, argument);
        }
    }
    s_list_free (&list, count);
}
