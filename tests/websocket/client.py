"""Python's `websockets` as a client of the demo, for python.rs: client.py CASE URL [SOCKET]

SOCKET is the path of a unix socket to connect to. A case that fails raises; one that does not prints `done`."""

import asyncio
import sys

import websockets

LIMIT = 20
"""Seconds for a case."""

LARGE = 1 << 20


class Client:
    """Opens WebSockets."""

    def __init__(self, url: str, path: str | None):
        self.url, self.path = url, path

    def open(self, target: str, **options: object):
        options = {"max_size": None, **options}
        if self.path:
            return websockets.unix_connect(self.path, self.url + target, **options)
        return websockets.connect(self.url + target, **options)


def check(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{str(found)[:200]!r} in place of {str(expected)[:200]!r}")


async def echoes(client: Client) -> None:
    """Text and binary, empty and large, in one frame and in many; with what the two sides agree on, and without
    compression."""
    messages = ["hello", "", "κόσμε 🦀", b"\x00\xff", b"", "x" * 125, "x" * 126, "y" * 65535, b"z" * 65536]
    messages += [bytes(range(256)) * (LARGE // 256), "äöü" * (LARGE // 6)]
    for options in ({}, {"compression": None}):
        async with client.open("/ws/echo", **options) as ws:
            for message in messages:
                await ws.send(message)
                check(await ws.recv(), message)
            # All at once: the answers come in order.
            for number in range(100):
                await ws.send(str(number))
            check([await ws.recv() for _ in range(100)], [str(number) for number in range(100)])
            for parts in (["one ", "", "twö ", "three"], [b"1" * 1000, b"2" * 70000]):
                await ws.send(parts)
                check(await ws.recv(), parts[0][:0].join(parts))


async def pings(client: Client) -> None:
    """Pongs come back, in order, also between the messages."""
    async with client.open("/ws/echo") as ws:
        for content in (b"", b"ping", b"p" * 125):
            pong = await ws.ping(content)
            await ws.send("beside it")
            await pong
            check(await ws.recv(), "beside it")
        await ws.pong(b"nobody has asked")
        await ws.send("still there")
        check(await ws.recv(), "still there")


async def closes(client: Client) -> None:
    """The server answers a Close frame with the same code."""
    for code, reason in ((1000, ""), (1000, "bye"), (1001, "going"), (3000, "grün"), (4999, "x" * 123)):
        async with client.open("/ws/echo") as ws:
            await ws.close(code, reason)
            check(ws.close_code, code)


async def refusals(client: Client) -> None:
    """The server closes, and says why."""
    async with client.open("/ws/echo") as ws:
        check(await closed(ws, b"x" * ((16 << 20) + 1)), (1009, True))
    async with client.open("/ws/chat?name=Python") as ws:
        await ws.recv()
        check(await closed(ws, b"binary"), (1008, True))


async def drain(client: Client) -> None:
    """The server stops while a socket is open: it says that it goes away."""
    async with client.open("/ws/echo") as ws:
        await ws.send("hello")
        check(await ws.recv(), "hello")
        print("ready", flush=True)
        check(await closed(ws), (1001, True))


async def closed(ws, message: bytes | None = None) -> tuple[int, bool]:
    """The code with which the server closes, and whether it sent a Close frame: perhaps while it gets a message."""
    try:
        if message is not None:
            await ws.send(message)
        while True:
            await ws.recv()
    except websockets.exceptions.ConnectionClosed as end:
        return (end.rcvd.code, True) if end.rcvd else (1006, False)


CASES = {case.__name__: case for case in (echoes, pings, closes, refusals, drain)}


def main() -> None:
    name, url, *path = sys.argv[1:]
    asyncio.run(asyncio.wait_for(CASES[name](Client(url, *(path or [None]))), LIMIT))
    print("done")


if __name__ == "__main__":
    main()
