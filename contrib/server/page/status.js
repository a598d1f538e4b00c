//  status - one honest line: how much there is, how new it is, and what was lost
//
//  SPDX-License-Identifier: BSD-3-Clause

import {clockIs, get} from "./api.js";
import {el, fill, find} from "./dom.js";
import {ago, bytes, exact, number, plural, span} from "./format.js";

const line = find ("#status");
let before = null;

//  Rows a second since it was asked for the last time.
function rate (status) {
    const past = before;
    before = status;
    return past && status.now > past.now
        ? (status.stored - past.stored) / (status.now - past.now) : null;
}

function part (name, text, wrong = false) {
    return el ("span", {class: wrong ? "part wrong" : "part", "data-part": name}, text);
}

export async function loadStatus () {
    const status = await get ("/api/status");
    clockIs (status.now);
    const rows = rate (status), age = status.now - status.newest;
    fill (line,
          part ("metrics", plural (status.metrics, "metric")),
          part ("series", plural (status.series, "series", "series")),
          part ("rows", rows === null ? "… rows/s" : `${number (rows)} rows/s`),
          part ("newest", status.newest ? `newest ${ago (age)}` : "nothing yet", age > 120),
          part ("lost", `${exact (status.lost)} lost in ${span (status.lost_s)}`,
                status.lost > 0),
          part ("size", `${bytes (status.bytes)} of ${bytes (status.max_bytes)}`,
                status.bytes > 0.9 * status.max_bytes));
    return status;
}

export function sayOffline () {
    before = null;
    fill (line, part ("offline", "the server does not answer; asking again each second",
                      true));
}
