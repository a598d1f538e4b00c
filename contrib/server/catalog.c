/*  catalog - metrics and series in memory. The contract is in catalog.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "catalog.h"
#include "arena.h"
#include "kept.h"
#include "table.h"

#include <czmq.h>
#include <stdatomic.h>

//  --------------------------------------------------------------------------
//  What has an ID. Blocks come, and stay where they are: others read meanwhile.

enum { BLOCK_SIZE = 4096, BLOCKS = 65536 };

typedef struct {
    void *_Atomic item[BLOCK_SIZE];  //  release, acquire: what it points to
} block_t;

typedef struct {
    block_t *_Atomic block[BLOCKS];  //  the same
    _Atomic int64_t end;             //  above the highest ID
    _Atomic size_t count;
} index_t;

static void *
index_get (const index_t *self, int64_t id)
{
    block_t *block;
    if (id < 0 || id >= (int64_t) BLOCKS * BLOCK_SIZE)
        return NULL;
    block = atomic_load_explicit (&((index_t *) self)->block[id / BLOCK_SIZE],
                                  memory_order_acquire);
    return block ? atomic_load_explicit (&block->item[id % BLOCK_SIZE],
                                         memory_order_acquire)
                 : NULL;
}

//  There is room for two hundred million, which is more series than a server of
//  this kind meets in its life.
static void
index_set (index_t *self, int64_t id, void *item)
{
    block_t *block;
    assert (id >= 0 && id < (int64_t) BLOCKS * BLOCK_SIZE);
    block = atomic_load (&self->block[id / BLOCK_SIZE]);
    if (!block) {
        block = (block_t *) zmalloc (sizeof *block);
        atomic_store_explicit (&self->block[id / BLOCK_SIZE], block,
                               memory_order_release);
    }
    self->count += item ? 1 : (size_t) -1;
    atomic_store_explicit (&block->item[id % BLOCK_SIZE], item,
                           memory_order_release);
    if (id >= self->end)
        self->end = id + 1;
}

static void
index_clear (index_t *self)
{
    for (size_t i = 0; i < BLOCKS; i++)
        free (self->block[i]);
}

//  --------------------------------------------------------------------------
//  The catalog

//  What was done, and may be taken back.
typedef struct {
    void *item;
    enum { ADDED_SERIES, ADDED_METRIC, SETTLED_TYPE } what;
    unsigned char type;  //  that the metric had
} added_t;

struct catalog {
    table_t metrics, series;
    index_t metric_of, series_of;
    arena_t arena;
    added_t *added;
    size_t added_count, added_max;
};

catalog_t *
catalog_new (void)
{
    return (catalog_t *) zmalloc (sizeof (catalog_t));
}

void
catalog_destroy (catalog_t **self_p)
{
    catalog_t *self = *self_p;
    if (!self)
        return;
    table_clear (&self->metrics);
    table_clear (&self->series);
    index_clear (&self->metric_of);
    index_clear (&self->series_of);
    arena_clear (&self->arena);
    free (self->added);
    free (self);
    *self_p = NULL;
}

static void
s_note_added (catalog_t *self, added_t added)
{
    if (self->added_count == self->added_max) {
        self->added_max = self->added_max ? self->added_max * 2 : 64;
        self->added =
          (added_t *) realloc (self->added, self->added_max * sizeof (added_t));
        assert (self->added);
    }
    self->added[self->added_count++] = added;
}

//  --------------------------------------------------------------------------
//  Metrics. Upper and lower case are the same, of ASCII, as SQLite has it

typedef struct {
    char text[256];
    size_t size;
} folded_t;

static char
s_lower (char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static uint64_t
s_fold (folded_t *folded, const char *name)
{
    size_t size;
    for (size = 0; name[size] && size < sizeof folded->text; size++)
        folded->text[size] = s_lower (name[size]);
    folded->size = size;
    return table_hash (0, folded->text, size);
}

static int
s_same_metric (const void *item, const void *key)
{
    const metric_entry_t *metric = (const metric_entry_t *) item;
    const folded_t *folded = (const folded_t *) key;
    if (metric->size != folded->size)
        return 0;
    for (size_t i = 0; i < folded->size; i++)
        if (s_lower (metric->name[i]) != folded->text[i])
            return 0;
    return 1;
}

metric_entry_t *
catalog_metric (const catalog_t *self, const char *name)
{
    folded_t folded;
    uint64_t hash = s_fold (&folded, name);
    return (metric_entry_t *) table_find (&self->metrics, hash, s_same_metric,
                                          &folded);
}

static size_t
s_metric_bytes (size_t size)
{
    return offsetof (metric_entry_t, name) + size + 1;
}

metric_entry_t *
catalog_add_metric (catalog_t *self, int64_t id, const char *name,
                    metric_type_t type, bool posted)
{
    folded_t folded;
    uint64_t hash = s_fold (&folded, name);
    metric_entry_t *metric;
    assert (folded.size < sizeof folded.text);
    metric =
      (metric_entry_t *) arena_new (&self->arena, s_metric_bytes (folded.size));
    metric->id = (uint32_t) id;
    metric->type = (unsigned char) type;
    metric->posted = posted;
    metric->size = (unsigned char) folded.size;
    memcpy (metric->name, name, folded.size);
    table_put (&self->metrics, hash, metric);
    index_set (&self->metric_of, id, metric);
    s_note_added (self, (added_t){metric, ADDED_METRIC, 0});
    return metric;
}

void
catalog_settle_type (catalog_t *self, metric_entry_t *metric,
                     metric_type_t type)
{
    s_note_added (self, (added_t){metric, SETTLED_TYPE, metric->type});
    metric->type = (unsigned char) type;
    metric->posted = false;
}

//  --------------------------------------------------------------------------
//  Series

static char *
s_copy (char *to, const char *end, const char *text)
{
    size_t size = strlen (text);
    if (!to || (size_t) (end - to) <= size)
        return NULL;
    memcpy (to, text, size);
    return to + size;
}

size_t
catalog_label (char label[LABEL_MAX], const char *source, const zb_tag_t *tags,
               size_t count)
{
    char *at = label, *end = label + LABEL_MAX;
    at = s_copy (at, end, source ? source : "");
    if (at)
        *at++ = 0;
    for (size_t i = 0; i < count; i++) {
        at = i ? s_copy (at, end, ";") : at;
        at = s_copy (at, end, tags[i].key);
        at = s_copy (at, end, "=");
        at = s_copy (at, end, tags[i].value);
    }
    return at ? (size_t) (at - label) : 0;
}

typedef struct {
    uint32_t metric;
    const char *label;
    size_t size;
} series_key_t;

static int
s_same_series (const void *item, const void *key)
{
    const series_entry_t *series = (const series_entry_t *) item;
    const series_key_t *wanted = (const series_key_t *) key;
    return series->metric == wanted->metric && series->size == wanted->size
           && memcmp (series->label, wanted->label, wanted->size) == 0;
}

static uint64_t
s_series_hash (uint32_t metric, const char *label, size_t size)
{
    return table_hash (metric * UINT64_C (0x9e3779b97f4a7c15), label, size);
}

series_entry_t *
catalog_series (const catalog_t *self, const metric_entry_t *metric,
                const char *label, size_t size)
{
    series_key_t key = {metric->id, label, size};
    return (series_entry_t *) table_find (
      &self->series, s_series_hash (metric->id, label, size), s_same_series,
      &key);
}

series_entry_t *
catalog_next (const catalog_t *self, const series_entry_t *before,
              const char *name, const char *label, size_t size)
{
    series_entry_t *series = catalog_series_of (self, before->next);
    const metric_entry_t *metric =
      series ? catalog_metric_of (self, series->metric) : NULL;
    series_key_t key = {metric ? metric->id : 0, label, size};
    return metric && s_same_series (series, &key)
               && strcmp (metric->name, name) == 0
             ? series
             : NULL;
}

static size_t
s_series_bytes (size_t size)
{
    return offsetof (series_entry_t, label) + size + 1;
}

series_entry_t *
catalog_add_series (catalog_t *self, int64_t id, metric_entry_t *metric,
                    const char *label, size_t size)
{
    series_entry_t *series =
      (series_entry_t *) arena_new (&self->arena, s_series_bytes (size));
    series->id = (uint32_t) id;
    series->metric = metric->id;
    series->size = (uint16_t) size;
    memcpy (series->label, label, size);
    table_put (&self->series, s_series_hash (metric->id, label, size), series);
    index_set (&self->series_of, id, series);
    metric->series++;
    s_note_added (self, (added_t){series, ADDED_SERIES, 0});
    return series;
}

static void
s_widen (_Atomic uint32_t *first, _Atomic uint32_t *last, uint32_t time_s)
{
    uint32_t before = atomic_load_explicit (first, memory_order_relaxed);
    if (!before || time_s < before)
        atomic_store_explicit (first, time_s, memory_order_relaxed);
    if (time_s > atomic_load_explicit (last, memory_order_relaxed))
        atomic_store_explicit (last, time_s, memory_order_relaxed);
}

void
catalog_point (metric_entry_t *metric, series_entry_t *series, int64_t time_s)
{
    s_widen (&metric->first_s, &metric->last_s, (uint32_t) time_s);
    s_widen (&series->first_s, &series->last_s, (uint32_t) time_s);
}

void
catalog_expect (series_entry_t *series, int64_t time_s)
{
    _Atomic uint64_t *seconds = &series->seconds[time_s / HOUR_S % 2];
    uint64_t bit = UINT64_C (1) << time_s % 60;
    if (!(atomic_load_explicit (seconds, memory_order_relaxed) & bit))
        atomic_fetch_or (seconds, bit);
}

void
catalog_expect_none (catalog_t *self, int odd)
{
    for (int64_t id = 0; id < self->series_of.end; id++) {
        series_entry_t *series = catalog_series_of (self, id);
        if (series)
            series->seconds[odd] = 0;
    }
}

//  --------------------------------------------------------------------------
//  What goes. A reader may look at it even now, so its memory is not used again
//  until the end, unless it is known that there is none

static void
s_drop_metric (catalog_t *self, metric_entry_t *metric)
{
    folded_t folded;
    table_remove (&self->metrics, s_fold (&folded, metric->name), metric);
    index_set (&self->metric_of, metric->id, NULL);
}

static void
s_drop_series (catalog_t *self, series_entry_t *series)
{
    metric_entry_t *metric = catalog_metric_of (self, series->metric);
    table_remove (&self->series,
                  s_series_hash (series->metric, series->label, series->size),
                  series);
    index_set (&self->series_of, series->id, NULL);
    if (metric)
        metric->series--;
}

static void
s_remove_series_that_end (catalog_t *self)
{
    for (int64_t id = 0; id < self->series_of.end; id++) {
        series_entry_t *series = catalog_series_of (self, id);
        const metric_entry_t *metric =
          series ? catalog_metric_of (self, series->metric) : NULL;
        if (metric && metric->ends)
            s_drop_series (self, series);
    }
}

//  One pass over all series, however many metrics end.
void
catalog_remove_metrics (catalog_t *self, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        metric_entry_t *metric = catalog_metric_of (self, ids[i]);
        if (metric)
            metric->ends = true;
    }
    s_remove_series_that_end (self);
    for (size_t i = 0; i < count; i++) {
        metric_entry_t *metric = catalog_metric_of (self, ids[i]);
        if (metric)
            s_drop_metric (self, metric);
    }
}

void
catalog_remove_series (catalog_t *self, int64_t id, bool alone)
{
    series_entry_t *series = catalog_series_of (self, id);
    s_drop_series (self, series);
    if (alone)
        arena_free (&self->arena, series, s_series_bytes (series->size));
}

void
catalog_remove_metric (catalog_t *self, int64_t id, bool alone)
{
    metric_entry_t *metric = catalog_metric_of (self, id);
    s_drop_metric (self, metric);
    if (alone)
        arena_free (&self->arena, metric, s_metric_bytes (metric->size));
}

size_t
catalog_added (const catalog_t *self)
{
    return self->added_count;
}

static void
s_undo (catalog_t *self, const added_t *added)
{
    metric_entry_t *metric = (metric_entry_t *) added->item;
    switch (added->what) {
        case ADDED_SERIES:
            s_drop_series (self, (series_entry_t *) added->item);
            break;
        case ADDED_METRIC:
            s_drop_metric (self, metric);
            break;
        case SETTLED_TYPE:
            metric->type = added->type;
            metric->posted = true;
            break;
    }
}

void
catalog_undo (catalog_t *self, size_t keep)
{
    while (self->added_count > keep)
        s_undo (self, &self->added[--self->added_count]);
}

void
catalog_settle (catalog_t *self)
{
    self->added_count = 0;
}

const metric_entry_t *
catalog_largest (const catalog_t *self)
{
    const metric_entry_t *largest = NULL;
    for (int64_t id = 0; id < self->metric_of.end; id++) {
        const metric_entry_t *metric = catalog_metric_of (self, id);
        if (metric && (!largest || metric->series > largest->series))
            largest = metric;
    }
    return largest;
}

metric_entry_t *
catalog_metric_of (const catalog_t *self, int64_t id)
{
    return (metric_entry_t *) index_get (&self->metric_of, id);
}

series_entry_t *
catalog_series_of (const catalog_t *self, int64_t id)
{
    return (series_entry_t *) index_get (&self->series_of, id);
}

size_t
catalog_metrics (const catalog_t *self)
{
    return self->metric_of.count;
}

size_t
catalog_series_count (const catalog_t *self)
{
    return self->series_of.count;
}

int64_t
catalog_series_end (const catalog_t *self)
{
    return self->series_of.end;
}

int64_t
catalog_metric_end (const catalog_t *self)
{
    return self->metric_of.end;
}
