/*  ledger_late - where a stream that is older than its ledger begins to be the
    ledger's, if its lines come by several brokers. The contract is in ledger.h.

    When a worker follows another, programs hear of it from one broker before the
    others. What they send in that moment comes by that broker only, and may be
    overtaken by what all brokers bring. The worker before has not got it: it
    left all brokers before. So who is overtaken is counted when it comes, as if
    it had come first.

    Rules in brackets, [AFTER_BIRTH], are those of test/model/replaced.pml, which
    shows what goes wrong without them, and what may still count twice.

    Sections: what is ours, states, readings.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"

//  --------------------------------------------------------------------------
//  What is ours

bool
ledger_begins_earlier (const ledger_t *self, const stream_t *stream)
{
    return self->several && stream->aged && !stream->young && !stream->returned;
}

//  [AFTER_BIRTH] Was the line's message made since we are here? What was made
//  before may have come to the worker before us by another broker: it waited in
//  one that stood still.
static bool
ledger_owns (const ledger_t *self, const stream_t *stream,
             const zb_line_t *line)
{
    return stream->born_ms + line->age_ms >= self->born_ms;
}

//  --------------------------------------------------------------------------
//  States

void
ledger_base (ledger_t *self, const series_t *series, const zb_line_t *line)
{
    if (ledger_begins_earlier (self, series->stream) && line->age_ms >= 0)
        bases_put (&self->bases, series, base_before (line), self->awake_ms);
}

//  What lies between both bases. Of a timer's samples beyond the line's own their
//  number and sum are known: they are put at their mean.
static void
increment_between (increment_t *self, const zb_line_t *line,
                   const base_t *lower, const base_t *base)
{
    uint64_t own = line->count - lower->count;
    zb_ns_t own_ns = line->sum_ns - lower->sum_ns;
    int64_t mean;
    self->value = 0;
    self->count = base->count - lower->count;
    self->sum_ns = base->sum_ns - lower->sum_ns;
    self->min_ns = own ? line->min_ns : INT64_MAX;
    self->max_ns = own ? line->max_ns : 0;
    if (self->count > own && self->sum_ns >= own_ns) {
        mean = (int64_t) ((self->sum_ns - own_ns) / (self->count - own));
        self->min_ns = mean < self->min_ns ? mean : self->min_ns;
        self->max_ns = mean > self->max_ns ? mean : self->max_ns;
    }
    if (self->count)
        increment_spread (self);
}

//  [LATE_COUNTS] A series begins with the lowest line that comes.
//  [WHOLE_GAP] All between the bases counts, not only what the line says of
//  itself: lines between have come, and were taken for known, or never will.
bool
ledger_lower (ledger_t *self, series_t *series, const zb_line_t *line,
              increment_t *out)
{
    base_t *base = bases_find (&self->bases, series);
    base_t lower = base_before (line);
    stream_t *stream = series->stream;
    if (!base || line->age_ms < 0 || line->seq >= base->seq
        || !ledger_owns (self, stream, line)
        || (series->type == ZB_TYPE_TIMER
            && (lower.count > base->count || lower.sum_ns > base->sum_ns)))
        return false;
    series_touch (self, series);
    out->fresh = 0;
    if (series->type == ZB_TYPE_TIMER)
        increment_between (out, line, &lower, base);
    else
        out->value = base->total - lower.total;
    base->seq = lower.seq;
    base->total = lower.total;
    base->count = lower.count;
    base->sum_ns = lower.sum_ns;
    if (line->seq < stream->met_seq)
        stream->met_seq = line->seq;
    return true;
}

//  --------------------------------------------------------------------------
//  Readings

//  With a stream that is older, what was sent before they met was another's; a
//  first sending that comes late was made after that, and lowers the floor.
void
ledger_meet_gauges (ledger_t *self, stream_t *stream, const zb_line_t *line)
{
    if (!stream->met_gauges) {
        stream->met_gauges = true;
        if (!stream->young)
            stream->gauge_floor = line->sent_given ? line->sent : line->seq;
        stream->gauge_next = stream->gauge_floor;
    }
    else if (!stream->returned && line->sent_given && line->sent <= line->seq
             && line->sent < stream->gauge_floor
             && stream->gauge_next - line->sent <= GAUGE_WINDOW
             && (!stream->aged || line->age_ms < 0
                 || ledger_owns (self, stream, line))) {
        self->lost += stream->gauge_floor - line->sent;
        gaps_add (&stream->gaps, line->sent, stream->gauge_floor);
        stream->gauge_floor = line->sent;
    }
}
