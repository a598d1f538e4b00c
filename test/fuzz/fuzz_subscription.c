/*  fuzz_subscription.c - whatever a broker says it wants, the instrumented
    program stays within its bounds, and knows who listens

    The input is subscriptions, each a byte with its length and so many bytes.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=16384

//  The body, with its statics.
#define ZIBRATO_IMPLEMENTATION
#include "../../zibrato.h"

#include "fuzz.h"

static const char *const s_levels[] = {"info", "debug", "err", "error", "i"};

//  As it is taken away again, whose ever it is.
static const char s_marker[] = "\0\xff"
                               "0123456789abcdef";

enum { LEVELS = sizeof s_levels / sizeof *s_levels };

static int
s_begins (const char *text, size_t size, const char *with, size_t with_size)
{
    return size >= with_size && memcmp (text, with, with_size) == 0;
}

//  By its own means: does a subscription hold what the level's lines begin
//  with, or the other way round? Beyond the bound there may be any.
static int
s_is_wanted (const zb_t *self, const char *level)
{
    char topic[16];
    size_t i, size = (size_t) snprintf (topic, sizeof topic, "%s|", level);
    int wanted = self->overflow > 0;
    for (i = 0; i < self->subscriptions_size; i++) {
        const zb_topic_ *known = &self->subscription[i];
        wanted |= s_begins (topic, size, known->text, known->size)
                  || s_begins (known->text, known->size, topic, size);
    }
    return wanted;
}

static int
s_is (const zb_topic_ *self, const char *topic, size_t size)
{
    return self->size == size && memcmp (self->text, topic, size) == 0;
}

static void
s_check_known_once (const zb_t *self)
{
    size_t i, j;
    CHECK (self->subscriptions_size <= ZB_TOPICS_KNOWN_MAX_);
    for (i = 0; i < self->subscriptions_size; i++)
        for (j = 0; j < i; j++)
            CHECK (!s_is (&self->subscription[i], self->subscription[j].text,
                          self->subscription[j].size));
}

static int
s_knows (const zb_t *self, const char *topic, size_t size)
{
    size_t i;
    for (i = 0; i < self->subscriptions_size; i++)
        if (s_is (&self->subscription[i], topic, size))
            return 1;
    return 0;
}

//  A broker's last: nobody wants anything by it.
static int
s_is_marker (const char *topic, size_t size)
{
    size_t digits = 0;
    if (size != 17 || *topic != '\xff')
        return 0;
    while (digits < 16
           && ((topic[1 + digits] >= '0' && topic[1 + digits] <= '9')
               || (topic[1 + digits] >= 'a' && topic[1 + digits] <= 'f')))
        digits++;
    return digits == 16;
}

//  A marker is counted and nothing else; one that is taken away and never came
//  is not there.
static void
s_apply_marker (zb_t *self, char *bytes, size_t size)
{
    size_t markers = self->markers, overflow = self->overflow;
    size_t known = self->subscriptions_size, room = self->topics_bytes;
    zb_subscription_apply_ (self, bytes, size);
    CHECK (self->markers
           == (*bytes ? markers + 1 : markers - (markers > 0 ? 1 : 0)));
    CHECK (self->overflow == overflow);
    CHECK (self->subscriptions_size == known && self->topics_bytes == room);
}

//  What there was no room for is counted, and each that is taken away again.
static void
s_apply_topic (zb_t *self, char *bytes, size_t size)
{
    size_t overflow = self->overflow, markers = self->markers;
    int knew = s_knows (self, bytes + 1, size - 1);
    int room = size - 1 <= ZB_TOPIC_MAX_
               && self->subscriptions_size < ZB_TOPICS_KNOWN_MAX_;
    zb_subscription_apply_ (self, bytes, size);
    CHECK (s_knows (self, bytes + 1, size - 1) == (*bytes && (knew || room)));
    if (knew || (*bytes && room) || (!*bytes && !overflow))
        CHECK (self->overflow == overflow);
    else
        CHECK (self->overflow == (*bytes ? overflow + 1 : overflow - 1));
    CHECK (self->markers == markers);
}

//  Its memory ends where it does.
static void
s_apply (zb_t *self, const char *bytes, size_t size)
{
    char *copy = (char *) malloc (size);
    CHECK (copy);
    memcpy (copy, bytes, size);
    if (s_is_marker (copy + 1, size - 1))
        s_apply_marker (self, copy, size);
    else
        s_apply_topic (self, copy, size);
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
        char bytes[1 + ZB_TOPIC_MAX_] = "";
        size_t size = self->subscription[0].size;
        memcpy (bytes + 1, self->subscription[0].text, size);
        s_apply (self, bytes, 1 + size);
    }
    while (self->overflow)
        s_apply (self, "", 1);
    while (self->markers)
        s_apply (self, s_marker, sizeof s_marker - 1);
    for (level = self->levels; level; level = level->next)
        CHECK (!level->has_listener);
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
        CHECK (level->has_listener == s_is_wanted (self, level->name));
    s_empty (self);
}
