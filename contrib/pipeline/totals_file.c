/*  totals_file - totals to lines, and back. The contract is in totals.h.

        |total|ran|SECONDS|FLUSH|TURNED
        |total|counter|START|SEEN|NAME|SOURCE|VALUE     signed: the same
        |total|timer|START|SEEN|NAME|SOURCE|COUNT|HIGH|LOW|BUCKETS
        |total|end|counter|NAME|SOURCE                  or timer

    START is in nanoseconds of Unix time, FLUSH, the last one's, in seconds of it;
    SEEN and TURNED are in seconds that workers ran. HIGH and LOW are halves of the
    sum in nanoseconds, BUCKETS as on the wire.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "totals.h"

#include "digits.h"
#include "line.h"
#include "packed.h"

#include <czmq.h>
#include <inttypes.h>
#include <math.h>

static const char s_begin[] = "|total|";
static const char *const s_kinds[] = {"counter", "signed", "timer"};

enum { KINDS = sizeof s_kinds / sizeof *s_kinds };

//  --------------------------------------------------------------------------
//  Saving

static void
s_put_whole (buffer_t *line, uint64_t number)
{
    line->size += digits_write_whole (buffer_room (line, DIGITS_MAX), number);
    buffer_add (line, "|", 1);
}

//  "|total|KIND|START|SEEN|NAME|SOURCE|"
static void
s_put_series (buffer_t *line, const total_t *total)
{
    line->size = 0;
    buffer_add_text (line, s_begin);
    buffer_add_text (line, s_kinds[total->kind]);
    buffer_add (line, "|", 1);
    s_put_whole (line, (uint64_t) total->start_ns);
    s_put_whole (line, total->seen);
    buffer_add (line, total->text, total->name_size);
    buffer_add (line, "|", 1);
    buffer_add (line, total_source (total), total->source_size);
    buffer_add (line, "|", 1);
}

static void
s_put_timer (buffer_t *line, const total_timer_t *timer, hist_t *hist)
{
    s_put_whole (line, timer->count);
    s_put_whole (line, (uint64_t) (timer->sum_ns >> 64));
    s_put_whole (line, (uint64_t) timer->sum_ns);
    packed_read (timer->buckets, timer->size, hist);
    line->size += hist_write (buffer_room (line, hist->size * HIST_TEXT_MAX),
                              hist->bucket, hist->size, '=');
}

static void
totals_save_one (totals_t *self, const total_t *total, ledger_write_fn *write,
                 void *argument)
{
    buffer_t *line = &self->line;
    s_put_series (line, total);
    if (total->kind == TOTAL_TIMER)
        s_put_timer (line, total->timer, &self->hist);
    else
        line->size +=
          digits_write (buffer_room (line, DIGITS_MAX), total->value);
    buffer_add (line, "\n", 1);
    write (argument, line->text, line->size);
}

static void
totals_save_end (totals_t *self, const total_t *total, ledger_write_fn *write,
                 void *argument)
{
    total_kind_t kind =
      total->kind == TOTAL_TIMER ? TOTAL_TIMER : TOTAL_COUNTER;
    self->line.size = 0;
    buffer_printf (&self->line, "%send|%s|%s|%s\n", s_begin, s_kinds[kind],
                   total->text, total_source (total));
    write (argument, self->line.text, self->line.size);
}

void
totals_save (totals_t *self, bool whole, ledger_write_fn *write, void *argument)
{
    const total_t *total;
    self->line.size = 0;
    buffer_printf (&self->line, "%sran|%" PRIu32 "|%" PRId64 "|%" PRIu32 "\n",
                   s_begin, totals_clock (self), self->second, self->turned);
    write (argument, self->line.text, self->line.size);
    for (total = self->ended; total && !whole; total = total->newer)
        totals_save_end (self, total, write, argument);
    for (total = whole ? self->oldest : self->changed; total;
         total = total->newer)
        totals_save_one (self, total, write, argument);
    totals_free_ended (self);
    self->changed = NULL;
}

//  --------------------------------------------------------------------------
//  Restoring

//  Reads a whole number that is not negative, and its bar.
static int
s_take_number (span_t *rest, uint64_t most, uint64_t *number)
{
    span_t field = line_field (rest);
    size_t i;
    *number = 0;
    for (i = 0; i < field.size; i++) {
        unsigned digit = (unsigned char) field.text[i] - (unsigned) '0';
        if (digit > 9 || *number > (most - digit) / 10)
            return -1;
        *number = *number * 10 + digit;
    }
    return field.size ? 0 : -1;
}

//  Reads a number as it was written, and its bar.
static int
s_take_value (span_t *rest, double *value)
{
    span_t field = line_field (rest);
    char copy[64], *end;
    if (!field.size || field.size >= sizeof copy)
        return -1;
    memcpy (copy, field.text, field.size);
    copy[field.size] = 0;
    *value = strtod (copy, &end);
    return *end || !isfinite (*value) ? -1 : 0;
}

//  Reads name and source.
static int
s_take_key (span_t *rest, total_key_t *key)
{
    key->name = line_field (rest);
    key->source = line_field (rest);
    return line_name_ok (key->name.text, key->name.size)
               && line_label_ok (key->source.text, key->source.size)
             ? 0
             : -1;
}

static int
s_kind (span_t word)
{
    int kind;
    for (kind = 0; kind < KINDS; kind++)
        if (strlen (s_kinds[kind]) == word.size
            && memcmp (s_kinds[kind], word.text, word.size) == 0)
            return kind;
    return -1;
}

//  COUNT|HIGH|LOW|BUCKETS
static int
totals_restore_timer (totals_t *self, total_t *total, span_t rest)
{
    zb_line_t line;
    uint64_t count, high, low;
    if (s_take_number (&rest, UINT64_MAX, &count) == -1
        || s_take_number (&rest, UINT64_MAX, &high) == -1
        || s_take_number (&rest, UINT64_MAX, &low) == -1)
        return -1;
    total->timer->count = count;
    total->timer->sum_ns = (zb_ns_t) high << 64 | low;
    line.buckets = rest.text;
    line.buckets_size = rest.size;
    self->hist.size = 0;
    if (rest.size && line_buckets (&line, &self->hist) == -1)
        return -1;
    totals_pack (self, total);
    return 0;
}

static int
totals_restore_value (totals_t *self, total_t *total, span_t rest)
{
    if (total->kind == TOTAL_TIMER)
        return totals_restore_timer (self, total, rest);
    return s_take_value (&rest, &total->value) == -1 || rest.size
               || (total->kind == TOTAL_COUNTER && total->value < 0)
             ? -1
             : 0;
}

//  START|SEEN|NAME|SOURCE|... The last of several for a series counts. A counter
//  that may fall now, and might not before, or the reverse, begins anew.
static int
totals_restore_one (totals_t *self, total_kind_t kind, span_t rest)
{
    total_key_t key = {.timer = kind == TOTAL_TIMER};
    uint64_t start_ns, seen;
    total_t *total;
    if (s_take_number (&rest, INT64_MAX, &start_ns) == -1
        || s_take_number (&rest, UINT32_MAX, &seen) == -1
        || s_take_key (&rest, &key) == -1)
        return -1;
    total = totals_find (self, &key);
    if (kind != totals_kind (self, &key)) {
        if (total)
            totals_remove (self, total);
        return 0;
    }
    if (total)
        totals_lift (self, total);
    else
        total = totals_make (self, &key, kind);
    total->start_ns = (int64_t) start_ns;
    total->seen = (uint32_t) seen;
    return totals_restore_value (self, total, rest);
}

//  KIND|NAME|SOURCE
static int
totals_restore_end (totals_t *self, span_t rest)
{
    int kind = s_kind (line_field (&rest));
    total_key_t key = {.timer = kind == TOTAL_TIMER};
    total_t *total;
    if (kind == -1 || s_take_key (&rest, &key) == -1 || rest.size)
        return -1;
    total = totals_find (self, &key);
    if (total)
        totals_remove (self, total);
    return 0;
}

static int
totals_restore_ran (totals_t *self, span_t rest)
{
    uint64_t seconds, flush, turned;
    if (s_take_number (&rest, UINT32_MAX, &seconds) == -1
        || s_take_number (&rest, INT64_MAX, &flush) == -1
        || s_take_number (&rest, UINT32_MAX, &turned) == -1 || rest.size)
        return -1;
    self->ran_ms = (int64_t) seconds * 1000;
    self->second = (int64_t) flush;
    self->turned = (uint32_t) turned;
    return 0;
}

static int
totals_restore_line (totals_t *self, span_t rest)
{
    span_t word = line_field (&rest);
    int kind = s_kind (word);
    if (kind != -1)
        return totals_restore_one (self, (total_kind_t) kind, rest);
    if (word.size == 3 && memcmp (word.text, "end", 3) == 0)
        return totals_restore_end (self, rest);
    if (word.size == 3 && memcmp (word.text, "ran", 3) == 0)
        return totals_restore_ran (self, rest);
    return -1;
}

int
totals_restore (totals_t *self, const char *text, size_t size)
{
    static const char begin[] = "|total|";
    const size_t begins = sizeof begin - 1;
    if (size < begins || memcmp (text, begin, begins) != 0)
        return 1;
    if (!self)
        return 0;
    if (totals_restore_line (self, (span_t){text + begins, size - begins}) == 0)
        return 0;
    totals_clear (self);
    return -1;
}
