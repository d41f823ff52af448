"""Redis on redis-py. Command line, ways and log as the Rust `client_redis`; this library has RESP2 only."""

import redis
from common import load, log, options, ready

given = options()
given.way = given.way.rstrip("3")
tls = {"ssl": True, "ssl_ca_certs": given.ca} if given.ca else {}
client = redis.Redis("localhost" if tls else "127.0.0.1", given.port, client_name=given.id, **tls)
client.ping()
if given.what == "publish":
    ready()
    for content in load(given):
        entry = b""
        if given.way == "stream":
            entry = client.xadd(given.to, {"body": content})
        elif given.way == "list":
            client.lpush(given.to, content)
        else:
            client.publish(given.to, content)
        log(given.to, content, entry.decode())
elif given.way == "list":
    ready()
    for _ in range(given.count):
        log(given.source, client.brpop(given.source)[1])
elif given.way == "stream":
    if given.group:
        client.xgroup_create(given.source, given.group, "0", mkstream=True)
    ready()
    seen, after = 0, "0"
    while seen < given.count:
        if given.group:
            reply = client.xreadgroup(given.group, given.id, {given.source: ">"}, count=10, block=2000)
        else:
            reply = client.xread({given.source: after}, count=10, block=2000)
        for _stream, entries in reply:
            for entry, fields in entries:
                log(given.source, fields[b"body"], entry.decode())
                if given.group:
                    client.xack(given.source, given.group, entry)
                after = entry
                seen += 1
else:
    subscription = client.pubsub(ignore_subscribe_messages=False)
    if "*" in given.source:
        subscription.psubscribe(given.source)
    else:
        subscription.subscribe(given.source)
    seen = 0
    while seen < given.count:
        message = subscription.get_message(timeout=2)
        if message and message["type"].endswith("subscribe"):
            ready()
        elif message:
            log(message["channel"].decode(), message["data"])
            seen += 1
    subscription.close()
client.close()
