#!/usr/bin/env python3
"""How the cost of a request grows with the number of connections, of routes, and of idle connections beside it. Needs
Linux, Python, cargo, valgrind, strace, wrk, taskset, two cores, and 20,000 descriptors for a process (`ulimit -Hn`).

    benches/growth.py                       all three, about ten minutes
    benches/growth.py connections routes    only these
    benches/growth.py --json growth.json    also writes the figures to a file, for benches/plot.py

Instructions are those of user space, counted by valgrind: they do not depend on the machine's mood. Misses are those of
a simulated cache, also of user space alone. CPU time is the server's, kernel included, in windows during which wrk
asks; the steps take turns, and a figure is the median of the rounds with the lowest and the highest. The server that
is measured stands in benches/growth/.
"""

import argparse
import json
import os
import platform
import re
import select
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import measure
from measure import PLAIN, ROOT, TARGET, Server, ask, cpu_seconds

CONNECTIONS = [1, 4, 16, 64, 256, 1024, 4096, 10000]
ROUTES = [1, 10, 100, 1000, 10000]
IDLE = [0, 1000, 5000, 10000, 15000]

MANIFEST = os.path.join(ROOT, "benches", "growth", "Cargo.toml")
GROWTH = os.path.join(TARGET, "release", "growth")
HOUR = 3600

Row = dict[str, object]


# ---- the server -----------------------------------------------------------------------------------------------------

def build() -> None:
    """Builds the server of this benchmark, and the demo."""
    cargo = ["cargo", "build", "--release", "--quiet", "--manifest-path", MANIFEST, "--target-dir", TARGET]
    subprocess.run(cargo, check=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", TARGET], cwd=ROOT, check=True)


def command(routes: int = 0, idle_seconds: int = HOUR) -> list[str]:
    return [GROWTH, str(routes), str(idle_seconds)]


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Ends the server in any case."""
    try:
        yield server
    finally:
        server.stop()


class CountedServer(Server):
    """A server under callgrind, which counts from the first `spent` on."""

    def __init__(self, command: list[str], *options: str):
        self.folder = tempfile.TemporaryDirectory()
        self.dumps = 0
        out = f"--callgrind-out-file={self.folder.name}/out"
        super().__init__(["valgrind", "--tool=callgrind", "--instr-atstart=no", out, *options], command)
        self.monitor("instrumentation", "on")

    def monitor(self, *words: str) -> None:
        subprocess.run(["vgdb", f"--pid={self.pid()}", *words], check=True, capture_output=True, timeout=120)

    def spent(self) -> Counter[str]:
        """The counts since the last call, by the names of callgrind: `Ir` are instructions. A count that is
        missing (callgrind leaves zeros out at the end of a line) is 0."""
        self.monitor("dump")
        self.dumps += 1
        dump = open(f"{self.folder.name}/out.{self.dumps}").read()
        line = {key: re.search(rf"^{key}: (.+)$", dump, re.M).group(1).split() for key in ("events", "totals")}
        return Counter(dict(zip(line["events"], map(int, line["totals"]))))

    def stop(self) -> None:
        super().stop()
        self.folder.cleanup()


# ---- clients --------------------------------------------------------------------------------------------------------

class Crowd:
    """Connections that have each made a request and keep alive, until the end of a `with`."""

    def __init__(self, server: Server, count: int = 0):
        self.server = server
        self.connections: list[socket.socket] = []
        self.reply_length = 0
        self.grow(count)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_error: object) -> None:
        self.leave()

    def grow(self, count: int) -> None:
        while len(self.connections) < count:
            new = [self.server.connect() for _ in range(min(256, count - len(self.connections)))]
            self.reply_length = [ask(connection, PLAIN) for connection in new][0]
            self.connections += new

    def all_ask(self, rounds: int) -> None:
        """All connections ask, and then all wait. While many ask, the server is stopped, so that one poll brings it as
        many as it takes. With one connection that is not needed."""
        for _ in range(rounds):
            with stopped(self.server) if len(self.connections) > 1 else nullcontext():
                for connection in self.connections:
                    connection.sendall(PLAIN)
            for connection in self.connections:
                measure.receive(connection, self.reply_length)

    def wait_until_closed(self) -> None:
        for connection in self.connections:
            if connection.recv(1):
                raise RuntimeError("a reply that nobody has asked for")

    def leave(self) -> None:
        """Closes by resets, so that no port has to wait."""
        for connection in self.connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.connections = []


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.pid(), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid(), signal.SIGCONT)


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid()}/fd"))


def wait_for(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("the server does not get to where it should be")
        time.sleep(0.05)


class Window:
    """What a server does in a period; its CPU time is split into user space and kernel, roughly."""

    def __init__(self, server: Server, control: socket.socket, seconds: float):
        before = self.look(server, control)
        time.sleep(seconds)
        spent = [after - at_first for after, at_first in zip(self.look(server, control), before)]
        wall, cpu, requests, self.user, self.system = spent
        self.cpu_us = cpu / requests * 1e6
        self.requests_per_s = requests / wall

    @staticmethod
    def look(server: Server, control: socket.socket) -> tuple[float, ...]:
        control.sendall(PLAIN.replace(b"/plaintext", b"/count"))
        requests = int(control.recv(65536).rsplit(b"\r\n", 1)[1])
        pid = server.pid()
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return time.monotonic(), cpu_seconds(pid), requests, int(fields[11]), int(fields[12])


def connect_control(server: Server) -> socket.socket:
    """The connection that asks for the count. It is accepted already, so that its descriptor is counted."""
    control = server.connect()
    ask(control, PLAIN)
    return control


def window_under_wrk(server: Server, control: socket.socket, connections: int, seconds: float) -> Window:
    """Begins when all connections are open, and ends before they are closed."""
    others = descriptors(server)
    url = f"http://127.0.0.1:{server.port}/plaintext"
    wrk = subprocess.Popen(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", "-d120", url],
                           stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: descriptors(server) >= others + connections)
        time.sleep(0.5)
        return Window(server, control, seconds)
    finally:
        wrk.send_signal(signal.SIGINT)
        text, _ = wrk.communicate(timeout=60)
        wait_for(lambda: descriptors(server) <= others)
        if errors := re.search(r"Socket errors: (?!connect 0, read 0, write 0).*|Non-2xx.*", text):
            print(f"wrk with {connections} connections: {errors.group(0)}")


def in_turns(steps: list[int], rounds: int, window: Callable[[int], Window]) -> dict[int, Row]:
    """Interleaves the steps, so that a disturbance of the machine affects all of them."""
    windows: dict[int, list[Window]] = {step: [] for step in steps}
    for _ in range(rounds):
        for step in steps:
            windows[step].append(window(step))
    return {step: {
        "cpu_us": spread([one.cpu_us for one in several]),
        "user_share": sum(one.user for one in several) / max(1, sum(one.user + one.system for one in several)),
        "requests_per_s": statistics.median(one.requests_per_s for one in several),
    } for step, several in windows.items()}


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


# ---- connections ----------------------------------------------------------------------------------------------------

def connections(rounds: int, seconds: float) -> dict[str, list[Row]]:
    """All connections ask as fast as they can."""
    with running(Server(["taskset", "-c", "0"], command())) as server:
        control = connect_control(server)
        timed = in_turns(CONNECTIONS, rounds, lambda count: window_under_wrk(server, control, count, seconds))
    counted = {count: {**syscalls_with(count), **instructions_with(count)} for count in CONNECTIONS}
    rows = [{"connections": count, **timed[count], **counted[count]} for count in CONNECTIONS]
    show("Connections that all ask", rows)
    return {"connections": rows}


def syscalls_with(count: int) -> Row:
    """Counts of the demo, which has the same loop."""
    calls = measure.syscalls_of(measure.SCENARIOS["plain"], max(2, 4096 // count), count)
    return {"syscalls": sum(calls.values())}


def instructions_with(count: int) -> Row:
    """Counts when all requests come at once."""
    with running(CountedServer(command(), "--cache-sim=yes")) as server, Crowd(server, count) as crowd:
        rounds = max(3, 2048 // count)
        crowd.all_ask(1)
        server.spent()
        crowd.all_ask(rounds)
        return per_request(server.spent(), count * rounds)


def per_request(spent: Counter[str], requests: int) -> Row:
    misses = {
        "first_level_misses": ("I1mr", "D1mr", "D1mw"),
        "last_level_misses": ("ILmr", "DLmr", "DLmw"),
    }
    row: Row = {name: sum(spent[event] for event in events) / requests for name, events in misses.items()}
    return {"instructions": spent["Ir"] / requests, **row}


# ---- routes ---------------------------------------------------------------------------------------------------------

ASKED = {
    "literal": "GET /resource{i}",
    "parameter": "GET /resource{i}/7",
    "missing": "GET /nothing{i}/7",
    "alike": "GET /somewhere/{i}/settings",
    "options_of_all": "OPTIONS *",
}


def routes(_rounds: int, _seconds: float) -> dict[str, list[Row]]:
    """Instructions of one request, for each kind of path; the average over up to 32 routes."""
    rows = []
    for count in ROUTES:
        with running(CountedServer(command(count))) as server:
            connection = server.connect()
            kinds = {kind: look_up(server, connection, line, count) for kind, line in ASKED.items()}
            rows.append({"routes": count, **kinds})
    show("Instructions of a request, by the number of routes of each kind", rows)
    return {"routes": rows}


def look_up(server: CountedServer, connection: socket.socket, line: str, count: int) -> float:
    indices = range(0, count, max(1, count // 32))[:32]
    requests = [f"{line.format(i=i)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for i in indices]
    rounds = max(1, 256 // len(requests))
    ask(connection, requests[0])
    server.spent()
    for request in requests * rounds:
        ask(connection, request)
    return server.spent()["Ir"] / (len(requests) * rounds)


# ---- idle connections -----------------------------------------------------------------------------------------------

def idle(rounds: int, seconds: float) -> dict[str, list[Row]]:
    """One connection asks beside many that do not; then no connection asks; then all reach their timeout."""
    with running(Server(["taskset", "-c", "0"], command())) as server, Crowd(server) as crowd:
        control = connect_control(server)

        def window(count: int) -> Window:
            if count < len(crowd.connections):
                crowd.leave()
                wait_for(lambda: descriptors(server) < 32)
            crowd.grow(count)
            return window_under_wrk(server, control, 1, seconds)

        timed = in_turns(IDLE, rounds, window)
        crowd.leave()
        quiet = [beside_nobody(crowd, count) for count in IDLE]
    counted = instructions_beside_idle()
    rows = [{"idle": count, **timed[count], **counted[count]} for count in IDLE]
    expiry = [timeouts(count) for count in (1000, 10000)]
    show("One connection that asks, beside idle ones", rows)
    show("Nobody asks", quiet)
    show("Idle connections that time out in one tick", expiry)
    return {"idle": rows, "quiet": quiet, "timeouts": expiry}


def instructions_beside_idle() -> dict[int, Row]:
    with running(CountedServer(command(), "--cache-sim=yes")) as server, Crowd(server) as crowd:
        active = server.connect()
        return {count: beside_idle(server, crowd, active, count) for count in IDLE}


def beside_idle(server: CountedServer, crowd: Crowd, active: socket.socket, count: int) -> Row:
    crowd.grow(count)
    ask(active, PLAIN)
    server.spent()
    for _ in range(2000):
        ask(active, PLAIN)
    return per_request(server.spent(), 2000)


def beside_nobody(crowd: Crowd, count: int) -> Row:
    """How often the server wakes up, and the cost of that."""
    crowd.grow(count)
    time.sleep(1)
    pid, seconds = crowd.server.pid(), 5
    before = cpu_seconds(pid), wake_ups(pid)
    time.sleep(seconds)
    return {
        "idle": count,
        "cpu_us_per_s": (cpu_seconds(pid) - before[0]) * 1e6 / seconds,
        "wake_ups_per_s": (wake_ups(pid) - before[1]) / seconds,
    }


def wake_ups(pid: int) -> int:
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))


def timeouts(count: int) -> Row:
    """Stops the server until all timeouts have passed. This is the worst case: otherwise each has its own slot."""
    def expire(server: Server, timeout: float, look: Callable[[], object]) -> None:
        began = time.monotonic()
        with Crowd(server, count) as crowd:
            time.sleep(0.6)  # so that the last busy tick is over
            if time.monotonic() - began > timeout - 1:
                raise TimeoutError("it took too long to open the connections")
            look()
            with stopped(server):
                time.sleep(timeout)
            crowd.wait_until_closed()
            look()

    looks: list[float] = []
    with running(Server(["taskset", "-c", "0"], command(idle_seconds=8))) as server:
        expire(server, 8, lambda: looks.append(cpu_seconds(server.pid())))
    with running(CountedServer(command(idle_seconds=20))) as counted:
        expire(counted, 20, lambda: looks.append(counted.spent()["Ir"]))
    cpu_before, cpu_after, _, instructions = looks
    return {
        "timeouts": count,
        "instructions_each": instructions / count,
        "cpu_us_each": (cpu_after - cpu_before) / count * 1e6,
        "cpu_ms_in_all": (cpu_after - cpu_before) * 1e3,
    }


# ---- output ---------------------------------------------------------------------------------------------------------

def show(title: str, rows: list[Row]) -> None:
    lines = [[name.replace("_", " ") for name in rows[0]]] + [[text(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    print(f"\n{title}\n")
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def text(value: object) -> str:
    match value:
        case {"median": median, "low": low, "high": high}:
            return f"{median:.2f} ({low:.2f} to {high:.2f})"
        case float():
            return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"
        case _:
            return f"{value:,}"


def machine() -> dict[str, object]:
    model = re.search(r"^model name\s*: (.+)$", open("/proc/cpuinfo").read(), re.M)
    name = model.group(1) if model else platform.machine()
    return {"cpu": name, "cores": os.cpu_count(), "kernel": platform.release()}


def main() -> None:
    parts = {run.__name__: run for run in (connections, routes, idle)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART", help=f"{', '.join(parts)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="windows for each figure of time (5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a window (1.5)")
    parser.add_argument("--json", metavar="FILE", help="where to write the figures")
    arguments = parser.parse_args()

    measure.raise_descriptor_limit()
    build()
    figures: dict[str, object] = {"machine": machine()}
    for part in arguments.parts or parts:
        figures |= parts[part](arguments.rounds, arguments.seconds)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
