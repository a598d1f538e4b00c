/*  post - the rows of a request, until they are stored and it is answered

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_POST_H
#define ZB_POST_H

#include "sample.h"
#include "web.h"

enum { POST_ROWS_MAX = 10000 };

typedef struct post post_t;

//  Fills in the answer when the batch is stored, or refused. On the store's thread.
typedef void post_fn (post_t *self, web_request_t *request);

struct post {
    batch_t batch;  //  the first member
    web_request_t *request;
    cJSON *json;  //  texts of rows point into it
    store_row_t *row;
    size_t count, max;
    void *memory;    //  what else rows point to, in pieces
    char *at, *end;  //  what is left of the newest one
    post_fn *answer;
    //  The answer's, where part of a request may be refused
    cJSON *errors;
    size_t failed;
};

//  Caller owns the return value.
post_t *post_new (web_request_t *request);

//  Reads the body, a form or JSON, into a tree that goes with the post. Returns NULL if
//  it is neither, with the answer.
const cJSON *post_json (post_t *self);

//  Once, before that: cJSON's memory for such trees is the post's.
void post_begin (void);

//  For a request that is answered without the store. After post_store the post frees
//  itself.
void post_destroy (post_t **self_p);

//  Adds a row made of a sample, whose buckets it takes over. Without tags those of the
//  globals hold, which have been made.
void post_add (post_t *self, sample_t *sample, const sample_t *globals,
               const zb_tag_t *tags, size_t tag_count);

//  Memory that goes with the post.
void *post_keep (post_t *self, const void *bytes, size_t size);

//  Has the store take the rows, with the request's Idempotency-Key, and answers when
//  they are on disk. With `whole` one that is refused refuses all.
void post_store (post_t *self, bool whole, post_fn *answer);

//  The first row that was refused; NULL if there is none.
const store_row_t *post_refused (const post_t *self, row_result_t *why);

#endif
