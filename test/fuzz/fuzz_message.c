/*  fuzz_message.c - whatever messages come, what a worker makes of them are
    rows that make sense, and of the same messages again, none; so does the next
    worker, with the ledger that the first one has saved

    A zero byte in the input ends a message; each message is followed by a
    flush.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=8192

#include "fuzz.h"

#include <cjson/cJSON.h>

static size_t s_rows;  //  but for those of the worker's own health

static int
s_is_label (const char *text)
{
    return line_label_ok (text, strlen (text));
}

//  The object that the backends send: complete, and the numbers are the row's.
static void
s_check_json (const zb_row_t *row)
{
    char *text = zb_row_json (row, 1);
    cJSON *json = cJSON_Parse (text);
    const cJSON *value = cJSON_GetObjectItem (json, "value");
    const cJSON *sum = cJSON_GetObjectItem (json, "sum");
    CHECK (json);
    CHECK (cJSON_IsString (cJSON_GetObjectItem (json, "name")));
    CHECK (cJSON_IsString (cJSON_GetObjectItem (json, "source")));
    CHECK (row->count > 1 ? !value && cJSON_IsNumber (sum)
                          : !sum && cJSON_IsNumber (value));
    CHECK ((value ? value : sum)->valuedouble
           == (value ? row->value : row->sum));
    cJSON_Delete (json);
    free (text);
}

static void
s_check_row (const zb_row_t *row)
{
    s_rows += strncmp (row->name, "zibrato.", 8) != 0;
    CHECK (s_is_label (row->name) && s_is_label (row->source));
    CHECK (isfinite (row->value) && isfinite (row->sum));
    CHECK (row->count >= 1 && row->time_ns >= 0);
    if (row->type == ZB_TYPE_TIMER)
        CHECK (row->min >= 0 && row->sum >= 0);
    if (row->type != ZB_TYPE_COUNTER) {
        CHECK (isfinite (row->min) && isfinite (row->max));
        CHECK (row->min <= row->max);
        CHECK (isfinite (row->sum_squares) && row->sum_squares >= 0);
    }
    s_check_json (row);
}

//  All rows of all requests can be read, and written again are the same.
static void
s_check_requests (queue_t *queue)
{
    request_t *request;
    while ((request = queue_pop (queue))) {
        rows_t rows = {.row = NULL};
        buffer_t again = {.text = NULL};
        size_t i;
        CHECK (rows_read (&rows, request->text, request->size, request->rows)
               == 0);
        for (i = 0; i < rows.count; i++) {
            s_check_row (&rows.row[i]);
            CHECK (row_write (&rows.row[i], &again) == 0);
            buffer_add (&again, "\n", 1);
        }
        CHECK (again.size == request->size
               && memcmp (again.text, request->text, again.size) == 0);
        buffer_clear (&again);
        rows_clear (&rows);
        request_destroy (&request);
    }
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "fuzz",
                                       .batch = 10,
                                       .wants = ZB_WANTS_SECONDS,
                                       .adds = 1};

static void
s_check_streams (const ledger_t *self)
{
    const stream_t *first[] = {self->live.oldest, self->ended.oldest}, *stream;
    uint64_t lost = self->lost_forgotten;
    size_t i;
    for (i = 0; i < 2; i++)
        for (stream = first[i]; stream; stream = stream->newer) {
            CHECK (stream->gauge_next - stream->gauge_floor
                   >= stream->gauge_taken);
            lost += stream_lost (stream);
        }
    CHECK (ledger_lost (self) == lost);
}

//  Takes all messages in. Returns how many rows they make.
static size_t
s_take (worker_t *worker, const char *text, size_t size)
{
    const char *end = text + size, *zero;
    s_rows = 0;
    do {
        zero = memchr (text, 0, (size_t) (end - text));
        ingest_message (&worker->ingest, text,
                        (size_t) ((zero ? zero : end) - text));
        worker_flush_all (worker);
        s_check_requests (worker->queue);
        s_check_streams (worker->ingest.ledger);
        text = zero ? zero + 1 : end;
    } while (text < end);
    return s_rows;
}

//  Are there lines that may count again? Events do. So does a reading that was
//  not, when a later line has said that it is this ledger's.
static int
s_may_count_again (const char *text, size_t size)
{
    const char *end = text + size, *next;
    int may = 0;
    zb_line_t line;
    for (; text < end; text = next + 1) {
        for (next = text; next < end && *next && *next != '\n'; next++) {
        }
        if (!line_parse (text, (size_t) (next - text), &line))
            may |= !line.id || (line.type == ZB_TYPE_GAUGE && line.sent_given);
    }
    return may;
}

//  Handler for ledger_save: hands each line to another ledger.
static void
s_restore (void *argument, const char *text, size_t size)
{
    CHECK (text[size - 1] == '\n');
    CHECK (ledger_restore (argument, text, size - 1) == 0);
}

static void
s_hand_over (ledger_t *from, ledger_t *to)
{
    ledger_save_begin (from, 1, s_restore, to);
    while (!ledger_save (from, 1)) {
    }
    CHECK (to->series.count == from->series.count);
    CHECK (to->streams.count == from->streams.count);
    CHECK (ledger_lost (to) == ledger_lost (from));
}

static void
fuzz (const char *text, size_t size)
{
    worker_t *first = worker_new (&s_backend);
    worker_t *second = worker_new (&s_backend);
    worker_t *third = worker_new (&s_backend);
    int again = s_may_count_again (text, size);
    uint64_t lost;
    s_take (first, text, size);
    lost = ledger_lost (first->ingest.ledger);
    s_hand_over (first->ingest.ledger, second->ingest.ledger);
    CHECK (s_take (second, text, size) == 0 || again);
    CHECK (s_take (first, text, size) == 0 || again);
    CHECK (ledger_lost (first->ingest.ledger) == lost || again);
    lost = ledger_lost (first->ingest.ledger);
    CHECK (ledger_lost (second->ingest.ledger) == lost);
    first->ingest.ledger->awake_ms += SILENT_MS;
    CHECK (ledger_clean (first->ingest.ledger, SIZE_MAX));
    CHECK (first->ingest.ledger->lost_forgotten == lost);
    CHECK (!first->ingest.ledger->streams.count
           && !first->ingest.ledger->series.count);
    CHECK (!first->ingest.ledger->dying && !first->ingest.ledger->dying_series);
    s_hand_over (first->ingest.ledger, third->ingest.ledger);
    CHECK (third->ingest.ledger->stubs.count
           == first->ingest.ledger->stubs.count);
    worker_destroy (&first);
    worker_destroy (&second);
    worker_destroy (&third);
}
