/*  statsd_line - rows as lines of StatsD. The contract is in statsd_line.h.

    What is said of receivers was measured at npm's statsd 0.9.0 and Debian's
    collectd 5.12.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "statsd_line.h"

#include "digits.h"
#include "fitted.h"
#include "samples.h"
#include "tags.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PACK_MAX = 1000 };  //  bytes of values in one line

//  --------------------------------------------------------------------------
//  Names

//  Appends a text whose bytes are letters, digits, or one of some others; what is
//  not becomes '_'. Returns the size.
static size_t
s_clean (char *to, const char *text, size_t size, const char *others)
{
    size_t i;
    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char) text[i];
        int fine = c < 0x80 && (isalnum (c) || strchr (others, c));
        to[i] = fine ? (char) c : '_';
    }
    to[i] = 0;
    return size;
}

static int
s_told (const char *fitted, const char *text, int is_source)
{
    int changed = strcmp (fitted, text) != 0;
    fitted_tell (fitted, text, is_source, changed);
    return changed;
}

int
statsd_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    span_t tags, alone = tags_split (text, strlen (text), &tags);
    char *at = fitted;
    tag_t tag;
    if (is_source) {
        s_clean (fitted, text, strlen (text), "_-");
        return s_told (fitted, text, 1);
    }
    at += s_clean (at, alone.text, alone.size, "_-.");
    while (tags_next (&tags, &tag)) {
        *at++ = '.';
        at += s_clean (at, tag.key.text, tag.key.size, "_-");
        *at++ = '.';
        at += s_clean (at, tag.value.text, tag.value.size, "_-");
    }
    fitted[LINE_LABEL_MAX] = 0;
    return s_told (fitted, text, 0);
}

int
dogstatsd_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1])
{
    span_t tags, alone = tags_split (text, strlen (text), &tags);
    char *at = fitted;
    tag_t tag;
    if (is_source)
        s_clean (fitted, text, strlen (text), "_-.:/");
    else
        at += s_clean (at, alone.text, alone.size, "_-.");
    while (!is_source && tags_next (&tags, &tag)) {
        //  a key is fine as it is
        at += sprintf (at, ";%.*s=", (int) tag.key.size, tag.key.text);
        at += s_clean (at, tag.value.text, tag.value.size, "_-.:/");
    }
    return s_told (fitted, text, is_source);
}

void
dogstatsd_fit_worker (const char *text, char fitted[ZB_NAME_MAX + 1])
{
    size_t size = strnlen (text, ZB_NAME_MAX);
    s_clean (fitted, text, size, "_-.:/");
}

//  --------------------------------------------------------------------------
//  Lines: a name, values, and what is behind them

static void
s_add_number (buffer_t *text, double value)
{
    char digits[DIGITS_MAX];
    buffer_add (text, digits, digits_write (digits, value));
}

//  Seconds as milliseconds, to their billionths: a sample is the middle of a bucket, and
//  all 17 digits of it would take longer to write.
static void
s_add_ms (buffer_t *text, double seconds)
{
    s_add_number (text, round (seconds * 1e12) / 1e9);
}

//  A receiver reads no exponent.
static void
s_add_rate (buffer_t *text, const zb_row_t *row, size_t count)
{
    if (count < row->count)
        buffer_printf (text, "|@%.15f", (double) count / (double) row->count);
}

static void
s_add_name (buffer_t *text, const zb_row_t *row)
{
    buffer_add_text (text, row->source);
    buffer_add (text, ".", 1);
    buffer_add_text (text, row->name);
    buffer_add (text, ":", 1);
}

//  A receiver takes a signed reading for a change, so that what is below zero
//  needs two.
void
statsd_add (buffer_t *text, const zb_row_t *row, size_t samples)
{
    double sample[SAMPLES_MAX];
    size_t i, count;
    if (row->type == ZB_TYPE_GAUGE && row->last < 0) {
        s_add_name (text, row);
        buffer_add_text (text, "0|g\n");
    }
    if (row->type != ZB_TYPE_TIMER) {
        bool gauge = row->type == ZB_TYPE_GAUGE;
        s_add_name (text, row);
        s_add_number (text, gauge ? row->last : row->value);
        buffer_add_text (text, gauge ? "|g\n" : "|c\n");
        return;
    }
    count = samples_of (row, samples, sample);
    for (i = 0; i < count; i++) {
        s_add_name (text, row);
        s_add_ms (text, sample[i]);
        buffer_add_text (text, "|ms");
        s_add_rate (text, row, count);
        buffer_add_text (text, "\n");
    }
}

//  What has a time is not added up with what others send: it would take the place of
//  another worker's without that one's name.
static void
s_add_tags (buffer_t *text, const zb_row_t *row, const char *worker)
{
    size_t i;
    buffer_printf (text, "|#source:%s,worker:%s", row->source, worker);
    for (i = 0; i < row->tag_count; i++)
        buffer_printf (text, ",%s:%s", row->tags[i].key, row->tags[i].value);
    buffer_add_text (text, "\n");
}

//  Version 1.1 of the protocol packs values, 1.3 has time stamps of counters and
//  gauges.
void
dogstatsd_add (buffer_t *text, const zb_row_t *row, const char *worker,
               size_t samples)
{
    double sample[SAMPLES_MAX];
    size_t i, count;
    bool gauge = row->type == ZB_TYPE_GAUGE;
    if (row->type != ZB_TYPE_TIMER) {
        buffer_printf (text, "%s:", row->name);
        s_add_number (text, gauge ? row->last : row->value);
        buffer_printf (text, "|%c|T%" PRId64, gauge ? 'g' : 'c',
                       (gauge ? row->last_ns : row->time_ns) / 1000000000);
        s_add_tags (text, row, worker);
        return;
    }
    count = samples_of (row, samples, sample);
    for (i = 0; i < count;) {
        size_t begin = text->size;
        buffer_add_text (text, row->name);
        for (; i < count && text->size - begin < PACK_MAX; i++) {
            buffer_add_text (text, ":");
            s_add_ms (text, sample[i]);
        }
        buffer_add_text (text, "|d");
        s_add_rate (text, row, count);
        s_add_tags (text, row, worker);
    }
}
