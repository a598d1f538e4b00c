//  heat - how many samples of a timer took how long: a cell for each interval and
//  eighth of an octave, the darker (in a dark page the lighter) the more
//
//  SPDX-License-Identifier: BSD-3-Clause

import {isDark} from "./theme.js";

const LIGHT = ["#dcebf7", "#9ecae1", "#4a98c9", "#1764ab", "#08306b"];
const DARK = ["#22384d", "#31688e", "#21918c", "#5ec962", "#fde725"];

//  The lower edge of a cell in seconds: 2^(index / 8).
export const edge = (index) => 2 ** (index / 8);

//  Min and max of what has cells.
export function heatRange (cells) {
    let min = Infinity, max = -Infinity;
    for (const column of cells)
        for (let i = 0; i < column.length; i += 2) {
            min = Math.min (min, column[i]);
            max = Math.max (max, column[i]);
        }
    return max < min ? [0.001, 1] : [edge (min - 1), edge (max + 2)];
}

function most (cells) {
    let max = 1;
    for (const column of cells)
        for (let i = 1; i < column.length; i += 2)
            max = Math.max (max, column[i]);
    return max;
}

//  Draws the cells below lines.
export function drawHeat (plot, block) {
    const {ctx, bbox} = plot, ramp = isDark () ? DARK : LIGHT;
    const max = most (block.cells);
    const shade = (count) => ramp[Math.floor (Math.sqrt (count / max) * (ramp.length - 0.001))];
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
        for (let at = 0; at < column.length; at += 2) {
            const bottom = y (column[at]), top = y (column[at] + 1);
            ctx.fillStyle = shade (column[at + 1]);
            ctx.fillRect (left, top, Math.max (width, 1), Math.max (bottom - top, 1));
        }
    });
    ctx.restore ();
}
