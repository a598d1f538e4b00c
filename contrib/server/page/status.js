//  status - one honest line: how much there is, how new it is, and what was lost
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, setClock} from "./api.js";
import {el, fill, find, setText} from "./dom.js";
import {ago, bytes, exact, number, plural, span} from "./format.js";
import {change} from "./state.js";

const OLD_S = 120, FULL = 0.9;  //  what is older, or larger by this share, is wrong

const line = find ("#facts");
let before = null;              //  the status of a second ago, or null

//  Rows a second since then, or null. A server that was started anew begins at zero.
function rate (status) {
    const past = before;
    before = status;
    return past && status.now > past.now && status.stored >= past.stored
        ? (status.stored - past.stored) / (status.now - past.now) : null;
}

//  Where it was lost. All of what the line counts is in sight there.
const showLosses = (seconds) => change ({view: "health", range: seconds, from: null, to: null,
                                         live: true}, true);

//  What a click on a part does, of those that say more elsewhere.
const CLICKS = {lost: () => showLosses (before.lost_s),
                failing: () => change ({view: "health"}, true)};

const newPart = (name) => CLICKS[name]
    ? el ("button", {type: "button", class: "part", "data-part": name, title: "see health",
                     onclick: CLICKS[name]})
    : el ("span", {class: "part", "data-part": name});

//  Parts are [name, text, is it wrong?]. Elements stay as long as the names do.
function show (...parts) {
    const names = parts.map (([name]) => name);
    if ([...line.children].map (({dataset}) => dataset.part).join () !== names.join ())
        fill (line, names.map (newPart));
    parts.forEach (([, text, isWrong = false], i) => {
        setText (line.children[i], text);
        line.children[i].classList.toggle ("wrong", isWrong);
    });
}

export async function loadStatus () {
    const status = await get ("api/status");
    setClock (status.now);
    const rows = rate (status), age = status.now - status.newest;
    show (...status.failing ? [["failing", "nothing can be stored: disk full?", true]] : [],
          ["metrics", plural (status.metrics, "metric")],
          ["series", plural (status.series, "series", "series")],
          ["rows", rows === null ? "… rows/s" : `${number (rows)} rows/s`],
          ["newest", status.newest ? `newest ${ago (age)}` : "nothing yet",
           status.newest > 0 && age > OLD_S],
          ["lost", `${exact (status.lost)} lost in ${span (status.lost_s)}`,
           status.lost > 0],
          ["size", `${bytes (status.bytes)} of ${bytes (status.max_bytes)}, ${
              bytes (status.disk_bytes)} on disk`, status.bytes > FULL * status.max_bytes]);
    return status;
}

export function sayOffline () {
    before = null;
    show (["offline", "the server does not answer; asking again each second", true]);
}
