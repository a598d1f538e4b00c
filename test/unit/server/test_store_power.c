/*  test_store_power.c - the host loses power while the store writes, packs, and
    writes its log back

    Before each write and sync of the database the disk is looked at, and now and then
    an image is made of what it might have without power. A store is opened there: it
    has all batches that were acknowledged, of those that were under way all or
    nothing, and each key that it has rows of. All that is sent once more then is
    there once. The same is asked when some syncs fail.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 LONG 900

#include "../unit.h"

#include "clock.h"
#include "disk.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"

enum { BATCHES = 400, ROWS = 3, SERIES = 7, UNDER_WAY = 4 };

//  A batch that is sent until it is stored.
typedef struct {
    batch_t batch;
    store_row_t rows[ROWS];
    char key[16];
    unsigned char refused[ROWS];
    _Atomic bool acknowledged, failed;
} sending_t;

static stored_t s_stored;
static int64_t s_begin_s;
static sending_t s_sending[BATCHES];
static _Atomic int s_sent;  //  how many of them, so far
static int s_open;          //  of them, guarded by s_lock
static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t s_changed = PTHREAD_COND_INITIALIZER;

static pthread_mutex_t s_looking = PTHREAD_MUTEX_INITIALIZER;
static int s_images, s_images_most, s_steps;
static int s_apart;  //  so many steps from one image to the next

static int s_fails_each;  //  one of so many syncs fails; 0: none
static _Atomic int s_syncs;
static _Atomic int64_t s_later_s;  //  the store's clock is ahead

//  --------------------------------------------------------------------------
//  Batches, and what is to be there of them

static void
s_make (int number, batch_t *batch, store_row_t rows[ROWS], char key[16],
        unsigned char refused[ROWS])
{
    static const char *const sources[SERIES] = {"a", "b", "c", "d",
                                                "e", "f", "g"};
    for (int i = 0; i < ROWS; i++)
        rows[i] = stored_row ("m", sources[(number + i) % SERIES],
                              s_begin_s + number * 40 + i, number + 1);
    memset (refused, 0, ROWS);
    *batch =
      (batch_t){.rows = rows, .count = ROWS, .key = key, .refused = refused};
    batch->key_size = (size_t) snprintf (key, 16, "key-%d", number);
}

static batch_result_t
s_send (store_t *store, int number)
{
    store_row_t rows[ROWS];
    unsigned char refused[ROWS];
    char key[16];
    batch_t batch;
    s_make (number, &batch, rows, key, refused);
    store_write (store, &batch);
    return batch.result;
}

typedef struct {
    uint64_t n;
    double sum;
    reader_t *reader;
} total_t;

static int
s_add_point (void *argument, const point_t *point)
{
    total_t *total = (total_t *) argument;
    total->n += point->n;
    total->sum += point->sum;
    return 0;
}

static int64_t s_ids[SERIES];
static int s_id_count;

static int
s_keep_id (void *argument, const series_t *series)
{
    (void) argument;
    s_ids[s_id_count++] = series->id;
    return 0;
}

//  Of all series, at a resolution.
static total_t
s_total (store_t *store, int64_t resolution_s)
{
    total_t total = {.reader = reader_new (store)};
    metric_t metric;
    assert_non_null (total.reader);
    s_id_count = 0;
    if (reader_metric (total.reader, "m", &metric))
        reader_series (total.reader, metric.id, s_keep_id, NULL);
    for (int i = 0; i < s_id_count; i++)
        assert_true (reader_points (total.reader, s_ids[i], s_begin_s,
                                    s_begin_s + BATCHES * 40 + 100,
                                    resolution_s, s_add_point, &total)
                     != -1);
    reader_destroy (&total.reader);
    return total;
}

static void
s_assert_total (store_t *store, int batches)
{
    static const int64_t resolutions[] = {1, 60, 900, 3600};
    for (int i = 0; i < 4; i++) {
        total_t total = s_total (store, resolutions[i]);
        assert_int_equal (total.n, ROWS * batches);
        assert_true (total.sum == (double) ROWS * batches * (batches + 1) / 2);
    }
}

//  --------------------------------------------------------------------------
//  Images

//  Without failures they are stored in the order in which they were sent.
static void
s_look_at (const char *folder, const bool acknowledged[BATCHES])
{
    store_options_t options = s_stored.options;
    const char *why;
    store_t *store;
    int stored, repeated = 0, sent = s_sent;
    int most = sent < BATCHES ? sent + 1 : BATCHES;
    options.folder = folder;
    store = store_open (&options, &why);
    assert_non_null (store);
    stored = (int) s_total (store, 1).n / ROWS;
    if (!s_fails_each)
        s_assert_total (store, stored);
    for (int i = 0; i < most; i++) {
        batch_result_t result = s_send (store, i);
        assert_true (result == BATCH_REPEATED || result == BATCH_STORED);
        assert_true (result == BATCH_REPEATED || !acknowledged[i]);
        assert_true (s_fails_each
                     || (result == BATCH_REPEATED) == (i < stored));
        repeated += result == BATCH_REPEATED;
    }
    assert_true (stored <= sent);
    assert_int_equal (repeated, stored);
    s_assert_total (store, most);
    store_close (&store);
}

//  One of some steps, so that all of them together have many.
static void
s_step (void)
{
    char folder[] = "/tmp/zb-image-XXXXXX";
    bool acknowledged[BATCHES];
    pthread_mutex_lock (&s_looking);
    if (++s_steps % s_apart == 0 && s_images < s_images_most) {
        s_images++;
        for (int i = 0; i < BATCHES; i++)
            acknowledged[i] = s_sending[i].acknowledged;
        assert_non_null (mkdtemp (folder));
        disk_image (folder);
        s_look_at (folder, acknowledged);
        folder_remove (folder);
    }
    pthread_mutex_unlock (&s_looking);
}

//  A store asks the disk again some seconds after a failure.
static int
s_sync_now_and_then (void)
{
    if (!s_fails_each || ++s_syncs % s_fails_each)
        return SQLITE_OK;
    s_later_s += 10;
    return SQLITE_IOERR_FSYNC;
}

static int64_t
s_wall_us (void)
{
    return wall_us () + s_later_s * 1000000;
}

static int
s_pack_all (store_t *store, void *argument)
{
    (void) argument;
    pack_begin (store, INT64_MAX);
    while (pack_slice (store) == 1) {
    }
    return 0;
}

static int
s_write_back (store_t *store, void *argument)
{
    return sqlite3_wal_checkpoint_v2 (store->db, NULL, *(int *) argument, NULL,
                                      NULL);
}

//  --------------------------------------------------------------------------
//  Sending

//  Handler for batch_t. Of one that has failed nothing was stored, so that it is no
//  repetition when it is sent again.
static void
s_done (batch_t *batch)
{
    sending_t *self = (sending_t *) batch->argument;
    bool stored = batch->result == BATCH_STORED;
    assert_true (stored || (s_fails_each && batch->result == BATCH_FAILED));
    pthread_mutex_lock (&s_lock);
    self->acknowledged = stored;
    self->failed = !stored;
    s_open--;
    pthread_cond_signal (&s_changed);
    pthread_mutex_unlock (&s_lock);
}

static void
s_submit (int number)
{
    sending_t *self = &s_sending[number];
    s_make (number, &self->batch, self->rows, self->key, self->refused);
    self->failed = false;
    self->batch.done = s_done;
    self->batch.argument = self;
    pthread_mutex_lock (&s_lock);
    s_open++;
    pthread_mutex_unlock (&s_lock);
    assert_int_equal (store_submit (s_stored.store, &self->batch), 0);
}

//  Until fewer are under way, and none has failed.
static void
s_await (int sent, int under_way)
{
    pthread_mutex_lock (&s_lock);
    while (s_open >= under_way)
        pthread_cond_wait (&s_changed, &s_lock);
    pthread_mutex_unlock (&s_lock);
    for (int i = 0; i < sent; i++)
        if (s_sending[i].failed) {
            s_submit (i);
            s_await (sent, under_way);
        }
}

static void
s_begin (void)
{
    memset (s_sending, 0, sizeof s_sending);
    s_images = s_steps = 0;
    s_sent = 0;
    s_images_most = getenv ("ZB_LONG") ? 2000 : SANITIZED ? 60 : 150;
    s_apart = getenv ("ZB_LONG") ? 2 : 13;
    s_begin_s = time_floor (wall_us () / 1000000, HOUR_S) - 10 * HOUR_S;
    disk_mount ();
    stored_init (&s_stored);
    s_stored.options.wall_us = s_wall_us;
    strcpy (s_disk.folder, s_stored.folder);
    stored_start (&s_stored);
    s_disk.step = s_step;
    s_disk.sync = s_sync_now_and_then;
}

static void
s_end (void)
{
    s_disk.step = NULL;
    s_disk.sync = NULL;
    print_message ("%d steps, %d images\n", s_steps, s_images);
    assert_true (s_images > 40);
    s_assert_total (s_stored.store, BATCHES);
    stored_end (&s_stored);
    disk_unmount ();
}

//  Images take such numbers, too.
static int
s_any_below (int end)
{
    int any;
    pthread_mutex_lock (&s_disk.lock);
    any = (int) (s_any () % (uint64_t) end);
    pthread_mutex_unlock (&s_disk.lock);
    return any;
}

//  The first image is one of a database that has its tables.
static void
s_lose_power (int under_way)
{
    s_begin ();
    for (int i = 0; i < BATCHES; i++) {
        int any = s_any_below (8);
        s_sent = i + 1;
        s_submit (i);
        s_await (i + 1, under_way);
        if (any == 0)
            store_run (s_stored.store, s_pack_all, NULL);
        if (any < 3)
            store_run (s_stored.store, s_write_back, &any);
    }
    s_await (BATCHES, 1);
    s_end ();
}

static void
test_power_loss (void **state)
{
    (void) state;
    s_fails_each = 0;
    s_lose_power (1);
}

static void
test_power_loss_while_many_are_under_way (void **state)
{
    (void) state;
    s_fails_each = 0;
    s_lose_power (UNDER_WAY);
}

static void
test_power_loss_after_syncs_that_failed (void **state)
{
    (void) state;
    s_fails_each = 9;
    s_lose_power (UNDER_WAY);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_power_loss),
      cmocka_unit_test (test_power_loss_while_many_are_under_way),
      cmocka_unit_test (test_power_loss_after_syncs_that_failed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
