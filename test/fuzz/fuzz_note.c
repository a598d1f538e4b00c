/*  fuzz_note.c - whatever bytes come, a note is read within its bounds, or makes
    sense in each field; and no measurement is one

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=2048

#include "fuzz.h"

static void
fuzz (const char *text, size_t size)
{
    zb_line_t line;
    note_t note;
    uint64_t count;
    int rc;
    if (note_parse (text, size, &note)) {
        CHECK (note.kind == NOTE_NONE);
        return;
    }
    CHECK (line_parse (text, size, &line) != NULL);
    check_label (text, size, note.level.text, note.level.size);
    check_label (text, size, note.id.text, note.id.size);
    CHECK (note.age_ms >= 0);
    CHECK (note.series <= LINE_INTEGER_MAX
           && note.readings <= LINE_INTEGER_MAX);
    while ((rc = note_count_next (&note.counts, &count)) == 1)
        CHECK (count <= LINE_INTEGER_MAX);
    CHECK (rc == 0 && note.counts.size == 0);
}
