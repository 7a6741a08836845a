"""A server in a process of its own, below the limits that an attack needs, and what the kernel says of it."""

import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import machine  # of benches/compare

MIB = 1 << 20
GROUPS = Path("/sys/fs/cgroup")


class Failed(Exception):
    """The measurement itself failed; the text says why."""


class Limits(NamedTuple):
    """What the kernel lets a server have. `None` means as much as this program may have."""
    descriptors: int | None = None
    address_space: int | None = None
    """In bytes."""
    group: int | None = None
    """Bytes of a memory control group."""
    budget: int | None = None
    """Bytes that the command is told to stay within, if it has that option."""


class Process:
    """A server that listens. Use it with `with`: it ends with the block, also if the block fails."""

    def __init__(self, command: list[str], limits: Limits, core: int, *, reads_errors: bool = True):
        """Starts the server on a core, and waits until it says where it listens. Its output goes to a file that has no
        name. With `reads_errors` false, its standard error is a pipe that nobody reads."""
        self.output = tempfile.TemporaryFile()
        errors = self.output if reads_errors else subprocess.PIPE
        with _group(limits.group) as group:
            self.group = group
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=errors,
                preexec_fn=lambda: _limit(limits, core, group))
        self.pid = self.process.pid
        try:
            self.port = self._wait_for_port(10)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_for_port(self, patience: float) -> int:
        def port() -> re.Match[bytes] | None:
            return re.search(rb"listening on http://[^\n]*:(\d+)\n", self._printed())

        if not wait_until(lambda: port() or not self.is_alive(), patience) or not (found := port()):
            raise Failed(f"the server did not listen: {self._printed().decode(errors='replace')}")
        return int(found.group(1))

    def _printed(self) -> bytes:
        """The beginning of its output."""
        return os.pread(self.output.fileno(), 1 << 16, 0)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def cpu(self) -> int:
        """Nanoseconds that the server has spent on a core until now; 0 if it has ended."""
        return cpu(self.pid)

    def resident(self) -> int:
        """Bytes of memory that are resident now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most that was resident since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """proc_pid_clear_refs(5): the peak is counted from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
        return 1024 * int(found.group(1)) if found else 0

    def suspend(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Asks the server to end, and kills it if it does not."""
        if self.is_alive():
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.output.close()
        if self.process.stderr:
            self.process.stderr.close()
        if self.group:
            _remove(self.group)


def cpu(pid: int) -> int:
    """Nanoseconds of CPU time of a process, by its CPU clock. /proc/PID/schedstat has the same figure, but for a thread
    that is just running it is as old as the last tick of the kernel, up to 10 ms."""
    try:
        return machine.cpu_time([pid]).spent
    except OSError:
        return 0


def knows_budget(binary: str) -> bool:
    """Whether the command has the option `--max-memory`."""
    run = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=20, check=False)
    return "--max-memory" in run.stdout


def _limit(limits: Limits, core: int, group: Path | None) -> None:
    """Runs in the child, before the server."""
    os.sched_setaffinity(0, {core})
    if group:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    if limits.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits.descriptors, limits.descriptors))
    if limits.address_space:
        resource.setrlimit(resource.RLIMIT_AS, (limits.address_space, limits.address_space))


# ---- control groups -------------------------------------------------------------------------------------------------

def _hierarchy() -> tuple[Path, str] | None:
    """Where a memory group can be made, and the file that has its limit: version 1 or 2 of control groups."""
    if (GROUPS / "memory" / "memory.limit_in_bytes").exists():
        return GROUPS / "memory", "memory.limit_in_bytes"
    try:
        if "memory" in (GROUPS / "cgroup.subtree_control").read_text().split():
            return GROUPS, "memory.max"
    except OSError:
        pass
    return None


def can_make_groups() -> bool:
    """Whether this user may make a memory control group here."""
    try:
        with _group(MIB) as group:
            if group:
                _remove(group)
            return group is not None
    except (OSError, Failed):
        return False


@contextmanager
def _group(size: int | None) -> Iterator[Path | None]:
    """Makes a memory control group of this many bytes. It is removed when its process has ended, or if the block
    fails."""
    if size is None:
        yield None
        return
    found = _hierarchy()
    if not found:
        raise Failed("there are no memory control groups here")
    parent, limit = found
    group = parent / f"monoloop-overload-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(size))
        swap = group / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        yield group
    except BaseException:
        _remove(group)
        raise


def _remove(group: Path) -> None:
    """A group can be removed a moment after its last process has ended."""
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def wait_until(is_done: Callable[[], object], seconds: float) -> bool:
    """Waits at most so long, and returns whether it is done."""
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
