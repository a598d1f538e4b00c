//  decode.js FOLDER - what OpenTelemetry's own decoder for JavaScript makes of requests:
//  a line of JSON for each line of standard input, which is one in base64
//
//  FOLDER is one of test/otlp/install. It knows fields that the schema from there, which
//  is older, does not.
//
//  SPDX-License-Identifier: BSD-3-Clause

const fs = require ("fs");
const path = require ("path");
const {opentelemetry} = require (path.join (
    process.argv[2], "node_modules", "@opentelemetry", "otlp-transformer", "build",
    "src", "generated", "root.js"));

const Request = opentelemetry.proto.collector.metrics.v1
    .ExportMetricsServiceRequest;
for (const line of fs.readFileSync (0, "utf8").split ("\n").filter (Boolean))
    console.log (JSON.stringify (Request.toObject (
        Request.decode (Buffer.from (line, "base64")), {longs: String})));
