/*  test_disk.c - does ingest stand still because a disk does, and is a name believed
    that does not last?

    The disk of this test takes 50 ms for each sync. Ingest is a loop that gets
    its turn each millisecond, takes lines in, and writes their journal; flushes
    fall in between. No call that may wait for the disk, but for that write, is
    made by its thread.

         wrap: fsync fdatasync openat unlinkat renameat

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  nftw

#include "../executable.h"

#include "spool_own.h"

#include "../../folder.h"

#include <fcntl.h>

//  --------------------------------------------------------------------------
//  The disk

enum { SYNC_MS = 50 };

static pthread_t s_ingest;
static _Atomic bool s_slow;
static _Atomic int s_on_ingest, s_elsewhere;  //  calls
static _Atomic bool s_fails;       //  the first sync behind a renaming,
static _Atomic bool s_fails_next;  //  which is the next one

int __real_fsync (int fd);
int __real_fdatasync (int fd);
int __real_openat (int dir, const char *path, int flags, mode_t mode);
int __real_unlinkat (int dir, const char *path, int flags);
int __real_renameat (int from, const char *name, int to, const char *other);
int __wrap_fsync (int fd);
int __wrap_fdatasync (int fd);
int __wrap_openat (int dir, const char *path, int flags, ...);
int __wrap_unlinkat (int dir, const char *path, int flags);
int __wrap_renameat (int from, const char *name, int to, const char *other);

static void
s_disk (int ms)
{
    if (!s_slow)
        return;
    if (pthread_equal (pthread_self (), s_ingest))
        s_on_ingest++;
    else
        s_elsewhere++;
    if (ms)
        zclock_sleep (ms);
}

int
__wrap_fsync (int fd)
{
    s_disk (SYNC_MS);
    if (atomic_exchange (&s_fails_next, false)) {
        s_fails = false;
        errno = EIO;
        return -1;
    }
    return __real_fsync (fd);
}

int
__wrap_fdatasync (int fd)
{
    s_disk (SYNC_MS);
    return __real_fdatasync (fd);
}

int
__wrap_openat (int dir, const char *path, int flags, ...)
{
    s_disk (0);
    return __real_openat (dir, path, flags, 0600);
}

int
__wrap_unlinkat (int dir, const char *path, int flags)
{
    s_disk (0);
    return __real_unlinkat (dir, path, flags);
}

int
__wrap_renameat (int from, const char *name, int to, const char *other)
{
    s_disk (0);
    s_fails_next = s_fails;
    return __real_renameat (from, name, to, other);
}

//  --------------------------------------------------------------------------
//  Ingest

enum { NAMES = 30000, LINES_A_STEP = 20, STEPS = 3000 };

static const zb_backend_t s_backend = {
  .abi = ZB_BACKEND_ABI, .name = "test", .batch = 300};

static struct {
    int steps;
    size_t lines;
    int64_t cpu_us, wall_us;  //  when the last step ended
    int64_t longest_cpu_us, longest_wall_us;
} s_run;

static int64_t
s_us (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

//  A millisecond's lines: 20,000 a second.
static void
s_receive (worker_t *self)
{
    char text[LINES_A_STEP * 64];
    size_t at = 0;
    int i;
    for (i = 0; i < LINES_A_STEP; i++)
        at += (size_t) snprintf (text + at, sizeof text - at,
                                 "info|Counter|n.%zu|1|1760000000|s\n",
                                 s_run.lines++ % NAMES);
    spool_journal (self->spool, text, at, 0);
    ingest_message (&self->ingest, text, at);
    spool_journal_write (self->spool);
}

//  What ingest did between two steps is how long a message had to wait. On a
//  machine with others that is not for the wall clock to say.
static int
s_step (zloop_t *loop, int timer, void *argument)
{
    int64_t cpu = s_us (CLOCK_THREAD_CPUTIME_ID);
    int64_t wall = s_us (CLOCK_MONOTONIC);
    (void) timer;
    if (s_run.steps && cpu - s_run.cpu_us > s_run.longest_cpu_us)
        s_run.longest_cpu_us = cpu - s_run.cpu_us;
    if (s_run.steps && wall - s_run.wall_us > s_run.longest_wall_us)
        s_run.longest_wall_us = wall - s_run.wall_us;
    s_receive (argument);
    worker_flush_early (argument, loop);
    s_run.cpu_us = s_us (CLOCK_THREAD_CPUTIME_ID);
    s_run.wall_us = s_us (CLOCK_MONOTONIC);
    return ++s_run.steps < STEPS ? 0 : -1;
}

//  The sum of all rows that wait.
static double
s_sum (worker_t *self)
{
    request_t *request;
    double sum = 0;
    while ((request = queue_pop (self->queue))) {
        const char *at;
        assert_int_equal (request_load (request, self->spool), 0);
        for (at = request->text; (at = strstr (at, "|n.")); at++)
            sum += strtod (strstr (at, " value=") + 7, NULL);
        request_destroy (&request);
    }
    return sum;
}

//  --------------------------------------------------------------------------
//  The test

//  A worker with a folder of its own.
static void
s_begin (worker_t *self, char *dir)
{
    assert_non_null (mkdtemp (dir));
    s_worker.spool = dir;
    s_worker.batch = 300;
    s_worker.flush = 1;
    worker_init (self, &s_backend);
    strcpy (self->ingest.source, "here");
    worker_load (self);
    assert_int_equal (flush_start (self->flush), 0);
}

static void
s_flush (worker_t *self)
{
    worker_finish (self);
    worker_flush (self, wall_us () / 1000000, true);
    worker_finish (self);
}

static void
test_slow_disk (void **state)
{
    char dir[] = "/tmp/zibrato-disk-XXXXXX";
    worker_t self;
    (void) state;
    s_ingest = pthread_self ();
    s_begin (&self, dir);
    s_slow = true;
    self.loop = zloop_new ();
    worker_tick_begin (&self);
    zloop_timer (self.loop, 1, 0, s_step, &self);
    zloop_start (self.loop);
    zloop_destroy (&self.loop);
    s_slow = false;
    s_flush (&self);
    print_message ("%d calls elsewhere; ingest stood still for %" PRId64
                   " us, %" PRId64 " us of them its own\n",
                   s_elsewhere, s_run.longest_wall_us, s_run.longest_cpu_us);
    assert_int_equal (s_on_ingest, 0);
    assert_true (s_elsewhere > 0);
    assert_true (s_run.longest_cpu_us <= 20000);
    assert_true (s_sum (&self) == (double) s_run.lines);
    assert_int_equal (self.queue->dropped_rows, 0);
    worker_clear (&self);
    folder_remove (dir);
}

//  The ledger's new name is there, but nobody knows whether it lasts: then there is no
//  state of this flush, as on a disk that is full. The next one is whole again.
static void
test_name_that_does_not_last (void **state)
{
    char dir[] = "/tmp/zibrato-disk-XXXXXX";
    worker_t self;
    (void) state;
    s_run.lines = 0;
    s_begin (&self, dir);
    s_receive (&self);
    s_fails = true;
    s_flush (&self);
    assert_false (s_fails);
    assert_true (self.spool->failed);
    for (int i = 0; i < 2; i++) {
        s_receive (&self);
        s_flush (&self);
    }
    assert_false (self.spool->failed);
    assert_true (s_sum (&self) == (double) s_run.lines);
    worker_clear (&self);
    folder_remove (dir);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_slow_disk),
      cmocka_unit_test (test_name_that_does_not_last)};
    return cmocka_run_group_tests_name ("disk", tests, NULL, NULL);
}
