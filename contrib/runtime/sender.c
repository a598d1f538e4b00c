/*  sender - delivers requests. The contract is in sender.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sender.h"

#include "../workers/zibrato_backend.h"

#include "fault.h"

#include <czmq.h>
#include <inttypes.h>
#include <unistd.h>

enum {
    RETRY_FIRST_MS = 500,
    RETRY_MOST_MS = 60000,
    RETRY_ASKED_MOST_MS = 3600000,  //  what a Retry-After may ask
    HOLD_MS = 60000,
    REJECTED_LOGGED = 20,  //  one by one; the rest are counted
    HELPERS_MAX = 63
};

//  Milliseconds to the next try: doubled each time, with jitter of a quarter
//  so that workers do not come all at once.
static int64_t
sender_backoff (const sender_t *self, const zb_reply_t *reply)
{
    int64_t ms = RETRY_FIRST_MS;
    uint64_t random = 0;
    int i;
    getentropy (&random, sizeof random);
    if (self->outcome == ZB_HOLD)
        ms = HOLD_MS;
    else
        for (i = 1; i < self->failures && ms < RETRY_MOST_MS; i++)
            ms *= 2;
    if (ms > RETRY_MOST_MS)
        ms = RETRY_MOST_MS;
    ms -= (int64_t) (random % (uint64_t) (ms / 4 + 1));
    if (reply->retry_after_ms > ms)
        ms = reply->retry_after_ms < RETRY_ASKED_MOST_MS ? reply->retry_after_ms
                                                         : RETRY_ASKED_MOST_MS;
    return ms;
}

//  Says what went wrong, once for a hold and each time for a retry, and waits.
static void
sender_wait (sender_t *self, zb_outcome_t outcome, const zb_reply_t *reply)
{
    int64_t ms, left = zb_time_left_ms ();
    int again = self->outcome == ZB_HOLD && outcome == ZB_HOLD;
    self->outcome = outcome;
    self->failures++;
    queue_trouble (self->queue, true);
    ms = sender_backoff (self, reply);
    if (!again)
        zb_log (outcome == ZB_HOLD ? LOG_ERR : LOG_WARNING,
                outcome == ZB_HOLD ? "held" : "retry",
                "attempt=%d wait_ms=%" PRId64 " reason=\"%s\"", self->failures,
                ms, reply->reason);
    if (left == INT64_MAX)
        queue_pause (self->queue, ms);
    else if (left > 0)
        zclock_sleep ((int) (ms < left ? ms : left));
}

//  An answer, even a refusal, means that the service is there.
static void
sender_succeeded (sender_t *self)
{
    if (self->failures) {
        zb_log (LOG_INFO, "recovered", "attempts=%d", self->failures + 1);
        queue_trouble (self->queue, false);
    }
    self->failures = 0;
    self->outcome = ZB_DELIVERED;
}

static zb_outcome_t
s_flush_stdout (const char *const *rows, size_t count, zb_reply_t *reply)
{
    size_t i;
    for (i = 0; i < count; i++)
        puts (rows[i]);
    if (fflush (stdout) == 0)
        return ZB_DELIVERED;
    snprintf (reply->reason, sizeof reply->reason, "standard output: %s",
              strerror (errno));
    return ZB_RETRY;
}

static _Thread_local char s_request_key[SPOOL_NAME_MAX + 32];

//  Only a thread that delivers asks, for its own request. Plugins do, too.
__attribute__ ((visibility ("default"))) const char *
zb_request_key (void)
{
    return s_request_key;
}

//  Tries until the rows are delivered or refused, or the time is over; a helper
//  only once.
static zb_outcome_t
sender_try (sender_t *self, const char *const *rows, size_t count,
            zb_reply_t *reply)
{
    zb_outcome_t outcome;
    for (;;) {
        memset (reply, 0, sizeof *reply);
        FAULT (send_before);
        outcome = self->backend->flush
                    ? self->backend->flush (rows, count, reply)
                    : s_flush_stdout (rows, count, reply);
        if (self->helps)
            return outcome;
        if (outcome == ZB_DELIVERED || outcome == ZB_REFUSED) {
            sender_succeeded (self);
            return outcome;
        }
        if (zb_time_left_ms () == 0
            || (outcome == ZB_HOLD && zb_time_left_ms () < INT64_MAX))
            return outcome;
        sender_wait (self, outcome, reply);
    }
}

//  Hands the rows of a request to the backend, each as a text of its own.
static zb_outcome_t
sender_rows (sender_t *self, const request_t *request, zb_reply_t *reply)
{
    const char **rows = (const char **) zmalloc (request->rows * sizeof *rows);
    char *text = (char *) zmalloc (request->size + 1), *next;
    zb_outcome_t outcome;
    size_t count = 0;
    memcpy (text, request->text, request->size);
    for (next = text; count < request->rows && next < text + request->size;
         next++) {
        rows[count++] = next;
        next = strchr (next, '\n');
        *next = 0;
    }
    snprintf (s_request_key, sizeof s_request_key, "%s-%s",
              self->queue->spool ? spool_id (self->queue->spool) : self->id,
              request->name);
    outcome = sender_try (self, rows, count, reply);
    free (text);
    free (rows);
    return outcome;
}

//  The row alone is refused: set aside, and logged, within reason.
static void
sender_reject (sender_t *self, const request_t *request, const char *reason)
{
    if (self->queue->spool)
        spool_reject (self->queue->spool, request->name, request->text,
                      request->size, reason);
    if (self->rejected_logged < REJECTED_LOGGED) {
        self->rejected_logged++;
        zb_log (LOG_ERR, "rejected", "reason=\"%s\" row=%.*s", reason,
                (int) request->size - 1, request->text);
    }
    else
        self->rejected_unlogged++;
}

static void
sender_count (sender_t *self, size_t delivered, size_t rejected, size_t lost)
{
    queue_t *queue = self->queue;
    pthread_mutex_lock (&queue->lock);
    queue->delivered_rows += delivered;
    queue->rejected_rows += rejected;
    queue->dropped_rows += lost;
    if (delivered)
        queue->success_ms = zclock_mono ();
    pthread_mutex_unlock (&queue->lock);
}

//  A refused request becomes two, and then is no more: which of its rows were
//  delivered must be known after a crash, too. Returns the two, in order.
static request_t *
sender_split (sender_t *self, request_t *request)
{
    request_t *half[2] = {request_half (request, 'a'),
                          request_half (request, 'b')};
    half[0]->next = half[1];
    half[1]->next = request->next;
    FAULT (split_before);
    if (request->filed) {
        request_file (half[0], self->queue->spool);
        FAULT (split_half);
        request_file (half[1], self->queue->spool);
        spool_requests_sync (self->queue->spool);
        FAULT (split_written);
        spool_request_remove (self->queue->spool, request->name);
        spool_requests_sync (self->queue->spool);
        FAULT (split_after);
    }
    return half[0];
}

//  The request is delivered, or is a row that is refused.
static void
sender_done (sender_t *self, const request_t *request, zb_outcome_t outcome,
             const char *reason)
{
    bool refused = outcome == ZB_REFUSED;
    if (refused)
        sender_reject (self, request, reason);
    else
        FAULT (send_after);
    sender_count (self, refused ? 0 : request->rows, refused, 0);
    if (request->filed)
        spool_request_remove (self->queue->spool, request->name);
    FAULT (removed);
}

//  Delivers the good and sets the bad aside: what is refused as a whole is
//  refused in halves, until it is one row. Takes over the request. Returns how
//  many rows are left over because the time is.
static size_t
sender_request (sender_t *self, request_t **request_p)
{
    request_t *request;
    size_t left = 0;
    while ((request = *request_p)) {
        zb_reply_t reply = {{0}, 0};
        zb_outcome_t outcome = ZB_RETRY;
        *request_p = request->next;
        if (request_load (request, self->queue->spool) == -1)
            sender_count (self, 0, 0, request->rows);
        else if (left == 0)
            outcome = sender_rows (self, request, &reply);
        if (request->text && outcome == ZB_REFUSED && request->rows > 1)
            *request_p = sender_split (self, request);
        else if (outcome == ZB_DELIVERED || outcome == ZB_REFUSED)
            sender_done (self, request, outcome, reply.reason);
        else if (request->text)
            left += request->rows;
        request_destroy (&request);
    }
    if (self->rejected_unlogged)
        zb_log (LOG_ERR, "rejected", "rows=%" PRIu64 " reason=\"as above\"",
                self->rejected_unlogged);
    self->rejected_unlogged = 0;
    return left;
}

//  Says what became of what was not delivered in time.
static void
sender_left (const sender_t *self, size_t left)
{
    if (left && self->queue->spool)
        zb_log (LOG_WARNING, "kept", "rows=%zu reason=\"for the next start\"",
                left);
    else if (left)
        zb_log (LOG_ERR, "lost",
                "rows=%zu reason=\"not delivered within --deadline\"", left);
}

//  Thread: delivers beside the sender as long as all goes well. To wait, and to
//  split what is refused, is the sender's.
static void *
sender_help (void *argument)
{
    sender_t *self = (sender_t *) argument;
    request_t *request;
    while ((request = queue_help (self->queue))) {
        zb_reply_t reply = {{0}, 0};
        bool lost = request_load (request, self->queue->spool) == -1;
        bool done =
          !lost && sender_rows (self, request, &reply) == ZB_DELIVERED;
        if (lost)
            sender_count (self, 0, 0, request->rows);
        else if (done)
            sender_done (self, request, ZB_DELIVERED, "");
        if (lost || done)
            request_destroy (&request);
        else
            request_unload (request);
        queue_helped (self->queue, &request);
    }
    return NULL;
}

//  A service that takes its time takes several requests in the same time.
//  Returns how many help.
static size_t
sender_get_help (sender_t *helper, pthread_t *threads)
{
    const int64_t *senders = helper->backend->senders;
    size_t count = 0;
    while (senders && count < HELPERS_MAX && (int64_t) count + 1 < *senders
           && pthread_create (&threads[count], NULL, sender_help, helper) == 0)
        count++;
    return count;
}

void *
sender_run (void *argument)
{
    sender_t *self = (sender_t *) argument, helper = *self;
    pthread_t threads[HELPERS_MAX];
    request_t *request;
    size_t left = 0, helpers;
    zb_reply_t reply = {{0}, 0};
    zb_outcome_t outcome = ZB_DELIVERED;
    if (self->backend->connect)
        outcome = self->backend->connect (&reply);
    if (outcome != ZB_DELIVERED)
        sender_wait (self, outcome, &reply);
    helper.helps = true;
    helpers = sender_get_help (&helper, threads);
    while ((request = queue_take (self->queue))) {
        if (zb_time_left_ms () == 0 || (self->outcome == ZB_HOLD && left))
            left += request->rows;
        else
            left += sender_request (self, &request);
        request_destroy (&request);
    }
    while (helpers)
        pthread_join (threads[--helpers], NULL);
    sender_left (self, left);
    if (self->backend->close)
        self->backend->close ();
    return NULL;
}
