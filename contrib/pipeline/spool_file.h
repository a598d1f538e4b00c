/*  spool_file - the files of a spool: names, records, and those that grow

    A file is "zibrato KIND VERSION OWNER", then records: "= SIZE CHECKSUM
    NUMBER NOTE", SIZE bytes, and '\n'. NUMBER is a flush's or how many rows
    there are. A journal's NOTE says when the messages came.

    Functions that return an int return -1 and set errno if the file system
    says no.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SPOOL_FILE_H
#define ZB_SPOOL_FILE_H

#include "spool.h"

#include <dirent.h>

enum {
    SPOOL_VERSION = 2,   //  of all files that are written,
    SPOOL_OLDEST = 1,    //  and of those that can be read: their rows are JSON
    FILE_HEAD_MAX = 256  //  bytes of what a file begins with
};

typedef struct {
    span_t text;
    uint64_t number;
    span_t note;
} record_t;

//  Appends a record. Returns the bytes written, -1 if not all were.
int64_t
record_write (int fd, span_t text, uint64_t number, const char *note, int torn);

//  Reads the next record and moves on. Returns 1, 0 at the end, -1 if what
//  follows is torn or garbled.
int record_next (span_t *rest, record_t *record);

//  What a file of this kind begins with. Returns its length.
size_t file_head (char *head, size_t size, const char *kind, const char *owner);

//  Makes a file. Returns the descriptor, with what a file of this kind begins
//  with written to it, or -1.
int
file_create (int dir, const char *name, const char *kind, const char *owner);

//  Maps a file. Returns -1 if it cannot be read; an empty one has no text.
int file_map (int dir, const char *name, span_t *file);

void file_unmap (span_t *file);

//  Steps over what a file of the kind begins with, or returns -1. Says who made
//  it, unless that is NULL.
int file_head_read (span_t *rest, const char *kind, char owner[FILE_OWNER_MAX]);

//  Names in a folder last from now on.
int folder_sync (int dir, const char *name);

//  Makes a folder, if it is not there.
int folder_make (int dir, const char *name);

//  What a file of so many bytes takes on disk.
int64_t file_blocks (int64_t bytes);

int64_t file_size (int dir, const char *name);

//  "journal-0000000008": its number, or -1 if the name is not of this kind.
//  Always ten digits, or the order of names would not be that of numbers; and
//  none of ours comes near to the length that has room here.
int64_t file_number (const char *name, const char *kind);

void file_name (char name[SPOOL_NAME_MAX], const char *kind, uint64_t number);

//  Names come sorted, so that the oldest is first.
int folder_list (int dir, const char *path, struct dirent ***list);

void folder_list_free (struct dirent ***list, int count);

//  A file that is being written at its end.
typedef struct {
    int fd;  //  -1: none
    char name[SPOOL_NAME_MAX];
    int64_t bytes;
    char *text;  //  not written yet
    size_t size, max;
} append_t;

int append_open (append_t *self, int dir, const char *kind, const char *suffix,
                 uint64_t number, const char *owner);

void append_add (append_t *self, const char *text, size_t size);

//  Writes what was added as one record.
int append_write (append_t *self, uint64_t number, const char *note, int torn);

void append_close (append_t *self);

#endif
