//  list - all metrics: name, a small line, the last value
//
//  There may be 100,000 of them: only those in sight have elements, names come from
//  the server by the page, and lines for what is in sight. One column beside charts,
//  several where there are none.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {el, fill, find, say} from "./dom.js";
import {ago, duration, number, plural} from "./format.js";
import {drawSpark, reachOf} from "./spark.js";
import {extendSparks, sparks} from "./sparks.js";
import {state, toggleChart} from "./state.js";
import {color} from "./theme.js";

const PAGE = 200, WIDTH = 300;

const scroller = find ("#list"), space = el ("div", {class: "space"});
const count = find ("#found");
let width = 0;                  //  of the list, as it was last seen
let pages = new Map (), found = 0, columns = 1, active = -1, search = null;
let alive = 0;                  //  seconds; the server says it

scroller.append (space);

//  Pixels of a row, as page.css has them.
const height = () => document.body.classList.contains ("with-charts") ? 60 : 116;

const item = (i) => pages.get (Math.floor (i / PAGE))?.[i % PAGE];

async function loadPage (page) {
    if (pages.has (page))
        return;
    pages.set (page, null);
    const mine = pages;
    try {
        const answer = await get ("api/metrics", {search: state.search,
                                                  offset: page * PAGE, length: PAGE});
        if (mine !== pages)
            return;
        pages.set (page, answer.metrics);
        found = answer.found;
        alive = answer.alive_s;
    } catch {
        mine.delete (page);
        return;
    }
    draw ();
}

//  The value that a row shows, as its type is read. A counter that was not counted up
//  for longer than usual is at zero.
function lastText (metric, spark) {
    const at = spark.values.findLastIndex ((some) => some !== null);
    if (at < 0)
        return "";
    if (metric.type === "timer")
        return duration (spark.values[at]);
    if (metric.type === "gauge")
        return number (spark.values[at]);
    const rests = spark.values.length - 1 - at > reachOf (spark.values);
    return `${number (rests ? 0 : spark.values[at])}/s`;
}

//  Most of the time it is as it was drawn.
function drawOnce (canvas, metric, spark) {
    const drawn = [spark.to, width, columns, color ("accent")].join ();
    if (canvas.dataset.drawn === drawn)
        return;
    canvas.dataset.drawn = drawn;
    drawSpark (canvas, spark.values, color ("accent"), color ("accent-soft"),
               metric.type !== "gauge");
}

function drawRow (row, metric) {
    const silent = now () - metric.last > alive, spark = sparks.get (metric.id);
    const chosen = state.charts.some ((chart) => chart.name === metric.name);
    row.classList.toggle ("silent", silent);
    row.setAttribute ("aria-selected", String (chosen));
    say (row.querySelector (".last"),
         silent ? metric.last ? `last seen ${ago (now () - metric.last)}` : "none kept"
             : spark ? lastText (metric, spark) : "");
    if (spark && !silent)
        drawOnce (row.querySelector ("canvas"), metric, spark);
}

function newRow (i, metric) {
    return el ("div", {class: "metric", role: "option", id: `metric-${i}`,
                       title: metric.name, "data-index": i,
                       onclick: () => pick (i)},
               el ("div", {class: "words"},
                   el ("div", {class: "name"}, metric.name),
                   el ("div", {class: "about"},
                       `${metric.type} · ${plural (metric.series, "series", "series")}`)),
               el ("canvas", {"aria-hidden": "true"}),
               el ("div", {class: "last"}));
}

function place (row, i) {
    const room = width / columns;
    row.style.transform = `translate(${i % columns * room}px, ${
        Math.floor (i / columns) * height ()}px)`;
    row.style.width = `${room}px`;
    row.classList.toggle ("active", i === active);
}

//  The first and the one past the last of those in sight.
function sight () {
    const first = Math.floor (scroller.scrollTop / height ()) * columns;
    const rows = Math.ceil (scroller.clientHeight / height ()) + 1;
    return [first, Math.min (first + rows * columns, found)];
}

export function draw () {
    width = scroller.clientWidth;
    columns = Math.max (1, Math.floor (width / WIDTH));
    space.style.height = `${Math.ceil (found / columns) * height ()}px`;
    say (count, plural (found, "metric"));
    if (!found && state.search && pages.get (0)) {
        fill (space, el ("p", {class: "nothing"}, "No metric has these words."));
        return;
    }
    const [first, end] = sight (), rows = [];
    const there = new Map ([...space.children].map ((row) => [row.dataset.key, row]));
    for (let i = first; i < end; i++) {
        const metric = item (i);
        if (!metric) {
            loadPage (Math.floor (i / PAGE));
            continue;
        }
        const row = there.get (`${i} ${metric.name}`) ?? newRow (i, metric);
        row.dataset.key = `${i} ${metric.name}`;
        place (row, i);
        rows.push ([row, metric]);
    }
    space.replaceChildren (...rows.map (([row]) => row));
    rows.forEach (([row, metric]) => drawRow (row, metric));
    wantSparks ();
}

//  Lines of what is in sight, once scrolling rests for a moment.
let timer = 0;
function wantSparks () {
    clearTimeout (timer);
    timer = setTimeout (loadSparks, 60);
}

async function loadSparks () {
    const [first, end] = sight (), metrics = [];
    for (let i = first; i < end; i++)
        if (item (i))
            metrics.push (item (i));
    await extendSparks (metrics, alive);
    for (const row of space.children) {
        const metric = item (Number (row.dataset.index));
        if (metric)
            drawRow (row, metric);
    }
}

//  What is asked for has changed: names come again.
export function reload () {
    if (search !== state.search) {
        scroller.scrollTop = 0;
        active = -1;
        sparks.clear ();
    }
    search = state.search;
    pages = new Map ();
    return loadPage (Math.floor (sight ()[0] / PAGE)).then (() => found);
}

//  Each second: lines that are ten seconds old are drawn anew.
export const tick = () => loadSparks ();

function pick (i) {
    active = i;
    if (item (i))
        toggleChart (item (i).name);
}

//  Moves by so many, and keeps it in sight.
export function step (by) {
    active = active < 0 ? 0 : Math.min (Math.max (active + by, 0), found - 1);
    const row = height (), top = Math.floor (active / columns) * row;
    scroller.scrollTop = Math.min (Math.max (scroller.scrollTop,
                                             top + row - scroller.clientHeight), top);
    scroller.setAttribute ("aria-activedescendant", `metric-${active}`);
    draw ();
}

export const columnCount = () => columns;
export const pickActive = () => pick (Math.max (active, 0));

scroller.addEventListener ("scroll", draw, {passive: true});
new ResizeObserver (draw).observe (scroller);
