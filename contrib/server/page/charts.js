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

//  Most of what it costs to keep a chart up to date is to draw it: those that are scrolled
//  away wait until they come back.
const sight = new IntersectionObserver ((entries) => {
    for (const {target, isIntersecting} of entries) {
        const chart = charts.find (({element}) => element === target);
        if (chart)
            chart.isSeen = isIntersecting;
        if (chart && isIntersecting && state.live)
            chart.tick ();
    }
}, {rootMargin: "100px"});

//  Makes the page's charts those of the state; what was there stays.
export function follow () {
    const before = new Map (charts.map ((chart) => [chart.settings.name, chart]));
    charts = state.charts.map ((settings) => {
        const known = before.get (settings.name) ?? new Chart (settings);
        known.settings = settings;
        return known;
    });
    //  What is put anew loses the focus.
    const elements = charts.map ((chart) => chart.element);
    if (elements.length !== place.children.length
        || elements.some ((element, i) => element !== place.children[i]))
        fill (place, elements);
    before.forEach (({element}) => elements.includes (element) || sight.unobserve (element));
    elements.forEach ((element) => sight.observe (element));
    document.body.classList.toggle ("with-charts", charts.length > 0);
    const fresh = charts.filter ((chart) => !chart.feed.wanted);
    fresh.forEach ((chart) => chart.load ());
    if (fresh.length)
        showNotes ();
}

//  Annotations come by themselves, and are drawn over what is there.
export async function showNotes () {
    await loadNotes ();
    charts.forEach ((chart) => chart.plot?.redraw (false));
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
export function key (name) {
    const chart = charts.find (({element}) => element.matches (":hover"))
        ?? charts.find (({element}) => element.contains (document.activeElement))
        ?? (charts.length === 1 ? charts[0] : null);
    if (chart)
        chartKeys[name]?.(chart);
    return name in chartKeys;
}

new ResizeObserver (() => charts.forEach ((chart) => chart.resize ())).observe (place);
