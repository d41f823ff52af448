# asyncio gives its TLS library memory instead of a socket. A second connection of the same program, to the same broker,
# moves bytes in the same thread: each message has to be found on its own connection.
import asyncio
import ssl
import sys

port, name, count, authority = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]


def text(words):
    return len(words).to_bytes(2, "big") + words.encode()


def packet(first, body):
    return bytes([first, len(body)]) + body


async def client(called, topic, publishes):
    context = ssl.create_default_context(cafile=authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)

    async def read():
        first, length = await reader.readexactly(2)
        return first >> 4, await reader.readexactly(length)

    writer.write(packet(0x10, text("MQTT") + b"\x04\x02\0\x3c" + text(called)))
    assert (await read())[0] == 2
    writer.write(packet(0x82, b"\0\1" + text(topic) + b"\0"))
    assert (await read())[0] == 9
    for number in range(publishes):
        writer.write(packet(0x30, text(topic) + f"{called}-{number}".encode()))
        kind, body = await read()
        assert kind == 3 and body.endswith(f"-{number}".encode())
    for _ in range(0 if publishes else 5):
        writer.write(b"\xc0\0")
        assert (await read())[0] == 13
    writer.write(b"\xe0\0")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main():
    await asyncio.gather(client(name, "tls/" + name, count), client(name + "2", "other", 0))


asyncio.run(main())
