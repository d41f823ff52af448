"""An ordinary MQTT client on paho, for tests: WHAT PORT ID TOPIC QOS COUNT.

Its output is a log of `topic size head` lines, as that of client_mqtt, after `ready`.
"""

import sys

import paho.mqtt.client as mqtt

what, port, name, topic, qos, count = sys.argv[1:]
qos, count = int(qos), int(count)


def say(line):
    print(line, flush=True)


def on_connect(client, userdata, flags, code):
    if what == "subscribe":
        client.subscribe(topic, qos)
    else:
        say("ready")
        for number in range(count):
            body = f"{name}-{number:06} {'.' * 200}"
            say(f"{topic} {len(body)} {name}-{number:06}")
            client.publish(topic, body, qos)


def on_subscribe(client, userdata, mid, granted):
    say("ready")


received = 0


def on_message(client, userdata, message):
    global received
    head = message.payload.split(b" ")[0].decode()
    say(f"{message.topic} {len(message.payload)} {head}")
    received += 1


published = 0


def on_publish(client, userdata, mid):
    global published
    published += 1


client = mqtt.Client(name)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.on_publish = on_publish
client.connect("127.0.0.1", int(port))
while max(received, published) < count:
    client.loop()
client.disconnect()
while client.loop() == mqtt.MQTT_ERR_SUCCESS:
    pass
