/*  test_store_limits.c - a disk that is full, and floods of series, of bytes, and of
    readers: bounds hold, it is said, and what was stored is there

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: TIMEOUT 300

#include "../unit.h"

#include "clock.h"
#include "disk.h"
#include "documents.h"
#include "kept.h"
#include "store_own.h"
#include "stored.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

static stored_t s_stored;

//  --------------------------------------------------------------------------
//  What is said

static int s_stderr, s_log;

static void
s_listen (void)
{
    fflush (stderr);
    s_stderr = dup (STDERR_FILENO);
    s_log = memfd_create ("log", MFD_CLOEXEC);
    assert_true (s_stderr != -1 && s_log != -1);
    if (!getenv ("SAY"))
        dup2 (s_log, STDERR_FILENO);
}

//  How often a line had this.
static int
s_heard (const char *text)
{
    static char said[1 << 20];
    ssize_t size;
    int count = 0;
    fflush (stderr);
    dup2 (s_stderr, STDERR_FILENO);
    close (s_stderr);
    size = pread (s_log, said, sizeof said - 1, 0);
    close (s_log);
    assert_true (size >= 0);
    said[size] = 0;
    for (const char *at = said; (at = strstr (at, text)); at++)
        count++;
    return count;
}

//  --------------------------------------------------------------------------
//  A disk that is full

static void
test_disk_full (void **state)
{
    int64_t at = wall_us () / 1000000 - 10;
    store_row_t rows[] = {stored_row ("a", NULL, at, 1),
                          stored_row ("b", NULL, at, 2)};
    store_stats_t stats;
    metric_t metric;
    (void) state;
    disk_mount ();
    stored_init (&s_stored);
    strcpy (s_disk.folder, s_stored.folder);
    stored_start (&s_stored);
    assert_int_equal (stored_write (&s_stored, rows, 1, "k", NULL),
                      BATCH_STORED);
    s_listen ();
    for (int i = 0; i < 3; i++) {
        s_disk.full = true;
        assert_int_equal (stored_write (&s_stored, rows, 2, "l", NULL),
                          BATCH_FAILED);
        assert_int_equal (stored_write (&s_stored, rows, 1, "k", NULL),
                          BATCH_REPEATED);
        assert_int_equal (store_metric_new (s_stored.store, "n", METRIC_TIMER),
                          -1);
        assert_int_equal (reader_metric (s_stored.reader, "b", &metric), 0);
        store_stats (s_stored.store, &stats);
        assert_int_equal (stats.series, 1);
        assert_int_equal (stats.failed, 2);
        s_disk.full = false;
    }
    assert_int_equal (stored_write (&s_stored, rows, 2, "l", NULL),
                      BATCH_STORED);
    assert_true (s_heard ("event=store_failed") >= 1);
    stored_ask (&s_stored, "a", "", at, at + 1, 1);
    assert_true (s_stored.count == 1 && s_stored.said[0].n == 2);
    stored_ask (&s_stored, "b", "", at, at + 1, 1);
    assert_true (s_stored.count == 1 && s_stored.said[0].n == 1);
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.failed, 0);
    assert_int_equal (stats.stored, 3);
    assert_int_equal (stats.repeated, 3);
    assert_int_equal (stats.received, 6);
    stored_end (&s_stored);
    disk_unmount ();
}

//  --------------------------------------------------------------------------
//  A flood of series

static void
test_series (void **state)
{
    enum { SERIES = 5000, MOST = 1000 };
    static store_row_t rows[SERIES];
    static char sources[SERIES][16];
    static unsigned char refused[SERIES];
    int64_t at = wall_us () / 1000000 - 10;
    store_stats_t stats;
    (void) state;
    stored_init (&s_stored);
    s_stored.options.max_series = MOST;
    stored_start (&s_stored);
    s_listen ();
    for (int i = 0; i < SERIES; i++) {
        snprintf (sources[i], sizeof *sources, "pod-%d", i);
        rows[i] = stored_row ("flood", sources[i], at, 1);
    }
    for (int i = 0; i < SERIES; i += 100)
        stored_write (&s_stored, rows + i, 100, NULL, refused + i);
    for (int i = 0; i < SERIES; i++)
        assert_int_equal (refused[i], i < MOST ? ROW_TAKEN : ROW_SERIES);
    assert_true (s_heard ("event=series_full max=1000 refused=\"flood\" "
                          "largest=\"flood\" series=1000")
                 >= 1);
    store_stats (s_stored.store, &stats);
    assert_int_equal (stats.series, MOST);
    assert_int_equal (stats.stored, MOST);
    assert_int_equal (stats.reason[ROW_SERIES], SERIES - MOST);
    stored_end (&s_stored);
}

//  --------------------------------------------------------------------------
//  A flood of bytes

enum { FLOOD_SERIES = 200, FLOOD_HOURS = 24 };

static void
s_flood_hour (int64_t hour_s)
{
    enum { ROWS = FLOOD_SERIES * 60 };
    static store_row_t rows[ROWS];
    static char sources[FLOOD_SERIES][16];
    for (int i = 0; i < ROWS; i++) {
        char *source = sources[i / 60];
        snprintf (source, sizeof *sources, "%d", i / 60);
        rows[i] = stored_row ("flood", source, hour_s + i % 60 * 60,
                              (double) (s_any () >> 11) * 0x1p-53);
        rows[i].point.n = 2 + s_any () % 9;
        rows[i].point.max = 2;
        rows[i].point.sum_squares = (double) (s_any () >> 11) * 0x1p-53;
        rows[i].point.last = (double) (s_any () >> 11) * 0x1p-53;
    }
    assert_int_equal (stored_write (&s_stored, rows, ROWS, NULL, NULL),
                      BATCH_STORED);
}

//  Says how much is used then.
static int
s_pack_all (store_t *store, void *argument)
{
    pack_begin (store, INT64_MAX);
    while (pack_slice (store) == 1) {
    }
    while (trim_slice (store)) {
    }
    *(int64_t *) argument = trim_bytes (store);
    return 0;
}

static int
s_points (void *argument, const point_t *point)
{
    (void) point;
    ++*(int *) argument;
    return 0;
}

//  Of the last hours, minutes are there; of all, hours are.
static void
test_bytes (void **state)
{
    enum { MOST = 4 << 20 };
    int64_t now_s = wall_us () / 1000000;
    int64_t begin_s = time_floor (now_s, HOUR_S) - FLOOD_HOURS * HOUR_S;
    int64_t id, used;
    int count;
    store_stats_t stats;
    (void) state;
    stored_init (&s_stored);
    s_stored.options.max_bytes = MOST;
    stored_start (&s_stored);
    s_listen ();
    for (int i = 0; i < FLOOD_HOURS; i++) {
        s_flood_hour (begin_s + i * HOUR_S);
        store_run (s_stored.store, s_pack_all, &used);
        assert_true (used < MOST + (MOST >> 1));
    }
    assert_true (s_heard ("event=store_full") >= 1);
    id = stored_series (&s_stored, "flood", "7");
    count = 0;
    reader_points (s_stored.reader, id, begin_s, now_s, 60, s_points, &count);
    store_stats (s_stored.store, &stats);
    assert_true (stats.dropped > 0 && stats.dropped % 60 == 0);
    assert_int_equal (stats.stored, FLOOD_SERIES * FLOOD_HOURS * 60);
    assert_true (count < FLOOD_HOURS * 60);
    count = 0;
    reader_points (s_stored.reader, id, now_s - 2 * HOUR_S, now_s, 60, s_points,
                   &count);
    assert_in_range (count, 60, 120);
    count = 0;
    reader_points (s_stored.reader, id, begin_s, now_s, 3600, s_points, &count);
    assert_int_equal (count, FLOOD_HOURS);
    stored_end (&s_stored);
}

//  --------------------------------------------------------------------------
//  Readers that never end

//  Rows all over the inbox: each commit writes hundreds of pages.
static batch_result_t
s_write_pages (int64_t hour_s)
{
    static store_row_t rows[300];
    for (int i = 0; i < 300; i++)
        rows[i] =
          stored_row ("m", NULL, hour_s - (int64_t) (s_any () % 500000), 1);
    return stored_write (&s_stored, rows, 300, NULL, NULL);
}

static int64_t
s_log_bytes (void)
{
    char path[128];
    struct stat status;
    snprintf (path, sizeof path, "%s/store.db-wal", s_stored.folder);
    return stat (path, &status) == 0 ? status.st_size : 0;
}

static _Atomic bool s_over;
static _Atomic int s_inside;

//  Stays until another one is there, too.
static int
s_linger (void *argument, const point_t *point)
{
    (void) argument, (void) point;
    s_inside++;
    for (int i = 0; i < 100 && s_inside < 2; i++)
        usleep (1000);
    s_inside--;
    return 1;
}

static void *
s_read (void *argument)
{
    reader_t *reader = reader_new (s_stored.store);
    (void) argument;
    while (!s_over)
        reader_points (reader, 1, 0, wall_us () / 1000000, 3600, s_linger,
                       NULL);
    reader_destroy (&reader);
    return NULL;
}

static void
test_readers (void **state)
{
    enum { LOG_MOST = 100 << 20, READERS = 3 };
    pthread_t thread[READERS];
    int64_t at = wall_us () / 1000000, written = 0;
    (void) state;
    stored_new (&s_stored);
    s_write_pages (at);
    for (int i = 0; i < READERS; i++)
        pthread_create (&thread[i], NULL, s_read, NULL);
    for (int i = 0; i < 150; i++) {
        assert_int_equal (s_write_pages (at), BATCH_STORED);
        assert_true (s_log_bytes () < LOG_MOST);
        written += 300 * TRIM_PAGE;
    }
    assert_true (written > 2 * (int64_t) LOG_MOST);
    s_over = true;
    for (int i = 0; i < READERS; i++)
        pthread_join (thread[i], NULL);
    stored_end (&s_stored);
}

static document_result_t
s_new_event (void)
{
    document_t event = {.kind = DOCUMENT_EVENT,
                        .name = strdup ("deploy"),
                        .body = cJSON_CreateObject ()};
    document_result_t result = documents_new (s_stored.store, &event);
    document_clear (&event);
    return result;
}

//  The log of another process's reader counts as the rest does: nothing is written
//  beyond --max-bytes, and all goes on when it has gone.
static void
test_foreign_reader (void **state)
{
    int64_t at = wall_us () / 1000000, most;
    char path[128];
    sqlite3 *db;
    batch_result_t result;
    int i;
    (void) state;
    stored_init (&s_stored);
    s_stored.options.max_bytes = 40 << 20;
    stored_start (&s_stored);
    s_write_pages (at);
    snprintf (path, sizeof path, "%s/store.db", s_stored.folder);
    assert_int_equal (sqlite3_open (path, &db), SQLITE_OK);
    sqlite3_exec (db, "BEGIN; SELECT * FROM series", NULL, NULL, NULL);
    s_listen ();
    for (i = 0; i < 300 && s_write_pages (at) == BATCH_STORED; i++) {
    }
    assert_true (i < 300);
    most = s_log_bytes ();
    assert_true (most < 110 << 20);
    assert_int_equal (s_write_pages (at), BATCH_FAILED);
    assert_int_equal (s_new_event (), DOCUMENT_FAILED);
    assert_int_equal (s_log_bytes (), most);
    sqlite3_close (db);
    for (i = 0; i < 300 && (result = s_write_pages (at)) != BATCH_STORED; i++)
        usleep (100000);
    assert_int_equal (result, BATCH_STORED);
    assert_int_equal (s_new_event (), DOCUMENT_DONE);
    assert_true (s_heard ("event=log_grows") >= 1);
    stored_end (&s_stored);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_disk_full),      cmocka_unit_test (test_series),
      cmocka_unit_test (test_bytes),          cmocka_unit_test (test_readers),
      cmocka_unit_test (test_foreign_reader),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
