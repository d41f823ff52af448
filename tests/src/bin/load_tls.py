"""A load for measuring what hooks in a TLS library cost: `load_tls.py CERTIFICATE KEY ROUNDS CALLS`.

Prints a line of JSON that says what to trace (`pid`, `port`); then, for every line on its standard input, runs all rounds and
prints a line of JSON with the median ns of each operation. One operation is two calls of the library.
"""

import json
import os
import socket
import ssl
import statistics
import sys
import time

# An MQTT PUBLISH of QoS 0 that is 64 bytes long.
MESSAGE = b"\x30\x3e\x00\x04load" + 56 * b"x"

certificate, key = sys.argv[1:3]
rounds, calls = int(sys.argv[3]), int(sys.argv[4])

server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(certificate, key)
client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client_context.check_hostname = False
client_context.verify_mode = ssl.CERT_NONE


def shake_hands(ends):
    """Both in one thread: each does what it can until both are done."""
    left = list(ends)
    while left:
        for end in tuple(left):
            try:
                end.do_handshake()
                left.remove(end)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass


def by_memory():
    """Two ends that are joined by memory: no system call is made."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(back, there)
    server = server_context.wrap_bio(there, back, server_side=True)
    shake_hands((client, server))
    return client.write, server.read


def on_sockets(listener):
    """Two ends on a TCP connection."""
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    near.setblocking(False)
    far.setblocking(False)
    client = client_context.wrap_socket(near, do_handshake_on_connect=False)
    server = server_context.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
    shake_hands((client, server))
    client.setblocking(True)
    server.setblocking(True)
    return client.send, server.recv


def timed(write, read):
    """ns of one turn: the message is written by one end and read by the other."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        write(MESSAGE)
        read(64)
    return (time.perf_counter_ns() - start) / calls


os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
listener = socket.create_server(("127.0.0.1", 0))
# Sockets first: a thread that has used a selected one may have sessions by way of memory as well.
operations = {
    "64 B written and read, on TCP": on_sockets(listener),
    "64 B written and read, by memory": by_memory(),
}
print(json.dumps({"pid": os.getpid(), "port": listener.getsockname()[1]}), flush=True)
for _ in sys.stdin:
    values = {name: [] for name in operations}
    for _ in range(rounds):
        for name, ends in operations.items():
            values[name].append(timed(*ends))
    print(json.dumps({name: statistics.median(of) for name, of in values.items()}), flush=True)
