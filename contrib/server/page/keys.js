//  keys - all that the page does without a mouse
//
//  SPDX-License-Identifier: BSD-3-Clause

import * as charts from "./charts.js";
import {el, fill, find} from "./dom.js";
import * as list from "./list.js";
import {pan, toggleLive, zoom} from "./range.js";
import {askTimes} from "./range_dialog.js";
import {change, state, VIEWS} from "./state.js";
import {isDark} from "./theme.js";

//  [keys, what they do, function]; those without a function are in chartKeys.
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
const LIST_KEYS = ["ArrowDown", "ArrowUp", "Enter"];

//  Returns whether there is such a key.
function act (key) {
    const [, , action] = KEYS.find (([keys]) => keys.includes (key)) ?? [];
    if (!action)
        return charts.key (key);
    action (key);
    return true;
}

//  Escape closes a menu, which keeps the focus, or leaves a field.
function leave (target, isField) {
    const menu = find ("details.menu[open]");
    if (menu) {
        menu.open = false;
        menu.querySelector ("summary").focus ();
    } else if (isField)
        target.blur ();
    return Boolean (menu) || isField;
}

//  Fields have the keys that one types; but those that move in the list are the list's,
//  also while one searches. Enter presses a button that has the focus.
function isTaken (key, target) {
    const isField = target.matches ("input, textarea, select");
    if (key === "Escape")
        return leave (target, isField);
    if (isField && !(target.id === "search" && LIST_KEYS.includes (key)))
        return false;
    if (key === "Enter" && target.matches ("button, a, summary"))
        return false;
    return act (key);
}

function onKey (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || find ("dialog[open]"))
        return;
    if (isTaken (event.key, event.target))
        event.preventDefault ();
}

export function startKeys () {
    fill (find ("#help dl"), KEYS.map (([keys, text]) => el ("div", {},
        el ("dt", {}, keys.map ((key) => el ("kbd", {}, NAMES[key] ?? key))),
        el ("dd", {}, text))));
    document.addEventListener ("keydown", onKey);
}
