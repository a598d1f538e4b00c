//  json.js - a backend of npm's statsd that prints each flush as a line of JSON
//
//  SPDX-License-Identifier: BSD-3-Clause

exports.init = (startup, config, events) => {
    events.on ("flush", (time, metrics) => console.log (JSON.stringify ({
        counters: metrics.counters,
        gauges: metrics.gauges,
        timers: metrics.timer_data
    })));
    return true;
};
