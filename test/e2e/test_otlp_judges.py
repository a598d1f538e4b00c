#!/usr/bin/python3
"""What `zibrato otlp` posts is what the official decoders read, and what
OpenTelemetry's own SDK exports for the same samples.

The same measurements go through a broker into two workers, one of Protocol Buffers
and one of JSON, and by hand into the SDK.
"""

#  ctest: TIMEOUT 200 NOSAN - most of it is of other people's making

import base64
import gzip
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import zmq

SOURCE, BIN = os.environ["ZB_SOURCE"], os.environ["ZB_BIN"]
JUDGES = os.path.join (os.environ["ZB_PROGRAMS"], "..", "otlp-judges")
subprocess.run ([SOURCE + "/test/otlp/install", JUDGES], check=True)
sys.path.insert (0, JUDGES)

# pylint: disable=wrong-import-position
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

#   Spans of the timers: octaves, from one that the finest scale holds to one that
#   takes the coarsest; with samples of 0 s, too. Six digits, so that each is the
#   same number of nanoseconds for all.
random.seed (20261129)


def seconds (low, high, count):
    """Any, spread evenly over the powers of two."""
    return [round (2 ** random.uniform (low, high), 9) for _ in range (count)]


SAMPLES = {
    "counters": {"requests": [1, 2, 3.5], "bytes": [1e15, 1], "tiny": [1e-9]},
    "timers": {"edges": [.25, .26, 1.5, 1.5], "short": seconds (-10, -6, 200),
               "long": seconds (-12, 3, 500), "wide": seconds (-29, 9, 500),
               "zero": [0, 0, .001, .02, .001, .03]},
    "gauges": {"depth": -17.25, "height": 1e99},
}


class Sink (http.server.BaseHTTPRequestHandler):
    """Keeps each body that is posted."""

    protocol_version = "HTTP/1.1"
    bodies = {"/protobuf": [], "/json": []}

    def log_message (self, *args):  # pylint: disable=arguments-differ
        """Says nothing."""

    def do_GET (self):  # pylint: disable=invalid-name
        """Is for POST only."""
        self.send_response (405)
        self.send_header ("Content-Length", "0")
        self.end_headers ()

    def do_POST (self):  # pylint: disable=invalid-name
        """Keeps a body."""
        body = self.rfile.read (int (self.headers["Content-Length"]))
        if self.headers.get ("Content-Encoding") == "gzip":
            body = gzip.decompress (body)
        self.bodies[self.path].append (body)
        self.send_response (200)
        self.send_header ("Content-Length", "0")
        self.end_headers ()


def same (what, ours, theirs):
    """They are, or the test ends."""
    if ours != theirs:
        sys.exit ("%s: %s, expected %s" % (what, ours, theirs))


def message_of (fields):
    """A request, of its fields. The schema does not know one of them, which is
    younger."""
    def strip (part):
        if isinstance (part, dict):
            return {key: strip (value) for key, value in part.items ()
                    if key != "zeroThreshold"}
        return [strip (item) for item in part] if isinstance (part, list) \
            else part
    return json_format.ParseDict (
        strip (fields), metrics_service_pb2.ExportMetricsServiceRequest ())


def decode_json (bodies):
    """Requests, and their fields. No field may be unknown."""
    return [(message_of (fields), fields)
            for fields in (json.loads (body) for body in bodies)]


def decode_protobuf (bodies):
    """The same, read by two decoders. What one of them does not know, it keeps, so that
    it would be there when it is written again."""
    lines = subprocess.run (
        ["node", SOURCE + "/test/otlp/decode.js", JUDGES], check=True,
        input=b"\n".join (base64.b64encode (body) for body in bodies),
        capture_output=True).stdout.decode ().splitlines ()
    requests = []
    for body, line in zip (bodies, lines, strict=True):
        request = metrics_service_pb2.ExportMetricsServiceRequest ()
        request.ParseFromString (body)
        fields = json.loads (line)
        same ("size", request.ByteSize (), len (body))
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.exponential_histogram.data_points:
                        point.DiscardUnknownFields ()
        same ("the two decoders", request, message_of (fields))
        requests.append ((request, fields))
    return requests


DECODERS = {"/protobuf": decode_protobuf, "/json": decode_json}


def thresholds (fields):
    """All of them, at whatever depth."""
    if isinstance (fields, dict):
        return [value for key, value in fields.items ()
                if key == "zeroThreshold"] + thresholds (list (fields.values ()))
    return [value for part in fields for value in thresholds (part)] \
        if isinstance (fields, list) else []


def points_of (requests, source):
    """{name: (metric without points, points)} of all requests, of one source."""
    found = {}
    for request in requests:
        for metric in [metric for resource in request.resource_metrics
                       for scope in resource.scope_metrics
                       for metric in scope.metrics]:
            data = getattr (metric, metric.WhichOneof ("data"))
            found.setdefault (metric.name, (metric, []))[1].extend (
                point for point in data.data_points
                if {"source": source} == {pair.key: pair.value.string_value
                                          for pair in point.attributes})
    return {name: pair for name, pair in found.items () if pair[1]}


def buckets_of (point):
    """{index: count}, without the empty ones."""
    return {point.positive.offset + i: count
            for i, count in enumerate (point.positive.bucket_counts) if count}


def add_up (points):
    """Increments of flushes, as one: the samples may fall into two of them."""
    scale = min (point.scale for point in points)
    buckets = {}
    for point in points:
        for index, count in buckets_of (point).items ():
            index >>= point.scale - scale
            buckets[index] = buckets.get (index, 0) + count
    while buckets and max (buckets) - min (buckets) >= 160:
        scale -= 1
        halves = {}
        for index, count in buckets.items ():
            halves[index >> 1] = halves.get (index >> 1, 0) + count
        buckets = halves
    return {"scale": scale, "buckets": buckets,
            "count": sum (point.count for point in points),
            "zeros": sum (point.zero_count for point in points),
            "min": min (point.min for point in points),
            "max": max (point.max for point in points)}


def near (what, ours, theirs):
    """The same, but for the order in which numbers were added."""
    if abs (ours - theirs) > 1e-12 * abs (theirs):
        sys.exit ("%s: %.17g, expected %.17g" % (what, ours, theirs))


def compare (ours, theirs):
    """Each metric and its points; a finer scale than ours is made ours."""
    same ("metrics", sorted (ours), sorted (theirs))
    for name, (metric, points) in ours.items ():
        other, theirs_points = theirs[name]
        kind = metric.WhichOneof ("data")
        same (name, kind, other.WhichOneof ("data"))
        same (name + ": unit", metric.unit, other.unit)
        if kind == "gauge":
            same (name, points[-1].as_double, theirs_points[0].as_double)
            continue
        data, other_data = getattr (metric, kind), getattr (other, kind)
        same (name + ": temporality", data.aggregation_temporality,
              other_data.aggregation_temporality)
        if kind == "sum":
            same (name + ": monotonic", data.is_monotonic,
                  other_data.is_monotonic)
            near (name, sum (point.as_double for point in points),
                  theirs_points[0].as_double)
            continue
        mine, other = add_up (points), add_up (theirs_points)
        if other["scale"] > 5:
            other["buckets"] = {}
            for index, count in buckets_of (theirs_points[0]).items ():
                index >>= theirs_points[0].scale - 5
                other["buckets"][index] = other["buckets"].get (index, 0) + count
            other["scale"] = 5
        same (name, mine, other)
        near (name + ": sum", sum (point.sum for point in points),
              theirs_points[0].sum)


def wait_for (what, happened):
    """Polls for a minute at most."""
    until = time.monotonic () + 60
    while not happened ():
        if time.monotonic () > until:
            sys.exit ("waited in vain: " + what)
        time.sleep (.01)


class Program:
    """A mode of zibrato, until the end of the test."""

    all = []

    def __init__ (self, folder, *arguments):
        self.log = os.path.join (folder, "%d.log" % len (self.all))
        with open (self.log, "wb") as log:
            self.process = subprocess.Popen ([BIN, *arguments], stderr=log)
        self.all.append (self)
        wait_for ("event=ready", lambda: "event=ready" in self.said ())

    def said (self):
        """Its log so far."""
        with open (self.log, encoding="utf-8") as log:
            return log.read ()


def publish (port):
    """Sends probes until both workers have one, then all samples once."""
    context = zmq.Context ()
    socket = context.socket (zmq.PUB)
    socket.sndhwm = 0                   #  no limit: beyond it PUB drops
    socket.connect ("tcp://127.0.0.1:%d" % port)

    def send (kind, name, value, source):
        socket.send_string ("info|%s|%s|%s|%s|%s" % (kind, name, repr (value),
                                                     time.time (), source))

    def probed ():
        send ("Counter", "probe", 1, "probe")
        return all (b"probe" in b"".join (bodies)
                    for bodies in Sink.bodies.values ())

    wait_for ("a probe", probed)
    for kind in ("counters", "timers"):
        for name, values in SAMPLES[kind].items ():
            for value in values:
                send (kind, name, value, "judge")
    for name, value in SAMPLES["gauges"].items ():
        send ("gauge", name, value, "judge")
    send ("Counter", "end", 1, "end")
    socket.close (60000)
    context.term ()


def main (folder):
    """The whole way, for both encodings."""
    server = http.server.ThreadingHTTPServer (("127.0.0.1", 0), Sink)
    threading.Thread (target=server.serve_forever, daemon=True).start ()
    broker = Program (folder, "broker", "--port", "0")
    port = int (broker.said ().split (" workers=")[0].rpartition (":")[2])
    workers = [Program (folder, "otlp", "--port", str (port + 1), "--flush",
                        "1", "--temporality", "delta", "--encoding", path[1:],
                        "--resource", "deployment=test", "--url",
                        "http://127.0.0.1:%d%s" % (server.server_port, path),
                        *(["--gzip"] if path == "/json" else []))
               for path in Sink.bodies]
    publish (port)
    wait_for ("all", lambda: all (b"\"end\"" in b"".join (bodies)
                                  or b"\x03end" in b"".join (bodies)
                                  for bodies in Sink.bodies.values ()))
    for worker in workers:
        worker.process.send_signal (signal.SIGTERM)
        same ("exit status", worker.process.wait (60), 0)
    theirs = metrics_service_pb2.ExportMetricsServiceRequest ()
    theirs.ParseFromString (subprocess.run (
        ["node", SOURCE + "/test/otlp/sdk.js", JUDGES], check=True,
        input=json.dumps (SAMPLES).encode (), capture_output=True).stdout)
    for path, bodies in Sink.bodies.items ():
        requests, fields = zip (*DECODERS[path] (bodies))
        same ("thresholds", set (thresholds (list (fields))), {2 ** (-956 / 32)})
        resource = {pair.key: pair.value.string_value for pair
                    in requests[0].resource_metrics[0].resource.attributes}
        same ("attributes", sorted (resource),
              ["deployment", "service.instance.id", "service.name",
               "zibrato.worker"])
        same ("service.name", resource["service.name"], "zibrato")
        compare (points_of (requests, "judge"), points_of ([theirs], "judge"))
        print ("%s: %d requests, as the SDK's" % (path, len (bodies)))


with tempfile.TemporaryDirectory (prefix="zibrato-otlp-") as where:
    try:
        main (where)
    except SystemExit:
        for program in Program.all:
            print (program.said (), file=sys.stderr)
        raise
    finally:
        for program in Program.all:
            program.process.kill ()
            program.process.wait ()
