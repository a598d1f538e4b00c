/*  note - what a message says about its stream. The contract is in note.h, the
    format in zibrato.h, section 3.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "note.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 6 };

//  Milliseconds that a stream may be old: 285,000 years, as far as a double
//  counts.
#define AGE_MAX (UINT64_C (1) << 53)

//  Cuts at each bar. Returns how many fields there are, FIELDS_MAX + 1 if there
//  are more than can be.
static size_t
s_split (span_t rest, span_t *field)
{
    size_t count = 0;
    const char *bar;
    while (count < FIELDS_MAX) {
        bar = memchr (rest.text, '|', rest.size);
        field[count++] =
          (span_t){rest.text, bar ? (size_t) (bar - rest.text) : rest.size};
        if (!bar)
            return count;
        rest.size -= (size_t) (bar + 1 - rest.text);
        rest.text = bar + 1;
    }
    return FIELDS_MAX + 1;
}

//  Takes plain digits off the rest; -1 if there are none, or if they are a
//  number above 2^64 - 1.
static int
s_digits (span_t *rest, uint64_t *number)
{
    size_t size = rest->size;
    *number = 0;
    while (rest->size && *rest->text >= '0' && *rest->text <= '9') {
        if (__builtin_mul_overflow (*number, 10, number)
            || __builtin_add_overflow (*number, *rest->text - '0', number))
            return -1;
        rest->text++;
        rest->size--;
    }
    return rest->size == size ? -1 : 0;
}

//  A field that is a number and nothing else, at most so large.
static int
s_number (span_t field, uint64_t most, uint64_t *number)
{
    return s_digits (&field, number) == -1 || field.size || *number > most ? -1
                                                                           : 0;
}

int
note_count_next (span_t *counts, uint64_t *count)
{
    if (!counts->size)
        return 0;
    if (s_digits (counts, count) == -1 || *count > LINE_INTEGER_MAX)
        return -1;
    if (!counts->size)
        return 1;
    if (*counts->text != ',' || counts->size == 1)
        return -1;
    counts->text++;
    counts->size--;
    return 1;
}

//  AGE, or AGE and COUNTS.
static int
s_stream (note_t *self, const span_t *field, size_t fields)
{
    uint64_t number;
    span_t rest;
    int rc = 0;
    if (fields < 1 || fields > 2 || s_number (field[0], AGE_MAX, &number) == -1)
        return -1;
    self->age_ms = (int64_t) number;
    self->counts = (span_t){field[0].text, 0};
    if (fields == 2) {
        rest = self->counts = field[1];
        while ((rc = note_count_next (&rest, &number)) == 1) {
        }
    }
    return fields == 2 && !self->counts.size ? -1 : rc;
}

//  SERIES, SEQS and READINGS.
static int
s_end (note_t *self, const span_t *field, size_t fields)
{
    return fields != 3
               || s_number (field[0], LINE_INTEGER_MAX, &self->series) == -1
               || s_number (field[1], UINT64_MAX, &self->seqs) == -1
               || s_number (field[2], LINE_INTEGER_MAX, &self->readings) == -1
             ? -1
             : 0;
}

static const struct {
    const char *name;
    note_kind_t kind;
    int (*read) (note_t *self, const span_t *field, size_t fields);
} s_kinds[] = {{"Stream", NOTE_STREAM, s_stream}, {"End", NOTE_END, s_end}};

enum { KINDS = sizeof s_kinds / sizeof *s_kinds };

static int
s_is (span_t span, const char *text)
{
    return span.size == strlen (text)
           && memcmp (span.text, text, span.size) == 0;
}

//  No colon, since in the other lines one ends it.
static int
s_id_ok (span_t id)
{
    return line_label_ok (id.text, id.size) && !memchr (id.text, ':', id.size);
}

const char *
note_parse (const char *text, size_t size, note_t *note)
{
    span_t field[FIELDS_MAX];
    size_t fields = s_split ((span_t){text, size}, field), i;
    memset (note, 0, sizeof *note);
    for (i = 0; i < KINDS && fields >= 3 && fields <= FIELDS_MAX; i++) {
        if (!s_is (field[1], s_kinds[i].name))
            continue;
        if (!line_label_ok (field[0].text, field[0].size) || !s_id_ok (field[2])
            || s_kinds[i].read (note, field + 3, fields - 3) == -1)
            break;
        note->kind = s_kinds[i].kind;
        note->level = field[0];
        note->id = field[2];
        return NULL;
    }
    return "not a note";
}

static int
s_same (span_t span, const char *text, size_t size)
{
    return span.size == size && memcmp (span.text, text, size) == 0;
}

void
note_apply (note_t *self, zb_line_t *line)
{
    if (self->kind != NOTE_STREAM || !s_same (self->id, line->id, line->id_size)
        || !s_same (self->level, line->level, line->level_size))
        return;
    line->age_ms = self->age_ms;
    if (line->type == ZB_TYPE_TIMER)
        line->recent_given =
          note_count_next (&self->counts, &line->recent) == 1;
}
