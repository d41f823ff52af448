"""Kafka on confluent-kafka, which is librdkafka. Command line and log as `client_kafka`.

Ways to publish: `plain`, `gzip`, `lz4`, `snappy`, `zstd`, `idempotent`. A subscriber is a member of `--group` and commits
each message.
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from common import load, log, options, ready

given = options()
config = {"bootstrap.servers": f"127.0.0.1:{given.port}", "client.id": given.id}
if given.ca:
    config |= {
        "bootstrap.servers": f"localhost:{given.port}",
        "security.protocol": "ssl",
        "ssl.ca.location": given.ca,
    }
if given.what == "publish":
    config |= {"message.max.bytes": 4000000, "linger.ms": 5}
    if given.way in ("gzip", "lz4", "snappy", "zstd"):
        config["compression.type"] = given.way
    if given.way == "idempotent":
        config["enable.idempotence"] = True
    producer = Producer(config)
    producer.list_topics(given.to, timeout=20)
    failed = []

    def on_delivery(error, message):
        if error:
            failed.append(error)
        else:
            log(given.to, message.value(), str(message.offset()))

    ready()
    for content in load(given):
        while True:
            try:
                producer.produce(given.to, content, partition=0, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0.01 if given.period or given.held else 0)
    producer.flush()
    if failed:
        sys.exit(f"not delivered: {failed[0]}")
else:
    admin = AdminClient(config)
    for created in admin.create_topics([NewTopic(given.source, 1, 1)]).values():
        try:
            created.result()
        except KafkaException as error:
            # Another subscriber was quicker, or the broker creates topics by itself.
            print(error, file=sys.stderr)
    config |= {
        "group.id": given.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "allow.auto.create.topics": True,
        "topic.metadata.refresh.interval.ms": 500,
        "fetch.message.max.bytes": 4000000,
    }
    consumer = Consumer(config)
    consumer.subscribe([given.source], on_assign=lambda _consumer, parts: parts and ready())
    seen = 0
    while seen < given.count:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr)
            continue
        log(message.topic(), message.value(), str(message.offset()))
        consumer.commit(message, asynchronous=False)
        seen += 1
    consumer.close()
