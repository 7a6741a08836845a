#!/usr/bin/env python3
"""Compares monoloop with other HTTP servers: one core for the server, one for the client, all servers in each round.

Needs Linux, Python 3.11, cargo and wrk; strace and valgrind for the counts. A server that is not installed or does not
build is left out, and a line says so. README.md says what is compared, and what is not comparable."""

import argparse
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import counts
import machine
import memory
import report
import timing
import wrk
from scenarios import BY_NAME as SCENARIOS
from scenarios import Scenario
from servers import BY_NAME as SERVERS
from servers import Ready, Unavailable, prepare, write_files

SCHEMA = 1
"""Version of the format of the JSON file. It grows when a reader of the old format would fail."""


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    machine.raise_descriptor_limit()
    if options.times and not wrk.is_installed():
        sys.exit("wrk is not installed (Debian: apt install wrk)")
    ready, skipped = prepare_all(options.servers)
    results = {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "settings": {"rounds": options.rounds, "window": options.window, "warmup": options.warmup,
                     "server_core": options.server_core, "client_core": options.client_core},
        "servers": {one.server.name: {"version": one.version, "notes": list(one.server.notes)} for one in ready},
        "skipped": skipped,
        "scenarios": {},
        "counts": {},
        "memory": {},
    }
    # Compiling may use all cores; from here on the servers have their core alone.
    os.sched_setaffinity(0, {options.client_core})
    report.print_setting(results)
    with tempfile.TemporaryDirectory(prefix="monoloop-compare-") as name:
        directory = Path(name)
        directory.chmod(0o755)      # h2o gives up the rights of root, and must still find its files
        write_files(directory)
        try:
            measure(options, ready, directory, results)
        finally:
            save(options.json, results)


def measure(options: argparse.Namespace, ready: list[Ready], directory: Path, results: dict[str, Any]) -> None:
    """Runs the chosen measurements; `results` and the file grow meanwhile."""
    plan = timing.Plan(options.rounds, options.window, options.warmup, options.server_core, options.client_core,
                       directory)
    if options.times:
        for scenario in options.only:
            results["scenarios"][scenario.name] = one_scenario(scenario, ready, plan)
            report.print_scenario(scenario.name, results["scenarios"][scenario.name])
            save(options.json, results)
        print(report.LEGEND + "\n", flush=True)
    if options.counts:
        counts.count(options.only, ready, directory, options.server_core, results["counts"], say)
        report.print_counts(results["counts"])
        save(options.json, results)
    if options.memory:
        chosen = [one for one in ready if options.servers_given or one.server.name in memory.USUAL]
        memory.measure(chosen, directory, options.server_core, results["memory"], say)
        report.print_memory(results["memory"])


def one_scenario(scenario: Scenario, ready: list[Ready], plan: timing.Plan) -> dict[str, Any]:
    taking_part = [one for one in ready if one.server.takes_part_in(scenario)]
    timed = timing.time_scenario(scenario, taking_part, plan, say)
    say("")
    return {
        "title": scenario.title,
        "connections": scenario.connections,
        "batch": scenario.batch,
        "results": timed,
        "absent": [one.server.name for one in ready if not one.server.takes_part_in(scenario)],
        "absent_because": f"without {scenario.needs.value}",
    }


def prepare_all(names: list[str]) -> tuple[list[Ready], dict[str, str]]:
    """Builds and finds the servers."""
    ready, skipped = [], {}
    for name in names:
        say(f"preparing {name}")
        try:
            ready.append(prepare(SERVERS[name]))
        except Unavailable as why:
            skipped[name] = str(why)
    say("")
    return ready, skipped


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each scenario (10)")
    parser.add_argument("--window", type=float, default=1.2, help="seconds of each server in each round (1.2)")
    parser.add_argument("--warmup", type=float, default=0.8, help="seconds of each server before the first round (0.8)")
    parser.add_argument("--only", metavar="NAME,..", help="scenarios: " + ", ".join(SCENARIOS))
    parser.add_argument("--servers", metavar="NAME,..", help="servers: " + ", ".join(SERVERS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, each window included, to FILE")
    parser.add_argument("--no-counts", action="store_true", help="no system calls, no instructions")
    parser.add_argument("--counts-only", action="store_true", help="system calls and instructions, no times")
    parser.add_argument("--memory", action="store_true",
                        help=f"memory as well (of {', '.join(memory.USUAL)}, or of those in --servers)")
    parser.add_argument("--memory-only", action="store_true", help="memory, no times, no counts")
    parser.add_argument("--server-core", type=int, help="core of the servers (the first one)")
    parser.add_argument("--client-core", type=int, help="core of the clients (the second one)")
    options = parser.parse_args()
    if options.rounds < 1 or options.window < 0.3 or options.warmup < 0.3:
        parser.error("at least one round, and 0.3 seconds for a window")
    cores = sorted(os.sched_getaffinity(0))
    options.server_core = cores[0] if options.server_core is None else options.server_core
    options.client_core = cores[1 % len(cores)] if options.client_core is None else options.client_core
    options.times = not options.counts_only and not options.memory_only
    options.counts = not options.no_counts and not options.memory_only
    options.memory = options.memory or options.memory_only
    options.servers_given = options.servers is not None
    options.only = [SCENARIOS[name] for name in chosen(parser, options.only, list(SCENARIOS))]
    options.servers = chosen(parser, options.servers, list(SERVERS))
    return options


def chosen(parser: argparse.ArgumentParser, text: str | None, known: list[str]) -> list[str]:
    """The names in a list with commas, in the order of `known`; all of them without a list."""
    names = known if text is None else text.split(",")
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    return [name for name in known if name in names]


def say(text: str) -> None:
    """Shows the progress on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def save(path: Path | None, results: dict[str, Any]) -> None:
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
