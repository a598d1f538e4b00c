//  heat - how many samples of a timer took how long: a cell for each interval and
//  eighth of an octave, the darker (in a dark page the lighter) the more
//
//  SPDX-License-Identifier: BSD-3-Clause

import {el} from "./dom.js";
import {duration, exact} from "./format.js";
import {color} from "./theme.js";

const SHADES = 5;               //  in page.css
const shadeColor = (shade) => color (`heat-${shade + 1}`);

//  The lower edge of a cell in seconds: 2^(index / 8).
export const edge = (index) => 2 ** (index / 8);

//  This share of all samples, at each end, is left off the axis if it is more than so
//  many cells away from the others.
const FEW = 0.001, FAR = 8;

//  This share of all intervals may have more than the scale of shades, if they have more
//  than so many times of the others. A program that was cut off for an hour reports all
//  of it in one interval, and next to that all others would be pale.
const FEW_PEAKS = 0.02, FAR_PEAK = 4;

//  How many samples each cell has in all columns: [index, count], by index.
function countCells (cells) {
    const counts = new Map ();
    for (const column of cells)
        for (let i = 0; i < column.length; i += 2)
            counts.set (column[i], (counts.get (column[i]) ?? 0) + column[i + 1]);
    return [...counts].sort (([a], [b]) => a - b);
}

//  The cell at which the axis ends, and how many samples are beyond it.
function axisEnd (sorted, few) {
    let out = 0, i = 0;
    while (out + sorted[i][1] <= few)
        out += sorted[i++][1];
    return Math.abs (sorted[i][0] - sorted[0][0]) < FAR ? [sorted[0][0], 0]
        : [sorted[i][0], out];
}

//  The largest count of each column that has any, sorted.
const peaksOf = (cells) => cells.filter ((column) => column.length)
    .map ((column) => column.reduce ((peak, count, i) => i % 2 ? Math.max (peak, count) : peak, 0))
    .sort ((a, b) => a - b);

//  The count from which on a cell has the strongest shade, and whether any has more.
function shadeScale (cells) {
    const peaks = peaksOf (cells), highest = peaks.at (-1);
    const usual = peaks.at (-1 - Math.round (FEW_PEAKS * peaks.length));
    return highest > FAR_PEAK * usual ? {full: usual, isExceeded: true}
        : {full: highest, isExceeded: false};
}

function viewOf (cells) {
    const sorted = countCells (cells);
    if (!sorted.length)
        return {min: -80, max: 0, above: 0, below: 0, full: 1, isExceeded: false};
    const few = FEW * sorted.reduce ((sum, [, count]) => sum + count, 0);
    const [min, below] = axisEnd (sorted, few);
    const [max, above] = axisEnd (sorted.toReversed (), few);
    return {min, max, below, above, highest: sorted.at (-1)[0], ...shadeScale (cells)};
}

//  Cells from `min` to `max` are on the axis; others are marks at its ends.
const views = new WeakMap ();
function view (block) {
    if (!views.has (block))
        views.set (block, viewOf (block.cells));
    return views.get (block);
}

//  The ends of the axis in seconds, with room for the marks.
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

//  Which shade a count has, from 0 on. Square roots, so that small counts differ, too.
export function shadeOf (count, block) {
    const share = Math.sqrt (Math.min (count / view (block).full, 1));
    return Math.min (Math.floor (share * SHADES), SHADES - 1);
}

//  What the shades mean: "1 sample ▁▃▅▆█ 240".
export function heatKey (block) {
    const {full, isExceeded} = view (block);
    const shades = Array.from ({length: SHADES}, (_, shade) => {
        const self = el ("span", {class: "shade"});
        self.style.background = shadeColor (shade);
        return self;
    });
    return el ("span", {class: "heat-key", title: "samples of a cell"}, "1 ", shades,
               ` ${exact (full)}${isExceeded ? " or more" : ""}`);
}

//  Draws the cells below lines.
export function drawHeat (plot, block) {
    const {ctx, bbox} = plot, {min, max} = view (block);
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
            ctx.fillStyle = index === column[at] ? shadeColor (shadeOf (column[at + 1], block))
                : color ("wrong");
            ctx.fillRect (left, top, Math.max (width, 1), Math.max (bottom - top, 1));
        }
    });
    ctx.restore ();
}
