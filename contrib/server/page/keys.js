//  keys - all that the page does without a mouse
//
//  SPDX-License-Identifier: BSD-3-Clause

import {askTimes} from "./between.js";
import * as charts from "./charts.js";
import {el, fill, find} from "./dom.js";
import * as list from "./list.js";
import {pan, toggleLive, zoom} from "./range.js";
import {change, state, VIEWS} from "./state.js";
import {isDark} from "./theme.js";

//  [keys, what they do, function]; those without one are a chart's.
const KEYS = [
    [["/"], "search", () => find ("#search").focus ()],
    [["ArrowDown", "j"], "next metric", () => list.step (list.columnCount ())],
    [["ArrowUp", "k"], "metric before", () => list.step (-list.columnCount ())],
    [["Enter"], "show or hide its chart", () => list.pickActive ()],
    [["ArrowLeft"], "earlier", () => pan (-0.25)],
    [["ArrowRight"], "later", () => pan (0.25)],
    [["+", "="], "zoom in", () => zoom (0.5)],
    [["-"], "zoom out", () => zoom (2)],
    [["o"], "from one time to another", askTimes],
    [["r"], "live or paused", toggleLive],
    [["u"], "UTC or local time", () => change ({utc: !state.utc})],
    [["t"], "light or dark", () => change ({theme: isDark () ? "light" : "dark"})],
    [["1", "2", "3"], "metrics, series, health", (key) =>
        change ({view: VIEWS[Number (key) - 1]}, true)],
    [["0"], "chart: axis from zero"],
    [["l"], "chart: logarithmic axis"],
    [["h"], "chart of a timer: heat map"],
    [["s"], "chart: each source"],
    [["x"], "chart: close"],
    [["?"], "this help", () => find ("#help").showModal ()]
];
const NAMES = {ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→"};

const isText = (element) => element.matches ("input, textarea, select");
const isButton = (element) => element.matches ("button, a, summary");

//  In the search field, arrows and Enter are the list's.
function ofSearch (event) {
    const {key, target} = event;
    if (key === "Escape") {
        target.blur ();
        return true;
    }
    return target.id === "search" && ["ArrowDown", "ArrowUp", "Enter"].includes (key)
        && act (key);
}

function act (key) {
    const row = KEYS.find (([keys]) => keys.includes (key));
    if (row?.[2]) {
        row[2] (key);
        return true;
    }
    return charts.key (key);
}

function onKey (event) {
    const {key, target} = event;
    if (event.ctrlKey || event.metaKey || event.altKey || find ("dialog[open]"))
        return;
    if (isText (target) ? ofSearch (event)
        : !(key === "Enter" && isButton (target)) && act (key))
        event.preventDefault ();
}

export function startKeys () {
    fill (find ("#help dl"), KEYS.map (([keys, text]) => el ("div", {},
        el ("dt", {}, keys.map ((key) => el ("kbd", {}, NAMES[key] ?? key))),
        el ("dd", {}, text))));
    document.addEventListener ("keydown", onKey);
}
