/*  sweep - series and metrics without points go, and old events. The contract is in
    sweep.h.

    What the coarsest level does not keep, none does. So a pass goes through all series
    when that level has ended some more of the past, then through the metrics, and then
    through the events.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sweep.h"
#include "clock.h"
#include "documents.h"
#include "sql.h"
#include "store_own.h"

enum {
    SLICE_IDS = 50000,   //  that are looked at
    SLICE_EVENTS = 500,  //  that are deleted
    SLICE_MS = 20,       //  that a slice is to take, about
    AGAIN_S = 60,
};

//  A name stands in quotes in a document, and in a composite metric there these are
//  escaped.
#define NAMED(end)                                                             \
    "instr (lower (document.body), lower ('\"' || metric.name || '" end "'))"

int
sweep_open (sweep_t *self, sqlite3 *db)
{
    self->series = sql_prepare (db, "DELETE FROM series WHERE id = ?1");
    self->metric =
      sql_prepare (db, "DELETE FROM metric WHERE id = ?1 AND attributes IS NULL"
                       " AND display_name IS NULL AND description IS NULL"
                       " AND composite IS NULL AND NOT EXISTS"
                       " (SELECT 1 FROM document WHERE kind IN (?2, ?3)"
                       "  AND (" NAMED ("\"") " OR " NAMED ("\\\"") "))");
    sqlite3_bind_int (self->metric, 2, DOCUMENT_CHART);
    sqlite3_bind_int (self->metric, 3, DOCUMENT_ALERT);
    self->event = sql_prepare (
      db, "DELETE FROM document WHERE id IN (SELECT id FROM document"
          " WHERE kind = ?1 AND time < ?2"
          " AND ifnull (json_extract (body, '$.end_time'), 0) < ?2 LIMIT ?3)");
    sqlite3_bind_int (self->event, 1, DOCUMENT_EVENT);
    sqlite3_bind_int (self->event, 3, SLICE_EVENTS);
    return self->series && self->metric && self->event ? 0 : -1;
}

void
sweep_close (sweep_t *self)
{
    sqlite3_finalize (self->series);
    sqlite3_finalize (self->metric);
    sqlite3_finalize (self->event);
    buffer_clear (&self->removed);
}

//  --------------------------------------------------------------------------
//  A slice

//  Is there anything of this ID that is to go?
static bool
s_is_over (const store_t *store, int64_t id)
{
    const sweep_t *self = &store->sweep;
    const series_entry_t *series;
    const metric_entry_t *metric;
    if (self->pass == SWEEP_SERIES) {
        series = catalog_series_of (store->catalog, id);
        return series && series->last_s < self->since_s;
    }
    metric = catalog_metric_of (store->catalog, id);
    return metric && !metric->series && metric->last_s < self->since_s;
}

static int64_t
s_end (const store_t *store)
{
    switch (store->sweep.pass) {
        case SWEEP_SERIES:
            return catalog_series_end (store->catalog);
        case SWEEP_METRICS:
            return catalog_metric_end (store->catalog);
        default:
            return 1;  //  they are found by their times
    }
}

//  Deletes rows of the tables, and notes which. Returns 0 or -1.
static int
s_delete_some (store_t *store)
{
    sweep_t *self = &store->sweep;
    sqlite3_stmt *statement =
      self->pass == SWEEP_SERIES ? self->series : self->metric;
    int64_t end = s_end (store), until_ms = boot_ms () + SLICE_MS;
    if (end > self->at + SLICE_IDS)
        end = self->at + SLICE_IDS;
    for (; self->at < end && boot_ms () < until_ms; self->at++) {
        if (!s_is_over (store, self->at))
            continue;
        sqlite3_bind_int64 (statement, 1, self->at);
        if (sql_done (statement) == -1)
            return -1;
        if (sqlite3_changes (store->db))
            buffer_add (&self->removed, &self->at, sizeof self->at);
    }
    return 0;
}

//  Takes them out of the catalog, too. If nobody reads, their memory is free.
static void
s_remove (store_t *store)
{
    sweep_t *self = &store->sweep;
    const int64_t *id = (const int64_t *) (void *) self->removed.text;
    size_t count = self->removed.size / sizeof *id;
    bool alone = gate_close (&store->gate, 0);
    for (size_t i = 0; i < count; i++)
        if (self->pass == SWEEP_SERIES)
            catalog_remove_series (store->catalog, id[i], alone);
        else
            catalog_remove_metric (store->catalog, id[i], alone);
    gate_open (&store->gate);
}

//  Deletes events that were over before what is kept. Returns 0 or -1.
static int
s_delete_events (store_t *store)
{
    sweep_t *self = &store->sweep;
    sqlite3_bind_int64 (self->event, 2, self->since_s);
    if (sql_done (self->event) == -1)
        return -1;
    self->at = sqlite3_changes (store->db) < SLICE_EVENTS;
    return 0;
}

static int
s_sweep_some (store_t *store)
{
    sweep_t *self = &store->sweep;
    bool events = self->pass == SWEEP_EVENTS;
    int64_t at = self->at;
    self->removed.size = 0;
    if (store_begin (store) == 0
        && (events ? s_delete_events (store) : s_delete_some (store)) == 0
        && store_commit (store) == 0) {
        if (self->removed.size)
            s_remove (store);
        return 0;
    }
    store_rollback (store);
    self->at = at;
    return -1;
}

//  --------------------------------------------------------------------------
//  A pass

bool
sweep_is_due (const store_t *store)
{
    return store->since_s[LEVEL_HOUR] > store->sweep.done_s;
}

static void
s_begin (store_t *store)
{
    sweep_t *self = &store->sweep;
    self->since_s = store->since_s[LEVEL_HOUR];
    self->pass = SWEEP_SERIES;
    self->at = 0;
}

//  When all IDs have been looked at. The next one follows.
static void
s_end_pass (sweep_t *self)
{
    self->at = 0;
    if (self->pass++ != SWEEP_EVENTS)
        return;
    self->pass = SWEEP_NONE;
    self->done_s = self->since_s;
}

bool
sweep_slice (store_t *store)
{
    sweep_t *self = &store->sweep;
    if (!sweep_is_due (store) || store->now_s < self->again_s)
        return false;
    if (self->pass == SWEEP_NONE)
        s_begin (store);
    if (s_sweep_some (store) == -1) {
        self->again_s = store->now_s + AGAIN_S;
        return false;
    }
    if (self->at >= s_end (store))
        s_end_pass (self);
    return true;
}
