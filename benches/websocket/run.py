#!/usr/bin/env python3
"""What WebSockets cost: monoloop beside fastwebsockets, tokio-tungstenite, bun (uWebSockets) and Node's ws.

    benches/websocket/run.py                                all scenarios, five rounds: about twenty minutes
    benches/websocket/run.py --only echo,pipelined          some of them
    benches/websocket/run.py --servers monoloop,bun         some of the servers
    benches/websocket/run.py --rounds 1 --window 0.3        whether everything works
    benches/websocket/run.py --json websocket.json          writes each measurement to a file

It needs Linux, Python 3.11, cargo, taskset and two cores, of which the first one is for the server and the second one
for the clients. bun and ws come from npm, into the target folder, and ws needs node. A server that cannot be had is
left out, and a line says so. 10,000 sockets need some more descriptors for a process (`ulimit -Hn`); with less there
are fewer sockets. Nothing else should run meanwhile.

What is done
    echo           64 connections; each sends a text of 64 bytes, and the next one when it has come back.
    pipelined      the same with 16 messages in a write, and the next write when all 16 are back.
    echo-16k       64 connections, binary messages of 16 KiB.
    text-16k       the same as text, which a server must check.
    broadcast-1k   1,000 members of a room. One of them says 64 bytes, which come to all, and then says the next.
    broadcast-10k  10,000 members.
    burst-1k       1,000 members, and 16 messages in a write of the speaker.
    idle           resident memory for each of 10,000 sockets that have said and got 64 bytes and 2 KiB.
    idle-deflate   the same with permessage-deflate, offered as browsers do; the answer of 2 KiB is compressed.
    slow           a room of 10,000 in which messages of 16 KiB are said, with an echo beside it that asks without a
                   pause. Then 200 members do not read any more, and as many messages are said again.

Each measurement has a new server process. The load generator compares its answers, lets it warm up, and then counts
bytes. In each round all servers have their turn, and the order rotates. A figure is the median of the rounds, with the
lowest and the highest. Two figures whose ranges overlap have no order.

What the columns say
    us/message     CPU time of the server for a message that has come back, or that has come to a member; kernel
                   included. Compare this.
    /s             messages a second. It depends on the load generator too, which costs about as much as a server.
    user %         how much of the CPU time was spent outside the kernel, from ticks of 10 ms.
    server %       of its core, and `client %` of its own.
    bytes/socket   resident memory with all sockets, less that with one, for each. What the kernel holds is not in it.
    before, beside when all members read, and when 200 do not.
    wait ms        the longest wait of the echo during a message of the room, in which a server on one thread has the
                   whole room to serve: the median of all messages, and the longest of all.
    growth MB      the most that was resident while 200 did not read, less what was before.
    missed         how many of the 200 did not get all of it afterwards: the server has closed them, or has skipped
                   messages.

How the servers are set up
    Each has one thread for its work, no Nagle, and no compression but in `idle-deflate`. fastwebsockets has no
    compression, and tungstenite of this version neither. tungstenite gets the size of its read buffer for each
    scenario: 4 KiB, or 32 KiB for messages of 16 KiB; its default of 128 KiB is slower in all. ws has `bufferutil`,
    and compresses as its documentation says for many sockets. bun shares one compressor. bun and ws collect their
    garbage before memory is looked at. In the rooms, the two on tokio skip messages for a member that is 16 behind;
    bun, ws and monoloop close a member that is 128 KiB behind. None sends pings. Threads that a runtime has besides
    are on the same core, and count.
"""

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "compare")]

import machine  # of benches/compare
import measure
import peers
from bars import print_bars
from growth import running
from peers import Needs, Peer
from turns import Client, Column, Cores, Row, Server, Window, build_client, in_turns, print_results

MANIFEST = HERE / "load" / "Cargo.toml"
LOAD = Path(measure.TARGET) / "release" / "websocket-load"

PATIENCE = 90
"""Seconds that the load generator may need beyond the shortest possible time."""

SETTLE = 1.0
"""Seconds that a server gets to put its memory in order."""

STOPPED, SLOW_SIZE, SLOW_MESSAGES = 200, 16384, 60
"""Members that stop to read; bytes of a message; messages that are said before and after that."""

SPARE_DESCRIPTORS = 200

ECHO, ROOM = "/echo", "/room"
"""The paths of each server."""


class Plan(NamedTuple):
    """How long, how many, and where."""
    warmup: float
    window: float
    sockets: int
    cores: Cores


# ---- measurements ---------------------------------------------------------------------------------------------------

def converse(peer: Peer, needs: Needs, arguments: list[str], what: str, plan: Plan) -> Row:
    """One server process, one measurement of its CPU time for each message. The load generator gets the arguments with
    the port in place of PORT."""
    with running(Server(peer.kind(needs), plan.cores.server)) as server:
        with load(server, arguments, plan) as client:
            client.line(PATIENCE + plan.warmup)
            spent = window(server, client, plan.window)
            heard = json.loads(client.line(PATIENCE))
    return {
        "us_per_message": spent["server_cpu_s"] * 1e6 / heard[what],
        "per_second": heard[what] / heard["seconds"],
        "messages": heard[what],
        **spent,
        **shares(spent, heard),
    }


def load(server: Server, arguments: list[str], plan: Plan) -> Client:
    return Client(LOAD, [arguments[0], str(server.port), *arguments[1:]], plan.cores.client)


def window(server: Server, client: Client, seconds: float) -> Row:
    """What the server spends from the load generator's `begin` to its `end`."""
    look = Window(server)
    client.go_on()
    client.line(PATIENCE + seconds)
    spent = look.end()
    client.go_on()
    return spent


def shares(spent: Row, heard: Row) -> Row:
    return {"server_share": spent["server_cpu_s"] / heard["seconds"],
            "client_share": heard["cpu_seconds"] / heard["seconds"]}


def idle(peer: Peer, needs: Needs, plan: Plan) -> Row:
    """One server process, and its memory before and after there are many sockets."""
    kind = "deflate" if needs.has_deflate else "plain"
    with running(Server(peer.kind(needs), plan.cores.server)) as server:
        with load(server, ["idle", ECHO, str(plan.sockets), kind], plan) as client:
            client.line(PATIENCE)
            before = resident(server, peer)
            look = Window(server)
            client.go_on()
            client.line(PATIENCE)
            spent = look.end()
            after = resident(server, peer)
            client.go_on()
            client.line(PATIENCE)
    return {"bytes_per_socket": (after - before) / plan.sockets, "start_bytes": before, "end_bytes": after, **spent}


def resident(server: Server, peer: Peer) -> int:
    """Resident bytes, when the server had time to put its memory in order. Unlike VmRSS, this figure is exact."""
    if peer.collects:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/gc")
        connection.getresponse().read()
        connection.close()
    time.sleep(SETTLE)
    return machine.memory([server.process.pid]).resident


def slow(peer: Peer, needs: Needs, plan: Plan) -> Row:
    """One server process: a room in which all read, and then the same when some do not."""
    arguments = ["slow", ROOM, ECHO, str(plan.sockets), str(SLOW_SIZE), str(STOPPED), str(SLOW_MESSAGES)]
    with running(Server(peer.kind(needs), plan.cores.server)) as server:
        with load(server, arguments, plan) as client:
            client.line(PATIENCE)
            before = window(server, client, PATIENCE)
            client.line(PATIENCE)
            Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
            start = machine.memory([server.process.pid]).resident
            beside = window(server, client, PATIENCE)
            peak = server.memory("VmHWM")
            heard = json.loads(client.line(PATIENCE))
    row = {"growth_bytes": max(0, peak - start), "start_bytes": start, "stopped": STOPPED, "missed": heard["missed"],
           **beside, **shares(beside, heard["beside"])}
    for name, spent in (("before", before), ("beside", beside)):
        row |= {f"us_{name}": spent["server_cpu_s"] * 1e6 / heard[name]["deliveries"],
                **{f"{key}_{name}": heard[name][key] for key in ("wait", "longest_wait", "echoes")}}
    return row


# ---- scenarios ------------------------------------------------------------------------------------------------------

MB, PER_CENT, MS = 1e-6, 100, 1e3

SHARES = (Column("server %", "server_share", PER_CENT), Column("client %", "client_share", PER_CENT))
CPU = (Column("us/message", "us_per_message", 1, True), Column("/s", "per_second"),
       Column("user %", "server_user_share", PER_CENT), *SHARES)
MEMORY = (Column("bytes/socket", "bytes_per_socket", 1, True), Column("start MB", "start_bytes", MB),
          Column("end MB", "end_bytes", MB))
SLOW = (Column("us before", "us_before", 1, True), Column("us beside", "us_beside", 1, True),
        Column("wait ms before", "wait_before", MS), Column("beside", "wait_beside", MS),
        Column("longest before", "longest_wait_before", MS), Column("beside", "longest_wait_beside", MS),
        Column("start MB", "start_bytes", MB), Column("growth MB", "growth_bytes", MB, True),
        Column("missed", "missed"), *SHARES)


class Scenario(NamedTuple):
    name: str
    title: str
    columns: tuple[Column, ...]
    run: Callable[[Peer, Needs, Plan], Row]
    needs: Needs = Needs()


def scenarios(sockets: int) -> list[Scenario]:
    return [
        echo("echo", "64 connections, text of 64 bytes", "text", 64),
        echo("pipelined", "64 connections, 16 texts of 64 bytes in a write", "text", 64, 16),
        echo("echo-16k", "64 connections, binary messages of 16 KiB", "binary", 16384),
        echo("text-16k", "64 connections, text of 16 KiB", "text", 16384),
        broadcast("broadcast-1k", min(1000, sockets)),
        broadcast("broadcast-10k", sockets),
        broadcast("burst-1k", min(1000, sockets), 16),
        Scenario("idle", f"{sockets:,} silent sockets", MEMORY, idle),
        Scenario("idle-deflate", f"{sockets:,} silent sockets with permessage-deflate", MEMORY, idle, Needs(True)),
        Scenario("slow", f"{SLOW_MESSAGES} messages of {SLOW_SIZE:,} bytes to {sockets:,} members, and again when "
                 f"{STOPPED} do not read", SLOW, slow),
    ]


def echo(name: str, title: str, kind: str, size: int, batch: int = 1) -> Scenario:
    def run(peer: Peer, needs: Needs, plan: Plan) -> Row:
        arguments = ["echo", ECHO, "64", kind, str(size), str(batch), str(plan.warmup), str(plan.window)]
        return converse(peer, needs, arguments, "messages", plan)

    return Scenario(name, title, CPU, run, Needs(read_buffer=max(4096, 2 * size)))


def broadcast(name: str, members: int, batch: int = 1) -> Scenario:
    def run(peer: Peer, needs: Needs, plan: Plan) -> Row:
        arguments = ["broadcast", ROOM, str(members), "64", str(batch), str(plan.warmup), str(plan.window)]
        return converse(peer, needs, arguments, "deliveries", plan)

    at_once = f", {batch} at once" if batch > 1 else ""
    return Scenario(name, f"64 bytes to {members:,} members of a room{at_once}", CPU, run)


NAMES = [scenario.name for scenario in scenarios(10_000)]


def take_part(scenario: Scenario, found: dict[str, Peer]) -> dict[str, Peer]:
    return {name: peer for name, peer in found.items()
            if (peer.has_deflate or not scenario.needs.has_deflate)}


# ---- the command ----------------------------------------------------------------------------------------------------

def main() -> int:
    options = parse_options()
    signal.signal(signal.SIGTERM, end)
    machine.raise_descriptor_limit()
    sockets = min(options.sockets, machine.descriptor_limit() - SPARE_DESCRIPTORS)
    build_client(MANIFEST)
    chosen = [scenario for scenario in scenarios(sockets) if scenario.name in options.only]
    found, skipped = peers.find(options.servers, any(scenario.needs.has_deflate for scenario in chosen))
    # Compiling may use all cores; from here on the server has its core alone.
    os.sched_setaffinity(0, {options.cores.client})
    described = machine.describe()
    print(f"{described['cpu']}, {described['cores']} cores, {described['kernel']}; "
          + ", ".join(peer.version for peer in found.values()))
    for name, why in skipped.items():
        print(f"{name} skipped: {why}")
    if sockets < options.sockets:
        print(f"{sockets:,} sockets, not {options.sockets:,}: a process may have no more descriptors (ulimit -Hn)")
    plan = Plan(options.warmup, options.window, sockets, options.cores)
    all_results: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": described,
        "servers": {name: peer.version for name, peer in found.items()}, "skipped": skipped,
        "settings": {"rounds": options.rounds, "warmup": options.warmup, "window": options.window, "sockets": sockets},
        "scenarios": {},
    }
    results = all_results["scenarios"]
    for scenario in chosen:
        task = partial(scenario.run, needs=scenario.needs, plan=plan)
        taking_part = take_part(scenario, found)
        results[scenario.name] = in_turns({scenario.name: task}, taking_part, options.rounds)[scenario.name]
        print_results(f"{scenario.name}: {scenario.title}", scenario.columns, results[scenario.name])
        save(options.json, all_results)
    is_kept = print_bars(results)
    if not found or any(result["faults"] for by_server in results.values() for result in by_server.values()):
        sys.exit("not every server has answered rightly")
    return 0 if is_kept else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--window", type=float, default=2, help="seconds of a measurement (2)")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before it that do not count (1)")
    parser.add_argument("--only", metavar="NAME,..", default=",".join(NAMES), help="scenarios: " + ", ".join(NAMES))
    parser.add_argument("--servers", metavar="NAME,..", default=",".join(peers.NAMES), help=", ".join(peers.NAMES))
    parser.add_argument("--sockets", type=int, default=10_000, help="sockets of the large scenarios (10000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each measurement to FILE")
    parser.add_argument("--server-core", type=int, help="core of the servers (the first one)")
    parser.add_argument("--client-core", type=int, help="core of the load generator (the second one)")
    options = parser.parse_args()
    options.only, options.servers = options.only.split(","), options.servers.split(",")
    if not set(options.only) <= set(NAMES) or not set(options.servers) <= set(peers.NAMES):
        parser.error(f"scenarios are {', '.join(NAMES)}; servers are {', '.join(peers.NAMES)}")
    if options.rounds < 1 or options.window <= 0 or options.warmup <= 0 or options.sockets <= STOPPED:
        parser.error(f"at least one round, some time for a measurement, and more than {STOPPED} sockets")
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
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; all servers have been stopped")
