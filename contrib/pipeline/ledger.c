/*  ledger - totals to increments. The contract is in ledger.h.

    Sections: streams and series, states, readings, the end of a stream. What
    begins earlier than it seemed is in ledger_late.c, what goes in
    ledger_going.c, saving and restoring in ledger_file.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"
#include "clock.h"

#include <czmq.h>
#include <float.h>
#include <math.h>

//  A sum of squares may be so wrong: about what one of buckets' middles is.
#define SQUARES_ERROR 1e-4

ledger_t *
ledger_new (void)
{
    ledger_t *self = (ledger_t *) zmalloc (sizeof *self);
    self->born_wall_ms = zclock_time ();
    self->born_ms = self->now_ms = self->tick_ms = boot_ms ();
    if (getentropy (&self->key, sizeof self->key) == -1)
        self->key = (uint64_t) self->born_wall_ms;
    self->save = 1;
    self->series_max = SIZE_MAX;
    stubs_init (&self->stubs);
    return self;
}

static void
stream_clear (stream_t *self)
{
    series_t *series;
    for (series = self->first_series; series; series = series->next)
        if (series->type == ZB_TYPE_TIMER)
            free (series->timed->hist.bucket);
    gaps_destroy (&self->gaps);
}

void
ledger_destroy (ledger_t **self_p)
{
    ledger_t *self = *self_p;
    stream_t *first[] = {self->live.oldest, self->ended.oldest, self->dying};
    size_t i;
    for (i = 0; i < sizeof first / sizeof *first; i++)
        for (; first[i]; first[i] = first[i]->newer)
            stream_clear (first[i]);
    table_clear (&self->series);
    table_clear (&self->streams);
    stubs_clear (&self->stubs);
    arena_clear (&self->arena);
    bases_clear (&self->bases);
    free (self->reported.bucket);
    free (self->line);
    free (self);
    *self_p = NULL;
}

size_t
ledger_series_count (const ledger_t *self)
{
    return self->series.count - self->dying_series;
}

//  --------------------------------------------------------------------------
//  Streams and series

static uint64_t
ledger_hash (const ledger_t *self, const zb_line_t *line)
{
    uint64_t hash = table_digest (self->key, line->level, line->level_size);
    return table_digest (hash, line->id, line->id_size);
}

//  Was it born after the ledger? By its age; a line of an old program has none,
//  but the time of its birth in its ID, before '-', by the wall clock of its
//  host. An ID of somebody else's making counts as old.
static void
stream_be_born (stream_t *self, const ledger_t *ledger, const zb_line_t *line)
{
    self->aged = line->age_ms >= 0;
    self->born_ms = self->aged
                      ? ledger->now_ms - line->age_ms
                      : strtoll (self->key + self->level_size, NULL, 16);
    self->young =
      self->born_ms >= (self->aged ? ledger->born_ms : ledger->born_wall_ms);
}

static stream_t *
ledger_stream_new (ledger_t *self, const zb_line_t *line, uint64_t hash)
{
    size_t key_size = line->level_size + line->id_size;
    stream_t *stream =
      (stream_t *) arena_new (&self->arena, stream_size (key_size));
    stream->hash = hash;
    stream->level_size = (uint16_t) line->level_size;
    stream->key_size = (uint16_t) key_size;
    memcpy (stream->key, line->level, line->level_size);
    memcpy (stream->key + line->level_size, line->id, line->id_size);
    stream->last_series = &stream->first_series;
    stream->active_ms = self->awake_ms;
    stream->changed = self->save;
    stream_be_born (stream, self, line);
    streams_append (&self->live, stream);
    table_put (&self->streams, hash, stream);
    return stream;
}

//  What a stub says of a stream that has come back: what lies below is known.
static void
stream_return (stream_t *self, uint64_t states, uint64_t readings)
{
    self->young = false;
    self->met_states = states > 0;
    self->met_seq = self->next_seq = states;
    self->returned = self->met_gauges = readings > 0;
    self->gauge_floor = self->gauge_next = readings;
}

//  A stream that is not in the table. NULL: its stub says that the line is
//  known, or it would be one too many.
static stream_t *
ledger_meet (ledger_t *self, const zb_line_t *line, uint64_t hash)
{
    uint64_t states, readings;
    int stubbed = stubs_find (&self->stubs, hash, &states, &readings);
    stream_t *stream;
    if (stubbed
        && line->seq < (line->type == ZB_TYPE_GAUGE ? readings : states)) {
        self->duplicates++;
        return NULL;
    }
    if (self->streams.count >= self->series_max && !ledger_make_room (self)) {
        self->unmet++;
        return NULL;
    }
    stream = ledger_stream_new (self, line, hash);
    if (stubbed)
        stream_return (stream, states, readings);
    if (!self->live.unsaved)
        self->live.unsaved = stream;
    openers_count (&self->openers, line->source, line->source_size);
    return stream;
}

//  The stream of a line, found or made; NULL as above.
static stream_t *
ledger_stream (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = self->last;
    uint64_t hash;
    if (stream && stream_same (stream, line))
        return stream;
    hash = ledger_hash (self, line);
    stream = table_find (&self->streams, hash, stream_same, line);
    if (!stream)
        stream = ledger_meet (self, line, hash);
    self->last = stream;
    self->follows = stream ? stream->first_series : NULL;
    return stream;
}

stream_t *
ledger_stream_restore (ledger_t *self, const zb_line_t *line)
{
    uint64_t hash = ledger_hash (self, line);
    stream_t *stream = table_find (&self->streams, hash, stream_same, line);
    if (!stream)
        stream = ledger_stream_new (self, line, hash);
    stream->changed = 0;
    return stream;
}

static series_t *
ledger_series_new (ledger_t *self, stream_t *stream, const zb_line_t *line)
{
    series_t *series = (series_t *) arena_new (
      &self->arena, series_size (line->name_size, line->source_size));
    if (line->type == ZB_TYPE_TIMER)
        series->timed =
          (timed_t *) arena_new (&self->arena, sizeof *series->timed);
    series->stream = stream;
    series->type = (uint8_t) line->type;
    series->name_size = (uint16_t) line->name_size;
    series->source_size = (uint8_t) line->source_size;
    memcpy (series->text, line->name, line->name_size);
    memcpy (series->text + line->name_size, line->source, line->source_size);
    series->changed = self->save;
    stream->series_count++;
    *stream->last_series = series;
    stream->last_series = &series->next;
    return series;
}

series_t *
ledger_series (ledger_t *self, stream_t *stream, const zb_line_t *line,
               int *fresh)
{
    series_key_t key = {stream, line};
    series_t *series = self->follows ? self->follows : stream->first_series;
    uint64_t hash;
    *fresh = 0;
    if (!series || !series_same (series, &key)) {
        hash = series_hash (stream, line);
        series = table_find (&self->series, hash, series_same, &key);
        *fresh = series == NULL;
        if (!series
            && (ledger_series_count (self) < self->series_max
                || ledger_make_room (self))) {
            series = ledger_series_new (self, stream, line);
            table_put (&self->series, hash, series);
        }
    }
    self->follows = series ? series->next : NULL;
    return series;
}

//  --------------------------------------------------------------------------
//  States

void
ledger_lift (streams_t *list, stream_t *stream)
{
    if (list->newest == stream)
        return;
    streams_remove (list, stream);
    streams_append (list, stream);
}

//  A line of the stream has come: what it was is saved before it changes.
static void
ledger_touch (ledger_t *self, stream_t *stream)
{
    streams_t *list = stream->ended ? &self->ended : &self->live;
    if (stream->changed == self->save && stream->active_ms == self->awake_ms)
        return;
    ledger_save_before (self, stream);
    stream->changed = self->save;
    stream->active_ms = self->awake_ms;
    ledger_lift (list, stream);
    if (!list->unsaved)
        list->unsaved = stream;
}

void
series_touch (ledger_t *self, series_t *series)
{
    if (ledger_wants (self, series->changed, series->saved))
        ledger_save_series (self, series);
    series->changed = self->save;
}

void
series_take (series_t *self, const zb_line_t *line)
{
    stream_t *stream = self->stream;
    stream->seq_sum += line->seq - self->seq;
    if (line->seq >= stream->next_seq)
        stream->next_seq = line->seq + 1;
    self->seq = line->seq;
    if (line->type == ZB_TYPE_COUNTER)
        self->total = line->total;
    else {
        self->timed->count = line->count;
        self->timed->sum_ns = line->sum_ns;
        self->timed->sum_squares = line->sum_squares;
    }
}

//  Did this ledger, or else an earlier one, get the beginning of a series? It
//  did if the stream is younger, or the series is younger than the meeting.
static int
stream_knows_all (stream_t *self, const zb_line_t *line)
{
    if (!self->met_states) {
        self->met_states = true;
        self->met_seq = line->seq;
    }
    return self->young || line->first >= self->met_seq;
}

//  Buckets that grew.
static void
ledger_buckets (ledger_t *self, series_t *series, hist_t *grown)
{
    const bucket_t *reported, *end;
    bucket_t *known, *to;
    size_t at = 0;
    reported = self->reported.bucket;
    end = reported + self->reported.size;
    to = hist_room (grown, self->reported.size);
    for (; reported < end; reported++) {
        known = hist_place (&series->timed->hist, &at, reported->index);
        if (reported->count > known->count)
            *to++ = (bucket_t){reported->index, reported->count - known->count};
        known->count = reported->count;
    }
    grown->size = (uint32_t) (to - grown->bucket);
}

//  Least and most of what was gained. Without the reports in between, the edges
//  of the buckets are all that is known of them. These may run ahead of the
//  count: then the mean is.
static void
increment_range (increment_t *self, const zb_line_t *line)
{
    const bucket_t *first = self->hist.bucket;
    int edges = self->sum_ns != line->value_ns;
    self->min_ns = edges ? INT64_MAX : line->min_ns;
    self->max_ns = edges ? 0 : line->max_ns;
    if (edges && self->hist.size) {
        const bucket_t *last = first + self->hist.size - 1;
        self->min_ns = (int64_t) floor (hist_edge_ns (first->index));
        self->max_ns = (int64_t) ceil (hist_edge_ns (last->index + 1));
    }
    if (self->min_ns > self->max_ns && self->count) {
        zb_ns_t mean = self->sum_ns / self->count;
        self->min_ns = self->max_ns =
          mean < INT64_MAX ? (int64_t) mean : INT64_MAX;
    }
}

//  [HIGHER_SEQ] A repetition, or a timer that has fewer samples than before.
static int
series_knows (const series_t *self, const zb_line_t *line)
{
    return line->seq <= self->seq
           || (line->type == ZB_TYPE_TIMER
               && (line->count < self->timed->count
                   || line->sum_ns < self->timed->sum_ns));
}

//  A report alone, all that is known of whose samples are their number, sum,
//  least and most: two of them are these, and the others are put at their mean.
//  The sum of squares can only be larger, and is at least that of so many equal
//  ones. A bucket may be wrong, their number is not.
void
increment_spread (increment_t *self)
{
    double value[3] = {(double) self->min_ns, (double) self->sum_ns,
                       (double) self->max_ns};
    uint64_t count[3] = {self->count > 1, 1, self->count > 2}, rest;
    size_t i, at = 0;
    rest = self->count - count[0] - count[2];
    count[1] = rest;
    if (count[0])
        value[1] -= value[0];
    if (count[2])
        value[1] -= value[2];
    value[1] = fmin (fmax (value[1] / (double) rest, value[0]), value[2]);
    self->sum_squares = 0;
    for (i = 0; i < 3; i++)
        if (count[i]) {
            self->sum_squares +=
              (double) count[i] * value[i] * value[i] * 1e-18;
            hist_place (&self->hist, &at, hist_bucket ((uint64_t) value[i]))
              ->count += count[i];
        }
}

//  What the sum of squares grew by, of which the program's total may have lost
//  all: once there was a sample of a minute, one of 100 ns changes no digit of
//  it. Each addition costs half a unit in the last place, at most. Where that is
//  more than buckets are off by, they tell, together with the exact sum.
static double
increment_squares (const increment_t *self, double before, double total)
{
    double sum = (double) self->sum_ns * 1e-9, grown = total - before;
    double least = sum * sum / (double) self->count;
    double error = (double) self->count * total * DBL_EPSILON / 2;
    if (error > grown * SQUARES_ERROR)
        grown = least * hist_spread (&self->hist);
    return fmax (grown, least);
}

//  What a timer's report adds. If an earlier ledger has counted the others, it
//  is what the report says of itself: its sum, and how many samples they were.
//  An old program does not say that: then they are lost, and nobody can tell
//  how many.
static void
series_timed (ledger_t *ledger, series_t *self, const zb_line_t *line,
              int first_sight, int all, increment_t *out)
{
    const timed_t *timed = self->timed;
    int known = !first_sight || all;
    uint64_t recent = line->recent_given ? line->recent : 0;
    out->value = 0;
    out->count = known ? line->count - timed->count : recent;
    out->sum_ns = known        ? line->sum_ns - timed->sum_ns
                  : out->count ? line->value_ns
                               : 0;
    out->sum_squares = 0;
    if (!first_sight && !out->count)
        return;
    ledger_buckets (ledger, self, &out->hist);
    if (!known)
        out->hist.size = 0;
    increment_range (out, line);
    if (out->count && known)
        out->sum_squares =
          increment_squares (out, timed->sum_squares, line->sum_squares);
    else if (out->count)
        increment_spread (out);
}

//  The state is new: what does it add?
static void
ledger_add (ledger_t *self, series_t *series, const zb_line_t *line,
            int first_sight, int all, increment_t *out)
{
    out->fresh = first_sight && all;
    if (line->type == ZB_TYPE_TIMER)
        series_timed (self, series, line, first_sight, all, out);
    else
        //  else an earlier ledger has counted what came before this report
        out->value =
          line->total
          - (first_sight && !all ? line->total - line->value : series->total);
}

//  [WHOLE_END] A stream that nothing is missing of any more, and that has said
//  so, goes.
static void
ledger_settle (ledger_t *self, stream_t *stream)
{
    if (stream_complete (stream) && !ledger_begins_earlier (self, stream))
        ledger_drop (self, stream, false);
}

series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out)
{
    stream_t *stream;
    series_t *series;
    int first_sight, all;
    out->wrong = NULL;
    if (line->type == ZB_TYPE_TIMER
        && line_buckets (line, &self->reported) == -1) {
        out->wrong = "bad stream";
        return NULL;
    }
    stream = ledger_stream (self, line);
    if (!stream)
        return NULL;
    ledger_touch (self, stream);
    all = stream_knows_all (stream, line);
    series = ledger_series (self, stream, line, &first_sight);
    if (!series) {
        self->unmet++;
        return NULL;
    }
    if (!first_sight && series_knows (series, line)) {
        if (ledger_lower (self, series, line, out))
            return series;
        self->duplicates++;
        return NULL;
    }
    series_touch (self, series);
    ledger_add (self, series, line, first_sight, all, out);
    if (first_sight && !all)
        ledger_base (self, series, line);
    series_take (series, line);
    if (stream->ended)
        ledger_settle (self, stream);
    return series;
}

//  --------------------------------------------------------------------------
//  Readings

//  There were so many readings, of which the new ones have not come, but for the
//  last one if that is what says so.
static void
ledger_gauges_until (ledger_t *self, stream_t *stream, uint64_t next,
                     uint64_t came)
{
    self->lost += next - stream->gauge_next - came;
    gaps_add (&stream->gaps, stream->gauge_next, next - came);
    stream->gauge_next = next;
    if (next > GAUGE_WINDOW)
        gaps_trim (&stream->gaps, next - GAUGE_WINDOW);
}

int
ledger_gauge (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = ledger_stream (self, line);
    if (!stream)
        return -1;
    ledger_touch (self, stream);
    ledger_meet_gauges (self, stream, line);
    if (line->seq >= stream->gauge_next && line->seq != UINT64_MAX)
        ledger_gauges_until (self, stream, line->seq + 1, 1);
    else if (gaps_fill (&stream->gaps, line->seq))
        self->lost--;
    else {
        self->duplicates++;
        return -1;
    }
    stream->gauge_taken++;
    if (stream->ended)
        ledger_settle (self, stream);
    return 0;
}

uint64_t
ledger_lost (const ledger_t *self)
{
    return self->lost;
}

//  --------------------------------------------------------------------------
//  The end of a stream

//  The stream of an End. If nothing of it has come yet, it is made if all of it
//  should have come here, so that its readings are known to be missing.
static stream_t *
ledger_stream_ended (ledger_t *self, const zb_line_t *line)
{
    uint64_t hash = ledger_hash (self, line), states, readings;
    stream_t *stream = table_find (&self->streams, hash, stream_same, line);
    if (stream || line->age_ms < 0
        || self->now_ms - line->age_ms < self->born_ms
        || self->streams.count >= self->series_max
        || stubs_find (&self->stubs, hash, &states, &readings))
        return stream;
    return ledger_meet (self, line, hash);
}

//  Moves it to those with an End.
static void
ledger_stream_end (ledger_t *self, stream_t *stream)
{
    if (stream->ended)
        return;
    streams_remove (&self->live, stream);
    stream->ended = true;
    streams_append (&self->ended, stream);
    if (!self->ended.unsaved)
        self->ended.unsaved = stream;
}

void
ledger_end (ledger_t *self, const note_t *note)
{
    zb_line_t line = {.type = ZB_TYPE_GAUGE,
                      .level = note->level.text,
                      .level_size = note->level.size,
                      .id = note->id.text,
                      .id_size = note->id.size,
                      .source = "",
                      .age_ms = note->age_ms,
                      .seq = note->readings,
                      .sent = note->readings,
                      .sent_given = 1};
    stream_t *stream = ledger_stream_ended (self, &line);
    if (!stream)
        return;
    ledger_touch (self, stream);
    if (!stream->met_gauges)
        ledger_meet_gauges (self, stream, &line);
    if (note->readings > stream->gauge_next)
        ledger_gauges_until (self, stream, note->readings, 0);
    ledger_stream_end (self, stream);
    stream->end_count =
      note->series < UINT32_MAX ? (uint32_t) note->series : UINT32_MAX;
    stream->end_sum = note->seqs;
    ledger_settle (self, stream);
    ledger_free (self, FREE_SLICE);
}
