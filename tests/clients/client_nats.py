"""NATS on nats-py. Command line, ways and log as the Rust `client_nats`."""

import asyncio
import ssl

import nats
from nats.js.api import ConsumerConfig
from common import load, log, options, ready


async def publish(client):
    ready()
    for content in load(given):
        if given.way == "jetstream":
            ack = await client.jetstream().publish(given.to, content)
            log(given.to, content, str(ack.seq))
        else:
            log(given.to, content)
            await client.publish(given.to, content)
            # Waiting for the next one blocks the loop that would send this one.
            if given.period or given.held:
                await client.flush()


async def subscribe(client):
    subscription = await client.subscribe(given.source, given.group)
    await client.flush()
    ready()
    for _ in range(given.count):
        message = await subscription.next_msg(timeout=60)
        log(message.subject, message.data)
    await subscription.unsubscribe()


async def pull(client):
    stream = given.source.split(".")[0]
    context = client.jetstream()
    await context.add_stream(name=stream, subjects=[f"{stream}.>"])
    config = ConsumerConfig(durable_name=given.group)
    subscription = await context.pull_subscribe(given.source, given.group, stream, config)
    ready()
    seen = 0
    while seen < given.count:
        try:
            # A batch that is not full is given out when the time is up.
            messages = await subscription.fetch(min(10, given.count - seen), timeout=0.5)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            log(message.subject, message.data, str(message.metadata.sequence.stream))
            await message.ack()
            seen += 1


async def main():
    tls = ssl.create_default_context(cafile=given.ca) if given.ca else None
    client = await nats.connect(f"nats://localhost:{given.port}", name=given.id, tls=tls)
    if given.what == "publish":
        await publish(client)
    elif given.way == "jetstream":
        await pull(client)
    else:
        await subscribe(client)
    await client.drain()


given = options()
asyncio.run(main())
