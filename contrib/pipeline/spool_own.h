/*  spool_own - what spool.c and spool_start.c share, and nobody else's

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SPOOL_OWN_H
#define ZB_SPOOL_OWN_H

#include "spool_file.h"

#include <stdatomic.h>

struct spool {
    char *dir;
    char owner[FILE_OWNER_MAX];
    int64_t bytes_max;
    char id[17];
    int fd, lock;

    //  Ingest only
    append_t journal;  //  of this window
    bool journal_off;  //  could not be written
    size_t journal_size;
    int64_t journal_ms;  //  when the messages came that are to be written

    //  Handed over when a flush begins, and when it has ended
    uint64_t flush;  //  the window that is being filled; one less is written
    int journal_old_fd;     //  of that one, to be closed; or -1
    append_t journal_next;  //  of the one after, without a record
    bool snapshot;          //  what is being written becomes a new file

    //  The thread that does flushes only
    uint64_t committed;      //  the last one that counts
    size_t parts;            //  requests of the flush so far
    uint64_t journal_first;  //  the oldest one that may be there
    append_t ledger;
    bool broken;  //  part of this flush's state could not be written
    int64_t snapshot_bytes;

    //  Any thread
    _Atomic bool failed;   //  said, and not recovered from
    _Atomic bool trouble;  //  since the last flush
    _Atomic int64_t ledger_bytes, rejected_bytes;
    _Atomic int64_t journal_bytes, journals_bytes;  //  this one, older ones
};

//  Says once that the folder cannot be written to.
void spool_failed (spool_t *self, const char *name);

//  A file that is not what it should be, out of the way.
void spool_set_aside (spool_t *self, const char *name, const char *why);

//  Finds the one record of a request's file. Returns 0 or -1.
int request_find (span_t file, record_t *record);

//  Makes the file of the window that will follow this one. If it cannot be made
//  now, the first message of that window tries again.
void spool_journal_ahead (spool_t *self);

#endif
