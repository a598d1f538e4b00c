/*  age - which rows are too old. The contract is in age.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "age.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

//  What was learnt is forgotten then: clocks are not that much alike.
enum { AGE_KNOWN_MS = 3600000 };

//  Rows up to this time are too old, as far as is known; or will be within a
//  second, which is how exactly times are known.
static int64_t
age_bound (const age_t *self, int64_t now_ms)
{
    int64_t passed = now_ms - self->at_ms;
    return self->known && passed < AGE_KNOWN_MS
             ? self->second + (passed + 999) / 1000
             : INT64_MIN;
}

static int
s_compare (const void *a, const void *b)
{
    int64_t first = *(const int64_t *) a, second = *(const int64_t *) b;
    return (first > second) - (first < second);
}

//  A time between the oldest and the youngest row, of rows that have several:
//  before the widest gap, if it is as wide as the rest; else the middle one.
static int64_t
s_cut (const int64_t *sorted, size_t count)
{
    size_t i, gap = 1, middle = count / 2;
    for (i = 2; i < count; i++)
        if (sorted[i] - sorted[i - 1] > sorted[gap] - sorted[gap - 1])
            gap = i;
    if (2 * (sorted[gap] - sorted[gap - 1]) >= sorted[count - 1] - sorted[0])
        return sorted[gap - 1];
    while (sorted[middle] == sorted[count - 1])
        middle--;
    return sorted[middle];
}

void
age_refused (age_t *self, const int64_t *times, size_t count, int64_t now_ms,
             char *marks)
{
    int64_t *sorted = (int64_t *) malloc (count * sizeof *sorted);
    int64_t bound = age_bound (self, now_ms);
    size_t i;
    assert (sorted);
    memcpy (sorted, times, count * sizeof *sorted);
    qsort (sorted, count, sizeof *sorted, s_compare);
    if (sorted[0] == sorted[count - 1] && sorted[0] > bound)
        *self = (age_t){true, bound = sorted[0], now_ms};
    else if (sorted[0] > bound)
        bound = s_cut (sorted, count);
    for (i = 0; i < count; i++)
        marks[i] = times[i] <= bound;
    free (sorted);
}

void
age_taken (age_t *self, const int64_t *times, size_t count, int64_t now_ms)
{
    int64_t bound = age_bound (self, now_ms);
    size_t i;
    for (i = 0; i < count; i++)
        if (times[i] <= bound)
            self->known = false;
}
