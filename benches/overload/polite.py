"""The polite client: it sends one small request after another, and notes what each one cost and how long it took.

It is a process of its own with a high priority, if the machine allows that: it should wake as soon as its answer has
come, so that the server's CPU time is read before the server goes on with other work.
"""

import gc
import multiprocessing
import os
import socket
import statistics
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

import process

PAUSE = 0.002
"""Seconds between an answer and the next request."""

EACH_CONNECTION = 25
"""Requests on one connection before the client takes a new one."""

PATIENCE = 15.0
"""Seconds after which the client gives an answer up."""

LOST = 0
"""The status of a request without an answer."""


class Sample(NamedTuple):
    start: float
    """By time.monotonic."""
    wait: float
    """Seconds until the answer was whole."""
    cpu: float
    """Seconds of CPU time that the server has spent from the request to the answer."""
    status: int
    how: str
    """Why there was no answer."""
    is_new: bool
    """It was the first request of a connection. It waits for the new connections that came before it."""


class Summary(NamedTuple):
    """Times are in milliseconds."""
    count: int
    cpu_median: float
    cpu_max: float
    """On connections that had an answer before."""
    cpu_max_new: float
    """On new connections."""
    wait_median: float
    wait_max: float
    refused: int
    """Answers other than 200, and requests without an answer."""
    reasons: list[str]


def summary(samples: list[Sample]) -> Summary:
    cpu = [sample.cpu * 1000 for sample in samples if not sample.is_new] or [0.0]
    cpu_new = [sample.cpu * 1000 for sample in samples if sample.is_new] or [0.0]
    wait = [sample.wait * 1000 for sample in samples] or [0.0]
    bad = [sample for sample in samples if sample.status != 200]
    reasons = sorted({f"status {sample.status}" if sample.status else sample.how for sample in bad})
    return Summary(len(samples), statistics.median(cpu), max(cpu), max(cpu_new), statistics.median(wait), max(wait),
                   len(bad), reasons)


class Polite:
    """The client in its process. `stop` returns all samples."""

    def __init__(self, port: int, pid: int, target: str, core: int):
        context = multiprocessing.get_context("fork")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_run, args=(theirs, port, pid, target, core), daemon=True)
        self.process.start()
        theirs.close()
        self.ours.recv()

    def stop(self) -> list[Sample]:
        try:
            self.ours.send(None)
            if not self.ours.poll(PATIENCE + 5):
                raise process.Failed("the polite client does not end")
            return self.ours.recv()
        finally:
            self.process.kill()
            self.process.join()
            self.ours.close()


def _run(pipe: Connection, port: int, pid: int, target: str, core: int) -> None:
    os.sched_setaffinity(0, {core})
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        pass    # Only root may. Then a busy machine adds to the figures.
    gc.disable()
    client = _Client(port, pid, target)
    samples = []
    pipe.send("ready")
    while not pipe.poll(PAUSE):
        samples.append(client.ask())
    client.close()
    pipe.send(samples)


class _Client:
    def __init__(self, port: int, pid: int, target: str):
        self.port, self.pid = port, pid
        self.request = f"GET {target} HTTP/1.1\r\nHost: polite\r\n\r\n".encode()
        self.socket: socket.socket | None = None
        self.left = 0

    def ask(self) -> Sample:
        """One request, on a new connection now and then. The connecting is a part of its wait."""
        start, before, status, how = time.monotonic(), process.cpu(self.pid), LOST, ""
        is_new = self.socket is None
        try:
            status, keeps = self._exchange()
            self.left = self.left - 1 if keeps else 0
        except OSError as error:
            how, self.left = error.strerror or type(error).__name__, 0
        spent, wait = process.cpu(self.pid) - before, time.monotonic() - start
        if self.left <= 0:
            self.close()
        return Sample(start, wait, max(0, spent) / 1e9, status, how, is_new)

    def _exchange(self) -> tuple[int, bool]:
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.left = EACH_CONNECTION
        self.socket.sendall(self.request)
        answer = b""
        while not _is_whole(answer):
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionResetError(None, "closed before the answer")
            answer += data
        return int(answer[9:12]), b"\r\nconnection: close" not in answer.lower()

    def close(self) -> None:
        if self.socket:
            self.socket.close()
            self.socket = None


def _is_whole(answer: bytes) -> bool:
    head, end, content = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return len(content) >= int(rest.split(b"\r\n")[0]) if found else True
