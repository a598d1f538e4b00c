/*  spool - the folder that makes a worker's crash harmless

        journal-0000000008       lines received since the last flush
        ledger-0000000007        what was accepted until flush 7, the last one
                                 that counts
        request-0000000007-0001  rows of flush 7 that wait for delivery; a and
                                 b behind it: halves of a refused request
        rejected/request-...     a row that the service refused, and why
        replay/request-...       one that is to be sent again
        damaged/...              what could not be read
        lock                     held by the worker; the folder's ID

    Names of rules in brackets, [SYNC_FIRST], are those of the model of the
    protocol, test/model/zibrato.pml, which shows what goes wrong without them.

    A flush becomes true in one step, the renaming of the ledger. Before it
    only files were written that a start throws away, since the journal has
    the same lines; after it the journal is of no use, and the requests may
    be sent. Each file begins with its kind and version; what follows are
    records with size and checksum. A journal is written but not synced: it
    survives the worker's death. What a host's death takes from it, the next
    reports of the publishers heal.

    When the disk is full or fails, the folder says so once and is emptied of
    ledger and journal, which would count twice what is now sent from memory.
    It tries again at each flush.

    The journal is the ingest thread's, a flush is done by another one, and some
    functions may be called by any; each says whose it is.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SPOOL_H
#define ZB_SPOOL_H

#include "line.h"

#include <stdbool.h>

typedef struct spool spool_t;

enum {
    SPOOL_NAME_MAX = 96,  //  bytes of a file's name, with its end
    FILE_OWNER_MAX = 192  //  and of who made it
};

//  What a start finds in the folder, handed over in this order: the ledger's
//  lines, then requests, then messages that were received after the last flush,
//  some at a time. came_ms is -1 if a journal of an older version has them.
typedef struct {
    void (*state) (void *argument, const char *line, size_t size);
    void (*request) (void *argument, const char *name, size_t rows,
                     size_t size);
    void (*messages) (void *argument, const char *text, size_t size,
                      int64_t came_ms);
} spool_reader_t;

//  Whose rows are in a folder: the backend's, with what it makes of names.
void spool_owner (const zb_backend_t *backend, char owner[FILE_OWNER_MAX]);

//  Opens the folder, makes it if it is not there, and takes the lock. The caller sees to it that the folder stays
//  below so many bytes; here only the ledger is kept short. Returns NULL, errno
//  set; EWOULDBLOCK: another worker has it. Caller owns the return value.
spool_t *spool_new (const char *dir, const char *owner, int64_t bytes_max);

//  The owner of rows that wait in the folder, if it is another one; or NULL. To be
//  called before spool_load. What is received is the same for all, but rows are
//  made for one.
const char *spool_waits_for (const spool_t *self);

//  Closes the files and gives the lock back.
void spool_destroy (spool_t **self_p);

//  Hands over what is in the folder, and throws away what a crash left undone.
//  Returns true if there was nothing: then the ledger is to be saved at once,
//  since when it began must be known after a crash.
bool spool_load (spool_t *self, const spool_reader_t *reader, void *argument);

//  --------------------------------------------------------------------------
//  The journal: ingest thread

//  Takes note of a message and of when it came, which is kept as it is given, the
//  same for all of one write. It is in the file after spool_journal_write.
void
spool_journal (spool_t *self, const char *text, size_t size, int64_t came_ms);

//  [JOURNAL_FIRST] To be called before the next messages are received, and before
//  anything that has been counted leaves the worker.
void spool_journal_write (spool_t *self);

//  Bytes that were received since the last flush.
size_t spool_journal_size (const spool_t *self);

//  The window is closed: what is received from now on belongs to the next one.
//  Returns whether the ledger has to be saved as a whole, which the caller may
//  ask for; if not, it is enough to save what has changed. To be called when no
//  flush is under way; waits for no disk.
bool spool_flush_begin (spool_t *self, bool whole);

//  --------------------------------------------------------------------------
//  A flush: open, requests, state, commit. The thread that does flushes

//  Opens the files of the flush that has begun.
void spool_flush_open (spool_t *self);

//  Has all of the state to be saved?
bool spool_flush_is_whole (const spool_t *self);

//  Writes a request's rows, each ended by '\n', to a file of the flush. name
//  becomes the file's. Returns -1 if that failed: keep it in memory.
int spool_request_add (spool_t *self, const char *text, size_t size,
                       size_t rows, char name[SPOOL_NAME_MAX]);

//  Adds lines to the ledger's new state.
void spool_state_add (spool_t *self, const char *text, size_t size);

//  Makes the flush count: requests and state together, the journal no more; and
//  the file of the next journal, so that ingest need not. Returns -1 if that failed; then the folder has no state any more, and
//  requests count all the same.
int spool_commit (spool_t *self);

//  --------------------------------------------------------------------------
//  Requests: these may be called by any thread

//  Returns the rows, each ended by '\n'. NULL if the file is no such thing: it
//  has been set aside. Caller owns the return value.
char *spool_request_read (spool_t *self, const char *name, size_t *size);

//  Writes rows to the file of that name. They are on disk when this returns,
//  the name is after spool_requests_sync. Returns 0 or -1.
int spool_request_write (spool_t *self, const char *name, const char *text,
                         size_t size, size_t rows);

//  To be called before that is removed which files were written in place of.
//  Returns 0 or -1.
int spool_requests_sync (spool_t *self);

//  It was delivered, or has become two, or there is no room for it.
void spool_request_remove (spool_t *self, const char *name);

//  Sets a refused request aside, with the reason.
void spool_reject (spool_t *self, const char *name, const char *text,
                   size_t size, size_t rows, const char *reason);

//  Removes the oldest refused requests beyond so many bytes. Returns how many.
size_t spool_rejected_trim (spool_t *self, int64_t most);

//  Bytes on disk but for the requests that wait, and for the ledger.
int64_t spool_bytes (const spool_t *self);

//  Bytes on disk of the ledger, which has a bound of its own: it must not push
//  rows out.
int64_t spool_ledger_bytes (const spool_t *self);

//  Hexadecimal, the same for all the folder's life.
const char *spool_id (const spool_t *self);

//  --------------------------------------------------------------------------
//  Without a worker

//  Makes requests of what was refused, edited or not, for the worker that has
//  the folder, or will have it. Calls each for each. Returns how many, -1
//  with errno set if the folder cannot be read, or a file not be moved.
int spool_replay (const char *dir,
                  void (*each) (const char *name, const char *reason));

//  Requests that spool_replay has made since the last time. The thread that
//  does flushes.
void
spool_replayed (spool_t *self, const spool_reader_t *reader, void *argument);

#endif
