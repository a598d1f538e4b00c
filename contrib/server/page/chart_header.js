//  chart_header - a chart's name, and what can be chosen for it
//
//  SPDX-License-Identifier: BSD-3-Clause

import {isEmpty} from "./block.js";
import {choice, el, fill, select} from "./dom.js";
import {exportMenu} from "./export.js";
import {changeChart, toggleChart} from "./state.js";

const TYPING_MS = 250;
const OVER = [["auto", "sources: auto"], ["sum", "sum of sources"],
              ["split", "each source"], ["mean", "mean of sources"],
              ["min", "min of sources"], ["max", "max of sources"]];
const OVER_TIMER = [["auto", "all sources"], ["split", "each source"]];
const LINE = [["p50", "p50"], ["p95", "p95"], ["p99", "p99"], ["average", "mean"],
              ["highest", "max"]];

//  These need other points of the server, others only another drawing.
const ASKED = ["over", "look", "source"];

function set (chart, values) {
    changeChart (chart.settings, values);
    if (ASKED.some ((key) => key in values))
        chart.load ();
    else
        chart.draw ();
}

//  Changes a setting from one of two values to the other.
const swap = (chart, key, [one, other]) =>
    set (chart, {[key]: chart.settings[key] === one ? other : one});

const AXIS = ["zero", "fit"], SCALE = ["log", "linear"], LOOK = ["heat", "lines"],
    SPLIT = ["split", "auto"], PEAKS = ["whole", "cut"];

//  A button that is pressed if the setting has the first of two values.
function toggle (chart, text, hint, key, values) {
    return el ("button", {type: "button", class: "toggle", title: hint,
                          "aria-pressed": String (chart.settings[key] === values[0]),
                          onclick: () => swap (chart, key, values)}, text);
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

const counterTools = (chart) =>
    [choice ("unit", [["second", "per second", "what a second had"],
                      ["interval", "per point", "what each interval had"]],
             chart.settings.per, (per) => set (chart, {per}))];

//  By a metric's type.
const TOOLS = {timer: timerTools, counter: counterTools, total: counterTools,
               gauge: () => []};

//  The chart follows when one stops to type.
function sourceField (chart) {
    const field = el ("input", {
        type: "search", class: "source", value: chart.settings.source,
        placeholder: "only sources …", "aria-label": "only sources",
        oninput: () => {
            clearTimeout (chart.typing);
            chart.typing = setTimeout (
                () => set (chart, {source: field.value.trim ()}), TYPING_MS);
        }});
    return field;
}

function sourceTools (chart) {
    const {settings, block} = chart;
    if (block.series <= 1 && !settings.source)
        return [];
    return [select ("sources", block.type === "timer" ? OVER_TIMER : OVER, settings.over,
                    (over) => set (chart, {over})), sourceField (chart)];
}

const axisTools = (chart) =>
    [chart.block.type === "gauge"
        ? toggle (chart, "0", "axis from zero (0)", "axis", AXIS) : null,
     chart.block.cells ? null
         : toggle (chart, "log", "logarithmic axis (l)", "scale", SCALE)];

const tools = (chart) =>
    [el ("span", {class: `type ${chart.block.type}`}, chart.block.type),
     el ("div", {class: "tools"}, TOOLS[chart.block.type] (chart), sourceTools (chart),
         axisTools (chart))];

//  A metric that the server does not know has one, too, so that its chart can be closed.
function header (chart) {
    const {settings, block} = chart;
    return el ("header", {class: "chart-header"},
        el ("h2", {title: settings.name}, settings.name), block ? tools (chart) : null,
        el ("div", {class: "corner"}, block && !isEmpty (block) ? exportMenu (chart) : null,
            el ("button", {type: "button", class: "icon close", title: "close (x)",
                           "aria-label": `close ${settings.name}`,
                           onclick: () => toggleChart (settings.name)}, "×")));
}

const labelOf = (control) => control.getAttribute ("aria-label") ?? control.textContent;

//  Makes the header anew. What somebody uses stays: the field in which they type, a menu
//  that is open, and the focus.
export function showHeader (chart) {
    const place = chart.element.firstChild, fresh = header (chart);
    const focused = place.querySelector (":focus");
    for (const [used, same] of [[".source:focus", ".source"], [".menu[open]", ".menu"]]) {
        const old = place.querySelector (used);
        if (old)
            fresh.querySelector (same)?.replaceWith (old);
    }
    fill (place, fresh);
    if (focused)
        [...place.querySelectorAll ("button, select, input, summary")]
            .find ((control) => labelOf (control) === labelOf (focused))?.focus ();
}

//  What the axis leaves out, and a button for the other way.
export function peaksKey (chart) {
    const {model: {cut: {peaks}, format}} = chart, isCut = chart.settings.peaks === "cut";
    return el ("span", {}, `${isCut ? "▲ " : ""}${format (peaks[0].value)}: held back in a gap `,
               el ("button", {type: "button", class: "link", title: "the highest peak",
                              onclick: () => swap (chart, "peaks", PEAKS)},
                   isCut ? "show all" : "leave out"));
}

//  What keys do to a chart.
export const chartKeys = {
    "0": (chart) => swap (chart, "axis", AXIS),
    "l": (chart) => swap (chart, "scale", SCALE),
    "h": (chart) => chart.block?.type === "timer" && swap (chart, "look", LOOK),
    "s": (chart) => swap (chart, "over", SPLIT),
    "x": (chart) => toggleChart (chart.settings.name)
};
