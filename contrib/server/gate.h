/*  gate - readers come and go, and wait outside while it is closed

    A log of changes can begin anew only when nobody reads. Of many readers there
    is always one, so now and then they are asked to wait.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_GATE_H
#define ZB_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside;   //  guarded by lock
    bool closed;  //  the same
} gate_t;

void gate_init (gate_t *self);
void gate_clear (gate_t *self);

void gate_enter (gate_t *self);
void gate_leave (gate_t *self);

//  Keeps out whoever comes, and waits for so long until those inside have left.
//  Returns whether they have.
bool gate_close (gate_t *self, int64_t wait_ms);
void gate_open (gate_t *self);

#endif
