/*  ledger - totals to increments. The contract is in ledger.h.

    Sections: streams and series, taking in, forgetting. Saving and restoring are
    in ledger_file.c.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"

#include "clock.h"

#include <czmq.h>
#include <math.h>

static void
stream_free (void *item)
{
    free (((stream_t *) item)->key);
    free (((stream_t *) item)->gauge_seen);
    free (item);
}

//  Has this reading come? Only the last GAUGE_WINDOW are remembered.
int
stream_gauge_seen (const stream_t *self, uint64_t seq)
{
    return self->gauge_seen[seq % GAUGE_WINDOW / 64] >> seq % 64 & 1;
}

void
stream_gauge_see (stream_t *self, uint64_t seq, int seen)
{
    uint64_t *word = &self->gauge_seen[seq % GAUGE_WINDOW / 64];
    *word = seen ? *word | 1ull << seq % 64 : *word & ~(1ull << seq % 64);
}

static size_t
series_size (size_t name_size, size_t source_size)
{
    return offsetof (series_t, text) + name_size + source_size;
}

//  Gives a series back that is in the table no more.
static void
ledger_series_free (ledger_t *self, series_t *series)
{
    if (series->type == ZB_TYPE_TIMER) {
        free (series->timed->hist.bucket);
        arena_free (&self->arena, series->timed, sizeof *series->timed);
    }
    arena_free (&self->arena, series,
                series_size (series->name_size, series->source_size));
}

ledger_t *
ledger_new (void)
{
    ledger_t *self = (ledger_t *) zmalloc (sizeof *self);
    self->born_ms = zclock_time ();
    self->now_ms = boot_ms ();
    self->save = 1;
    self->series_max = SIZE_MAX;
    self->streams.free_item = stream_free;
    self->last_series = &self->first_series;
    return self;
}

void
ledger_destroy (ledger_t **self_p)
{
    ledger_t *self = *self_p;
    series_t *series;
    for (series = self->first_series; series; series = series->next)
        if (series->type == ZB_TYPE_TIMER)
            free (series->timed->hist.bucket);
    table_clear (&self->series);
    arena_clear (&self->arena);
    table_clear (&self->streams);
    free (self->reported.bucket);
    free (self->line);
    free (self);
    *self_p = NULL;
}

static int
stream_same (const void *item, const void *key)
{
    const stream_t *self = item;
    const zb_line_t *line = key;
    return self->level_size == line->level_size
           && self->key_size == line->level_size + line->id_size
           && memcmp (self->key, line->level, line->level_size) == 0
           && memcmp (self->key + line->level_size, line->id, line->id_size)
                == 0;
}

//  Finds or makes the stream that a line belongs to. The birth is the part of
//  the ID before '-'; an ID of somebody else's making counts as old. NULL if it
//  would be one too many.
stream_t *
ledger_stream (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = self->last;
    uint64_t hash;
    if (stream && stream_same (stream, line))
        return stream;
    hash = table_hash (table_hash (0, line->level, line->level_size), line->id,
                       line->id_size);
    stream = table_find (&self->streams, hash, stream_same, line);
    if (!stream && self->streams.count < self->series_max) {
        stream = (stream_t *) zmalloc (sizeof *stream);
        stream->hash = hash;
        stream->level_size = line->level_size;
        stream->key_size = line->level_size + line->id_size;
        stream->key = (char *) zmalloc (stream->key_size + 1);
        memcpy (stream->key, line->level, line->level_size);
        memcpy (stream->key + line->level_size, line->id, line->id_size);
        stream->born_ms = strtoll (stream->key + line->level_size, NULL, 16);
        stream->next = self->first_stream;
        self->first_stream = stream;
        stream->changed = self->save;
        table_put (&self->streams, hash, stream);
    }
    if (stream)
        self->last = stream;
    return stream;
}

typedef struct {
    const stream_t *stream;
    const zb_line_t *line;
} series_key_t;

//  A stream's series differ in type, name and source; the level is the stream's.
static int
series_same (const void *item, const void *key)
{
    const series_t *self = item;
    const series_key_t *wanted = key;
    const zb_line_t *line = wanted->line;
    return self->stream == wanted->stream && self->type == line->type
           && self->name_size == line->name_size
           && self->source_size == line->source_size
           && memcmp (self->text, line->name, line->name_size) == 0
           && memcmp (self->text + line->name_size, line->source,
                      line->source_size)
                == 0;
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
    series->name_size = (uint8_t) line->name_size;
    series->source_size = (uint8_t) line->source_size;
    memcpy (series->text, line->name, line->name_size);
    memcpy (series->text + line->name_size, line->source, line->source_size);
    series->changed = self->save;
    *self->last_series = series;
    self->last_series = &series->next;
    return series;
}

//  Finds or makes the series of a line; *fresh tells which. NULL if it would be
//  one too many. A publisher reports its series in the same order each time.
series_t *
ledger_series (ledger_t *self, stream_t *stream, const zb_line_t *line,
               int *fresh)
{
    series_key_t key = {stream, line};
    series_t *series = self->follows;
    uint64_t hash;
    *fresh = 0;
    if (!series || !series_same (series, &key)) {
        hash =
          table_hash (stream->hash + line->type, line->name, line->name_size);
        hash = table_hash (hash, line->source, line->source_size);
        series = table_find (&self->series, hash, series_same, &key);
        *fresh = series == NULL;
        if (!series && self->series.count < self->series_max) {
            series = ledger_series_new (self, stream, line);
            table_put (&self->series, hash, series);
        }
    }
    self->follows = series ? series->next : NULL;
    return series;
}

//  --------------------------------------------------------------------------
//  Taking in

//  A line of the stream has come: what it was is saved before it changes.
static void
stream_touch (ledger_t *self, stream_t *stream)
{
    if (ledger_wants (self, stream->changed, stream->saved))
        ledger_save_stream (self, stream);
    stream->changed = self->save;
    stream->heard_ms = self->now_ms;
}

static void
series_touch (ledger_t *self, series_t *series)
{
    if (ledger_wants (self, series->changed, series->saved))
        ledger_save_series (self, series);
    series->changed = self->save;
}

//  The line's state, but for the buckets, is the last one now.
void
series_take (series_t *self, const zb_line_t *line)
{
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
ledger_knows_all (const ledger_t *self, stream_t *stream, const zb_line_t *line)
{
    if (!stream->met_states) {
        stream->met_states = 1;
        stream->met_seq = line->seq;
    }
    return stream->born_ms >= self->born_ms || line->first >= stream->met_seq;
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

//  A repetition, or a timer that has fewer samples than before.
static int
series_knows (const series_t *self, const zb_line_t *line)
{
    return line->seq <= self->seq
           || (line->type == ZB_TYPE_TIMER
               && (line->count < self->timed->count
                   || line->sum_ns < self->timed->sum_ns));
}

//  What a timer's report adds. When an earlier ledger has counted the others,
//  how many of its samples they were a report does not say.
static void
series_timed (ledger_t *ledger, series_t *self, const zb_line_t *line,
              int first_sight, int all, increment_t *out)
{
    const timed_t *timed = self->timed;
    int known = !first_sight || all;
    out->value = 0;
    out->count = known ? line->count - timed->count : 0;
    out->sum_ns = known ? line->sum_ns - timed->sum_ns : 0;
    out->sum_squares =
      known ? fmax (line->sum_squares - timed->sum_squares, 0) : 0;
    if (!first_sight && !out->count)
        return;
    ledger_buckets (ledger, self, &out->hist);
    if (!known)
        out->hist.size = 0;
    increment_range (out, line);
}

series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out)
{
    stream_t *stream;
    series_t *series = NULL;
    int first_sight, all;
    out->wrong = NULL;
    if (line->type == ZB_TYPE_TIMER
        && line_buckets (line, &self->reported) == -1) {
        out->wrong = "bad stream";
        return NULL;
    }
    stream = ledger_stream (self, line);
    if (stream) {
        stream_touch (self, stream);
        all = ledger_knows_all (self, stream, line);
        series = ledger_series (self, stream, line, &first_sight);
    }
    if (!series) {
        self->unmet++;
        return NULL;
    }
    if (!first_sight && series_knows (series, line)) {
        self->duplicates++;
        return NULL;
    }
    series_touch (self, series);
    out->fresh = first_sight && all;
    if (line->type == ZB_TYPE_TIMER)
        series_timed (self, series, line, first_sight, all, out);
    else
        //  else an earlier ledger has counted what came before this report
        out->value =
          line->total
          - (first_sight && !all ? line->total - line->value : series->total);
    series_take (series, line);
    return series;
}

//  Where the readings of a stream begin to be this ledger's. With a stream that
//  is older, what was sent before they met was another's; a first sending that
//  comes late was made after that, and lowers the floor.
static void
stream_meet_gauges (stream_t *self, const zb_line_t *line, int64_t born_ms)
{
    if (!self->met_gauges) {
        self->met_gauges = 1;
        self->gauge_seen = (uint64_t *) zmalloc (GAUGE_WINDOW / 8);
        if (self->born_ms < born_ms)
            self->gauge_floor = line->sent_given ? line->sent : line->seq;
        self->gauge_next = self->gauge_floor;
    }
    else if (line->sent_given && line->sent <= line->seq
             && line->sent < self->gauge_floor
             && self->gauge_next - line->sent <= GAUGE_WINDOW)
        self->gauge_floor = line->sent;
}

//  There were so many readings, of which the new ones have not come yet.
static void
stream_gauges_until (stream_t *self, uint64_t next)
{
    uint64_t seq = next - self->gauge_next > GAUGE_WINDOW ? next - GAUGE_WINDOW
                                                          : self->gauge_next;
    for (; seq != next; seq++)
        stream_gauge_see (self, seq, 0);
    self->gauge_next = next;
}

int
ledger_gauge (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = ledger_stream (self, line);
    if (!stream) {
        self->unmet++;
        return -1;
    }
    stream_touch (self, stream);
    stream_meet_gauges (stream, line, self->born_ms);
    if (line->seq >= stream->gauge_next)
        stream_gauges_until (stream, line->seq + 1);
    else if (line->seq < stream->gauge_floor
             || stream->gauge_next - line->seq > GAUGE_WINDOW
             || stream_gauge_seen (stream, line->seq)) {
        self->duplicates++;
        return -1;
    }
    stream_gauge_see (stream, line->seq, 1);
    stream->gauge_taken++;
    return 0;
}

void
ledger_end (ledger_t *self, const note_t *note)
{
    zb_line_t key = {.level = note->level.text,
                     .level_size = note->level.size,
                     .id = note->id.text,
                     .id_size = note->id.size};
    uint64_t hash = table_hash (table_hash (0, key.level, key.level_size),
                                key.id, key.id_size);
    stream_t *stream = table_find (&self->streams, hash, stream_same, &key);
    if (stream && stream->met_gauges && note->readings > stream->gauge_next) {
        stream_touch (self, stream);
        stream_gauges_until (stream, note->readings);
    }
}

uint64_t
ledger_lost (const ledger_t *self)
{
    uint64_t lost = 0;
    const stream_t *stream;
    for (stream = self->first_stream; stream; stream = stream->next)
        lost += stream->gauge_next - stream->gauge_floor - stream->gauge_taken;
    return lost;
}

static int
stream_heard (const void *item, int64_t since)
{
    return ((const stream_t *) item)->heard_ms >= since;
}

static int
series_heard (const void *item, int64_t since)
{
    return stream_heard (((const series_t *) item)->stream, since);
}

//  From now on the ledger is younger than the stream; but not because of an ID
//  that claims to be of the future.
static void
ledger_outlive (ledger_t *self, const stream_t *stream)
{
    int64_t now = zclock_time ();
    int64_t born_ms = stream->born_ms < now ? stream->born_ms + 1 : now;
    if (born_ms > self->born_ms)
        self->born_ms = born_ms;
}

//  Those of silent streams, which are still there.
static void
ledger_forget_series (ledger_t *self, int64_t since)
{
    series_t **place = &self->first_series, *series;
    table_keep (&self->series, series_heard, since);
    while ((series = *place))
        if (series_heard (series, since))
            place = &series->next;
        else {
            *place = series->next;
            ledger_series_free (self, series);
        }
    self->last_series = place;
    self->follows = NULL;
}

int
ledger_forget (ledger_t *self, int64_t silent_ms)
{
    int64_t since = self->now_ms - silent_ms;
    uint64_t lost = ledger_lost (self);
    stream_t **place, *stream = self->first_stream;
    while (stream && stream_heard (stream, since))
        stream = stream->next;
    if (!stream)
        return 0;
    ledger_forget_series (self, since);
    for (place = &self->first_stream; (stream = *place);)
        if (stream_heard (stream, since))
            place = &stream->next;
        else {
            ledger_outlive (self, stream);
            *place = stream->next;
        }
    table_keep (&self->streams, stream_heard, since);
    self->last = NULL;
    self->saving = 0;
    self->lost_forgotten += lost - ledger_lost (self);
    return 1;
}
