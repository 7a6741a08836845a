"""Servers that take turns: what benches/streaming and benches/websocket share. A new process for each measurement, a
client with a core of its own, and tables with the median of the rounds."""

import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parent / "compare")]

import machine  # of benches/compare
import measure
from growth import spread

Row = dict[str, float]


class Failed(Exception):
    """A server did not behave as it should; the text says how."""


class Cores(NamedTuple):
    server: int
    client: int


# ---- servers --------------------------------------------------------------------------------------------------------

class Kind(NamedTuple):
    command: list[str]
    version: str


class Server(measure.Server):
    """A server on its core. It ends with the block, whatever it is doing."""

    def __init__(self, kind: Kind, core: int):
        try:
            super().__init__(["taskset", "-c", str(core)], kind.command)
        except SystemExit as error:
            raise Failed(str(error)) from error

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def memory(self, field: str) -> int:
        """VmRSS or VmHWM in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(rf"^{field}:\s+(\d+)", text, re.M).group(1))


class Window:
    """What a server spends from here on. `waited` is the wait for its core: if it is long, something else ran there."""

    def __init__(self, server: Server):
        self.pid = server.process.pid
        self.began, self.cpu, self.ticks = self.look()

    def look(self) -> tuple[float, machine.CpuTime, tuple[int, int]]:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return time.monotonic(), machine.cpu_time([self.pid]), (int(fields[11]), int(fields[12]))

    def end(self) -> Row:
        now, cpu, ticks = self.look()
        spent = cpu.since(self.cpu)
        user, system = (after - before for after, before in zip(ticks, self.ticks))
        return {
            "server_cpu_s": spent.spent / 1e9,
            "server_user_share": user / max(1, user + system),
            "server_waited_s": spent.waited / 1e9,
            "window_s": now - self.began,
        }


# ---- the client -----------------------------------------------------------------------------------------------------

def build_client(manifest: Path) -> None:
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--manifest-path", str(manifest),
               "--target-dir", measure.TARGET]
    subprocess.run(command, check=True)


class Client:
    """The client on its core, for the duration of a `with`."""

    def __init__(self, program: Path, arguments: Sequence[str], core: int):
        self.process = subprocess.Popen(["taskset", "-c", str(core), str(program), *arguments], bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self, seconds: float) -> str:
        """The next line that the client prints. If it gives up, it has printed the reason."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            raise Failed(f"the client has nothing to say for {seconds:.0f} s")
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise Failed(self.process.stderr.read().decode().strip() or "the client ends without a word")
        return line

    def go_on(self) -> None:
        self.process.stdin.write(b"\n")


# ---- rounds ---------------------------------------------------------------------------------------------------------

Task = Callable[[Any], Row]
"""Measures one of the servers, of whatever type the caller's are."""
Results = dict[str, dict[str, dict[str, list]]]


def in_turns(tasks: dict[str, Task], servers: dict[str, Any], rounds: int) -> Results:
    """By task and server: `rounds` and `faults`. A server that fails has no further turn at that task."""
    results: Results = {task: {name: {"rounds": [], "faults": []} for name in servers} for task in tasks}
    for number in range(rounds):
        for task, run in tasks.items():
            for name in rotated(list(servers), number):
                result = results[task][name]
                if result["faults"]:
                    continue
                say(f"round {number + 1} of {rounds}: {task}, {name}")
                try:
                    result["rounds"].append(run(servers[name]))
                except (Failed, OSError) as error:
                    result["faults"].append(str(error))
    say("")
    return results


def rotated(names: list[str], by: int) -> list[str]:
    by %= max(1, len(names))
    return names[by:] + names[:by]


def say(text: str) -> None:
    """Shows the progress on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# ---- output ---------------------------------------------------------------------------------------------------------

class Column(NamedTuple):
    title: str
    key: str
    scale: float = 1
    has_range: bool = False
    is_missing: Callable[[Row], bool] = lambda _row: False
    """Whether a measurement has no such figure."""


DISTURBED = 0.05
"""Share of a window above which a wait for the core is reported: something else ran there."""


def print_results(title: str, columns: Sequence[Column], results: dict[str, dict[str, list]]) -> None:
    print(f"\n**{title}**\n")
    rows = [[name, *cells(columns, result["rounds"])] for name, result in results.items() if result["rounds"]]
    if rows:
        print_table([["server", *(column.title for column in columns)], *rows])
    remarks = [f"{name}: WRONG: {fault}" for name, result in results.items() for fault in result["faults"]]
    for name, result in results.items():
        count = sum(row["server_waited_s"] > DISTURBED * row["window_s"] for row in result["rounds"])
        if count:
            remarks.append(f"{name} waited for its core in {count} of {len(result['rounds'])} measurements, more than "
                           f"{DISTURBED:.0%} of the time: it had company, or threads of its own")
    print("".join(f"\n{remark}\n" for remark in remarks), end="", flush=True)


def cells(columns: Sequence[Column], rounds: list[Row]) -> list[str]:
    return [cell(column, [row[column.key] * column.scale for row in rounds], rounds) for column in columns]


def cell(column: Column, values: list[float], rounds: list[Row]) -> str:
    if any(column.is_missing(row) for row in rounds):
        return "-"
    figures = spread(values)
    median = number(figures["median"])
    if not column.has_range or len(values) == 1:
        return median
    return f"{median} ({number(figures['low'])} to {number(figures['high'])})"


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_table(rows: list[list[str]]) -> None:
    """A Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for line in (rows[0], rule, *rows[1:]):
        first, *others = zip(line, widths)
        print("| " + " | ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]) + " |")
