import sys
import threading

import paho.mqtt.client as mqtt

port, name, count, authority = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
ready, done = threading.Event(), threading.Event()
received = []


def on_message(client, data, message):
    received.append(message)
    if len(received) == count:
        done.set()


client = mqtt.Client(client_id=name)
client.tls_set(ca_certs=authority)
client.on_message = on_message
client.on_subscribe = lambda *_: ready.set()
client.connect("127.0.0.1", port)
client.loop_start()
client.subscribe("tls/" + name, 0)
assert ready.wait(10)
for number in range(count):
    client.publish("tls/" + name, f"{name}-{number}", qos=1).wait_for_publish()
assert done.wait(10)
client.disconnect()
client.loop_stop()
