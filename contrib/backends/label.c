/*  label - names and sources, as the Librato API takes them. The contract is in
    label.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "label.h"

#include "fitted.h"
#include "tags.h"

#include <ctype.h>
#include <czmq.h>

int
label_clean (char *clean, const char *text, int is_source)
{
    size_t i;
    int changed = 0;
    for (i = 0; text[i] && i < LABEL_MAX; i++) {
        unsigned char c = (unsigned char) text[i];
        int fine = c < 0x80 && (isalnum (c) || strchr (".:_-", c));
        clean[i] = fine ? (char) c : '_';
        changed |= !fine;
    }
    changed |= text[i] != 0;
    clean[i] = 0;
    if (is_source && strcasecmp (clean, "all") == 0) {
        strcat (clean, "_");
        changed = 1;
    }
    return changed;
}

//  requests;code=200 becomes requests.code.200: the API's names have no tags.
//  Returns 1 if there were some.
static int
label_fold (const char *name, char folded[ZB_NAME_MAX + 1])
{
    span_t tags, alone = tags_split (name, strlen (name), &tags);
    int size =
      snprintf (folded, ZB_NAME_MAX + 1, "%.*s", (int) alone.size, alone.text);
    tag_t tag;
    while (tags_next (&tags, &tag))
        size += snprintf (folded + size, (size_t) (ZB_NAME_MAX + 1 - size),
                          ".%.*s.%.*s", (int) tag.key.size, tag.key.text,
                          (int) tag.value.size, tag.value.text);
    return alone.size < strlen (name);
}

int
label_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    char folded[ZB_NAME_MAX + 1];
    int changed = !is_source && label_fold (text, folded);
    changed |= label_clean (fitted, is_source ? text : folded, is_source);
    fitted_tell (fitted, text, is_source, changed);
    return changed;
}

//  --------------------------------------------------------------------------
//  Tags that stay tags

enum { KEY_MAX = 64, TAGS_MAX = 255 };

//  The letters of a key, or of a value, which may have some more.
static size_t
s_clean_part (char *clean, span_t part, size_t most, const char *more)
{
    size_t i;
    for (i = 0; i < part.size && i < most; i++) {
        unsigned char c = (unsigned char) part.text[i];
        int fine = c < 0x80 && (isalnum (c) || strchr (more, c));
        clean[i] = fine ? (char) tolower (c) : '_';
    }
    clean[i] = 0;
    return i;
}

//  One tag as "key=value". Where none else may be a key, it stays one.
static void
s_clean_tag (char *clean, const tag_t *tag)
{
    size_t size = s_clean_part (clean, tag->key, KEY_MAX, ".:_-");
    if (streq (clean, "source")) {
        strcpy (clean, "_source");
        size = strlen (clean);
    }
    clean[size++] = '=';
    s_clean_part (clean + size, tag->value, LABEL_MAX, ".:_-?\\/ ");
}

static int
s_compare_tags (const void *a, const void *b)
{
    return strcmp (*(char *const *) a, *(char *const *) b);
}

//  Are the keys the same?
static bool
s_same_key (const char *a, const char *b)
{
    size_t size = strcspn (a, "=");
    return strncmp (a, b, size + 1) == 0;
}

//  Appends the tags, the keys ascending again, and each once.
static void
label_add_tags (char *fitted, span_t tags)
{
    char text[ZB_NAME_MAX + TAGS_MAX], *at = text, *list[TAGS_MAX];
    size_t count = 0, i, size = strlen (fitted);
    tag_t tag;
    while (count < TAGS_MAX && tags_next (&tags, &tag)) {
        s_clean_tag (at, &tag);
        list[count++] = at;
        at += strlen (at) + 1;
    }
    qsort (list, count, sizeof *list, s_compare_tags);
    for (i = 0; i < count; i++)
        if (i == 0 || !s_same_key (list[i - 1], list[i]))
            size += (size_t) snprintf (fitted + size, ZB_NAME_MAX + 1 - size,
                                       ";%s", list[i]);
}

int
label_fit_tagged (const char *text, char fitted[ZB_NAME_MAX + 1])
{
    span_t tags, alone = tags_split (text, strlen (text), &tags);
    char name[ZB_NAME_MAX + 1];
    int changed;
    snprintf (name, sizeof name, "%.*s", (int) alone.size, alone.text);
    changed = label_fit (name, 0, fitted);
    label_add_tags (fitted, tags);
    return changed || !streq (fitted, text);
}
