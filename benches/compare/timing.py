"""Times the servers: all of them in each round, so that a disturbance of the machine affects all of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from statistics import median
from typing import Any

import client
import machine
import wrk
from scenarios import Ability, Scenario
from servers import Ready, Running, Unavailable


@dataclass(frozen=True)
class Plan:
    """How long, how often, and where."""

    rounds: int
    window: float
    """Seconds of one window."""
    warmup: float
    """Seconds that each server gets before the first round of a scenario."""
    server_core: int
    client_core: int
    directory: Path


Say = Callable[[str], None]


def time_scenario(scenario: Scenario, servers: Sequence[Ready], plan: Plan, say: Say) -> dict[str, dict[str, Any]]:
    """Checks the servers, then times them round by round. Returns, for each server: `faults`, `rounds`, `summary`."""
    running: dict[str, Running] = {}
    results: dict[str, dict[str, Any]] = {}
    try:
        for ready in servers:
            name = ready.server.name
            results[name] = {"faults": [], "rounds": []}
            try:
                running[name] = server = Running(ready, scenario, plan.directory, plan.server_core)
                results[name]["faults"] = check(server, scenario)
                _window(scenario, server, plan, plan.warmup)
            except (Unavailable, wrk.WrkFailed, OSError) as error:
                _give_up(name, str(error), results, running)
        for number in range(plan.rounds):
            say(f"{scenario.name}: round {number + 1} of {plan.rounds}")
            for name in _rotated(list(running), number):
                try:
                    results[name]["rounds"].append(_window(scenario, running[name], plan, plan.window, number))
                except (Unavailable, wrk.WrkFailed, OSError) as error:
                    _give_up(name, str(error), results, running)
    finally:
        for server in running.values():
            server.stop()
    floor = [window for ready in servers if ready.server.is_floor for window in results[ready.server.name]["rounds"]]
    for ready in servers:
        result = results[ready.server.name]
        result["summary"] = summary(result["rounds"], floor)
        result["is_ranked"] = not ready.server.is_floor and not result["faults"] and result["summary"] is not None
    return results


def check(server: Running, scenario: Scenario) -> list[str]:
    """What is wrong with the answers, in short. The floor knows no paths, so it can neither route nor miss one."""
    found = []
    if not server.ready.server.is_floor:
        found += client.unknown_path_faults(server.port)
    if not server.ready.server.is_floor or scenario.needs is not Ability.ROUTER:
        found += client.faults(server.port, scenario)
    return found if len(found) <= 3 else [*found[:2], f"and {len(found) - 2} faults more"]


def _give_up(name: str, why: str, results: dict[str, dict[str, Any]], running: dict[str, Running]) -> None:
    results[name]["faults"].append(why)
    if server := running.pop(name, None):
        server.stop()


def _rotated(names: list[str], by: int) -> list[str]:
    by %= max(len(names), 1)
    return names[by:] + names[:by]


def _window(scenario: Scenario, server: Running, plan: Plan, seconds: float, number: int = 0) -> dict[str, Any]:
    """One window of one server. The CPU time runs from before the start of wrk until its connections are closed, so
    it includes the cost of opening and closing them. All requests that were answered in that time count."""
    if not server.is_alive():
        raise Unavailable(f"ended with {server.process.returncode}")
    requests = wrk.write_requests(scenario, server.port, plan.directory)
    pids = server.pids()
    before = machine.cpu_time(pids)
    figures = wrk.drive(scenario, server.port, requests, seconds, plan.client_core)
    time.sleep(0.02)
    cpu = machine.cpu_time(pids).since(before)
    if not server.is_alive():
        raise Unavailable(f"ended with {server.process.returncode}")
    return {
        "round": number,
        "requests": figures.requests,
        "seconds": figures.seconds,
        "requests_per_second": figures.requests / figures.seconds,
        "p50_us": figures.p50_us,
        "p99_us": figures.p99_us,
        "cpu_ns": cpu.spent,
        "waited_ns": cpu.waited,
        "cpu_us_per_request": cpu.spent / 1000 / figures.requests if figures.requests else None,
        "cpu_percent": cpu.spent / figures.seconds / 1e7,
        "waited_percent": cpu.waited / figures.seconds / 1e7,
        "time_wait": machine.sockets_in_time_wait(),
        "errors": dict(figures.errors),
    }


def summary(rounds: Sequence[dict[str, Any]], floor: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Medians, their intervals, and the ratio to the floor, paired round by round. None without an answered request."""
    answered = [window for window in rounds if window["requests"]]
    if not answered:
        return None
    floors = {window["round"]: window["cpu_us_per_request"] for window in floor if window["requests"]}
    ratios = [window["cpu_us_per_request"] / floors[window["round"]]
              for window in answered if window["round"] in floors]
    errors: dict[str, int] = {}
    for window in rounds:
        for kind, count in window["errors"].items():
            errors[kind] = errors.get(kind, 0) + count
    medians = {}
    for key in ("requests_per_second", "p50_us", "p99_us", "cpu_percent", "waited_percent"):
        values = [window[key] for window in answered if window[key] is not None]
        medians[key] = median(values) if values else None
    return {
        **medians,
        "cpu_us_per_request": spread([window["cpu_us_per_request"] for window in answered]),
        "ratio_to_floor": spread(ratios) if ratios else None,
        "windows": len(answered),
        "errors": errors,
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median, its interval, and the extremes."""
    low, high, confidence = median_interval(values)
    return {"median": median(values), "low": low, "high": high, "confidence": confidence,
            "min": min(values), "max": max(values)}


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """An interval that holds the true median with the confidence that is returned, at least 95 %.

    It lies between two order statistics, and assumes nothing of the distribution: each value is below the median as
    likely as above it, so the number of those below is that of heads among tossed coins. With fewer than six values
    the extremes are all there is, and the confidence is less.
    """
    ordered = sorted(values)
    count = len(ordered)
    cut, outside = 0, 2 / 2**count
    while 2 * cut + 3 <= count:
        wider = outside + 2 * comb(count, cut + 1) / 2**count
        if wider > 0.05:
            break
        cut, outside = cut + 1, wider
    return ordered[cut], ordered[count - 1 - cut], 1 - min(outside, 1)
