"""The rows of the table: which server each attack needs, and what was measured before the server had bounds."""

from collections.abc import Callable
from typing import NamedTuple

import attacks
from attacks import Scene, Seen
from process import MIB, Limits

BUDGET = 64 * MIB
"""Bytes that the command is told to stay within, where the kernel sets no limit."""

ADDRESS_SPACE = Limits(address_space=64 * MIB, budget=24 * MIB)
"""The budget leaves room for the code, the libraries and the stacks of the threads."""

GROUP = Limits(group=32 * MIB, budget=16 * MIB)


class Row(NamedTuple):
    name: str
    title: str
    kind: str
    """The server: `serve`, `demo`, or `events` of this directory."""
    before: str
    attacks: tuple[Callable[[Scene], Seen], ...]
    options: tuple[str, ...] = ()
    limits: Limits = Limits(budget=BUDGET)
    prepare: Callable[[Scene], None] | None = None
    reads_errors: bool = True


SERVE = ("--listing=on",)
ALL_OF_SERVE = (attacks.one_lists, attacks.ten_list, attacks.links, attacks.files, attacks.long_heads)
ALL_OF_DEMO = (attacks.lists, attacks.held_posts, attacks.failures)
LOGGED = ("--access-log", "combined")

ROWS = (
    Row("listing-1", "64 pipelined HEADs of a listing of 2,000 files, 1 connection", "serve",
        "a polite client waits 0.9 s", (attacks.one_lists,), SERVE),
    Row("listing-10", "the same from 10 connections", "serve", "waits 8 s", (attacks.ten_list,), SERVE),
    Row("links", "21 connections, HEADs of 20,000 dangling links", "serve", "nobody is answered for 10 minutes",
        (attacks.links,), SERVE),
    Row("unread", "200 replies of 4.6 MB that nobody reads", "demo", "887 MB resident", (attacks.lists,),
        prepare=attacks.fill),
    Row("posts-as", "100 POSTs of 1 MB held open, address space of 64 MB", "demo", "the process is killed",
        (attacks.held_posts,), limits=ADDRESS_SPACE),
    Row("posts-group", "the same in a control group of 32 MB", "demo", "the process is killed",
        (attacks.held_posts,), limits=GROUP),
    Row("events", "an event of 60 KB for 9,000 clients that do not read", "events", "ticks of up to 2.9 s",
        (attacks.events,)),
    Row("files", "3,000 clients ask for a file of 1 MiB at once", "serve", "a polite client waits 385 ms",
        (attacks.files,)),
    Row("long-heads", "20 connections, HEADs of 16 KB, replies not read, access log", "serve",
        "9.3 MB on one connection", (attacks.long_heads,), LOGGED),
    Row("stopped", "SIGSTOP, 100 requests, SIGCONT after the timeout", "demo", "lost requests; 0 since",
        (attacks.stopped,), ("--idle-timeout", "1s")),
    Row("descriptors", "64 descriptors, 200 clients, cold small files", "serve", "replies other than 200",
        (attacks.few_descriptors,), limits=Limits(descriptors=64, budget=BUDGET)),
    Row("errors", "failing handlers, standard error is not read", "demo", "stopped for ever; answers since",
        (attacks.failures,), ("--log", "info"), reads_errors=False),
    Row("serve-as", "all attacks on files, address space of 64 MB", "serve", "", ALL_OF_SERVE, SERVE + LOGGED,
        ADDRESS_SPACE),
    Row("demo-as", "all attacks on the demo, address space of 64 MB", "demo", "", ALL_OF_DEMO,
        limits=ADDRESS_SPACE, prepare=attacks.fill),
    Row("serve-group", "all attacks on files, control group of 32 MB", "serve", "", ALL_OF_SERVE, SERVE + LOGGED,
        GROUP),
    Row("demo-group", "all attacks on the demo, control group of 32 MB", "demo", "", ALL_OF_DEMO, limits=GROUP,
        prepare=attacks.fill),
)

BY_NAME = {row.name: row for row in ROWS}
