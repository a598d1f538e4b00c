//  list - all metrics, each with a small line and its last value
//
//  There may be 100,000 of them: only those in sight have elements, names come from
//  the server by the page, and lines for what is in sight. One column beside charts,
//  several where there are none.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {el, fill, find, setText} from "./dom.js";
import {plural} from "./format.js";
import {drawRow, newRow} from "./metric_row.js";
import {loadSparks, sparks} from "./sparks.js";
import {state, toggleChart} from "./state.js";

const PAGE = 200;               //  names of an answer
const MIN_WIDTH = 300;          //  pixels of a column
const REST_MS = 60;             //  without scrolling, and lines are asked for

const scroller = find ("#list"), space = el ("div", {class: "space"});
let pages = new Map ();         //  metrics by the number of their page; null: asked for
let found = 0, columns = 1, width = 0;
let active = -1;                //  index of the one that keys have reached
let search = null;              //  what `pages` are of
let aliveS = 0;                 //  seconds until a metric is silent; the server says it

scroller.append (space);

//  Pixels of a row, as page.css has them.
const rowHeight = () => document.body.classList.contains ("with-charts") ? 60 : 116;

const metricAt = (i) => pages.get (Math.floor (i / PAGE))?.[i % PAGE];

const isSilent = (metric) => now () - metric.last > aliveS;

async function loadPage (page) {
    if (pages.has (page))
        return;
    const asked = pages;
    pages.set (page, null);
    try {
        const answer = await get ("api/metrics", {search: state.search,
                                                  offset: page * PAGE, length: PAGE});
        if (asked !== pages)
            return;
        pages.set (page, answer.metrics);
        found = answer.found;
        aliveS = answer.alive_s;
    } catch {
        asked.delete (page);
        return;
    }
    draw ();
}

//  The first index in sight, and the one past the last.
function sight () {
    const first = Math.floor (scroller.scrollTop / rowHeight ()) * columns;
    const rows = Math.ceil (scroller.clientHeight / rowHeight ()) + 1;
    return [first, Math.min (first + rows * columns, found)];
}

function place (row, i) {
    const room = width / columns, top = Math.floor (i / columns) * rowHeight ();
    row.style.transform = `translate(${i % columns * room}px, ${top}px)`;
    row.style.width = `${room}px`;
    row.classList.toggle ("active", i === active);
}

//  A row has the place of its index, and the text of its metric: it stays as long as
//  both are the same.
function rowOf (i, metric, there) {
    const key = `${i} ${metric.name}`;
    const row = there.get (key)
        ?? newRow (metric, {id: `metric-${i}`, "data-index": i, "data-key": key,
                            "aria-posinset": i + 1, onclick: () => pick (i)});
    row.setAttribute ("aria-setsize", found);
    row.setAttribute ("aria-selected", String (
        state.charts.some (({name}) => name === metric.name)));
    place (row, i);
    return row;
}

function drawRows () {
    const layout = [width, columns, rowHeight ()].join ();
    for (const row of space.children) {
        const metric = metricAt (Number (row.dataset.index));
        if (metric)
            drawRow (row, metric, sparks.get (metric.id),
                     {isSilent: isSilent (metric), layout});
    }
}

export function draw () {
    width = scroller.clientWidth;
    columns = Math.max (1, Math.floor (width / MIN_WIDTH));
    space.style.height = `${Math.ceil (found / columns) * rowHeight ()}px`;
    setText (find ("#found"), plural (found, "metric"));
    setText (find ("#hint"), found ? " · click one to see its chart" : "");
    if (!found && state.search && pages.get (0)) {
        fill (space, el ("p", {class: "nothing"}, "No metric has these words."));
        return;
    }
    const [first, end] = sight (), rows = [];
    const there = new Map ([...space.children].map ((row) => [row.dataset.key, row]));
    for (let i = first; i < end; i++) {
        const metric = metricAt (i);
        if (metric)
            rows.push (rowOf (i, metric, there));
        else
            loadPage (Math.floor (i / PAGE));
    }
    space.replaceChildren (...rows);
    drawRows ();
    wantLines ();
}

let timer = 0;
function wantLines () {
    clearTimeout (timer);
    timer = setTimeout (loadLines, REST_MS);
}

async function loadLines () {
    const [first, end] = sight (), metrics = [];
    for (let i = first; i < end; i++) {
        const metric = metricAt (i);
        if (metric && !isSilent (metric))
            metrics.push (metric);
    }
    if (await loadSparks (metrics, aliveS))
        drawRows ();
}

//  Each second: lines that are ten seconds old go on.
export const tick = () => loadLines ();

//  Asks for the names again: there are others, or others are searched.
export function reload () {
    if (search !== state.search) {
        scroller.scrollTop = 0;
        active = -1;
        sparks.clear ();
    }
    search = state.search;
    pages = new Map ();
    loadPage (Math.floor (sight ()[0] / PAGE));
}

function pick (i) {
    active = i;
    if (metricAt (i))
        toggleChart (metricAt (i).name);
}

//  Moves by so many, and keeps it in sight.
export function step (by) {
    active = active < 0 ? 0 : Math.min (Math.max (active + by, 0), found - 1);
    const row = rowHeight (), top = Math.floor (active / columns) * row;
    scroller.scrollTop = Math.min (Math.max (scroller.scrollTop,
                                             top + row - scroller.clientHeight), top);
    for (const where of [scroller, find ("#search")])
        where.setAttribute ("aria-activedescendant", `metric-${active}`);
    draw ();
}

export const columnCount = () => columns;
export const pickActive = () => pick (Math.max (active, 0));

scroller.addEventListener ("scroll", draw, {passive: true});
new ResizeObserver (draw).observe (scroller);
