/*  spool - journal, ledger and requests in a folder. The contract is in
    spool.h.

    Sections: the folder, journal, flush, requests.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  scandirat, renameat

#include "spool_own.h"

#include "claim.h"
#include "fault.h"
#include "log.h"

#include <czmq.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOCK_MS = 1000,              //  the last worker may take to free its memory
    JOURNAL_BATCH = 256 * 1024,  //  bytes written in one go
    STATE_BATCH = 256 * 1024,
#ifdef ZIBRATO_FAULTS
    SNAPSHOT_LEAST = 256,  //  so that a test sees it happen
#else
    SNAPSHOT_LEAST = 1024 * 1024,  //  bytes of changes, then all anew
#endif
    SNAPSHOT_RATIO = 3,  //  or so many times the last snapshot
    SNAPSHOT_SHARE = 8,  //  or this part of what the folder may hold
    SLOW_MS = 1000       //  a disk that takes longer is said
};

//  --------------------------------------------------------------------------
//  The folder

void
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

//  What was written to a file, or the names in a folder, last from now on. Says if
//  that took long: all that waits for it is late, a start as well.
static int
spool_sync (const spool_t *self, int fd, int (*sync) (int fd))
{
    int64_t began_ms = zclock_mono (), ms;
    int rc = sync (fd);
    ms = zclock_mono () - began_ms;
    if (ms >= SLOW_MS)
        zb_log (LOG_WARNING, "slow_disk", "dir=%s seconds=%" PRId64, self->dir,
                ms / 1000);
    return rc;
}

void
spool_set_aside (spool_t *self, const char *name, const char *why)
{
    char path[SPOOL_NAME_MAX + 16];
    folder_make (self->fd, "damaged");
    snprintf (path, sizeof path, "damaged/%s", name);
    zb_log (LOG_ERR, "damaged", "file=%s/%s reason=\"%s\" moved_to=damaged/",
            self->dir, name, why);
    if (renameat (self->fd, name, self->fd, path) == -1)
        unlinkat (self->fd, name, 0);
}

static bool
spool_has_ledger (const spool_t *self)
{
    struct dirent **list = NULL;
    int i, count = folder_list (self->fd, ".", &list);
    bool found = false;
    for (i = 0; i < count; i++)
        found |= file_number (list[i]->d_name, "ledger") != -1;
    folder_list_free (&list, count);
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
    size = snprintf (text, sizeof text, "zibrato spool %d %s\n", SPOOL_VERSION,
                     self->id);
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
    if (self->lock == -1 || claim (self->lock, self->dir, LOCK_MS) == -1
        || read (self->lock, text, sizeof text - 1) < 0)
        return -1;
    return sscanf (text, "zibrato spool %*d %16[0-9a-f]", self->id) == 1
               && strlen (self->id) == sizeof self->id - 1
               && spool_has_ledger (self)
             ? 0
             : spool_identify (self);
}

spool_t *
spool_new (const char *dir, const char *owner, int64_t bytes_max)
{
    spool_t *self = (spool_t *) zmalloc (sizeof *self);
    bool made = mkdir (dir, 0700) == 0;
    int rc = !made && errno != EEXIST ? -1 : 0;
    self->dir = strdup (dir);
    snprintf (self->owner, sizeof self->owner, "%s", owner);
    self->bytes_max = bytes_max;
    self->fd = self->lock = self->journal.fd = self->ledger.fd = -1;
    self->journal_old_fd = self->journal_next.fd = -1;
    if (rc == 0)
        rc = self->fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc != -1 && made)
        folder_sync (self->fd, "..");
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
spool_unused (const spool_t *self, const append_t *journal)
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
//  Journal

//  Makes the file if it is not there. A flush may wait for a slow disk for so long
//  that journals would fill what the folder may hold. Returns 0 or -1.
static int
spool_journal_append (spool_t *self)
{
    append_t *journal = &self->journal;
    char came[32];
    snprintf (came, sizeof came, "at=%" PRId64, self->journal_ms);
    if (self->journals_bytes + journal->bytes + (int64_t) journal->size
        > self->bytes_max) {
        errno = EDQUOT;
        return -1;
    }
    if (journal->fd == -1
        && append_open (journal, self->fd, "journal", "", self->flush,
                        self->owner)
             == -1)
        return -1;
    return append_write (journal, self->flush, came, FAULT_journal_torn) == -1
             ? -1
             : 0;
}

void
spool_journal_write (spool_t *self)
{
    append_t *journal = &self->journal;
    if (!journal->size)
        return;
    if (self->journal_off) {
        journal->size = 0;
        return;
    }
    FAULT (journal_before);
    if (spool_journal_append (self) == -1) {
        spool_failed (self, journal->name);
        self->journal_off = true;
        journal->size = 0;
    }
    self->journal_bytes = file_blocks (journal->bytes);
    FAULT (journal_after);
}

void
spool_journal (spool_t *self, const char *text, size_t size, int64_t came_ms)
{
    self->journal_ms = came_ms;
    append_add (&self->journal, text, size);
    if (!size || text[size - 1] != '\n')
        append_add (&self->journal, "\n", 1);
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

void
spool_journal_ahead (spool_t *self)
{
    if (self->journal_next.fd == -1)
        append_open (&self->journal_next, self->fd, "journal", "",
                     self->flush + 1, self->owner);
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
        append_close (&self->ledger);
        self->broken = append_open (&self->ledger, self->fd, "ledger", ".new",
                                    self->flush - 1, self->owner)
                       == -1;
    }
}

bool
spool_flush_is_whole (const spool_t *self)
{
    return self->snapshot;
}

//  Writes the file of a request, and what it has is on disk; or there is none.
static int
spool_file (spool_t *self, const char *name, span_t text, uint64_t rows,
            const char *note)
{
    int fd = file_create (self->fd, name, "request", self->owner);
    int rc = -1;
    if (fd != -1) {
        rc = record_write (fd, text, rows, note, FAULT_request_torn) == -1
               ? -1
               : spool_sync (self, fd, fdatasync);
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
    return spool_sync (self, self->fd, fsync);
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
    append_add (&self->ledger, text, size);
    if (self->ledger.size < STATE_BATCH)
        return;
    if (self->broken)
        self->ledger.size = 0;
    else
        self->broken =
          append_write (&self->ledger, self->flush - 1, "", FAULT_ledger_torn)
          == -1;
}

//  The new ledger gets its name, which says what counts, and that lasts. If it does not,
//  it has its old name again.
static int
spool_ledger_name (spool_t *self)
{
    char name[SPOOL_NAME_MAX], old[SPOOL_NAME_MAX];
    file_name (name, "ledger", self->flush - 1);
    file_name (old, "ledger", self->committed);
    if (self->snapshot) {
        FAULT (snapshot_written);
    }
    if (renameat (self->fd, self->ledger.name, self->fd, name) == -1)
        return -1;
    if (spool_sync (self, self->fd, fsync) == -1) {
        renameat (self->fd, name, self->fd, self->ledger.name);
        return -1;
    }
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
        file_name (name, "journal", self->journal_first);
        unlinkat (self->fd, name, 0);
    }
    self->journals_bytes = 0;
}

//  There is no state that goes with what is sent from now on: an empty ledger
//  of this flush says so. None of these steps needs room.
static void
spool_forsake (spool_t *self)
{
    char name[SPOOL_NAME_MAX], old[SPOOL_NAME_MAX];
    char head[FILE_HEAD_MAX];
    size_t size = file_head (head, sizeof head, "ledger", self->owner);
    int fd;
    spool_failed (self, self->ledger.name);
    if (self->snapshot)
        unlinkat (self->fd, self->ledger.name, 0);
    append_close (&self->ledger);
    self->ledger.size = 0;
    file_name (name, "ledger", self->flush - 1);
    file_name (old, "ledger", self->committed);
    fd = openat (self->fd, old, O_WRONLY | O_CLOEXEC);
    if (fd != -1) {
        if (ftruncate (fd, (off_t) size) == -1)
            unlinkat (self->fd, old, 0);
        fsync (fd);
        close (fd);
        renameat (self->fd, old, self->fd, name);
    }
    fsync (self->fd);
    self->ledger_bytes = file_blocks ((int64_t) size);
}

int
spool_commit (spool_t *self)
{
    //  [SYNC_FIRST] What the name makes count is on disk before it
    int rc = self->broken ? -1 : spool_requests_sync (self);
    FAULT (requests_synced);
    if (rc == 0)
        rc = append_write (&self->ledger, self->flush - 1, "end",
                           FAULT_ledger_torn);
    if (rc == 0)
        rc = spool_sync (self, self->ledger.fd, fdatasync);
    FAULT (ledger_written);
    if (rc == 0)
        rc = spool_ledger_name (self);
    if (rc == -1)
        spool_forsake (self);
    else
        self->ledger_bytes = file_blocks (self->ledger.bytes);
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

int
request_find (span_t file, record_t *record)
{
    return file_head_read (&file, "request", NULL) == 0
               && record_next (&file, record) == 1 && file.size == 0
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
    if (file_map (self->fd, name, &file) == 0
        && request_find (file, &record) == 0) {
        text = (char *) zmalloc (record.text.size + 1);
        memcpy (text, record.text.text, record.text.size);
        *size = record.text.size;
    }
    else
        spool_set_aside (self, name, "not a whole request");
    file_unmap (&file);
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
    folder_make (self->fd, "rejected");
    snprintf (path, sizeof path, "rejected/%s", name);
    FAULT (reject_before);
    //  a replay may come at any time, and would take half a file for an edited
    if (spool_file (self, "rejected/new", (span_t){text, size}, rows, note)
          == -1
        || renameat (self->fd, "rejected/new", self->fd, path) == -1
        || folder_sync (self->fd, "rejected") == -1)
        zb_log (LOG_ERR, "reject_failed", "file=%s reason=\"%s\"", path,
                strerror (errno));
    self->rejected_bytes += file_size (self->fd, path);
    FAULT (reject_after);
}

//  By age, as names are, but for what was replayed (of flush 0): that was mended
//  lately, and is of more value than any other.
static int
s_compare_rejected (const struct dirent **a, const struct dirent **b)
{
    int replayed_a = file_number ((*a)->d_name, "request") == 0;
    int replayed_b = file_number ((*b)->d_name, "request") == 0;
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
        if (file_number (list[i]->d_name, "request") != -1) {
            snprintf (path, sizeof path, "rejected/%.90s", list[i]->d_name);
            self->rejected_bytes -= file_size (self->fd, path);
            unlinkat (self->fd, path, 0);
            removed++;
        }
    folder_list_free (&list, count);
    return removed;
}
