/*  prom - how a row is said to Prometheus. The contract is in prom.h.

    Sections: names, tags, labels. Histograms are in prom_histogram.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "prom.h"

#include "fitted.h"
#include "tags.h"
#include "utf8.h"

#include <ctype.h>
#include <czmq.h>

//  --------------------------------------------------------------------------
//  Names

enum { NAME_MAX_ = 255 };  //  bytes of a row's name without tags

static const char s_total[] = "_total", s_seconds[] = "_seconds";

//  Does it end so, with something before that?
static bool
s_has_end (const char *name, size_t size, const char *end)
{
    size_t end_size = strlen (end);
    return size > end_size
           && memcmp (name + size - end_size, end, end_size) == 0;
}

//  Writes at most so many bytes of [A-Za-z_][A-Za-z0-9_]*. A colon is for names that
//  Prometheus' own rules make. Returns the size.
static size_t
s_fit_word (span_t word, char *fitted, size_t most)
{
    size_t size = 0;
    if (word.size && isdigit ((unsigned char) *word.text))
        fitted[size++] = '_';
    for (size_t i = 0; i < word.size && size < most; i++) {
        unsigned char c = (unsigned char) word.text[i];
        fitted[size++] = (char) (c < 0x80 && isalnum (c) ? c : '_');
    }
    return size;
}

//  A counter gets its `_total` anyway, and nothing else should have it.
static size_t
s_fit_name (span_t name, char *fitted)
{
    size_t size = s_fit_word (name, fitted, NAME_MAX_);
    while (s_has_end (fitted, size, s_total))
        size -= strlen (s_total);
    return size;
}

//  --------------------------------------------------------------------------
//  Tags

enum { TAGS_MAX = ZB_NAME_MAX / 4 + 1, KEY_MAX = ZB_NAME_MAX };

typedef struct {
    char key[KEY_MAX + 1];
    size_t size;
    span_t value;
} fitted_tag_t;

//  Labels that have a meaning of their own.
static bool
s_is_reserved (const char *key)
{
    static const char *const reserved[] = {"source", "worker", "le",
                                           "quantile"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (streq (key, reserved[i]))
            return true;
    return strncmp (key, "__", 2) == 0;
}

static int
s_compare_tags (const void *a, const void *b)
{
    return strcmp (((const fitted_tag_t *) a)->key,
                   ((const fitted_tag_t *) b)->key);
}

//  Two keys that have become one: the later one gets a '_' more.
static void
s_part_tags (fitted_tag_t *tags, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (streq (tags[i].key, tags[j].key) && tags[i].size < KEY_MAX) {
                tags[i].key[tags[i].size++] = '_';
                tags[i].key[tags[i].size] = 0;
                j = (size_t) -1;  //  there may be one of that name, too
            }
}

static size_t
s_fit_tags (span_t list, fitted_tag_t *tags)
{
    size_t count = 0;
    tag_t tag;
    while (count < TAGS_MAX && tags_next (&list, &tag)) {
        fitted_tag_t *to = &tags[count++];
        char word[KEY_MAX + 1];
        word[s_fit_word (tag.key, word, KEY_MAX)] = 0;
        to->size = (size_t) snprintf (to->key, sizeof to->key, "%s%.*s",
                                      s_is_reserved (word) ? "tag_" : "",
                                      KEY_MAX - 4, word);
        to->value = tag.value;
    }
    s_part_tags (tags, count);
    qsort (tags, count, sizeof *tags, s_compare_tags);
    return count;
}

//  Adds ;key=value, or as much of the value as there is room for.
static size_t
s_add_tag (const fitted_tag_t *tag, char *fitted, size_t size)
{
    size_t room = ZB_NAME_MAX - size, value = tag->value.size;
    if (room < tag->size + 3)
        return size;
    if (value > room - tag->size - 2)
        value = room - tag->size - 2;
    size += (size_t) snprintf (fitted + size, room + 1, ";%s=%.*s", tag->key,
                               (int) value, tag->value.text);
    return size;
}

static void
s_fit_whole (const char *text, char fitted[ZB_NAME_MAX + 1])
{
    span_t list, name = tags_split (text, strlen (text), &list);
    size_t size = s_fit_name (name, fitted), count;
    fitted_tag_t *tags;
    fitted[size] = 0;
    if (!list.size)
        return;
    tags = (fitted_tag_t *) malloc (TAGS_MAX * sizeof *tags);
    assert (tags);
    count = s_fit_tags (list, tags);
    for (size_t i = 0; i < count; i++)
        size = s_add_tag (&tags[i], fitted, size);
    free (tags);
    utf8_mend (fitted);
}

int
prom_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    static bool any;  //  until then nothing can have become the same
    int changed;
    if (is_source) {
        snprintf (fitted, ZB_NAME_MAX + 1, "%s", text);
        utf8_mend (fitted);
    }
    else
        s_fit_whole (text, fitted);
    changed = !streq (text, fitted);
    any |= changed;
    if (any)
        fitted_tell (fitted, text, is_source, changed);
    return changed;
}

//  --------------------------------------------------------------------------
//  Labels

prom_kind_t
prom_kind (const zb_row_t *row)
{
    if (row->type == ZB_TYPE_TIMER)
        return PROM_TIMER;
    if (row->type == ZB_TYPE_GAUGE)
        return PROM_GAUGE;
    return row->is_signed ? PROM_SIGNED : PROM_COUNTER;
}

void
prom_name (const zb_row_t *row, char name[PROM_NAME_MAX])
{
    static const char *const ends[] = {[PROM_COUNTER] = s_total,
                                       [PROM_TIMER] = s_seconds,
                                       [PROM_GAUGE] = "",
                                       [PROM_SIGNED] = ""};
    const char *end = ends[prom_kind (row)];
    if (s_has_end (row->name, strlen (row->name), end))
        end = "";
    snprintf (name, PROM_NAME_MAX, "%s%s", row->name, end);
}

//  Adds a label, unless its value is empty. Returns how many there are.
static size_t
s_add_label (zb_tag_t *labels, size_t count, const char *key, const char *value)
{
    size_t at = count;
    if (!*value)
        return count;
    for (; at && strcmp (labels[at - 1].key, key) > 0; at--)
        labels[at] = labels[at - 1];
    labels[at] = (zb_tag_t){key, value};
    return count + 1;
}

size_t
prom_labels (const zb_row_t *row, const char *worker,
             zb_tag_t labels[PROM_LABELS_MAX])
{
    size_t count = row->tag_count < TAGS_MAX ? row->tag_count : TAGS_MAX;
    if (count)
        memcpy (labels, row->tags, count * sizeof *labels);
    count = s_add_label (labels, count, "source", row->source);
    return s_add_label (labels, count, "worker", worker);
}
