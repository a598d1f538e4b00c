//  overlays - what is drawn over the lines of a chart
//
//  SPDX-License-Identifier: BSD-3-Clause

import {color} from "./theme.js";

const FLAG = 6, TIP = 8, RING = 2.5;    //  pixels

//  Annotations are lines from top to bottom, with a flag to point at. One that has an
//  end is an area, also where its begin is not in sight.
export function drawNotes (plot, notes) {
    const {ctx, bbox} = plot, {min, max} = plot.scales.x;
    const x = (time) => Math.round (plot.valToPos (time, "x", true));
    ctx.save ();
    ctx.strokeStyle = color ("note");
    ctx.lineWidth = window.devicePixelRatio;
    ctx.setLineDash ([4, 3]);
    for (const {time, end} of notes) {
        if (time > max || Math.max (time, end) < min)
            continue;
        const left = x (Math.max (time, min));
        ctx.fillStyle = color ("note-soft");
        if (end > time)
            ctx.fillRect (left, bbox.top, x (Math.min (end, max)) - left, bbox.height);
        if (time < min)
            continue;
        ctx.beginPath ();
        ctx.moveTo (left + 0.5, bbox.top);
        ctx.lineTo (left + 0.5, bbox.top + bbox.height);
        ctx.stroke ();
        ctx.fillStyle = color ("note");
        ctx.fillRect (left + 0.5 - FLAG / 2, bbox.top, FLAG, FLAG);
    }
    ctx.restore ();
}

//  An interval that is not over: dashes from the last one that is, to a ring.
export function drawRunning (plot, lines) {
    const {ctx, data, bbox} = plot, scale = window.devicePixelRatio;
    const place = (line, i) => [plot.valToPos (data[0][i], "x", true),
                                plot.valToPos (line.values[i], "y", true)];
    ctx.save ();
    ctx.beginPath ();
    ctx.rect (0, bbox.top, ctx.canvas.width, bbox.height + 2 * RING * scale);
    ctx.clip ();
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
        ctx.arc (x, y, RING * scale, 0, 7);
        ctx.stroke ();
    });
    ctx.restore ();
}

//  What the axis leaves out: tips at its end, and the highest as a number.
export function drawPeaks (plot, {cut, lines, times, format}) {
    const {ctx, bbox} = plot, size = TIP * window.devicePixelRatio;
    ctx.save ();
    cut.peaks.forEach (({label, index, value}, nth) => {
        const x = plot.valToPos (times[index], "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width)
            return;
        ctx.fillStyle = plot.series[lines.findIndex ((line) => line.label === label) + 1]
            .stroke ();
        ctx.beginPath ();
        ctx.moveTo (x, bbox.top);
        ctx.lineTo (x - size / 2, bbox.top + size);
        ctx.lineTo (x + size / 2, bbox.top + size);
        ctx.fill ();
        if (nth > 0)
            return;
        const isLeft = x > bbox.left + bbox.width / 2;
        ctx.textAlign = isLeft ? "right" : "left";
        ctx.textBaseline = "top";
        ctx.font = plot.axes[0].font[0];
        ctx.fillStyle = color ("text");
        ctx.fillText (format (value), x + (isLeft ? -size : size), bbox.top);
    });
    ctx.restore ();
}
