/*  post - the rows of a request, until they are stored. The contract is in post.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "post.h"

#include "table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  Memory that goes with the post, and at once: cJSON asks for some of it for each name
//  and each value, and to free all that takes longer than to read it.

enum { PIECE_BYTES = 64 * 1024, ALIGNED = 16 };

typedef struct piece {
    struct piece *next;
    char padding[ALIGNED - sizeof (struct piece *)];
} piece_t;

static void *
post_room (post_t *self, size_t size)
{
    void *room;
    size = (size + ALIGNED - 1) / ALIGNED * ALIGNED;
    if (size > (size_t) (self->end - self->at)) {
        size_t most = size > PIECE_BYTES ? size : PIECE_BYTES;
        piece_t *piece = (piece_t *) malloc (sizeof *piece + most);
        assert (piece);
        piece->next = (piece_t *) self->memory;
        self->memory = piece;
        self->at = (char *) (piece + 1);
        self->end = self->at + most;
    }
    room = self->at;
    self->at += size;
    return room;
}

void *
post_keep (post_t *self, const void *bytes, size_t size)
{
    return memcpy (post_room (self, size), bytes, size);
}

//  Whose tree this thread reads just now. Only then is cJSON's memory the post's, and
//  nothing of it is freed one by one.
static _Thread_local post_t *s_reads;

static void *
s_malloc (size_t size)
{
    return s_reads ? post_room (s_reads, size) : malloc (size);
}

static void
s_free (void *memory)
{
    if (!s_reads)
        free (memory);
}

void
post_begin (void)
{
    cJSON_InitHooks (&(cJSON_Hooks){s_malloc, s_free});
}

const cJSON *
post_json (post_t *self)
{
    const web_request_t *request = self->request;
    const cJSON *json;
    if (web_is_type (request, "application/x-www-form-urlencoded")
        || !request->body_size)
        return self->json = web_json (self->request);
    s_reads = self;
    json = web_parse (request);
    s_reads = NULL;
    if (!json)
        web_error (self->request, 400, NULL, "Unable to parse the body");
    return json;
}

//  --------------------------------------------------------------------------

post_t *
post_new (web_request_t *request)
{
    post_t *self = (post_t *) calloc (1, sizeof *self);
    assert (self);
    self->request = request;
    return self;
}

void
post_destroy (post_t **self_p)
{
    post_t *self = *self_p;
    piece_t *piece = (piece_t *) self->memory;
    while (piece) {
        piece_t *next = piece->next;
        free (piece);
        piece = next;
    }
    for (size_t i = 0; i < self->count; i++)
        free ((void *) (uintptr_t) self->row[i].point.buckets);
    free (self->row);
    free (self->batch.refused);
    cJSON_Delete (self->json);
    cJSON_Delete (self->errors);
    free (self);
    *self_p = NULL;
}

void
post_add (post_t *self, sample_t *sample, const sample_t *globals,
          const zb_tag_t *tags, size_t tag_count)
{
    store_row_t *row;
    if (self->count == self->max) {
        self->max = self->max ? 2 * self->max : 64;
        self->row =
          (store_row_t *) realloc (self->row, self->max * sizeof *self->row);
        assert (self->row);
    }
    row = &self->row[self->count++];
    *row = (store_row_t){
      .name = sample->name,
      .source = sample->source ? sample->source : globals->source,
      .tags = tags,
      .tag_count = tag_count,
      .type = sample->type,
      .posted = true,
      .period_s = sample->period_s ? sample->period_s : globals->period_s,
      .point = sample->point};
    if (!sample->timed)
        row->point.time_s = globals->point.time_s;
}

//  Handler for batch_t, on the store's thread.
static void
post_done (batch_t *batch)
{
    post_t *self = (post_t *) batch;
    web_request_t *request = self->request;
    switch (batch->result) {
        case BATCH_STORED:
        case BATCH_REPEATED:
        case BATCH_REFUSED:
            self->answer (self, request);
            break;
        case BATCH_CONFLICT:
            web_error (request, 422, NULL,
                       "This Idempotency-Key came with another body before");
            break;
        case BATCH_FAILED:
            web_error (request, 503, NULL,
                       "Nothing was stored: the disk is full, or cannot be "
                       "written to. Try again later");
            break;
    }
    post_destroy (&self);
    web_answer (request);
}

//  The request's key, without the quotes that it may have.
static void
post_key (post_t *self)
{
    const web_request_t *request = self->request;
    const char *key = web_header (request, "Idempotency-Key");
    size_t size = key ? strlen (key) : 0;
    if (size > 2 && key[0] == '"' && key[size - 1] == '"') {
        key++;
        size -= 2;
    }
    if (!size)
        return;
    self->batch.key = post_keep (self, key, size > 255 ? 255 : size);
    self->batch.key_size = size > 255 ? 255 : size;
    self->batch.digest = table_digest (0, request->body, request->body_size);
}

void
post_store (post_t *self, bool whole, post_fn *answer)
{
    web_request_t *request = self->request;
    self->answer = answer;
    self->batch.rows = self->row;
    self->batch.count = self->count;
    self->batch.whole = whole;
    self->batch.done = post_done;
    self->batch.refused = (unsigned char *) calloc (self->count + 1, 1);
    assert (self->batch.refused);
    post_key (self);
    web_later (request);
    if (store_submit (request->store, &self->batch) == 0)
        return;
    web_error (request, 503, NULL, "Too much waits to be stored");
    post_destroy (&self);
    web_answer (request);
}

const store_row_t *
post_refused (const post_t *self, row_result_t *why)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->batch.refused[i] != ROW_TAKEN) {
            *why = (row_result_t) self->batch.refused[i];
            return &self->row[i];
        }
    return NULL;
}
