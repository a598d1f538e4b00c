//  app - the page: puts its parts together, and makes them follow state and clock
//
//      state ──▶ list, charts, series, health ◀── each second
//
//  SPDX-License-Identifier: BSD-3-Clause

import {events, post} from "./api.js";
import {askTimes, startTimes, zone} from "./between.js";
import * as charts from "./charts.js";
import {choice, choose, find} from "./dom.js";
import {showEmpty} from "./empty.js";
import {moment} from "./format.js";
import {loadHealth} from "./health.js";
import {startKeys} from "./keys.js";
import * as list from "./list.js";
import {askLogin, isAsking, startLogin} from "./login.js";
import {length, setFallback, setRange, shown, toggleLive} from "./range.js";
import {loadSeries} from "./series.js";
import {change, embedded, onChange, RANGES, state} from "./state.js";
import {loadStatus, sayOffline} from "./status.js";
import {applyTheme, isDark, onSystemTheme} from "./theme.js";

const RELOAD_S = 15;            //  names of metrics that are new
const SLOW_S = 5;               //  pages of tables
const SEARCH_MS = 120;

const OWN = "own";
const ranges = choice ("time", [...RANGES.map (([s, text]) => [s, text, `the last ${text}`]),
                                [OWN, "…", "from one time to another (o)"]],
                       length (), (key) => key === OWN ? askTimes () : setRange (key));
let metrics = -1, typing = 0, ticks = 0;

//  The buttons say what is.
function showControls () {
    const own = state.from !== null, [from, to] = shown ();
    choose (ranges, own ? OWN : length ());
    for (const button of ranges.children)
        button.disabled = state.view === "metrics" && !state.charts.length;
    find ("#own").textContent = own
        ? `${moment (from, state.utc)} – ${moment (to, state.utc)}` : "";
    find ("#live").textContent = state.live ? "Live" : "Paused";
    find ("#live").setAttribute ("aria-pressed", String (state.live));
    find ("#utc").textContent = state.utc ? "UTC" : "Local";
    find ("#utc").title = `times of ${zone ()}; UTC or local (u)`;
    find ("#theme").textContent = isDark () ? "☾" : "☀";
    if (find ("#search").value !== state.search)
        find ("#search").value = state.search;
    document.body.dataset.view = state.view;
    for (const link of document.querySelectorAll ("nav button"))
        link.setAttribute ("aria-current",
                           link.dataset.view === state.view ? "page" : "false");
}

const loadTables = () =>
    state.view === "series" ? loadSeries () : state.view === "health" ? loadHealth () : null;

function onTheme () {
    applyTheme ();
    charts.drawAll ();
    list.draw ();
}

function follow (names) {
    showControls ();
    charts.follow ();
    if (names.has ("theme"))
        onTheme ();
    if (names.has ("utc"))
        charts.drawAll ();
    if (names.has ("search"))
        list.reload ();
    else
        list.draw ();
    if (["from", "to", "range", "live"].some ((name) => names.has (name)))
        charts.loadAll ();
    if (["view", "search", "from", "range"].some ((name) => names.has (name)))
        loadTables ();
}

async function look () {
    const status = await loadStatus ();
    if (metrics < 0) {
        setFallback (status.oldest ? status.now - status.oldest : Infinity);
        showControls ();
    }
    showEmpty (!status.others && !state.charts.length);
    const fresh = status.metrics !== metrics;
    metrics = status.metrics;
    return fresh;
}

//  Once a second: what is in sight is kept up to date.
async function tick () {
    if (document.hidden || isAsking ())
        return;
    ticks++;
    const fresh = await look ().catch (() => null);
    if (fresh === null)
        return;
    if (fresh || ticks % RELOAD_S === 0)
        list.reload ();
    if (ticks % RELOAD_S === 0)
        charts.showNotes ();
    if (state.live && state.view === "metrics") {
        list.tick ();
        charts.tick ();
    } else if (state.live && ticks % SLOW_S === 0)
        loadTables ();
}

function startControls () {
    find ("#ranges").append (ranges);
    find ("#live").addEventListener ("click", toggleLive);
    find ("#utc").addEventListener ("click", () => change ({utc: !state.utc}));
    find ("#theme").addEventListener (
        "click", () => change ({theme: isDark () ? "light" : "dark"}));
    find ("#help-button").addEventListener ("click", () => find ("#help").showModal ());
    for (const link of document.querySelectorAll ("nav button"))
        link.addEventListener ("click", () => change ({view: link.dataset.view}, true));
    for (const button of document.querySelectorAll ("dialog .done"))
        button.addEventListener ("click", () => button.closest ("dialog").close ());
    find ("#logout").addEventListener ("click", () =>
        post ("logout", {}).then (() => location.reload (), () => null));
    find ("#search").addEventListener ("input", ({target}) => {
        clearTimeout (typing);
        typing = setTimeout (() => change ({search: target.value}), SEARCH_MS);
    });
    document.addEventListener ("click", ({target}) => {
        for (const menu of document.querySelectorAll ("details.menu[open]"))
            if (!menu.contains (target) || target.closest (".items"))
                menu.open = false;
    });
}

async function begin () {
    if (state.range !== null || state.from !== null)
        charts.follow ();
    await look ().catch (() => null);
    charts.follow ();
    list.reload ();
    loadTables ();
}

document.body.classList.toggle ("embedded", embedded);
applyTheme ();
onSystemTheme (onTheme);
onChange (follow);
events.online = (online) => {
    document.body.classList.toggle ("offline", !online);
    if (online)
        charts.loadAll ();
    else
        sayOffline ();
};
events.login = askLogin;
startLogin (begin);
startControls ();
startKeys ();
startTimes ();
showControls ();
begin ();
setInterval (tick, 1000);
