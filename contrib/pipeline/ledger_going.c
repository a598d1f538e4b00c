/*  ledger_going - streams that end, or are silent for too long. The contract is
    in ledger.h.

    Sections: streams that go, time.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ledger.h"
#include "clock.h"

#include <czmq.h>

enum { CROWDED_LEAST = 1000 };  //  streams that are worth a whole save

//  --------------------------------------------------------------------------
//  Streams that go: at once they are in no table, and leave a stub; their
//  memory is given back bit by bit

//  Frees the last series, of those that are left, of a stream that goes.
static void
ledger_free_series (ledger_t *self, stream_t *stream)
{
    series_t *series = stream->first_series;
    table_remove (&self->series, series_rehash (series), series);
    bases_forget (&self->bases, series);
    stream->first_series = series->next;
    if (series->type == ZB_TYPE_TIMER) {
        free (series->timed->hist.bucket);
        arena_free (&self->arena, series->timed, sizeof *series->timed);
    }
    arena_free (&self->arena, series,
                series_size (series->name_size, series->source_size));
    self->dying_series--;
}

size_t
ledger_free (ledger_t *self, size_t most)
{
    stream_t *stream;
    for (; most && (stream = self->dying); most--)
        if (stream->is_pending || stream == self->save_stream)
            break;
        else if (stream->first_series)
            ledger_free_series (self, stream);
        else {
            self->dying = stream->newer;
            arena_free (&self->arena, stream, stream_size (stream->key_size));
        }
    return most;
}

//  The oldest stubs are of no use any more. [YOUNGER] Of those that stand for
//  streams that may live, the ledger is younger from now on; LATE_MS for what a
//  line may have been on its way, since that makes a stream look younger. A
//  clock of the future must not make all others old.
static void
ledger_drop_stubs (ledger_t *self)
{
    const stubs_t *stubs = &self->stubs;
    const generation_t *oldest = stubs->generation[stubs->generations - 1];
    int64_t wall_ms = zclock_time ();
    int64_t born_ms = oldest->born_ms, born_wall_ms = oldest->born_wall_ms;
    if (born_ms != INT64_MIN) {
        born_ms += LATE_MS;
        born_ms = born_ms < self->now_ms ? born_ms : self->now_ms;
    }
    born_wall_ms = born_wall_ms < wall_ms ? born_wall_ms + 1 : wall_ms;
    if (born_ms > self->born_ms)
        self->born_ms = born_ms;
    if (born_wall_ms > self->born_wall_ms)
        self->born_wall_ms = born_wall_ms;
    stubs_drop (&self->stubs);
}

static void
ledger_turn_stubs (ledger_t *self)
{
    if (self->stubs.generations == STUBS_GENERATIONS)
        ledger_drop_stubs (self);
    stubs_turn (&self->stubs, self->awake_ms, self->save);
    self->turned_ms = self->awake_ms;
}

//  A stream with an End has nothing more to say; one without may come back.
static void
ledger_stub (ledger_t *self, const stream_t *stream)
{
    generation_t *newest;
    if (stubs_full (&self->stubs, stream->hash))
        ledger_turn_stubs (self);
    stubs_put (&self->stubs, stream->hash, stream->next_seq,
               stream->gauge_next);
    newest = self->stubs.generation[0];
    if (stream->ended)
        return;
    if (stream->aged && stream->born_ms > newest->born_ms)
        newest->born_ms = stream->born_ms;
    if (!stream->aged && stream->born_ms > newest->born_wall_ms)
        newest->born_wall_ms = stream->born_ms;
}

void
ledger_drop (ledger_t *self, stream_t *stream, bool stubbed)
{
    ledger_save_before (self, stream);
    if (!stubbed)
        ledger_stub (self, stream);
    table_remove (&self->streams, stream->hash, stream);
    streams_remove (stream->ended ? &self->ended : &self->live, stream);
    gaps_destroy (&stream->gaps);
    self->lost_forgotten += stream_lost (stream);
    self->dying_series += stream->series_count;
    stream->newer = self->dying;
    self->dying = stream;
    self->last = NULL;
    self->follows = NULL;
}

//  Nothing more is expected of it.
static void
ledger_give_up (ledger_t *self, stream_t *stream)
{
    if (stream->ended
        && (stream->series_count != stream->end_count
            || stream->seq_sum != stream->end_sum))
        self->incomplete++;
    ledger_drop (self, stream, false);
}

bool
ledger_make_room (ledger_t *self)
{
    int64_t since = self->awake_ms - SILENT_FULL_MS;
    stream_t *live = self->live.oldest, *ended = self->ended.oldest;
    stream_t *stream =
      !live || (ended && ended->active_ms <= live->active_ms) ? ended : live;
    if (!stream || stream->active_ms > since)
        return false;
    ledger_give_up (self, stream);
    ledger_free (self, FREE_SLICE);
    return true;
}

//  --------------------------------------------------------------------------
//  Time

//  The oldest stubs have been there for long enough, and are saved. (Else a
//  restart would find their streams as they were saved before, and keep them.)
static bool
ledger_stubs_done (const ledger_t *self)
{
    const stubs_t *stubs = &self->stubs;
    const generation_t *oldest = stubs->generation[stubs->generations - 1];
    return stubs->generations > 1
           && oldest->ended_ms + LATE_MS <= self->awake_ms
           && (!self->write
               || self->save - oldest->ended_save > (uint32_t) self->saving);
}

void
ledger_tick (ledger_t *self, int64_t now_ms)
{
    int64_t passed_ms = now_ms - self->tick_ms;
    self->tick_ms = self->now_ms = now_ms;
    if (passed_ms > 0)
        self->awake_ms += passed_ms < TICK_MAX_MS ? passed_ms : TICK_MAX_MS;
    if (!self->stubs.count)
        self->turned_ms = self->awake_ms;
    if (self->awake_ms - self->turned_ms >= STUBS_TURN_MS)
        ledger_turn_stubs (self);
    while (ledger_stubs_done (self))
        ledger_drop_stubs (self);
}

//  The next stream that was silent for too long, or NULL.
static stream_t *
ledger_silent (const ledger_t *self)
{
    stream_t *ended = self->ended.oldest, *live = self->live.oldest;
    int64_t most_ms = self->crowded ? SILENT_FULL_MS : SILENT_MS;
    if (ended && ended->active_ms + LATE_MS <= self->awake_ms)
        return ended;
    return live && live->active_ms + most_ms <= self->awake_ms ? live : NULL;
}

//  A file that is too large is written anew when that makes it much smaller.
static void
ledger_crowded_out (ledger_t *self)
{
    if (++self->crowded_out > self->streams.count / 2 + CROWDED_LEAST)
        self->renew = true;
}

int
ledger_clean (ledger_t *self, size_t most)
{
    stream_t *stream;
    most = bases_free (&self->bases, self->awake_ms - LATE_MS, most);
    while ((most = ledger_free (self, most))) {
        stream = ledger_silent (self);
        if (!stream)
            return 1;
        ledger_give_up (self, stream);
        if (self->crowded)
            ledger_crowded_out (self);
        most--;
    }
    return 0;
}
