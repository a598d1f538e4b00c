//  chart_header - a chart's name, and what can be chosen for it
//
//  SPDX-License-Identifier: BSD-3-Clause

import {choice, el, fill, select} from "./dom.js";
import {exportMenu} from "./export.js";
import {changeChart, toggleChart} from "./state.js";

const TYPING_MS = 250;
const OVER = [["auto", "sources: auto"], ["sum", "sum of sources"],
              ["split", "each source"], ["mean", "mean of sources"],
              ["min", "min of sources"], ["max", "max of sources"]];
const OVER_TIMER = [["auto", "all sources together"], ["split", "each source"]];
const LINE = [["p50", "p50"], ["p95", "p95"], ["p99", "p99"], ["average", "mean"],
              ["highest", "max"]];

//  A button that is pressed or not.
function toggle (chart, text, hint, key, on, off) {
    const pressed = chart.settings[key] === on;
    return el ("button", {type: "button", class: "toggle", title: hint,
                          "aria-pressed": String (pressed),
                          onclick: () => set (chart, {[key]: pressed ? off : on})}, text);
}

//  Some choices need other data, others only another drawing.
function set (chart, values) {
    changeChart (chart.settings, values);
    if ("over" in values || "look" in values || "source" in values)
        chart.load ();
    else
        chart.draw ();
}

function timerTools (chart) {
    const {settings, block} = chart;
    return [choice ("how to draw", [["lines", "lines", "percentiles as lines"],
                                    ["heat", "heat map", "how many took how long (h)"]],
                    settings.look, (look) => set (chart, {look})),
            block.groups.length > 1 && !block.cells
                ? select ("of each source", LINE, settings.line,
                          (line) => set (chart, {line})) : null];
}

function counterTools (chart) {
    return choice ("unit", [["second", "per second", "what a second had"],
                            ["interval", "per point", "what each interval had"]],
                   chart.settings.per, (per) => set (chart, {per}));
}

//  The chart follows when one stops to type. The field stays: it is not made anew.
function typed (chart, field) {
    clearTimeout (chart.typing);
    chart.typing = setTimeout (() => set (chart, {source: field.value.trim ()}), TYPING_MS);
}

function tools (chart) {
    const {settings, block} = chart, timer = block.type === "timer";
    return [el ("span", {class: `type ${block.type}`}, block.type),
        el ("div", {class: "tools"},
            timer ? timerTools (chart)
                : block.type === "gauge" ? null : counterTools (chart),
            block.series > 1 || settings.source
                ? [select ("sources", timer ? OVER_TIMER : OVER, settings.over,
                           (over) => set (chart, {over})),
                   el ("input", {type: "search", class: "source", value: settings.source,
                                 placeholder: "only sources …", "aria-label": "only sources",
                                 oninput: (event) => typed (chart, event.target)})]
                : null,
            block.type === "gauge"
                ? toggle (chart, "0", "axis from zero (0)", "axis", "zero", "fit") : null,
            block.cells ? null
                : toggle (chart, "log", "logarithmic axis (l)", "scale", "log", "linear"))];
}

//  Of a metric that is not known, too: its chart can be closed.
function header (chart) {
    const {settings, block} = chart;
    return el ("header", {class: "chart-header"},
        el ("h2", {title: settings.name}, settings.name), block ? tools (chart) : null,
        el ("div", {class: "corner"}, block ? exportMenu (chart) : null,
            el ("button", {type: "button", class: "icon close", title: "close (x)",
                           "aria-label": `close ${settings.name}`,
                           onclick: () => toggleChart (settings.name)}, "×")));
}

//  Anew, but for a field in which somebody types, and a menu that is open.
export function showHeader (chart) {
    const place = chart.element.firstChild, fresh = header (chart);
    const typing = place.querySelector (".source:focus");
    const menu = place.querySelector (".menu[open]");
    if (typing)
        fresh.querySelector (".source")?.replaceWith (typing);
    if (menu)
        fresh.querySelector (".menu")?.replaceWith (menu);
    fill (place, fresh);
    typing?.focus ();
}

//  What keys do to a chart that has the focus.
export const chartKeys = {
    "0": (chart) => set (chart, {axis: chart.settings.axis === "zero" ? "fit" : "zero"}),
    "l": (chart) => set (chart, {scale: chart.settings.scale === "log" ? "linear" : "log"}),
    "h": (chart) => chart.block?.type === "timer"
        && set (chart, {look: chart.settings.look === "heat" ? "lines" : "heat"}),
    "s": (chart) => set (chart, {over: chart.settings.over === "split" ? "auto" : "split"}),
    "x": (chart) => toggleChart (chart.settings.name)
};
