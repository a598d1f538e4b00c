/*  sender - delivers requests. The contract is in sender.h.

    Sections: one request, what is set aside, what failed, helpers, the thread.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sender.h"

#include "fault.h"
#include "row.h"

#include <czmq.h>
#include <inttypes.h>

enum {
    LOGGED_MAX = 20,      //  rows, one by one; the rest are counted
    LOG_REST_MS = 10000,  //  and said so often
    REST_TIMES = 3,  //  as long as a failure took, nothing else that failed
    HELPERS_MAX = 63
};

//  --------------------------------------------------------------------------
//  One request: hands its rows to the backend

static const char *
sender_id (const sender_t *self)
{
    return self->queue->spool ? spool_id (self->queue->spool) : self->id;
}

static _Thread_local char s_request_key[SPOOL_NAME_MAX + 32];

//  Only a thread that delivers asks, for its own request.
const char *
zb_request_key (void)
{
    return s_request_key;
}

//  Set before anything is delivered.
static const char *s_own_name, *s_own_id;

const char *
zb_worker (void)
{
    return s_own_name;
}

const char *
zb_worker_id (void)
{
    return s_own_id;
}

static zb_outcome_t
sender_call (sender_t *self, const rows_t *rows, zb_reply_t *reply)
{
    FAULT (send_before);
    return self->backend->deliver
             ? self->backend->deliver (rows->row, rows->count, reply)
             : zb_rows_print (rows->row, rows->count, reply);
}

//  A file that was edited may have a row that is none. Caller owns
//  reply->at_fault.
static zb_outcome_t
sender_try (sender_t *self, const request_t *request, zb_reply_t *reply)
{
    rows_t rows = {.row = NULL};
    zb_outcome_t outcome = ZB_REFUSED;
    memset (reply, 0, sizeof *reply);
    reply->at_fault = (char *) zmalloc (request->rows + 1);
    snprintf (s_request_key, sizeof s_request_key, "%s-%s", sender_id (self),
              request->name);
    if (rows_read (&rows, request->text, request->size, request->rows) == 0)
        outcome = sender_call (self, &rows, reply);
    else {
        snprintf (reply->reason, sizeof reply->reason, "%s", rows.wrong);
        reply->at_fault[rows.count] = 1;
    }
    rows_clear (&rows);
    return outcome;
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

//  [ANSWER_FIRST] It is delivered, or set aside for good.
static void
sender_forget (sender_t *self, request_t **request_p)
{
    if ((*request_p)->filed)
        spool_request_remove (self->queue->spool, (*request_p)->name);
    FAULT (removed);
    request_destroy (request_p);
}

//  The service may have taken a part of it only, and not say which.
static void
sender_delivered (sender_t *self, request_t **request_p,
                  const zb_reply_t *reply)
{
    size_t rows = (*request_p)->rows, refused = reply->refused, superseded;
    FAULT (send_after);
    refused = refused < rows ? refused : rows;
    superseded =
      reply->superseded < rows - refused ? reply->superseded : rows - refused;
    if (refused)
        zb_log (LOG_ERR, "rejected", "rows=%zu of=%zu reason=\"%s\"", refused,
                rows, reply->reason);
    self->queue->superseded_rows += superseded;
    sender_count (self, rows - refused - superseded, refused, 0);
    sender_forget (self, request_p);
}

//  --------------------------------------------------------------------------
//  What is set aside, for a time or for good

//  Rows that wait aside, or are set aside for good: one by one for the first.
static void
sender_log (sender_t *self, bool for_good, const request_t *request,
            const char *reason)
{
    sender_log_t *log = for_good ? &self->rejected : &self->aside;
    if (log->logged++ >= LOGGED_MAX)
        log->unlogged += request->rows;
    else if (request->rows > 1)
        zb_log (LOG_ERR, for_good ? "rejected" : "aside",
                "rows=%zu reason=\"%s\"", request->rows, reason);
    else
        zb_log (LOG_ERR, for_good ? "rejected" : "aside",
                "reason=\"%s\" row=\"%.*s\"", reason, (int) request->size - 1,
                request->text);
}

static void
sender_log_rest (sender_t *self, bool for_good, bool at_once)
{
    sender_log_t *log = for_good ? &self->rejected : &self->aside;
    int64_t now = zclock_mono ();
    if (log->unlogged && (at_once || now >= log->said_ms + LOG_REST_MS)) {
        zb_log (LOG_ERR, for_good ? "rejected" : "aside",
                "rows=%" PRIu64 " reason=\"as above\"", log->unlogged);
        log->unlogged = 0;
        log->said_ms = now;
    }
}

//  All rows of the request are at fault.
static void
sender_reject (sender_t *self, request_t **request_p, const char *reason)
{
    request_t *request = *request_p;
    if (self->queue->spool)
        spool_reject (self->queue->spool, request->name, request->text,
                      request->size, request->rows, reason);
    sender_log (self, true, request, reason);
    sender_count (self, 0, request->rows, 0);
    sender_forget (self, request_p);
}

//  It waits aside, with the reason.
static void
sender_aside (sender_t *self, request_t **request_p, int64_t ms,
              const char *reason)
{
    request_t *request = *request_p;
    free (request->reason);
    request->reason = strdup (reason);
    request_unload (request);
    queue_aside (self->queue, request_p, zclock_mono () + ms);
}

//  A request becomes two, and then is no more: which of its rows were delivered
//  must be known after a crash, too.
static void
sender_split (sender_t *self, request_t **request_p, const char *marks,
              request_t *half[2])
{
    request_t *request = *request_p;
    half[0] = request_half (request, 'a', marks);
    half[1] = request_half (request, 'b', marks);
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
    request_destroy (request_p);
}

//  The halves go behind what waits, unless times must rise; the better one is the
//  first.
static void
sender_split_aside (sender_t *self, request_t **request_p, const char *marks)
{
    request_t *half[2];
    sender_split (self, request_p, marks, half);
    if (self->backend->ordered) {
        queue_return (self->queue, &half[1]);
        queue_return (self->queue, &half[0]);
    }
    else {
        queue_aside (self->queue, &half[0], zclock_mono ());
        queue_aside (self->queue, &half[1], zclock_mono ());
    }
}

//  Rows of which the service says that they are at fault go as a group, if they
//  are all of the request.
static void
sender_refused (sender_t *self, request_t **request_p, const zb_reply_t *reply)
{
    request_t *request = *request_p;
    const char *marks =
      memchr (reply->at_fault, 1, request->rows) ? reply->at_fault : NULL;
    if (request->rows == 1 || (marks && !memchr (marks, 0, request->rows)))
        sender_reject (self, request_p, reply->reason);
    else
        sender_split_aside (self, request_p, marks);
}

//  --------------------------------------------------------------------------
//  What failed, for a reason that may pass

static bool
s_stops (void)
{
    return zb_time_left_ms () < INT64_MAX;
}

static const blame_policy_t *
sender_policy (const sender_t *self)
{
    return self->policy ? self->policy : &blame_policy_default;
}

//  Says what went wrong, once for a hold and each time for a retry, and waits:
//  longer each time, but while a request is taken apart. Good rows of it wait for
//  that, and there are only so many takings.
static void
sender_wait (sender_t *self, zb_outcome_t outcome, const zb_reply_t *reply)
{
    int64_t left = zb_time_left_ms ();
    int streak = ++self->waits - self->service.takings;
    int64_t ms = blame_pause (sender_policy (self), streak, outcome,
                              reply->retry_after_ms);
    bool again = self->held && outcome == ZB_HOLD;
    self->held = outcome == ZB_HOLD;
    queue_trouble (self->queue, true);
    if (!again)
        zb_log (self->held ? LOG_ERR : LOG_WARNING,
                self->held ? "held" : "retry",
                "attempt=%d wait_ms=%" PRId64 " reason=\"%s\"", self->waits, ms,
                reply->reason);
    if (left == INT64_MAX)
        queue_pause (self->queue, ms);
    else if (left > 0)
        zclock_sleep ((int) (ms < left ? ms : left));
}

//  An answer, even a refusal, means that the service is there.
static void
sender_answered (sender_t *self)
{
    if (self->waits) {
        zb_log (LOG_INFO, "recovered", "attempts=%d", self->waits + 1);
        queue_trouble (self->queue, false);
    }
    self->waits = 0;
    self->held = false;
}

//  It is not tried any more before the end. A row that is known to be at fault
//  is in the log then, if there is no folder to keep it.
static void
sender_leave (sender_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    if (request->blame.alone && request->rows == 1 && !self->queue->spool)
        sender_reject (self, request_p, request->reason);
    else {
        self->left += request->rows;
        request_destroy (request_p);
    }
}

//  Where times must rise, it stays the first; but what fails again for a reason that
//  may be its own lets others pass, which proves that it is.
static bool
sender_stays_first (const sender_t *self, const blame_t *blame,
                    zb_outcome_t outcome)
{
    int most = blame->unsure ? sender_policy (self)->unsure_failures : 1;
    return self->backend->ordered
           && (outcome != ZB_FAILED || blame->tries <= most);
}

//  All wait, and this one does as well; whatever comes is tried first.
static void
sender_blame_service (sender_t *self, request_t **request_p,
                      zb_outcome_t outcome, const zb_reply_t *reply)
{
    int64_t ms = blame_pause (sender_policy (self), (*request_p)->blame.tries,
                              outcome, reply->retry_after_ms);
    if (sender_stays_first (self, &(*request_p)->blame, outcome))
        queue_return (self->queue, request_p);
    else
        sender_aside (self, request_p, ms, reply->reason);
    if (s_stops () && outcome == ZB_HOLD)
        self->given_up = true;
    else
        sender_wait (self, outcome, reply);
}

//  Nothing passes, but nothing new has been tried: what comes need not wait.
static void
sender_blame_suspects (sender_t *self, request_t **request_p,
                       zb_outcome_t outcome, const zb_reply_t *reply)
{
    int64_t ms = blame_pause (sender_policy (self), self->service.streak,
                              outcome, reply->retry_after_ms);
    if (s_stops () || reply->retry_after_ms) {
        sender_blame_service (self, request_p, outcome, reply);
        return;
    }
    zb_log (LOG_WARNING, "retry",
            "attempt=%d wait_ms=%" PRId64 " reason=\"%s\"",
            (*request_p)->blame.tries, ms, reply->reason);
    sender_aside (self, request_p, ms, reply->reason);
    queue_rest_aside (self->queue, zclock_mono () + ms);
}

static void
sender_blame_unknown (sender_t *self, request_t **request_p,
                      zb_outcome_t outcome, const zb_reply_t *reply)
{
    request_t *half[2];
    sender_split (self, request_p, NULL, half);
    queue_return (self->queue, &half[1]);
    queue_return (self->queue, &half[0]);
    sender_wait (self, outcome, reply);
}

static void
sender_blame_rows (sender_t *self, request_t **request_p, zb_outcome_t outcome,
                   const zb_reply_t *reply)
{
    (void) outcome, (void) reply;
    sender_split_aside (self, request_p, NULL);
}

static void
sender_blame_row (sender_t *self, request_t **request_p, zb_outcome_t outcome,
                  const zb_reply_t *reply)
{
    request_t *request = *request_p;
    int64_t ms = blame_aside (sender_policy (self), &request->blame,
                              reply->retry_after_ms);
    (void) outcome;
    if (request->blame.aside == 1 && !s_stops ())
        sender_log (self, false, request, reply->reason);
    sender_aside (self, request_p, ms, reply->reason);
}

static void
sender_blame_enough (sender_t *self, request_t **request_p,
                     zb_outcome_t outcome, const zb_reply_t *reply)
{
    (void) outcome;
    sender_reject (self, request_p, reply->reason);
}

//  One for each verdict.
static void (*const s_blame[]) (sender_t *, request_t **, zb_outcome_t,
                                const zb_reply_t *) = {
  [BLAME_SERVICE] = sender_blame_service,
  [BLAME_SUSPECTS] = sender_blame_suspects,
  [BLAME_UNKNOWN] = sender_blame_unknown,
  [BLAME_ROWS] = sender_blame_rows,
  [BLAME_ROW] = sender_blame_row,
  [BLAME_GIVE_UP] = sender_blame_enough};

static void
sender_failed (sender_t *self, request_t **request_p, zb_outcome_t outcome,
               const zb_reply_t *reply)
{
    blame_verdict_t verdict;
    (*request_p)->blame.unsure |= reply->unsure != 0;
    verdict = blame_judge (sender_policy (self), &self->service,
                           &(*request_p)->blame, outcome, (*request_p)->rows,
                           self->queue->delivered_rows, zclock_mono ());
    s_blame[verdict](self, request_p, outcome, reply);
}

//  --------------------------------------------------------------------------
//  Helpers: deliver beside the sender as long as all goes well. To wait, and to
//  split what is refused, is the sender's.

//  Keeps what the sender has to know. An answer that did not come was waited for
//  long enough.
static void
sender_keep_answer (request_t *request, zb_outcome_t outcome, zb_reply_t *reply)
{
    request->answered =
      outcome == ZB_REFUSED || (outcome == ZB_FAILED && reply->unsure);
    request->outcome = outcome;
    request->blame.unsure |= reply->unsure != 0;
    if (request->answered) {
        free (request->reason);
        request->reason = strdup (reply->reason);
        request->at_fault = reply->at_fault;
        reply->at_fault = NULL;
    }
    request_unload (request);
}

//  Thread.
static void *
sender_help (void *argument)
{
    sender_t *self = (sender_t *) argument;
    request_t *request;
    while ((request = queue_help (self->queue))) {
        zb_reply_t reply = {.at_fault = NULL};
        if (request_load (request, self->queue->spool) == 0) {
            zb_outcome_t outcome = sender_try (self, request, &reply);
            if (outcome == ZB_DELIVERED)
                sender_delivered (self, &request, &reply);
            else
                sender_keep_answer (request, outcome, &reply);
        }
        else {
            sender_count (self, 0, 0, request->rows);
            request_destroy (&request);
        }
        free (reply.at_fault);
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

//  --------------------------------------------------------------------------
//  The thread

//  What a helper was told, or what the service says now.
static zb_outcome_t
sender_answer (sender_t *self, request_t *request, zb_reply_t *reply)
{
    if (!request->answered)
        return sender_try (self, request, reply);
    snprintf (reply->reason, sizeof reply->reason, "%s", request->reason);
    reply->at_fault = request->at_fault;
    request->at_fault = NULL;
    request->answered = false;
    return request->outcome;
}

//  What has failed before, and does so again, must take a bounded share of the
//  time, too: the service may be silent for as long as it is given.
static void
sender_rest_aside (sender_t *self, const request_t *request, int64_t began_ms)
{
    int64_t now = zclock_mono ();
    if (request->blame.tries)
        queue_rest_aside (self->queue, now + REST_TIMES * (now - began_ms));
}

//  Takes over the request.
static void
sender_request (sender_t *self, request_t **request_p)
{
    zb_reply_t reply = {.at_fault = NULL};
    int64_t began_ms = zclock_mono ();
    zb_outcome_t outcome = sender_answer (self, *request_p, &reply);
    if (outcome != ZB_DELIVERED)
        sender_rest_aside (self, *request_p, began_ms);
    if (outcome == ZB_DELIVERED || outcome == ZB_REFUSED)
        sender_answered (self);
    if (outcome == ZB_DELIVERED)
        sender_delivered (self, request_p, &reply);
    else if (outcome == ZB_REFUSED)
        sender_refused (self, request_p, &reply);
    else
        sender_failed (self, request_p, outcome, &reply);
    free (reply.at_fault);
}

//  Is there nothing more to try? A row that is alone may have met a service that
//  was ill for a moment, so it is tried once more before the end.
static bool
sender_ends_with (const sender_t *self, request_t *request)
{
    bool tried = request->last_try;
    request->last_try = s_stops () && request->blame.alone;
    return self->given_up || zb_time_left_ms () == 0
           || (request->last_try && tried);
}

//  Takes over the request. At the end what cannot be delivered is left.
static void
sender_take (sender_t *self, request_t **request_p)
{
    request_t *request = *request_p;
    if (sender_ends_with (self, request))
        sender_leave (self, request_p);
    else if (request_load (request, self->queue->spool) == 0)
        sender_request (self, request_p);
    else {
        sender_count (self, 0, 0, request->rows);
        request_destroy (request_p);
    }
}

static void
sender_log_rests (sender_t *self, bool at_once)
{
    sender_log_rest (self, true, at_once);
    sender_log_rest (self, false, at_once);
}

//  Says what became of what was not delivered in time.
static void
sender_left (const sender_t *self)
{
    if (self->left && self->queue->spool)
        zb_log (LOG_WARNING, "kept", "rows=%zu reason=\"for the next start\"",
                self->left);
    else if (self->left)
        zb_log (LOG_ERR, "lost",
                "rows=%zu reason=\"not delivered within --deadline\"",
                self->left);
}

void *
sender_run (void *argument)
{
    sender_t *self = (sender_t *) argument, helper = *self;
    pthread_t threads[HELPERS_MAX];
    request_t *request;
    size_t helpers;
    zb_reply_t reply = {.at_fault = NULL};
    zb_outcome_t outcome = ZB_DELIVERED;
    s_own_name = self->worker;
    s_own_id = sender_id (self);
    if (self->backend->connect)
        outcome = self->backend->connect (&reply);
    if (outcome != ZB_DELIVERED)
        sender_wait (self, outcome, &reply);
    helpers = sender_get_help (&helper, threads);
    while ((request = queue_take (self->queue))) {
        sender_take (self, &request);
        sender_log_rests (self, false);
    }
    while (helpers)
        pthread_join (threads[--helpers], NULL);
    sender_log_rests (self, true);
    sender_left (self);
    if (self->backend->close)
        self->backend->close ();
    return NULL;
}
