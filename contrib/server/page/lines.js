//  lines - what a chart draws of a block, and what its legend says of that
//
//  A line is {id of a series, label, values, counts or total, band, held, reach, whole}:
//  `held` has the indices of values of a counter that come after a gap, `reach` is how many
//  seconds without a value are none, and the first `whole` values are of intervals that
//  are over.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {ended, whole} from "./block.js";
import {clock, plural, span} from "./format.js";
import {beyond} from "./heat.js";
import {heldBack} from "./peaks.js";
import {reachOf} from "./spark.js";

//  A counter that was not counted up has no row: that is zero, unless there is none
//  for so long that it may be a gap.
function withZeros (values) {
    const reach = reachOf (values), filled = [...values];
    let last = values.length;
    values.forEach ((value, i) => {
        if (value === null)
            return;
        if (i - last <= reach)
            filled.fill (0, last + 1, i);
        last = i;
    });
    return filled;
}

//  Timers of Librato's clients have no buckets, and then there are no percentiles.
const hasPercentiles = ({groups}) =>
    groups.some (({p95}) => p95?.some ((value) => value !== null));

//  The column of a setting, with and without percentiles.
const COLUMN = {p50: "p50", p95: "p95", p99: "p99", average: "value", highest: "max"};
const PLAIN_COLUMN = {...COLUMN, p50: "value", p95: "value", p99: "value"};

//  Of a timer: lines of percentiles if there is one group, else a line of each.
function timerLines ({line}, block) {
    const percentiles = hasPercentiles (block);
    if (block.groups.length === 1) {
        const [group] = block.groups;
        const columns = percentiles ? ["p50", "p95", "p99"] : ["value", "max"];
        return columns.map ((column) => ({label: column === "value" ? "mean" : column,
                                          values: group[column] ?? [], counts: group.n}));
    }
    const column = (percentiles ? COLUMN : PLAIN_COLUMN)[line];
    return block.groups.map ((group) => ({id: group.id, label: group.label,
                                          values: group[column], counts: group.n}));
}

function counterLines ({per}, block) {
    const {resolution, running, count} = block;
    const seconds = (i) => per === "interval" ? 1
        : running && i === count - 1 ? running : resolution;
    return block.groups.map (({id, label, value}) => {
        const total = withZeros (value);
        return {id, label, total, held: heldBack (value, resolution),
                values: total.map ((one, i) => one === null ? null : one / seconds (i))};
    });
}

function gaugeLines ({groups}) {
    return groups.map (({id, label, value, n, min, max}) => ({
        id, label, values: value, counts: n,
        band: groups.length === 1 && n.some ((count) => count > 1) ? [min, max] : null}));
}

export function lines (settings, block) {
    const found = block.type === "timer" ? timerLines (settings, block)
        : block.type === "gauge" ? gaugeLines (block) : counterLines (settings, block);
    for (const line of found) {
        line.reach = reachOf (line.values) * block.resolution;
        line.whole = whole (block);
    }
    return found;
}

//  Are they the same lines, perhaps with other numbers?
export const areSame = (some, others) => some.length === others.length
    && some.every (({label, band}, i) =>
        label === others[i].label && !band === !others[i].band);

//  What a point of a chart is, and when the last one ends that is over.
export function about ({per}, block, utc) {
    const {type, resolution, series, asked, kept, cells, running} = block;
    const step = span (resolution);
    const counts = per === "second" ? `${step} points, per second` : `counts of ${step}`;
    const points = {counter: counts, total: counts, gauge: `means of ${step}`,
                    timer: cells ? `samples of ${step}, by how long they took`
                        : `${hasPercentiles (block) ? "percentiles" : "means"} of ${step}`};
    const soFar = running ? `, then ${span (running)} so far` : "";
    return [`${points[type]} until ${clock (ended (block), utc)}${soFar}`,
            plural (series, "series", "series"),
            kept > asked ? "finer is not kept for so long" : "",
            cells ? beyond (block) : ""].filter (Boolean).join (" · ");
}

//  What a legend says of a line: its values are of intervals that are over, its total
//  is of all. A counter's mean is of the gaps, too: what was counted in them has come after
//  them.
export function summary (line) {
    const all = line.values.slice (0, line.whole), isThere = (value) => value !== null;
    const values = all.filter (isThere);
    const length = line.total ? all.findLastIndex (isThere) + 1 - all.findIndex (isThere)
        : values.length;
    const add = (numbers) => numbers.reduce ((sum, value) => sum + (value ?? 0), 0);
    const total = line.values.some (isThere)
        ? add (line.total ?? line.counts ?? []) : null;
    if (!values.length)
        return {last: null, min: null, mean: null, max: null, total};
    return {last: values.at (-1), mean: add (values) / length,
            min: values.reduce ((a, b) => Math.min (a, b)),
            max: values.reduce ((a, b) => Math.max (a, b)), total};
}
