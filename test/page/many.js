//  many - 100,000 metrics, and how long things take
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const METRICS = 100000, DAY = 1440, CHARTS = 20, SECONDS = 10;
const ROWS_MOST = 200;          //  elements, whatever there is
const FIRST_MS = 1000, UPDATE_MS = 30;
const LOOSE = 4;                //  others may use this machine

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

//  What the main thread does in a second, with everything that is asked for.
export async function live_costs_little (site, watched) {
    const {page} = watched, query = [];
    for (let i = 0; i < CHARTS; i++) {
        await postDay (site, `chart.${i}`);
        query.push (`m=chart.${i}&o=`);
    }
    await watched.enter (`?${query.join ("&")}&range=86400`);
    await page.waitForFunction ((count) =>
        document.querySelectorAll (".legend tbody tr").length === count, CHARTS);
    const session = await watched.context.newCDPSession (page);
    await session.send ("Performance.enable");
    const busy = async () => (await session.send ("Performance.getMetrics")).metrics
        .find ((metric) => metric.name === "TaskDuration").value;
    const before = await busy (), end = Date.now () + SECONDS * 1000;
    await until ("some seconds", () => Date.now () > end);
    const took = (await busy () - before) / SECONDS * 1000;
    console.log (`        ${CHARTS} live charts of ${DAY} points: ${
        took.toFixed (1)} ms of a second`);
    assert.ok (took < UPDATE_MS * LOOSE, `${took} ms`);
}
