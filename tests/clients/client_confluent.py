"""Kafka on confluent-kafka, which is librdkafka. Command line and log as `client_kafka`.

Ways to publish: `plain`, `gzip`, `lz4`, `snappy`, `zstd`, `idempotent`, `transactions`. A subscriber is a member of `--group`
and commits each message, or copies it in a transaction (`copy=TOPIC`). Transactions are as in `ClientKafka.java`.
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from common import load, log, options, ready

# Messages of a transaction.
TOGETHER = 5


def topic(name):
    """Makes it, unless it is there."""
    admin = AdminClient(config)
    for created in admin.create_topics([NewTopic(name, 1, 1)]).values():
        try:
            created.result()
        except KafkaException as error:
            # Another subscriber was quicker, or the broker creates topics by itself.
            print(error, file=sys.stderr)


def copy(consumer, to, count):
    """Each message in a transaction of its own; after an abort it is fetched again."""
    topic(to)
    producer = Producer(config | {"transactional.id": given.id, "client.id": given.id})
    producer.init_transactions()

    def on_delivery(_error, message):
        log(to, message.value(), str(message.offset()))

    seen, again = 0, False
    while seen < count:
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        log(message.topic(), message.value(), str(message.offset()))
        good = again or seen % 3 != 2
        producer.begin_transaction()
        name = b"copied-" if good else b"aborted-"
        producer.produce(to, name + message.value(), partition=0, on_delivery=on_delivery)
        producer.flush()
        behind = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
        producer.send_offsets_to_transaction([behind], consumer.consumer_group_metadata())
        again = not good
        if good:
            producer.commit_transaction()
            seen += 1
        else:
            producer.abort_transaction()
            consumer.seek(TopicPartition(message.topic(), message.partition(), message.offset()))


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
    transactional = given.way == "transactions"
    if transactional:
        config["transactional.id"] = given.id
    producer = Producer(config)
    producer.list_topics(given.to, timeout=20)
    if transactional:
        producer.init_transactions()
    failed = []

    def on_delivery(error, message):
        if error:
            failed.append(error)
        else:
            log(given.to, message.value(), str(message.offset()))

    ready()
    for number, content in enumerate(load(given)):
        if transactional and number % TOGETHER == 0:
            producer.begin_transaction()
        while True:
            try:
                producer.produce(given.to, content, partition=0, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0.01 if given.period or given.held else 0)
        if transactional and number % TOGETHER == TOGETHER - 1:
            producer.flush()
            if number // TOGETHER % 2 == 0:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    producer.flush()
    if failed:
        sys.exit(f"not delivered: {failed[0]}")
else:
    topic(given.source)
    consuming = config | {
        "group.id": given.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "allow.auto.create.topics": True,
        "topic.metadata.refresh.interval.ms": 500,
        "fetch.message.max.bytes": 4000000,
    }
    consumer = Consumer(consuming)
    consumer.subscribe([given.source], on_assign=lambda _consumer, parts: parts and ready())
    if given.way.startswith("copy="):
        copy(consumer, given.way.removeprefix("copy="), given.count)
        given.count = 0
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
