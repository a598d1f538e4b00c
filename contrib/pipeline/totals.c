/*  totals - what each series has had since a start. The contract is in totals.h.

    Sections: series, buckets, adding, resting, from start to end.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "totals.h"

#include "clock.h"
#include "health.h"
#include "packed.h"
#include "tags.h"

#include <czmq.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>

#define SECOND_NS INT64_C (1000000000)

//  --------------------------------------------------------------------------
//  Series: in a table by name, and in a list by when they last had a row. So
//  those that rest are at one end of it, and what a flush changed at the other.

static uint64_t
total_hash (const total_key_t *key)
{
    uint64_t hash = table_hash (key->timer, key->name.text, key->name.size);
    return table_hash (hash, key->source.text, key->source.size);
}

static total_key_t
total_key (const total_t *self)
{
    return (total_key_t){.timer = self->kind == TOTAL_TIMER,
                         .name = {self->text, self->name_size},
                         .source = {total_source (self), self->source_size}};
}

static int
total_same (const void *item, const void *key)
{
    const total_t *self = item;
    const total_key_t *wanted = key;
    return (self->kind == TOTAL_TIMER) == wanted->timer
           && self->name_size == wanted->name.size
           && self->source_size == wanted->source.size
           && memcmp (self->text, wanted->name.text, self->name_size) == 0
           && memcmp (total_source (self), wanted->source.text,
                      self->source_size)
                == 0;
}

total_t *
totals_find (const totals_t *self, const total_key_t *key)
{
    return table_find (&self->table, total_hash (key), total_same, key);
}

static void
totals_append (totals_t *self, total_t *total)
{
    total->older = self->newest;
    total->newer = NULL;
    *(self->newest ? &self->newest->newer : &self->oldest) = total;
    self->newest = total;
}

static void
totals_unlink (totals_t *self, total_t *total)
{
    *(total->older ? &total->older->newer : &self->oldest) = total->newer;
    *(total->newer ? &total->newer->older : &self->newest) = total->older;
    if (self->changed == total)
        self->changed = total->newer;
}

void
totals_lift (totals_t *self, total_t *total)
{
    totals_unlink (self, total);
    totals_append (self, total);
}

static size_t
total_size (size_t name_size, size_t source_size)
{
    return offsetof (total_t, text) + name_size + source_size + 2;
}

total_t *
totals_make (totals_t *self, const total_key_t *key, total_kind_t kind)
{
    total_t *total = (total_t *) arena_new (
      &self->arena, total_size (key->name.size, key->source.size));
    total->kind = (uint8_t) kind;
    total->name_size = (uint16_t) key->name.size;
    total->source_size = (uint8_t) key->source.size;
    memcpy (total->text, key->name.text, key->name.size);
    memcpy (total->text + key->name.size + 1, key->source.text,
            key->source.size);
    if (kind == TOTAL_TIMER)
        total->timer = (total_timer_t *) zmalloc (sizeof *total->timer);
    totals_append (self, total);
    table_put (&self->table, total_hash (key), total);
    return total;
}

//  Out of table and list; it is not freed.
static void
totals_take (totals_t *self, total_t *total)
{
    total_key_t key = total_key (total);
    totals_unlink (self, total);
    table_remove (&self->table, total_hash (&key), total);
}

static void
total_free (totals_t *self, total_t *total)
{
    if (total->kind == TOTAL_TIMER)
        free (total->timer);
    arena_free (&self->arena, total,
                total_size (total->name_size, total->source_size));
}

void
totals_remove (totals_t *self, total_t *total)
{
    totals_take (self, total);
    total_free (self, total);
}

void
totals_free_ended (totals_t *self)
{
    total_t *total;
    while ((total = self->ended)) {
        self->ended = total->newer;
        total_free (self, total);
    }
}

void
totals_clear (totals_t *self)
{
    total_t *total;
    totals_free_ended (self);
    for (total = self->oldest; total; total = total->newer)
        if (total->kind == TOTAL_TIMER)
            free (total->timer);
    table_clear (&self->table);
    arena_clear (&self->arena);
    self->oldest = self->newest = self->changed = NULL;
}

//  Does one of the globs, if there are some, match the name without its tags?
static bool
s_matches (const char *globs, span_t whole)
{
    char name[ZB_NAME_MAX + 1], glob[ZB_NAME_MAX + 1];
    span_t tags, alone;
    if (!globs)
        return false;
    alone = tags_split (whole.text, whole.size, &tags);
    snprintf (name, sizeof name, "%.*s", (int) alone.size, alone.text);
    while (*globs) {
        size_t size = strcspn (globs, ",");
        snprintf (glob, sizeof glob, "%.*s", (int) size, globs);
        if (fnmatch (glob, name, 0) == 0)
            return true;
        globs += size + (globs[size] == ',');
    }
    return false;
}

static bool
s_is_lost (span_t name)
{
    return name.size == sizeof HEALTH_LOST - 1
           && memcmp (name.text, HEALTH_LOST, name.size) == 0;
}

total_kind_t
totals_kind (const totals_t *self, const total_key_t *key)
{
    if (key->timer)
        return TOTAL_TIMER;
    return s_is_lost (key->name) || s_matches (self->signs, key->name)
             ? TOTAL_SIGNED
             : TOTAL_COUNTER;
}

//  --------------------------------------------------------------------------
//  Buckets

void
totals_pack (totals_t *self, total_t *total)
{
    total_timer_t *timer = total->timer;
    char *bytes =
      buffer_room (&self->bytes, self->hist.size * PACKED_BUCKET_MAX + 1);
    size_t size = packed_write ((uint8_t *) bytes, &self->hist);
    if (size > timer->max) {
        //  an eighth more, to the next border of what malloc gives anyway
        size_t whole = offsetof (total_timer_t, buckets) + size + size / 8;
        whole = (whole + 8 + 15) / 16 * 16 - 8;
        timer = (total_timer_t *) realloc (timer, whole);
        assert (timer);
        timer->max = (uint16_t) (whole - offsetof (total_timer_t, buckets));
        total->timer = timer;
    }
    memcpy (timer->buckets, bytes, size);
    timer->size = (uint16_t) size;
}

static void
totals_unpack (totals_t *self, const total_t *total)
{
    packed_read (total->timer->buckets, total->timer->size, &self->hist);
}

//  --------------------------------------------------------------------------
//  Adding

//  The time of the flush before: whatever was sent of an older start was not
//  later. But a row may be of a second before that, or the clock was set back;
//  then only that part of a second tells this start from one that an earlier
//  worker made.
static int64_t
totals_start_ns (const totals_t *self, const zb_row_t *row)
{
    int64_t start_ns = window_ns (self->from) + self->part_ns;
    return start_ns < row->time_ns ? start_ns
                                   : row->time_ns - SECOND_NS + self->part_ns;
}

//  The series has a row now.
static void
totals_touch (totals_t *self, total_t *total)
{
    total->seen = totals_clock (self);
    if (total != self->changed)
        totals_lift (self, total);
    if (!self->changed)
        self->changed = total;
}

static void
totals_refuse (totals_t *self, const entry_t *entry)
{
    refusals_t *refusals = &self->refusals;
    if (!refusals->count)
        snprintf (refusals->example, sizeof refusals->example, "%s",
                  entry->text);
    refusals->count++;
    refusals->sum += entry->sum;
    self->refused++;
}

//  Is it new, or has what it said so far to be left behind? A sum that is no
//  number any more has.
static bool
totals_begins (const totals_t *self, const total_t *total, const entry_t *entry)
{
    return !total || total->seen < self->turned
           || (total->kind != TOTAL_TIMER
               && !isfinite (total->value + entry->sum));
}

static void
totals_begin_one (const totals_t *self, total_t *total, const zb_row_t *row)
{
    total->start_ns = totals_start_ns (self, row);
    if (total->kind == TOTAL_TIMER) {
        total->timer->sum_ns = 0;
        total->timer->count = 0;
        total->timer->size = 0;
    }
    else
        total->value = 0;
}

static void
totals_add_timer (totals_t *self, total_t *total, const entry_t *entry)
{
    const samples_t *samples = entry->samples;
    size_t i, at = 0;
    total->timer->count += samples->count;
    total->timer->sum_ns += samples->sum_ns;
    totals_unpack (self, total);
    for (i = 0; i < samples->hist.size; i++)
        hist_place (&self->hist, &at, samples->hist.bucket[i].index)->count +=
          samples->hist.bucket[i].count;
    totals_pack (self, total);
}

//  What the row says of the total. A timer's buckets have been unpacked.
static void
totals_row (totals_t *self, const total_t *total, zb_row_t *row)
{
    self->total = (zb_total_t){.start_ns = total->start_ns};
    if (total->kind == TOTAL_TIMER) {
        self->total.count = total->timer->count;
        self->total.sum = (double) total->timer->sum_ns / 1e9;
        self->total.buckets = self->hist.bucket;
        self->total.bucket_count = self->hist.size;
    }
    else
        self->total.value = total->value;
    row->total = &self->total;
    row->is_signed = total->kind == TOTAL_SIGNED;
}

bool
totals_add (totals_t *self, const entry_t *entry, zb_row_t *row)
{
    total_key_t key = {
      .timer = entry->type == ZB_TYPE_TIMER,
      .name = {entry->text, entry->name_size},
      .source = {entry->text + entry->name_size + 1, entry->source_size}};
    total_t *total = totals_find (self, &key);
    total_kind_t kind =
      total ? (total_kind_t) total->kind : totals_kind (self, &key);
    bool begins;
    if (kind != TOTAL_TIMER
        && (!isfinite (entry->sum)
            || (kind == TOTAL_COUNTER && entry->sum < 0))) {
        totals_refuse (self, entry);
        return false;
    }
    begins = totals_begins (self, total, entry);
    if (!total)
        total = totals_make (self, &key, kind);
    if (begins)
        totals_begin_one (self, total, row);
    totals_touch (self, total);
    if (kind == TOTAL_TIMER)
        totals_add_timer (self, total, entry);
    else
        total->value += entry->sum;
    totals_row (self, total, row);
    return true;
}

//  --------------------------------------------------------------------------
//  Resting

static void
totals_log_refused (totals_t *self)
{
    refusals_t *refusals = &self->refusals;
    if (refusals->count)
        zb_log (LOG_WARNING, "fell",
                "reason=\"a total must not fall; --signed is for counters "
                "that do\" count=%" PRIu64 " sum=%g example=\"%s\"",
                refusals->count, refusals->sum, refusals->example);
    *refusals = (refusals_t){.count = 0};
}

static void
totals_give (totals_t *self, total_t *total, bool ends, totals_give_fn *give,
             void *argument)
{
    int64_t time_ns = window_ns (self->second);
    int64_t from_ns = window_ns (self->from);
    zb_row_t row = {.name = total->text,
                    .source = total_source (total),
                    .time_ns = time_ns,
                    .start_ns = from_ns < time_ns ? from_ns : time_ns,
                    .ends = ends};
    row.type = total->kind == TOTAL_TIMER ? ZB_TYPE_TIMER : ZB_TYPE_COUNTER;
    if (total->kind == TOTAL_TIMER)
        totals_unpack (self, total);
    totals_row (self, total, &row);
    give (argument, &row);
}

//  Has it rested for too long at that time? Times that were restored may be wrong.
static bool
totals_is_stale (const totals_t *self, const total_t *total, int64_t ran_ms)
{
    return ran_ms / 1000 - total->seen >= self->stale;
}

void
totals_rest (totals_t *self, totals_give_fn *give, void *argument)
{
    total_t *total, *next;
    bool all = self->idle || self->first;
    for (total = self->oldest; total != self->changed; total = next) {
        bool ends = totals_is_stale (self, total, self->ran_ms);
        if (!ends && !all)
            break;
        next = total->newer;
        totals_give (self, total, ends, give, argument);
        if (ends) {
            totals_take (self, total);
            total->newer = self->ended;
            self->ended = total;
        }
    }
    self->first = false;
    totals_log_refused (self);
}

bool
totals_due (const totals_t *self, int64_t now_ms)
{
    int64_t ran_ms = self->ran_ms + now_ms - self->tick_ms;
    return self->oldest
           && (self->idle || self->first
               || totals_is_stale (self, self->oldest, ran_ms));
}

//  --------------------------------------------------------------------------
//  From start to end

const char *
totals_check (const zb_backend_t *backend, const char *signs, int64_t stale)
{
    if (backend->wants & ZB_WANTS_TOTALS)
        return NULL;
    if (signs)
        return "--signed: this backend gets increments";
    return stale != TOTALS_STALE ? "--stale: this backend gets increments"
                                 : NULL;
}

totals_t *
totals_new (const zb_backend_t *backend, const char *signs, int64_t stale,
            int64_t now_ms)
{
    totals_t *self;
    if (!(backend->wants & ZB_WANTS_TOTALS))
        return NULL;
    self = (totals_t *) zmalloc (sizeof *self);
    assert (self);
    self->signs = signs;
    self->stale = (uint32_t) stale;
    self->idle = backend->wants & ZB_WANTS_IDLE;
    self->first = true;
    self->tick_ms = now_ms;
    self->part_ns = wall_us () % 1000000 * 1000;
    return self;
}

void
totals_destroy (totals_t **self_p)
{
    totals_t *self = *self_p;
    if (!self)
        return;
    totals_clear (self);
    free (self->hist.bucket);
    buffer_clear (&self->bytes);
    buffer_clear (&self->line);
    free (self);
    *self_p = NULL;
}

//  The wall clock was ahead, and is not any more. The times of flushes repeat, so
//  starts must differ from those of before in their part of a second.
static void
totals_turn_back (totals_t *self)
{
    self->ran_ms += 1000;  //  all rows so far were before
    self->turned = totals_clock (self);
    self->part_ns = (self->part_ns + SECOND_NS / 1000) % SECOND_NS;
}

void
totals_begin (totals_t *self, int64_t from, int64_t second, int64_t now_ms)
{
    totals_free_ended (self);
    self->changed = NULL;
    self->ran_ms += now_ms - self->tick_ms;
    self->tick_ms = now_ms;
    if (second < self->second)
        totals_turn_back (self);
    self->from = from;
    self->second = second > 0 ? second : 0;
}
