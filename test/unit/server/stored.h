/*  stored.h - a store in a folder of its own, rows for it, and what it has of them

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef STORED_H
#define STORED_H

#include "store.h"

#include "../../folder.h"

enum { SAID_MOST = 8192 };

typedef struct {
    char folder[64];
    store_options_t options;
    store_t *store;
    reader_t *reader;
    point_t said[SAID_MOST];  //  by the last question
    size_t count;
} stored_t;

static void
stored_start (stored_t *self)
{
    const char *why;
    self->store = store_open (&self->options, &why);
    assert_non_null (self->store);
    self->reader = reader_new (self->store);
    assert_non_null (self->reader);
}

static void
stored_stop (stored_t *self)
{
    reader_destroy (&self->reader);
    store_close (&self->store);
}

//  A folder, and options that keep everything for years.
static void
stored_init (stored_t *self)
{
    const int64_t years = INT64_C (3) * 365 * 86400;
    strcpy (self->folder, "/tmp/zb-store-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    self->options = (store_options_t){.folder = self->folder,
                                      .max_bytes = INT64_C (1) << 34,
                                      .max_series = 250000,
                                      .keep_raw_s = years,
                                      .keep_60_s = years,
                                      .keep_900_s = years,
                                      .keep_3600_s = years,
                                      .max_age_s = years};
}

__attribute__ ((unused)) static void
stored_new (stored_t *self)
{
    stored_init (self);
    stored_start (self);
}

__attribute__ ((unused)) static void
stored_end (stored_t *self)
{
    stored_stop (self);
    folder_remove (self->folder);
}

//  A sample.
__attribute__ ((unused)) static store_row_t
stored_row (const char *name, const char *source, int64_t time_s, double value)
{
    return (store_row_t){.name = name,
                         .source = source,
                         .point = {.time_s = time_s,
                                   .n = 1,
                                   .sum = value,
                                   .min = value,
                                   .max = value,
                                   .last = value,
                                   .sum_squares = value * value}};
}

//  Writes a batch. `refused` may be NULL if no row may be.
__attribute__ ((unused)) static batch_result_t
stored_write (stored_t *self, const store_row_t *rows, size_t count,
              const char *key, unsigned char *refused)
{
    unsigned char *own = (unsigned char *) calloc (count, 1);
    batch_t batch = {.rows = rows,
                     .count = count,
                     .key = key,
                     .key_size = key ? strlen (key) : 0,
                     .refused = refused ? refused : own};
    store_write (self->store, &batch);
    assert_true (refused || !batch.refused_count);
    free (own);
    return batch.result;
}

static int
stored_keep_point (void *argument, const point_t *point)
{
    stored_t *self = (stored_t *) argument;
    assert_true (self->count < SAID_MOST);
    self->said[self->count++] = *point;
    return 0;
}

//  Of the last series that was seen.
typedef struct {
    const char *source;
    int64_t id;
} stored_series_t;

static int
stored_see_series (void *argument, const series_t *series)
{
    stored_series_t *wanted = (stored_series_t *) argument;
    if (strcmp (wanted->source, series->source) == 0)
        wanted->id = series->id;
    return 0;
}

//  The id of a series without tags, 0 if there is none.
static int64_t
stored_series (stored_t *self, const char *name, const char *source)
{
    stored_series_t wanted = {source, 0};
    metric_t metric;
    if (reader_metric (self->reader, name, &metric) == 1)
        reader_series (self->reader, metric.id, stored_see_series, &wanted);
    return wanted.id;
}

//  What the store says to a question. Their buckets are not valid any more.
__attribute__ ((unused)) static int64_t
stored_ask (stored_t *self, const char *name, const char *source,
            int64_t from_s, int64_t to_s, int64_t resolution_s)
{
    self->count = 0;
    return reader_points (self->reader, stored_series (self, name, source),
                          from_s, to_s, resolution_s, stored_keep_point, self);
}

#endif
