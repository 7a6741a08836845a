"""Measures what servers keep in memory: at the start, for idle connections, for clients that do not read, and for those
that read a large file slowly."""

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine
from client import Broken, Client, answer_faults
from scenarios import BIG_FILE, BY_NAME, SPARSE_SIZE, SPARSE_TARGET, Ability, Exchange
from servers import Ready, Running, Unavailable

USUAL = ("monoloop", "hyper", "nginx", "lighttpd", "h2o", "node")
"""The servers that are measured by default."""

COUNTS = (1_000, 10_000)
"""Idle connections; and then as many as the limit of descriptors lets a process have."""

SPARE_DESCRIPTORS = 100
"""Descriptors that client and server need besides their connections."""

CONNECTIONS_FROM_ADDRESS = 2_000

SLOW_READERS = 200

SIP = 1 << 10
"""Bytes that a slow download reads at a time."""

SIPS = 20
"""The number of reads of each slow download."""

PAUSE = 0.2
"""Seconds between two of these reads."""

SETTLE = 1.0
"""Seconds that a server gets to put its memory in order."""

Say = Callable[[str], None]


def measure(servers: Sequence[Ready], directory: Path, core: int, results: dict[str, Any], say: Say) -> None:
    """Fills `results`, by server: `start`, `idle`, `after_idle`, `slow`, `download`, `faults`."""
    for ready in servers:
        result: dict[str, Any] = {"start": None, "idle": [], "after_idle": None, "slow": None, "download": None,
                                  "faults": []}
        results[ready.server.name] = result
        parts = [(_idle, "plain-c1")]
        if ready.server.big:
            parts.append((_slow, "plain-c1"))
        if Ability.FILES in ready.server.abilities:
            parts.append((_download, "static-10m"))
        for part, scenario in parts:
            say(f"memory: {ready.server.name}, {part.__name__.removeprefix('_')}")
            try:
                with Running(ready, BY_NAME[scenario], directory, core) as server:
                    part(server, result)
            except (Unavailable, Broken, OSError) as error:
                result["faults"].append(f"{part.__name__.removeprefix('_')}: {error}")
    say("")


def _idle(server: Running, result: dict[str, Any]) -> None:
    """Connections that have had one answer each, and now wait."""
    limit = machine.descriptor_limit() - SPARE_DESCRIPTORS
    connections: list[socket.socket] = []
    try:
        _converse(server.port, connections, 1)
        start = _memory(server)
        result["start"] = {"private": start.private, "resident": start.resident}
        for count in sorted({*(count for count in COUNTS if count < limit), limit}):
            _converse(server.port, connections, count)
            result["idle"].append({"connections": count, **_growth(start, _memory(server), count)})
    finally:
        for connection in connections:
            connection.close()
    after = _memory(server)
    result["after_idle"] = {"private": after.private, "resident": after.resident}


def _converse(port: int, connections: list[socket.socket], count: int) -> None:
    """Opens connections until there are `count`; each asks once, and checks the answer."""
    exchange = BY_NAME["plain-c1"].exchanges[0]
    request = exchange.request(port)
    while len(connections) < count:
        client = Client(port, source=f"127.0.0.{2 + len(connections) // CONNECTIONS_FROM_ADDRESS}")
        connections.append(client.socket)
        client.send(request)
        found = answer_faults(client.receive(), exchange)
        if found:
            raise Broken("; ".join(found))


def _slow(server: Running, result: dict[str, Any]) -> None:
    """Clients that ask for a mebibyte and do not read it. What the kernel holds of it belongs to no process."""
    request = BIG_FILE.request(server.port)
    clients: list[Client] = []
    try:
        # This client reads, so that the one-time cost of a first reply does not count.
        with Client(server.port) as reader:
            reader.send(request)
            result["faults"] += answer_faults(reader.receive(), BIG_FILE)
        before = _memory(server)
        for _ in range(SLOW_READERS):
            client = Client(server.port, receive_buffer=4096)
            clients.append(client)
            client.send(request)
        result["slow"] = {"connections": SLOW_READERS, **_growth(before, _memory(server), SLOW_READERS)}
        # The connection that has waited longest is still served.
        result["faults"] += answer_faults(clients[0].receive(), BIG_FILE)
    finally:
        for client in clients:
            client.socket.close()


def _download(server: Running, result: dict[str, Any]) -> None:
    """Clients that download a gibibyte and take a little of it now and then. The kernel's buffers hold a part of it, so
    every server has the rest left to send."""
    small = BY_NAME["static-1k"].exchanges[0]
    request = Exchange("GET", SPARSE_TARGET, b"").request(server.port)
    clients: list[Client] = []
    try:
        with Client(server.port) as reader:
            reader.send(small.request(server.port))
            result["faults"] += answer_faults(reader.receive(), small)
        before = _memory(server)
        for _ in range(SLOW_READERS):
            client = Client(server.port, receive_buffer=4096)
            clients.append(client)
            client.send(request)
            status, _, length = client.receive_head(SIP)
            if (status, length) != (200, SPARSE_SIZE):
                raise Broken(f"status {status} and {length} bytes of {SPARSE_TARGET}")
        now = most = before
        for _ in range(SIPS):
            for client in clients:
                client.skip(SIP)
            time.sleep(PAUSE)
            now = machine.memory(server.pids())
            most = max(most, now, key=lambda memory: memory.resident)
        result["download"] = {
            "connections": SLOW_READERS,
            "start": {"private": before.private, "resident": before.resident},
            "most_resident": most.resident,
            **_growth(before, now, SLOW_READERS),
        }
    finally:
        for client in clients:
            client.socket.close()


def _memory(server: Running) -> machine.Memory:
    time.sleep(SETTLE)
    return machine.memory(server.pids())


def _growth(before: machine.Memory, now: machine.Memory, connections: int) -> dict[str, float]:
    return {
        "private": now.private,
        "resident": now.resident,
        "private_each": (now.private - before.private) / connections,
        "resident_each": (now.resident - before.resident) / connections,
    }
