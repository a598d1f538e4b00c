/*  hist - buckets of a timer. The contract is in hist.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "hist.h"

#include <czmq.h>
#include <math.h>

bucket_t *
hist_place (hist_t *self, size_t *at, int index)
{
    while (*at < self->size && self->bucket[*at].index < index)
        ++*at;
    if (*at < self->size && self->bucket[*at].index == index)
        return &self->bucket[*at];
    if (self->size == self->max) {
        self->max = self->max ? self->max * 2 : 4;
        self->bucket = realloc (self->bucket, self->max * sizeof (bucket_t));
        assert (self->bucket);
    }
    memmove (&self->bucket[*at + 1], &self->bucket[*at],
             (self->size - *at) * sizeof (bucket_t));
    self->size++;
    self->bucket[*at].index = index;
    self->bucket[*at].count = 0;
    return &self->bucket[*at];
}

bucket_t *
hist_at (hist_t *self, int index)
{
    size_t from = 0, to = self->size;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (self->bucket[middle].index < index)
            from = middle + 1;
        else
            to = middle;
    }
    return hist_place (self, &from, index);
}

double
hist_edge_ns (int index)
{
    return fmin (exp2 ((double) index / 32) * 1e9, 9.2e18);
}

double
hist_quantile_ns (const hist_t *self, double share)
{
    uint64_t count = 0, rank;
    size_t i;
    for (i = 0; i < self->size; i++)
        count += self->bucket[i].count;
    rank = (uint64_t) ceil (share * (double) count);
    for (i = 0; i + 1 < self->size && self->bucket[i].count < rank; i++)
        rank -= self->bucket[i].count;
    return self->size ? hist_edge_ns (self->bucket[i].index) * exp2 (1.0 / 64)
                      : 0;
}
