/*  fuzz_message.c - whatever messages come, what a worker makes of them are
    rows that make sense, and of the same messages again, none

    A zero byte in the input ends a message; each message is followed by a
    flush.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=8192

#include "fuzz.h"

#include <cjson/cJSON.h>

static size_t s_rows;     //  but for those of the worker's own health
static size_t s_classic;  //  lines without a stream

static int
s_is_label (const char *text)
{
    return *text && strlen (text) <= ZB_LABEL_MAX_ && zb_label_ok_ (text);
}

//  The object that the backends send: complete, and the numbers are the row's.
static void
s_check_json (const zb_row_t *row, const char *text, size_t size)
{
    cJSON *json = cJSON_ParseWithLength (text, size);
    const cJSON *value = cJSON_GetObjectItem (json, "value");
    const cJSON *sum = cJSON_GetObjectItem (json, "sum");
    CHECK (size == strlen (text) && json);
    CHECK (cJSON_IsString (cJSON_GetObjectItem (json, "name")));
    CHECK (cJSON_IsString (cJSON_GetObjectItem (json, "source")));
    CHECK (row->count > 1 ? !value && cJSON_IsNumber (sum)
                          : !sum && cJSON_IsNumber (value));
    CHECK ((value ? value : sum)->valuedouble
           == (value ? row->value : row->sum));
    cJSON_Delete (json);
}

static size_t
s_post (const zb_row_t *row, char *text, size_t size)
{
    size_t used = zb_row_json (row, "time", text, size);
    s_rows += strncmp (row->name, "zibrato.", 8) != 0;
    CHECK (s_is_label (row->name) && s_is_label (row->source));
    CHECK (isfinite (row->value) && isfinite (row->sum));
    CHECK (row->count >= 1 && row->time >= 0);
    if (row->type == ZB_TYPE_TIMER)
        CHECK (row->min >= 0 && row->sum >= 0);
    if (row->type != ZB_TYPE_COUNTER) {
        CHECK (isfinite (row->min) && isfinite (row->max));
        CHECK (row->min <= row->max);
        CHECK (isfinite (row->sum_squares) && row->sum_squares >= 0);
    }
    CHECK (used > 0 && used < size);
    s_check_json (row, text, used);
    return used;
}

static const zb_backend_t s_backend = {
  .abi = ZB_BACKEND_ABI, .name = "fuzz", .batch = 10, .post = s_post};

static worker_t *
s_worker_new (void)
{
    worker_t *self = (worker_t *) zmalloc (sizeof *self);
    self->backend = &s_backend;
    self->ledger = ledger_new ();
    self->queue = queue_new (SIZE_MAX);
    self->percentile[self->percentiles++] = 50;
    self->percentile[self->percentiles++] = 99.9;
    strcpy (self->source, "here");
    window_begin (&self->window);
    s_worker.batch = (int64_t) s_backend.batch;
    return self;
}

static void
s_worker_destroy (worker_t **self_p)
{
    worker_t *self = *self_p;
    table_clear (&self->window.entries);
    table_clear (&self->closing.entries);
    request_destroy (&self->request);
    queue_destroy (&self->queue);
    ledger_destroy (&self->ledger);
    free (self);
    *self_p = NULL;
}

static void
s_check_streams (const ledger_t *self)
{
    size_t i;
    for (i = 0; i < self->streams.size; i++) {
        const stream_t *stream = self->streams.place[i].item;
        if (stream)
            CHECK (stream->gauge_next - stream->gauge_floor
                   >= stream->gauge_taken);
    }
}

//  Takes all messages in. Each that has an idempotent line makes rows, or not.
static void
s_take (worker_t *worker, const char *text, size_t size)
{
    const char *end = text + size, *zero;
    do {
        zero = memchr (text, 0, (size_t) (end - text));
        worker_message (worker, text, (size_t) ((zero ? zero : end) - text));
        worker_flush (worker);
        while (!worker_encode (worker, INT64_MAX / 2)) {
        }
        CHECK (worker->closing.entries.count == 0 && !worker->request);
        s_check_streams (worker->ledger);
        text = zero ? zero + 1 : end;
    } while (text < end);
}

//  Are there lines that are events, not states, and so count each time?
static size_t
s_count_classic (const char *text, size_t size)
{
    const char *end = text + size, *next;
    size_t count = 0;
    zb_line_t line;
    for (; text < end; text = next + 1) {
        for (next = text; next < end && *next && *next != '\n'; next++) {
        }
        if (!line_parse (text, (size_t) (next - text), &line))
            count += !line.id;
    }
    return count;
}

static void
fuzz (const char *text, size_t size)
{
    worker_t *worker = s_worker_new ();
    uint64_t lost;
    s_take (worker, text, size);
    lost = ledger_lost (worker->ledger);
    s_classic = s_count_classic (text, size);
    s_rows = 0;
    s_take (worker, text, size);
    CHECK (s_classic || !s_rows);
    CHECK (ledger_lost (worker->ledger) == lost);
    CHECK (ledger_forget (worker->ledger, -1) == lost);
    CHECK (!worker->ledger->streams.count && !worker->ledger->series.count);
    s_worker_destroy (&worker);
}
