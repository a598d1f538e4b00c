/*  pool - threads that read the store. The contract is in pool.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

struct pool {
    pool_fn *work;
    pthread_t thread[POOL_THREADS];
    reader_t *reader[POOL_THREADS];  //  of each thread
    size_t threads;
    pthread_mutex_t lock;  //  over all that follows
    pthread_cond_t changed;
    void *job[POOL_WAITING];  //  a ring
    size_t first, count, taken;
    bool ending;
};

static void *
pool_run (void *argument)
{
    pool_t *self = (pool_t *) argument;
    reader_t *reader;
    pthread_mutex_lock (&self->lock);
    reader = self->reader[self->taken++];
    for (;;) {
        void *job;
        while (!self->count && !self->ending)
            pthread_cond_wait (&self->changed, &self->lock);
        if (!self->count)
            break;
        job = self->job[self->first];
        self->first = (self->first + 1) % POOL_WAITING;
        self->count--;
        pthread_mutex_unlock (&self->lock);
        self->work (job, reader);
        pthread_mutex_lock (&self->lock);
    }
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

pool_t *
pool_new (store_t *store, pool_fn *work)
{
    pool_t *self = (pool_t *) calloc (1, sizeof *self);
    bool failed = !self;
    if (failed)
        return NULL;
    self->work = work;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    while (!failed && self->threads < POOL_THREADS) {
        reader_t *reader = reader_new (store);
        self->reader[self->threads] = reader;
        failed =
          !reader
          || pthread_create (&self->thread[self->threads], NULL, pool_run, self)
               != 0;
        if (failed)
            reader_destroy (&self->reader[self->threads]);
        else
            self->threads++;
    }
    if (failed)
        pool_destroy (&self);
    return self;
}

bool
pool_put (pool_t *self, void *job)
{
    bool room;
    pthread_mutex_lock (&self->lock);
    room = self->count < POOL_WAITING;
    if (room) {
        self->job[(self->first + self->count++) % POOL_WAITING] = job;
        pthread_cond_signal (&self->changed);
    }
    pthread_mutex_unlock (&self->lock);
    return room;
}

void
pool_destroy (pool_t **self_p)
{
    pool_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->ending = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    for (size_t i = 0; i < self->threads; i++) {
        pthread_join (self->thread[i], NULL);
        reader_destroy (&self->reader[i]);
    }
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}
