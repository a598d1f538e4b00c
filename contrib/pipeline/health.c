/*  health - what a worker says of itself. The contract is in health.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "health.h"

#include <czmq.h>
#include <inttypes.h>

void
health_measure (health_t *self, int64_t second)
{
    ingest_t *ingest = self->ingest;
    ledger_t *ledger = ingest->ledger;
    const queue_t *queue = self->queue;
    const flush_t *flush = self->flush;
    uint64_t refused = flush->totals ? flush->totals->refused : 0;
    uint64_t age_ms = (uint64_t) (zclock_mono () - queue->success_ms);
    uint64_t ledger_bytes =
      flush->spool ? (uint64_t) spool_ledger_bytes (flush->spool) : 0;
    const struct {
        const char *name;
        uint64_t value;
        uint64_t *told;  //  the last time; NULL: a gauge
    } health[] = {
      {"zibrato.received", ingest->received, &self->told.received},
      {"zibrato.malformed", ingest->malformed_lines, &self->told.malformed},
      {"zibrato.duplicate", ledger->duplicates, &self->told.duplicate},
      {HEALTH_LOST, ledger_lost (ledger), &ledger->lost_told},
      {"zibrato.incomplete", ledger->incomplete, &self->told.incomplete},
      {"zibrato.dropped", ledger->unmet, &self->told.dropped},
      {"zibrato.missed", self->subscriber->missed.missed, &self->told.missed},
      {"zibrato.delivered", queue->delivered_rows, &self->told.delivered},
      {"zibrato.rejected", queue->rejected_rows + flush->unwritten,
       &self->told.rejected},
      {"zibrato.refused", refused, &self->told.refused},
      {"zibrato.superseded", queue->superseded_rows, &self->told.superseded},
      {"zibrato.overflowed", queue->dropped_rows, &self->told.overflowed},
      {"zibrato.late", flush->seconds.late, &self->told.late},
      {"zibrato.series", ledger_series_count (ledger), NULL},
      {"zibrato.queue_bytes", queue->bytes, NULL},
      {"zibrato.success_age", age_ms / 1000, NULL},
      {"zibrato.ledger_bytes", ledger_bytes, NULL}};  //  with a spool
    size_t i, count = sizeof health / sizeof *health - !flush->spool;
    for (i = 0; i < count; i++)
        ingest_own (ingest, health[i].name, health[i].value, health[i].told,
                    second);
}

bool
health_has_lost (const health_t *self)
{
    const ledger_t *ledger = self->ingest->ledger;
    return self->subscriber->missed.missed != self->told.missed
           || ledger_lost (ledger) != ledger->lost_told
           || ledger->incomplete != self->told.incomplete
           || ledger->unmet != self->told.dropped
           || self->ingest->malformed_lines != self->told.malformed;
}

void
health_log_missed (const health_t *self)
{
    uint64_t count = self->subscriber->missed.missed - self->told.missed;
    if (count)
        zb_log (LOG_WARNING, "missed",
                "reason=\"messages that the broker had for us\" count=%" PRIu64,
                count);
}
