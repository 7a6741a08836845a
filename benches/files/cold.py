#!/usr/bin/env python3
"""How long other clients wait while `monoloop serve` sends a large file that is in the page cache, or is not.

    benches/files/cold.py                       five rounds: about a minute
    benches/files/cold.py --directory /srv      with the file on the disk that /srv is on
    benches/files/cold.py --mib 16 --rounds 1   whether it works: seconds
    benches/files/cold.py --json cold.json      writes the figures to a file

It needs Linux, Python 3.11, cargo, strace, and two cores, of which the first one is for the server and the second one
for the clients. Nothing else should run meanwhile, nor use the disk.

What is done
    alone    A client asks for a file of 1 KiB, again as soon as it has the answer, for two seconds.
    warm     The same, as long as another client downloads a file of 256 MiB that is in the page cache.
    cold     The same, when the file is on the disk alone: it was synced and evicted, and mincore(2) says that it is.
In each round comes each of them, and each with a new server, which has never opened the file before. Then warm and cold
once more below strace, which tells how long each system call took; latencies of those are not told.

What the columns say
    median, 99 %, max      latency of the small requests of all rounds, in microseconds. On a loopback device and with
                           Python as the client, some 50 of them are the client's. `max` is the longest tick, as others
                           feel it; and whatever else took a core meanwhile.
    waited                 microseconds in which the server could have run, and something else did on its core. With
                           much of that, `max` says little: measure again on a quiet machine.
    MB/s                   the download's, beside which the other client takes what it can get. The one that downloads
                           has the lower priority (SCHED_IDLE), so that it does not keep the other from its answer: this
                           says how long the wait could be felt, and nothing of what the server can do.
    the disk               what one reader gets who reads the evicted file from its beginning to its end.
    calls, us              the system calls of the server by which it may wait for a disk.
"""

import argparse
import ctypes
import gc
import json
import mmap
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "compare")]

# All of benches/compare.
import machine
from client import Client, answer_faults
from report import print_table
from scenarios import BY_NAME, Exchange
from servers import BY_NAME as SERVERS
from servers import Ready, Running, build_command

MIB = 1 << 20
LARGE = "/large.bin"
SMALL = Exchange("GET", "/small.bin", random.Random(1).randbytes(1 << 10), "application/octet-stream")

ALONE = 2.0
"""Seconds without a download."""

SETTLE = 0.3
"""Seconds of small requests before the measurement."""

CALLS = "sendfile,fadvise64,openat,openat2,newfstatat,fstat,statx,read,pread64"

PATIENCE = 60
"""Seconds that a download may be silent."""


class Failed(Exception):
    """The measurement failed; the text says why."""


class Case(NamedTuple):
    """What the page cache contains; `None` if there is no download."""
    name: str
    is_cached: bool | None


CASES = (Case("alone", None), Case("warm", True), Case("cold", False))


# ---- the page cache -------------------------------------------------------------------------------------------------

def make_file(path: Path, mib: int) -> None:
    """Random bytes that are on the disk."""
    numbers = random.Random(2)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(numbers.randbytes(MIB))
        file.flush()
        os.fsync(file.fileno())


def evict(path: Path) -> None:
    """Makes the kernel drop a file from the page cache, and checks that it did."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if (share := cached_share(path)) > 0.01:
        raise Failed(f"{share:.0%} of {path} stays in the page cache; is its file system one in memory?")


def read(path: Path) -> float:
    """Reads a whole file, and returns the bytes per second."""
    buffer = bytearray(MIB)
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return path.stat().st_size / (time.perf_counter() - start)


def cached_share(path: Path) -> float:
    """How much of a file is in the page cache, by mincore(2). A mapping that is not touched loads nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapping:
        pages = (ctypes.c_ubyte * -(-len(mapping) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(mapping)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapping)), pages)
        del start
        if failed:
            raise OSError(ctypes.get_errno(), "mincore")
    return sum(page & 1 for page in pages) / len(pages)


# ---- the clients ----------------------------------------------------------------------------------------------------

def step_back(core: int) -> None:
    """Makes a process run only when no other wants to."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def download(port: int, size: int) -> float:
    """Counts the bytes of the large file, and returns the seconds that it took."""
    start = time.perf_counter()
    with Client(port, PATIENCE) as client:
        client.send(Exchange("GET", LARGE, b"").request(port))
        status, _, length = client.receive_head()
        if (status, length) != (200, size):
            raise Failed(f"status {status} and {length} bytes of {LARGE}")
        left = length - len(client.input)
        client.input.clear()
        while left > 0:
            left -= client.skip(MIB)
    return time.perf_counter() - start


def probe(port: int, is_over: Callable[[], bool]) -> list[float]:
    """Latencies of small requests, one after the other, in microseconds."""
    request = SMALL.request(port)
    latencies = []
    with Client(port, PATIENCE) as client:
        while not is_over():
            start = time.perf_counter_ns()
            client.send(request)
            answer = client.receive()
            latencies.append((time.perf_counter_ns() - start) / 1000)
            if found := answer_faults(answer, SMALL):
                raise Failed("; ".join(found))
    return latencies


def probe_for(port: int, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    return probe(port, lambda: time.perf_counter() > end)


# ---- one measurement ------------------------------------------------------------------------------------------------

class Setting(NamedTuple):
    ready: Ready
    directory: Path
    large: Path
    server_core: int
    client_core: int


class Measured(NamedTuple):
    """Latencies in microseconds; seconds in which the server could not run, because something else did on its core; and
    the bytes per second of the download."""
    latencies: list[float]
    waited: float
    rate: float | None = None


def measure(case: Case, setting: Setting, wrapper: Sequence[str] = ()) -> Measured:
    if case.is_cached is False:
        evict(setting.large)
    elif case.is_cached:
        read(setting.large)
    with Running(setting.ready, BY_NAME["static-1k"], setting.directory, setting.server_core, wrapper, 20) as server:
        probe_for(server.port, SETTLE)
        before = machine.cpu_time(server.pids())

        def waited() -> float:
            return machine.cpu_time(server.pids()).since(before).waited / 1e9

        if case.is_cached is None:
            return Measured(probe_for(server.port, ALONE), waited())
        size = setting.large.stat().st_size
        with ProcessPoolExecutor(1, get_context("fork"), step_back, (setting.client_core,)) as pool:
            pool.submit(int).result()       # it has started
            running = pool.submit(download, server.port, size)
            latencies = probe(server.port, running.done)
            return Measured(latencies, waited(), size / running.result())


def trace(case: Case, setting: Setting) -> dict[str, list[float]]:
    """Microseconds of the server's calls, by name."""
    out = setting.directory / f"{case.name}.strace"
    wrapper = ("strace", "-f", "-qq", "--seccomp-bpf", "-T", "-e", f"trace={CALLS}", "-o", str(out))
    measure(case, setting, wrapper)
    times = defaultdict(list)
    for name, seconds in re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)\b.*<([\d.]+)>$", out.read_text(), re.M):
        times[name].append(float(seconds) * 1e6)
    return times


# ---- results --------------------------------------------------------------------------------------------------------

def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"count": len(ordered), "median": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100],
            "max": ordered[-1]}


def cells(figures: dict[str, float]) -> list[str]:
    return [f"{figures['count']:,}", *(f"{figures[key]:,.0f}" for key in ("median", "p99", "max"))]


def print_results(results: dict[str, Any]) -> None:
    print(f"the disk: {results['disk'] / 1e6:,.0f} MB/s\n\nLatency of small requests, us")
    rows = []
    for name, case in results["cases"].items():
        rate = f"{case['bytes_per_second'] / 1e6:,.0f}" if case["bytes_per_second"] else "-"
        highest, waited = (" ".join(f"{value:,.0f}" for value in case[key]) for key in ("max_of_rounds", "waited_us"))
        rows.append([name, *cells(case["latency_us"]), highest, waited, rate])
    head = ["file", "requests", "median", "99 %", "max", "max of each round", "waited in each round", "MB/s"]
    print_table(head, rows, left=1)
    print("\nSystem calls of the server below strace, us each")
    rows = [[case, call, *cells(figures)] for case, calls in results["calls_us"].items()
            for call, figures in calls.items()]
    print_table(["file", "call", "calls", "median", "99 %", "max"], rows)


def run(setting: Setting, rounds: int) -> dict[str, Any]:
    measured: dict[str, list[Measured]] = {case.name: [] for case in CASES}
    calls: dict[str, dict[str, list[float]]] = {case.name: defaultdict(list) for case in CASES if case.name != "alone"}
    disk = []
    for _ in range(rounds):
        evict(setting.large)
        disk.append(read(setting.large))
        for case in CASES:
            measured[case.name].append(measure(case, setting))
        for case in CASES:
            if case.name in calls:
                for name, times in trace(case, setting).items():
                    calls[case.name][name] += times
    return {
        "disk": statistics.median(disk),
        "cases": {name: {
            "latency_us": spread([latency for one in by_round for latency in one.latencies]),
            "max_of_rounds": [max(one.latencies) for one in by_round],
            "waited_us": [one.waited * 1e6 for one in by_round],
            "bytes_per_second": statistics.median(one.rate for one in by_round) if by_round[0].rate else None,
        } for name, by_round in measured.items()},
        "calls_us": {case: {name: spread(times) for name, times in by_name.items()} for case, by_name in calls.items()},
    }


def main() -> None:
    options = parse_options()
    if not shutil.which("strace"):
        sys.exit("strace is not installed (Debian: apt install strace)")
    command = build_command()
    cores = sorted(os.sched_getaffinity(0))
    # Compiling may use all cores; from here on the server has its core alone.
    os.sched_setaffinity(0, {cores[1 % len(cores)]})
    described = machine.describe()
    print(f"{described['cpu']}, {described['cores']} cores, {described['kernel']}, {described['congestion_control']}; "
          f"a file of {options.mib} MiB")
    with tempfile.TemporaryDirectory(prefix="monoloop-cold-", dir=options.directory) as name:
        directory = Path(name)
        files = directory / "files"
        files.mkdir()
        large = files / LARGE.removeprefix("/")
        make_file(large, options.mib)
        (files / SMALL.target.removeprefix("/")).write_bytes(SMALL.answer)
        ready = Ready(SERVERS["monoloop"], command, machine.first_line([str(command), "--version"]), command)
        gc.disable()
        results = run(Setting(ready, directory, large, cores[0], cores[1 % len(cores)]), options.rounds)
    print_results(results)
    if options.json:
        settings = {"mib": options.mib, "rounds": options.rounds}
        options.json.write_text(json.dumps({"machine": described, "settings": settings, **results}, indent=1) + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="MiB of the large file (256)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--directory", type=Path, help="where the file is written (that of temporary files)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    if options.mib < 1 or options.rounds < 1:
        parser.error("at least one MiB and one round")
    return options


if __name__ == "__main__":
    try:
        main()
    except Failed as why:
        sys.exit(str(why))
