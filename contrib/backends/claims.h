/*  claims - which measurement a name at the service belongs to

    Measurements of different types, or names that differ by a suffix that the service
    wants, may ask for one name there: a timer `wait` and a gauge `wait_seconds`. Who
    came first has it, and that is said once.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CLAIMS_H
#define ZB_CLAIMS_H

#include "prom.h"
#include "table.h"

#include <stdbool.h>

enum {
    CLAIMS_MAX = 200000,     //  names; those beyond have no claim, and get none
    CLAIMS_TOLD_MAX = 10000  //  that were said to be taken
};

//  All zero at first but for free_item of the table, which claims_init sets.
typedef struct {
    table_t names;
    set_t told;
} claims_t;

void claims_init (claims_t *self);

//  May a measurement of this kind and name be shown by that one? It may if nobody
//  else is, and then is known to be.
bool claims_take (claims_t *self, prom_kind_t kind, const char *name,
                  const char *shown);

//  The name is free again.
void claims_release (claims_t *self, const char *shown);

void claims_clear (claims_t *self);

#endif
