//  list - what the list shows of each metric
//
//  SPDX-License-Identifier: BSD-3-Clause

import {now, until} from "./harness.js";

//  In the list a counter that was not counted up for longer than usual is at zero; one
//  that is reported every half minute has the rate of all of it.
export async function a_silent_counter_is_at_zero (site, watched) {
    const {page} = watched, end = Math.floor (now () / 10) * 10;
    const counters = (name, until_s, apart_s = 10) => Array.from ({length: 20}, (_, i) =>
        ({name, source: "web", value: 5 * apart_s * i,
          measure_time: end - until_s - apart_s * (19 - i)}));
    await site.post ("/v1/metrics", {counters: [...counters ("busy", 0), ...counters ("slow", 0, 30),
                                                ...counters ("quiet", 90)]});
    await watched.enter ();
    const last = (name) => page.textContent (`.metric[title=${name}] .last`);
    await page.waitForSelector (".metric[title=quiet]");
    await until ("all", async () => await last ("busy") === "5/s"
        && await last ("slow") === "5/s" && await last ("quiet") === "0/s");
}

//  What the last value of a timer is stands before it: of a program a percentile, of a
//  client of Librato, who sends no buckets, the mean.
export async function a_last_value_says_what_it_is (site, watched) {
    const {page} = watched, measure_time = now () - 20;
    await site.gauges ([{name: "query", source: "web", measure_time, count: 100, sum: 1,
                         min: 0.01, max: 0.01, sum_squares: 0.01,
                         buckets: {scale: 5, index: [Math.ceil (Math.log2 (0.01) * 32) - 1],
                                   count: [100]}},
                        {name: "depth", source: "web", measure_time, value: 7}]);
    await site.heard ();
    const program = site.program ("web");
    program.process.stdin.end ("time\tinfo\tlatency\t0.02\n");
    await program.end;
    await site.stored ("latency");
    await watched.enter ();
    const last = (name) => page.textContent (`.metric[title=${name}] .last`);
    await page.waitForSelector (".metric[title=query]");
    await until ("all", async () => /^p9510(\.\d)? ms$/.test (await last ("query"))
        && await last ("depth") === "7" && /^p9520(\.\d)? ms$/.test (await last ("latency")));
}

//  Of many series the list has a line, too, as a chart has; of too many it says so.
export async function a_line_of_many_series (site, watched) {
    const {page} = watched, measure_time = Math.floor (now () / 10) * 10 - 20;
    const gauges = (name, count) => Array.from ({length: count}, (_, i) =>
        ({name, source: `web${i}`, measure_time, value: i % 2}));
    await site.gauges ([...gauges ("many", 300), ...gauges ("more", 2001)]);
    await watched.enter ();
    const last = (name) => page.textContent (`.metric[title=${name}] .last`);
    await page.waitForSelector (".metric[title=more]");
    await until ("both", async () => await last ("many") === "0.5"
        && await last ("more") === "too many series");
}
