//  charts - what a chart shows is what was measured
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {now, until} from "./harness.js";

const STEP = 10, COUNT = 60;

//  Whole numbers that look like none, of a source at a time.
const value = (source, i) => (source * 7919 + i * i * 31 + i * 17) % 1000;

//  Readings of some sources in the last ten minutes. Returns when they begin.
async function postGauges (site, name, sources) {
    const from = Math.floor (now () / STEP) * STEP - COUNT * STEP - STEP, gauges = [];
    for (let i = 0; i < COUNT; i++)
        for (let source = 0; source < sources; source++)
            gauges.push ({name, source: `web${source}`, measure_time: from + i * STEP,
                          value: value (source, i)});
    await site.gauges (gauges);
    return from;
}

const range = (from) => `from=${from}&to=${from + COUNT * STEP}`;
const column = (source) => Array.from ({length: COUNT}, (_, i) => value (source, i));
const add = (values) => values.reduce ((sum, one) => sum + one, 0);

//  The numbers of a legend, by its lines.
function legend (page, name = "depth") {
    return page.$$eval (`[data-name=${name}] .legend tbody tr`, (rows) => Object.fromEntries (rows.map (
        (row) => [row.dataset.label, Object.fromEntries ([...row.querySelectorAll ("td")]
            .map ((cell) => [cell.className, cell.textContent]))])));
}

//  Where a time is in the plot, in pixels of the window.
async function place (page, from, to, time) {
    const box = await page.locator (".u-over").first ().boundingBox ();
    return [box.x + (time - from) / (to - from) * box.width, box.y + box.height / 2];
}

export async function answers_are_what_was_posted (site) {
    const from = await postGauges (site, "depth", 14);
    const sources = Array.from ({length: 14}, (_, source) => column (source));
    const ask = (over) => site.get (`/api/points?name=depth&${range (from)}&over=${over}`);
    const each = (fold) => sources[0].map ((_, i) => fold (sources.map ((one) => one[i])));
    const folds = {sum: add, mean: (values) => add (values) / 14,
                   min: (values) => Math.min (...values),
                   max: (values) => Math.max (...values)};
    for (const [over, fold] of Object.entries (folds)) {
        const answer = await ask (over);
        assert.equal (answer.resolution, STEP);
        assert.deepEqual (answer.groups.map (({value: one}) => one), [each (fold)]);
        assert.equal (add (answer.groups[0].sum), add (sources.map (add)));
    }
    const {groups} = await ask ("split");
    const order = [...sources.keys ()].sort ((a, b) => add (sources[b]) - add (sources[a]));
    assert.equal (groups.length, 11);
    assert.deepEqual (groups.slice (0, 10).map (({label}) => label),
                      order.slice (0, 10).map ((source) => `web${source}`));
    groups.slice (0, 10).forEach ((group, i) =>
        assert.deepEqual (group.value, sources[order[i]]));
    assert.equal (groups[10].label, "mean of 4 others");
    assert.deepEqual (groups[10].value, sources[0].map ((_, i) =>
        add (order.slice (10).map ((source) => sources[source][i])) / 4));
}

//  What is no question is refused, and said so; and the server goes on.
export async function nonsense_is_refused (site) {
    await postGauges (site, "depth", 1);
    const ask = async (query) => (await fetch (`${site.url}/api/${query}`,
                                               {headers: site.headers ()})).status;
    for (const [query, status] of [
        ["points", 404], ["points?name=", 404], ["points?name=depths", 404],
        ["points?name=depth&from=5&to=5", 400], ["points?name=depth&over=bogus", 400],
        ["points?name=depth&from=yesterday", 400], ["points?name=depth&over=auto", 200], ["points?name=depth&from=9&to=5", 400],
        ["points?name=depth&from=-5&to=5", 400], ["points?name=depth&to=99999999999", 400],
        ["points?name=depth&from=0&resolution=1", 400], ["points?name=depth&from=0", 200],
        ["points?name=depth&points=0", 200], ["points?name=depth&points=-1", 200],
        ["points?name=depth&points=1e9&top=-4&ids=,,x,1,&heat=1", 200],
        ["points?name=DEPTH&source=nobody", 200], ["points?name=depth&resolution=7", 200],
        ["sparks", 200], ["sparks?ids=0,-1,x", 200], ["sparks?from=0&resolution=1", 400],
        ["sparks?resolution=0", 400], ["metrics?offset=-1&length=-1", 200],
        ["metrics?offset=99999999999&length=5", 200], ["health?from=5&to=1", 400],
        ["metrics?search=%25%5F%27%22%00", 200], ["series?metric=nobody", 200],
        ["series?sort=nothing&search=%27", 200], ["annotations?from=x", 200]])
        assert.equal (await ask (query), status, query);
    assert.equal (await ask ("status"), 200);
}

export async function legend_equals_the_data (site, watched) {
    const from = await postGauges (site, "depth", 1), values = column (0), {page} = watched;
    await watched.enter (`?m=depth&o=&${range (from)}`);
    await page.waitForSelector (".legend tbody tr");
    for (const i of [3, 29, 57]) {
        await page.mouse.move (...await place (page, from, from + COUNT * STEP,
                                               from + i * STEP));
        await until ("the value under the cursor", async () =>
            (await legend (page)).web0.cursor === String (values[i]));
    }
    const told = (await legend (page)).web0;
    assert.match (await page.textContent (".resolution"), /^means of 10 s until [\d:]+ · 1 series$/);
    assert.equal (told.last, String (values.at (-1)));
    assert.equal (told.min, String (Math.min (...values)));
    assert.equal (told.max, String (Math.max (...values)));
    assert.equal (told.total, String (COUNT));
    await page.hover (".legend .mean");
    assert.match (await page.getAttribute (".legend .mean", "title"), /^\d+(\.\d{1,6})?$/);
}

//  Of a program of ours, all that it has counted, and how long it took.
export async function totals_are_the_programs (site, watched) {
    await site.heard ();
    const program = site.program ("web"), {page} = watched;
    let sum = 0;
    for (let i = 1; i <= 500; i++) {
        program.process.stdin.write (`count\tinfo\trequests\t${i * 7}\n`
                                     + `time\tinfo\tlatency\t${i / 1000}\n`);
        sum += i * 7;
    }
    program.process.stdin.end ();
    await program.end;
    await site.stored ("requests");
    await site.stored ("latency");
    await watched.enter ("?m=requests&o=&m=latency&o=&range=300");
    await until ("every count", async () => (await page.textContent (
        "[data-name=requests] .legend .total")).replaceAll (" ", "") === String (sum));
    await until ("every sample", async () => await page.textContent (
        "[data-name=latency] .legend .total") === "500");
    const {groups} = await site.get (`/api/points?name=latency&to=${now () + 2}`);
    const [{n, sum: seconds, p50}] = groups;
    assert.equal (add (n), 500);
    assert.ok (Math.abs (add (seconds) - 500 * 501 / 2000) < 1e-6);
    assert.ok (p50.filter ((one) => one !== null).every ((one) =>
        one > 0.001 && one < 0.5));
}

//  Buckets of two programs merge, and a heat map has every sample.
export async function percentiles_and_heat (site, watched) {
    const {page} = watched;
    await site.heard ();
    for (const source of ["a", "b"]) {
        const program = site.program (source);
        for (let i = 1; i <= 100; i++)
            program.process.stdin.write (
                `time\tinfo\tquery\t${source === "a" ? 0.001 : 0.1}\n`);
        program.process.stdin.end ();
        await program.end;
    }
    await until ("all samples", async () => {
        const answer = await site.get ("/api/metrics?search=query");
        return answer.metrics[0]?.series === 2;
    });
    const {groups, cells} = await site.get (`/api/points?name=query&heat=1&from=${
        now () - 120}&to=${now () + 60}&points=12`);
    const samples = cells.flat ().filter ((_, i) => i % 2);
    assert.equal (add (samples), add (groups[0].n));
    assert.equal (add (samples), 200);
    const p95 = groups[0].p95.filter ((one) => one !== null);
    assert.ok (p95.some ((one) => Math.abs (one - 0.1) < 0.0011), p95);
    await watched.enter ("?m=query&o=heat&range=300");
    await page.waitForSelector (".plot canvas");
    await page.click ("text=lines");
    await page.waitForSelector (".legend [data-label=p99]");
    assert.match (page.url (), /o=&|o=$/);
}

async function colours (page) {
    return page.$eval (".plot canvas", (canvas) => {
        const {data} = canvas.getContext ("2d").getImageData (0, 0, canvas.width,
                                                              canvas.height);
        return new Set (new Uint32Array (data.buffer)).size;
    });
}

//  A picture has the bytes of one, and a table all numbers.
export async function exports_have_the_data (site, watched) {
    const from = await postGauges (site, "depth", 2), {page} = watched;
    await watched.enter (`?m=depth&o=split&${range (from)}`);
    await page.waitForSelector (".legend tbody tr");
    assert.ok (await colours (page) > 10);
    await page.click (".menu summary");
    const [picture] = await Promise.all ([page.waitForEvent ("download"),
                                          page.click (".menu >> text=PNG")]);
    const png = readFileSync (await picture.path ());
    assert.equal (picture.suggestedFilename (), "depth.png");
    assert.equal (png.toString ("latin1", 1, 4), "PNG");
    assert.ok (png.length > 5000, png.length);
    await page.click (".menu summary");
    const [table] = await Promise.all ([page.waitForEvent ("download"),
                                        page.click (".menu >> text=CSV")]);
    const [head, ...rows] = readFileSync (await table.path (), "utf8").trim ()
        .split ("\r\n").map ((line) => line.split (","));
    assert.equal (rows.length, COUNT);
    for (const source of [0, 1]) {
        const at = head.indexOf (`"web${source} value"`);
        assert.deepEqual (rows.map ((row) => Number (row[at])), column (source));
    }
    assert.equal (Date.parse (rows[0][0]) / 1000, from);
    await page.click (".menu summary");
    await page.click (".menu >> text=curl");
    assert.match (await page.textContent ("#command pre"),
                  /^curl -H .* 'http:.*\/api\/points\?name=depth&/);
}

//  A value that has no neighbours is a point: the picture has its colour.
export async function a_lone_value_is_seen (site, watched) {
    const {page} = watched, from = now () - 3600, gauges = [];
    for (let i = 0; i < 3600; i++)
        if (i < 1000 || i > 2000 || i === 1500)
            gauges.push ({name: "lone", source: "web", measure_time: from + i,
                          value: i === 1500 ? 90 : 1});
    await site.gauges (gauges);
    await watched.enter (`?m=lone&o=&from=${from}&to=${from + 3600}`);
    await page.waitForSelector (".u-over");
    await until ("its point", () => page.$eval (".plot canvas", (canvas, share) => {
        const over = document.querySelector (".u-over"), ratio = window.devicePixelRatio;
        const x = (over.offsetLeft + over.offsetWidth * share - 8) * ratio;
        const {data} = canvas.getContext ("2d").getImageData (x, 0, 16 * ratio,
                                                              canvas.height / 2);
        return data.some ((one, i) => i % 4 === 3 && one > 200
            && Math.max (...data.slice (i - 3, i)) - Math.min (...data.slice (i - 3, i)) > 60);
    }, 1500 / 3600));
}

//  The chart follows what is typed, and the field keeps what it has.
export async function only_sources (site, watched) {
    const from = await postGauges (site, "depth", 3), {page} = watched;
    await watched.enter (`?m=depth&o=split&${range (from)}`);
    const field = page.locator ("input.source");
    await field.click ();
    await page.keyboard.type ("web1");
    await until ("one line", async () =>
        Object.keys (await legend (page)).join () === "web1");
    await page.keyboard.type ("x");
    await page.waitForSelector (".chart >> text=No source has these words.");
    assert.deepEqual (await legend (page), {});
    assert.equal (await field.inputValue (), "web1x");
    await page.keyboard.press ("Backspace");
    await until ("it again", async () =>
        Object.keys (await legend (page)).join () === "web1");
}

//  Dragging shows that time, more finely; twice a click goes back.
export async function zoom (site, watched) {
    const from = await postGauges (site, "depth", 1), {page} = watched;
    const to = from + COUNT * STEP;
    await postGauges (site, "other", 1);
    await watched.enter (`?${range (from)}&m=depth&o=&m=other&o=`);
    await until ("two charts", async () => await page.locator (".u-over").count () === 2);
    const before = page.url (), entries = () => page.evaluate (() => history.length);
    const first = await entries ();
    //  There is nothing to go back to yet.
    await page.dblclick (".u-over >> nth=0");
    assert.equal (page.url (), before);
    await page.mouse.move (...await place (page, from, to, from + 200));
    await page.mouse.down ();
    await page.mouse.move (...await place (page, from, to, from + 300));
    await page.mouse.move (...await place (page, from, to, from + 400));
    await page.mouse.up ();
    await until ("another address", () => page.url () !== before);
    assert.equal (await entries (), first + 1);
    const query = new URL (page.url ()).searchParams;
    assert.ok (Math.abs (Number (query.get ("from")) - from - 200) <= 2);
    assert.ok (Math.abs (Number (query.get ("to")) - from - 400) <= 2);
    await until ("20 points", async () =>
        Math.abs (Number ((await legend (page)).web0.total) - 20) <= 1);
    //  What comes meanwhile does not undo it.
    await site.gauges ([{name: "depth", source: "web0", value: 1}]);
    const zoomed = page.url ();
    await until ("news", async () => /newest (now|\d s ago)/.test (
        await page.textContent ("#status")));
    assert.equal (page.url (), zoomed);
    await page.dblclick (".u-over >> nth=0");
    await until ("all of it", () => page.url () === before);
    await until ("60 points", async () =>
        (await legend (page)).web0.total === String (COUNT));
}

//  A line where something happened, and what it was when the cursor is there.
export async function annotations (site, watched) {
    const from = await postGauges (site, "depth", 1), {page} = watched;
    const to = from + COUNT * STEP, time = from + 30 * STEP;
    await site.post ("/v1/annotations/deploys", {title: "version 2.1", start_time: time,
                                                 description: "<b>all</b> hosts"});
    await watched.enter (`?m=depth&o=&${range (from)}`);
    await page.waitForSelector (".legend tbody tr");
    await until ("the annotation", async () => {
        await page.mouse.move (...await place (page, from, to, time));
        await page.mouse.move (...await place (page, from, to, time + 1));
        return /^deploys: version 2.1 · <b>all<\/b> hosts · /.test (
            await page.textContent (".resolution"));
    });
    await page.mouse.move (...await place (page, from, to, time + 10 * STEP));
    await until ("none", async () => /^means of 10 s/.test (
        await page.textContent (".resolution")));
}
