/*  names - how many there may be. The contract is in names.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "names.h"

#include "log.h"

#include <czmq.h>

int
names_admit (names_t *self, const zb_line_t *line)
{
    uint64_t hash = table_hash (line->type, line->name, line->name_size);
    hash = table_hash (hash, line->source, line->source_size);
    if (set_has (&self->now, hash))
        return 1;
    if (self->now.count >= self->most
        && (self->now.count >= 2 * self->most
            || !set_has (&self->before, hash)))
        return 0;
    set_put (&self->now, hash);
    values_note (&self->values, line->name, line->name_size);
    return 1;
}

void
names_fold (names_t *self, const zb_line_t *line, stream_t *stream)
{
    uint64_t lines;
    if (stream && stream->folded_turn != self->reports) {
        stream->folded_turn = self->reports;
        stream->folded = 0;
    }
    values_note (&self->values, line->name, line->name_size);
    lines = stream ? ++stream->folded : ++self->classic;
    self->folded++;
    if (lines <= self->worst_lines)
        return;
    self->worst_lines = lines;
    if ((lines & (lines - 1)) == 0)
        log_part (self->worst, sizeof self->worst,
                  "stream=%.*s source=\"%.*s\" name=\"%.*s\"",
                  line->id ? (int) line->id_size : 7,
                  line->id ? line->id : "classic", (int) line->source_size,
                  line->source, (int) line->name_size, line->name);
}

void
names_report (names_t *self, ledger_t *ledger)
{
    const opener_t *opener = openers_most (&ledger->openers);
    const values_key_t *tag;
    uint64_t dropped = ledger->unmet - self->dropped, values;
    char opened[sizeof opener->source + 64], tagged[VALUES_KEY_MAX + 64] = "";
    if (self->folded || dropped) {
        tag = values_most (&self->values, &values);
        if (tag)
            log_part (tagged, sizeof tagged, " tag=\"%s\" values=%" PRIu64,
                      tag->key, values);
        log_part (opened, sizeof opened, " opener=\"%s\" opened=%" PRIu64,
                  opener->source, opener->count);
        zb_log (LOG_WARNING, "overflow",
                "lines=%" PRIu64 " dropped=%" PRIu64
                " max_series=%zu worst_lines=%" PRIu64 "%s%s%s streams=%zu%s",
                self->folded, dropped, self->most, self->worst_lines,
                self->folded ? " " : "", self->worst, tagged,
                ledger->streams.count, opener->count ? opened : "");
        self->reports++;
    }
    openers_clear (&ledger->openers);
    self->folded = self->classic = self->worst_lines = 0;
    self->dropped = ledger->unmet;
    self->worst[0] = 0;
}

void
names_turn (names_t *self)
{
    set_clear (&self->before);
    self->before = self->now;
    memset (&self->now, 0, sizeof self->now);
    values_clear (&self->values);
}

void
names_clear (names_t *self)
{
    set_clear (&self->now);
    set_clear (&self->before);
}
