/*  spool_start - what a start finds in a spool, and what is sent again

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  renameat

#include "spool_own.h"

#include "fault.h"
#include "log.h"

#include <czmq.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

//  --------------------------------------------------------------------------
//  Who may have the folder

void
spool_owner (const zb_backend_t *backend, char owner[FILE_OWNER_MAX])
{
    const char *naming = backend->naming ? backend->naming () : "";
    snprintf (owner, FILE_OWNER_MAX, "%s%s%.100s", backend->name,
              *naming ? " " : "", naming);
}

//  Is it a request that another backend has made, or one that names things
//  otherwise? Says whose it is.
static bool
spool_is_foreign (const spool_t *self, const char *path,
                  char owner[FILE_OWNER_MAX])
{
    span_t file, rest;
    bool foreign = false;
    if (file_map (self->fd, path, &file) == 0) {
        rest = file;
        foreign = file_head_read (&rest, "request", owner) == 0
                  && strcmp (owner, self->owner) != 0;
    }
    file_unmap (&file);
    return foreign;
}

const char *
spool_waits_for (const spool_t *self)
{
    static char owner[FILE_OWNER_MAX];
    struct dirent **list = NULL;
    int i, count = folder_list (self->fd, ".", &list);
    bool found = false;
    for (i = 0; i < count && !found; i++)
        found = file_number (list[i]->d_name, "request") >= 0
                && spool_is_foreign (self, list[i]->d_name, owner);
    folder_list_free (&list, count);
    return found ? owner : NULL;
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
    while (record_next (&rest, &record) == 1 && record.number <= committed)
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
    fd = file_create (self->fd, name, "ledger", self->owner);
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
    int rc = file_map (self->fd, name, &file);
    rest = file;
    if (rc == 0)
        rc = file_head_read (&rest, "ledger", NULL);
    if (rc == 0)
        rc = s_ledger_end (rest, self->committed, &good);
    if (rc == 0) {
        rest.size = (size_t) (good - rest.text);
        while (record_next (&rest, &record) == 1)
            s_lines (record.text, reader->state, argument);
        strcpy (self->ledger.name, name);
        self->ledger.fd =
          openat (self->fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);
        self->ledger.bytes = good - file.text;
        self->snapshot_bytes = self->ledger.bytes;
        if (self->ledger.fd != -1
            && ftruncate (self->ledger.fd, self->ledger.bytes) == -1)
            append_close (&self->ledger);
        self->ledger_bytes = file_blocks (self->ledger.bytes);
    }
    else
        spool_ledger_damaged (self, name);
    file_unmap (&file);
}

static void
spool_load_request (spool_t *self, const char *name,
                    const spool_reader_t *reader, void *argument)
{
    span_t file;
    record_t record;
    if (file_map (self->fd, name, &file) == 0
        && request_find (file, &record) == 0)
        reader->request (argument, name, record.number, record.text.size);
    else
        spool_set_aside (self, name, "not a whole request");
    file_unmap (&file);
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
    int rc = file_map (self->fd, name, &file);
    rest = file;
    if (rc == 0)
        rc = file_head_read (&rest, "journal", NULL);
    if (rc == -1 && file.size)
        spool_set_aside (self, name, "not a journal");
    else if (rc == 0) {
        while ((rc = record_next (&rest, &record)) == 1) {
            self->journal_size += record.text.size;
            reader->messages (argument, record.text.text, record.text.size,
                              s_came_ms (record.note));
        }
        if (rc == -1)
            zb_log (LOG_WARNING, "torn", "file=%s/%s bytes=%zu", self->dir,
                    name, rest.size);
        self->journals_bytes += file_blocks ((int64_t) file.size);
    }
    file_unmap (&file);
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
        else if (file_number (name, "ledger") >= 0) {
            if (found)
                unlinkat (self->fd, found, 0);
            found = name;
            self->committed = (uint64_t) file_number (name, "ledger");
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
        if (file_number (list[i]->d_name, "request") >= 0
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
        int64_t number = file_number (name, "request");
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
        int64_t number = file_number (list[i]->d_name, "journal");
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
    int i, count = folder_list (self->fd, "rejected", &list);
    bool removed = false;
    self->rejected_bytes = 0;
    for (i = 0; i < count; i++)
        if (file_number (list[i]->d_name, "request") != -1) {
            snprintf (path, sizeof path, "rejected/%.90s", list[i]->d_name);
            if (spool_has_request (self, list[i]->d_name))
                removed |= unlinkat (self->fd, path, 0) == 0;
            self->rejected_bytes += file_size (self->fd, path);
        }
    if (removed)
        folder_sync (self->fd, "rejected");
    folder_list_free (&list, count);
}

bool
spool_load (spool_t *self, const spool_reader_t *reader, void *argument)
{
    struct dirent **list = NULL;
    int count = folder_list (self->fd, ".", &list);
    const char *ledger = spool_find_ledger (self, list, count);
    if (ledger)
        spool_load_ledger (self, ledger, reader, argument);
    spool_number (self, (int64_t) self->committed);
    spool_load_requests (self, list, count, reader, argument);
    spool_load_journals (self, list, count, reader, argument);
    self->journal_first = self->committed + 1;
    folder_list_free (&list, count);
    spool_replayed (self, reader, argument);
    spool_load_rejected (self);
    append_open (&self->journal, self->fd, "journal", "", self->flush,
                 self->owner);
    spool_journal_ahead (self);
    return !ledger && !self->journal_size;
}

//  --------------------------------------------------------------------------
//  Replay: rejected/ ─▶ replay/ by hand, replay/ ─▶ requests by the worker

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
s_replay_edited (int dir, const char *path, const char *owner, span_t rest)
{
    append_t rows = {.fd = -1};
    uint64_t count = 0;
    int rc = 0;
    s_line_next (&rest);
    while (rest.size) {
        span_t row = s_line_next (&rest);
        if (row.size) {
            append_add (&rows, row.text, row.size);
            append_add (&rows, "\n", 1);
            count++;
        }
    }
    if (count) {
        rows.fd = file_create (dir, "replay/new", "request", owner);
        rc = rows.fd != -1
                 && append_write (&rows, count, s_edited, FAULT_COUNT) == 0
                 && fsync (rows.fd) == 0
                 && renameat (dir, "replay/new", dir, path) == 0
               ? 1
               : -1;
    }
    append_close (&rows);
    free (rows.text);
    return rc;
}

//  Moves one file, and says so. Returns 1, 0 if it has no rows or is no file that
//  can be read, -1 if it cannot be moved, or must not be read, like all others.
static int
s_replay_one (int dir, const char *name,
              void (*each) (const char *name, const char *reason))
{
    char from[SPOOL_NAME_MAX + 16], to[SPOOL_NAME_MAX + 16];
    char owner[FILE_OWNER_MAX];
    char reason[512];
    span_t file, rest;
    record_t record;
    int rc;
    snprintf (from, sizeof from, "rejected/%.90s", name);
    snprintf (to, sizeof to, "replay/%.90s", name);
    rc = file_map (dir, from, &file);
    if (rc == -1)
        return errno == EACCES ? -1 : 0;
    snprintf (reason, sizeof reason, "%s", s_edited);
    rest = file;
    if (file_head_read (&rest, "request", owner) == -1)
        rc = 0;
    else if (request_find (file, &record) == 0) {
        snprintf (reason, sizeof reason, "%.*s", (int) record.note.size,
                  record.note.text);
        rc = 1;
    }
    else
        rc = s_replay_edited (dir, from, owner, rest);
    file_unmap (&file);
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
        || folder_make (fd, "replay") == -1) {
        close (fd);
        return -1;
    }
    s_give_to_owner (fd, "replay");
    fsync (fd);  //  their requests are gone for good
    count = folder_list (fd, "rejected", &list);
    for (i = 0; i < count && rc != -1; i++)
        if (file_number (list[i]->d_name, "request") != -1
            && (rc = s_replay_one (fd, list[i]->d_name, each)) == 1) {
            snprintf (path, sizeof path, "replay/%.90s", list[i]->d_name);
            s_give_to_owner (fd, path);
            moved++;
        }
    error = errno;
    folder_list_free (&list, count);
    folder_sync (fd, "replay");
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
    char owner[FILE_OWNER_MAX];
    int i, count = folder_list (self->fd, "replay", &list);
    for (i = 0; i < count; i++) {
        const char *old = list[i]->d_name;
        snprintf (from, sizeof from, "replay/%.90s", old);
        if (file_number (old, "request") == -1
            || spool_is_foreign (self, from, owner))
            continue;
        spool_replay_name (self, old, name);
        if (renameat (self->fd, from, self->fd, name) == 0) {
            self->rejected_bytes -= file_size (self->fd, name);
            spool_load_request (self, name, reader, argument);
        }
    }
    folder_list_free (&list, count);
}
