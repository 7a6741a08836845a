#!/usr/bin/env python3
"""Prints the tables of a comparison, as it runs or from the file that `run.py --json FILE` wrote: report.py FILE"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BUSY = 95
"""Per cent of its core below which a server had time to spare: then wrk was the slower of the two."""

DISTURBED = 5
"""Per cent of a window above which a wait for the core is reported: something else ran there."""

PACED = ("bbr", "bbr1", "bbr2", "bbr3")
"""Congestion controls that change the results."""

LEGEND = f"""\
How to read it. `CPU us` is the server's own CPU time for one request in microseconds, kernel included: compare this.
It is the median of the rounds; [..] is an interval that holds the true median with 95 % confidence (with fewer than six
rounds: the extremes), and then come the extremes. `x floor` is the ratio to the floor's in the same round, median and
interval. Two rows whose intervals overlap have no order. Latency and requests per second depend on wrk too: where
`CPU %` is below {BUSY} (<), wrk was the slower of the two, and these columns say little about the server.
Rows stand in the order of CPU us. Rows without a number are not ranked: the floor, which is no server, and those that
answer wrongly (x, and a line below the table)."""


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 2) -> None:
    """Columns as wide as needed; the first `left` are flush left."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (cell.ljust(width) if column < left else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        print("  " + "  ".join(cells).rstrip())


def print_setting(results: dict[str, Any]) -> None:
    machine, settings = results["machine"], results["settings"]
    print(f"{results['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, {machine['rustc']}")
    print(f"servers on core {settings['server_core']}, clients on core {settings['client_core']}")
    if machine.get("congestion_control") in PACED:
        print(f"TCP's congestion control is {machine['congestion_control']}, which sends by timers: see README.md")
    if settings["server_core"] == settings["client_core"]:
        print("there is only one core: servers and clients take it from each other")
    print()
    print_table(["server", "version", "notes"],
                ([name, server["version"], "; ".join(server["notes"])] for name, server in results["servers"].items()),
                left=3)
    for name, why in results["skipped"].items():
        print(f"  {name} skipped: {why}")
    print()


def print_scenario(name: str, scenario: dict[str, Any]) -> None:
    """The table of one scenario."""
    print(f"{name}: {scenario['title']}")
    results = scenario["results"]
    timed = {server: result for server, result in results.items() if result["summary"]}
    order = sorted(timed, key=lambda server: timed[server]["summary"]["cpu_us_per_request"]["median"])
    rank, rows, remarks = 0, [], []
    for server in order:
        result, numbers = timed[server], timed[server]["summary"]
        is_ranked = result["is_ranked"]
        rank += is_ranked
        rows.append([str(rank) if is_ranked else "x" if result["faults"] else "", server, *_cells(numbers)])
        remarks += _remarks(server, result, numbers)
    head = ["#", "server", "requests/s", "p50 us", "p99 us", "CPU %", "CPU us", "", "min-max", "x floor", ""]
    print_table(head, rows)
    remarks += _disturbances(timed)
    for server in (server for server in results if server not in timed):
        remarks.append(f"{server}: no figures: " + "; ".join(results[server]["faults"]))
    if scenario["absent"]:
        remarks.append(f"{scenario['absent_because']}: " + ", ".join(scenario["absent"]))
    for remark in remarks:
        print("  " + remark)
    print(flush=True)


def _cells(numbers: dict[str, Any]) -> list[str]:
    cpu, ratio = numbers["cpu_us_per_request"], numbers["ratio_to_floor"]
    return [
        f"{numbers['requests_per_second']:,.0f}",
        _latency(numbers["p50_us"]),
        _latency(numbers["p99_us"]),
        f"{numbers['cpu_percent']:.0f}" + (" " if numbers["cpu_percent"] >= BUSY else "<"),
        _number(cpu["median"]),
        f"[{_number(cpu['low'])}, {_number(cpu['high'])}]",
        f"{_number(cpu['min'])}-{_number(cpu['max'])}",
        f"{ratio['median']:.2f}" if ratio else "-",
        f"[{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio else "",
    ]


def _latency(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _remarks(server: str, result: dict[str, Any], numbers: dict[str, Any]) -> list[str]:
    remarks = [f"{server}: WRONG: {fault}" for fault in result["faults"]]
    if numbers["errors"]:
        errors = ", ".join(f"{number} {kind}" for kind, number in numbers["errors"].items())
        remarks.append(f"{server}: wrk saw errors: {errors}")
    return remarks


def _disturbances(timed: dict[str, Any]) -> list[str]:
    """The servers that waited for the core, and in how many windows. (Several threads wait for each other, too.)"""
    windows = {server: [window["waited_percent"] > DISTURBED for window in result["rounds"]]
               for server, result in timed.items()}
    found = [f"{server} {sum(waits)} of {len(waits)}" for server, waits in windows.items() if any(waits)]
    return [f"windows with more than {DISTURBED} % of waiting for the core: " + ", ".join(found)] if found else []


def print_counts(counts: dict[str, Any]) -> None:
    """Two tables: system calls and instructions, x before those of wrong answers."""
    for kind, title in (("syscalls", "System calls per request (strace)"),
                        ("instructions", "User-space instructions per request (valgrind)")):
        if not counts.get(kind):
            continue
        print(title)
        table = counts[kind]
        names = list(table)
        servers = list(dict.fromkeys(server for column in table.values() for server in column))
        rows = [[server, *(_count(table[name].get(server)) for name in names)] for server in servers]
        print_table(["server", *names], rows, left=1)
        if kind == "syscalls":
            for server in servers:
                for name in names:
                    calls = (table[name].get(server) or {}).get("calls", {})
                    if calls:
                        print(f"    {server}, {name}: " + ", ".join(f"{call} {n:.2f}" for call, n in calls.items()))
        print()
    for line in counts.get("failures", []):
        print("  " + line)
    print(flush=True)


def _count(count: dict[str, Any] | None) -> str:
    if count is None:
        return "-"
    mark = "x" if count["faults"] else ""
    return mark + (f"{count['per_request']:,.0f}" if "calls" not in count else f"{count['per_request']:.2f}")


def print_memory(memory: dict[str, Any]) -> None:
    """What servers keep: at the start, for an idle connection, for a slow reader, for a slow download."""
    print("Memory that belongs to the processes alone (resident): at the start in MB, then bytes for each connection")
    counts = list(dict.fromkeys(row["connections"] for result in memory.values() for row in result.get("idle", [])))
    head = ["server", "start MB", *(f"{count:,} idle" for count in counts), "slow reader of 1 MiB",
            "slow download of 1 GiB", "MB with all of these"]
    rows = []
    for server, result in memory.items():
        if not result.get("start"):
            continue
        idle = {row["connections"]: row for row in result["idle"]}
        slow, download = result["slow"], result.get("download")
        rows.append([
            server,
            f"{result['start']['private'] / 1e6:.2f} ({result['start']['resident'] / 1e6:.2f})",
            *(f"{idle[count]['private_each']:,.0f} ({idle[count]['resident_each']:,.0f})" if count in idle else "-"
              for count in counts),
            *(f"{row['private_each']:,.0f} ({row['resident_each']:,.0f})" if row else "-" for row in (slow, download)),
            f"{download['private'] / 1e6:.2f} ({download['resident'] / 1e6:.2f})" if download else "-",
        ])
    print_table(head, rows, left=1)
    for server, result in memory.items():
        for fault in result["faults"]:
            print(f"  {server}: {fault}")
    print(flush=True)


def print_all(results: dict[str, Any]) -> None:
    print_setting(results)
    for name, scenario in results["scenarios"].items():
        print_scenario(name, scenario)
    if results["scenarios"]:
        print(LEGEND + "\n")
    if results["counts"]:
        print_counts(results["counts"])
    if results["memory"]:
        print_memory(results["memory"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print_all(json.loads(Path(sys.argv[1]).read_text()))
