//  spark - a line as small as a word; values are numbers, null where there is none
//
//  SPDX-License-Identifier: BSD-3-Clause

//  The ends of the axis; of a flat line a little around it.
function bounds (values, fromZero, most) {
    let min = fromZero ? 0 : Infinity, max = -Infinity;
    for (const value of values)
        if (value !== null) {
            min = Math.min (min, value);
            max = Math.max (max, Math.min (value, most));
        }
    return max > min ? [min, max] : [min - 1, max + 1];
}

//  The indices of values that are one line: at most `reach` apart.
function runs (values, reach) {
    const found = [];
    let last = -Infinity;
    values.forEach ((value, i) => {
        if (value === null)
            return;
        if (i - last > reach)
            found.push ([]);
        found.at (-1).push (i);
        last = i;
    });
    return found;
}

//  The usual distance between values, as a number of intervals; null of a single one.
export function usualDistance (values) {
    const distances = [];
    let last = -1;
    values.forEach ((value, i) => {
        if (value === null)
            return;
        if (last >= 0)
            distances.push (i - last);
        last = i;
    });
    distances.sort ((a, b) => a - b);
    return distances.length ? distances[distances.length >> 1] : null;
}

//  How far apart values may be that are one line: one may be missing. What is further is
//  a gap.
export function reachOf (values) {
    const usual = usualDistance (values);
    return usual ? 2.5 * usual : 1;
}

//  Draws values over the whole canvas. What is above `most` ends at its edge.
export function drawSpark (canvas, values, stroke, fill, {fromZero, most}) {
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const context = canvas.getContext ("2d");
    context.scale (scale, scale);
    const [min, max] = bounds (values, fromZero, most);
    const x = (i) => 1.5 + i * (width - 3) / Math.max (values.length - 1, 1);
    const y = (value) => height - 2 - (Math.min (value, max) - min) / (max - min) * (height - 4);
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.strokeStyle = context.fillStyle = stroke;
    for (const run of runs (values, reachOf (values))) {
        const line = new Path2D ();
        run.forEach ((i) => line.lineTo (x (i), y (values[i])));
        if (run.length === 1)
            line.arc (x (run[0]), y (values[run[0]]), 0.75, 0, 7);
        context.stroke (line);
        line.lineTo (x (run.at (-1)), height);
        line.lineTo (x (run[0]), height);
        context.fillStyle = fill;
        context.fill (line);
    }
}
