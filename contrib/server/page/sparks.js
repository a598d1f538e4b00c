//  sparks - what metrics that are in sight were a short while ago
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";

const STEP = 10, OVERLAP = 70, DELAY = 3;     //  seconds

//  {values, to} by the metric's id.
export const sparks = new Map ();

//  What is to be asked for, by the time from which on: of a line that is there, its
//  end, for which rows may still have come.
function wanted (metrics, to, span) {
    const ids = new Map ();
    for (const metric of metrics) {
        const known = sparks.get (metric.id)?.to ?? 0;
        if (now () - metric.last > span || known >= to)
            continue;
        const from = Math.max (to - span, known - OVERLAP);
        ids.set (from, [...ids.get (from) ?? [], metric]);
    }
    return ids;
}

//  The line goes on; what it is made of stays as long.
function extend (metric, spark, from, to, size) {
    const known = sparks.get (metric.id);
    const before = known ? known.values.slice (0, (from - known.to) / STEP) : [];
    sparks.set (metric.id, {to, values: before.concat (spark.values).slice (-size)});
    metric.last = Math.max (metric.last, spark.last);
}

//  `span`: so many seconds, after which a metric is silent; the server says it.
export async function extendSparks (metrics, span) {
    const to = Math.floor ((now () - DELAY) / STEP) * STEP;
    for (const [from, some] of wanted (metrics, to, span)) {
        const answer = await get ("api/sparks", {
            ids: some.map (({id}) => id).join (","), from, to, resolution: STEP})
            .catch (() => ({sparks: []}));
        for (const spark of answer.sparks)
            extend (some.find (({id}) => id === spark.id), spark, from, to,
                    span / STEP);
    }
}
