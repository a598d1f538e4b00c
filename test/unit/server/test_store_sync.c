/*  test_store_sync.c - nobody hears of a batch, or of a change, before a sync that began
    after its commit has ended; and what becomes of them when a sync fails

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "clock.h"
#include "disk.h"
#include "store_own.h"
#include "stored.h"

#include <sys/mman.h>

enum { LONG_MS = 60000, LOOK_MS = 100 };

static stored_t s_stored;
static _Atomic int64_t s_later_s;  //  the store's clock is ahead

//  --------------------------------------------------------------------------
//  Syncs of the log: each waits until it may go on, while they are held

static _Atomic bool s_hold, s_fail;
static _Atomic int s_began, s_allowed;  //  how many
static void (*s_meanwhile) (void);      //  called in each, or NULL

static void
s_pause (int ms)
{
    nanosleep (&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int
s_sync (const char *path)
{
    int number;
    if (!strstr (path, "-wal"))
        return SQLITE_OK;
    number = ++s_began;
    while (s_hold && s_allowed < number)
        s_pause (1);
    if (s_meanwhile)
        s_meanwhile ();
    return s_fail ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static void
s_await_number (const _Atomic int *number, int wanted)
{
    int64_t until_ms = boot_ms () + LONG_MS;
    while (*number < wanted && boot_ms () < until_ms)
        s_pause (1);
    assert_int_equal (*number, wanted);
}

static int64_t
s_wall_us (void)
{
    return wall_us () + s_later_s * 1000000;
}

static void
s_begin (void)
{
    s_hold = s_fail = false;
    disk_mount ();
    stored_init (&s_stored);
    s_stored.options.wall_us = s_wall_us;
    strcpy (s_disk.folder, s_stored.folder);
    stored_start (&s_stored);
    s_began = s_allowed = 0;
    s_disk.sync = s_sync;
}

static void
s_end (void)
{
    stored_end (&s_stored);
    disk_unmount ();
}

//  --------------------------------------------------------------------------
//  Batches of one row

typedef struct {
    store_row_t row;
    unsigned char refused;
    batch_t batch;
    _Atomic int done;
} posted_t;

static void
s_done (batch_t *batch)
{
    ((posted_t *) batch->argument)->done++;
}

static void
s_post (posted_t *self, const char *name)
{
    *self = (posted_t){.row = stored_row (name, NULL, wall_us () / 1000000, 1)};
    self->batch = (batch_t){.rows = &self->row,
                            .count = 1,
                            .key = name,
                            .key_size = strlen (name),
                            .refused = &self->refused,
                            .done = s_done,
                            .argument = self};
    assert_int_equal (store_submit (s_stored.store, &self->batch), 0);
}

static batch_result_t
s_result (const posted_t *self)
{
    s_await_number (&self->done, 1);
    return self->batch.result;
}

static batch_result_t
s_post_one (const char *name)
{
    posted_t one;
    s_post (&one, name);
    return s_result (&one);
}

//  As everybody else sees it.
static void
s_await_committed (const char *name)
{
    int64_t until_ms = boot_ms () + LONG_MS;
    metric_t metric;
    while (reader_metric (s_stored.reader, name, &metric) != 1
           && boot_ms () < until_ms)
        s_pause (1);
    assert_int_equal (reader_metric (s_stored.reader, name, &metric), 1);
}

static double
s_sum (stored_t *stored, const char *name)
{
    double sum = 0;
    int64_t now_s = wall_us () / 1000000;
    stored_ask (stored, name, "", now_s - 300, now_s + 300, 1);
    for (size_t i = 0; i < stored->count; i++)
        sum += stored->said[i].sum;
    return sum;
}

//  --------------------------------------------------------------------------

//  The first sync began before the others were committed, so it does not count for them,
//  which are committed while it lasts. A repeated request waits for that of the first.
static void
test_nothing_is_said_before_its_sync (void **state)
{
    posted_t one, other, again;
    (void) state;
    s_begin ();
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_hold = true;
    s_allowed = s_began;
    s_post (&one, "one");
    s_await_number (&s_began, s_allowed + 1);
    s_post (&other, "other");
    s_await_committed ("other");
    s_post (&again, "other");
    s_pause (LOOK_MS);
    assert_int_equal (one.done + other.done + again.done, 0);
    s_allowed++;
    assert_int_equal (s_result (&one), BATCH_STORED);
    s_await_number (&s_began, s_allowed + 1);
    s_pause (LOOK_MS);
    assert_int_equal (other.done + again.done, 0);
    s_hold = false;
    assert_int_equal (s_result (&other), BATCH_STORED);
    assert_int_equal (s_result (&again), BATCH_REPEATED);
    s_end ();
}

static _Atomic int s_changed;

static int
s_change (sqlite3 *db, void *argument)
{
    (void) argument;
    return sqlite3_exec (db, "UPDATE metric SET period = 7", NULL, NULL, NULL);
}

static void *
s_changer (void *argument)
{
    assert_int_equal (store_change (s_stored.store, s_change, NULL), 0);
    s_changed = 1;
    return argument;
}

static void
test_a_change_is_synced (void **state)
{
    pthread_t thread;
    (void) state;
    s_begin ();
    s_changed = 0;
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_hold = true;
    s_allowed = s_began;
    assert_int_equal (pthread_create (&thread, NULL, s_changer, NULL), 0);
    s_await_number (&s_began, s_allowed + 1);
    s_pause (LOOK_MS);
    assert_int_equal (s_changed, 0);
    s_hold = false;
    s_await_number (&s_changed, 1);
    pthread_join (thread, NULL);
    s_end ();
}

//  The log is written back while no sync is under way.
static int
s_write_log_back (store_t *store, void *argument)
{
    (void) argument;
    store->wal_pages = 3000;
    store_tend (store);
    return store->wal_pages;
}

static void *
s_writer (void *argument)
{
    assert_int_equal (store_run (s_stored.store, s_write_log_back, NULL), 0);
    s_changed = 1;
    return argument;
}

static void
test_the_log_is_written_back_between_syncs (void **state)
{
    posted_t one;
    pthread_t thread;
    (void) state;
    s_begin ();
    s_changed = 0;
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_hold = true;
    s_allowed = s_began;
    s_post (&one, "one");
    s_await_number (&s_began, s_allowed + 1);
    assert_int_equal (pthread_create (&thread, NULL, s_writer, NULL), 0);
    s_pause (LOOK_MS);
    assert_int_equal (s_began, s_allowed + 1);
    assert_int_equal (s_changed, 0);
    s_hold = false;
    s_await_number (&s_changed, 1);
    pthread_join (thread, NULL);
    assert_int_equal (s_result (&one), BATCH_STORED);
    s_end ();
}

//  --------------------------------------------------------------------------
//  Syncs that fail

//  What a host that lost power now would have.
static void
s_assert_image (const char *name, double sum)
{
    char folder[] = "/tmp/zb-image-XXXXXX";
    stored_t image = s_stored;
    assert_non_null (mkdtemp (folder));
    disk_image (folder);
    image.options.folder = folder;
    stored_start (&image);
    assert_true (s_sum (&image, name) == sum);
    stored_stop (&image);
    folder_remove (folder);
}

//  Which of the two it is depends on whether that of a commit has failed, or that which
//  SQLite itself does when its log begins anew.
static bool
s_is_stored (batch_result_t result)
{
    return result == BATCH_STORED || result == BATCH_REPEATED;
}

//  The next sync would succeed, though what was to be synced is lost. So the log is
//  written back before anybody hears that something is stored.
static void
test_after_a_sync_that_fails (void **state)
{
    store_stats_t stats;
    (void) state;
    s_begin ();
    for (int i = 0; i < 20; i++) {
        assert_int_equal (s_post_one ("first"),
                          i ? BATCH_REPEATED : BATCH_STORED);
        s_fail = true;
        assert_int_equal (s_post_one (i % 2 ? "odd" : "even"), BATCH_FAILED);
        s_fail = false;
        s_later_s += 60;
        assert_true (s_is_stored (s_post_one (i % 2 ? "odd" : "even")));
        s_assert_image (i % 2 ? "odd" : "even", 1);
        s_assert_image ("first", 1);
    }
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.failed, 0);
    assert_int_equal (stats.received,
                      stats.stored + stats.repeated + stats.refused);
    s_end ();
}

//  Nothing is said to be stored, or changed, as long as the disk cannot be trusted.
static void
test_while_syncs_fail (void **state)
{
    (void) state;
    s_begin ();
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_fail = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal (s_post_one ("one"), BATCH_FAILED);
        assert_int_equal (s_post_one ("first"), BATCH_FAILED);
        assert_int_equal (store_change (s_stored.store, s_change, NULL), -1);
        s_later_s += 60;
    }
    s_fail = false;
    assert_true (s_is_stored (s_post_one ("one")));
    assert_int_equal (store_change (s_stored.store, s_change, NULL), 0);
    assert_true (s_sum (&s_stored, "one") == 1);
    s_assert_image ("one", 1);
    s_end ();
}

//  How often the log on stderr said this, from s_listen on.
static int s_stderr, s_log;

static void
s_listen (void)
{
    fflush (stderr);
    s_stderr = dup (STDERR_FILENO);
    s_log = memfd_create ("log", MFD_CLOEXEC);
    assert_true (s_stderr != -1 && s_log != -1);
    dup2 (s_log, STDERR_FILENO);
}

static int
s_heard (const char *text)
{
    static char said[1 << 16];
    int count = 0;
    fflush (stderr);
    dup2 (s_stderr, STDERR_FILENO);
    close (s_stderr);
    assert_true (pread (s_log, said, sizeof said - 1, 0) >= 0);
    close (s_log);
    for (const char *at = said; (at = strstr (at, text)); at++)
        count++;
    return count;
}

static void
test_a_sync_that_fails_is_said_once (void **state)
{
    (void) state;
    s_begin ();
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_listen ();
    s_fail = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal (s_post_one ("one"), BATCH_FAILED);
    assert_int_equal (s_heard ("event=store_failed"), 1);
    s_fail = false;
    s_end ();
}

//  While a start writes the log once more, another process would write into it in vain.
static int s_begun;  //  what SQLite said when it tried last

static void
s_begin_beside (void)
{
    char path[128];
    sqlite3 *db;
    snprintf (path, sizeof path, "%s/store.db", s_stored.folder);
    s_meanwhile = NULL;
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    s_begun = sqlite3_exec (db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    sqlite3_close (db);
    s_meanwhile = s_begin_beside;
}

static void
test_a_start_keeps_others_out_of_the_log (void **state)
{
    (void) state;
    s_begin ();
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    stored_stop (&s_stored);
    s_begun = -1;
    s_meanwhile = s_begin_beside;
    stored_start (&s_stored);
    s_meanwhile = NULL;
    assert_int_equal (s_begun, SQLITE_BUSY);
    assert_int_equal (s_post_one ("one"), BATCH_STORED);
    s_end ();
}

static void
test_closing_while_syncs_fail (void **state)
{
    char log[128];
    (void) state;
    s_begin ();
    snprintf (log, sizeof log, "%s/store.db-wal", s_stored.folder);
    assert_int_equal (s_post_one ("first"), BATCH_STORED);
    s_fail = true;
    assert_int_equal (s_post_one ("one"), BATCH_FAILED);
    stored_stop (&s_stored);
    assert_int_equal (access (log, R_OK), 0);
    s_assert_image ("first", 1);
    s_fail = false;
    stored_start (&s_stored);
    assert_true (s_is_stored (s_post_one ("one")));
    assert_true (s_sum (&s_stored, "one") == 1);
    s_assert_image ("one", 1);
    stored_stop (&s_stored);
    assert_int_equal (access (log, R_OK), -1);
    folder_remove (s_stored.folder);
    disk_unmount ();
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_nothing_is_said_before_its_sync),
      cmocka_unit_test (test_a_change_is_synced),
      cmocka_unit_test (test_the_log_is_written_back_between_syncs),
      cmocka_unit_test (test_after_a_sync_that_fails),
      cmocka_unit_test (test_while_syncs_fail),
      cmocka_unit_test (test_a_sync_that_fails_is_said_once),
      cmocka_unit_test (test_a_start_keeps_others_out_of_the_log),
      cmocka_unit_test (test_closing_while_syncs_fail)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
