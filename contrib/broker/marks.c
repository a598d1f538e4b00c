/*  marks - how many messages have matched what each worker wants. The contract
    is in marks.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "marks.h"

#include <czmq.h>

enum { MARK_MAX = 128, SETTLE_MS = 60000 };

typedef struct {
    const char *text;
    size_t size;
} level_key_t;

static int
level_same (const void *item, const void *key)
{
    const level_t *self = item;
    const level_key_t *wanted = key;
    return self->size == wanted->size
           && memcmp (self->text, wanted->text, wanted->size) == 0;
}

static int
level_live (const void *item, int64_t since)
{
    (void) since;
    return ((const level_t *) item)->wanted > 0;
}

void
marks_init (marks_t *self)
{
    memset (self, 0, sizeof *self);
    self->levels.free_item = free;
    if (getentropy (&self->id, sizeof self->id) == -1)
        self->id = table_seed;  //  random, too
}

//  --------------------------------------------------------------------------
//  Levels

static level_t *
marks_level (marks_t *self, const char *text, size_t size, int make)
{
    level_key_t key = {text, size};
    uint64_t hash = table_hash (0, text, size);
    level_t *level = table_find (&self->levels, hash, level_same, &key);
    if (!level && make) {
        level = (level_t *) zmalloc (sizeof *level + size);
        level->size = size;
        memcpy (level->text, text, size);
        table_put (&self->levels, hash, level);
    }
    return level;
}

//  Messages of one level mostly come in a row.
void
marks_count_level (marks_t *self, const char *text, size_t size)
{
    level_t *level = self->last;
    const char *bar;
    if (!level || size <= level->size || text[level->size] != '|'
        || memcmp (text, level->text, level->size) != 0) {
        bar = memchr (text, '|',
                      size <= LINE_LABEL_MAX ? size : LINE_LABEL_MAX + 1);
        level = bar ? marks_level (self, text, (size_t) (bar - text), 0) : NULL;
    }
    if (level) {
        level->count++;
        self->last = level;
    }
}

//  Levels that nobody wants stay in the table until half of it is such.
static void
marks_level_count (marks_t *self, level_t *level, int on)
{
    level->wanted += on ? 1 : (size_t) -1;
    if (level->wanted == (on ? 1 : 0))
        self->levels_live += on ? 1 : (size_t) -1;
    if (!on && self->levels.count > 2 * self->levels_live + 64) {
        self->last = NULL;
        table_keep (&self->levels, level_live, 0);
    }
}

//  --------------------------------------------------------------------------
//  Readers

uint64_t
marks_id (const char *text, size_t size)
{
    char digits[MARK_TOPIC_SIZE];
    if (size < MARK_TOPIC_SIZE || (unsigned char) *text != MARK_BYTE)
        return 0;
    memcpy (digits, text + 1, MARK_TOPIC_SIZE - 1);
    digits[MARK_TOPIC_SIZE - 1] = 0;
    return strspn (digits, "0123456789abcdef") == MARK_TOPIC_SIZE - 1
             ? strtoull (digits, NULL, 16)
             : 0;
}

reader_t *
marks_find (marks_t *self, uint64_t id)
{
    size_t at = 0;
    while (at < self->size && self->reader[at]->id != id)
        at++;
    return at < self->size ? self->reader[at] : NULL;
}

//  A message that several topics match comes once: "" is all there is to count.
uint64_t
marks_matched (const marks_t *self, const reader_t *reader)
{
    uint64_t matched = reader->matched;
    size_t i;
    if (reader->all)
        return matched + self->total - reader->all_base;
    for (i = 0; i < reader->size; i++)
        matched += reader->level[i]->count - reader->base[i];
    return matched;
}

//  Before what it wants changes: from here on it is counted anew.
static void
marks_rebase (marks_t *self, reader_t *reader)
{
    size_t i;
    reader->matched = marks_matched (self, reader);
    reader->all_base = self->total;
    for (i = 0; i < reader->size; i++)
        reader->base[i] = reader->level[i]->count;
}

static void
reader_add (reader_t *self, level_t *level)
{
    if (self->size == self->room) {
        self->room = self->room ? self->room * 2 : 8;
        self->level =
          (level_t **) realloc (self->level, self->room * sizeof *self->level);
        self->base =
          (uint64_t *) realloc (self->base, self->room * sizeof *self->base);
        assert (self->level && self->base);
    }
    self->base[self->size] = level->count;
    self->level[self->size++] = level;
}

static void
marks_drop_level (marks_t *self, reader_t *reader, size_t at)
{
    level_t *level = reader->level[at];
    reader->base[at] = reader->base[--reader->size];
    reader->level[at] = reader->level[reader->size];
    marks_level_count (self, level, 0);
}

//  The level that a topic is of, or NULL: "level|".
static level_t *
marks_topic_level (marks_t *self, const char *text, size_t size)
{
    int is_level = size > 1 && size <= LINE_LABEL_MAX + 1
                   && memchr (text, '|', size) == text + size - 1;
    return is_level ? marks_level (self, text, size - 1, 1) : NULL;
}

static void
marks_set (marks_t *self, reader_t *reader, int on, const char *text,
           size_t size)
{
    level_t *level = size ? marks_topic_level (self, text, size) : NULL;
    size_t at = 0;
    if (size == 0)
        reader->all = on;
    if (!level)
        return;
    while (at < reader->size && reader->level[at] != level)
        at++;
    if (on && at == reader->size) {
        marks_level_count (self, level, 1);
        reader_add (reader, level);
    }
    else if (!on && at < reader->size)
        marks_drop_level (self, reader, at);
}

//  The last place gets its own.
static void
marks_forget (marks_t *self, size_t at)
{
    reader_t *reader = self->reader[at];
    if (reader->size || reader->all)
        self->missed += marks_matched (self, reader) - reader->settled[0];
    while (reader->size)
        marks_drop_level (self, reader, reader->size - 1);
    free (reader->level);
    free (reader->base);
    free (reader);
    self->reader[at] = self->reader[--self->size];
}

//  Returns 0 if there are too many that are here.
static int
marks_make_room (marks_t *self)
{
    size_t at, oldest = self->size;
    if (self->size < MARKS_MAX)
        return 1;
    for (at = 0; at < self->size; at++)
        if (self->reader[at]->gone_ms
            && (oldest == self->size
                || self->reader[at]->gone_ms < self->reader[oldest]->gone_ms))
            oldest = at;
    if (oldest == self->size)
        return 0;
    marks_forget (self, oldest);
    return 1;
}

static reader_t *
marks_new (marks_t *self, uint64_t id)
{
    reader_t *reader;
    if (!marks_make_room (self))
        return NULL;
    reader = (reader_t *) zmalloc (sizeof *reader);
    reader->id = id;
    self->reader = (reader_t **) realloc (
      self->reader, (self->size + 1) * sizeof *self->reader);
    assert (self->reader);
    return self->reader[self->size++] = reader;
}

//  What it would have got, had it come with the first message. A level counts
//  from when somebody wanted it: before that, programs held.
static uint64_t
marks_before (const marks_t *self, const reader_t *reader)
{
    uint64_t before = 0;
    size_t i;
    for (i = 0; i < reader->size; i++)
        before += reader->level[i]->count;
    return reader->all ? self->total : before;
}

//  One that comes back wants the same as before, or less: what it has taken off
//  while it was away goes first, and the rest is counted on.
void
marks_join (marks_t *self, uint64_t id, const wanted_t *wanted)
{
    reader_t *known = marks_find (self, id);
    reader_t *reader = known ? known : marks_new (self, id);
    size_t i, at;
    int all = 0;
    if (!reader)
        return;
    reader->gone_ms = 0;
    reader->left = 0;
    reader->due = self->due = 1;
    marks_rebase (self, reader);
    for (i = 0; i < wanted->size; i++) {
        const topic_t *topic = wanted->topic[i];
        all |= topic->size == 0;
        marks_set (self, reader, 1, topic->text + 1, topic->size);
    }
    reader->all = all;
    for (at = reader->size; at-- > 0;) {
        const level_t *level = reader->level[at];
        for (i = 0; i < wanted->size; i++)
            if (wanted->topic[i]->size == level->size + 1
                && memcmp (wanted->topic[i]->text + 1, level->text, level->size)
                     == 0)
                break;
        if (i == wanted->size)
            marks_drop_level (self, reader, at);
    }
    if (!known)
        reader->before = marks_before (self, reader);
}

void
marks_change (marks_t *self, uint64_t id, int on, const char *text, size_t size)
{
    reader_t *reader = marks_find (self, id);
    if (!reader)
        return;
    marks_rebase (self, reader);
    marks_set (self, reader, on, text, size);
    reader->due = self->due = 1;
}

void
marks_gone (marks_t *self, uint64_t id, int64_t now_ms)
{
    reader_t *reader = marks_find (self, id);
    if (reader) {
        reader->gone_ms = now_ms;
        reader->due = 0;
    }
}

//  --------------------------------------------------------------------------
//  Marks

//  What matched a minute ago has come, or its connection would have been ended
//  for it long since. So one that does not come back has missed no more than
//  what matched later.
static void
reader_settle (reader_t *self, uint64_t matched, int64_t now_ms)
{
    if (self->gone_ms || now_ms < self->settled_ms + SETTLE_MS)
        return;
    self->settled[0] = self->settled[1];
    self->settled[1] = matched;
    self->settled_ms = now_ms;
}

void
marks_tick (marks_t *self, int64_t now_ms)
{
    size_t at;
    if (now_ms < self->tick_ms + MARKS_MS)
        return;
    self->tick_ms = now_ms;
    for (at = self->size; at-- > 0;) {
        reader_t *reader = self->reader[at];
        uint64_t matched = marks_matched (self, reader);
        int wants = reader->all || reader->size;
        reader_settle (reader, matched, now_ms);
        if (reader->gone_ms
            && (!wants || now_ms > reader->gone_ms + MARKS_KEPT_MS))
            marks_forget (self, at);
        else if (!reader->gone_ms && matched != reader->marked)
            reader->due = self->due = 1;
    }
}

//  No message comes between this and the first mark.
static int
marks_send_before (marks_t *self, reader_t *reader, void *workers)
{
    uint64_t matched = marks_matched (self, reader);
    char text[MARK_MAX];
    int size =
      snprintf (text, sizeof text,
                "%c%016" PRIx64 "|%016" PRIx64 "|" MARK_BEFORE "%" PRIu64,
                MARK_BYTE, reader->id, self->id, reader->before + matched);
    if (zmq_send (workers, text, (size_t) size, ZMQ_DONTWAIT) == -1)
        return -1;
    reader->told = true;
    return 0;
}

static int
marks_send_one (marks_t *self, reader_t *reader, void *workers)
{
    uint64_t matched = marks_matched (self, reader);
    char text[MARK_MAX];
    int size;
    if (!reader->told && marks_send_before (self, reader, workers) == -1)
        return -1;
    size = snprintf (text, sizeof text,
                     "%c%016" PRIx64 "|%016" PRIx64 "|%" PRIu64 "|%zu|%s",
                     MARK_BYTE, reader->id, self->id, matched,
                     reader->size + (size_t) reader->all,
                     self->leaving  ? MARK_LEAVING
                     : reader->left ? MARK_LEFT
                                    : MARK_HERE);
    if (zmq_send (workers, text, (size_t) size, ZMQ_DONTWAIT) == -1)
        return -1;
    reader->marked = matched;
    reader->due = 0;
    return 0;
}

int
marks_send (marks_t *self, void *workers)
{
    size_t at;
    if (!self->due)
        return 0;
    for (at = 0; at < self->size; at++)
        if (self->reader[at]->due
            && marks_send_one (self, self->reader[at], workers) == -1)
            return -1;
    self->due = 0;
    return 0;
}

void
marks_left (marks_t *self, uint64_t id)
{
    reader_t *reader = marks_find (self, id);
    if (reader)
        reader->left = reader->due = self->due = 1;
}

void
marks_leave (marks_t *self)
{
    size_t at;
    self->leaving = self->due = 1;
    for (at = 0; at < self->size; at++)
        self->reader[at]->due = !self->reader[at]->gone_ms;
}

void
marks_done (marks_t *self)
{
    while (self->size)
        marks_forget (self, self->size - 1);
    free (self->reader);
    table_clear (&self->levels);
}
