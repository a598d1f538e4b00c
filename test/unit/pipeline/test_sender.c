/*  test_sender.c - does the sender deliver all that can be, once, good rows
    first, and only what is bad not at all?

    The backend is a script: it answers as the test says until the test has no
    more to say, and from then on by the rows: some are refused, some make it
    fail, some are too old, and it says which.

    Sections: the backend, refusals, failures of the service, failures of a row,
    shares, pauses, the end, helpers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  memfd_create

#include "../unit.h"

#include "blame.h"
#include "clock.h"
#include "request.h"
#include "spool.h"
#include "zibrato_backend.h"

#include "../../jobs.h"

#include "../../../contrib/pipeline/queue.c"
#include "../../../contrib/pipeline/sender.c"

//  --------------------------------------------------------------------------
//  Backend: names of rows are numbers, with a sign behind them if they are bad

enum { ROWS = 4000, CALLS = 4000 };

#define REFUSED "!"
#define FAILS   "?"
#define OLD     "<"
#define SILENT  "~"

static struct {
    int got[ROWS];       //  times that a row was delivered
    size_t order[ROWS];  //  of rows that were delivered
    size_t size;
    int calls, connects, closes;
    size_t rows[CALLS];       //  of each call
    bool bad[CALLS];          //  it was not delivered for its rows
    bool good_waits[CALLS];   //  while something waited that had not failed
    zb_outcome_t script[20];  //  answers before any that is delivered
    size_t script_size, script_at;
    int dead_every;    //  of so many calls one finds a dead node; 0: none
    bool dead_silent;  //  which gives no answer
    int torn_every;    //  of so many requests that it stores one gets no
                       //  answer, but later, when it knows the key; 0: none
    char keys[ROWS][SPOOL_NAME_MAX + 32];  //  that it has stored
    size_t keys_size;
    int64_t retry_after_ms;
    zb_outcome_t connected;
    const queue_t *queue;
} s_fake;

static bool
s_have (const zb_row_t *rows, size_t count, const char *sign)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any |= strstr (rows[i].name, sign) != NULL;
    return any;
}

static zb_outcome_t
s_answer (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    if (s_have (rows, count, OLD)) {
        for (size_t i = 0; i < count; i++)
            reply->at_fault[i] = strstr (rows[i].name, OLD) != NULL;
        return ZB_REFUSED;
    }
    reply->unsure = s_have (rows, count, SILENT);
    return s_have (rows, count, FAILS)     ? ZB_FAILED
           : reply->unsure                 ? ZB_FAILED
           : s_have (rows, count, REFUSED) ? ZB_REFUSED
                                           : ZB_DELIVERED;
}

//  It stores no request twice.
static bool
s_is_new (const char *key)
{
    for (size_t i = 0; i < s_fake.keys_size; i++)
        if (strcmp (s_fake.keys[i], key) == 0)
            return false;
    assert_true (s_fake.keys_size < ROWS);
    strcpy (s_fake.keys[s_fake.keys_size++], key);
    return true;
}

static zb_outcome_t
fake_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    zb_outcome_t outcome;
    int call = s_fake.calls++;
    assert_int_equal (*reply->reason, 0);
    assert_int_equal (reply->retry_after_ms, 0);
    assert_true (count > 0);
    assert_true (call < CALLS);
    snprintf (reply->reason, sizeof reply->reason, "as the test says");
    reply->retry_after_ms = s_fake.retry_after_ms;
    s_fake.rows[call] = count;
    s_fake.good_waits[call] = s_fake.queue && s_fake.queue->head;
    if (s_fake.script_at < s_fake.script_size)
        return s_fake.script[s_fake.script_at++];
    if (s_fake.dead_every && call % s_fake.dead_every == 0) {
        reply->unsure = s_fake.dead_silent;
        return s_fake.dead_silent ? ZB_FAILED : ZB_RETRY;
    }
    outcome = s_answer (rows, count, reply);
    s_fake.bad[call] = outcome != ZB_DELIVERED;
    if (outcome == ZB_DELIVERED && s_fake.torn_every) {
        if (!s_is_new (zb_request_key ()))
            return ZB_DELIVERED;
        reply->unsure = s_fake.keys_size % (size_t) s_fake.torn_every == 0;
    }
    for (size_t i = 0; i < count && outcome == ZB_DELIVERED; i++) {
        size_t row = strtoul (rows[i].name, NULL, 10);
        s_fake.got[row]++;
        s_fake.order[s_fake.size++] = row;
    }
    return reply->unsure ? ZB_FAILED : outcome;
}

static zb_outcome_t
fake_connect (zb_reply_t *reply)
{
    s_fake.connects++;
    snprintf (reply->reason, sizeof reply->reason, "not yet");
    return s_fake.connected;
}

static void
fake_close (void)
{
    s_fake.closes++;
}

static const zb_backend_t s_backend = {.abi = ZB_BACKEND_ABI,
                                       .name = "fake",
                                       .connect = fake_connect,
                                       .deliver = fake_deliver,
                                       .close = fake_close};

//  The rule as it is, a thousand times as fast.
static blame_policy_t s_fast;

static int
s_reset (void **state)
{
    (void) state;
    memset (&s_fake, 0, sizeof s_fake);
    deadline_ms = INT64_MAX;
    s_fast = blame_policy_default;
    s_fast.retry_first = 1;
    s_fast.retry_most /= 1000;
    s_fast.hold /= 1000;
    s_fast.alone_first /= 1000;
    s_fast.alone_least /= 1000;
    return 0;
}

static void
s_add (request_t *request, size_t number, const char *sign)
{
    char row[64];
    int size =
      snprintf (row, sizeof row, "counter|%zu%s|s|0 value=1", number, sign);
    request_add (request, row, (size_t) size);
}

//  Rows first..first + rows - 1; those of which bad has a sign have it. Caller
//  owns the return value.
static request_t *
s_request_at (size_t first, size_t rows, const char *bad)
{
    request_t *request = request_new ();
    for (size_t i = 0; i < rows; i++) {
        char sign[2] = {bad ? bad[i] : 0, 0};
        s_add (request, first + i, sign);
    }
    snprintf (request->name, sizeof request->name, "request-%zu", first);
    return request;
}

static request_t *
s_request (size_t rows, const char *bad)
{
    return s_request_at (0, rows, bad);
}

static void
s_put (queue_t *queue, size_t first, size_t rows, const char *bad)
{
    request_t *request = s_request_at (first, rows, bad);
    queue_put (queue, &request);
}

//  Delivers what is there, as the thread does.
static void
s_deliver (sender_t *sender)
{
    s_fake.queue = sender->queue;
    while (sender->queue->head || sender->queue->aside) {
        request_t *request = queue_take (sender->queue);
        sender_take (sender, &request);
    }
    assert_int_equal (sender->queue->bytes, 0);
}

//  The same, while a good row comes every other millisecond, which are counted
//  from a number on.
static void
s_deliver_beside (sender_t *sender, size_t next)
{
    queue_t *queue = sender->queue;
    while (queue->head || queue->aside) {
        request_t *request;
        if (!queue->head && queue_due (queue) > zclock_mono ()) {
            zclock_sleep (2);
            s_put (queue, next++, 1, NULL);
        }
        request = queue_take (queue);
        sender_take (sender, &request);
    }
}

//  Each good row was delivered once, each bad one never.
static void
s_check (const queue_t *queue, size_t first, size_t rows, const char *bad)
{
    (void) queue;
    for (size_t i = 0; i < rows; i++)
        assert_int_equal (s_fake.got[first + i], !(bad && bad[i]));
}

//  --------------------------------------------------------------------------
//  Refusals

static void
s_quiet (sender_t *sender)
{
    sender->rejected.logged = sender->aside.logged = LOGGED_MAX;
}

static void
s_check_bisection (size_t rows, const char *bad)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    size_t bads = 0, depth = 1;
    s_reset (NULL);
    for (size_t i = 0; i < rows; i++)
        bads += bad[i] != 0;
    s_quiet (&sender);
    s_put (queue, 0, rows, bad);
    s_deliver (&sender);
    s_check (queue, 0, rows, bad);
    assert_int_equal (queue->delivered_rows, rows - bads);
    assert_int_equal (queue->rejected_rows, bads);
    assert_int_equal (sender.rejected.unlogged, bads);
    //  halves of halves, for each bad row: never more than that
    while ((1u << depth) < rows)
        depth++;
    assert_true ((size_t) s_fake.calls <= 1 + bads * 2 * depth);
    queue_destroy (&queue);
}

static void
test_bisection (void **state)
{
    static const size_t sizes[] = {1, 2,  3,  4,   5,   7,   8,
                                   9, 31, 64, 100, 299, 300, 301};
    char bad[ROWS];
    (void) state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k <= sizes[i]; k += k < 4 ? 1 : k)
            for (int round = 0; round < 20; round++) {
                memset (bad, 0, sizeof bad);
                for (size_t j = 0; j < k;) {
                    char *row = &bad[s_any () % sizes[i]];
                    j += !*row;
                    *row = *REFUSED;
                }
                s_check_bisection (sizes[i], bad);
            }
    //  each alone, each alone missing
    for (size_t i = 0; i < 33; i++) {
        memset (bad, 0, sizeof bad);
        bad[i] = *REFUSED;
        s_check_bisection (33, bad);
        memset (bad, *REFUSED, sizeof bad);
        bad[i] = 0;
        s_check_bisection (33, bad);
    }
}

//  The first are logged one by one, the rest as one line.
static void
test_rejected_log (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[50];
    (void) state;
    memset (bad, *REFUSED, sizeof bad);
    sender.rejected.logged = LOGGED_MAX - 2;
    s_put (queue, 0, 50, bad);
    s_deliver (&sender);
    assert_int_equal (sender.rejected.unlogged, 48);
    sender_log_rests (&sender, true);
    assert_int_equal (sender.rejected.unlogged, 0);
    assert_int_equal (queue->rejected_rows, 50);
    queue_destroy (&queue);
}

//  The service says which: all others in one request, these in another, and
//  that is that.
static void
test_group (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[300] = {0};
    (void) state;
    memset (bad + 10, *OLD, 100);
    s_put (queue, 0, 300, bad);
    s_deliver (&sender);
    s_check (queue, 0, 300, bad);
    assert_int_equal (s_fake.calls, 3);
    assert_int_equal (s_fake.rows[1], 200);
    assert_int_equal (s_fake.rows[2], 100);
    assert_int_equal (queue->rejected_rows, 100);
    assert_int_equal (sender.rejected.logged, 1);
    queue_destroy (&queue);
}

//  Marks that take one row at a time must not make two requests of one name.
static void
test_names_of_many_halves (void **state)
{
    char marks[100] = {1}, bad[100] = {0};
    request_t *request = s_request (100, bad);
    (void) state;
    while (request->rows > 1) {
        request_t *first = request_half (request, 'a', marks);
        request_t *second = request_half (request, 'b', marks);
        assert_int_equal (first->rows + second->rows, request->rows);
        assert_int_equal (strlen (first->name), strlen (request->name) + 1);
        assert_true (strlen (first->name) < SPOOL_NAME_MAX - 6);
        request_destroy (&request);
        request_destroy (&second);
        request = first;
    }
    request_destroy (&request);
}

//  --------------------------------------------------------------------------
//  Failures of the service: the same rows again, until they are taken

static void
test_retry (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    int64_t before = zclock_mono ();
    (void) state;
    s_fake.script[0] = s_fake.script[1] = ZB_RETRY;
    s_fake.script_size = 2;
    s_put (queue, 0, 3, NULL);
    s_deliver (&sender);
    assert_int_equal (s_fake.calls, 3);
    s_check (queue, 0, 3, NULL);
    assert_int_equal (queue->delivered_rows, 3);
    assert_int_equal (sender.waits, 0);
    assert_false (sender.held);
    //  half a second and one, less a quarter
    assert_in_range (zclock_mono () - before, 1125, 20000);
    queue_destroy (&queue);
}

//  Where times must rise, what failed comes first again, whole or in halves.
static void
test_ordered (void **state)
{
    enum { REQUESTS = 10, EACH = 4 };
    static const zb_outcome_t failures[] = {ZB_RETRY, ZB_HOLD, ZB_REFUSED};
    zb_backend_t ordered = s_backend;
    (void) state;
    ordered.ordered = 1;
    for (int run = 0; run < 40; run++) {
        queue_t *queue = queue_new (1 << 20);
        sender_t sender = {
          .queue = queue, .backend = &ordered, .policy = &s_fast};
        s_reset (NULL);
        s_fake.script_size = 12;
        for (size_t i = 0; i < s_fake.script_size; i++)
            s_fake.script[i] = i == 0 ? ZB_FAILED : failures[s_any () % 3];
        for (size_t i = 0; i < REQUESTS; i++)
            s_put (queue, i * EACH, EACH, NULL);
        s_quiet (&sender);
        s_deliver (&sender);
        assert_int_equal (s_fake.size + queue->rejected_rows, REQUESTS * EACH);
        for (size_t i = 1; i < s_fake.size; i++)
            assert_true (s_fake.order[i - 1] < s_fake.order[i]);
        queue_destroy (&queue);
    }
}

//  A refusal may well be followed by a failure.
static void
test_retry_in_bisection (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &s_fast};
    char bad[8] = {0, 0, 0, 0, 0, *REFUSED, 0, 0};
    (void) state;
    s_quiet (&sender);
    s_fake.script[0] = ZB_REFUSED;
    s_fake.script[1] = ZB_RETRY;
    s_fake.script[2] = ZB_HOLD;
    s_fake.script_size = 3;
    s_put (queue, 0, 8, bad);
    s_deliver (&sender);
    s_check (queue, 0, 8, bad);
    assert_int_equal (queue->rejected_rows, 1);
    queue_destroy (&queue);
}

//  Nothing gets through: all wait, whole. Of an answer that may be about a row
//  one request is taken apart, and no other.
static void
s_check_down (zb_outcome_t answer, size_t others)
{
    enum { REQUESTS = 10, EACH = 300, TRIES = 20 };
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &s_fast};
    size_t whole = 0;
    s_reset (NULL);
    for (int i = 0; i < TRIES; i++)
        s_fake.script[i] = answer;
    s_fake.script_size = TRIES;
    for (size_t i = 0; i < REQUESTS; i++)
        s_put (queue, i * EACH, EACH, NULL);
    s_deliver (&sender);
    for (int i = TRIES; i < s_fake.calls; i++)
        whole += s_fake.rows[i] == EACH;
    assert_int_equal (whole, others ? REQUESTS - 1 : REQUESTS);
    assert_in_range (s_fake.calls - TRIES, REQUESTS, REQUESTS + others);
    s_check (queue, 0, REQUESTS * EACH, NULL);
    assert_int_equal (queue->rejected_rows, 0);
    queue_destroy (&queue);
}

static void
test_down (void **state)
{
    (void) state;
    s_check_down (ZB_RETRY, 0);
    s_check_down (ZB_HOLD, 0);
    s_check_down (ZB_FAILED, 10);
}

//  A dead node behind a balancer, which answers 502 or not at all: no row is set
//  aside. Returns whether no request was split.
static bool
s_check_node (bool silent)
{
    enum { REQUESTS = 100, EACH = 10 };
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &s_fast};
    bool whole = true;
    for (int every = 2; every <= 3; every++) {
        s_reset (NULL);
        s_fake.dead_every = every;
        s_fake.dead_silent = silent;
        for (size_t i = 0; i < REQUESTS; i++)
            s_put (queue, i * EACH, EACH, NULL);
        s_deliver (&sender);
        s_check (queue, 0, REQUESTS * EACH, NULL);
        assert_int_equal (queue->rejected_rows, 0);
        for (int i = 0; i < s_fake.calls; i++)
            whole &= s_fake.rows[i] == EACH;
        print_message ("one of %d %s: %d requests in %d calls\n", every,
                       silent ? "silent" : "dead", REQUESTS, s_fake.calls);
    }
    queue_destroy (&queue);
    return whole;
}

static void
test_silent_node (void **state)
{
    (void) state;
    s_check_node (true);
}

static void
test_dead_node (void **state)
{
    (void) state;
    assert_true (s_check_node (false));
}

//  --------------------------------------------------------------------------
//  Failures of a row

//  Rows at which the service fails, one at least in every so many-th request.
static void
s_check_poison (size_t requests, size_t each, size_t every, size_t in_each)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &s_fast};
    char *bad = (char *) zmalloc (requests * each);
    size_t bads = 0;
    int failed = 0;
    int64_t before = zclock_mono ();
    s_reset (NULL);
    s_quiet (&sender);
    for (size_t i = 0; i < requests; i++) {
        for (size_t j = 0; i % every == 0 && j < in_each; bads++, j++)
            bad[i * each + j * each / in_each + i % (each / in_each)] = *FAILS;
        s_put (queue, i * each, each, bad + i * each);
    }
    s_deliver_beside (&sender, requests * each);
    s_check (queue, 0, requests * each, bad);
    assert_int_equal (queue->rejected_rows, bads);
    assert_true (zclock_mono () - before >= s_fast.alone_least);
    for (int i = 0; i < s_fake.calls; i++)
        failed += s_fake.bad[i];
    print_message ("%zu bad of %zu rows: %d failures\n", bads, requests * each,
                   failed);
    free (bad);
    queue_destroy (&queue);
}

static void
test_poison (void **state)
{
    (void) state;
    s_check_poison (10, 30, 10, 1);
    s_check_poison (10, 300, 10, 3);
    //  one in each request: nothing gets through as it is
    s_check_poison (10, 30, 1, 1);
    s_check_poison (1, 300, 1, 3);
    s_check_poison (2, 8, 1, 4);
}

//  The first row of the only request: nothing passes while the request is taken apart,
//  so all its good rows wait for that. The pauses are those of the default policy, 20
//  times as fast, and all of them together are less than half a minute there.
static void
test_poison_first (void **state)
{
    enum { EACH = 300, FASTER = 20, CALLS_MOST = 30, MOST_MS = 30000 };
    char bad[EACH] = {*FAILS};
    zb_backend_t backend = s_backend;
    (void) state;
    for (backend.ordered = 0; backend.ordered < 2; backend.ordered++) {
        queue_t *queue = queue_new (1 << 20);
        blame_policy_t policy = blame_policy_default;
        sender_t sender = {
          .queue = queue, .backend = &backend, .policy = &policy};
        int64_t before = zclock_mono ();
        s_reset (NULL);
        policy.retry_first /= FASTER;
        policy.retry_most /= FASTER;
        s_put (queue, 0, EACH, bad);
        while (s_fake.size < EACH - 1) {
            request_t *request = queue_take (queue);
            sender_take (&sender, &request);
        }
        assert_in_range (zclock_mono () - before, 0, MOST_MS / FASTER);
        assert_in_range (s_fake.calls, 1, CALLS_MOST);
        s_check (queue, 0, EACH, bad);
        assert_int_equal (queue->rejected_rows, 0);
        queue_destroy (&queue);
    }
}

//  Rows at which the service gives no answer, and a service that loses some
//  answers to what it has stored. Each row is stored once, but for those.
static void
test_silence (void **state)
{
    enum { REQUESTS = 10, EACH = 30 };
    for (int torn = 0; torn <= 2; torn += 2) {
        queue_t *queue = queue_new (1 << 20);
        sender_t sender = {
          .queue = queue, .backend = &s_backend, .policy = &s_fast};
        char bad[REQUESTS * EACH] = {0};
        int failed = 0;
        (void) state;
        s_reset (NULL);
        s_quiet (&sender);
        s_fake.torn_every = torn;
        bad[7] = bad[5 * EACH + 3] = bad[5 * EACH + 22] = *SILENT;
        for (size_t i = 0; i < REQUESTS; i++)
            s_put (queue, i * EACH, EACH, bad + i * EACH);
        s_deliver_beside (&sender, REQUESTS * EACH);
        s_check (queue, 0, REQUESTS * EACH, bad);
        assert_int_equal (queue->rejected_rows, 3);
        for (int i = 0; i < s_fake.calls; i++)
            failed += s_fake.bad[i];
        print_message ("3 silent of %d rows: %d failures\n", REQUESTS * EACH,
                       failed);
        queue_destroy (&queue);
    }
}

//  While a row waits aside others go; that it fails again stops nobody.
static void
test_poison_stops_nobody (void **state)
{
    enum { REQUESTS = 30 };
    queue_t *queue = queue_new (1 << 20);
    blame_policy_t policy = s_fast;
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &policy};
    request_t *request;
    (void) state;
    policy.retry_first = 10;
    s_quiet (&sender);
    s_put (queue, 0, 8, "??\0\0\0\0\0?");
    s_put (queue, 8, 8, NULL);
    while (s_fake.size < 13) {
        request = queue_take (queue);
        sender_take (&sender, &request);
    }
    //  what is left are bad rows; a pause would be seconds
    policy.retry_first = policy.retry_most = 5000;
    policy.alone_first = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        int64_t before = zclock_mono ();
        s_put (queue, 100 + i, 1, NULL);
        while (!s_fake.got[100 + i]) {
            request = queue_take (queue);
            sender_take (&sender, &request);
        }
        assert_true (zclock_mono () - before < 2500);
    }
    queue_destroy (&queue);
}

//  A stop finds the row, and ends; there being no folder, the log has it.
static void
test_poison_at_stop (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[30] = {0};
    int64_t before = zclock_mono ();
    (void) state;
    bad[7] = *FAILS;
    s_put (queue, 0, 30, bad);
    s_put (queue, 30, 30, NULL);
    deadline_ms = before + 20000;
    queue_close (queue);
    s_deliver (&sender);
    s_check (queue, 0, 30, bad);
    s_check (queue, 30, 30, NULL);
    assert_int_equal (queue->rejected_rows, 1);
    assert_int_equal (sender.left, 0);
    assert_true (zclock_mono () - before < 10000);
    queue_destroy (&queue);
}

//  One that waits aside because the service failed twice, and is well again, is
//  tried once more at a stop.
static void
test_aside_at_stop (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {
      .queue = queue, .backend = &s_backend, .policy = &s_fast};
    request_t *request;
    (void) state;
    s_fake.script[0] = ZB_FAILED;
    for (size_t i = 0; i < 2; i++) {
        s_fake.script_at = 0;
        s_fake.script_size = 1;
        if (i == 0)
            s_put (queue, 0, 1, NULL);
        request = queue_take (queue);
        sender_take (&sender, &request);
        s_put (queue, 1 + i, 1, NULL);
        while (!s_fake.got[1 + i]) {
            request = queue_take (queue);
            sender_take (&sender, &request);
        }
        s_fast.alone_first = 60000;
    }
    assert_int_equal (queue->aside->blame.alone, 1);
    deadline_ms = zclock_mono () + 10000;
    queue_close (queue);
    s_deliver (&sender);
    s_check (queue, 0, 3, NULL);
    assert_int_equal (queue->rejected_rows + sender.left, 0);
    queue_destroy (&queue);
}

//  --------------------------------------------------------------------------
//  Shares: of four requests at most one is for what has failed, while others
//  wait

static void
test_share (void **state)
{
    enum { REQUESTS = 200 };
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[200];
    int good = 0, aside = 0, i;
    (void) state;
    s_quiet (&sender);
    memset (bad, *REFUSED, sizeof bad);
    s_put (queue, 0, 200, bad);
    for (i = 0; i < REQUESTS; i++)
        s_put (queue, 200 + (size_t) i, 1, NULL);
    s_deliver (&sender);
    s_check (queue, 200, REQUESTS, NULL);
    assert_int_equal (queue->rejected_rows, 200);
    for (i = 0; i < s_fake.calls; i++)
        if (s_fake.good_waits[i]) {
            good += !s_fake.bad[i];
            aside += s_fake.bad[i];
        }
    //  neither starves
    assert_in_range (aside, REQUESTS / 3 - 3, REQUESTS / 3 + 1);
    assert_in_range (good, REQUESTS - 2, REQUESTS);
    queue_destroy (&queue);
}

//  When there is no room, what has failed goes first.
static void
test_room (void **state)
{
    request_t *request = s_request_at (0, 10, NULL);
    queue_t *queue = queue_new (4 * request->size - 20);
    (void) state;
    queue_aside (queue, &request, zclock_mono () + 60000);
    for (size_t i = 0; i < 3; i++)
        s_put (queue, 10 + 10 * i, 10, NULL);
    assert_int_equal (queue->dropped_rows, 10);
    assert_null (queue->aside);
    s_put (queue, 50, 10, NULL);
    assert_int_equal (queue->dropped_rows, 20);
    request = queue_take (queue);
    assert_string_equal (request->name, "request-20");
    request_destroy (&request);
    queue_destroy (&queue);
}

//  --------------------------------------------------------------------------
//  Pauses

static int64_t
s_pause (int streak, zb_outcome_t outcome, int64_t asked_ms)
{
    return blame_pause (&blame_policy_default, streak, outcome, asked_ms);
}

static void
test_backoff (void **state)
{
    int64_t least, most, full = 500;
    (void) state;
    for (int streak = 1; streak < 40; streak++) {
        least = INT64_MAX;
        most = 0;
        for (int i = 0; i < 3000; i++) {
            int64_t ms = s_pause (streak, ZB_RETRY, 0);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        //  from three quarters to the full, and really spread over them
        assert_true (most <= full && least >= full - full / 4);
        assert_true (most > full - full / 40);
        assert_true (least < full - full / 4 + full / 40);
        full = full * 2 < 60000 ? full * 2 : 60000;
    }
    assert_in_range (s_pause (INT_MAX, ZB_RETRY, 0), 45000, 60000);
}

static void
test_backoff_hold (void **state)
{
    (void) state;
    for (int streak = 1; streak < 20; streak++)
        assert_in_range (s_pause (streak, ZB_HOLD, 0), 45000, 60000);
}

static void
test_retry_after (void **state)
{
    (void) state;
    //  at least as long as asked
    assert_int_equal (s_pause (1, ZB_RETRY, 7000), 7000);
    assert_in_range (s_pause (20, ZB_RETRY, 7000), 45000, 60000);
    assert_int_equal (s_pause (20, ZB_RETRY, 120000), 120000);
    assert_int_equal (s_pause (20, ZB_HOLD, 120000), 120000);
    //  but no more than an hour
    assert_int_equal (s_pause (20, ZB_HOLD, INT64_MAX), 3600000);
    assert_in_range (s_pause (1, ZB_RETRY, -5), 375, 500);
}

//  --------------------------------------------------------------------------
//  The thread, and its end

//  Runs the sender over a queue that is closed, or is closed by the caller.
static void
s_run (queue_t *queue, sender_t *sender)
{
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, sender_run, sender), 0);
    pthread_join (thread, NULL);
    assert_int_equal (s_fake.connects, 1);
    assert_int_equal (s_fake.closes, 1);
    assert_null (queue->head);
}

static void
test_run (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    int i;
    (void) state;
    for (i = 0; i < 5; i++) {
        request_t *request = s_request (10, NULL);
        queue_put (queue, &request);
    }
    deadline_ms = zclock_mono () + 10000;
    queue_close (queue);
    s_run (queue, &sender);
    assert_int_equal (s_fake.calls, 5);
    assert_int_equal (s_fake.size, 50);
    assert_int_equal (queue->delivered_rows, 50);
    queue_destroy (&queue);
}

//  Three requests wait for a service that gives only this answer.
static void
s_away (queue_t *queue, zb_outcome_t answer)
{
    int i;
    for (i = 0; i < 20; i++)
        s_fake.script[i] = answer;
    s_fake.script_size = 20;
    for (i = 0; i < 3; i++) {
        request_t *request = s_request (10, NULL);
        queue_put (queue, &request);
    }
}

//  A stop while the service is away: tries until the deadline, not beyond.
static void
test_deadline (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    int64_t before = zclock_mono ();
    (void) state;
    s_away (queue, ZB_RETRY);
    deadline_ms = zclock_mono () + 700;
    queue_close (queue);
    s_run (queue, &sender);
    assert_in_range (zclock_mono () - before, 690, 3000);
    assert_int_equal (s_fake.size, 0);
    assert_int_equal (queue->delivered_rows + queue->rejected_rows, 0);
    queue_destroy (&queue);
}

//  A stop while credentials are refused: one more try, and that is that.
static void
test_deadline_hold (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    int64_t before = zclock_mono ();
    (void) state;
    s_away (queue, ZB_HOLD);
    deadline_ms = zclock_mono () + 10000;
    queue_close (queue);
    s_run (queue, &sender);
    assert_true (zclock_mono () - before < 5000);
    assert_true (s_fake.calls <= 3);
    assert_int_equal (s_fake.size, 0);
    queue_destroy (&queue);
}

//  A stop wakes a sender that waits out a hold.
static void
test_stop_in_hold (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    request_t *request = s_request (10, NULL);
    int64_t before = zclock_mono ();
    pthread_t thread;
    (void) state;
    s_fake.script[0] = ZB_HOLD;
    s_fake.script_size = 1;
    s_fake.connected = ZB_HOLD;
    queue_put (queue, &request);
    assert_int_equal (pthread_create (&thread, NULL, sender_run, &sender), 0);
    deadline_ms = zclock_mono () + 10000;
    queue_close (queue);
    pthread_join (thread, NULL);
    assert_true (zclock_mono () - before < 15000);
    assert_int_equal (s_fake.closes, 1);
    queue_destroy (&queue);
}

//  Without deliver, connect and close: rows go to standard output.
static void
test_defaults (void **state)
{
    static const zb_backend_t bare = {.abi = ZB_BACKEND_ABI, .name = "bare"};
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &bare};
    request_t *request = s_request (2, NULL);
    char text[256] = "";
    int pipes[2], saved = dup (STDOUT_FILENO);
    ssize_t size;
    (void) state;
    assert_int_equal (pipe (pipes), 0);
    fflush (stdout);
    dup2 (pipes[1], STDOUT_FILENO);
    queue_put (queue, &request);
    queue_close (queue);
    sender_run (&sender);
    dup2 (saved, STDOUT_FILENO);
    close (saved);
    close (pipes[1]);
    size = read (pipes[0], text, sizeof text - 1);
    close (pipes[0]);
    assert_true (size > 0);
    assert_string_equal (text,
                         "{\"time\":0,\"type\":\"counter\",\"name\":\"0\","
                         "\"source\":\"s\",\"value\":1}\n"
                         "{\"time\":0,\"type\":\"counter\",\"name\":\"1\","
                         "\"source\":\"s\",\"value\":1}\n");
    assert_int_equal (queue->delivered_rows, 2);
    queue_destroy (&queue);
}

//  --------------------------------------------------------------------------
//  Helpers

enum { MANY = 60, EACH = 10, AT_ONCE = 4 };

//  What a backend has seen that is called by several threads.
static struct {
    pthread_mutex_t lock;
    int in, most;  //  calls at once: now, at most
    int fails;     //  requests that are yet to be answered so
    zb_outcome_t answer;
    int got[MANY * EACH];
    char keys[MANY * EACH][SPOOL_NAME_MAX + 32];
} s_many = {.lock = PTHREAD_MUTEX_INITIALIZER};

static zb_outcome_t
many_deliver (const zb_row_t *rows, size_t count, zb_reply_t *reply)
{
    zb_outcome_t outcome = ZB_DELIVERED;
    size_t i;
    snprintf (reply->reason, sizeof reply->reason, "as the test says");
    pthread_mutex_lock (&s_many.lock);
    s_many.in++;
    s_many.most = s_many.in > s_many.most ? s_many.in : s_many.most;
    if (s_many.fails > 0) {
        s_many.fails--;
        outcome = s_many.answer;
    }
    pthread_mutex_unlock (&s_many.lock);
    assert_string_equal (zb_worker (), "me");
    assert_string_equal (zb_worker_id (), "id");
    zclock_sleep (5);
    for (i = 0; i < count && outcome == ZB_DELIVERED; i++)
        if (strchr (rows[i].name, '!'))
            outcome = ZB_REFUSED;
    pthread_mutex_lock (&s_many.lock);
    for (i = 0; i < count && outcome == ZB_DELIVERED; i++) {
        unsigned long row = strtoul (rows[i].name, NULL, 10);
        s_many.got[row]++;
        strcpy (s_many.keys[row], zb_request_key ());
    }
    s_many.in--;
    pthread_mutex_unlock (&s_many.lock);
    return outcome;
}

//  Puts requests of ten rows each, some bad ones in them, and delivers.
static void
s_run_many (queue_t *queue, size_t bad_each)
{
    static const int64_t at_once = AT_ONCE;
    static const zb_backend_t many = {.abi = ZB_BACKEND_ABI,
                                      .name = "many",
                                      .deliver = many_deliver,
                                      .senders = &at_once};
    sender_t sender = {.queue = queue,
                       .backend = &many,
                       .worker = "me",
                       .id = "id",
                       .rejected.logged = LOGGED_MAX};
    for (size_t i = 0; i < MANY; i++) {
        request_t *request = request_new ();
        snprintf (request->name, sizeof request->name, "request-%zu", i);
        for (size_t at = i * EACH; at < (i + 1) * EACH; at++)
            s_add (request, at, bad_each && at % bad_each == 0 ? "!" : "");
        queue_put (queue, &request);
    }
    queue_close (queue);
    sender_run (&sender);
    assert_null (queue->head);
    assert_int_equal (queue->bytes, 0);
    for (size_t at = 0; at < MANY * EACH; at++)
        if (deadline_ms == INT64_MAX)
            assert_int_equal (s_many.got[at], !bad_each || at % bad_each != 0);
}

static void
s_many_reset (zb_outcome_t answer, int fails)
{
    memset (s_many.got, 0, sizeof s_many.got);
    s_many.in = s_many.most = 0;
    s_many.answer = answer;
    s_many.fails = fails;
}

//  All at once, each row once, each request with its own key.
static void
test_help (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    char key[64];
    (void) state;
    s_many_reset (ZB_DELIVERED, 0);
    s_run_many (queue, 0);
    assert_int_equal (s_many.most, AT_ONCE);
    assert_int_equal (queue->delivered_rows, MANY * EACH);
    for (int at = 0; at < MANY * EACH; at++) {
        snprintf (key, sizeof key, "id-request-%d", at / EACH);
        assert_string_equal (s_many.keys[at], key);
    }
    queue_destroy (&queue);
}

//  What a helper's request is refused for is found as ever.
static void
test_help_refused (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    (void) state;
    s_many_reset (ZB_DELIVERED, 0);
    s_run_many (queue, 25);
    assert_int_equal (queue->rejected_rows, MANY * EACH / 25);
    assert_int_equal (queue->delivered_rows, MANY * EACH * 24 / 25);
    queue_destroy (&queue);
}

//  Whoever fails, nothing is lost.
static void
test_help_fails (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    (void) state;
    s_many_reset (ZB_RETRY, AT_ONCE + 1);
    s_run_many (queue, 0);
    assert_int_equal (queue->delivered_rows, MANY * EACH);
    assert_int_equal (s_many.fails, 0);
    queue_destroy (&queue);
}

//  A stop while the service is away: the helpers' requests are left over, too.
static void
test_help_deadline (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    int64_t before = zclock_mono ();
    (void) state;
    s_many_reset (ZB_RETRY, INT_MAX);
    deadline_ms = before + 700;
    s_run_many (queue, 0);
    assert_in_range (zclock_mono () - before, 690, 3000);
    //  asked by the helpers once each, then by one only
    assert_true (INT_MAX - s_many.fails < 3 * AT_ONCE);
    assert_int_equal (queue->delivered_rows + queue->rejected_rows, 0);
    queue_destroy (&queue);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup (test_bisection, s_reset),
      cmocka_unit_test_setup (test_rejected_log, s_reset),
      cmocka_unit_test_setup (test_group, s_reset),
      cmocka_unit_test_setup (test_names_of_many_halves, s_reset),
      cmocka_unit_test_setup (test_retry, s_reset),
      cmocka_unit_test_setup (test_ordered, s_reset),
      cmocka_unit_test_setup (test_retry_in_bisection, s_reset),
      cmocka_unit_test_setup (test_down, s_reset),
      cmocka_unit_test_setup (test_dead_node, s_reset),
      cmocka_unit_test_setup (test_poison, s_reset),
      cmocka_unit_test_setup (test_poison_first, s_reset),
      cmocka_unit_test_setup (test_silence, s_reset),
      cmocka_unit_test_setup (test_silent_node, s_reset),
      cmocka_unit_test_setup (test_poison_stops_nobody, s_reset),
      cmocka_unit_test_setup (test_aside_at_stop, s_reset),
      cmocka_unit_test_setup (test_poison_at_stop, s_reset),
      cmocka_unit_test_setup (test_share, s_reset),
      cmocka_unit_test_setup (test_room, s_reset),
      cmocka_unit_test_setup (test_backoff, s_reset),
      cmocka_unit_test_setup (test_backoff_hold, s_reset),
      cmocka_unit_test_setup (test_retry_after, s_reset),
      cmocka_unit_test_setup (test_run, s_reset),
      cmocka_unit_test_setup (test_deadline, s_reset),
      cmocka_unit_test_setup (test_deadline_hold, s_reset),
      cmocka_unit_test_setup (test_stop_in_hold, s_reset),
      cmocka_unit_test_setup (test_defaults, s_reset),
      cmocka_unit_test_setup (test_help, s_reset),
      cmocka_unit_test_setup (test_help_refused, s_reset),
      cmocka_unit_test_setup (test_help_fails, s_reset),
      cmocka_unit_test_setup (test_help_deadline, s_reset)};
    return jobs_run (tests, sizeof tests / sizeof *tests, NULL);
}
