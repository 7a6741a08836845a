"""Counts what does not depend on the load of the machine: system calls and user-space instructions for one request.

Each figure is the difference of a long and a short run of the same kind, divided by the requests that the long one had
more: so starting, warming up and ending do not count. The client is the one in client.py; it is slow, and that does not
matter."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timing
from client import Broken, Client
from scenarios import Scenario
from servers import Ready, Running, Unavailable

INSTRUCTIONS = ("plain-c64", "fields", "pipelined", "static-1k", "static-100k")
"""Counted over one connection, so that it does not matter how many requests a wait finds ready."""

SYSCALLS = ("plain-c64", "fields", "pipelined", "close", "post-1k", "post-1m", "static-1k", "static-100k", "static-10m")
"""Counted over the connections of the scenario, with a request on each at a time. A large answer takes as many as there
are times that the kernel's buffers are filled, so there it matters how fast the client reads, and this one is slow."""

VALGRIND_PATIENCE = 60
"""Seconds that a server may take to start under valgrind, and to answer."""

MOST_CALLS = 6
"""The number of the most frequent system calls that are reported by name."""

LARGE = 1 << 16
"""Bytes of requests above which one is answered before the next is sent."""

SETTLE = 0.3
"""Seconds in which a server can notice that its clients have gone. Both the short and the long run count that."""

Say = Callable[[str], None]


def count(scenarios: Sequence[Scenario], servers: Sequence[Ready], directory: Path, core: int, results: dict[str, Any],
          say: Say) -> None:
    """Fills `results`: `syscalls` and `instructions`, by scenario and server, and `failures`, lines of text."""
    results.update({"syscalls": {}, "instructions": {}, "failures": []})
    for kind, tool, names, measure in (("syscalls", "strace", SYSCALLS, _syscalls),
                                       ("instructions", "valgrind", INSTRUCTIONS, _instructions)):
        if not shutil.which(tool):
            results["failures"].append(f"{tool} is not installed: no {kind}")
            continue
        given_up: set[str] = set()
        for scenario in scenarios:
            if scenario.name not in names:
                continue
            column = results[kind][scenario.name] = {}
            for ready in servers:
                name = ready.server.name
                if name in given_up or not ready.server.takes_part_in(scenario):
                    continue
                say(f"{kind}: {scenario.name}, {name}")
                try:
                    column[name] = measure(ready, scenario, directory, core)
                except (Unavailable, Broken, OSError, ValueError) as error:
                    results["failures"].append(f"{name}: {kind} of {scenario.name} could not be counted: {error}")
                    if kind == "instructions":
                        given_up.add(name)
    say("")


def _syscalls(ready: Ready, scenario: Scenario, directory: Path, core: int) -> dict[str, Any]:
    """`per_request`, the most frequent `calls` per request, and `faults` of the answers."""
    rounds = (2, 22)
    tables = []
    for number in rounds:
        out = directory / f"{ready.server.name}.strace"
        wrapper = ("strace", "-f", "-qq", "-c", "-U", "name,calls", "-o", str(out))
        with Running(ready, scenario, directory, core, wrapper, patience=20) as server:
            faults = timing.check(server, scenario)
            _ask(server.port, scenario, scenario.connections, number)
        tables.append(_strace_table(out.read_text()))
    more = (rounds[1] - rounds[0]) * scenario.connections * scenario.batch
    short, long = tables
    calls = {call: (number - short.get(call, 0)) / more for call, number in long.items()}
    often = sorted((call for call in calls if calls[call] >= 0.005), key=lambda call: -calls[call])[:MOST_CALLS]
    return {"per_request": sum(calls.values()), "calls": {call: calls[call] for call in often}, "faults": faults}


def _strace_table(text: str) -> dict[str, int]:
    """The columns `name` and `calls` of strace -c."""
    rows = re.findall(r"^(\w+)\s+(\d+)$", text, re.M)
    return {name: int(calls) for name, calls in rows if name != "total"}


def _instructions(ready: Ready, scenario: Scenario, directory: Path, core: int) -> dict[str, Any]:
    """`per_request`, and `faults` of the answers."""
    rounds = (300, 1500) if scenario.batch == 1 else (50, 250)
    totals = []
    for number in rounds:
        out = directory / f"{ready.server.name}.callgrind"
        wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
        with Running(ready, scenario, directory, core, wrapper, VALGRIND_PATIENCE) as server:
            if out.exists():
                out.chmod(0o666)        # h2o gives up the rights of root, and valgrind those of writing with it
            faults = timing.check(server, scenario)
            _ask(server.port, scenario, 1, number)
        match = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M) if out.exists() else None
        if not match:
            raise Unavailable("valgrind wrote no total")
        totals.append(int(match.group(1)))
    more = (rounds[1] - rounds[0]) * scenario.batch
    return {"per_request": (totals[1] - totals[0]) / more, "faults": faults}


def _ask(port: int, scenario: Scenario, connections: int, rounds: int) -> None:
    """In each round every connection sends its requests, and then each waits for its answers."""
    exchanges = scenario.exchanges
    clients: list[Client] = []
    try:
        for number in range(rounds):
            exchange = exchanges[number % len(exchanges)]
            if scenario.closes or not clients:
                _close(clients)
                clients = [Client(port, VALGRIND_PATIENCE) for _ in range(connections)]
            _round(clients, exchange.request(port) * scenario.batch, scenario)
    finally:
        _close(clients)
        time.sleep(SETTLE)


def _round(clients: Sequence[Client], request: bytes, scenario: Scenario) -> None:
    if len(request) > LARGE:
        # More than the kernel's buffers hold: a server that blocks would wait for a client that waits for another.
        for client in clients:
            client.send(request)
            client.receive()
        return
    for client in clients:
        client.send(request)
    for client in clients:
        for _ in range(scenario.batch):
            client.receive()


def _close(clients: list[Client]) -> None:
    for client in clients:
        client.socket.close()
    clients.clear()
