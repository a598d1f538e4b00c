//  over - what is drawn over the lines of a chart
//
//  SPDX-License-Identifier: BSD-3-Clause

import {color} from "./theme.js";

//  Annotations are lines from top to bottom, with a flag to point at.
export function drawNotes (plot, notes) {
    const {ctx, bbox} = plot, {min, max} = plot.scales.x;
    ctx.save ();
    ctx.strokeStyle = ctx.fillStyle = color ("note");
    ctx.lineWidth = window.devicePixelRatio;
    ctx.setLineDash ([4, 3]);
    for (const {time} of notes) {
        if (time < min || time > max)
            continue;
        const x = Math.round (plot.valToPos (time, "x", true)) + 0.5;
        ctx.beginPath ();
        ctx.moveTo (x, bbox.top);
        ctx.lineTo (x, bbox.top + bbox.height);
        ctx.stroke ();
        ctx.fillRect (x - 3, bbox.top, 6, 6);
    }
    ctx.restore ();
}

//  What an interval has that is not over: a line of dashes to a ring.
export function drawRunning (plot, lines) {
    const {ctx, data} = plot, scale = window.devicePixelRatio;
    const place = (line, i) => [plot.valToPos (data[0][i], "x", true),
                                plot.valToPos (line.values[i], "y", true)];
    ctx.save ();
    ctx.lineWidth = 1.75 * scale;
    lines.forEach ((line, i) => {
        const {values, whole} = line, before = values[whole - 1] ?? null;
        if ((values[whole] ?? null) === null || !plot.series[i + 1].show)
            return;
        const [x, y] = place (line, whole);
        ctx.strokeStyle = plot.series[i + 1].stroke ();
        ctx.setLineDash ([4 * scale, 3 * scale]);
        ctx.beginPath ();
        if (before !== null) {
            ctx.moveTo (...place (line, whole - 1));
            ctx.lineTo (x, y);
        }
        ctx.stroke ();
        ctx.setLineDash ([]);
        ctx.beginPath ();
        ctx.arc (x, y, 2.5 * scale, 0, 7);
        ctx.stroke ();
    });
    ctx.restore ();
}
