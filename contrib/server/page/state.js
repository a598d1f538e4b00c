//  state - what is shown, which is also the page's address
//
//  Whoever gets the address sees the same. All changes go through change (), and
//  listeners of onChange () hear of them.
//
//  SPDX-License-Identifier: BSD-3-Clause

export const RANGES = [[300, "5 min"], [1800, "30 min"], [3600, "1 h"], [10800, "3 h"],
                       [43200, "12 h"], [86400, "1 d"], [604800, "7 d"],
                       [2592000, "30 d"]];
export const VIEWS = ["metrics", "series", "health"];

//  What can be chosen for a chart: how sources become lines, how a timer is drawn, what
//  a counter is divided by, which line each source of a timer has, the axis, and whether
//  it leaves out what was held back (peaks.js). The first of each is the default.
const SETTINGS = {over: ["auto", "sum", "split", "mean", "min", "max"],
                  look: ["lines", "heat"], per: ["second", "interval"],
                  line: ["p95", "p50", "p99", "average", "highest"],
                  axis: ["fit", "zero"], scale: ["linear", "log"],
                  peaks: ["cut", "whole"]};
const SOURCE = "source=";

//  In a frame of somebody else's page there are charts only. The address has the token
//  of a viewer then, since browsers send no cookie from a frame.
export const embedded = location.pathname.endsWith ("/embed");
export const token = embedded ? new URLSearchParams (location.search).get ("token") : null;

const readInteger = (text) => /^\d{1,12}$/.test (text ?? "") ? Number (text) : null;

//  Reads "split,log,source=web 1": the settings that are not the default. All values
//  differ, so their keys need not be named.
function readChart (name, words) {
    const chart = {name, source: ""};
    const given = words.split (",");
    for (const [key, values] of Object.entries (SETTINGS))
        chart[key] = values.find ((value) => given.includes (value)) ?? values[0];
    const source = words.indexOf (SOURCE);
    if (source >= 0)
        chart.source = words.slice (source + SOURCE.length);
    return chart;
}

function writeChart (chart) {
    const words = Object.entries (SETTINGS)
        .filter (([key, values]) => chart[key] !== values[0])
        .map (([key]) => chart[key]);
    if (chart.source)
        words.push (`${SOURCE}${chart.source}`);
    return words.join (",");
}

//  Three kinds of time: from one time to another; a range up to now, which is live; and
//  a range up to a time, which is paused.
function readTime (query) {
    const from = readInteger (query.get ("from")), to = readInteger (query.get ("to"));
    const range = readInteger (query.get ("range"));
    if (from !== null && to !== null && from < to)
        return {from, to, range, live: false};
    const live = query.get ("live") !== "0";
    return {from: null, to: live ? null : to, range, live};
}

//  "m" is a metric, and the "o" of the same place its settings. A metric has one chart.
function readCharts (query) {
    const names = query.getAll ("m"), settings = query.getAll ("o");
    return names.map ((name, i) => readChart (name, settings[i] ?? ""))
        .filter (({name}, i) => names.indexOf (name) === i);
}

function read () {
    const query = new URLSearchParams (location.search);
    return {view: VIEWS.find ((view) => view === query.get ("view")) ?? VIEWS[0],
            search: query.get ("q") ?? "",
            charts: readCharts (query), ...readTime (query),
            utc: query.get ("utc") === "1",
            theme: ["light", "dark"].find ((name) => name === query.get ("theme"))
                ?? null};
}

export const state = read ();

function writeTime (query) {
    if (state.from !== null)
        query.set ("from", state.from);
    else if (state.range !== null)
        query.set ("range", state.range);
    if (state.to !== null)
        query.set ("to", state.to);
    if (!state.live && state.from === null)
        query.set ("live", "0");
}

function write () {
    const query = new URLSearchParams ();
    if (state.view !== VIEWS[0])
        query.set ("view", state.view);
    if (state.search)
        query.set ("q", state.search);
    writeTime (query);
    if (state.utc)
        query.set ("utc", "1");
    if (token)
        query.set ("token", token);
    if (state.theme)
        query.set ("theme", state.theme);
    for (const chart of state.charts) {
        query.append ("m", chart.name);
        query.append ("o", writeChart (chart));
    }
    const text = query.toString ();
    return text ? `?${text}` : location.pathname;
}

const listeners = [];

//  Calls the function with a set of the names of what has changed.
export const onChange = (listener) => listeners.push (listener);

const announce = (names) => listeners.forEach ((listener) => listener (new Set (names)));

//  Takes these values. With `step` the browser's Back undoes it.
export function change (values, step = false) {
    Object.assign (state, values);
    history[step ? "pushState" : "replaceState"] (null, "", write ());
    announce (Object.keys (values));
}

//  Adds a metric's chart, or takes it away.
export function toggleChart (name) {
    const charts = state.charts.filter ((chart) => chart.name !== name);
    if (charts.length === state.charts.length)
        charts.push (readChart (name, ""));
    change ({charts}, true);
}

//  Changes the settings of one chart.
export function changeChart (chart, values) {
    Object.assign (chart, values);
    change ({});
}

window.addEventListener ("popstate", () => {
    Object.assign (state, read ());
    announce (Object.keys (state));
});
