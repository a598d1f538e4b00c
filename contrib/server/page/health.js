//  health - what became of everything, from the programs to the store
//
//  Workers and brokers measure themselves, as zibrato.*; contrib/docs/workers.md says
//  what each name means.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get} from "./api.js";
import {el, fill, find} from "./dom.js";
import {ago, bytes, duration, exact, plural, span} from "./format.js";
import {shown} from "./range.js";

//  Three flushes of a worker that flushes once a minute. A broker reports each ten seconds.
const SILENT_S = 180;

const place = find ("#health");

//  What a stage passes on, what it loses, and what is no loss: [name, text] each. `of`
//  says whose measures they are, since programs and workers have some names in common.
const STAGES = [
    {title: "Programs", flow: [], of: "program",
     loss: [["zibrato.dropped", "dropped: a full buffer"]], fine: []},
    {title: "Broker", of: "any", flow: [["zibrato.broker.messages", "messages"]],
     loss: [["zibrato.broker.missed", "missed by workers that went"]],
     fine: [["zibrato.broker.refused", "connections refused"],
            ["zibrato.broker.cut", "connections cut"],
            ["zibrato.broker.ignored", "ignored"]]},
    {title: "Workers", of: "worker", flow: [["zibrato.received", "lines"]],
     loss: [["zibrato.missed", "messages missed"], ["zibrato.lost", "readings lost"],
            ["zibrato.incomplete", "streams incomplete"],
            ["zibrato.malformed", "malformed"], ["zibrato.dropped", "beyond --max-series"]],
     fine: [["zibrato.duplicate", "duplicates, told apart"], ["zibrato.late", "late"]]},
    {title: "Delivery", of: "worker", flow: [["zibrato.delivered", "rows"]],
     loss: [["zibrato.rejected", "rejected by a service"],
            ["zibrato.overflowed", "beyond --spool-max"],
            ["zibrato.refused", "below zero"]],
     fine: [["zibrato.superseded", "superseded"]]}];
const STORE = {title: "Store", flow: [["stored", "rows"]],
               loss: [["refused_type", "refused: another type"],
                      ["refused_series", "refused: --max-stored-series"],
                      ["refused_old", "refused: too old"], ["dropped", "ended by --max-bytes"]],
               fine: [["repeated", "repeated, told apart"], ["late", "late"],
                      ["failed", "not stored, to be sent again"]]};
const FAILING = "cannot write: disk full?";

//  Whoever receives lines or delivers rows is a worker, also if nothing has come yet.
const OF_WORKER = /^zibrato\.(received|success_age|queue_)/;
const OF_BROKER = /^zibrato\.broker\./;
const workersOf = ({measures}) => new Set (measures
    .filter (({name}) => OF_WORKER.test (name)).map (({source}) => source));

function totalOf ({measures}, name, of, workers) {
    const isOf = (source) => of === "any" || workers.has (source) === (of === "worker");
    return measures.filter ((one) => one.name === name && isOf (one.source))
        .reduce ((sum, {total}) => sum + total, 0);
}

const ledgerRow = (text, value, kind) =>
    el ("div", {class: `ledger-row ${kind}`},
        el ("dt", {}, text), el ("dd", {}, exact (value)));

//  How long these were silent up to a time, in seconds.
const silenceOf = (measures, to) =>
    Math.max (0, to - Math.max (...measures.map (({last_time}) => last_time)));

const silentFor = (seconds) => `silent for ${span (Math.floor (seconds))}`;

//  What is wrong with brokers, if there were any. Without one workers have nothing to
//  report, and are silent, too.
function brokerFailure ({measures}, to) {
    const silence = silenceOf (measures.filter (({name}) => OF_BROKER.test (name)), to);
    return silence > SILENT_S && silence < Infinity ? silentFor (silence) : "";
}

//  `value` returns what was counted by a name; `failure` is what is wrong beside losses.
function stage ({title, flow, loss, fine}, value, since, failure = "") {
    const lost = loss.reduce ((sum, [name]) => sum + value (name), 0);
    const verdict = failure || (lost ? `${exact (lost)} lost` : "nothing lost");
    return el ("section", {class: lost || failure ? "stage wrong" : "stage", "data-stage": title},
        el ("h3", {}, title),
        flow.map (([name, text]) => el ("p", {class: "flow"},
            el ("strong", {}, exact (value (name))), ` ${text}`)),
        el ("p", {class: "verdict"}, verdict),
        el ("dl", {}, loss.map (([name, text]) =>
            ledgerRow (text, value (name), value (name) ? "wrong" : "")),
            fine.map (([name, text]) => ledgerRow (text, value (name), ""))),
        el ("p", {class: "since"}, since));
}

function stages (health, [from, to]) {
    const workers = workersOf (health), since = `in ${span (Math.round (to - from))}`;
    const failures = {Broker: brokerFailure (health, to)};
    return el ("div", {class: "stages"},
        STAGES.map ((one) => stage (
            one, (name) => totalOf (health, name, one.of, workers), since,
            failures[one.title])),
        stage (STORE, (name) => health.store[name] ?? 0,
               `in ${span (Math.round (to - Math.max (from, health.store.since)))}`,
               health.store.failing ? FAILING : ""));
}

const LOST = STAGES.filter (({of}) => of === "worker").flatMap (({loss}) => loss)
    .map (([name]) => name);

//  A worker that has died stays for a day.
function workerRow (source, {measures}, to) {
    const mine = measures.filter ((one) => one.source === source);
    const one = (name) => mine.find ((row) => row.name === name);
    const lost = LOST.reduce ((sum, name) => sum + (one (name)?.total ?? 0), 0);
    const silence = silenceOf (mine, to), isSilent = silence > SILENT_S;
    const cells = [[exact (one ("zibrato.received")?.total ?? 0)],
                   [exact (one ("zibrato.delivered")?.total ?? 0)], [exact (lost), lost > 0],
                   [exact (one ("zibrato.series")?.last)],
                   [bytes (one ("zibrato.queue_bytes")?.last)],
                   [duration (one ("zibrato.success_age")?.last)],
                   [isSilent ? silentFor (silence) : ago (silence), isSilent]];
    return el ("tr", {class: lost || isSilent ? "wrong" : ""},
               el ("th", {scope: "row"}, source || "(no source)"),
               cells.map (([text, isWrong]) => el ("td", {class: isWrong ? "wrong" : ""}, text)));
}

function workerTable (health, to) {
    const workers = [...workersOf (health)].sort ();
    if (!workers.length)
        return el ("p", {class: "nothing"},
                   "No worker has reported in this time. Clients that post to this "
                   + "server themselves are in the store's column.");
    return el ("table", {class: "rows"},
        el ("thead", {}, el ("tr", {},
            ["worker", "lines", "rows delivered", "lost", "series", "waits",
             "last delivery", "seen"].map ((name) => el ("th", {scope: "col"}, name)))),
        el ("tbody", {}, workers.map ((source) => workerRow (source, health, to))));
}

//  Those that deliver to another service report to that: here the broker alone knows how
//  many there are.
function elsewhere ({measures}) {
    const here = "A worker reports to where it delivers: one that delivers elsewhere "
        + "is seen there, and its losses are not in this page.";
    const connected = measures.findLast (({name}) => name === "zibrato.broker.workers")?.last;
    return el ("p", {class: "muted"}, connected
        ? `${here} The broker has ${plural (Math.round (connected), "worker")}.` : here);
}

export async function loadHealth () {
    const [from, to] = shown ();
    const health = await get ("api/health", {from: Math.floor (from), to: Math.ceil (to)})
        .catch (() => null);
    if (!health)
        return;
    fill (place, el ("h2", {}, "From program to store"), stages (health, [from, to]),
          el ("h2", {}, "Workers that deliver to this server"), workerTable (health, to),
          elsewhere (health));
}
