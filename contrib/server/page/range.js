//  range - which time is shown
//
//  Live is the last so many seconds up to now. It may be paused, or be replaced by a
//  time of one's own, and then it stands still.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {now} from "./api.js";
import {change, RANGES, state} from "./state.js";

const MIN_S = 10;               //  the shortest time that can be zoomed to
const DELAY_S = 2;              //  until rows are there

let fallback = 1800;            //  seconds that are shown where the address says nothing

//  A store that is younger than ten minutes shows five.
export function setFallback (storeAge) {
    fallback = storeAge < 600 ? 300 : 1800;
}

//  Seconds of a live range.
export const length = () => state.range ?? fallback;

const latest = () => now () - DELAY_S;

//  [from, to] in seconds.
export function shown () {
    if (state.from !== null)
        return [state.from, state.to];
    //  An address may say that it is paused, and not at what time: then it is now.
    if (!state.live)
        state.to ??= Math.floor (latest ());
    const to = state.to ?? latest ();
    return [to - length (), to];
}

let zooms = [];                 //  what was shown before each zoom

//  What a drag has chosen, until unzoom ().
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

function showFixed (from, to) {
    change ({from: Math.round (from), to: Math.round (to), live: false}, true);
}

//  By a share of what is shown: -0.5 is half of it to the left. Whoever comes up to now
//  is live again.
export function pan (share) {
    const [from, to] = shown (), by = (to - from) * share;
    if (to + by >= now ())
        goLive ({});
    else
        showFixed (from + by, to + by);
}

//  Around the middle; a range keeps its end, and becomes the next one of RANGES.
export function zoom (factor) {
    const [from, to] = shown (), size = Math.max (MIN_S, (to - from) * factor);
    if (state.from === null) {
        const steps = RANGES.map (([seconds]) => seconds);
        const next = factor < 1 ? steps.findLast ((step) => step < length ())
            : steps.find ((step) => step > length ());
        if (next)
            change ({range: next}, true);
        return;
    }
    const middle = (from + to) / 2;
    showFixed (middle - size / 2, Math.min (middle + size / 2, now ()));
}

//  The address of a paused range says until when, for who gets it.
export function toggleLive () {
    if (state.live)
        change ({live: false, range: length (), to: Math.floor (latest ())});
    else
        goLive ({});
}

export const setRange = (range) => goLive ({range});

//  The browser's Back undoes zooms by itself.
window.addEventListener ("popstate", () => { zooms = []; });
