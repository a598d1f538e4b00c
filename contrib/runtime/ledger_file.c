/*  ledger_file - a ledger to lines, and back. The contract is in ledger.h.

    Sections: saving, restoring.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  Saving. A line begins with '|', which no measurement does, or is that of a
//  state: the wire format has all that there is to say about a series.

//  Appends to the line being made.
__attribute__ ((format (printf, 2, 3))) static void
ledger_print (ledger_t *self, const char *format, ...)
{
    va_list args;
    int size;
    if (self->line_max - self->line_size < 1024) {
        self->line_max = self->line_max * 2 + 4096;
        self->line = (char *) realloc (self->line, self->line_max);
        assert (self->line);
    }
    va_start (args, format);
    size = vsnprintf (self->line + self->line_size,
                      self->line_max - self->line_size, format, args);
    va_end (args);
    self->line_size += (size_t) size;
}

static void
ledger_write_line (ledger_t *self)
{
    ledger_print (self, "\n");
    self->write (self->write_argument, self->line, self->line_size);
    self->line_size = 0;
}

//  Is this to be written, and has not been yet?
int
ledger_wants (const ledger_t *self, uint32_t changed, uint32_t saved)
{
    return self->saving && saved != self->save && changed != self->save
           && (self->all || changed == self->save - 1);
}

static void
ledger_save_head (ledger_t *self)
{
    ledger_print (self, "|ledger|%" PRId64 "|%" PRIu64 "|%" PRIu64,
                  self->born_ms, self->lost_forgotten, self->lost_told);
    ledger_write_line (self);
}

//  Ranges of readings that have not come, within the window.
static void
ledger_save_missing (ledger_t *self, const stream_t *stream)
{
    uint64_t seq = stream->gauge_floor, from;
    if (stream->gauge_next - seq > GAUGE_WINDOW)
        seq = stream->gauge_next - GAUGE_WINDOW;
    for (; seq < stream->gauge_next; seq++) {
        for (from = seq;
             seq < stream->gauge_next && !stream_gauge_seen (stream, seq);)
            seq++;
        if (seq > from)
            ledger_print (self, "%" PRIu64 "=%" PRIu64 ",", from, seq - from);
    }
}

//  Heard: in milliseconds of the wall clock, since the other begins anew with
//  the host.
void
ledger_save_stream (ledger_t *self, stream_t *stream)
{
    ledger_print (self, "|stream|%.*s|%s|%" PRId64 "|%d:%" PRIu64,
                  (int) stream->level_size, stream->key,
                  stream->key + stream->level_size,
                  zclock_time () - (zclock_mono () - stream->heard_ms),
                  stream->met_states, stream->met_seq);
    ledger_print (self, "|%d:%" PRIu64 ":%" PRIu64 ":%" PRIu64 "|",
                  stream->met_gauges, stream->gauge_floor, stream->gauge_next,
                  stream->gauge_taken);
    if (stream->met_gauges)
        ledger_save_missing (self, stream);
    ledger_write_line (self);
    stream->saved = self->save;
}

//  Seconds of a sum, exact, whose whole part may have more than 64 bits.
static void
ledger_print_seconds (ledger_t *self, zb_ns_t ns)
{
    static const uint64_t half = UINT64_C (1000000000000000000);
    zb_ns_t seconds = ns / 1000000000;
    if (seconds < half)
        ledger_print (self, "%" PRIu64, (uint64_t) seconds);
    else
        ledger_print (self, "%" PRIu64 "%018" PRIu64,
                      (uint64_t) (seconds / half), (uint64_t) (seconds % half));
    ledger_print (self, ".%09" PRIu64, (uint64_t) (ns % 1000000000));
}

//  As a publisher would repeat it.
void
ledger_save_series (ledger_t *self, series_t *series)
{
    const stream_t *stream = series->stream;
    const timed_t *timed = series->timed;
    size_t i;
    ledger_print (
      self, "%.*s|%s|%.*s|0|0|%.*s|%s:%" PRIu64 ":0:", (int) stream->level_size,
      stream->key, series->type == ZB_TYPE_TIMER ? "Timer" : "Counter",
      (int) series->name_size, series->text, (int) series->source_size,
      series->text + series->name_size, stream->key + stream->level_size,
      series->seq);
    if (series->type == ZB_TYPE_COUNTER)
        ledger_print (self, "%.17g", series->total);
    else {
        ledger_print (self, "%" PRIu64 ":", timed->count);
        ledger_print_seconds (self, timed->sum_ns);
        ledger_print (self, ":%.17g:0:0:", timed->sum_squares);
        for (i = 0; i < timed->hist.size; i++)
            ledger_print (self, "%s%d=%" PRIu64, i ? "," : "",
                          timed->hist.bucket[i].index,
                          timed->hist.bucket[i].count);
    }
    ledger_write_line (self);
    series->saved = self->save;
}

void
ledger_save_begin (ledger_t *self, int all, ledger_write_fn *write,
                   void *argument)
{
    self->save++;
    self->saving = 1;
    self->all = all;
    self->write = write;
    self->write_argument = argument;
    self->save_stream = self->first_stream;
    self->save_series = self->first_series;
    ledger_save_head (self);
}

int
ledger_save (ledger_t *self, size_t most)
{
    for (; self->save_stream; self->save_stream = self->save_stream->next)
        if (ledger_wants (self, self->save_stream->changed,
                          self->save_stream->saved))
            ledger_save_stream (self, self->save_stream);
    for (; self->save_series && most;
         self->save_series = self->save_series->next, most--)
        if (ledger_wants (self, self->save_series->changed,
                          self->save_series->saved))
            ledger_save_series (self, self->save_series);
    if (self->save_series)
        return 0;
    self->saving = 0;
    return 1;
}

//  --------------------------------------------------------------------------
//  Restoring

//  Reads the fields of "|WORD|..." behind the word. Returns how many.
static size_t
s_fields (const char *text, size_t size, span_t *field, size_t most)
{
    const char *end = text + size;
    size_t count = 0;
    while (count < most && text < end) {
        const char *bar = memchr (text, '|', (size_t) (end - text));
        field[count].text = text;
        field[count++].size = (size_t) ((bar ? bar : end) - text);
        text = bar ? bar + 1 : end;
    }
    return count;
}

//  Copies a field, to be read by sscanf.
static const char *
s_copy (char *text, size_t size, span_t field)
{
    snprintf (text, size, "%.*s", (int) field.size, field.text);
    return text;
}

static int
ledger_restore_head (ledger_t *self, const char *text, size_t size)
{
    char copy[128];
    return sscanf (s_copy (copy, sizeof copy, (span_t){text, size}),
                   "%" SCNd64 "|%" SCNu64 "|%" SCNu64, &self->born_ms,
                   &self->lost_forgotten, &self->lost_told)
               == 3
             ? 0
             : -1;
}

//  What is not missing has come, from the floor on.
static void
stream_restore_seen (stream_t *self, span_t missing)
{
    uint64_t least = self->gauge_floor, seq, from, count;
    char copy[64];
    if (!self->gauge_seen)
        self->gauge_seen = (uint64_t *) zmalloc (GAUGE_WINDOW / 8);
    memset (self->gauge_seen, 0, GAUGE_WINDOW / 8);
    if (self->gauge_next - least > GAUGE_WINDOW)
        least = self->gauge_next - GAUGE_WINDOW;
    for (seq = least; seq < self->gauge_next; seq++)
        stream_gauge_see (self, seq, 1);
    while (missing.size
           && sscanf (s_copy (copy, sizeof copy, missing),
                      "%" SCNu64 "=%" SCNu64, &from, &count)
                == 2) {
        const char *comma = memchr (missing.text, ',', missing.size);
        for (; count && from >= least && from < self->gauge_next;
             from++, count--)
            stream_gauge_see (self, from, 0);
        if (!comma)
            break;
        missing.size -= (size_t) (comma + 1 - missing.text);
        missing.text = comma + 1;
    }
}

//  Reads the last fields of a stream's line; -1 if they make no sense.
static int
stream_restore_met (stream_t *self, const span_t *field)
{
    char copy[128];
    return sscanf (s_copy (copy, sizeof copy, field[0]), "%d:%" SCNu64,
                   &self->met_states, &self->met_seq)
                 != 2
               || sscanf (s_copy (copy, sizeof copy, field[1]),
                          "%d:%" SCNu64 ":%" SCNu64 ":%" SCNu64,
                          &self->met_gauges, &self->gauge_floor,
                          &self->gauge_next, &self->gauge_taken)
                    != 4
               || self->gauge_floor > self->gauge_next
               || self->gauge_taken > self->gauge_next - self->gauge_floor
             ? -1
             : 0;
}

static int
ledger_restore_stream (ledger_t *self, const char *text, size_t size)
{
    span_t field[6] = {{NULL, 0}};
    zb_line_t line = {.type = ZB_TYPE_GAUGE};
    char copy[128];
    int64_t heard;
    stream_t met, *stream;
    if (s_fields (text, size, field, 6) < 5 || field[0].size == 0
        || field[0].size > LINE_LABEL_MAX || field[1].size == 0
        || field[1].size > LINE_LABEL_MAX
        || sscanf (s_copy (copy, sizeof copy, field[2]), "%" SCNd64, &heard)
             != 1
        || heard < 0 || stream_restore_met (&met, field + 3) == -1)
        return -1;
    line.level = field[0].text;
    line.level_size = field[0].size;
    line.id = field[1].text;
    line.id_size = field[1].size;
    stream = ledger_stream (self, &line);
    stream->met_states = met.met_states;
    stream->met_seq = met.met_seq;
    stream->met_gauges = met.met_gauges;
    stream->gauge_floor = met.gauge_floor;
    stream->gauge_next = met.gauge_next;
    stream->gauge_taken = met.gauge_taken;
    stream->changed = 0;
    heard = zclock_time () - heard;
    stream->heard_ms = self->now_ms - (heard > 0 ? heard : 0);
    if (stream->met_gauges)
        stream_restore_seen (stream, field[5]);
    return 0;
}

//  The state is known; what it adds has been reported.
static int
ledger_restore_series (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = ledger_stream (self, line);
    int fresh;
    series_t *series = ledger_series (self, stream, line, &fresh);
    series->changed = 0;
    series_take (series, line);
    if (line->type == ZB_TYPE_TIMER) {
        line_buckets (line, &self->reported);
        hist_copy (&series->timed->hist, &self->reported);
    }
    return 0;
}

static int
ledger_restore_line (ledger_t *self, const char *text, size_t size)
{
    static const char head[] = "|ledger|", stream[] = "|stream|";
    zb_line_t line;
    if (size > strlen (head) && memcmp (text, head, strlen (head)) == 0)
        return ledger_restore_head (self, text + strlen (head),
                                    size - strlen (head));
    if (size > strlen (stream) && memcmp (text, stream, strlen (stream)) == 0)
        return ledger_restore_stream (self, text + strlen (stream),
                                      size - strlen (stream));
    if (line_parse (text, size, &line) || !line.id
        || line.type == ZB_TYPE_GAUGE)
        return -1;
    return ledger_restore_series (self, &line);
}

//  What was met stays so, whatever the bound is now.
int
ledger_restore (ledger_t *self, const char *text, size_t size)
{
    size_t most = self->series_max;
    int rc;
    self->series_max = SIZE_MAX;
    rc = ledger_restore_line (self, text, size);
    self->series_max = most;
    return rc;
}
