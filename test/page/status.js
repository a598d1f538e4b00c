//  status - the line at the top, and the page of health: what is lost, and who is gone
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {statSync} from "node:fs";
import {join} from "node:path";
import {now, until} from "./harness.js";

//  What workers say that they have lost is where it was lost, and in the line at the top.
export async function losses_are_told (site, watched) {
    const {page} = watched, source = "host.librato";
    await site.heard ();
    const program = site.program ("web");
    for (const [name, count, of] of [["received", 4711, source], ["missed", 12, source],
                                     ["malformed", 3, source], ["rejected", 5, source],
                                     ["dropped", 7, "program"]])
        program.process.stdin.write (
            `count\tzibrato\tzibrato.${name}\t${count}\t${of}\n`);
    program.process.stdin.end ("gauge\tzibrato\tzibrato.success_age\t1\tidle\n");
    await program.end;
    await site.stored ("zibrato.dropped");
    await watched.enter ("?view=health&range=1800");
    for (const [stage, verdict] of [["Programs", "7 lost"], ["Broker", "nothing lost"],
                                    ["Workers", "15 lost"], ["Delivery", "5 lost"],
                                    ["Store", "nothing lost"]])
        await page.waitForSelector (
            `[data-stage=${stage}] .verdict:text-is("${verdict}")`);
    await page.waitForSelector ("[data-part=lost]:text-is('27 lost in 1 d')");
    const row = page.locator (`#health tr:has-text("${source}")`);
    assert.equal (await row.locator ("td >> nth=0").textContent (), "4 711");
    assert.equal (await row.locator ("td >> nth=2").textContent (), "20");
    await page.waitForSelector ("#health tr:has-text('idle')");
}

//  A click on what was lost within a day shows where, whatever span was chosen.
export async function losses_lead_to_health (site, watched) {
    const {page} = watched, source = "host.librato", measure_time = now () - 7200;
    await site.gauges ([{name: "zibrato.success_age", source, measure_time, value: 1},
                        {name: "zibrato.missed", source, measure_time, value: 12},
                        {name: "depth", source: "web", value: 1}]);
    await watched.enter ("?range=300");
    await page.click ("[data-part=lost]:text-is('12 lost in 1 d')");
    await page.waitForSelector ("[data-stage=Workers].wrong .verdict:text-is('12 lost')");
    await page.goBack ();
    await page.waitForSelector (".metric");
    assert.equal (new URL (page.url ()).searchParams.get ("range"), "300");
}

//  The line says what `du` says of the database's files.
export async function size_is_that_of_the_disk (site, watched) {
    const {page} = watched;
    const taken = () => ["", "-wal", "-shm"].map ((ending) =>
        512 * statSync (join (site.folder, `store.db${ending}`)).blocks)
        .reduce ((sum, one) => sum + one);
    await site.gauges ([{name: "depth", source: "web", value: 1, measure_time: now ()}]);
    await until ("what the disk has", async () => {
        const before = taken (), {disk_bytes} = await site.get ("/api/status");
        return disk_bytes === before && before === taken ();
    });
    await watched.enter ();
    assert.match (await page.textContent ("[data-part=size]"),
                  /^\d+(\.\d+)? [kM]B of 10 GB, \d+(\.\d+)? [kM]B on disk$/);
}

//  The server counts rows since its start. One that is started again while the page waits
//  for its answer has fewer than the one before: that is no rate.
export async function a_restart_has_no_rate (site, watched) {
    const {page} = watched;
    let release, held = 0;
    const released = new Promise ((done) => { release = done; });
    await site.gauges (Array.from ({length: 500}, (_, i) =>
        ({name: "depth", source: `web${i}`, value: i, measure_time: now ()})));
    await watched.enter ();
    await page.waitForSelector ("[data-part=rows]:not(:has-text('…'))");
    await page.evaluate (() => {
        const line = document.querySelector ("#facts");
        window.told = [];
        new MutationObserver (() => window.told.push (line.textContent))
            .observe (line, {childList: true, characterData: true, subtree: true});
    });
    await page.route ("**/api/**", async (route) => {
        held++;
        await released;
        await route.continue ();
    });
    await until ("a question", () => held > 0);
    await site.server.stop ("SIGKILL");
    await site.serve ();
    await page.evaluate (() => { window.told = []; });
    release ();
    await until ("a rate that is not known", async () => (await page.evaluate (
        () => window.told)).some ((text) => text.includes ("… rows/s")));
    await page.waitForSelector ("[data-part=rows]:not(:has-text('…'))");
    assert.deepEqual ((await page.evaluate (() => window.told)).filter ((text) =>
        /-\d|does not answer/.test (text)), []);
}

//  A worker that has died stays in the table for a day, and is said to be silent; its
//  losses of before are not of the time that is shown.
export async function a_dead_worker_is_seen (site, watched) {
    const {page} = watched, hours = (count) => now () - 3600 * count;
    const worker = (source, measure_time) => [
        {name: "zibrato.success_age", source, measure_time, value: 3},
        {name: "zibrato.missed", source, measure_time, value: 5}];
    await site.gauges ([...worker ("dead.librato", hours (2.5)),
                        ...worker ("older.librato", hours (30)),
                        ...worker ("alive.librato", now () - 5)]);
    await watched.enter ("?view=health&range=300");
    const row = (source) => page.locator (`#health tr:has-text("${source}")`);
    const last = (source) => row (source).locator ("td").last ().textContent ();
    await page.waitForSelector ("#health tr:has-text('dead.librato')");
    assert.equal (await last ("dead.librato"), "silent for 2.5 h");
    assert.match (await last ("alive.librato"), /^(now|\d+ s ago)$/);
    assert.equal (await row ("dead.librato").getAttribute ("class"), "wrong");
    assert.equal (await row ("dead.librato").locator ("td >> nth=2").textContent (), "0");
    assert.equal (await row ("older.librato").count (), 0);
    //  In a time that is over, it was there.
    await page.goto (`${site.url}/?view=health&from=${hours (2.5) - 600}&to=${hours (2.5) + 60}`);
    await until ("it", async () => /ago$/.test (await last ("dead.librato")));
}

//  Workers that deliver elsewhere are not in the table: the broker knows how many it has.
export async function workers_of_others_are_counted (site, watched) {
    const {page} = watched, time = now () - 7200;
    const gauge = (name, source, measure_time, value) => ({name, source, measure_time, value});
    await site.gauges ([gauge ("zibrato.success_age", "host.serve", time, 1),
                        gauge ("zibrato.success_age", "host.serve", time + 600, 1),
                        gauge ("zibrato.broker.workers", "broker", time + 600, 3)]);
    const told = async (from) => {
        await watched.enter (`?view=health&from=${from - 60}&to=${from + 60}`);
        await page.waitForSelector ("#health tbody tr:has-text('host.serve')");
        return page.textContent ("#health > p");
    };
    const here = "A worker reports to where it delivers: one that delivers elsewhere is seen "
        + "there, and its losses are not in this page.";
    assert.equal (await told (time), here);
    assert.equal (await told (time + 600), `${here} The broker has 3 workers.`);
}

//  Without a broker workers are silent, too: the stage says who was first.
export async function a_dead_broker_is_seen (site, watched) {
    const {page} = watched, ended = now () - 7200;
    await site.gauges ([{name: "zibrato.broker.publishers", source: "broker",
                         measure_time: ended, value: 1}]);
    const verdict = (from, to) => watched.enter (`?view=health&from=${from}&to=${to}`).then (
        () => page.textContent ("[data-stage=Broker] .verdict"));
    assert.equal (await verdict (ended - 600, ended + 600), "silent for 10 min");
    assert.equal (await verdict (ended - 600, ended + 60), "nothing lost");
    assert.equal (await verdict (ended - 1200, ended - 600), "nothing lost");
}

//  As long as nothing can be stored, every page says so. (That the server does is shown
//  by e2e.serve.)
export async function a_full_disk_is_said (site, watched) {
    const {page} = watched;
    let failing = 1;
    await page.route (/api\/(status|health)/, async (route) => {
        const response = await route.fetch (), json = await response.json ();
        Object.assign (json.store ?? json, {failing});
        await route.fulfill ({response, json});
    });
    await site.gauges ([{name: "depth", source: "web", value: 1}]);
    await watched.enter ("?view=health");
    await page.waitForSelector ("[data-part=failing].wrong");
    await page.waitForSelector ("[data-stage=Store].wrong .verdict:has-text('cannot write')");
    failing = 0;
    await page.waitForSelector ("[data-part=failing]", {state: "detached"});
    await page.waitForSelector ("[data-stage=Store]:not(.wrong) .verdict:has-text('nothing lost')");
    //  The test may end before the last answer has come.
    await page.unrouteAll ({behavior: "ignoreErrors"});
}
