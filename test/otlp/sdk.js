//  sdk.js FOLDER - what OpenTelemetry's own SDK exports for samples, as Protocol
//  Buffers on standard output
//
//  FOLDER is one of test/otlp/install. Standard input is JSON: {"counters": {NAME:
//  [VALUE...]}, "timers": {NAME: [SECONDS...]}, "gauges": {NAME: VALUE}}; each has the
//  attribute source=judge.
//
//  SPDX-License-Identifier: BSD-3-Clause

const fs = require ("fs");
const path = require ("path");
const modules = path.join (process.argv[2], "node_modules", "@opentelemetry");
const sdk = require (path.join (modules, "sdk-metrics"));
const {ProtobufMetricsSerializer} = require (path.join (modules,
                                                        "otlp-transformer"));

class Reader extends sdk.MetricReader
{
    async onForceFlush () {}
    async onShutdown () {}
}

const samples = JSON.parse (fs.readFileSync (0, "utf8"));
const delta = sdk.AggregationTemporality.DELTA;
const histograms = new sdk.ExponentialHistogramAggregation (160, true);
const reader = new Reader ({
    aggregationSelector: kind => kind === sdk.InstrumentType.HISTOGRAM
        ? histograms : sdk.Aggregation.Default (),
    aggregationTemporalitySelector: () => delta
});
const provider = new sdk.MeterProvider ({readers: [reader]});
const meter = provider.getMeter ("zibrato");
const attributes = {source: "judge"};
for (const [name, values] of Object.entries (samples.counters)) {
    const counter = meter.createCounter (name);
    values.forEach (value => counter.add (value, attributes));
}
for (const [name, values] of Object.entries (samples.timers)) {
    const timer = meter.createHistogram (name, {unit: "s"});
    values.forEach (value => timer.record (value, attributes));
}
for (const [name, value] of Object.entries (samples.gauges))
    meter.createGauge (name).record (value, attributes);
reader.collect ().then (({resourceMetrics}) => process.stdout.write (
    ProtobufMetricsSerializer.serializeRequest (resourceMetrics)));
