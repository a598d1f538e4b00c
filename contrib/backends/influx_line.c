/*  influx_line - rows as lines. The contract is in influx_line.h.

    Sections: names that fit, names as they are written, fields, the line.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "influx_line.h"

#include "digits.h"
#include "percentiles.h"
#include "utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

//  --------------------------------------------------------------------------
//  Names that fit

//  InfluxDB takes a backslash for an escape if one of these follows, and
//  VictoriaMetrics the backslash, too. At the end of a name, value or source a
//  separator follows.
static bool
s_would_escape (const char *backslash)
{
    return backslash[1] == 0 || strchr ("\\, =;", backslash[1]) != NULL;
}

int
influx_line_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    int changed = 0;
    size_t i = 0;
    while (text[i]) {
        size_t size = utf8_size (text + i);
        bool fine = size > 0;
        if ((text[i] == '\\' && s_would_escape (text + i))
            || (text[i] == '#' && i == 0 && !is_source))
            fine = false;
        size = size ? size : 1;
        memcpy (fitted + i, text + i, size);
        if (!fine)
            fitted[i] = '_';
        changed |= !fine;
        i += size;
    }
    fitted[i] = 0;
    return changed;
}

//  --------------------------------------------------------------------------
//  Names as they are written

//  Keys that are ours, or have a meaning of their own: for InfluxDB, or, the last
//  one, VictoriaMetrics.
static const char *const s_reserved[] = {
  "source",       "worker", "metric_type", "time",
  "_measurement", "_field", "__name__"};

//  Such a key, with any number of '_' behind it, gets one more. So no two keys
//  become one.
static bool
s_is_reserved (const char *key)
{
    for (size_t i = 0; i < sizeof s_reserved / sizeof *s_reserved; i++) {
        size_t size = strlen (s_reserved[i]);
        if (strncmp (key, s_reserved[i], size) == 0
            && key[size + strspn (key + size, "_")] == 0)
            return true;
    }
    return false;
}

//  Appends a text, with a backslash before what would end it.
static void
s_add_escaped (buffer_t *text, const char *from, bool is_tag)
{
    char *start = buffer_room (text, 2 * strlen (from)), *to = start;
    for (; *from; from++) {
        if (*from == ',' || *from == ' ' || (*from == '=' && is_tag))
            *to++ = '\\';
        *to++ = *from;
    }
    text->size += (size_t) (to - start);
}

//  A tag without a value is an error.
static void
s_add_tag (buffer_t *text, const char *key, const char *value)
{
    if (!*value)
        return;
    buffer_add (text, ",", 1);
    buffer_add_text (text, key);
    buffer_add (text, "=", 1);
    s_add_escaped (text, value, true);
}

//  Measurement and tags. The type is one, too: counter, timer and gauge of one
//  name would have fields in common.
static void
s_add_key (buffer_t *text, const zb_row_t *row, const char *worker)
{
    static const char *const types[] = {[ZB_TYPE_COUNTER] =
                                          ",metric_type=counter",
                                        [ZB_TYPE_TIMER] = ",metric_type=timer",
                                        [ZB_TYPE_GAUGE] = ",metric_type=gauge"};
    s_add_escaped (text, row->name, false);
    for (size_t i = 0; i < row->tag_count; i++) {
        bool reserved = s_is_reserved (row->tags[i].key);
        buffer_add (text, ",", 1);
        buffer_add_text (text, row->tags[i].key);
        buffer_add (text, "_=", reserved ? 2 : 0);
        buffer_add (text, "=", reserved ? 0 : 1);
        s_add_escaped (text, row->tags[i].value, true);
    }
    buffer_add_text (text, types[row->type]);
    s_add_tag (text, "source", row->source);
    s_add_tag (text, "worker", worker);
}

//  --------------------------------------------------------------------------
//  Fields

//  The fields of a type. One that is there for several samples only is marked.
typedef struct {
    zb_type_t type;
    bool several;
    const char *name;
    size_t offset;  //  in the row
} field_t;

static const field_t s_fields[] = {
  {ZB_TYPE_COUNTER, false, "value", offsetof (zb_row_t, value)},
  {ZB_TYPE_TIMER, false, "sum", offsetof (zb_row_t, sum)},
  {ZB_TYPE_TIMER, false, "min", offsetof (zb_row_t, min)},
  {ZB_TYPE_TIMER, false, "max", offsetof (zb_row_t, max)},
  {ZB_TYPE_TIMER, false, "sum_squares", offsetof (zb_row_t, sum_squares)},
  {ZB_TYPE_GAUGE, false, "last", offsetof (zb_row_t, last)},
  {ZB_TYPE_GAUGE, true, "sum", offsetof (zb_row_t, sum)},
  {ZB_TYPE_GAUGE, true, "min", offsetof (zb_row_t, min)},
  {ZB_TYPE_GAUGE, true, "max", offsetof (zb_row_t, max)}};

enum { FIELDS = sizeof s_fields / sizeof *s_fields };

//  The samples are whole, and so are their digits.
static const char s_count[] = "count";

static bool
s_is_of (const field_t *field, const zb_row_t *row)
{
    return field->type == row->type && (row->count > 1 || !field->several);
}

static bool
s_has_count (const zb_row_t *row)
{
    return row->type == ZB_TYPE_TIMER
           || (row->type == ZB_TYPE_GAUGE && row->count > 1);
}

//  The first one has a space before it, and the others a comma.
static void
s_add_field (buffer_t *text, char before, const char *name, double value)
{
    size_t size = strlen (name);
    char *to = buffer_room (text, size + 2 + DIGITS_MAX);
    *to++ = before;
    memcpy (to, name, size);
    to[size] = '=';
    text->size += size + 2 + digits_write (to + size + 1, value);
}

static void
s_add_fields (buffer_t *text, const zb_row_t *row)
{
    char before = ' ';
    for (size_t i = 0; i < FIELDS; i++)
        if (s_is_of (&s_fields[i], row)) {
            double value;
            memcpy (&value, (const char *) row + s_fields[i].offset,
                    sizeof value);
            s_add_field (text, before, s_fields[i].name, value);
            before = ',';
        }
    if (s_has_count (row))
        s_add_field (text, ',', s_count, (double) row->count);
    for (size_t i = 0; row->bucket_count && i < percentiles_count (); i++)
        s_add_field (text, ',', percentiles_name (i), percentiles_of (row, i));
}

int
influx_line_has (const zb_row_t *row, const char *field, size_t size)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (s_is_of (&s_fields[i], row) && strlen (s_fields[i].name) == size
            && memcmp (s_fields[i].name, field, size) == 0)
            return 1;
    for (size_t i = 0; row->bucket_count && i < percentiles_count (); i++)
        if (strlen (percentiles_name (i)) == size
            && memcmp (percentiles_name (i), field, size) == 0)
            return 1;
    return s_has_count (row) && size == strlen (s_count)
           && memcmp (s_count, field, size) == 0;
}

//  --------------------------------------------------------------------------
//  The line

void
influx_line_add (buffer_t *text, const zb_row_t *row, const char *worker,
                 int64_t unit_ns)
{
    char *to;
    s_add_key (text, row, worker);
    s_add_fields (text, row);
    to = buffer_room (text, DIGITS_MAX + 2);
    *to = ' ';
    text->size += 1 + digits_write (to + 1, (double) (row->time_ns / unit_ns));
    buffer_add (text, "\n", 1);
}
