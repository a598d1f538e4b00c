//  block - an answer of /api/points, and how a later one continues it
//
//  It is columnar: `from`, `resolution` and `count` say what times there are; each of
//  its groups (a series, or several that became one line) has columns of that length,
//  with null where nothing was measured. `running` is how many seconds the last interval
//  has by now if it is not over, else 0. `cells` are those of a heat map.
//
//  SPDX-License-Identifier: BSD-3-Clause

const COLUMNS = ["value", "n", "sum", "min", "max", "p50", "p95", "p99"];

export const times = ({from, resolution, count}) =>
    Array.from ({length: count}, (_, i) => from + i * resolution);

//  How many intervals are over.
export const whole = ({count, running}) => count - (running ? 1 : 0);

//  When the last of those ended.
export const ended = (block) => block.from + whole (block) * block.resolution;

//  Was nothing measured in all of its time?
export const isEmpty = ({groups}) =>
    groups.every (({value}) => value.every ((one) => one === null));

const keyOf = ({id, label}) => id ?? label;

//  Has an answer the same lines and intervals as a block, without a hole between them?
export function fits (block, more) {
    return block.resolution === more.resolution
        && more.from <= block.from + block.count * block.resolution
        && block.groups.length === more.groups.length
        && block.groups.every ((group, i) => keyOf (group) === keyOf (more.groups[i]));
}

//  The block from a time on, with all that the answer has. They overlap, since rows of
//  an interval may come late.
export function continued (block, more, from) {
    const {resolution} = block;
    const keep = Math.round ((more.from - block.from) / resolution);
    const skip = Math.max (0, Math.min (keep, Math.ceil ((from - block.from) / resolution)));
    const join = (column, news) => column.slice (skip, keep).concat (news);
    const groups = block.groups.map ((group, i) => {
        const next = {...group};
        for (const name of COLUMNS)
            if (group[name])
                next[name] = join (group[name], more.groups[i][name]);
        return next;
    });
    return {...block, from: block.from + skip * resolution,
            count: keep - skip + more.count, running: more.running, groups,
            cells: more.cells ? join (block.cells, more.cells) : undefined};
}
