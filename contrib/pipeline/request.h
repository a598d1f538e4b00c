/*  request - rows that are delivered together, in memory or in a spool's file

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_REQUEST_H
#define ZB_REQUEST_H

#include "blame.h"
#include "spool.h"

typedef struct request {
    struct request *next;
    char name[SPOOL_NAME_MAX];  //  of the file; the same for ever
    bool filed;                 //  it is in that file
    bool returned;              //  only the sender may have it, and next
    size_t rows, size, max;
    char *text;      //  the rows, each ended by '\n'; NULL: only in the file
    blame_t blame;   //  for what went wrong
    int64_t due_ms;  //  of zclock_mono: it waits aside until then
    char *reason;    //  why it waits there, or was refused; NULL: it was not
    bool last_try;   //  there is no other: the worker ends
    bool answered;   //  a helper was told what became of it,
    zb_outcome_t outcome;  //  this,
    char *at_fault;        //  and which rows are at fault, or NULL
} request_t;

//  Without rows. Caller owns the return value.
request_t *request_new (void);

void request_destroy (request_t **self_p);

//  Appends a row of so many bytes.
void request_add (request_t *self, const char *text, size_t size);

//  Bytes that it takes where it waits: a file takes whole blocks.
size_t request_cost (const request_t *self);

//  Has its rows in memory when this returns 0. Returns -1 if the file is bad.
int request_load (request_t *self, spool_t *spool);

//  Out of memory, if it is in its file.
void request_unload (request_t *self);

//  Into its file, and out of memory. If that fails it stays there.
void request_file (request_t *self, spool_t *spool);

//  Its first rows ('a') as a request of their own, or the others ('b'); if rows
//  have marks, those without ('a') or with ('b'). Caller owns the return value.
request_t *request_half (const request_t *self, char which, const char *marks);

#endif
