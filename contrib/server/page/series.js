//  series - who makes how many: metrics, sources and tags by their series
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {el, fill, find} from "./dom.js";
import {ago, exact, plural} from "./format.js";
import {change, state, toggleChart} from "./state.js";

const MANY_FRESH = 1000;        //  new series in a day: somebody invents names

const place = find ("#series");
const opened = new Map ();      //  the series of metrics that are open, by their name
let sort = "series", answer = null;

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

//  A button that has the focus keeps it when the page is made anew, by its key.
const link = (key, text, onclick, attributes = {}) =>
    el ("button", {type: "button", class: "link", "data-key": key, onclick, ...attributes},
        text);

const describe = ({source, tags}) =>
    [source || "(no source)", tags.replaceAll (";", ", ")].filter (Boolean).join (" · ");

//  The newest series of a metric, below it.
function innerRow ({series, found}) {
    return el ("tr", {class: "inner"}, el ("td", {colspan: "5"},
        el ("ul", {}, series.map ((one) => el ("li", {},
            el ("span", {}, describe (one)),
            el ("span", {class: "muted"}, `since ${ago (now () - one.first)}`)))),
        found > series.length
            ? el ("p", {class: "muted"}, `and ${exact (found - series.length)} more`) : null));
}

//  Opens a metric, or closes it again.
async function toggle ({name}) {
    if (!opened.delete (name)) {
        const its = await get ("api/series", {metric: name}).catch (() => null);
        if (!its)
            return;
        opened.set (name, its);
    }
    show ();
}

function metricRows (metric) {
    const {name, series, fresh} = metric, isOpen = opened.has (name);
    const row = el ("tr", {},
        el ("th", {scope: "row"}, link (`of ${name}`, name, () => toggle (metric),
                                        {title: "its series", "aria-expanded": String (isOpen)})),
        el ("td", {class: "wide"}, bar (series / answer.series)),
        el ("td", {}, exact (series)),
        el ("td", {class: fresh > MANY_FRESH ? "wrong" : ""}, exact (fresh)),
        el ("td", {}, link (`chart of ${name}`, "chart", () => showChart (name))));
    return isOpen ? [row, innerRow (opened.get (name))] : [row];
}

//  A column by which it can be sorted.
const heading = (key, text) =>
    el ("th", {scope: "col", "aria-sort": sort === key ? "descending" : "none"},
        link (`by ${key}`, text, () => {
            sort = key;
            loadSeries ();
        }));

function metricTable () {
    if (!answer.metrics.length && state.search)
        return el ("p", {class: "nothing"}, "No metric has these words.");
    return el ("table", {class: "rows"},
        el ("thead", {}, el ("tr", {}, el ("th", {scope: "col"}, "metric"),
                             el ("th", {class: "wide"}),
                             heading ("series", "series"), heading ("fresh", "new in a day"),
                             el ("th"))),
        el ("tbody", {}, answer.metrics.flatMap (metricRows)));
}

//  Of sources or tags: rows are {name, series}, and `text` says their number.
function sideTable (title, rows, text) {
    return el ("section", {}, el ("h3", {}, title),
        el ("table", {class: "rows"}, el ("tbody", {}, rows.map ((row) =>
            el ("tr", {}, el ("th", {scope: "row"}, row.name || "(none)"),
                el ("td", {class: "wide"}, bar (row.series / answer.series)),
                el ("td", {}, text (row)))))));
}

//  Makes the page anew, with what is open, and the focus where it was.
function show () {
    const {sources, tags, series} = answer, {key} = document.activeElement?.dataset ?? {};
    fill (place, el ("h2", {}, `${exact (series)} series, and who makes them`),
          el ("div", {class: "beside"}, metricTable (),
              el ("aside", {},
                  sideTable ("Sources", sources, (source) => exact (source.series)),
                  tags.length
                      ? sideTable ("Tags", tags, (tag) => plural (tag.values, "value")) : null)));
    if (key !== undefined)
        [...place.querySelectorAll ("[data-key]")]
            .find (({dataset}) => dataset.key === key)?.focus ();
}

export async function loadSeries () {
    const fresh = await get ("api/series", {search: state.search, sort}).catch (() => null);
    if (!fresh)
        return;
    answer = fresh;
    show ();
}
