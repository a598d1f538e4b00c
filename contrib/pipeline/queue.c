/*  queue - requests that wait. The contract is in queue.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "queue.h"

#include "zibrato_backend.h"

#include <czmq.h>
#include <inttypes.h>

//  Of so many requests one may be from aside while others wait.
enum { ASIDE_SHARE = 4 };

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

static request_t *
queue_pop_aside (queue_t *self)
{
    request_t *request = self->aside;
    if (request) {
        self->aside = request->next;
        self->bytes -= request_cost (request);
        request->next = NULL;
    }
    return request;
}

void
queue_destroy (queue_t **self_p)
{
    queue_t *self = *self_p;
    request_t *request;
    while ((request = queue_pop (self)) || (request = queue_pop_aside (self)))
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

//  What has waited aside for longest and in vain, else the oldest. Returns NULL
//  if there is none to spare. The caller holds the lock.
static request_t *
queue_pop_spare (queue_t *self)
{
    request_t **last = &self->aside, *request;
    while (*last && (*last)->next)
        last = &(*last)->next;
    request = *last;
    if (!request)
        return self->head && (self->head->next || self->reserved)
                 ? queue_pop (self)
                 : NULL;
    *last = NULL;
    self->bytes -= request_cost (request);
    return request;
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
    while ((int64_t) self->bytes > most && (oldest = queue_pop_spare (self))) {
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

//  Writes those of a list that are in memory. Returns whether there were any.
//  The caller holds the lock.
static bool
queue_file_list (queue_t *self, request_t *request)
{
    bool any = false;
    for (; request; request = request->next)
        if (!request->filed) {
            self->bytes -= request_cost (request);
            request_file (request, self->spool);
            self->bytes += request_cost (request);
            any = true;
        }
    return any;
}

void
queue_file (queue_t *self)
{
    bool any;
    pthread_mutex_lock (&self->lock);
    any = queue_file_list (self, self->head);
    any |= queue_file_list (self, self->aside);
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

//  Until a time of zclock_mono, or something has changed. Returns ETIMEDOUT in
//  the first case. The caller holds the lock.
static int
queue_wait (queue_t *self, int64_t until_ms)
{
    struct timespec deadline = {(time_t) (until_ms / 1000),
                                (long) (until_ms % 1000) * 1000000};
    return pthread_cond_timedwait (&self->changed, &self->lock, &deadline);
}

void
queue_pause (queue_t *self, int64_t ms)
{
    int64_t until = zclock_mono () + ms + 1;  //  which rounds down
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    while (!self->closing && !self->hurry && rc == 0)
        rc = queue_wait (self, until);
    self->hurry = false;
    pthread_mutex_unlock (&self->lock);
}

void
queue_hurry (queue_t *self)
{
    request_t *request;
    pthread_mutex_lock (&self->lock);
    self->hurry = self->troubled;
    self->aside_ms = 0;
    for (request = self->aside; request; request = request->next)
        request->due_ms = 0;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

//  When the first of those aside may be taken. The caller holds the lock.
static int64_t
queue_due (const queue_t *self)
{
    return self->aside->due_ms > self->aside_ms ? self->aside->due_ms
                                                : self->aside_ms;
}

//  The request whose turn it is, or NULL. The caller holds the lock.
static request_t *
queue_next (queue_t *self)
{
    bool due =
      self->aside && (self->closing || queue_due (self) <= zclock_mono ());
    if (due && (!self->head || self->turns >= ASIDE_SHARE - 1)
        && !(self->head && self->head->returned)) {
        self->turns = 0;
        return queue_pop_aside (self);
    }
    self->turns += self->head != NULL;
    return queue_pop (self);
}

request_t *
queue_take (queue_t *self)
{
    request_t *request;
    pthread_mutex_lock (&self->lock);
    self->busy = false;
    while (!(request = queue_next (self))
           && !(self->closing && self->helping == 0)) {
        if (self->aside && !self->closing)
            queue_wait (self, queue_due (self) + 1);
        else
            pthread_cond_wait (&self->changed, &self->lock);
    }
    if (request)
        request->returned = false;
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
    self->turns += request != NULL;
    pthread_mutex_unlock (&self->lock);
    return request;
}

//  The caller holds the lock.
static void
queue_push (queue_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    request->returned = true;
    request->next = self->head;
    if (!self->head)
        self->tail = &request->next;
    self->head = request;
    self->bytes += request_cost (request);
    *request_p = NULL;
}

void
queue_helped (queue_t *self, request_t **request_p)
{
    pthread_mutex_lock (&self->lock);
    self->helping--;
    if (*request_p)
        queue_push (self, request_p);
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void
queue_return (queue_t *self, request_t **request_p)
{
    pthread_mutex_lock (&self->lock);
    queue_push (self, request_p);
    pthread_mutex_unlock (&self->lock);
}

void
queue_aside (queue_t *self, request_t **request_p, int64_t due_ms)
{
    request_t **at = &self->aside, *request = *request_p;
    pthread_mutex_lock (&self->lock);
    while (*at && (*at)->due_ms <= due_ms)
        at = &(*at)->next;
    request->due_ms = due_ms;
    request->next = *at;
    *at = request;
    *request_p = NULL;
    self->bytes += request_cost (request);
    pthread_mutex_unlock (&self->lock);
}

void
queue_rest_aside (queue_t *self, int64_t until_ms)
{
    pthread_mutex_lock (&self->lock);
    if (until_ms > self->aside_ms)
        self->aside_ms = until_ms;
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
