/*  queue - requests that wait. The contract is in queue.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "queue.h"

#include "../workers/zibrato_backend.h"

#include <czmq.h>
#include <inttypes.h>

//  Waiting is by the monotonic clock: a step of the wall clock must not stretch
//  a backoff.
queue_t *
queue_new (size_t bytes_max)
{
    queue_t *self = (queue_t *) zmalloc (sizeof *self);
    pthread_condattr_t attributes;
    assert (self);
    pthread_mutex_init (&self->lock, NULL);
    pthread_mutex_init (&self->trim_lock, NULL);
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (&self->changed, &attributes);
    pthread_condattr_destroy (&attributes);
    self->tail = &self->head;
    self->bytes_max = bytes_max;
    self->success_ms = zclock_mono ();
    return self;
}

request_t *
queue_pop (queue_t *self)
{
    request_t *request = self->head;
    if (request) {
        self->head = request->next;
        self->bytes -= request_cost (request);
        request->next = NULL;
        if (!self->head)
            self->tail = &self->head;
    }
    return request;
}

void
queue_destroy (queue_t **self_p)
{
    queue_t *self = *self_p;
    request_t *request;
    while ((request = queue_pop (self)))
        request_destroy (&request);
    pthread_mutex_destroy (&self->lock);
    pthread_mutex_destroy (&self->trim_lock);
    pthread_cond_destroy (&self->changed);
    free (self);
    *self_p = NULL;
}

void
queue_drop (queue_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    self->dropped_rows += request->rows;
    pthread_mutex_lock (&self->lock);
    self->trimmed_rows += request->rows;
    pthread_mutex_unlock (&self->lock);
    if (request->filed)
        spool_request_remove (self->spool, request->name);
    request_destroy (request_p);
}

//  Of what was refused, at most half of the room is kept. The caller does not
//  hold the lock.
static void
queue_trim_rejected (queue_t *self)
{
    size_t files;
    if (!self->spool)
        return;
    pthread_mutex_lock (&self->trim_lock);
    files = spool_rejected_trim (self->spool, (int64_t) self->bytes_max / 2);
    pthread_mutex_unlock (&self->trim_lock);
    pthread_mutex_lock (&self->lock);
    self->trimmed_files += files;
    pthread_mutex_unlock (&self->lock);
}

//  The oldest go when there is no room: takes them out. The caller holds the
//  lock, and gives them to queue_drop_all when it does not any more.
static request_t *
queue_trim (queue_t *self)
{
    request_t *oldest, *trimmed = NULL, **last = &trimmed;
    int64_t most = (int64_t) self->bytes_max;
    if (self->spool)
        most -= spool_bytes (self->spool) + (int64_t) self->reserved;
    while ((int64_t) self->bytes > most && self->head
           && (self->head->next || self->reserved)) {
        oldest = queue_pop (self);
        *last = oldest;
        last = &oldest->next;
    }
    return trimmed;
}

static void
queue_drop_all (queue_t *self, request_t *trimmed)
{
    while (trimmed) {
        request_t *next = trimmed->next;
        queue_drop (self, &trimmed);
        trimmed = next;
    }
}

void
queue_log_trimmed (queue_t *self)
{
    uint64_t rows, files;
    pthread_mutex_lock (&self->lock);
    rows = self->trimmed_rows;
    files = self->trimmed_files;
    self->trimmed_rows = self->trimmed_files = 0;
    pthread_mutex_unlock (&self->lock);
    if (rows)
        zb_log (LOG_ERR, "dropped",
                "rows=%" PRIu64
                " reason=\"the queue has its full --spool-max\"",
                rows);
    if (files)
        zb_log (LOG_WARNING, "dropped",
                "files=%" PRIu64
                " reason=\"rejected/ has its half of --spool-max\"",
                files);
}

int
queue_reserve (queue_t *self, size_t bytes)
{
    request_t *trimmed;
    int rc;
    queue_trim_rejected (self);
    pthread_mutex_lock (&self->lock);
    self->reserved = bytes;
    trimmed = queue_trim (self);
    rc = (int64_t) (self->bytes + bytes) + spool_bytes (self->spool)
             > (int64_t) self->bytes_max
           ? -1
           : 0;
    pthread_mutex_unlock (&self->lock);
    queue_drop_all (self, trimmed);
    return rc;
}

void
queue_put (queue_t *self, request_t **request_p)
{
    request_t *trimmed;
    queue_trim_rejected (self);
    pthread_mutex_lock (&self->lock);
    self->bytes += request_cost (*request_p);
    *self->tail = *request_p;
    self->tail = &(*request_p)->next;
    *request_p = NULL;
    trimmed = queue_trim (self);
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    queue_drop_all (self, trimmed);
}

void
queue_file (queue_t *self)
{
    request_t *request;
    bool any = false;
    pthread_mutex_lock (&self->lock);
    for (request = self->head; request; request = request->next)
        if (!request->filed) {
            self->bytes -= request_cost (request);
            request_file (request, self->spool);
            self->bytes += request_cost (request);
            any = true;
        }
    if (any)
        spool_requests_sync (self->spool);
    pthread_mutex_unlock (&self->lock);
}

void
queue_close (queue_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->closing = 1;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void
queue_pause (queue_t *self, int64_t ms)
{
    int64_t until = zclock_mono () + ms + 1;  //  which rounds down
    struct timespec deadline = {(time_t) (until / 1000),
                                (long) (until % 1000) * 1000000};
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    while (!self->closing && rc == 0)
        rc = pthread_cond_timedwait (&self->changed, &self->lock, &deadline);
    pthread_mutex_unlock (&self->lock);
}

request_t *
queue_take (queue_t *self)
{
    request_t *request;
    pthread_mutex_lock (&self->lock);
    self->busy = false;
    while (!self->head && !(self->closing && self->helping == 0))
        pthread_cond_wait (&self->changed, &self->lock);
    request = queue_pop (self);
    self->busy = request != NULL;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    return request;
}

request_t *
queue_help (queue_t *self)
{
    request_t *request;
    pthread_mutex_lock (&self->lock);
    while (self->head ? self->head->returned || !self->busy || self->troubled
                      : !self->closing)
        pthread_cond_wait (&self->changed, &self->lock);
    request = queue_pop (self);
    self->helping += request != NULL;
    pthread_mutex_unlock (&self->lock);
    return request;
}

void
queue_helped (queue_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    pthread_mutex_lock (&self->lock);
    self->helping--;
    if (request) {
        request->returned = true;
        request->next = self->head;
        if (!self->head)
            self->tail = &request->next;
        self->head = request;
        self->bytes += request_cost (request);
        *request_p = NULL;
    }
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void
queue_trouble (queue_t *self, bool troubled)
{
    pthread_mutex_lock (&self->lock);
    self->troubled = troubled;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}
