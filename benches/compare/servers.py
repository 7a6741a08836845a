"""The servers: what they are, how they are built, started and stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
import scenarios
from scenarios import Ability, Scenario

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CRATE = HERE / "servers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "compare"

SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
"""Debian installs servers in directories outside of an ordinary user's PATH."""

STATIC_JSON = "json: a constant, not serialised for each request"


@dataclass(frozen=True)
class Server:
    """A server of the comparison."""

    name: str
    abilities: frozenset[Ability]
    program: str = ""
    """The binary: of servers/, or of a package."""
    crate: str = ""
    """The crate behind a binary of servers/; its version is in the lock file."""
    arguments: tuple[str, ...] = ("{port}", "{mode}")
    file_arguments: tuple[str, ...] = ()
    """Arguments of the crate's own command, which replaces the program in the scenarios of files."""
    config: str = ""
    """A template in config/."""
    package: str = ""
    version: tuple[str, ...] = ()
    """Arguments that make a package's binary print its version."""
    notes: tuple[str, ...] = ()
    big: bool = True
    """It has GET /big."""
    is_floor: bool = False
    """It is not a server: it has no rank, and need not answer like one."""

    def takes_part_in(self, scenario: Scenario) -> bool:
        return scenario.needs in self.abilities


_FIXED = frozenset({Ability.FIXED})
_PROGRAM = _FIXED | {Ability.ECHO}
_FRAMEWORK = _PROGRAM | {Ability.ROUTER}
_FILES = _FIXED | {Ability.FILES}

SERVERS = (
    Server("floor", _FRAMEWORK, "floor-server", "mio", big=False, is_floor=True,
           notes=("no HTTP server: it counts blank lines and writes constants, and every other row is compared to it",
                  "json: a constant", "routes: no router, the greeting for every path")),
    Server("monoloop", _FRAMEWORK | _FILES, "monoloop-server", "monoloop",
           file_arguments=("serve", "{directory}/files", "--port", "{port}", "--log", "off"),
           notes=("files: its own command, `monoloop serve`, as it is without options",)),
    Server("hyper", _PROGRAM, "hyper-server", "hyper",
           notes=("no router", "no timeouts: they need a timer, which is not on by default",
                  "pipeline_flush only where requests are pipelined: with it, contents are copied")),
    Server("axum", _FRAMEWORK, "axum-server", "axum"),
    Server("actix", _FRAMEWORK, "actix-server", "actix-web",
           notes=("one worker; the thread that accepts is another one, on the same core",)),
    Server("ntex", _FRAMEWORK, "ntex-server", "ntex",
           notes=("one worker; the thread that accepts is another one, on the same core",)),
    Server("tiny_http", _PROGRAM, "tiny-http-server", "tiny_http",
           notes=("no router", "one thread answers; each connection has its own besides, on the same core")),
    Server("may_minihttp", _PROGRAM, "may-minihttp-server", "may_minihttp",
           notes=("no router", "one worker; its event loop is a coroutine scheduler of its own")),
    Server("nginx", _FILES, "nginx", arguments=("-p", "{directory}", "-c", "{config}", "-e", "stderr"),
           config="nginx.conf", package="nginx", version=("-v",),
           notes=(STATIC_JSON, "files: what it knows of an open file is up to a minute old")),
    Server("lighttpd", _FILES, "lighttpd", arguments=("-D", "-f", "{config}"), config="lighttpd.conf",
           package="lighttpd", version=("-v",),
           notes=("answers from small files", STATIC_JSON, "closes a connection after 65,535 requests at the latest")),
    Server("h2o", _FILES, "h2o", arguments=("-c", "{config}"), config="h2o.conf", package="h2o",
           version=("--version",), notes=("answers from small files", STATIC_JSON)),
    Server("haproxy", _FIXED, "haproxy", arguments=("-db", "-q", "-f", "{config}"), config="haproxy.cfg",
           package="haproxy", version=("-v",), notes=("a proxy that answers by itself", STATIC_JSON), big=False),
    Server("node", _PROGRAM, "node", arguments=("{config}", "{port}"), config="node.js", package="nodejs",
           version=("--version",), notes=("its core module http, no framework, one process", "no router")),
)

BY_NAME = {server.name: server for server in SERVERS}


class Unavailable(Exception):
    """A server cannot take part; the text says why."""


@dataclass(frozen=True)
class Ready:
    """A server whose binary is installed."""

    server: Server
    binary: Path
    version: str
    file_binary: Path | None = None
    """The command that replaces the binary in the scenarios of files."""

    def command(self, scenario: Scenario) -> tuple[Path, tuple[str, ...]]:
        """The program for a scenario, and the templates of its arguments."""
        if self.file_binary and scenario.needs is Ability.FILES:
            return self.file_binary, self.server.file_arguments
        return self.binary, self.server.arguments


def prepare(server: Server) -> Ready:
    """Builds a program, or finds the binary of a package."""
    if server.crate:
        file_binary = build_command() if server.file_arguments else None
        return Ready(server, _build(server), _crate_version(server.crate), file_binary)
    found = shutil.which(server.program, path=SEARCH_PATH)
    if not found:
        raise Unavailable(f"{server.program} is not installed (Debian: apt install {server.package})")
    version = machine.first_line([found, *server.version])
    return Ready(server, Path(found), version.removeprefix("nginx version: "))


def _build(server: Server) -> Path:
    """Each program on its own, with its own feature, so that a failed build affects no other."""
    return _cargo_build(CRATE, TARGET, server.program, "--features", server.program)


def build_command() -> Path:
    """monoloop's command, as anyone builds it."""
    return _cargo_build(ROOT, TARGET.parent, "monoloop")


def _cargo_build(crate: Path, target: Path, program: str, *arguments: str) -> Path:
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--bin", program, "--target-dir", str(target),
               *arguments]
    try:
        build = subprocess.run(command, cwd=crate, capture_output=True, text=True, timeout=1800, check=False)
    except OSError as error:
        raise Unavailable(f"cargo cannot be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable("its build took more than half an hour") from error
    if build.returncode != 0:
        errors = [line for line in build.stderr.splitlines() if line.startswith("error")]
        raise Unavailable("does not build: " + (errors[0] if errors else f"cargo ended with {build.returncode}"))
    return target / "release" / program


def _crate_version(crate: str) -> str:
    lock = (CRATE / "Cargo.lock").read_text()
    match = re.search(rf'^name = "{crate}"\nversion = "(.+)"$', lock, re.M)
    version = match.group(1) if match else "?"
    if crate != "monoloop":
        return f"{crate} {version}"
    commit = machine.first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    return f"monoloop {version} ({commit})" if commit else f"monoloop {version}"


class Running:
    """A server that listens. Use it with `with`: it ends with the block, even if that fails."""

    def __init__(self, ready: Ready, scenario: Scenario, directory: Path, core: int, wrapper: Sequence[str] = (),
                 patience: float = 10):
        """Starts the server on `core`, perhaps below another program, and waits until it accepts connections."""
        self.ready = ready
        self.name = ready.server.name
        self.port = _free_port()
        self.log = directory / f"{self.name}-{self.port}.log"
        self.is_wrapped = bool(wrapper) and Path(wrapper[0]).name == "strace"
        """strace is the parent process of the server; valgrind becomes the server."""
        values = {"directory": str(directory), "port": str(self.port), "mode": scenario.mode,
                  "config": str(_render(ready, directory, self.port))}
        binary, templates = ready.command(scenario)
        arguments = [template.format_map(values) for template in templates]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*wrapper, str(binary), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}), start_new_session=True)
        try:
            self._wait(patience)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, patience: float) -> None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not self.is_alive():
                raise Unavailable(f"ended with {self.process.returncode} at its start{self._last_words()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Unavailable(f"did not listen within {patience:.0f} s{self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def pids(self) -> list[int]:
        """The processes of the server."""
        found = machine.descendants(self.process.pid)
        return found[1:] if self.is_wrapped else found

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Asks the server to end, and makes it end."""
        if not self.is_alive():
            return
        below = machine.descendants(self.process.pid)[1:]
        # Some servers end slowly at the first signal, and faster at the second. The third one kills.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            for pid in (below if self.is_wrapped else [self.process.pid]):
                _signal(pid, number)
            try:
                self.process.wait(timeout=5)
                break
            except subprocess.TimeoutExpired:
                continue
        else:
            _signal(self.process.pid, signal.SIGKILL)
        for pid in below:
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _render(ready: Ready, directory: Path, port: int) -> Path:
    """Fills in the template of a configuration."""
    if not ready.server.config:
        return directory
    text = (HERE / "config" / ready.server.config).read_text()
    values = {"PORT": str(port), "DIRECTORY": str(directory), "FILES": str(machine.descriptor_limit())}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    path = directory / f"{port}-{ready.server.config}"
    path.write_text(text)
    return path


_last_port = 20000


def _free_port() -> int:
    """An unused port, below those that the kernel gives to clients. No port is used twice in a run."""
    global _last_port
    while _last_port < 32000:
        _last_port += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _last_port))
                return _last_port
            except OSError:
                continue
    raise Unavailable("there is no free port")


def write_files(directory: Path) -> None:
    """Writes the files that the servers of files serve."""
    files = directory / "files"
    files.mkdir()
    (files / "plaintext").write_bytes(scenarios.PLAINTEXT)
    (files / "json").write_bytes(scenarios.JSON)
    (files / "big").write_bytes(scenarios.BIG)
    for scenario in scenarios.SCENARIOS:
        if scenario.needs is Ability.FILES:
            for exchange in scenario.exchanges:
                path = files / exchange.target.removeprefix("/")
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(exchange.answer)
    with (files / scenarios.SPARSE_TARGET.removeprefix("/")).open("wb") as sparse:
        sparse.truncate(scenarios.SPARSE_SIZE)
