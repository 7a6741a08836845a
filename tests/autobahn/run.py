#!/usr/bin/env python3
"""Runs the Autobahn test suite against the WebSocket echo of the demo, and sums up what it found.

    cargo build --release
    tests/autobahn/run.py                           groups 1 to 7, 9 and 10: 301 cases, some four minutes
    tests/autobahn/run.py --deflate                 12 and 13 as well: 216 cases of compression, some minutes more;
                                                    it needs cargo build --release --features websocket-deflate
    tests/autobahn/run.py --cases '5.*,7.1.*'       only these
    tests/autobahn/run.py --url ws://127.0.0.1:9001/    another server, which runs already
    tests/autobahn/run.py --env ~/autobahn          keep what is installed there, and use it again
    tests/autobahn/run.py --report report           keep the suite's own report: open report/index.html

The suite is a program for Python 2.7. The script looks for one in the PATH and where pyenv has it, makes a virtualenv
in a temporary folder, and installs the suite there from PyPI. Where that cannot be had, it says so and is skipped: the
exit code is then 0. It is 1 if a case is neither OK nor informational, or did not run.
"""

import argparse
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()

VIRTUALENV = "virtualenv==20.15.1"
"""The last one that runs on Python 2.7."""

GROUPS = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
"""Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits, and many small writes."""

DEFLATE = ("12.*", "13.*")

GOOD = ("OK", "INFORMATIONAL")
"""The suite's verdicts on what is right, and on what the protocol leaves open."""

STRICT_ENOUGH = "NON-STRICT"
"""Its verdict on what is allowed, but later than it could be. A bar of ours, so it fails the run."""

INSTALL_LIMIT, SUITE_LIMIT = 900, 3600
"""Seconds."""

AGENT = "server"


class Unavailable(Exception):
    """The suite cannot be had here; the text says why."""


class Failed(Exception):
    """The suite or the server did not run as it should; the text says how."""


class Case(NamedTuple):
    number: str
    behavior: str
    """What the suite says of the exchange."""
    closing: str
    """What it says of its end."""


# ---- the suite ------------------------------------------------------------------------------------------------------

def find_python() -> str:
    """A Python 2.7 with pip. The shim of pyenv does not count: it runs only where that version is chosen."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which("python2.7"), *sorted(map(str, versions.glob("2.7*/bin/python"))), shutil.which("pypy")]
    for candidate in filter(None, candidates):
        check = [candidate, "-c", "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))"]
        try:
            if subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0:
                return candidate
        except (OSError, subprocess.TimeoutExpired):
            continue
    raise Unavailable("the Autobahn test suite needs a Python 2.7 with pip, and there is none "
                      "(in the PATH as python2.7 or pypy, or of pyenv)")


def install(folder: Path) -> Path:
    """Installs the suite below the folder, unless it is there. Returns its command."""
    command = folder / "venv" / "bin" / "wstest"
    if command.exists():
        return command
    python = find_python()
    print(f"installing the suite with {python}", flush=True)
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    tool, inside = str(folder / "virtualenv"), str(folder / "venv" / "bin" / "python")
    run([python, *pip, "--target", tool, VIRTUALENV])
    run([python, "-m", "virtualenv", "--quiet", "--no-periodic-update", str(folder / "venv")], PYTHONPATH=tool)
    run([inside, *pip, "--requirement", str(HERE / "requirements.txt")])
    if not command.exists():
        raise Unavailable(f"pip has installed the suite without its command {command.name}")
    return command


def run(command: list[str], **environment: str) -> None:
    """A step of the installation."""
    names = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", **environment}
    try:
        done = subprocess.run(command, env=names, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the suite cannot be installed: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"the suite cannot be installed: {lines[-1] if lines else ' '.join(command)}")


def examine(suite: Path, url: str, cases: list[str], report: Path) -> list[Case]:
    """Runs the cases against the server, and reads the report."""
    report.mkdir(parents=True, exist_ok=True)
    spec = report / "spec.json"
    spec.write_text(json.dumps({"outdir": str(report), "servers": [{"agent": AGENT, "url": url}], "cases": cases,
                                "exclude-cases": [], "exclude-agent-cases": {}}))
    with (report / "wstest.log").open("w") as log:
        command = [str(suite), "-m", "fuzzingclient", "-s", str(spec)]
        try:
            code = subprocess.run(command, cwd=report, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  timeout=SUITE_LIMIT, check=False).returncode
        except subprocess.TimeoutExpired as error:
            raise Failed(f"the suite has not ended within {SUITE_LIMIT} s") from error
    text = (report / "wstest.log").read_text(errors="replace")
    planned = re.search(r"will run (\d+) test cases", text)
    index = report / "index.json"
    if code or not planned or not index.exists():
        raise Failed(f"the suite has ended with {code}: " + "\n".join(text.splitlines()[-5:]))
    found = json.loads(index.read_text()).get(AGENT, {})
    if len(found) != int(planned.group(1)):
        raise Failed(f"only {len(found)} of {planned.group(1)} cases ran: the server was not there, or went away")
    return [Case(number, case["behavior"], case["behaviorClose"]) for number, case in found.items()]


# ---- the server -----------------------------------------------------------------------------------------------------

@contextmanager
def demo(binary: Path) -> Iterator[str]:
    """The URL of the echo of a demo that runs for the duration of the block, and then drains."""
    if not os.access(binary, os.X_OK):
        raise Failed(f"there is no {binary}: cargo build --release makes it")
    with subprocess.Popen([str(binary), "demo", "--port", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          bufsize=0) as process:
        try:
            yield f"ws://{listening(process)}/ws/echo"
            if process.poll() is not None:
                raise Failed(f"the server has ended with {process.returncode}")
            process.terminate()
            process.communicate(timeout=60)
            if process.returncode:
                raise Failed(f"the server has ended with {process.returncode} at SIGTERM")
        except subprocess.TimeoutExpired as error:
            raise Failed("the server does not end at SIGTERM") from error
        finally:
            if process.poll() is None:
                process.kill()


def listening(process: subprocess.Popen) -> str:
    """The address that the demo prints."""
    while select.select([process.stdout], [], [], 20)[0] and (line := process.stdout.readline().decode()):
        if line.startswith("listening on http://"):
            return line.removeprefix("listening on http://").strip()
    raise Failed("the demo has not said where it listens")


# ---- the summary ----------------------------------------------------------------------------------------------------

def sum_up(cases: list[Case]) -> bool:
    """Prints how many cases came out in which way, and the numbers of all but the good ones. Returns whether all are
    good."""
    cases = sorted(cases, key=lambda case: [int(part) for part in case.number.split(".")])
    print(f"{len(cases)} cases")
    is_good = True
    for field, title in (("behavior", "behavior"), ("closing", "behaviorClose")):
        counts = Counter(getattr(case, field) for case in cases)
        # These four are always told; the suite has rarer ones.
        for verdict in dict.fromkeys(["OK", STRICT_ENOUGH, "INFORMATIONAL", "FAILED", *sorted(counts)]):
            numbers = [case.number for case in cases if getattr(case, field) == verdict]
            listed = f": {', '.join(numbers)}" if numbers and verdict != "OK" else ""
            print(f"  {title:13}  {verdict:13} {len(numbers):4}{listed}")
            is_good &= verdict in GOOD or not numbers
    return is_good


def main() -> int:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="monoloop-autobahn-") as name:
        suite = install(options.env.expanduser().resolve() if options.env else Path(name))
        report = options.report.resolve() if options.report else Path(name) / "report"
        if options.url:
            cases = examine(suite, options.url, options.cases, report)
        else:
            with demo(options.binary) as url:
                cases = examine(suite, url, options.cases, report)
    return 0 if sum_up(cases) else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=TARGET / "release" / "monoloop", help="the command to examine")
    parser.add_argument("--url", help="examine this server instead, which runs already")
    parser.add_argument("--cases", metavar="CASE,..", help="cases, or groups of them with a star")
    parser.add_argument("--deflate", action="store_true", help="groups 12 and 13 as well")
    parser.add_argument("--env", type=Path, metavar="DIR", help="where the suite is installed, and stays")
    parser.add_argument("--report", type=Path, metavar="DIR", help="where the suite's own report is written, and stays")
    options = parser.parse_args()
    default = [*GROUPS, *(DEFLATE if options.deflate else ())]
    options.cases = options.cases.split(",") if options.cases else default
    return options


def end(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the run as Ctrl-C does, and neither the suite nor the server is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; the suite and the server have been stopped")
    except Unavailable as why:
        print(f"skipped: {why}")
    except Failed as why:
        sys.exit(str(why))
