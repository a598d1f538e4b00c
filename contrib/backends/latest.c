/*  latest - the latest row of each series. The contract is in latest.h.

    Sections: families, series, rows, what ends, readers.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "latest.h"

#include "buffer.h"

#include <czmq.h>
#include <pthread.h>

enum {
    ROWS_A_LOCK = 256,  //  so that a reader waits for so many only
    SWEEP_MS = 10000    //  from one look at what has gone to the next
};

struct latest {
    const char *worker;
    pthread_mutex_t lock;  //  over all that follows
    table_t families, series;
    latest_family_t *first, *last;
    int readers;
    bool any_gone;
    int64_t swept_ms;
    uint64_t turn;
    claims_t claims;   //  sender's thread
    buffer_t scratch;  //  likewise: labels of a row
};

//  --------------------------------------------------------------------------
//  Families

static uint64_t
s_family_hash (const char *name)
{
    return table_hash (0, name, strlen (name));
}

static int
s_family_same (const void *item, const void *key)
{
    return streq (((const latest_family_t *) item)->name, (const char *) key);
}

static latest_family_t *
latest_find_family (const latest_t *self, const char *name)
{
    return (latest_family_t *) table_find (
      &self->families, s_family_hash (name), s_family_same, name);
}

//  The row's family, made if there is none. NULL: another one has its name.
static latest_family_t *
latest_family (latest_t *self, const zb_row_t *row)
{
    char name[PROM_NAME_MAX];
    prom_kind_t kind = prom_kind (row);
    latest_family_t *family;
    prom_name (row, name);
    if (!claims_take (&self->claims, kind, row->name, name))
        return NULL;
    family = latest_find_family (self, name);
    if (family)
        return family;
    family = (latest_family_t *) zmalloc (sizeof *family + strlen (name) + 1);
    family->kind = kind;
    strcpy (family->name, name);
    *(self->last ? &self->last->next : &self->first) = family;
    self->last = family;
    table_put (&self->families, s_family_hash (name), family);
    return family;
}

//  --------------------------------------------------------------------------
//  Series

typedef struct {
    const latest_family_t *family;
    const char *text;
    size_t size;
} series_key_t;

static uint64_t
s_series_hash (const series_key_t *key)
{
    return table_hash (s_family_hash (key->family->name), key->text, key->size);
}

static int
s_series_same (const void *item, const void *key)
{
    const latest_series_t *self = (const latest_series_t *) item;
    const series_key_t *wanted = (const series_key_t *) key;
    return self->family == wanted->family && self->text_size == wanted->size
           && memcmp (self->text, wanted->text, wanted->size) == 0;
}

static series_key_t
series_key (const latest_series_t *self)
{
    return (series_key_t){self->family, self->text, self->text_size};
}

//  The row's labels as one text. Returns how many.
static size_t
latest_labels (latest_t *self, const zb_row_t *row)
{
    zb_tag_t labels[PROM_LABELS_MAX];
    size_t count = prom_labels (row, self->worker, labels);
    self->scratch.size = 0;
    buffer_room (&self->scratch, 1);  //  a text, if it is empty, too
    for (size_t i = 0; i < count; i++) {
        buffer_add (&self->scratch, labels[i].key, strlen (labels[i].key) + 1);
        buffer_add (&self->scratch, labels[i].value,
                    strlen (labels[i].value) + 1);
    }
    return count;
}

static latest_series_t *
latest_series_new (latest_t *self, const series_key_t *key, size_t labels)
{
    latest_family_t *family = (latest_family_t *) key->family;
    latest_series_t *series =
      (latest_series_t *) zmalloc (sizeof *series + key->size);
    series->family = family;
    series->label_count = (uint32_t) labels;
    series->text_size = (uint32_t) key->size;
    memcpy (series->text, key->text, key->size);
    *(family->last ? &family->last->next : &family->first) = series;
    family->last = series;
    family->count++;
    table_put (&self->series, s_series_hash (key), series);
    return series;
}

//  The row's series, or NULL if it has no name of its own. It is made if there is
//  none, unless the row says that it ends.
static latest_series_t *
latest_series (latest_t *self, const zb_row_t *row)
{
    series_key_t key = {.family = latest_family (self, row)};
    latest_series_t *series;
    size_t labels;
    if (!key.family)
        return NULL;
    labels = latest_labels (self, row);
    key.text = self->scratch.text;
    key.size = self->scratch.size;
    series = (latest_series_t *) table_find (
      &self->series, s_series_hash (&key), s_series_same, &key);
    return series || row->ends ? series
                               : latest_series_new (self, &key, labels);
}

static void
series_free (latest_series_t *self)
{
    if (self->family->kind == PROM_TIMER)
        free (self->timer.buckets);
    free (self);
}

//  --------------------------------------------------------------------------
//  Rows

static void
series_set_timer (latest_series_t *self, const zb_total_t *total)
{
    size_t size = total->bucket_count;
    if (size > self->timer.max) {
        free (self->timer.buckets);
        self->timer.buckets =
          (zb_bucket_t *) malloc (size * sizeof *self->timer.buckets);
        assert (self->timer.buckets);
        self->timer.max = size;
    }
    if (size)
        memcpy (self->timer.buckets, total->buckets,
                size * sizeof *total->buckets);
    self->timer.size = size;
    self->timer.sum = total->sum;
}

//  A gauge has a row for each second: together they are what a flush has of it.
static void
series_set_gauge (latest_series_t *self, const zb_row_t *row, bool goes_on)
{
    double min = goes_on ? self->gauge.min : row->min;
    double max = goes_on ? self->gauge.max : row->max;
    self->gauge.last = row->last;
    self->gauge.min = row->min < min ? row->min : min;
    self->gauge.max = row->max > max ? row->max : max;
    self->gauge.sum = row->sum + (goes_on ? self->gauge.sum : 0);
    self->gauge.count = row->count + (goes_on ? self->gauge.count : 0);
}

//  Out of the table; readers still find their way past it.
static void
latest_end (latest_t *self, latest_series_t *series)
{
    series_key_t key = series_key (series);
    table_remove (&self->series, s_series_hash (&key), series);
    series->gone = true;
    series->family->count--;
    self->any_gone = true;
}

//  What is older than what is there was sent again after a crash.
static void
latest_row (latest_t *self, const zb_row_t *row, int64_t now_ms)
{
    latest_series_t *series = latest_series (self, row);
    if (!series || row->time_ns < series->time_ns)
        return;
    if (row->ends)
        latest_end (self, series);
    else if (row->type == ZB_TYPE_GAUGE)
        series_set_gauge (series, row, series->turn == self->turn);
    else if (row->type == ZB_TYPE_TIMER && row->total)
        series_set_timer (series, row->total);
    else if (row->total)
        series->value = row->total->value;
    series->time_ns = row->time_ns;
    series->seen_ms = now_ms;
    series->turn = self->turn;
}

//  --------------------------------------------------------------------------
//  What ends

static void
family_end_gauges (latest_t *self, latest_family_t *family, int64_t before_ms)
{
    for (latest_series_t *series = family->first; series; series = series->next)
        if (!series->gone && series->seen_ms < before_ms)
            latest_end (self, series);
}

static void
family_free_gone (latest_family_t *self)
{
    latest_series_t **at = &self->first, *series;
    self->last = NULL;
    while ((series = *at)) {
        if (series->gone) {
            *at = series->next;
            series_free (series);
        }
        else {
            self->last = series;
            at = &series->next;
        }
    }
}

//  Frees what has gone, as nobody reads now. A family without series is none.
static void
latest_free_gone (latest_t *self)
{
    latest_family_t **at = &self->first, *family;
    self->last = NULL;
    while ((family = *at)) {
        family_free_gone (family);
        if (!family->first) {
            *at = family->next;
            table_remove (&self->families, s_family_hash (family->name),
                          family);
            claims_release (&self->claims, family->name);
            free (family);
        }
        else {
            self->last = family;
            at = &family->next;
        }
    }
    self->any_gone = false;
}

static void
latest_sweep (latest_t *self, int64_t now_ms)
{
    latest_family_t *family;
    if (now_ms - self->swept_ms < SWEEP_MS)
        return;
    self->swept_ms = now_ms;
    for (family = self->first; family; family = family->next)
        if (family->kind == PROM_GAUGE)
            family_end_gauges (self, family, now_ms - LATEST_GAUGE_S * 1000);
    if (self->any_gone && !self->readers)
        latest_free_gone (self);
}

void
latest_put (latest_t *self, const zb_row_t *rows, size_t count, int64_t now_ms)
{
    size_t i = 0, end;
    self->turn++;
    while (i < count) {
        latest_lock (self);
        for (end = i + ROWS_A_LOCK; i < count && i < end; i++)
            latest_row (self, &rows[i], now_ms);
        latest_unlock (self);
    }
    latest_lock (self);
    latest_sweep (self, now_ms);
    latest_unlock (self);
}

//  --------------------------------------------------------------------------
//  Readers

void
latest_lock (latest_t *self)
{
    pthread_mutex_lock (&self->lock);
}

void
latest_unlock (latest_t *self)
{
    pthread_mutex_unlock (&self->lock);
}

const latest_family_t *
latest_open (latest_t *self)
{
    const latest_family_t *first;
    latest_lock (self);
    self->readers++;
    first = self->first;
    latest_unlock (self);
    return first;
}

void
latest_close (latest_t *self)
{
    latest_lock (self);
    self->readers--;
    latest_unlock (self);
}

bool
latest_has (latest_t *self, const char *name)
{
    const latest_family_t *family = latest_find_family (self, name);
    return family && family->count;
}

latest_t *
latest_new (const char *worker, int64_t now_ms)
{
    latest_t *self = (latest_t *) zmalloc (sizeof *self);
    assert (self);
    pthread_mutex_init (&self->lock, NULL);
    self->worker = worker;
    self->swept_ms = now_ms;
    claims_init (&self->claims);
    return self;
}

void
latest_destroy (latest_t **self_p)
{
    latest_t *self = *self_p;
    latest_family_t *family;
    if (!self)
        return;
    for (family = self->first; family; family = family->next)
        for (latest_series_t *series = family->first; series;
             series = series->next)
            series->gone = true;
    latest_free_gone (self);
    table_clear (&self->families);
    table_clear (&self->series);
    claims_clear (&self->claims);
    buffer_clear (&self->scratch);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}
