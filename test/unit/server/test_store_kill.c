/*  test_store_kill.c - the process that writes is killed, at any moment

    A child writes batches from several threads and says through a pipe which were
    acknowledged. It is killed, and another one goes on in the same folder, with what
    was not acknowledged before: the same keys, the same rows. In the end each row is
    there once. Rows of hours that are over are packed by each start.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 LONG 1200

#include "../unit.h"

#include "clock.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { THREADS = 4, ROWS = 40, BATCHES_MOST = 200000 };

static stored_t s_stored;
static int64_t s_begin_s;
static char s_acknowledged[BATCHES_MOST];
static int s_said;  //  the pipe's end of a child

//  --------------------------------------------------------------------------
//  The child

//  The same rows whenever it is made. Some hours are over.
static batch_result_t
s_send (int number)
{
    static const char *const sources[] = {"a", "b", "c", "d", "e"};
    store_row_t rows[ROWS];
    unsigned char refused[ROWS] = {0};
    char key[24];
    batch_t batch = {.rows = rows,
                     .count = ROWS,
                     .key = key,
                     .whole = true,
                     .digest = (uint64_t) number,
                     .refused = refused};
    batch.key_size = (size_t) snprintf (key, sizeof key, "key-%d", number);
    for (int i = 0; i < ROWS; i++)
        rows[i] =
          stored_row (i % 2 ? "odd" : "even", sources[number % 5],
                      s_begin_s + (number * 13 + i * 97) % 9000, number % 1000);
    store_write (s_stored.store, &batch);
    return batch.result;
}

typedef struct {
    int thread, first;
} share_t;

//  Says a number when it is acknowledged, in one write.
static void *
s_send_some (void *argument)
{
    const share_t *share = (const share_t *) argument;
    for (int i = share->first + share->thread; i < BATCHES_MOST; i += THREADS) {
        batch_result_t result;
        if (s_acknowledged[i])
            continue;
        result = s_send (i);
        if (result != BATCH_STORED && result != BATCH_REPEATED)
            _exit (1);
        if (write (s_said, &i, sizeof i) != sizeof i)
            _exit (1);
    }
    return NULL;
}

static void
s_child (int first)
{
    pthread_t thread[THREADS];
    share_t share[THREADS];
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    stored_start (&s_stored);
    for (int i = 0; i < THREADS; i++) {
        share[i] = (share_t){i, first};
        pthread_create (&thread[i], NULL, s_send_some, &share[i]);
    }
    for (;;)
        pause ();
}

//  --------------------------------------------------------------------------
//  Its end

//  Reads what was acknowledged, until there are so many more, or until the end.
static int
s_hear (int fd, int most)
{
    int count = 0, number;
    while (count < most && read (fd, &number, sizeof number) == sizeof number) {
        assert_in_range (number, 0, BATCHES_MOST - 1);
        s_acknowledged[number] = 1;
        count++;
    }
    return count;
}

//  Kills it some time after so many were acknowledged.
static void
s_run_and_kill (int first)
{
    int pipes[2], status;
    pid_t pid;
    assert_int_equal (pipe (pipes), 0);
    pid = fork ();
    assert_true (pid != -1);
    if (pid == 0) {
        close (pipes[0]);
        s_said = pipes[1];
        s_child (first);
    }
    close (pipes[1]);
    s_hear (pipes[0], (int) (s_any () % 60));
    usleep ((useconds_t) (s_any () % 20000));
    kill (pid, SIGKILL);
    waitpid (pid, &status, 0);
    assert_true (WIFSIGNALED (status));
    s_hear (pipes[0], BATCHES_MOST);
    close (pipes[0]);
}

//  --------------------------------------------------------------------------
//  What is there

typedef struct {
    uint64_t n;
    double sum;
} total_t;

static total_t s_total;

static int
s_add_point (void *argument, const point_t *point)
{
    (void) argument;
    s_total.n += point->n;
    s_total.sum += point->sum;
    return 0;
}

static void
s_assert_total (int batches, int64_t resolution_s)
{
    static const char *const names[] = {"even", "odd"}, *const sources[] = {
                                                          "a", "b", "c", "d",
                                                          "e"};
    double sum = 0;
    s_total = (total_t){0, 0};
    for (int i = 0; i < 10; i++)
        reader_points (s_stored.reader,
                       stored_series (&s_stored, names[i / 5], sources[i % 5]),
                       s_begin_s, s_begin_s + 9000 + HOUR_S, resolution_s,
                       s_add_point, NULL);
    for (int i = 0; i < batches; i++)
        sum += (double) ROWS * (i % 1000);
    assert_int_equal (s_total.n, (uint64_t) ROWS * (uint64_t) batches);
    assert_true (s_total.sum == sum);
}

static void
test_kills (void **state)
{
    int rounds = getenv ("ZB_LONG") ? 200 : SANITIZED ? 15 : 50;
    int first = 0, last = 0;
    (void) state;
    s_begin_s = time_floor (wall_us () / 1000000, HOUR_S) - 2 * HOUR_S;
    stored_init (&s_stored);
    for (int i = 0; i < rounds; i++) {
        s_run_and_kill (first);
        while (s_acknowledged[first])
            first++;
    }
    stored_start (&s_stored);
    for (int i = 0; i < BATCHES_MOST; i++)
        last = s_acknowledged[i] ? i : last;
    for (int i = 0; i <= last + THREADS * 2; i++) {
        batch_result_t result = s_send (i);
        assert_true (result == BATCH_REPEATED
                     || (!s_acknowledged[i] && result == BATCH_STORED));
    }
    print_message ("%d kills, %d batches\n", rounds, last + 1);
    s_assert_total (last + THREADS * 2 + 1, 1);
    s_assert_total (last + THREADS * 2 + 1, 3600);
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_kills),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
