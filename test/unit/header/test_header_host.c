/*  test_header_host.c - what zibrato.h does to its host: errno, signals, fork

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "header.h"

//  --------------------------------------------------------------------------
//  The host program: errno, signals, fork

static void
test_errno (void **state)
{
    fixture_t *self = *state;
    int i;
    (void) self;
    for (i = 0; i < 3; i++) {
        errno = EDOM;
        {
            ZB_COUNT_ME ("info", "c");
            ZB_COUNT_ME ("in|fo", "c");
            ZB_TIME_ME ("info", "t");
        }
        ZB_GAUGE ("info", "g", 1);
        ZB_GAUGE ("info", "g", NAN);
        zb_count ("info", "rc");
        zb_time ("info", "rt", 1);
        zb_time ("info", "rt", -1);
        zb_gauge ("info", "rg", 1);
        zb_gauge ("info", "", 1);
        assert_int_equal (errno, EDOM);
    }
}

//  Bits of SigBlk of a task of this process.
static uint64_t
s_blocked (const char *task)
{
    char path[300], line[200];
    uint64_t blocked = 0;
    FILE *file;
    snprintf (path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen (path, "r");
    if (!file)
        return UINT64_MAX;  //  it has ended since
    while (fgets (line, sizeof line, file))
        if (strncmp (line, "SigBlk:", 7) == 0)
            blocked = strtoull (line + 7, NULL, 16);
    fclose (file);
    return blocked;
}

static void
s_task_names (char *names, size_t size)
{
    DIR *folder = opendir ("/proc/self/task");
    struct dirent *entry;
    size_t used = 0;
    assert_non_null (folder);
    *names = 0;
    while ((entry = readdir (folder)))
        if (*entry->d_name != '.')
            used += (size_t) snprintf (names + used, size - used, " %s",
                                       entry->d_name);
    closedir (folder);
}

//  No handler, no mask of the host's changes, and no signal of the host's ends
//  on a thread of ours.
static void
test_signals (void **state)
{
    static struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    char old_tasks[2000], tasks[2000], *rest = tasks, *task;
    uint64_t all = 0;
    zb_t *zb;
    int i, found = 0;
    (void) state;
    for (i = 1; i <= 31; i++)
        if (i != SIGKILL && i != SIGSTOP)
            all |= 1ull << (i - 1);
    for (i = 1; i <= 64; i++)
        sigaction (i, NULL, &before[i]);
    pthread_sigmask (SIG_SETMASK, NULL, &mask_before);
    s_task_names (old_tasks, sizeof old_tasks);
    zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 20,
                  .linger_ms = 0);
    zb_count ("info", "n", .to = zb);
    zb_flush (zb, 50);  //  all threads run by now
    s_task_names (tasks, sizeof tasks);
    while ((task = strsep (&rest, " ")))
        if (*task && !strstr (old_tasks, task)) {
            found++;
            assert_int_equal (s_blocked (task) & all, all);
        }
    assert_true (found >= 1);
    for (i = 1; i <= 64; i++)
        if (sigaction (i, NULL, &after) == 0)
            assert_ptr_equal (after.sa_handler, before[i].sa_handler);
    pthread_sigmask (SIG_SETMASK, NULL, &mask_after);
    for (i = 1; i <= 64; i++)
        assert_int_equal (sigismember (&mask_after, i),
                          sigismember (&mask_before, i));
    zb_close (&zb);
}

//  Begins when the pipe is closed, so that all forks are made in silence. Ends
//  without the test program's exit handlers.
static void
s_child (zb_t *zb, const int *pipes, int number)
{
    zb_stats_t stats;
    char c;
    int i;
    close (pipes[1]);
    if (read (pipes[0], &c, 1) != 0)
        _exit (3);
    zb_stats (zb, &stats);
    if (stats.sent || stats.dropped || stats.refused || stats.held)
        _exit (2);
    for (i = 0; i < 100; i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_TIME_ME ("info", "t");
        ZB_GAUGE ("info", "g", number);
    }
    zb_close (&zb);
    _exit (zb == NULL ? 0 : 1);
}

static double
s_streams_total (const peer_t *peer, const char *name)
{
    double total = 0;
    size_t i, j;
    for (i = 0; i < peer->size; i++) {
        const line_t *line = &peer->lines[i];
        if (strcmp (line->name, name) != 0)
            continue;
        for (j = i + 1; j < peer->size; j++)
            if (strcmp (peer->lines[j].name, name) == 0
                && strcmp (peer->lines[j].id, line->id) == 0)
                break;
        if (j == peer->size)
            total += *line->type == 'T' ? (double) line->count : line->total;
    }
    return total;
}

static int
s_has_streams_total (const peer_t *peer, const void *wanted)
{
    const state_t *state = wanted;
    return s_streams_total (peer, state->name) == state->total;
}

//  ThreadSanitizer lets no child of a program with threads start new ones, and
//  a child of AddressSanitizer's hangs when another thread was in its allocator
//  at the fork (both of gcc 12 and clang 14).
#if defined __SANITIZE_THREAD__
#define NO_FORK 1
#elif defined __SANITIZE_ADDRESS__
#define NO_BUSY_FORK 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define NO_FORK 1
#elif __has_feature(address_sanitizer)
#define NO_BUSY_FORK 1
#endif
#endif

//  A child is a stream of its own that starts from zero.
__attribute__ ((unused)) static void
test_fork (void **state)
{
    enum { CHILDREN = 5 };
    static const state_t wanted[] = {{"n", NULL, 100 * CHILDREN + 1001},
                                     {"t", NULL, 100 * CHILDREN + 1000}};
    peer_t peer;
    zb_t *zb;
    pid_t child[CHILDREN];
    int i, status, pipes[2];
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    assert_int_equal (pipe (pipes), 0);
    peer_meet (&peer, zb);
    for (i = 0; i < 1000; i++) {
        ZB_COUNT_ME ("info", "n");
        ZB_TIME_ME ("info", "t");
    }
    zb_gauge ("info", "kept", -1);
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    assert_int_equal (zb->levels->queue.sent, 1);
    //  the parent's, which the parent alone sends
    zb_count ("info", "n");
    zb_gauge ("info", "g", -1);
    for (i = 0; i < CHILDREN; i++) {
        child[i] = fork ();
        if (child[i] == 0)
            s_child (zb, pipes, i);
    }
    close (pipes[0]);
    close (pipes[1]);
    zb_flush (zb, WAIT_MS);
    peer_await (&peer, s_has_streams_total, &wanted[0]);
    peer_await (&peer, s_has_streams_total, &wanted[1]);
    peer_await_lines (&peer, "g", 100 * CHILDREN + 1);
    for (i = 0; i < CHILDREN; i++) {
        assert_int_equal (waitpid (child[i], &status, 0), child[i]);
        assert_true (WIFEXITED (status));
        assert_int_equal (WEXITSTATUS (status), 0);
    }
    peer_drain (&peer, 100);
    assert_int_equal (peer_count (&peer, "g"), 100 * CHILDREN + 1);
    assert_int_equal (peer_count (&peer, "kept"), 1);
    //  in the parent's stream, a child may have reported for it, with numbers
    //  that the parent has left out
    for (i = 0; (size_t) i < peer.size; i++)
        if (strcmp (peer.lines[i].id, peer.lines[0].id) != 0)
            peer_check_stream (&peer, peer.lines[i].id);
    //  the parent's is not ended by a child, though a child may report for it
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.ends, CHILDREN + 1);
    peer_close (&peer);
}

//  A child that first measures when its parent has long ended says nothing of the
//  parent's stream any more: it has had its end, and counts for a new one to who
//  has forgotten it.
__attribute__ ((unused)) static void
test_fork_ended (void **state)
{
    peer_t peer;
    zb_t *zb;
    pid_t child;
    size_t before;
    int status, pipes[2];
    (void) state;
    peer_open (&peer, "");
    zb = zb_open (.endpoint = peer.endpoint, .interval_ms = 3600000,
                  .linger_ms = WAIT_MS);
    assert_int_equal (pipe (pipes), 0);
    peer_meet (&peer, zb);
    zb_count ("info", "n");
    assert_int_equal (zb_flush (zb, WAIT_MS), 0);
    zb_count ("info", "n");
    child = fork ();
    if (child == 0)
        s_child (zb, pipes, 0);
    s_await_close (&peer, &zb, "n");
    assert_int_equal (peer.ends, 1);
    before = peer.size;
    close (pipes[0]);
    close (pipes[1]);
    peer_await_lines (&peer, "g", 100);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    peer_drain (&peer, 100);
    assert_int_equal (peer.ends, 2);
    for (; before < peer.size; before++)
        assert_string_not_equal (peer.lines[before].id, peer.lines[0].id);
    peer_close (&peer);
}

//  A fork at any moment of the pump's: the child must not find a lock taken.
__attribute__ ((unused)) static void
test_fork_any_time (void **state)
{
    int i, status, children = 300;
    zb_t *zb;
    (void) state;
    for (i = 0; i < children; i++) {
        pid_t child;
        zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .interval_ms = 1,
                      .linger_ms = 0);
        child = fork ();
        if (child == 0) {
            alarm (10);
            zb_count ("info", "n");
            zb_close (&zb);
            _exit (0);
        }
        zb_close (&zb);
        assert_int_equal (waitpid (child, &status, 0), child);
        if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
            fail_msg ("child %d: status %x", i, (unsigned) status);
    }
}

//  Runs a child while its thread is marked as a signal handler finds it that
//  has interrupted us, with our lock held. Returns its status.
__attribute__ ((unused)) static int
s_interrupted_child (void (*run) (void))
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        alarm (20);
        assert_int_equal (zb_enter_ (), 0);
        pthread_mutex_lock (&zb_lock_);
        run ();
        _exit (1);
    }
    assert_int_equal (waitpid (child, &status, 0), child);
    return status;
}

#ifdef NO_BUSY_FORK
//  LeakSanitizer asks when a process ends. A child does not have the threads of
//  its parent: what only their stacks led to would be called a leak.
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
    return getpid () != s_parent;
}
#endif

static void
s_leave (void)
{
    exit (0);
}

//  The grandchild measures and leaves; its parent goes on and leaves as well.
static void
s_fork_and_leave (void)
{
    int status;
    pid_t child = fork ();
    if (child == 0) {
        alarm (20);
        ZB_COUNT_ME ("info", "interrupted");
        zb_count ("info", "interrupted");
        exit (0);
    }
    if (waitpid (child, &status, 0) != child || status != 0)
        _exit (2);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
    zb_count ("info", "interrupted");
    exit (0);
}

//  Neither exit nor fork in a signal handler waits for what it has interrupted;
//  and no function does.
__attribute__ ((unused)) static void
test_interrupted (void **state)
{
    zb_stats_t stats;
    zb_t *zb = zb_open (.endpoint = "tcp://127.0.0.1:1", .linger_ms = 0), *same;
    (void) state;
    assert_non_null (zb);
    assert_int_equal (s_interrupted_child (s_leave), 0);
    assert_int_equal (s_interrupted_child (s_fork_and_leave), 0);
    zb_count ("info", "n");
    same = zb;
    assert_int_equal (zb_enter_ (), 0);
    pthread_mutex_lock (&zb_lock_);
    zb_count ("info", "n");
    zb_count ("in|fo", "n");
    zb_time ("info", "t", 1);
    zb_gauge ("info", "new", 1);
    assert_int_equal (zb_flush (zb, 1000), -1);
    assert_int_equal (zb_stats (zb, &stats), -1);
    assert_null (zb_open (.linger_ms = 0));
    zb_close (&same);
    assert_ptr_equal (same, zb);
    pthread_mutex_unlock (&zb_lock_);
    zb_leave_ ();
    assert_int_equal (zb_stats (zb, &stats), 0);
    assert_int_equal (stats.dropped_async, 4);
    assert_int_equal (stats.dropped, 4);
    zb_close (&zb);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_errno, s_open, s_close),
        cmocka_unit_test (test_signals),
#ifndef NO_FORK
        cmocka_unit_test (test_fork),
        cmocka_unit_test (test_fork_ended),
        cmocka_unit_test (test_interrupted),
#endif
#if !defined NO_FORK && !defined NO_BUSY_FORK
        cmocka_unit_test (test_fork_any_time),
#endif
    };
    return jobs_run (tests, sizeof tests / sizeof *tests, s_begin);
}
