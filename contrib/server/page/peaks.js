//  peaks - what the axis of a counter leaves out: what was held back, and then came at once
//
//  A program without a broker counts on, and reports all of it when there is one again.
//  By the seconds of that interval it would be a peak beside which all else is flat. The
//  number is right, but it is no rate: a mark at the axis' end stands for it.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {reachOf} from "./spark.js";

const LATE_S = 10;              //  after which all programs have reported
const FAR = 4;                  //  times as high as all others: these cannot be read

//  The indices of values that come after a gap.
export function heldBack (values, resolution) {
    const reach = reachOf (values), held = new Set ();
    let last = -1, until = 0;
    values.forEach ((value, i) => {
        if (value === null)
            return;
        if (i - last > reach)
            until = i + Math.max (1, LATE_S / resolution);
        if (i < until)
            held.add (i);
        last = i;
    });
    return held;
}

//  The highest of all that were not held back.
const usual = (lines) => Math.max (0, ...lines.map (({values, held}) =>
    values.reduce ((most, value, i) => held.has (i) ? most : Math.max (most, value), 0)));

//  Of lines that have `held`: {max, peaks}, where the axis ends, and what is above it, the
//  highest first. Null if the axis has all.
export function cutOf (lines) {
    const max = usual (lines);
    const peaks = lines.flatMap (({label, values, held}) => [...held]
        .filter ((index) => values[index] > max)
        .map ((index) => ({label, index, value: values[index]})))
        .sort ((one, other) => other.value - one.value);
    return max > 0 && peaks[0]?.value > FAR * max ? {max, peaks} : null;
}
