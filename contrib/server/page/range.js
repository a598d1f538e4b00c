//  range - which time is shown
//
//  Live is the last so many seconds up to now; else it stands still.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {now} from "./api.js";
import {change, RANGES, state} from "./state.js";

const LEAST = 10, DELAY = 2;    //  seconds: what can be seen, and until rows are there

let standing = null;            //  the end of what is shown when it is not live
let fallback = 1800;            //  where the address says nothing

//  What a store that is young has all in sight.
export function setFallback (age) {
    fallback = age < 600 ? 300 : 1800;
}

export const length = () => state.range ?? fallback;

//  [from, to] in seconds.
export function shown () {
    if (state.from !== null)
        return [state.from, state.to];
    if (state.live)
        standing = null;
    else
        standing ??= now () - DELAY;
    const to = standing ?? now () - DELAY;
    return [to - length (), to];
}

let zooms = [];                 //  what was shown before each

//  What a drag has chosen, until it is taken back.
export function zoomTo (from, to) {
    zooms.push ({from: state.from, to: state.to, range: state.range, live: state.live});
    change ({from, to, live: false}, true);
}

export function unzoom () {
    const before = zooms.pop ();
    if (before)
        change (before, true);
}

function goLive (values) {
    zooms = [];
    change ({from: null, to: null, live: true, ...values}, true);
}

export const live = () => goLive ({});

function stay (from, to) {
    change ({from: Math.round (from), to: Math.round (to), live: false}, true);
}

//  By a share of what is shown: -0.5 is half of it to the left.
export function pan (share) {
    const [from, to] = shown (), by = (to - from) * share;
    if (to + by >= now ())
        live ();
    else
        stay (from + by, to + by);
}

//  Around the middle; a live range keeps its end.
export function zoom (factor) {
    const [from, to] = shown (), size = Math.max (LEAST, (to - from) * factor);
    if (state.from === null) {
        const steps = RANGES.map (([seconds]) => seconds);
        const next = factor < 1 ? steps.findLast ((step) => step < length ())
            : steps.find ((step) => step > length ());
        if (next)
            change ({range: next}, true);
        return;
    }
    const middle = (from + to) / 2;
    stay (middle - size / 2, Math.min (middle + size / 2, now ()));
}

export function toggleLive () {
    if (state.live)
        change ({live: false});
    else
        live ();
}

export const setRange = (range) => goLive ({range});

//  The browser's Back has its own way.
window.addEventListener ("popstate", () => { zooms = []; });
