/*  fill - a store of many metrics, each with the day that ended with the last hour, at
    60 s, packed; and with a row of now

        fill FOLDER METRICS

    Minutes are written as the packer does it, without rollups: a test that waits for
    144 million rows to be posted and packed would be one of those that take long.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "chunk.h"
#include "clock.h"
#include "sql.h"
#include "store_own.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 10000, HOURS = 24, MINUTES = 60, KINDS = 100 };

static store_t *s_store;
static int64_t s_now_s, s_hour_s;  //  now, and its hour
static int64_t s_metrics;

static void
s_check (bool good, const char *what)
{
    if (good)
        return;
    fprintf (stderr, "fill: %s\n", what);
    exit (1);
}

//  --------------------------------------------------------------------------
//  Names, with a row of now

static char s_names[BATCH][32];
static store_row_t s_rows[BATCH];
static unsigned char s_refused[BATCH];

static void
s_write_names (int64_t first)
{
    batch_t batch = {.rows = s_rows, .refused = s_refused};
    for (; batch.count < BATCH && first + (int64_t) batch.count < s_metrics;
         batch.count++) {
        char *name = s_names[batch.count];
        snprintf (name, sizeof *s_names, "service.%06d.value",
                  (int) (first + (int64_t) batch.count));
        s_rows[batch.count] =
          (store_row_t){.name = name,
                        .source = "web",
                        .type = METRIC_GAUGE,
                        .point = {.time_s = s_now_s, .n = 1}};
    }
    store_write (s_store, &batch);
    s_check (batch.result == BATCH_STORED && !batch.refused_count, "names");
}

//  --------------------------------------------------------------------------
//  Hours

//  What a chunk has that is of this kind: whole numbers that look like none.
static void
s_fill_points (points_t *points, int64_t hour_s, int kind)
{
    points_empty (points);
    for (int minute = 0; minute < MINUTES; minute++) {
        point_t point = {.time_s = hour_s + minute * 60 + 1,
                         .n = 1,
                         .sum = (kind * 7919 + minute * minute * 31) % 1000};
        chunk_fill (&point);
        points_add (points, &point);
    }
}

//  Handler for store_run: an hour of all series, each with a chunk of one of some kinds.
static int
s_write_hour (store_t *store, void *argument)
{
    int64_t hour_s = *(const int64_t *) argument;
    sqlite3_stmt *put =
      sql_prepare (store->db, "INSERT INTO chunk_1 VALUES (?1, ?2)");
    static points_t points;
    static buffer_t kind[KINDS];
    for (int i = 0; i < KINDS; i++) {
        kind[i].size = 0;
        s_fill_points (&points, hour_s, i);
        chunk_write (&kind[i], &points, hour_s, true, false);
    }
    s_check (put && store_begin (store) == 0, "begin");
    for (int64_t series = 1; series <= s_metrics; series++) {
        const buffer_t *bytes = &kind[series % KINDS];
        sqlite3_bind_int64 (put, 1, kept_chunk (LEVEL_MINUTE, hour_s, series));
        sqlite3_bind_blob (put, 2, bytes->text, (int) bytes->size,
                           SQLITE_STATIC);
        s_check (sql_done (put) == 0, "chunk");
    }
    sqlite3_finalize (put);
    return store_commit (store);
}

//  Handler for store_change.
static int
s_write_times (sqlite3 *db, void *argument)
{
    char update[96];
    (void) argument;
    snprintf (
      update, sizeof update, "UPDATE series SET first = %lld, last = %lld",
      (long long) (s_hour_s - HOURS * HOUR_S), (long long) s_hour_s - 59);
    return sql_run (db, update);
}

int
main (int argc, char **argv)
{
    const int64_t years = INT64_C (3) * 365 * 86400;
    store_options_t options = {.max_bytes = INT64_C (1) << 40,
                               .max_series = INT64_C (1) << 30,
                               .keep_raw_s = years,
                               .keep_60_s = years,
                               .keep_900_s = years,
                               .keep_3600_s = years,
                               .max_age_s = years};
    const char *why = "";
    s_check (argc == 3, "usage: fill FOLDER METRICS");
    options.folder = argv[1];
    s_metrics = atoll (argv[2]);
    s_now_s = wall_us () / 1000000;
    s_hour_s = time_floor (s_now_s, HOUR_S);
    s_store = store_open (&options, &why);
    s_check (s_store, why);
    for (int64_t first = 0; first < s_metrics; first += BATCH)
        s_write_names (first);
    for (int hour = HOURS; hour > 0; hour--) {
        int64_t hour_s = s_hour_s - hour * HOUR_S;
        s_check (store_run (s_store, s_write_hour, &hour_s) == 0, "hour");
    }
    s_check (store_change (s_store, s_write_times, NULL) == 0, "times");
    store_close (&s_store);
    return 0;
}
