/*  flush - from a window to requests. The contract is in flush.h.

    Sections: requests, rows, the commit, the thread, the ingest side.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "flush.h"

#include "fault.h"
#include "row.h"
#include "tags.h"

#include <czmq.h>
#include <inttypes.h>
#include <math.h>

enum {
    REQUEST_BYTES = 512 * 1024,  //  a request ends here, whatever --batch
    STATE_BYTES = 64 * 1024,     //  of the ledger's state, handed over at once,
    STATE_BYTES_MAX = 4 * 1024 * 1024  //  and those that may wait for the disk
};

//  Lines of the ledger on their way to its file.
typedef struct state {
    struct state *next;
    size_t size, max;
    char text[];
} state_t;

//  --------------------------------------------------------------------------
//  Requests

//  A flush may have more requests than the folder may hold: then its own first
//  ones go, too.
static void
flush_make_room (flush_t *self)
{
    request_t *oldest;
    while (queue_reserve (self->queue, self->uncommitted_bytes) == -1
           && (oldest = self->uncommitted)->next) {
        self->uncommitted = oldest->next;
        self->uncommitted_bytes -= request_cost (oldest);
        queue_drop (self->queue, &oldest);
    }
}

//  Into a file until the flush counts. If that fails it stays in memory.
static void
flush_request_file (flush_t *self, request_t *request)
{
    request->filed =
      spool_request_add (self->spool, request->text, request->size,
                         request->rows, request->name)
      == 0;
    request_unload (request);
    *self->uncommitted_tail = request;
    self->uncommitted_tail = &request->next;
    self->uncommitted_bytes += request_cost (request);
    flush_make_room (self);
}

//  Writes what the ledger has handed over. Returns whether that is all.
static bool
flush_state_write (flush_t *self)
{
    state_t *state;
    bool whole;
    pthread_mutex_lock (&self->lock);
    state = self->first;
    whole = self->whole;
    self->first = NULL;
    self->last = &self->first;
    self->bytes = 0;
    pthread_mutex_unlock (&self->lock);
    while (state) {
        state_t *next = state->next;
        spool_state_add (self->spool, state->text, state->size);
        free (state);
        state = next;
    }
    return whole;
}

//  The request is whole: over to the sender, or with a spool into its file.
static void
flush_request_end (flush_t *self)
{
    request_t *request = self->request;
    self->request = NULL;
    if (request && self->spool) {
        flush_request_file (self, request);
        flush_state_write (self);
    }
    else if (request) {
        snprintf (request->name, sizeof request->name, "request-%" PRIu64,
                  ++self->requests);
        queue_put (self->queue, &request);
    }
}

//  --------------------------------------------------------------------------
//  Rows

//  Writes a row into the request being filled, which ends when it is full. Sums
//  may be beyond all numbers, though what they are of is not.
static void
flush_row (flush_t *self, const zb_row_t *row)
{
    self->text.size = 0;
    if (row_write (row, &self->text) == -1) {
        self->unwritten++;
        return;
    }
    if (!self->request)
        self->request = request_new ();
    request_add (self->request, self->text.text, self->text.size);
    if ((self->batch && self->request->rows == self->batch)
        || (self->backend->batch && self->request->size >= REQUEST_BYTES))
        flush_request_end (self);
}

//  Is there one already that rows would call the same? They would be two rows of
//  one name.
static bool
s_percentile_taken (const double *percentile, size_t count, double wanted)
{
    char name[32], other[32];
    snprintf (name, sizeof name, "%g", wanted);
    while (count) {
        snprintf (other, sizeof other, "%g", percentile[--count]);
        if (streq (name, other))
            return true;
    }
    return false;
}

const char *
flush_percentiles (flush_t *self, const char *list)
{
    static char wrong[96];
    char *end;
    while (*list) {
        double percentile = strtod (list, &end);
        if (end == list || (*end && *end != ',') || !(percentile > 0)
            || percentile >= 100 || self->percentiles == PERCENTILES_MAX) {
            snprintf (wrong, sizeof wrong,
                      "expected up to %d numbers between 0 and 100, separated "
                      "by commas",
                      PERCENTILES_MAX);
            return wrong;
        }
        if (s_percentile_taken (self->percentile, self->percentiles,
                                percentile)) {
            snprintf (wrong, sizeof wrong, "two would both be NAME.p%g",
                      percentile);
            return wrong;
        }
        self->percentile[self->percentiles++] = percentile;
        list = *end ? end + 1 : end;
    }
    if (self->backend->percentiles) {
        self->backend->percentiles (self->percentile, self->percentiles);
        self->percentiles = 0;
    }
    return NULL;
}

//  A percentile of a timer is a gauge. A name that is too long loses its end,
//  but not the suffix.
static void
flush_percentile (flush_t *self, const entry_t *timer, double percentile,
                  zb_row_t row)
{
    const samples_t *samples = timer->samples;
    double value = hist_quantile_ns (&samples->hist, percentile / 100);
    char name[LINE_NAME_MAX + 32], suffix[32];
    int length = snprintf (suffix, sizeof suffix, ".p%g", percentile);
    size_t size = tags_name_size (timer->text, timer->name_size);
    int most = LINE_LABEL_MAX - length;
    snprintf (name, sizeof name, "%.*s%s%s",
              (int) size < most ? (int) size : most, timer->text, suffix,
              timer->text + size);
    row.type = ZB_TYPE_GAUGE;
    row.name = name;
    row.count = 1;
    row.value = fmin (fmax (value, samples->min), samples->max) * 1e-9;
    row.sum = row.min = row.max = row.last = row.value;
    row.sum_squares = row.value * row.value;
    row.bucket_count = 0;
    row.total = NULL;
    //  a gauge may have the name, too
    if (seconds_take (&self->seconds, name, row.source,
                      row.time_ns / INT64_C (1000000000)))
        flush_row (self, &row);
    else
        self->unwritten++;
}

//  The rows of an entry: itself, and the percentiles of a timer.
static void
flush_entry (void *argument, const entry_t *entry)
{
    flush_t *self = (flush_t *) argument;
    zb_row_t row;
    size_t i;
    entry_row (entry, self->from, self->second, &row);
    if (self->totals && entry->type != ZB_TYPE_GAUGE
        && !totals_add (self->totals, entry, &row))
        return;
    flush_row (self, &row);
    for (i = 0; entry->type == ZB_TYPE_TIMER && i < self->percentiles; i++)
        flush_percentile (self, entry, self->percentile[i], row);
}

//  A series that rests.
static void
flush_rest (void *argument, const zb_row_t *row)
{
    flush_row ((flush_t *) argument, row);
}

static void
s_state_add (void *spool, const char *text, size_t size)
{
    spool_state_add ((spool_t *) spool, text, size);
}

//  All rows of the flush, which seconds they had, and what they add up to.
static void
flush_rows (flush_t *self)
{
    int64_t last = self->seconds.flush;
    self->from = last > self->began ? last : self->began;
    if (self->totals)
        totals_begin (self->totals, self->from, self->second, zclock_mono ());
    seconds_close (&self->seconds, &self->window, self->second, self->all,
                   flush_entry, self);
    if (self->totals)
        totals_rest (self->totals, flush_rest, self);
    flush_request_end (self);
    if (self->spool)
        seconds_save (&self->seconds, s_state_add, self->spool);
    if (self->spool && self->totals)
        totals_save (self->totals, spool_flush_is_whole (self->spool),
                     s_state_add, self->spool);
}

//  --------------------------------------------------------------------------
//  The commit

//  [NAME_FIRST] The flush counts from now on: its requests may be sent.
static void
flush_commit (flush_t *self)
{
    request_t *request;
    int rc = spool_commit (self->spool);
    self->uncommitted_bytes = 0;
    queue_reserve (self->queue, 0);
    while ((request = self->uncommitted)) {
        self->uncommitted = request->next;
        request->next = NULL;
        queue_put (self->queue, &request);
    }
    self->uncommitted_tail = &self->uncommitted;
    FAULT (released);
    if (rc == 0)
        queue_file (self->queue);
}

//  Writes the ledger's state until that is whole.
static void
flush_states (flush_t *self)
{
    while (!flush_state_write (self)) {
        pthread_mutex_lock (&self->lock);
        while (!self->first && !self->whole)
            pthread_cond_wait (&self->changed, &self->lock);
        pthread_mutex_unlock (&self->lock);
    }
}

//  A flush from beginning to end.
static void
flush_do (flush_t *self)
{
    if (self->spool)
        spool_flush_open (self->spool);
    flush_rows (self);
    if (self->spool) {
        flush_states (self);
        flush_commit (self);
    }
    pthread_mutex_lock (&self->lock);
    self->busy = false;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

//  --------------------------------------------------------------------------
//  The thread

static void
flush_look_now (flush_t *self)
{
    queue_log_trimmed (self->queue);
    if (self->spool)
        spool_replayed (self->spool, self->reader, self->reader_argument);
}

static void *
flush_run (void *argument)
{
    flush_t *self = (flush_t *) argument;
    bool busy, looking;
    do {
        pthread_mutex_lock (&self->lock);
        while (!self->busy && !self->looking && !self->closing)
            pthread_cond_wait (&self->changed, &self->lock);
        busy = self->busy;
        looking = self->looking;
        self->looking = false;
        pthread_mutex_unlock (&self->lock);
        if (looking)
            flush_look_now (self);
        if (busy)
            flush_do (self);
    } while (busy || looking);
    return NULL;
}

int
flush_start (flush_t *self)
{
    self->threaded = pthread_create (&self->thread, NULL, flush_run, self) == 0;
    return self->threaded ? 0 : -1;
}

flush_t *
flush_new (const zb_backend_t *backend, queue_t *queue)
{
    flush_t *self = (flush_t *) zmalloc (sizeof *self);
    assert (self);
    self->backend = backend;
    self->queue = queue;
    seconds_init (&self->seconds, backend);
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    self->last = &self->first;
    self->uncommitted_tail = &self->uncommitted;
    return self;
}

//  What is left of a flush that nobody has ended goes, too.
static void
flush_clear (flush_t *self)
{
    request_t *request;
    state_t *state;
    while ((request = self->uncommitted)) {
        self->uncommitted = request->next;
        request_destroy (&request);
    }
    while ((state = self->first)) {
        self->first = state->next;
        free (state);
    }
    free (self->state);
    request_destroy (&self->request);
    buffer_clear (&self->text);
    window_clear (&self->window);
    seconds_clear (&self->seconds);
    totals_destroy (&self->totals);
}

void
flush_destroy (flush_t **self_p)
{
    flush_t *self = *self_p;
    pthread_mutex_lock (&self->lock);
    self->closing = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    if (self->threaded)
        pthread_join (self->thread, NULL);
    flush_clear (self);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->changed);
    free (self);
    *self_p = NULL;
}

//  --------------------------------------------------------------------------
//  The ingest side

bool
flush_idle (flush_t *self)
{
    bool idle;
    pthread_mutex_lock (&self->lock);
    idle = !self->busy;
    pthread_mutex_unlock (&self->lock);
    return idle;
}

void
flush_look (flush_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->looking = self->threaded;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    if (!self->threaded)
        flush_look_now (self);
}

void
flush_wait (flush_t *self)
{
    pthread_mutex_lock (&self->lock);
    while (self->busy)
        pthread_cond_wait (&self->changed, &self->lock);
    pthread_mutex_unlock (&self->lock);
}

void
flush_begin (flush_t *self, window_t *window, int64_t second, bool all)
{
    self->window = *window;
    if (!window->first)
        self->window.last = &self->window.first;
    self->second = second;
    self->all = all;
    pthread_mutex_lock (&self->lock);
    self->busy = true;
    self->whole = false;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

//  Hands over what the ledger has said so far.
static void
flush_state_pass (flush_t *self, bool whole)
{
    pthread_mutex_lock (&self->lock);
    if (self->state) {
        *self->last = self->state;
        self->last = &self->state->next;
        self->bytes += self->state->size;
    }
    self->state = NULL;
    self->whole |= whole;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void
flush_state_add (void *argument, const char *text, size_t size)
{
    flush_t *self = (flush_t *) argument;
    if (self->state && self->state->size + size > self->state->max)
        flush_state_pass (self, false);
    if (!self->state) {
        size_t max = size > STATE_BYTES ? size : STATE_BYTES;
        self->state = (state_t *) malloc (sizeof *self->state + max);
        assert (self->state);
        *self->state = (state_t){.max = max};
    }
    memcpy (self->state->text + self->state->size, text, size);
    self->state->size += size;
}

bool
flush_has_room (flush_t *self)
{
    bool room;
    pthread_mutex_lock (&self->lock);
    room = self->bytes < STATE_BYTES_MAX || !self->threaded;
    pthread_mutex_unlock (&self->lock);
    return room;
}

void
flush_end (flush_t *self)
{
    flush_state_pass (self, true);
    if (!self->threaded)
        flush_do (self);
}
