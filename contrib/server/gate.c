/*  gate - for readers. The contract is in gate.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "gate.h"

#include <errno.h>
#include <time.h>

void
gate_init (gate_t *self)
{
    pthread_condattr_t attributes;
    pthread_mutex_init (&self->lock, NULL);
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (&self->changed, &attributes);
    pthread_condattr_destroy (&attributes);
    self->inside = 0;
    self->closed = false;
}

void
gate_clear (gate_t *self)
{
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->changed);
}

void
gate_enter (gate_t *self)
{
    pthread_mutex_lock (&self->lock);
    while (self->closed)
        pthread_cond_wait (&self->changed, &self->lock);
    self->inside++;
    pthread_mutex_unlock (&self->lock);
}

void
gate_leave (gate_t *self)
{
    pthread_mutex_lock (&self->lock);
    if (--self->inside == 0)
        pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

bool
gate_close (gate_t *self, int64_t wait_ms)
{
    struct timespec until;
    bool empty;
    int rc = 0;
    clock_gettime (CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock (&self->lock);
    self->closed = true;
    while (self->inside && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait (&self->changed, &self->lock, &until);
    empty = self->inside == 0;
    pthread_mutex_unlock (&self->lock);
    return empty;
}

void
gate_open (gate_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->closed = false;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}
