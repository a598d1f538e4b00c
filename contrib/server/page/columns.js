//  columns - answers of /api/points, and the lines that a chart makes of them
//
//  An answer is columnar: `from`, `resolution` and `count` say what times there are;
//  each group has columns of that length, with null where nothing was measured. Of the
//  last interval, if it is not over, `running` says how many seconds it has by now.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {clock, plural, span} from "./format.js";
import {beyond} from "./heat.js";
import {reachOf} from "./spark.js";

const COLUMNS = ["value", "n", "sum", "min", "max", "p50", "p95", "p99"];

export const times = (block) =>
    Array.from ({length: block.count}, (_, i) => block.from + i * block.resolution);

export const keyOf = (group) => group.id ?? group.label;

//  May an answer continue a block?
export function fits (block, more) {
    return block.resolution === more.resolution
        && more.from <= block.from + block.count * block.resolution
        && block.groups.length === more.groups.length
        && block.groups.every ((group, i) => keyOf (group) === keyOf (more.groups[i]));
}

//  What a column has from a time on, continued by another one from its start.
function joined (column, skip, keep, more) {
    return column.slice (skip, keep).concat (more);
}

//  The block from a time on, with all that the answer has. It overlaps, since an
//  interval that had not ended may have more by now.
export function continued (block, more, from) {
    const {resolution} = block;
    const keep = Math.round ((more.from - block.from) / resolution);
    const skip = Math.max (0, Math.min (keep, Math.ceil ((from - block.from) / resolution)));
    const groups = block.groups.map ((group, i) => {
        const next = {...group};
        for (const name of COLUMNS)
            if (group[name])
                next[name] = joined (group[name], skip, keep, more.groups[i][name]);
        return next;
    });
    return {...block, from: block.from + skip * resolution,
            count: keep - skip + more.count, running: more.running, groups,
            cells: more.cells
                ? joined (block.cells, skip, keep, more.cells) : undefined};
}

//  When the last interval that is over ended.
export const ended = ({from, count, running, resolution}) =>
    from + (count - (running ? 1 : 0)) * resolution;

//  A counter that was not counted up has no row: that is zero, unless there is none
//  for so long that it may be a gap.
function filled (values) {
    const reach = reachOf (values), whole = [...values];
    let last = values.length;
    values.forEach ((value, i) => {
        if (value === null)
            return;
        if (i - last <= reach)
            whole.fill (0, last + 1, i);
        last = i;
    });
    return whole;
}

const WORD = {p50: "p50", p95: "p95", p99: "p99", average: "value", highest: "max"};

//  Clients of Librato send none, and then there are no percentiles.
const haveBuckets = ({groups}) =>
    groups.some (({p95}) => p95?.some ((value) => value !== null));

//  Of a timer: lines of percentiles if there is one group, and one of each otherwise.
function timerLines (chart, block) {
    const [group] = block.groups;
    const hasBuckets = haveBuckets (block);
    if (block.groups.length === 1) {
        const names = hasBuckets ? ["p50", "p95", "p99"] : ["value", "max"];
        return names.map ((name) => ({
            label: {value: "mean", max: "max"}[name] ?? name, values: group[name] ?? [],
            counts: group.n}));
    }
    const name = hasBuckets ? WORD[chart.line]
        : chart.line === "highest" ? "max" : "value";
    return block.groups.map ((one) => ({id: one.id, label: one.label, values: one[name],
                                        counts: one.n}));
}

function counterLines (chart, block) {
    const {resolution, running, count} = block;
    const seconds = (i) => chart.per === "interval" ? 1
        : running && i === count - 1 ? running : resolution;
    return block.groups.map ((group) => {
        const whole = filled (group.value);
        return {id: group.id, label: group.label, total: whole,
                values: whole.map ((value, i) => value === null ? null : value / seconds (i))};
    });
}

function gaugeLines (block) {
    const alone = block.groups.length === 1;
    return block.groups.map ((group) => ({
        id: group.id, label: group.label, values: group.value, counts: group.n,
        band: alone && group.n.some ((n) => n > 1) ? [group.min, group.max] : null}));
}

//  The lines: {id of a series, label, values, band, counts or total}, what is no gap in
//  them, and how many of their values are whole.
export function lines (chart, block) {
    const made = block.type === "timer" ? timerLines (chart, block)
        : block.type === "gauge" ? gaugeLines (block) : counterLines (chart, block);
    for (const line of made) {
        line.reach = reachOf (line.values) * block.resolution;
        line.whole = block.count - (block.running ? 1 : 0);
    }
    return made;
}

//  What a point of a chart is, and when the last one ends that is over.
export function about ({per}, block, utc) {
    const {type, resolution, series, asked, kept, cells, running} = block;
    const step = span (resolution);
    const counts = per === "second" ? `${step} points, per second` : `counts of ${step}`;
    const what = {counter: counts, total: counts, gauge: `means of ${step}`,
                  timer: cells ? `samples of ${step}, by how long they took`
                      : `${haveBuckets (block) ? "percentiles" : "means"} of ${step}`}[type];
    const coarse = kept > asked ? " · finer is not kept for so long" : "";
    const out = cells && beyond (block) ? ` · ${beyond (block)}` : "";
    const goes = running ? `, then ${span (running)} so far` : "";
    return `${what} until ${clock (ended (block), utc)}${goes} · ${
        plural (series, "series", "series")}${coarse}${out}`;
}

//  Are they the same lines, with other numbers?
export const areSame = (some, others) => some.length === others.length
    && some.every (({label, band}, i) =>
        label === others[i].label && !band === !others[i].band);

//  What a legend says of a line: its values are those that are whole, its total is all.
export function summary (line) {
    const there = line.values.filter ((value, i) => value !== null && i < line.whole);
    const add = (values) => values.reduce ((sum, value) => sum + (value ?? 0), 0);
    const total = line.values.some ((value) => value !== null)
        ? add (line.total ?? line.counts ?? []) : null;
    if (!there.length)
        return {last: null, min: null, mean: null, max: null, total};
    return {last: there.at (-1), mean: add (there) / there.length,
            min: there.reduce ((a, b) => Math.min (a, b)),
            max: there.reduce ((a, b) => Math.max (a, b)), total};
}
