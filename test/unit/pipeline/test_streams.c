/*  test_streams - do streams count once, and all of it, as they come and go?

    Programs are born, report, and end or are killed, beside a ledger that is
    saved in slices, crashes, and is restored, with a journal of what came since.
    The network repeats lines, delays them, for less than LATE_MS, and loses
    some. A naive model knows what was delivered. Everything follows from a seed.

    In worlds with a small table streams are given up and come back. There the
    model knows less: nothing counts twice.

    ZB_SEED=n in the environment runs that world alone.

    Sections: programs, the network, the model, saving, the world, stubs, gaps,
    clocks.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "ledger.h"
#include "line.h"
#include "note.h"

#include <czmq.h>

enum {
    WORLDS = SANITIZED ? 100 : 1000,
    ROUNDS = 120,
    ROUND_MS = 5000,
    PROGRAMS = 60,
    SERIES = 3,
    READINGS = 40,
    DELAY_ROUNDS = 4,  //  at most: with what comes twice, less than LATE_MS
    PACKETS = 20000
};

//  --------------------------------------------------------------------------
//  Programs, and what the model knows of them

//  What has come of it: this is what a crash takes back to the last flush.
typedef struct {
    double counted[SERIES];  //  by the ledger
    double total[SERIES];    //  of the newest line
    uint64_t seq[SERIES];    //  of that, + 1; 0: none has come
    bool taken[READINGS];
    uint64_t readings;  //  highest known of, + 1
    bool end;           //  has come
} known_t;

typedef struct {
    char id[40];
    bool aged, ended, killed;
    int64_t born_ms;  //  by our clock
    double total[SERIES];
    uint64_t seq, first[SERIES], last[SERIES];
    uint64_t readings;
    known_t known, saving, saved;
} program_t;

typedef struct {
    char text[160];
    int program, due;
} packet_t;

typedef struct {
    uint32_t seed;
    unsigned loss, twice, delay, crash;
    size_t most;
    int round;
    int64_t now_ms;
    ledger_t *ledger;
    program_t program[PROGRAMS];
    packet_t packet[PACKETS];
    size_t packets;
    //  the folder: the ledger's file, what is added to it, and the journal
    char *file, *more;
    size_t file_size, more_size;
    bool saving, all, forgetful;
    packet_t journal[PACKETS];
    int64_t journal_ms[PACKETS];
    size_t journaled, journal_from;
} world_t;

static world_t *s_world;

static int
s_chance (unsigned percent)
{
    return s_any () % 100 < percent;
}

static void
world_send (world_t *self, int program, const char *text)
{
    int copies = 1 + s_chance (self->twice);
    for (; copies > 0; copies--) {
        packet_t *packet = &self->packet[self->packets];
        if (s_chance (self->loss))
            continue;
        assert_true (self->packets++ < PACKETS);
        snprintf (packet->text, sizeof packet->text, "%s", text);
        packet->program = program;
        packet->due = self->round + (int) (s_any () % (self->delay + 1));
    }
}

static void
program_start (program_t *self, int64_t now_ms)
{
    memset (self, 0, sizeof *self);
    self->born_ms = now_ms;
    self->aged = s_any () % 4 != 0;
    snprintf (self->id, sizeof self->id, "%" PRIx64 "-%" PRIx64,
              (uint64_t) zclock_time () + 1000000, s_any ());
}

//  A message: what is known of the stream, and a line or none.
static void
program_send (program_t *self, world_t *world, const char *line)
{
    char text[160];
    int at = 0;
    if (self->aged)
        at = snprintf (text, sizeof text, "info|Stream|%s|%" PRId64 "\n",
                       self->id, world->now_ms - self->born_ms);
    snprintf (text + at, sizeof text - (size_t) at, "%s", line);
    world_send (world, (int) (self - world->program), text);
}

static void
program_count (program_t *self, world_t *world, int series, double value)
{
    char line[160];
    uint64_t seq = self->seq++;
    if (!self->last[series])
        self->first[series] = seq;
    self->last[series] = seq + 1;
    self->total[series] += value;
    snprintf (line, sizeof line,
              "info|Counter|n%d|%g|1700000000|s|%s:%" PRIu64 ":%" PRIu64 ":%g",
              series, value, self->id, seq, self->first[series],
              self->total[series]);
    program_send (self, world, line);
}

static void
program_read (program_t *self, world_t *world)
{
    char line[160];
    if (self->readings == READINGS)
        return;
    snprintf (line, sizeof line,
              "info|Gauge|g|1|1700000000|s|%s:%" PRIu64 ":%" PRIu64, self->id,
              self->readings, self->readings);
    self->readings++;
    program_send (self, world, line);
}

static void
program_end (program_t *self, world_t *world)
{
    char line[160];
    uint64_t count = 0, sum = 0;
    int i;
    for (i = 0; i < SERIES; i++)
        if (self->last[i]) {
            count++;
            sum += self->last[i] - 1;
        }
    self->ended = true;
    snprintf (line, sizeof line, "info|End|%s|%" PRIu64 "|%" PRIu64 "|%" PRIu64,
              self->id, count, sum, self->readings);
    program_send (self, world, line);
}

static void
program_live (program_t *self, world_t *world)
{
    int i, count = (int) (s_any () % 4);
    for (i = 0; i < count; i++)
        if (s_any () % 3)
            program_count (self, world, (int) (s_any () % SERIES),
                           (double) (s_any () % 10));
        else
            program_read (self, world);
    if (s_chance (10))
        program_end (self, world);
    else if (s_chance (5))
        self->killed = true;
}

//  --------------------------------------------------------------------------
//  The model

static void
world_fail (const char *what, int program, double wanted, double came)
{
    const world_t *self = s_world;
    fail_msg ("seed %u, round %d: %s of program %d: wanted %g, came %g (loss "
              "%u, twice %u, delay %u, crash %u, most %zu)",
              self->seed, self->round, what, program, wanted, came, self->loss,
              self->twice, self->delay, self->crash, self->most);
}

//  Does the model know all? Not of what was refused or given up.
static bool
world_exact (const world_t *self)
{
    return self->most == SIZE_MAX;
}

static void
world_state (world_t *self, program_t *program, const zb_line_t *line)
{
    known_t *known = &program->known;
    increment_t increment = {0};
    int n = (int) (program - self->program), series = line->name[1] - '0';
    if (ledger_state (self->ledger, line, &increment))
        known->counted[series] += increment.value;
    if (line->seq + 1 > known->seq[series]) {
        known->seq[series] = line->seq + 1;
        known->total[series] = line->total;
    }
    if (world_exact (self) ? known->counted[series] != known->total[series]
                           : known->counted[series] > known->total[series])
        world_fail ("total", n, known->total[series], known->counted[series]);
}

static void
world_reading (world_t *self, program_t *program, const zb_line_t *line)
{
    known_t *known = &program->known;
    int n = (int) (program - self->program);
    bool taken = ledger_gauge (self->ledger, line) == 0;
    if (taken && known->taken[line->seq])
        world_fail ("a reading again", n, 0, (double) line->seq);
    if (world_exact (self) && !taken && !known->taken[line->seq])
        world_fail ("a reading not taken", n, 1, (double) line->seq);
    known->taken[line->seq] |= taken;
    if (line->seq + 1 > known->readings)
        known->readings = line->seq + 1;
}

static bool
known_any (const known_t *self)
{
    return self->seq[0] || self->seq[1] || self->seq[2] || self->readings;
}

//  Without an age it says nothing to who knows nothing.
static void
known_end (known_t *self, const note_t *note)
{
    if (note->age_ms < 0 && !known_any (self))
        return;
    self->end = true;
    if (note->readings > self->readings)
        self->readings = note->readings;
}

//  A message comes: as of the worker, line by line.
static void
world_take (world_t *self, const packet_t *packet)
{
    program_t *program = &self->program[packet->program];
    const char *line = packet->text, *end;
    note_t note, stream = {.age_ms = -1};
    zb_line_t parsed;
    for (; line; line = end ? end + 1 : NULL) {
        end = strchr (line, '\n');
        size_t size = end ? (size_t) (end - line) : strlen (line);
        if (!line_parse (line, size, &parsed)) {
            parsed.age_ms = stream.age_ms;
            if (parsed.type == ZB_TYPE_GAUGE)
                world_reading (self, program, &parsed);
            else
                world_state (self, program, &parsed);
            continue;
        }
        assert_null (note_parse (line, size, &note));
        if (note.kind == NOTE_STREAM)
            stream = note;
        else {
            note.age_ms = stream.age_ms;
            ledger_end (self->ledger, &note);
            known_end (&program->known, &note);
        }
    }
}

static uint64_t
world_lost (const world_t *self)
{
    uint64_t lost = 0, i;
    int n;
    for (n = 0; n < PROGRAMS; n++)
        for (i = 0; i < self->program[n].known.readings; i++)
            lost += !self->program[n].known.taken[i];
    return lost;
}

//  --------------------------------------------------------------------------
//  Saving

static void
world_write (void *argument, const char *text, size_t size)
{
    world_t *self = (world_t *) argument;
    self->more = (char *) realloc (self->more, self->more_size + size);
    assert_non_null (self->more);
    memcpy (self->more + self->more_size, text, size);
    self->more_size += size;
}

static void
world_save_begin (world_t *self, bool all)
{
    int n;
    self->all = all || self->ledger->renew;
    self->more_size = 0;
    self->saving = true;
    self->journal_from = self->journaled;
    for (n = 0; n < PROGRAMS; n++)
        self->program[n].saving = self->program[n].known;
    ledger_save_begin (self->ledger, self->all, world_write, self);
}

static void
world_save (world_t *self, size_t most)
{
    int n;
    if (!self->saving || !ledger_save (self->ledger, most))
        return;
    if (self->all)
        self->file_size = 0;
    self->file =
      (char *) realloc (self->file, self->file_size + self->more_size);
    assert_non_null (self->file);
    memcpy (self->file + self->file_size, self->more, self->more_size);
    self->file_size += self->more_size;
    for (n = 0; n < PROGRAMS; n++)
        self->program[n].saved = self->program[n].saving;
    self->journaled -= self->journal_from;
    memmove (self->journal, self->journal + self->journal_from,
             self->journaled * sizeof *self->journal);
    memmove (self->journal_ms, self->journal_ms + self->journal_from,
             self->journaled * sizeof *self->journal_ms);
    self->saving = false;
}

//  Killed, and started again: the file, then the journal.
static void
world_crash (world_t *self)
{
    const char *line = self->file, *end;
    int n;
    size_t i;
    ledger_destroy (&self->ledger);
    self->ledger = ledger_new ();
    self->ledger->series_max = self->most;
    self->saving = false;
    for (; line < self->file + self->file_size; line = end + 1) {
        end = memchr (line, '\n', self->file_size);
        if (ledger_restore (self->ledger, line, (size_t) (end - line)) == -1)
            fail_msg ("seed %u: not restored: %.*s", self->seed,
                      (int) (end - line), line);
    }
    self->ledger->tick_ms = self->now_ms;
    for (n = 0; n < PROGRAMS; n++)
        self->program[n].known = self->program[n].saved;
    for (i = 0; i < self->journaled; i++) {
        self->ledger->now_ms = self->journal_ms[i];
        world_take (self, &self->journal[i]);
    }
}

//  --------------------------------------------------------------------------
//  The world

static void
world_carry (world_t *self)
{
    size_t i, left = 0;
    self->ledger->now_ms = self->now_ms;
    for (i = 0; i < self->packets; i++) {
        packet_t packet = self->packet[i];
        if (packet.due > self->round) {
            self->packet[left++] = packet;
            continue;
        }
        assert_true (self->journaled < PACKETS);
        self->journal_ms[self->journaled] = self->now_ms;
        self->journal[self->journaled++] = packet;
        world_take (self, &packet);
        if (s_chance (10))
            world_save (self, s_any () % 3);
    }
    self->packets = left;
}

static void
world_pass (world_t *self)
{
    int i;
    for (i = 0; i < ROUND_MS / 1000; i++)
        ledger_tick (self->ledger, self->now_ms += 1000);
    ledger_clean (self->ledger, s_any () % 20);
}

static void
world_round (world_t *self)
{
    int i;
    for (i = 0; i < PROGRAMS; i++) {
        program_t *program = &self->program[i];
        if (program->born_ms <= self->now_ms && !program->ended
            && !program->killed)
            program_live (program, self);
    }
    world_carry (self);
    if (s_chance (self->crash))
        world_crash (self);
    if (!self->saving && s_chance (30))
        world_save_begin (self, s_chance (30));
    world_save (self, s_any () % 100);
    world_pass (self);
    self->round++;
}

//  In the end nothing is left but of those that were killed, or whose End was
//  lost.
static void
world_judge (world_t *self)
{
    size_t stay = 0;
    int i;
    while (self->packets) {
        self->round++;
        world_carry (self);
        world_pass (self);
    }
    if (world_exact (self) && world_lost (self) != ledger_lost (self->ledger))
        world_fail ("lost readings", -1, (double) world_lost (self),
                    (double) ledger_lost (self->ledger));
    while (self->saving)
        world_save (self, 100);
    for (i = 0; i < 2 * (LATE_MS + STUBS_TURN_MS) / ROUND_MS + 2; i++) {
        world_pass (self);
        ledger_clean (self->ledger, SIZE_MAX);
        world_save_begin (self, false);
        world_save (self, SIZE_MAX);
    }
    for (i = 0; i < PROGRAMS; i++) {
        known_t *known = &self->program[i].known;
        stay += !known->end && known_any (known);
    }
    if (world_exact (self) && stay != self->ledger->streams.count)
        world_fail ("streams", -1, (double) stay,
                    (double) self->ledger->streams.count);
    if (world_exact (self) && self->ledger->stubs.count)
        world_fail ("stubs", -1, 0, (double) self->ledger->stubs.count);
    if (self->ledger->dying)
        world_fail ("freed", -1, 0, 1);
}

static void
s_try (uint32_t seed)
{
    world_t *self = (world_t *) zmalloc (sizeof *self);
    int i;
    s_world = self;
    s_seed = seed;
    self->seed = seed;
    self->loss = (unsigned) (s_any () % 2 * (s_any () % 30));
    self->twice = (unsigned) (s_any () % 2 * (s_any () % 100));
    self->delay = (unsigned) (s_any () % 2 * (s_any () % DELAY_ROUNDS));
    self->crash = (unsigned) (s_any () % 2 * (s_any () % 20));
    self->most = s_any () % 3 ? SIZE_MAX : 5 + s_any () % 40;
    self->ledger = ledger_new ();
    self->ledger->series_max = self->most;
    self->now_ms = self->ledger->tick_ms;
    for (i = 0; i < PROGRAMS; i++)
        program_start (&self->program[i],
                       self->now_ms
                         + (int64_t) (s_any () % (ROUNDS * ROUND_MS)));
    world_save_begin (self, true);
    world_save (self, SIZE_MAX);
    while (self->round < ROUNDS)
        world_round (self);
    world_judge (self);
    ledger_destroy (&self->ledger);
    free (self->file);
    free (self->more);
    free (self);
}

static void
test_worlds (void **state)
{
    const char *seed = getenv ("ZB_SEED");
    uint32_t i;
    (void) state;
    if (seed)
        s_try ((uint32_t) atoi (seed));
    else
        for (i = 0; i < WORLDS; i++)
            s_try (i);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_worlds)};
    return cmocka_run_group_tests_name ("streams", tests, NULL, NULL);
}
