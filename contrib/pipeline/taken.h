/*  taken - which seconds were given out, in a few ranges

    Seconds rise, so that one range has all of them. But a wall clock may be far
    ahead for a moment: what was given out then is a range of its own, and the
    gap before it is free when the clock is right again. When there are too many
    ranges the oldest gap counts as given out.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TAKEN_H
#define ZB_TAKEN_H

#include <stddef.h>
#include <stdint.h>

enum {
    TAKEN_MAX = 16,
    TAKEN_GAP = 60,        //  seconds between two ranges, at least
    TAKEN_TEXT_MAX = 1024  //  bytes of all ranges as a text
};

typedef struct {
    int64_t low, high;
} range_t;

//  Ascending. The first range begins with all time.
typedef struct {
    range_t range[TAKEN_MAX + 1];
    size_t count;
} taken_t;

//  Everything up to that second is taken, and nothing after it.
void taken_begin (taken_t *self, int64_t high);

void taken_add (taken_t *self, int64_t second);

//  The first free second, from that one on.
int64_t taken_free (const taken_t *self, int64_t second);

//  The last taken second before that one.
int64_t taken_before (const taken_t *self, int64_t second);

//  Writes all ranges: "|high|low|high..."
void taken_save (const taken_t *self, char text[TAKEN_TEXT_MAX]);

//  Takes them from such a text. Returns 0, or -1 if it makes no sense: then
//  nothing is changed.
int taken_restore (taken_t *self, const char *text);

#endif
