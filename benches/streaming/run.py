#!/usr/bin/env python3
"""What streams cost: monoloop's demo beside Node's core `http`, in turns, on the same machine.

    cargo build --release
    benches/streaming/run.py                            transfers, five rounds: about three minutes
    benches/streaming/run.py --sse                      server-sent events besides: five minutes more
    benches/streaming/run.py --sse-only --clients 5000
    benches/streaming/run.py --mib 8 --rounds 1         whether everything works: seconds
    benches/streaming/run.py --json streaming.json      writes each measurement to a file

It needs Linux, Python 3.11, cargo, taskset and two cores, of which the first one is for the server and the second one
for the client; and node (Debian: nodejs), or else it measures monoloop alone. Nothing else should run meanwhile. With
`--sse` a process needs a few more descriptors than there are clients (`ulimit -Hn`).

What is done
    echo-chunked   POST /echo of 1 GiB in chunks of 65,521 bytes. The client sends and receives at the same time, and
                   compares every byte that comes back.
    echo-length    the same with a Content-Length, which the reply must have as well.
    big            GET /big?mib=1024, a stream that the server makes up. The client counts its bytes.
    slow           POST /echo of 64 MiB, chunked; the client sends as fast as it may, but reads 8 MiB a second. A server
                   that goes on reading would hold what the client has not taken yet.
    events         GET /events by 5,000 clients, an event a second for each: 5 seconds of warm-up, then 15 that count.

Each measurement has a new server process, which first does the same at a smaller size: that checks its answers, and
lets Node compile. In each round all servers have their turn, and the order rotates. A figure is the median of the
rounds, with the lowest and the highest. Two figures whose ranges overlap have no order.

What the columns say
    MB/s           content one way, in millions of bytes a second, from the first byte sent to the last one read. An
                   echo moves as much again the other way.
    CPU s/GiB      CPU time of the server, kernel included, for a GiB of content. Compare this: unlike MB/s it hardly
                   depends on the client. On the loopback device who sends does the kernel's work of receiving, too.
    user %         how much of that was spent outside the kernel, from ticks of 10 ms.
    peak MB        the most that was resident (VmHWM) since the process began, and `start MB` what was resident before
                   the first request. What the kernel holds for sockets belongs to no process.
    ahead MB       the most that the client had sent and not read yet: in buffers of the kernel, and of the server.
    server %       of its core, and `client %` of its own. The one that is near 100 was limiting. With neither near it,
                   they wait for each other, or the machine has other things to do. In `slow` both have time to spare.
    us/event       CPU time of the server for an event that has reached its client.
    bytes/client   resident memory (VmRSS) with all clients, less that before they came, for each.
    spread ms      from the first client to the last one that gets an event in the same burst; of the middle burst. A
                   server that has a clock for each client repeats the times at which they came, which is no fault of
                   it. `-` if there are no bursts.
    off ms         by how much the time between two events of a client differs from a second: the middle, and 99 % are
                   below the other.

What is not comparable
    Node compiles while it runs, and collects garbage on threads of its own: all on the one core, all counted. Its
    sizes of buffers are the default; larger ones made no difference that could be told from chance.
    monoloop is told that content may have 4 GiB, so that a route that keeps its content would show it in its memory.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "compare")]

import machine  # of benches/compare
import measure
from growth import running
from turns import Client, Column, Cores, Failed, Kind, Results, Row, Server, Task, Window
from turns import build_client, in_turns, print_results

MANIFEST = HERE / "Cargo.toml"
CLIENT = Path(measure.TARGET) / "release" / "streaming-client"

GIB, MIB = 1 << 30, 1 << 20
SLOW_MIB, SLOW_RATE = 64, 8 * MIB
CHECKED_MIB = 64
"""The amount that a server moves before it is measured; less if the measurement itself is smaller."""

PATIENCE = 60
"""Seconds that the client may need beyond the shortest possible time."""


# ---- scenarios ------------------------------------------------------------------------------------------------------

class Scenario(NamedTuple):
    """`arguments` gives the client's arguments for a number of MiB."""
    name: str
    title: str
    arguments: Callable[[int, int], list[str]]
    mib: int
    checked_mib: int
    rate: float | None = None


def scenarios(mib: int) -> list[Scenario]:
    def echo(framing: str, *rate: str) -> Callable[[int, int], list[str]]:
        return lambda port, size: ["echo", str(port), str(size * MIB), framing, *rate]

    slow = min(mib, SLOW_MIB)
    checked = min(mib, CHECKED_MIB)
    return [
        Scenario("echo-chunked", f"POST /echo, {mib:,} MiB, chunked", echo("chunked"), mib, checked),
        Scenario("echo-length", f"POST /echo, {mib:,} MiB, Content-Length", echo("length"), mib, checked),
        Scenario("big", f"GET /big, {mib:,} MiB", lambda port, size: ["big", str(port), str(size)], mib, checked),
        Scenario("slow", f"POST /echo, {slow} MiB, chunked, read at {SLOW_RATE // MIB} MiB/s",
                 echo("chunked", str(SLOW_RATE)), slow, 1, SLOW_RATE),
    ]


NAMES = [scenario.name for scenario in scenarios(1)]


# ---- servers --------------------------------------------------------------------------------------------------------

def find_servers(names: Iterable[str], monoloop: Path) -> tuple[dict[str, Kind], dict[str, str]]:
    """The servers that are installed, and the reasons why the others are not."""
    found, skipped = {}, {}
    for name in names:
        path = shutil.which("node") if name == "node" else str(monoloop)
        if name == "node" and not path:
            skipped[name] = "node is not installed (Debian: apt install nodejs)"
        elif name == "monoloop" and not os.access(path, os.X_OK):
            skipped[name] = f"there is no {path}: cargo build --release makes it"
        else:
            arguments = [str(HERE / "server.js")] if name == "node" else ["demo", "--port", "0", "--max-content", "4g"]
            found[name] = Kind([path, *arguments], machine.first_line([path, "--version"]))
    return found, skipped


# ---- checks that the client does not make itself --------------------------------------------------------------------

def check(server: Server) -> None:
    """The echo comes while the request is still being sent, the connection stays open, and unknown paths are a 404."""
    with server.connect() as connection:
        connection.settimeout(10)
        try:
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"5\r\nfirst\r\n")
            receive_until(connection, b"first\r\n", "the echo does not begin before the request has ended")
            connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
            receive_until(connection, b"second\r\n0\r\n\r\n", "the echo does not end")
            connection.sendall(b"GET /no-such-thing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = receive_until(connection, b"\r\n\r\n", "the connection is of no use after an echo")
        except OSError as error:
            raise Failed(f"the connection breaks: {error}") from error
    if not head.startswith(b"HTTP/1.1 404 "):
        raise Failed(f"an unknown path is {head.splitlines()[0]!r}")


def receive_until(connection: measure.socket.socket, end: bytes, fault: str) -> bytes:
    received = b""
    while end not in received:
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            piece = b""
        if not piece:
            raise Failed(fault)
        received += piece
    return received


# ---- measurements ---------------------------------------------------------------------------------------------------

def transfer(kind: Kind, scenario: Scenario, cores: Cores) -> Row:
    """One server process, one transfer."""
    with running(Server(kind, cores.server)) as server:
        start = server.memory("VmRSS")
        check(server)
        move(server, scenario, scenario.checked_mib, cores)
        window = Window(server)
        client = move(server, scenario, scenario.mib, cores)
        spent = window.end()
        return {
            "mb_per_s": client["bytes"] / 1e6 / client["seconds"],
            "cpu_s_per_gib": spent["server_cpu_s"] * GIB / client["bytes"],
            "ahead_bytes": client["most_ahead"],
            "start_bytes": start,
            "peak_bytes": server.memory("VmHWM"),
            **spent,
            **shares(spent, client),
        }


def move(server: Server, scenario: Scenario, mib: int, cores: Cores) -> Row:
    seconds = PATIENCE + mib / 16 + (mib * MIB / scenario.rate if scenario.rate else 0)
    with Client(CLIENT, scenario.arguments(server.port, mib), cores.client) as client:
        return json.loads(client.line(seconds))


def shares(spent: Row, client: Row) -> Row:
    """How busy both were while the client ran, without its start."""
    return {
        "seconds": client["seconds"],
        "client_cpu_s": client["cpu_seconds"],
        "server_share": spent["server_cpu_s"] / client["seconds"],
        "client_share": client["cpu_seconds"] / client["seconds"],
    }


def events(kind: Kind, clients: int, warmup: float, seconds: float, cores: Cores) -> Row:
    """One server process, many clients of its events."""
    with running(Server(kind, cores.server)) as server:
        start = server.memory("VmRSS")
        listen(server, 1, 0, 2, cores)
        before = server.memory("VmRSS")
        heard, spent, after = listen(server, clients, warmup, seconds, cores)
        if heard["fewest"] < int(seconds) - 1 or heard["most"] > seconds + 3:
            raise Failed(f"within {heard['seconds']:.1f} s a client gets {heard['fewest']} to {heard['most']} events")
        return {
            "us_per_event": spent["server_cpu_s"] * 1e6 / heard["events"],
            "bytes_per_client": (after - before) / clients,
            "start_bytes": start,
            "peak_bytes": server.memory("VmHWM"),
            **spent,
            **shares(spent, heard),
            **{key: heard[key] for key in ("events", "fewest", "most", "bursts")},
            **{f"{key}_s": heard[key] for key in ("spread_p50", "spread_max", "miss_p50", "miss_p99", "miss_max")},
        }


def listen(server: Server, clients: int, warmup: float, seconds: float, cores: Cores) -> tuple[Row, Row, int]:
    """The events of the clients, and the CPU time and resident memory of the server meanwhile."""
    arguments = ["events", str(server.port), str(clients), str(warmup), str(seconds)]
    with Client(CLIENT, arguments, cores.client) as client:
        client.line(PATIENCE + warmup)
        window = Window(server)
        client.line(PATIENCE + seconds)
        spent, resident = window.end(), server.memory("VmRSS")
        client.go_on()
        return json.loads(client.line(PATIENCE)), spent, resident


# ---- output ---------------------------------------------------------------------------------------------------------

MB, PER_CENT, MS = 1e-6, 100, 1e3


def has_no_bursts(row: Row) -> bool:
    return row["bursts"] < row["fewest"]


SHARES = (Column("server %", "server_share", PER_CENT), Column("client %", "client_share", PER_CENT))
MEMORY = (Column("start MB", "start_bytes", MB), Column("peak MB", "peak_bytes", MB, True))
TRANSFER = (Column("MB/s", "mb_per_s", 1, True), Column("CPU s/GiB", "cpu_s_per_gib", 1, True),
            Column("user %", "server_user_share", PER_CENT), *MEMORY, Column("ahead MB", "ahead_bytes", MB), *SHARES)
EVENTS = (Column("us/event", "us_per_event", 1, True), Column("bytes/client", "bytes_per_client", 1, True), *MEMORY,
          Column("events", "events"), Column("spread ms", "spread_p50_s", MS, True, has_no_bursts),
          Column("off ms", "miss_p50_s", MS), Column("off 99 % ms", "miss_p99_s", MS), *SHARES)

def print_ratios(results: Results, key: str, what: str) -> None:
    """The ratio of the CPU times of two servers in the same round, if there are both."""
    for task, by_server in results.items():
        pairs = list(zip(*([row[key] for row in by_server[name]["rounds"]] for name in ("monoloop", "node")
                           if name in by_server)))
        if pairs and len(pairs[0]) == 2:
            ratios = [node / monoloop for monoloop, node in pairs]
            middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
            print(f"\n{task}: node takes {middle:.2f} times ({low:.2f} to {high:.2f}) monoloop's CPU time {what}")


# ---- the command ----------------------------------------------------------------------------------------------------

def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, end)
    machine.raise_descriptor_limit()
    if options.sse and machine.descriptor_limit() < options.clients + 100:
        sys.exit(f"{options.clients} clients need more descriptors than a process may have (ulimit -Hn)")
    build_client(MANIFEST)
    # Compiling may use all cores; from here on the server has its core alone.
    os.sched_setaffinity(0, {options.cores.client})
    servers, skipped = find_servers(options.servers, options.monoloop)
    described = machine.describe()
    print(f"{described['cpu']}, {described['cores']} cores, {described['kernel']}; "
          + ", ".join(f"{name} ({kind.version})" for name, kind in servers.items()))
    for name, why in skipped.items():
        print(f"{name} skipped: {why}")

    all_results: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": described,
        "servers": {name: kind.version for name, kind in servers.items()}, "skipped": skipped,
        "settings": {key: getattr(options, key) for key in ("rounds", "mib", "clients", "warmup", "seconds")},
    }
    if not options.sse_only:
        chosen = [scenario for scenario in scenarios(options.mib) if scenario.name in options.only]
        all_results["transfers"] = measure_transfers(chosen, servers, options)
        save(options.json, all_results)
    if options.sse:
        all_results["events"] = measure_events(servers, options)
        save(options.json, all_results)
    if not servers or any(result["faults"] for part in ("transfers", "events")
                          for by_server in all_results.get(part, {}).values() for result in by_server.values()):
        sys.exit("not every server has answered rightly")


def measure_transfers(chosen: list[Scenario], servers: dict[str, Kind], options: argparse.Namespace) -> Results:
    def task(scenario: Scenario) -> Task:
        return lambda kind: transfer(kind, scenario, options.cores)

    results = in_turns({scenario.name: task(scenario) for scenario in chosen}, servers, options.rounds)
    for scenario in chosen:
        columns = [column for column in TRANSFER if column.key != "ahead_bytes" or scenario.name != "big"]
        print_results(f"{scenario.name}: {scenario.title}", columns, results[scenario.name])
    print_ratios(results, "cpu_s_per_gib", "for a GiB")
    return results


def measure_events(servers: dict[str, Kind], options: argparse.Namespace) -> Results:
    def task(kind: Kind) -> Row:
        return events(kind, options.clients, options.warmup, options.seconds, options.cores)

    results = in_turns({"events": task}, servers, options.rounds)
    title = f"events: GET /events, {options.clients:,} clients, one event a second for each, {options.seconds:g} s"
    print_results(title, EVENTS, results["events"])
    print_ratios(results, "us_per_event", "for an event")
    return results


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--mib", type=int, default=1024, help="MiB of a transfer (1024)")
    parser.add_argument("--only", metavar="NAME,..", default=",".join(NAMES), help="transfers: " + ", ".join(NAMES))
    parser.add_argument("--servers", metavar="NAME,..", default="monoloop,node", help="monoloop, node")
    parser.add_argument("--monoloop", type=Path, metavar="PATH", default=Path(measure.BINARY), help="its binary")
    parser.add_argument("--sse", action="store_true", help="server-sent events as well")
    parser.add_argument("--sse-only", action="store_true", help="server-sent events, no transfers")
    parser.add_argument("--clients", type=int, default=5000, help="clients of server-sent events (5000)")
    parser.add_argument("--warmup", type=float, default=5, help="seconds of events that do not count (5)")
    parser.add_argument("--seconds", type=float, default=15, help="seconds of events that count (15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each measurement to FILE")
    parser.add_argument("--server-core", type=int, help="core of the servers (the first one)")
    parser.add_argument("--client-core", type=int, help="core of the client (the second one)")
    options = parser.parse_args()
    options.only, options.servers = options.only.split(","), options.servers.split(",")
    if not set(options.only) <= set(NAMES) or not set(options.servers) <= {"monoloop", "node"}:
        parser.error(f"transfers are {', '.join(NAMES)}; servers are monoloop, node")
    if min(options.rounds, options.mib, options.clients) < 1 or options.seconds < 3 or options.warmup < 0:
        parser.error("at least one round, one MiB, one client, and three seconds of events")
    options.sse = options.sse or options.sse_only
    cores = sorted(os.sched_getaffinity(0))
    options.cores = Cores(cores[0] if options.server_core is None else options.server_core,
                          cores[1 % len(cores)] if options.client_core is None else options.client_core)
    return options


def save(path: Path | None, results: dict[str, object]) -> None:
    if path:
        path.write_text(json.dumps(results, indent=1) + "\n")


def end(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the run as Ctrl-C does, and no server is left behind: every `with` ends its own."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; all servers have been stopped")
