//  heat - how many samples of a timer took how long: a cell for each interval and
//  eighth of an octave, the darker (in a dark page the lighter) the more
//
//  SPDX-License-Identifier: BSD-3-Clause

import {duration, exact} from "./format.js";
import {color, isDark} from "./theme.js";

const LIGHT = ["#dcebf7", "#9ecae1", "#4a98c9", "#1764ab", "#08306b"];
const DARK = ["#22384d", "#31688e", "#21918c", "#5ec962", "#fde725"];

//  The lower edge of a cell in seconds: 2^(index / 8).
export const edge = (index) => 2 ** (index / 8);

//  So many of all samples, at each end, do not rule the axis, if they are an octave away
//  from the others.
const FEW = 0.001, FAR = 8;

//  How many samples each cell has in all columns, by its index.
function counts (cells) {
    const found = new Map ();
    for (const column of cells)
        for (let i = 0; i < column.length; i += 2)
            found.set (column[i], (found.get (column[i]) ?? 0) + column[i + 1]);
    return [...found].sort (([a], [b]) => a - b);
}

//  The cell at which the axis ends, and how many samples are beyond it.
function end (sorted, few) {
    let out = 0, i = 0;
    while (out + sorted[i][1] <= few)
        out += sorted[i++][1];
    return Math.abs (sorted[i][0] - sorted[0][0]) < FAR ? [sorted[0][0], 0]
        : [sorted[i][0], out];
}

function viewOf ({cells}) {
    const sorted = counts (cells);
    if (!sorted.length)
        return {min: -80, max: 0, above: 0, below: 0, most: 1};
    const few = FEW * sorted.reduce ((sum, [, count]) => sum + count, 0);
    const [min, below] = end (sorted, few), [max, above] = end (sorted.toReversed (), few);
    return {min, max, below, above, highest: sorted.at (-1)[0],
            most: cells.flat ().reduce ((a, b, i) => i % 2 ? Math.max (a, b) : a, 1)};
}

//  Cells from `min` to `max` are in sight; others are marks at the edge.
const views = new WeakMap ();
function view (block) {
    if (!views.has (block))
        views.set (block, viewOf (block));
    return views.get (block);
}

export function heatRange (block) {
    const {min, max} = view (block);
    return [edge (min - 1), edge (max + 2)];
}

//  What the axis leaves out.
export function beyond (block) {
    const {above, below, highest} = view (block);
    return [above ? `${exact (above)} above, up to ${duration (edge (highest + 1))}` : "",
            below ? `${exact (below)} below` : ""].filter (Boolean).join (", ");
}

//  Draws the cells below lines.
export function drawHeat (plot, block) {
    const {ctx, bbox} = plot, ramp = isDark () ? DARK : LIGHT;
    const {min, max, most} = view (block);
    const shade = (count) => ramp[Math.floor (Math.sqrt (count / most) * (ramp.length - 0.001))];
    //  Whole pixels, or there would be a seam between cells.
    const x = (time) => Math.round (plot.valToPos (time, "x", true));
    const y = (index) => Math.round (plot.valToPos (edge (index), "y", true));
    ctx.save ();
    ctx.beginPath ();
    ctx.rect (bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip ();
    block.cells.forEach ((column, i) => {
        const left = x (block.from + i * block.resolution);
        const width = x (block.from + (i + 1) * block.resolution) - left;
        //  An interval that is not over has less than it will have.
        ctx.globalAlpha = block.running && i === block.count - 1 ? 0.5 : 1;
        for (let at = 0; at < column.length; at += 2) {
            const index = Math.min (Math.max (column[at], min - 1), max + 1);
            const bottom = y (index), top = y (index + 1);
            ctx.fillStyle = index === column[at] ? shade (column[at + 1]) : color ("wrong");
            ctx.fillRect (left, top, Math.max (width, 1), Math.max (bottom - top, 1));
        }
    });
    ctx.restore ();
}
