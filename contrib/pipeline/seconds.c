/*  seconds - which second a row gets. The contract is in seconds.h.

    Sections: what was given out, clocks that were ahead, names that fit,
    closing, saving, restoring.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "seconds.h"

#include <czmq.h>
#include <inttypes.h>

enum {
    GIVEN_LEAST = 1024,
    FLUSH_TEXT_MAX = TAKEN_TEXT_MAX + 64  //  bytes of what is saved of a flush
};

//  Seconds of a flush, at most: so that none is near to an overflow.
#define TIME_MAX (INT64_C (1) << 40)

//  --------------------------------------------------------------------------
//  What was given out: a hash table of names' last seconds

static given_t *
s_place (given_t *given, size_t size, uint64_t hash)
{
    size_t at = table_hash_mix (hash ^ table_seed, 0xa0761d6478bd642fu);
    while (given[at & (size - 1)].hash && given[at & (size - 1)].hash != hash)
        at++;
    return &given[at & (size - 1)];
}

//  Makes the table anew, of such a size, without seconds up to that one.
static void
seconds_sift (seconds_t *self, size_t size, int64_t least)
{
    given_t *given = (given_t *) zmalloc (size * sizeof *given);
    size_t i;
    assert (given);
    self->count = 0;
    for (i = 0; i < self->size; i++)
        if (self->given[i].hash && self->given[i].second > least) {
            *s_place (given, size, self->given[i].hash) = self->given[i];
            self->count++;
        }
    free (self->given);
    self->given = given;
    self->size = size;
}

static uint64_t
s_hash (zb_type_t type, const char *name, const char *source)
{
    uint64_t hash = table_hash (type, name, strlen (name));
    hash = table_hash (hash, source, strlen (source));
    return hash ? hash : 1;
}

//  The last second that was given out for a name.
static int64_t
seconds_given (const seconds_t *self, uint64_t hash)
{
    const given_t *given =
      self->size ? s_place (self->given, self->size, hash) : NULL;
    return given && given->hash && given->second > self->floor ? given->second
                                                               : self->floor;
}

static void
seconds_give (seconds_t *self, uint64_t hash, int64_t second)
{
    given_t *given;
    if (self->count * 2 >= self->size)
        seconds_sift (self, self->size ? self->size * 2 : GIVEN_LEAST,
                      INT64_MIN);
    given = s_place (self->given, self->size, hash);
    self->count += given->hash == 0;
    given->hash = hash;
    given->second = second;
    taken_add (&self->taken, second);
}

//  Names that had no row for long are forgotten: from then on their old seconds
//  count as given out.
static void
seconds_forget (seconds_t *self, int64_t flush)
{
    int64_t least = flush - KNOWN_SECONDS;
    if (self->sifted <= 0)
        self->sifted = flush;
    if (self->size && flush - self->sifted >= KNOWN_SECONDS) {
        if (least > self->floor)
            self->floor = least;
        seconds_sift (self, self->size, least);
        self->sifted = flush;
    }
}

bool
seconds_take (seconds_t *self, const char *name, const char *source,
              int64_t second)
{
    uint64_t hash;
    if (self->backend->adds)
        return true;
    hash = s_hash (ZB_TYPE_GAUGE, name, source);
    if (seconds_given (self, hash) >= second)
        return false;
    seconds_give (self, hash, second);
    return true;
}

//  --------------------------------------------------------------------------
//  Clocks that were ahead

//  The clock was ahead, and is not any more: up to `base` seconds were given out
//  before that. No name's last second is later, but for those that are taken for
//  all names.
static void
seconds_turn_back (seconds_t *self, int64_t base)
{
    size_t i;
    for (i = 0; i < self->size; i++)
        if (self->given[i].hash && self->given[i].second > base)
            self->given[i].second = base;
    if (self->floor > base)
        self->floor = base;
    self->flush = self->closed = self->sifted = base;
}

//  The first second of a slot, from that one on.
static int64_t
seconds_of_slot (const seconds_t *self, int64_t second)
{
    int64_t rest = second % self->slot;
    return rest > 0 ? second + self->slot - rest : second - rest;
}

int64_t
seconds_next (seconds_t *self, int64_t due)
{
    int64_t second = due, slot;
    do {
        slot = seconds_of_slot (self, second);
        second = taken_free (&self->taken, slot);
    } while (second != slot);
    if (second < self->flush)
        seconds_turn_back (self, taken_before (&self->taken, second));
    return second;
}

//  What was taken while the clock was ahead counts, now that its time has come,
//  as given out for all names.
static void
seconds_pass (seconds_t *self, int64_t flush)
{
    int64_t taken = taken_before (&self->taken, flush);
    if (taken > self->flush && taken > self->floor)
        self->floor = taken;
}

//  --------------------------------------------------------------------------
//  Entries: in another window, second, or name

//  What a window knows an entry by.
static zb_line_t
s_line_of (const entry_t *entry, int64_t second)
{
    return (zb_line_t){.type = (zb_type_t) entry->type,
                       .name = entry->text,
                       .name_size = entry->name_size,
                       .source = entry->text + entry->name_size + 1,
                       .source_size = entry->source_size,
                       .time = second};
}

//  Moves what an entry has to that of the line, which may be of another window.
static void
s_move (entry_t *entry, window_t *window, const zb_line_t *line)
{
    uint64_t hash = window_hash (line);
    entry_t *to = window_find (window, line, hash);
    entry_merge (to ? to : window_add (window, line, hash), entry);
}

//  What the service makes of an entry's name and source. Returns 1 if they are
//  others.
static int
seconds_fit_entry (const seconds_t *self, const entry_t *entry, char *name,
                   char *source)
{
    int changed = self->backend->fit (entry->text, 0, name);
    return self->backend->fit (entry->text + entry->name_size + 1, 1, source)
           | changed;
}

//  Names and sources that the service could not tell apart are one entry. New
//  ones are added behind those that there were.
static void
seconds_fit (const seconds_t *self, window_t *window)
{
    char name[ZB_NAME_MAX + 1], source[ZB_NAME_MAX + 1];
    entry_t **place = &window->first, **end = window->last;
    for (; self->backend->fit && place != end; place = &(*place)->next) {
        zb_line_t line = s_line_of (*place, (*place)->second);
        if (entry_empty (*place)
            || !seconds_fit_entry (self, *place, name, source))
            continue;
        line.name = name;
        line.name_size = strlen (name);
        line.source = source;
        line.source_size = strlen (source);
        s_move (*place, window, &line);
    }
}

//  --------------------------------------------------------------------------
//  Closing

//  What was open is the window's again.
static void
seconds_reopen (seconds_t *self, window_t *window)
{
    entry_t *entry;
    for (entry = self->open.first; entry; entry = entry->next) {
        zb_line_t line = s_line_of (entry, entry->second);
        s_move (entry, window, &line);
    }
    window_clear (&self->open);
    window_begin (&self->open);
    self->opens = 0;
}

static int
s_compare (const void *a, const void *b)
{
    int64_t x = (*(const entry_t *const *) a)->second;
    int64_t y = (*(const entry_t *const *) b)->second;
    return (x > y) - (x < y);
}

//  What has measured something in a second of its own, by second: what came first
//  must go out first, or it would count as late. Caller owns the return value.
static entry_t **
s_sort (window_t *window, size_t *count)
{
    entry_t **list =
      (entry_t **) malloc ((window->entries.count + 1) * sizeof *list);
    entry_t *entry;
    assert (list);
    *count = 0;
    for (entry = window->first; entry; entry = entry->next)
        if (entry->second && !entry_empty (entry))
            list[(*count)++] = entry;
    qsort (list, *count, sizeof *list, s_compare);
    return list;
}

//  Gives an entry out, or moves it to the second `next`, if its own is closed
//  for it or too far ahead.
static void
seconds_entry (seconds_t *self, window_t *window, entry_t *entry, int64_t next,
               int64_t most, seconds_give_fn *give, void *argument)
{
    bool late = entry->second > most;
    if (!late && entry->second < next) {
        uint64_t hash = s_hash ((zb_type_t) entry->type, entry->text,
                                entry->text + entry->name_size + 1);
        late = entry->second <= seconds_given (self, hash);
        if (!late) {
            seconds_give (self, hash, entry->second);
            give (argument, entry);
            entry_clear (entry);
        }
    }
    if (late) {
        zb_line_t line = s_line_of (entry, next);
        self->late += entry->samples->count;
        s_move (entry, window, &line);
    }
}

//  What is left of a type goes out, or stays open.
static void
seconds_left_type (seconds_t *self, window_t *window, zb_type_t type, bool all,
                   seconds_give_fn *give, void *argument)
{
    entry_t *entry;
    for (entry = window->first; entry; entry = entry->next) {
        zb_line_t line = s_line_of (entry, entry->second);
        if (entry->type != type || !entry->second || entry_empty (entry))
            continue;
        if (all) {
            seconds_give (self, s_hash (line.type, line.name, line.source),
                          entry->second);
            give (argument, entry);
        }
        else
            s_move (entry, &self->open, &line);
    }
}

//  What is left is of seconds that are open; when all goes out there is
//  one, which ends by it. Gauges go first: a percentile of a timer may have the
//  name of one, and must find its second taken.
static void
seconds_left (seconds_t *self, window_t *window, bool all,
              seconds_give_fn *give, void *argument)
{
    seconds_left_type (self, window, ZB_TYPE_GAUGE, all, give, argument);
    seconds_left_type (self, window, ZB_TYPE_TIMER, all, give, argument);
    self->opens = self->open.entries.count;
}

//  Up to which second such a flush gives timers and gauges out.
static int64_t
seconds_closed_by (const seconds_t *self, int64_t flush, bool all)
{
    int64_t closed = flush - 1 - (all ? 0 : OPEN_SECONDS);
    return closed > self->closed ? closed : self->closed;
}

static void
seconds_close_window (seconds_t *self, window_t *window, int64_t flush,
                      bool all, seconds_give_fn *give, void *argument)
{
    int64_t closed = seconds_closed_by (self, flush, all);
    int64_t most = all ? closed + 1 : flush + AHEAD_SECONDS, next;
    entry_t **list;
    size_t i, count;
    seconds_pass (self, flush);
    next = 1 + (closed > self->floor ? closed : self->floor);
    seconds_reopen (self, window);
    seconds_forget (self, flush);
    list = s_sort (window, &count);
    for (i = 0; i < count; i++)
        seconds_entry (self, window, list[i], next, most, give, argument);
    free (list);
    seconds_left (self, window, all, give, argument);
    self->closed = all ? closed + 1 : closed;
}

void
seconds_close (seconds_t *self, window_t *window, int64_t flush, bool all,
               seconds_give_fn *give, void *argument)
{
    entry_t *entry;
    bool adds = self->backend->adds;
    seconds_fit (self, window);
    if (!adds)
        seconds_close_window (self, window, flush, all, give, argument);
    self->flush = flush;
    taken_add (&self->taken, flush);
    for (entry = window->first; entry; entry = entry->next)
        if (adds || !entry->second)
            if (!entry_empty (entry))
                give (argument, entry);
    window_clear (window);
}

int64_t
seconds_of_health (const seconds_t *self, int64_t flush, bool all)
{
    int64_t second = seconds_closed_by (self, flush, all);
    if (all || self->backend->adds)
        return flush;
    return second > self->closed ? second : second + 1;
}

void
seconds_init (seconds_t *self, const zb_backend_t *backend)
{
    memset (self, 0, sizeof *self);
    self->backend = backend;
    self->slot = 1;
    self->flush = self->closed = self->floor = -1;
    taken_begin (&self->taken, -1);
    window_begin (&self->open);
}

void
seconds_start (seconds_t *self, int64_t now)
{
    if (!self->known && !self->backend->adds)
        self->flush = self->closed = self->floor =
          seconds_of_slot (self, now + 1);
    if (!self->known)
        taken_begin (&self->taken, self->flush);
    self->known = true;
}

void
seconds_clear (seconds_t *self)
{
    window_clear (&self->open);
    free (self->given);
    self->given = NULL;
    self->size = self->count = 0;
}

//  --------------------------------------------------------------------------
//  Saving. "|flush" says where all stands and which seconds are taken, and makes
//  what was said to be open before it void.

void
seconds_save (seconds_t *self, ledger_write_fn *write, void *argument)
{
    char taken[TAKEN_TEXT_MAX], line[FLUSH_TEXT_MAX];
    entry_t *entry;
    int size;
    taken_save (&self->taken, taken);
    size = snprintf (line, sizeof line, "|flush|%" PRId64 "|%" PRId64 "%s\n",
                     self->flush, self->closed, taken);
    write (argument, line, (size_t) size);
    for (entry = self->open.first; entry; entry = entry->next)
        entry_save (entry, write, argument);
}

//  --------------------------------------------------------------------------
//  Restoring

static int
seconds_restore_flush (seconds_t *self, const char *text)
{
    int64_t flush, closed;
    int size = 0;
    if (sscanf (text, "%" SCNd64 "|%" SCNd64 "%n", &flush, &closed, &size) != 2
        || flush < -1 || flush > TIME_MAX || closed > flush)
        return -1;
    //  a worker of before knew one range only
    if (!text[size])
        taken_begin (&self->taken, flush);
    else if (taken_restore (&self->taken, text + size) == -1)
        return -1;
    self->flush = flush;
    self->closed = self->floor = closed;
    self->known = true;
    window_clear (&self->open);
    window_begin (&self->open);
    self->opens = 0;
    return 0;
}

int
seconds_restore (seconds_t *self, const char *text, size_t size)
{
    static const char flush[] = "|flush|", open[] = "|open|";
    char copy[FLUSH_TEXT_MAX];
    size_t most = sizeof copy - 1;
    int rc;
    snprintf (copy, sizeof copy, "%.*s", (int) (size < most ? size : most),
              text);
    if (strncmp (copy, flush, strlen (flush)) == 0)
        return seconds_restore_flush (self, copy + strlen (flush));
    if (strncmp (copy, open, strlen (open)) != 0)
        return 1;
    rc =
      window_restore (&self->open, text + strlen (open), size - strlen (open));
    self->opens = self->open.entries.count;
    return rc;
}
