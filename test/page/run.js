//  run - the page's tests; ZB_TEST=NAME runs one
//
//      node test/page/run.js
//
//  Environment: ZB_BIN, the executable; ZB_PROGRAMS, the folder of measure;
//  ZB_PAGE_JUDGE, where playwright-core is.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {launch, Site, Watched} from "./harness.js";
import * as charts from "./charts.js";
import * as keys from "./keys.js";
import * as list from "./list.js";
import * as looks from "./looks.js";
import * as many from "./many.js";
import * as proxy from "./proxy.js";
import * as shown from "./shown.js";
import * as status from "./status.js";
import * as use from "./use.js";

//  Most wait most of the time. Those of `many` measure, and have the browser to themselves.
const AT_ONCE = 3;
const tests = {...charts, ...use, ...keys, ...list, ...looks, ...proxy, ...shown, ...status, ...many};
const only = process.env.ZB_TEST;
let passed = 0, failed = 0;

//  Each test has a server of its own, in a folder that its `before` may fill. What it
//  throws fails it, and what the page did wrong meanwhile does.
async function run (browser, name) {
    const site = new Site (), watched = new Watched (site);
    try {
        await tests[name].before?.(site);
        await site.open ();
        await watched.open (browser);
        await tests[name] (site, watched);
        await watched.close ();
        await site.end ();
        passed++;
        console.log (`ok      ${name}`);
    } catch (error) {
        failed++;
        console.log (`FAILED  ${name}\n${error.stack}\n${watched.wrong.slice (0, 5).join ("\n")}`);
        await watched.context?.close ().catch (() => {});
    } finally {
        await site.close ();
    }
}

//  Takes one after the other until there is none.
async function work (browser, names) {
    for (let name = names.shift (); name; name = names.shift ())
        await run (browser, name);
}

const browser = await launch (), names = Object.keys (tests)
    .filter ((name) => !only || name === only);
const alone = names.filter ((name) => name in many);
const others = names.filter ((name) => !(name in many));
await Promise.all (Array.from ({length: AT_ONCE}, () => work (browser, others)));
await work (browser, alone);
await browser.close ();
console.log (`${passed} passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
