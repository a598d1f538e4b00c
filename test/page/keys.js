//  keys - all of it without a mouse, and where the focus is
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {now, until} from "./harness.js";

const some = (name, source, value = 1) => ({name, source, value, measure_time: now ()});
const names = (page) => page.$$eval (".metric .name",
                                     (found) => found.map ((one) => one.textContent));
const chartNames = (page) => page.$$eval (".chart",
                                          (found) => found.map ((one) => one.dataset.name));

//  Everything without a mouse.
export async function keyboard_only (site, watched) {
    const {page} = watched, press = (key) => page.keyboard.press (key);
    const query = () => new URL (page.url ()).searchParams;
    const gone = (name, value) => until (`${name}=${value}`, () =>
        query ().get (name) === value);
    await site.gauges ([some ("one", "web"), some ("two", "web"), some ("three", "web")]);
    await watched.enter ("?range=3600");
    await until ("the list", async () => (await names (page)).length >= 3);
    await press ("/");
    await page.keyboard.type ("tw");
    await until ("one row", async () => (await names (page)).join () === "two");
    await press ("Enter");
    await until ("a chart", async () => (await chartNames (page)).join () === "two");
    await press ("Escape");
    await page.waitForSelector (".legend tbody tr");
    for (const [key, word] of [["l", "log"], ["0", "zero"]]) {
        await press (key);
        await until (word, () => query ().get ("o").split (",").includes (word));
    }
    await press ("+");
    await gone ("range", "1800");
    await press ("-");
    await gone ("range", "3600");
    await press ("r");
    await gone ("live", "0");
    await press ("ArrowLeft");
    await until ("another time", () => query ().has ("from"));
    await press ("r");
    await until ("live", () => !query ().has ("from") && !query ().has ("live"));
    await press ("u");
    await gone ("utc", "1");
    await press ("t");
    await gone ("theme", "dark");
    await press ("?");
    await page.waitForSelector ("#help[open]");
    await press ("Escape");
    for (const [key, view] of [["2", "series"], ["3", "health"]]) {
        await press (key);
        await gone ("view", view);
        await page.waitForSelector (`#${view} h2`);
    }
    await press ("1");
    await press ("x");
    await until ("no chart", async () => (await chartNames (page)).length === 0);
}

//  A chart's key is for the one under the pointer, also of a metric that is not known.
export async function keys_of_one_chart (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("one", "web"), some ("two", "web")]);
    await watched.enter ("?m=one&o=&m=two&o=&m=nobody&o=&range=300");
    await page.waitForSelector ("[data-name=one] .legend tbody tr");
    await page.waitForSelector ("[data-name=two] .legend tbody tr");
    await page.waitForSelector ("[data-name=nobody] h2:text-is('nobody')");
    await page.waitForSelector ("[data-name=nobody] >> text=No metric has this name yet.");
    await page.hover ("[data-name=two] h2");
    await page.keyboard.press ("l");
    await until ("one of them", () => new URL (page.url ()).searchParams
        .getAll ("o").join ("|") === "|log|");
    await page.click ("[aria-label='close nobody']");
    await until ("two charts", async () => (await chartNames (page)).join () === "one,two");
    watched.pardon (/404/);
}

//  What has the focus, by what it is called.
const focused = (page) => page.evaluate (() => {
    const one = document.activeElement;
    return one.getAttribute ("aria-label") ?? one.textContent;
});

//  A chart's head, its table and the page of series are made anew by what they do. The
//  focus stays where it was.
export async function the_focus_stays (site, watched) {
    const {page} = watched, press = (key) => page.keyboard.press (key);
    const options = () => new URL (page.url ()).searchParams.get ("o");
    await site.gauges ([some ("depth", "web1"), some ("depth", "web2")]);
    await watched.enter ("?m=depth&o=split&range=300");
    await page.waitForSelector (".legend tbody tr");
    await page.focus (".tools button:text-is('log')");
    await press ("Enter");
    await until ("a logarithmic axis", () => options () === "split,log");
    assert.equal (await focused (page), "log");
    await press ("Enter");
    await until ("a linear one", () => options () === "split");
    await page.focus (".legend [data-label=web2] button");
    await press ("Enter");
    await page.waitForSelector (".legend [data-label=web1].off");
    assert.equal (await focused (page), "web2");
    await page.focus (".menu summary");
    await press ("Enter");
    await page.focus (".menu .items button >> nth=0");
    await press ("Escape");
    await page.waitForSelector (".menu:not([open])");
    assert.equal (await focused (page), "export");
    await press ("2");
    for (const text of ["new in a day", "chart"]) {
        await page.waitForSelector ("#series tbody tr");
        await page.focus (`#series button:text-is('${text}')`);
        await page.$eval ("#series tbody tr", (row) => { row.id = "old"; });
        await page.waitForSelector ("#old", {state: "detached"});
        assert.equal (await focused (page), text);
    }
}

//  Whoever cannot see the list hears which metric the keys have reached.
export async function the_list_is_named_to_readers (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("one", "web"), some ("two", "web")]);
    await watched.enter ();
    await page.waitForSelector (".metric");
    await page.focus ("#search");
    await page.keyboard.press ("ArrowDown");
    const active = await page.getAttribute ("#search", "aria-activedescendant");
    const row = page.locator (`#${active}`);
    assert.match (await row.textContent (), /^one/);
    assert.equal (await row.getAttribute ("aria-posinset"), "1");
    assert.equal (await row.getAttribute ("aria-selected"), "false");
    await page.keyboard.press ("Enter");
    await page.waitForSelector (`#${active}[aria-selected=true]`);
    assert.equal (await page.getAttribute (".uplot", "role"), "img");
}
