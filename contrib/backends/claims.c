/*  claims - which measurement a name belongs to. The contract is in claims.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "claims.h"

#include <czmq.h>

typedef struct {
    prom_kind_t kind;
    const char *name;  //  of the measurement, behind the other text
    char shown[];
} claim_t;

//  What a histogram has beside its own name.
static const char *const s_parts[] = {"_bucket", "_count", "_sum"};

enum { PARTS = sizeof s_parts / sizeof *s_parts };

static uint64_t
s_hash (const char *shown)
{
    return table_hash (0, shown, strlen (shown));
}

static int
s_same (const void *item, const void *key)
{
    return streq (((const claim_t *) item)->shown, (const char *) key);
}

static claim_t *
claims_find (const claims_t *self, const char *shown)
{
    return (claim_t *) table_find (&self->names, s_hash (shown), s_same, shown);
}

//  A timer whose histogram has a part of that name.
static claim_t *
claims_timer_of (const claims_t *self, const char *shown)
{
    char whole[PROM_NAME_MAX + 16];
    for (size_t i = 0; i < PARTS; i++) {
        size_t size = strlen (shown), part = strlen (s_parts[i]);
        claim_t *claim;
        if (size <= part || !streq (shown + size - part, s_parts[i]))
            continue;
        snprintf (whole, sizeof whole, "%.*s", (int) (size - part), shown);
        claim = claims_find (self, whole);
        return claim && claim->kind == PROM_TIMER ? claim : NULL;
    }
    return NULL;
}

//  Whose name a part of a histogram would have.
static claim_t *
claims_part_of (const claims_t *self, const char *shown)
{
    char part[PROM_NAME_MAX + 16];
    claim_t *claim = NULL;
    for (size_t i = 0; i < PARTS && !claim; i++) {
        snprintf (part, sizeof part, "%s%s", shown, s_parts[i]);
        claim = claims_find (self, part);
    }
    return claim;
}

static void
claims_tell (claims_t *self, const claim_t *other, const char *name,
             const char *shown)
{
    uint64_t hash = s_hash (shown) ^ table_hash (1, name, strlen (name));
    if (self->told.count == CLAIMS_TOLD_MAX || set_has (&self->told, hash))
        return;
    set_put (&self->told, hash);
    zb_log (LOG_WARNING, "taken",
            "name=\"%s\" sent_as=\"%s\" other=\"%s\" effect=\"it is left out: "
            "the other one has the name\"",
            name, shown, other->name);
}

static void
claims_add (claims_t *self, prom_kind_t kind, const char *name,
            const char *shown)
{
    size_t shown_size = strlen (shown) + 1, name_size = strlen (name) + 1;
    claim_t *claim =
      (claim_t *) malloc (sizeof *claim + shown_size + name_size);
    assert (claim);
    claim->kind = kind;
    claim->name = claim->shown + shown_size;
    memcpy (claim->shown, shown, shown_size);
    memcpy (claim->shown + shown_size, name, name_size);
    table_put (&self->names, s_hash (shown), claim);
}

void
claims_init (claims_t *self)
{
    self->names.free_item = free;
}

bool
claims_take (claims_t *self, prom_kind_t kind, const char *name,
             const char *shown)
{
    claim_t *claim = claims_find (self, shown);
    if (claim && claim->kind == kind && streq (claim->name, name))
        return true;
    if (!claim)
        claim = kind == PROM_TIMER ? claims_part_of (self, shown)
                                   : claims_timer_of (self, shown);
    if (claim) {
        claims_tell (self, claim, name, shown);
        return false;
    }
    if (self->names.count < CLAIMS_MAX)
        claims_add (self, kind, name, shown);
    return true;
}

void
claims_release (claims_t *self, const char *shown)
{
    claim_t *claim = claims_find (self, shown);
    if (!claim)
        return;
    table_remove (&self->names, s_hash (shown), claim);
    free (claim);
}

void
claims_clear (claims_t *self)
{
    table_clear (&self->names);
    set_clear (&self->told);
}
