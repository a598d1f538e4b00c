//  peer_otlp.js FOLDER URL counter|timer ROWS BATCH - what OpenTelemetry's own exporter
//  for JavaScript takes to send the rows of bench_otlp.c
//
//  FOLDER is one of test/otlp/install. Prints "cpu_ns=NUMBER": the processor time of the
//  process, with all its threads, while the exporter encodes and sends all rows. They
//  were made before. The median of some turns, behind those in which the code is
//  compiled.
//
//  SPDX-License-Identifier: BSD-3-Clause

const path = require ("path");
const [folder, url, kind, rows, batch] = process.argv.slice (2);
const load = name => require (path.resolve (folder, "node_modules",
                                            "@opentelemetry", name));
const {ValueType} = load ("api");
const {Resource} = load ("resources");
const {AggregationTemporality, DataPointType, InstrumentType} = load ("sdk-metrics");
const {OTLPMetricExporter} = load ("exporter-metrics-otlp-proto");

const WARM = 5, TURNS = 5;
const BUCKETS = 40, SAMPLES = 10;       //  in each

const counter = i => ({type: DataPointType.SUM, value: i * 5, unit: "",
                       instrument: InstrumentType.COUNTER});

const timer = () => ({
    type: DataPointType.EXPONENTIAL_HISTOGRAM, unit: "s",
    instrument: InstrumentType.HISTOGRAM,
    value: {count: BUCKETS * SAMPLES, sum: 12.5, scale: 5, zeroCount: 0,
            positive: {offset: -300, bucketCounts: Array (BUCKETS).fill (SAMPLES)},
            negative: {offset: 0, bucketCounts: []}}
});

//  As a reader of the SDK hands it to its exporter.
function metric (i)
{
    const {type, value, unit, instrument} = kind === "timer" ? timer () : counter (i);
    return {
        descriptor: {name: "bench.requests." + String (i).padStart (6, "0"),
                     description: "", unit, type: instrument,
                     valueType: ValueType.DOUBLE, advice: {}},
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPointType: type, isMonotonic: true,
        dataPoints: [{startTime: [1795689000, 0], endTime: [1795689060, 0],
                      attributes: {source: "web-01", code: "200"}, value}]
    };
}

function request (first)
{
    const metrics = Array.from ({length: batch}, (_, i) => metric (first + i));
    return {resource: new Resource ({"service.name": "zibrato"}),
            scopeMetrics: [{scope: {name: "zibrato", version: "1.0.0"}, metrics}]};
}

const send = (exporter, one) => new Promise ((resolve, reject) => exporter.export (
    one, ({code, error}) => code === 0 ? resolve () : reject (error)));

//  Nanoseconds for all of them, one after the other.
async function turn (exporter, requests)
{
    const begin = process.cpuUsage ();
    for (const one of requests)
        await send (exporter, one);
    const {user, system} = process.cpuUsage (begin);
    return (user + system) * 1000;
}

async function main ()
{
    const requests = [], turns = [];
    const exporter = new OTLPMetricExporter ({url});
    for (let first = 0; first < rows; first += Number (batch))
        requests.push (request (first));
    for (let i = 0; i < WARM + TURNS; i++)
        turns.push (await turn (exporter, requests));
    turns.splice (0, WARM);
    console.error ("cpu_ns=%d", turns.sort ((a, b) => a - b)[TURNS >> 1]);
    await exporter.shutdown ();
}

main ().catch (error => {
    console.error (error);
    process.exit (1);
});
