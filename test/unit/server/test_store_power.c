/*  test_store_power.c - the host loses power while the store writes, packs, and
    writes its log back

    Before each write and sync of SQLite the disk is looked at, and now and then an
    image is made of what it might have without power. A store is opened there: it
    has all batches that were acknowledged, of the one that was under way all or
    nothing, and each key that it has rows of. All that is sent once more then is
    there once.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300 LONG 900

#include "../unit.h"

#include "clock.h"
#include "disk.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"

enum { BATCHES = 400, ROWS = 3, SERIES = 7 };

static stored_t s_stored;
static int64_t s_begin_s;
static _Atomic int s_acknowledged;
static int s_images, s_images_most, s_steps;
static int s_apart = 13;     //  so many steps from one image to the next
static pthread_t s_watched;  //  whose steps count

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

static void
s_look_at (const char *folder, int acknowledged)
{
    store_options_t options = s_stored.options;
    const char *why;
    store_t *store;
    int stored;
    options.folder = folder;
    store = store_open (&options, &why);
    assert_non_null (store);
    stored = (int) (s_total (store, 1).n / ROWS);
    assert_true (stored == acknowledged || stored == acknowledged + 1);
    s_assert_total (store, stored);
    for (int i = 0; i < acknowledged + 2; i++)
        assert_int_equal (s_send (store, i),
                          i < stored ? BATCH_REPEATED : BATCH_STORED);
    s_assert_total (store, acknowledged + 2);
    store_close (&store);
}

//  One of some steps, so that all of them together have many.
static void
s_step (void)
{
    char folder[] = "/tmp/zb-image-XXXXXX";
    int acknowledged = s_acknowledged;
    if (!pthread_equal (pthread_self (), s_watched) || ++s_steps % s_apart
        || s_images >= s_images_most || acknowledged + 2 > BATCHES)
        return;
    s_images++;
    assert_non_null (mkdtemp (folder));
    disk_image (folder);
    s_look_at (folder, acknowledged);
    folder_remove (folder);
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

//  The first image is one of a database that has its tables.
static void
test_power_loss (void **state)
{
    (void) state;
    s_images_most = getenv ("ZB_LONG") ? 2000 : SANITIZED ? 60 : 150;
    s_apart = getenv ("ZB_LONG") ? 2 : s_apart;
    s_begin_s = time_floor (wall_us () / 1000000, HOUR_S) - 10 * HOUR_S;
    disk_mount ();
    stored_init (&s_stored);
    strcpy (s_disk.folder, s_stored.folder);
    stored_start (&s_stored);
    s_watched = s_stored.store->thread;
    s_disk.step = s_step;
    for (int i = 0; i < BATCHES; i++) {
        int any = (int) (s_any () % 8);
        assert_int_equal (s_send (s_stored.store, i), BATCH_STORED);
        s_acknowledged = i + 1;
        if (any == 0)
            store_run (s_stored.store, s_pack_all, NULL);
        if (any < 3)
            store_run (s_stored.store, s_write_back, &any);
    }
    s_disk.step = NULL;
    print_message ("%d steps, %d images\n", s_steps, s_images);
    assert_true (s_images > 40);
    s_assert_total (s_stored.store, BATCHES);
    stored_end (&s_stored);
    disk_unmount ();
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_power_loss),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
