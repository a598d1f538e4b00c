//  charts - those that are chosen, below each other
//
//  SPDX-License-Identifier: BSD-3-Clause

import {Chart} from "./chart.js";
import {chartKeys} from "./chart_header.js";
import {fill, find} from "./dom.js";
import {loadNotes} from "./notes.js";
import {state} from "./state.js";

const place = find ("#charts");
let charts = [];

//  Most of what it costs to keep a chart up to date is to draw it. Those that are
//  scrolled away wait until they come back.
const sight = new IntersectionObserver ((entries) => {
    for (const {target, isIntersecting} of entries) {
        const chart = charts.find (({element}) => element === target);
        if (!chart)
            continue;
        chart.isSeen = isIntersecting;
        if (isIntersecting && state.live)
            chart.tick ();
    }
}, {rootMargin: "100px"});

//  Elements that are moved lose the focus, so they are not if they are those already.
function placeElements (elements) {
    if (elements.length !== place.children.length
        || elements.some ((element, i) => element !== place.children[i]))
        fill (place, elements);
}

//  One that was added to others is below them: it comes into sight.
async function loadAdded (added) {
    if (!added.length)
        return;
    showNotes ();
    await Promise.all (added.map ((chart) => chart.load ()));
    if (added.length === 1 && charts.length > 1)
        added[0].element.scrollIntoView ({block: "nearest"});
}

//  Makes the page's charts those of the state. Those that are there stay.
export function follow () {
    const known = new Map (charts.map ((chart) => [chart.settings.name, chart]));
    const added = [];
    charts = state.charts.map ((settings) => {
        const chart = known.get (settings.name) ?? new Chart (settings);
        if (!known.delete (settings.name))
            added.push (chart);
        chart.settings = settings;
        return chart;
    });
    placeElements (charts.map (({element}) => element));
    known.forEach (({element}) => sight.unobserve (element));
    document.body.classList.toggle ("with-charts", charts.length > 0);
    added.forEach (({element}) => sight.observe (element));
    loadAdded (added);
}

//  Annotations come by themselves, and are drawn over what is there.
export async function showNotes () {
    await loadNotes ();
    charts.forEach (({plot}) => plot?.redraw (false));
}

export async function loadAll () {
    if (!charts.length)
        return;
    showNotes ();
    await Promise.all (charts.map ((chart) => chart.load ()));
}

export const drawAll = () => charts.forEach ((chart) => chart.draw ());

export const tick = () => charts.forEach ((chart) => chart.tick ());

//  A key for the chart under the pointer, or that has the focus, or is the only one.
//  Returns whether it is one of a chart's.
export function key (name) {
    const chart = charts.find (({element}) => element.matches (":hover"))
        ?? charts.find (({element}) => element.contains (document.activeElement))
        ?? (charts.length === 1 ? charts[0] : null);
    if (chart)
        chartKeys[name]?.(chart);
    return name in chartKeys;
}

new ResizeObserver (() => charts.forEach ((chart) => chart.resize ())).observe (place);
