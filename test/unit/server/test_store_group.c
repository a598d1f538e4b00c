/*  test_store_group.c - are requests that come at the same time committed together, and
    is none waited for that does not come?

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clock.h"
#include "store_own.h"
#include "stored.h"

enum { LONG_MS = 60000, SHORT_MS = 5, LOOK_MS = 100 };

static stored_t s_stored;

//  One row, and whether it is committed.
typedef struct {
    store_row_t row;
    unsigned char refused;
    batch_t batch;
    _Atomic bool done;
} posted_t;

static void
s_done (batch_t *batch)
{
    ((posted_t *) batch->argument)->done = true;
}

static void
s_post (posted_t *self, const char *name)
{
    *self = (posted_t){.row = stored_row (name, NULL, wall_us () / 1000000, 1)};
    self->batch = (batch_t){.rows = &self->row,
                            .count = 1,
                            .refused = &self->refused,
                            .done = s_done,
                            .argument = self};
    assert_int_equal (store_submit (s_stored.store, &self->batch), 0);
}

static void
s_pause (int ms)
{
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void
s_await (const posted_t *self)
{
    int64_t until_ms = boot_ms () + LONG_MS / 2;
    while (!self->done && boot_ms () < until_ms)
        s_pause (1);
    assert_true (self->done);
}

//  On the writer's thread: as if two batches had been committed together, which took so
//  long.
static int
s_pretend (store_t *store, void *argument)
{
    pthread_mutex_lock (&store->lock);
    store->together = 2;
    pthread_mutex_unlock (&store->lock);
    store->commit_us = *(const int64_t *) argument * 1000;
    return 0;
}

static void
s_begin (int64_t commit_ms)
{
    stored_new (&s_stored);
    store_run (s_stored.store, s_pretend, &commit_ms);
}

static void
test_the_other_is_waited_for (void **state)
{
    posted_t one, other;
    (void) state;
    s_begin (LONG_MS);
    s_post (&one, "one");
    s_pause (LOOK_MS);
    assert_false (one.done);
    s_post (&other, "other");
    s_await (&one);
    s_await (&other);
    stored_end (&s_stored);
}

//  No longer than a commit takes, and not when something else is to be done, or the store
//  is to be closed.
static void
test_nobody_waits_for_long (void **state)
{
    posted_t one;
    int64_t long_ms = LONG_MS;
    (void) state;
    s_begin (SHORT_MS);
    s_post (&one, "one");
    s_await (&one);
    store_run (s_stored.store, s_pretend, &long_ms);
    s_post (&one, "one");
    store_run (s_stored.store, s_pretend, &long_ms);
    assert_true (one.done);
    s_post (&one, "one");
    stored_end (&s_stored);
    assert_true (one.done);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_the_other_is_waited_for),
      cmocka_unit_test (test_nobody_waits_for_long)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
