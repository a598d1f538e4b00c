/*  gaps - which readings of a stream have not come, as ranges of their SEQ

    Most streams have none, and pay a pointer.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_GAPS_H
#define ZB_GAPS_H

#include <stdint.h>

//  Ranges of one stream, at most. A lost message makes one, whatever it had; so
//  only readings that go astray one by one can make so many.
enum { GAPS_MAX = 256 };

typedef struct {
    uint64_t from, to;  //  from, and up to, but without, to
} gap_t;

//  In ascending order, none of them empty. NULL: there is none.
typedef struct {
    uint32_t count, max;
    gap_t gap[];
} gaps_t;

//  Adds a range that lies behind all others, or before them. If it is one too
//  many, the lowest goes: its readings will be taken for known.
void gaps_add (gaps_t **self_p, uint64_t from, uint64_t to);

//  A reading has come. Returns 1 if it was missing, else 0.
int gaps_fill (gaps_t **self_p, uint64_t seq);

//  Forgets what lies below.
void gaps_trim (gaps_t **self_p, uint64_t seq);

void gaps_destroy (gaps_t **self_p);

#endif
