"""AMQP 0-9-1 on pika. Command line, ways and log as `client_amqp`."""

import ssl
import sys

import pika
from common import load, log, options, ready

given = options()
tls = None
if given.ca:
    tls = pika.SSLOptions(ssl.create_default_context(cafile=given.ca), "localhost")
connection = pika.BlockingConnection(
    pika.ConnectionParameters(
        "localhost" if tls else "127.0.0.1",
        given.port,
        ssl_options=tls,
        client_properties={"connection_name": given.id},
    )
)
channel = connection.channel()
if given.what == "publish":
    exchange, key = given.to.split(":")
    if given.way != "plain":
        channel.confirm_delivery()
    ready()
    for number, content in enumerate(load(given), 1):
        log(given.to, content, str(number))
        properties = pika.BasicProperties(message_id=content[:64].split(b" ")[0].decode())
        channel.basic_publish(exchange, key, content, properties)
else:
    exchange, key, queue = given.source.split(":")
    way, _, dead_letters = given.way.partition("=")
    arguments = {"x-dead-letter-exchange": dead_letters} if dead_letters else {}
    if way == "expire":
        arguments["x-message-ttl"] = 20
    channel.queue_declare(queue, arguments=arguments)
    if exchange:
        channel.exchange_declare(exchange, "topic")
        channel.queue_bind(queue, exchange, key)
    if way == "expire":
        ready()
        sys.stdin.read()
        connection.close()
        sys.exit()
    channel.basic_qos(prefetch_count=20)
    seen = 0

    def on_message(_channel, method, _properties, content):
        global seen
        seen += 1
        log(f"{method.exchange}:{method.routing_key}:{queue}", content, str(method.delivery_tag))
        multiple = way == "multiple"
        if way == "reject":
            channel.basic_reject(method.delivery_tag, requeue=False)
        elif way != "none" and (not multiple or seen % 5 == 0 or seen == given.count):
            channel.basic_ack(method.delivery_tag, multiple)
        if seen == given.count:
            channel.stop_consuming()

    channel.basic_consume(queue, on_message, auto_ack=way == "none")
    ready()
    channel.start_consuming()
connection.close()
