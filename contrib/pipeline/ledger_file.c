/*  ledger_file - a ledger to lines, and back. The contract is in ledger.h.

    Sections: saving, restoring.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"
#include "clock.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  Saving. A line begins with '|', which no measurement does, or is that of a
//  state: the wire format has all that there is to say about a series.

//  Bytes of one step, at most: labels, a name with tags, and numbers.
enum { PRINT_MAX = LINE_NAME_MAX + 3 * LINE_LABEL_MAX + 256 };

//  Appends to the line being made.
__attribute__ ((format (printf, 2, 3))) static void
ledger_print (ledger_t *self, const char *format, ...)
{
    va_list args;
    int size;
    if (self->line_max - self->line_size < PRINT_MAX) {
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

//  Times are of CLOCK_BOOTTIME, which begins anew when the host does; so the
//  head has both clocks, and the host's boot. Of old, a head ended behind the
//  third number.
static void
ledger_save_head (ledger_t *self)
{
    char boot[BOOT_ID_SIZE];
    ledger_print (self, "|ledger|%" PRId64 "|%" PRIu64 "|%" PRIu64,
                  self->born_wall_ms, self->lost_forgotten, self->lost_told);
    ledger_print (self, "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%s",
                  self->born_ms, boot_ms (), self->save_wall_ms,
                  boot_id (boot));
    ledger_print (self, "|%" PRIu64 "|%" PRId64, self->key, self->awake_ms);
    ledger_write_line (self);
}

//  The generations of stubs, the oldest first.
static void
ledger_save_turns (ledger_t *self)
{
    size_t i;
    for (i = self->stubs.generations; i-- > 0;) {
        const generation_t *generation = self->stubs.generation[i];
        ledger_print (self, "|turn|%" PRIu64 "|%" PRId64 "|%" PRId64,
                      generation->number, generation->born_ms,
                      generation->born_wall_ms);
        ledger_write_line (self);
    }
}

//  Ranges of readings that have not come.
static void
ledger_save_gaps (ledger_t *self, const gaps_t *gaps)
{
    uint32_t i;
    for (i = 0; gaps && i < gaps->count; i++)
        ledger_print (self, "%" PRIu64 "=%" PRIu64 ",", gaps->gap[i].from,
                      gaps->gap[i].to - gaps->gap[i].from);
}

//  When its last line came is a time of the wall clock, for what is written now
//  is read by another process.
void
ledger_save_stream (ledger_t *self, stream_t *stream)
{
    ledger_print (self, "|stream|%.*s|%s|%" PRId64 "|%d:%" PRIu64,
                  (int) stream->level_size, stream->key,
                  stream->key + stream->level_size,
                  self->save_wall_ms - (self->awake_ms - stream->active_ms),
                  stream->met_states, stream->met_seq);
    ledger_print (self, "|%d:%" PRIu64 ":%" PRIu64 ":%" PRIu64 "|",
                  stream->met_gauges, stream->gauge_floor, stream->gauge_next,
                  stream->gauge_taken);
    ledger_save_gaps (self, stream->gaps);
    ledger_print (self, "|%" PRId64 ":%d:%d:%d:%d:%" PRIu32 ":%" PRIu64,
                  stream->born_ms, stream->aged, stream->young,
                  stream->returned, stream->ended, stream->end_count,
                  stream->end_sum);
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

//  As a publisher would repeat it. If it has a base, that is the value, its
//  samples are MIN in nanoseconds, and its SEQ is FIRST.
void
ledger_save_series (ledger_t *self, series_t *series)
{
    const stream_t *stream = series->stream;
    const timed_t *timed = series->timed;
    const base_t base = bases_at (&self->bases, series);
    char value[BASE_TEXT];
    size_t i;
    ledger_print (self, "%.*s|%s|%.*s|%s|0|%.*s|%s:%" PRIu64 ":%" PRIu64 ":",
                  (int) stream->level_size, stream->key,
                  series->type == ZB_TYPE_TIMER ? "Timer" : "Counter",
                  (int) series->name_size, series->text,
                  base_text (&base, series->type == ZB_TYPE_TIMER, value),
                  (int) series->source_size, series->text + series->name_size,
                  stream->key + stream->level_size, series->seq, base.seq);
    if (series->type == ZB_TYPE_COUNTER)
        ledger_print (self, "%.17g", series->total);
    else {
        ledger_print (self, "%" PRIu64 ":", timed->count);
        ledger_print_seconds (self, timed->sum_ns);
        ledger_print (self, ":%.17g:%" PRIu64 "%s:0:", timed->sum_squares,
                      base.count, base.count ? "e-9" : "");
        for (i = 0; i < timed->hist.size; i++)
            ledger_print (self, "%s%d=%" PRIu64, i ? "," : "",
                          timed->hist.bucket[i].index,
                          timed->hist.bucket[i].count);
    }
    ledger_write_line (self);
    series->saved = self->save;
}

void
ledger_save_before (ledger_t *self, stream_t *stream)
{
    if (!ledger_wants (self, stream->changed, stream->saved))
        return;
    ledger_save_stream (self, stream);
    if (!stream->first_series)
        return;
    stream->is_pending = true;
    stream->pending = self->pending;
    self->pending = stream;
}

static void
streams_save_begin (streams_t *self, int all)
{
    self->cursor = all ? self->oldest : self->unsaved;
    self->unsaved = NULL;
}

void
ledger_save_begin (ledger_t *self, int all, ledger_write_fn *write,
                   void *argument)
{
    for (; self->pending; self->pending = self->pending->pending)
        self->pending->is_pending = false;
    self->save++;
    self->saving = true;
    self->all = all;
    if (all) {
        self->renew = false;
        self->crowded_out = 0;
    }
    self->write = write;
    self->write_argument = argument;
    self->save_stream = NULL;
    self->save_series = NULL;
    self->save_wall_ms = zclock_time ();
    self->stubs_saved = false;
    stubs_save_begin (&self->stubs, all);
    streams_save_begin (&self->live, all);
    streams_save_begin (&self->ended, all);
    ledger_save_head (self);
    ledger_save_turns (self);
}

//  The next of a list. Those that have changed since the save began are at its
//  end.
static stream_t *
streams_save_next (streams_t *self)
{
    stream_t *stream = self->cursor;
    if (stream == self->unsaved)
        stream = NULL;
    self->cursor = stream ? stream->newer : NULL;
    return stream;
}

//  Goes on to the next stream. Returns 0 if there is none left.
static int
ledger_save_next (ledger_t *self)
{
    stream_t *stream = streams_save_next (&self->live);
    if (!stream)
        stream = streams_save_next (&self->ended);
    if (stream && ledger_wants (self, stream->changed, stream->saved))
        ledger_save_stream (self, stream);
    if (!stream && self->pending) {
        stream = self->pending;
        self->pending = stream->pending;
        stream->is_pending = false;
    }
    self->save_stream = stream;
    self->save_series = stream ? stream->first_series : NULL;
    return stream != NULL;
}

int
ledger_save (ledger_t *self, size_t most)
{
    series_t *series;
    for (; most; most--)
        if (!self->stubs_saved)
            self->stubs_saved =
              !stubs_save (&self->stubs, self->write, self->write_argument);
        else if ((series = self->save_series)) {
            if (ledger_wants (self, series->changed, series->saved))
                ledger_save_series (self, series);
            self->save_series = series->next;
        }
        else if (!ledger_save_next (self)) {
            self->saving = false;
            return 1;
        }
    return 0;
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

//  Takes a number off the text, and what stands behind it, to be separated by
//  such a sign. Sets *wrong if there is none. sscanf would take as long as all
//  the rest, with a million streams.
static int64_t
s_number (span_t *rest, char separator, bool *wrong)
{
    const char *text = rest->text, *end = text + rest->size, *digits;
    bool negative = text < end && *text == '-';
    uint64_t number = 0;
    text += negative;
    for (digits = text; text < end && *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t) (*text - '0');
    if (text == digits || text - digits > 20
        || (text < end && *text != separator))
        *wrong = true;
    text += text < end;
    rest->size = (size_t) (end - text);
    rest->text = text;
    return (int64_t) (negative ? 0 - number : number);
}

//  A time as one that can be reckoned with, whatever the file says.
static int64_t
s_bounded (int64_t ms)
{
    static const int64_t most = INT64_C (1) << 60;
    return ms > most ? most : ms < -most ? -most : ms;
}

//  Takes a time off the text, as s_number does.
static int64_t
s_time (span_t *rest, char separator, bool *wrong)
{
    return s_bounded (s_number (rest, separator, wrong));
}

//  From a time of the boot that a head was written in to one of this boot: the
//  wall clock, of one host, says how long it was down.
static int64_t
s_boot_shift (span_t boot, int64_t then_ms, int64_t wall_ms)
{
    char id[BOOT_ID_SIZE];
    boot_id (id);
    if (boot.size == strlen (id) && memcmp (boot.text, id, boot.size) == 0)
        return 0;
    return boot_ms () - then_ms - (zclock_time () - wall_ms);
}

//  What a head of today has behind the numbers of old.
static void
ledger_restore_clocks (ledger_t *self, span_t rest, bool *wrong)
{
    int64_t born_ms = s_time (&rest, '|', wrong);
    int64_t then_ms = s_time (&rest, '|', wrong);
    int64_t wall_ms = s_time (&rest, '|', wrong);
    const char *bar = memchr (rest.text, '|', rest.size);
    span_t boot = {rest.text, bar ? (size_t) (bar - rest.text) : rest.size};
    *wrong |= !bar;
    rest.text += boot.size + (bar != NULL);
    rest.size -= boot.size + (bar != NULL);
    self->key = (uint64_t) s_number (&rest, '|', wrong);
    self->awake_ms = s_time (&rest, '|', wrong);
    self->shift_ms = s_boot_shift (boot, then_ms, wall_ms);
    self->born_ms = born_ms + self->shift_ms;
    self->wall_ms = wall_ms;
    self->turned_ms = self->awake_ms;
    self->renew = false;
}

//  The ledger of an old worker has no key, so that all hashes are to be saved
//  anew, and no birth but by the wall clock.
static int
ledger_restore_head (ledger_t *self, span_t rest)
{
    bool wrong = false;
    int64_t born_wall_ms = s_time (&rest, '|', &wrong);
    uint64_t forgotten = (uint64_t) s_number (&rest, '|', &wrong);
    self->lost_told = (uint64_t) s_number (&rest, '|', &wrong);
    self->lost += forgotten - self->lost_forgotten;
    self->lost_forgotten = forgotten;
    self->born_wall_ms = born_wall_ms;
    self->heads++;
    if (rest.size)
        ledger_restore_clocks (self, rest, &wrong);
    else {
        self->wall_ms = zclock_time ();
        self->born_ms = boot_ms () - (self->wall_ms - born_wall_ms);
        self->renew = true;
    }
    return wrong ? -1 : 0;
}

static int
ledger_restore_turn (ledger_t *self, span_t rest)
{
    bool wrong = false;
    uint64_t number = (uint64_t) s_number (&rest, '|', &wrong);
    int64_t born_ms = s_number (&rest, '|', &wrong);
    int64_t born_wall_ms = s_number (&rest, '|', &wrong);
    size_t i;
    if (wrong)
        return -1;
    stubs_restore_turn (&self->stubs, number, self->awake_ms);
    for (i = 0; i < self->stubs.generations; i++)
        if (self->stubs.generation[i]->number == number) {
            self->stubs.generation[i]->born_ms =
              born_ms == INT64_MIN ? born_ms
                                   : s_bounded (born_ms) + self->shift_ms;
            self->stubs.generation[i]->born_wall_ms = born_wall_ms;
        }
    return 0;
}

//  A stream that was saved before has gone since. One of the same save has come
//  back from its stub.
static void
ledger_restore_stub (void *argument, uint64_t hash)
{
    ledger_t *self = (ledger_t *) argument;
    stream_t *stream = table_guess (&self->streams, hash);
    if (!stream || stream->hash != hash || stream->restored == self->heads)
        return;
    //  the head has what it had lost already
    self->lost -= stream_lost (stream);
    self->lost_forgotten -= stream_lost (stream);
    ledger_drop (self, stream, true);
}

static int
ledger_restore_stubs (ledger_t *self, span_t rest)
{
    bool wrong = false;
    uint64_t number = (uint64_t) s_number (&rest, '|', &wrong);
    return wrong ? -1
                 : stubs_restore (&self->stubs, number, rest.text, rest.size,
                                  ledger_restore_stub, self);
}

//  What begins beyond the window is of no use.
static void
stream_restore_gaps (stream_t *self, span_t rest, bool *wrong)
{
    uint64_t least = self->gauge_floor, from, to;
    if (self->gauge_next - least > GAUGE_WINDOW)
        least = self->gauge_next - GAUGE_WINDOW;
    while (rest.size && !*wrong) {
        from = (uint64_t) s_number (&rest, '=', wrong);
        to = from + (uint64_t) s_number (&rest, ',', wrong);
        if (from < least || from >= to || to > self->gauge_next)
            continue;
        gaps_add (&self->gaps, from, to);
        least = to;
    }
}

//  What was met, and when: a stream's line, behind level and ID.
static void
stream_restore_met (stream_t *self, const span_t *field, bool *wrong)
{
    span_t states = field[0], gauges = field[1];
    self->met_states = s_number (&states, ':', wrong) != 0;
    self->met_seq = (uint64_t) s_number (&states, ':', wrong);
    self->met_gauges = s_number (&gauges, ':', wrong) != 0;
    self->gauge_floor = (uint64_t) s_number (&gauges, ':', wrong);
    self->gauge_next = (uint64_t) s_number (&gauges, ':', wrong);
    self->gauge_taken = (uint64_t) s_number (&gauges, ':', wrong);
    if (self->gauge_floor > self->gauge_next
        || self->gauge_taken > self->gauge_next - self->gauge_floor)
        *wrong = true;
}

//  What a line of today has behind that of old.
static void
stream_restore_birth (stream_t *self, span_t rest, int64_t shift_ms,
                      bool *wrong)
{
    self->born_ms = s_number (&rest, ':', wrong);
    self->aged = s_number (&rest, ':', wrong) != 0;
    self->young = s_number (&rest, ':', wrong) != 0;
    self->returned = s_number (&rest, ':', wrong) != 0;
    self->ended = s_number (&rest, ':', wrong) != 0;
    self->end_count = (uint32_t) s_number (&rest, ':', wrong);
    self->end_sum = (uint64_t) s_number (&rest, ':', wrong);
    if (self->aged)
        self->born_ms = s_bounded (self->born_ms) + shift_ms;
}

//  Reads a stream's line behind level and ID.
static void
stream_restore (stream_t *self, const ledger_t *ledger, const span_t *field,
                bool *wrong)
{
    span_t active = field[0];
    int64_t active_ms = s_time (&active, '|', wrong);
    int64_t silent_ms = ledger->wall_ms - active_ms;
    if (active_ms < 0)
        *wrong = true;
    //  for as long as it was when it was saved
    self->active_ms = ledger->awake_ms - (silent_ms > 0 ? silent_ms : 0);
    stream_restore_met (self, field + 1, wrong);
    if (self->met_gauges && !*wrong)
        stream_restore_gaps (self, field[3], wrong);
    if (field[4].size)
        stream_restore_birth (self, field[4], ledger->shift_ms, wrong);
}

//  It is that now, but for its series.
static void
ledger_restore_as (ledger_t *self, stream_t *stream, const stream_t *read,
                   bool birth)
{
    streams_remove (stream->ended ? &self->ended : &self->live, stream);
    self->lost += stream_lost (read) - stream_lost (stream);
    gaps_destroy (&stream->gaps);
    stream->gaps = read->gaps;
    stream->active_ms = read->active_ms;
    stream->met_states = read->met_states;
    stream->met_seq = read->met_seq;
    if (stream->met_states && stream->next_seq < stream->met_seq)
        stream->next_seq = stream->met_seq;
    stream->met_gauges = read->met_gauges;
    stream->gauge_floor = read->gauge_floor;
    stream->gauge_next = read->gauge_next;
    stream->gauge_taken = read->gauge_taken;
    if (birth) {
        stream->born_ms = read->born_ms;
        stream->aged = read->aged;
        stream->young = read->young;
        stream->returned = read->returned;
        stream->ended = read->ended;
        stream->end_count = read->end_count;
        stream->end_sum = read->end_sum;
    }
    stream->restored = self->heads;
    streams_append (stream->ended ? &self->ended : &self->live, stream);
}

static int
ledger_restore_stream (ledger_t *self, span_t rest)
{
    span_t field[7] = {{NULL, 0}};
    zb_line_t line = {.type = ZB_TYPE_GAUGE, .age_ms = -1};
    stream_t read = {.met_seq = 0};
    bool wrong = s_fields (rest.text, rest.size, field, 7) < 5
                 || field[0].size == 0 || field[0].size > LINE_LABEL_MAX
                 || field[1].size == 0 || field[1].size > LINE_LABEL_MAX;
    if (!wrong)
        stream_restore (&read, self, field + 2, &wrong);
    if (wrong) {
        gaps_destroy (&read.gaps);
        return -1;
    }
    line.level = field[0].text;
    line.level_size = field[0].size;
    line.id = field[1].text;
    line.id_size = field[1].size;
    ledger_restore_as (self, ledger_stream_restore (self, &line), &read,
                       field[6].size != 0);
    return 0;
}

//  The state is known; what it adds has been reported.
static int
ledger_restore_series (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = ledger_stream_restore (self, line);
    int fresh;
    series_t *series = ledger_series (self, stream, line, &fresh);
    series->changed = 0;
    series_take (series, line);
    bases_put (&self->bases, series, base_saved (line), self->awake_ms);
    if (line->type == ZB_TYPE_TIMER) {
        line_buckets (line, &self->reported);
        hist_copy (&series->timed->hist, &self->reported);
    }
    return 0;
}

static const struct {
    const char *word;
    int (*restore) (ledger_t *self, span_t rest);
} s_words[] = {{"|ledger|", ledger_restore_head},
               {"|turn|", ledger_restore_turn},
               {"|stubs|", ledger_restore_stubs},
               {"|stream|", ledger_restore_stream}};

static int
ledger_restore_line (ledger_t *self, const char *text, size_t size)
{
    zb_line_t line;
    size_t i;
    for (i = 0; i < sizeof s_words / sizeof *s_words; i++) {
        size_t length = strlen (s_words[i].word);
        if (size > length && memcmp (text, s_words[i].word, length) == 0)
            return s_words[i].restore (self,
                                       (span_t){text + length, size - length});
    }
    if (line_parse (text, size, &line) || !line.id
        || line.type == ZB_TYPE_GAUGE)
        return -1;
    return ledger_restore_series (self, &line);
}

//  What was met stays so, whatever the bound is now. Without a head, which is
//  the first line, hashes are of no key that the file has: all is to be saved
//  anew.
int
ledger_restore (ledger_t *self, const char *text, size_t size)
{
    size_t most = self->series_max;
    int rc;
    self->series_max = SIZE_MAX;
    rc = ledger_restore_line (self, text, size);
    self->series_max = most;
    if (!self->heads)
        self->renew = true;
    return rc;
}
