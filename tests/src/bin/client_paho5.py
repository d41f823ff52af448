"""An MQTT 5 client on paho, for tests: WHAT TRANSPORT PORT ID TOPIC QOS COUNT [TRACE].

Its output is a log of `topic size head` lines, as that of client_mqtt, after `ready`. What it publishes has a topic only the
first time, then an alias for it; with TRACE (32 hex digits), it has a `traceparent` of that trace. A subscriber's TOPIC may
be `ID=FILTER,ID=FILTER…`: subscriptions with identifiers (0: without).
"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

what, transport, port, name, topic, qos, count, *trace = sys.argv[1:]
qos, count = int(qos), int(count)
plain = mqtt.Client._send_publish
wanted = set()


def say(line):
    print(line, flush=True)


def without_topic(self, mid, topic, *arguments, **more):
    return plain(self, mid, b"", *arguments, **more)


def on_connect(client, userdata, flags, code, properties):
    if what == "subscribe":
        for part in topic.split(","):
            number, given, filters = part.rpartition("=")
            properties = Properties(PacketTypes.SUBSCRIBE)
            if given and number != "0":
                properties.SubscriptionIdentifier = int(number)
            _, last = client.subscribe(filters, options=SubscribeOptions(qos=qos), properties=properties)
            wanted.add(last)
        return
    say("ready")
    for number in range(count):
        body = f"{name}-{number:06} {'.' * 200}"
        say(f"{topic} {len(body)} {name}-{number:06}")
        properties = Properties(PacketTypes.PUBLISH)
        properties.TopicAlias = 1
        properties.ContentType = "text/plain"
        properties.CorrelationData = f"job-{number}".encode()
        if trace:
            properties.UserProperty = ("traceparent", f"00-{trace[0]}-{number + 1:016x}-01")
        client.publish(topic, body, qos, properties=properties)
        mqtt.Client._send_publish = without_topic


def on_subscribe(client, userdata, mid, codes, properties):
    wanted.discard(mid)
    if not wanted:
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


client = mqtt.Client(name, protocol=mqtt.MQTTv5, transport=transport)
client.ws_set_options(path="/mqtt")
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
