/*  bases - where series that are older than their ledger begin to be its own

    Of such a series a ledger counts what the first line says of itself. What the
    total was before that is the base: an earlier ledger has counted it. By
    several brokers, a line from before the first may come after it; then the
    base was too high, and what lies between is counted, too.

    A base is kept for as long as a late line can come.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BASES_H
#define ZB_BASES_H

#include "stream.h"
#include "table.h"

enum { BASE_TEXT = 64 };

typedef struct base {
    struct base *newer;
    const series_t *series;  //  NULL: it has gone
    int64_t met_ms;          //  when it was put
    uint64_t seq;            //  of the line behind it
    double total;            //  Counter
    uint64_t count;          //  Timer, the following too
    zb_ns_t sum_ns;
} base_t;

typedef struct {
    table_t table;
    base_t *oldest, *newest;
} bases_t;

//  What a line says that its series was before.
base_t base_before (const zb_line_t *line);

//  Writes the value of a ledger's line, which says what the base is. Returns it.
const char *base_text (const base_t *self, bool timer, char text[BASE_TEXT]);

//  What such a line says that the base was.
base_t base_saved (const zb_line_t *line);

//  In place of the one that the series has. None can be below a SEQ of 0.
void
bases_put (bases_t *self, const series_t *series, base_t base, int64_t now_ms);

//  Returns it, or NULL.
base_t *bases_find (const bases_t *self, const series_t *series);

//  The same as it is, or 0.
base_t bases_at (const bases_t *self, const series_t *series);

//  The series goes.
void bases_forget (bases_t *self, const series_t *series);

//  Frees up to so many that were put before. Returns how many it might have
//  freed beyond that.
size_t bases_free (bases_t *self, int64_t before_ms, size_t most);

void bases_clear (bases_t *self);

#endif
