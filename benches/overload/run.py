#!/usr/bin/env python3
"""What attacks cost the other clients of monoloop: a polite client sends one small request after another meanwhile.

    cargo build --release
    benches/overload/run.py                     all rows: about six minutes
    benches/overload/run.py --short             fewer clients and shorter: four minutes
    benches/overload/run.py --only listing-10   one row; may be repeated
    benches/overload/run.py --binary FILE       another build of the command
    benches/overload/run.py --json FILE         also writes the figures to a file

It needs Linux, Python 3.11, cargo and two cores, of which the first one is for the server and the second one for the
clients. 20,000 descriptors (`ulimit -Hn`) are for the row with 9,000 clients; with less there are fewer clients. Only
root can make control groups; without them, these rows are left out. All of it stays on the loopback device.

The README beside this file says what the columns and the bars mean. The exit code is 1 if a bar is missed.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "compare")]

import attacks
import flood
import machine  # of benches/compare
from polite import Polite, Sample, Summary, summary
from process import MIB, Failed, Process, can_make_groups, knows_budget
from report import print_table  # of benches/compare
from rows import BY_NAME, ROWS, Row

ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()

CPU_BAR = 25.0
"""Milliseconds of the server's CPU time between a polite request and its answer."""
WAIT_TIMES, TICK = 3, 10.0
"""The median wait may be this many times that beside an idle server, and one tick in milliseconds."""
ABOVE_BUDGET, ABOVE_START = 8 * MIB, 4 * MIB
"""Bytes that may be resident above the budget at any time, and above the start ten seconds after the attack."""
RECOVERY = 10.0
"""Seconds after the attack at which the memory is looked at."""


class Times(NamedTuple):
    """Seconds."""
    idle: float
    attack: float


class Result(NamedTuple):
    idle: Summary
    beside: Summary
    start: int
    peak: int
    after: int
    is_well: bool
    notes: list[str]
    misses: list[str]


# ---- one row --------------------------------------------------------------------------------------------------------

def measure(row: Row, command: list[str], cores: list[int], times: Times, is_short: bool) -> Result:
    with Process(command, row.limits, cores[0], reads_errors=row.reads_errors) as server:
        scene = attacks.Scene(server, times.attack, is_short)
        if row.prepare:
            row.prepare(scene)
        target = "/small.txt" if row.kind == "serve" else "/plaintext"
        polite = Polite(server.port, server.pid, target, cores[-1])
        time.sleep(times.idle)
        server.forget_peak()
        start, begin, notes, misses = server.resident(), time.monotonic(), [], []
        for attack in row.attacks:
            seen = attack(scene) if server.is_alive() else attacks.Seen("the server has ended")
            notes.append(seen.note)
            misses += seen.misses
        end = time.monotonic()
        samples = polite.stop()
        time.sleep(max(0.0, RECOVERY - (time.monotonic() - end)))
        is_well = server.is_alive() and answers(server.port, target)
        idle, beside = split(samples, begin, end)
        result = Result(summary(idle), summary(beside), start, server.peak(), server.resident(), is_well, notes, misses)
        result.misses.extend(missed(row, result))
        return result


def split(samples: list[Sample], begin: float, end: float) -> tuple[list[Sample], list[Sample]]:
    """The samples before the attack, and those that had any part in it."""
    return ([one for one in samples if one.start + one.wait < begin],
            [one for one in samples if one.start < end and one.start + one.wait >= begin])


def answers(port: int, target: str) -> bool:
    try:
        return flood.ask(port, attacks.get(target), 5)[0] == 200
    except OSError:
        return False


def missed(row: Row, result: Result) -> list[str]:
    """The bars that are missed, in words."""
    idle, beside, found = result.idle, result.beside, []
    if beside.cpu_max > CPU_BAR:
        found.append(f"{beside.cpu_max:,.1f} ms of CPU before an answer (bar: {CPU_BAR:.0f})")
    if beside.wait_median > (bar := WAIT_TIMES * idle.wait_median + TICK):
        found.append(f"a median wait of {beside.wait_median:,.1f} ms (bar: {bar:.1f})")
    if beside.refused:
        found.append(f"{beside.refused} of {beside.count} polite requests refused: {', '.join(beside.reasons)}")
    if result.peak > (bar := (row.limits.budget or 0) + ABOVE_BUDGET):
        found.append(f"{in_mib(result.peak)} MiB resident (bar: {in_mib(bar)})")
    if result.after > (bar := result.start + ABOVE_START):
        found.append(f"{in_mib(result.after)} MiB resident after {RECOVERY:.0f} s (bar: {in_mib(bar)})")
    if not result.is_well:
        found.append("the server does not answer after the attack, or has ended")
    return found


# ---- all rows -------------------------------------------------------------------------------------------------------

HEAD = ["row", "attack", "polite", "CPU ms", "max", "new", "idle ms", "wait ms", "max", "refused", "start MiB", "peak",
        "after", "well", "before the bounds"]


def in_mib(size: float) -> str:
    return f"{size / MIB:,.1f}"


def cells(row: Row, result: Result) -> list[str]:
    idle, beside = result.idle, result.beside
    return [row.name, row.title, f"{beside.count:,}", f"{beside.cpu_median:.2f}", f"{beside.cpu_max:,.1f}",
            f"{beside.cpu_max_new:,.1f}",
            f"{idle.wait_median:.2f}", f"{beside.wait_median:.2f}", f"{beside.wait_max:,.0f}", str(beside.refused),
            in_mib(result.start), in_mib(result.peak), in_mib(result.after), "yes" if result.is_well else "NO",
            row.before]


def print_results(results: dict[str, Result]) -> None:
    print_table(HEAD, [cells(BY_NAME[name], result) for name, result in results.items()], left=2)
    print(f"\nThe bars: CPU at most {CPU_BAR:.0f} ms; median wait at most {WAIT_TIMES} x idle + {TICK:.0f} ms; none "
          f"refused; resident at most the budget\n+ {in_mib(ABOVE_BUDGET)} MiB, and {RECOVERY:.0f} s after the attack "
          f"at most the start + {in_mib(ABOVE_START)} MiB; and all is well afterwards.\n")
    for name, result in results.items():
        print(f"  {name}: {'; '.join(result.notes)}")
        for miss in result.misses:
            print(f"    missed: {miss}")
    missing = [name for name, result in results.items() if result.misses]
    print(f"\n{len(results) - len(missing)} of {len(results)} rows keep their bars"
          + (f"; missed in {', '.join(missing)}" if missing else ""))


class Commands(NamedTuple):
    """How each kind of server is started."""
    binary: Path
    directory: Path
    has_budget: bool
    """The command has the option for it."""

    def of(self, row: Row) -> list[str]:
        if row.kind == "events":
            return [str(TARGET / "release" / "overload")]
        budget = ["--max-memory", str(row.limits.budget)] if self.has_budget and row.limits.budget else []
        directory = [str(self.directory)] if row.kind == "serve" else []
        return [str(self.binary), row.kind, *directory, "--port", "0", *budget, *row.options]


def build(options: argparse.Namespace) -> Path:
    cargo = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(TARGET)]
    if any(row.kind == "events" for row in chosen(options)):
        subprocess.run([*cargo, "--manifest-path", str(HERE / "Cargo.toml")], check=True)
    if options.binary:
        return options.binary.resolve()
    subprocess.run([*cargo, "--bin", "monoloop"], cwd=ROOT, check=True)
    return TARGET / "release" / "monoloop"


def chosen(options: argparse.Namespace) -> list[Row]:
    return [row for row in ROWS if not options.only or row.name in options.only]


def run(options: argparse.Namespace) -> dict[str, Result]:
    binary = build(options)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    machine.raise_descriptor_limit()
    times = Times(0.5, 2.0) if options.short else Times(1.5, 5.0)
    has_groups = can_make_groups()
    results = {}
    with tempfile.TemporaryDirectory(prefix="monoloop-overload-") as name:
        attacks.write_files(Path(name))
        commands = Commands(binary, Path(name), knows_budget(str(binary)))
        for row in chosen(options):
            if row.limits.group and not has_groups:
                print(f"{row.name} is left out: only root can make a memory control group, if the kernel has them")
                continue
            print(f"{row.name} ...", file=sys.stderr, flush=True)
            results[row.name] = measure(row, commands.of(row), cores[:2], times, options.short)
    return results


def as_json(results: dict[str, Result]) -> dict[str, Any]:
    return {name: {key: value._asdict() if isinstance(value, Summary) else value
                   for key, value in result._asdict().items()} for name, result in results.items()}


def main() -> int:
    options = parse_options()
    gc.disable()
    results = run(options)
    print_results(results)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.describe(), "rows": as_json(results)}, indent=1) + "\n")
    return 1 if any(result.misses for result in results.values()) else 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(BY_NAME), metavar="NAME",
                        help=f"a row, may be repeated: {', '.join(BY_NAME)}")
    parser.add_argument("--binary", type=Path, help="the command to attack (built from this repository)")
    parser.add_argument("--short", action="store_true", help="shorter, and with fewer clients")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as why:
        sys.exit(str(why))
