//  sparks - what metrics that are in sight were a short while ago
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";

export const STEP_S = 10;       //  from one value to the next
const OVERLAP_S = 70;           //  a worker that flushes once a minute is so late
const DELAY_S = 3;              //  until rows are there

//  {values, to, shows, isLeftOut} by the metric's id: a value for each step up to a time, null
//  where there is none; what the values of a timer are, "p95" or "mean"; and whether the
//  metric has too many series to be read.
export const sparks = new Map ();

//  The metrics by the time from which on they are to be asked for: of a line that is
//  there, some of its end again, since rows may have come late.
function metricsByStart (metrics, to, span) {
    const starts = new Map ();
    for (const metric of metrics) {
        const end = sparks.get (metric.id)?.to ?? 0;
        if (end >= to)
            continue;
        const from = Math.max (to - span, end - OVERLAP_S);
        starts.set (from, [...starts.get (from) ?? [], metric]);
    }
    return starts;
}

//  The line goes on, and loses as much at its begin.
function extend (metric, spark, from, to, size) {
    const known = sparks.get (metric.id);
    const before = known ? known.values.slice (0, (from - known.to) / STEP_S) : [];
    sparks.set (metric.id, {to, shows: spark.shows ?? known?.shows, isLeftOut: spark.left_out,
                            values: before.concat (spark.values).slice (-size)});
    metric.last = Math.max (metric.last, spark.last);
}

//  Lines of the last so many seconds. Returns whether any has changed.
export async function loadSparks (metrics, span) {
    const to = Math.floor ((now () - DELAY_S) / STEP_S) * STEP_S;
    const starts = metricsByStart (metrics, to, span);
    for (const [from, some] of starts) {
        const answer = await get ("api/sparks", {
            ids: some.map (({id}) => id).join (","), from, to, resolution: STEP_S})
            .catch (() => ({sparks: []}));
        for (const spark of answer.sparks)
            extend (some.find (({id}) => id === spark.id), spark, from, to, span / STEP_S);
    }
    return starts.size > 0;
}
