//  series - who makes how many: metrics, sources and tags by their series
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {el, fill, find} from "./dom.js";
import {ago, exact, plural} from "./format.js";
import {change, state, toggleChart} from "./state.js";

const place = find ("#series");
const opened = new Map ();      //  the series of those that are, by the metric's name
let sort = "series", last = null;

//  A share of all as the length of a bar.
function bar (share) {
    const self = el ("span", {class: "bar"});
    self.style.width = `${Math.max (1, share * 100)}%`;
    return el ("span", {class: "bar-room", "aria-hidden": "true"}, self);
}

function showChart (name) {
    if (!state.charts.some ((chart) => chart.name === name))
        toggleChart (name);
    change ({view: "metrics"}, true);
}

function describe ({source, tags}) {
    return [source || "(no source)", tags.replaceAll (";", ", ")].filter (Boolean).join (" · ");
}

//  The newest series of a metric, below it.
function innerRow ({series, found}) {
    return el ("tr", {class: "inner"}, el ("td", {colspan: "5"},
        el ("ul", {}, series.map ((one) => el ("li", {},
            el ("span", {}, describe (one)),
            el ("span", {class: "muted"}, `since ${ago (now () - one.first)}`)))),
        found > series.length
            ? el ("p", {class: "muted"}, `and ${exact (found - series.length)} more`) : null));
}

//  Opens it, or closes it again.
async function open (metric) {
    if (!opened.delete (metric.name)) {
        const answer = await get ("api/series", {metric: metric.name}).catch (() => null);
        if (!answer)
            return;
        opened.set (metric.name, answer);
    }
    show ();
}

function metricRows (metric, all) {
    const row = el ("tr", {},
        el ("th", {scope: "row"},
            el ("button", {type: "button", class: "link", title: "its series",
                           "data-key": metric.name, onclick: () => open (metric)},
                metric.name)),
        el ("td", {class: "wide"}, bar (metric.series / all)),
        el ("td", {}, exact (metric.series)),
        el ("td", {class: metric.fresh > 1000 ? "wrong" : ""}, exact (metric.fresh)),
        el ("td", {}, el ("button", {type: "button", class: "link",
                                     onclick: () => showChart (metric.name)}, "chart")));
    return opened.has (metric.name) ? [row, innerRow (opened.get (metric.name))] : [row];
}

//  A column by which it can be sorted.
function heading (key, text) {
    return el ("th", {scope: "col", "aria-sort": sort === key ? "descending" : "none"},
        el ("button", {type: "button", class: "link", onclick: () => {
            sort = key;
            loadSeries ();
        }}, text));
}

function metricTable (answer) {
    if (!answer.metrics.length && state.search)
        return el ("p", {class: "nothing"}, "No metric has these words.");
    return el ("table", {class: "rows"},
        el ("thead", {}, el ("tr", {}, el ("th", {scope: "col"}, "metric"),
                             el ("th", {class: "wide"}),
                             heading ("series", "series"), heading ("fresh", "new in a day"),
                             el ("th"))),
        el ("tbody", {}, answer.metrics.flatMap ((one) => metricRows (one, answer.series))));
}

function sideTable (title, rows, all) {
    return el ("section", {}, el ("h3", {}, title),
        el ("table", {class: "rows"}, el ("tbody", {}, rows.map (([name, count, text]) =>
            el ("tr", {}, el ("th", {scope: "row"}, name || "(none)"),
                el ("td", {class: "wide"}, bar (count / all)), el ("td", {}, text))))));
}

//  Made anew, with what is open, and the focus where it was.
function show () {
    const answer = last, focused = document.activeElement?.dataset.key;
    const sources = answer.sources.map ((one) => [one.name, one.series, exact (one.series)]);
    const tags = answer.tags.map ((one) => [one.name, one.series,
                                            plural (one.values, "value")]);
    fill (place, el ("h2", {}, `${exact (answer.series)} series, and who makes them`),
          el ("div", {class: "beside"}, metricTable (answer),
              el ("aside", {}, sideTable ("Sources", sources, answer.series),
                  tags.length ? sideTable ("Tags", tags, answer.series) : null)));
    if (focused !== undefined)
        [...place.querySelectorAll ("[data-key]")]
            .find (({dataset}) => dataset.key === focused)?.focus ();
}

export async function loadSeries () {
    const answer = await get ("api/series", {search: state.search, sort})
        .catch (() => null);
    if (!answer)
        return;
    last = answer;
    show ();
}
