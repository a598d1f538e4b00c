#!/usr/bin/python3
#   peer_zmq.py - what a pass costs in Python, measured as the original package
#   did: a decorator, and a PUB socket that sends a line for each
#
#   Prints nanoseconds of processor time a pass: "count NS", "time NS". A SUB
#   socket of this process takes the lines in.
#
#   SPDX-License-Identifier: BSD-3-Clause

import functools
import time
import zmq

CALLS = 300

context = zmq.Context ()
sink = context.socket (zmq.SUB)
sink.subscribe ("info|")
port = sink.bind_to_random_port ("tcp://127.0.0.1")
socket = context.socket (zmq.PUB)
socket.connect ("tcp://127.0.0.1:%d" % port)


def publish (kind, name, value):
    fields = ["info", kind, name, value, time.time (), "not_specified"]
    socket.send_string ("|".join (str (field) for field in fields))


def count_me (function):
    @functools.wraps (function)
    def counted (*arguments, **options):
        result = function (*arguments, **options)
        publish ("Counter", "hot.counter", 1)
        return result
    return counted


def time_me (function):
    @functools.wraps (function)
    def timed (*arguments, **options):
        start = time.time ()
        result = function (*arguments, **options)
        publish ("Timer", "hot.timer", time.time () - start)
        return result
    return timed


def nothing ():
    pass


def measure (function):
    for attempt in range (2):       # the first one warms up
        start = time.thread_time_ns ()
        for call in range (CALLS):
            function ()
        took = (time.thread_time_ns () - start) / CALLS
    return took


while not sink.poll (20):           # until the subscription has come through
    publish ("Counter", "probe", 1)
print ("count", measure (count_me (nothing)))
print ("time", measure (time_me (nothing)))
context.destroy (linger=0)
