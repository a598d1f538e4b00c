//  status - one honest line: how much there is, how new it is, and what was lost
//
//  SPDX-License-Identifier: BSD-3-Clause

import {clockIs, get} from "./api.js";
import {el, fill, find, say} from "./dom.js";
import {ago, bytes, exact, number, plural, span} from "./format.js";

const line = find ("#told");
let before = null;

//  Rows a second since it was asked for the last time. A server that was started anew
//  begins at zero.
function rate (status) {
    const past = before;
    before = status;
    return past && status.now > past.now && status.stored >= past.stored
        ? (status.stored - past.stored) / (status.now - past.now) : null;
}

//  Parts are [name, text, is it wrong?]. Those that are there stay.
function show (...parts) {
    if (parts.some (([name], i) => line.children[i]?.dataset.part !== name))
        fill (line, parts.map (([name]) =>
            el ("span", {class: "part", "data-part": name})));
    parts.forEach (([, text, wrong = false], i) => {
        say (line.children[i], text);
        line.children[i].classList.toggle ("wrong", wrong);
    });
}

export async function loadStatus () {
    const status = await get ("api/status");
    clockIs (status.now);
    const rows = rate (status), age = status.now - status.newest;
    show (["metrics", plural (status.metrics, "metric")],
          ["series", plural (status.series, "series", "series")],
          ["rows", rows === null ? "… rows/s" : `${number (rows)} rows/s`],
          ["newest", status.newest ? `newest ${ago (age)}` : "nothing yet",
           status.newest > 0 && age > 120],
          ["lost", `${exact (status.lost)} lost in ${span (status.lost_s)}`,
           status.lost > 0],
          ["size", `${bytes (status.bytes)} of ${bytes (status.max_bytes)}`,
           status.bytes > 0.9 * status.max_bytes]);
    return status;
}

export function sayOffline () {
    before = null;
    show (["offline", "the server does not answer; asking again each second", true]);
}
