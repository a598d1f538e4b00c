/*  graphite_path - names and rows. The contract is in graphite_path.h.

    Sections: the pattern, names that fit, lines.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "graphite_path.h"

#include "digits.h"
#include "percentiles.h"
#include "tags.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

//  Bytes of a node, which is a folder's name on carbon's disk.
enum { NODE_MAX = 250 };

//  --------------------------------------------------------------------------
//  The pattern

enum { WORKER, SOURCE, NAME, PLACES };

static const char *const s_places[PLACES] = {"{worker}", "{source}", "{name}"};

//  Which place begins there, or -1.
static int
s_place (const char *pattern)
{
    for (int i = 0; i < PLACES; i++)
        if (strncmp (pattern, s_places[i], strlen (s_places[i])) == 0)
            return i;
    return -1;
}

static bool
s_is_fine (char c)
{
    return (unsigned char) c < 0x80 && (isalnum (c) || c == '_' || c == '-');
}

//  Neither worker nor source has a dot in it. So if dots are between the places, no
//  two series have one path.
const char *
graphite_path_check (const char *pattern)
{
    int seen[PLACES] = {0};
    bool dot = true;
    while (*pattern) {
        int place = s_place (pattern);
        if (place >= 0) {
            if (!dot || seen[place]++)
                return "--path: expected each of {worker}, {source} and {name} "
                       "once, with dots between them";
            dot = false;
            pattern += strlen (s_places[place]);
        }
        else if (!s_is_fine (*pattern) && *pattern != '.')
            return "--path: expected letters, digits, '_', '-', '.', {worker}, "
                   "{source}, {name}";
        else
            dot |= *pattern++ == '.';
    }
    return seen[SOURCE] && seen[NAME]
             ? NULL
             : "--path: expected {source} and {name} in it";
}

//  --------------------------------------------------------------------------
//  Names that fit

//  Appends some bytes to a text that ends at *size. Dots stay if they stand between
//  two nodes; what is longer than a node may be is cut.
static void
s_fit_part (char *fitted, size_t *size, const char *text, size_t length,
            bool dots)
{
    size_t node = 0;
    for (size_t i = 0; i < length && *size < ZB_NAME_MAX; i++) {
        bool stays = dots && text[i] == '.' && node > 0 && i + 1 < length;
        if (stays)
            node = 0;
        else if (node++ == NODE_MAX) {
            node--;
            continue;
        }
        fitted[(*size)++] = s_is_fine (text[i]) || stays ? text[i] : '_';
    }
}

//  A tag: two nodes, or still one.
static void
s_fit_tag (char *fitted, size_t *size, const tag_t *tag, int tagged)
{
    if (*size + tag->key.size + 2 > ZB_NAME_MAX)
        return;
    fitted[(*size)++] = tagged ? ';' : '.';
    if (tagged) {
        memcpy (fitted + *size, tag->key.text, tag->key.size);
        *size += tag->key.size;
    }
    else
        s_fit_part (fitted, size, tag->key.text, tag->key.size, false);
    fitted[(*size)++] = tagged ? '=' : '.';
    s_fit_part (fitted, size, tag->value.text, tag->value.size, false);
}

int
graphite_path_fit (const char *text, int is_source, int tagged,
                   char fitted[ZB_NAME_MAX + 1])
{
    size_t length = strlen (text), size = 0;
    span_t tags = {text, 0}, alone = {text, length};
    tag_t tag;
    if (!is_source)
        alone = tags_split (text, length, &tags);
    s_fit_part (fitted, &size, alone.text, alone.size, !is_source);
    while (tags_next (&tags, &tag))
        s_fit_tag (fitted, &size, &tag, tagged);
    fitted[size] = 0;
    return strcmp (fitted, text) != 0;
}

//  --------------------------------------------------------------------------
//  Lines

//  The values of a type, and what stands behind the path. One that is there for
//  several samples only is marked. No type has one of another's.
static const struct {
    zb_type_t type;
    bool several;
    const char *suffix;
    size_t offset;  //  in the row
} s_values[] = {{ZB_TYPE_COUNTER, false, ".value", offsetof (zb_row_t, value)},
                {ZB_TYPE_TIMER, false, ".sum", offsetof (zb_row_t, sum)},
                {ZB_TYPE_TIMER, false, ".min", offsetof (zb_row_t, min)},
                {ZB_TYPE_TIMER, false, ".max", offsetof (zb_row_t, max)},
                {ZB_TYPE_GAUGE, false, ".last", offsetof (zb_row_t, last)},
                {ZB_TYPE_GAUGE, true, ".last_sum", offsetof (zb_row_t, sum)},
                {ZB_TYPE_GAUGE, true, ".last_min", offsetof (zb_row_t, min)},
                {ZB_TYPE_GAUGE, true, ".last_max", offsetof (zb_row_t, max)}};

enum { VALUES = sizeof s_values / sizeof *s_values };

//  What is before and behind a suffix, the same for all lines of a row.
typedef struct {
    buffer_t path;
    size_t suffix;  //  where it stands
} line_t;

//  A tag of the user's that is called as ours are gets a '_' more, and so does one
//  that would then be the same.
static bool
s_is_ours (const char *key)
{
    static const char *const ours[] = {"source", "worker", "name"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        size_t size = strlen (ours[i]);
        if (strncmp (key, ours[i], size) == 0
            && key[size + strspn (key + size, "_")] == 0)
            return true;
    }
    return false;
}

static void
s_add_tag (buffer_t *text, const char *key, const char *value, bool more)
{
    buffer_add (text, ";", 1);
    buffer_add_text (text, key);
    buffer_add_text (text, more ? "_=" : "=");
    buffer_add_text (text, value);
}

static void
s_begin_tagged (line_t *line, const graphite_path_t *self, const zb_row_t *row)
{
    buffer_add_text (&line->path, row->name);
    line->suffix = line->path.size;
    for (size_t i = 0; i < row->tag_count; i++)
        s_add_tag (&line->path, row->tags[i].key, row->tags[i].value,
                   s_is_ours (row->tags[i].key));
    s_add_tag (&line->path, "source", row->source, false);
    s_add_tag (&line->path, "worker", self->worker, false);
}

static void
s_begin_path (line_t *line, const graphite_path_t *self, const zb_row_t *row)
{
    const char *const parts[PLACES] = {self->worker, row->source, row->name};
    const char *at = self->pattern;
    while (*at) {
        int place = s_place (at);
        if (place >= 0)
            buffer_add_text (&line->path, parts[place]);
        else
            buffer_add (&line->path, at, 1);
        at += place >= 0 ? strlen (s_places[place]) : 1;
    }
    line->suffix = line->path.size;
}

static void
s_add_line (buffer_t *text, const line_t *line, const char *suffix,
            double value, int64_t second)
{
    char *to;
    buffer_add (text, line->path.text, line->suffix);
    buffer_add_text (text, suffix);
    buffer_add (text, line->path.text + line->suffix,
                line->path.size - line->suffix);
    to = buffer_room (text, 2 * DIGITS_MAX + 3);
    *to++ = ' ';
    to += digits_write (to, value);
    *to++ = ' ';
    to += digits_write (to, (double) second);
    *to++ = '\n';
    text->size = (size_t) (to - text->text);
}

static void
s_add_values (buffer_t *text, const line_t *line, const zb_row_t *row,
              int64_t second)
{
    for (size_t i = 0; i < VALUES; i++)
        if (s_values[i].type == row->type
            && (row->count > 1 || !s_values[i].several)) {
            double value;
            memcpy (&value, (const char *) row + s_values[i].offset,
                    sizeof value);
            s_add_line (text, line, s_values[i].suffix, value, second);
        }
    if (row->type == ZB_TYPE_TIMER)
        s_add_line (text, line, ".count", (double) row->count, second);
    if (row->type == ZB_TYPE_GAUGE && row->count > 1)
        s_add_line (text, line, ".last_count", (double) row->count, second);
}

void
graphite_path_add (buffer_t *text, const graphite_path_t *self,
                   const zb_row_t *row)
{
    static line_t line;  //  its memory is used again
    int64_t second = row->time_ns / 1000000000;
    line.path.size = 0;
    (self->tagged ? s_begin_tagged : s_begin_path) (&line, self, row);
    s_add_values (text, &line, row, second);
    for (size_t i = 0; row->bucket_count && i < percentiles_count (); i++) {
        char suffix[64];
        snprintf (suffix, sizeof suffix, ".%s", percentiles_name (i));
        s_add_line (text, &line, suffix, percentiles_of (row, i), second);
    }
}
