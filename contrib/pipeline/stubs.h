/*  stubs - what is left of streams that have ended: how far they were known

    A program that lives for a tenth of a second leaves 12 bytes here, and 3 or
    4 of an index, for as long as a late copy of its lines can come. They stand
    in generations, in the order of their time, so that the oldest go without a
    walk: a generation is thrown away as a whole. Each is many small tables by
    the highest bits of the hash, since one that grows is made anew.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_STUBS_H
#define ZB_STUBS_H

#include <stddef.h>
#include <stdint.h>

enum {
    STUBS_BITS = 8,
    STUBS_PARTS = 1 << STUBS_BITS,
    STUBS_GENERATIONS = 16,
    //  Of a part; its index has 16 bits. 16 million short programs a generation.
    STUBS_PART_MAX = UINT16_MAX - 1
};

//  With larger numbers the next place is the stub's, too: see stubs.c.
typedef struct {
    uint32_t high, low;  //  of the hash
    uint16_t states, readings;
} stub_t;

typedef struct {
    stub_t *stub;     //  in the order of their coming
    uint16_t *place;  //  by hash: number of the stub, from 1 on; 0: none
    uint32_t count, max, size;
    uint32_t saved, until;  //  stubs written, and to be written by this save
} stubs_part_t;

typedef struct {
    uint64_t number;  //  grows by one with each generation
    //  when the next one began, and in which save
    int64_t ended_ms;
    uint32_t ended_save;
    //  Of the streams in it that may come back: the ledger has to be younger
    //  than they are when the stubs go. INT64_MIN: there are none.
    int64_t born_ms, born_wall_ms;
    stubs_part_t part[STUBS_PARTS];
} generation_t;

typedef struct {
    generation_t *generation[STUBS_GENERATIONS];  //  the newest first
    size_t generations;                           //  at least one
    uint64_t count;                               //  of all stubs
    size_t save_generation, save_part;            //  to be saved next
} stubs_t;

void stubs_init (stubs_t *self);

void stubs_clear (stubs_t *self);

//  Leaves a stub: the first SEQs of states and readings that have not come.
//  Numbers beyond 48 bits count as that.
void
stubs_put (stubs_t *self, uint64_t hash, uint64_t states, uint64_t readings);

//  Returns 1 and the newest stub's numbers, or 0 if there is none.
int stubs_find (const stubs_t *self, uint64_t hash, uint64_t *states,
                uint64_t *readings);

//  Is there no room for a stub of this hash in the newest generation?
int stubs_full (const stubs_t *self, uint64_t hash);

//  Begins a generation. The caller has seen to it that there is a free one.
void stubs_turn (stubs_t *self, int64_t now_ms, uint32_t save);

//  Throws the oldest generation away, unless it is the only one.
void stubs_drop (stubs_t *self);

//  --------------------------------------------------------------------------
//  Saving, as in ledger.h

//  Takes a line, ended by '\n'.
typedef void (stubs_write_fn) (void *argument, const char *text, size_t size);

//  What is there now is to be saved: all of it, or what has not been yet.
void stubs_save_begin (stubs_t *self, int all);

//  Saves the next line of them. Returns 0 if there is none, else 1.
int stubs_save (stubs_t *self, stubs_write_fn *write, void *argument);

//  Begins the generation of that number, if it is not there yet.
void stubs_restore_turn (stubs_t *self, uint64_t number, int64_t now_ms);

//  Takes the stubs of a saved line in, and its generation's number. Calls
//  `each` with the hash of each. Returns -1 if they are none.
int
stubs_restore (stubs_t *self, uint64_t number, const char *text, size_t size,
               void (*each) (void *argument, uint64_t hash), void *argument);

#endif
