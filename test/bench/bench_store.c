/*  bench_store - what the store of `zibrato serve` takes: 100,000 series, half of them
    increments of 0 to 999, half readings that move, with two decimals; a row a minute
    of each

    ingest   processor microseconds a row, in batches of 300 with a key, synced,
             against rows that SQLite alone writes into one table, a transaction for
             each 300, not synced; rows a second; bytes written a row
    pack     an hour of them: milliseconds of the longest slice, in all and of the
             processor; processor microseconds a row
    day      the points of one day of one series, packed
    bytes    a point, of 2,000 series that were packed each hour for a day: all that
             the database has in use, but for names and keys

    What is no ratio is printed against the goal.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "bench.h"

#include "clock.h"
#include "kept.h"
#include "sql.h"
#include "store_own.h"

#include <ftw.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { SERIES_MOST = 100000, BATCH = 300, THREADS = 4, DAY_HOURS = 24 };

static char s_folder[32];
static char s_names[SERIES_MOST][32];
static int s_series, s_minutes;
static store_t *s_store;
static int64_t s_hour_s;

//  --------------------------------------------------------------------------
//  Rows

static uint64_t
s_any (void)
{
    static _Thread_local uint64_t seed = 20250101;
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

//  Threads have series of their own.
static double
s_value (int series)
{
    static int reading[SERIES_MOST];
    reading[series] += (int) (s_any () % 201) - 100;
    return series % 2 ? (double) reading[series] / 100
                      : (double) (s_any () % 1000);
}

static void
s_fill (store_row_t *row, int series, int64_t time_s)
{
    double value = s_value (series);
    *row = (store_row_t){.name = s_names[series],
                         .source = "web-01",
                         .type = series % 2 ? METRIC_GAUGE : METRIC_INCREMENT,
                         .point = {.time_s = time_s,
                                   .n = 1,
                                   .sum = value,
                                   .min = value,
                                   .max = value,
                                   .last = value,
                                   .sum_squares = value * value}};
}

//  Each thread has a part of the series, as clients have.
typedef struct {
    int thread, threads;
    int64_t begin_s;
} share_t;

static bool s_keyed = true;

static void *
s_send (void *argument)
{
    const share_t *share = (const share_t *) argument;
    static _Thread_local store_row_t rows[BATCH];
    unsigned char refused[BATCH] = {0};
    int own = s_series / share->threads, first = own * share->thread;
    for (int minute = 0; minute < s_minutes; minute++)
        for (int at = 0; at < own; at += BATCH) {
            char key[48];
            batch_t batch = {
              .rows = rows, .key = s_keyed ? key : NULL, .refused = refused};
            batch.key_size = (size_t) snprintf (
              key, sizeof key, "bench-%016lx-%d-%d-%d", (long) share->begin_s,
              share->thread, minute, at);
            for (int i = at; i < own && i < at + BATCH; i++)
                s_fill (&rows[batch.count++], first + i,
                        share->begin_s + minute * 60);
            store_write (s_store, &batch);
            BENCH_CHECK (batch.result == BATCH_STORED && !batch.refused_count);
        }
    return NULL;
}

static void
s_send_all (int threads, int64_t begin_s)
{
    pthread_t thread[THREADS];
    share_t share[THREADS];
    for (int i = 0; i < threads; i++) {
        share[i] = (share_t){i, threads, begin_s};
        BENCH_CHECK (!pthread_create (&thread[i], NULL, s_send, &share[i]));
    }
    for (int i = 0; i < threads; i++)
        pthread_join (thread[i], NULL);
}

//  --------------------------------------------------------------------------
//  What the system says of us

static double
s_proc (const char *path, const char *name)
{
    char line[256];
    double value = 0;
    FILE *file = fopen (path, "r");
    BENCH_CHECK (file);
    while (fgets (line, sizeof line, file))
        if (strncmp (line, name, strlen (name)) == 0)
            value = strtod (line + strlen (name), NULL);
    fclose (file);
    return value;
}

static double
s_written (void)
{
    return s_proc ("/proc/self/io", "write_bytes:");
}

static double
s_resident_mb (void)
{
    return s_proc ("/proc/self/status", "VmRSS:") / 1024;
}

//  --------------------------------------------------------------------------
//  SQLite alone

static double
s_plain_us (void)
{
    char path[64];
    sqlite3 *db;
    sqlite3_stmt *row;
    uint64_t begin;
    double us;
    snprintf (path, sizeof path, "%s/plain.db", s_folder);
    BENCH_CHECK (sqlite3_open (path, &db) == SQLITE_OK);
    sql_run (db, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;"
                 "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 2000");
    sql_run (db, "CREATE TABLE t (time INTEGER, series INTEGER, sum REAL,"
                 " PRIMARY KEY (time, series)) WITHOUT ROWID, STRICT");
    row = sql_prepare (db, "INSERT INTO t VALUES (?1, ?2, ?3)");
    begin = bench_cpu_ns ();
    for (int minute = 0; minute < s_minutes; minute++)
        for (int i = 0; i < s_series; i++) {
            if (i % BATCH == 0)
                sql_run (db, i || minute ? "COMMIT; BEGIN" : "BEGIN");
            sqlite3_bind_int64 (row, 1, s_hour_s + minute * 60);
            sqlite3_bind_int64 (row, 2, i);
            sqlite3_bind_double (row, 3, s_value (i));
            BENCH_CHECK (sql_done (row) == 0);
        }
    sql_run (db, "COMMIT");
    us = (double) (bench_cpu_ns () - begin) * 1e-3 / s_series / s_minutes;
    sqlite3_finalize (row);
    sqlite3_close (db);
    remove (path);
    return us;
}

//  --------------------------------------------------------------------------
//  Figures

static void
s_open (void)
{
    const int64_t years = INT64_C (3) * 365 * 86400;
    store_options_t options = {.folder = s_folder,
                               .max_bytes = INT64_C (1) << 40,
                               .max_series = 1000000,
                               .keep_raw_s = years,
                               .keep_60_s = years,
                               .keep_900_s = years,
                               .keep_3600_s = years,
                               .max_age_s = years};
    const char *why;
    strcpy (s_folder, "./bench-store-XXXXXX");
    BENCH_CHECK (mkdtemp (s_folder));
    s_store = store_open (&options, &why);
    BENCH_CHECK (s_store);
}

static int
s_remove (const char *path, const struct stat *status, int type,
          struct FTW *place)
{
    (void) status, (void) type, (void) place;
    return remove (path);
}

static void
s_close (void)
{
    store_close (&s_store);
    nftw (s_folder, s_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void
s_measure_ingest (int threads, int64_t begin_s)
{
    double rows = (double) s_series * s_minutes, written = s_written ();
    uint64_t cpu = bench_cpu_ns (), wall = bench_ns ();
    char name[64];
    s_send_all (threads, begin_s);
    cpu = bench_cpu_ns () - cpu;
    wall = bench_ns () - wall;
    written = s_written () - written;
    snprintf (name, sizeof name, "store.ingest.%d.cpu", threads);
    bench_figure (name, (double) cpu * 1e-3 / rows, s_plain_us ());
    snprintf (name, sizeof name, "store.ingest.%d.rows", threads);
    bench_figure (name, rows / ((double) wall * 1e-9), 257000);
    snprintf (name, sizeof name, "store.ingest.%d.written", threads);
    bench_figure (name, written / rows, 200);
}

typedef struct {
    double slice_ms, slice_cpu_ms, cpu_us;
} packed_t;

static void
s_most (double *most, double value)
{
    *most = value > *most ? value : *most;
}

static int
s_pack (store_t *store, void *argument)
{
    packed_t *packed = (packed_t *) argument;
    uint64_t began = bench_thread_ns ();
    int rc;
    pack_begin (store, INT64_MAX);
    do {
        uint64_t begin = bench_ns (), cpu = bench_thread_ns ();
        rc = pack_slice (store);
        s_most (&packed->slice_ms, (double) (bench_ns () - begin) * 1e-6);
        s_most (&packed->slice_cpu_ms,
                (double) (bench_thread_ns () - cpu) * 1e-6);
    } while (rc == 1);
    packed->cpu_us = (double) (bench_thread_ns () - began) * 1e-3;
    return rc;
}

static double
s_packed_rows (void)
{
    store_stats_t stats;
    store_stats (s_store, &stats);
    return (double) stats.packed;
}

static void
s_measure_packing (void)
{
    packed_t packed = {0, 0, 0};
    double rows = s_packed_rows ();
    BENCH_CHECK (store_run (s_store, s_pack, &packed) == 0);
    rows = s_packed_rows () - rows;
    bench_figure ("store.pack.slice", packed.slice_ms, 70);
    bench_figure ("store.pack.slice.cpu", packed.slice_cpu_ms, 70);
    bench_figure ("store.pack.cpu", packed.cpu_us / rows, 1);
}

//  --------------------------------------------------------------------------
//  Bytes a point

static int
s_used (store_t *store, void *argument)
{
    *(double *) argument =
      (double) (sql_number (store->db, "PRAGMA page_count")
                - sql_number (store->db, "PRAGMA freelist_count"))
      * TRIM_PAGE;
    return 0;
}

static void
s_measure_bytes (void)
{
    int64_t begin_s = s_hour_s - DAY_HOURS * HOUR_S;
    double before, after;
    packed_t packed = {0, 0, 0};
    s_series = bench_quick () ? 300 : 2000;
    s_keyed = false;
    s_minutes = 1;
    s_send_all (1, begin_s - 200 * HOUR_S);
    store_run (s_store, s_pack, &packed);
    store_run (s_store, s_used, &before);
    s_minutes = 60;
    for (int hour = 0; hour < DAY_HOURS; hour++) {
        s_send_all (THREADS, begin_s + hour * HOUR_S);
        store_run (s_store, s_pack, &packed);
    }
    store_run (s_store, s_used, &after);
    bench_figure ("store.bytes",
                  (after - before) / (DAY_HOURS * 60.0 * s_series), 2.5);
}

//  --------------------------------------------------------------------------
//  A day of one series. The other hours have the chunks of one

static int
s_make_day (store_t *store, void *argument)
{
    sqlite3_stmt *copy = sql_prepare (
      store->db, "INSERT INTO chunk_1 SELECT id + (?1 << 32), data"
                 " FROM chunk_1 WHERE id >= ?2 << 32 AND id < (?2 + 1) << 32");
    int64_t end_s = s_hour_s + DAY_HOURS * HOUR_S - 60;
    (void) argument;
    sqlite3_bind_int64 (copy, 2, s_hour_s / HOUR_S);
    for (int hour = 1; hour < DAY_HOURS; hour++) {
        sqlite3_bind_int64 (copy, 1, hour);
        BENCH_CHECK (sql_done (copy) == 0);
    }
    sqlite3_finalize (copy);
    for (int64_t id = 1; id < catalog_series_end (store->catalog); id++) {
        series_entry_t *series = catalog_series_of (store->catalog, id);
        catalog_point (catalog_metric_of (store->catalog, series->metric),
                       series, end_s);
    }
    return 0;
}

static int
s_count (void *argument, const point_t *point)
{
    *(int *) argument += point->n > 0;
    return 0;
}

static void
s_measure_day (void)
{
    enum { QUERIES = 400 };
    static double ms[QUERIES];
    reader_t *reader = reader_new (s_store);
    BENCH_CHECK (store_run (s_store, s_make_day, NULL) == 0);
    for (int i = 0; i < QUERIES; i++) {
        uint64_t begin = bench_ns ();
        int count = 0;
        reader_points (reader, 1 + (int64_t) (s_any () % (uint64_t) s_series),
                       s_hour_s, s_hour_s + DAY_HOURS * HOUR_S, 60, s_count,
                       &count);
        ms[i] = (double) (bench_ns () - begin) * 1e-6;
        BENCH_CHECK (count == DAY_HOURS * 60);
    }
    bench_figure ("store.day", bench_median (ms, QUERIES), 5);
    reader_destroy (&reader);
}

static void
s_measure_all (void)
{
    s_minutes = 1;
    s_send_all (1, s_hour_s - 100 * HOUR_S);
    s_minutes = 12;
    s_measure_ingest (1, s_hour_s);
    s_measure_ingest (THREADS, s_hour_s + 12 * 60);
    bench_figure ("store.memory", s_resident_mb (), 64);
    s_minutes = 36;
    s_send_all (THREADS, s_hour_s + 24 * 60);
    s_measure_packing ();
    s_measure_day ();
    bench_figure ("store.memory.packed", s_resident_mb (), 64);
}

int
main (void)
{
    s_series = bench_quick () ? 3000 : SERIES_MOST;
    s_hour_s = time_floor (wall_us () / 1000000, HOUR_S);
    for (int i = 0; i < s_series; i++)
        snprintf (s_names[i], sizeof s_names[i], "bench.requests.%06d", i);
    s_open ();
    s_measure_all ();
    s_close ();
    s_open ();
    s_measure_bytes ();
    s_close ();
    return 0;
}
