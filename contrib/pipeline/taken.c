/*  taken - which seconds were given out. The contract is in taken.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "taken.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
taken_begin (taken_t *self, int64_t high)
{
    self->range[0] = (range_t){INT64_MIN, high};
    self->count = 1;
}

//  The last range that does not begin after that second.
static size_t
taken_at (const taken_t *self, int64_t second)
{
    size_t at = self->count - 1;
    while (at > 0 && self->range[at].low > second)
        at--;
    return at;
}

//  The range and the one behind it become one.
static void
taken_merge (taken_t *self, size_t at)
{
    range_t *range = &self->range[at];
    range->high = range[1].high;
    self->count--;
    memmove (range + 1, range + 2, (self->count - at - 1) * sizeof *range);
}

//  A range of its own, behind that one.
static void
taken_insert (taken_t *self, size_t at, int64_t second)
{
    range_t *range = &self->range[at + 1];
    memmove (range + 1, range, (self->count - at - 1) * sizeof *range);
    *range = (range_t){second, second};
    self->count++;
    if (self->count > TAKEN_MAX)
        taken_merge (self, 0);
}

void
taken_add (taken_t *self, int64_t second)
{
    size_t at = taken_at (self, second);
    range_t *range = &self->range[at], *next = range + 1;
    if (second <= range->high)
        return;
    if (at + 1 == self->count)
        next = NULL;
    if (second - range->high <= TAKEN_GAP)
        range->high = second;
    else if (next && next->low - second <= TAKEN_GAP)
        next->low = second;
    else {
        taken_insert (self, at, second);
        return;
    }
    if (next && next->low - range->high <= 1)
        taken_merge (self, at);
}

int64_t
taken_free (const taken_t *self, int64_t second)
{
    int64_t high = self->range[taken_at (self, second)].high;
    return second > high ? second : high + 1;
}

int64_t
taken_before (const taken_t *self, int64_t second)
{
    int64_t high = self->range[taken_at (self, second - 1)].high;
    return high < second ? high : second - 1;
}

void
taken_save (const taken_t *self, char text[TAKEN_TEXT_MAX])
{
    size_t i, size = 0;
    for (i = 0; i < self->count; i++) {
        if (i)
            size += (size_t) snprintf (text + size, TAKEN_TEXT_MAX - size,
                                       "|%" PRId64, self->range[i].low);
        size += (size_t) snprintf (text + size, TAKEN_TEXT_MAX - size,
                                   "|%" PRId64, self->range[i].high);
    }
}

int
taken_restore (taken_t *self, const char *text)
{
    taken_t taken = {.count = 0};
    range_t range = {INT64_MIN, 0};
    int size = 0;
    for (;;) {
        if (taken.count == TAKEN_MAX
            || sscanf (text, "|%" SCNd64 "%n", &range.high, &size) != 1
            || range.high < range.low)
            return -1;
        taken.range[taken.count++] = range;
        text += size;
        if (!*text)
            break;
        if (sscanf (text, "|%" SCNd64 "%n", &range.low, &size) != 1
            || range.low <= range.high)
            return -1;
        text += size;
    }
    *self = taken;
    return 0;
}
