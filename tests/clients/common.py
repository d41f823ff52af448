"""What the Python clients have in common: the command line and the log of `src/lib.rs`."""

import argparse
import sys
import time


def options():
    """The command line: publish, or subscribe."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--way", default="")
    commands = parser.add_subparsers(dest="what", required=True)
    publish = commands.add_parser("publish")
    publish.add_argument("--to", required=True)
    publish.add_argument("--messages", required=True)
    publish.add_argument("--period", type=float, default=0)
    publish.add_argument("--held", action="store_true")
    subscribe = commands.add_parser("subscribe")
    subscribe.add_argument("--from", dest="source", required=True)
    subscribe.add_argument("--count", type=int, required=True)
    subscribe.add_argument("--group", default="")
    return parser.parse_args()


def body(name, number, size):
    """A body that begins with its name, as `message.rs` makes it."""
    text = b"%s-%06d" % (name.encode(), number)
    return text if size <= len(text) else (text + b" ").ljust(size, b".")


def load(given):
    """The bodies to publish, each when it is due; blocks meanwhile."""
    sizes = []
    for batch in given.messages.split(","):
        count, size = batch.split("x")
        sizes += [int(size)] * int(count)
    due = time.monotonic()
    for number, size in enumerate(sizes):
        if given.held and number in (0, len(sizes) // 2) and not sys.stdin.readline():
            sys.exit("no standard input")
        if given.period:
            time.sleep(max(0, due - time.monotonic()))
            due += given.period / 1000
        yield body(given.id, number, size)


def ready():
    """Says that the connection or subscription stands."""
    print("ready", flush=True)


def log(destination, content, identity=""):
    """Logs a message."""
    head = bytes(content[:64]).split(b" ", 1)[0].decode(errors="replace")
    print(destination, len(content), head, identity or "-", flush=True)
