"""The attacks. Each is a function that attacks a running server for some seconds, and returns what it has seen."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import flood
from flood import Flood, Plan
from process import MIB, Failed, Process

LISTED = 2_000
LINKS = 20_000
PIPELINED = 64


class Scene(NamedTuple):
    server: Process
    seconds: float
    is_short: bool

    @property
    def port(self) -> int:
        return self.server.port

    def clients(self, count: int) -> int:
        """Not so many in a short run, nor more than half of the descriptors and half of the memory allow. What waits in
        sockets is the kernel's, some 100 KB for each client that does not read."""
        descriptors = os.sysconf("SC_OPEN_MAX")
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return min(count // 6 if self.is_short else count, descriptors - 100, memory // 2 // 100_000)


class Seen(NamedTuple):
    """What an attacker has seen."""
    note: str
    misses: list[str] = []
    """Bars that the attacker itself has seen missed."""


def write_files(directory: Path) -> None:
    """What the attacked server of files has."""
    (directory / "small.txt").write_text("small\n")
    with (directory / "large.bin").open("wb") as large:
        large.write(b"large" * (MIB // 5 + 1))
        large.truncate(MIB)
    listed, links = directory / "listed", directory / "links"
    listed.mkdir()
    for number in range(LISTED):
        (listed / f"{number}.txt").write_text(f"the file {number}\n" * 8)
    links.mkdir()
    for number in range(LINKS):
        (links / f"{number}").symlink_to("nothing")


def get(target: str, method: str = "GET", fields: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def post(target: str, content: str) -> bytes:
    return get(target, "POST", f"Content-Length: {len(content)}\r\n") + content.encode()


def listed(statuses: Counter[int], broken: int) -> str:
    words = [f"{count:,} x {status}" for status, count in sorted(statuses.items())]
    return ", ".join(words + ([f"{broken:,} broken"] if broken else [])) or "no reply"


# ---- files ----------------------------------------------------------------------------------------------------------

def heads_of(scene: Scene, target: str, connections: int) -> Seen:
    """Pipelined HEADs, again and again."""
    batch = PIPELINED * get(target, "HEAD")
    plan = Plan(lambda _: batch, replies=PIPELINED, are_heads=True, comes_again=True)
    with Flood(scene.port, connections, plan) as attack:
        attack.open()
        attack.run(scene.seconds)
        return Seen(listed(attack.statuses, attack.broken))


def one_lists(scene: Scene) -> Seen:
    return heads_of(scene, "/listed/", 1)


def ten_list(scene: Scene) -> Seen:
    return heads_of(scene, "/listed/", 10)


def links(scene: Scene) -> Seen:
    return heads_of(scene, "/links/", 21)


def files(scene: Scene) -> Seen:
    """All clients ask for the large file at the same moment."""
    clients = scene.clients(3_000)
    with Flood(scene.port, clients, Plan(lambda _: get("/large.bin"), times=1)) as attack:
        attack.open()
        attack.run(3 * scene.seconds)
        return Seen(f"{clients:,} clients: {listed(attack.statuses, attack.broken)}")


SHORT_HEADS = 10_000
"""So many replies of 240 bytes nearly fill the buffers of a socket. The heads of their requests are short, so that this
takes little time."""

LONG = "Referer: http://a/" + "x" * 16_200 + "\r\n"


def long_heads(scene: Scene) -> Seen:
    """HEADs whose replies are not read. The lines of the access log wait for them."""
    batch = PIPELINED * get("/small.txt", "HEAD", LONG)
    first = SHORT_HEADS * get("/small.txt", "HEAD")
    plan = Plan(lambda _: batch, first, replies=0, reads=False, receive_buffer=4096)
    with Flood(scene.port, 20, plan) as attack:
        attack.open()
        attack.run(scene.seconds)
        return Seen(f"up to {attack.numbers * PIPELINED:,} heads of 16 KB were taken; {attack.broken} broken")


def few_descriptors(scene: Scene) -> Seen:
    """Cold files: there are more of them than are cached, and each request is for another one."""
    plan = Plan(lambda number: get(f"/listed/{number % LISTED}.txt"), times=5, comes_again=True)
    with Flood(scene.port, 200, plan) as attack:
        attack.open()
        attack.run(scene.seconds)
        others = sum(count for status, count in attack.statuses.items() if status != 200)
        misses = [f"{others:,} replies other than 200"] if others else []
        misses += [] if attack.statuses[200] else ["no reply at all"]
        return Seen(listed(attack.statuses, attack.broken), misses)


# ---- the demo -------------------------------------------------------------------------------------------------------

def fill(scene: Scene) -> None:
    """Makes the list of users as long as the demo allows: 4.6 MB."""
    users = 10_000
    plan = Plan(lambda number: post("/users", f'{{"name":"{"x" * 436}{number:05}"}}'), times=users // 10)
    with Flood(scene.port, 10, plan) as client:
        client.open()
        client.run(60)
        # Three users are there from the beginning, so three are too many.
        if client.statuses[201] + client.statuses[507] < users:
            raise Failed(f"the demo does not take users: {listed(client.statuses, client.broken)}")


def lists(scene: Scene) -> Seen:
    """Replies of 4.6 MB that nobody reads."""
    plan = Plan(lambda _: get("/users"), replies=0, reads=False, times=1)
    with Flood(scene.port, 200, plan) as attack:
        attack.open()
        attack.run(scene.seconds)
        return Seen(f"200 requests; {attack.broken} broken")


def held_posts(scene: Scene) -> Seen:
    """Requests of 1 MB whose last byte does not come."""
    request = get("/users", "POST", f"Content-Length: {MIB}\r\n") + bytes(MIB - 1)
    with Flood(scene.port, 100, Plan(lambda _: request, times=1)) as attack:
        attack.open()
        attack.run(scene.seconds)
        return Seen(f"{len(attack.lines)} held; {listed(attack.statuses, attack.broken)}")


def stopped(scene: Scene) -> Seen:
    """The requests arrive while the server is stopped for longer than its timeout of a second."""
    with Flood(scene.port, 100, Plan(lambda _: get("/plaintext"), times=1)) as clients:
        clients.open()
        time.sleep(0.3)     # the server has accepted them, or accepts them later: both are right
        scene.server.suspend()
        clients.run(0.1)
        time.sleep(2.5)
        scene.server.resume()
        clients.run(10)
        lost = 100 - clients.statuses[200]
        return Seen(f"{lost} of 100 lost", [f"{lost} of 100 lost"] if lost else [])


def failures(scene: Scene) -> Seen:
    """Handlers fail, and each writes a line to the log, which nobody reads."""
    with Flood(scene.port, 10, Plan(lambda _: get("/fail"), comes_again=True)) as attack:
        attack.open()
        attack.run(scene.seconds)
        misses = [] if attack.statuses[500] else ["no failure is answered"]
        return Seen(listed(attack.statuses, attack.broken), misses)


# ---- events ---------------------------------------------------------------------------------------------------------

EVENT = 60_000


def events(scene: Scene) -> Seen:
    """An event for many clients that do not read, a few times."""
    clients = scene.clients(9_000)
    plan = Plan(lambda _: get("/events"), replies=0, reads=False, times=1, receive_buffer=4096)
    with Flood(scene.port, clients, plan) as attack:
        attack.open()
        attack.run(1)
        taken: list[str] = []
        for _ in range(3):
            try:
                status, content = flood.ask(scene.port, post("/events", str(EVENT)))
                taken.append(content.decode() if status == 200 else f"status {status}")
            except OSError as error:
                taken.append(str(error))
            attack.run(scene.seconds / 3)
    # The broadcast is the application's. It forgets who has left when it sends the next event.
    flood.ask(scene.port, post("/events", "10"))
    return Seen(f"{clients:,} clients; taken by {', '.join(taken)}")
