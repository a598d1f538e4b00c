//  many - 100,000 metrics, and how long things take
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const METRICS = 100000, DAY = 1440, HALF_HOUR = 1800, CHARTS = 20, SECONDS = 10;
const ROWS_MOST = 200;          //  elements, whatever there is
const FIRST_MS = 1000, UPDATE_MS = 30;
const LOOSE = 10;               //  others may use this machine

const name = (i) => `service.${String (i).padStart (6, "0")}.value`;

async function postMany (site) {
    const time = now ();
    for (let i = 0; i < METRICS; i += 3000)
        await site.gauges (Array.from ({length: Math.min (3000, METRICS - i)}, (_, at) =>
            ({name: name (i + at), source: "web", value: at, measure_time: time})));
}

//  A day at 60 s.
async function postDay (site, which) {
    const to = Math.floor (now () / 60) * 60;
    await site.gauges (Array.from ({length: DAY}, (_, i) =>
        ({name: which, source: "web", value: i % 60,
          measure_time: to - (DAY - i) * 60 + 1})));
}

export async function hundred_thousand_names (site, watched) {
    const {page} = watched;
    await postMany (site);
    await postDay (site, name (77777));
    await watched.enter ();
    await page.waitForSelector (".metric");
    await page.$eval ("#list", (list) => { list.scrollTop = list.scrollHeight; });
    await page.waitForSelector (`.metric .name:has-text("${name (METRICS - 1)}")`);
    await page.$eval ("#list", (list) => { list.scrollTop = list.scrollHeight / 2; });
    await page.waitForSelector (".metric .name:has-text('service.0500')");
    assert.ok (await page.locator (".metric").count () < ROWS_MOST);
    await page.fill ("#search", "77777 service");
    await until ("one", async () => await page.textContent ("#found") === "1 metric");
    const started = Date.now ();
    await page.goto (`${site.url}/?m=${name (77777)}&o=&range=86400`);
    await page.waitForSelector (".legend tbody tr");
    const took = Date.now () - started;
    console.log (`        a chart of a day among ${METRICS} series: ${took} ms`);
    assert.ok (took < FIRST_MS * LOOSE, `${took} ms`);
}

//  Processor time of the main thread in a second, with everything that is asked for.
async function load (site, watched, query) {
    const {page} = watched;
    await watched.enter (query);
    await page.waitForFunction ((count) =>
        document.querySelectorAll (".legend tbody tr").length === count, CHARTS);
    const session = await watched.context.newCDPSession (page);
    await session.send ("Performance.enable", {timeDomain: "threadTicks"});
    const busy = async () => (await session.send ("Performance.getMetrics")).metrics
        .find ((metric) => metric.name === "TaskDuration").value;
    const before = await busy (), end = Date.now () + SECONDS * 1000;
    await until ("some seconds", () => Date.now () > end);
    return (await busy () - before) / SECONDS * 1000;
}

//  A day, which moves on by a pixel in two minutes; and half an hour at a point a
//  second, of which every chart has news in every third second.
export async function live_costs_little (site, watched) {
    const query = [], to = now ();
    for (let i = 0; i < CHARTS; i++) {
        await postDay (site, `chart.${i}`);
        await site.gauges (Array.from ({length: HALF_HOUR}, (_, at) =>
            ({name: `chart.${i}`, source: "web", value: at % 60,
              measure_time: to - HALF_HOUR + at})));
        query.push (`m=chart.${i}&o=`);
    }
    for (const [range, least] of [[86400, 1], [HALF_HOUR, 5]]) {
        const took = await load (site, watched, `?${query.join ("&")}&range=${range}`);
        console.log (`        ${CHARTS} live charts of ${range} s: ${
            took.toFixed (1)} ms of a second`);
        assert.ok (took > least && took < UPDATE_MS * LOOSE, `${took} ms`);
    }
}
