/*  trim - what is too old, or too much, goes, a slice at a time

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TRIM_H
#define ZB_TRIM_H

#include "kept.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum { TRIM_PAGE = 8192 };  //  bytes of a page

//  All zero, or open. The writer's thread.
typedef struct {
    sqlite3_stmt *keep;
    sqlite3_stmt *oldest[LEVELS], *some[LEVELS], *erase[LEVELS];
    sqlite3_stmt *key, *forget;
    sqlite3_stmt *pages, *free_pages;
    bool dirty[LEVELS];     //  there may be chunks from before since_s
    unsigned char at[256];  //  the key that was looked at last,
    size_t at_size;         //  when all were,
    int64_t keys;           //  and how many there were so far,
    int64_t key_bytes;      //  and what they take, about
    int64_t keep_keys_s;    //  for how long they are kept
    int64_t keys_at_s;      //  when some are to be looked at
    bool hurry;  //  all are to be looked at, before points end for them:
    int64_t keys_fit_s;  //  until then they take their share, as was found
    int64_t check_at_s;  //  when to look for what is too old
    int64_t day_s;       //  when this day ends,
    int64_t idle_pages;  //  which has had so many free pages all the time:
    int64_t give_back;   //  these are given back to the file system
    int64_t said_s;      //  when it was said that there is too much
    int64_t used_pages;  //  of the database
    bool full;           //  nothing is to be written until there is less
} trim_t;

typedef struct store store_t;

//  Reads what is kept. Returns 0 or -1.
int trim_open (store_t *store);
void trim_close (trim_t *self);

//  Deletes some of what is to go. Returns whether there may be more.
bool trim_slice (store_t *store);

//  The clock was set back: all that is to be done at a time is due.
void trim_clock_back (trim_t *self);

//  Bytes of the database that are in use.
int64_t trim_bytes (const store_t *store);

#endif
