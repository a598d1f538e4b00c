/*  catalog - the metrics and series of the store, in memory

    The writer looks up each row here, and is the only one to change it. Readers ask
    by ID what changes with each row, and is in no table: when a series had its
    first and last point, and in which seconds of a minute it has any.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CATALOG_H
#define ZB_CATALOG_H

#include "store.h"

//  Seconds since 1970 reach until 2106; 0 is none.
typedef struct {
    _Atomic uint32_t first_s, last_s;  //  relaxed: each stands for itself
    uint32_t id;
    uint32_t series;  //  how many it has
    unsigned char type, size;
    bool ends;    //  is about to be removed
    bool posted;  //  only clients of Librato have sent it
    char name[];
} metric_entry_t;

typedef struct {
    //  Bit time % 60 of each row in the inbox, of even hours and of odd ones. It is set
    //  before the row is committed.
    _Atomic uint64_t seconds[2];
    _Atomic uint32_t first_s, last_s;
    uint32_t id, metric;
    uint32_t next;  //  the writer's: ID of the one whose row came behind
    uint16_t size;
    char label[];  //  source, a zero, tags
} series_entry_t;

typedef struct catalog catalog_t;

catalog_t *catalog_new (void);
void catalog_destroy (catalog_t **self_p);

//  --------------------------------------------------------------------------
//  The writer's thread

//  Returns NULL if there is none.
metric_entry_t *catalog_metric (const catalog_t *self, const char *name);

//  A name is at most 255 bytes. What is added may be taken back: see below.
metric_entry_t *
catalog_add_metric (catalog_t *self, int64_t id, const char *name,
                    metric_type_t type, bool posted);

//  A program says what a metric is that was only posted. This, too, may be taken back.
void catalog_settle_type (catalog_t *self, metric_entry_t *metric,
                          metric_type_t type);

enum { LABEL_MAX = STORE_LABEL_MAX + 2 };

//  Source and tags in one text. Returns its size, 0 if it is too long.
size_t catalog_label (char label[LABEL_MAX], const char *source,
                      const zb_tag_t *tags, size_t count);

series_entry_t *
catalog_series (const catalog_t *self, const metric_entry_t *metric,
                const char *label, size_t size);

//  The series of the row behind that of another one: senders have the same order each
//  time, mostly, so there is a guess. Returns NULL if it is wrong.
series_entry_t *
catalog_next (const catalog_t *self, const series_entry_t *before,
              const char *name, const char *label, size_t size);

series_entry_t *
catalog_add_series (catalog_t *self, int64_t id, metric_entry_t *metric,
                    const char *label, size_t size);

//  A point of this time is there.
void
catalog_point (metric_entry_t *metric, series_entry_t *series, int64_t time_s);

//  A row of this time is about to be in the inbox.
void catalog_expect (series_entry_t *series, int64_t time_s);

//  There are no rows of even hours in the inbox, or of odd ones. Nobody reads.
void catalog_expect_none (catalog_t *self, int odd);

//  Takes back what was added or changed since the last catalog_settle, but for the
//  first so many.
void catalog_undo (catalog_t *self, size_t keep);
void catalog_settle (catalog_t *self);

//  How much that is.
size_t catalog_added (const catalog_t *self);

//  Removes metrics with their series; ids that are unknown are passed over.
void catalog_remove_metrics (catalog_t *self, const int64_t *ids, size_t count);

//  Removes one, or a metric that has no series. `alone`: nobody reads, so that its
//  memory may be used again.
void catalog_remove_series (catalog_t *self, int64_t id, bool alone);
void catalog_remove_metric (catalog_t *self, int64_t id, bool alone);

//  The metric that has the most series, or NULL.
const metric_entry_t *catalog_largest (const catalog_t *self);

//  --------------------------------------------------------------------------
//  Any thread

//  Returns NULL if there is none. It stays readable when it is removed meanwhile.
metric_entry_t *catalog_metric_of (const catalog_t *self, int64_t id);
series_entry_t *catalog_series_of (const catalog_t *self, int64_t id);

size_t catalog_metrics (const catalog_t *self);
size_t catalog_series_count (const catalog_t *self);

//  Above the highest ID that a series has had, or a metric.
int64_t catalog_series_end (const catalog_t *self);
int64_t catalog_metric_end (const catalog_t *self);

#endif
