#!/usr/bin/python3
#   peer_prometheus.py - what a scrape of 100,000 counters takes in Prometheus' own
#   client for Python, in text
#
#   Prints milliseconds of processor time, the median of some scrapes. The series are
#   those of bench_prometheus.c, and were made before.
#
#   SPDX-License-Identifier: BSD-3-Clause

import os
import statistics
import time

os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "1"   # we show none in text
import prometheus_client

SERIES, NAMES, SCRAPES = 100000, 100, 5

registry = prometheus_client.CollectorRegistry ()
counters = [prometheus_client.Counter (
    "bench_requests_%02d" % name, "Sum of increments",
    ["customer", "source", "worker"], registry=registry)
    for name in range (NAMES)]
for i in range (SERIES):
    counters[i % NAMES].labels ("customer-%d" % i, "web-01",
                                "host.worker").inc (i * 12.5)


def scrape ():
    start = time.process_time ()
    prometheus_client.generate_latest (registry)
    return (time.process_time () - start) * 1000


scrape ()                               # warms up
print (statistics.median (scrape () for _ in range (SCRAPES)))
