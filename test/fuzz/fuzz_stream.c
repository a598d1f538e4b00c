/*  fuzz_stream.c - the seventh field: whatever its bytes are, an accepted one
    moves the ledger by a sensible increment, and once only

    The first byte of the input chooses the type, and whether the ledger has
    seen the stream's beginning; the other fields are good.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=1024

#include "fuzz.h"

static void
s_check_increment (const zb_line_t *line, const increment_t *increment)
{
    const hist_t *hist = &increment->hist;
    size_t i;
    CHECK (isfinite (increment->value));
    CHECK (isfinite (increment->sum_squares) && increment->sum_squares >= 0);
    CHECK (increment->count <= line->count);
    CHECK (increment->sum_ns <= line->sum_ns);
    if (increment->count) {
        CHECK (increment->min_ns >= 0);
        CHECK (increment->min_ns <= increment->max_ns);
    }
    for (i = 0; i < hist->size; i++) {
        CHECK (hist->bucket[i].count > 0);
        CHECK (i == 0 || hist->bucket[i].index > hist->bucket[i - 1].index);
    }
}

static void
s_check_ledger (const zb_line_t *line, int64_t born_ms)
{
    ledger_t *ledger = ledger_new ();
    increment_t increment = {0}, none = {0};
    //  a reading that was sent before an older stream met us is another's
    uint64_t others = line->type == ZB_TYPE_GAUGE && line->sent_given
                      && line->sent > line->seq
                      && strtoll (line->id, NULL, 16) < born_ms;
    ledger->born_wall_ms = born_ms;
    if (line->type == ZB_TYPE_GAUGE) {
        CHECK (ledger_gauge (ledger, line) == (others ? -1 : 0));
        CHECK (ledger_gauge (ledger, line) == -1);
        CHECK (ledger_lost (ledger) <= line->seq);
    }
    else {
        CHECK (ledger_state (ledger, line, &increment));
        s_check_increment (line, &increment);
        CHECK (!ledger_state (ledger, line, &none));
        free (increment.hist.bucket);
    }
    CHECK (ledger->duplicates == 1 + others);
    ledger_destroy (&ledger);
}

static void
fuzz (const char *text, size_t size)
{
    static const char *const lines[] = {"l|Counter|name|0.5|1760000000|source|",
                                        "l|Timer|name|0.5|1760000000|source|",
                                        "l|Gauge|name|0.5|1760000000|source|"};
    const char *line = lines[size ? (unsigned char) *text % 3 : 0];
    size_t line_size = strlen (line) + (size ? size - 1 : 0);
    char *copy = (char *) malloc (line_size);
    zb_line_t parsed;
    CHECK (copy);
    memcpy (copy, line, strlen (line));
    if (size)
        memcpy (copy + strlen (line), text + 1, size - 1);
    if (!line_parse (copy, line_size, &parsed)) {
        CHECK (parsed.id);
        check_line (copy, line_size, &parsed);
        s_check_ledger (&parsed, (unsigned char) *text % 2 ? 0 : INT64_MAX);
    }
    free (copy);
}
