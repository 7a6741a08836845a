"""What the kernel knows: CPU time and memory of processes, and the machine on which this runs."""

import os
import platform
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


MOST_DESCRIPTORS = 25_000
"""No more than this is requested: servers make tables of that size, and a client has some 28,000 ports."""


def descendants(pid: int) -> list[int]:
    """The process and all processes below it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in children.read_text().split())
    return found


@dataclass(frozen=True)
class CpuTime:
    """Nanoseconds that processes have spent on a core, and that they have waited for one."""

    spent: int
    waited: int

    def since(self, before: "CpuTime") -> "CpuTime":
        return CpuTime(self.spent - before.spent, self.waited - before.waited)


def cpu_time(pids: list[int]) -> CpuTime:
    """User and system time of all threads of the processes, of ended threads too."""
    spent = sum(time.clock_gettime_ns(_cpu_clock(pid)) for pid in pids)
    waited = 0
    for pid in pids:
        for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            waited += int(schedstat.read_text().split()[1])
    return CpuTime(spent, waited)


def _cpu_clock(pid: int) -> int:
    """The clock that clock_getcpuclockid(3) returns for a process: it counts nanoseconds of CPU time."""
    return (~pid << 3) | 2


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory: those that belong to the processes alone, and all that they have mapped in."""

    private: int
    resident: int


def memory(pids: list[int]) -> Memory:
    private = resident = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes = {name: 1024 * int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
        private += sizes["Private_Dirty"] + sizes["Private_Clean"]
        resident += sizes["Rss"]
    return Memory(private, resident)


def sockets_in_time_wait() -> int:
    match = re.search(r"\btw (\d+)", Path("/proc/net/sockstat").read_text())
    return int(match.group(1)) if match else 0


def congestion_control() -> str:
    """How TCP paces itself here: BBR sends by timers, also on a loopback device."""
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return ""


def descriptor_limit() -> int:
    """Descriptors that a process may have after it has raised its soft limit; at most a reasonable number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)


def raise_descriptor_limit() -> None:
    """Raises the soft limit, for this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor_limit(), hard))


def describe() -> dict[str, object]:
    """The facts that are needed to compare the figures with those of another day."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory_size = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": 1024 * int(memory_size.group(1)) if memory_size else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "congestion_control": congestion_control(),
        "python": platform.python_version(),
        "rustc": first_line(["rustc", "--version"]),
        "wrk": first_line(["wrk", "--version"]),
        "valgrind": first_line(["valgrind", "--version"]),
        "strace": first_line(["strace", "--version"]),
    }


def first_line(command: list[str]) -> str:
    """The first line that a command prints, on either stream; empty when it cannot be run."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter((run.stdout + run.stderr).strip().splitlines()), "")
