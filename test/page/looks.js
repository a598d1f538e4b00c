//  looks - that everybody can read it, in light and dark; and its picture for README
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const TEXT = 4.5, LINE = 3;     //  contrasts of WCAG 2.1, 1.4.3 and 1.4.11

//  In the page: the contrast of each text that is seen to what is behind it, and of
//  each line's colour to a chart's ground. Returns those below.
function poor ([text, line]) {
    const canvas = document.createElement ("canvas").getContext ("2d", {willReadFrequently: true});
    const rgb = (colour) => {
        canvas.clearRect (0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect (0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData (0, 0, 1, 1).data;
        return {light: [r, g, b].map ((one) => one / 255).map ((one) =>
            one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
            .reduce ((sum, one, i) => sum + one * [0.2126, 0.7152, 0.0722][i], 0), a};
    };
    const contrast = (a, b) => (Math.max (a, b) + 0.05) / (Math.min (a, b) + 0.05);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const {light, a} = rgb (getComputedStyle (at).backgroundColor);
            if (a === 255)
                return light;
        }
        return 1;
    };
    const found = [];
    for (const element of document.querySelectorAll ("body *")) {
        const own = [...element.childNodes].some ((node) =>
            node.nodeType === 3 && node.textContent.trim ());
        if (!own || !element.checkVisibility () || element.closest (".off"))
            continue;
        const style = getComputedStyle (element);
        const is = contrast (rgb (style.color).light, ground (element));
        if (is < text)
            found.push (`${element.tagName}.${element.className} ${is.toFixed (2)}`);
    }
    const root = getComputedStyle (document.documentElement);
    for (let i = 1; i <= 10; i++) {
        const is = contrast (rgb (root.getPropertyValue (`--line-${i}`)).light,
                             rgb (root.getPropertyValue ("--panel")).light);
        if (is < line)
            found.push (`line ${i} ${is.toFixed (2)}`);
    }
    return found;
}

async function postSome (site) {
    const gauges = [], from = now () - 1200;
    for (let time = from; time < now (); time += 10)
        for (const [i, source] of ["web1", "web2", "web3"].entries ())
            gauges.push ({name: "queue.depth", source, measure_time: time,
                          value: Math.round (40 + 20 * Math.sin (time / 90 + 2 * i))});
    await site.gauges (gauges);
}

export async function contrast_in_light_and_dark (site, watched) {
    const {page} = watched;
    await postSome (site);
    await watched.enter ("?m=queue.depth&o=split&range=1800");
    await page.waitForSelector (".legend tbody tr");
    for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia ({colorScheme});
        await page.waitForSelector (`html[data-theme=${colorScheme}]`);
        for (const view of ["series", "health", "metrics"]) {
            await page.click (`nav [data-view=${view}]`);
            await page.waitForSelector (view === "metrics" ? ".u-over" : `#${view} h2`);
            assert.deepEqual (await page.evaluate (poor, [TEXT, LINE]), [],
                              `${colorScheme} ${view}`);
        }
    }
}

//  Nothing is cut, and nothing is wider than the window.
export async function fits_any_window (site, watched) {
    const {page} = watched, name = `requests.${"of.a.long.name.".repeat (6)}end`;
    const tags = (i) => ({host: `frontend-${i}.production.example.org`,
                          region: "eu-central-1", route: "/api/v2/customers/:id/orders"});
    await site.post ("/v1/measurements", {time: now () - 30, measurements: [1, 2, 3].map (
        (i) => ({name, value: i, tags: tags (i)}))});
    await site.gauges ([{name: "zibrato.success_age", source: "a.long.name.of.a.host.librato",
                         measure_time: now () - 30, value: 1}]);
    await watched.enter (`?m=${name}&o=split&range=300`);
    await page.waitForSelector (".legend tbody tr");
    assert.deepEqual (await page.$$eval (".legend th", (all) =>
        all.filter (({scope, dataset}) => scope === "row" || !dataset.of)
            .map (({textContent}) => textContent).sort ()),
                      ["host=frontend-1.production.example.org",
                       "host=frontend-2.production.example.org",
                       "host=frontend-3.production.example.org",
                       "region=eu-central-1 route=/api/v2/customers/:id/orders"]);
    for (const width of [1280, 800, 400])
        for (const view of ["series", "health", "metrics"]) {
            await page.setViewportSize ({width, height: 800});
            await page.click (`nav [data-view=${view}]`);
            await page.waitForSelector (view === "metrics" ? ".u-over" : `#${view} table`);
            assert.deepEqual (await page.$$eval ("html, main, #charts, .legend, .label",
                (all) => all.filter ((one) => one.checkVisibility ()
                    && one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
                    .map (({className, tagName}) => `${tagName}.${className}`)), [],
                              `${width} ${view}`);
        }
    //  The controls are in one line, with a time of one's own, too.
    await page.setViewportSize ({width: 1280, height: 800});
    await page.keyboard.press ("ArrowLeft");
    await until ("a time", async () => await page.textContent ("#own") !== "");
    assert.ok ((await page.locator ("#top").boundingBox ()).height < 60);
}

//  A few of the longest and shortest do not rule the axis of a heat map; they are counted.
export async function few_samples_are_off_the_axis (site, watched) {
    await watched.enter ();
    const told = await watched.page.evaluate (async () => {
        const {beyond, heatRange} = await import ("/page/heat.js");
        const at = (cells) => [heatRange ({cells}).map ((one) => Math.round (8 * Math.log2 (one))),
                               beyond ({cells})];
        return [at ([[-40, 1000, -39, 500], [-80, 1, -39, 500, 24, 1]]), at ([[5, 9999, 9, 1]]),
                at ([[]])];
    });
    assert.deepEqual (told, [[[-41, -37], "1 above, up to 8.72 s, 1 below"],
                             [[4, 11], ""], [[-81, 2], ""]]);
}

//  An interval that has much more than all others, as after an outage, does not make those
//  pale. Its own cells have the strongest shade, and the key says that they have more.
export async function an_outage_pales_nothing (site, watched) {
    await watched.enter ();
    const told = await watched.page.evaluate (async () => {
        const {heatKey, shadeOf} = await import ("/page/heat.js");
        const usual = Array.from ({length: 60}, () => [-40, 10, -39, 2]);
        const at = (cells) => [[2, 5, 10, 3600].map ((count) => shadeOf (count, {cells})),
                               heatKey ({cells}).textContent];
        return [at (usual), at ([...usual, [-40, 3600]]), at ([...usual, [-40, 30]]),
                at ([[-40, 10], [-40, 3600]]), at ([[], []])];
    });
    assert.deepEqual (told, [[[2, 3, 4, 4], "1  10"], [[2, 3, 4, 4], "1  10 or more"],
                             [[1, 2, 2, 4], "1  30"], [[0, 0, 0, 4], "1  3 600"],
                             [[4, 4, 4, 4], "1  1"]]);
}

//  Three or four digits, in the unit that they round to.
export async function numbers (site, watched) {
    await watched.enter ();
    const told = await watched.page.evaluate (async () => {
        const {bytes, duration, number} = await import ("/page/format.js");
        return [[0, -3.14159, 9999, 12345, 999499, 999500, 2.5e15, NaN].map (number),
                [0, 3e-10, 1e-6, 0.0009994, 0.9996, 1.234, -0.5, 599, 5400].map (duration),
                [0, 1023, 1536, 2 ** 40].map (bytes)];
    });
    assert.deepEqual (told, [
        ["0", "-3.14", "9999", "12.3 k", "999 k", "1 M", "2.5 P", "–"],
        ["0 s", "0.3 ns", "1 µs", "999 µs", "1 s", "1.23 s", "-500 ms", "599 s", "90 min"],
        ["0 B", "1023 B", "1.5 kB", "1 TB"]]);
}

//  Times are of 24 hours, and UTC if that is wanted.
export async function times (site, watched) {
    const {page} = watched;
    await watched.enter ();
    const told = await page.evaluate (async () => {
        const {clock, tick, day} = await import ("/page/format.js");
        return [clock (1700000000, true), tick (1700000000, 60, true),
                tick (1700006400, 3600, true), day (1700000000, true)];
    });
    assert.deepEqual (told, ["22:13:20", "22:13", "11-15", "2023-11-14"]);
}

//  Arbitrary, but the same each time.
function* randoms (seed) {
    for (let state = seed;; state = state * 48271 % 2147483647)
        yield state / 2147483647;
}

//  Sixty samples of a timer, as a program would send them.
function timer (name, source, time, middle, next) {
    const buckets = new Map ();
    let sum = 0, squares = 0, min = Infinity, max = 0;
    for (let i = 0; i < 60; i++) {
        const took = middle * Math.exp (1.3 * (next () + next () - 0.9));
        const index = Math.ceil (Math.log2 (took) * 32) - 1;
        buckets.set (index, (buckets.get (index) ?? 0) + 1);
        sum += took;
        squares += took * took;
        min = Math.min (min, took);
        max = Math.max (max, took);
    }
    const index = [...buckets.keys ()].sort ((a, b) => a - b);
    return {name, source, measure_time: time, count: 60, sum, min, max,
            sum_squares: squares,
            buckets: {scale: 5, index, count: index.map ((one) => buckets.get (one))}};
}

//  What a shop measures in half an hour, as it looks in README.
async function postShop (site) {
    const any = randoms (20250101), gauges = [], to = now (), from = to - 1800;
    const next = () => any.next ().value;
    for (let time = from; time < to; time += 2) {
        const at = time - from;
        const load = 1 + 0.45 * Math.sin (at / 310) + 0.2 * Math.sin (at / 47);
        for (const [i, source] of ["web1", "web2", "web3"].entries ()) {
            gauges.push ({name: "queue.depth", source, measure_time: time,
                          value: Math.round (18 * load + 9 * i + 4 * next ())});
            gauges.push ({name: "workers.busy", source, measure_time: time,
                          value: Math.round (6 * load + 3 * next ())});
        }
        gauges.push (timer ("checkout.seconds", "web1", time, 0.004 * load, next),
                     timer ("db.seconds", "web1", time, 0.0006 * load * load, next));
    }
    await site.gauges (gauges);
}

const CHARTS = ["m=checkout.seconds&o=heat", "m=queue.depth&o=", "m=db.seconds&o=",
                "m=workers.busy&o=mean,zero"];

//  Made for the handbook when ZB_PICTURE says where: contrib/docs/page.png.
export async function picture (site, watched) {
    const {page} = watched, path = process.env.ZB_PICTURE;
    await postShop (site);
    await watched.enter (`?${CHARTS.join ("&")}&range=1800&utc=1`);
    await page.waitForFunction ((count) =>
        document.querySelectorAll (".u-over").length === count, CHARTS.length);
    assert.deepEqual (await page.$$eval ("[data-name='db.seconds'] .legend tbody tr",
        (rows) => rows.map ((row) => row.dataset.label)), ["p50", "p95", "p99"]);
    if (!path)
        return;
    await page.setViewportSize ({width: 1400, height: 1000});
    await until ("small lines", () => page.$$eval (".metric:not(.silent) .last", (all) =>
        all.every ((one) => one.textContent)));
    await until ("rows a second", async () => !/…/.test (
        await page.textContent ("[data-part=rows]")));
    await page.screenshot ({path});
}
