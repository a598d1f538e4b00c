#!/usr/bin/python3
#   classic_pub.py ENDPOINT N [LEVEL] - publishes as the first Python package did
#
#   A PUB socket and six fields a line. What PUB sends before a subscription has
#   reached it is lost, and PUB cannot tell. So it repeats the counter
#   classic.probe until its input says "go" (write that when a probe has come
#   through), then sends N each of classic.counter (1), classic.timer (0.25 s)
#   and classic.gauge (0 to N - 1), source classic, and says "sent".
import select, sys, time
import zmq

endpoint, count = sys.argv[1], int(sys.argv[2])
level = sys.argv[3] if len(sys.argv) > 3 else "info"
context = zmq.Context()
socket = context.socket(zmq.PUB)
socket.sndhwm = 0                   # no limit: PUB drops what is beyond it
socket.linger = 10000
socket.connect(endpoint)

def publish(kind, name, value):
    fields = [level, kind, "classic." + name, value, time.time(), "classic"]
    socket.send_string("|".join(str(field) for field in fields))

while not select.select([sys.stdin], [], [], 0.02)[0]:
    publish("Counter", "probe", 1)
if sys.stdin.readline().strip() == "go":
    for number in range(count):
        publish("Counter", "counter", 1)
        publish("Timer", "timer", 0.25)
        publish("Gauge", "gauge", number)
socket.close()
context.term()                      # returns when all is handed over
print("sent", flush=True)
