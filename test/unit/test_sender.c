/*  test_sender.c - does the sender deliver all that can be, once, in order?

    The backend is a script: it refuses requests with a bad row in them, and
    answers as the test says until the test has no more to say.

    Sections: the backend, bisection, retries, backoff, the end, helpers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "unit.h"

#include "../../contrib/runtime/sender.c"

//  --------------------------------------------------------------------------
//  Backend: rows are numbers; a bad one has a '!' behind it

enum { ROWS = 2000 };

static struct {
    unsigned long got[ROWS];  //  delivered rows, in order
    size_t size;
    int calls, connects, closes;
    zb_outcome_t script[20];  //  answers before any that is delivered
    size_t script_size, script_at;
    int64_t retry_after_ms;
    zb_outcome_t connected;
} s_fake;

static zb_outcome_t
fake_flush (const char *const *rows, size_t count, zb_reply_t *reply)
{
    size_t i;
    s_fake.calls++;
    assert_int_equal (*reply->reason, 0);
    assert_int_equal (reply->retry_after_ms, 0);
    assert_true (count > 0);
    snprintf (reply->reason, sizeof reply->reason, "as the test says");
    reply->retry_after_ms = s_fake.retry_after_ms;
    if (s_fake.script_at < s_fake.script_size)
        return s_fake.script[s_fake.script_at++];
    for (i = 0; i < count; i++)
        if (strchr (rows[i], '!'))
            return ZB_REFUSED;
    for (i = 0; i < count; i++)
        s_fake.got[s_fake.size++] = strtoul (rows[i], NULL, 10);
    return ZB_DELIVERED;
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
                                       .flush = fake_flush,
                                       .close = fake_close};

static int
s_reset (void **state)
{
    (void) state;
    memset (&s_fake, 0, sizeof s_fake);
    deadline_ms = INT64_MAX;
    return 0;
}

//  Caller owns the return value.
static request_t *
s_request (size_t rows, const char *bad)
{
    request_t *request = request_new ();
    char row[32];
    size_t i;
    for (i = 0; i < rows; i++) {
        int size =
          snprintf (row, sizeof row, "%zu%s", i, bad && bad[i] ? "!" : "");
        request_add (request, row, (size_t) size);
    }
    return request;
}

//  --------------------------------------------------------------------------
//  Bisection

//  Log lines of rejected rows would be many.
static void
s_quiet (sender_t *sender)
{
    sender->rejected_logged = REJECTED_LOGGED;
}

static void
s_check_bisection (size_t rows, const char *bad)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    request_t *request = s_request (rows, bad);
    size_t i, good = 0, bads = 0, depth = 1;
    s_reset (NULL);
    for (i = 0; i < rows; i++)
        bads += bad[i] != 0;
    sender.rejected_logged = bads ? REJECTED_LOGGED : 0;
    if (!freopen ("/dev/null", "w", stderr))
        fail ();
    assert_int_equal (sender_request (&sender, &request), 0);
    for (i = 0; i < rows; i++)
        if (!bad[i])
            assert_int_equal (s_fake.got[good++], i);
    assert_int_equal (s_fake.size, good);
    assert_int_equal (queue->delivered_rows, good);
    assert_int_equal (queue->rejected_rows, bads);
    //  halves of halves, for each bad row: never more than that
    while ((1u << depth) < rows)
        depth++;
    assert_true ((size_t) s_fake.calls <= 1 + bads * 2 * depth);
    request_destroy (&request);
    queue_destroy (&queue);
}

static void
test_bisection (void **state)
{
    static const size_t sizes[] = {1, 2,  3,  4,   5,   7,   8,
                                   9, 31, 64, 100, 299, 300, 301};
    char bad[ROWS];
    size_t i, j, k;
    int saved = dup (STDERR_FILENO);
    (void) state;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (k = 0; k <= sizes[i]; k += k < 4 ? 1 : k) {
            int round;
            for (round = 0; round < 20; round++) {
                memset (bad, 0, sizeof bad);
                for (j = 0; j < k;) {
                    char *row = &bad[s_any () % sizes[i]];
                    j += !*row;
                    *row = 1;
                }
                s_check_bisection (sizes[i], bad);
            }
        }
    //  each alone, each alone missing
    for (i = 0; i < 33; i++) {
        memset (bad, 0, sizeof bad);
        bad[i] = 1;
        s_check_bisection (33, bad);
        memset (bad, 1, sizeof bad);
        bad[i] = 0;
        s_check_bisection (33, bad);
    }
    fflush (stderr);
    dup2 (saved, STDERR_FILENO);
    close (saved);
}

//  One bad among 300: a request, and two for each halving.
static void
test_one_of_300 (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[300] = {0};
    request_t *request;
    (void) state;
    bad[123] = 1;
    request = s_request (300, bad);
    assert_int_equal (sender_request (&sender, &request), 0);
    assert_int_equal (s_fake.size, 299);
    assert_int_equal (queue->rejected_rows, 1);
    assert_int_equal (sender.rejected_logged, 1);
    assert_true (s_fake.calls <= 1 + 2 * 9);
    request_destroy (&request);
    queue_destroy (&queue);
}

//  The first are logged one by one, the rest as one line.
static void
test_rejected_log (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[50];
    request_t *request;
    (void) state;
    memset (bad, 1, sizeof bad);
    request = s_request (50, bad);
    sender.rejected_logged = REJECTED_LOGGED - 2;
    assert_int_equal (sender_request (&sender, &request), 0);
    assert_int_equal (sender.rejected_logged, REJECTED_LOGGED);
    assert_int_equal (sender.rejected_unlogged, 0);
    assert_int_equal (queue->rejected_rows, 50);
    request_destroy (&request);
    queue_destroy (&queue);
}

//  --------------------------------------------------------------------------
//  Retries: the same rows again, until they are taken

static void
test_retry (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    request_t *request = s_request (3, NULL);
    int64_t before = zclock_mono ();
    (void) state;
    s_fake.script[0] = s_fake.script[1] = ZB_RETRY;
    s_fake.script_size = 2;
    assert_int_equal (sender_request (&sender, &request), 0);
    assert_int_equal (s_fake.calls, 3);
    assert_int_equal (s_fake.size, 3);
    assert_int_equal (queue->delivered_rows, 3);
    assert_int_equal (sender.failures, 0);
    assert_int_equal (sender.outcome, ZB_DELIVERED);
    //  half a second and one, less a quarter
    assert_in_range (zclock_mono () - before, 1125, 20000);
    request_destroy (&request);
    queue_destroy (&queue);
}

//  A refusal in mid-bisection may well be followed by a failure.
static void
test_retry_in_bisection (void **state)
{
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &s_backend};
    char bad[8] = {0, 0, 0, 0, 0, 1, 0, 0};
    request_t *request = s_request (8, bad);
    size_t i;
    (void) state;
    s_quiet (&sender);
    s_fake.script[0] = ZB_REFUSED;
    s_fake.script[1] = ZB_RETRY;
    s_fake.script_size = 2;
    assert_int_equal (sender_request (&sender, &request), 0);
    assert_int_equal (s_fake.size, 7);
    for (i = 0; i < 7; i++)
        assert_int_equal (s_fake.got[i], i < 5 ? i : i + 1);
    assert_int_equal (queue->rejected_rows, 1);
    request_destroy (&request);
    queue_destroy (&queue);
}

//  --------------------------------------------------------------------------
//  Backoff

static void
test_backoff (void **state)
{
    zb_reply_t reply = {{0}, 0};
    sender_t sender = {.outcome = ZB_RETRY};
    int64_t least, most, full = 500;
    int i;
    (void) state;
    for (sender.failures = 1; sender.failures < 40; sender.failures++) {
        least = INT64_MAX;
        most = 0;
        for (i = 0; i < 3000; i++) {
            int64_t ms = sender_backoff (&sender, &reply);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        //  from three quarters to the full, and really spread over them
        assert_true (most <= full && least >= full - full / 4);
        assert_true (most > full - full / 40);
        assert_true (least < full - full / 4 + full / 40);
        full = full * 2 < 60000 ? full * 2 : 60000;
    }
    sender.failures = INT_MAX;
    assert_in_range (sender_backoff (&sender, &reply), 45000, 60000);
}

static void
test_backoff_hold (void **state)
{
    zb_reply_t reply = {{0}, 0};
    sender_t sender = {.outcome = ZB_HOLD};
    (void) state;
    for (sender.failures = 1; sender.failures < 20; sender.failures++)
        assert_in_range (sender_backoff (&sender, &reply), 45000, 60000);
}

static void
test_retry_after (void **state)
{
    zb_reply_t reply = {{0}, 7000};
    sender_t sender = {.outcome = ZB_RETRY, .failures = 1};
    (void) state;
    //  at least as long as asked
    assert_int_equal (sender_backoff (&sender, &reply), 7000);
    sender.failures = 20;
    assert_in_range (sender_backoff (&sender, &reply), 45000, 60000);
    reply.retry_after_ms = 120000;
    assert_int_equal (sender_backoff (&sender, &reply), 120000);
    sender.outcome = ZB_HOLD;
    assert_int_equal (sender_backoff (&sender, &reply), 120000);
    //  but no more than an hour
    reply.retry_after_ms = INT64_MAX;
    assert_int_equal (sender_backoff (&sender, &reply), 3600000);
    reply.retry_after_ms = -5;
    sender.outcome = ZB_RETRY;
    sender.failures = 1;
    assert_in_range (sender_backoff (&sender, &reply), 375, 500);
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

//  Without flush, connect and close: rows go to standard output.
static void
test_defaults (void **state)
{
    static const zb_backend_t bare = {.abi = ZB_BACKEND_ABI, .name = "bare"};
    queue_t *queue = queue_new (1 << 20);
    sender_t sender = {.queue = queue, .backend = &bare};
    request_t *request = s_request (3, NULL);
    char text[64] = "";
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
    assert_int_equal (size, 6);
    assert_string_equal (text, "0\n1\n2\n");
    assert_int_equal (queue->delivered_rows, 3);
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
many_flush (const char *const *rows, size_t count, zb_reply_t *reply)
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
    zclock_sleep (5);
    for (i = 0; i < count && outcome == ZB_DELIVERED; i++)
        if (strchr (rows[i], '!'))
            outcome = ZB_REFUSED;
    pthread_mutex_lock (&s_many.lock);
    for (i = 0; i < count && outcome == ZB_DELIVERED; i++) {
        unsigned long row = strtoul (rows[i], NULL, 10);
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
                                      .flush = many_flush,
                                      .senders = &at_once};
    sender_t sender = {.queue = queue,
                       .backend = &many,
                       .id = "id",
                       .rejected_logged = REJECTED_LOGGED};
    char row[32];
    for (size_t i = 0; i < MANY; i++) {
        request_t *request = request_new ();
        snprintf (request->name, sizeof request->name, "request-%zu", i);
        for (size_t at = i * EACH; at < (i + 1) * EACH; at++) {
            int size = snprintf (row, sizeof row, "%zu%s", at,
                                 bad_each && at % bad_each == 0 ? "!" : "");
            request_add (request, row, (size_t) size);
        }
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
      cmocka_unit_test_setup (test_one_of_300, s_reset),
      cmocka_unit_test_setup (test_rejected_log, s_reset),
      cmocka_unit_test_setup (test_retry, s_reset),
      cmocka_unit_test_setup (test_retry_in_bisection, s_reset),
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
    return cmocka_run_group_tests_name ("sender", tests, NULL, NULL);
}
