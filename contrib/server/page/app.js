//  app - the page: puts its parts together, and makes them follow state and clock
//
//      state ──▶ list, charts, series, health ◀── each second
//
//  SPDX-License-Identifier: BSD-3-Clause

import {events, post} from "./api.js";
import * as charts from "./charts.js";
import {choice, find, setChoice} from "./dom.js";
import {showEmpty} from "./empty.js";
import {moment} from "./format.js";
import {loadHealth} from "./health.js";
import {startKeys} from "./keys.js";
import * as list from "./list.js";
import {askLogin, isAsking, startLogin} from "./login.js";
import {length, setFallback, setRange, shown, toggleLive} from "./range.js";
import {askTimes, startTimes, zone} from "./range_dialog.js";
import {loadSeries} from "./series.js";
import {change, embedded, onChange, RANGES, state} from "./state.js";
import {loadStatus, sayOffline} from "./status.js";
import {applyTheme, isDark, onSystemTheme} from "./theme.js";

const NAMES_S = 15;             //  then names of metrics, and annotations, come again
const TABLES_S = 5;             //  then series or health do
const TYPING_MS = 120;

const OWN = "own";              //  beside RANGES: from one time to another
const ranges = choice ("time", [...RANGES.map (([s, text]) => [s, text, `the last ${text}`]),
                                [OWN, "…", "from one time to another (o)"]],
                       length (), (key) => key === OWN ? askTimes () : setRange (key));
const TITLES = 3;               //  metrics in the title of the window
const views = [...document.querySelectorAll ("nav button")];
let metrics = -1;               //  how many there were a second ago; -1: not known yet
let ticks = 0;

//  So that tabs and bookmarks can be told apart.
function showTitle () {
    const names = state.view === "metrics" ? state.charts.map (({name}) => name) : [state.view];
    document.title = [names.slice (0, TITLES).join (", "), "Zibrato"]
        .filter (Boolean).join (" – ");
}

//  Buttons and fields say what the state is.
function showControls () {
    const [from, to] = shown ();
    setChoice (ranges, state.from !== null ? OWN : length ());
    for (const button of ranges.children)
        button.disabled = state.view === "metrics" && !state.charts.length;
    find ("#own").textContent = state.live ? ""
        : `${moment (from, state.utc)} – ${moment (to, state.utc)}`;
    find ("#live").textContent = state.live ? "Live" : "Paused";
    find ("#live").setAttribute ("aria-pressed", String (state.live));
    find ("#utc").textContent = state.utc ? "UTC" : "Local";
    find ("#utc").title = `times of ${zone ()}; UTC or local (u)`;
    find ("#theme").textContent = isDark () ? "☾" : "☀";
    if (find ("#search").value !== state.search)
        find ("#search").value = state.search;
    document.body.dataset.view = state.view;
    for (const button of views)
        button.setAttribute ("aria-current",
                             button.dataset.view === state.view ? "page" : "false");
}

function loadTables () {
    if (state.view === "series")
        loadSeries ();
    else if (state.view === "health")
        loadHealth ();
}

function onTheme () {
    applyTheme ();
    charts.drawAll ();
    list.draw ();
}

//  `names` are those of what has changed in the state.
function follow (names) {
    const has = (...some) => some.some ((name) => names.has (name));
    showControls ();
    showTitle ();
    charts.follow ();
    if (has ("theme"))
        onTheme ();
    if (has ("utc"))
        charts.drawAll ();
    if (has ("search"))
        list.reload ();
    else
        list.draw ();
    if (has ("from", "to", "range", "live"))
        charts.loadAll ();
    if (has ("view", "search", "from", "range"))
        loadTables ();
}

//  For how many seconds the store has been in use. Once an hour was packed, it is long.
const ageOf = ({now, oldest, newest}) => oldest ? now - oldest : newest ? Infinity : 0;

//  Returns whether there are other metrics than a second ago.
async function loadLine () {
    const status = await loadStatus ();
    if (metrics < 0) {
        setFallback (ageOf (status));
        showControls ();
    }
    showEmpty (!status.others && !state.charts.length);
    const areOthers = status.metrics !== metrics;
    metrics = status.metrics;
    return areOthers;
}

//  Once a second: what is in sight is kept up to date.
async function tick () {
    if (document.hidden || isAsking ())
        return;
    ticks++;
    const areOthers = await loadLine ().catch (() => null);
    if (areOthers === null)
        return;
    if (areOthers || ticks % NAMES_S === 0)
        list.reload ();
    if (ticks % NAMES_S === 0)
        charts.showNotes ();
    if (state.live && state.view === "metrics") {
        list.tick ();
        charts.tick ();
    } else if (state.live && ticks % TABLES_S === 0)
        loadTables ();
}

const onClick = (selector, listener) => find (selector).addEventListener ("click", listener);

function startSearch () {
    let timer = 0;
    find ("#search").addEventListener ("input", ({target}) => {
        clearTimeout (timer);
        timer = setTimeout (() => change ({search: target.value}), TYPING_MS);
    });
}

//  A menu closes when something is chosen in it, and when one clicks elsewhere.
function closeMenus ({target}) {
    for (const menu of document.querySelectorAll ("details.menu[open]"))
        if (!menu.contains (target) || target.closest (".items"))
            menu.open = false;
}

function startControls () {
    find ("#ranges").append (ranges);
    onClick ("#live", toggleLive);
    onClick ("#utc", () => change ({utc: !state.utc}));
    onClick ("#theme", () => change ({theme: isDark () ? "light" : "dark"}));
    onClick ("#help-button", () => find ("#help").showModal ());
    onClick ("#logout", () =>
        post ("logout", {}).then (() => location.reload (), () => null));
    for (const button of views)
        button.addEventListener ("click", () => change ({view: button.dataset.view}, true));
    for (const button of document.querySelectorAll ("dialog .done"))
        button.addEventListener ("click", () => button.closest ("dialog").close ());
    document.addEventListener ("click", closeMenus);
    startSearch ();
}

//  Charts are asked for at once, unless the status has to say first how old the store is.
async function begin () {
    if (state.range !== null || state.from !== null)
        charts.follow ();
    await loadLine ().catch (() => null);
    charts.follow ();
    list.reload ();
    loadTables ();
}

document.body.classList.toggle ("embedded", embedded);
applyTheme ();
onSystemTheme (onTheme);
onChange (follow);
events.online = (isOnline) => {
    document.body.classList.toggle ("offline", !isOnline);
    if (isOnline)
        charts.loadAll ();
    else
        sayOffline ();
};
events.login = askLogin;
startLogin (() => {
    begin ();
    charts.loadAll ();
});
startControls ();
startKeys ();
startTimes ();
showControls ();
showTitle ();
begin ();
setInterval (tick, 1000);
