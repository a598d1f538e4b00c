/*  ledger - what was last accepted of each series, so that totals become
    increments and every repetition nothing

        line ──▶ stream ──▶ series ──▶ increment       known here: the rest of it
                   │                                    is new
                   ├─ End, nothing missing ──▶ stub     12 bytes, for LATE_MS
                   ├─ End, something missing ─▶ stub    after LATE_MS
                   └─ silent, the table full ─▶ stub    from which it may return

    Clocks: a stream's age and the ledger's are of CLOCK_BOOTTIME, which is
    never set. How long something was silent is counted in the time that we
    were awake for, since while we stood still nothing could be read.

    Names of rules in brackets, [HIGHER_SEQ], are those of the model of the
    protocol, test/model/zibrato.pml, which shows what goes wrong without them.

    Sections of this file: data, taking in, ending, saving.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEDGER_H
#define ZB_LEDGER_H

#include "arena.h"
#include "bases.h"
#include "hist.h"
#include "stubs.h"
#include "note.h"
#include "openers.h"
#include "stream.h"
#include "table.h"

//  Milliseconds of being awake
enum {
    //  [LONG_MARK] How late a copy of a line can come behind another copy of it, or behind
    //  the End of its stream. On its way it waits in three places at most, each
    //  for at most 20 s: in a program's connection to a broker (ZB_DEAD_MS_,
    //  then it is cut, and what is in it is lost), in a broker (one that stood
    //  still for longer throws away what it has), in that broker's connection
    //  to us (heartbeats, then it is cut). What waits in our own buffers is
    //  read within a second or two of being awake. Repetitions are no later
    //  than that: a stream's last lines are its End. Twice the sum of that:
    LATE_MS = 120 * 1000,
    //  A generation of stubs; so stubs stay for LATE_MS to LATE_MS + this.
    STUBS_TURN_MS = 60 * 1000,
    //  A stream that has an unchanged series repeats it each 30 s (ZB_BEAT_MS_);
    //  after two of those, and some more, it is likely to be dead.
    SILENT_FULL_MS = 65 * 1000,
    //  Until a stream without an End is given up, though there is room.
    SILENT_MS = 24 * 3600 * 1000,
    //  What one tick can make us older by: more is time that we stood still.
    TICK_MAX_MS = 2000
};

//  --------------------------------------------------------------------------
//  Data

//  Takes lines of a ledger that is being saved, each ended by '\n'.
typedef void (ledger_write_fn) (void *argument, const char *text, size_t size);

typedef struct {
    table_t streams, series;
    arena_t arena;    //  of streams and series
    streams_t live;   //  those without an End,
    streams_t ended;  //  and those with one, of which something is missing
    stream_t *dying;  //  in no table any more; linked by `newer`
    size_t dying_series;
    stubs_t stubs;
    bool several;   //  lines come by several brokers: one may come late,
    bases_t bases;  //  and tell that its series begins earlier
    openers_t openers;
    uint64_t key;    //  of the hashes of streams: as random as table_seed, but
                     //  the same for all the ledger's life
    stream_t *last;  //  most messages are of one stream,
    series_t *follows;  //  with its series in the order in which they were met
    int64_t born_ms;    //  of CLOCK_BOOTTIME,
    int64_t born_wall_ms;  //  and of the wall clock, for lines without an age
    int64_t now_ms;        //  of CLOCK_BOOTTIME, when the message came
    int64_t tick_ms, awake_ms;  //  the last tick; what all ticks have added up
    int64_t turned_ms;          //  awake_ms when the stubs' generation began
    hist_t reported;            //  by the line that is being taken in
    uint64_t duplicates;
    uint64_t lost;  //  readings that should have come and have not, so far;
    uint64_t lost_forgotten;  //  of those, of streams that have gone,
    uint64_t lost_told;       //  and what a flush has reported
    uint64_t incomplete;  //  streams given up whose End says that states, or
                          //  their repetitions, are missing
    size_t series_max;    //  then no more are met; also of streams
    uint64_t unmet;       //  lines of such

    //  Saving: what is written is the state when it began. What changes
    //  meanwhile is written before it does.
    uint32_t save;              //  number of the next one
    bool saving, all;           //  under way; the unchanged, too
    bool renew;                 //  the next save has to be of all
    bool crowded;               //  its file is too large: see ledger_clean
    size_t crowded_out;         //  streams given up for that since a whole save
    bool stubs_saved;           //  of this save
    uint32_t heads;             //  saves that were restored
    stream_t *pending;          //  moved on before their series were saved
    stream_t *save_stream;      //  being saved,
    series_t *save_series;      //  and its next series
    int64_t save_wall_ms;       //  when it began
    int64_t wall_ms, shift_ms;  //  the same of what is restored, and what its
                                //  times are off by, if the host has begun anew
    ledger_write_fn *write;
    void *write_argument;
    char *line;  //  being made
    size_t line_size, line_max;
} ledger_t;

//  What a line adds to what was accepted before.
typedef struct {
    const char *wrong;  //  with the line, which is not taken in; or NULL
    int fresh;          //  the series is new here
    uint64_t count;
    double value, sum_squares;
    zb_ns_t sum_ns;
    int64_t min_ns, max_ns;
    hist_t hist;
} increment_t;

//  Caller owns the return value.
ledger_t *ledger_new (void);

void ledger_destroy (ledger_t **self_p);

//  --------------------------------------------------------------------------
//  Taking in. The caller sets now_ms before.

//  Takes in a state that line_read has taken. Returns the series, or NULL if it
//  says nothing new, has bad buckets, or is of one series too many. The buckets
//  of out are the caller's, who frees them.
series_t *
ledger_state (ledger_t *self, const zb_line_t *line, increment_t *out);

//  Takes a reading in once. Returns 0, or -1 if it has been here before, is too
//  late to tell, or of one stream too many.
int ledger_gauge (ledger_t *self, const zb_line_t *line);

//  Takes the end of a stream in. It shrinks to a stub as soon as nothing of it
//  is missing.
void ledger_end (ledger_t *self, const note_t *note);

//  Readings that should have come and have not, so far. A late one lowers it.
uint64_t ledger_lost (const ledger_t *self);

//  Series of streams that are not about to be freed.
size_t ledger_series_count (const ledger_t *self);

//  --------------------------------------------------------------------------
//  Ending

//  To be called some times a second: time goes by.
void ledger_tick (ledger_t *self, int64_t now_ms);

//  Gives up what has been silent for too long, and frees what has ended, up to
//  so many series and streams. Returns 1 if nothing is left to do, else 0. While
//  the caller says that the ledger is `crowded`, what was silent for
//  SILENT_FULL_MS goes, too.
//
//  From a stream's being given up on, the ledger knows how far it came (a
//  stub), and later that it is younger than the stream: should it come back,
//  nothing of it is counted twice.
int ledger_clean (ledger_t *self, size_t most);

//  --------------------------------------------------------------------------
//  Saving

//  Begins to save what has changed since the last save, or all of it: as lines
//  that ledger_restore takes. A save under way is given up; then the next must
//  be of all, as it must if `renew` is set.
void ledger_save_begin (ledger_t *self, int all, ledger_write_fn *write,
                        void *argument);

//  Goes on with up to so many streams and series. Returns 1 at the end, else 0.
int ledger_save (ledger_t *self, size_t most);

//  Takes a saved line in. The last of several for a series counts. Returns -1
//  if it is none.
int ledger_restore (ledger_t *self, const char *text, size_t size);

//  --------------------------------------------------------------------------
//  Between the ledger's own files only

//  Series that are freed at once when a stream ends, or makes room for another.
enum { FREE_SLICE = 64 };

//  May something of the stream come that is older than what has come?
bool ledger_begins_earlier (const ledger_t *self, const stream_t *stream);

//  An earlier ledger has counted the series, but not this line, which is the
//  first that has come.
void
ledger_base (ledger_t *self, const series_t *series, const zb_line_t *line);

//  A line that is older than what the series has. Returns whether it adds
//  something all the same, since the series began with it.
bool ledger_lower (ledger_t *self, series_t *series, const zb_line_t *line,
                   increment_t *out);

//  Where the readings of a stream begin to be this ledger's.
void
ledger_meet_gauges (ledger_t *self, stream_t *stream, const zb_line_t *line);

//  What it was is saved before it changes.
void series_touch (ledger_t *self, series_t *series);

//  A report alone, all that is known of whose samples are their number, sum,
//  least and most.
void increment_spread (increment_t *self);

//  Finds or makes the stream that a line belongs to, whatever is known and
//  however many there are.
stream_t *ledger_stream_restore (ledger_t *self, const zb_line_t *line);

//  Finds or makes the series of a line; *fresh tells which. NULL: one too many.
series_t *ledger_series (ledger_t *self, stream_t *stream,
                         const zb_line_t *line, int *fresh);

//  The line's state, but for the buckets, is the last one now.
void series_take (series_t *self, const zb_line_t *line);

//  A stream goes. It leaves a stub if it is `stubbed`; else there is one.
void ledger_drop (ledger_t *self, stream_t *stream, bool stubbed);

//  Makes room for one more, if one is silent for long enough. Returns whether.
bool ledger_make_room (ledger_t *self);

//  Frees up to so many series and streams of those that go, but none that a
//  save is still to write. Returns how many it might have freed beyond that.
size_t ledger_free (ledger_t *self, size_t most);

//  Moves a stream to the end of its list.
void ledger_lift (streams_t *list, stream_t *stream);

//  Is this to be written, and has not been yet?
int ledger_wants (const ledger_t *self, uint32_t changed, uint32_t saved);

void ledger_save_stream (ledger_t *self, stream_t *stream);

void ledger_save_series (ledger_t *self, series_t *series);

//  What a stream was is saved before it changes or goes.
void ledger_save_before (ledger_t *self, stream_t *stream);

#endif
