//  metric_row - a metric in the list: its name, a small line, its last value
//
//  SPDX-License-Identifier: BSD-3-Clause

import {now} from "./api.js";
import {el, setText} from "./dom.js";
import {ago, duration, number, plural} from "./format.js";
import {cutOf, heldBack} from "./peaks.js";
import {drawSpark, reachOf, usualDistance} from "./spark.js";
import {STEP_S} from "./sparks.js";
import {color} from "./theme.js";

export function newRow (metric, attributes) {
    return el ("div", {class: "metric", role: "option", title: metric.name, ...attributes},
               el ("div", {class: "words"},
                   el ("div", {class: "name"}, metric.name),
                   el ("div", {class: "about"},
                       `${metric.type} · ${plural (metric.series, "series", "series")}`)),
               el ("canvas", {"aria-hidden": "true"}),
               el ("div", {class: "last"},
                   el ("span", {class: "shows"}), el ("span", {class: "number"})));
}

//  A counter has a value only in an interval in which it was counted up, or reported: what
//  it has there is of all the time since the one before. That is the usual time, or after a
//  gap that of the gap. If there is no value for longer than usual, it is at zero.
function rateText (values, at) {
    const reach = reachOf (values), before = values.slice (0, at)
        .findLastIndex ((value) => value !== null);
    if (values.length - 1 - at > reach)
        return "0/s";
    const isAfterGap = before >= 0 && at - before > reach;
    const distance = isAfterGap ? at - before : usualDistance (values) ?? 1;
    return `${number (values[at] / distance)}/s`;
}

//  The last value of a line, as its type is read.
function lastText ({type}, {values, isLeftOut}) {
    if (isLeftOut)
        return "too many series";
    const at = values.findLastIndex ((value) => value !== null);
    if (at < 0)
        return "";
    if (type === "timer")
        return duration (values[at]);
    return type === "gauge" ? number (values[at]) : rateText (values, at);
}

function silentText (metric) {
    return metric.last ? `last seen ${ago (now () - metric.last)}` : "none kept";
}

//  As charts have it: peaks.js.
function axisOf ({type}, {values}) {
    const isCounter = type === "counter" || type === "total";
    const cut = isCounter ? cutOf ([{values, held: heldBack (values, STEP_S)}]) : null;
    return {fromZero: type !== "gauge", most: cut?.max ?? Infinity};
}

//  Most of the time it is as it was drawn.
function drawOnce (canvas, metric, spark, layout) {
    const stroke = color ("accent"), drawn = [spark.to, layout, stroke].join ();
    if (canvas.dataset.drawn === drawn)
        return;
    canvas.dataset.drawn = drawn;
    drawSpark (canvas, spark.values, stroke, color ("accent-soft"), axisOf (metric, spark));
}

//  `spark` is its line, or undefined as long as that has not come. Rows of one `layout`
//  have one size: to ask each would cost a layout of the page.
export function drawRow (row, metric, spark, {isSilent, layout}) {
    const last = isSilent ? silentText (metric) : spark ? lastText (metric, spark) : "";
    row.classList.toggle ("silent", isSilent);
    setText (row.querySelector (".number"), last);
    setText (row.querySelector (".shows"), !isSilent && last && spark.shows || "");
    if (spark && !isSilent)
        drawOnce (row.querySelector ("canvas"), metric, spark, layout);
}
