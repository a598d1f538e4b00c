//  shown - which time a chart shows, up to the interval that is not over, and what of it
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const STEP = 20, COUNT = 14;

const legend = (page, name) => page.$eval (`[data-name=${name}] .legend tbody tr`,
    (row) => Object.fromEntries ([...row.querySelectorAll ("td")].map (
        (cell) => [cell.className, cell.textContent])));

//  A reading in each of the last intervals, and one in that of now. Returns its begin.
async function postUpToNow (site, name) {
    await until ("the middle of an interval", () => [4, 5, 6, 7, 8].includes (now () % STEP));
    const begin = now () - now () % STEP;
    await site.gauges ([...Array.from ({length: COUNT}, (_, i) =>
        ({name, source: "web", measure_time: begin - (i + 1) * STEP + 1, value: i + 1})),
                        {name, source: "web", measure_time: begin + 1, value: 777}]);
    return begin;
}

//  It is the last one, and said to be that; only totals have it.
export async function an_interval_that_is_not_over (site, watched) {
    const {page} = watched, begin = await postUpToNow (site, "depth");
    const ask = (more) => site.get (`/api/points?name=depth&from=${
        begin - COUNT * STEP}&to=${begin + 4}&points=60${more}`);
    const whole = await ask (""), running = await ask ("&running=1");
    assert.deepEqual ([whole.resolution, whole.count, whole.running], [STEP, COUNT, 0]);
    assert.equal (running.count, COUNT + 1);
    //  Up to the newest row, which may be one of the server itself.
    assert.ok (running.running >= 2 && running.running <= STEP, running.running);
    assert.deepEqual (running.groups[0].value, [...whole.groups[0].value, 777]);
    await watched.enter ("?m=depth&o=&range=300&live=0");
    await page.waitForSelector (".legend tbody tr");
    const told = await legend (page, "depth");
    assert.deepEqual ([told.last, told.max, told.total], ["1", String (COUNT), String (COUNT + 1)]);
    assert.match (await page.textContent (".resolution"),
                  /^means of 20 s until [\d:]+, then \d+ s so far · 1 series$/);
    await until ("its ring", () => page.$eval (".plot canvas", (canvas) => {
        const {data} = canvas.getContext ("2d").getImageData (
            canvas.width * 0.8, 0, canvas.width * 0.2, 30);
        return data.some ((blue, i) => i % 4 === 2 && blue > 150 && data[i - 2] < 60
            && data[i + 1] === 255);
    }));
}

//  A counter is divided by the seconds that it has, and the last that is whole is last.
export async function a_rate_of_seconds_so_far (site, watched) {
    await watched.enter ();
    const told = await watched.page.evaluate (async () => {
        const {lines, summary} = await import ("/page/lines.js");
        const block = {type: "counter", from: 0, resolution: 10, count: 3, running: 4,
                       groups: [{id: 1, label: "web", value: [100, 200, 60]}]};
        return ["second", "interval"].map ((per) => {
            const [line] = lines ({per}, block);
            return [line.values, summary (line)];
        });
    });
    assert.deepEqual (told, [
        [[10, 20, 15], {last: 20, mean: 15, min: 10, max: 20, total: 360}],
        [[100, 200, 60], {last: 200, mean: 150, min: 100, max: 200, total: 360}]]);
}

//  What is open stays so when other lines come.
export async function an_open_menu_stays (site, watched) {
    const {page} = watched;
    const post = (source) => site.gauges ([{name: "depth", source, measure_time: now () - 5,
                                            value: 1}]);
    await post ("one");
    await watched.enter ("?m=depth&o=split&range=300");
    await page.waitForSelector (".legend tbody tr");
    await page.click (".menu summary");
    await post ("two");
    await page.waitForSelector (".legend [data-label=two]");
    await page.click (".menu >> text=curl");
    await page.waitForSelector ("#command[open]");
}

//  Where there is no chart, there is no time to choose.
export async function ranges_are_grey_without_charts (site, watched) {
    const {page} = watched;
    await site.gauges ([{name: "depth", source: "web", measure_time: now (), value: 1}]);
    await watched.enter ();
    const off = () => page.$$eval ("#ranges button", (all) =>
        [...new Set (all.map ((one) => one.disabled))].join ());
    await until ("grey ones", async () => await off () === "true");
    await page.click (".metric");
    await until ("others", async () => await off () === "false");
    await page.keyboard.press ("x");
    await until ("grey ones again", async () => await off () === "true");
    await page.click ("nav [data-view=series]");
    await until ("those of series", async () => await off () === "false");
}

//  Two times that somebody types, here or in UTC; what ends before it begins is none.
export async function times_of_ones_own (site, watched) {
    const {page} = watched, query = () => new URL (page.url ()).searchParams;
    await site.gauges ([{name: "depth", source: "web", measure_time: now (), value: 1}]);
    await watched.enter ("?m=depth&o=&range=300&utc=1");
    await page.waitForSelector (".legend tbody tr");
    await page.click ("#ranges button >> text=…");
    await page.fill ("#times [name=from]", "2026-03-01T10:00:00");
    await page.fill ("#times [name=to]", "2026-03-01T09:00:00");
    await page.click ("#times >> text=Show");
    await page.waitForSelector ("#times .error:has-text('before it begins')");
    await page.fill ("#times [name=to]", "2026-03-01T11:30:00");
    await page.keyboard.press ("Enter");
    await until ("that time", () => query ().get ("from") === "1772359200"
        && query ().get ("to") === "1772364600");
    assert.equal (await page.textContent ("#own"),
                  "2026-03-01 10:00:00 – 2026-03-01 11:30:00");
    await page.waitForSelector ("#ranges [data-value=own][aria-pressed=true]");
    await page.keyboard.press ("o");
    assert.match (await page.inputValue ("#times [name=from]"), /^2026-03-01T10:00/);
    await page.click ("#times .done");
    await page.keyboard.press ("r");
    await until ("live again", () => query ().get ("range") === "300");
}

//  What is scrolled away asks for nothing, and has the news when it comes back.
export async function charts_out_of_sight_wait (site, watched) {
    const {page} = watched, time = now () - 60, asked = {};
    const names = Array.from ({length: 12}, (_, i) => `chart.${i}`);
    await site.gauges (names.map ((name) =>
        ({name, source: "web", measure_time: time, value: 17})));
    await watched.enter (`?${names.map ((name) => `m=${name}&o=`).join ("&")}&range=300`);
    await page.waitForFunction ((count) =>
        document.querySelectorAll (".legend tbody tr").length === count, names.length);
    const last = names.at (-1), place = page.locator (`[data-name="${last}"]`);
    page.on ("request", (request) => {
        const name = new URL (request.url ()).searchParams.get ("name");
        asked[name] = (asked[name] ?? 0) + 1;
    });
    await site.gauges (["chart.0", last].map ((name) =>
        ({name, source: "web", measure_time: now () - 5, value: 4711})));
    const told = () => place.locator (".legend .last").textContent ();
    await until ("news of the first", async () => asked["chart.0"] > 3
        && await page.textContent ("[data-name='chart.0'] .legend .last") === "4711");
    assert.deepEqual ([asked[last], await told ()], [undefined, "17"]);
    await place.scrollIntoViewIfNeeded ();
    await until ("news of the last", async () => await told () === "4711");
}

//  An annotation that began before what is in sight, and ends in it, is an area there.
export async function an_annotation_goes_on (site, watched) {
    const {page} = watched, to = now (), from = to - 600;
    await site.gauges ([{name: "depth", source: "web", measure_time: to - 500, value: 1},
                        {name: "depth", source: "web", measure_time: to - 100, value: 1}]);
    for (const [title, start_time, end_time] of [["upgrade", from - 3600, from + 300],
                                                 ["over", from - 3600, from - 300],
                                                 ["of old", from - 200000, from + 300]])
        await site.post ("/v1/annotations/work", {title, start_time, end_time});
    await watched.enter (`?m=depth&o=&from=${from}&to=${to}`);
    await page.waitForSelector (".legend tbody tr");
    const {annotations} = await site.get (`/api/annotations?from=${from}&to=${to}`);
    assert.deepEqual (annotations.map (({title}) => title), ["upgrade"]);
    const box = await page.locator (".u-over").boundingBox ();
    const told = () => page.textContent (".resolution .about");
    await until ("what it says", async () => {
        await page.mouse.move (box.x + box.width / 6, box.y + 50);
        await page.mouse.move (box.x + box.width / 6 + 1, box.y + 50);
        return /^work: upgrade/.test (await told ());
    });
    await page.mouse.move (box.x + box.width * 5 / 6, box.y + 50);
    await until ("what points are", async () => /^means of/.test (await told ()));
}

//  Where the line of a chart is highest, as a share of the plot's height from below, in a
//  part of its width.
function height (page, from, to) {
    return page.$eval (".plot canvas", (canvas, [begin, end]) => {
        const over = document.querySelector (".u-over"), ratio = window.devicePixelRatio;
        const left = (over.offsetLeft + over.offsetWidth * begin) * ratio;
        const copy = document.createElement ("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const context = copy.getContext ("2d", {willReadFrequently: true});
        context.drawImage (canvas, 0, 0);
        const {data, width} = context.getImageData (
            left, over.offsetTop * ratio, over.offsetWidth * (end - begin) * ratio,
            over.offsetHeight * ratio);
        const at = data.findIndex ((blue, i) => i % 4 === 2 && blue > 150 && data[i - 2] < 60
            && data[i + 1] === 255);
        return 1 - Math.floor (at / 4 / width) / over.offsetHeight / ratio;
    }, [from, to]);
}

//  What came after a gap, all at once, is a mark at the end of the axis, so that all else
//  can be read; as a number it is what it was.
export async function what_was_held_back_is_cut (site, watched) {
    const {page} = watched, to = Math.floor (now () / 10) * 10 - 60, from = to - 900;
    const counters = [];
    for (let at = 0, time = from; time < to; time += 10, at += 50)
        if (time < from + 300 || time >= from + 600)
            counters.push ({name: "requests", source: "web", measure_time: time, value: at});
    await site.post ("/v1/metrics", {counters});
    await watched.enter (`?m=requests&o=&from=${from}&to=${to}`);
    await page.waitForSelector (".resolution >> text=▲ 155: held back in a gap");
    const told = await legend (page, "requests");
    assert.deepEqual ([told.max, told.mean], ["155", "5"]);
    assert.ok (await height (page, 0, 0.3) > 0.8);
    const box = await page.locator (".u-over").boundingBox ();
    await page.mouse.move (box.x + box.width * 2 / 3, box.y + 50);
    await until ("the number under the cursor", async () =>
        (await legend (page, "requests")).cursor === "155");
    await page.click (".resolution >> text=show all");
    await page.waitForSelector (".resolution >> text=155: held back in a gap leave out");
    assert.match (page.url (), /o=whole/);
    assert.ok (await height (page, 0, 0.3) < 0.1);
    assert.ok (await height (page, 0.6, 0.7) > 0.8);
    await page.click (".resolution >> text=leave out");
    await until ("the others", async () => await height (page, 0, 0.3) > 0.8);
}

//  A drag zooms once, also after a click in another chart.
export async function a_click_begins_no_drag (site, watched) {
    const {page} = watched, to = now (), from = to - 600;
    await site.gauges (["one", "two"].map ((name) =>
        ({name, source: "web", measure_time: to - 300, value: 1})));
    await watched.enter (`?m=one&o=&m=two&o=&from=${from}&to=${to}`);
    await page.waitForFunction (() => document.querySelectorAll (".u-over").length === 2);
    const entries = () => page.evaluate (() => history.length), before = await entries ();
    await page.click (".u-over >> nth=0");
    const box = await page.locator (".u-over >> nth=1").boundingBox ();
    await page.mouse.move (box.x + 100, box.y + 50);
    await page.mouse.down ();
    for (const x of [150, 200])
        await page.mouse.move (box.x + x, box.y + 50);
    await page.mouse.up ();
    await until ("another time", () =>
        new URL (page.url ()).searchParams.get ("from") !== String (from));
    assert.equal (await entries (), before + 1);
}

//  Who gets the address of a page that is paused sees what its sender saw.
export async function a_paused_page_is_shared (site, watched) {
    const {page} = watched, own = () => page.textContent ("#own");
    await site.gauges ([{name: "depth", source: "web", measure_time: now () - 60, value: 1}]);
    await watched.enter ("?m=depth&o=&range=300");
    await page.waitForSelector (".legend tbody tr");
    await page.keyboard.press ("r");
    await until ("when", async () => await own () !== "");
    const told = await own (), url = page.url (), paused = Date.now ();
    await until ("another time", () => Date.now () > paused + 2000);
    await page.goto ("about:blank");
    await page.goto (url);
    await page.waitForSelector (".legend tbody tr");
    assert.equal (await own (), told);
    assert.equal (await page.title (), "depth – Zibrato");
    await page.keyboard.press ("r");
    await until ("live", async () => await own () === "");
    assert.equal (new URL (page.url ()).searchParams.get ("range"), "300");
}

//  The line of all others has a colour of its own, too.
export async function lines_differ (site, watched) {
    const {page} = watched;
    await site.gauges (Array.from ({length: 13}, (_, i) =>
        ({name: "depth", source: `web${i}`, measure_time: now () - 30, value: i})));
    await watched.enter ("?m=depth&o=split&range=300");
    await page.waitForSelector (".legend [data-label='mean of 3 others']");
    const colours = await page.$$eval (".legend .mark", (all) =>
        all.map ((one) => getComputedStyle (one).borderTopColor));
    assert.deepEqual ([colours.length, new Set (colours).size], [11, 11]);
}

//  Over a heat map lines have one colour and are told apart by dashes; the table has the
//  same marks.
export async function marks_are_as_the_lines_are (site, watched) {
    const {page} = watched, index = [-40, -10, 0];
    await site.gauges ([{name: "query", source: "web", measure_time: now () - 30, count: 6,
                         sum: 6, min: 0.5, max: 1, sum_squares: 6,
                         buckets: {scale: 5, index, count: [3, 2, 1]}}]);
    const marks = async (look) => {
        await watched.enter (`?m=query&o=${look}&range=300`);
        await page.waitForSelector (".legend [data-label=p99]");
        return page.$$eval (".legend .mark", (all) => all.map ((one) => {
            const {borderTopColor, borderTopStyle} = getComputedStyle (one);
            return {colour: borderTopColor, style: borderTopStyle};
        }));
    };
    const colours = (all) => new Set (all.map (({colour}) => colour)).size;
    const heat = await marks ("heat"), lines = await marks ("");
    assert.deepEqual (heat.map (({style}) => style), ["solid", "dashed", "dotted"]);
    assert.deepEqual (lines.map (({style}) => style), ["solid", "solid", "solid"]);
    assert.deepEqual ([colours (heat), colours (lines)], [1, 3]);
}
