"""Drives a server with wrk."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scenarios import Scenario

SCRIPT = Path(__file__).resolve().parent / "drive.lua"


class WrkFailed(Exception):
    """wrk gave no figures."""


@dataclass(frozen=True)
class Figures:
    """The figures of wrk."""

    requests: int
    seconds: float
    p50_us: int | None
    p99_us: int | None
    """None for pipelined requests: wrk corrects latencies for requests that it could not send in time, and there it
    takes a sixteenth of a batch's time for the time of a request."""
    errors: Mapping[str, int]
    """The errors that occurred: connect, read, write, status (above 399), timeout."""


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def write_requests(scenario: Scenario, port: int, directory: Path) -> Path:
    """The file that drive.lua sends."""
    path = directory / f"{scenario.name}-{port}.requests"
    path.write_bytes(b"\0".join(scenario.batch * exchange.request(port) for exchange in scenario.exchanges))
    return path


def drive(scenario: Scenario, port: int, requests: Path, seconds: float, core: int) -> Figures:
    """One window. wrk knows whole seconds only, so it is started for longer and interrupted: it then ends within a
    tenth of a second, and tells how long it has really run."""
    command = ["wrk", "-t1", f"-c{scenario.connections}", f"-d{int(seconds) + 5}", "--timeout", "2s", "-s", str(SCRIPT),
               f"http://127.0.0.1:{port}/", "--", str(requests)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}), start_new_session=True)
    try:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired as error:
        raise WrkFailed("wrk did not end") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    match = re.search(r"^figures (.*)$", output, re.M)
    if not match:
        raise WrkFailed("wrk printed no figures: " + (output.strip().splitlines() or ["nothing"])[-1])
    raw = json.loads(match.group(1))
    errors = {kind: count for kind, count in raw["errors"].items() if count}
    p50, p99 = (None, None) if scenario.batch > 1 else (raw["p50_us"], raw["p99_us"])
    return Figures(raw["requests"], raw["duration_us"] / 1e6, p50, p99, errors)
