"""The requests to the servers, and the answers that they must give."""

import random
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PLAINTEXT = b"Hello, World!"
JSON = b'{"message":"Hello, World!"}'
BIG = b"x" * (1 << 20)

RESOURCES = 250
"""Resources in the table of routes; each has two routes with a parameter."""

FILE_SIZES = {"1k": 1 << 10, "100k": 100 << 10, "10m": 10 << 20}
"""Files that servers of files serve, `/static/NAME.bin`, and their bytes."""

FILE_SEED = 2616
"""The bytes of the files are random, and the same in each run."""

PIPELINE = 16
"""Requests in a batch of the pipelined scenario."""

# With Host, these are the 20 fields of a browser.
BROWSER_FIELDS = (Path(__file__).parent.parent / "browser-fields.txt").read_text()


class Ability(Enum):
    """What a server must be able to do to take part in a scenario."""

    FIXED = "a fixed answer"
    ECHO = "an echo"
    ROUTER = "a router"
    FILES = "files of a directory"


@dataclass(frozen=True)
class Exchange:
    """One request and the right answer."""

    method: str
    target: str
    answer: bytes
    content_type: str = ""
    fields: str = ""
    content: bytes = b""

    def request(self, port: int) -> bytes:
        """The bytes of the request."""
        length = f"Content-Length: {len(self.content)}\n" if self.content else ""
        head = f"{self.method} {self.target} HTTP/1.1\nHost: 127.0.0.1:{port}\n{self.fields}{length}\n"
        return head.replace("\n", "\r\n").encode() + self.content


@dataclass(frozen=True)
class Scenario:
    """What wrk does: `connections` at a time, each with the exchanges in turn, `batch` requests before it reads."""

    name: str
    title: str
    connections: int
    exchanges: tuple[Exchange, ...]
    needs: Ability = Ability.FIXED
    batch: int = 1
    closes: bool = False
    """Each request asks for `Connection: close` and gets a connection of its own."""

    @property
    def mode(self) -> str:
        """The mode of our programs, so that they can prepare: with routes or pipelines, or without."""
        return "routes" if self.needs is Ability.ROUTER else "pipelined" if self.batch > 1 else "plain"


def _plain(fields: str = "") -> tuple[Exchange, ...]:
    return (Exchange("GET", "/plaintext", PLAINTEXT, "text/plain", fields),)


def _echo(size: int) -> tuple[Exchange, ...]:
    content = bytes(ord("a") + n % 26 for n in range(size))
    return (Exchange("POST", "/echo", content, content=content),)


def _routes() -> tuple[Exchange, ...]:
    exchanges = []
    for n in range(RESOURCES):
        for end in ("", "/detail"):
            number = str(1000 + len(exchanges))
            exchanges.append(Exchange("GET", f"/api/v1/resource{n}/{number}{end}", number.encode(), "text/plain"))
    return tuple(exchanges)


def _static(name: str) -> tuple[Exchange, ...]:
    content = random.Random(f"{FILE_SEED} {name}").randbytes(FILE_SIZES[name])
    return (Exchange("GET", f"/static/{name}.bin", content, "application/octet-stream"),)


SCENARIOS = (
    Scenario("plain-c1", "GET /plaintext, 1 connection", 1, _plain()),
    Scenario("plain-c64", "GET /plaintext, 64 connections", 64, _plain()),
    Scenario("plain-c512", "GET /plaintext, 512 connections", 512, _plain()),
    Scenario("pipelined", f"GET /plaintext, {PIPELINE} requests at a time, 64 connections", 64, _plain(),
             batch=PIPELINE),
    Scenario("json", "GET /json, 64 connections", 64, (Exchange("GET", "/json", JSON, "application/json"),)),
    Scenario("fields", "GET /plaintext with the 20 fields of a browser, 64 connections", 64, _plain(BROWSER_FIELDS)),
    Scenario("close", "GET /plaintext, a new connection for each request, 64 at a time", 64,
             _plain("Connection: close\n"), closes=True),
    Scenario("post-1k", "POST /echo, 1 KiB, 64 connections", 64, _echo(1 << 10), Ability.ECHO),
    Scenario("post-1m", "POST /echo, 1 MiB, 8 connections", 8, _echo(1 << 20), Ability.ECHO),
    Scenario("routes", f"GET of {2 * RESOURCES} routes with a parameter in turn, 64 connections", 64, _routes(),
             Ability.ROUTER),
    Scenario("static-1k", "GET of a file of 1 KiB, 64 connections", 64, _static("1k"), Ability.FILES),
    Scenario("static-100k", "GET of a file of 100 KiB, 64 connections", 64, _static("100k"), Ability.FILES),
    Scenario("static-10m", "GET of a file of 10 MiB, 8 connections", 8, _static("10m"), Ability.FILES),
)

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

MISSING = Exchange("GET", "/no-such-thing", b"")
"""A path that no server has: 404."""

BIG_FILE = Exchange("GET", "/big", BIG, "application/octet-stream")
"""The path that slow readers request (memory.py)."""

SPARSE_TARGET = "/static/1g.bin"
SPARSE_SIZE = 1 << 30
"""A file of zeros, without a block on the disk: which slow downloads request (memory.py)."""
