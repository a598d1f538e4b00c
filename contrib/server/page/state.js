//  state - what is shown, which is also the page's address
//
//  Whoever gets the address sees the same. Everybody changes it by change (), and
//  hears of it by onChange ().
//
//  SPDX-License-Identifier: BSD-3-Clause

export const RANGES = [[300, "5 min"], [1800, "30 min"], [3600, "1 h"], [10800, "3 h"],
                       [43200, "12 h"], [86400, "1 d"], [604800, "7 d"],
                       [2592000, "30 d"]];
export const VIEWS = ["metrics", "series", "health"];

//  What a chart shows: how sources become lines, how a timer is drawn, what a counter
//  is divided by, and the axis. The first of each is the default.
const WORDS = {over: ["auto", "sum", "split", "mean", "min", "max"],
               look: ["lines", "heat"], per: ["second", "interval"],
               line: ["p95", "p50", "p99", "average", "highest"],
               axis: ["fit", "zero"], scale: ["linear", "log"]};

//  In a frame of somebody else's page there are charts only, and the address has the
//  token of a viewer: a browser sends no cookie from there.
export const embedded = location.pathname.endsWith ("/embed");
export const token = embedded ? new URLSearchParams (location.search).get ("token") : null;

const whole = (text) => /^\d{1,12}$/.test (text ?? "") ? Number (text) : null;

//  "split,log,source=web 1": words that are not the default.
function readChart (name, words) {
    const chart = {name, source: ""};
    const given = words.split (",");
    for (const [key, values] of Object.entries (WORDS))
        chart[key] = values.find ((word) => given.includes (word)) ?? values[0];
    const source = words.indexOf ("source=");
    if (source >= 0)
        chart.source = words.slice (source + 7);
    return chart;
}

function writeChart (chart) {
    const words = Object.entries (WORDS)
        .filter (([key, values]) => chart[key] !== values[0])
        .map (([key]) => chart[key]);
    if (chart.source)
        words.push (`source=${chart.source}`);
    return words.join (",");
}

function read () {
    const query = new URLSearchParams (location.search);
    const options = query.getAll ("o"), from = whole (query.get ("from")),
        to = whole (query.get ("to"));
    const own = from !== null && to !== null && from < to;
    return {view: VIEWS.find ((view) => view === query.get ("view")) ?? VIEWS[0],
            search: query.get ("q") ?? "",
            charts: query.getAll ("m").map (
                (name, i) => readChart (name, options[i] ?? "")),
            range: whole (query.get ("range")), from: own ? from : null,
            to: own ? to : null, live: !own && query.get ("live") !== "0",
            utc: query.get ("utc") === "1",
            theme: ["light", "dark"].find ((name) => name === query.get ("theme"))
                ?? null};
}

export const state = read ();

function write () {
    const query = new URLSearchParams ();
    if (state.view !== VIEWS[0])
        query.set ("view", state.view);
    if (state.search)
        query.set ("q", state.search);
    if (state.from !== null) {
        query.set ("from", state.from);
        query.set ("to", state.to);
    } else if (state.range !== null)
        query.set ("range", state.range);
    if (!state.live && state.from === null)
        query.set ("live", "0");
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

//  Calls the function with the names of what has changed.
export const onChange = (listener) => listeners.push (listener);

const say = (names) => listeners.forEach ((listener) => listener (new Set (names)));

//  Takes these values. `step` makes it one that the browser's Back undoes.
export function change (values, step = false) {
    Object.assign (state, values);
    history[step ? "pushState" : "replaceState"] (null, "", write ());
    say (Object.keys (values));
}

//  Adds a metric's chart, or takes it away.
export function toggleChart (name) {
    const charts = state.charts.filter ((chart) => chart.name !== name);
    if (charts.length === state.charts.length)
        charts.push (readChart (name, ""));
    change ({charts}, true);
}

//  Changes what one chart shows.
export function changeChart (chart, values) {
    Object.assign (chart, values);
    change ({});
}

window.addEventListener ("popstate", () => {
    Object.assign (state, read ());
    say (Object.keys (state));
});
