"""Many connections that all send the same kind of request, driven by one poll: the tool of which attacks are made."""

import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

ROOM = bytearray(1 << 20)
CONNECT = 5.0
"""Seconds that a connection may take to come about."""


class Plan(NamedTuple):
    """What each connection does."""
    request: Callable[[int], bytes]
    """The bytes to send. It gets a number that no other call has had: 0, 1, 2, ..."""
    first: bytes = b""
    """Bytes that each connection sends before that. No reply to them is waited for."""
    replies: int = 1
    """Replies to these bytes; then the next bytes are sent. 0: the next bytes follow at once."""
    reads: bool = True
    are_heads: bool = False
    """The requests are HEADs, so the replies have no content."""
    times: int | None = None
    """Requests on one connection; `None` means as many as there is time for."""
    comes_again: bool = False
    """A connection that has ended is replaced by a new one."""
    receive_buffer: int = 0
    """Bytes of the kernel's receive buffer; 0 leaves its size to the kernel."""


class Flood:
    """The connections of a plan. `statuses` counts the replies, and `broken` the connections that ended early."""

    def __init__(self, port: int, count: int, plan: Plan):
        self.port, self.count, self.plan = port, count, plan
        self.poll = select.epoll()
        self.lines: dict[int, _Line] = {}
        self.numbers = 0
        self.statuses: Counter[int] = Counter()
        self.broken = 0

    def __enter__(self) -> "Flood":
        return self

    def __exit__(self, *_: object) -> None:
        for line in self.lines.values():
            line.socket.close()
        self.poll.close()

    def open(self, seconds: float = 60) -> None:
        """Connects all, before any of them sends; less than all if the server takes too long."""
        end = time.monotonic() + seconds
        while len(self.lines) < self.count and time.monotonic() < end:
            self._connect()

    def run(self, seconds: float) -> None:
        """Sends and receives for so long, or until no connection is left."""
        end = time.monotonic() + seconds
        for line in [line for line in self.lines.values() if line.asked == 0]:
            self._turn(line, is_readable=False)
        while self.lines and (left := end - time.monotonic()) > 0:
            for descriptor, events in self.poll.poll(min(left, 0.05)):
                if line := self.lines.get(descriptor):
                    self._turn(line, is_readable=bool(events & ~select.EPOLLOUT))

    def _connect(self) -> None:
        """A refused connection is only counted: whether the server has ended is looked at elsewhere."""
        try:
            line = _Line(self.port, self.plan)
        except OSError:
            self.broken += 1
            time.sleep(0.01)
            return
        self.lines[line.socket.fileno()] = line
        self.poll.register(line.socket, line.events())

    def _turn(self, line: "_Line", is_readable: bool) -> None:
        before = line.events()
        try:
            if is_readable:
                self.statuses.update(line.receive())
            is_over = self._ask(line)
        except OSError:
            self.broken += 1
            is_over = True
        if is_over:
            self._end(line)
        elif before != line.events():
            self.poll.modify(line.socket, line.events())

    def _ask(self, line: "_Line") -> bool:
        """Sends what can be sent. Returns whether the line has done all that it should do."""
        line.send()
        while not line.unsent and line.awaited <= 0:
            if line.asked == self.plan.times:
                return self.plan.replies > 0
            line.ask(self.plan.request(self.numbers))
            self.numbers += 1
            line.send()
        return False

    def _end(self, line: "_Line") -> None:
        del self.lines[line.socket.fileno()]
        line.socket.close()
        if self.plan.comes_again:
            self._connect()
            if self.lines and (new := next(reversed(self.lines.values()))).asked == 0:
                self._turn(new, is_readable=False)


class _Line:
    """One connection."""

    def __init__(self, port: int, plan: Plan):
        self.plan = plan
        self.asked = 0
        self.awaited = 0
        """Replies that are yet to come."""
        self.unsent = memoryview(plan.first)
        self.head = b""
        """The beginning of a head."""
        self.status = 0
        """That of the reply which is coming, and `left` the bytes of its content that are yet to come."""
        self.left = 0
        self.socket = socket.socket()
        self.socket.settimeout(CONNECT)
        if plan.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, plan.receive_buffer)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)

    def events(self) -> int:
        return (select.EPOLLIN if self.plan.reads else 0) | (select.EPOLLOUT if self.unsent else 0)

    def ask(self, request: bytes) -> None:
        self.asked += 1
        self.awaited += self.plan.replies
        self.unsent = memoryview(request)

    def send(self) -> None:
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass

    def receive(self) -> list[int]:
        """Reads once, and returns the status of each reply that is whole now."""
        try:
            count = self.socket.recv_into(ROOM)
        except BlockingIOError:
            return []
        if count == 0:
            raise ConnectionResetError("it was closed")
        if count < self.left:
            self.left -= count
            return []
        return self._parse(memoryview(ROOM)[:count])

    def _parse(self, data: memoryview) -> list[int]:
        done = []
        while True:
            if self.left:
                skipped = min(self.left, len(data))
                data = data[skipped:]
                self.left -= skipped
                if self.left:
                    return done
                done.append(self.status)
                self.awaited -= 1
            head, end, _ = (self.head + bytes(data[:1 << 15])).partition(b"\r\n\r\n")
            if not end:
                self.head += bytes(data)
                return done
            data = data[len(head) + 4 - len(self.head):]
            self.head = b""
            self._begin(head.lower())
            if not self.left:
                done.append(self.status)
                self.awaited -= 1

    def _begin(self, head: bytes) -> None:
        self.status = int(head[9:12])
        _, found, rest = head.partition(b"\r\ncontent-length:")
        self.left = int(rest.split(b"\r\n")[0]) if found and not self.plan.are_heads else 0


def ask(port: int, request: bytes, seconds: float = 10) -> tuple[int, bytes]:
    """One request on a connection of its own: the status and the content."""
    with socket.create_connection(("127.0.0.1", port), seconds) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(1 << 16):
            answer += data
    head, _, content = answer.partition(b"\r\n\r\n")
    return (int(head[9:12]) if head[9:12].isdigit() else 0), content
