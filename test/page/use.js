//  use - what people do with the page: log in, search, keys, wait, lose the server
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {createServer} from "node:http";
import {now, until} from "./harness.js";

const names = (page) => page.$$eval (".metric .name",
                                     (found) => found.map ((one) => one.textContent));
const chartNames = (page) => page.$$eval (".chart",
                                          (found) => found.map ((one) => one.dataset.name));

const some = (name, source, value = 1) => ({name, source, value, measure_time: now ()});

export async function nobody_gets_in_without_a_token (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("depth", "web")]);
    await page.goto (site.url);
    await page.waitForSelector ("#login[open]");
    assert.deepEqual (await names (page), []);
    await page.fill ("#login input", "wrong");
    await page.keyboard.press ("Enter");
    await page.waitForSelector ("#login .error:has-text('not known')");
    await page.fill ("#login input", site.token);
    await page.keyboard.press ("Enter");
    await page.waitForSelector (".metric .name:has-text('depth')");
    assert.equal (await page.$ ("#login[open]"), null);
    watched.pardon (/401/);
}

//  The browser has no cookie then.
export async function sign_out (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("depth", "web")]);
    await watched.enter ();
    await page.waitForSelector (".metric");
    await page.click ("#help-button");
    await page.click ("#logout");
    await page.waitForSelector ("#login[open]");
    assert.deepEqual (await watched.context.cookies (), []);
    watched.pardon (/401/);
}

//  Of a store that is new there is nothing to see in half an hour.
export async function a_new_store_shows_five_minutes (site, watched) {
    await watched.enter ();
    await watched.page.waitForSelector ("#ranges [data-value='300'][aria-pressed=true]");
}

//  An address that was used says so.
export async function a_used_link_says_so (site, watched) {
    const {page} = watched;
    await page.goto (`${site.url}/?key=${"0".repeat (64)}`);
    await page.waitForSelector ("#login .error:has-text('This address was used')");
    watched.pardon (/401/);
}

//  Who may only look cannot write, though the page has a session.
export async function a_viewer_cannot_write (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("depth", "web")]);
    await watched.enter ("", await site.newToken ("viewer"));
    await page.waitForSelector (".metric");
    const status = await page.evaluate (() => fetch ("/v1/metrics", {
        method: "POST", headers: {"Content-Type": "application/json"},
        body: '{"gauges":[{"name":"evil","value":1}]}'}).then ((answer) => answer.status));
    assert.equal (status, 403);
    const {found} = await site.get ("/api/metrics?search=evil");
    assert.equal (found, 0);
    watched.pardon (/403/);
}

//  Words in any order, in names, sources and tags.
export async function search (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("api.response.time", "web1"), some ("api.errors", "web2"),
                        some ("db.time", "db1")]);
    await site.post ("/v1/measurements", {time: now (), measurements: [
        {name: "cart", value: 1, tags: {route: "/pay", code: "500"}}]});
    await watched.enter ();
    await until ("all", async () => (await names (page)).length >= 4);
    for (const [words, found] of [["time api", ["api.response.time"]],
                                  ["WEB2", ["api.errors"]], ["db1 time", ["db.time"]],
                                  ["Code=500 cart", ["cart"]], ["nothing", []]]) {
        await page.fill ("#search", words);
        await until (words, async () =>
            JSON.stringify (await names (page)) === JSON.stringify (found));
    }
    assert.equal (new URL (page.url ()).searchParams.get ("q"), "nothing");
    for (const [view, place] of [["metrics", "#list"], ["series", "#series"]]) {
        await page.click (`nav [data-view=${view}]`);
        await page.waitForSelector (`${place} >> text=No metric has these words.`);
    }
}

//  What Zibrato measures of itself stands between what others measure and what is silent.
export async function own_metrics_come_after_others (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("zibrato.queue_rows", "worker"), some ("zoo", "web"),
                        some ("apple", "web"), {...some ("before", "web"),
                                                measure_time: now () - 3600}]);
    await watched.enter ();
    await until ("the list", async () => (await names (page)).length >= 4);
    const found = await names (page);
    assert.deepEqual (found.slice (0, 2), ["apple", "zoo"]);
    assert.deepEqual (found.slice (2, -1).filter ((name) => !name.startsWith ("zibrato.")), []);
    assert.equal (found.at (-1), "before");
}

//  A chart that is added to others is below them, and comes into sight.
export async function an_added_chart_is_in_sight (site, watched) {
    const {page} = watched;
    await site.gauges (["a", "b", "c", "d", "e"].map ((name) => some (name, "web")));
    await watched.enter ("?m=a&o=&m=b&o=&m=c&o=&m=d&o=&range=300");
    await page.waitForFunction (() => document.querySelectorAll (".legend tbody tr").length === 4);
    await page.click (".metric[title=e]");
    await until ("it", () => page.$eval ("[data-name=e]", (chart) =>
        chart.getBoundingClientRect ().bottom <= window.innerHeight));
}

//  A name may be anything; it is text.
export async function names_are_text (site, watched) {
    const {page} = watched, name = "<img src=x onerror=window.pwned=1>";
    await site.heard ();
    const program = site.program ("<b>web</b>");
    program.process.stdin.end (`gauge\tinfo\t${name}\t5\n`);
    await program.end;
    await site.stored (name);
    await watched.enter (`?m=${encodeURIComponent (name)}&o=&range=300`);
    for (const view of ["metrics", "series"]) {
        await page.click (`nav [data-view=${view}]`);
        await page.waitForFunction ((text) => document.querySelector ("main")
            .innerText.includes (text), "onerror");
    }
    await page.click ("#series tbody button.link:has-text('onerror')");
    await page.waitForSelector ("#series .inner li");
    assert.equal (await page.$ ("main img"), null);
    assert.equal (await page.$ ("main b"), null);
    assert.equal (await page.evaluate (() => window.pwned), undefined);
}

//  News are drawn, also after the server was killed and is back.
export async function live_and_killed (site, watched) {
    const {page} = watched;
    const last = () => page.textContent ("[data-name=depth] .legend .last");
    await site.gauges ([some ("depth", "web", 17)]);
    await watched.enter ("?m=depth&o=&range=300");
    await until ("the first", async () => await last () === "17");
    await site.gauges ([some ("depth", "web", 4242)]);
    await until ("the second", async () => await last () === "4242");
    await site.server.stop ("SIGKILL");
    await page.waitForSelector ("[data-part=offline]");
    await site.serve ();
    await page.waitForSelector ("[data-part=metrics]");
    await site.gauges ([some ("depth", "web", 4711)]);
    await until ("the third", async () => await last () === "4711");
    watched.pardon (/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
}

//  The two commands that send something, and then what they have sent. What Zibrato
//  measures of itself is not it.
export async function nothing_yet (site, watched) {
    const {page} = watched;
    await site.gauges ([some ("zibrato.queue_rows", "worker")]);
    await watched.enter ();
    await page.waitForSelector ("#empty h2");
    assert.match (await page.textContent ("#empty"),
                  new RegExp (`${site.url.replaceAll (".", "\\.")}/v1/metrics`));
    await site.gauges ([some ("depth", "web")]);
    await page.waitForSelector (".metric .name:has-text('depth')");
}

//  Charts in a frame of somebody else's page, if it is one of --embed-from; a viewer's
//  token is in its address.
export async function charts_in_a_frame (site, watched) {
    const {page} = watched, token = await site.newToken ("viewer");
    await site.gauges ([some ("depth", "web", 17)]);
    const frame = `${site.url}/embed?m=depth&o=&range=300&token=${token}`;
    const other = createServer ((request, answer) =>
        answer.end (`<!doctype html><link rel=icon href="data:"><iframe src="${frame}">`));
    await new Promise ((done) => { other.listen (0, "127.0.0.1", done); });
    const origin = `http://localhost:${other.address ().port}`;
    await site.server.stop ();
    await site.serve ("--embed-from", origin);
    await page.goto (origin);
    const charts = page.frameLocator ("iframe");
    await until ("the chart", async () =>
        await charts.locator (".legend .last").textContent () === "17");
    assert.equal (await charts.locator ("#top").isVisible (), false);
    watched.pardon (new RegExp (`foreign host: ${origin}`));
    //  Not by others.
    await page.goto (origin.replace ("localhost", "127.0.0.1"));
    await until ("a refusal", () => watched.wrong.some ((text) =>
        /frame-ancestors/.test (text)));
    watched.pardon (/frame-ancestors|foreign host: http:..127.0.0.1|chrome-error/);
    other.close ();
}

//  Who makes the most series is first, with what they are.
export async function who_makes_series (site, watched) {
    const {page} = watched;
    const many = Array.from ({length: 30}, (_, i) => some ("many", `web${i}`));
    await site.gauges ([...many, some ("few", "web1")]);
    await site.post ("/v1/measurements", {time: now (), measurements: [1, 2, 3].map (
        (i) => ({name: "tagged", value: i, tags: {region: `r${i}`, host: "one"}}))});
    await watched.enter ("?view=series");
    const first = page.locator ("#series tbody tr >> nth=0");
    await until ("the list", async () => /^many/.test (await first.textContent ()));
    assert.equal (await first.locator ("td >> nth=1").textContent (), "30");
    //  What is open stays so, with the focus, when the page is made anew.
    await first.locator ("button >> text=many").click ();
    await page.waitForSelector ("#series .inner li:has-text('web29')");
    await first.evaluate ((row) => { row.id = "old"; });
    await page.waitForSelector ("#old", {state: "detached"});
    assert.equal (await page.locator ("#series .inner li").count (), 30);
    assert.equal (await page.evaluate (() => document.activeElement.textContent), "many");
    const tags = page.locator ("#series aside section >> nth=1");
    assert.match (await tags.textContent (), /^Tagsregion3 valueshost1 value$/);
    await first.locator ("button >> text=chart").click ();
    await until ("its chart", async () => (await chartNames (page)).join () === "many");
}
