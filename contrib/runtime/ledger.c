/*  ledger - totals to increments. The contract is in ledger.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"

#include <czmq.h>
#include <math.h>

static void
stream_free (void *item)
{
    free (((stream_t *) item)->key);
    free (((stream_t *) item)->gauge_seen);
    free (item);
}

static void
series_free (void *item)
{
    free (((series_t *) item)->hist.bucket);
    free (item);
}

ledger_t *
ledger_new (void)
{
    ledger_t *self = (ledger_t *) zmalloc (sizeof *self);
    self->born_ms = zclock_time ();
    self->now_ms = zclock_mono ();
    self->streams.free_item = stream_free;
    self->series.free_item = series_free;
    return self;
}

void
ledger_destroy (ledger_t **self_p)
{
    ledger_t *self = *self_p;
    table_clear (&self->series);
    table_clear (&self->streams);
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
//  the ID before '-'; an ID of somebody else's making counts as old.
static stream_t *
ledger_stream (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = self->last;
    uint64_t hash;
    if (stream && stream_same (stream, line))
        return stream;
    hash = table_hash (table_hash (0, line->level, line->level_size), line->id,
                       line->id_size);
    stream = table_find (&self->streams, hash, stream_same, line);
    if (!stream) {
        stream = (stream_t *) zmalloc (sizeof *stream);
        stream->hash = hash;
        stream->level_size = line->level_size;
        stream->key_size = line->level_size + line->id_size;
        stream->key = (char *) zmalloc (stream->key_size + 1);
        memcpy (stream->key, line->level, line->level_size);
        memcpy (stream->key + line->level_size, line->id, line->id_size);
        stream->born_ms = strtoll (stream->key + line->level_size, NULL, 16);
        table_put (&self->streams, hash, stream);
    }
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

//  Finds or makes the series of a line; *fresh tells which.
static series_t *
ledger_series (ledger_t *self, stream_t *stream, const zb_line_t *line,
               int *fresh)
{
    series_key_t key = {stream, line};
    uint64_t hash =
      table_hash (stream->hash + line->type, line->name, line->name_size);
    series_t *series;
    hash = table_hash (hash, line->source, line->source_size);
    series = table_find (&self->series, hash, series_same, &key);
    *fresh = series == NULL;
    if (!series) {
        series = (series_t *) zmalloc (sizeof *series + line->name_size
                                       + line->source_size);
        series->stream = stream;
        series->type = (uint8_t) line->type;
        series->name_size = (uint16_t) line->name_size;
        series->source_size = (uint16_t) line->source_size;
        memcpy (series->text, line->name, line->name_size);
        memcpy (series->text + line->name_size, line->source,
                line->source_size);
        table_put (&self->series, hash, series);
    }
    return series;
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

//  Buckets that grew. Without the reports in between, their edges are all that
//  is known of least and most.
static void
ledger_buckets (series_t *series, const zb_line_t *line, int count_them,
                increment_t *out)
{
    span_t rest = {line->buckets, line->buckets_size};
    size_t at = 0, to = 0;
    int index, edges = out->sum_ns != line->value_ns;
    uint64_t count;
    out->min_ns = edges ? INT64_MAX : line->min_ns;
    out->max_ns = edges ? 0 : line->max_ns;
    while (line_bucket_next (&rest, &index, &count) == 1) {
        bucket_t *known = hist_place (&series->hist, &at, index);
        if (count > known->count && count_them) {
            hist_place (&out->hist, &to, index)->count = count - known->count;
            if (edges) {
                int64_t low = (int64_t) floor (hist_edge_ns (index));
                out->max_ns = (int64_t) ceil (hist_edge_ns (index + 1));
                out->min_ns = low < out->min_ns ? low : out->min_ns;
            }
        }
        known->count = count;
    }
    //  buckets may run ahead of the count: then the mean is all that is known
    if (out->min_ns > out->max_ns && out->count)
        out->min_ns = out->max_ns = out->sum_ns / (int64_t) out->count;
}

series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out)
{
    stream_t *stream = ledger_stream (self, line);
    int first_sight, all = ledger_knows_all (self, stream, line);
    series_t *series = ledger_series (self, stream, line, &first_sight);
    stream->heard_ms = self->now_ms;
    //  a repetition, or a timer that has fewer samples than before
    if (!first_sight
        && (line->seq <= series->seq || line->count < series->count
            || line->sum_ns < series->sum_ns)) {
        self->duplicates++;
        return NULL;
    }
    if (first_sight && !all) {
        //  an earlier ledger has counted what came before this report; how
        //  many samples of a timer did not, a report does not say
        series->total = line->total - line->value;
        series->count = line->count;
        series->sum_ns = line->sum_ns;
        series->sum_squares = line->sum_squares;
    }
    out->value = line->total - series->total;
    out->count = line->count - series->count;
    out->sum_ns = line->sum_ns - series->sum_ns;
    out->sum_squares = fmax (line->sum_squares - series->sum_squares, 0);
    out->fresh = first_sight && all;
    if (line->type == ZB_TYPE_TIMER
        && (first_sight || line->count != series->count))
        ledger_buckets (series, line, all || !first_sight, out);
    series->seq = line->seq;
    series->total = line->total;
    series->count = line->count;
    series->sum_ns = line->sum_ns;
    series->sum_squares = line->sum_squares;
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
            self->gauge_floor =
              line->sent == UINT64_MAX ? line->seq : line->sent;
        self->gauge_next = self->gauge_floor;
    }
    else if (line->sent <= line->seq && line->sent < self->gauge_floor
             && self->gauge_next - line->sent <= GAUGE_WINDOW)
        self->gauge_floor = line->sent;
}

int
ledger_gauge (ledger_t *self, const zb_line_t *line)
{
    stream_t *stream = ledger_stream (self, line);
    uint64_t *word, bit = 1ull << line->seq % 64;
    stream->heard_ms = self->now_ms;
    stream_meet_gauges (stream, line, self->born_ms);
    word = &stream->gauge_seen[line->seq % GAUGE_WINDOW / 64];
    if (line->seq >= stream->gauge_next) {
        uint64_t seq = line->seq - stream->gauge_next < GAUGE_WINDOW
                         ? stream->gauge_next
                         : line->seq - GAUGE_WINDOW + 1;
        for (; seq != line->seq + 1; seq++)
            stream->gauge_seen[seq % GAUGE_WINDOW / 64] &= ~(1ull << seq % 64);
        stream->gauge_next = line->seq + 1;
    }
    else if (line->seq < stream->gauge_floor
             || stream->gauge_next - line->seq > GAUGE_WINDOW
             || (*word & bit)) {
        self->duplicates++;
        return -1;
    }
    *word |= bit;
    stream->gauge_taken++;
    return 0;
}

uint64_t
ledger_lost (const ledger_t *self)
{
    uint64_t lost = 0;
    size_t i;
    for (i = 0; i < self->streams.size; i++) {
        const stream_t *stream = self->streams.place[i].item;
        if (stream)
            lost +=
              stream->gauge_next - stream->gauge_floor - stream->gauge_taken;
    }
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

uint64_t
ledger_forget (ledger_t *self, int64_t silent_ms)
{
    uint64_t lost = ledger_lost (self);
    table_keep (&self->series, series_heard, self->now_ms - silent_ms);
    table_keep (&self->streams, stream_heard, self->now_ms - silent_ms);
    self->last = NULL;
    return lost - ledger_lost (self);
}
