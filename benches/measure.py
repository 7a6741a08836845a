#!/usr/bin/env python3
"""Counts what a request and an idle connection cost the release binary: figures that do not depend on the machine's
mood. Needs Linux and Python; `instructions` needs valgrind, `syscalls` needs strace.

    cargo build --release
    benches/measure.py instructions     user-space instructions per request, under valgrind
    benches/measure.py syscalls         system calls per request, under strace -c
    benches/measure.py memory           resident memory at the start, resident bytes per idle connection
    benches/measure.py cpu              server CPU time per request, driven by wrk
    benches/measure.py workers          the same with two workers beside one, interleaved
    benches/measure.py size             stripped size of the command and of the core, crates in the tree

`--json FILE` also writes the figures to a file. BINARY=FILE in the environment names another build of the command, for
all but `size`, which builds what it measures.
"""

import json
import os
import re
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
BINARY = os.environ.get("BINARY", os.path.join(TARGET, "release", "monoloop"))
DEMO = (BINARY, "demo", "--port", "0", "--idle-timeout", "1h", "--head-timeout", "1h")

BROWSER_FIELDS = open(os.path.join(ROOT, "benches", "browser-fields.txt")).read().replace("\n", "\r\n")

PLAIN = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n"
CLOSE = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nConnection: close\r\n\r\n"
BROWSER = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n" + BROWSER_FIELDS.encode() + b"\r\n"
ECHO = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024


class Server:
    """A server on a free port that prints its address; perhaps under another program."""

    def __init__(self, under: Sequence[str] = (), command: Sequence[str] = DEMO, log: IO | None = None):
        self.process = subprocess.Popen([*under, *command], bufsize=0, stdout=subprocess.PIPE,
                                        stderr=log or subprocess.DEVNULL)
        line = ""
        while not line.startswith("listening on"):
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            line = self.process.stdout.readline().decode() if ready else ""
            if not line:
                self.process.kill()
                sys.exit("the server did not start")
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def pid(self) -> int:
        """The server itself, not the program under which it runs."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        below = open(children).read().split() if os.path.exists(children) else []
        return int(below[0]) if below else self.process.pid

    def stop(self) -> None:
        os.kill(self.pid(), 15)
        self.process.communicate(timeout=120)


def receive(connection: socket.socket, length: int) -> None:
    """Waits for this many bytes."""
    while length:
        piece = connection.recv(length)
        if not piece:
            sys.exit("the server has closed a connection too early")
        length -= len(piece)


def ask(connection: socket.socket, request: bytes) -> int:
    """Sends one request, and returns the length of its reply."""
    connection.sendall(request)
    return len(connection.recv(65536))


# ---- scenarios: what the clients do ---------------------------------------------------------------------------------

class Scenario(NamedTuple):
    """Drives a server: a number of rounds over several connections, with `batch` requests each."""
    name: str
    drive: Callable[[Server, int, int], None]
    batch: int = 1


def keep_alive(request: bytes, batch: int = 1) -> Callable[[Server, int, int], None]:
    """The connections stay open. All ask, then all wait for their replies."""
    def drive(server: Server, rounds: int, width: int) -> None:
        connections = [server.connect() for _ in range(width)]
        lengths = [ask(connection, request) for connection in connections]
        for _ in range(rounds):
            for connection in connections:
                connection.sendall(request * batch)
            for connection, length in zip(connections, lengths):
                receive(connection, length * batch)
        for connection in connections:
            connection.close()
    return drive


def connection_each(request: bytes, server_closes: bool) -> Callable[[Server, int, int], None]:
    """Each request has a connection of its own, which the server or the client closes."""
    def drive(server: Server, rounds: int, width: int) -> None:
        for _ in range(rounds):
            connections = [server.connect() for _ in range(width)]
            for connection in connections:
                connection.sendall(request)
            for connection in connections:
                while connection.recv(65536) and server_closes:
                    pass
                connection.close()
    return drive


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("plain", keep_alive(PLAIN)),
    Scenario("20 browser fields", keep_alive(BROWSER)),
    Scenario("pipelined x16", keep_alive(PLAIN, 16), 16),
    Scenario("POST 1 KiB echo", keep_alive(ECHO)),
    Scenario("connection each", connection_each(CLOSE, server_closes=True)),
    Scenario("connection each, client closes", connection_each(PLAIN, server_closes=False)),
)}

# The limits.
BARS = {
    "syscalls": {"connection each": 6},
    "size": {"command": 1_550_000, "core": 450_000, "command, small": 1_200_000, "core, small": 470_000},
}


def report(command: str, name: str, figure: float, text: str) -> None:
    """Prints a figure, and whether it is within its limit."""
    bar = BARS.get(command, {}).get(name)
    verdict = "" if bar is None else f" (bar {bar:,}{'' if figure <= bar else ': EXCEEDED'})"
    print(f"{name:31} {text}{verdict}")


# ---- commands -------------------------------------------------------------------------------------------------------

def count_instructions(scenario: Scenario, rounds: int) -> int:
    """Everything that the server does from its start to its end."""
    with tempfile.NamedTemporaryFile("r") as out:
        server = Server(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}"])
        scenario.drive(server, rounds, 1)
        server.stop()
        return int(re.search(r"^(?:summary|totals): (\d+)", out.read(), re.M).group(1))


def instructions() -> dict[str, float]:
    """The difference between a short and a long run, so that start and end do not count."""
    figures = {}
    for scenario in SCENARIOS.values():
        spent = count_instructions(scenario, 2500) - count_instructions(scenario, 500)
        each = figures[scenario.name] = spent / (2000 * scenario.batch)
        report("instructions", scenario.name, each, f"{each:8,.0f} instructions per request")
    return figures


def count_syscalls(scenario: Scenario, rounds: int, width: int) -> Counter[str]:
    """System calls by name, from the server's start to its end."""
    with tempfile.NamedTemporaryFile("r") as out:
        server = Server(["strace", "-f", "-c", "-U", "calls,name", "-o", out.name])
        scenario.drive(server, rounds, width)
        server.stop()
        rows = [line.split() for line in out]
        calls = [row for row in rows if len(row) == 2 and row[0].isdigit() and row[1] != "total"]
        return Counter({name: int(count) for count, name in calls})


def syscalls_of(scenario: Scenario, rounds: int, width: int) -> dict[str, float]:
    """System calls of one request by name: again the difference between a short and a long run."""
    spent = count_syscalls(scenario, 1 + rounds, width)
    spent.subtract(count_syscalls(scenario, 1, width))
    return {call: count / (rounds * width * scenario.batch) for call, count in spent.most_common() if count}


def syscalls() -> dict[str, dict[str, float]]:
    figures = {}
    for name in ("plain", "pipelined x16", "connection each", "connection each, client closes"):
        calls = figures[name] = syscalls_of(SCENARIOS[name], 200, 64)
        listed = ", ".join(f"{call} {count:.3f}" for call, count in calls.items() if count >= 0.001)
        total = sum(calls.values())
        report("syscalls", name, total, f"{total:7.3f} system calls per request: {listed}")
    return figures


def resident(pid: int) -> int:
    """Bytes in memory that belong to the process alone."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    kinds = ("Private_Dirty", "Private_Clean")
    return 1024 * sum(int(re.search(rf"^{kind}:\s+(\d+)", text, re.M).group(1)) for kind in kinds)


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident_with_shared(pid: int) -> int:
    """Bytes in memory, with what the process shares with others: the pages of its file and of the C library."""
    return 1024 * int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))


def memory() -> dict[str, float]:
    raise_descriptor_limit()
    server = Server()
    figures: dict[str, float] = {"VmRSS at start": resident_with_shared(server.pid())}
    keep_alive(PLAIN)(server, 9, 1)
    figures["VmRSS after 10 requests"] = resident_with_shared(server.pid())
    start = figures["at start"] = resident(server.pid())
    print(f"VmRSS: {figures['VmRSS at start'] / 1e6:.2f} MB at start, "
          f"{figures['VmRSS after 10 requests'] / 1e6:.2f} MB after 10 requests, of it {start / 1e6:.2f} MB private")
    connections = []
    for count in (1000, 10000):
        while len(connections) < count:
            connections.append(server.connect())
            ask(connections[-1], PLAIN)
        each = figures[f"{count} idle"] = (resident(server.pid()) - start) / count
        print(f"{count:6} idle connections: {each:.0f} bytes each")
    server.stop()
    return figures


def cpu_seconds(pid: int) -> float:
    """CPU time of a process of one thread, to the nanosecond."""
    return int(open(f"/proc/{pid}/schedstat").read().split()[0]) / 1e9


def cpu() -> dict[str, float]:
    figures = {}
    for connections in (1, 64, 512):
        server = Server(["taskset", "-c", "0"])
        pid = server.process.pid
        before = cpu_seconds(pid)
        url = f"http://127.0.0.1:{server.port}/plaintext"
        wrk = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", "-d5", url]
        text = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=60).stdout
        spent = cpu_seconds(pid) - before
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        errors = re.search(r"Socket errors.*|Non-2xx.*", text)
        each = figures[f"c{connections}"] = spent / requests * 1e6
        print(f"wrk c{connections:<4} {requests / 5:9.0f} requests/s, {each:6.2f} us of server CPU per request, "
              + (errors.group(0) if errors else "no errors"))
        server.stop()
    return figures


def worker_seconds(pid: int) -> dict[str, float]:
    """CPU time of each thread by its name; nanoseconds are exact, ticks of 10 ms are not."""
    seconds = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        name = open(f"/proc/{pid}/task/{task}/comm").read().strip()
        seconds[name] = int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) / 1e9
    return seconds


def workers() -> dict[str, dict[str, float]]:
    """128 connections; all workers on one core and wrk on the other, then all three where the kernel puts them."""
    figures: dict[str, dict[str, float]] = {}
    places = (("one core", ["taskset", "-c", "0"], ["taskset", "-c", "1"]), ("any core", [], []))
    for place, server_core, client_core in places:
        each: dict[int, list[float]] = {1: [], 2: []}
        shares = []
        for _ in range(10):
            for count in each:
                server = Server(server_core, [*DEMO, "--workers", str(count)])
                wrk = [*client_core, "wrk", "-t1", "-c128", "-d2", f"http://127.0.0.1:{server.port}/plaintext"]
                before = worker_seconds(server.pid())
                text = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=60).stdout
                after = worker_seconds(server.pid())
                spent = [after[name] - before.get(name, 0) for name in after]
                each[count].append(sum(spent) / int(re.search(r"(\d+) requests in", text).group(1)) * 1e6)
                if count == 2:
                    busy = sorted(spent)[-2:]
                    shares.append(busy[0] / sum(busy))
                server.stop()
        one, two = (statistics.median(each[count]) for count in each)
        ratio = statistics.median(b / a for a, b in zip(each[1], each[2]))
        figures[place] = {"one": one, "two": two, "ratio": ratio, "least share": min(shares)}
        print(f"{place}: {one:.2f} us of CPU per request with one worker, {two:.2f} with two, ratio {ratio:.2f}; "
              f"the less busy of the two had {min(shares):.0%} to {max(shares):.0%} of their CPU time")
    return figures


def stripped_size(binary: str) -> int:
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, binary], check=True)
        return os.path.getsize(stripped.name)


def size() -> dict[str, int]:
    core = ["--no-default-features"]
    figures = {}
    for suffix, profile in (("", "release"), (", small", "small")):
        builds = (
            ("command with live", [], "monoloop"),
            ("command", [*core, "--features", "cli,multipart"], "monoloop"),
            ("core", [*core, "--example", "hello"], "examples/hello"),
        )
        for name, flags, path in builds:
            subprocess.run(["cargo", "build", "--profile", profile, "--quiet", *flags], cwd=ROOT, check=True)
            figure = figures[name + suffix] = stripped_size(os.path.join(TARGET, profile, path))
            report("size", name + suffix, figure, f"{figure:9,} bytes stripped ({path})")
    for name, flags in (("crates, command", []), ("crates, core", core)):
        tree = subprocess.run(["cargo", "tree", "-e", "normal", "--prefix", "none", *flags], cwd=ROOT,
                              capture_output=True, text=True, check=True).stdout
        figures[name] = len({line.split(" (")[0] for line in tree.splitlines() if line}) - 1
        report("size", name, figures[name], f"{figures[name]:9}")
    return figures


def main() -> None:
    commands = {run.__name__: run for run in (instructions, syscalls, memory, cpu, workers, size)}
    match sys.argv[1:]:
        case [command] if command in commands:
            commands[command]()
        case [command, "--json", path] if command in commands:
            figures = commands[command]()
            with open(path, "w") as file:
                json.dump({command: figures}, file, indent=2)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
