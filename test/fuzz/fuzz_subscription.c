/*  fuzz_subscription.c - whatever a broker says it wants, the instrumented
    program stays within its bounds, and knows who listens

    The input is subscriptions, each a byte with its length and so many bytes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

static const char *const s_levels[] = {"info", "debug", "err", "error", "i"};

enum { LEVELS = sizeof s_levels / sizeof *s_levels };

//  By its own means: does a subscription hold what the level's lines begin
//  with, or the other way round?
static int
s_is_wanted (const zb_t *self, const char *level)
{
    char topic[16];
    size_t i;
    int wanted = 0;
    snprintf (topic, sizeof topic, "%s|", level);
    for (i = 0; i < self->subscriptions_size; i++) {
        const char *text = self->subscription[i];
        wanted |= strncmp (topic, text, strlen (text)) == 0
                  || strncmp (topic, text, strlen (topic)) == 0;
    }
    return wanted;
}

static void
s_check_known_once (const zb_t *self)
{
    size_t i, j;
    CHECK (self->subscriptions_size <= ZB_SUBSCRIPTIONS_MAX_);
    for (i = 0; i < self->subscriptions_size; i++)
        for (j = 0; j < i; j++)
            CHECK (strcmp (self->subscription[i], self->subscription[j]) != 0);
}

static int
s_knows (const zb_t *self, const char *topic, size_t size)
{
    size_t i;
    for (i = 0; i < self->subscriptions_size; i++)
        if (strlen (self->subscription[i]) == size
            && memcmp (self->subscription[i], topic, size) == 0)
            return 1;
    return 0;
}

static void
s_apply (zb_t *self, const char *bytes, size_t size)
{
    char *copy = (char *) malloc (size);
    CHECK (copy);
    memcpy (copy, bytes, size);
    zb_subscription_apply_ (self, copy, size);
    if (!memchr (copy + 1, 0, size - 1))
        CHECK (s_knows (self, copy + 1, size - 1) == copy[0]);
    free (copy);
}

//  The instance as it is before a broker has said anything.
static zb_t *
s_instance (void)
{
    static zb_t *self;
    size_t i;
    if (!self) {
        self = (zb_t *) zmalloc (sizeof *self);
        for (i = 0; i < LEVELS; i++)
            zb_level_find_ (self, s_levels[i]);
    }
    return self;
}

//  Takes away what is left: then nobody listens.
static void
s_empty (zb_t *self)
{
    const zb_level_ *level;
    while (self->subscriptions_size) {
        size_t size = strlen (self->subscription[0]) + 1;
        char *bytes = (char *) zmalloc (size);
        memcpy (bytes + 1, self->subscription[0], size - 1);
        s_apply (self, bytes, size);
        free (bytes);
    }
    for (level = self->levels; level; level = level->next)
        CHECK (!level->heard);
}

static void
fuzz (const char *text, size_t size)
{
    zb_t *self = s_instance ();
    const zb_level_ *level;
    const char *end = text + size;
    while (text < end) {
        size_t length = (unsigned char) *text++;
        if (length > (size_t) (end - text))
            length = (size_t) (end - text);
        if (length > 0 && !(*text & ~1))
            s_apply (self, text, length);
        text += length;
    }
    s_check_known_once (self);
    for (level = self->levels; level; level = level->next)
        CHECK (level->heard == s_is_wanted (self, level->name));
    s_empty (self);
}
