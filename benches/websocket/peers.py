"""The servers of benches/websocket: how each is built or found, and how it is started."""

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import machine  # of benches/compare
import measure  # of benches
from turns import Kind  # of benches

HERE = Path(__file__).resolve().parent
SERVERS = HERE / "servers"
TARGET = Path(measure.TARGET).resolve()

JAVASCRIPT = TARGET / "websocket-npm"
"""Where npm installs what the servers in JavaScript need."""

NPM_LIMIT = 300
"""Seconds."""


class Unavailable(Exception):
    """A server cannot be had here; the text says why."""


class Needs(NamedTuple):
    """What a scenario wants of a server."""
    has_deflate: bool = False
    read_buffer: int = 4096
    """Bytes for what comes in, for servers that have to be told: what suits the messages best."""


class Peer(NamedTuple):
    """A server that is ready to be started."""
    version: str
    command: Callable[[Needs], list[str]]
    has_deflate: bool = False
    collects: bool = False
    """It has garbage, and collects it when it is asked for /gc."""

    def kind(self, needs: Needs) -> Kind:
        return Kind(self.command(needs), self.version)


def find(names: list[str], with_deflate: bool) -> tuple[dict[str, Peer], dict[str, str]]:
    """The servers that can be had, and the reasons why the others cannot."""
    finders = {"monoloop": lambda: _monoloop(with_deflate), "fastwebsockets": _fastwebsockets,
               "tungstenite": _tungstenite, "bun": _bun, "ws": _ws}
    found, skipped = {}, {}
    for name in names:
        try:
            found[name] = finders[name]()
        except Unavailable as why:
            skipped[name] = str(why)
    return found, skipped


NAMES = ("monoloop", "fastwebsockets", "tungstenite", "bun", "ws")


# ---- programs in Rust -----------------------------------------------------------------------------------------------

def _monoloop(with_deflate: bool) -> Peer:
    """As users build it who want no compression; and, if that is needed, as those do who want it."""
    plain = str(_build("monoloop"))
    compressing = str(_build("monoloop", "monoloop-deflate")) if with_deflate else ""
    commit = machine.first_line(["git", "-C", str(HERE), "describe", "--always", "--dirty"])
    return Peer(f"{_crate_version('monoloop')} ({commit})",
                lambda needs: [compressing if needs.has_deflate else plain], with_deflate)


def _fastwebsockets() -> Peer:
    program = str(_build("fastwebsockets"))
    return Peer(_crate_version("fastwebsockets"), lambda _needs: [program])


def _tungstenite() -> Peer:
    program = str(_build("tungstenite"))
    return Peer(_crate_version("tokio-tungstenite"), lambda needs: [program, str(needs.read_buffer)])


def _build(name: str, feature: str | None = None) -> Path:
    """Builds the program of a server, alone: if it does not build, the others still do. Another feature than that of
    the program gets a target folder of its own, so that both remain."""
    program = f"{name}-server"
    target = TARGET / f"websocket-{feature}" if feature else TARGET
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--manifest-path", str(SERVERS / "Cargo.toml"),
               "--target-dir", str(target), "--features", feature or program, "--bin", program]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    if build.returncode != 0:
        errors = [line for line in build.stderr.splitlines() if line.startswith("error")]
        raise Unavailable("does not build: " + (errors[0] if errors else f"cargo ended with {build.returncode}"))
    return target / "release" / program


def _crate_version(crate: str) -> str:
    lock = (SERVERS / "Cargo.lock").read_text()
    match = re.search(rf'^name = "{crate}"\nversion = "(.+)"$', lock, re.M)
    return f"{crate} {match.group(1) if match else '?'}"


# ---- programs in JavaScript -----------------------------------------------------------------------------------------

def _bun() -> Peer:
    # The package `bun` only starts the program, which is in a package for this kind of machine.
    processor = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())
    program = _npm("bun") / "@oven" / f"bun-linux-{processor}" / "bin" / "bun"
    version = machine.first_line([str(program), "--version"]) if program.exists() else ""
    if not version:
        raise Unavailable(f"npm has no bun that runs on this machine: {program}")
    script = str(SERVERS / "bun.js")
    return Peer(f"bun {version}", lambda needs: [str(program), script, *_deflate(needs)], True, True)


def _ws() -> Peer:
    node = shutil.which("node")
    if not node:
        raise Unavailable("node is not installed (Debian: apt install nodejs)")
    packages = _npm("ws")
    version = f"ws {_package_version('ws')} with node {machine.first_line([node, '--version'])}"
    command = ["env", f"NODE_PATH={packages}", node, "--expose-gc", str(SERVERS / "ws.js")]
    return Peer(version, lambda needs: [*command, *_deflate(needs)], True, True)


def _deflate(needs: Needs) -> list[str]:
    return ["deflate"] if needs.has_deflate else []


def _npm(package: str) -> Path:
    """Installs all packages, unless they are there. Returns their folder."""
    packages = JAVASCRIPT / "node_modules"
    wanted = json.loads((SERVERS / "package.json").read_text())["dependencies"]
    if any(_package_version(name) != version for name, version in wanted.items()):
        if not shutil.which("npm"):
            raise Unavailable("npm is not installed (Debian: apt install npm)")
        JAVASCRIPT.mkdir(parents=True, exist_ok=True)
        shutil.copy(SERVERS / "package.json", JAVASCRIPT)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        try:
            subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, timeout=NPM_LIMIT, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"npm does not install {package}: {error}") from error
    return packages


def _package_version(name: str) -> str:
    try:
        return json.loads((JAVASCRIPT / "node_modules" / name / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return ""
