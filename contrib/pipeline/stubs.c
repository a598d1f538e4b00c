/*  stubs - how far ended streams were known. The contract is in stubs.h.

    Sections: a part, generations, saving.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "stubs.h"

#include <czmq.h>

//  --------------------------------------------------------------------------
//  A part: stubs, and an index with open addressing

//  Both numbers of a stub being WIDE says that they are in the next place,
//  which then is a wide_t: 48 bits each. Few streams live for so long.
enum { WIDE = UINT16_MAX };

typedef struct {
    uint16_t states[3], readings[3];  //  the lowest bits first
} wide_t;

static int
stub_wide (const stub_t *self)
{
    return self->states == WIDE && self->readings == WIDE;
}

static void
s_split (uint64_t number, uint16_t part[3])
{
    if (number >> 48)
        number = ~UINT64_C (0) >> 16;
    part[0] = (uint16_t) number;
    part[1] = (uint16_t) (number >> 16);
    part[2] = (uint16_t) (number >> 32);
}

static uint64_t
s_join (const uint16_t part[3])
{
    return part[0] | (uint64_t) part[1] << 16 | (uint64_t) part[2] << 32;
}

//  The place of a hash, or that where it would be. Any size will do: the low
//  half of the hash is taken as a fraction of it.
static uint16_t *
part_place (const stubs_part_t *self, uint32_t high, uint32_t low)
{
    uint32_t at = (uint32_t) ((uint64_t) low * self->size >> 32);
    while (self->place[at]) {
        const stub_t *stub = &self->stub[self->place[at] - 1];
        if (stub->low == low && stub->high == high)
            break;
        at = at + 1 == self->size ? 0 : at + 1;
    }
    return &self->place[at];
}

//  Makes the index anew. The later one of two stubs of a hash counts.
static void
part_index (stubs_part_t *self, uint32_t size)
{
    uint32_t i;
    free (self->place);
    self->size = size;
    self->place = (uint16_t *) zmalloc (size * sizeof *self->place);
    for (i = 0; i < self->count; i += stub_wide (&self->stub[i]) ? 2 : 1)
        *part_place (self, self->stub[i].high, self->stub[i].low) =
          (uint16_t) (i + 1);
}

//  Both grow by an eighth, for memory is what this is about. A quarter of the
//  index, at least, stays empty.
static void
part_reserve (stubs_part_t *self)
{
    if (self->count + 2 > self->max) {
        self->max += self->max / 8 + 4;
        self->stub =
          (stub_t *) realloc (self->stub, self->max * sizeof *self->stub);
        assert (self->stub);
    }
    if ((self->count + 1) * 4 > self->size * 3)
        part_index (self, self->size + self->size / 8 + 8);
}

static void
part_put (stubs_part_t *self, const stub_t *stub)
{
    part_reserve (self);
    self->stub[self->count++] = *stub;
    if (stub_wide (stub))
        self->stub[self->count++] = stub[1];
    *part_place (self, stub->high, stub->low) =
      (uint16_t) (self->count - (stub_wide (stub) ? 1 : 0));
}

//  --------------------------------------------------------------------------
//  Generations

static generation_t *
generation_new (uint64_t number)
{
    generation_t *self = (generation_t *) zmalloc (sizeof *self);
    self->number = number;
    self->born_ms = self->born_wall_ms = INT64_MIN;
    return self;
}

//  Returns how many stubs it had.
static uint64_t
generation_free (generation_t *self)
{
    uint64_t count = 0;
    size_t i;
    for (i = 0; i < STUBS_PARTS; i++) {
        count += self->part[i].count;
        free (self->part[i].stub);
        free (self->part[i].place);
    }
    free (self);
    return count;
}

void
stubs_init (stubs_t *self)
{
    memset (self, 0, sizeof *self);
    self->generation[0] = generation_new (0);
    self->generations = 1;
}

void
stubs_clear (stubs_t *self)
{
    while (self->generations)
        generation_free (self->generation[--self->generations]);
}

static stubs_part_t *
generation_part (generation_t *self, uint32_t high)
{
    return &self->part[high >> (32 - STUBS_BITS)];
}

void
stubs_put (stubs_t *self, uint64_t hash, uint64_t states, uint64_t readings)
{
    stub_t stub[2] = {{(uint32_t) (hash >> 32), (uint32_t) hash,
                       (uint16_t) states, (uint16_t) readings}};
    stubs_part_t *part = generation_part (self->generation[0], stub->high);
    wide_t wide;
    uint32_t count = part->count;
    if (states >= WIDE || readings >= WIDE) {
        stub->states = stub->readings = WIDE;
        s_split (states, wide.states);
        s_split (readings, wide.readings);
        memcpy (&stub[1], &wide, sizeof wide);
    }
    part_put (part, stub);
    self->count += part->count - count;
}

int
stubs_find (const stubs_t *self, uint64_t hash, uint64_t *states,
            uint64_t *readings)
{
    uint32_t high = (uint32_t) (hash >> 32);
    size_t i;
    for (i = 0; i < self->generations; i++) {
        const stubs_part_t *part = generation_part (self->generation[i], high);
        uint16_t at =
          part->size ? *part_place (part, high, (uint32_t) hash) : 0;
        const stub_t *stub = at ? &part->stub[at - 1] : NULL;
        wide_t wide;
        if (!stub)
            continue;
        *states = stub->states;
        *readings = stub->readings;
        if (stub_wide (stub)) {
            memcpy (&wide, &stub[1], sizeof wide);
            *states = s_join (wide.states);
            *readings = s_join (wide.readings);
        }
        return 1;
    }
    return 0;
}

int
stubs_full (const stubs_t *self, uint64_t hash)
{
    const stubs_part_t *part =
      generation_part (self->generation[0], (uint32_t) (hash >> 32));
    return part->count + 2 > STUBS_PART_MAX;
}

void
stubs_turn (stubs_t *self, int64_t now_ms, uint32_t save)
{
    uint64_t number = self->generation[0]->number + 1;
    assert (self->generations < STUBS_GENERATIONS);
    self->generation[0]->ended_ms = now_ms;
    self->generation[0]->ended_save = save;
    memmove (self->generation + 1, self->generation,
             self->generations++ * sizeof *self->generation);
    self->generation[0] = generation_new (number);
    if (self->save_generation)
        self->save_generation++;
}

void
stubs_drop (stubs_t *self)
{
    if (self->generations == 1)
        return;
    self->count -= generation_free (self->generation[--self->generations]);
    if (self->save_generation > self->generations) {
        self->save_generation = self->generations;
        self->save_part = 0;
    }
}

//  --------------------------------------------------------------------------
//  Saving: "|stubs|GENERATION|...", 16 characters of base64 each

enum { STUBS_LINE = 64, STUB_TEXT = 16 };

static const char s_digits[] =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

//  As the memory has it: a folder is read by the kind of machine that wrote it.
static void
stub_print (const stub_t *self, char text[STUB_TEXT])
{
    unsigned char byte[sizeof *self];
    size_t i;
    memcpy (byte, self, sizeof byte);
    for (i = 0; i < sizeof byte; i += 3, text += 4) {
        uint32_t bits =
          (uint32_t) byte[i] << 16 | (uint32_t) byte[i + 1] << 8 | byte[i + 2];
        text[0] = s_digits[bits >> 18];
        text[1] = s_digits[bits >> 12 & 63];
        text[2] = s_digits[bits >> 6 & 63];
        text[3] = s_digits[bits & 63];
    }
}

//  Returns -1 if it is none.
static int
stub_read (stub_t *self, const char text[STUB_TEXT])
{
    static signed char value[256];  //  -1: no digit; made at the first call
    unsigned char byte[sizeof *self];
    size_t i, at;
    if (!value['B']) {
        memset (value, -1, sizeof value);
        for (i = 0; i < 64; i++)
            value[(unsigned char) s_digits[i]] = (signed char) i;
    }
    for (at = 0; at < sizeof byte; at += 3) {
        uint32_t bits = 0;
        for (i = 0; i < 4; i++, text++) {
            if (value[(unsigned char) *text] < 0)
                return -1;
            bits = bits << 6 | (unsigned char) value[(unsigned char) *text];
        }
        byte[at] = (unsigned char) (bits >> 16);
        byte[at + 1] = (unsigned char) (bits >> 8);
        byte[at + 2] = (unsigned char) bits;
    }
    memcpy (self, byte, sizeof *self);
    return 0;
}

void
stubs_save_begin (stubs_t *self, int all)
{
    size_t i, j;
    for (i = 0; i < self->generations; i++)
        for (j = 0; j < STUBS_PARTS; j++) {
            stubs_part_t *part = &self->generation[i]->part[j];
            part->until = part->count;
            if (all)
                part->saved = 0;
        }
    self->save_generation = self->generations;
    self->save_part = 0;
}

//  Writes stubs of a part, at most a line. A wide one is not torn.
static void
part_save (stubs_part_t *self, uint64_t number, stubs_write_fn *write,
           void *argument)
{
    char line[32 + (STUBS_LINE + 1) * STUB_TEXT + 1];
    size_t size = (size_t) snprintf (line, 32, "|stubs|%" PRIu64 "|", number);
    uint32_t end = self->saved + STUBS_LINE;
    int wide = 0;
    for (; self->saved < self->until && (self->saved < end || wide);
         self->saved++) {
        const stub_t *stub = &self->stub[self->saved];
        stub_print (stub, line + size);
        size += STUB_TEXT;
        wide = !wide && stub_wide (stub);
    }
    line[size++] = '\n';
    write (argument, line, size);
}

//  The next part that has something to be saved, or NULL. *number becomes its
//  generation's.
static stubs_part_t *
stubs_save_next (stubs_t *self, uint64_t *number)
{
    for (; self->save_generation; self->save_generation--) {
        generation_t *generation = self->generation[self->save_generation - 1];
        *number = generation->number;
        for (; self->save_part < STUBS_PARTS; self->save_part++) {
            stubs_part_t *part = &generation->part[self->save_part];
            if (part->saved < part->until)
                return part;
        }
        self->save_part = 0;
    }
    return NULL;
}

int
stubs_save (stubs_t *self, stubs_write_fn *write, void *argument)
{
    uint64_t number;
    stubs_part_t *part = stubs_save_next (self, &number);
    if (part)
        part_save (part, number, write, argument);
    return part != NULL;
}

void
stubs_restore_turn (stubs_t *self, uint64_t number, int64_t now_ms)
{
    if (number <= self->generation[0]->number)
        return;
    if (self->generations == STUBS_GENERATIONS)
        stubs_drop (self);
    stubs_turn (self, now_ms, 0);
    self->generation[0]->number = number;
}

int
stubs_restore (stubs_t *self, uint64_t number, const char *text, size_t size,
               void (*each) (void *argument, uint64_t hash), void *argument)
{
    size_t i = self->generations;
    stub_t stub[2];
    if (size % STUB_TEXT)
        return -1;
    while (i > 1 && self->generation[i - 1]->number < number)
        i--;
    for (; size; text += STUB_TEXT, size -= STUB_TEXT) {
        stubs_part_t *part;
        if (stub_read (stub, text) == -1)
            return -1;
        if (stub_wide (stub)) {
            text += STUB_TEXT;
            size -= STUB_TEXT;
            if (!size || stub_read (stub + 1, text) == -1)
                return -1;
        }
        part = generation_part (self->generation[i - 1], stub->high);
        if (part->count + 2 > STUBS_PART_MAX)
            return -1;
        each (argument, (uint64_t) stub->high << 32 | stub->low);
        self->count -= part->count;
        part_put (part, stub);
        part->saved = part->count;
        self->count += part->count;
    }
    return 0;
}
