//  many - 100,000 series of a day, 20 charts, and how long things take
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const METRICS = 100000, DAY = 1440, HALF_HOUR = 1800, CHARTS = 20, SECONDS = 6;
const ROWS_MOST = 200;          //  elements, whatever there is
const FIRST_MS = 1000, UPDATE_MS = 20;
const LOOSE = 10;               //  others may use this machine

const name = (i) => `service.${String (i).padStart (6, "0")}.value`;

//  A day at 60 s.
async function postDay (site, which) {
    const to = Math.floor (now () / 60) * 60;
    await site.gauges (Array.from ({length: DAY}, (_, i) =>
        ({name: which, source: "web", value: i % 60,
          measure_time: to - (DAY - i) * 60 + 1})));
}

//  Milliseconds that it takes until something can be seen.
async function until_seen (what, begin, seen) {
    const started = Date.now ();
    await begin ();
    await seen ();
    const took = Date.now () - started;
    console.log (`        ${what}: ${took} ms`);
    assert.ok (took < FIRST_MS * LOOSE, `${took} ms`);
}

//  144 million points: names, a chart of a day, and what one types.
export async function hundred_thousand_series (site, watched) {
    const {page} = watched, chart = `${site.url}/?m=${name (77777)}&o=&range=86400`;
    const found = async (text) => until (text, async () =>
        await page.textContent ("#found") === text);
    await watched.enter ();
    await page.goto ("about:blank");
    await until_seen (`${METRICS} metrics`, () => page.goto (site.url),
                      () => page.waitForSelector (`.metric .name:has-text("${name (0)}")`));
    await page.$eval ("#list", (list) => { list.scrollTop = list.scrollHeight; });
    await page.waitForSelector (`.metric .name:has-text("${name (METRICS - 1)}")`);
    await page.$eval ("#list", (list) => { list.scrollTop = list.scrollHeight / 2; });
    await page.waitForSelector (".metric .name:has-text('service.0500')");
    assert.ok (await page.locator (".metric").count () < ROWS_MOST);
    await until_seen ("those that are searched", () => page.fill ("#search", "7777 service"),
                      () => found ("19 metrics"));
    await page.focus ("#search");
    await page.keyboard.type (" 77777");
    await found ("1 metric");
    await page.goto ("about:blank");
    await until_seen ("a chart of a day of one", () => page.goto (chart),
                      () => page.waitForSelector (".legend tbody tr"));
    const points = Number ((await page.textContent (".legend .total")).replaceAll (/\D/g, ""));
    //  of the day that ended with the last hour, and the row of now
    assert.ok (points > DAY - 2 * 60 && points <= DAY + 1, points);
}
hundred_thousand_series.before = (site) => site.fill (METRICS);

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
