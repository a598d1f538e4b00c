/*  filter - which series a request means. The contract is in filter.h.

    Both ways become parts of one list. A part of tags_search points to others, so
    that it is a tree, of which the last one is the root.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "filter.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { PART_IS, PART_HAS, PART_NOT, PART_AND, PART_OR } part_kind_t;

typedef struct {
    part_kind_t kind;
    char *key, *pattern;  //  of IS and HAS
    size_t left, right;   //  of the others
} filter_part_t;

struct filter {
    filter_part_t part[FILTER_PARTS_MAX];
    size_t count;
    bool is_tree;
};

//  --------------------------------------------------------------------------
//  Patterns and tags

static bool
s_same_letter (char a, char b)
{
    return tolower ((unsigned char) a) == tolower ((unsigned char) b);
}

//  Only the last '*' is ever tried again, so it takes the product of both lengths
//  at most.
bool
pattern_match (const char *pattern, const char *text, size_t size)
{
    const char *star = NULL, *end = text + size, *retry = text;
    while (text < end) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        }
        else if (*pattern && s_same_letter (*pattern, *text)) {
            pattern++;
            text++;
        }
        else if (star) {
            pattern = star + 1;
            text = ++retry;
        }
        else
            return false;
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

bool
series_tag (const series_t *series, const char *key, span_t *value)
{
    size_t size = strlen (key);
    if (strcasecmp (key, "source") == 0) {
        *value = (span_t){series->source, strlen (series->source)};
        return value->size > 0;
    }
    for (const char *at = series->tags; *at; at += at[0] == ';') {
        size_t whole = strcspn (at, ";");
        if (whole > size && at[size] == '=' && !strncasecmp (at, key, size)) {
            *value = (span_t){at + size + 1, whole - size - 1};
            return true;
        }
        at += whole;
    }
    return false;
}

static void
s_write_tag (buffer_t *out, const char *tag, size_t size)
{
    size_t key = 0;
    while (key < size && tag[key] != '=')
        key++;
    out_text_of (out, tag, key);
    buffer_add (out, ":", 1);
    out_text_of (out, tag + key + 1, size - key - 1);
}

void
series_tags_write (buffer_t *out, const series_t *series)
{
    if (*series->source) {
        out_key (out, "source");
        out_text (out, series->source);
    }
    for (const char *at = series->tags; *at; at += at[0] == ';') {
        size_t size = strcspn (at, ";");
        if (memchr (at, '=', size))
            s_write_tag (out, at, size);
        at += size;
    }
}

//  --------------------------------------------------------------------------
//  Parts

filter_t *
filter_new (void)
{
    filter_t *self = (filter_t *) calloc (1, sizeof *self);
    assert (self);
    return self;
}

void
filter_destroy (filter_t **self_p)
{
    filter_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free (self->part[i].key);
        free (self->part[i].pattern);
    }
    free (self);
    *self_p = NULL;
}

//  Returns the new one's place, or FILTER_PARTS_MAX if there is no room.
static size_t
s_part (filter_t *self, part_kind_t kind, size_t left, size_t right)
{
    if (self->count == FILTER_PARTS_MAX)
        return FILTER_PARTS_MAX;
    self->part[self->count] =
      (filter_part_t){.kind = kind, .left = left, .right = right};
    return self->count++;
}

//  With copies of the texts; without a pattern the tag must only be there.
static size_t
s_leaf (filter_t *self, span_t key, const span_t *pattern)
{
    size_t at = s_part (self, pattern ? PART_IS : PART_HAS, 0, 0);
    if (at == FILTER_PARTS_MAX)
        return at;
    self->part[at].key = strndup (key.text, key.size);
    if (pattern)
        self->part[at].pattern = strndup (pattern->text, pattern->size);
    return at;
}

const char *
filter_tag (filter_t *self, const char *key, const char *pattern)
{
    span_t whole = {key, strlen (key)}, value = {pattern, strlen (pattern)};
    bool without = *key == '!';
    if (whole.size == without)
        return "has no name of a tag";
    if (without)
        whole = (span_t){key + 1, whole.size - 1};
    return s_leaf (self, whole, without ? NULL : &value) == FILTER_PARTS_MAX
             ? "has too many conditions"
             : NULL;
}

//  --------------------------------------------------------------------------
//  tags_search, by recursive descent:
//
//      any     all { "or" all }
//      all     one { "and" one }
//      one     "not" one | "!" one | "(" any ")" | KEY [ ("=" | "!=") VALUE ]

typedef struct {
    filter_t *filter;
    const char *at;
    const char *wrong;  //  the first thing that is, or NULL
    int depth;
} search_t;

static size_t s_search_any (search_t *self);

static size_t
s_search_fail (search_t *self, const char *wrong)
{
    if (!self->wrong)
        self->wrong = wrong;
    return FILTER_PARTS_MAX;
}

static void
s_skip_blanks (search_t *self)
{
    while (isspace ((unsigned char) *self->at))
        self->at++;
}

//  Steps over a word, if that is what comes next.
static bool
s_search_word (search_t *self, const char *word)
{
    size_t size = strlen (word);
    s_skip_blanks (self);
    if (strncasecmp (self->at, word, size) != 0
        || !strchr (" \t\r\n(", self->at[size]) || !self->at[size])
        return false;
    self->at += size;
    return true;
}

//  A text in quotes, or up to what cannot be in it.
static span_t
s_search_text (search_t *self, const char *ends)
{
    span_t text;
    s_skip_blanks (self);
    text = (span_t){self->at, strcspn (self->at, ends)};
    if (*self->at == '"') {
        text = (span_t){self->at + 1, strcspn (self->at + 1, "\"")};
        if (text.text[text.size] != '"')
            s_search_fail (self, "has a quotation mark without its end");
        self->at++;
    }
    self->at = text.text + text.size;
    self->at += *self->at == '"';
    return text;
}

static size_t
s_search_join (search_t *self, part_kind_t kind, size_t left, size_t right)
{
    size_t at =
      self->wrong ? FILTER_PARTS_MAX : s_part (self->filter, kind, left, right);
    return at == FILTER_PARTS_MAX
             ? s_search_fail (self, "has too many conditions")
             : at;
}

static size_t
s_search_tag (search_t *self)
{
    span_t key = s_search_text (self, " \t\r\n()=!\""), value;
    bool negated;
    size_t at;
    if (!key.size)
        return s_search_fail (self, "lacks the name of a tag");
    s_skip_blanks (self);
    negated = self->at[0] == '!' && self->at[1] == '=';
    self->at += negated;
    if (*self->at != '=')
        at = s_leaf (self->filter, key, NULL);
    else {
        self->at++;
        value = s_search_text (self, " \t\r\n()\"");
        at =
          self->wrong ? FILTER_PARTS_MAX : s_leaf (self->filter, key, &value);
    }
    if (at == FILTER_PARTS_MAX)
        return s_search_fail (self, "has too many conditions");
    return negated ? s_search_join (self, PART_NOT, at, 0) : at;
}

static size_t
s_search_one (search_t *self)
{
    size_t at;
    s_skip_blanks (self);
    if (self->wrong)
        return FILTER_PARTS_MAX;
    if (++self->depth > FILTER_DEPTH_MAX)
        return s_search_fail (self, "is nested too deeply");
    if (*self->at == '(') {
        self->at++;
        at = s_search_any (self);
        s_skip_blanks (self);
        if (*self->at != ')')
            return s_search_fail (self, "lacks a closing parenthesis");
        self->at++;
    }
    else if (s_search_word (self, "not") || *self->at == '!') {
        self->at += *self->at == '!';
        at = s_search_join (self, PART_NOT, s_search_one (self), 0);
    }
    else
        at = s_search_tag (self);
    self->depth--;
    return at;
}

static size_t
s_search_all (search_t *self)
{
    size_t at = s_search_one (self);
    while (!self->wrong && s_search_word (self, "and"))
        at = s_search_join (self, PART_AND, at, s_search_one (self));
    return at;
}

static size_t
s_search_any (search_t *self)
{
    size_t at = s_search_all (self);
    while (!self->wrong && s_search_word (self, "or"))
        at = s_search_join (self, PART_OR, at, s_search_all (self));
    return at;
}

const char *
filter_search (filter_t *self, const char *text)
{
    search_t search = {.filter = self, .at = text};
    if (self->count)
        return "may not be given beside tags";
    s_search_any (&search);
    s_skip_blanks (&search);
    if (!search.wrong && *search.at)
        s_search_fail (&search, "has something after its end");
    self->is_tree = true;
    return search.wrong;
}

//  --------------------------------------------------------------------------
//  Matching

static bool
s_leaf_match (const filter_part_t *part, const series_t *series)
{
    span_t value;
    return series_tag (series, part->key, &value)
           && (part->kind == PART_HAS
               || pattern_match (part->pattern, value.text, value.size));
}

//  As deep as the tree is, which is bounded: a chain of "and" leans to the left,
//  and has FILTER_PARTS_MAX at most.
static bool
s_tree_match (const filter_t *self, size_t at, const series_t *series)
{
    const filter_part_t *part = &self->part[at];
    switch (part->kind) {
        case PART_NOT:
            return !s_tree_match (self, part->left, series);
        case PART_AND:
            return s_tree_match (self, part->left, series)
                   && s_tree_match (self, part->right, series);
        case PART_OR:
            return s_tree_match (self, part->left, series)
                   || s_tree_match (self, part->right, series);
        default:
            return s_leaf_match (part, series);
    }
}

//  All conditions on the key of this one.
static bool
s_key_match (const filter_t *self, const filter_part_t *first,
             const series_t *series)
{
    bool wanted = false, found = false;
    span_t value;
    if (!series_tag (series, first->key, &value))
        return false;
    for (size_t i = 0; i < self->count; i++) {
        const filter_part_t *part = &self->part[i];
        bool negated = part->kind == PART_IS && *part->pattern == '!';
        if (part->kind != PART_IS || strcasecmp (part->key, first->key) != 0)
            continue;
        if (!negated)
            wanted = true;
        if (pattern_match (part->pattern + negated, value.text, value.size)) {
            if (negated)
                return false;
            found = true;
        }
    }
    return found || !wanted;
}

bool
filter_match (const filter_t *self, const series_t *series)
{
    span_t value;
    if (self->is_tree)
        return s_tree_match (self, self->count - 1, series);
    for (size_t i = 0; i < self->count; i++) {
        const filter_part_t *part = &self->part[i];
        if (part->kind == PART_HAS ? series_tag (series, part->key, &value)
                                   : !s_key_match (self, part, series))
            return false;
    }
    return true;
}
