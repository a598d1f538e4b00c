/*  ingest - lines go into the ledger and the window. The contract is in
    ingest.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "ingest.h"

#include <czmq.h>

enum {
    FETCH_FROM = 1024,            //  entries are more than caches hold, if more
    STRIDE = 8,                   //  lines between two steps of fetching,
    CACHE_LINE = 64,              //  bytes,
    FETCH_MOST = 8 * CACHE_LINE,  //  and those of one item that are worth it
    STATES_A_NAME = 4  //  of publishers with the same names, on average
};

void
ingest_init (ingest_t *self, size_t max_series)
{
    memset (self, 0, sizeof *self);
    self->ledger = ledger_new ();
    self->ledger->series_max = max_series * STATES_A_NAME;
    self->names.most = max_series;
    window_begin (&self->window);
}

void
ingest_clear (ingest_t *self)
{
    window_clear (&self->window);
    free (self->increment.hist.bucket);
    names_clear (&self->names);
    ledger_destroy (&self->ledger);
}

void
ingest_malformed (ingest_t *self, const char *reason, const char *text,
                  size_t size)
{
    malformed_t *kind = self->malformed;
    while (kind->reason && !streq (kind->reason, reason)
           && kind < self->malformed + MALFORMED_KINDS - 1)
        kind++;
    if (!kind->reason)
        snprintf (kind->example, sizeof kind->example, "%.*s", (int) size,
                  text);
    kind->reason = reason;
    kind->count++;
    self->malformed_lines++;
}

void
ingest_log_malformed (ingest_t *self)
{
    malformed_t *kind;
    for (kind = self->malformed;
         kind < self->malformed + MALFORMED_KINDS && kind->reason; kind++)
        zb_log (LOG_WARNING, "malformed",
                "reason=\"%s\" count=%" PRIu64 " example=\"%s\"", kind->reason,
                kind->count, kind->example);
    memset (self->malformed, 0, sizeof self->malformed);
}

//  The entry of what is folded away.
static entry_t *
ingest_entry_folded (ingest_t *self, const zb_line_t *line)
{
    static const char *const names[] = {"", "zibrato.overflow.counter",
                                        "zibrato.overflow.timer",
                                        "zibrato.overflow.gauge"};
    zb_line_t folded = *line;
    uint64_t hash;
    entry_t *entry;
    names_fold (&self->names, line, line->id ? self->ledger->last : NULL);
    folded.name = names[line->type];
    folded.name_size = strlen (folded.name);
    folded.source = self->source;
    folded.source_size = strlen (self->source);
    hash = window_hash (&folded);
    entry = window_find (&self->window, &folded, hash);
    return entry ? entry : window_add (&self->window, &folded, hash);
}

//  The entry of the window that a line goes to: its own, or the other.
static entry_t *
ingest_entry_of (ingest_t *self, const zb_line_t *line, uint64_t hash)
{
    entry_t *entry = window_find (&self->window, line, hash);
    if (entry)
        return entry;
    return names_admit (&self->names, line)
             ? window_add (&self->window, line, hash)
             : ingest_entry_folded (self, line);
}

//  What is wrong with buckets is what is wrong with the line, read by itself.
static void
ingest_bad_buckets (ingest_t *self, const ahead_t *ahead)
{
    zb_line_t line;
    ingest_malformed (self, line_parse (ahead->text, ahead->size, &line),
                      ahead->text, ahead->size);
}

//  A state of the line's series: its increment goes into the window. The
//  series remembers the entry, which saves a look-up while the window lasts.
static void
ingest_state (ingest_t *self, const ahead_t *ahead)
{
    const zb_line_t *line = &ahead->line;
    increment_t *increment = &self->increment;
    series_t *series;
    increment->count = increment->hist.size = 0;
    series = ledger_state (self->ledger, line, increment);
    if (increment->wrong)
        ingest_bad_buckets (self, ahead);
    else if (series
             && (increment->fresh || increment->count
                 || increment->value != 0)) {
        if (series->window != self->window.number
            || (line->type == ZB_TYPE_TIMER
                && series->entry->second != entry_second (line))) {
            series->entry = ingest_entry_of (self, line, window_hash (line));
            series->window = self->window.number;
        }
        entry_increment (series->entry, increment);
    }
}

//  What has no state: a reading, or a classic line, whose value is all that it
//  adds.
static void
ingest_stateless (ingest_t *self, const ahead_t *ahead)
{
    const zb_line_t *line = &ahead->line;
    entry_key_t key = {line, entry_second (line)};
    entry_t *entry = ahead->guess;
    if (!entry || !entry_same (entry, &key))
        entry = ingest_entry_of (self, line, ahead->hash);
    if (line->type == ZB_TYPE_COUNTER)
        entry->sum += line->value;
    else
        entry_sample (entry, line);
}

//  In place of what is wrong with a line that says that a stream has ended.
static const char s_stream_end[] = "end of a stream";

static void
ingest_end (ingest_t *self, const ahead_t *ahead)
{
    note_t note;
    if (note_parse (ahead->text, ahead->size, &note))
        return;
    note.age_ms = ahead->line.age_ms;
    ledger_end (self->ledger, &note);
}

static void
ingest_take (ingest_t *self, const ahead_t *ahead)
{
    const zb_line_t *line = &ahead->line;
    if (ahead->wrong == s_stream_end) {
        ingest_end (self, ahead);
        return;
    }
    self->received++;
    if (ahead->wrong)
        ingest_malformed (self, ahead->wrong, ahead->text, ahead->size);
    else if (line->id && line->type != ZB_TYPE_GAUGE)
        ingest_state (self, ahead);
    else if (!line->id || ledger_gauge (self->ledger, line) == 0)
        ingest_stateless (self, ahead);
}

//  Lets the processor fetch it, at most what it can wait for at once. It and
//  its like are always inlined: gcc takes a function that does no more for one
//  without effect, and removes calls of it.
__attribute__ ((always_inline)) static inline void
s_fetch (const void *item, size_t size)
{
    const char *at = (const char *) item, *end = at + size;
    if (size > FETCH_MOST)
        end = at + FETCH_MOST;
    for (; at < end; at += CACHE_LINE)
        __builtin_prefetch (at, 1);
    if (size)
        __builtin_prefetch (end - 1, 1);
}

//  The entry of a line, and its samples.
static void
ingest_fetch_entry (const ingest_t *self, ahead_t *ahead)
{
    if (ahead->hash)
        ahead->guess = table_guess (&self->window.entries, ahead->hash);
    if (ahead->guess)
        s_fetch (ahead->guess, entry_size (&ahead->line));
}

__attribute__ ((always_inline)) static inline void
s_fetch_buckets (const ahead_t *ahead)
{
    const hist_t *hist;
    if (ahead->guess && ahead->line.type == ZB_TYPE_TIMER
        && ahead->guess->type == ZB_TYPE_TIMER) {
        hist = &ahead->guess->samples->hist;
        s_fetch (hist->bucket, hist->size * sizeof *hist->bucket);
    }
}

//  With many series what a line goes to is anywhere in memory, which is ten
//  times as slow as all the rest. So each part of it is asked for STRIDE lines
//  before that is looked at to find the next: where its entry is, the entry,
//  its buckets. `at` is the line read last, or would be if there were more.
static void
ingest_fetch (ingest_t *self, size_t at)
{
    if (self->window.entries.count < FETCH_FROM)
        return;
    if (at >= STRIDE && at - STRIDE < self->aheads)
        ingest_fetch_entry (self, &self->ahead[at - STRIDE]);
    if (at >= 2 * STRIDE && at - 2 * STRIDE < self->aheads)
        s_fetch_buckets (&self->ahead[at - 2 * STRIDE]);
}

void
ingest_take_all (ingest_t *self)
{
    size_t at;
    for (at = 0; at < self->aheads; at++) {
        ingest_fetch (self, self->aheads + at);
        ingest_take (self, &self->ahead[at]);
    }
    self->aheads = 0;
}

//  An entry of second 0 is the flush's.
static void
ingest_second (const ingest_t *self, zb_line_t *line)
{
    line->by_flush =
      self->all_by_flush || (line->type == ZB_TYPE_TIMER && self->by_flush);
    if (line->time == 0)
        line->time = 1;
}

//  The line that was read before, if it was one: its text is there until it is
//  taken in.
static const zb_line_t *
ingest_before (const ingest_t *self, const ahead_t *ahead)
{
    return ahead > self->ahead && !ahead[-1].wrong ? &ahead[-1].line : NULL;
}

//  Reads a line. One that was refused may be a note, which is no measurement.
//  Returns -1 if it is one about the lines behind it: that is kept for them. The
//  end of a stream waits for its turn.
static int
ingest_read (ingest_t *self, ahead_t *ahead)
{
    zb_line_t *line = &ahead->line;
    note_t note;
    ahead->wrong =
      line_read (ahead->text, ahead->size, line, ingest_before (self, ahead));
    if (!ahead->wrong) {
        ingest_second (self, line);
        if (line->id && self->stream.kind)
            note_apply (&self->stream, line);
        return 0;
    }
    if (note_parse (ahead->text, ahead->size, &note))
        return 0;
    if (note.kind == NOTE_STREAM) {
        self->stream = note;
        return -1;
    }
    ahead->wrong = s_stream_end;
    *line = (zb_line_t){.level = note.level.text,
                        .level_size = note.level.size,
                        .id = note.id.text,
                        .id_size = note.id.size,
                        .age_ms = -1};
    note_apply (&self->stream, line);
    return 0;
}

//  One line, from whatever publisher. It is taken in with others, later.
static void
ingest_line (ingest_t *self, const char *text, size_t size)
{
    ahead_t *ahead = &self->ahead[self->aheads];
    const zb_line_t *line = &ahead->line;
    ahead->text = text;
    ahead->size = size;
    if (ingest_read (self, ahead) == -1)
        return;
    ahead->hash = 0;
    ahead->guess = NULL;
    if (!ahead->wrong && (!line->id || line->type == ZB_TYPE_GAUGE)) {
        ahead->hash = window_hash (line);
        __builtin_prefetch (table_place (&self->window.entries, ahead->hash));
    }
    ingest_fetch (self, self->aheads++);
    if (self->aheads == AHEAD)
        ingest_take_all (self);
}

void
ingest_lines (ingest_t *self, const char *text, size_t size)
{
    const char *end = text + size, *newline;
    self->stream.kind = NOTE_NONE;
    do {
        newline = memchr (text, '\n', (size_t) (end - text));
        ingest_line (self, text, (size_t) ((newline ? newline : end) - text));
        text = newline ? newline + 1 : end;
    } while (text < end);
}

void
ingest_message (ingest_t *self, const char *text, size_t size)
{
    ingest_lines (self, text, size);
    ingest_take_all (self);
}

static void
ingest_sample (ingest_t *self, const zb_line_t *line)
{
    uint64_t hash = window_hash (line);
    entry_t *entry = window_find (&self->window, line, hash);
    if (!entry)
        entry = window_add (&self->window, line, hash);
    if (line->type == ZB_TYPE_COUNTER)
        entry->sum += line->value;
    else
        entry_sample (entry, line);
}

void
ingest_own (ingest_t *self, const char *name, uint64_t value, uint64_t *told,
            int64_t second)
{
    zb_line_t line = {.type = told ? ZB_TYPE_COUNTER : ZB_TYPE_GAUGE,
                      .name = name,
                      .name_size = strlen (name),
                      .source = self->source,
                      .source_size = strlen (self->source),
                      .value = (double) value,
                      .time = second,
                      .by_flush = self->all_by_flush};
    if (told) {
        line.value -= (double) *told;
        *told = value;
    }
    if (!told || line.value != 0)
        ingest_sample (self, &line);
}
