/*  pool - threads that read the store, each with a reader of its own

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_POOL_H
#define ZB_POOL_H

#include "store.h"

#include <stdbool.h>

enum {
    POOL_THREADS = 2,  //  one long query must not hold up the next one
    POOL_WAITING = 64  //  jobs, at most
};

typedef struct pool pool_t;
typedef void pool_fn (void *job, reader_t *reader);

//  Returns NULL if there can be no threads. Caller owns the return value.
pool_t *pool_new (store_t *store, pool_fn *work);

//  Has a job done by one of the threads. Returns false if too many wait.
bool pool_put (pool_t *self, void *job);

//  Does what waits, and ends.
void pool_destroy (pool_t **self_p);

#endif
