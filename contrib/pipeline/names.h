/*  names - type, name and source of what rows are made of, bounded in number

    Who invents names cannot make a worker grow: what is beyond the bound is
    added up in one series a type.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_NAMES_H
#define ZB_NAMES_H

#include "ledger.h"
#include "values.h"

typedef struct {
    //  64-bit hashes only; a name that is not seen for two turns is forgotten
    set_t now, before;
    size_t most;
    uint64_t folded;   //  lines that were beyond it, since the last flush
    uint64_t classic;  //  of those, without a stream
    uint64_t dropped;  //  lines, all in all, as last said: see ledger_t.unmet
    uint32_t reports;  //  so far: a stream's count is of this one, or void
    values_t values;   //  of their tags, also beyond the bound; since the turn
    uint64_t worst_lines;
    char
      worst[LINE_NAME_MAX + LINE_LABEL_MAX * 2 + 64];  //  who has most of them
} names_t;

//  Does a row of its own belong to the line? Who was known keeps it, even if
//  others have come in between.
int names_admit (names_t *self, const zb_line_t *line);

//  Takes note of a line that was not admitted, and of whose it is: a stream
//  counts its own. NULL: a classic line.
void names_fold (names_t *self, const zb_line_t *line, stream_t *stream);

//  Says who has been folded away since the last flush, which tag has most values,
//  what was dropped because the ledger is full of streams, and who opens most of
//  them; and begins anew.
void names_report (names_t *self, ledger_t *ledger);

//  A turn: to be called at the interval after which names are forgotten.
void names_turn (names_t *self);

void names_clear (names_t *self);

#endif
