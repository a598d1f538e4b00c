/*  hours - of the inbox. The contract is in hours.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "hours.h"
#include "kept.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
hours_init (hours_t *self)
{
    *self = (hours_t){.count = 0};
    pthread_mutex_init (&self->lock, NULL);
}

void
hours_clear (hours_t *self)
{
    free (self->hour);
    pthread_mutex_destroy (&self->lock);
}

//  The place of the first one that begins then, or later.
static size_t
s_place (const hours_t *self, int64_t begin_s)
{
    size_t from = 0, to = self->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (self->hour[middle].begin_s < begin_s)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

//  Called with self->lock held.
static void
s_insert (hours_t *self, size_t at, int64_t begin_s)
{
    if (self->count == self->max) {
        self->max = self->max ? self->max * 2 : 16;
        self->hour =
          (hour_t *) realloc (self->hour, self->max * sizeof (hour_t));
        assert (self->hour);
    }
    memmove (&self->hour[at + 1], &self->hour[at],
             (self->count++ - at) * sizeof (hour_t));
    self->hour[at] = (hour_t){begin_s, 0};
}

void
hours_add (hours_t *self, int64_t time_s)
{
    int64_t begin_s = time_floor (time_s, HOUR_S);
    size_t at = self->latest;
    if (at >= self->count || self->hour[at].begin_s != begin_s) {
        at = s_place (self, begin_s);
        if (at == self->count || self->hour[at].begin_s != begin_s) {
            pthread_mutex_lock (&self->lock);
            s_insert (self, at, begin_s);
            pthread_mutex_unlock (&self->lock);
        }
        self->latest = at;
    }
    self->hour[at].rows++;
}

void
hours_take (hours_t *self, int64_t begin_s, uint64_t rows)
{
    size_t at = s_place (self, begin_s);
    assert (at < self->count && self->hour[at].begin_s == begin_s);
    self->hour[at].rows -= rows;
    if (self->hour[at].rows)
        return;
    pthread_mutex_lock (&self->lock);
    memmove (&self->hour[at], &self->hour[at + 1],
             (--self->count - at) * sizeof (hour_t));
    self->removals++;
    pthread_mutex_unlock (&self->lock);
}

uint64_t
hours_rows (const hours_t *self)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < self->count; i++)
        rows += self->hour[i].rows;
    return rows;
}

bool
hours_have (const hours_t *self, int odd)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->hour[i].begin_s / HOUR_S % 2 == odd)
            return true;
    return false;
}

uint64_t
hours_copy (hours_t *self, int64_t from_s, int64_t to_s, buffer_t *list)
{
    uint64_t removals;
    list->size = 0;
    pthread_mutex_lock (&self->lock);
    for (size_t at = s_place (self, time_floor (from_s, HOUR_S));
         at < self->count && self->hour[at].begin_s < to_s; at++)
        buffer_add (list, &self->hour[at].begin_s, sizeof (int64_t));
    removals = self->removals;
    pthread_mutex_unlock (&self->lock);
    return removals;
}
